"""The warehouse opens DuckDB in one place: it waits its turn, replaces whole tables or none, and shows no values."""

from __future__ import annotations

import signal
import threading
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from referral_pipeline.warehouse.failures import without_values
from referral_pipeline.warehouse.store import ModelFailed, Warehouse, WarehouseBusyError, WarehouseError
from referral_pipeline_tests.unit.ledger_databases import start

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)

_HOLD = """
import sys
import duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.readline()
"""

_DIE_WHILE_REPLACING = """
import os, signal, sys
from pathlib import Path
from referral_pipeline.warehouse.store import Warehouse
home = Path(sys.argv[1])
warehouse = Warehouse("w.duckdb", home=home, published_dir=home / "published", sql_dir=home / "sql")
with warehouse.transaction() as connection:
    warehouse.build("core.numbers", top=5)
    assert warehouse.row_count("core.numbers") == 5
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Some models of our own, so that these tests do not depend on the project's."""
    sql = tmp_path / "sql"
    for table, text in {
        "core/numbers": "SELECT range AS n, getvariable('label') AS label FROM range(getvariable('top')::INT); -- end",
        "core/typed": (
            "SELECT id::VARCHAR AS id, moment::TIMESTAMPTZ AS moment, day::DATE AS day,"
            " amount::DECIMAL(10,2) AS amount, flag::BOOLEAN AS flag, whole::BIGINT AS whole FROM incoming"
        ),
        "core/strict": "SELECT id::INT AS id FROM incoming",
        "core/wrong": "SELECT nothing_like_it FROM core.numbers",
        "staging/person": "SELECT id::VARCHAR AS id FROM incoming",
    }.items():
        path = sql / f"{table}.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return sql


@pytest.fixture
def warehouse(tmp_path: Path, models: Path) -> Warehouse:
    return Warehouse("w.duckdb", home=tmp_path, published_dir=tmp_path / "published", sql_dir=models)


# ---------------------------------------------------------------- opening


def test_a_warehouse_keeps_its_identity_and_a_new_file_gets_another(warehouse: Warehouse) -> None:
    first = warehouse.warehouse_id
    assert warehouse.warehouse_id == first
    warehouse.path.unlink()
    assert warehouse.warehouse_id != first


def test_the_log_of_a_removed_file_is_not_replayed_into_its_successor(warehouse: Warehouse) -> None:
    warehouse.build("core.numbers", top=3)
    warehouse.path.unlink()
    warehouse.path.with_name("w.duckdb.wal").write_bytes(b"left behind")
    assert not warehouse.has_table("core.numbers")


def test_times_are_read_in_utc_whatever_the_machine_says(warehouse: Warehouse) -> None:
    frame = warehouse.frame("SELECT TIMESTAMPTZ '2026-05-04 14:00:00+02' AS t, current_setting('TimeZone') AS zone")
    assert frame["zone"][0] == "UTC"
    assert frame["t"][0] == pd.Timestamp(NOW)
    assert str(frame["t"].dt.tz) == "UTC"


def test_a_second_process_waits_until_the_file_is_free(warehouse: Warehouse) -> None:
    warehouse.build("core.numbers", top=3)
    child = start_holding(warehouse.path)
    threading.Timer(0.7, lambda: child.communicate("go\n")).start()
    assert warehouse.row_count("core.numbers") == 3
    child.wait(timeout=30)


def test_a_process_that_waits_too_long_says_who_is_to_end(tmp_path: Path, models: Path) -> None:
    impatient = Warehouse("w.duckdb", home=tmp_path, published_dir=tmp_path, busy_timeout_seconds=0.3, sql_dir=models)
    assert impatient.warehouse_id
    child = start_holding(impatient.path)
    with pytest.raises(WarehouseBusyError, match=r"another process has held the warehouse w\.duckdb for 0\.3 s"):
        impatient.row_count("core.numbers")
    child.communicate("go\n")


