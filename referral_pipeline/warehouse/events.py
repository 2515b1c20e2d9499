"""The inbox's finished events as a staging table, kept so that a refresh reads only what was finished since.

Belongs here: which events were taken already. Does not belong here: the other copies of the ledger (staging), what an
event's end means (kpis).
"""

from __future__ import annotations

import pyarrow as pa

from referral_pipeline.ledger.store import Ledger
from referral_pipeline.warehouse.frames import columns, frame_of
from referral_pipeline.warehouse.raw import registered
from referral_pipeline.warehouse.store import Warehouse

__all__ = ["EVENT", "stage_events"]

EVENT = columns(whole="id", text="system event_type origin outcome", time="received_at done_at")
"""Columns of staging.ledger_event."""

_TABLE = "staging.ledger_event"
_READ_UNTIL = "ledger_events_until"
"""The key in ops.meta that tells up to which number every event was taken."""
_AGAIN = 10_000
"""Numbers that are read again: a transaction that began earlier may have committed later than its number says."""


def stage_events(warehouse: Warehouse, ledger: Ledger) -> int:
    """Add the events that were finished since the last time; answers how many rows there are.

    An event is known by its number and the moment of its receipt. One that the inbox no longer keeps stays here, and
    one that is replayed stays as it was done first. An inbox whose numbers are lower than what was taken was pruned, or
    is that of another ledger: it is read from its beginning, and what was taken before stays.
    """
    with warehouse.transaction() as connection:
        found = connection.execute("SELECT value FROM ops.meta WHERE key = ?", [_READ_UNTIL]).fetchall()
        taken = int(found[0][0]) if found else 0
        if not warehouse.has_table(_TABLE):
            taken = 0
            warehouse.replace(_TABLE, frame_of([], EVENT))
        done = ledger.done_events(max(taken - _AGAIN, 0))
        if done.last_id < taken:
            taken, done = 0, ledger.done_events()
        with registered(connection, "incoming", pa.Table.from_pandas(frame_of(done.events, EVENT))):
            connection.execute(
                f"INSERT INTO {_TABLE} BY NAME SELECT * FROM incoming ANTI JOIN {_TABLE} USING (id, received_at)"  # noqa: S608 - our own name
            )
        mark = str(max(taken, done.settled_until))
        connection.execute("INSERT OR REPLACE INTO ops.meta VALUES (?, ?)", [_READ_UNTIL, mark])
        return warehouse.row_count(_TABLE)
