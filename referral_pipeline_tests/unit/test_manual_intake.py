"""Files of manual intake: what is read of them, what is set aside, and how it is told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.connectors.manual_intake import ManualRead, entered, read_manual_intake
from referral_pipeline.contract.verification import ParallelRun, Verification
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline.warehouse.manual_intake import stage_manual_intake
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.unit.core_world import contract_with

HEADER = "record_id,entered_at,first_name,last_name,email,phone,country,job_id,advocate_id,campaign_tag,status"
ROW = "7,2026-03-02 10:00,Ada,Example,ada@example.com,,US,J1,A1,spring,In review"


def section(**values: Any) -> ParallelRun:
    return ParallelRun.model_validate({"files": "intake.csv", **values})


def read(home: Path, *lines: str, header: str = HEADER, **values: Any) -> ManualRead:
    (home / "intake.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return read_manual_intake(section(**values), home)


def told(found: ManualRead) -> list[tuple[str, str, str]]:
    return [(p.record_id, p.field, p.reason.partition(";")[0]) for p in found.problems]


# ---------------------------------------------------------------- what is read


def test_a_row_is_read_with_its_place_and_its_status_in_the_canonical_words(tmp_path: Path):
    (row,) = read(tmp_path, ROW).rows
    assert (row.place, row.record_id, row.job_id, row.advocate_id) == ("intake.csv:2", "7", "J1", "A1")
    assert row.entered.at == datetime(2026, 3, 2, 10, tzinfo=UTC)
    assert row.status is CandidateStatus.IN_REVIEW
    assert (row.phone, row.campaign_tag) == (None, "spring")


def test_the_contract_names_the_columns_of_somebody_elses_sheet(tmp_path: Path):
    columns = {"entered_at": "Entered  on", "email": "E-Mail", "job_id": "Requisition"}
    found = read(
        tmp_path, "ada@example.com;2026-03-02;J1;x", header="e_mail;ENTERED ON;requisition;else", columns=columns
    )
    (row,) = found.rows
    assert (row.email, row.job_id, row.entered.on) == ("ada@example.com", "J1", date(2026, 3, 2))
    assert found.notes == ("intake.csv: of its columns 1 are not known and not read",)


def test_a_workbook_is_read_and_its_midnight_is_a_whole_day(tmp_path: Path):
    book = openpyxl.Workbook()
    book.active.append(("entered_at", "email", "phone", "job_id"))
    book.active.append((datetime(2026, 3, 2), "a@example.com", None, 4410000001))  # noqa: DTZ001 - sheets know no zones
    book.active.append((datetime(2026, 3, 2, 8, 30), "b@example.com", 4930231250, "J2"))  # noqa: DTZ001
    book.save(tmp_path / "intake.xlsx")
    whole, timed = read_manual_intake(section(files="intake.xlsx", time_zone="Europe/Berlin"), tmp_path).rows
    assert (whole.job_id, whole.entered.on, whole.entered.has_time) == ("4410000001", date(2026, 3, 2), False)
    assert whole.entered.at == datetime(2026, 3, 2, 23, tzinfo=UTC) - timedelta(microseconds=1)
    assert (timed.phone, timed.entered.at) == ("4930231250", datetime(2026, 3, 2, 7, 30, tzinfo=UTC))


def test_a_file_that_lies_there_twice_is_read_once(tmp_path: Path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(f"{HEADER}\n{ROW}\n", encoding="utf-8")
    found = read_manual_intake(section(files="."), tmp_path)
    assert [row.place for row in found.rows] == ["a.csv:2"]
    assert found.notes == ("b.csv: is the same file as a.csv, and is not read a second time",)


# ---------------------------------------------------------------- times

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("cell", "at", "on"),
    [
        ("2026-03-29", datetime(2026, 3, 29, 21, 59, 59, 999999, UTC), date(2026, 3, 29)),  # 23 hours long
        ("2026-10-25", datetime(2026, 10, 25, 22, 59, 59, 999999, UTC), date(2026, 10, 25)),  # 25 hours long
        ("2026-10-25 00:30", datetime(2026, 10, 24, 22, 30, tzinfo=UTC), date(2026, 10, 25)),
        ("2026-10-25 02:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC), date(2026, 10, 25)),  # twice: the first
        ("2026-03-29T02:30", datetime(2026, 3, 29, 1, 30, tzinfo=UTC), date(2026, 3, 29)),  # never: an hour later
        ("2026-03-28T23:30:00Z", datetime(2026, 3, 28, 23, 30, tzinfo=UTC), date(2026, 3, 29)),
        ("2026-10-25T23:30:00Z", datetime(2026, 10, 25, 23, 30, tzinfo=UTC), date(2026, 10, 26)),
    ],
)
def test_a_day_begins_and_ends_by_the_clock_of_the_contracts_zone(cell: str, at: datetime, on: date):
    found = entered(cell, BERLIN)
    assert (found.at, found.on) == (at, on)


def test_a_day_that_begins_at_one_still_holds_what_was_written_on_it():
    cairo = ZoneInfo("Africa/Cairo")  # the clock goes from 24 April, 00:00 to 01:00
    assert entered("2026-04-24 00:30", cairo).on == date(2026, 4, 24)
    assert entered("2026-04-23", cairo).at == datetime(2026, 4, 23, 21, 59, 59, 999999, UTC)


@settings(deadline=None)
@given(st.datetimes(datetime(1971, 1, 1), datetime(2099, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds
def test_the_day_of_a_moment_is_that_of_the_zone_and_its_last_moment_is_never_before_it(moment: datetime):
    found = entered(moment.isoformat(), BERLIN)
    assert found.on == moment.astimezone(BERLIN).date()
    assert found.at == moment <= entered(found.on.isoformat(), BERLIN).at


@pytest.mark.parametrize("cell", ["20.11.2026", "11/20/2026", "2026-02-30", "2026-11-20 25:00", "20261120", 45981, ""])
def test_a_time_that_could_be_two_is_not_guessed(cell: object):
    with pytest.raises(ValueError, match=r"is no time.*; write it year first"):
        entered(cell, BERLIN)


# ---------------------------------------------------------------- what is set aside


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("7,,Ada,Example,a@example.com,,US,J1,,,", ("entered_at", "is empty")),
        ("7,2026-03-02,Ada,Example,a@example.com,,US,,,,", ("job_id", "is empty")),
        ("7,2026-03-02,Ada,Example,,,US,J1,,,", ("email", "is empty, and so is phone")),
        ("7,2026-03-02,Ada,Example,a@example.com,,US,J1,,,,more", ("line", "has more cells than the header")),
    ],
)
def test_a_row_without_what_every_row_needs_is_set_aside_with_its_place(
    tmp_path: Path, row: str, problem: tuple[str, str]
):
    found = read(tmp_path, row, ROW)
    assert told(found) == [("intake.csv:2", *problem)]
    assert [one.place for one in found.rows] == ["intake.csv:3"]


def test_a_status_in_other_words_costs_only_that_field(tmp_path: Path):
    found = read(tmp_path, ROW.replace("In review", "on hold"))
    assert told(found) == [("intake.csv:2", "status", "is none of the statuses")]
    assert [row.status for row in found.rows] == [None]


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("email,job_id", "entered_at"),
        ("entered_at,email", "job_id"),
        ("entered_at,job_id,first_name", "email"),
        ("entered_at,job_id,email,email", "email"),
    ],
)
def test_a_header_without_what_every_row_needs_is_told_and_shows_none_of_its_words(
    tmp_path: Path, header: str, field: str
):
    found = read(tmp_path, ROW, header=f"{header},Ann Lee")
    ((record, blamed, reason),) = told(found)
    assert (record, blamed, found.rows) == ("intake.csv", field, ())
    assert "Ann Lee" not in f"{reason} {found.problems}"


def test_a_column_that_the_contract_names_must_be_there(tmp_path: Path):
    found = read(tmp_path, ROW, columns={"advocate_id": "Referred by"})
    assert told(found) == [("intake.csv", "advocate_id", "has no column in the header")]


def test_a_file_that_is_missing_is_told(tmp_path: Path):
    found = read_manual_intake(section(), tmp_path)
    assert told(found) == [("intake.csv", "file", "is not there")]


# ---------------------------------------------------------------- staging


def stage(home: Path, *lines: str) -> tuple[Warehouse, dict[str, int], dict[str, int]]:
    (home / "intake.csv").write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    contract = contract_with().model_copy(update={"verification": Verification(parallel_run=section())})
    warehouse = Warehouse("w.duckdb", home=home, published_dir=home / "published")
    report = stage_manual_intake(warehouse, contract, home).report
    return warehouse, report.quarantined_records, report.quarantined_fields


def test_rows_are_staged_with_canonical_keys(tmp_path: Path):
    warehouse, *_ = stage(tmp_path, "7,2026-03-02,Ada,Example, ADA@Example.com ,030 23125004,de,J1,,,")
    row = warehouse.frame("SELECT * FROM staging.manual_intake").to_dict("records")[0]
    assert (row["email_key"], row["phone_key"], row["country"]) == ("ada@example.com", "+493023125004", "DE")


def test_a_row_whose_address_and_number_cannot_be_read_is_set_aside_and_one_of_them_costs_a_field(tmp_path: Path):
    warehouse, records, fields = stage(
        tmp_path,
        "1,2026-03-02,Ada,Example,ada at example,call me,US,J1,,,",
        "2,2026-03-02,Bob,Example,bob@example.com,call me,XX,J1,,,",
    )
    assert warehouse.row_count("staging.manual_intake") == 1
    assert sum(records.values()) == 1
    assert sorted(why.split()[0] for why in fields) == ["country", "phone"]
    kept = warehouse.frame("SELECT * FROM staging.quarantine").to_string()
    assert not any(word in kept for word in ("Ada", "Bob", "ada at", "call me"))


def test_another_side_keeps_its_quarantine_and_an_intake_without_a_section_is_empty(tmp_path: Path):
    warehouse, *_ = stage(tmp_path, "1,,Ada,Example,ada@example.com,,US,J1,,,", ROW)
    assert warehouse.row_count("staging.quarantine") == 1
    stage_manual_intake(warehouse, contract_with().model_copy(update={"verification": Verification()}), tmp_path)
    assert warehouse.row_count("staging.quarantine") == 0
    assert warehouse.row_count("staging.manual_intake") == 0
