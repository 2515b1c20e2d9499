"""What a person sees: the asset graph, an asset with its checks."""

from __future__ import annotations

import pytest

from referral_pipeline_tests.unit.test_definitions import GROUPS

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    page = context.new_page()
    yield page
    context.close()


def test_the_asset_graph_shows_every_group_and_asset(page, webserver, screenshots):
    page.set_viewport_size({"width": 3800, "height": 3000})  # nodes outside the view are not drawn
    page.goto(f"{webserver}/asset-groups")
    page.wait_for_selector("text=Materialize all", timeout=60_000)
    page.wait_for_timeout(3000)
    assert page.locator("text=Join the Dagster community").count() == 0, "a pop-up covers the graph"
    text = page.inner_text("body")
    for group in GROUPS:
        assert group in text
    page.mouse.click(3600, 2900)
    page.keyboard.press("Alt+KeyE")  # expands every group
    page.wait_for_selector("text=Asset checks", state="attached", timeout=30_000)  # of whichever asset is in the view
    page.mouse.move(3600, 40)  # nothing is under it that would light up
    for _ in range(9):  # until all of it is in the view
        page.locator("[aria-label=zoom_out]").first.click()
    page.wait_for_timeout(1500)
    page.screenshot(path=screenshots / "asset-graph.png")
    text = page.inner_text("body")
    short_enough = {asset for assets in GROUPS.values() for asset in assets if len(asset) <= 18}  # others are cut
    assert {asset for asset in short_enough if asset not in text} == set()


def test_an_asset_page_shows_owner_description_rows_and_preview(page, webserver, screenshots):
    page.goto(f"{webserver}/assets/attribution?view=overview")
    page.wait_for_selector("text=one row per ATS application", timeout=60_000)
    page.wait_for_timeout(1000)
    page.screenshot(path=screenshots / "asset-attribution.png", full_page=True)
    text = page.inner_text("body")
    assert "talent-ops@example.com" in text
    assert "duckdb" in text.lower()
    assert "Whose the application is." in text, "the columns have no meaning"


@pytest.mark.parametrize(
    ("asset", "shown"),
    [
        ("attribution", ("attribution.parquet", "advocacy_share", "complete_share")),
        ("kpis", ("kpi.parquet", "rows_immature", "null unless its maturity is mature")),
        ("advocate_performance", ("advocate.parquet", "advocates_with_hires", "Wilson 95 % interval")),
        ("advocate_results", ("results_sent", "Ids and counts only")),
    ],
)
def test_the_page_of_what_analysts_watch_shows_meaning_numbers_and_the_file(page, webserver, screenshots, asset, shown):
    page.set_viewport_size({"width": 1600, "height": 3600})  # the page scrolls inside
    page.goto(f"{webserver}/assets/{asset}?view=overview")
    page.wait_for_selector("text=Latest materialization", timeout=60_000)
    # The page comes in parts, each with a request of its own.
    page.wait_for_function(
        "words => words.every(word => document.body.innerText.includes(word))", arg=list(shown), timeout=60_000
    )
    page.screenshot(path=screenshots / f"asset-{asset}-whole.png")
    text = page.inner_text("body")
    assert [words for words in shown if words not in text] == []


def test_the_checks_of_attribution_are_listed_with_their_result(page, webserver, screenshots):
    page.goto(f"{webserver}/assets/attribution?view=checks")
    page.wait_for_selector("text=application_key", timeout=60_000)
    page.wait_for_timeout(1000)
    page.screenshot(path=screenshots / "asset-checks.png", full_page=True)
    assert "Passed" in page.inner_text("body")


def test_a_check_that_did_not_pass_says_what_to_do(page, webserver, screenshots):
    page.goto(f"{webserver}/assets/ats_applications?view=checks&checkDetail=every_stage_is_mapped")
    page.wait_for_selector("text=They count as in_review", timeout=60_000)
    page.wait_for_timeout(500)
    page.screenshot(path=screenshots / "check-not-passed.png")
    text = page.inner_text("body")
    assert "Mend: add the stages to stage_map in integration.yaml" in text
    assert "what_to_do" in text
