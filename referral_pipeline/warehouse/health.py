"""ops.health: the history of what was measured of the integration's health.

Belongs here: keeping rows, for so long. Does not belong here: measuring and judging (monitoring).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from referral_pipeline.warehouse.raw import registered
from referral_pipeline.warehouse.store import Warehouse

TABLE = "ops.health"
KEEP = timedelta(days=30)
_COLUMNS: Any = pa.schema(
    [
        ("measured_at", pa.timestamp("us", tz="UTC")),
        ("measure", pa.string()),
        ("system", pa.string()),
        ("operation", pa.string()),
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("threshold", pa.float64()),
        ("sample_size", pa.int64()),
        ("severity", pa.string()),
        ("evidence", pa.string()),
        ("what_to_do", pa.string()),
        ("told_by", pa.string()),
    ]
)


def keep_health(warehouse: Warehouse, rows: Sequence[Mapping[str, Any]], measured_at: datetime) -> int:
    """Add the rows of one look, which have the columns of the table, and drop those older than a month; rows now."""
    incoming = pa.Table.from_pylist([{**row, "measured_at": measured_at} for row in rows], schema=_COLUMNS)
    with warehouse.transaction() as connection, registered(connection, "incoming", incoming):
        connection.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} AS FROM incoming LIMIT 0")
        return warehouse.build(TABLE, keep_from=measured_at - KEEP)
