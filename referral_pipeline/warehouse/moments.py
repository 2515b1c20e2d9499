"""At which moment tables were judged where somebody chose one, so that no later step takes them for the present.

Belongs here: keeping and reading that moment, by table. Does not belong here: what depends on it (the models, kpis),
what must not be done with such tables (whoever does it).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from referral_pipeline.warehouse.store import Warehouse

__all__ = ["chosen_moment", "note_moment"]

_KEY = "judged_as_of:"
"""In ops.meta, before the name of the table; the value is empty where the table stands at the moment it was made."""


def note_moment(warehouse: Warehouse, table: str, chosen: datetime | None) -> None:
    """Keep at which moment a table was judged; None where nobody chose one. In the transaction that rebuilds it.

    Args:
        warehouse: that holds the table.
        table: its name with its layer.
        chosen: the moment, aware.
    """
    with warehouse.transaction() as connection:
        value = "" if chosen is None else chosen.astimezone(UTC).isoformat()
        connection.execute("INSERT OR REPLACE INTO ops.meta VALUES (?, ?)", [f"{_KEY}{table}", value])


def chosen_moment(warehouse: Warehouse, tables: Sequence[str]) -> datetime | None:
    """The earliest moment that was chosen for one of these tables, in UTC; None where all stand at their own."""
    with warehouse.connect() as connection:
        found = connection.execute(
            "SELECT value FROM ops.meta WHERE key = ANY (?) AND value <> ''", [[f"{_KEY}{table}" for table in tables]]
        ).fetchall()
    return min((datetime.fromisoformat(str(value)) for (value,) in found), default=None)
