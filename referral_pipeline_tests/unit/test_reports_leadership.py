"""The leadership page says what the marts say, names nobody, and needs nothing but itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.models import Contract
from referral_pipeline.contract.scaffold import sandbox_contract
from referral_pipeline.kpis.statistics import p_of_counts, wilson
from referral_pipeline.reports import charts
from referral_pipeline.reports.changes import difference_interval
from referral_pipeline.reports.files import put
from referral_pipeline.reports.leadership import Written, write_leadership_report
from referral_pipeline.reports.leadership import html as render
from referral_pipeline.reports.marts import read_marts
from referral_pipeline.reports.page import Page, read_page
from referral_pipeline.reports.periods import Quarter
from referral_pipeline.reports.svg import sparkline
from referral_pipeline.reports.words import KPI_WORDS, UNKNOWN, by_how_much, figure, spread, verdict
from referral_pipeline_tests.unit.quality_tables import Tables
from referral_pipeline_tests.unit.report_marts import fill

AS_OF = datetime(2026, 9, 30, 8, 5, tzinfo=UTC)


class Outline(HTMLParser):
    """What a reader without eyes or style sheets gets."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._style = False
        self.feed(html)
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._style = False
        if tag in {"p", "dd", "dt", "li", "td", "th", "h1", "h2", "h3", "small", "span"}:
            self.text += " "

    def handle_data(self, data: str) -> None:
        self.text += "" if self._style else data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


HOSTILE = "=<script>alert(1)</script>&\u202e"
"""A campaign as nobody should name one."""


@pytest.fixture(scope="module")
def contract() -> Contract:
    return parse_contract(sandbox_contract())


@pytest.fixture(scope="module")
def tables() -> Tables:
    tables = Tables(rows="")
    tables.connection.execute("DROP SCHEMA mart CASCADE")
    fill(tables.connection)
    tables.connection.execute("UPDATE mart.kpi SET segment = ? WHERE segment = 'open-day'", [HOSTILE])
    return tables


