"""A file that people keep, as a table: its header and its rows, with the line that each stands on.

Belongs here: CSV and XLSX, encodings, separators, header names. Does not belong here: which columns a file needs, what
a cell means (cost_table and costs, manual_intake).

Cells of a CSV are text. Those of an XLSX arrive typed (numbers, dates), a formula as the value that the spreadsheet
program stored last.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from referral_pipeline.connectors.values import shape

SUFFIXES: Final = (".csv", ".xlsx")
_DELIMITERS: Final = (",", ";", "\t")
_EXCEL_SEPARATOR: Final = re.compile(r"sep=(.)", re.IGNORECASE)
_NOT_A_WORKBOOK: Final = (
    LookupError,
    RuntimeError,
    AttributeError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    TypeError,
    SyntaxError,
    OSError,
)
"""What openpyxl raises on bytes that are no whole workbook: it has no error of its own for most of them."""


class TableFileError(Exception):
    """A file, or its header, cannot be read. Says what is wrong and the mend; `field` is a column, or "file"."""

    def __init__(self, field: str, reason: str, found: str) -> None:
        self.field = field
        self.reason = reason
        self.shape = found
        super().__init__(f"{field} {reason}")


@dataclass(frozen=True)
class TableRow:
    """One row that is not empty: the line (CSV) or row (XLSX) it ends on, its cells by column, whether it has more."""

    line: int
    cells: dict[str, Any]
    has_more: bool


@dataclass(frozen=True)
class Table:
    """A header in plain names (`allocation_key`), the rows under it, and what was not read."""

    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    notes: tuple[str, ...] = ()


def read_table(name: str, content: bytes, *, one: str, columns: Collection[str]) -> Table:
    """The table that a file holds. Of a workbook the first sheet is read, and the others are told.

    Args:
        name: the file's name; its ending says what it is.
        content: its bytes.
        one: what a line of it is, such as "cost".
        columns: the plain names of the columns that are read from it.

    Raises:
        TableFileError: the bytes are not what the name says, or the header names one of the columns twice.
    """
    if name.lower().endswith(".xlsx"):
        rows, notes = _workbook(content)
    else:
        rows, notes = _text(content), []
    return _table(rows, notes, one, columns)


def plain_name(header: object) -> str:
    """A header as it is matched: "Allocation  Key" is allocation_key."""
    return re.sub(r"[\s_\-]+", "_", str(header).strip().casefold()) if header is not None else ""


def is_empty(cell: object) -> bool:
    """Whether a cell holds nothing, or blanks."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


_Rows = Iterable[tuple[int, Sequence[Any]]]


def _table(rows: _Rows, notes: list[str], one: str, read: Collection[str]) -> Table:
    filled = [(line, cells) for line, cells in rows if not all(map(is_empty, cells))]
    if not filled and notes:
        raise TableFileError("file", f"is empty as far as it is read: {notes[0]}", "no line")
    if not filled:
        raise TableFileError("file", f"is empty; write a header line, and a line for each {one}", "no line")
    columns = [plain_name(cell) for cell in filled[0][1]]
    while columns and not columns[-1]:
        columns.pop()
    # Only names of ours: a file without a header has anybody's words there, which must not be told.
    repeated = [name for name in read if columns.count(name) > 1]
    if repeated:
        raise TableFileError(repeated[0], "stands in the header twice; keep one of the columns", "2 columns")
    found: list[TableRow] = []
    for line, cells in filled[1:]:
        named = {name: cell for name, cell in zip(columns, cells, strict=False) if name}
        found.append(TableRow(line, named, not all(map(is_empty, cells[len(columns) :]))))
    return Table(tuple(name for name in columns if name), tuple(found), tuple(notes))


# ---------------------------------------------------------------- CSV


def _text(content: bytes) -> list[tuple[int, Sequence[Any]]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise TableFileError("file", "is not in UTF-8; save it as CSV UTF-8", f"{len(content)} bytes") from None
    first = next((line for line in text.splitlines() if line.strip()), "")
    told = _EXCEL_SEPARATOR.fullmatch(first)
    delimiter = told[1] if told else max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows: list[tuple[int, Sequence[Any]]] = [(reader.line_num, row) for row in reader]
    except csv.Error:
        raise TableFileError("file", f"is no CSV at line {reader.line_num}; save it as CSV anew", "a line") from None
    return [(line, row) for line, row in rows if not (told and _EXCEL_SEPARATOR.fullmatch(delimiter.join(row)))]


# ---------------------------------------------------------------- XLSX


def _workbook(content: bytes) -> tuple[list[tuple[int, Sequence[Any]]], list[str]]:
    import openpyxl

    try:
        book: Any = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        try:
            sheets: list[Any] = list(book.worksheets)
            if not sheets:
                raise TableFileError("file", "has no sheet; save it as XLSX anew", "a workbook")
            # Some programs state a size that is too small; without it every row is read.
            sheets[0].reset_dimensions()
            rows = [(number, row) for number, row in enumerate(sheets[0].iter_rows(values_only=True), start=1)]
        finally:
            book.close()
    except _NOT_A_WORKBOOK:
        reason = "is no workbook that can be read; save it as XLSX anew, without a password"
        raise TableFileError("file", reason, shape(content)) from None
    more = len(sheets) - 1
    return rows, [f"its first sheet is read, and {more} more are not: keep each in a file of its own"] if more else []


def files_of(place: Path, *, of: str, key: str) -> tuple[list[Path], list[str]]:
    """The files at a path (one file, or a folder of them, by name), and what stands there and is not read.

    Args:
        place: the path.
        of: what the files hold, such as "costs".
        key: the key of the contract that names the path.

    Raises:
        TableFileError: there is nothing at that path, or no such file in the folder.
    """
    if place.is_dir():
        entries = sorted(p for p in place.iterdir() if p.is_file() and not p.name.startswith((".", "~$")))
        files = [p for p in entries if p.suffix.lower() in SUFFIXES]
        if not files:
            reason = f"has no file of {of}; put a .csv or .xlsx there, or mend {key}"
            raise TableFileError("folder", reason, f"{len(entries)} other files")
        return files, [f"{p.name}: is not read; save it as .csv or .xlsx" for p in entries if p not in files]
    if not place.exists():
        raise TableFileError("file", f"is not there; put it in its place, or mend {key}", "nothing")
    if place.suffix.lower() not in SUFFIXES:
        raise TableFileError("file", "is neither .csv nor .xlsx; save it as one of them", "another kind of file")
    return [place], []
