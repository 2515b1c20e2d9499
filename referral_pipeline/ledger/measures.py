"""What can be counted of the past: calls, arrivals, waiting, volume a day. Reads, but for the roll-up of days.

Belongs here: counting in the database. Does not belong here: what a count means (monitoring).

Calls are kept for 90 days and done events for 30, so what a day brought is rolled up once the day is over: a row per
system and measure. Measures: `webhooks` (all that came), `changes` (those that are not bulk), `reconciled` (found by
reconciliation), `arrived` (the latter two), `calls`, `failed_calls`; and `arrived:00` to `arrived:23`, the hours of UTC
in which any did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from referral_pipeline.connectors.calls import FAILED
from referral_pipeline.ledger import tables
from referral_pipeline.ledger.engine import insert
from referral_pipeline.ledger.records import Cursor, DoneEvent
from referral_pipeline.ledger.transactions import Transactions

WEBHOOKS, CHANGES, RECONCILED, ARRIVED = "webhooks", "changes", "reconciled", "arrived"
CALLS, FAILED_CALLS = "calls", "failed_calls"
_KEEP_HOURS_DAYS = 60
_EVENTS_KEPT_DAYS = 29
_SETTLED_AFTER = timedelta(minutes=10)
"""How long after midnight all of a day is committed."""
_RECONCILED_ID = "reconcile:%"
"""A replayed event says so in its origin; what it was before, its id still tells."""

_calls, _inbox, _volume = tables.api_calls.c, tables.inbox.c, tables.daily_volume.c


@dataclass(frozen=True, slots=True)
class CallCount:
    """Calls of one operation that ended in one way, within `seconds` of each other from `at` on.

    `slow` of them took longer than the caller of the query asked for.
    """

    system: str
    operation: str
    outcome: str
    at: datetime
    calls: int
    slow: int


@dataclass(frozen=True, slots=True)
class ArrivalCount:
    """Events that entered the inbox of one system within an hour from `at` on, by webhook or found by reconciliation.

    Bulk events (shares, clicks) are never among those found. `last_at` is when the newest came.
    """

    system: str
    reconciled: bool
    bulk: bool
    at: datetime
    events: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class DayVolume:
    """How much of a measure one system brought on a day of UTC that is over."""

    day: date
    system: str
    measure: str
    count: int


class MeasurePart(Transactions):
    """The ledger's methods that count."""

    def call_counts(
        self, since: datetime, until: datetime, systems: Iterable[str], *, step: int, slow_ms: int
    ) -> list[CallCount]:
        """Calls between two times by system, operation, outcome and steps of `step` seconds, oldest first."""
        start = _step(_calls.at, step).label("start")
        query = (
            sa.select(
                _calls.system,
                _calls.operation,
                _calls.outcome,
                start,
                sa.func.count(),
                sa.func.coalesce(sa.func.sum(sa.case((_calls.latency_ms > slow_ms, 1), else_=0)), 0),
            )
            .where(_calls.system.in_(sorted(systems)), _calls.at >= since, _calls.at < until)
            .group_by(_calls.system, _calls.operation, _calls.outcome, start)
            .order_by(start)
        )
        with self._reading() as connection:
            return [
                CallCount(system, operation, outcome, _moment(at), calls, int(slow))
                for system, operation, outcome, at, calls, slow in connection.execute(query)
            ]

    def clock_skews(self, system: str, since: datetime, until: datetime, *, most: int = 200) -> list[int]:
        """By how many milliseconds the clock of a system was ahead of ours, by its newest answers."""
        query = (
            sa.select(_calls.clock_skew_ms)
            .where(_calls.system == system, _calls.at >= since, _calls.at < until, _calls.clock_skew_ms.is_not(None))
            .order_by(_calls.at.desc())
            .limit(most)
        )
        with self._reading() as connection:
            return list(connection.execute(query).scalars())

    def budget_left(self, system: str, since: datetime, until: datetime) -> int | None:
        """The least that a system said may still be sent in its window; None when it said nothing."""
        query = sa.select(sa.func.min(_calls.budget_left)).where(
            _calls.system == system, _calls.at >= since, _calls.at < until
        )
        with self._reading() as connection:
            return connection.execute(query).scalar_one()

    def cursors(self) -> list[Cursor]:
        """How far every entity has been pulled, by system and entity."""
        query = sa.select(tables.cursors).order_by(tables.cursors.c.system, tables.cursors.c.entity)
        with self._reading() as connection:
            return [Cursor(**row) for row in connection.execute(query).mappings()]

    # ------------------------------------------------------------ the inbox

    def arrivals(self, since: datetime, until: datetime | None = None) -> list[ArrivalCount]:
        """What entered the inbox from `since` on (before `until`), by system, way and hour, oldest first."""
        start = _step(_inbox.received_at, 3600).label("start")
        with self._reading() as connection:
            query = (
                sa.select(
                    _inbox.system,
                    _is_reconciled,
                    _inbox.bulk,
                    start,
                    sa.func.count(),
                    sa.func.max(_inbox.received_at),
                )
                .where(_inbox.id >= _first_since(connection, since), _inbox.received_at >= since)
                .group_by(_inbox.system, _is_reconciled, _inbox.bulk, start)
                .order_by(start)
            )
            if until is not None:
                query = query.where(_inbox.received_at < until)
            return [
                ArrivalCount(system, bool(reconciled), bool(bulk), _moment(at), events, last_at)
                for system, reconciled, bulk, at, events, last_at in connection.execute(query)
            ]

    def newest_arrival(self, system: str, until: datetime) -> datetime | None:
        """When the newest event of a system came that is kept, before a time and bulk ones aside.

        Reads back from the newest event of all systems: long, where this one has been silent for weeks.
        """
        newest = (
            sa.select(_inbox.received_at)
            .where(_inbox.system == system, _inbox.bulk == sa.false(), _inbox.received_at < until)
            .order_by(_inbox.id.desc())
            .limit(1)
        )
        with self._reading() as connection:
            return connection.execute(newest).scalar_one_or_none()

    def newest_done(self, since: datetime, until: datetime, *, most: int = 2_000) -> list[DoneEvent]:
        """The newest events that came from `since` on and were done before `until`, without bulk ones, newest first."""
        query = (
            sa.select(
                *(
                    _inbox[name]
                    for name in ("id", "system", "event_type", "origin", "received_at", "done_at", "outcome")
                )
            )
            .where(
                _inbox.state == "done", _inbox.bulk == sa.false(), _inbox.received_at >= since, _inbox.done_at < until
            )
            .order_by(_inbox.id.desc())
            .limit(most)
        )
        with self._reading() as connection:
            return [DoneEvent(*row) for row in connection.execute(query)]

    def longest_due(self, now: datetime) -> datetime | None:
        """Since when the event has been waiting that could have been done the longest ago; bulk ones may wait."""
        query = sa.select(sa.func.min(_inbox.available_at)).where(
            _inbox.state == "received", _inbox.bulk == sa.false(), _inbox.available_at <= now
        )
        with self._reading() as connection:
            return connection.execute(query).scalar_one()

    def dead_counts(self) -> dict[str, tuple[int, int]]:
        """(dead events, dead writes) by system; a system without any is left out."""
        events = sa.select(_inbox.system, sa.func.count()).where(_inbox.state == "dead").group_by(_inbox.system)
        columns = tables.deliveries.c
        writes = sa.select(columns.system, sa.func.count()).where(columns.state == "dead").group_by(columns.system)
        with self._reading() as connection:
            dead_events = {row[0]: int(row[1]) for row in connection.execute(events)}
            dead_writes = {row[0]: int(row[1]) for row in connection.execute(writes)}
        return {
            system: (dead_events.get(system, 0), dead_writes.get(system, 0))
            for system in sorted({*dead_events, *dead_writes})
        }

    # ------------------------------------------------------------ days

    def volumes(self, since: date, measures: Sequence[str] | None = None) -> list[DayVolume]:
        """What was rolled up of the days from `since` on, oldest first."""
        columns = (_volume.day, _volume.system, _volume.measure, _volume["count"])
        query = sa.select(*columns).where(_volume.day >= since).order_by(_volume.day, _volume.system)
        if measures is not None:
            query = query.where(_volume.measure.in_(measures))
        with self._reading() as connection:
            return [DayVolume(*row) for row in connection.execute(query)]

    def roll_up_days(self, systems: Iterable[str]) -> int:
        """Count the days that are over and were not counted yet; answers how many days those were.

        Begins with the day after the first fact: of the day on which an installation began, only a part was seen. A day
        on which nothing came is counted as such. May be called at any time, by several processes at once.
        """
        today, each = (self._clock().astimezone(UTC) - _SETTLED_AFTER).date(), sorted(systems)
        with self._reading() as connection:
            last = connection.execute(sa.select(sa.func.max(_volume.day))).scalar_one()
            if last is None:
                facts = connection.execute(_first_fact()).one()
                began = min((at for at in facts if at is not None), default=None)
                if began is None:
                    return 0
                last = began.astimezone(UTC).date()
        kept = today - timedelta(days=_EVENTS_KEPT_DAYS)  # of an older day the inbox may have lost rows
        start = max(last + timedelta(days=1), kept)
        days = [start + timedelta(days=n) for n in range((today - start).days)]
        for day in days:
            self._roll_up(day, each)
        if days:
            too_old = today - timedelta(days=_KEEP_HOURS_DAYS)
            gone = sa.delete(tables.daily_volume).where(_volume.day < too_old, _volume.measure.like("%:%"))
            with self._writing(durable=False) as connection:
                connection.execute(gone)
        return len(days)

    def _roll_up(self, day: date, systems: Sequence[str]) -> None:
        start = datetime.combine(day, time(), UTC)
        end = start + timedelta(days=1)
        counts: dict[str, Counter[str]] = {system: Counter() for system in systems}
        for arrival in self.arrivals(start, end):
            own = counts.get(arrival.system)
            if own is None:
                continue
            if not arrival.reconciled:
                own[WEBHOOKS] += arrival.events
            if not arrival.bulk:
                own[RECONCILED if arrival.reconciled else CHANGES] += arrival.events
                own[ARRIVED] += arrival.events
                own[f"{ARRIVED}:{arrival.at:%H}"] += arrival.events
        query = (
            sa.select(_calls.system, _calls.outcome, sa.func.count())
            .where(_calls.system.in_(systems), _calls.at >= start, _calls.at < end)
            .group_by(_calls.system, _calls.outcome)
        )
        with self._reading() as connection:
            for system, outcome, calls in connection.execute(query):
                counts[system][CALLS] += calls
                counts[system][FAILED_CALLS] += calls if outcome in FAILED else 0
        self._keep(day, counts)

    def _keep(self, day: date, counts: Mapping[str, Mapping[str, int]]) -> None:
        whole = (WEBHOOKS, CHANGES, RECONCILED, ARRIVED, CALLS, FAILED_CALLS)
        rows = [
            {"day": day, "system": system, "measure": measure, "count": own.get(measure, 0)}
            for system, own in sorted(counts.items())
            for measure in dict.fromkeys((*whole, *sorted(own)))
        ]
        with self._writing(durable=False) as connection:
            if rows:
                entering = insert(connection.dialect.name, tables.daily_volume).on_conflict_do_nothing()
                connection.execute(entering, rows)


