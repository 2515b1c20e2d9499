"""Intervals and quantiles of counts and of values, many groups at once.

Belongs here: statistics as pure functions over arrays. Does not belong here: durations that are not over yet
(survival), what is counted (sql), rows and maturity (rows, compute).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
"""Two-sided confidence of every interval."""
_LEVEL = 0.05
"""What `CONFIDENCE` leaves: written out, because 1 - 0.95 is a little more, and lets pass what just reaches it."""
_TAIL = _LEVEL / 2

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


# ---------------------------------------------------------------- ratios of counts


@lru_cache(maxsize=65_536)
def wilson(hits: int, units: int) -> tuple[float, float]:
    """The Wilson interval of a ratio of counts.

    Raises:
        ValueError: there are no units, or more hits than units.
    """
    if units < 1 or not 0 <= hits <= units:
        raise ValueError(f"found {hits} of {units}; allowed: 1 unit or more, and hits from 0 to the units")
    # scipy's interval without the test that binomtest makes beside it, which costs thirty times as much.
    counted = _counted()(k=hits, n=units, alternative="two-sided", statistic=hits / units, pvalue=1.0)
    interval = counted.proportion_ci(confidence_level=CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


@lru_cache(maxsize=1)
def _counted() -> Any:
    from scipy.stats import binomtest

    return type(binomtest(0, 1))


def wilson_of(hits: Whole, units: Whole) -> tuple[Floats, Floats]:
    """`wilson` of many ratios, each distinct pair once. NaN where there are no units."""
    pairs, which = np.unique(np.stack([hits, units]), axis=1, return_inverse=True)
    bounds = np.array(
        [wilson(int(hit), int(unit)) if unit else (np.nan, np.nan) for hit, unit in pairs.T], dtype=np.float64
    ).reshape(-1, 2)
    found = bounds[which.reshape(-1)]
    return found[:, 0], found[:, 1]


def p_of_counts(hits: int, units: int, other_hits: int, other_units: int) -> float:
    """How likely chance alone sets two ratios of counts so far apart: Fisher's exact test, two-sided."""
    from scipy.stats import fisher_exact

    tested: Any = fisher_exact([[hits, units - hits], [other_hits, other_units - other_hits]])
    return float(tested.pvalue)


def p_of_interval(difference: float, low: float, high: float) -> float:
    """The same of a difference by its interval (of `CONFIDENCE`), taken as normal on the side where no difference is.

    An interval that has no width on that side bounds nothing: 1.
    """
    from scipy.stats import norm

    reach = difference - low if difference > 0 else high - difference
    return 1.0 if reach <= 0 else float(2 * norm.sf(abs(difference) / reach * _normal()))


def holm(p_values: Sequence[float]) -> list[bool]:
    """Which of several comparisons that are shown together stand out, by Holm's step-down method.

    Of any number without a difference, dependent or not, with a probability of `CONFIDENCE` none does.
    """
    stand_out = [False] * len(p_values)
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[index] * (len(p_values) - place) >= _LEVEL:
            break
        stand_out[index] = True
    return stand_out


def differs(hits: int, units: int, other_hits: int, other_units: int, *, looks: int = 1) -> bool:
    """Whether two ratios of counts differ by more than chance (`p_of_counts`), at 1 - `CONFIDENCE`.

    Args:
        hits: of the one; `units` are all of it.
        units: see `hits`.
        other_hits: of the other, which shares no unit with the one.
        other_units: see `other_hits`.
        looks: how many such comparisons are shown together. Each is held to that part of the level (Bonferroni), so
            that of any number of equal ones hardly ever one seems to differ.
    """
    return p_of_counts(hits, units, other_hits, other_units) * looks < _LEVEL


# ---------------------------------------------------------------- quantiles


@dataclass(frozen=True)
class Samples:
    """Values of several groups, one group after the other, ascending inside each; no group is empty."""

    values: Floats
    counts: Whole

    @property
    def starts(self) -> Whole:
        """Where each group begins."""
        return np.cumsum(self.counts) - self.counts

    def __iter__(self) -> Any:
        """The values of each group."""
        return iter(np.split(self.values, self.starts[1:]))


