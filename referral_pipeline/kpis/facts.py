"""The facts of a KPI as columns, and their groups: every period and segment that they are shown for.

Belongs here: reading facts out of DuckDB as arrays, and putting them in the order of their groups, without an object
per row. Does not belong here: which facts (sql), what is made of a group (rows).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from referral_pipeline.kpis.statistics import Whole

PERIODS = ("all", "quarter", "month")


@dataclass(frozen=True)
class Facts:
    """Columns of one table of facts, equally long.

    `month` counts months since January 1970, in UTC; `segments` has, by kind, a number for each row (-1 for none) and
    what each number stands for.
    """

    month: Whole
    numbers: dict[str, NDArray[Any]]
    segments: dict[str, tuple[Whole, list[str]]]

    def __len__(self) -> int:
        return len(self.month)


@dataclass(frozen=True)
class Grouping:
    """The groups of one kind of period and of segment. No group is empty.

    `order` are positions of facts, group after group; inside a group they keep the order of the facts.
    """

    period_kind: str
    segment_kind: str
    period_start: NDArray[np.datetime64]
    """The first day of the period of each group; NaT for all time."""
    segment: NDArray[Any]
    """Texts."""
    order: Whole
    counts: Whole

    @property
    def starts(self) -> Whole:
        """Where each group begins in `order`."""
        return np.cumsum(self.counts) - self.counts

    def only(self, wanted: NDArray[np.bool_]) -> Grouping:
        """The groups that are wanted, of which there may be none; `wanted` has a word for each."""
        return Grouping(
            period_kind=self.period_kind,
            segment_kind=self.segment_kind,
            period_start=self.period_start[wanted],
            segment=self.segment[wanted],
            order=self.order[np.repeat(wanted, self.counts)],
            counts=self.counts[wanted],
        )

    def sums(self, values: NDArray[Any]) -> Whole:
        """The sum of a column of the facts in each group."""
        return np.add.reduceat(values[self.order].astype(np.int64), self.starts)

    def split(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """A column of the facts, group by group."""
        return np.split(values[self.order], self.starts[1:])


def read_facts(table: Any, *, numbers: Sequence[str], segments: Sequence[str], time: str = "cohort_at") -> Facts:
    """Take columns out of an answer of DuckDB.

    Args:
        table: the answer; rows without a time are in no month and no quarter.
        numbers: numeric and boolean columns without nulls.
        segments: text columns.
        time: the column that says which period a fact is of.
    """
    moments = table.column(time).to_numpy().astype("datetime64[us]")
    months = moments.astype("datetime64[M]").astype(np.int64)
    return Facts(
        month=np.where(np.isnat(moments), -1, months),
        numbers={name: table.column(name).to_numpy() for name in numbers},
        segments={name: _coded(table.column(name)) for name in segments},
    )


def _coded(column: Any) -> tuple[Whole, list[str]]:
    coded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    return coded.indices.fill_null(-1).to_numpy().astype(np.int64), coded.dictionary.to_pylist()


def groupings(facts: Facts, segment_kinds: Sequence[str]) -> Iterator[Grouping]:
    """The groups of every period, for all facts together (kind `all`) and for each kind of segment."""
    for period_kind in PERIODS:
        period = _period(facts.month, period_kind)
        for kind in segment_kinds:
            found = _grouping(period, period_kind, kind, *_segment(facts, kind))
            if found is not None:
                yield found


def _segment(facts: Facts, kind: str) -> tuple[Whole, list[str]]:
    return facts.segments[kind] if kind != "all" else (np.zeros(len(facts), dtype=np.int64), ["all"])


def _period(month: Whole, kind: str) -> Whole:
    if kind == "all":
        return np.zeros(len(month), dtype=np.int64)
    return month if kind == "month" else np.where(month < 0, -1, month // 3)


def _grouping(period: Whole, period_kind: str, kind: str, code: Whole, names: list[str]) -> Grouping | None:
    is_in = (period >= 0) & (code >= 0)
    positions = np.flatnonzero(is_in)
    if not len(positions):
        return None
    group = period[positions] * len(names) + code[positions]
    sorting = np.argsort(group, kind="stable")
    groups, counts = np.unique(group[sorting], return_counts=True)
    return Grouping(
        period_kind=period_kind,
        segment_kind=kind,
        period_start=_first_days(groups // len(names), period_kind),
        segment=np.array(names, dtype=object)[groups % len(names)],
        order=positions[sorting],
        counts=counts.astype(np.int64),
    )


def _first_days(period: Whole, kind: str) -> NDArray[np.datetime64]:
    if kind == "all":
        return np.full(len(period), np.datetime64("NaT"), dtype="datetime64[D]")
    return (period * (3 if kind == "quarter" else 1)).astype("datetime64[M]").astype("datetime64[D]")