@pytest.fixture(scope="module")
def written(tables: Tables, contract: Contract, tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write_leadership_report(tables, contract, tmp_path_factory.mktemp("report"), as_of=AS_OF)


@pytest.fixture(scope="module")
def html(written: Written) -> str:
    return written.html.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def outline(html: str) -> Outline:
    return Outline(html)


@pytest.fixture
def changed(tables: Tables, contract: Contract) -> Iterator[Changed]:
    tables.connection.begin()
    yield Changed(tables, contract)
    tables.connection.rollback()


class Changed:
    """The page after a statement that is taken back afterwards."""

    def __init__(self, tables: Tables, contract: Contract) -> None:
        self.tables = tables
        self.contract = contract

    def by(self, *statements: str) -> Page:
        for statement in statements:
            self.tables.connection.execute(statement)
        return read_page(self.tables, self.contract, as_of=AS_OF)


def test_the_page_shows_each_headline_with_target_interval_and_basis(outline: Outline) -> None:
    assert "as of 30 September 2026, 08:05 UTC" in outline.text
    assert "Referrals that end in a hire 6.6 % Ahead, could still be chance" in outline.text
    assert "Target at least 6.0 % Likely range 4.9 to 8.8 % Advocates 6.6 % Others 3.7 %" in outline.text
    assert "Counted 41 of 620 applications" in outline.text
    assert "Hires with full evidence 90.2 % Short, could still be chance" in outline.text


def test_a_trend_tells_its_quarters_in_words_and_says_which_is_too_early(outline: Outline) -> None:
    assert (
        "By quarter: Q2 2025 5.2 %, Q3 2025 5.9 %, Q4 2025 6.7 %, Q1 2026 7.3 %, Q2 2026 9.1 %. "
        "Too early to tell: Q3 2026."
    ) in outline.text


def test_an_immature_cohort_is_never_shown_as_a_low_conversion(html: str, outline: Outline) -> None:
    """Two hires of 96 young applications: neither 2.1 % nor the 2 may stand anywhere, and no line leads down to it."""
    young = [row for row in outline.of("span") if "2026-07-01" in (row.get("data-key") or "")]
    assert all("numerator" not in (row["data-key"] or "") for row in young if "conversion" in (row["data-key"] or ""))
    assert "2.1\u00a0%" not in html
    assert "2 of 96" not in outline.text
    spark = re.search(r'<svg class="spark" id="trend-referral_conversion_rate".*?</svg>', html)
    assert spark is not None
    assert spark[0].count('class="young"') == 1
    (points,) = re.findall(r'points="([^"]+)"', spark[0])
    assert len(points.split()) == 5


def test_a_campaign_that_is_young_has_no_rate_and_no_dot(html: str, outline: Outline) -> None:
    assert "autumn-2026 – Too early to tell 44 applications so far Too early to tell" in outline.text
    chart = re.search(r"campaigns-wide.*?</svg>", html, re.DOTALL)
    assert chart is not None
    assert "autumn-2026" not in chart[0]


def test_a_null_is_not_known_yet_and_never_zero(changed: Changed) -> None:
    page = changed.by("UPDATE mart.kpi SET value = NULL, ci_low = NULL, ci_high = NULL, maturity = 'insufficient'")
    (conversion, time, coverage) = page.headlines
    for headline in (conversion, time, coverage):
        assert headline.value.value is None
        assert headline.value.text == UNKNOWN
        assert headline.gauge is None
        assert headline.verdict.words == "Too few cases to tell"
    assert page.changes.rows == ()
    assert page.roi is not None
    assert page.roi.value.text == UNKNOWN
    assert "not known yet" in page.roi.words


def test_a_value_beside_an_immature_mark_is_not_shown_even_if_it_is_there(changed: Changed) -> None:
    page = changed.by("UPDATE mart.kpi SET maturity = 'immature' WHERE kpi = 'referral_conversion_rate'")
    headline = page.headlines[0]
    assert (headline.value.value, headline.interval, headline.verdict.words) == (None, None, "Too early to tell")
    assert headline.basis is not None
    assert headline.basis.text == "620 applications so far"
    assert all(campaign.rate.value.value is None for campaign in page.campaigns)


def test_marts_that_are_not_there_make_everything_not_known_yet(contract: Contract, tmp_path: Path) -> None:
    bare = Tables(rows="")
    bare.connection.execute("DROP SCHEMA mart CASCADE")
    text = Outline(write_leadership_report(bare, contract, tmp_path, as_of=AS_OF).html.read_text("utf-8")).text
    assert f"Referrals that end in a hire {UNKNOWN} Not known yet Target at least 6.0 %" in text
    assert "Of 3 targets: 3 not known yet." in text
    for words in (
        f"what changed is {UNKNOWN}",
        f"The funnel is {UNKNOWN}",
        f"How long hiring takes is {UNKNOWN}",
        f"What a hire costs is {UNKNOWN}",
        f"What the programme returns is {UNKNOWN}",
        f"Which campaigns bring hires is {UNKNOWN}",
        f"How many advocates take part is {UNKNOWN}",
        f"How many hires carry complete evidence is {UNKNOWN}",
        f"How many records were set aside or held back is {UNKNOWN}",
    ):
        assert words in text
    assert "none was held back" not in text
    assert "on record" not in text


def test_what_changed_compares_the_latest_mature_quarter_with_the_one_before(outline: Outline) -> None:
    assert "Referrals that end in a hire 7.3 % Q1 2026 9.1 % Q2 2026 +1.8 points" in outline.text
    assert "+1.8 points −5.7 to +9.2 points Could be chance" in outline.text
    assert "+44.4 points +19.5 to +62.3 points Better" in outline.text
    assert "Time to hire 40.4 days Q1 2026 39.0 days Q2 2026 −1.4 days" in outline.text


def test_a_quarter_that_is_not_over_is_not_judged_by_its_first_hires(changed: Changed) -> None:
    page = changed.by(
        "INSERT INTO mart.kpi VALUES ('attribution_coverage', 'quarter', '2026-04-01', 'all', 'all', 1, 'ratio', 4, 4, "
        "0.51, 1, 'mature', NULL), ('attribution_coverage', 'quarter', '2026-07-01', 'all', 'all', 0, 'ratio', 0, 1, "
        "0, 0.79, 'mature', NULL)"
    )
    trend = page.headlines[2].trend
    assert trend is not None
    assert trend.words == "By quarter: Q2\u00a02026 100.0\u00a0%. Too early to tell: Q3\u00a02026."
    (change,) = [c for c in page.changes.rows if c.label == "Hires with full evidence"]
    assert change.now.quarter.code == "2026-Q2"


def test_a_quarter_with_a_gap_before_it_is_compared_with_nothing(changed: Changed) -> None:
    page = changed.by("DELETE FROM mart.kpi WHERE period_start = '2026-01-01' AND kpi = 'referral_conversion_rate'")
    change = page.changes.rows[0]
    assert (change.now.quarter.code, change.before, change.difference) == ("2026-Q2", None, None)
    assert change.verdict.words == "No quarter to compare with"


def test_too_few_hires_to_bound_a_median_meet_no_target_and_show_no_change(changed: Changed) -> None:
    page = changed.by("UPDATE mart.kpi SET ci_low = NULL, ci_high = NULL WHERE kpi = 'time_to_hire_days'")
    assert page.headlines[1].verdict.words == "Ahead, could still be chance"
    assert [c.verdict.words for c in page.changes.rows if c.label == "Time to hire"] == ["Too few cases to tell"]


def quarter_of_money(value: float, hires: int, start: str) -> str:
    return (
        f"('cost_per_hire', 'quarter', '{start}', 'all', 'all', {value}, 'currency', {value * hires * 100}, {hires}, "
        "NULL, NULL, 'mature', NULL)"
    )


@pytest.mark.parametrize(
    ("before", "now", "tone", "words"),
    [
        ((3000, 6), (2500, 5), "told", "Lower in these figures: 5 hires, before 6 hires"),
        ((2500, 6), (3000, 5), "told", "Higher in these figures: 5 hires, before 6 hires"),
        ((3000, 6), (3000, 5), "told", "The same in these figures: 5 hires, before 6 hires"),
        ((3000, 6), (500, 1), "open", "Too few hires to compare: 1 hire, before 6 hires"),
        ((3000, 4), (500, 60), "open", "Too few hires to compare: 60 hires, before 4 hires"),
    ],
)
def test_of_sums_of_money_it_is_told_which_is_lower_from_how_many_hires_and_never_how_sure_that_is(
    changed: Changed, before: tuple[int, int], now: tuple[int, int], tone: str, words: str
) -> None:
    rows = f"{quarter_of_money(*before, '2026-01-01')}, {quarter_of_money(*now, '2026-04-01')}"
    page = changed.by(f"INSERT INTO mart.kpi VALUES {rows}")
    change = next(c for c in page.changes.rows if c.label == "Cost per hire")
    assert (change.verdict.words, change.verdict.tone, change.interval) == (words, tone, None)
    assert change.difference is not None
    assert change.difference.value == now[0] - before[0]


@pytest.mark.parametrize(
    ("name", "target", "tone", "words"),
    [
        ("cost_per_hire", 8000, "told", "Lower than the target in these figures: 129 hires"),
        ("cost_per_hire", 5000, "told", "Higher than the target in these figures: 129 hires"),
        ("roi", 0.5, "told", "Higher than the target in these figures: 41 hires through advocates, 88 hires elsewhere"),
    ],
)
def test_a_target_of_money_is_neither_met_nor_missed_for_certain(
    changed: Changed, name: str, target: float, tone: str, words: str
) -> None:
    page = promised(changed, name, target)
    assert (page.headlines[0].verdict.tone, page.headlines[0].verdict.words) == (tone, words)
    assert page.summary == "Of 1 target: 1 of money, told without certainty."
    drawn = Outline(render(replace(page, time_to_hire=None, costs=None, campaigns=(), funnel=())).decode()).text
    assert words in drawn


def test_under_five_hires_no_sum_of_money_is_held_against_its_target_or_the_other_channel(changed: Changed) -> None:
    changed.by(
        "UPDATE mart.kpi SET denominator = 4 WHERE (kpi, segment) IN (('cost_per_hire', 'all'), "
        "('cost_per_hire', 'advocacy'), ('roi', 'advocacy_cost_per_hire'))"
    )
    for name, hires in (("cost_per_hire", "4 hires"), ("roi", "4 hires through advocates, 88 hires elsewhere")):
        page = promised(changed, name, 0.5)
        assert page.headlines[0].verdict.words == f"Too few hires to compare: {hires}"
        assert "for certain" not in page.summary
    assert page.costs is not None
    assert page.costs.words == ("Too few hires to compare the channels: 4 hires through advocates, 88 hires elsewhere.")
    assert page.roi is not None
    assert page.roi.words.startswith("Too few hires to say what the programme returns: 4 hires through advocates")


def promised(changed: Changed, name: str, target: float) -> Page:
    """The page of a contract with this one target."""
    kpi = changed.contract.objectives.kpis[0].model_copy(update={"name": name, "target": target})
    objectives = changed.contract.objectives.model_copy(update={"kpis": [kpi]})
    return read_page(changed.tables, changed.contract.model_copy(update={"objectives": objectives}), as_of=AS_OF)


def test_channels_whose_costs_are_of_different_months_are_not_compared(changed: Changed) -> None:
    page = changed.by("UPDATE mart.kpi SET numerator = 1 WHERE kpi = 'cost_per_hire' AND segment_kind = 'all'")
    assert page.costs is not None
    assert page.costs.words == f"Which channel costs less is {UNKNOWN}: their costs are of different months."


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (-0.001, "cost more than hires through other channels:"),
        (0.0, "cost as much as hires through other channels:"),
        (0.999, "cost less, and the saving covers a part of what the programme cost:"),
        (1.0, "cost less, and the saving is as much as the programme cost:"),
        (1.001, "cost less, and the saving is more than the programme cost:"),
    ],
)
def test_the_return_in_words_turns_at_exactly_nothing_and_at_exactly_all(
    changed: Changed, value: float, words: str
) -> None:
    page = changed.by(f"UPDATE mart.kpi SET value = {value} WHERE kpi = 'roi' AND segment_kind = 'all'")
    assert page.roi is not None
    assert page.roi.words == (
        f"In these figures hires through advocates {words} 41 hires through advocates, 88 hires elsewhere."
    )


