"""Manual intake from files: every row that people kept beside the integration, read, or set aside with its mend.

Belongs here: which columns a row needs, what its cells mean, times in the contract's zone. Does not belong here: CSV
and XLSX (table_file), canonical e-mail and phone (warehouse.manual_intake), comparing (quality.parallel_run).

Invariants
1. A row is read or is set aside with a reason; no row is dropped in silence. A file that lies there twice is read once.
2. No time is guessed: year first, and without an offset it is of the contract's time zone. A day without a time is the
   whole day, so it counts as entered when that day ends. A spreadsheet has no days without a time: midnight is one.
3. A status that is none of the canonical words costs only that field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from referral_pipeline.connectors.records import RowProblem
from referral_pipeline.connectors.table_file import (
    Table,
    TableFileError,
    TableRow,
    files_of,
    is_empty,
    plain_name,
    read_table,
)
from referral_pipeline.connectors.values import shape
from referral_pipeline.contract.verification import MANUAL_FIELDS, ParallelRun
from referral_pipeline.vocabulary import CandidateStatus

ENTITY: Final = "manual_intake"
SYSTEM: Final = "files"
_KEY: Final = "verification.parallel_run.files"
_NEEDED: Final = ("entered_at", "job_id")
_LONGEST: Final = 500
_DAY: Final = re.compile(r"(?:19|20|21)\d\d-\d\d-\d\d")
_MOMENT: Final = re.compile(r"(?:19|20|21)\d\d-\d\d-\d\d[T ]\d\d:\d\d.*", re.DOTALL)
_TIME_MEND: Final = "write it year first, such as 2026-11-20 or 2026-11-20 14:30"


@dataclass(frozen=True)
class Entered:
    """When somebody entered a row: the moment, in UTC, and the day in the contract's time zone.

    `has_time` is whether a time stood there; without one the moment is the last of that day.
    """

    at: datetime
    on: date
    has_time: bool


@dataclass(frozen=True)
class ManualRow:
    """One row of manual intake, texts trimmed and as typed. Personal data.

    `record_id` is what people called the candidate, where they did; rows with the same one are of one person to them.
    """

    file: str
    line: int
    entered: Entered
    job_id: str
    record_id: str | None = field(default=None, repr=False)
    first_name: str | None = field(default=None, repr=False)
    last_name: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)
    country: str | None = field(default=None, repr=False)
    advocate_id: str | None = field(default=None, repr=False)
    campaign_tag: str | None = field(default=None, repr=False)
    status: CandidateStatus | None = None

    @property
    def place(self) -> str:
        """Where it stands, "intake.csv:12": its name in everything that is told."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class ManualRead:
    """What the files hold: rows, what was set aside, and what somebody should know; none of it but rows is personal."""

    files: tuple[str, ...] = ()
    rows: tuple[ManualRow, ...] = ()
    problems: tuple[RowProblem, ...] = ()
    notes: tuple[str, ...] = ()


def read_manual_intake(section: ParallelRun, home: Path) -> ManualRead:
    """Every row of the contract's files. Never raises for a file: what is wrong is in the answer."""
    try:
        paths, ignored = files_of(home / section.files, of="manual intake", key=_KEY)
    except TableFileError as error:
        return ManualRead(problems=(_problem(Path(section.files).name, error),))
    reading = _Reading(section, notes=list(ignored))
    for path in paths:
        reading.read(path)
    return reading.answer()


def entered(cell: object, zone: ZoneInfo) -> Entered:
    """When a row was entered.

    Raises:
        ValueError: it is no time, or could be two; the message goes after the column's name and shows no value.
    """
    if isinstance(cell, datetime):
        return _of_day(cell.date(), zone) if cell.time() == time() else _of_moment(cell, zone)
    if isinstance(cell, date):
        return _of_day(cell, zone)
    text = cell.strip() if isinstance(cell, str) else ""
    try:
        if _DAY.fullmatch(text):
            return _of_day(date.fromisoformat(text), zone)
        if _MOMENT.fullmatch(text):
            return _of_moment(datetime.fromisoformat(text), zone)
    except ValueError:
        raise ValueError(f"is no time of the calendar; {_TIME_MEND}") from None
    raise ValueError(f"is no time; {_TIME_MEND}")


def _of_day(day: date, zone: ZoneInfo) -> Entered:
    # The next day's beginning, by the calendar: with daylight saving a day has 23, 24 or 25 hours.
    end = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)
    return Entered(end - timedelta(microseconds=1), day, has_time=False)


def _of_moment(moment: datetime, zone: ZoneInfo) -> Entered:
    if moment.tzinfo is None:
        # The clock's hour that comes twice means its first pass; the one that is left out lies an hour later.
        return Entered(moment.replace(tzinfo=zone).astimezone(UTC), moment.date(), has_time=True)
    return Entered(moment.astimezone(UTC), moment.astimezone(zone).date(), has_time=True)


