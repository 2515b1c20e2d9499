"""The token bucket: so many calls a second, and a burst beyond.

Belongs here: counting. Does not belong here: bodies.
"""

from __future__ import annotations


class TokenBucket:
    """One bucket a key."""

    def __init__(self) -> None:
        self._levels: dict[str, tuple[float, float]] = {}

    def take(self, key: str, *, per_second: float, burst: float, now: float) -> bool:
        """Take a token; False when there is none."""
        level, at = self._levels.get(key, (burst, now))
        level = min(burst, level + max(0.0, now - at) * per_second)
        is_there = level >= 1.0
        self._levels[key] = (level - 1.0 if is_there else level, now)
        return is_there