def test_one_number_of_many_that_seems_to_have_changed_could_be_chance(changed: Changed) -> None:
    """11 of 100 against 24 of 100: alone that is told apart (p = 0.025), among a dozen numbers it is not."""
    alone = "DELETE FROM mart.kpi WHERE period_kind = 'quarter' AND kpi <> 'offer_to_hire_rate'"
    low, high = wilson(24, 100), wilson(11, 100)
    apart = (
        "DELETE FROM mart.kpi WHERE kpi = 'offer_to_hire_rate'",
        "INSERT INTO mart.kpi VALUES ('offer_to_hire_rate', 'quarter', '2026-01-01', 'all', 'all', 0.24, 'ratio', 24, "
        f"100, {low[0]}, {low[1]}, 'mature', NULL), ('offer_to_hire_rate', 'quarter', '2026-04-01', 'all', 'all', "
        f"0.11, 'ratio', 11, 100, {high[0]}, {high[1]}, 'mature', NULL)",
    )
    for statements, words in ((apart, "Could be chance"), ((alone,), "Worse")):
        changes = changed.by(*statements).changes
        assert [c.verdict.words for c in changes.rows if c.label == "Offers that are accepted"] == [words]
    assert changes.tested == 1


def test_a_change_whose_likely_range_holds_zero_could_be_chance_however_its_counts_stand(changed: Changed) -> None:
    """None of 24 against 8 of 51: Fisher's test alone tells them apart (p = 0.049), Newcombe's range does not."""
    low, high = wilson(8, 51), wilson(0, 24)
    changes = changed.by(
        "DELETE FROM mart.kpi WHERE period_kind = 'quarter'",
        "INSERT INTO mart.kpi VALUES ('offer_to_hire_rate', 'quarter', '2026-01-01', 'all', 'all', "
        f"{8 / 51}, 'ratio', 8, 51, {low[0]}, {low[1]}, 'mature', NULL), ('offer_to_hire_rate', 'quarter', "
        f"'2026-04-01', 'all', 'all', 0, 'ratio', 0, 24, {high[0]}, {high[1]}, 'mature', NULL)",
    ).changes
    (change,) = changes.rows
    assert change.interval is not None
    assert change.interval.low.value < 0 < change.interval.high.value
    assert (p_of_counts(0, 24, 8, 51) < 0.05, changes.tested) == (True, 1)
    assert change.verdict.words == "Could be chance"


