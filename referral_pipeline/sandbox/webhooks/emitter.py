"""From an event of a vendor to parcels: keys, modes, the log.

Belongs here: deciding what is sent, when, how often, how signed. Does not belong here: the network (`courier`), the
words of a vendor (`Describe` is given), HTTP of the control plane (`surface`).
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from referral_pipeline.sandbox.webhooks.courier import Courier, Entry, Parcel, new_delivery_id, spread
from referral_pipeline.sandbox.webhooks.modes import Modes
from referral_pipeline.sandbox.webhooks.signing import Sealer, Signer

_LOG_LENGTH = 200_000
_QUIET_SECONDS = 0.2
_UNKNOWN_KEY = "whsec_bm9ib2R5IGtub3dzIHRoaXMga2V5IGF0IGFsbCwgbm90IGV2ZW4="


@dataclass(frozen=True)
class Event:
    """What happened, in the words of a vendor. `subject` is as in "application:31"."""

    type: str
    subject: str | None
    body: bytes


Describe = Callable[[str, str], Event]
"""Makes the event of a type about a record as it is now; raises LookupError for what is unknown."""


class Emitter:
    """Sends the webhooks of one system. `is_on` tells whether building an event is worth the while.

    Args:
        system: The last part of the path.
        signer: The vendor's scheme.
        secrets: The present key, and the one that it can be rotated to.
        prefix: Of delivery ids.
    """

    def __init__(self, system: str, signer: Signer, secrets: tuple[str, str], prefix: str) -> None:
        self.system = system
        self.modes = Modes()
        self.describe: Describe = _describe_nothing
        self.greeting: Callable[[], Event] | None = None
        self._signer = signer
        self._secrets = secrets
        self._prefix = prefix
        self._courier = Courier(f"{system} webhooks")
        self._lock = threading.Lock()
        self._log: deque[Entry] = deque(maxlen=_LOG_LENGTH)
        self._held: list[Parcel] = []
        self._window: list[Parcel] = []
        self._target = ("", 0, "")
        self._chance = random.Random(7)  # noqa: S311 - repeatable disturbance is the purpose

    # ------------------------------------------------------------ setting

    @property
    def is_on(self) -> bool:
        """Whether there is somebody to tell."""
        return self.modes.url is not None

    def set(self, changes: Mapping[str, Any]) -> None:
        """Take new modes; `reset` forgets all others first. A new url is greeted with a ping where the vendor does.

        Raises:
            pydantic.ValidationError: A name or a value is unknown.
        """
        changes = dict(changes)
        before = self.modes
        base = Modes(url=before.url) if changes.pop("reset", False) else before
        modes = base.changed(changes)
        if modes.url is not None:
            parts = urlsplit(modes.url)
            self._target = (parts.hostname or "", parts.port or 80, f"{parts.path}/webhooks/{self.system}")
        self.modes = modes
        self._courier.connections = modes.connections
        if "seed" in changes or modes.seed != before.seed:
            self._chance = random.Random(modes.seed)  # noqa: S311
        if before.hold and not modes.hold:
            self.release("made")
        if "url" in changes and modes.url is not None and self.greeting is not None:
            self.emit(self.greeting())

    def state(self) -> dict[str, Any]:
        """The modes, what is on its way, and the names of the keys' forms (never a key)."""
        with self._lock:
            counts = {"held": len(self._held) + len(self._window), "made": len(self._log)}
        return {**self.modes.model_dump(mode="json"), **counts, "under_way": self._courier.under_way}

    def log(self, since: float = 0.0) -> list[dict[str, Any]]:
        """Deliveries made at or after `since` (epoch seconds), oldest first."""
        with self._lock:
            entries = list(self._log)
        return [entry.as_dict() for entry in entries if entry.made_at >= since]

    def forget(self) -> None:
        """Empty the log."""
        with self._lock:
            self._log.clear()

    def stop(self) -> None:
        """End all delivery."""
        self._courier.stop()

    # ------------------------------------------------------------ sending

    def emit(self, event: Event, delivery_id: str | None = None) -> str | None:
        """Send an event under the present modes; answers the delivery's id, None when nobody is told of anything."""
        modes = self.modes
        if modes.url is None:
            return None
        entry = Entry(delivery_id or self._new_id(), event.type, event.subject, time.time())
        with self._lock:
            self._log.append(entry)
            if event.type in modes.drop_types or (modes.drop and self._chance.random() < modes.drop):
                entry.mode = "dropped"
                return entry.id
            notes: list[str] = []
            parcels = [self._parcel(entry, event.body, modes, notes)]
            if modes.duplicate > 1:
                notes.append("duplicate")
                parcels += [_copy(parcels[0]) for _ in range(modes.duplicate - 1)]
            if modes.rotate != "off":
                notes.append(f"rotate {modes.rotate}")
            delay = 0.0
            if modes.hold:
                notes.append("held")
                self._held.extend(parcels)
                parcels = []
            elif modes.shuffle > 1:
                notes.append("shuffled")
                parcels = self._shuffled(parcels, modes.shuffle)
            elif modes.delay:
                notes.append("delayed")
                delay = spread(modes.delay, self._chance)
            entry.mode = "+".join(notes) or "plain"
        if parcels:
            self._courier.send(parcels, delay)
        return entry.id

    def release(self, order: str | Sequence[str]) -> int:
        """Send what is held; answers how many.

        `order`: "made", "reversed", "shuffled" (one after the other), "together" (all at once), or ids: those that are
        named go one after the other, the others stay held.

        Raises:
            ValueError: The order is unknown.
        """
        with self._lock:
            held = self._held
            if not isinstance(order, str):
                places = {name: place for place, name in enumerate(order)}
                chosen = [parcel for parcel in held if parcel.entry.id in places]
                self._held = [parcel for parcel in held if parcel.entry.id not in places]
                chosen.sort(key=lambda parcel: places[parcel.entry.id])
            elif order in {"made", "reversed", "shuffled", "together"}:
                chosen, self._held = held, []
                if order == "reversed":
                    chosen.reverse()
                elif order == "shuffled":
                    self._chance.shuffle(chosen)
            else:
                raise ValueError("order must be made, reversed, shuffled, together, or a list of delivery ids")
        if order == "together":
            self._courier.send(chosen)
        else:
            self._courier.send_in_order(chosen)
        return len(chosen)

    def _new_id(self) -> str:
        return self._signer.delivery_id() if isinstance(self._signer, Sealer) else new_delivery_id(self._prefix)

    def _parcel(self, entry: Entry, body: bytes, modes: Modes, notes: list[str]) -> Parcel:
        if modes.bad_signature and self._chance.random() < modes.bad_signature:
            notes.append("bad signature")
            secrets: tuple[str, ...] = (_UNKNOWN_KEY,)
        else:
            secrets = {"off": self._secrets[:1], "new": self._secrets[1:], "both": self._secrets}[modes.rotate]
        signer, offset = self._signer, modes.clock_offset
        if isinstance(signer, Sealer):
            body = signer.seal(entry.id, body, secrets, entry.made_at + offset)

        def sign(now: float) -> bytes:
            return signer.headers(entry.id, body, secrets, now + offset)

        host, port, path = self._target
        return Parcel(entry, host, port, path, body, sign, modes.schedule, modes.timeout_seconds)

    def _shuffled(self, parcels: list[Parcel], size: int) -> list[Parcel]:
        """The window in another order when it is full; nothing else. A timer takes care of one that never fills."""
        self._window.extend(parcels)
        if len(self._window) < size:
            youngest = self._window[-1]
            self._courier.later(_QUIET_SECONDS, lambda: self._end_window(youngest))
            return []
        full, self._window = self._window, []
        self._chance.shuffle(full)
        return full

    def _end_window(self, youngest: Parcel) -> None:
        with self._lock:
            if not self._window or self._window[-1] is not youngest:
                return
            left, self._window = self._window, []
            self._chance.shuffle(left)
        self._courier.send(left)


def _copy(parcel: Parcel) -> Parcel:
    return Parcel(
        parcel.entry,
        parcel.host,
        parcel.port,
        parcel.path,
        parcel.body,
        parcel.sign,
        parcel.schedule,
        parcel.timeout,
    )


def _describe_nothing(event_type: str, record_id: str) -> Event:
    raise LookupError(f"this sandbox cannot send {event_type[:40]} about {record_id[:40]}")
