"""Incremental ingest: what changed at a source since the last pull, into raw.

Belongs here: windows, cursors, and when a row counts as gone. Does not belong here: calls (connectors), what a row
means (staging).

Invariants
1. The cursor is saved after every page is committed: a crash repeats a pull and never skips one.
2. Each window reaches back before the cursor, because systems stamp a change before it shows in their lists.
3. A new warehouse file, whatever the cursor says, begins with a full pull.
4. Only a full pull can tell that a row is gone, and only after a second look at what changed meanwhile: a row that was
   edited during the pull may be missing from its pages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from referral_pipeline.connectors.protocols import Source
from referral_pipeline.connectors.records import Entity, Row, Window
from referral_pipeline.ledger.store import Cursor, Ledger
from referral_pipeline.warehouse.store import Warehouse

_ROWS_AT_ONCE = 2_000
"""Rows gathered for one transaction: opening the file costs as much as writing some thousand rows."""


@dataclass(frozen=True)
class IngestReport:
    """What one pull of one entity brought.

    `rows` as received (a row may come twice), `new_or_changed` those that raw did not hold just so, `absent` rows newly
    marked as gone (full pulls only). `since` is None for a full pull.
    """

    entity: str
    rows: int
    pages: int
    new_or_changed: int
    full: bool
    absent: int
    since: datetime | None
    until: datetime


def ingest(
    source: Source,
    entity: str,
    *,
    warehouse: Warehouse,
    ledger: Ledger,
    now: datetime,
    lookback: timedelta,
    full_every: timedelta,
    since: datetime | None = None,
    clock: Callable[[], datetime] | None = None,
) -> IngestReport:
    """Pull one entity into raw.

    Args:
        source: the system to pull from.
        entity: one of its entities.
        warehouse: where rows go.
        ledger: where the cursor is kept.
        now: the end of the window, aware.
        lookback: how far before the cursor a window begins.
        full_every: how long until everything is asked for again; zero asks now.
        since: pull again what changed from then on, aware; a window that begins earlier anyway stays as it is, so that
            no gap is left behind the cursor.
        clock: the time later in the pull; by default `now` plus what has passed since.

    Raises:
        TransientFailure, PermanentFailure: from the source. Pages that came before are kept, the cursor is not moved.
    """
    kind = source.entities[entity]
    started = time.monotonic()
    later = clock or (lambda: now + timedelta(seconds=time.monotonic() - started))
    warehouse_id = warehouse.warehouse_id
    cursor = ledger.cursor(source.system, entity)
    if cursor is not None and cursor.warehouse_id != warehouse_id:
        cursor = None
    begins = _since(cursor, now, lookback, full_every)
    reaches_back = begins is not None and since is not None and since < begins
    window = Window(
        since.astimezone(UTC) if since is not None and reaches_back else begins,
        now,
        position=None if cursor is None or begins is None or reaches_back else min(cursor.position, now),
    )
    total = _pull(source, kind, window, warehouse, pulled_at=now)
    absent = 0
    if window.is_full and warehouse.count_absent(source.system, entity, full_pull_started_at=now):
        total += _pull(source, kind, Window(now - lookback, later(), position=now), warehouse, pulled_at=now)
        absent = warehouse.mark_absent(source.system, entity, full_pull_started_at=now)
    ledger.save_cursor(
        source.system,
        entity,
        position=now,
        warehouse_id=warehouse_id,
        full_pull_at=now if cursor is None or window.is_full else cursor.full_pull_at,
    )
    return IngestReport(
        entity=entity,
        rows=total.rows,
        pages=total.pages,
        new_or_changed=total.changed,
        full=window.is_full,
        absent=absent,
        since=window.since,
        until=window.until,
    )


@dataclass(frozen=True)
class _Count:
    rows: int = 0
    pages: int = 0
    changed: int = 0

    def __add__(self, other: _Count) -> _Count:
        return _Count(self.rows + other.rows, self.pages + other.pages, self.changed + other.changed)


def _since(cursor: Cursor | None, now: datetime, lookback: timedelta, full_every: timedelta) -> datetime | None:
    if cursor is None or now - cursor.full_pull_at >= full_every:
        return None
    # A clock that was set back must not put the beginning of a window after its end.
    return (min(cursor.position, now) - lookback).astimezone(UTC)


def _pull(source: Source, kind: Entity, window: Window, warehouse: Warehouse, *, pulled_at: datetime) -> _Count:
    total = _Count()
    for pages, rows in _gathered(source.pull(kind.name, window)):
        changed = 0
        if rows:
            changed = warehouse.upsert_raw(
                source.system, kind.name, rows, key=kind.key, changed_field=kind.changed_field, pulled_at=pulled_at
            )
        total += _Count(len(rows), pages, changed)
    return total


def _gathered(pages: Iterable[list[Row]]) -> Iterator[tuple[int, list[Row]]]:
    """Pages put together to some thousand rows, each with how many pages it took."""
    count, rows = 0, list[Row]()
    for page in pages:
        count += 1
        rows.extend(page)
        if len(rows) >= _ROWS_AT_ONCE:
            yield count, rows
            count, rows = 0, []
    if count:
        yield count, rows