def test_a_line_does_not_bridge_quarters_without_a_row(changed: Changed) -> None:
    page = changed.by(
        "DELETE FROM mart.kpi WHERE kpi = 'referral_conversion_rate' AND period_start IN ('2025-10-01', '2026-01-01')"
    )
    trend = page.headlines[0].trend
    assert trend is not None
    assert [one.quarter.code for one in trend.quarters] == [
        *("2025-Q2", "2025-Q3", "2025-Q4", "2026-Q1", "2026-Q2", "2026-Q3")
    ]
    assert "Not known yet: Q4\u00a02025, Q1\u00a02026." in trend.words
    drawn = sparkline(trend, name="trend")
    assert [len(points.split()) for points in re.findall(r'points="([^"]+)"', drawn)] == [2]
    assert drawn.count('class="young"') == 3
    assert drawn.count("<circle") == 3


def test_nothing_is_said_of_quarters_before_the_first_one(changed: Changed) -> None:
    page = changed.by("DELETE FROM mart.kpi WHERE kpi = 'referral_conversion_rate' AND period_start < '2026-04-01'")
    trend = page.headlines[0].trend
    assert trend is not None
    assert [one.quarter.code for one in trend.quarters] == ["2026-Q2", "2026-Q3"]


def test_none_was_set_aside_only_where_somebody_counted(changed: Changed) -> None:
    page = changed.by("DELETE FROM mart.data_quality")
    assert page.quality[0].figure is not None
    assert (page.quality[0].figure.value, page.quality[0].text) == (
        0,
        "records were set aside, and none was held back.",
    )
    page = changed.by("DROP TABLE mart.data_quality")
    assert page.quality[0].figure is None
    assert UNKNOWN in page.quality[0].text


