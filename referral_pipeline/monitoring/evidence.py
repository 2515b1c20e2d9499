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
5. It is over when what came after the failing stretch speaks for half the threshold, and against the stretch's own
   rate, by 10^4 to 1: some four successes after an outage, a thousand calls after a rate of 3 %.
6. While an alert of it is open, nothing of what was proven is forgotten: the windows begin where they began when it was
   fired, as far back as counts are kept (a week), and by them it is over or it is not. A window that empties ends
   nothing; few units may end it; and one success after the alert is needed. When a week has passed since the last
   failure, nothing is left to hold odds against, and that one success is enough: less would not be a measurement.
7. What is over stays over. Callers cut the counts at the end of the last alert, so that no fault is told twice when its
   better half has left a window.

No scipy: the receiver shows these verdicts, and importing it would cost more memory than all else it does. A test holds
the functions equal to scipy's.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

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
    odds = rate / (1 - rate)
    if failures > units * rate:
        term, total = _binomial(failures, units, rate), 0.0
        for k in range(failures, units + 1):
            total += term
            term *= (units - k) / (k + 1) * odds
            if term < total * 1e-12:
                break
        return min(total, 1.0)
    # Below the middle what is missing of 1 is the smaller sum.
    term, missing = _binomial(failures - 1, units, rate), 0.0
    for k in range(failures - 1, -1, -1):
        missing += term
        term *= k / (units - k + 1) / odds
        if term < missing * 1e-12:
            break
    return max(1.0 - missing, 0.0)


