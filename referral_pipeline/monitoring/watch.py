"""The facts that health is judged by: gathered from the ledger, cheap enough to look every minute.

Belongs here: which rows are read, and what is kept between two looks. Does not belong here: counting (ledger.measures),
judging (health).

Calls of a week are counted in steps of a quarter of an hour. Steps that are over do not change, so a watcher that lives
on reads only the newest: a look costs the same however many calls there were.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from referral_pipeline.connectors.calls import FAILED, CallOutcome
from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.measures import ARRIVED, ArrivalCount, CallCount, DayVolume
from referral_pipeline.ledger.records import AlertRecord, Backlog, BreakerState, Cursor, DoneEvent, Heartbeat
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.monitoring.channels import names_of
from referral_pipeline.monitoring.pattern import Pattern, pattern_of
from referral_pipeline.monitoring.runbook import RUNBOOK
from referral_pipeline.quality.go_live import is_approved

STEP = timedelta(minutes=15)
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
HISTORY_DAYS = 56
ALL = ""
"""In place of an operation: all of them."""
PROCESSES = ("lane", "receiver")

_SETTLED_AFTER = timedelta(minutes=20)
"""How long after its end a step of calls may still grow: recorders write a second later, and again when refused."""
_ROLL_UP_EVERY = timedelta(hours=1)
_RECENT_DAYS = 9
OUTAGES = ("breaker_open", "credential_refused")
_CAUSES = (*RUNBOOK, *OUTAGES, "lane_stopped")
"""Alerts of which it matters when they were over; of others only whether they are open."""
_MANIFEST = "manifest.json"


@dataclass
class Series:
    """Calls of one operation in steps of time, oldest first; steps without calls are left out."""

    starts: list[datetime] = field(default_factory=list[datetime])
    calls: list[int] = field(default_factory=list[int])
    failed: list[int] = field(default_factory=list[int])
    answered: list[int] = field(default_factory=list[int])
    slow: list[int] = field(default_factory=list[int])
    limited: list[int] = field(default_factory=list[int])
    outcomes: list[dict[str, int]] = field(default_factory=list[dict[str, int]])

    def add(self, count: CallCount) -> None:
        """Add counts; they come oldest first."""
        if not self.starts or self.starts[-1] != count.at:
            self.starts.append(count.at)
            for numbers in (self.calls, self.failed, self.answered, self.slow, self.limited):
                numbers.append(0)
            self.outcomes.append({})
        self.calls[-1] += count.calls
        if count.outcome in FAILED:
            self.failed[-1] += count.calls
            self.outcomes[-1][count.outcome] = self.outcomes[-1].get(count.outcome, 0) + count.calls
        elif count.outcome == CallOutcome.RATE_LIMITED:
            self.limited[-1] += count.calls
        else:
            self.answered[-1] += count.calls
            self.slow[-1] += count.slow

    def since(self, at: datetime) -> Series:
        """The steps that began at a time or later."""
        first = bisect_left(self.starts, at)
        return Series(*(getattr(self, name)[first:] for name in self.__dataclass_fields__))

    def then(self, other: Series) -> Series:
        """These steps with later ones behind them."""
        return Series(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    def windows(self, now: datetime, spans: Sequence[timedelta]) -> list[int]:
        """How many of the newest steps began within each span before now."""
        return [len(self.starts) - bisect_left(self.starts, now - span) for span in spans]


@dataclass(frozen=True)
class Facts:
    """Everything that one look found; see the ledger's methods of the same names.

    Attributes:
        now: of the look, aware.
        systems: connectors of the contract; `advocacy` is the one of the advocacy platform.
        calls: of the last week, by (system, operation); under no operation (""), all of the system.
        skews: milliseconds, by system, of the last hour.
        budgets: the least left in the last hour, by system.
        arrivals: of the last 25 hours or more, by hour.
        volumes: of the days of the last week that are over.
        patterns: what is usual, by system; None while that is not known.
        done: newest first, of the last day; from a day before an open alert of latency on, a week at most.
        newest: when the newest event of each system came, bulk ones aside: its day's end, where it is kept no more.
        alerts: all that are open, and those of a measure or an outage that were over within a week; newest first.
        undelivered: messages of channels that were not taken for five minutes, by channel.
        published_at: when a refresh last published; None when none has.
        may_write: whether writes may go out under the present contract.
    """

    now: datetime
    systems: tuple[str, ...]
    advocacy: str
    calls: Mapping[tuple[str, str], Series]
    skews: Mapping[str, Sequence[int]]
    budgets: Mapping[str, int | None]
    arrivals: Sequence[ArrivalCount]
    newest: Mapping[str, datetime]
    volumes: Sequence[DayVolume]
    patterns: Mapping[str, Pattern | None]
    done: Sequence[DoneEvent]
    backlog: Backlog
    longest_due: datetime | None
    dead: Mapping[str, tuple[int, int]]
    cursors: Sequence[Cursor]
    beats: Mapping[str, Sequence[Heartbeat]]
    breakers: Mapping[str, BreakerState]
    alerts: Sequence[AlertRecord]
    undelivered: Mapping[str, int]
    published_at: datetime | None
    may_write: bool

    def told(self, *names: str, subject: str | None = None) -> str | None:
        """The name of an alert that is open, of these names (and of that subject); None when none is."""
        return next((a.name for a in self._of(names, subject) if a.resolved_at is None), None)

    def over_since(self, *names: str, subject: str | None = None) -> datetime | None:
        """When the last alert of these names (and of that subject) was over; None when there was none."""
        over = [a.resolved_at for a in self._of(names, subject) if a.resolved_at is not None]
        return max(over, default=None)

    def open_since(self, name: str, *, subject: str) -> datetime | None:
        """When the open alert of that name and subject was fired first; None where none is open."""
        return min((a.fired_at for a in self._of((name,), subject) if a.resolved_at is None), default=None)

    def _of(self, names: Sequence[str], subject: str | None) -> list[AlertRecord]:
        # Not the rows that tell a recovery, which are resolved from the start.
        return [
            alert
            for alert in self.alerts
            if alert.name in names and alert.fingerprint == f"{alert.name}/{subject or alert.details.get('subject')}"
        ]


class Watcher:
    """Looks at a ledger again and again. For one thread at a time.

    Args:
        ledger: open, and open as long as the watcher is used.
        contract: systems and thresholds.
        published_dir: where a refresh publishes.
    """

    def __init__(self, ledger: Ledger, contract: Contract, published_dir: Path) -> None:
        self.ledger = ledger
        self.contract = contract
        self._published_dir = published_dir
        self._systems = tuple(system.connector for system in contract.systems().values())
        self._kept: dict[tuple[str, str], Series] = {}
        self._newest: dict[str, datetime | None] = {}
        self._last_days: dict[str, datetime] = {}
        self._kept_from: datetime | None = None
        self._kept_until: datetime | None = None
        self._rolled_up: datetime | None = None
        self._read_on: date | None = None
        self._volumes: list[DayVolume] = []
        self._patterns: dict[str, Pattern | None] = {}

    def look(self, now: datetime) -> Facts:
        """Gather the facts as of now."""
        ledger, hour, day = self.ledger, now - HOUR, now - DAY
        if self._rolled_up is None or not now - _ROLL_UP_EVERY < self._rolled_up <= now:
            self._read_days(now)
            self._rolled_up = now
        alerts = ledger.open_alerts(over_since=now - WEEK, names=_CAUSES)
        arrivals = ledger.arrivals(_whole_hour(day), now)
        return Facts(
            now=now,
            systems=self._systems,
            advocacy=self.contract.advocacy.connector,
            calls=self._calls(now),
            skews={system: ledger.clock_skews(system, hour, now) for system in self._systems},
            budgets={system: ledger.budget_left(system, hour, now) for system in self._systems},
            arrivals=arrivals,
            newest=self._newest_of(arrivals, now),
            volumes=self._volumes,
            patterns=self._patterns,
            done=ledger.newest_done(_done_since(alerts, now), now),
            backlog=ledger.inbox_backlog(),
            longest_due=ledger.longest_due(now),
            dead=ledger.dead_counts(),
            cursors=ledger.cursors(),
            beats={name: ledger.heartbeats(name) for name in PROCESSES},
            breakers={state.system: state for state in ledger.breakers()},
            alerts=alerts,
            undelivered=_undelivered(ledger.undelivered_alerts(names_of(self.contract)), now),
            published_at=_published_at(self._published_dir),
            may_write=is_approved(self.contract, ledger),
        )

    def _read_days(self, now: datetime) -> None:
        """What the days that are over brought, and what is usual from that: it changes once a day."""
        today = now.astimezone(UTC).date()
        if self.ledger.roll_up_days(self._systems) == 0 and self._read_on == today:
            return
        self._read_on = today
        volumes = self.ledger.volumes(today - timedelta(days=HISTORY_DAYS))
        quiet = frozenset(self.contract.monitoring.quiet_days)
        faulty = self._faulty_days(today)
        self._patterns = {
            system: pattern_of(volumes, system, quiet, faulty.get(system, frozenset())) for system in self._systems
        }
        self._last_days = {
            volume.system: datetime.combine(volume.day + timedelta(days=1), time(), UTC)
            for volume in volumes
            if volume.measure == ARRIVED and volume.count
        }
        recent = today - timedelta(days=_RECENT_DAYS)
        self._volumes = [volume for volume in volumes if volume.day >= recent and ":" not in volume.measure]

    def _newest_of(self, arrivals: Sequence[ArrivalCount], now: datetime) -> dict[str, datetime]:
        """When the newest event of each system came. Searched for once; what comes after is among the arrivals."""
        for system in self._systems:
            came = [a.last_at for a in arrivals if a.system == system and not a.bulk]
            if came:
                self._newest[system] = max(came)
            elif system not in self._newest:
                # Of what is pruned, the days still tell.
                self._newest[system] = self.ledger.newest_arrival(system, now) or self._last_days.get(system)
        return {system: at for system, at in self._newest.items() if at is not None}

    def _faulty_days(self, today: date) -> dict[str, frozenset[date]]:
        """The days, by system, that lie under an alert of volume: they say nothing of what is usual."""
        since = today - timedelta(days=HISTORY_DAYS)
        found: dict[str, set[date]] = {}
        for alert in self.ledger.open_alerts(over_since=datetime.combine(since, time(), UTC), names=("daily_volume",)):
            first = max(since, alert.fired_at.astimezone(UTC).date())
            last = today if alert.resolved_at is None else alert.resolved_at.astimezone(UTC).date()
            days = {first + timedelta(days=number) for number in range((last - first).days + 1)}
            if alert.fingerprint == f"{alert.name}/{alert.details.get('subject')}":
                found.setdefault(str(alert.details["subject"]), set()).update(days)
        return {system: frozenset(days) for system, days in found.items()}

    def _calls(self, now: datetime) -> dict[tuple[str, str], Series]:
        start = now - WEEK
        until, began = self._kept_until, self._kept_from
        if until is None or began is None or not (began + DAY > now >= until):
            # At first, once a day for what was recorded very late, and when a clock was set back.
            self._kept, self._kept_from, until = {}, now, start
        found = self.ledger.call_counts(
            until,
            now,
            self._systems,
            step=int(STEP.total_seconds()),
            slow_ms=round(self.contract.monitoring.slow_call_seconds * 1000),
        )
        settled = _whole_step(now - _SETTLED_AFTER)
        newest: dict[tuple[str, str], Series] = {}
        for count in found:
            of = self._kept if count.at < settled else newest
            for operation in (count.operation, ALL):
                of.setdefault((count.system, operation), Series()).add(count)
        self._kept_until = max(until, settled)
        for key, series in list(self._kept.items()):
            if series.starts[0] < start:
                self._kept[key] = series = series.since(start)
            if not series.starts:
                del self._kept[key]
        nothing = Series()
        return {
            key: self._kept.get(key, nothing).then(newest.get(key, nothing)) for key in sorted({*self._kept, *newest})
        }


def _whole_hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _whole_step(at: datetime) -> datetime:
    seconds = int(at.timestamp())
    return datetime.fromtimestamp(seconds - seconds % int(STEP.total_seconds()), UTC)


def _done_since(alerts: Sequence[AlertRecord], now: datetime) -> datetime:
    """From when on events are read: what an open alert of latency was proven by must not leave the day unnoticed."""
    fired = (a.fired_at for a in alerts if a.name == "sync_latency_p95" and a.resolved_at is None)
    return max(now - WEEK, min([now, *fired]) - DAY)


def _undelivered(alerts: Sequence[AlertRecord], now: datetime) -> Counter[str]:
    late, let_go = now - timedelta(minutes=5), now - DAY
    return Counter(
        alert.channel
        for alert in alerts
        if alert.fired_at <= late and (alert.resolved_at is None or alert.resolved_at > let_go)
    )


def _published_at(folder: Path) -> datetime | None:
    """When a refresh last published. Read here and not by the warehouse: the receiver need not load DuckDB for it."""
    try:
        found: object = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        return datetime.fromisoformat(str(found["published_at"])) if isinstance(found, dict) else None
    except (OSError, ValueError, KeyError):
        return None
