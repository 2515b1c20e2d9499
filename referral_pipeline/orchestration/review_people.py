"""Who the persons are that a review names: by the last refresh, and by what the ledger has learnt since.

Belongs here: names (person ids, record ids) to persons with their records, many in one look. Does not belong here: what
is decided about them (review.py, review_file_import.py).

The published copy may be older than the last resolution, when a refresh failed on the way. Where the ledger knows
better who a record is, it counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from referral_pipeline.ledger.store import Ledger
from referral_pipeline.warehouse.store import Warehouse


class ReviewError(Exception):
    """What was asked cannot be done; the message says why and what to do instead."""


@dataclass(frozen=True)
class Side:
    """One person, or some records of one: who that is now, and which records are meant."""

    person_id: str
    records: tuple[str, ...]


class KnownPeople:
    """Persons by person id or record id. What was looked up once is not looked up again."""

    def __init__(self, ledger: Ledger, warehouse: Warehouse) -> None:
        self._ledger = ledger
        self._warehouse = warehouse
        self._known: dict[str, Side | None] = {}

    def side(self, name: str) -> Side:
        """The person of this id, or of this record ("system:id"), with all its records.

        Raises:
            ReviewError: nobody of this name is there.
        """
        self.look_up([name])
        side = self._known[name]
        if side is not None:
            return side
        kind = "record" if ":" in name else "person"
        raise ReviewError(
            f"there is no {kind} {name}: it may have been merged or removed. `referral-pipeline review list` shows the "
            "pairs of the last refresh"
        )

    def look_up(self, names: Iterable[str]) -> None:
        """Find all of these at once, those that are not there too."""
        names = sorted(set(names) - self._known.keys())
        if not names:
            return
        record_ids = [name for name in names if ":" in name]
        of_ledger = self._persons_of(record_ids)
        with self._warehouse.published() as connection:
            person_of = {**_persons_of(connection, record_ids), **of_ledger}
            person_ids = {name for name in names if ":" not in name} | set(person_of.values())
            published = members_of(connection, person_ids)
        moved = self._persons_of(i for records in published.values() for i in records)
        newer: dict[str, list[str]] = {}
        for record_id, person_id in sorted(self._ledger.records_of_persons(person_ids).items()):
            newer.setdefault(person_id, []).append(record_id)
        for name in names:
            person_id = person_of.get(name, "") if ":" in name else name
            still = [i for i in published.get(person_id, ()) if moved.get(i, person_id) == person_id]
            # Of a person that was published the ledger may still hold records that are gone.
            records = {*(still or newer.get(person_id, ())), *([name] if name in person_of else ())}
            self._known[name] = Side(person_id, tuple(sorted(records))) if records else None

    def _persons_of(self, record_ids: Iterable[str]) -> dict[str, str]:
        return {key.record_id: key.person_id for key in self._ledger.keys_of(record_ids) if key.person_id}


def members_of(connection: DuckDBPyConnection, person_ids: Iterable[str]) -> dict[str, list[str]]:
    """The records of these persons in the published copy, by person id."""
    rows = connection.execute(
        "SELECT person_id, record_id FROM core.person_record"
        " WHERE person_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY record_id",
        [sorted(set(person_ids))],
    ).fetchall()
    found: dict[str, list[str]] = {}
    for person_id, record_id in rows:
        found.setdefault(str(person_id), []).append(str(record_id))
    return found


def _persons_of(connection: DuckDBPyConnection, record_ids: Iterable[str]) -> dict[str, str]:
    rows = connection.execute(
        "SELECT record_id, person_id FROM core.person_record WHERE record_id IN (SELECT unnest(?::VARCHAR[]))",
        [sorted(set(record_ids))],
    ).fetchall()
    return {str(record_id): str(person_id) for record_id, person_id in rows}
