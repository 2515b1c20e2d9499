"""A month without a fault, looked at every five minutes, and how soon each fault is found and told to be over.

Belongs here: the runs and their figures. Does not belong here: the programme (unit.health_world), what is judged.
"""

from __future__ import annotations

import logging
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter

from referral_pipeline_tests.benchmarks.result import Result
from referral_pipeline_tests.unit.health_world import EVENT_CALLS, PULLS, START, Faults, health_world

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_BEGIN, _END = START + _DAY + 9 * _HOUR, START + _DAY + 17 * _HOUR
_LOOK = timedelta(minutes=5)
_ATS_CALLS = (*EVENT_CALLS["greenhouse"], *PULLS["greenhouse"])

FAULTS: dict[str, tuple[Faults, int, int]] = {
    # the fault, days until nothing is told any more, and how many times the usual volume
    "endpoint_at_3_percent": (Faults(_BEGIN, _BEGIN + 3 * _DAY, error_rates={"candidates.list": 0.03}), 7, 8),
    "endpoint_at_50_percent": (Faults(_BEGIN, _END, error_rates={"applications.create": 0.5}), 3, 1),
    "system_fails": (Faults(_BEGIN, _END, error_rates=dict.fromkeys(_ATS_CALLS, 1.0)), 3, 1),
    "endpoint_slow": (Faults(_BEGIN, _END, slow={"referrals.update": 0.5}), 3, 1),
    "webhooks_lost": (Faults(_BEGIN, _END, lost={"greenhouse": 1.0}), 3, 1),
    "silence": (Faults(_BEGIN, _END, silent=frozenset({"greenhouse"})), 3, 1),
    "clock_ahead": (Faults(_BEGIN, _END, skew_seconds={"advocacy": 90.0}), 3, 1),
    "cursor_stale": (Faults(_BEGIN, _END, stuck=True), 3, 1),
    "events_late": (Faults(_BEGIN, _END, delay_seconds=120.0), 3, 1),
}


def run(quick: bool) -> Result:
    """30 days for each of three seeds (3 days of one when quick), then each fault; as looked at every five minutes."""
    logging.getLogger("referral_pipeline.alerts").setLevel(logging.CRITICAL)
    looks = alerts = 0
    took = 0.0
    for seed in (1,) if quick else (1, 2, 3):
        with tempfile.TemporaryDirectory() as folder, health_world(Path(folder), seed=seed) as world:
            started = perf_counter()
            looks += sum(1 for _ in world.run(START + (3 if quick else 30) * _DAY, every=_LOOK))
            took += perf_counter() - started
            alerts += len(world.told())
    figures: dict[str, float] = {"looks": looks, "false_alerts": alerts, "ms_per_look": round(took / looks * 1000, 2)}
    wrong = alerts > 0
    for name, (faults, days, scale) in FAULTS.items():
        with tempfile.TemporaryDirectory() as folder, health_world(Path(folder), faults=faults, scale=scale) as world:
            for _ in world.run(START + days * _DAY, every=_LOOK * (12 if quick else 1)):
                pass
            told = sorted(world.ledger.alerts(limit=1000), key=lambda alert: alert.id)
            figures[f"{name}_alerts"] = sum(alert.severity == "error" for alert in told)
            figures[f"{name}_recoveries"] = sum(alert.severity == "info" for alert in told)
            if len(told) == 2:
                figures[f"{name}_hours_to_find"] = _hours(told[0].fired_at, faults.since)
                figures[f"{name}_hours_to_end"] = _hours(told[1].fired_at, faults.until)
            wrong |= [alert.severity for alert in told] != ["error", "info"]
    return Result(name="health", figures=dict(figures), holds=not wrong)


def _hours(at: datetime, since: datetime) -> float:
    return round((at - since) / _HOUR, 2)
