"""Costs of hiring from files: every line read and converted, or set aside with its field, shape and mend.

Belongs here: which columns a line needs, rules over its cells, conversion, lines that come twice. Does not belong here:
files (cost_table), single cells (cost_cells), spreading over months and channels (mart.cost).

Invariants
1. A line is a cost or is set aside with a reason; no line is dropped in silence, and none is counted twice unseen: a
   line or a file that comes again is told, and counts, because two equal costs may both be true.
2. No amount is guessed: what could be thousands or decimals is set aside.
3. A line is converted once, half to even, to the smallest unit of the reporting currency; what is divided later is
   that amount, so that parts add up to it.
4. Nothing is added to what the files say. Bonuses that were paid are a line of theirs (advocacy, external): the
   pipeline adds none, so that none is counted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar

from referral_pipeline.connectors import cost_cells
from referral_pipeline.connectors.cost_table import (
    COLUMNS,
    REQUIRED,
    CostFileError,
    CostTable,
    TableRow,
    files_of,
    is_empty,
    read_table,
)
from referral_pipeline.connectors.records import RowProblem
from referral_pipeline.connectors.values import shape
from referral_pipeline.contract.sections import Costs
from referral_pipeline.money import decimals_of

ENTITY: Final = "costs"
SYSTEM: Final = "files"
_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True)
class CostLine:
    """One cost as a file states it.

    `channel` is advocacy, shared or another word. `amount_cents` counts the smallest unit of `currency`,
    `reporting_cents` that of the reporting currency, converted with `rate` (as stated; "1" for the same currency).
    `allocation_key` is as written, `basis` hires, applications, even or share, all three only of a shared cost;
    `advocacy_millionths` is advocacy's stated share in millionths.
    """

    file: str
    line: int
    period: str
    first_month: date
    months: int
    channel: str
    kind: str
    amount_cents: int
    currency: str
    reporting_cents: int
    reporting_currency: str
    rate: str
    allocation_key: str | None
    basis: str | None
    advocacy_millionths: int | None
    note: str | None


@dataclass(frozen=True)
class CostsRead:
    """What the files hold: good lines, lines and files set aside, and what somebody should know of the rest.

    `repeated` names each line that is equal to an earlier one; `notes` are sentences, with names of files, columns and
    channels.
    """

    files: tuple[str, ...] = ()
    lines: tuple[CostLine, ...] = ()
    problems: tuple[RowProblem, ...] = ()
    repeated: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_costs(costs: Costs, home: Path) -> CostsRead:
    """Every cost of the contract's files, each read whole. Never raises for a file: what is wrong is in the answer."""
    try:
        paths, ignored = files_of(home / costs.files)
    except CostFileError as error:
        return CostsRead(problems=(_problem(Path(costs.files).name, error),))
    reading = _Reading(costs, notes=list(ignored))
    for path in paths:
        reading.read(path)
    return reading.answer()


class _Reading:
    """The files of one contract, read one after another."""

    def __init__(self, costs: Costs, notes: list[str]) -> None:
        self._costs = costs
        self._rates = {rate.currency: rate.rate for rate in costs.rates}
        self._files: list[str] = []
        self._lines: list[CostLine] = []
        self._problems: list[RowProblem] = []
        self._repeated: list[str] = []
        self._notes = notes
        self._content: dict[str, str] = {}
        self._first: dict[tuple[Any, ...], str] = {}
        self._read_as: dict[str, str] = {}

    def read(self, path: Path) -> None:
        """Take in one file."""
        self._files.append(path.name)
        try:
            content = path.read_bytes()
            table = read_table(path.name, content)
            self._needed(table)
        except CostFileError as error:
            self._problems.append(_problem(path.name, error))
            return
        except OSError as error:
            unreadable = CostFileError("file", f"cannot be read ({error.strerror}); mend its permissions", "a file")
            self._problems.append(_problem(path.name, unreadable))
            return
        self._notes += [f"{path.name}: {note}" for note in table.notes]
        unknown = [name for name in table.columns if name not in COLUMNS]
        if unknown:
            self._notes.append(f"{path.name}: of its columns {len(unknown)} are not known and not read")
        twin = self._content.setdefault(sha256(content).hexdigest(), path.name)
        if twin != path.name:
            self._notes.append(f"{path.name}: is the same file as {twin}; every line of it counts twice, remove one")
        for row in table.rows:
            self._row(path.name, row, is_twin=twin != path.name)

    def answer(self) -> CostsRead:
        """What was found in all of them."""
        return CostsRead(
            files=tuple(self._files),
            lines=tuple(self._lines),
            problems=tuple(self._problems),
            repeated=tuple(self._repeated),
            notes=(*self._notes, *(f"{word}: is read as {channel}" for word, channel in self._read_as.items())),
        )

    @staticmethod
    def _needed(table: CostTable) -> None:
        missing = [name for name in REQUIRED if name not in table.columns]
        if missing:
            raise CostFileError(
                missing[0],
                f"is no column of the file; write {', '.join(missing)} into the header",
                f"a header of {len(table.columns)} columns",
            )

    def _row(self, file: str, row: TableRow, *, is_twin: bool) -> None:
        where = f"{file}:{row.line}"
        cells = _Cells(row)
        line = self._line(file, row.line, cells)
        if line is None:
            self._problems += [RowProblem(SYSTEM, ENTITY, where, *found) for found in cells.problems]
            return
        self._lines.append(line)
        key = (line.first_month, line.months, line.channel, line.kind, line.amount_cents, line.currency, line.note)
        first = self._first.setdefault(key, where)
        if first != where and not is_twin:
            self._repeated.append(f"{where} is the same cost as {first}")

    def _line(self, file: str, number: int, cells: _Cells) -> CostLine | None:
        if cells.row.has_more:
            cells.refuse("line", "has more cells than the header; look for a separator inside a cell", "a longer line")
        period = cells.read("period", cost_cells.period)
        channel = cells.read("channel", cost_cells.channel)
        if channel is not None and (word := cost_cells.channel_word(cells.row.cells["channel"])) != channel:
            self._read_as.setdefault(word, channel)
        kind = cells.read("kind", cost_cells.kind)
        currency = cells.read("currency", cost_cells.currency)
        amount = cells.read("amount", lambda cell: cost_cells.amount(cell, currency or self._costs.currency))
        allocation = cells.optional("allocation_key", cost_cells.allocation)
        if channel == cost_cells.SHARED and allocation is None and cells.is_empty("allocation_key"):
            reason = "is empty, and a shared cost needs it; write hires, applications, even or advocacy=30%"
            cells.refuse("allocation_key", reason, "nothing")
        if channel not in {None, cost_cells.SHARED} and allocation is not None:
            reason = "is for shared costs only; empty it, or write shared as the channel"
            cells.refuse("allocation_key", reason, cells.shape("allocation_key"))
        rate = Decimal(1) if currency == self._costs.currency else self._rates.get(currency or "")
        if currency is not None and rate is None:
            reason = f"has no rate in the contract; add one to costs.rates, to {self._costs.currency}"
            cells.refuse("currency", reason, cells.shape("currency"))
        if cells.problems or period is None or channel is None or kind is None or currency is None:
            return None
        if amount is None or rate is None:
            return None
        reporting = converted(amount, currency, self._costs.currency, rate)
        if abs(reporting) > cost_cells.MOST_CENTS:
            cells.refuse("amount", "is larger than any cost of hiring; look at its decimals", cells.shape("amount"))
            return None
        return CostLine(
            file=file,
            line=number,
            period=period.name,
            first_month=period.first_month,
            months=period.months,
            channel=channel,
            kind=kind,
            amount_cents=amount,
            currency=currency,
            reporting_cents=reporting,
            reporting_currency=self._costs.currency,
            rate=format(rate, "f"),
            allocation_key=allocation.name if allocation else None,
            basis=allocation.basis if allocation else None,
            advocacy_millionths=allocation.advocacy_millionths if allocation else None,
            note=cost_cells.note(cells.row.cells.get("note")),
        )


