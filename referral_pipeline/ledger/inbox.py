"""The inbox: what came in, who works on it, and what became of it.

Belongs here: the states of a delivery that came in, its lease, and their transitions. Does not belong here: what an
event means (connectors, sync), who wakes whom (webhooks, orchestration).

received -> claimed -> done. A claim is a lease: when its owner says nothing for that long, the row is free again and
has one attempt more. A subject is worked on by one claimer at a time. What failed for good is dead and stays until a
person replays or purges it.

Claiming and finishing do not wait for the disk: an event whose claim or end was lost in a power cut is done again, and
doing an event again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from referral_pipeline.ledger.engine import insert_new
from referral_pipeline.ledger.prepared import Prepared, insert_many
from referral_pipeline.ledger.records import Backlog, DoneEvent, DoneEvents, InboxDelivery, InboxEvent
from referral_pipeline.ledger.tables import inbox, to_text
from referral_pipeline.ledger.transactions import Transactions, parts

REPLAY = "replay"
"""The origin of what waits again because a person said so: it is no measure of how fast anything is."""
_MOST_ERROR_CHARACTERS = 2_000
_SLICE = 5_000
"""Ids looked at in one transaction of a purge, so that no other writer waits long for it."""
_EXPIRE_EVERY = timedelta(seconds=1)
_ONE_CLAIMER = 7_302_114_950_166_035_458
"""PostgreSQL lets claimers go one after the other: two at once could take two rows of one subject."""

_c = inbox.c
_other = inbox.alias("other")
_owned = (_c.lease_owner == sa.bindparam("owner"), _c.state == "claimed")
_EVENT = sa.select(
    _c.id,
    _c.system,
    _c.delivery_id,
    _c.event_type,
    _c.origin,
    _c.subject,
    _c.occurred_at,
    _c.received_at,
    _c.body,
    _c.bulk,
    _c.state,
    _c.attempts,
    _c.available_at,
    _c.lease_owner,
    _c.lease_until,
    _c.last_error,
    _c.outcome,
    _c.done_at,
    _c.run_id,
)
_ENTERED = (
    "system",
    "delivery_id",
    "event_type",
    "origin",
    "subject",
    "occurred_at",
    "received_at",
    "body",
    "bulk",
    "state",
    "attempts",
    "available_at",
)
_ENTER = f"INSERT INTO inbox ({', '.join(_ENTERED)}) VALUES ({', '.join('?' * len(_ENTERED))}) ON CONFLICT DO NOTHING"  # noqa: S608 - constants
_ENTERED_SINCE = sa.select(inbox.c.system, inbox.c.delivery_id).where(inbox.c.id > sa.bindparam("last"))
_EXPIRE = Prepared(
    sa.update(inbox)
    .where(
        _c.id.in_(
            sa.select(_other.c.id)
            .where(_other.c.state == "claimed", _other.c.lease_until <= sa.bindparam("now"))
            .with_for_update(skip_locked=True)
        )
    )
    .values(state="received", lease_owner=None, lease_until=None)
)
_waiting, _busy = inbox.alias("waiting"), inbox.alias("busy")
_picked = (
    sa.select(_waiting.c.id)
    .where(
        _waiting.c.state == "received",
        _waiting.c.bulk == sa.bindparam("is_bulk"),
        _waiting.c.available_at <= sa.bindparam("now"),
        ~sa.exists().where(_busy.c.subject == _waiting.c.subject, _busy.c.state == "claimed"),
    )
    .order_by(_waiting.c.id)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True, of=_waiting)
    .cte("picked")  # PostgreSQL would be free to ask a plain subquery more than once, and so take more than the limit
)
_CLAIM = Prepared(
    sa.update(inbox)
    .where(_c.id.in_(sa.select(_picked.c.id)))
    .values(
        state="claimed",
        attempts=_c.attempts + 1,
        lease_owner=sa.bindparam("owner"),
        lease_until=sa.bindparam("until"),
    )
    .returning(*_EVENT.selected_columns)
)
_RENEW = sa.update(inbox).where(*_owned).values(lease_until=sa.bindparam("until"))
_FREE = (
    sa.update(inbox)
    .where(*_owned)
    .values(state="received", attempts=_c.attempts - 1, lease_owner=None, lease_until=None)
)
_FINISH = Prepared(
    sa.update(inbox)
    .where(_c.id == sa.bindparam("event"), *_owned)
    .values(
        state="done",
        outcome=sa.bindparam("what"),
        done_at=sa.bindparam("now"),
        run_id=sa.bindparam("run"),
        lease_owner=None,
        lease_until=None,
        last_error=None,
    )
)
_RETRY = Prepared(
    sa.update(inbox)
    .where(_c.id == sa.bindparam("event"), *_owned)
    .values(
        state="received",
        attempts=_c.attempts - sa.bindparam("back", type_=sa.Integer),
        available_at=sa.bindparam("at"),
        last_error=sa.bindparam("error"),
        lease_owner=None,
        lease_until=None,
    )
)
_BURY = Prepared(
    sa.update(inbox)
    .where(_c.id == sa.bindparam("event"), *_owned)
    .values(
        state="dead", last_error=sa.bindparam("error"), done_at=sa.bindparam("now"), lease_owner=None, lease_until=None
    )
)
_OWNERS = (
    sa.select(_c.lease_owner)
    .where(_c.state == "claimed", _c.lease_until > sa.bindparam("now"))
    .distinct()
    .order_by(_c.lease_owner)
)
_COUNTS = sa.select(_c.state, _c.bulk, sa.func.count()).group_by(_c.state, _c.bulk)
_OPEN_COUNTS = _COUNTS.where(_c.state.in_(["received", "claimed", "dead"]))
_OLDEST = sa.select(sa.func.min(_c.received_at)).where(
    _c.id.in_(
        [
            sa.select(sa.func.min(_c.id)).where(_c.state == state, _c.bulk == bulk).scalar_subquery()
            for state in ("received", "claimed")
            for bulk in (sa.false(), sa.true())
        ]
    )
)
_DONE = sa.select(_c.id, _c.system, _c.event_type, _c.origin, _c.received_at, _c.done_at, _c.outcome).where(
    _c.state == "done", _c.bulk == sa.false(), _c.id > sa.bindparam("after")
)
_FIRST_OPEN = sa.select(sa.func.min(_c.id)).where(_c.state.in_(["received", "claimed"]), _c.bulk == sa.false())
_UNFINISHED = (
    sa.select(_c.subject)
    .where(_c.subject.in_(sa.bindparam("subjects", expanding=True)), _c.state.in_(["received", "claimed"]))
    .distinct()
)

_WEBHOOK = ~_c.event_type.like("reconcile.%")
_HEARD = (
    sa.select(_c.subject, sa.func.min(_c.received_at))
    .where(_c.system == sa.bindparam("system"), _c.subject.in_(sa.bindparam("subjects", expanding=True)), _WEBHOOK)
    .group_by(_c.subject)
)
_FIRST_DONE = (
    sa.select(_c.done_at)
    .where(_c.system == sa.bindparam("system"), _c.state == "done", _WEBHOOK)
    .order_by(_c.id)
    .limit(1)
)


def _enter(
    connection: Connection, rows: Mapping[tuple[str, str], InboxDelivery], now: datetime
) -> set[tuple[str, str]]:
    """Insert what is new; the keys of it."""
    if connection.dialect.name == "sqlite":
        # The way of every webhook, before it is answered: the driver's own statement costs a quarter of a compiled one,
        # and hardly ever is anything there already.
        moment = to_text(now)
        last, entered = insert_many(
            connection, "inbox", _ENTER, [_entered(row, to_text(row.occurred_at), moment) for row in rows.values()]
        )
        if entered == len(rows):
            return set(rows)
        return {(row.system, row.delivery_id) for row in connection.execute(_ENTERED_SINCE, {"last": last})}
    inserting = insert_new(connection.dialect.name, inbox, "system", "delivery_id")
    named: list[dict[str, Any]] = [
        dict(zip(_ENTERED, _entered(row, row.occurred_at, now), strict=True)) for row in rows.values()
    ]
    return {(row.system, row.delivery_id) for row in connection.execute(inserting, named)}


def _entered(row: InboxDelivery, occurred_at: object, now: object) -> tuple[Any, ...]:
    return (
        row.system,
        row.delivery_id,
        row.event_type,
        row.origin,
        row.subject,
        occurred_at,
        now,
        row.body,
        row.bulk,
        "received",
        0,
        now,
    )


class InboxPart(Transactions):
    """The ledger's methods on the inbox."""

    _expired_at: datetime | None = None
    """When this process last let go what a dead one had claimed."""

    def receive_many(self, deliveries: Sequence[InboxDelivery], *, durable: bool = True) -> list[bool]:
        """Keep deliveries in one transaction. True for each that is new, False when its id was there already.

        When not `durable`, they may be worked on at once, and may be acknowledged only after `sync`.
        """
        if not deliveries:
            return []
        now = self._clock()
        rows: dict[tuple[str, str], InboxDelivery] = {}
        for delivery in deliveries:
            rows.setdefault((delivery.system, delivery.delivery_id), delivery)
        with self._writing(durable=durable) as connection:
            fresh = _enter(connection, rows, now)
        answers: list[bool] = []
        for delivery in deliveries:
            key = (delivery.system, delivery.delivery_id)
            answers.append(key in fresh)
            fresh.discard(key)
        return answers

    def claim(self, owner: str, *, limit: int, lease: timedelta, bulk: bool) -> list[InboxEvent]:
        """Lease up to `limit` waiting rows, oldest first; each counts one attempt more.

        Rows whose lease ran out wait again, a second later at most. A row waits while another row of its subject is
        claimed, by whomever; rows of one subject may come together.
        """
        now = self._clock()
        values = {"owner": owner, "until": now + lease, "now": now, "is_bulk": bulk, "most": limit}
        with self._writing(durable=False) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ONE_CLAIMER)))
            if self._expired_at is None or abs(now - self._expired_at) >= _EXPIRE_EVERY:
                _EXPIRE.run(connection, [{"now": now}])
                self._expired_at = now
            events = [_event(row) for row in _CLAIM.all(connection, **values)]
        return sorted(events, key=lambda event: event.id)

    def renew(self, owner: str, lease: timedelta) -> int:
        """Lengthen every lease of this owner, from now; answers how many it still has."""
        with self._writing(durable=False) as connection:
            return connection.execute(_RENEW, {"owner": owner, "until": self._clock() + lease}).rowcount

    def finish_many(self, owner: str, outcomes: Sequence[tuple[int, str]], run_id: str | None) -> int:
        """Note what came of events (id, outcome). Only those still leased by the owner; answers how many."""
        now = self._clock()
        rows = [{"event": event, "what": what, "now": now, "run": run_id, "owner": owner} for event, what in outcomes]
        return self._each(_FINISH, rows, durable=False)

    def retry(
        self, owner: str, event_id: int, *, error: str, available_at: datetime, count_attempt: bool = True
    ) -> None:
        """Let an event wait again until `available_at`. Without `count_attempt` the attempt is given back."""
        self.retry_many(owner, [(event_id, error, available_at, count_attempt)])

    def retry_many(self, owner: str, events: Sequence[tuple[int, str, datetime, bool]]) -> int:
        """`retry` for many (id, error, available_at, count_attempt); answers how many were still the owner's."""
        rows = [
            {"event": event, "error": error[:_MOST_ERROR_CHARACTERS], "at": at, "back": int(not count), "owner": owner}
            for event, error, at, count in events
        ]
        return self._each(_RETRY, rows)

    def bury(self, owner: str, event_id: int, error: str) -> None:
        """Give an event up: it is dead until somebody replays or purges it. `error` holds no personal data."""
        row = {"event": event_id, "error": error[:_MOST_ERROR_CHARACTERS], "now": self._clock(), "owner": owner}
        self._each(_BURY, [row])

    def free_claims(self, owner: str) -> int:
        """Let all that this owner has claimed wait again and give the attempts back; answers how many.

        For an owner that stops cleanly, or is known to be dead.
        """
        with self._writing() as connection:
            return connection.execute(_FREE, {"owner": owner}).rowcount

    def claim_owners(self) -> list[str]:
        """The owners of leases that have not run out."""
        with self._reading() as connection:
            return list(connection.execute(_OWNERS, {"now": self._clock()}).scalars())

    def inbox_counts(self) -> dict[str, int]:
        """How many rows are in each state; a state without rows is left out."""
        counts: dict[str, int] = {}
        with self._reading() as connection:
            for state, _, count in connection.execute(_COUNTS):
                counts[state] = counts.get(state, 0) + count
        return counts

    def inbox_backlog(self) -> Backlog:
        """What is still to be done."""
        with self._reading() as connection:
            counts = {(state, bool(bulk)): count for state, bulk, count in connection.execute(_OPEN_COUNTS)}
            oldest = connection.execute(_OLDEST).scalar_one()
        return Backlog(
            waiting=counts.get(("received", False), 0),
            waiting_bulk=counts.get(("received", True), 0),
            claimed=counts.get(("claimed", False), 0) + counts.get(("claimed", True), 0),
            dead=counts.get(("dead", False), 0) + counts.get(("dead", True), 0),
            oldest_received_at=oldest,
        )

    def inbox_events(
        self,
        *,
        state: str | None = None,
        system: str | None = None,
        event_type: str | None = None,
        subject: str | None = None,
        limit: int = 100,
        before_id: int | None = None,
    ) -> list[InboxEvent]:
        """Rows of the inbox, newest first. `before_id` goes on where the last page ended."""
        query = _EVENT.order_by(_c.id.desc()).limit(limit)
        for column, value in (
            (_c.state, state),
            (_c.system, system),
            (_c.event_type, event_type),
            (_c.subject, subject),
        ):
            if value is not None:
                query = query.where(column == value)
        if before_id is not None:
            query = query.where(_c.id < before_id)
        with self._reading() as connection:
            return [_event(row) for row in connection.execute(query)]

    def inbox_event(self, event_id: int) -> InboxEvent | None:
        """One row of the inbox."""
        return self._event_where(_c.id == event_id)

    def inbox_event_by_delivery(self, system: str, delivery_id: str) -> InboxEvent | None:
        """The row of one delivery."""
        return self._event_where(_c.system == system, _c.delivery_id == delivery_id)

    def done_events(self, after_id: int = 0) -> DoneEvents:
        """Events that are done, but bulk ones, with a number above `after_id`, in order."""
        with self._reading() as connection:
            # First what is open: an event that is done between the two questions is asked for again next time.
            first_open = connection.execute(_FIRST_OPEN).scalar_one()
            last = connection.execute(sa.select(sa.func.max(_c.id))).scalar_one()
            done = [DoneEvent(*row) for row in connection.execute(_DONE.order_by(_c.id), {"after": after_id})]
        return DoneEvents(tuple(done), last or 0, (last or 0) if first_open is None else first_open - 1)

    def replay(self, ids: Sequence[int]) -> int:
        """Let done or dead events wait again as if they had never been tried; answers how many."""
        values = {
            "state": "received",
            "origin": REPLAY,
            "attempts": 0,
            "available_at": self._clock(),
            "last_error": None,
            "outcome": None,
            "done_at": None,
            "run_id": None,
        }
        with self._writing() as connection:
            return sum(
                connection.execute(
                    sa.update(inbox).where(_c.id.in_(some), _c.state.in_(["done", "dead"])).values(**values)
                ).rowcount
                for some in _slices(ids)
            )

    def purge_inbox(self, *, bodies_before: datetime, rows_before: datetime) -> tuple[int, int]:
        """Empty the bodies of what was done before the first time, remove what was done before the second.

        Answers (bodies emptied, rows removed). A row that is removed no longer knows its delivery again. Dead rows
        stay as they are.
        """
        emptied = removed = 0
        with self._reading() as connection:
            first, last = connection.execute(sa.select(sa.func.min(_c.id), sa.func.max(_c.id))).one()
        if first is None:
            return 0, 0
        for start in range(first, last + 1, _SLICE):
            done = (_c.id >= start, _c.id < start + _SLICE, _c.state == "done")
            with self._writing() as connection:
                removed += connection.execute(sa.delete(inbox).where(*done, _c.done_at < rows_before)).rowcount
                emptied += connection.execute(
                    sa.update(inbox).where(*done, _c.done_at < bodies_before, _c.body.is_not(None)).values(body=None)
                ).rowcount
        return emptied, removed

    def purge_dead(self, ids: Sequence[int]) -> int:
        """Remove these dead events for good; answers how many were dead."""
        with self._writing() as connection:
            return sum(
                connection.execute(sa.delete(inbox).where(_c.id.in_(some), _c.state == "dead")).rowcount
                for some in _slices(ids)
            )

    def unfinished_subjects(self, subjects: Iterable[str]) -> set[str]:
        """Which of these subjects have a row that waits or is being worked on."""
        found = set[str]()
        with self._reading() as connection:
            for some in parts(subjects):
                found.update(connection.execute(_UNFINISHED, {"subjects": some}).scalars())
        return found

    def webhooks_of(self, system: str, subjects: Iterable[str]) -> dict[str, datetime]:
        """When the first webhook about each subject came, of those that are kept; reconciliation's entries are none."""
        found: dict[str, datetime] = {}
        with self._reading() as connection:
            for some in parts(subjects):
                rows = connection.execute(_HEARD, {"system": system, "subjects": some})
                found.update({row[0]: row[1] for row in rows})
        return found

    def webhooks_kept_since(self, system: str) -> datetime | None:
        """From when on every webhook of a system is still here, be it done or not; None when none was ever done."""
        with self._reading() as connection:  # a purge takes what was done before some moment, and this was done after
            return connection.execute(_FIRST_DONE, {"system": system}).scalar_one_or_none()

    def _each(self, statement: Prepared, rows: list[dict[str, Any]], *, durable: bool = True) -> int:
        if not rows:
            return 0
        rows.sort(key=lambda row: row["event"])
        with self._writing(durable=durable) as connection:
            return statement.run(connection, rows)

    def _event_where(self, *conditions: sa.ColumnElement[bool]) -> InboxEvent | None:
        with self._reading() as connection:
            row = connection.execute(_EVENT.where(*conditions)).one_or_none()
        return None if row is None else _event(row)


def _event(row: Sequence[Any]) -> InboxEvent:
    return InboxEvent(*row)


def _slices(ids: Sequence[int]) -> list[list[int]]:
    every = sorted(set(ids))
    return [every[start : start + 500] for start in range(0, len(every), 500)]
