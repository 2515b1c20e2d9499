"""From share to hire: the funnel, how long hiring takes, which campaigns bring hires, who takes part.

Belongs here: the rows behind these parts of the report, put side by side. Does not belong here: reading (`marts`),
targets and quarters (`headlines`), money (`money`), drawing (`charts`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from referral_pipeline.kpis.statistics import differs
from referral_pipeline.reports.figures import Basis, Figure, Interval, count, interval, measured
from referral_pipeline.reports.headlines import QuarterFigure, quarter_figures
from referral_pipeline.reports.marts import CurvePoint, KpiRow, Kpis
from referral_pipeline.reports.words import MATURITY_WORDS, UNKNOWN, Verdict, kpi_words

CHANNELS: Mapping[str, str] = {"advocacy": "Advocates", "other": "Other channels"}

_STEP_AFTER = {
    "shares": "share_to_click_rate",
    "clicks": "click_to_apply_rate",
    "applications": "apply_to_interview_rate",
    "interviews": "interview_to_offer_rate",
    "offers": "offer_to_hire_rate",
}
_CURVE_DAYS = (30, 60, 90, 120, 180)


@dataclass(frozen=True)
class Rate:
    """A rate with what it stands on. `state` says why there is none; `others` is the same rate of other channels."""

    label: str
    value: Figure
    interval: Interval | None
    basis: Basis | None
    state: str | None
    others: Figure | None


@dataclass(frozen=True)
class Step:
    """A stage of the funnel: how many reached it at any time, and which part goes on to the next one.

    `way` names the step to the next stage.
    """

    label: str
    way: str
    count: Figure
    goes_on: Rate | None


@dataclass(frozen=True)
class ChannelTime:
    """Days from application to accepted offer in one channel: quartiles, and how long the slowest tenth takes."""

    label: str
    hires: Figure
    median: Figure
    interval: Interval | None
    p25: Figure
    p75: Figure
    p90: Figure
    state: str | None


@dataclass(frozen=True)
class CurveDay:
    """The chance of a hire by a day, for each channel; None where a channel has no curve."""

    day: int
    by_channel: tuple[tuple[str, Figure, Interval | None], ...]


@dataclass(frozen=True)
class TimeToHire:
    """How long hiring takes, through advocates and elsewhere."""

    channels: tuple[ChannelTime, ...]
    difference: Figure | None
    difference_interval: Interval | None
    difference_words: str
    curve: tuple[CurvePoint, ...]
    days: tuple[CurveDay, ...]


@dataclass(frozen=True)
class Campaign:
    """A campaign by its hires. `against_all` says how its rate stands to that of the rest.

    `hires` are those in the rate: within the horizon, of applications that are as old. Of a young campaign none is in
    it yet, and how many it has so far is no part of any rate.
    """

    name: str
    hires: Figure
    rate: Rate
    against_all: Verdict


@dataclass(frozen=True)
class Participation:
    """Who takes part, over all time and by quarter."""

    total: Rate | None
    quarters: tuple[QuarterFigure, ...]


# ---------------------------------------------------------------- funnel


def funnel(stages: Mapping[str, int | None], kpis: Kpis) -> tuple[Step, ...]:
    """The stages in their order.

    The rates are those of `mart.kpi`, which leave young cohorts out: dividing one count by the other would not.
    """
    names = [stage.replace("_", " ") for stage in stages]
    return tuple(
        Step(name.capitalize(), f"{name.capitalize()} to {after}", count(units), _rate(kpis, _STEP_AFTER.get(stage)))
        for name, after, (stage, units) in zip(names, [*names[1:], ""], stages.items(), strict=False)
    )


def _rate(kpis: Kpis, name: str | None) -> Rate | None:
    if name is None:
        return None
    row = kpis.total(name)
    if row is None:
        return Rate(kpi_words(name).label, measured(None, "ratio"), None, None, None, None)
    other = kpis.total(name, "channel", "other")
    return rate_of(row, other=other)


def rate_of(row: KpiRow, *, other: KpiRow | None = None) -> Rate:
    """A row as a rate."""
    return Rate(
        label=kpi_words(row.kpi).label,
        value=row.figure(),
        interval=row.interval(),
        basis=row.basis(),
        state=None if row.is_known else MATURITY_WORDS.get(row.maturity or "", UNKNOWN.capitalize()),
        others=other.figure() if other is not None and other.is_known else None,
    )


# ---------------------------------------------------------------- time to hire


def time_to_hire(kpis: Kpis, curve: Sequence[CurvePoint]) -> TimeToHire | None:
    """None when neither a median nor a curve is there."""
    channels = tuple(
        found for channel, label in CHANNELS.items() if (found := _channel_time(kpis, channel, label)) is not None
    )
    if not channels and not curve:
        return None
    row = kpis.total("time_to_hire_difference_days")
    return TimeToHire(
        channels=channels,
        difference=row.figure() if row else None,
        difference_interval=row.interval() if row else None,
        difference_words=_difference_words(row),
        curve=tuple(curve),
        days=tuple(_curve_day(day, curve) for day in _CURVE_DAYS if any(point.day == day for point in curve)),
    )


def _channel_time(kpis: Kpis, channel: str, label: str) -> ChannelTime | None:
    name = "time_to_hire_days"
    rows = {suffix: kpis.total(f"{name}{suffix}", "channel", channel) for suffix in ("", "_p25", "_p75", "_p90")}
    median = rows[""]
    if median is None:
        return None
    p25, p75, p90 = (
        row.figure() if (row := rows[suffix]) is not None else measured(None, "days")
        for suffix in ("_p25", "_p75", "_p90")
    )
    return ChannelTime(
        label=label,
        hires=median.counted("denominator"),
        median=median.figure(),
        interval=median.interval(),
        p25=p25,
        p75=p75,
        p90=p90,
        state=None if median.is_known else MATURITY_WORDS.get(median.maturity or "", UNKNOWN.capitalize()),
    )


def _difference_words(row: KpiRow | None) -> str:
    """What the difference means, without the number, which stands beside it."""
    if row is None or row.value is None or not row.is_known:
        return "Whether advocates or other channels are quicker is not known yet."
    if row.ci_low is None or row.ci_high is None:
        return "Too few hires to say how sure that is."
    if row.ci_low <= 0 <= row.ci_high:
        return "That could be chance: the likely range includes no difference."
    return "Hiring through advocates is quicker." if row.value < 0 else "Hiring through advocates is slower."


def _curve_day(day: int, curve: Sequence[CurvePoint]) -> CurveDay:
    points = {point.channel: point for point in curve if point.day == day}
    return CurveDay(
        day,
        tuple(
            (
                label,
                measured(point.probability, "ratio"),
                interval(point.ci_low, point.ci_high, "ratio"),
            )
            for channel, label in CHANNELS.items()
            if (point := points.get(channel)) is not None
        ),
    )


# ---------------------------------------------------------------- campaigns and advocates


def campaigns(rows: Sequence[KpiRow], kpis: Kpis) -> tuple[Campaign, ...]:
    """The campaigns in the order read, each against the applications of the advocacy channel that are not its own."""
    overall = kpis.total("referral_conversion_rate")
    return tuple(
        Campaign(
            name=row.segment,
            hires=row.counted("numerator") if row.is_known else count(None),
            rate=rate_of(row),
            against_all=_against(row, overall, looks=len(rows)),
        )
        for row in rows
    )


def _against(row: KpiRow, overall: KpiRow | None, *, looks: int) -> Verdict:
    """A campaign against the applications of all others, told apart only where ten equal campaigns would not be."""
    if not row.is_known:
        return Verdict("open", MATURITY_WORDS.get(row.maturity or "", UNKNOWN.capitalize()))
    if overall is None or not overall.is_known:
        return Verdict("open", "Nothing to compare with")
    hits, units = int(row.numerator or 0), int(row.denominator or 0)
    other_hits, other_units = int(overall.numerator or 0) - hits, int(overall.denominator or 0) - units
    if not units or not 0 <= other_hits <= other_units or not other_units:
        return Verdict("open", "Nothing to compare with")
    if not differs(hits, units, other_hits, other_units, looks=looks):
        return Verdict("near", "Could be chance")
    is_above = hits * other_units > other_hits * units
    return Verdict("met", "Above the rest") if is_above else Verdict("missed", "Below the rest")


def participation(kpis: Kpis) -> Participation | None:
    """None when it was never counted."""
    name = "advocate_participation_rate"
    row, quarters = kpis.total(name), quarter_figures(name, kpis)
    return None if row is None and not quarters else Participation(rate_of(row) if row else None, quarters)
