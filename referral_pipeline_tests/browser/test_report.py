"""The leadership report as a browser shows it: at a desk, on phones, on paper, and to those who do not see it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.scaffold import sandbox_contract
from referral_pipeline.reports.leadership import write_leadership_report
from referral_pipeline_tests.unit.quality_tables import Tables
from referral_pipeline_tests.unit.report_marts import fill

pytestmark = pytest.mark.browser

WIDTHS = {"desktop": 1280, "tablet": 760, "phone": 390, "small-phone": 360}
SMALLEST_TEXT = """() => [...document.querySelectorAll("body *")]
  .filter(e => e.checkVisibility() && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())
    && !["TITLE", "DESC", "title", "desc", "STYLE"].includes(e.tagName))
  .map(e => [parseFloat(getComputedStyle(e).fontSize) * (e.getScreenCTM ? e.getScreenCTM().a : 1), e.textContent])
  .reduce((a, b) => a[0] <= b[0] ? a : b)"""
CUT_LABELS = """() => [...document.querySelectorAll("svg.chart")].filter(s => s.checkVisibility()).flatMap(s => {
  const frame = s.getBoundingClientRect();
  return [...s.querySelectorAll("text")].filter(t => {
    const box = t.getBoundingClientRect();
    return box.left < frame.left - 1 || box.right > frame.right + 1;
  }).map(t => s.getAttribute("aria-labelledby") + ": " + t.textContent);
})"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tables = Tables(rows="")
    tables.connection.execute("DROP SCHEMA mart CASCADE")
    fill(tables.connection)
    contract = parse_contract(sandbox_contract())
    as_of = datetime(2026, 9, 30, 8, 5, tzinfo=UTC)
    return write_leadership_report(tables, contract, tmp_path_factory.mktemp("report"), as_of=as_of).html


@pytest.fixture(scope="module", params=list(WIDTHS))
def shown(request: pytest.FixtureRequest, browser: Any, report: Path, screenshots: Path) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": WIDTHS[request.param], "height": 900})
    page = context.new_page()
    page.requests_failed = []
    page.on("requestfailed", lambda found: page.requests_failed.append(found.url))
    page.goto(report.as_uri())
    page.screenshot(path=screenshots / f"leadership-{request.param}.png", full_page=True)
    yield page
    context.close()


def test_the_report_does_not_scroll_sideways_and_loads_nothing(shown: Any) -> None:
    assert shown.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert shown.locator("h1").count() == 1
    assert shown.requests_failed == []


def test_no_text_is_too_small_to_read_and_none_is_cut(shown: Any) -> None:
    size, text = shown.evaluate(SMALLEST_TEXT)
    assert size >= 11, text
    assert shown.evaluate(CUT_LABELS) == []


def test_each_chart_is_there_once_at_the_width_that_fits(shown: Any) -> None:
    visible = shown.evaluate(
        "[...document.querySelectorAll('svg.chart')].filter(s => s.checkVisibility()).map(s => s.classList[1])"
    )
    width = shown.viewport_size["width"]
    assert visible == ["wide" if width > 736 else "narrow"] * 5


def test_axe_finds_nothing_serious(shown: Any) -> None:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(shown).response["violations"]
    grave = [(one["id"], one["nodes"][0]["html"][:120]) for one in found if one["impact"] in {"serious", "critical"}]
    assert grave == []


def test_on_a4_no_chart_is_cut_and_the_pages_are_few(browser: Any, report: Path, screenshots: Path) -> None:
    import pypdfium2

    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(report.as_uri())
    printed = page.pdf(path=screenshots / "leadership.pdf", prefer_css_page_size=True, print_background=True)
    context.close()
    document = pypdfium2.PdfDocument(BytesIO(printed))
    sheets = [sheet.get_textpage().get_text_range() for sheet in document]
    assert 4 <= len(sheets) <= 10
    assert {(round(sheet.get_width()), round(sheet.get_height())) for sheet in document} == {(595, 842)}
    for first, last in (  # the top and the foot of each chart
        ("Shares to clicks", "Offers to hires"),
        ("Days from application to accepted offer", "42.6 days"),
        ("Chance that an application has ended in a hire, by day", "Days since the application"),
        ("Cost per hire by quarter", "Q2 2025"),
        ("Part of a campaign", "the-eleventh"),
    ):
        assert any(first in sheet and last in sheet for sheet in sheets), first