def test_the_interval_of_a_difference_is_that_of_newcombe(changed: Changed) -> None:
    """Newcombe 1998, example (a): 56 of 70 against 48 of 80 gives 0.0524 to 0.3339 by method 10."""
    changed.by(
        "DELETE FROM mart.kpi WHERE kpi = 'offer_to_hire_rate'",
        "INSERT INTO mart.kpi VALUES ('offer_to_hire_rate', 'quarter', '2026-01-01', 'all', 'all', 0.6, 'ratio', 48, "
        "80, 0.4904216, 0.7004164, 'mature', NULL), ('offer_to_hire_rate', 'quarter', '2026-04-01', 'all', 'all', 0.8, "
        "'ratio', 56, 70, 0.6917657, 0.8770001, 'mature', NULL)",
    )
    before, now = read_marts(changed.tables, as_of=AS_OF, currency="EUR").kpis.quarters("offer_to_hire_rate")
    assert difference_interval(now, before) == pytest.approx((0.0524, 0.3339), abs=2e-4)


def test_the_funnel_takes_its_parts_from_the_mart_and_not_from_its_counts(outline: Outline) -> None:
    """716 applications and 231 interviews would be 32.3 %; of those old enough it is 210 of 620."""
    assert (
        "Applications 716 Applications that reach an interview 33.9 % 30.3 to 37.7 % 210 of 620 applications 21.7 %"
    ) in outline.text
    assert "32.3 %" not in outline.text
    assert "Hires 43 – – –" in outline.text


def test_time_to_hire_is_told_by_channel_with_quartiles_difference_and_curve(outline: Outline) -> None:
    assert "Advocates 41 22.5 days 34.2 days 30.2 to 39.0 days 48.1 days 71.3 days" in outline.text
    assert "−8.4 days (likely range −13.6 to −2.2 days ). Hiring through advocates is quicker." in outline.text
    assert re.search(r"Day Advocates Other channels 30 \d\.\d % ", outline.text)


def test_a_difference_that_includes_none_could_be_chance(changed: Changed) -> None:
    page = changed.by("UPDATE mart.kpi SET ci_high = 1.5 WHERE kpi = 'time_to_hire_difference_days'")
    assert page.time_to_hire is not None
    assert "could be chance" in page.time_to_hire.difference_words


def test_cost_per_hire_is_told_by_channel_and_quarter_in_whole_units(html: str, outline: Outline) -> None:
    assert "To date 3,000 EUR 123,000 EUR for 41 hires 8,989 EUR 791,000 EUR for 88 hires" in outline.text
    assert "Q3 2026 Not complete yet 20,300 EUR for 8 hires" in outline.text
    assert "Q2 2026 2,821 EUR" in outline.text
    for width in ("wide", "narrow"):
        chart = re.search(rf'<svg class="chart {width}"[^>]*costs-{width}-title.*?</svg>', html, re.DOTALL)
        assert chart is not None
        assert ">2.8k</text>" in chart[0]


def test_the_return_is_shown_with_its_inputs(outline: Outline) -> None:
    assert re.search(
        r"Take 8,989 EUR a hire elsewhere .*less 3,000 EUR .*times 41 .*over 123,000 EUR .*is 199\.6 % return",
        outline.text,
    )


def test_a_return_without_an_input_is_not_known_yet(changed: Changed) -> None:
    page = changed.by(
        "UPDATE mart.kpi SET value = NULL, maturity = 'insufficient' WHERE kpi = 'roi' AND segment IN ('all', "
        "'other_cost_per_hire')"
    )
    assert page.roi is not None
    assert (page.roi.value.text, page.roi.other_cost_per_hire.text) == (UNKNOWN, UNKNOWN)
    assert page.roi.advocacy_hires.text == "41"


def test_campaigns_are_those_with_the_most_hires_and_ten_at_most(changed: Changed) -> None:
    campaigns = changed.by().campaigns
    assert len(campaigns) == 10
    assert [c.hires.value for c in campaigns] == [14, 9, 7, 4, 3, 2, None, 1, 1, 0]
    by_name = {c.name: c.against_all.words for c in campaigns}
    assert by_name["spring"] == "Could be chance"  # the best of ten may well be so by chance
    assert by_name["engineering"] == "Could be chance"
    assert "A1" not in by_name


def test_a_campaign_that_is_better_by_more_than_chance_is_above_the_rest(changed: Changed) -> None:
    where = "WHERE kpi = 'referral_conversion_rate' AND segment_kind = 'campaign' AND segment = 'spring'"
    campaigns = changed.by(f"UPDATE mart.kpi SET denominator = 40, value = 14 / 40 {where}").campaigns
    assert {c.name: c.against_all.words for c in campaigns}["spring"] == "Above the rest"


