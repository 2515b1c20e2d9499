"""Intervals and quantiles.

Belongs here: statistics as pure functions. Does not belong here: what is counted (sql), rows and maturity (compute).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import floor

from scipy.stats import binom, binomtest

CONFIDENCE = 0.95
"""Two-sided confidence of every interval."""


@lru_cache(maxsize=65_536)
def wilson(hits: int, units: int) -> tuple[float, float]:
    """The Wilson interval of a ratio of counts.

    Raises:
        ValueError: there are no units, or more hits than units.
    """
    interval = binomtest(hits, units).proportion_ci(confidence_level=CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def quantile(ordered: Sequence[float], q: float) -> float:
    """The q-quantile of ascending values, at least one, by linear interpolation between neighbours (type 7)."""
    place = (len(ordered) - 1) * q
    low = floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def quantile_interval(ordered: Sequence[float], q: float) -> tuple[float | None, float | None]:
    """The interval of a quantile by order statistics, without assuming a distribution.

    A side is None when so few values cannot bound it: below six, nothing bounds a median.
    """
    low, high = _ranks(len(ordered), q)
    return (
        ordered[low - 1] if low >= 1 else None,
        ordered[high - 1] if high <= len(ordered) else None,
    )


@lru_cache(maxsize=65_536)
def _ranks(count: int, q: float) -> tuple[int, int]:
    tail = (1 - CONFIDENCE) / 2
    return int(binom.ppf(tail, count, q)), int(binom.ppf(1 - tail, count, q)) + 1