def test_a_thread_waits_for_the_thread_that_has_the_warehouse(warehouse: Warehouse) -> None:
    order: list[str] = []

    def write() -> None:
        warehouse.build("core.numbers", top=2)
        order.append("second")

    with warehouse.connect():
        thread = threading.Thread(target=write)
        thread.start()
        thread.join(timeout=0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_connection_inside_a_connection_is_the_same_one(warehouse: Warehouse) -> None:
    with warehouse.connect() as outer:
        with warehouse.connect() as inner:
            assert inner is outer
        assert outer.execute("SELECT 1").fetchall() == [(1,)]


def test_a_file_that_is_no_database_is_refused_at_once(warehouse: Warehouse) -> None:
    warehouse.path.write_text("not a database " * 500)
    with pytest.raises(WarehouseError, match=r"w\.duckdb cannot be opened"):
        warehouse.row_count("core.numbers")


# ---------------------------------------------------------------- models


def test_a_model_reads_its_variables_and_forgets_them_afterwards(warehouse: Warehouse) -> None:
    assert warehouse.build("core.numbers", top=3, label="x") == 3
    assert set(warehouse.frame("SELECT label FROM core.numbers")["label"]) == {"x"}
    with warehouse.connect():
        warehouse.build("core.numbers", top=1, label="y")
        assert warehouse.build("core.numbers", top=2) == 2
        assert warehouse.frame("SELECT count(label) AS c FROM core.numbers")["c"][0] == 0
    with pytest.raises(ValueError, match="cannot name a variable"):
        warehouse.build("core.numbers", **{"x; DROP": 1})


def test_a_frame_is_cast_as_its_model_says_and_an_empty_one_has_the_same_types(warehouse: Warehouse) -> None:
    full = pd.DataFrame(
        {
            "id": [1, 2],
            "moment": [NOW, None],
            "day": [date(2026, 5, 4), None],
            "amount": [Decimal("1.50"), None],
            "flag": [True, None],
            "whole": pd.array([2**60 + 1, None], dtype="Int64"),
        }
    )
    types = "SELECT column_name, column_type FROM (DESCRIBE core.typed)"
    assert warehouse.replace("core.typed", full) == 2
    expected = warehouse.frame(types).to_dict("records")
    assert warehouse.frame("SELECT whole FROM core.typed WHERE id = '1'")["whole"][0] == 2**60 + 1
    for empty in (
        full.iloc[:0],
        pd.DataFrame({name: [] for name in full}),
        full.assign(moment=None, day=None).iloc[:1],
    ):
        assert warehouse.replace("core.typed", empty) == len(empty)
        assert warehouse.frame(types).to_dict("records") == expected


def test_a_model_that_fails_leaves_the_table_as_it_was(warehouse: Warehouse) -> None:
    warehouse.replace("core.strict", pd.DataFrame({"id": [1, 2, 3]}))
    with pytest.raises(ModelFailed, match=r"core\.strict"):
        warehouse.replace("core.strict", pd.DataFrame({"id": ["1", "jane.doe@example.com"]}))
    assert warehouse.row_count("core.strict") == 3


def test_one_failing_model_of_a_transaction_takes_the_others_back(warehouse: Warehouse) -> None:
    warehouse.build("core.numbers", top=3)

    def build_both() -> None:
        with warehouse.transaction():
            warehouse.build("core.numbers", top=9)
            warehouse.replace("core.strict", pd.DataFrame({"id": ["x"]}))

    with pytest.raises(ModelFailed, match=r"model core\.strict failed"):
        build_both()
    assert warehouse.row_count("core.numbers") == 3
    assert not warehouse.has_table("core.strict")
    assert warehouse.replace("core.strict", pd.DataFrame({"id": ["7"]})) == 1


def test_a_failure_names_the_model_and_its_column_and_never_a_value(warehouse: Warehouse) -> None:
    for value in ("jane.doe@example.com", "o'hara 'jane", 'say "jane"', "first\n\nLINE 1: jane", "+14155550100"):
        with pytest.raises(ModelFailed) as failed:
            warehouse.replace("core.strict", pd.DataFrame({"id": [value]}))
        assert "jane" not in str(failed.value)
        assert "4155550100" not in str(failed.value)
        assert failed.value.table == "core.strict"
        assert failed.value.__cause__ is None
    with pytest.raises(ModelFailed, match="column id of its frame") as mixed:
        warehouse.replace("core.strict", pd.DataFrame({"id": ["jane", 3]}))
    assert "jane" not in str(mixed.value)


def test_a_model_with_a_wrong_column_is_told_in_full(warehouse: Warehouse) -> None:
    warehouse.build("core.numbers", top=1)
    with pytest.raises(ModelFailed, match="nothing_like_it"):
        warehouse.build("core.wrong")


def test_numbers_are_left_out_of_a_message() -> None:
    error = ValueError("Type INT64 with value 14155550100 can't be cast to INT32, born 1987-06-05T10:00")
    assert without_values(error) == "Type INT64 with value … can…"
    assert "1987" not in without_values(ValueError("out of range on 1987-06-05 for INT32"))
    assert "INT32" in without_values(ValueError("out of range on 1987-06-05 for INT32"))


def test_a_table_without_a_model_or_with_a_strange_name_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(ModelFailed, match=r"core/missing\.sql"):
        warehouse.build("core.missing")
    for name in ("numbers", "secret.numbers", "core.numbers; DROP TABLE x", "core.Numbers"):
        with pytest.raises(WarehouseError, match="names no table"):
            warehouse.build(name)


def test_a_process_killed_while_replacing_leaves_the_old_table(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.build("core.numbers", top=3)
    child = start(_DIE_WHILE_REPLACING, str(tmp_path))
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    assert warehouse.row_count("core.numbers") == 3


# ---------------------------------------------------------------- reading


def test_a_preview_shows_the_first_rows_and_nothing_personal(warehouse: Warehouse) -> None:
    warehouse.build("core.numbers", top=30)
    assert len(warehouse.preview("core.numbers")) == 10
    assert len(warehouse.preview("core.numbers", limit=3)) == 3
    warehouse.replace("staging.person", pd.DataFrame({"id": ["x"]}))
    for table in ("staging.person", "raw.advocacy_referrals"):
        with pytest.raises(WarehouseError, match="may hold personal data"):
            warehouse.preview(table)


def test_counting_a_table_that_was_never_built_says_so(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError, match=r"no table core\.numbers yet"):
        warehouse.row_count("core.numbers")


def test_a_query_takes_parameters(warehouse: Warehouse) -> None:
    assert warehouse.frame("SELECT $x + 1 AS y", {"x": 1})["y"][0] == 2
    assert warehouse.frame("SELECT ? + 1 AS y", [1])["y"][0] == 2


def start_holding(path: Path):  # type: ignore[no-untyped-def]
    """A child process that has the file open."""
    import subprocess
    import sys

    child = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child
