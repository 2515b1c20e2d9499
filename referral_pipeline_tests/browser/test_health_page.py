"""The health page as a browser shows it: at a desk and on the smallest phone, in light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.monitoring.health import Health, HealthRow, Severity
from referral_pipeline.monitoring.open_alerts import StandingAlert
from referral_pipeline.monitoring.page import page_of
from referral_pipeline.monitoring.runbook import RUNBOOK

pytestmark = pytest.mark.browser

NOW = datetime(2026, 9, 30, 8, 5, tzinfo=UTC)


def an_ill_one() -> Health:
    """Every measure, in every state."""
    states = list(Severity)
    rows = [
        HealthRow(
            measure,
            "greenhouse",
            0.0312,
            0.02,
            states[number % 4],
            "43 of 1,420 calls of the last day failed: 3.0%, with 95 % confidence at least 2.3%.",
            sample=1420,
            operation="applications.custom_field_options.list",
        )
        for number, measure in enumerate(RUNBOOK)
    ]
    rows += [replace(row, operation=None) for row in rows]
    alerts = tuple(
        StandingAlert("check_failed", "attribution:weights_sum_to_one", severity, NOW, 12)
        for severity in ("error", "warning")
    )
    return Health(NOW, tuple(rows), run_id="0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0", alerts=alerts)


@pytest.fixture(params=[(1280, "light"), (360, "light"), (360, "dark")], ids=lambda p: f"{p[0]}-{p[1]}")
def shown(request: pytest.FixtureRequest, browser: Any, screenshots: Path) -> Iterator[Any]:
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.set_content(page_of(an_ill_one(), "http://127.0.0.1:3000"))
    page.screenshot(path=screenshots / f"health-{width}-{scheme}.png", full_page=True)
    yield page
    context.close()


def test_nothing_is_wider_than_the_screen(shown: Any) -> None:
    assert shown.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_what_is_bad_comes_first_and_says_what_to_do(shown: Any) -> None:
    assert shown.locator("section").first.inner_text().startswith("Open alerts")
    first = shown.locator("section").nth(1)
    assert first.locator("li.error").count() == 2
    assert "To do:" in first.inner_text()


def test_an_operation_that_is_well_is_seen_on_demand(shown: Any) -> None:
    folded = shown.locator("details").first
    assert not folded.locator("li").first.is_visible()
    folded.locator("summary").press("Enter")
    assert folded.locator("li").first.is_visible()


@pytest.mark.parametrize("is_open", [False, True])
def test_axe_finds_nothing(shown: Any, is_open: bool) -> None:
    if is_open:
        shown.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    from axe_playwright_python.sync_playwright import Axe

    assert [found["id"] for found in Axe().run(shown).response["violations"]] == []
