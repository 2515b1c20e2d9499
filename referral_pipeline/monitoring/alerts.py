"""The alert desk: trouble is told to the owner once on every channel, each day while it lasts, and when it is over.

Belongs here: when something is told, to which channel, and what becomes of a message that no channel took. Does not
belong here: words (`messages`), carrying them over (`channels`), finding trouble (the lane, `orchestration.alerting`).

Rules
1. An alert is a row per channel in the ledger before anything is sent. Name and subject make two firings the same:
   while one is open, another is counted in it and not sent.
2. Sending is at least once: a row stays undelivered until its channel has taken it, whichever process tries. A process
   that dies between the two sends it again under the same id.
3. What was fired is told even when it is over before its channel could be reached, and its recovery after it; only what
   has been over for a day is let go, and of heartbeats the newest alone counts.
4. A channel that has not taken a message for five minutes is itself an alert, on the other channels; the heartbeat
   names it.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.records import AlertRecord
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.monitoring.channels import Channel, DeliveryFailed, channels_of
from referral_pipeline.monitoring.messages import Kind, Message, line, time_words
from referral_pipeline.monitoring.open_alerts import count_of, since_of
from referral_pipeline.settings import Settings

_LOG = logging.getLogger(__name__)

DEFAULT_UI_URL = "http://127.0.0.1:3000"
HEARTBEAT = "heartbeat"
CHANNEL_FAILED = "channel_failed"

_HEARTBEAT_WORDS = "Alerts reach you on this channel. If this message does not come every day, alerting is broken."
_A_DAY = timedelta(days=1)
_CHANNEL_PATIENCE = timedelta(minutes=5)
_REFUSALS_A_PASS = 3
_RETRY_SECONDS = 30.0
_CLOSE_SECONDS = 20.0
_ROWS = 1000


@dataclass(frozen=True)
class Alert:
    """Something that somebody must hear of. Nothing in it is personal data: ids, counts, names of systems.

    Attributes:
        name: What kind of trouble: dead_letter, breaker_open, lane_stopped, check_failed, run_failed,
            credential_refused, unmapped_stage, event_late, schema_drift.
        subject: What makes two firings the same, such as `breaker:greenhouse`.
        severity: An error is told again each day while it is open and nobody has acknowledged it.
        what: One sentence.
        todo: What to do about it.
        count: How many there are now, as far as the caller knows; firings are counted besides, and the larger is told.
        since: Since when; None for the first firing.
        link: Where to look.
    """

    name: str
    subject: str
    severity: Literal["warning", "error"]
    what: str
    todo: str
    count: int = 1
    since: datetime | None = None
    link: str | None = None


@dataclass(frozen=True)
class AlertStatus:
    """How alerting stands: what is open (each alert once), and what no channel has taken yet, by channel."""

    open_errors: int
    open_warnings: int
    undelivered: Mapping[str, int]


class AlertDesk:
    """Fires, resolves and delivers. Safe for threads and for several processes on one ledger.

    With `background` (the default) `fire` and `resolve` only commit; a thread of the desk delivers, and keeps trying
    what was not taken. Close the desk, or use it as a context manager: the end delivers what is still waiting.
    Without `background` they deliver before they return; then no lock of the ledger may be held.

    Args:
        contract: Channels and owner.
        settings: Secrets of the channels, address of the UI.
        ledger: Where alerts are kept; must use the same clock.
        clock: The time, aware.
        channels: Others than the contract's, for tests.
        background: Whether a thread delivers.
    """

    def __init__(
        self,
        contract: Contract,
        settings: Settings,
        ledger: Ledger,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        channels: Sequence[Channel] | None = None,
        *,
        background: bool = True,
    ) -> None:
        self._owner = f"{contract.owner.name} <{contract.owner.email}>"
        self._ui = (settings.ui_url or DEFAULT_UI_URL).rstrip("/")
        self._ledger = ledger
        self._clock = clock
        self._channels = list(channels_of(contract, settings) if channels is None else channels)
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._background = background
        self._starting = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Deliver what waits, once, and stop the thread. What no channel takes stays in the ledger."""
        with self._starting:
            self._stopping = True
        if self._thread is not None:
            self._wake.set()
            self._thread.join(_CLOSE_SECONDS)

    def link_to_run(self, run_id: str) -> str:
        """Where people see a run."""
        return f"{self._ui}/runs/{quote(run_id, safe='')}"

    # ------------------------------------------------------------ what happened

    def fire(self, alert: Alert) -> None:
        """Tell the owner on every channel, or count it when that has been told and is still open.

        Committed before this returns. A channel that cannot be reached raises nothing: it is tried again.
        """
        self._open(alert, self._channels)
        self._deliver_soon()

    def resolve(self, name: str, subject: str, what: str) -> None:
        """It is over: close the alert and tell every channel that was told of it. Nothing when none is open."""
        if self._close_alert(name, subject, what):
            self._deliver_soon()

    def heartbeat(self) -> list[str]:
        """The daily proof that alerting works, sent before this returns.

        Returns:
            The channels that have not taken it.
        """
        with self._ledger.atomic():
            facts = self._facts()
            for channel in self._channels:
                self._notice(
                    channel.name,
                    HEARTBEAT,
                    what=_HEARTBEAT_WORDS,
                    details={"kind": "heartbeat", "subject": "alerting", "facts": facts, "link": self._ui},
                )
        self.deliver_pending()
        waiting = {r.channel for r in self._waiting() if r.name == HEARTBEAT}
        return [channel.name for channel in self._channels if channel.name in waiting]

    def status(self) -> AlertStatus:
        """How alerting stands."""
        severity_of = {r.fingerprint: r.severity for r in self._ledger.alerts(open_only=True, limit=_ROWS)}
        severities = Counter(severity_of.values())
        return AlertStatus(
            open_errors=severities["error"],
            open_warnings=severities["warning"],
            undelivered=dict(Counter(r.channel for r in self._waiting())),
        )

    # ------------------------------------------------------------ delivering

    def deliver_pending(self) -> int:
        """Try everything that no channel has taken yet, and repeat open errors that were told a day ago.

        Returns:
            How many messages were taken.
        """
        self._cover_new_channels()
        taken = sum(self._deliver_to(channel) for channel in self._channels)
        if self._judge_channels():
            taken += sum(self._deliver_to(channel) for channel in self._channels)
        return taken

    def _deliver_soon(self) -> None:
        if not self._background:
            self.deliver_pending()
            return
        with self._starting:
            if self._thread is None and not self._stopping:
                self._thread = threading.Thread(target=self._keep_delivering, name="alerts", daemon=True)
                self._thread.start()
        self._wake.set()

    def _keep_delivering(self) -> None:
        while True:
            self._wake.clear()
            last = self._stopping
            try:
                self.deliver_pending()
            except Exception:  # noqa: BLE001 - logged with its traceback
                # Whatever it is, the next alert must still find a thread; rows are safe in the ledger.
                _LOG.exception("alerts could not be delivered; they are tried again")
            if last:
                return
            if not self._stopping:
                self._wake.wait(_RETRY_SECONDS)

    def _deliver_to(self, channel: Channel) -> int:
        taken = refused = 0
        # One process at a time sends to a channel, so that nothing is sent twice and a recovery follows its alert.
        with self._ledger.exclusive([f"alerts:{channel.name}"]):
            for record, kind in self._due(channel.name):
                failure = _attempt(channel, self._message(record, kind))
                if failure is not None:
                    _LOG.error("channel %s did not take alert %s: %s", channel.name, record.id, failure)
                    self._ledger.add_counts({f"alerts.failed.{channel.name}": 1})
                    refused += 1
                    if not failure.answered or refused >= _REFUSALS_A_PASS:
                        break  # nobody is there: the others would only wait for their time-outs
                    continue
                self._ledger.mark_alert_delivered(record.id)
                taken += 1
        if taken:
            self._ledger.add_counts({f"alerts.sent.{channel.name}": taken})
        return taken

    def _due(self, channel: str) -> list[tuple[AlertRecord, Kind]]:
        """What this channel is to be told now, oldest first."""
        due: list[tuple[AlertRecord, Kind]] = []
        for record in self._waiting():
            if record.channel == channel:
                due.append((record, record.details.get("kind", "fired")))
        now = self._clock()
        for record in self._ledger.alerts(open_only=True, limit=_ROWS):
            told = record.delivered_at is not None and record.delivered_at <= now - _A_DAY
            if record.channel == channel and told and record.severity == "error" and record.acknowledged_at is None:
                due.append((record, "repeated"))
        return sorted(due, key=lambda pair: pair[0].id)

    def _waiting(self) -> list[AlertRecord]:
        """What the channels of the contract have not taken, newest first, without what is no longer worth telling."""
        oldest = self._clock() - _A_DAY
        mine = {channel.name for channel in self._channels}
        beating: set[str] = set()
        waiting: list[AlertRecord] = []
        for record in self._ledger.alerts(undelivered=True, limit=_ROWS):
            if record.channel not in mine or (record.resolved_at is not None and record.resolved_at <= oldest):
                continue
            if record.name == HEARTBEAT:
                if record.channel in beating:
                    continue
                beating.add(record.channel)
            waiting.append(record)
        return waiting

    def _cover_new_channels(self) -> None:
        """Tell what is open to channels that the contract has named since."""
        open_now = self._ledger.alerts(open_only=True, limit=_ROWS)
        told = {(r.fingerprint, r.channel) for r in open_now}
        for record in {r.fingerprint: r for r in open_now}.values():
            for channel in self._channels:
                of_itself = record.name == CHANNEL_FAILED and record.details.get("subject") == channel.name
                if (record.fingerprint, channel.name) not in told and not of_itself:
                    since = record.details.get("since") or record.fired_at.isoformat()
                    self._ledger.fire_alert(
                        record.name,
                        record.fingerprint,
                        record.severity,
                        record.message,
                        self._owner,
                        channel.name,
                        {**record.details, "since": since},
                    )

    def _judge_channels(self) -> bool:
        """Fire or resolve the alert of each channel that takes nothing; whether there is something new to deliver."""
        late = self._clock() - _CHANNEL_PATIENCE
        waiting = self._waiting()
        news = False
        failed = {
            r.details.get("subject")
            for r in self._ledger.alerts(open_only=True, limit=_ROWS)
            if r.name == CHANNEL_FAILED
        }
        for gone in failed - {channel.name for channel in self._channels}:
            self._close_alert(CHANNEL_FAILED, str(gone), f"The contract no longer names the alert channel {gone}.")
            news = True
        for channel in self._channels:
            mine = [r for r in waiting if r.channel == channel.name]
            others = [other for other in self._channels if other is not channel]
            is_open = channel.name in failed
            if mine and others and not is_open and mine[-1].fired_at <= late:
                alert = Alert(
                    CHANNEL_FAILED,
                    channel.name,
                    "error",
                    f"The alert channel {channel.name} has not taken messages for more than five minutes.",
                    "Look at monitoring.alerts of the contract and at the channel's secrets; `referral-pipeline check` "
                    "names what is missing. Everything is kept and sent once it answers.",
                    count=len(mine),
                    since=mine[-1].fired_at,
                )
                self._open(alert, others)
                news = True
            elif is_open and not mine:
                self._close_alert(CHANNEL_FAILED, channel.name, f"The alert channel {channel.name} answers again.")
                news = True
        return news

    # ------------------------------------------------------------ rows

    def _open(self, alert: Alert, channels: Iterable[Channel]) -> None:
        details = {
            "subject": alert.subject,
            "todo": alert.todo,
            "count": alert.count,
            "since": alert.since.astimezone(UTC).isoformat() if alert.since else None,
            "link": alert.link,
        }
        fingerprint = _fingerprint(alert.name, alert.subject)
        try:
            with self._ledger.atomic():
                for channel in channels:
                    self._ledger.fire_alert(
                        alert.name, fingerprint, alert.severity, alert.what, self._owner, channel.name, details
                    )
        except Exception:
            # The last resort: said where it happened, since it cannot be kept.
            _LOG.exception("an alert could not be kept: %s [%s]: %s", alert.name, alert.subject, line(alert.what))
            raise

    def _close_alert(self, name: str, subject: str, what: str) -> bool:
        fingerprint = _fingerprint(name, subject)
        if self._ledger.open_alert(fingerprint) is None:
            return False
        with self._ledger.atomic():
            closed = self._ledger.resolve_alert(fingerprint)
            for record in closed:
                since = record.details.get("since") or record.fired_at.isoformat()
                over = {"kind": "recovered", "todo": "", "since": since, "count": count_of(record)}
                self._notice(record.channel, name, what=what, details={**record.details, **over})
        return bool(closed)

    def _notice(self, channel: str, name: str, *, what: str, details: Mapping[str, Any]) -> None:
        """A row that is told once and never open: a recovery, a heartbeat."""
        fingerprint = f"{_fingerprint(name, str(details['subject']))}/{details['kind']}/{channel}"
        self._ledger.fire_alert(name, fingerprint, "info", what, self._owner, channel, details)
        self._ledger.resolve_alert(fingerprint)

    def _facts(self) -> dict[str, str]:
        """What the heartbeat tells besides being there."""
        status, backlog, waiting = self.status(), self._ledger.inbox_backlog(), self._waiting()
        facts = {
            "Open alerts": f"{status.open_errors} errors, {status.open_warnings} warnings",
            "Events waiting": str(backlog.waiting + backlog.waiting_bulk + backlog.claimed),
            "Events dead": str(backlog.dead),
        }
        if backlog.oldest_received_at is not None:
            facts["Oldest waiting event"] = f"since {time_words(backlog.oldest_received_at)}"
        undelivered = "; ".join(
            f"{count} on {channel} ({', '.join(sorted({r.name for r in waiting if r.channel == channel}))})"
            for channel, count in sorted(status.undelivered.items())
        )
        facts["Alerts not delivered"] = undelivered or "none"
        return facts

    def _message(self, record: AlertRecord, kind: Kind) -> Message:
        details = record.details
        now = self._clock()
        message = Message(
            id=f"alert_{record.id}_{int(record.fired_at.timestamp() * 1_000_000):x}",
            kind=kind,
            name=record.name,
            subject=str(details.get("subject", "")),
            severity=record.severity,
            what=record.message,
            todo=str(details.get("todo", "")),
            owner=record.owner,
            at=now,
            count=count_of(record),
            since=None if kind == "heartbeat" else since_of(record),
            link=details.get("link"),
            facts=details.get("facts") or {},
        )
        return replace(message, id=f"{message.id}_{now:%Y%m%d}") if kind == "repeated" else message


def _attempt(channel: Channel, message: Message) -> DeliveryFailed | None:
    """Send; the failure, if the channel did not take it. A channel that breaks its promise is one that failed."""
    try:
        channel.send(message)
    except DeliveryFailed as failure:
        return failure
    except Exception as error:  # noqa: BLE001 - an alert must never be what stops the work it tells of
        _LOG.debug("a channel failed in a way that it does not name", exc_info=True)
        return DeliveryFailed(f"it failed with {type(error).__name__}")
    return None


def _fingerprint(name: str, subject: str) -> str:
    return f"{name}/{subject}"
