"""A number on its way to a reader: the full value, its unit, how it is written, and which row it is.

Belongs here: the records that HTML and XLSX are both made from. Does not belong here: wording of units (`words`),
reading tables (`marts`), drawing.

What is shown is rounded, what travels beside it is not: the page carries each value in `data-value`, the workbook in
the cell, so that all of them can be compared with `mart.kpi`.
"""

from __future__ import annotations

from dataclasses import dataclass

from referral_pipeline.reports.words import figure, spread, whole


@dataclass(frozen=True)
class Figure:
    """One number. `value` is null where it is not known; `key` names its row and column in `mart.kpi`, if it has one.

    `unit` is ratio, days, s, currency, smallest (the smallest unit of the currency) or count.
    """

    value: float | int | None
    unit: str
    text: str
    key: str | None = None


@dataclass(frozen=True)
class Interval:
    """The 95 % interval of a number, and its words."""

    low: Figure
    high: Figure
    text: str

    def holds(self, value: float) -> bool:
        """Whether a value lies in it."""
        low, high = self.low.value, self.high.value
        return low is not None and high is not None and low <= value <= high


@dataclass(frozen=True)
class Basis:
    """What a number was counted from: "41 of 620 applications"; without `numerator`, "from 9 hires"."""

    numerator: Figure | None
    denominator: Figure
    counted: str
    before: str = ""
    after: str = ""

    @property
    def text(self) -> str:
        """All of it as one text."""
        top = f"{self.numerator.text} of " if self.numerator else ""
        return " ".join(f"{self.before} {top}{self.denominator.text} {self.counted} {self.after}".split())


def count(value: float | int | None, key: str | None = None) -> Figure:
    """A count; whole numbers stay whole."""
    exact = int(value) if value is not None and float(value).is_integer() else value
    return Figure(exact, "count", whole(value), key)


def measured(value: float | int | None, unit: str, currency: str = "", key: str | None = None) -> Figure:
    """A number with its unit."""
    return Figure(value, unit, figure(value, unit, currency), key)


def interval(
    low: float | None, high: float | None, unit: str, currency: str = "", key: str | None = None
) -> Interval | None:
    """An interval, when both ends are known."""
    if low is None or high is None:
        return None
    return Interval(
        measured(low, unit, currency, None if key is None else f"{key}#ci_low"),
        measured(high, unit, currency, None if key is None else f"{key}#ci_high"),
        spread(low, high, unit, currency),
    )
