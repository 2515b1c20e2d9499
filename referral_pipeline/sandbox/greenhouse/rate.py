"""Fixed rate windows.

Belongs here: counting. Does not belong here: headers and bodies (`vendor.py`, `errors.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class RateReading:
    """Where a credential stands after a call. `reset` is epoch seconds."""

    allowed: bool
    limit: int
    remaining: int
    reset: int
    retry_after: int

    def headers(self) -> dict[str, str]:
        """The documented headers."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
        }


class FixedWindow:
    """Counts calls by key in windows that start at multiples of their length, for everybody alike."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[float, int]] = {}

    def count(self, key: str, limit: int, seconds: float, now: float) -> RateReading:
        """Count one call, unless the window is used up."""
        start = math.floor(now / seconds) * seconds
        known_start, used = self._counts.get(key, (start, 0))
        if known_start != start:
            used = 0
        allowed = used < limit
        if allowed:
            used += 1
        self._counts[key] = (start, used)
        end = start + seconds
        return RateReading(allowed, limit, max(0, limit - used), math.ceil(end), max(1, math.ceil(end - now)))
