"""What the receiver counts, as Prometheus text.

Belongs here: counters, one histogram, the format. Does not belong here: who counts what. Labels are words of ours
(systems, known types, reasons), never anything that a sender may choose.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_ACCEPTED = "referral_pipeline_webhooks_accepted_total"
_DUPLICATES = "referral_pipeline_webhooks_duplicates_total"
_REFUSED = "referral_pipeline_webhooks_refused_total"
_COMMIT = "referral_pipeline_webhooks_commit_seconds"
_ROWS = "referral_pipeline_webhooks_committed_rows_total"

_MOST_STALE = 999
_AN_HOUR = timedelta(hours=1)


class Metrics:
    """Counts of one process. Belongs to one event loop."""

    def __init__(self) -> None:
        self._accepted: dict[tuple[str, str], int] = {}
        self._duplicates: dict[tuple[str, str], int] = {}
        self._refused: dict[tuple[str, str], int] = {}
        self._stale: dict[str, tuple[datetime, ...]] = {}
        self._buckets = [0] * (len(_BOUNDS) + 1)
        self._seconds = 0.0
        self._rows = 0

    def accepted(self, system: str, event_type: str, *, is_new: bool) -> None:
        """A delivery is in the inbox; `is_new` False when it was there before."""
        counts = self._accepted if is_new else self._duplicates
        key = (system, event_type)
        counts[key] = counts.get(key, 0) + 1

    def refused(self, system: str, reason: str) -> None:
        """A delivery was not taken."""
        key = (system, reason)
        self._refused[key] = self._refused.get(key, 0) + 1

    def refused_for_time(self, system: str, at: datetime) -> None:
        """A delivery that was signed right was not taken because of the time it was signed at."""
        # A new tuple: the heartbeat's thread reads it.
        self._stale[system] = (*self._stale.get(system, ())[-_MOST_STALE:], at)

    def lately_refused_for_time(self, now: datetime) -> dict[str, int]:
        """How many there were in the last hour, by system."""
        counts = {system: sum(at > now - _AN_HOUR for at in times) for system, times in tuple(self._stale.items())}
        return {system: count for system, count in counts.items() if count}

    def committed(self, seconds: float, rows: int) -> None:
        """A commit took that long and holds so many rows."""
        self._buckets[bisect_left(_BOUNDS, seconds)] += 1
        self._seconds += seconds
        self._rows += rows

    def text(self, gauges: Iterable[tuple[str, str, float]]) -> str:
        """All counts, and these gauges (name, help, value)."""
        lines = [
            *_counter(_ACCEPTED, "Deliveries committed, by type.", ("system", "type"), self._accepted),
            *_counter(_DUPLICATES, "Deliveries that were there already.", ("system", "type"), self._duplicates),
            *_counter(_REFUSED, "Deliveries not taken, by reason.", ("system", "reason"), self._refused),
            f"# HELP {_COMMIT} Encrypting and committing one batch.",
            f"# TYPE {_COMMIT} histogram",
        ]
        total = 0
        for bound, count in zip((*_BOUNDS, "+Inf"), self._buckets, strict=True):
            total += count
            lines.append(f'{_COMMIT}_bucket{{le="{bound}"}} {total}')
        lines += [f"{_COMMIT}_sum {self._seconds:.6f}", f"{_COMMIT}_count {total}"]
        lines += [f"# HELP {_ROWS} Deliveries in those batches.", f"# TYPE {_ROWS} counter", f"{_ROWS} {self._rows}"]
        for name, told, value in gauges:
            lines += [
                f"# HELP referral_pipeline_{name} {told}",
                f"# TYPE referral_pipeline_{name} gauge",
                f"referral_pipeline_{name} {value:g}",
            ]
        return "\n".join(lines) + "\n"


def _counter(name: str, told: str, labels: tuple[str, str], counts: Mapping[tuple[str, str], int]) -> Iterable[str]:
    yield f"# HELP {name} {told}"
    yield f"# TYPE {name} counter"
    for (first, second), count in sorted(counts.items()):
        yield f'{name}{{{labels[0]}="{first}",{labels[1]}="{second}"}} {count}'
