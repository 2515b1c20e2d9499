"""Incremental ingest: what changed at a source since the last pull, into raw.

Belongs here: windows, cursors, and when a row counts as gone. Does not belong here: calls (connectors), what a row
means (staging).

Invariants
1. The cursor is saved after every page is committed: a crash repeats a pull and never skips one.
2. Each window reaches back before the cursor, because systems stamp a change before it shows in their lists.
3. A new warehouse file, whatever the cursor says, begins with a full pull.
4. Only a full pull can tell that a row is gone, and only after a second look at what changed meanwhile: a row that was
   edited during the pull may be missing from its pages.
5. A full pull that cannot be believed marks nothing as gone: one with rows that have no id, each of which may be any of
   the missing ones, and one that misses most of what was held (a filter, a lost permission, a renamed list). It is told
   (`IngestReport.doubt`), and a person who knows better says so with `believe_absent`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from referral_pipeline.connectors.protocols import SkipsRows, Source
from referral_pipeline.connectors.records import Entity, Row, Window
from referral_pipeline.ledger.store import Cursor, Ledger
from referral_pipeline.warehouse.raw import Unseen
from referral_pipeline.warehouse.store import Warehouse

_ROWS_AT_ONCE = 2_000
"""Rows gathered for one transaction: opening the file costs as much as writing some thousand rows."""
_FEW = 10
"""So many rows may be gone at once whatever their share: a small list has no large numbers."""


class Doubt(StrEnum):
    """Why a full pull was not believed when it missed rows."""

    UNREADABLE = "rows came without an id"
    MOST = "most of what was held is missing"


@dataclass(frozen=True)
class IngestReport:
    """What one pull of one entity brought.

    `rows` as received (a row may come twice), `new_or_changed` those that raw did not hold just so, `absent` rows newly
    marked as gone (full pulls only). `since` is None for a full pull. `doubt`: why rows that it missed were not marked,
    and `missing` how many they are.
    """

    entity: str
    rows: int
    pages: int
    new_or_changed: int
    full: bool
    absent: int
    since: datetime | None
    until: datetime
    missing: int = 0
    doubt: Doubt | None = None


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
    believe_absent: bool = False,
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
        believe_absent: whether what a full pull misses is gone even where that is doubtful (5).

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
    absent, missing, doubt = 0, 0, None
    is_told = window.is_full and kind.tells_gone
    if window.is_full and not kind.tells_gone:
        # Rows without an id stand for lines that were wrong: those that were corrected are not met again.
        warehouse.mark_absent(source.system, entity, full_pull_started_at=now, only_keyless=True)
    unseen = warehouse.unseen(source.system, entity, full_pull_started_at=now) if is_told else None
    if unseen is not None and unseen.records + unseen.keyless:
        total += _pull(source, kind, Window(now - lookback, later(), position=now), warehouse, pulled_at=now)
        unseen = warehouse.unseen(source.system, entity, full_pull_started_at=now)
        doubted_before = 0
        if cursor is not None:
            earlier = warehouse.unseen(source.system, entity, full_pull_started_at=cursor.full_pull_at)
            doubted_before = earlier.records
        doubt = None if believe_absent else _doubt(unseen, total, doubted_before)
        missing = unseen.records if doubt is not None else 0
        absent = warehouse.mark_absent(source.system, entity, full_pull_started_at=now, only_keyless=doubt is not None)
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
        missing=missing,
        doubt=doubt,
    )


def still_missing(source: Source, *, warehouse: Warehouse, ledger: Ledger) -> dict[str, int]:
    """(5) How many rows the last full pull of each entity missed that were not taken for gone; those with some only."""
    missing: dict[str, int] = {}
    with warehouse.connect():  # held: each opening of the file costs 20 to 40 ms
        for entity in source.entities:
            cursor = ledger.cursor(source.system, entity)
            if cursor is None or not source.entities[entity].tells_gone:
                continue
            unseen = warehouse.unseen(source.system, entity, full_pull_started_at=cursor.full_pull_at)
            if unseen.records:
                missing[entity] = unseen.records
    return missing


@dataclass(frozen=True)
class _Count:
    """Rows, pages, rows that differ from what was held, and rows without an id."""

    rows: int = 0
    pages: int = 0
    changed: int = 0
    keyless: int = 0

    def __add__(self, other: _Count) -> _Count:
        return _Count(
            self.rows + other.rows,
            self.pages + other.pages,
            self.changed + other.changed,
            self.keyless + other.keyless,
        )


def _doubt(unseen: Unseen, total: _Count, doubted_before: int) -> Doubt | None:
    """(5) Why what a full pull misses may not be gone.

    What an earlier pull was not believed about stays in doubt, however many rows have come since: `doubted_before` rows
    were missing then, and still are.
    """
    if not unseen.records:
        return None
    if total.keyless:
        return Doubt.UNREADABLE
    if total.rows == 0 and unseen.records > 1:
        return Doubt.MOST
    is_most = unseen.records > _FEW and unseen.records * 2 > unseen.held
    return Doubt.MOST if is_most or doubted_before > _FEW else None


def _since(cursor: Cursor | None, now: datetime, lookback: timedelta, full_every: timedelta) -> datetime | None:
    if cursor is None or now - cursor.full_pull_at >= full_every:
        return None
    # A clock that was set back must not put the beginning of a window after its end.
    return (min(cursor.position, now) - lookback).astimezone(UTC)


def _pull(source: Source, kind: Entity, window: Window, warehouse: Warehouse, *, pulled_at: datetime) -> _Count:
    total = _Count(keyless=-_skipped(source))
    for pages, rows in _gathered(source.pull(kind.name, window)):
        changed = 0
        if rows:
            changed = warehouse.upsert_raw(
                source.system, kind.name, rows, key=kind.key, changed_field=kind.changed_field, pulled_at=pulled_at
            )
        total += _Count(len(rows), pages, changed, sum(1 for row in rows if row.get(kind.key) in (None, "")))
    return total + _Count(keyless=_skipped(source))


def _skipped(source: Source) -> int:
    """Rows without an id that a connector has kept to itself so far."""
    return sum(source.skipped_rows.values()) if isinstance(source, SkipsRows) else 0


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
