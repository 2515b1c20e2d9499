"""The sandbox's memory: tables of plain rows with ids, stamps and indexes.

Belongs here: keeping rows, finding them fast, handing out ids, telling the time. Does not belong here: what may be
done to them (`hiring.py`, `people.py`), how they are shown (`views.py`), HTTP.

Rows are replaced and never changed in place, so a row once handed out stays as it was.
"""

from __future__ import annotations

import bisect
import copy
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from referral_pipeline.sandbox.greenhouse.journal import WATCHED, Changes, Journal
from referral_pipeline.sandbox.greenhouse.schema import ENTITIES, EntitySpec, Row
from referral_pipeline.sandbox.greenhouse.switches import Switches
from referral_pipeline.sandbox.greenhouse.times import stamp

SMALLEST_ID = 2**31
"""Ids in public sandboxes lie above this; a client that keeps 32 bits must fail here, not in production."""


def utc_now() -> datetime:
    """The present moment, aware."""
    return datetime.now(tz=UTC)


def row_emails(row: Row) -> list[str]:
    """The e-mail addresses of a candidate, folded as the vendor's search compares them."""
    return [str(item["value"]).casefold() for item in row["email_addresses"]]


class Table:
    """One record type: rows by id, ids in order, equality indexes."""

    def __init__(self, spec: EntitySpec) -> None:
        self.spec = spec
        self.rows: dict[int, Row] = {}
        self.ids: list[int] = []
        self.next_id = spec.first_id + 1
        self.on_change: Callable[[str, int, Row | None, Row | None], None] | None = None
        self._keys: dict[str, Callable[[Row], Iterable[Hashable]]] = {
            column: _column_key(column) for column in spec.indexes
        }
        if spec.name == "candidates":
            self._keys["email"] = row_emails
        self._indexes: dict[str, dict[Hashable, set[int]]] = {name: {} for name in self._keys}

    def put(self, row: Row) -> Row:
        """Store a row under its id, in place of an older one."""
        row_id = int(row["id"])
        old = self.rows.get(row_id)
        if old is None:
            bisect.insort(self.ids, row_id)
        for name, key in self._keys.items():
            after = set(key(row))
            before: set[Hashable] = set(key(old)) if old is not None else set()
            index = self._indexes[name]
            for value in before - after:
                index[value].discard(row_id)
            for value in after - before:
                index.setdefault(value, set()).add(row_id)
        self.rows[row_id] = row
        self.next_id = max(self.next_id, row_id + 1)
        if self.on_change is not None:
            self.on_change(self.spec.name, row_id, old, row)
        return row

    def delete(self, row_id: int) -> Row | None:
        """Forget a row; its id is never handed out again."""
        row = self.rows.pop(row_id, None)
        if row is None:
            return None
        del self.ids[bisect.bisect_left(self.ids, row_id)]
        for name, key in self._keys.items():
            for value in key(row):
                self._indexes[name][value].discard(row_id)
        if self.on_change is not None:
            self.on_change(self.spec.name, row_id, row, None)
        return row

    def has_index(self, name: str) -> bool:
        """Whether `matching` can be asked for this name."""
        return name in self._indexes

    def matching(self, name: str, value: Hashable) -> set[int]:
        """Ids of the rows whose indexed value equals `value`."""
        return self._indexes[name].get(value, set())


def _column_key(column: str) -> Callable[[Row], Iterable[Hashable]]:
    def key(row: Row) -> Iterable[Hashable]:
        return (row[column],)

    return key