def _text(cell: object) -> str:
    """A text as typed; a whole number of a spreadsheet without its decimal point."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    if isinstance(cell, bool) or not isinstance(cell, str | int):
        raise ValueError("is no text; format the column as text and type it anew")
    text = str(cell).strip()
    if len(text) > _LONGEST:
        raise ValueError(f"is longer than {_LONGEST} characters; look for a quotation mark that is not closed")
    return text


def _status(cell: object) -> CandidateStatus:
    word = re.sub(r"[\s\-]+", "_", _text(cell).casefold())
    try:
        return CandidateStatus(word)
    except ValueError:
        raise ValueError(f"is none of the statuses; write one of {', '.join(CandidateStatus)}") from None


class _Reading:
    """The files of one contract, read one after another."""

    def __init__(self, section: ParallelRun, notes: list[str]) -> None:
        self._section = section
        self._zone = ZoneInfo(section.time_zone)
        self._columns = {name: plain_name(section.columns.get(name, name)) for name in MANUAL_FIELDS}
        self._files: list[str] = []
        self._rows: list[ManualRow] = []
        self._problems: list[RowProblem] = []
        self._notes = notes
        self._content: dict[str, str] = {}

    def read(self, path: Path) -> None:
        """Take in one file."""
        try:
            content = path.read_bytes()
            twin = self._content.setdefault(sha256(content).hexdigest(), path.name)
            if twin != path.name:
                self._notes.append(f"{path.name}: is the same file as {twin}, and is not read a second time")
                return
            self._files.append(path.name)
            table = read_table(path.name, content, one="candidate", columns=list(self._columns.values()))
            self._needed(table)
        except TableFileError as error:
            self._problems.append(_problem(path.name, error))
            return
        except OSError as error:
            unreadable = TableFileError("file", f"cannot be read ({error.strerror}); mend its permissions", "a file")
            self._problems.append(_problem(path.name, unreadable))
            return
        self._notes += [f"{path.name}: {note}" for note in table.notes]
        unknown = len([name for name in table.columns if name not in self._columns.values()])
        if unknown:
            self._notes.append(f"{path.name}: of its columns {unknown} are not known and not read")
        for row in table.rows:
            self._row(path.name, row)

    def answer(self) -> ManualRead:
        """What was found in all of them."""
        return ManualRead(tuple(self._files), tuple(self._rows), tuple(self._problems), tuple(self._notes))

    def _needed(self, table: Table) -> None:
        """Refuse a header that lacks what every row needs, or what the contract says is there."""
        missing = [
            name
            for name in MANUAL_FIELDS
            if self._columns[name] not in table.columns and (name in _NEEDED or name in self._section.columns)
        ]
        if not missing and not {self._columns["email"], self._columns["phone"]} & set(table.columns):
            missing = ["email"]
        if missing:
            raise TableFileError(
                missing[0],
                "has no column in the header; name its column in verification.parallel_run.columns",
                f"a header of {len(table.columns)} columns",
            )

    def _row(self, file: str, row: TableRow) -> None:
        cells = _Cells(row, self._columns)
        made = self._made(file, row, cells)
        if made is not None:
            self._rows.append(made)
        self._problems += [RowProblem(SYSTEM, ENTITY, f"{file}:{row.line}", *found) for found in cells.problems]

    def _made(self, file: str, row: TableRow, cells: _Cells) -> ManualRow | None:
        if row.has_more:
            cells.refuse("line", "has more cells than the header; look for a separator inside a cell", "a longer line")
        at = cells.needed("entered_at", lambda cell: entered(cell, self._zone))
        job_id = cells.needed("job_id", _text)
        others = {name: cells.read(name, _text) for name in MANUAL_FIELDS if name not in {*_NEEDED, "status"}}
        if others["email"] is None and others["phone"] is None and not cells.problems:
            cells.refuse("email", "is empty, and so is phone; fill in one of them", "nothing")
        if cells.problems or at is None or job_id is None:
            return None
        return ManualRow(file, row.line, at, job_id, **others, status=cells.read("status", _status))


_Value = TypeVar("_Value")


class _Cells:
    """The cells of one row, by our names; what cannot be read is noted."""

    def __init__(self, row: TableRow, columns: Mapping[str, str]) -> None:
        self._cells: dict[str, Any] = {name: row.cells.get(column) for name, column in columns.items()}
        self.problems: list[tuple[str, str, str]] = []

    def refuse(self, name: str, reason: str, found: str) -> None:
        self.problems.append((name, reason, found))

    def needed(self, name: str, reader: Callable[[object], _Value]) -> _Value | None:
        if is_empty(self._cells[name]):
            self.refuse(name, "is empty; fill it in", shape(self._cells[name]))
            return None
        return self.read(name, reader)

    def read(self, name: str, reader: Callable[[object], _Value]) -> _Value | None:
        cell = self._cells[name]
        if is_empty(cell):
            return None
        try:
            return reader(cell)
        except ValueError as error:
            self.refuse(name, str(error), shape(cell))
            return None


def _problem(name: str, error: TableFileError) -> RowProblem:
    return RowProblem(SYSTEM, ENTITY, name, error.field, error.reason, error.shape)
