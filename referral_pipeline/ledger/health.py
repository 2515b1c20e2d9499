"""Who is alive, which systems are called, and durable counts.

Belongs here: heartbeats, the states of circuit breakers, counters. Does not belong here: what follows from them
(monitoring, orchestration), alerts (alerts.py), counting rows (measures.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from referral_pipeline.ledger import tables
from referral_pipeline.ledger.engine import insert, upsert
from referral_pipeline.ledger.measures import MeasurePart
from referral_pipeline.ledger.records import BreakerState, Heartbeat

_beats = tables.heartbeats.c
_BEATS = (
    sa.select(_beats.name, _beats.owner, _beats.address, _beats.at, _beats.details)
    .where(_beats.name == sa.bindparam("of_name"))
    .order_by(_beats.at.desc(), _beats.owner)
)
_BREAKERS = sa.select(tables.breakers).order_by(tables.breakers.c.system)
_COUNTS = sa.select(tables.counters.c.name, tables.counters.c.value)


class HealthPart(MeasurePart):
    """The ledger's methods on heartbeats, breakers and counters, and those that count (measures)."""

    def beat(
        self, name: str, owner: str, *, address: str | None = None, details: Mapping[str, Any] | None = None
    ) -> None:
        """Say that a process is there, now. `owner` is one process of that name; `details` holds no personal data."""
        row = {"name": name, "owner": owner, "address": address, "at": self._clock(), "details": dict(details or {})}
        with self._writing(durable=False) as connection:
            upsert(connection, tables.heartbeats, [row])

    def heartbeats(self, name: str) -> list[Heartbeat]:
        """The processes of that name, the one that was heard last first."""
        with self._reading() as connection:
            return [
                Heartbeat(row.name, row.owner, row.address, row.at, row.details or {})
                for row in connection.execute(_BEATS, {"of_name": name})
            ]

    def forget_heartbeat(self, name: str, owner: str) -> None:
        """Remove a process that ended."""
        leaving = sa.delete(tables.heartbeats).where(_beats.name == name, _beats.owner == owner)
        with self._writing() as connection:
            connection.execute(leaving)

    def save_breaker(self, state: BreakerState) -> None:
        """Keep the state of one system's breaker."""
        with self._writing() as connection:
            upsert(connection, tables.breakers, [asdict(state)])

    def breakers(self) -> list[BreakerState]:
        """Every breaker that was ever kept, by system."""
        with self._reading() as connection:
            return [BreakerState(**row) for row in connection.execute(_BREAKERS).mappings()]

    def add_counts(self, counts: Mapping[str, int]) -> None:
        """Add to durable figures such as `reconcile.missed.greenhouse`; a new name begins at 0."""
        rows = [{"name": name, "value": counts[name]} for name in sorted(counts)]
        if not rows:
            return
        with self._writing() as connection:
            adding = insert(connection.dialect.name, tables.counters)
            connection.execute(
                adding.on_conflict_do_update(
                    index_elements=["name"], set_={"value": tables.counters.c.value + adding.excluded.value}
                ),
                rows,
            )

    def counts(self) -> dict[str, int]:
        """Every durable figure."""
        with self._reading() as connection:
            return {row[0]: row[1] for row in connection.execute(_COUNTS)}