def test_the_hires_of_a_campaign_are_named_as_those_in_its_rate(outline: Outline) -> None:
    """Not all of its hires: late ones and those of young applications are not among them."""
    assert "Campaign Hires in the rate End in a hire" in outline.text
    assert "applications at least 90 days old, and hires within 90 days of them" in outline.text


def test_participation_is_told_over_all_and_by_quarter(outline: Outline) -> None:
    assert "39.3 % of the eligible advocates have shared or referred (212 of 540 advocates)" in outline.text
    assert "Q3 2026 Too early to tell – 540 advocates so far" in outline.text


def test_coverage_is_told_for_hires_and_for_applications(outline: Outline) -> None:
    assert "Hires through advocates 37 41 90.2 %" in outline.text
    assert "Applications through advocates 585 620 94.4 %" in outline.text


def test_data_quality_is_told_in_plain_words_with_counts(outline: Outline) -> None:
    for line in (
        "1 referral was set aside: the e-mail address is missing or cannot be read.",
        "2 referrals went on without the phone number, which cannot be read.",
        "2 referrals were kept out of the applicant tracking system, because each has no consent on record.",
        "1 referral was kept out of the applicant tracking system, because it is from a country outside the agreement.",
        "3 hires have no date, so they count in the month in which the tracking system last changed them.",
        "0 duplicate candidates were made in the applicant tracking system by the integration.",
        "4.2 s is the most that 95 of 100 events take from the advocacy platform to the tracking system.",
    ):
        assert line in outline.text


def test_every_number_of_a_mart_travels_in_full_beside_what_is_shown(tables: Tables, html: str) -> None:
    """Each `data-key` names a row and column of mart.kpi; its `data-value` is that cell, digit for digit."""
    shown = re.findall(r'data-value="([^"]*)" data-key="([^"]*)#(\w+)"', html)
    assert len(shown) > 100
    cells = {}
    for row in tables.frame("SELECT * FROM mart.kpi").to_dict("records"):
        start = "" if str(row["period_start"]) == "NaT" else str(row["period_start"])[:10]
        name = "|".join((row["kpi"], row["period_kind"], start, row["segment_kind"], row["segment"]))
        cells |= {(name, column): row[column] for column in ("value", "numerator", "denominator")}
    for value, name, column in shown:
        assert float(value) == cells[unescape(name), column], (name, column)


def test_every_kpi_that_is_shown_has_its_definition(html: str, outline: Outline) -> None:
    names = {name.split("|")[0] for name in re.findall(r'data-key="([^"#]*)#', html)}
    assert {"cost_per_hire", "roi", "advocate_participation_rate", "sync_latency_seconds"} <= names
    defined = outline.text[outline.text.index("What the numbers mean") :]
    for name in names:
        words = KPI_WORDS.get(re.sub(r"_p\d\d$", "", name))
        assert words is None or words.label in defined


def test_the_page_names_nobody(html: str, outline: Outline) -> None:
    assert re.search(r"[\w.]+@[\w.]+\.\w+", html) is None
    assert re.search(r"\+\d{7,}", html) is None
    assert not any("|advocate|" in (row.get("data-key") or "") for row in outline.of("span"))


def test_the_page_runs_no_script_and_loads_nothing(html: str, outline: Outline) -> None:
    tags = {name for name, _ in outline.tags}
    assert tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "video", "base", "form", "style:src"})
    assert not any({"src", "href", "onclick", "onload"} & set(attributes) for _, attributes in outline.tags)
    assert "url(" not in html
    assert "@import" not in html
    assert "http:" not in html
    assert "https:" not in html


def test_the_page_is_small(html: str) -> None:
    assert len(html.encode()) < 250_000


