"""Exports that are dropped as files: the invariants of the connector, by number, over real folders."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from referral_pipeline.connectors.failures import Conflict, Invalid, TransientFailure
from referral_pipeline.connectors.files import FilesConnector, FilesOptions
from referral_pipeline.connectors.files_book import Book
from referral_pipeline.connectors.records import AdvocacyStaged, AtsJob, Row, StatusUpdate, Window
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.vocabulary import CandidateStatus, ReferralStage
from referral_pipeline.warehouse.ingest import ingest
from referral_pipeline.warehouse.store import Warehouse

REFERRAL = {
    "id": "R1",
    "advocate_id": "A1",
    "job_id": "7",
    "submitted_at": "2026-11-02 09:30",
    "first_name": "Ada",
    "last_name": "Lovelace",
    "email": "ada@example.com",
    "country": "DE",
    "consent_granted": "yes",
    "consent_basis": "form",
}
LONG_AGO = datetime(2026, 11, 3, tzinfo=UTC)


@dataclass
class Place:
    """A folder of drops, the state beside it, and what a pull leaves in a warehouse."""

    home: Path
    ledger: Ledger
    warehouse: Warehouse
    options: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def folder(self) -> Path:
        return self.home / "drops"

    def connector(self) -> FilesConnector:
        """As a process of its own would have it."""
        book = Book(self.home / "state" / "files.sqlite", self.home / "outbox")
        options = FilesOptions(folder="drops", **{"settle_seconds": 0.0, **self.options})
        return FilesConnector(options, folder=self.folder, book=book)

    def drop(self, name: str, rows: Sequence[Mapping[str, Any]], *, at: datetime = LONG_AGO) -> Path:
        """A CSV file that was written then."""
        self.folder.mkdir(exist_ok=True)
        path = self.folder / name
        columns = list(dict.fromkeys(key for row in rows for key in row))
        with path.open("w", newline="", encoding="utf-8") as sheet:
            writer = csv.DictWriter(sheet, columns)
            writer.writeheader()
            writer.writerows(rows)
        os.utime(path, (at.timestamp(), at.timestamp()))
        return path

    def pull(self, entity: str = "referrals", *, full: bool = False) -> int:
        """One pull into the warehouse; how many rows came."""
        connector = self.connector()
        try:
            return ingest(
                connector,
                entity,
                warehouse=self.warehouse,
                ledger=self.ledger,
                now=datetime.now(UTC),
                lookback=timedelta(0),
                full_every=timedelta(0) if full else timedelta(days=1),
            ).new_or_changed
        finally:
            connector.close()

    def raw(self, entity: str = "referrals") -> list[Row]:
        return list(self.warehouse.raw_rows("files", entity))

    def staged(self) -> AdvocacyStaged:
        return self.connector().stage(self.raw)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Ledger.open("sqlite:///ledger.sqlite", home=tmp_path) as ledger:
        yield Place(tmp_path, ledger, Warehouse("w.duckdb", home=tmp_path, published_dir=tmp_path / "p"))


def update(status: CandidateStatus = CandidateStatus.INTERVIEWED, *, hours: float = 0) -> StatusUpdate:
    at = datetime(2026, 11, 10, 12, tzinfo=UTC) + timedelta(hours=hours)
    return StatusUpdate("R1", status, at, "greenhouse", "c1", "a1")


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


# ---------------------------------------------------------------- 8, 9


def outbox(place: Place, name: str) -> list[dict[str, str]]:
    with (place.home / "outbox" / f"{name}.csv").open(newline="", encoding="utf-8") as sheet:
        return list(csv.DictReader(sheet))


def test_8_what_is_told_stands_in_the_outbox_and_the_referral_shows_it(place: Place):
    place.drop("referrals.csv", [REFERRAL])
    place.pull()
    connector = place.connector()
    assert connector.return_status(update())
    connector.put_job(AtsJob("7", "Porter", "open"))
    connector.recognise("R1", "hired", 0, "EUR", "k1")
    connector.close()
    (status,) = outbox(place, "statuses")
    assert (status["referral_id"], status["status"], status["ats_application_id"]) == ("R1", "interviewed", "a1")
    assert [row["title"] for row in outbox(place, "jobs")] == ["Porter"]
    assert [row["kind"] for row in outbox(place, "recognitions")] == ["hired"]
    place.pull()
    (referral,) = place.staged().referrals
    assert (referral.status, referral.ats_application_id) == (CandidateStatus.INTERVIEWED, "a1")
    assert place.connector().get_referral("R1") == referral


def test_8_the_same_state_is_the_same_bytes(place: Place):
    connector = place.connector()
    connector.return_status(update())
    connector.close()
    path = place.home / "outbox" / "statuses.csv"
    before, written = path.read_bytes(), path.stat().st_mtime_ns
    again = place.connector()
    again.return_status(update())
    again.close()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (before, written)
    assert b"ada@example.com" not in before


def test_8_the_outbox_is_written_while_the_process_goes_on(place: Place):
    connector = place.connector()
    connector.return_status(update())
    path = place.home / "outbox" / "statuses.csv"
    for _ in range(100):
        if path.exists():
            break
        os.sched_yield()
        import time

        time.sleep(0.1)
    assert path.exists()


def test_9_a_status_never_goes_back_and_a_recognition_stands_once(place: Place):
    connector = place.connector()
    assert connector.return_status(update(hours=1))
    assert not connector.return_status(update(CandidateStatus.APPLIED))
    connector.recognise("R1", "bonus_eligible", 100, "EUR", "k1")
    connector.recognise("R1", "bonus_eligible", 100, "EUR", "k1")
    with pytest.raises(Invalid):
        connector.recognise("R1", "bonus_eligible", 200, "EUR", "k1")
    with pytest.raises(Conflict):
        connector.recognise("R1", "bonus_eligible", 100, "EUR", "k2")
    connector.recognise("R1", "reversed", 100, "EUR", "k3")
    with pytest.raises(Conflict):
        connector.recognise("R1", "reversed", 100, "EUR", "k4")
    connector.recognise("R1", "bonus_eligible", 100, "EUR", "k5")
    connector.close()
    assert [row["key"] for row in outbox(place, "recognitions")] == ["k1", "k3", "k5"]


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


def test_a_file_of_many_pages_is_read_whole_and_one_of_its_rows_is_found_at_once(place: Place):
    place.drop("referrals.csv", [{**REFERRAL, "id": f"R{n}"} for n in range(5_000)])
    assert place.pull() == 5_001
    connector = place.connector()
    for number in (0, 4_999):
        referral = connector.get_referral(f"R{number}")
        assert referral is not None
        assert referral.id == f"R{number}"


# ---------------------------------------------------------------- what a review found


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
    assert [(p.record_id, p.field) for p in place.staged().problems] == [
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
