"""ops.schema_drift: every change of an API that was ever seen, one row each.

Belongs here: the table. Does not belong here: judging (monitoring.drift), keeping what was seen (ledger.shapes). The
ledger is the history: the table is made anew from it and may be lost with the warehouse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from referral_pipeline.warehouse.frames import columns, frame_of_rows
from referral_pipeline.warehouse.store import Warehouse

__all__ = ["build_schema_drift"]

_COLUMNS = columns(
    text="drift_id system operation kind path found before severity state accepted_by accepted_why what what_to_do",
    time="first_seen_at last_seen_at accepted_at",
    whole="times_seen",
    flag="is_read",
)


def build_schema_drift(warehouse: Warehouse, rows: Iterable[Mapping[str, Any]]) -> int:
    """Replace the table by these rows, which have its columns; its row count.

    Raises:
        ModelFailed: the table could not be built; it stays as it was.
    """
    return warehouse.replace("ops.schema_drift", frame_of_rows([dict(row) for row in rows], _COLUMNS))