def _binomial(failures: int, units: int, rate: float) -> float:
    return math.exp(
        math.lgamma(units + 1)
        - math.lgamma(failures + 1)
        - math.lgamma(units - failures + 1)
        + failures * math.log(rate)
        + (units - failures) * math.log1p(-rate)
    )


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
        units: in the window that says most, after what is over.
        failures: in it.
        window: its index.
        lower: the lower bound of its rate.
        is_above: the rate is above the threshold, and that is worth showing.
        is_proven: with evidence, and not over.
        is_holding: an alert that is open stays open: not proven any more, and not over either.
        in_a_row: failures at the end with nothing after them.
        is_after: a failing stretch of the window is over and left out.
        was_proven: in some window the stretch that is over had been an error.
    """

    units: int = 0
    failures: int = 0
    window: int = 0
    lower: float = 0.0
    is_above: bool = False
    is_proven: bool = False
    is_holding: bool = False
    in_a_row: int = 0
    is_after: bool = False
    was_proven: bool = False

    @property
    def rate(self) -> float | None:
        """Failures of the units; None where there are none."""
        return self.failures / self.units if self.units else None


@dataclass(frozen=True)
class OpenAlert:
    """Where an alert that is open lies among steps of time.

    Attributes:
        since: how many of the newest steps began after it was fired.
        windows: how many of the newest began after the beginning that each window had then, shortest first.
    """

    since: int
    windows: tuple[int, ...]


def open_alert(fired: datetime | None, starts: Sequence[datetime], spans: Sequence[timedelta]) -> OpenAlert | None:
    """An alert that was fired then, among steps that began then (oldest first); None where none is open."""
    if fired is None:
        return None
    return OpenAlert(
        since=len(starts) - bisect_left(starts, fired),
        windows=tuple(len(starts) - bisect_left(starts, fired - span) for span in spans),
    )


def judge_rate(
    units: Sequence[int],
    failures: Sequence[int],
    windows: Sequence[int],
    *,
    threshold: float,
    minimum: int,
    in_a_row: int | None = None,
    is_after: bool = False,
    told: OpenAlert | None = None,
) -> RateVerdict:
    """Judge a rate.

    Args:
        units: counts in steps of time, oldest first; a step without any may be left out.
        failures: those that failed, of the same steps.
        windows: how many of the newest steps each window has, shortest first.
        threshold: the rate (0 to 1) that is too much.
        minimum: units from which a window without evidence still says something.
        in_a_row: how many failures at the end are an error; None where that says nothing.
        is_after: the caller has left out what is over.
        told: the alert of this rate that is open.
    """
    if told is not None:
        end = _end_of(units, failures, told, threshold, minimum)
        if end is not None:
            # By rule 5, and whatever other windows make of it: only what came after is judged.
            after = len(units) - end
            windows = [min(size, after) for size in windows]
            verdict = judge_rate(
                units[end:],
                failures[end:],
                windows,
                threshold=threshold,
                minimum=minimum,
                in_a_row=in_a_row,
                is_after=True,
            )
            return replace(verdict, was_proven=True)
    row = _in_a_row(units, failures) if in_a_row is not None else 0
    looks = [
        _look(units[len(units) - size :], failures[len(units) - size :], threshold, minimum)._replace(window=number)
        for number, size in enumerate(windows)
    ]
    are_few = max((look.units for look in looks), default=0) < minimum
    # The window with proof; else the worst that is worth showing; else the shortest with enough to say something.
    best = max(
        looks,
        key=lambda look: (
            look.is_proven,
            look.is_worth_showing(minimum, are_few=are_few),
            look.lower if look.is_worth_showing(minimum, are_few=are_few) else min(look.units, minimum),
        ),
        default=None,
    )
    if best is None or not best.units:
        return RateVerdict(window=max(len(windows) - 1, 0), is_holding=told is not None, is_after=is_after)
    is_row = in_a_row is not None and row >= in_a_row
    is_proven = best.is_proven or is_row
    return RateVerdict(
        units=best.units,
        failures=best.failures,
        window=best.window,
        lower=best.lower,
        is_above=best.is_worth_showing(minimum, are_few=are_few) or is_row,
        is_proven=is_proven,
        is_holding=is_proven or told is not None or any(look.is_holding for look in looks),
        in_a_row=row,
        is_after=best.is_after or is_after,
        was_proven=any(look.was_proven for look in looks),
    )


_WORTH_SHOWING = 0.01
_HOLDING = 0.75
"""Midway between the threshold and half of it: an open alert stays open above this part of the threshold."""


class _Look(NamedTuple):
    """One window, after what is over."""

    units: int
    failures: int
    lower: float
    chance: float
    is_above: bool
    is_proven: bool
    is_holding: bool
    is_after: bool
    was_proven: bool
    window: int = 0

    def is_worth_showing(self, minimum: int, *, are_few: bool) -> bool:
        return self.is_above and (are_few or (self.units >= minimum and self.chance < _WORTH_SHOWING))


def _look(units: Sequence[int], failures: Sequence[int], threshold: float, minimum: int) -> _Look:
    is_after = was_proven = False
    while True:
        n, k = sum(units), sum(failures)
        rate, lower = (k / n if n else 0.0), wilson_lower(k, n)
        is_above = rate > threshold
        chance = binomial_tail(k, n, threshold / 2) if is_above else 1.0
        is_proven = lower > threshold and chance < BY_CHANCE
        is_holding = is_proven or (n >= minimum and rate > threshold * _HOLDING)
        if not is_above and not is_holding:
            break
        start, end = _worst_stretch(units, failures, threshold / 2)
        if not _is_over(units, failures, start, end, threshold / 2):
            break
        units, failures, is_after = units[end:], failures[end:], True
        was_proven |= is_proven
    return _Look(n, k, lower, chance, is_above, is_proven, is_holding, is_after, was_proven)


def _end_of(
    units: Sequence[int], failures: Sequence[int], told: OpenAlert, threshold: float, minimum: int
) -> int | None:
    """The step after those of which an open alert tells; None while they are not over."""
    fired, healthy = len(units) - told.since, threshold / 2
    if sum(units[fired:]) == sum(failures[fired:]):
        return None
    begins = [len(units) - size for size in told.windows]
    # The shortest window that proved it then, else the shortest that had failures; when that is too long ago, all.
    proved = (b for b in begins if _look(units[b:fired], failures[b:fired], threshold, minimum).is_proven)
    failed = (b for b in begins if any(failures[b:fired]))
    begin = next(proved, next(failed, 0))
    while True:
        start, end = _worst_stretch(units[begin:], failures[begin:], healthy)
        if _rate_in(units[begin:], failures[begin:], start, end) <= healthy or not any(failures[begin:]):
            return begin
        if not _is_over(units[begin:], failures[begin:], start, end, healthy):
            return None
        begin += end
        # What was over before it was fired was none of it.
        if not _look(units[begin:fired], failures[begin:fired], threshold, minimum).is_proven:
            return begin


def _in_a_row(units: Sequence[int], failures: Sequence[int]) -> int:
    """How many failures the newest steps hold that had nothing else."""
    row = 0
    for n, k in zip(reversed(units), reversed(failures), strict=True):
        if k < n:
            break
        row += k
    return row


def _worst_stretch(units: Sequence[int], failures: Sequence[int], healthy: float) -> tuple[int, int]:
    """The steps, from one to before another, that failed the most."""
    start, end = _failing_stretch(units, failures, sum(failures) / sum(units), healthy)
    # Once more with its own rate: that of the window is thinned by what went well, and bridges it.
    return _failing_stretch(units, failures, _rate_in(units, failures, start, end), healthy)


def _failing_stretch(units: Sequence[int], failures: Sequence[int], failing: float, healthy: float) -> tuple[int, int]:
    """The steps, from one to before another, that are likeliest to have failed at that rate and not the healthy one."""
    of_success, of_failure = _odds(healthy, failing)
    best, so_far, begin = 0.0, 0.0, 0
    stretch = 0, len(units)
    for number, (n, k) in enumerate(zip(units, failures, strict=True)):
        if so_far <= 0:
            so_far, begin = 0.0, number
        so_far -= (n - k) * of_success + k * of_failure
        if so_far > best:
            best, stretch = so_far, (begin, number + 1)
    return stretch


def _is_over(units: Sequence[int], failures: Sequence[int], start: int, end: int, healthy: float) -> bool:
    """Whether what follows a stretch was ever so much likelier at the healthy rate than at that of the stretch."""
    failing = _rate_in(units, failures, start, end)
    if end == len(units) or failing <= healthy:
        return False
    of_success, of_failure = _odds(healthy, failing)
    odds = 0.0
    for n, k in zip(units[end:], failures[end:], strict=True):
        odds += (n - k) * of_success + k * of_failure
        if odds >= OVER_ODDS:
            return True  # once proven it stays so: a stray failure at the edge of the proof begins nothing anew
    return False


def _rate_in(units: Sequence[int], failures: Sequence[int], start: int, end: int) -> float:
    """The rate of some steps; never 1, which a few failures and nothing else do not prove."""
    return (sum(failures[start:end]) + 0.5) / (sum(units[start:end]) + 1)


def _odds(healthy: float, failing: float) -> tuple[float, float]:
    """By how much one success, and one failure, speak for the healthy rate and against the failing one (logarithms)."""
    failing = min(max(failing, healthy * 1.0001), 1 - 1e-9)
    return math.log1p(-healthy) - math.log1p(-failing), math.log(healthy / failing)
