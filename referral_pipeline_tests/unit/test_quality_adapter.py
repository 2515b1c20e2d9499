"""The adapter to Great Expectations: counts out, no values out, no exception out, nothing written."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from referral_pipeline.quality.adapter import run_rules
from referral_pipeline.quality.frames import frame_for
from referral_pipeline.quality.rules import rules_for_table
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.unit.quality_tables import Tables

SECRET = "Zoë.Geheim#at#private.example"


@pytest.fixture(scope="module")
def tables() -> Tables:
    return Tables()


def test_corrupting_one_attribution_row_fails_a_blocking_rule_that_says_one_of_four(tables: Tables) -> None:
    corrupt = "UPDATE core.attribution SET person_id = 'per_0000000000000000' WHERE application_key = 'greenhouse:P2'"
    with tables.broken_by(corrupt):
        (failure,) = (one for one in run_rules(partial(frame_for, tables), "core.attribution") if not one.passed)
    assert failure.rule.blocking
    assert failure.message == (f"attribution_person_is_known: 1 of 4 rows failed. Mend: {failure.rule.mend}")


def test_a_weight_that_is_off_by_one_billionth_fails(tables: Tables) -> None:
    off = "UPDATE core.attribution_credit SET weight = weight + 0.000000001 WHERE weight = 0.333333334"
    with tables.broken_by(off):
        failures = [one for one in run_rules(partial(frame_for, tables), "core.attribution_credit") if not one.passed]
    assert [(one.rule.name, one.failed_rows, one.total_rows) for one in failures] == [("weights_sum_to_one", 4, 4)]


def test_a_share_deleted_after_it_was_received_is_still_known(tables: Tables) -> None:
    gone = "CREATE TABLE raw.advocacy_shares AS SELECT id FROM staging.share; DELETE FROM staging.share WHERE id = 'S0'"
    with tables.broken_by(gone):
        assert all(one.passed for one in run_rules(partial(frame_for, tables), "core.attribution"))


def test_a_malformed_address_appears_nowhere_in_what_is_said_or_logged(
    tables: Tables, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with tables.broken_by(f"UPDATE staging.referral SET email_key = '{SECRET}', country = '{SECRET}' WHERE id = 'R1'"):
        results = run_rules(partial(frame_for, tables), "staging.referral")
    said = capfd.readouterr()
    assert {one.rule.name for one in results if not one.passed} == {
        "referral_email_key_is_well_formed",
        "referral_country_is_iso_code",
    }
    for text in (repr(results), caplog.text, said.out, said.err):
        assert "Geheim" not in text
        assert "private.example" not in text


def test_mixed_types_fail_their_rules_without_an_exception_and_without_showing_a_value(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    mixed = pd.DataFrame({"hired_at": [SECRET, 7, b"x"], "applied_at": [3, SECRET, None]}, dtype=object)
    caplog.set_level(logging.DEBUG)
    results = {one.rule.name: one for one in run_rules(lambda _: mixed, "core.attribution")}
    said = capfd.readouterr()
    order = results["hired_at_is_not_before_applied_at"]
    assert not order.passed
    assert "the values of hired_at, applied_at are of mixed or unexpected types" in order.message
    assert (order.failed_rows, order.total_rows) == (3, 3)
    for text in (repr(results), caplog.text, said.out, said.err):
        assert "Geheim" not in text


def test_values_of_another_type_in_a_text_column_fail_by_count_only() -> None:
    mixed = pd.DataFrame({"email_key": ["a@b.example", 7, b"x", None]}, dtype=object)
    results = {one.rule.name: one for one in run_rules(lambda _: mixed, "staging.referral")}
    assert results["referral_email_key_is_well_formed"].failed_rows == 2
    assert results["referral_email_key_is_present"].failed_rows == 1


def test_a_missing_table_fails_every_rule_of_it_and_says_so(tables: Tables) -> None:
    with tables.broken_by("DROP TABLE core.attribution_credit"):
        results = run_rules(partial(frame_for, tables), "core.attribution_credit")
    assert [one.rule.name for one in results] == [rule.name for rule in rules_for_table("core.attribution_credit")]
    assert not any(one.passed for one in results)
    assert "could not be judged, table core.attribution_credit is missing" in results[1].message


def test_a_missing_column_fails_the_schema_rule_and_the_rules_that_read_it_and_no_other(tables: Tables) -> None:
    with tables.broken_by("ALTER TABLE core.attribution DROP COLUMN channel"):
        failures = [one for one in run_rules(partial(frame_for, tables), "core.attribution") if not one.passed]
    assert [one.rule.name for one in failures] == [
        "attribution_columns_are_as_declared",
        "attribution_channel_is_known",
        "attribution_channel_is_present",
    ]
    assert "channel is missing." in failures[0].message
    assert "column channel is missing from core.attribution" in failures[1].message


def test_a_time_without_a_zone_is_not_as_declared(tables: Tables) -> None:
    with tables.broken_by("ALTER TABLE core.attribution ALTER COLUMN offered_at TYPE TIMESTAMP"):
        (failure,) = (one for one in run_rules(partial(frame_for, tables), "core.attribution") if not one.passed)
    assert "offered_at is timestamp and should be time." in failure.message


def test_a_frame_that_no_rule_is_judged_on_is_refused(tables: Tables) -> None:
    with pytest.raises(KeyError):
        frame_for(tables, "core.nothing")


def test_frames_carry_only_columns_that_rules_read(tables: Tables) -> None:
    columns = set(frame_for(tables, "staging.referral").columns)
    assert columns.isdisjoint({"first_name", "last_name", "email", "phone"})
    assert {"email_key", "phone_key", "advocate_known"} <= columns


def test_the_rules_are_read_without_loading_great_expectations() -> None:
    code = "import sys, referral_pipeline.quality.adapter; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_warehouse_that_was_never_built_fails_every_rule_in_words(tmp_path: Path) -> None:
    warehouse = Warehouse("new.duckdb", home=tmp_path, published_dir=tmp_path / "published")
    results = run_rules(partial(frame_for, warehouse), "core.attribution")
    assert {one.passed for one in results} == {False}
    assert "table core.attribution is missing" in results[1].message


def test_a_fresh_process_runs_rules_without_a_word_of_its_own(tmp_path: Path) -> None:
    code = (
        "from functools import partial\n"
        "from referral_pipeline.quality.adapter import run_rules\n"
        "from referral_pipeline.quality.frames import frame_for\n"
        "from referral_pipeline_tests.unit.quality_tables import Tables\n"
        "tables = Tables()\n"
        f"tables.connection.execute(\"UPDATE staging.referral SET email_key = '{SECRET}'\")\n"
        "assert not all(one.passed for one in run_rules(partial(frame_for, tables), 'staging.referral'))\n"
    )
    root = str(Path(__file__).parents[2])
    run = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root, "HOME": str(tmp_path)},
    )
    assert run.stdout == run.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_no_frame_is_kept_after_its_rules_have_run_or_could_not_run() -> None:
    def kept() -> int:
        gc.collect()
        return sum(isinstance(one, pd.DataFrame) and "email_key" in one.columns for one in gc.get_objects())

    before = kept()
    for value in ("a@b.example", object()):
        rows = [{"email_key": value, "id": "R1"}]
        run_rules(lambda _, rows=rows: pd.DataFrame(rows), "staging.referral")
        assert kept() == before


def test_running_rules_writes_nothing_and_prints_nothing(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    run_rules(partial(frame_for, tables), "core.attribution")
    assert list(tmp_path.iterdir()) == []
    said = capfd.readouterr()
    assert said.out == said.err == ""
