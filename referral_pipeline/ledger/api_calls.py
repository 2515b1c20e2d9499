"""Calls to other systems, as they were measured.

Belongs here: keeping, reading and removing them, on an open connection. Does not belong here: transactions (store.py),
measuring (connectors), what follows from them (monitoring).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from referral_pipeline.connectors.calls import ApiCall
from referral_pipeline.ledger import tables

_SLICE = 5_000
"""Ids looked at in one transaction of a pruning, so that no other writer waits long for it."""

_RECORD_CALLS = sa.insert(tables.api_calls)


def record(connection: Connection, calls: Sequence[ApiCall]) -> None:
    """Keep what was measured of these calls; at least one."""
    connection.execute(_RECORD_CALLS, [dict(vars(call)) for call in calls])


def select(connection: Connection, *, since: datetime | None, system: str | None) -> list[ApiCall]:
    """Recorded calls, oldest first."""
    table = tables.api_calls
    query = sa.select(*(column for column in table.c if column.name != "id")).order_by(table.c.at, table.c.id)
    if since is not None:
        query = query.where(table.c.at >= since)
    if system is not None:
        query = query.where(table.c.system == system)
    return [ApiCall(**row) for row in connection.execute(query).mappings()]


def count(connection: Connection) -> int:
    """How many calls were recorded so far."""
    return connection.execute(sa.select(sa.func.count()).select_from(tables.api_calls)).scalar_one()


def slices(connection: Connection) -> list[range]:
    """The ids of all recorded calls, in parts that one transaction can look at."""
    table = tables.api_calls
    first, last = connection.execute(sa.select(sa.func.min(table.c.id), sa.func.max(table.c.id))).one()
    if first is None:
        return []
    return [range(start, start + _SLICE) for start in range(first, last + 1, _SLICE)]


def remove(connection: Connection, ids: range, *, before: datetime) -> int:
    """Remove those of these calls that are from before that time; answers how many rows went."""
    table = tables.api_calls
    old = sa.delete(table).where(table.c.id >= ids.start, table.c.id < ids.stop, table.c.at < before)
    return connection.execute(old).rowcount
