"""What a hire costs, and what the programme returns.

Belongs here: the rows of cost_per_hire and roi, put side by side. Does not belong here: computing them (`kpis`),
reading (`marts`), drawing (`charts`).

As in `mart.kpi`, a value is in whole units of the reporting currency and a numerator in its smallest one.
"""

from __future__ import annotations

from dataclasses import dataclass

from referral_pipeline.reports.figures import Figure, count, measured
from referral_pipeline.reports.marts import KpiRow, Kpis
from referral_pipeline.reports.periods import Quarter
from referral_pipeline.reports.words import MATURITY_WORDS, UNKNOWN

_SHOWN_QUARTERS = 6


@dataclass(frozen=True)
class ChannelCost:
    """Cost per hire of one channel in one period; `state` says why there is none."""

    channel: str
    value: Figure
    amount: Figure
    hires: Figure
    state: str | None


@dataclass(frozen=True)
class CostPeriod:
    """One row of the table of costs; `quarter` is None for all time."""

    label: str
    quarter: Quarter | None
    channels: tuple[ChannelCost, ...]


@dataclass(frozen=True)
class Costs:
    """Cost per hire by channel: all time first, then the last quarters, the newest first."""

    periods: tuple[CostPeriod, ...]
    currency: str


@dataclass(frozen=True)
class Roi:
    """The return with its inputs; an input that is missing is not known yet, and so is the return."""

    value: Figure
    other_cost_per_hire: Figure
    advocacy_cost_per_hire: Figure
    advocacy_hires: Figure
    programme_cost: Figure
    words: str
    quarters: tuple[tuple[str, Figure, str | None], ...]


_CHANNEL_LABELS = {"advocacy": "Advocates", "other": "Other channels"}


def costs(kpis: Kpis, currency: str) -> Costs | None:
    """None when no cost per hire was computed."""
    name = "cost_per_hire"
    periods: list[CostPeriod] = []
    total = tuple(
        _channel_cost(label, row)
        for channel, label in _CHANNEL_LABELS.items()
        if (row := kpis.total(name, "channel", channel)) is not None
    )
    if total:
        periods.append(CostPeriod("To date", None, total))
    quarters = {row.quarter for channel in _CHANNEL_LABELS for row in kpis.quarters(name, "channel", channel)}
    for quarter in sorted((one for one in quarters if one is not None), reverse=True)[:_SHOWN_QUARTERS]:
        rows = ((label, kpis.of(name, quarter, "channel", channel)) for channel, label in _CHANNEL_LABELS.items())
        found = tuple(_channel_cost(label, row) for label, row in rows if row is not None)
        periods.append(CostPeriod(quarter.name, quarter, found))
    return Costs(tuple(periods), currency) if periods else None


def _channel_cost(label: str, row: KpiRow) -> ChannelCost:
    return ChannelCost(
        channel=label,
        value=row.figure(),
        amount=row.counted("numerator", "smallest"),
        hires=row.counted("denominator"),
        state=_state(row),
    )


def _state(row: KpiRow) -> str | None:
    """Of money, unlike of applications: a period is young while costs or hires may still be added to it."""
    if row.is_known:
        return None
    if row.maturity == "immature":
        return "Not complete yet"
    return "No hires or no costs" if row.maturity == "insufficient" else MATURITY_WORDS.get(row.maturity or "", UNKNOWN)


def roi(kpis: Kpis, currency: str) -> Roi | None:
    """None when it was never computed."""
    row = kpis.total("roi")
    if row is None:
        return None

    def amount(segment: str) -> Figure:
        found = kpis.total("roi", "scope", segment)
        key = f"{found.key}#value" if found else None
        return measured(found.value if found else None, "currency", currency, key)

    hires = kpis.total("roi", "scope", "advocacy_hires")
    value = row.figure()
    return Roi(
        value=value,
        other_cost_per_hire=amount("other_cost_per_hire"),
        advocacy_cost_per_hire=amount("advocacy_cost_per_hire"),
        advocacy_hires=count(hires.value if hires else None, f"{hires.key}#value" if hires else None),
        programme_cost=amount("programme_cost"),
        words=_words(value.value),
        quarters=tuple(
            (one.quarter.name, one.figure(), _state(one)) for one in reversed(kpis.quarters("roi")) if one.quarter
        )[:_SHOWN_QUARTERS],
    )


def _words(value: float | None) -> str:
    if value is None:
        return "The return is not known yet: one of its inputs is missing."
    if value < 0:
        return "Hires through advocates cost more than hires through other channels."
    if value == 0:
        return "Hires through advocates cost as much as hires through other channels."
    if value < 1:
        return "Hires through advocates cost less, and the saving covers a part of what the programme cost."
    if value == 1:
        return "Hires through advocates cost less, and the saving is as much as the programme cost."
    return "Hires through advocates cost less, and the saving is more than the programme cost."
