"""From catalogue entries to Dagster specs and results.

Belongs here: owners, groups, kinds, pools, and the metadata that every materialization carries: row count, columns
with their meaning and lineage, numbers to watch, the published file, and a preview without personal data. Does not
belong here: what an asset does, the words and numbers themselves (warehouse.descriptions, lineage, watched).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import dagster as dg

from referral_pipeline.orchestration.catalog import BY_NAME
from referral_pipeline.orchestration.lineage import LINEAGE
from referral_pipeline.orchestration.watched import watched_numbers

if TYPE_CHECKING:
    from referral_pipeline.warehouse.store import Warehouse

TOLD_BY = "told_by"
"""Metadata of a failed check that names what tells the owner of the same: another check of its asset, or an alert."""

WAREHOUSE_POOL = "warehouse"
"""Limit 1: one run at a time opens the warehouse file (dagster.yaml sets the limit, DuckDB's own lock is behind it)."""

_PREVIEW_ROWS = 10
_NO_CONTRACT_OWNER = "team:talent-operations"


@cache
def owners() -> list[str]:
    """The owner named in the contract, or the team of that name while there is no valid contract yet."""
    from referral_pipeline.contract.loader import load_contract
    from referral_pipeline.contract.problems import ContractError
    from referral_pipeline.settings import load_settings

    try:
        return [load_contract(load_settings()).owner.email]
    except ContractError:
        return [_NO_CONTRACT_OWNER]


def spec(name: str) -> dg.AssetSpec:
    """The Dagster spec of a catalogue entry."""
    entry = BY_NAME[name]
    return dg.AssetSpec(
        key=name,
        deps=list(entry.deps),
        description=entry.description,
        group_name=entry.group,
        kinds=set(entry.kinds),
        owners=owners(),
        metadata={"dagster/table_name": entry.table} if entry.table else {},
    )


def table_result(warehouse: Warehouse, name: str, extra: Mapping[str, Any] | None = None) -> dg.MaterializeResult[Any]:
    """A materialization with the table's row count, columns, preview and numbers, and what else is to be told."""
    entry = BY_NAME[name]
    if entry.table is None:
        return dg.MaterializeResult(asset_key=name, metadata=dict(extra or {}))
    columns = ", ".join(f'"{c}"' for c in entry.preview) if entry.preview else "*"
    with warehouse.connect():
        # The table name and the order come from the catalogue, never from outside.
        order = entry.first or "ALL"
        frame = warehouse.frame(f"SELECT {columns} FROM {entry.table} ORDER BY {order} LIMIT {_PREVIEW_ROWS}")  # noqa: S608
        described = warehouse.frame(f"DESCRIBE {entry.table}")
        rows = warehouse.row_count(entry.table)
        numbers = watched_numbers(warehouse, name)
    return dg.MaterializeResult(
        asset_key=name,
        metadata={
            "dagster/row_count": rows,
            "dagster/column_schema": _schema(entry.table, described),
            **_lineage(name),
            **_published(warehouse, entry.table),
            "preview": dg.MetadataValue.md(_markdown(frame)),
            **numbers,
            **(extra or {}),
        },
    )


def _schema(table: str, described: Any) -> dg.TableSchema:
    """Columns with type and meaning."""
    from referral_pipeline.warehouse.descriptions import describe

    known = describe(table)
    meanings: Mapping[str, str] = known.columns if known is not None else {}
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name=name, type=str(kind), description=meanings.get(name))
            for name, kind in zip(described["column_name"], described["column_type"], strict=True)
        ]
    )


def _lineage(name: str) -> dict[str, Any]:
    """Where the columns of an asset come from, where that is written down."""
    if name not in LINEAGE:
        return {}
    deps = {
        column: [
            dg.TableColumnDep(asset_key=dg.AssetKey(asset), column_name=upstream)
            for asset, _, upstream in (source.partition(".") for source in sources)
        ]
        for column, sources in LINEAGE[name].items()
    }
    return {"dagster/column_lineage": dg.TableColumnLineage(deps_by_column=deps)}


def _published(warehouse: Warehouse, table: str) -> dict[str, Any]:
    """The Parquet file that others read, of a table that is published."""
    from referral_pipeline.orchestration.bridge import PUBLISHED_TABLES

    if table not in PUBLISHED_TABLES:
        return {}
    path = warehouse.published_dir / f"{table.partition('.')[2]}.parquet"
    return {"published_as": dg.MetadataValue.path(str(path))}


def counts_table(counts: Mapping[str, int], *, header: tuple[str, str] = ("what", "count")) -> dg.MetadataValue[Any]:
    """Counts as a small table."""
    lines = [f"| {header[0]} | {header[1]} |", "|---|---:|"]
    lines += [f"| {name.replace('_', ' ')} | {count} |" for name, count in sorted(counts.items())]
    return dg.MetadataValue.md("\n".join(lines))


def frame_table(frame: Any) -> dg.MetadataValue[Any]:
    """A frame without personal data as a small table."""
    return dg.MetadataValue.md(_markdown(frame))


def _markdown(frame: Any) -> str:
    header = [str(c) for c in frame.columns]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for row in frame.astype(object).where(frame.notna(), "").itertuples(index=False):
        lines.append("| " + " | ".join(str(v).replace("|", "\\|") for v in row) + " |")
    return "\n".join(lines)