class GreenhouseStore:
    """All tables of one local Greenhouse, its switches and its clock.

    `lock` serialises whole requests and acts; every public caller holds it. `clock` is replaceable so that a test can
    move time. `merged` remembers merged-away candidate ids and `deleted` all deleted ones: the truth for verification.
    `journal` notes what one request or act changes; `flush` ends it.
    """

    def __init__(self, switches: Switches | None = None, *, clock: Callable[[], datetime] = utc_now) -> None:
        self.switches = switches or Switches()
        self.clock = clock
        self.lock = threading.RLock()
        self.tables = {name: Table(spec) for name, spec in ENTITIES.items()}
        self.built_in_reasons: set[int] = set()
        self.merged: dict[int, int] = {}
        self.deleted: dict[str, set[int]] = {}
        self.anonymized: set[int] = set()
        self.journal = Journal()
        self._created_through_api: dict[tuple[str, int], datetime] = {}

    def watch(self, told: Callable[[Changes], None]) -> None:
        """From now on, note changes, and tell what each request or act has changed when it ends."""
        self.journal.told = told
        for name in WATCHED:
            self.tables[name].on_change = self.journal.note

    def flush(self) -> None:
        """A request or an act has ended: tell its changes."""
        self.journal.flush()

    # ---------------------------------------------------------------- reading

    def get(self, entity: str, row_id: int | None) -> Row | None:
        """One row, or None."""
        return None if row_id is None else self.tables[entity].rows.get(row_id)

    def find(self, entity: str, column: str, value: Hashable) -> list[Row]:
        """Rows whose indexed column equals `value`, oldest id first."""
        table = self.tables[entity]
        return [table.rows[row_id] for row_id in sorted(table.matching(column, value))]

    def rows(self, entity: str) -> list[Row]:
        """All rows, oldest id first."""
        table = self.tables[entity]
        return [table.rows[row_id] for row_id in table.ids]

    def is_visible(self, entity: str, row_id: int) -> bool:
        """Whether lists show a row yet: what was made through the API appears only after the lag."""
        created = self._created_through_api.get((entity, row_id))
        if created is None:
            return True
        lag = (
            self.switches.rejection_details_lag_seconds
            if entity == "rejection_details"
            else self.switches.visibility_lag_seconds
        )
        return (self.clock() - created).total_seconds() >= lag

    # ---------------------------------------------------------------- writing

    def insert(self, entity: str, values: Mapping[str, Any], *, at: datetime | None = None) -> Row:
        """Store a new row: columns left out are empty, id and stamps are made unless given."""
        table = self.tables[entity]
        moment = stamp(at or self.clock())
        unknown = set(values) - set(table.spec.empty) - {"id", "created_at", "updated_at"}
        if unknown:
            raise ValueError(f"{entity} has no column {sorted(unknown)[0]}")
        row: Row = {
            "id": values.get("id", table.next_id),
            "created_at": values.get("created_at", moment),
            "updated_at": values.get("updated_at", moment if at else values.get("created_at", moment)),
        }
        for column, empty in table.spec.empty.items():
            value = values.get(column, empty)
            row[column] = copy.deepcopy(value) if isinstance(value, list | dict) else value
        if row["id"] <= SMALLEST_ID:
            raise ValueError(f"ids of {entity} lie above 2^31")
        return table.put(row)

    def update(self, entity: str, row_id: int, *, at: datetime | None = None, **changes: Any) -> Row:
        """Change columns of a row; `updated_at` moves only when something really changed."""
        table = self.tables[entity]
        old = table.rows[row_id]
        unknown = set(changes) - set(old)
        if unknown:
            raise ValueError(f"{entity} has no column {sorted(unknown)[0]}")
        if all(old[column] == value for column, value in changes.items()):
            return old
        return table.put({**old, **changes, "updated_at": stamp(at or self.clock())})

    def touch(self, entity: str, row_id: int, at: datetime) -> Row:
        """Move a row's `updated_at` and nothing else."""
        table = self.tables[entity]
        return table.put({**table.rows[row_id], "updated_at": stamp(at)})

    def delete(self, entity: str, row_id: int) -> Row | None:
        """Delete one row, and remember that its id was in use."""
        row = self.tables[entity].delete(row_id)
        if row is not None:
            self.deleted.setdefault(entity, set()).add(row_id)
            self._created_through_api.pop((entity, row_id), None)
        return row

    def made_through_api(self, entity: str, row_id: int) -> None:
        """Mark a row as fresh: the visibility lag counts from now."""
        self._created_through_api[entity, row_id] = self.clock()

    # ---------------------------------------------------------------- whole tables

    def load(self, entity: str, rows: Iterable[Mapping[str, Any]]) -> list[Row]:
        """Store rows as they are, filling what they leave out. Raises ValueError for an unknown column."""
        with self.lock:
            return [self.insert(entity, row) for row in rows]

    def dump(self) -> dict[str, list[Row]]:
        """All rows by entity, oldest id first, as stored (before any switch shapes them)."""
        with self.lock:
            return {name: self.rows(name) for name in self.tables}
