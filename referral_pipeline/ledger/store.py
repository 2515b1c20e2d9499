"""The ledger: one object that every process opens, each method one short transaction.

Belongs here: opening and closing, and the public methods on cursors, calls, deliveries, links, identity, history and
consents. Does not belong here: the other parts of the same object (inbox.py, mirror.py, health.py, alerts.py,
recognitions.py, payroll.py, decisions.py, overrides.py, identity_refresh.py, verifications.py, shapes.py, locks.py),
transactions (transactions.py), schema (tables.py, migrations/), what differs between databases (engine.py), the
statements of one table (api_calls.py, deliveries.py, links.py, aliases.py, identity_keys.py, status_history.py,
consents.py), business rules (sync, privacy).

Safe for threads and for many processes. `atomic()` makes several calls of one thread one transaction. No method takes
or gives personal data in clear.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from referral_pipeline.connectors.calls import ApiCall
from referral_pipeline.ledger import aliases as _aliases
from referral_pipeline.ledger import api_calls as _calls
from referral_pipeline.ledger import consents as _consents
from referral_pipeline.ledger import deliveries as _deliveries
from referral_pipeline.ledger import identity_keys as _keys
from referral_pipeline.ledger import links as _links
from referral_pipeline.ledger import mirror as _mirror
from referral_pipeline.ledger import status_history as _history
from referral_pipeline.ledger import tables
from referral_pipeline.ledger.alerts import AlertPart
from referral_pipeline.ledger.decisions import DecisionPart
from referral_pipeline.ledger.deliveries import UnknownDeliveryError
from referral_pipeline.ledger.engine import LedgerError, open_engine, resolve_url, upsert
from referral_pipeline.ledger.health import HealthPart
from referral_pipeline.ledger.identity_refresh import IdentityRefreshPart, KeysAsRead, KeysRefreshed
from referral_pipeline.ledger.inbox import InboxPart
from referral_pipeline.ledger.locks import Locks
from referral_pipeline.ledger.migrate import migrate
from referral_pipeline.ledger.mirror import MirrorPart
from referral_pipeline.ledger.overrides import OverridePart
from referral_pipeline.ledger.payroll import PayrollPart
from referral_pipeline.ledger.prepared import Prepared
from referral_pipeline.ledger.records import (
    AlertRecord,
    Backlog,
    BreakerState,
    ConsentFact,
    Cursor,
    Delivery,
    DeliveryIntent,
    DeliveryState,
    Heartbeat,
    IdentityDecision,
    IdentityKey,
    InboxDelivery,
    InboxEvent,
    Link,
    MirrorRow,
    Override,
    PayrollEntry,
    PayrollExport,
    Recognition,
    StatusFact,
    Verification,
)
from referral_pipeline.ledger.shapes import ShapePart
from referral_pipeline.ledger.transactions import MOST_VALUES, parts
from referral_pipeline.ledger.verifications import VerificationPart

__all__ = [
    "AlertRecord",
    "ApiCall",
    "Backlog",
    "BreakerState",
    "ConsentFact",
    "Cursor",
    "Delivery",
    "DeliveryIntent",
    "DeliveryState",
    "Heartbeat",
    "IdentityDecision",
    "IdentityKey",
    "InboxDelivery",
    "InboxEvent",
    "KeysAsRead",
    "KeysRefreshed",
    "Ledger",
    "LedgerError",
    "Link",
    "MirrorRow",
    "Override",
    "PayrollEntry",
    "PayrollExport",
    "Recognition",
    "StatusFact",
    "UnknownDeliveryError",
    "Verification",
]


class Ledger(
    InboxPart,
    MirrorPart,
    HealthPart,
    PayrollPart,
    DecisionPart,
    OverridePart,
    AlertPart,
    IdentityRefreshPart,
    VerificationPart,
    ShapePart,
):
    """The operational store. Open with `Ledger.open`, close when done (or use as a context manager)."""

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__(engine, clock=clock)
        self._locks = Locks(engine)

    @classmethod
    def open(cls, url: str, *, home: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Self:
        """Open, creating or upgrading the schema. Several processes may do so at once.

        Args:
            url: `sqlite:///path` (relative to `home`) or `postgresql://...`.
            home: the project's folder.
            clock: the time, aware.

        Raises:
            LedgerError: for a wrong URL, a missing driver, or a ledger that is newer than this program.
        """
        engine = open_engine(resolve_url(url, home=home))
        try:
            migrate(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, clock=clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection. The ledger can be used again afterwards; it opens new ones."""
        self._locks.close()
        super().close()

    # ------------------------------------------------------------ locks

    @contextmanager
    def exclusive(self, keys: Iterable[str]) -> Generator[None]:
        """Work alone on these keys, among all threads and processes; waits until nobody else holds any of them.

        Ask for all keys at once. Inside, the same thread may ask again for some of them, which does nothing. The lock
        is let go when the block ends or the process dies, however it dies.

        Raises:
            RuntimeError: when this thread asks for further keys while it holds some.
        """
        with self._locks.exclusive(keys):
            try:
                yield
            finally:
                try:
                    self._write_what_was_put_off()
                finally:
                    self._put_off().clear()

    # ------------------------------------------------------------ cursors

    def cursor(self, system: str, entity: str) -> Cursor | None:
        """How far an entity has been pulled; None when never."""
        query = sa.select(tables.cursors).where(tables.cursors.c.system == system, tables.cursors.c.entity == entity)
        with self._reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else Cursor(**row)

    def save_cursor(
        self, system: str, entity: str, *, position: datetime, warehouse_id: str, full_pull_at: datetime
    ) -> None:
        """Note how far an entity has been pulled. Call it after what was pulled is committed."""
        row = asdict(Cursor(system, entity, position, warehouse_id, full_pull_at))
        with self._writing() as connection:
            upsert(connection, tables.cursors, [row])

    # ------------------------------------------------------------ api calls

    def record_calls(self, calls: Sequence[ApiCall]) -> None:
        """Keep what was measured of these calls, in one transaction."""
        if not calls:
            return
        with self._writing(durable=False) as connection:
            _calls.record(connection, calls)

    def calls(self, *, since: datetime | None = None, system: str | None = None) -> list[ApiCall]:
        """Recorded calls, oldest first."""
        with self._reading() as connection:
            return _calls.select(connection, since=since, system=system)

    def calls_recorded(self) -> int:
        """How many calls were recorded so far."""
        with self._reading() as connection:
            return _calls.count(connection)

    def prune_calls(self, before: datetime) -> int:
        """Remove what was recorded of calls before that time, in steps; answers how many rows went."""
        removed = 0
        with self._reading() as connection:
            slices = _calls.slices(connection)
        for ids in slices:
            with self._writing() as connection:
                removed += _calls.remove(connection, ids, before=before)
        return removed

    # ------------------------------------------------------------ deliveries

    def begin(self, intent: DeliveryIntent) -> Delivery:
        """Commit that a write is about to be tried, or find what became of it earlier (see `deliveries.begin`)."""
        return self.begin_many([intent])[0]

    def begin_many(
        self, intents: Sequence[DeliveryIntent], *, anew: bool = False, durable: bool = True
    ) -> list[Delivery]:
        """`begin` for many in one transaction. A key that comes twice is begun twice, in order.

        When not `durable`, nothing may be sent before `sync`.
        """
        with self._writing(durable=durable) as connection:
            if len({intent.key for intent in intents}) == len(intents):
                return _deliveries.begin(connection, intents, now=self._clock(), anew=anew)
            return [_deliveries.begin(connection, [intent], now=self._clock(), anew=anew)[0] for intent in intents]

    def withdraw(self, keys: Iterable[str]) -> None:
        """Forget intents that were begun once and never sent. One that was tried before stays as it is."""
        with self._writing() as connection:
            for some in parts(keys):
                _deliveries.withdraw(connection, some)

    def mark_sent(self, key: str, result: Mapping[str, Any]) -> None:
        """The system said yes, but does not show it yet. `result` holds ids, no personal data."""
        with self._writing() as connection:
            _deliveries.settle(connection, [(key, result)], DeliveryState.SENT, now=self._clock())

    def confirm(self, key: str, result: Mapping[str, Any]) -> None:
        """The system holds it. `result` holds ids and hashes, no personal data.

        Raises:
            UnknownDeliveryError: when the delivery was never begun.
        """
        self.confirm_many([(key, result)])

    def confirm_many(self, results: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """`confirm` for many, all or none."""
        with self._writing() as connection:
            _deliveries.settle(connection, results, DeliveryState.CONFIRMED, now=self._clock())

    def fail(
        self, key: str, error: str, *, dead: bool, request: bytes | None = None, response: bytes | None = None
    ) -> None:
        """Note why an attempt failed; `dead` gives it up. `error` must hold no personal data.

        `request` and `response` are what was sent and answered, encrypted; they go when the delivery is confirmed.

        Raises:
            UnknownDeliveryError: when the delivery was never begun.
        """
        with self._writing() as connection:
            _deliveries.fail(connection, key, error, dead=dead, request=request, response=response)

    def delivery_bodies(self, key: str) -> tuple[bytes | None, bytes | None]:
        """What was sent and answered when the delivery failed, encrypted; None when it was not kept."""
        with self._reading() as connection:
            return _deliveries.bodies(connection, key)

    def delivery(self, key: str) -> Delivery | None:
        """One delivery, untouched; None when it was never begun."""
        with self._looking() as connection:
            return next(iter(_deliveries.by_keys(connection, [key])), None)

    def deliveries_by_key(self, keys: Iterable[str]) -> dict[str, Delivery]:
        """Those of these deliveries that were ever begun, by key."""
        with self._looking() as connection:
            return {d.key: d for some in parts(keys) for d in _deliveries.by_keys(connection, some)}

    def deliveries(
        self,
        *,
        state: DeliveryState | None = None,
        system: str | None = None,
        operation: str | None = None,
        since: datetime | None = None,
    ) -> list[Delivery]:
        """Deliveries in a state, to a system or of an operation, and tried since then, oldest attempt first."""
        with self._reading() as connection:
            return _deliveries.select(connection, state=state, system=system, operation=operation, since=since)

    def confirmed_hashes(self, prefix: str) -> dict[str, str]:
        """Request hash of every confirmed delivery whose key begins so: what a system was last told."""
        with self._reading() as connection:
            return _deliveries.confirmed_hashes(connection, prefix)

    # ------------------------------------------------------------ links

    def links(self) -> list[Link]:
        """Every link, by referral id."""
        with self._reading() as connection:
            return _links.every(connection)

    def link(self, referral_id: str) -> Link | None:
        """The link of one referral; None when nothing was decided for it yet."""
        return self.links_for([referral_id]).get(referral_id)

    def links_for(self, referral_ids: Iterable[str]) -> dict[str, Link]:
        """The links of these referrals, by referral id; one without a link is left out."""
        return {link.referral_id: link for link in self._links_where(_links.OF_REFERRALS, referral_ids)}

    def links_of_applications(self, system: str, ids: Iterable[str]) -> list[Link]:
        """The links that lead to these applications, by referral id."""
        return self._links_where(_links.OF_APPLICATIONS, ids, of_system=system)

    def links_of_candidates(self, system: str, ids: Iterable[str]) -> list[Link]:
        """The links that lead to these candidates, by referral id."""
        return self._links_where(_links.OF_CANDIDATES, ids, of_system=system)

    def links_of_persons(self, person_ids: Iterable[str]) -> list[Link]:
        """The links of these persons, by referral id."""
        return self._links_where(_links.OF_PERSONS, person_ids)

    def links_held_by_jobs(self, job_ids: Iterable[str]) -> list[Link]:
        """The links of referrals that were not written because one of these jobs took no applications."""
        return self._links_where(_links.HELD_BY_JOBS, job_ids)

    def _links_where(self, query: Prepared, ids: Iterable[str], **values: str) -> list[Link]:
        with self._looking() as through:
            return _links.where(through, query, ids, **values)

    def save_links(self, links: Sequence[Link], *, keep: tuple[str, ...] = ()) -> None:
        """Insert or overwrite links, in one transaction; of two for one referral the last stands.

        `keep` are fields of which a link that is there keeps what it has: they are somebody else's to write.
        """
        now = self._clock()
        with self._writing() as connection:
            _links.save(connection, links, keep=keep, now=now)

    def change_links(self, links: Sequence[Link], *names: str, unless_blocked: bool = False) -> None:
        """Overwrite only these fields of links that are there; what others wrote of them meanwhile stays.

        With `unless_blocked` a link that was blocked meanwhile is left alone.
        """
        if links:
            with self._writing() as connection:
                _links.change(connection, links, names, unless_blocked=unless_blocked)

    # ------------------------------------------------------------ aliases

    def alias(self, system: str, old_candidate_id: str, new_candidate_id: str) -> None:
        """Note that the ATS merged one candidate into another."""
        with self._writing() as connection:
            _aliases.add(connection, system, old_candidate_id, new_candidate_id, now=self._clock())

    def current_candidate(self, system: str, candidate_id: str) -> str:
        """The id under which a candidate lives on, after all merges; its own when it was never merged."""
        with self._looking() as through:
            return _aliases.follow(_aliases.steps_from(through, system, [candidate_id]), candidate_id)

    def aliases(self, system: str) -> dict[str, str]:
        """Every merged id of a system with the id under which it lives on (the end of its chain)."""
        with self._reading() as connection:
            steps = _aliases.all_steps(connection, system)
        return {old: _aliases.follow(steps, old) for old in sorted(steps)}

    def aliases_of(self, system: str, candidate_ids: Iterable[str]) -> dict[str, str]:
        """Those of these ids that were merged, each with the id under which it lives on; asks for their chains only."""
        wanted = set(candidate_ids)
        with self._looking() as through:
            steps = _aliases.steps_from(through, system, wanted)
        return {old: _aliases.follow(steps, old) for old in sorted(wanted & steps.keys())}

    def alias_systems(self) -> list[str]:
        """The systems in which merges were seen."""
        query = sa.select(tables.candidate_aliases.c.system).distinct().order_by("system")
        with self._reading() as connection:
            return list(connection.execute(query).scalars())

    # ------------------------------------------------------------ identity keys

    def save_identity_keys(
        self,
        keys: Sequence[IdentityKey],
        *,
        replace: bool = False,
        all_keys_of: Iterable[str] = (),
        durable: bool = True,
    ) -> None:
        """Add keys, or move them to another person. Records in `all_keys_of` lose the keys not given.

        An address that was corrected or removed must not go on to match: give all keys of a record, and name it there,
        the more so when it has none any more. `replace` names every record that has a key here. Not `durable` is for
        keys that are found again from the same event after a power cut; a killed process loses none.
        """
        records = {*all_keys_of, *(key.record_id for key in keys if replace)}
        with self._writing(durable=durable) as connection:
            _keys.save(connection, keys, all_keys_of=records)

    def remember_soon(
        self, rows: Sequence[MirrorRow], keys: Sequence[IdentityKey], *, all_keys_of: Iterable[str] = ()
    ) -> None:
        """`save_mirror` and `save_identity_keys` with the next transaction of this thread: one commit instead of three.

        Only for who holds the locks of these records (`exclusive`): it is written before they are let go, and nobody
        else may look at them until then. Neither waits for the disk.
        """
        saved, records = list(keys), set(all_keys_of)

        def write(connection: Connection) -> None:
            _mirror.save(connection, rows)
            _keys.save(connection, saved, all_keys_of=records)

        if rows or keys or records:
            self._put_off().append(write)

    def persons(self) -> dict[str, str]:
        """Person id by record id, for every record with a key."""
        with self._reading() as connection:
            return _keys.persons(connection)

    def records_for(self, key_hashes: Iterable[str]) -> list[IdentityKey]:
        """The records that carry any of these keys."""
        self._write_what_was_put_off()
        with self._looking() as through:
            return _keys.carried(through, key_hashes)

    def keys_of(self, record_ids: Iterable[str]) -> list[IdentityKey]:
        """Every key of these records."""
        self._write_what_was_put_off()
        with self._looking() as through:
            return _keys.of_records(through, record_ids)

    def keys_around(self, record_ids: Iterable[str], key_hashes: Iterable[str]) -> list[IdentityKey]:
        """Every key of these records, and every record that carries one of these keys; in one look where it fits."""
        records, hashes = sorted(set(record_ids)), sorted(set(key_hashes))
        if max(len(records), len(hashes)) > MOST_VALUES:
            return [*self.keys_of(records), *self.records_for(hashes)]
        self._write_what_was_put_off()
        with self._looking() as through:
            return _keys.around(through, records, hashes)

    def records_of_persons(self, person_ids: Iterable[str]) -> dict[str, str]:
        """Person id by record id, for the records of these persons that have a key."""
        self._write_what_was_put_off()
        with self._looking() as through:
            return _keys.records_of(through, person_ids)

    def forget_records(self, record_ids: Iterable[str]) -> int:
        """Remove every key of these records; answers how many keys went."""
        with self._writing() as connection:
            return _keys.forget(connection, record_ids)

    # ------------------------------------------------------------ status history

    def append_status(self, fact: StatusFact) -> bool:
        """Append a status that an application reached. False when that status at that time is known already."""
        return self.append_statuses([fact]) == 1

    def append_statuses(self, facts: Sequence[StatusFact]) -> int:
        """`append_status` for many in one transaction; answers how many were new."""
        now = self._clock()
        if not facts:
            return 0
        with self._writing() as connection:
            return _history.append(connection, facts, now=now)

    def status_facts(self) -> list[StatusFact]:
        """Every status of every application, in the order in which the ATS recorded them."""
        with self._reading() as connection:
            return _history.every(connection)

    # ------------------------------------------------------------ consents and tombstones

    def save_consents(self, facts: Sequence[ConsentFact]) -> int:
        """Append each consent that differs from the last one seen of its referral; answers how many did."""
        with self._writing() as connection:
            return _consents.save(connection, facts, clock=self._clock)

    def consents(self) -> dict[str, ConsentFact]:
        """The consent last seen of each referral."""
        with self._reading() as connection:
            return _consents.latest(connection)

    def add_tombstone(self, kind: str, value: str, reason: str) -> None:
        """Remember one who must not come back. `kind` is email or phone (keyed hash), referral, candidate, person."""
        at = self._clock()
        with self._writing() as connection:
            _consents.add_tombstone(connection, kind, value, reason, at=at)

    def tombstoned(self, values: Iterable[str]) -> set[str]:
        """Which of these keyed hashes and ids have a tombstone."""
        with self._looking() as through:
            return _consents.tombstoned(through, values)