_is_reconciled = sa.or_(_inbox.origin == "reconciliation", _inbox.delivery_id.like(_RECONCILED_ID)).label("reconciled")


def _step(column: sa.ColumnElement[datetime], seconds: int) -> sa.ColumnElement[int]:
    """The beginning of the step of so many seconds that a time lies in, in epoch seconds."""
    epoch = sa.extract("epoch", column)
    return epoch - epoch % seconds


def _moment(epoch: object) -> datetime:
    return datetime.fromtimestamp(float(str(epoch)), UTC)


def _first_fact() -> sa.Select[Any, Any]:
    """When the oldest call and the oldest event came that are still kept. Numbers grow with time."""
    first_call = sa.select(sa.func.min(_calls.id)).scalar_subquery()
    first_event = sa.select(sa.func.min(_inbox.id)).scalar_subquery()
    return sa.select(
        sa.select(_calls.at).where(_calls.id == first_call).scalar_subquery(),
        sa.select(_inbox.received_at).where(_inbox.id == first_event).scalar_subquery(),
    )


_CLOSE_ENOUGH = 1_000
"""Events whose transactions may have been committed in another order than their numbers say."""


def _first_since(connection: Connection, since: datetime) -> int:
    """A number that no event received from `since` on lies below: halving beats reading all that is older."""
    low, high = connection.execute(sa.select(sa.func.min(_inbox.id), sa.func.max(_inbox.id))).one()
    if low is None:
        return 0
    while high - low > _CLOSE_ENOUGH:
        middle = (low + high) // 2
        at = connection.execute(
            sa.select(_inbox.received_at).where(_inbox.id >= middle).order_by(_inbox.id).limit(1)
        ).scalar_one()
        low, high = (middle, high) if at < since else (low, middle)
    return low - _CLOSE_ENOUGH
