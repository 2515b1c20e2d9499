"""What a system usually brings: by weekday and hour of UTC, from the weeks before.

Belongs here: making the pattern and asking it. Does not belong here: counting days (ledger.measures), judging a count
(volume).

For each weekday the median of its last eight, divided over the hours as they were divided before; four of a weekday are
needed. Days under an alert of volume count only where a weekday has fewer than four others: an outage must not become
what is usual, and what goes on for six weeks is. A programme that shrinks is followed by the last week's sum, down to a
half. Quiet days count for nothing and expect nothing. Counts vary more than chance alone would have it, so their
dispersion is measured too, 2 at least.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median

from referral_pipeline.ledger.measures import ARRIVED, DayVolume

_HOUR = timedelta(hours=1)
_FEWEST_WEEKS = 4
_LEAST_DISPERSION, _MOST_DISPERSION = 2.0, 50.0
_MEDIAN_OF_CHI2 = 0.455
"""Of a squared standard normal: makes a median of squared residuals a variance that one strange day cannot move."""
_RESIDUALS = 4 / 3
"""Residuals about a median of few are smaller than the variance by about this."""


@dataclass(frozen=True)
class Pattern:
    """What a system brings: expected events by weekday (0 is Monday) and hour of UTC, and their dispersion."""

    hours: Mapping[tuple[int, int], float]
    dispersion: float
    quiet: frozenset[date]

    def expected(self, start: datetime, end: datetime, *, shift: int = 0) -> float:
        """How many events come between two times, by the pattern moved by that many hours."""
        total, at = 0.0, start
        while at < end:
            next_hour = at.replace(minute=0, second=0, microsecond=0) + _HOUR
            until = min(end, next_hour)
            if at.date() not in self.quiet:
                moved = at + shift * _HOUR
                total += self.hours.get((moved.weekday(), moved.hour), 0.0) * ((until - at) / _HOUR)
            at = until
        return total

    def at_least(self, start: datetime, end: datetime) -> float:
        """The least that is expected when the pattern may be an hour off."""
        return min(self.expected(start, end, shift=shift) for shift in (-1, 0, 1))


def pattern_of(
    volumes: Iterable[DayVolume], system: str, quiet: frozenset[date], faulty: frozenset[date] = frozenset()
) -> Pattern | None:
    """The pattern of a system; None while there are fewer than four weeks of it. `faulty` days lie under an alert."""
    days: dict[date, int] = {}
    of_hour: dict[tuple[date, int], int] = {}
    for volume in volumes:
        if volume.system != system or volume.day in quiet:
            continue
        name, _, hour = volume.measure.partition(":")
        if name != ARRIVED:
            continue
        if hour:
            of_hour[volume.day, int(hour)] = volume.count
        else:
            days[volume.day] = volume.count
    days = _sound(days, faulty)
    hours: dict[tuple[int, int], int] = {}
    for (day, hour), count in of_hour.items():
        if day in days:
            key = day.weekday(), hour
            hours[key] = hours.get(key, 0) + count
    of_weekday = {weekday: [n for day, n in days.items() if day.weekday() == weekday] for weekday in range(7)}
    if min(len(counts) for counts in of_weekday.values()) < _FEWEST_WEEKS:
        return None
    middle = {weekday: float(median(counts)) for weekday, counts in of_weekday.items()}
    newest = sorted(days.keys() - faulty)[-7:]
    usual = sum(middle[day.weekday()] for day in newest)
    shrinking = min(1.0, max(0.5, sum(days[day] for day in newest) / usual)) if usual else 1.0
    divided: dict[tuple[int, int], float] = {}
    for weekday in range(7):
        of_hours = sum(n for (day, _), n in hours.items() if day == weekday)
        for hour in range(24):
            share = hours.get((weekday, hour), 0) / of_hours if of_hours else 0.0
            divided[weekday, hour] = middle[weekday] * share * shrinking
    return Pattern(divided, _dispersion(days, middle), quiet)


def _sound(days: Mapping[date, int], faulty: frozenset[date]) -> dict[date, int]:
    """The days without the faulty ones, of which the newest are kept where a weekday has too few others."""
    kept = {day: count for day, count in days.items() if day not in faulty}
    for weekday in range(7):
        wanting = _FEWEST_WEEKS - sum(day.weekday() == weekday for day in kept)
        newest = sorted((day for day in days if day in faulty and day.weekday() == weekday), reverse=True)
        kept |= {day: days[day] for day in newest[: max(wanting, 0)]}
    return kept


def _dispersion(days: Mapping[date, int], middle: Mapping[int, float]) -> float:
    """Variance over mean of a day's count about its weekday."""
    squares = [
        (n - middle[day.weekday()]) ** 2 / middle[day.weekday()] for day, n in days.items() if middle[day.weekday()]
    ]
    found = median(squares) / _MEDIAN_OF_CHI2 * _RESIDUALS if squares else _LEAST_DISPERSION
    return min(max(found, _LEAST_DISPERSION), _MOST_DISPERSION)
