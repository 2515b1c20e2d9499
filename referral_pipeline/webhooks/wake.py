"""Waking the lane: one datagram to each lane that is alive.

Belongs here: who is told, and telling. Does not belong here: what the lane does then; that it finds the work by itself
soon after when no word comes.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError

from referral_pipeline.ledger.store import Ledger

LANE = "lane"
FRESH = timedelta(seconds=10)
LOOK_AGAIN_SECONDS = 2.0

_log = logging.getLogger(__name__)


class Waker:
    """Tells every lane whose heartbeat is fresh that there is something in the inbox. Never raises.

    For one thread at a time.
    """

    def __init__(self, ledger: Ledger, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Nothing is asked of the ledger before the first `wake`."""
        self._ledger = ledger
        self._clock = clock
        self._addresses: frozenset[tuple[str, int]] = frozenset()
        self._looked_at: float | None = None
        self._sockets: dict[int, socket.socket] = {}

    def wake(self) -> None:
        """Send a datagram to each lane. Those known already are told before anybody new is looked for."""
        self.tell()
        self.look()

    def tell(self) -> None:
        """Send a datagram to each lane that is known."""
        self._tell(self._addresses)

    def look(self) -> None:
        """Look now and then for lanes that are not known yet, and tell those."""
        told = self._addresses
        if self._looked_at is None or monotonic() - self._looked_at >= LOOK_AGAIN_SECONDS:
            self._look()
            self._tell(self._addresses - told)

    def close(self) -> None:
        """Close the sockets."""
        for one in self._sockets.values():
            one.close()
        self._sockets.clear()

    def _look(self) -> None:
        self._looked_at = monotonic()
        try:
            oldest = self._clock() - FRESH
            beats = [beat for beat in self._ledger.heartbeats(LANE) if beat.at >= oldest]
        except SQLAlchemyError as error:
            _log.warning("cannot look for lanes: %s", type(error).__name__)
            return
        self._addresses = frozenset(found for beat in beats if (found := _address(beat.address)) is not None)

    def _tell(self, addresses: frozenset[tuple[str, int]]) -> None:
        for address in addresses:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            try:
                if family not in self._sockets:
                    sender = self._sockets[family] = socket.socket(family, socket.SOCK_DGRAM)
                    sender.setblocking(False)
                self._sockets[family].sendto(b"1", address)
            except OSError as error:
                _log.debug("a lane was not told: %s", error.strerror)


def _address(text: str | None) -> tuple[str, int] | None:
    host, colon, port = (text or "").rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        return None
    return host.strip("[]"), int(port)
