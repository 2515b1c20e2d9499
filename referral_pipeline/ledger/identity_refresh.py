"""Identity keys as a refresh reads them, and writes back what came out otherwise.

Belongs here: the state of every record's keys at one time, and changing keys only where that state still stands. Does
not belong here: who is who (identity), reading and writing the keys of single records (identity_keys.py).

A refresh reads all keys, resolves for seconds, and then writes. Meanwhile the lane corrects an address, or a person
revokes a decision: what they wrote is newer than what the refresh knows. So a record is written only when its keys are
still the ones that were read, and nothing was decided about its person since (a decision that is undone before any
refresh carried it out leaves the keys as they were); the next refresh takes up the others. Where nothing came out
otherwise, nothing is written, and what is written goes in small transactions: the lane and the receiver wait for each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from referral_pipeline.ledger import tables
from referral_pipeline.ledger.engine import upsert
from referral_pipeline.ledger.records import IdentityKey
from referral_pipeline.ledger.transactions import MOST_VALUES, Transactions, parts

_ROWS_AT_ONCE: Final = 10_000

_k = tables.identity_keys.c
_ROWS = sa.select(_k.record_id, _k.kind, _k.key_hash, _k.person_id).order_by(_k.record_id, _k.kind, _k.key_hash)
_ALL_ROWS = _ROWS.execution_options(yield_per=_ROWS_AT_ONCE)
_some = sa.bindparam("some", expanding=True)
# On PostgreSQL who changes one of these rows now is waited for; SQLite has one writer, and knows no such clause.
_ROWS_OF = _ROWS.where(_k.record_id.in_(_some)).with_for_update()
_ERASED = sa.select(tables.tombstones.c.value).where(
    tables.tombstones.c.kind == "referral", tables.tombstones.c.value.in_(_some)
)
_IN_FORCE = sa.select(tables.identity_decisions.c.id).where(tables.identity_decisions.c.revoked_at.is_(None))
_DECIDED_RECORDS = sa.select(tables.identity_decision_records.c.record_id).where(
    tables.identity_decision_records.c.decision_id.in_(_some)
)
_FORGET = sa.delete(tables.identity_keys).where(_k.record_id.in_(_some))


@dataclass(frozen=True)
class KeysAsRead:
    """The keys of every record at one time.

    `persons` is person id by record id. `states` tells, by record id, two states of its keys and person apart; it means
    nothing outside this process. `decisions` are those in force.
    """

    persons: Mapping[str, str] = field(repr=False)
    states: Mapping[str, int] = field(repr=False)
    decisions: frozenset[int]


@dataclass(frozen=True)
class KeysRefreshed:
    """How many records were written anew, how many lost all keys, how many were left as somebody else made them."""

    written: int
    forgotten: int
    passed_over: int


class IdentityRefreshPart(Transactions):
    """The ledger's methods for a refresh of all persons."""

    def identity_keys_as_read(self) -> KeysAsRead:
        """The keys of every record, as they are now.

        Read them before the decisions: what is decided or undone in between then counts as said since.
        """
        persons: dict[str, str] = {}
        states: dict[str, int] = {}
        with self._reading() as connection:
            decisions = frozenset(connection.execute(_IN_FORCE).scalars())
            for record_id, rows in groupby(connection.execute(_ALL_ROWS), key=itemgetter(0)):
                found = [(kind, key_hash, person_id) for _, kind, key_hash, person_id in rows]
                persons[record_id] = found[-1][2]
                states[record_id] = _state(found)
        return KeysAsRead(persons, states, decisions)

    def refresh_identity_keys(
        self, as_read: KeysAsRead, keys: Iterable[IdentityKey], *, without: Iterable[str] = ()
    ) -> KeysRefreshed:
        """Bring the keys of these records to `keys`, where they are still as they were read.

        Of an erased record no key comes back, though the warehouse may show it until the next full pull. Killed in
        between, some records are written and others not; the next refresh writes the rest.

        Args:
            as_read: what the refresh began with.
            keys: all keys of every record that has some.
            without: records that have none any more, or are gone. Those not named in either stay as they are.
        """
        wanted: dict[str, list[IdentityKey]] = defaultdict(list)
        for key in keys:
            wanted[key.record_id].append(key)
        changed = {
            record_id for record_id, own in wanted.items() if _state_of(own) != as_read.states.get(record_id, _NONE)
        }
        changed |= {record_id for record_id in without if record_id in as_read.states and record_id not in wanted}
        written = forgotten = 0
        for some in parts(changed):
            with self._writing(durable=False) as connection:
                now = _states_now(connection, some)
                left_alone = set(connection.execute(_ERASED, {"some": some}).scalars())
                left_alone |= _decided_since(connection, as_read, wanted, some)
                mine = [i for i in some if i not in left_alone and now.get(i, _NONE) == as_read.states.get(i, _NONE)]
                if any(i in now for i in mine):
                    connection.execute(_FORGET, {"some": mine})
                rows = {(k.key_hash, k.kind, k.record_id): dict(vars(k)) for i in mine for k in wanted.get(i, ())}
                upsert(connection, tables.identity_keys, list(rows.values()))
            written += sum(i in wanted for i in mine)
            forgotten += sum(i not in wanted for i in mine)
        if changed:
            self.sync()
        return KeysRefreshed(written, forgotten, len(changed) - written - forgotten)


def _decided_since(
    connection: Connection, as_read: KeysAsRead, wanted: Mapping[str, Sequence[IdentityKey]], some: Iterable[str]
) -> set[str]:
    """Which of these belong to a person about whom something was decided or undone since, before or by the refresh."""
    differing = as_read.decisions ^ set(connection.execute(_IN_FORCE).scalars())
    if not differing:
        return set()
    named = {i for ids in _numbers(differing) for i in connection.execute(_DECIDED_RECORDS, {"some": ids}).scalars()}

    def persons(record_id: str) -> set[str]:
        own = {as_read.persons[record_id]} if record_id in as_read.persons else set[str]()
        return own | {key.person_id for key in wanted.get(record_id, ())}

    concerned = {person for i in named for person in persons(i)}
    return {i for i in some if i in named or not concerned.isdisjoint(persons(i))}


def _numbers(ids: Iterable[int]) -> Iterator[list[int]]:
    every = sorted(ids)
    return (every[start : start + MOST_VALUES] for start in range(0, len(every), MOST_VALUES))


def _states_now(connection: Connection, record_ids: Sequence[str]) -> dict[str, int]:
    rows = connection.execute(_ROWS_OF, {"some": record_ids})
    return {i: _state((kind, key, person) for _, kind, key, person in own) for i, own in groupby(rows, itemgetter(0))}


def _state_of(keys: Iterable[IdentityKey]) -> int:
    return _state((key.kind, key.key_hash, key.person_id) for key in keys)


def _state(rows: Iterable[tuple[str, str, str]]) -> int:
    """Eight bytes for what one record has: a million records are read at once."""
    return hash(frozenset(rows))


_NONE: Final = _state(())