def test_the_page_can_be_read_by_everybody(outline: Outline) -> None:
    assert outline.of("html") == [{"lang": "en"}]
    levels = [int(name[1]) for name, _ in outline.tags if re.fullmatch(r"h[1-6]", name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(outline.of("caption")) == len(outline.of("table")) > 5
    assert all(cell.get("scope") in {"row", "col"} for cell in outline.of("th"))
    assert outline.of("meta")[1]["content"] == "width=device-width, initial-scale=1"
    ids = Counter(attributes["id"] for _, attributes in outline.tags if "id" in attributes)
    assert set(ids.values()) == {1}


def test_every_chart_has_a_name_and_says_its_numbers_in_words(html: str, outline: Outline) -> None:
    charts = outline.of("svg")
    assert len(charts) == 2 + 2 * 5  # two trends; five charts at two widths
    assert all(chart["role"] == "img" for chart in charts)
    for chart in charts:
        if "aria-label" in chart:
            assert "By quarter" in (chart["aria-label"] or "")
            continue
        for attribute, tag in (("aria-labelledby", "title"), ("aria-describedby", "desc")):
            found = re.search(rf'<{tag} id="{chart[attribute]}">([^<]+)</{tag}>', html)
            assert found is not None
            assert len(found[1]) > 15


def test_every_text_colour_stands_out_from_its_ground(html: str) -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(colour: str) -> float:
        return 1.05 / (luminance(colour) + 0.05)

    named = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", html))
    for name in ("ink", "soft", "good", "near", "bad"):
        assert contrast(named[name]) >= 4.5
    texts = re.findall(r'<text[^>]*fill="(#[0-9a-f]{6})"', html)
    assert len(texts) > 50
    assert all(contrast(colour) >= 4.5 for colour in texts)
    assert contrast(charts.MARK) >= 3
    assert contrast(charts.SOFT) >= 3


def test_a_text_from_outside_cannot_become_markup(html: str, contract: Contract, changed: Changed) -> None:
    assert "<script" not in html
    assert html.count("=&lt;script&gt;alert(1)&lt;/script&gt;&amp;\u202e") >= 3  # the table and both charts
    owner = contract.owner.model_copy(update={"name": "<script>alert(2)</script>"})
    changed.by("DELETE FROM mart.kpi", "DELETE FROM mart.time_to_hire_curve")
    page = read_page(changed.tables, contract.model_copy(update={"owner": owner}), as_of=AS_OF)
    assert b"&lt;script&gt;alert(2)" in render(page)


def test_a_renderer_that_dies_takes_the_charts_and_nothing_else(
    changed: Changed, caplog: pytest.LogCaptureFixture
) -> None:
    """A control character aborts vl-convert with its whole process; here one has got past the reading."""
    page = changed.by("DELETE FROM mart.time_to_hire_curve")
    campaign = replace(page.campaigns[0], name="spring\x07")
    page = replace(page, campaigns=(campaign,))
    html = render(page).decode()
    assert '<svg class="chart' not in html
    assert "14 of 120 applications" in Outline(html).text
    assert "no charts: vl-convert ended with" in caplog.text
    assert "spring" not in caplog.text


def test_a_renderer_that_cannot_be_started_takes_the_charts_and_nothing_else(
    changed: Changed, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = changed.by("DELETE FROM mart.time_to_hire_curve")
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    assert '<svg class="chart' not in render(page).decode()
    assert "no charts: the process that draws could not be started" in caplog.text


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("", "vl-convert's answer cannot be read"),
        ("warning: no font\\n[", "vl-convert's answer cannot be read"),
        ("\\377\\376\\0", "vl-convert's answer cannot be read"),
        ("[" * 9, "vl-convert's answer cannot be read"),
        ("5", "vl-convert's answer is no list of charts"),
        ("null", "vl-convert's answer is no list of charts"),
        ('{"a": "b", "c": "d"}', "vl-convert's answer is no list of charts"),
        ("[]", "vl-convert drew 0 of 2 charts"),
        ('["<svg/>"]', "vl-convert drew 1 of 2 charts"),
        ('["<svg/>", null]', "vl-convert drew 1 of 2 charts"),
        ('["<svg/>", "<svg/>", "<svg/>"]', "vl-convert drew 3 of 2 charts"),
        ('["<svg/>", "<svg><g>"]', "what vl-convert drew is no whole SVG"),
        ('["<svg/>", "spring"]', "what vl-convert drew is no whole SVG"),
        ('["<svg/>", "<html/>"]', "what vl-convert drew is no SVG"),
    ],
)
def test_a_renderer_that_answers_nonsense_takes_the_charts_and_nothing_else(
    changed: Changed, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    answer: str, words: str,
) -> None:  # fmt: skip
    """The child is a real one, which reads what it is given and answers this."""
    page = changed.by()
    page = replace(page, time_to_hire=None, costs=None, funnel=())  # one chart, at two widths
    child = tmp_path / "renderer"
    child.write_text(f"#!/bin/sh\ncat > /dev/null\nprintf '{answer}'\n")
    child.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(child))
    drawn = render(page).decode()
    assert '<svg class="chart' not in drawn
    assert "14 of 120 applications" in Outline(drawn).text
    assert caplog.messages == [f"the report has no charts: {words}"]


def test_a_page_whose_moment_was_chosen_says_what_that_means(changed: Changed) -> None:
    page = changed.by("DELETE FROM mart.kpi", "DELETE FROM mart.time_to_hire_curve")
    assert "Judged as of" not in Outline(render(page).decode()).text
    assert "What happened is told as known today" in Outline(render(replace(page, is_backdated=True)).decode()).text


