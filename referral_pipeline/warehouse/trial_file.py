"""Reading an export of candidates: good rows go on, bad ones are set aside and told without showing them.

Belongs here: the CSV as people export it (delimiter, byte order mark, quotes), and what makes a row unusable. Does not
belong here: what its values mean (canonical, names), resolution (trial).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TextIO

from referral_pipeline.identity.canonical import shape_of

COLUMNS: Final = ("record_id", "first_name", "last_name", "email", "phone", "country")
"""What is read; only record_id must be there."""

_DELIMITERS = ",;\t"
_RESERVED = frozenset({"person_id", "email_keys", "phone_keys"})
_LONGEST_FIELD = 131_072
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula. Ids go into files that people open in one, and must stay as
they are to be joined with, so none is written that begins so."""


class TrialError(Exception):
    """The file or a choice cannot be used; the message says what to mend, and holds no value of a row."""


@dataclass(frozen=True)
class Rejected:
    """A row set aside: where it starts, and why, in words that show none of it."""

    line: int
    reason: str


@dataclass
class Export:
    """An open export: its header, and what reading it set aside so far."""

    stream: TextIO
    delimiter: str
    names: tuple[str, ...]
    places: dict[str, int]
    missing: tuple[str, ...]
    first_line: int
    rejected: list[Rejected] = field(default_factory=list[Rejected])

    def rows(self) -> Iterator[tuple[str | None, ...]]:
        """The good rows: the values of `COLUMNS` and of the columns to compare, blank ones None. Read once."""
        seen: set[str] = set()
        for line, row in self._parsed():
            wrong = self._problem(row, seen)
            if wrong is not None:
                self.rejected.append(Rejected(line, wrong))
                continue
            values = tuple(
                (row[place].strip() or None) if (place := self.places.get(name)) is not None else None
                for name in self.names
            )
            assert values[0] is not None
            seen.add(values[0])
            yield values

    def _problem(self, row: Sequence[str], seen: set[str]) -> str | None:
        width = self.places["*"]
        if len(row) != width:
            return f"it has {len(row)} fields, the header {width}"
        for value in row:
            if "\0" in value:
                return "a field holds a NUL character"
            if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
                return "a field is not UTF-8"
        record_id = row[self.places["record_id"]]
        if not record_id.strip():
            return f"record_id is {shape_of(record_id)}"
        if record_id.lstrip(" ").startswith(_FORMULAS) or record_id.strip().startswith(_FORMULAS):
            return (
                "record_id begins with =, +, -, @, a tab or a carriage return, as a formula does, which a spreadsheet "
                "would run; give an id that begins otherwise, n5 in place of -5"
            )
        return "record_id came before" if record_id.strip() in seen else None

    def _parsed(self) -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(self.stream, delimiter=self.delimiter, strict=True)
        while True:
            line = self.first_line + reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:
                # Without its cause. The reader goes on with the next line, so that one stray quote costs one row.
                self.rejected.append(Rejected(line, "its quotation marks do not pair up"))
                continue
            if row:
                yield line, row


def open_export(stream: TextIO, *, compare: Sequence[str]) -> Export:
    """Read the header.

    Raises:
        TrialError: there is no header or no record_id, a column comes twice, or one to compare is not there.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    head = stream.readline()
    if not head.strip():
        raise TrialError("the file is empty: its first line must name the columns, among them record_id")
    delimiter = max(_DELIMITERS, key=head.count)
    header = [name.strip() for name in next(csv.reader([head], delimiter=delimiter))]
    lowered = [name.lower() for name in header]
    if "record_id" not in lowered:
        raise TrialError(
            f"no column is called record_id among the {len(header)} of the first line: name the columns "
            f"{', '.join(COLUMNS)}, separated by comma, semicolon or tab"
        )
    twice = sorted({name for name in lowered if name and lowered.count(name) > 1})
    if twice:
        raise TrialError(f"column {twice[0]} comes twice: rename or remove one")
    for name in compare:
        if name.lower() not in lowered:
            raise TrialError(f"--compare {name}: the file has no such column; it has {', '.join(header)}")
        if name.lower() in COLUMNS or name.lower() in _RESERVED:
            raise TrialError(f"--compare {name}: that column is used already; give another, or rename it in the file")
    if len({name.lower() for name in compare}) < len(compare):
        raise TrialError("a column is given to --compare twice")
    names = (*COLUMNS, *compare)
    places = {name: lowered.index(name.lower()) for name in names if name.lower() in lowered}
    missing = tuple(name for name in COLUMNS if name not in places)
    return Export(stream, delimiter, names, {**places, "*": len(header)}, missing, first_line=1)


def open_text(path: Path) -> TextIO:
    """The file as text; bytes that are no UTF-8 come through as surrogates, which `Export.rows` sets aside."""
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
