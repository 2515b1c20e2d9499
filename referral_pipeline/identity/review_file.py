"""The pairs to decide as a file: written for a spreadsheet, read back from whatever a spreadsheet makes of it.

Belongs here: columns, separators, and what is wrong with a line by itself. Does not belong here: whether a pair exists
and what the decision does (orchestration.review).

A file is read in every form that the table comes in: commas, semicolons or tabs, with or without a byte order mark, or
the Markdown table of the Dagster UI pasted as it is. Header names may be in any case and with spaces; other columns are
ignored. A bad line is told by its number and field, and the good ones stand. No message repeats what a cell says.

A pair is one line of the file. A quote that is not closed on its line would swallow the decisions below it, so it is
told, and the next line is read for itself.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

REVIEW_FILE: Final = "duplicate_review.csv"
COLUMNS: Final = (
    "left_person_id",
    "right_person_id",
    "score",
    "evidence",
    "proposed_action",
    "state",
    "decision",
    "reason",
)
HOW_TO_DECIDE: Final = (
    "Write merge or distinct and a reason (no names: it is kept for good) into the last two columns of a copy of "
    "`{path}`, which the next refresh writes anew, or beside the preview, pasted into a file. Then:\n\n"
    "    referral-pipeline review import FILE.csv --by YOU@EXAMPLE.COM --dry-run\n"
    "    referral-pipeline review import FILE.csv --by YOU@EXAMPLE.COM\n\n"
    "The next refresh applies it; `referral-pipeline review undo` takes it back."
)
_NEEDED = ("left_person_id", "right_person_id", "decision")
_OTHER_NAMES = {
    "left": "left_person_id",
    "left_person": "left_person_id",
    "right": "right_person_id",
    "right_person": "right_person_id",
}
_DECISIONS = ("merge", "distinct", "")
_RULE = re.compile(r":?-{2,}:?")
_PIPE = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class ReviewLine:
    """One line with a decision: merge or distinct."""

    number: int
    left: str
    right: str
    decision: str
    reason: str


@dataclass(frozen=True)
class LineProblem:
    """What is wrong with a line of the file, and how to mend it."""

    number: int
    field: str
    problem: str
    mend: str

    def __str__(self) -> str:
        return f"line {self.number}, {self.field}: {self.problem}. {self.mend}"


@dataclass(frozen=True)
class ReviewFile:
    """A file as read: lines with a decision, how many had none yet, and the bad ones."""

    lines: tuple[ReviewLine, ...]
    undecided: int
    problems: tuple[LineProblem, ...]


class ReviewFileError(ValueError):
    """A file in which no table can be found; the message says what is missing."""


def write_review_file(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write pairs, with the two columns to decide in, by atomic rename. A column that a row lacks is left empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8", newline="") as handle:
            writer = csv.writer(handle, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows([_text(row.get(name)) for name in COLUMNS] for row in rows)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def read_review_file(content: bytes) -> ReviewFile:
    """Read a file.

    Raises:
        ReviewFileError: no header with the columns that are needed, or no text.
    """
    rows = _rows(_decoded(content))
    header = next(rows)[1] or []
    places = {name: place for place, name in reversed(list(enumerate(header)))}
    lines: list[ReviewLine] = []
    problems: list[LineProblem] = []
    undecided = 0
    for number, cells in rows:
        if cells is None:
            problems.append(
                LineProblem(
                    number,
                    "line",
                    "has a quote that is not closed, or a line break inside a cell, or a cell that is too long",
                    "Write each pair on one line, and a quote inside a quoted cell twice",
                )
            )
            continue
        if [_name(cell) for cell in cells] == header:
            continue  # a second table, pasted below
        values = {name: _cell(cells, places.get(name)) for name in (*_NEEDED, "reason")}
        decision = values["decision"].casefold()
        found = _problem(number, values, decision)
        if found is not None:
            problems.append(found)
        elif not decision:
            undecided += 1
        else:
            lines.append(
                ReviewLine(number, values["left_person_id"], values["right_person_id"], decision, values["reason"])
            )
    return ReviewFile(tuple(lines), undecided, tuple(problems))


def read_pairs(content: bytes) -> set[frozenset[str]]:
    """The person ids of every pair of a file, decided or not; nothing where no table can be found."""
    try:
        rows = list(_rows(_decoded(content)))
    except ReviewFileError:
        return set()
    header = rows[0][1] or []
    places = [header.index(name) for name in ("left_person_id", "right_person_id")]
    return {frozenset(_cell(cells, place) for place in places) for _, cells in rows[1:] if cells is not None}


def _problem(number: int, values: Mapping[str, str], decision: str) -> LineProblem | None:
    if decision not in _DECISIONS:
        return LineProblem(
            number,
            "decision",
            f"is neither merge nor distinct ({len(decision)} characters)",
            "Write merge, distinct, or nothing to leave the pair open",
        )
    if not decision:
        return None
    for name in ("left_person_id", "right_person_id"):
        if not values[name]:
            return LineProblem(number, name, "is empty", "Copy the whole line from the review again")
    if values["left_person_id"] == values["right_person_id"]:
        return LineProblem(number, "right_person_id", "is the left person too", "Copy the line from the review again")
    return None


def _decoded(content: bytes) -> str:
    for mark, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return content.decode(name, "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")  # what spreadsheets write on Windows


def _rows(text: str) -> Iterator[tuple[int, list[str] | None]]:
    """The header, normalised, and then every row with its line number; empty ones left out, unreadable ones None."""
    physical = list(io.StringIO(text, newline=""))  # not splitlines: it breaks at characters that a cell may hold
    for start, line in enumerate(physical):
        mark = next((m for m in "|\t;," if set(_NEEDED) <= set(_header(line, m))), None)
        if mark is None:
            continue
        yield start + 1, _header(line, mark)
        below = physical[start + 1 :]
        yield from _markdown(below, start + 2) if mark == "|" else _separated(below, start + 2, mark)
        return
    raise ReviewFileError(f"no header was found: the file needs the columns {', '.join(_NEEDED)} and a reason")


def _separated(lines: Sequence[str], first: int, mark: str) -> Iterator[tuple[int, list[str] | None]]:
    for number, line in enumerate(lines, start=first):
        cells = _split(line, mark)
        if cells is None or any(cell.strip() for cell in cells):
            yield number, cells


def _split(line: str, mark: str) -> list[str] | None:
    """The cells of one physical line; None when it cannot be one row."""
    try:
        cells = next(csv.reader([line.rstrip("\r\n") + "\n"], delimiter=mark), [])
    except csv.Error:  # a cell beyond the reader's limit
        return None
    return None if any("\n" in cell for cell in cells) else cells


def _markdown(lines: Sequence[str], first: int) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(lines, start=first):
        cells = _pipes(line)
        if any(cells) and not all(_RULE.fullmatch(cell) for cell in cells):
            yield number, cells


def _pipes(line: str) -> list[str]:
    inner = line.strip().removeprefix("|")
    inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
    return [cell.strip().replace("\\|", "|") for cell in _PIPE.split(inner)]


def _header(line: str, mark: str) -> list[str]:
    cells = _pipes(line) if mark == "|" else _split(line, mark)
    return [_name(cell) for cell in cells or ()]


def _name(cell: str) -> str:
    plain = re.sub(r"[\s\-]+", "_", cell.strip().strip("*`\"'").strip().casefold())
    return _OTHER_NAMES.get(plain, plain)


def _cell(cells: Sequence[str], place: int | None) -> str:
    return cells[place].strip().strip("`").strip() if place is not None and place < len(cells) else ""


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
