"""The workbook and the kept editions: typed cells, no formula, the same bytes for the same numbers, once a quarter."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from openpyxl.workbook import Workbook

from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.models import Contract
from referral_pipeline.contract.scaffold import sandbox_contract
from referral_pipeline.reports import editions
from referral_pipeline.reports.editions import Edition, write_quarterly_edition
from referral_pipeline.reports.files import LOCK
from referral_pipeline.reports.page import Page, read_page
from referral_pipeline.reports.workbook import workbook
from referral_pipeline_tests.unit.quality_tables import Tables
from referral_pipeline_tests.unit.report_marts import fill
from referral_pipeline_tests.unit.test_reports_leadership import Outline

AS_OF = datetime(2026, 10, 5, 6, tzinfo=UTC)
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0")
SHEETS = ["Summary", "KPIs", "Trend", "Changes", "Funnel", "Time to hire", "Hire curve", "Cost per hire", "ROI inputs"]
SHEETS += ["Campaigns", "Participation", "Coverage", "Data quality", "Definitions"]


@pytest.fixture(scope="module")
def contract() -> Contract:
    return parse_contract(sandbox_contract())


@pytest.fixture(scope="module")
def tables() -> Tables:
    tables = Tables(rows="")
    tables.connection.execute("DROP SCHEMA mart CASCADE")
    fill(tables.connection)
    for before, after in zip(("spring", "autumn", "open-day", "graduates", "returners"), FORMULAS, strict=True):
        tables.connection.execute("UPDATE mart.kpi SET segment = ? WHERE segment = ?", [after, before])
    tables.connection.execute("UPDATE mart.kpi SET segment = chr(7) || 'bell' WHERE segment = 'engineering'")
    return tables


@pytest.fixture(scope="module")
def page(tables: Tables, contract: Contract) -> Page:
    return read_page(tables, contract, as_of=AS_OF)


@pytest.fixture(scope="module")
def content(page: Page) -> bytes:
    return workbook(page)


@pytest.fixture(scope="module")
def book(content: bytes) -> Workbook:
    return load_workbook(io.BytesIO(content))


def rows(book: Workbook, sheet: str) -> list[dict[str, Any]]:
    heading, *others = book[sheet].iter_rows(values_only=True)
    return [dict(zip(map(str, heading), row, strict=True)) for row in others]


def test_there_is_one_sheet_a_table_with_its_heading_in_sight(book: Workbook) -> None:
    assert book.sheetnames == SHEETS
    for sheet in book:
        assert sheet.freeze_panes == "A2"
        assert all(sheet.column_dimensions[column[0].column_letter].width > 3 for column in sheet.iter_cols())


def test_numbers_are_numbers_in_full_and_dates_are_dates(book: Workbook) -> None:
    summary = rows(book, "Summary")[0]
    assert summary["Value"] == 41 / 620
    cell = book["Summary"].cell(2, 2)
    assert (cell.data_type, cell.number_format) == ("n", "0.0%")
    trend = rows(book, "Trend")[0]
    assert trend["Quarter begins"].date() == datetime(2025, 1, 1).date()  # noqa: DTZ001
    cost = next(row for row in rows(book, "Cost per hire") if row["Period"] == "To date")
    assert (cost["Costs (EUR)"], cost["Hires"]) == (123_000.50, 41)
    assert book["Cost per hire"].cell(2, 4).number_format == "#,##0.00"


def test_what_is_not_known_is_an_empty_cell_with_the_reason_beside_it(book: Workbook) -> None:
    young = next(
        row
        for row in rows(book, "Trend")
        if row["KPI"] == "Referrals that end in a hire" and row["Quarter"] == "Q3 2026"
    )
    assert (young["Value"], young["Low"], young["State"]) == (None, None, "Too early to tell")
    assert young["Counted"] == "96 applications so far"


def test_a_text_that_begins_like_a_formula_stays_a_text(book: Workbook) -> None:
    texts = {row["Campaign"] for row in rows(book, "Campaigns")}
    assert set(FORMULAS) | {"\ufffdbell"} <= texts
    for sheet in book:
        for row in sheet.iter_rows():
            for cell in row:
                assert cell.data_type != "f", cell.coordinate
                assert cell.data_type != "s" or cell.quotePrefix


def test_the_kpi_sheet_holds_the_rows_of_the_mart_as_they_are(book: Workbook, tables: Tables) -> None:
    found = {
        (row["kpi"], row["segment_kind"], row["segment"]): row
        for row in rows(book, "KPIs")
        if row["period_kind"] == "all"
    }
    query = "SELECT * FROM mart.kpi WHERE period_kind = 'all' AND segment_kind IN ('all', 'scope', 'channel')"
    expected = tables.frame(query).to_dict("records")
    assert len(expected) > 25
    for row in expected:
        cells = found[row["kpi"], row["segment_kind"], row["segment"]]
        for column in ("value", "numerator", "denominator", "ci_low", "ci_high"):
            assert cells[column] == (None if row[column] != row[column] else row[column])


def test_a_share_in_a_cell_does_not_read_as_all_or_nothing_when_it_is_neither(page: Page) -> None:
    shares = (0.9, 1.0, 0.0, 0.9996, 0.00004)
    one = page.coverage[0]
    rows = tuple(replace(one, rate=replace(one.rate, value=share)) for share in shares)
    cells = list(load_workbook(io.BytesIO(workbook(replace(page, coverage=rows))))["Coverage"]["D"])[1:]
    assert tuple(cell.value for cell in cells) == shares
    assert [cell.number_format for cell in cells] == ["0.0%", "0.0%", "0.0%", "0.00%", "0.000%"]


def test_the_same_numbers_make_the_same_bytes(page: Page, content: bytes) -> None:
    assert workbook(page) == content


# ---------------------------------------------------------------- editions


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("published")


@pytest.fixture(scope="module")
def edition(tables: Tables, contract: Contract, published: Path) -> Edition:
    return write_quarterly_edition(tables, contract, published, as_of=AS_OF, now=AS_OF)


def test_an_edition_is_of_the_last_quarter_that_is_over_with_a_manifest(edition: Edition, published: Path) -> None:
    assert edition.folder == published / "editions" / "2026-Q3"
    assert edition.is_new
    told = json.loads((edition.folder / "manifest.json").read_text())
    assert (told["quarter"], told["as_of"], told["written_at"]) == (
        *("2026-Q3", "2026-10-05T06:00:00Z"),
        "2026-10-05T06:00:00Z",
    )
    for entry in told["files"]:
        written = (edition.folder / entry["file"]).read_bytes()
        assert (entry["bytes"], entry["sha256"]) == (len(written), hashlib.sha256(written).hexdigest())
    assert {path.name for path in edition.folder.iterdir()} == {"leadership.html", "leadership.xlsx", "manifest.json"}
    assert {path.name for path in edition.folder.parent.iterdir()} == {"2026-Q3", LOCK}


def test_an_edition_says_of_a_young_quarter_that_it_is_young(edition: Edition) -> None:
    text = Outline(edition.html.read_text(encoding="utf-8")).text
    assert "What referrals bring: Q3 2026" in text
    assert "Referrals that end in a hire Too early to tell – 96 applications so far" in text
    assert "2 of 96" not in text


def test_an_edition_that_is_kept_is_not_written_again(
    edition: Edition, tables: Tables, contract: Contract, published: Path
) -> None:
    before = {path.name: path.read_bytes() for path in edition.folder.iterdir()}
    later = datetime(2026, 11, 30, tzinfo=UTC)
    again = write_quarterly_edition(tables, contract, published, as_of=later)
    assert (again.folder, again.is_new) == (edition.folder, False)
    assert {path.name: path.read_bytes() for path in edition.folder.iterdir()} == before


def without_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The renderer is slow, and what it draws does not matter here."""
    monkeypatch.setattr(editions, "html", lambda page: f"{page.edition.name}, {page.as_of}".encode())


