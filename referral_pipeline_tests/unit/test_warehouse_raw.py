"""Raw holds each record as its vendor sent it; an older version never wins, and a record that is seen is not gone."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from referral_pipeline.warehouse import store
from referral_pipeline.warehouse.store import Warehouse, WarehouseError
from referral_pipeline_tests.unit.ledger_databases import start

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)

_DIE_WHILE_PULLING = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from referral_pipeline.warehouse.store import Warehouse, WarehouseError
warehouse = Warehouse("w.duckdb", home=Path(sys.argv[1]), published_dir=Path(sys.argv[1]))
now = datetime(2026, 5, 4, 12, tzinfo=UTC)
warehouse.upsert_raw("ats", "jobs", [{"id": "1", "v": 1}, {"id": "2", "v": 1}], pulled_at=now)
with warehouse.transaction():
    warehouse.upsert_raw("ats", "jobs", [{"id": "1", "v": 2}, {"id": "3", "v": 2}], pulled_at=now)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse("w.duckdb", home=tmp_path, published_dir=tmp_path / "published")


def _job(job_id: str, version: int, at: str = "2026-05-04T10:00:00Z", **more: Any) -> dict[str, Any]:
    return {"id": job_id, "version": version, "updated_at": at, **more}


def _versions(warehouse: Warehouse) -> dict[str, int]:
    return {row["id"]: row["version"] for row in warehouse.raw_rows("ats", "jobs")}


def test_rows_come_back_untouched_in_key_order(warehouse: Warehouse) -> None:
    rows = [_job("2", 1, nested={"a": [1, None, "ü😀"]}), _job("1", 1, big=2**70, zero="\u0000")]
    assert warehouse.upsert_raw("ats", "jobs", rows, pulled_at=NOW) == 2
    assert list(warehouse.raw_rows("ats", "jobs")) == [rows[1], rows[0]]


def test_half_a_character_becomes_the_replacement_character_and_stops_nobody(warehouse: Warehouse) -> None:
    warehouse.upsert_raw("ats", "jobs", [_job("1", 1, name="a\ud800b\ud83d\ude00"), _job("2", 1)], pulled_at=NOW)
    assert [row.get("name") for row in warehouse.raw_rows("ats", "jobs")] == ["a\ufffdb😀", None]


def test_rows_that_duckdb_does_not_take_are_refused_together_and_without_their_values(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        connection.execute("CREATE TABLE raw.ats_jobs AS SELECT 1 AS id, now() AS updated_at, JSON '{}' AS payload")
    with pytest.raises(WarehouseError, match=r"rows for raw\.ats_jobs could not be written") as refused:
        warehouse.upsert_raw("ats", "jobs", [_job("1", 2), _job("jane", 1)], pulled_at=NOW)
    assert "jane" not in str(refused.value)
    assert warehouse.row_count("raw.ats_jobs") == 1


def test_an_entity_that_was_never_pulled_has_no_rows(warehouse: Warehouse) -> None:
    assert list(warehouse.raw_rows("ats", "jobs")) == []
    assert warehouse.upsert_raw("ats", "jobs", [], pulled_at=NOW) == 0


def test_only_what_is_new_or_different_is_counted(warehouse: Warehouse) -> None:
    assert warehouse.upsert_raw("ats", "jobs", [_job("1", 1), _job("2", 1)], pulled_at=NOW) == 2
    assert warehouse.upsert_raw("ats", "jobs", [_job("1", 1), _job("2", 2), _job("3", 1)], pulled_at=LATER) == 2
    assert warehouse.upsert_raw("ats", "jobs", [_job("3", 1)], pulled_at=LATER) == 0


def test_an_older_version_that_arrives_late_does_not_win(warehouse: Warehouse) -> None:
    warehouse.upsert_raw("ats", "jobs", [_job("1", 2, "2026-05-04T11:00:00Z")], pulled_at=NOW)
    assert warehouse.upsert_raw("ats", "jobs", [_job("1", 1, "2026-05-04T10:59:59.999Z")], pulled_at=LATER) == 0
    assert _versions(warehouse) == {"1": 2}
    warehouse.upsert_raw("ats", "jobs", [_job("1", 3, "2026-05-04T13:00:00+02:00")], pulled_at=LATER)
    assert _versions(warehouse) == {"1": 3}


def test_of_several_versions_in_one_page_the_newest_stands(warehouse: Warehouse) -> None:
    page = [_job("1", 2, "2026-05-04T11:00:00Z"), _job("1", 1), _job("2", 1), _job("2", 2)]
    assert warehouse.upsert_raw("ats", "jobs", page, pulled_at=NOW) == 2
    assert _versions(warehouse) == {"1": 2, "2": 2}


def test_a_row_without_a_readable_time_is_taken_as_it_comes(warehouse: Warehouse) -> None:
    warehouse.upsert_raw("ats", "jobs", [_job("1", 1, "yesterday")], pulled_at=NOW)
    warehouse.upsert_raw("ats", "jobs", [_job("1", 2)], pulled_at=NOW)
    warehouse.upsert_raw("ats", "jobs", [{"id": "1", "version": 3}], changed_field=None, pulled_at=NOW)
    assert _versions(warehouse) == {"1": 3}


def test_a_row_without_its_key_is_kept_once_for_staging_to_report(warehouse: Warehouse) -> None:
    nameless = {"version": 1, "updated_at": "2026-05-04T10:00:00Z"}
    for _ in range(2):
        warehouse.upsert_raw("ats", "jobs", [nameless, {**nameless, "id": None}, _job("1", 1)], pulled_at=NOW)
    assert len(list(warehouse.raw_rows("ats", "jobs"))) == 3


def test_another_field_can_be_the_key(warehouse: Warehouse) -> None:
    warehouse.upsert_raw("ats", "jobs", [{"uid": 7, "version": 1}], key="uid", pulled_at=NOW)
    assert warehouse.upsert_raw("ats", "jobs", [{"uid": 7, "version": 2}], key="uid", pulled_at=NOW) == 1
    assert warehouse.row_count("raw.ats_jobs") == 1


def test_what_a_full_pull_did_not_see_is_gone_until_it_is_seen_again(warehouse: Warehouse) -> None:
    warehouse.upsert_raw("ats", "jobs", [_job("1", 1), _job("2", 1)], pulled_at=NOW)
    warehouse.upsert_raw("ats", "jobs", [_job("1", 1)], pulled_at=LATER)
    assert warehouse.unseen("ats", "jobs", full_pull_started_at=LATER).records == 1
    assert warehouse.mark_absent("ats", "jobs", full_pull_started_at=LATER) == 1
    assert warehouse.mark_absent("ats", "jobs", full_pull_started_at=LATER) == 0
    assert _versions(warehouse) == {"1": 1}
    assert warehouse.row_count("raw.ats_jobs") == 2
    again = LATER + timedelta(hours=1)
    assert warehouse.upsert_raw("ats", "jobs", [_job("2", 1, "2026-05-04T09:00:00Z")], pulled_at=again) == 1
    assert _versions(warehouse) == {"1": 1, "2": 1}


def test_a_row_written_through_after_the_pull_began_is_not_gone(warehouse: Warehouse) -> None:
    warehouse.upsert_raw("ats", "jobs", [_job("1", 1)], pulled_at=LATER)
    warehouse.upsert_raw("ats", "jobs", [_job("1", 1)], pulled_at=NOW)
    assert warehouse.mark_absent("ats", "jobs", full_pull_started_at=NOW + timedelta(minutes=1)) == 0


def test_rows_can_be_read_and_written_at_the_same_time(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_PAGE", 3)
    warehouse.upsert_raw("ats", "jobs", [_job(str(n), 1) for n in range(10)], pulled_at=NOW)
    seen = []
    for row in warehouse.raw_rows("ats", "jobs"):
        warehouse.upsert_raw("ats", "offers", [row], pulled_at=NOW)
        seen.append(row["id"])
    assert seen == [str(n) for n in range(10)]


def test_names_that_could_mean_something_else_in_sql_are_refused(warehouse: Warehouse) -> None:
    for system, entity in (("ats", "jobs; DROP TABLE x"), ("Ats", "jobs"), ("", "jobs")):
        with pytest.raises(ValueError, match="lower-case"):
            warehouse.upsert_raw(system, entity, [_job("1", 1)], pulled_at=NOW)


def test_a_process_killed_while_writing_leaves_the_rows_of_before(warehouse: Warehouse, tmp_path: Path) -> None:
    child = start(_DIE_WHILE_PULLING, str(tmp_path))
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    assert list(warehouse.raw_rows("ats", "jobs")) == [{"id": "1", "v": 1}, {"id": "2", "v": 1}]
    assert warehouse.upsert_raw("ats", "jobs", [{"id": "1", "v": 3}], pulled_at=NOW) == 1


_SEEN = st.tuples(st.sampled_from("abc"), st.integers(0, 5))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pages=st.lists(st.lists(_SEEN, max_size=4), max_size=6))
def test_in_whatever_order_versions_arrive_the_newest_of_each_record_stands(
    warehouse: Warehouse, pages: list[list[tuple[str, int]]]
) -> None:
    with warehouse.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS raw.ats_jobs")
        newest: dict[str, int] = {}
        for page in pages:
            rows = [_job(key, minute, f"2026-05-04T10:{minute:02}:00Z") for key, minute in page]
            warehouse.upsert_raw("ats", "jobs", rows, pulled_at=NOW)
            for key, minute in page:
                newest[key] = max(minute, newest.get(key, 0))
        assert _versions(warehouse) == newest
