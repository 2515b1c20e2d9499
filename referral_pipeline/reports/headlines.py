"""Numbers against their targets, and against the quarter before.

Belongs here: which rows are put side by side, and the verdict on each pair. Does not belong here: reading
(`marts`), wording of verdicts on targets (`words`), the other parts of the page.

A quarter that is young has no value and gets none here: what was counted of it is never divided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt

from referral_pipeline.contract.models import Contract
from referral_pipeline.reports.figures import Basis, Figure, Interval, measured
from referral_pipeline.reports.marts import KpiRow, Kpis
from referral_pipeline.reports.periods import Quarter
from referral_pipeline.reports.words import (
    KPI_WORDS,
    MATURITY_WORDS,
    UNKNOWN,
    Verdict,
    by_how_much,
    guessed_unit,
    kpi_words,
    verdict,
)

_SHOWN_QUARTERS = 6
_SUMS = frozenset({"cost_per_hire", "roi"})
"""Made of totals, not of a sample: they have no interval."""
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
    channels: tuple[tuple[str, Figure], ...]
    verdict: Verdict
    maturity: str | None
    gauge: Gauge | None
    trend: Trend | None
    definition: str


@dataclass(frozen=True)
class Change:
    """A KPI in its latest mature quarter beside the quarter before that."""

    label: str
    now: QuarterFigure
    before: QuarterFigure | None
    difference: Figure | None
    interval: Interval | None
    verdict: Verdict


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
    ends, interval = (_ends(row), row.interval()) if row else (None, None)
    return Headline(
        kpi=name,
        label=words.label,
        value=value,
        target=measured(target, unit, currency),
        target_side="at most" if words.lower_is_better else "at least",
        interval=interval,
        basis=row.basis() if row else None,
        channels=_by_channel(name, kpis),
        verdict=verdict(value.value, target, _bounds(row), maturity, lower_is_better=words.lower_is_better),
        maturity=maturity,
        gauge=_gauge(value.value, ends, target, unit),
        trend=_trend(name, kpis),
        definition=words.definition,
    )


def _by_channel(name: str, kpis: Kpis) -> tuple[tuple[str, Figure], ...]:
    """The value of each channel, for a KPI that is counted over more than one."""
    rows = [(label, kpis.total(name, "channel", channel)) for channel, label in _CHANNELS.items()]
    found = tuple((label, row.figure()) for label, row in rows if row is not None)
    return found if len(found) > 1 else ()


def _ends(row: KpiRow) -> tuple[float, float] | None:
    if not row.is_known or row.ci_low is None or row.ci_high is None:
        return None
    return row.ci_low, row.ci_high


def _bounds(row: KpiRow | None) -> tuple[float, float] | None:
    """Between which values the true one lies; None for a sum, which is what it is.

    So few cases that nothing bounds them on a side leave that side open: they meet and miss no target for certain.
    """
    if row is None or not row.is_known or row.kpi in _SUMS:
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
            ("met", "met for certain"),
            ("near", "too close to call"),
            ("missed", "missed"),
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
    """The last quarters of a KPI, the oldest first."""
    rows = kpis.quarters(kpi, segment_kind, segment)[-_SHOWN_QUARTERS:]
    return tuple(quarter_figure(row, row.quarter) for row in rows if row.quarter)


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


# ---------------------------------------------------------------- what changed


def changes(kpis: Kpis, contract: Contract) -> tuple[Change, ...]:
    """Each KPI in its latest mature quarter against the one before, those of the contract first."""
    promised = [kpi.name for kpi in contract.objectives.kpis]
    names = dict.fromkeys([*promised, *KPI_WORDS])
    found = (_change(kpis.quarters(name)) for name in names)
    return tuple(change for change in found if change is not None)


def _change(rows: Sequence[KpiRow]) -> Change | None:
    now = next((row for row in reversed(rows) if row.is_known), None)
    if now is None or now.quarter is None:
        return None
    before = next((row for row in rows if row.quarter == now.quarter.before()), None)
    shown = quarter_figure(now, now.quarter)
    if before is None or before.quarter is None or not before.is_known:
        no_earlier = quarter_figure(before, before.quarter) if before is not None and before.quarter else None
        return Change(shown.label, shown, no_earlier, None, None, Verdict("open", "No quarter to compare with"))
    return _compared(now, before, shown)


def _compared(now: KpiRow, before: KpiRow, shown: QuarterFigure) -> Change:
    assert now.value is not None
    assert before.value is not None
    assert before.quarter is not None
    difference = now.value - before.value
    ends = difference_interval(now, before)
    return Change(
        label=shown.label,
        now=shown,
        before=quarter_figure(before, before.quarter),
        difference=Figure(difference, now.unit, by_how_much(difference, now.unit, now.currency)),
        interval=None if ends is None else _difference_words(ends, now),
        verdict=_direction(difference, ends, now.kpi),
    )


def difference_interval(now: KpiRow, before: KpiRow) -> tuple[float, float] | None:
    """The 95 % interval of the difference of two independent numbers, from the interval of each.

    The method of variance estimates recovery (Zou and Donner 2008). From the Wilson intervals of two ratios it gives
    Newcombe's interval for the difference of two proportions (1998, method 10).
    """
    new, old = _ends(now), _ends(before)
    if new is None or old is None or now.value is None or before.value is None:
        return None
    difference = now.value - before.value
    return (
        difference - sqrt((now.value - new[0]) ** 2 + (old[1] - before.value) ** 2),
        difference + sqrt((new[1] - now.value) ** 2 + (before.value - old[0]) ** 2),
    )


def _difference_words(ends: tuple[float, float], row: KpiRow) -> Interval:
    low, high = (Figure(end, row.unit, by_how_much(end, row.unit, row.currency)) for end in ends)
    number, _, sign = low.text.rpartition("\u00a0")
    is_same_unit = bool(number) and high.text.endswith(f"\u00a0{sign}")
    return Interval(low, high, f"{number if is_same_unit else low.text} to {high.text}")


def _direction(difference: float, ends: tuple[float, float] | None, kpi: str) -> Verdict:
    if difference == 0:
        # Two equal numbers of a few cases each do not say that nothing changed.
        return Verdict("open", "No change") if kpi in _SUMS else Verdict("near", "No difference seen")
    is_better = (difference < 0) == kpi_words(kpi).lower_is_better
    if kpi in _SUMS:
        return Verdict("met" if is_better else "missed", "Lower" if difference < 0 else "Higher")
    if ends is None:
        return Verdict("open", MATURITY_WORDS["insufficient"])
    if ends[0] <= 0 <= ends[1]:
        return Verdict("near", "Could be chance")
    return Verdict("met", "Better") if is_better else Verdict("missed", "Worse")
