"""Numbers against their targets, and by quarter.

Belongs here: which rows are put side by side, and the verdict on each pair. Does not belong here: reading
(`marts`), wording of verdicts on targets (`words`), what changed (`changes`), the other parts of the page.

A quarter that is young has no value and gets none here: what was counted of it is never divided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from referral_pipeline.contract.models import Contract
from referral_pipeline.reports.figures import Basis, Figure, Interval, measured
from referral_pipeline.reports.marts import KpiRow, Kpis
from referral_pipeline.reports.money import SUMS, Hires, hires_behind
from referral_pipeline.reports.periods import Quarter
from referral_pipeline.reports.words import (
    KPI_WORDS,
    MATURITY_WORDS,
    UNKNOWN,
    Verdict,
    guessed_unit,
    kpi_words,
    verdict,
)

_SHOWN_QUARTERS = 6
_CHANNELS = {"advocacy": "Advocates", "other": "Others"}


@dataclass(frozen=True)
class Gauge:
    """Where value, interval and target lie on a bar from 0 to 100 (percent of its width)."""

    value: float
    low: float
    high: float
    target: float | None


@dataclass(frozen=True)
class QuarterFigure:
    """A KPI in one quarter. `state` says why there is no value; None when there is one."""

    kpi: str
    label: str
    quarter: Quarter
    value: Figure
    interval: Interval | None
    basis: Basis | None
    state: str | None
    maturity: str | None


@dataclass(frozen=True)
class Trend:
    """The last quarters of one KPI, the oldest first, and the same in words."""

    quarters: tuple[QuarterFigure, ...]
    words: str


@dataclass(frozen=True)
class Headline:
    """One KPI of the contract as it is shown."""

    kpi: str
    label: str
    value: Figure
    target: Figure
    target_side: str
    interval: Interval | None
    basis: Basis | None
    channels: tuple[tuple[str, Figure, str | None], ...]
    """Each channel's value, and of money the hires behind it."""
    verdict: Verdict
    maturity: str | None
    gauge: Gauge | None
    trend: Trend | None
    definition: str


# ---------------------------------------------------------------- against the target


def headlines(kpis: Kpis, contract: Contract, currency: str) -> tuple[Headline, ...]:
    """The KPIs of the contract, in its order."""
    return tuple(_headline(kpi.name, kpi.target, kpis, currency) for kpi in contract.objectives.kpis)


def _headline(name: str, promised: float, kpis: Kpis, currency: str) -> Headline:
    words, row = kpi_words(name), kpis.total(name)
    unit = row.unit if row else guessed_unit(name)
    # The mart has the target in the unit of its value; the contract's counts while there is no row yet.
    target = row.target if row is not None and row.target is not None else promised
    value = row.figure() if row else measured(None, unit, currency)
    maturity = row.maturity if row else None
    ends, interval = (ends_of(row), row.interval()) if row else (None, None)
    return Headline(
        kpi=name,
        label=words.label,
        value=value,
        target=measured(target, unit, currency),
        target_side="at most" if words.lower_is_better else "at least",
        interval=interval,
        basis=row.basis() if row else None,
        channels=_by_channel(name, kpis),
        verdict=_verdict(row, target, kpis),
        maturity=maturity,
        gauge=_gauge(value.value, ends, target, unit),
        trend=_trend(name, kpis),
        definition=words.definition,
    )


def _verdict(row: KpiRow | None, target: float | None, kpis: Kpis) -> Verdict:
    if row is not None and row.kpi in SUMS and row.is_known and row.value is not None and target is not None:
        return _beside_target(row.value, target, hires_behind(row, kpis))
    value = row.value if row is not None and row.is_known else None
    lower_is_better = row is not None and kpi_words(row.kpi).lower_is_better
    return verdict(value, target, _bounds(row), row.maturity if row else None, lower_is_better=lower_is_better)


def _beside_target(value: float, target: float, hires: Hires) -> Verdict:
    """Of a sum of money: which is lower, from how many hires, and nothing of how sure that is."""
    if not hires.are_enough:
        return Verdict("open", f"Too few hires to compare: {hires.words}")
    word = "Equal to the" if value == target else "Lower than the" if value < target else "Higher than the"
    return Verdict("told", f"{word} target in these figures: {hires.words}")


def _by_channel(name: str, kpis: Kpis) -> tuple[tuple[str, Figure, str | None], ...]:
    """The value of each channel, for a KPI that is counted over more than one."""
    rows = [(label, kpis.total(name, "channel", channel)) for channel, label in _CHANNELS.items()]
    found = tuple(
        (label, row.figure(), hires_behind(row, kpis).words if row.kpi in SUMS and row.is_known else None)
        for label, row in rows
        if row is not None
    )
    return found if len(found) > 1 else ()


