"""Published copies: what analysts and reports read, never the warehouse file itself.

Belongs here: Parquet files, the read-only DuckDB copy, the manifest, and how they come into place. Does not belong
here: which tables are published (orchestration), what is in them.

A set is written whole into a folder beside its place, the manifest last, everything synced; only then each file is
renamed over its predecessor. So a crash while writing leaves the old set, and a crash while renaming is finished by the
next publication, because a folder that has its manifest is complete. The caller holds the warehouse's lock, so there is
one publisher at a time.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from duckdb import DuckDBPyConnection

from referral_pipeline.warehouse.descriptions import describe
from referral_pipeline.warehouse.failures import WarehouseError

MANIFEST = "manifest.json"
COPY = "warehouse.duckdb"
_BESIDE = ".publishing-"


def publish(
    connection: DuckDBPyConnection,
    published_dir: Path,
    tables: Sequence[str],
    *,
    layers: Sequence[str],
    at: datetime,
    as_of: datetime | None = None,
) -> list[Path]:
    """Publish tables (`layer.name`) as `name.parquet`, and every table of `layers` in one DuckDB file.

    Both carry what each table and column means: the copy as comments, a Parquet file under the keys `about` and
    `columns` (a JSON object) of its metadata. `as_of` is the moment at which the numbers were judged, for the manifest;
    None where that was the moment of the run.

    Raises:
        WarehouseError: when two tables would have one file name.
    """
    names = {table.split(".")[1]: table for table in tables}
    if len(names) != len(tables):
        raise WarehouseError("two published tables would have the same file name")
    published_dir.mkdir(parents=True, exist_ok=True)
    sweep(published_dir)
    beside = published_dir / f"{_BESIDE}{uuid.uuid4().hex}"
    beside.mkdir()
    try:
        listed = [_write_parquet(connection, table, beside / f"{name}.parquet") for name, table in names.items()]
        _write_copy(connection, beside / COPY, layers)
        _write_manifest(beside / MANIFEST, listed, at, as_of)
        _sync(beside)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    _install(beside, published_dir)
    return [published_dir / entry["file"] for entry in listed] + [published_dir / COPY, published_dir / MANIFEST]


def sweep(published_dir: Path) -> None:
    """Finish or remove what a publication that was killed left behind."""
    for beside in sorted(published_dir.glob(f"{_BESIDE}*")):
        if (beside / MANIFEST).exists() and _is_complete(beside / MANIFEST):
            _install(beside, published_dir)
        else:
            shutil.rmtree(beside)


def published_at(published_dir: Path) -> datetime | None:
    """When the present set was published; None when there is none."""
    return _time_in_manifest(published_dir, "published_at")


def published_as_of(published_dir: Path) -> datetime | None:
    """The moment that was chosen for the present set's numbers; None when none was, and when there is no set."""
    return _time_in_manifest(published_dir, "as_of")


def _time_in_manifest(published_dir: Path, name: str) -> datetime | None:
    try:
        found = cast(dict[str, Any], json.loads((published_dir / MANIFEST).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    return None if found.get(name) is None else datetime.fromisoformat(str(found[name]))


def _install(beside: Path, published_dir: Path) -> None:
    """Rename every file of a complete set into place, the manifest last. Can be repeated from any point."""
    before = _files_of(published_dir / MANIFEST)
    now = _files_of(beside / MANIFEST)
    for path in sorted(beside.iterdir(), key=lambda path: (path.name == MANIFEST, path.name)):
        os.replace(path, published_dir / path.name)
    for name in before - now:
        (published_dir / name).unlink(missing_ok=True)
    _sync(published_dir)
    beside.rmdir()


def _write_parquet(connection: DuckDBPyConnection, table: str, path: Path) -> dict[str, Any]:
    described = describe(table)
    told = ""
    if described is not None:
        about, columns = _literal(described.about), _literal(json.dumps(dict(described.columns)))
        told = f", KV_METADATA {{about: {about}, columns: {columns}}}"
    written = connection.execute(
        f"COPY (FROM {table}) TO {_literal(path)} (FORMAT parquet, COMPRESSION zstd{told})"
    ).fetchall()
    _sync(path)
    return {"table": table, "file": path.name, "rows": int(written[0][0])}


def _write_copy(connection: DuckDBPyConnection, path: Path, layers: Sequence[str]) -> None:
    connection.execute(f"ATTACH {_literal(path)} AS published")
    try:
        for layer in layers:
            connection.execute(f"CREATE SCHEMA published.{layer}")
            for name in _tables_of(connection, layer):
                connection.execute(f'CREATE TABLE published.{layer}."{name}" AS FROM {layer}."{name}"')
                _comment(connection, layer, name)
    finally:
        connection.execute("DETACH published")
    path.chmod(0o444)
    _sync(path)


def _comment(connection: DuckDBPyConnection, layer: str, name: str) -> None:
    """Write what a table of the copy and its columns mean beside them."""
    described = describe(f"{layer}.{name}")
    if described is None:
        return
    there = connection.execute(
        "SELECT column_name FROM duckdb_columns()"
        " WHERE database_name = 'published' AND schema_name = ? AND table_name = ?",
        [layer, name],
    ).fetchall()
    connection.execute(f'COMMENT ON TABLE published.{layer}."{name}" IS {_literal(described.about)}')
    for (column,) in there:
        if column in described.columns:
            sentence = _literal(described.columns[column])
            connection.execute(f'COMMENT ON COLUMN published.{layer}."{name}"."{column}" IS {sentence}')


def _tables_of(connection: DuckDBPyConnection, layer: str) -> list[str]:
    rows = connection.execute(
        "SELECT table_name FROM duckdb_tables()"
        " WHERE database_name = current_database() AND schema_name = ? ORDER BY table_name",
        [layer],
    ).fetchall()
    return [str(name) for (name,) in rows]


def _write_manifest(path: Path, listed: list[dict[str, Any]], at: datetime, as_of: datetime | None) -> None:
    manifest = {
        "published_at": _stamp(at),
        "as_of": None if as_of is None else _stamp(as_of),
        "tables": listed,
        "copy": COPY,
    }
    path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    _sync(path)


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _files_of(manifest: Path) -> set[str]:
    try:
        found = cast(dict[str, Any], json.loads(manifest.read_text(encoding="utf-8")))
        return {str(entry["file"]) for entry in found["tables"]}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return set()


def _is_complete(manifest: Path) -> bool:
    """Whether a manifest was written to its end; it is the last file of a set."""
    try:
        json.loads(manifest.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def _sync(path: Path) -> None:
    """Have the system put a file or folder on the disk, so that a rename never comes before what it renames."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _literal(text: Path | str) -> str:
    return "'" + str(text).replace("'", "''") + "'"