def converted(cents: int, currency: str, reporting_currency: str, rate: Decimal) -> int:
    """An amount in the smallest unit of the reporting currency, rounded once, half to even.

    Args:
        cents: in the smallest unit of `currency` (1000 are 1000 JPY, and 10.00 USD).
        currency: what it is in.
        reporting_currency: what it is wanted in.
        rate: what one whole unit of `currency` is worth in whole units of `reporting_currency`.
    """
    shift = decimals_of(reporting_currency) - decimals_of(currency)
    exact = _EXACT.scaleb(_EXACT.multiply(Decimal(cents), rate), shift)
    return int(exact.to_integral_value(rounding=ROUND_HALF_EVEN, context=_EXACT))


_Value = TypeVar("_Value")


class _Cells:
    """The cells of one row, read one by one; what cannot be read is noted."""

    def __init__(self, row: TableRow) -> None:
        self.row = row
        self.problems: list[tuple[str, str, str]] = []

    def is_empty(self, column: str) -> bool:
        return is_empty(self.row.cells.get(column))

    def shape(self, column: str) -> str:
        return shape(self.row.cells.get(column))

    def refuse(self, column: str, reason: str, found: str) -> None:
        self.problems.append((column, reason, found))

    def read(self, column: str, reader: Callable[[object], _Value]) -> _Value | None:
        if self.is_empty(column):
            self.refuse(column, "is empty; fill it in", self.shape(column))
            return None
        return self.optional(column, reader)

    def optional(self, column: str, reader: Callable[[object], _Value]) -> _Value | None:
        if self.is_empty(column):
            return None
        try:
            return reader(self.row.cells[column])
        except ValueError as error:
            self.refuse(column, str(error), self.shape(column))
            return None


def _problem(name: str, error: CostFileError) -> RowProblem:
    return RowProblem(SYSTEM, ENTITY, name, error.field, error.reason, error.shape)


def problem_lines(problems: Iterable[RowProblem], *, most: int = 10) -> Iterator[tuple[str, str, str]]:
    """Problems as (field, reason, where), equal ones together, for people to act on."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for problem in problems:
        grouped.setdefault((problem.field, problem.reason), []).append(problem.record_id)
    for (field, reason), places in grouped.items():
        more = f" and {len(places) - most} more" if len(places) > most else ""
        yield field, reason, ", ".join(places[:most]) + more


def other_channels(lines: Iterable[CostLine], *, most: int = 20) -> str:
    """The words that count as other channels, in order: one that means advocacy must not hide among them."""
    words = sorted({line.channel for line in lines} - {cost_cells.ADVOCACY, cost_cells.SHARED})
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def money_by_channel(lines: Iterable[CostLine]) -> Mapping[str, int]:
    """The sum of each channel's lines, in the smallest unit of the reporting currency."""
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.channel] = sums.get(line.channel, 0) + line.reporting_cents
    return dict(sorted(sums.items()))
