"""Time in a programme: whole milliseconds, counted back from `as_of`.

Belongs here: arithmetic that survives being written down (a stamp keeps milliseconds, so nothing finer may exist).
Does not belong here: how stamps look (`advocacy.clock`).
"""

from __future__ import annotations

from datetime import datetime, timedelta

_MS_PER_DAY = 86_400_000


def days(amount: float) -> timedelta:
    """A span of days in whole milliseconds."""
    return timedelta(milliseconds=int(amount * _MS_PER_DAY))


def days_between(start: datetime, end: datetime) -> float:
    """Fractional days from start to end."""
    return (end - start) / timedelta(days=1)