def test_the_page_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "leadership.html", b"before")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", fail)
        with pytest.raises(OSError, match="disk full"):
            put(path, b"after")
    assert path.read_bytes() == b"before"
    assert [one.name for one in tmp_path.iterdir()] == ["leadership.html"]
    assert put(path, b"after").read_bytes() == b"after"


def test_a_quarter_knows_its_neighbours_and_the_last_one_over() -> None:
    assert Quarter.last_over(datetime(2027, 1, 5, 6, tzinfo=UTC)) == Quarter(2026, 4)
    assert Quarter.of(date(2026, 3, 31)).before(5) == Quarter(2024, 4)
    assert Quarter.of(datetime(2026, 6, 30, 23, 30, tzinfo=timezone(timedelta(hours=-2)))).code == "2026-Q3"


@pytest.mark.parametrize(
    ("value", "target", "interval", "maturity", "lower", "tone"),
    [
        (0.10, 0.06, (0.07, 0.13), "mature", False, "met"),
        (0.10, 0.06, (0.05, 0.15), "mature", False, "near"),
        (0.05, 0.06, (0.03, 0.08), "mature", False, "near"),
        (0.03, 0.06, (0.01, 0.05), "mature", False, "missed"),
        (30.0, 45.0, (25.0, 40.0), "mature", True, "met"),
        (50.0, 45.0, (46.0, 60.0), "mature", True, "missed"),
        (50.0, 45.0, (44.0, 60.0), "mature", True, "near"),
        (0.06, 0.06, None, "mature", False, "met"),
        (0.05, 0.06, None, "mature", False, "missed"),
        (0.50, 0.06, (0.4, 0.6), "immature", False, "open"),
        (0.50, 0.06, (0.4, 0.6), "insufficient", False, "open"),
        (0.50, None, (0.4, 0.6), "mature", False, "open"),
        (None, 0.06, None, "mature", False, "open"),
    ],
)
def test_a_target_counts_as_met_or_missed_only_when_the_whole_interval_says_so(
    value: float | None,
    target: float | None,
    interval: tuple[float, float] | None,
    maturity: str,
    lower: bool,
    tone: str,
) -> None:
    assert verdict(value, target, interval, maturity, lower_is_better=lower).tone == tone


def test_figures_carry_their_unit() -> None:
    assert figure(0.0661, "ratio") == "6.6\u00a0%"
    assert figure(34.25, "days") == "34.2\u00a0days"
    assert figure(123.5, "currency", "EUR") == "123.50\u00a0EUR"
    assert figure(4321.5, "currency", "EUR") == "4,322\u00a0EUR"
    assert figure(432_150, "smallest", "EUR") == "4,322\u00a0EUR"
    assert figure(480_000, "smallest", "JPY") == "480,000\u00a0JPY"
    assert figure(-0.04, "days") == "0.0\u00a0days"
    assert figure(-8.4, "days") == "\u22128.4\u00a0days"
    assert figure(1234, "count") == "1,234"
    assert figure(None, "ratio") == UNKNOWN
    assert figure(0, "ratio") == "0.0\u00a0%"
    assert spread(0.049, 0.0885, "ratio") == "4.9 to 8.8\u00a0%"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.9996, ">99.9"), (0.99949, "99.9"), (1.0, "100.0"), (1.0004, "<100.1"), (1.0006, "100.1"),
        (0.0, "0.0"), (0.0004, "<0.1"), (0.0006, "0.1"), (-0.0004, ">\u22120.1"), (5e-324, "<0.1"),
        (1 - 2**-53, ">99.9"),
    ],
)  # fmt: skip
def test_a_share_that_is_not_all_never_reads_as_all_and_one_that_is_not_nothing_never_as_nothing(
    value: float, text: str
) -> None:
    assert figure(value, "ratio") == f"{text}\u00a0%"


def test_ranges_and_differences_do_not_round_to_nothing_or_all_either() -> None:
    assert spread(0.0, 0.0003, "ratio") == "0.0 to <0.1\u00a0%"
    assert spread(0.9997, 1.0, "ratio") == ">99.9 to 100.0\u00a0%"
    assert by_how_much(0.0003, "ratio") == "<+0.1\u00a0points"
    assert by_how_much(-0.0003, "ratio") == ">\u22120.1\u00a0points"
    assert by_how_much(0.0, "ratio") == "0.0\u00a0points"
    assert by_how_much(0.015, "ratio") == "+1.5\u00a0points"


def test_every_kpi_that_a_contract_may_name_has_words() -> None:
    from referral_pipeline.contract.kpi_names import KPI_NAMES

    assert set(KPI_NAMES) == set(KPI_WORDS)