def quantiles_of(samples: Samples, q: float) -> Floats:
    """The q-quantile of each group, by linear interpolation between neighbours (type 7)."""
    place = (samples.counts - 1) * q
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, samples.counts - 1)
    below, above = samples.values[samples.starts + low], samples.values[samples.starts + high]
    return below + (above - below) * (place - low)


def quantile_intervals_of(samples: Samples, q: float) -> tuple[Floats, Floats]:
    """The interval of each group's quantile by order statistics, without assuming a distribution.

    A side is NaN when so few values cannot bound it: below six, nothing bounds a median. The interval holds the
    quantile itself: of few values an extreme one, interpolated, would lie outside.
    """
    from scipy.stats import binom

    sizes, which = np.unique(samples.counts, return_inverse=True)
    low = binom.ppf(_TAIL, sizes, q).astype(np.int64)[which]
    high = (binom.ppf(1 - _TAIL, sizes, q).astype(np.int64) + 1)[which]
    last = len(samples.values) - 1
    at_low, at_high = samples.starts + low - 1, samples.starts + high - 1
    value = quantiles_of(samples, q)
    return (
        np.where(low >= 1, np.minimum(samples.values[np.clip(at_low, 0, last)], value), np.nan),
        np.where(high <= samples.counts, np.maximum(samples.values[np.clip(at_high, 0, last)], value), np.nan),
    )


def quantile(ordered: Sequence[float] | Floats, q: float) -> float:
    """The q-quantile of ascending values, at least one (see `quantiles_of`)."""
    return float(quantiles_of(_one(ordered), q)[0])


def quantile_interval(ordered: Sequence[float] | Floats, q: float) -> tuple[float | None, float | None]:
    """The interval of one quantile (see `quantile_intervals_of`); a side that nothing bounds is None."""
    low, high = quantile_intervals_of(_one(ordered), q)
    return _known(low[0]), _known(high[0])


def _one(ordered: Sequence[float] | Floats) -> Samples:
    return Samples(np.asarray(ordered, dtype=np.float64), np.array([len(ordered)], dtype=np.int64))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


# ---------------------------------------------------------------- the difference of two medians

FEWEST_TO_COMPARE = 5
"""Values on each side below which medians are not compared: from 5 on, their lowest and highest say something."""


def median_difference(left: Floats, right: Floats) -> tuple[float, float, float]:
    """The median of `left` minus that of `right`, and its interval, without assuming a distribution.

    Price and Bonett, Distribution-free confidence intervals for difference and ratio of medians, Journal of Statistical
    Computation and Simulation 72 (2002), 119-124: the variance of each median comes from two of its order statistics,
    and the difference is taken as normal.

    Args:
        left: ascending values, at least `FEWEST_TO_COMPARE`.
        right: likewise.

    Raises:
        ValueError: a side has too few.
    """
    if min(len(left), len(right)) < FEWEST_TO_COMPARE:
        raise ValueError(
            f"found {len(left)} and {len(right)} values; allowed: {FEWEST_TO_COMPARE} or more on each side"
        )
    difference = float(np.median(left) - np.median(right))
    margin = _normal() * float(np.hypot(_median_error(left), _median_error(right)))
    return difference, difference - margin, difference + margin


def _median_error(ordered: Floats) -> float:
    rank, z = _price_bonett(len(ordered))
    return float(ordered[len(ordered) - rank] - ordered[rank - 1]) / (2 * z)


@lru_cache(maxsize=65_536)
def _price_bonett(count: int) -> tuple[int, float]:
    """The lower rank c, and the normal quantile of the coverage of the ranks c and n - c + 1."""
    from scipy.stats import binom, norm

    rank = max(1, round((count + 1) / 2 - count**0.5))
    return rank, float(norm.isf(binom.cdf(rank - 1, count, 0.5)))


@lru_cache(maxsize=1)
def _normal() -> float:
    from scipy.stats import norm

    return float(norm.isf(_TAIL))
