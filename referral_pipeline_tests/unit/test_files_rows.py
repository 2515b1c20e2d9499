"""Rows of dropped files that are odd, doubled, changed back, or told of: what stands of them in the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from referral_pipeline.connectors.records import AtsJob, Window
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.unit.files_place import LONG_AGO, REFERRAL, Place, outbox, update


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Ledger.open("sqlite:///ledger.sqlite", home=tmp_path) as ledger:
        yield Place(tmp_path, ledger, Warehouse("w.duckdb", home=tmp_path, published_dir=tmp_path / "p"))


def test_3_what_was_told_changes_nothing_in_which_row_is_the_newest(place: Place):
    place.drop("referrals-2.csv", [{**REFERRAL, "consent_granted": "no", "updated_at": "2026-11-02T12:00:00Z"}])
    later = LONG_AGO + timedelta(days=1)
    place.drop("referrals-1.csv", [{**REFERRAL, "updated_at": "2026-11-01T12:00:00Z"}], at=later)
    place.pull()
    place.connector().return_status(update())
    for full in (False, True, True):
        place.pull(full=full)
        (referral,) = place.staged().referrals
        assert referral.consent is not None
        assert not referral.consent.granted
        assert referral.status is CandidateStatus.INTERVIEWED
    place.drop("referrals-3.csv", [{**REFERRAL, "updated_at": "2026-11-03T12:00:00Z"}], at=later)
    place.pull()
    (referral,) = place.staged().referrals
    assert referral.consent is not None
    assert referral.consent.granted


@pytest.mark.parametrize(
    ("options", "columns"),
    [
        ({"columns": {"referrals": {"consent_granted": "Opt in"}}}, {"Opt in?": "no"}),
        ({}, {"consent": "no", "consent_expires_at": "2026-01-01"}),
        ({}, {"Consent given": "no"}),
    ],
)
def test_a_basis_never_stands_over_an_answer_whose_column_has_another_name(
    place: Place, options: dict[str, Any], columns: dict[str, str]
):
    place.options |= {**options, "consent_basis": "terms"}
    without = {key: value for key, value in REFERRAL.items() if not key.startswith("consent")}
    place.drop("referrals.csv", [{**without, **columns}])
    place.pull()
    assert not any(r.consent is not None and r.consent.granted for r in place.staged().referrals)


def test_5_a_column_that_the_contract_names_and_a_file_lacks_is_told_and_empties_nothing(place: Place):
    place.options["columns"] = {"referrals": {"email": "E-Mail"}}
    renamed = {("E-Mail" if key == "email" else key): value for key, value in REFERRAL.items()}
    place.drop("referrals-1.csv", [renamed])
    place.pull()
    place.drop("referrals-2.csv", [{("Mail" if k == "E-Mail" else k): v for k, v in renamed.items()}])
    place.pull()
    (referral,) = place.staged().referrals
    assert referral.email == "ada@example.com"
    assert [(p.record_id, p.field) for p in place.staged().problems] == [("referrals-2.csv", "email")]


def test_5_cells_of_any_type_stop_nothing(place: Place):
    import pyarrow as pa
    import pyarrow.parquet as pq

    place.drop("referrals-good.csv", [{**REFERRAL, "id": "R9"}])
    odd = [
        {**REFERRAL, "id": "R2", "clicks": Decimal("3.5"), "joined": date(1, 1, 1), "phone": float("nan")},
        {**REFERRAL, "id": "R3", "clicks": Decimal("3"), "joined": date(1, 1, 1), "phone": 4930.0},
    ]
    pq.write_table(pa.Table.from_pylist(odd), place.folder / "referrals.parquet")
    days = [{**REFERRAL, "id": "R4", "submitted_at": date(1, 1, 1)}]
    place.options["time_zone"] = "Europe/Berlin"
    pq.write_table(pa.Table.from_pylist(days), place.folder / "referrals-days.parquet")
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    typed = {**REFERRAL, "id": "R5", "consent_granted": date(2026, 11, 1), "clicks": date(2026, 11, 1)}
    sheet.append(list(typed))
    sheet.append(list(typed.values()))
    book.save(place.folder / "referrals.xlsx")
    for path in place.folder.iterdir():
        os.utime(path, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))
    place.pull()
    assert {r.id: r.phone for r in place.staged().referrals} == {"R9": None, "R3": "4930"}
    fields = {(p.record_id.partition(":")[0], p.field) for p in place.staged().problems}
    assert ("referrals.parquet", "engagement.clicks") in fields
    assert ("referrals-days.parquet", "submitted_at") in fields
    assert any(name == "referrals.xlsx" for name, _ in fields)


def test_1_content_that_goes_back_to_what_it_was_is_news(place: Place):
    for number, answer in enumerate(("no", "yes", "no")):
        place.drop("referrals.csv", [{**REFERRAL, "consent_granted": answer}], at=LONG_AGO + timedelta(hours=number))
        place.pull()
        for full in (False, True):
            place.pull(full=full)
            (referral,) = place.staged().referrals
            assert referral.consent is not None
            assert referral.consent.granted is (answer == "yes")
            assert place.connector().get_referral("R1") == referral


def test_5_a_line_with_too_many_cells_and_a_second_line_of_one_id_are_set_aside(place: Place):
    path = place.drop("referrals.csv", [REFERRAL, {**REFERRAL, "email": "other@example.com"}, {**REFERRAL, "id": "R2"}])
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines, lines[-1].replace("Lovelace", "Lovelace, Countess")]), encoding="utf-8")
    os.utime(path, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))
    place.pull()
    assert {r.id: r.email for r in place.staged().referrals} == {"R1": "ada@example.com", "R2": "ada@example.com"}
    assert sorted((p.record_id, p.field) for p in place.staged().problems) == [
        ("referrals.csv:3", "id"),
        ("referrals.csv:5", "line"),
    ]


def test_5_a_line_without_an_id_that_was_corrected_is_told_no_more(place: Place):
    place.drop("referrals.csv", [REFERRAL, {**REFERRAL, "id": ""}])
    place.pull()
    assert [p.field for p in place.staged().problems] == ["id"]
    place.drop("referrals.csv", [REFERRAL, {**REFERRAL, "id": "R2"}], at=LONG_AGO + timedelta(hours=1))
    place.pull(full=True)
    assert place.staged().problems == []


def test_6_a_withdrawal_whose_file_was_taken_away_is_not_undone_by_an_older_file_and_what_is_told(place: Place):
    place.drop("referrals-1.csv", [REFERRAL])
    later = LONG_AGO + timedelta(hours=1)
    path = place.drop("referrals-2.csv", [{**REFERRAL, "consent_granted": "no", "stage": "withdrawn"}], at=later)
    place.pull()
    path.unlink()
    place.connector().return_status(update())
    assert place.connector().get_referral("R1") is None
    for full in (False, True):
        place.pull(full=full)
        (referral,) = place.staged().referrals
        assert referral.consent is not None
        assert not referral.consent.granted


def test_6_where_the_later_row_was_never_kept_and_is_gone_the_older_one_is_not_lost_with_it(place: Place):
    place.drop("referrals-1.csv", [REFERRAL])
    path = place.drop("referrals-2.csv", [{**REFERRAL, "campaign_tag": "x"}], at=LONG_AGO + timedelta(hours=1))
    assert place.connector().get_referral("R1") is not None
    path.unlink()
    place.pull()
    assert [referral.id for referral in place.staged().referrals] == ["R1"]


def test_7_an_advocates_address_is_not_lost_by_an_export_that_leaves_it_out(place: Place):
    place.drop("referrals-1.csv", [{**REFERRAL, "advocate_email": "nadia@example.com"}])
    place.pull("advocates")
    place.drop("referrals-2.csv", [{**REFERRAL, "id": "R2"}], at=LONG_AGO + timedelta(hours=1))
    place.pull("advocates")
    assert [advocate.email for advocate in place.staged().advocates] == ["nadia@example.com"]


def test_8_what_a_killed_process_left_unwritten_is_written_by_the_next_and_no_cell_is_a_formula(place: Place):
    connector = place.connector()
    connector.put_job(AtsJob("7", "=HYPERLINK(1)", "open"))
    place.folder.mkdir()
    list(place.connector().pull("referrals", Window(None, datetime.now(UTC))))
    assert [row["title"] for row in outbox(place, "jobs")] == ["'=HYPERLINK(1)"]


def test_a_blank_stage_is_no_application(place: Place):
    place.drop("referrals.csv", [{**REFERRAL, "stage": ""}])
    place.pull()
    assert [p.field for p in place.staged().problems] == ["stage"]
