"""A month of an integration's facts in a real ledger, made in bulk, with a clock to turn and faults to put in.

Belongs here: a programme with weekdays, hours and chance, and the looks at it. Does not belong here: assertions.

Two systems. Each event costs calls; lists are pulled every 15 minutes. One call in a hundred fails, days vary twice as
much as chance would have them, weekends bring a fifth. A day's facts are written when the day begins; whoever looks
asks for nothing that lies ahead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.scaffold import sandbox_contract
from referral_pipeline.ledger import tables
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.monitoring.alerts import AlertDesk
from referral_pipeline.monitoring.health import Health
from referral_pipeline.monitoring.health_alerts import tell
from referral_pipeline.monitoring.judge import judge
from referral_pipeline.monitoring.watch import Watcher
from referral_pipeline.settings import load_settings

START = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
NEVER = datetime.max.replace(tzinfo=UTC)
WEEKS_BEFORE = 6
WEEKDAY = (1.0, 1.1, 1.05, 1.0, 0.8, 0.2, 0.2)
HOURS = np.array([1, 1, 1, 0, 0, 0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 10, 9, 8, 7, 5, 3, 2, 2, 1], dtype=float)
A_DAY = {"advocacy": 150, "greenhouse": 90}
BULK_A_DAY = {"advocacy": 400, "greenhouse": 0}
EVENT_CALLS = {
    "advocacy": ("referrals.get", "referrals.update"),
    "greenhouse": ("candidates.list", "applications.create", "applications.list", "custom_fields.list"),
}
PULLS = {"advocacy": ("referrals.list", "shares.list"), "greenhouse": ("candidates.list", "offers.list", "jobs.list")}
OUTCOMES = {"advocacy": "created", "greenhouse": "status_sent"}
ERROR_RATE = 0.01
FAILURES = ("server_error", "timeout", "broken")


@dataclass
class Faults:
    """What is wrong, from `since` until `until`. Nothing, by default."""

    since: datetime = NEVER
    until: datetime = NEVER
    error_rates: Mapping[str, float] = field(default_factory=dict)  # by operation
    slow: Mapping[str, float] = field(default_factory=dict)  # share of slow calls, by operation
    lost: Mapping[str, float] = field(default_factory=dict)  # share of webhooks, by system; reconciliation finds them
    silent: frozenset[str] = frozenset()  # systems that bring nothing, and nothing is found
    delay_seconds: float = 0.0  # of every event
    stuck: bool = False  # cursors do not move
    skew_seconds: Mapping[str, float] = field(default_factory=dict)

    def hold(self, at: datetime) -> bool:
        return self.since <= at < self.until


class HealthWorld:
    """One ledger and one clock."""

    def __init__(
        self, folder: Path, *, seed: int = 3, faults: Faults | None = None, scale: int = 1, start: datetime = START
    ) -> None:
        self.now = start
        self.faults = faults or Faults()
        self.scale = scale
        self.rng = np.random.default_rng(seed)
        self.contract = parse_contract(sandbox_contract())
        self.settings = load_settings(folder)
        self.ledger = Ledger.open("sqlite:///ledger.sqlite", home=folder, clock=lambda: self.now)
        self.watcher = Watcher(self.ledger, self.contract, folder / "published")
        self.desk = AlertDesk(self.contract, self.settings, self.ledger, lambda: self.now, background=False)
        self._number = 0
        self._written = START.date()
        self._history()
        for day in range((start - START).days + 1):
            self._write_day(START.date() + timedelta(days=day - 1))
        self._written = start.date()

    # ------------------------------------------------------------ looking

    def look(self) -> Health:
        """The health as of now, told to the desk."""
        health = judge(self.watcher.look(self.now), self.contract)
        tell(health, self.desk, self.ledger, self.settings)
        return health

    def run(self, until: datetime, *, every: timedelta = timedelta(minutes=5)) -> Iterator[Health]:
        """Look again and again, with the processes alive, until then."""
        while self.now < until:
            self.now += every
            self.live()
            yield self.look()

    def live(self) -> None:
        """What the processes leave behind up to now: heartbeats, cursors, and the day's facts."""
        while self._written <= self.now.date():
            self._write_day(self._written)
            self._written += timedelta(days=1)
        is_stuck = self.faults.stuck and self.faults.hold(self.now)
        with self.ledger.atomic():
            self.ledger.beat("lane", "one", address="127.0.0.1:1", details={"run_id": "r1"})
            self.ledger.beat("receiver", "one")
            if not is_stuck and self.now.minute % 15 == 0:
                for system, operations in PULLS.items():
                    for operation in operations:
                        entity = operation.partition(".")[0]
                        self.ledger.save_cursor(
                            system, entity, position=self.now, warehouse_id="w", full_pull_at=self.now
                        )

    def told(self) -> list[tuple[str, str, str]]:
        """(began or over, name, subject) of every alert, oldest first."""
        records = sorted(self.ledger.alerts(limit=1000), key=lambda record: record.id)
        return [
            ("over" if r.details.get("kind") == "recovered" else "began", r.name, str(r.details["subject"]))
            for r in records
        ]

    # ------------------------------------------------------------ facts

    def _count(self, system: str, day: date, a_day: Mapping[str, int]) -> int:
        mean = a_day[system] * WEEKDAY[day.weekday()] * self.scale
        return int(self.rng.negative_binomial(mean, 0.5)) if mean else 0  # a variance of twice the mean

    def _moments(self, day: date, count: int) -> list[datetime]:
        start = datetime.combine(day, time(), UTC)
        hours = self.rng.choice(24, size=count, p=HOURS / HOURS.sum())
        seconds = np.sort(hours * 3600 + self.rng.integers(0, 3600, size=count))
        return [start + timedelta(seconds=float(s)) for s in seconds]

    def _history(self) -> None:
        rows: list[dict[str, Any]] = []
        for ago in range(7 * WEEKS_BEFORE, 1, -1):
            day = (START - timedelta(days=ago)).date()
            for system in A_DAY:
                changes = self._count(system, day, A_DAY)
                came = changes + self._count(system, day, BULK_A_DAY)
                hours = self.rng.multinomial(changes, HOURS / HOURS.sum())
                counts = {"webhooks": came, "changes": changes, "reconciled": 0, "arrived": changes}
                counts |= {f"arrived:{hour:02}": int(n) for hour, n in enumerate(hours) if n}
                rows += [{"day": day, "system": system, "measure": m, "count": n} for m, n in counts.items()]
        self.insert(tables.daily_volume, rows)

    def _write_day(self, day: date) -> None:
        events: list[dict[str, Any]] = []
        called: list[tuple[datetime, str, str]] = []
        start = datetime.combine(day, time(), UTC)
        for system in A_DAY:
            for bulk, a_day in ((False, A_DAY), (True, BULK_A_DAY)):
                for at in self._moments(day, self._count(system, day, a_day)):
                    is_faulty = self.faults.hold(at)
                    if is_faulty and system in self.faults.silent:
                        continue
                    is_lost = is_faulty and self.rng.random() < self.faults.lost.get(system, 0.0)
                    if is_lost and bulk:
                        continue
                    events.append(self._event(system, at, bulk=bulk, found=is_lost))
                    if not bulk:
                        called += [(at, system, operation) for operation in EVENT_CALLS[system]]
            pulls = [start + timedelta(minutes=15 * n) for n in range(96)]
            called += [(at, system, operation) for at in pulls for operation in PULLS[system]]
        events.sort(key=lambda event: event["received_at"])
        self.insert(tables.inbox, events)
        self.insert(tables.api_calls, self._calls(sorted(called)))

    def _event(self, system: str, at: datetime, *, bulk: bool, found: bool) -> dict[str, Any]:
        self._number += 1
        took = float(self.rng.lognormal(-3.0, 1.0)) + (self.faults.delay_seconds if self.faults.hold(at) else 0.0)
        if found:
            minutes = (at.minute // 15 + 1) * 15
            at = at.replace(minute=0, second=30, microsecond=0) + timedelta(minutes=minutes)
        return {
            "system": system,
            "delivery_id": f"reconcile:{self._number}" if found else f"d{self._number}",
            "event_type": "e",
            "origin": "reconciliation" if found else "webhook",
            "received_at": at,
            "state": "done",
            "available_at": at,
            "outcome": "kept" if bulk else OUTCOMES[system],
            "done_at": at + timedelta(seconds=took),
            "bulk": bulk,
        }

    def _calls(self, called: list[tuple[datetime, str, str]]) -> list[dict[str, Any]]:
        n = len(called)
        dice, slow_dice = self.rng.random(n).tolist(), self.rng.random(n).tolist()
        kinds = self.rng.integers(0, len(FAILURES), n).tolist()
        latencies = self.rng.lognormal(5.0, 0.5, n).astype(int).tolist()
        noise = self.rng.integers(-500, 500, n).tolist()
        rows: list[dict[str, Any]] = []
        for number, (at, system, operation) in enumerate(called):
            is_faulty = self.faults.hold(at)
            rate = self.faults.error_rates.get(operation, ERROR_RATE) if is_faulty else ERROR_RATE
            slow = self.faults.slow.get(operation, 0.0) if is_faulty else 0.0
            skew = self.faults.skew_seconds.get(system, 0.0) if is_faulty else 0.0
            failed = dice[number] < rate
            rows.append(
                {
                    "system": system,
                    "operation": operation,
                    "method": "GET",
                    "status": 500 if failed else 200,
                    "outcome": FAILURES[kinds[number]] if failed else "ok",
                    "latency_ms": 4000 if slow_dice[number] < slow else latencies[number],
                    "attempt": 1,
                    "budget_left": 40,
                    "at": at,
                    "clock_skew_ms": int(skew * 1000) + noise[number],
                }
            )
        return rows

    def insert(self, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        """Put rows into a table of the ledger as they are."""
        with self.ledger._writing(durable=False) as connection:
            if rows:
                connection.execute(sa.insert(table), rows)


@contextmanager
def health_world(folder: Path, **more: Any) -> Iterator[HealthWorld]:
    """A world that is closed afterwards."""
    world = HealthWorld(folder, **more)
    try:
        yield world
    finally:
        world.desk.close()
        world.ledger.close()
