"""What changed since last quarter: each number against the quarter before, and whether that is more than chance.

Belongs here: which quarters are compared, the interval of a difference, the verdict on it. Does not belong here:
targets (`headlines`), reading (`marts`), the statistics themselves (`kpis.statistics`).

The comparisons are looked at together: of twenty numbers that did not change, each held to 95 % for itself, one would
seem to. So a number is better or worse only when it stands out among all of them (Holm), and when the likely range of
its own difference leaves out zero. Sums of money have no range: they are lower or higher in these figures, from so many
hires.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose, sqrt

from referral_pipeline.contract.models import Contract
from referral_pipeline.kpis.statistics import holm, p_of_counts, p_of_interval
from referral_pipeline.reports.figures import Figure, Interval
from referral_pipeline.reports.headlines import QuarterFigure, ends_of, quarter_figure
from referral_pipeline.reports.marts import KpiRow, Kpis
from referral_pipeline.reports.money import SUMS, hires_behind
from referral_pipeline.reports.words import KPI_WORDS, MATURITY_WORDS, Verdict, by_how_much, kpi_words


@dataclass(frozen=True)
class Change:
    """A KPI in its latest mature quarter beside the quarter before that."""

    label: str
    now: QuarterFigure
    before: QuarterFigure | None
    difference: Figure | None
    interval: Interval | None
    verdict: Verdict


@dataclass(frozen=True)
class Changes:
    """Every KPI that has a mature quarter; `tested` of them were held against chance, all together."""

    rows: tuple[Change, ...]
    tested: int


@dataclass(frozen=True)
class _Pair:
    """The latest mature quarter of a KPI, and the quarter before it if there is a row of that."""

    now: KpiRow
    before: KpiRow | None

    @property
    def difference(self) -> float | None:
        if self.now.value is None or self.before is None or self.before.value is None or not self.before.is_known:
            return None
        return self.now.value - self.before.value

    @property
    def ends(self) -> tuple[float, float] | None:
        return None if self.before is None else difference_interval(self.now, self.before)


def changes(kpis: Kpis, contract: Contract) -> Changes:
    """Each KPI in its latest mature quarter against the one before, those of the contract first."""
    promised = [kpi.name for kpi in contract.objectives.kpis]
    names = dict.fromkeys([*promised, *KPI_WORDS])
    pairs = [pair for name in names if (pair := _pair(kpis.quarters(name))) is not None]
    chances = {pair.now.kpi: chance for pair in pairs if (chance := _chance(pair)) is not None}
    stands_out = dict(zip(chances, holm(list(chances.values())), strict=True))
    rows = tuple(_change(pair, kpis, stands_out=stands_out.get(pair.now.kpi, False)) for pair in pairs)
    return Changes(rows, len(chances))


def _pair(rows: Sequence[KpiRow]) -> _Pair | None:
    now = next((row for row in reversed(rows) if row.is_known), None)
    if now is None or now.quarter is None:
        return None
    earlier = now.quarter.before()
    return _Pair(now, next((row for row in rows if row.quarter == earlier), None))


def _change(pair: _Pair, kpis: Kpis, *, stands_out: bool) -> Change:
    now, before, difference = pair.now, pair.before, pair.difference
    assert now.quarter is not None
    shown = quarter_figure(now, now.quarter)
    earlier = quarter_figure(before, before.quarter) if before is not None and before.quarter is not None else None
    if before is None or difference is None:
        return Change(shown.label, shown, earlier, None, None, Verdict("open", "No quarter to compare with"))
    if now.kpi in SUMS:
        verdict = _of_sums(difference, now, before, kpis)
    else:
        verdict = _direction(difference, pair.ends, now.kpi, stands_out=stands_out)
    return Change(
        label=shown.label,
        now=shown,
        before=earlier,
        difference=Figure(difference, now.unit, by_how_much(difference, now.unit, now.currency)),
        interval=None if pair.ends is None else _difference_words(pair.ends, now),
        verdict=verdict,
    )


def _chance(pair: _Pair) -> float | None:
    """How likely chance alone makes such a difference; None where nothing tells."""
    difference, ends, before = pair.difference, pair.ends, pair.before
    if difference is None or before is None or ends is None or pair.now.kpi in SUMS:
        return None
    now_counts, before_counts = _counts(pair.now), _counts(before)
    if now_counts is not None and before_counts is not None:
        return p_of_counts(*now_counts, *before_counts)
    return p_of_interval(difference, *ends)


def _counts(row: KpiRow) -> tuple[int, int] | None:
    """Hits and units of a ratio that is one over the other; a probability read from a curve is not."""
    if row.unit != "ratio" or row.value is None or row.numerator is None or not row.denominator:
        return None
    is_of_counts = isclose(row.numerator / row.denominator, row.value, rel_tol=1e-12, abs_tol=1e-15)
    return (int(row.numerator), int(row.denominator)) if is_of_counts else None


def difference_interval(now: KpiRow, before: KpiRow) -> tuple[float, float] | None:
    """The 95 % interval of the difference of two independent numbers, from the interval of each.

    The method of variance estimates recovery (Zou and Donner 2008). From the Wilson intervals of two ratios it gives
    Newcombe's interval for the difference of two proportions (1998, method 10).
    """
    new, old = ends_of(now), ends_of(before)
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


def _direction(difference: float, ends: tuple[float, float] | None, kpi: str, *, stands_out: bool) -> Verdict:
    if difference == 0:
        # Two equal numbers of a few cases each do not say that nothing changed.
        return Verdict("near", "No difference seen")
    if ends is None:
        return Verdict("open", MATURITY_WORDS["insufficient"])
    if ends[0] <= 0 <= ends[1] or not stands_out:
        return Verdict("near", "Could be chance")
    is_better = (difference < 0) == kpi_words(kpi).lower_is_better
    return Verdict("met", "Better") if is_better else Verdict("missed", "Worse")


def _of_sums(difference: float, now: KpiRow, before: KpiRow, kpis: Kpis) -> Verdict:
    new, old = hires_behind(now, kpis), hires_behind(before, kpis)
    if not (new.are_enough and old.are_enough):
        return Verdict("open", f"Too few hires to compare: {new.words}, before {old.words}")
    word = "The same" if difference == 0 else "Lower" if difference < 0 else "Higher"
    return Verdict("told", f"{word} in these figures: {new.words}, before {old.words}")
