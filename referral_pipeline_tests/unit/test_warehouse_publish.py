"""Published copies come into place whole: a reader keeps what it opened, and a crash leaves one set, not two halves."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from referral_pipeline.warehouse.store import Warehouse, WarehouseError
from referral_pipeline_tests.unit.ledger_databases import start

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
TABLES = ["core.numbers", "mart.kpi"]

_DIE_WHILE_PUBLISHING = """
import os, signal, sys
from pathlib import Path
from referral_pipeline.warehouse import publish
from referral_pipeline.warehouse.store import Warehouse

home, name, survive = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
target = getattr(os, name)

def die_in_time(*arguments):
    global survive
    if survive == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    survive -= 1
    return target(*arguments)

setattr(publish.os, name, die_in_time)
warehouse = Warehouse("w.duckdb", home=home, published_dir=home / "published", sql_dir=home / "sql")
warehouse.build("core.numbers", top=9)
warehouse.build("mart.kpi", top=9)
warehouse.publish(["core.numbers", "mart.kpi"])
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    for table in ("core/numbers", "core/private", "mart/kpi", "mart/numbers", "staging/person"):
        path = tmp_path / "sql" / f"{table}.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("SELECT range AS n FROM range(getvariable('top')::INT)", encoding="utf-8")
    opened = Warehouse("w.duckdb", home=tmp_path, published_dir=tmp_path / "published", sql_dir=tmp_path / "sql")
    opened.build("core.numbers", top=3)
    opened.build("mart.kpi", top=3)
    opened.build("staging.person", top=3)
    return opened


def _rows(folder: Path) -> dict[str, int]:
    """Rows by published file, each read to its end."""
    counts = {path.name: len(pd.read_parquet(path)) for path in folder.glob("*.parquet")}
    with duckdb.connect(folder / "warehouse.duckdb", read_only=True) as copy:
        for table in TABLES:
            counts[table] = copy.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]
    return counts


def _published(count: int) -> dict[str, int]:
    return {"numbers.parquet": count, "kpi.parquet": count, "core.numbers": count, "mart.kpi": count}


def test_a_set_has_a_file_for_each_table_a_copy_and_a_manifest(warehouse: Warehouse) -> None:
    paths = warehouse.publish(TABLES, clock=lambda: NOW)
    folder = warehouse.published_dir
    assert [path.name for path in paths] == ["numbers.parquet", "kpi.parquet", "warehouse.duckdb", "manifest.json"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in paths)
    assert _rows(folder) == _published(3)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["published_at"] == "2026-05-04T12:00:00Z"
    assert manifest["tables"][0] == {"table": "core.numbers", "file": "numbers.parquet", "rows": 3}


def test_the_copy_has_no_layer_that_may_hold_personal_data(warehouse: Warehouse) -> None:
    warehouse.upsert_raw("ats", "jobs", [{"id": "1"}], pulled_at=NOW)
    warehouse.publish(["core.numbers"])
    with duckdb.connect(warehouse.published_dir / "warehouse.duckdb", read_only=True) as copy:
        schemas = {schema for (schema,) in copy.execute("SELECT schema_name FROM duckdb_tables()").fetchall()}
    assert schemas == {"core", "mart", "ops"}


def test_a_table_that_may_hold_personal_data_is_refused_and_nothing_is_published(warehouse: Warehouse) -> None:
    for table in ("staging.person", "raw.ats_jobs"):
        with pytest.raises(WarehouseError, match="neither shown nor published"):
            warehouse.publish(["core.numbers", table])
    warehouse.build("mart.numbers", top=1)
    with pytest.raises(WarehouseError, match="same file name"):
        warehouse.publish(["core.numbers", "mart.numbers"])
    assert not warehouse.published_dir.exists()


def test_a_reader_that_has_an_old_file_open_keeps_it(warehouse: Warehouse) -> None:
    warehouse.publish(TABLES)
    folder = warehouse.published_dir
    with (
        duckdb.connect(folder / "warehouse.duckdb", read_only=True) as reader,
        (folder / "kpi.parquet").open("rb") as f,
    ):
        warehouse.build("core.numbers", top=5)
        warehouse.build("mart.kpi", top=5)
        warehouse.publish(TABLES)
        assert reader.execute("SELECT count(*) FROM core.numbers").fetchall() == [(3,)]
        assert len(pd.read_parquet(f)) == 3
    assert _rows(folder) == _published(5)


def test_a_table_that_is_no_longer_published_leaves_no_old_file(warehouse: Warehouse) -> None:
    warehouse.publish(TABLES)
    (warehouse.published_dir / "leadership.html").write_text("not ours")
    warehouse.publish(["core.numbers"])
    names = {path.name for path in warehouse.published_dir.iterdir()}
    assert names == {"numbers.parquet", "warehouse.duckdb", "manifest.json", "leadership.html"}


def test_a_table_that_cannot_be_written_leaves_the_old_set(warehouse: Warehouse) -> None:
    warehouse.publish(TABLES)
    warehouse.build("core.numbers", top=9)
    with pytest.raises(duckdb.CatalogException):
        warehouse.publish([*TABLES, "core.private"])
    assert _rows(warehouse.published_dir) == _published(3)
    assert not list(warehouse.published_dir.glob(".*"))


@pytest.mark.parametrize("survived", [0, 1, 3, 4])
def test_a_process_killed_while_writing_leaves_the_old_set_and_the_next_sweeps(
    warehouse: Warehouse, tmp_path: Path, survived: int
) -> None:
    warehouse.publish(TABLES)
    child = start(_DIE_WHILE_PUBLISHING, str(tmp_path), "fsync", str(survived))
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    assert _rows(warehouse.published_dir) == _published(3)
    # The killed run had committed its tables; only publishing them was left.
    warehouse.publish(TABLES)
    assert _rows(warehouse.published_dir) == _published(9)
    assert not list(warehouse.published_dir.glob(".*"))


@pytest.mark.parametrize("survived", [0, 1, 3])
def test_a_process_killed_between_two_renames_is_finished_by_the_next_publication(
    warehouse: Warehouse, tmp_path: Path, survived: int
) -> None:
    warehouse.publish(TABLES)
    child = start(_DIE_WHILE_PUBLISHING, str(tmp_path), "replace", str(survived))
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    # Every file can be read to its end, each of one set or the other.
    assert set(_rows(warehouse.published_dir).values()) <= {3, 9}
    with pytest.raises(duckdb.CatalogException):
        warehouse.publish(["core.private"])
    assert _rows(warehouse.published_dir) == _published(9)
    assert not list(warehouse.published_dir.glob(".*"))


def test_the_copy_is_read_without_the_warehouse_and_cannot_be_written(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="nothing is published yet"), warehouse.published():
        pass
    assert warehouse.published_at() is None
    warehouse.publish(TABLES, clock=lambda: NOW)
    assert warehouse.published_at() == NOW
    with warehouse.published() as connection:
        assert connection.execute("SELECT count(*) FROM core.numbers").fetchall() == [(3,)]
        with pytest.raises(duckdb.InvalidInputException):
            connection.execute("DELETE FROM core.numbers")


def test_a_reader_of_the_copy_keeps_what_it_opened_while_the_next_is_published(warehouse: Warehouse) -> None:
    warehouse.publish(TABLES)
    with warehouse.published() as connection:
        warehouse.build("core.numbers", top=9)
        warehouse.publish(TABLES)
        assert connection.execute("SELECT count(*) FROM core.numbers").fetchall() == [(3,)]
    with warehouse.published() as connection:
        assert connection.execute("SELECT count(*) FROM core.numbers").fetchall() == [(9,)]
