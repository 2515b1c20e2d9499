"""Exports that are dropped as files: the invariants of the connector, by number, over real folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from referral_pipeline.connectors.failures import Invalid, TransientFailure
from referral_pipeline.connectors.files import FilesConnector
from referral_pipeline.connectors.files_book import Book
from referral_pipeline.connectors.files_options import FilesOptions
from referral_pipeline.connectors.records import Window
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.vocabulary import ReferralStage
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.unit.files_place import LONG_AGO, REFERRAL, Place

ADVOCATE = {"referrals": "advocate_id", "shares": "advocate_id", "advocates": "id"}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Ledger.open("sqlite:///ledger.sqlite", home=tmp_path) as ledger:
        yield Place(tmp_path, ledger, Warehouse("w.duckdb", home=tmp_path, published_dir=tmp_path / "p"))


# ---------------------------------------------------------------- 1, 2, 3


def test_1_a_copy_under_another_name_brings_nothing_and_an_old_copy_takes_nothing_back(place: Place):
    place.drop("referrals-1.csv", [REFERRAL])
    assert place.pull() == 2  # the row, and what is said of the file
    place.drop("referrals-2.csv", [{**REFERRAL, "campaign_tag": "spring"}], at=LONG_AGO + timedelta(hours=1))
    place.pull()
    assert [row["campaign_tag"] for row in place.raw() if row["id"] == "R1"] == ["spring"]
    copy = place.folder / "referrals-3.csv"
    copy.write_bytes((place.folder / "referrals-1.csv").read_bytes())  # written now, but not new
    place.pull()
    place.pull(full=True)
    assert [row["campaign_tag"] for row in place.raw() if row["id"] == "R1"] == ["spring"]


def test_1_an_edited_file_is_another_file(place: Place):
    place.drop("referrals.csv", [REFERRAL])
    place.pull()
    place.drop("referrals.csv", [{**REFERRAL, "stage": "withdrawn"}], at=LONG_AGO + timedelta(hours=1))
    place.pull()
    (referral,) = place.staged().referrals
    assert referral.stage is ReferralStage.WITHDRAWN


def test_2_a_file_is_read_again_until_its_rows_are_kept_and_never_after(place: Place):
    place.drop("referrals.csv", [REFERRAL])
    connector = place.connector()
    window = Window(None, datetime.now(UTC))
    assert [row for page in connector.pull("referrals", window) for row in page]  # and the process dies here
    assert place.pull() == 2
    since = Window(datetime.now(UTC), datetime.now(UTC))
    assert [row for page in place.connector().pull("referrals", since) for row in page] == []


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_2_after_any_drops_edits_copies_and_crashes_raw_holds_the_newest_of_each_row(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    home = tmp_path_factory.mktemp("drops")
    newest: dict[str, tuple[int, str]] = {}
    with Ledger.open("sqlite:///ledger.sqlite", home=home) as ledger:
        place = Place(home, ledger, Warehouse("w.duckdb", home=home, published_dir=home / "p"))
        for number in range(data.draw(st.integers(1, 5))):
            at = LONG_AGO + timedelta(minutes=number)
            ids = data.draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True))
            place.drop(
                f"referrals-{number}.csv", [{**REFERRAL, "id": i, "campaign_tag": f"t{number}"} for i in ids], at=at
            )
            newest |= dict.fromkeys(ids, (number, f"t{number}"))
            if data.draw(st.booleans()):
                copy = place.folder / f"referrals-copy-{number}.csv"
                copied = place.folder / f"referrals-{data.draw(st.integers(0, number))}.csv"
                copy.write_bytes(copied.read_bytes())
                # A copy that is seen first stands for its content from when it was written.
                os.utime(copy, (copied.stat().st_mtime, copied.stat().st_mtime))
            match data.draw(st.sampled_from(["pull", "crash", "full", "wait"])):
                case "pull":
                    place.pull()
                case "full":
                    place.pull(full=True)
                case "crash":
                    pages = place.connector().pull("referrals", Window(None, datetime.now(UTC)))
                    next(pages, None)
                case _:
                    pass
        place.pull()
        held = {row["id"]: row["campaign_tag"] for row in place.raw() if not str(row["id"]).startswith("?")}
    assert held == {i: tag for i, (_, tag) in newest.items()}


def test_3_a_column_of_change_decides_between_two_rows_whatever_their_files(place: Place):
    place.drop("referrals-b.csv", [{**REFERRAL, "campaign_tag": "new", "updated_at": "2026-11-02T12:00:00Z"}])
    place.drop(
        "referrals-a.csv",
        [{**REFERRAL, "campaign_tag": "old", "updated_at": "2026-11-01T12:00:00Z"}],
        at=LONG_AGO + timedelta(days=1),
    )
    place.pull()
    assert [row["campaign_tag"] for row in place.raw() if row["id"] == "R1"] == ["new"]
    assert place.connector().referral_row("R1")["campaign_tag"] == "new"


# ---------------------------------------------------------------- 4


@pytest.mark.parametrize("name", ["referrals.csv.part", ".referrals.csv", "~$referrals.xlsx", "referrals.tmp"])
def test_4_a_file_that_is_named_as_unfinished_is_left(place: Place, name: str):
    place.drop(name, [REFERRAL])
    assert place.pull() == 0


def test_4_a_file_that_changed_a_moment_ago_is_left_to_the_next_look_and_no_file_is_touched(place: Place):
    place.options["settle_seconds"] = 60.0
    path = place.drop("referrals.csv", [REFERRAL], at=datetime.now(UTC))
    before = path.stat().st_mtime_ns
    assert place.pull() == 0
    os.utime(path, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))
    assert place.pull() == 2
    assert path.stat().st_mtime_ns != before
    assert sorted(p.name for p in place.folder.iterdir()) == ["referrals.csv"]


# ---------------------------------------------------------------- 5


def test_5_each_bad_row_is_told_by_file_and_line_and_the_good_ones_go_on(place: Place):
    good = {**REFERRAL, "stage": "applied"}
    bad = [
        {**good, "id": "R2", "submitted_at": "02/11/2026"},
        {**good, "id": "R3", "clicks": "many"},
        {**good, "id": "R4", "consent_granted": "perhaps"},
        {**good, "id": "", "job_id": "8"},
        {**good, "id": "R6", "stage": "dreaming"},
    ]
    place.drop("referrals-nov.csv", [good, *bad])
    place.pull()
    staged = place.staged()
    assert [referral.id for referral in staged.referrals] == ["R1"]
    assert {(p.record_id, p.field) for p in staged.problems} == {
        ("referrals-nov.csv:3", "submitted_at"),
        ("referrals-nov.csv:4", "engagement.clicks"),
        ("referrals-nov.csv:5", "consent.granted"),
        ("referrals-nov.csv:6", "id"),
        ("referrals-nov.csv:7", "stage"),
    }
    assert all("correct it in the file" in problem.reason for problem in staged.problems)
    assert not any(value in str(p) for p in staged.problems for value in ("ada@", "Lovelace", "02/11/2026", "perhaps"))


def test_5_a_file_without_a_needed_column_is_told_by_name_until_one_of_that_name_has_it(place: Place):
    without = {key: value for key, value in REFERRAL.items() if key != "job_id"}
    place.drop("referrals.csv", [without])
    place.drop("referrals-2.csv", [{**REFERRAL, "id": "R9"}])
    place.pull()
    (problem,) = place.staged().problems
    assert (problem.record_id, problem.field) == ("referrals.csv", "job_id")
    assert "options.columns.referrals.job_id" in problem.reason
    assert [referral.id for referral in place.staged().referrals] == ["R9"]
    place.drop("referrals.csv", [REFERRAL], at=LONG_AGO + timedelta(hours=1))
    place.pull()
    assert place.staged().problems == []
    assert {referral.id for referral in place.staged().referrals} == {"R1", "R9"}


@pytest.mark.parametrize("name", ["referrals.csv", "referrals.xlsx", "referrals.parquet"])
def test_5_bytes_that_are_no_such_file_are_told_and_stop_nothing(place: Place, name: str):
    place.folder.mkdir()
    path = place.folder / name
    path.write_bytes(b"\xff\xfe\x00garbage")
    os.utime(path, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))
    place.drop("referrals-good.csv", [REFERRAL])
    place.pull()
    assert [problem.record_id for problem in place.staged().problems] == [name]
    assert [referral.id for referral in place.staged().referrals] == ["R1"]


# ---------------------------------------------------------------- 6, 7


def test_6_a_file_that_is_taken_away_takes_no_row_with_it(place: Place):
    path = place.drop("referrals.csv", [REFERRAL])
    place.pull()
    path.unlink()
    place.drop("referrals-2.csv", [{**REFERRAL, "id": "R2"}])
    place.pull(full=True)
    assert {referral.id for referral in place.staged().referrals} == {"R1", "R2"}


def test_7_an_export_of_referrals_alone_is_enough_until_a_file_of_advocates_says_more(place: Place):
    place.drop("referrals.csv", [{**REFERRAL, "advocate_email": "nadia@example.com"}])
    place.pull("advocates")
    (advocate,) = place.staged().advocates
    assert (advocate.id, advocate.email, advocate.eligible) == ("A1", "nadia@example.com", True)
    place.drop("advocates.csv", [{"id": "A1", "email": "n@example.com", "department": "IT", "eligible": "no"}])
    place.pull("advocates")
    (advocate,) = place.staged().advocates
    assert (advocate.email, advocate.department, advocate.eligible) == ("n@example.com", "IT", False)


def test_7_an_address_that_one_file_tells_is_not_taken_away_by_a_later_one_without_it(place: Place):
    place.drop("referrals-1.csv", [{**REFERRAL, "advocate_email": "nadia@example.com"}])
    place.drop("referrals-2.csv", [{**REFERRAL, "id": "R2"}], at=LONG_AGO + timedelta(hours=1))
    place.pull("advocates")
    assert [advocate.email for advocate in place.staged().advocates] == ["nadia@example.com"]


# ---------------------------------------------------------------- 10


def test_10_advocates_who_are_known_by_address_alone_have_its_hash_as_their_id(place: Place):
    place.options["columns"] = {name: {field: "Who"} for name, field in ADVOCATE.items()}
    without = {key: value for key, value in REFERRAL.items() if key != "advocate_id"}
    place.drop("referrals.csv", [{**without, "Who": "Nadia@Example.com "}])
    place.drop("shares.csv", [{"id": "s1", "Who": "nadia@example.com", "shared_at": "2026-11-01"}])
    place.drop("advocates.csv", [{"Who": "nadia@example.com", "department": "IT"}])
    place.pull_all()
    staged = place.staged()
    assert staged.problems == []
    (advocate,) = staged.advocates
    assert (advocate.email, advocate.department) == ("nadia@example.com", "IT")
    assert {staged.referrals[0].advocate_id, staged.shares[0].advocate_id} == {advocate.id}
    assert advocate.id.startswith("mail-")
    assert "@" not in advocate.id


def test_10_without_a_key_no_address_is_hashed_and_none_is_shown(place: Place):
    place.drop("referrals.csv", [{**REFERRAL, "advocate_id": "nadia@example.com"}])
    book = Book(place.home / "state" / "files.sqlite", place.home / "outbox")
    connector = FilesConnector(FilesOptions(folder="drops", settle_seconds=0), folder=place.folder, book=book)
    with pytest.raises(Invalid) as refused:
        list(connector.pull("referrals", Window(None, datetime.now(UTC))))
    assert "nadia" not in str(refused.value)


# ---------------------------------------------------------------- cells and columns


def test_their_columns_forms_of_dates_and_time_zone_are_read_as_the_contract_says(place: Place):
    place.options |= {
        "time_zone": "Europe/Berlin",
        "date_formats": ["%d.%m.%Y %H:%M"],
        "columns": {"referrals": {"id": "Empfehlung Nr", "submitted_at": "Eingang"}},
    }
    row = {key: value for key, value in REFERRAL.items() if key not in {"id", "submitted_at"}}
    place.drop("referrals.csv", [{"Empfehlung-Nr": "17", "Eingang": "02.11.2026 09:30", **row}])
    place.pull()
    (referral,) = place.staged().referrals
    assert (referral.id, referral.submitted_at) == ("17", datetime(2026, 11, 2, 8, 30, tzinfo=UTC))


def test_a_workbook_and_a_parquet_file_are_read_as_a_csv_is(place: Place):
    import pyarrow as pa
    import pyarrow.parquet as pq

    place.folder.mkdir()
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    typed = {
        **REFERRAL,
        "id": 17,
        "submitted_at": datetime(2026, 11, 2, 9, 30),  # noqa: DTZ001 - a cell has no zone
        "consent_granted": True,
        "clicks": 3,
    }
    sheet.append(list(typed))
    sheet.append(list(typed.values()))
    book.save(place.folder / "referrals.xlsx")
    day = {**typed, "id": "18", "submitted_at": date(2026, 11, 2), "clicks": 4}
    pq.write_table(pa.Table.from_pylist([day]), place.folder / "referrals.parquet")
    for path in place.folder.iterdir():
        os.utime(path, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))
    place.pull()
    assert place.staged().problems == []
    found = {referral.id: referral for referral in place.staged().referrals}
    assert (found["17"].submitted_at, found["17"].clicks) == (datetime(2026, 11, 2, 9, 30, tzinfo=UTC), 3)
    assert (found["18"].submitted_at, found["18"].clicks) == (datetime(2026, 11, 2, tzinfo=UTC), 4)


def test_nothing_in_a_parquet_file_is_nothing_and_bytes_are_text(place: Place):
    import pyarrow as pa
    import pyarrow.parquet as pq

    place.folder.mkdir()
    row = {**REFERRAL, "id": b"R1", "clicks": float("nan"), "campaign_tag": float("nan"), "share_id": None}
    pq.write_table(pa.Table.from_pylist([row]), place.folder / "referrals.parquet")
    place.pull()
    (referral,) = place.staged().referrals
    assert (referral.id, referral.clicks, referral.campaign_tag) == ("R1", None, None)


def test_a_basis_of_consent_stands_for_files_without_a_column_of_it_and_for_no_other(place: Place):
    without = {key: value for key, value in REFERRAL.items() if not key.startswith("consent")}
    place.drop("referrals-1.csv", [without])
    place.drop("referrals-2.csv", [{**REFERRAL, "id": "R2", "consent_granted": ""}])
    place.pull()
    assert {r.id: r.consent for r in place.staged().referrals} == {"R1": None, "R2": None}
    place.options["consent_basis"] = "terms of the referral form"
    place.pull(full=True)
    found = {referral.id: referral.consent for referral in place.staged().referrals}
    assert found["R2"] is None
    assert found["R1"] is not None
    assert (found["R1"].granted, found["R1"].basis) == (True, "terms of the referral form")


# ---------------------------------------------------------------- looking


def test_check_finds_a_missing_folder_a_name_of_no_kind_and_a_missing_column(place: Place):
    assert [finding.ok for finding in place.connector().probe()] == [False]
    with pytest.raises(TransientFailure):
        list(place.connector().pull("referrals", Window(None, datetime.now(UTC))))
    place.drop("people.csv", [REFERRAL])
    place.drop("shares.csv", [{"id": "s1"}])
    findings = {finding.key: finding for finding in place.connector().probe() if not finding.ok}
    assert findings.keys() == {"advocacy.options.folder", "advocacy.options.columns.shares"}
    assert "Begin their names with" in findings["advocacy.options.folder"].mend
    assert "people" not in str(findings)


def test_check_names_columns_that_are_not_read_but_nothing_of_a_file_without_a_header(place: Place):
    place.drop("referrals.csv", [{**REFERRAL, "Shoe size": "44"}])
    place.drop("advocates.csv", [{"Nadia": "1", "nadia@example.com": "2"}])
    found = {finding.key: str(finding) for finding in place.connector().probe()}
    assert "1 columns are not read: shoe_size" in found["advocacy.options.columns.referrals"]
    assert "nadia" not in found["advocacy.options.columns.advocates"].casefold()


def test_a_file_of_many_pages_is_read_whole_and_one_of_its_rows_is_found_at_once(place: Place):
    place.drop("referrals.csv", [{**REFERRAL, "id": f"R{n}"} for n in range(5_000)])
    assert place.pull() == 5_001
    connector = place.connector()
    for number in (0, 4_999):
        referral = connector.get_referral(f"R{number}")
        assert referral is not None
        assert referral.id == f"R{number}"
