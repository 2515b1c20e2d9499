"""One comparison from beginning to end: gather, compare, count, and write ops.parallel_run.

Belongs here: the order. Does not belong here: its parts, keeping the result for good (orchestration records it in the
ledger), reading the files (warehouse.manual_intake).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.quality.parallel_run.compare import compare
from referral_pipeline.quality.parallel_run.facts import gather, is_refreshed, manual_rows, window_of
from referral_pipeline.quality.parallel_run.numbers import Numbers, count
from referral_pipeline.quality.parallel_run.records import Line
from referral_pipeline.warehouse.frames import columns, frame_of_rows
from referral_pipeline.warehouse.store import Warehouse

__all__ = ["TABLE", "ParallelRunResult", "run_parallel"]

TABLE: Final = "ops.parallel_run"
NOT_CONFIGURED: Final = "no parallel run is configured: add verification.parallel_run to integration.yaml"
NO_ROWS: Final = "manual intake has no row that can be read: look at what was set aside, and at the files"
NOT_REFRESHED: Final = "there is nothing to compare with yet: run `referral-pipeline refresh` first"

_COLUMNS = columns(
    text="manual_record referral_id application_key person_id finding field cause detail", date="day", flag="is_open"
)
_TAGS: Final = {"advocate_id": "advocate", "campaign_tag": "campaign"}


@dataclass(frozen=True)
class ParallelRunResult:
    """What came of it. `numbers` is None where nothing could be compared, and `note` says why."""

    lines: tuple[Line, ...] = ()
    numbers: Numbers | None = None
    note: str = ""


def run_parallel(
    warehouse: Warehouse,
    ledger: Ledger,
    contract: Contract,
    *,
    set_aside: int,
    quarantined: Callable[[], Mapping[str, tuple[str, str]]],
    now: datetime,
) -> ParallelRunResult:
    """Compare staging.manual_intake with what the last refresh left, and replace ops.parallel_run.

    Args:
        warehouse: with staging.manual_intake.
        ledger: for webhooks and what was refused.
        contract: for the window and the limits.
        set_aside: how many rows of the files could not be read.
        quarantined: (referral id, field) of referrals that were set aside, by canonical address and number; asked once.
        now: the time, aware.

    Raises:
        ModelFailed: the table could not be written; it stays as it was.
    """
    result = _compared(warehouse, ledger, contract, set_aside=set_aside, quarantined=quarantined, now=now)
    warehouse.replace(TABLE, frame_of_rows(map(_row, result.lines), _COLUMNS))
    return result


def _compared(
    warehouse: Warehouse,
    ledger: Ledger,
    contract: Contract,
    *,
    set_aside: int,
    quarantined: Callable[[], Mapping[str, tuple[str, str]]],
    now: datetime,
) -> ParallelRunResult:
    section = contract.verification.parallel_run
    if section is None:
        return ParallelRunResult(note=NOT_CONFIGURED)
    with warehouse.connect():  # held for the step: each opening of the file costs 20 to 40 ms
        if not is_refreshed(warehouse):
            return ParallelRunResult(note=NOT_REFRESHED)
        rows = manual_rows(warehouse)
        window = window_of(section, [row.day for row in rows])
        if not rows or window is None:
            return ParallelRunResult(note=NO_ROWS)
        aside = quarantined()
        facts = gather(warehouse, ledger, contract, window, rows, quarantined=aside, now=now)
    mapped = frozenset(_TAGS[name] for name in contract.tag_sources() if name in _TAGS)
    late_after = timedelta(hours=section.late_hours)
    lines = compare(facts, window=window, late_after=late_after, mapped=mapped, now=now)
    numbers = count(
        lines,
        window=window,
        rows=len(facts.manual),
        outside=len(facts.beside),
        set_aside=set_aside,
        confidence=contract.verification.field_audit.confidence,
    )
    return ParallelRunResult(tuple(lines), numbers)


def _row(line: Line) -> dict[str, object]:
    return {**asdict(line), "is_open": line.is_open}


def table_by_day(numbers: Numbers) -> Sequence[Mapping[str, int | str]]:
    """The days as rows, for people."""
    return [
        {name.replace("_", " "): str(value) if name == "day" else value for name, value in asdict(day).items()}
        for day in numbers.days
    ]
