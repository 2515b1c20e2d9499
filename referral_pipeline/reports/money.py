"""What a hire costs, and what the programme returns.

Belongs here: the rows of cost_per_hire and roi, put side by side. Does not belong here: computing them (`kpis`),
reading (`marts`), drawing (`charts`).

As in `mart.kpi`, a value is in whole units of the reporting currency and a numerator in its smallest one.

Sums of money are totals, not a sample: no interval says how sure they are, and the next hire may turn them round. So it
is only told which is lower in these figures, with the number of hires beside it, and under five hires not even that.
"""

from __future__ import annotations

from dataclasses import dataclass

from referral_pipeline.kpis.statistics import FEWEST_TO_COMPARE
from referral_pipeline.reports.figures import Figure, count, measured
from referral_pipeline.reports.marts import KpiRow, Kpis
from referral_pipeline.reports.periods import Quarter
from referral_pipeline.reports.words import MATURITY_WORDS, UNKNOWN

_SHOWN_QUARTERS = 6
SUMS = frozenset({"cost_per_hire", "roi"})
"""The KPIs that are made of totals."""


@dataclass(frozen=True)
class Hires:
    """The hires that a sum of money was divided by: of each channel, or of all together. None where not known."""

    counts: tuple[int | None, ...]
    words: str

    @property
    def are_enough(self) -> bool:
        """Whether there are so many of each that their costs are compared at all."""
        return all(count is not None and count >= FEWEST_TO_COMPARE for count in self.counts)


def hires_behind(row: KpiRow, kpis: Kpis) -> Hires:
    """The hires behind a row of cost per hire or of the return, which compares those of two channels."""
    if row.kpi != "roi":
        return _hires(row)
    return _both(*(kpis.beside(row, "scope", f"{channel}_cost_per_hire") for channel in _CHANNEL_LABELS))


def _both(own: KpiRow | None, others: KpiRow | None) -> Hires:
    through, elsewhere = _hires(own), _hires(others)
    return Hires(
        (*through.counts, *elsewhere.counts), f"{through.words} through advocates, {elsewhere.words} elsewhere"
    )


def _hires(row: KpiRow | None) -> Hires:
    counted = None if row is None or row.denominator is None else int(row.denominator)
    if counted is None:
        return Hires((None,), f"hires {UNKNOWN}")
    return Hires((counted,), f"{counted:,} {'hire' if counted == 1 else 'hires'}")


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
    words: str
    """Which channel's hires cost less to date."""


@dataclass(frozen=True)
class RoiQuarter:
    """The return of one quarter with the hires behind it; `state` says why there is none."""

    name: str
    value: Figure
    hires: str
    state: str | None


@dataclass(frozen=True)
class Roi:
    """The return with its inputs; an input that is missing is not known yet, and so is the return."""

    value: Figure
    other_cost_per_hire: Figure
    advocacy_cost_per_hire: Figure
    advocacy_hires: Figure
    programme_cost: Figure
    words: str
    quarters: tuple[RoiQuarter, ...]


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
    return Costs(tuple(periods), currency, _cheaper(kpis)) if periods else None


def _cheaper(kpis: Kpis) -> str:
    """Which channel's hires cost less, over the months of which both have costs on record."""
    own, others = (kpis.total("cost_per_hire", "channel", channel) for channel in _CHANNEL_LABELS)
    together = kpis.total("cost_per_hire")
    if own is None or others is None or not (own.is_known and others.is_known):
        return f"Which channel costs less is {UNKNOWN}."
    assert own.value is not None
    assert others.value is not None
    if together is None or together.numerator != (own.numerator or 0) + (others.numerator or 0):
        return f"Which channel costs less is {UNKNOWN}: their costs are of different months."
    hires = _both(own, others)
    if not hires.are_enough:
        return f"Too few hires to compare the channels: {hires.words}."
    if own.value == others.value:
        return f"In these figures a hire costs the same in both channels: {hires.words}."
    word = "less" if own.value < others.value else "more"
    return f"In these figures a hire through advocates costs {word}: {hires.words}."


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
        words=_words(value.value, hires_behind(row, kpis)),
        quarters=tuple(
            RoiQuarter(one.quarter.name, one.figure(), hires_behind(one, kpis).words, _state(one))
            for one in reversed(kpis.quarters("roi"))
            if one.quarter
        )[:_SHOWN_QUARTERS],
    )


def _words(value: float | None, hires: Hires) -> str:
    if value is None:
        return "The return is not known yet: one of its inputs is missing."
    if not hires.are_enough:
        return f"Too few hires to say what the programme returns: {hires.words}."
    return f"In these figures hires through advocates {_what_they_cost(value)}: {hires.words}."


def _what_they_cost(value: float) -> str:
    if value < 0:
        return "cost more than hires through other channels"
    if value == 0:
        return "cost as much as hires through other channels"
    if value < 1:
        return "cost less, and the saving covers a part of what the programme cost"
    if value == 1:
        return "cost less, and the saving is as much as the programme cost"
    return "cost less, and the saving is more than the programme cost"
