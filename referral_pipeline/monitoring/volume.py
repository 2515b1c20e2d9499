"""How many events come, against the pattern of the weeks before.

Belongs here: when too few is an error. Does not belong here: the pattern (pattern), counting days (ledger.measures).

A low count is judged as negative binomial with the pattern's dispersion. Two things are errors, both found within the
day, by the hour
1. Silence: nothing has come since the last event, and that would happen by chance once in 10^6: twenty events expected,
   with a dispersion of 2. The pattern moved by an hour either way must say so too, for the days on which clocks change.
2. A trickle: far too few in the last 24 hours (10^-6), and too few in the newest of them.
Silence is over with the next event, a trickle when the newest hours are as expected. While an alert is open, nothing is
over before something has come since: what is expected may be nothing at all for a weekend, or after many weeks. Only
where the contract calls the day on which it was fired quiet, nothing was missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from referral_pipeline.contract.models import Contract
from referral_pipeline.monitoring.evidence import low_count_tail
from referral_pipeline.monitoring.health import HealthRow, Severity
from referral_pipeline.monitoring.pattern import Pattern
from referral_pipeline.monitoring.watch import DAY, HOUR, Facts

BY_CHANCE = 1e-6
_LEAST_EXPECTED = 10.0
"""Events expected in the newest hours before they can say that it is over."""
_STILL_LOW = 0.01
_LONGEST_SILENCE = timedelta(days=28)
"""What is missed is counted no further back: by then nothing is left to prove."""


def judge_volume(facts: Facts, contract: Contract) -> Iterator[HealthRow]:
    """A row for each system that can send webhooks."""
    for system in facts.systems:
        if system == facts.advocacy or system == contract.ats.connector:
            yield _judge(facts, system)


def _judge(facts: Facts, system: str) -> HealthRow:
    now = facts.now.astimezone(UTC)
    begin = now - DAY
    # Lost webhooks are another measure's: here counts that something happened at all.
    came = [a for a in facts.arrivals if a.system == system and not a.bulk]
    counts: dict[datetime, int] = {}
    for arrival in came:
        counts[arrival.at] = counts.get(arrival.at, 0) + arrival.events
    # Whole hours, of which the first may have begun a little earlier than a day ago.
    count = sum(counts.values())
    pattern = facts.patterns.get(system)
    fired, last = facts.open_since("daily_volume", subject=system), facts.newest.get(system)
    if pattern is None:
        words = f"{count:,} in the last day. Four weeks are needed to know what is usual."
        return HealthRow("daily_volume", system, float(count), None, Severity.UNKNOWN, words, sample=0)
    first = begin.replace(minute=0, second=0, microsecond=0)
    expected = pattern.expected(first, now)
    words = f"{count:,} came in the last day, and {expected:,.0f} are usual for these hours."
    since = f"since {last.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if last else "for weeks"
    oldest = now - _LONGEST_SILENCE
    missed = pattern.at_least(max(last.astimezone(UTC), oldest) if last else oldest, now)
    holds = fired is not None and (last is None or last < fired) and fired.astimezone(UTC).date() not in pattern.quiet
    severity = Severity.OK
    if low_count_tail(0, missed, pattern.dispersion) < BY_CHANCE:
        severity = Severity.ERROR
        words += f" None has come {since}, where {missed:,.0f} are usual."
    elif low_count_tail(count, pattern.at_least(first, now), pattern.dispersion) < BY_CHANCE and (
        _is_still_low(pattern, counts, now, first)
    ):
        severity = Severity.ERROR
        words += " So few hardly ever come by chance."
    elif holds:
        words += f" None has come {since}."
    elif expected == 0 and count == 0:
        words = "Nothing came in the last day, and nothing is usual."
    return HealthRow("daily_volume", system, float(count), expected, severity, words, sample=count, holds=holds)


def _is_still_low(pattern: Pattern, counts: Mapping[datetime, int], now: datetime, first: datetime) -> bool:
    """Whether the newest hours, as many as say something, have too few too."""
    start = now.replace(minute=0, second=0, microsecond=0)
    while start >= first:
        expected = pattern.at_least(start, now)
        if expected >= _LEAST_EXPECTED:
            count = sum(n for at, n in counts.items() if at >= start)
            return low_count_tail(count, expected, pattern.dispersion) < _STILL_LOW
        start -= HOUR
    return True