def ends_of(row: KpiRow) -> tuple[float, float] | None:
    """The interval of a row that has a value, in full."""
    if not row.is_known or row.ci_low is None or row.ci_high is None:
        return None
    return row.ci_low, row.ci_high


def _bounds(row: KpiRow | None) -> tuple[float, float] | None:
    """Between which values the true one lies.

    So few cases that nothing bounds them on a side leave that side open: they meet and miss no target for certain.
    """
    if row is None or not row.is_known:
        return None
    return (-inf if row.ci_low is None else row.ci_low, inf if row.ci_high is None else row.ci_high)


def _gauge(value: float | None, ends: tuple[float, float] | None, target: float | None, unit: str) -> Gauge | None:
    if value is None:
        return None
    low, high = ends or (value, value)
    top = max(value, high, target or 0.0) * 1.15
    top = min(top, 1.0) if unit == "ratio" and max(value, high) <= 1 else top
    if top <= 0 or min(value, low) < 0:
        return None

    def at(x: float) -> float:
        return round(100 * min(x / top, 1.0), 2)

    return Gauge(at(value), at(low), at(high), None if target is None else at(target))


def summary(found: Sequence[Headline]) -> str:
    """How many targets stand how, in one sentence."""
    tones = [headline.verdict.tone for headline in found]
    parts = [
        f"{tones.count(tone)} {words}"
        for tone, words in (
            ("met", "met beyond the likely range"),
            ("near", "too close to call"),
            ("missed", "missed"),
            ("told", "of money, told without certainty"),
            ("open", "not known yet"),
        )
        if tones.count(tone)
    ]
    return f"Of {len(tones)} {'target' if len(tones) == 1 else 'targets'}: {', '.join(parts)}."


# ---------------------------------------------------------------- quarters


def quarter_figure(row: KpiRow, quarter: Quarter) -> QuarterFigure:
    """A quarter's row as it is shown."""
    return QuarterFigure(
        kpi=row.kpi,
        label=kpi_words(row.kpi).label,
        quarter=quarter,
        value=row.figure(),
        interval=row.interval(),
        basis=row.basis(),
        state=None if row.is_known else _state(row),
        maturity=row.maturity,
    )


def _state(row: KpiRow) -> str:
    return MATURITY_WORDS.get("immature" if row.is_running else row.maturity or "", UNKNOWN.capitalize())


def quarter_figures(kpi: str, kpis: Kpis, segment_kind: str = "all", segment: str = "all") -> tuple[QuarterFigure, ...]:
    """The last quarters of a KPI, the oldest first, each of them once: one without a row is not known."""
    rows = {row.quarter: row for row in kpis.quarters(kpi, segment_kind, segment) if row.quarter}
    if not rows:
        return ()
    last = max(rows)
    shown = [last.before(back) for back in reversed(range(_SHOWN_QUARTERS))]
    while shown[0] not in rows:  # before the first one there is no gap: nothing was there yet
        del shown[0]
    return tuple(
        quarter_figure(rows[quarter], quarter) if quarter in rows else _no_figure(rows[last], quarter)
        for quarter in shown
    )


def _no_figure(like: KpiRow, quarter: Quarter) -> QuarterFigure:
    """A quarter for which there is no row of a KPI."""
    return QuarterFigure(
        kpi=like.kpi,
        label=kpi_words(like.kpi).label,
        quarter=quarter,
        value=measured(None, like.unit, like.currency),
        interval=None,
        basis=None,
        state=UNKNOWN.capitalize(),
        maturity=None,
    )


def review(kpis: Kpis, quarter: Quarter) -> tuple[QuarterFigure, ...]:
    """Every KPI in one quarter; a KPI that is not told by quarter is left out."""
    rows = [kpis.of(name, quarter) for name in KPI_WORDS]
    return tuple(quarter_figure(row, quarter) for row in rows if row is not None)


def _trend(name: str, kpis: Kpis) -> Trend | None:
    quarters = quarter_figures(name, kpis)
    if len(quarters) < 2:
        return None
    known = [f"{one.quarter.name} {one.value.text}" for one in quarters if one.state is None]
    open_ = [one for one in quarters if one.state is not None]
    sentences = [f"By quarter: {', '.join(known)}." if known else "No quarter is known yet."]
    for state in dict.fromkeys(one.state for one in open_ if one.state):
        names = [one.quarter.name for one in open_ if one.state == state]
        sentences.append(f"{state}: {', '.join(names)}.")
    return Trend(quarters, " ".join(sentences))
