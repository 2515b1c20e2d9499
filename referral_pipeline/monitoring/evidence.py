"""What counts can prove when somebody looks again every minute.

Belongs here: bounds and tail probabilities as pure functions, and the verdict on a rate. Does not belong here: which
counts are taken (watch), what is done about a verdict (health, health_alerts).

How a rate is judged (KPIS.md, "Alerting on a rate", and what looking every minute adds to it)
1. Above the threshold with fewer than `minimum_calls`, where no window has more, is a warning; with more, only where
   half the threshold would bring that about in less than one window of a hundred: at 50 calls a healthy API is above a
   bare 2 % in one of eleven. A warning is shown and never sent.
2. Above it with evidence is an error. Evidence is two things. The one-sided 95 % Wilson lower bound lies above the
   threshold; and so many failures would come by chance less than once in 10^8 windows at half the threshold. The bound
   alone is wrong in one window of twenty, and a day has 1,440 windows for each endpoint.
3. Windows are the last hour, day and week, so that an endpoint of ten calls a day and one of ten thousand are both
   found as soon as their calls can prove it: at a threshold of 2 %, 3 % takes some 1,400 calls, 50 % takes 12.
4. So many failures in a row, and nothing after them, are an error too: `consecutive_failures` of the contract.
5. It is over when the newest steps of time speak for half the threshold and against the rate of the window by 10^4 to
   1. Without that, each long window would stay in error until what was mended long ago has left it.

No scipy: the receiver shows these verdicts, and importing it would cost more memory than all else it does. A test holds
the functions equal to scipy's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

CONFIDENCE_Z = 1.6448536269514722
"""The 95 % point of the normal distribution: one-sided."""
BY_CHANCE = 1e-8
"""How improbable a window must be at half the threshold before it is called an error."""
OVER_ODDS = math.log(1e4)
"""How much likelier the healthy rate must be, as a logarithm, before something is over."""


def wilson_lower(failures: int, units: int) -> float:
    """The lower end of the one-sided 95 % Wilson interval of a rate; 0 where there are no units."""
    if units == 0:
        return 0.0
    z2 = CONFIDENCE_Z**2
    rate = failures / units
    half = CONFIDENCE_Z * math.sqrt(rate * (1 - rate) / units + z2 / (4 * units**2))
    return max(0.0, (rate + z2 / (2 * units) - half) / (1 + z2 / units))


def binomial_tail(failures: int, units: int, rate: float) -> float:
    """The probability of that many failures or more among the units, each failing with that rate (0 to 1)."""
    if failures <= 0:
        return 1.0
    if failures > units:
        return 0.0
    term = math.exp(
        math.lgamma(units + 1)
        - math.lgamma(failures + 1)
        - math.lgamma(units - failures + 1)
        + failures * math.log(rate)
        + (units - failures) * math.log1p(-rate)
    )
    total, odds = 0.0, rate / (1 - rate)
    for k in range(failures, units + 1):
        total += term
        term *= (units - k) / (k + 1) * odds
        if k > units * rate and term < total * 1e-12:
            break
    return min(total, 1.0)


def low_count_tail(count: int, mean: float, dispersion: float) -> float:
    """The probability of that count or fewer where `mean` are expected with a variance of `dispersion` times the mean.

    Negative binomial; Poisson where the dispersion is 1.
    """
    if mean <= 0:
        return 1.0
    if dispersion <= 1:
        size, start = math.inf, -mean
    else:
        size = mean / (dispersion - 1)
        start = -size * math.log(dispersion)
    # In logarithms: far below a large mean each term is too small for a float until it is added.
    log_terms, term = [start], start
    for k in range(1, count + 1):
        step = mean if math.isinf(size) else (size + k - 1) * (dispersion - 1) / dispersion
        term += math.log(step / k)
        log_terms.append(term)
    most = max(log_terms)
    return min(1.0, math.exp(most) * math.fsum(math.exp(t - most) for t in log_terms))


@dataclass(frozen=True)
class RateVerdict:
    """What the windows say of a rate.

    Attributes:
        units: in the window that says most.
        failures: in it.
        window: its index.
        lower: the lower bound of its rate.
        is_above: the rate is above the threshold, and that is worth showing.
        is_proven: with evidence, and not over.
        is_holding: an alert that is open stays open: not proven any more, and not over either.
        in_a_row: failures at the end with nothing after them.
    """

    units: int
    failures: int
    window: int
    lower: float
    is_above: bool
    is_proven: bool
    is_holding: bool
    in_a_row: int

    @property
    def rate(self) -> float | None:
        """Failures of the units; None where there are none."""
        return self.failures / self.units if self.units else None


def judge_rate(
    units: Sequence[int],
    failures: Sequence[int],
    windows: Sequence[int],
    *,
    threshold: float,
    minimum: int,
    in_a_row: int | None = None,
) -> RateVerdict:
    """Judge a rate.

    Args:
        units: counts in steps of time, oldest first; a step without any may be left out.
        failures: those that failed, of the same steps.
        windows: how many of the newest steps each window has, shortest first.
        threshold: the rate (0 to 1) that is too much.
        minimum: units from which a window without evidence still says something.
        in_a_row: how many failures at the end are an error; None where that says nothing.
    """
    row = _in_a_row(units, failures) if in_a_row is not None else 0
    best: tuple[tuple[bool, bool, float], RateVerdict] | None = None
    holding = False
    sums = [(sum(units[-size:]), sum(failures[-size:])) if size else (0, 0) for size in windows]
    are_few = max((n for n, _ in sums), default=0) < minimum
    for number, (size, (n, k)) in enumerate(zip(windows, sums, strict=True)):
        if n == 0:
            continue
        own_units, own_failures = units[-size:], failures[-size:]
        rate, lower = k / n, wilson_lower(k, n)
        chance = binomial_tail(k, n, threshold / 2) if rate > threshold else 1.0
        evident = lower > threshold and chance < BY_CHANCE
        suspicious = evident or rate > threshold * _HOLDING
        goes_on = suspicious and not _is_over(own_units, own_failures, rate, threshold / 2)
        holding |= goes_on and (evident or n >= minimum)
        is_above = goes_on and rate > threshold and (are_few or (n >= minimum and chance < _WORTH_SHOWING))
        # The window with proof; else the worst above the line; else the shortest with enough to say something.
        rank = (evident and goes_on, is_above, lower if is_above else float(min(n, minimum)))
        if best is None or rank > best[0]:
            best = rank, RateVerdict(n, k, number, lower, is_above, evident and goes_on, False, row)
    if best is None:
        return RateVerdict(0, 0, len(windows) - 1, 0.0, False, False, False, 0)
    row_proven = in_a_row is not None and row >= in_a_row
    (_, found) = best
    proven = found.is_proven or row_proven
    return replace(found, is_above=found.is_above or row_proven, is_proven=proven, is_holding=holding or proven)


_WORTH_SHOWING = 0.01
_HOLDING = 0.75
"""Midway between the threshold and half of it: an open alert stays open above this part of the threshold."""


def _in_a_row(units: Sequence[int], failures: Sequence[int]) -> int:
    """How many failures the newest steps hold that had nothing else."""
    row = 0
    for n, k in zip(reversed(units), reversed(failures), strict=True):
        if k < n:
            break
        row += k
    return row


def _is_over(units: Sequence[int], failures: Sequence[int], failing: float, healthy: float) -> bool:
    """Whether the newest steps are so much likelier at the healthy rate than at the failing one."""
    if failing <= healthy:
        return True
    of_success = math.log1p(-healthy) - math.log1p(-min(failing, 1 - 1e-9))
    of_failure = math.log(healthy / failing)
    odds = 0.0
    for n, k in zip(reversed(units), reversed(failures), strict=True):
        odds += (n - k) * of_success + k * of_failure
        if odds >= OVER_ODDS:
            return True
    return False
