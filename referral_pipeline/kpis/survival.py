"""Durations of which some are not over yet: Kaplan-Meier, and Aalen-Johansen where other ends compete.

Belongs here: the two estimators with their intervals, as pure functions over arrays. Does not belong here: which
durations (sql), rows and maturity (rows, compute).

Throughout, a time is how long one unit was observed, in any unit of time, and the end is a code: 0 still open when last
seen (censored), 1 ended by what is asked about, 2 ended otherwise. At one time, ends come before censoring.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from referral_pipeline.kpis.statistics import CONFIDENCE, Floats, Whole

CENSORED, HAPPENED, OTHERWISE = 0, 1, 2

_NOBODY_LEFT = 1e-12
"""A survival below this is 0, but for rounding."""


@dataclass(frozen=True)
class LifeTable:
    """What happened at each distinct time, ascending: how many were still observed, and how many ended how."""

    times: Floats
    at_risk: Whole
    happened: Whole
    otherwise: Whole
    observed: Floats
    """Every time, ascending."""


def life_table(times: Floats, ends: NDArray[Any]) -> LifeTable:
    """Count the ends at each distinct time. Any order; times are finite and at least 0."""
    order = np.argsort(times, kind="stable")
    observed, ends = times[order], ends[order]
    is_first = np.ones(len(observed), dtype=bool)
    is_first[1:] = observed[1:] != observed[:-1]
    starts = np.flatnonzero(is_first)
    return LifeTable(
        times=observed[starts],
        at_risk=(len(observed) - starts).astype(np.int64),
        happened=_sums(ends == HAPPENED, starts),
        otherwise=_sums(ends == OTHERWISE, starts),
        observed=observed,
    )


def _sums(flags: NDArray[np.bool_], starts: NDArray[np.int64]) -> Whole:
    if not len(starts):
        return np.zeros(0, dtype=np.int64)
    return np.add.reduceat(flags.astype(np.int64), starts)


def _products(factors: Floats) -> Floats:
    return np.cumprod(factors).astype(np.float64, copy=False)


# ---------------------------------------------------------------- Aalen-Johansen


@dataclass(frozen=True)
class Incidence:
    """The probability to have ended in the way asked about by each time of `at`, all arrays alike in length.

    NaN from where nobody is observed any more while some were still open. An interval is NaN where the probability is 0
    or 1: nothing that was seen bounds it.
    """

    at: Floats
    at_risk: Whole
    """Observed for at least so long."""
    happened: Whole
    """Ended in this way by then."""
    probability: Floats
    low: Floats
    high: Floats


def aalen_johansen(times: Floats, ends: NDArray[Any], at: Floats) -> Incidence:
    """The cumulative incidence of the end `HAPPENED` where `OTHERWISE` competes.

    F(t) is the sum over the times of ends of S(just before) d1 / n, S the Kaplan-Meier survival from both ends. The
    variance is the delta method's (Greenwood's with competing ends: Marubini and Valsecchi 1995, as in R's cmprsk). The
    interval is symmetric for log(-log F), so that it stays between 0 and 1.
    """
    table = life_table(times, ends)
    risk = table.at_risk.astype(np.float64)
    gone = (table.happened + table.otherwise).astype(np.float64)
    own = table.happened.astype(np.float64)
    survival = _products(1 - gone / risk)
    before = np.concatenate([[1.0], survival[:-1]]) if len(risk) else survival
    steps = before * own / risk
    incidence = np.cumsum(steps)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Where the last ones end there is no factor: nothing comes after, and its square difference is 0.
        greenwood = np.where(risk > gone, gone / (risk * (risk - gone)), 0.0)
    cross = before * own / risk**2
    # Sums over the ends up to t of (F(t) - F)^2 a + S^2 d1 (n - d1) / n^3 - 2 (F(t) - F) S d1 / n^2, opened up so that
    # each is a running sum.
    sums = [
        np.concatenate([[0.0], np.cumsum(part)])
        for part in (
            greenwood,
            greenwood * incidence,
            greenwood * incidence**2,
            before**2 * own * (risk - own) / risk**3,
            cross,
            cross * incidence,
        )
    ]
    reached = np.searchsorted(table.times, at, side="right")
    at_risk = len(times) - np.searchsorted(table.observed, at, side="left")
    probability = np.concatenate([[0.0], incidence])[reached]
    a, ai, ai2, direct, c, ci = (part[reached] for part in sums)
    variance = probability**2 * a - 2 * probability * ai + ai2 + direct - 2 * (probability * c - ci)
    is_lost = (at_risk == 0) & (np.concatenate([[1.0], survival])[reached] > _NOBODY_LEFT)
    probability = np.where(is_lost, np.nan, np.clip(probability, 0, 1))
    low, high = _log_log(probability, np.sqrt(np.maximum(variance, 0)))
    return Incidence(
        at=at,
        at_risk=at_risk.astype(np.int64),
        happened=np.concatenate([[0], np.cumsum(table.happened)])[reached].astype(np.int64),
        probability=probability,
        low=low,
        high=high,
    )


def _log_log(value: Floats, error: Floats) -> tuple[Floats, Floats]:
    """The interval of a probability that is symmetric for log(-log p). NaN at 0 and 1."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        spread = np.exp(_normal() * error / (value * -np.log(value)))
        is_inside = (value > _NOBODY_LEFT) & (value < 1 - _NOBODY_LEFT)
        low = np.where(is_inside, value**spread, np.nan)
        high = np.where(is_inside, value ** (1 / spread), np.nan)
    return low, high


# ---------------------------------------------------------------- Kaplan-Meier


@dataclass(frozen=True)
class Survival:
    """The part that is still open after each distinct time, ascending, with Greenwood's log-log interval.

    The interval is NaN before the first end, and once all have ended: nothing bounds a 1 or a 0.
    """

    times: Floats
    survival: Floats
    low: Floats
    high: Floats

    def at(self, time: float) -> float:
        """The part that is still open after this time."""
        reached = int(np.searchsorted(self.times, time, side="right"))
        return float(self.survival[reached - 1]) if reached else 1.0

    def median(self) -> tuple[float, float, float]:
        """The first time by which half have ended, and its interval: where the bounds reach a half. NaN where never."""
        return self._first(self.survival), self._first(self.low), self._first(self.high)

    def _first(self, curve: Floats) -> float:
        below = np.flatnonzero(curve <= 0.5 + _NOBODY_LEFT)
        return float(self.times[below[0]]) if len(below) else float("nan")


def kaplan_meier(times: Floats, ends: NDArray[Any]) -> Survival:
    """The survival of durations that end in one way (`HAPPENED`) or are still open; any other end counts as open."""
    table = life_table(times, ends)
    risk, gone = table.at_risk.astype(np.float64), table.happened.astype(np.float64)
    survival = _products(1 - gone / risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(np.cumsum(np.where(risk > gone, gone / (risk * (risk - gone)), 0.0))) * survival
    low, high = _log_log(survival, error.astype(np.float64))
    return Survival(table.times, survival, low, high)


@lru_cache(maxsize=1)
def _normal() -> float:
    from scipy.stats import norm

    return float(norm.isf((1 - CONFIDENCE) / 2))