def test_an_edition_is_written_again_only_by_force(
    tables: Tables, contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_charts(monkeypatch)
    first = write_quarterly_edition(tables, contract, tmp_path, as_of=AS_OF)
    later = datetime(2026, 11, 30, tzinfo=UTC)
    forced = write_quarterly_edition(tables, contract, tmp_path, as_of=later, force=True)
    assert (forced.folder, forced.is_new) == (first.folder, True)
    assert json.loads((forced.folder / "manifest.json").read_text())["as_of"] == "2026-11-30T00:00:00Z"
    assert "30 November 2026" in forced.html.read_text()


def test_a_writer_that_dies_leaves_no_half_of_an_edition(
    tables: Tables, contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_charts(monkeypatch)
    torn = tmp_path / "editions" / ".writing-2026-Q3-torn"
    torn.mkdir(parents=True)
    (torn / "leadership.html").write_text("half")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            write_quarterly_edition(tables, contract, tmp_path, as_of=AS_OF)
    assert [path.name for path in (tmp_path / "editions").iterdir()] == [LOCK]
    assert write_quarterly_edition(tables, contract, tmp_path, as_of=AS_OF).is_new
    assert {path.name for path in (tmp_path / "editions").iterdir()} == {"2026-Q3", LOCK}


def test_of_two_writers_at_once_the_first_edition_stands(
    tables: Tables, contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_writer_comes_first(page: Page) -> bytes:
        assert page.edition is not None
        folder = tmp_path / "editions" / page.edition.code
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
        return b"late"

    monkeypatch.setattr(editions, "html", other_writer_comes_first)
    edition = write_quarterly_edition(tables, contract, tmp_path, as_of=AS_OF)
    assert not edition.is_new
    assert [path.name for path in edition.folder.iterdir()] == ["manifest.json"]
