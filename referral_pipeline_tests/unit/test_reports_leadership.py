"""The leadership page says what the marts say, names nobody, and needs nothing but itself."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.models import Contract
from referral_pipeline.contract.scaffold import sandbox_contract
from referral_pipeline.reports.leadership import write_leadership_report
from referral_pipeline.reports.words import KPI_WORDS, UNKNOWN, figure, spread, verdict
from referral_pipeline_tests.unit.quality_tables import Tables

AS_OF = datetime(2026, 9, 30, 8, 5, tzinfo=UTC)

MARTS = """
CREATE SCHEMA IF NOT EXISTS mart;
CREATE TABLE mart.kpi (kpi VARCHAR, period_kind VARCHAR, period_start DATE, segment_kind VARCHAR, segment VARCHAR,
  value DOUBLE, unit VARCHAR, numerator DOUBLE, denominator DOUBLE, ci_low DOUBLE, ci_high DOUBLE, maturity VARCHAR,
  target DOUBLE);
INSERT INTO mart.kpi VALUES
  ('referral_conversion_rate', 'all', NULL, 'all', 'all', 0.0661, 'ratio', 41, 620, 0.0491, 0.0885, 'mature', 0.06),
  ('referral_conversion_rate', 'month', '2026-09-01', 'all', 'all', 0.5, 'ratio', 1, 2, 0.1, 0.9, 'immature', 0.06),
  ('referral_conversion_rate', 'all', NULL, 'advocate', 'A1', 0.9, 'ratio', 9, 10, 0.6, 0.98, 'mature', 0.06),
  ('attribution_coverage', 'all', NULL, 'all', 'applications', 0.944, 'ratio', 585, 620, 0.922, 0.959, 'mature', 0.95),
  ('time_to_hire_days', 'all', NULL, 'channel', 'advocacy', NULL, 'days', NULL, 0, NULL, NULL, 'insufficient', 45),
  ('time_to_hire_days', 'all', NULL, 'channel', 'other', 40.5, 'days', NULL, 9, NULL, NULL, 'mature', 45),
  ('time_to_hire_days_p90', 'all', NULL, 'all', 'all', 99, 'days', NULL, 9, NULL, NULL, 'mature', NULL),
  ('attribution_coverage', 'all', NULL, 'all', 'all', 0.902, 'ratio', 37, 41, 0.775, 0.961, 'mature', 0.95),
  ('time_to_hire_days', 'all', NULL, 'all', 'all', NULL, 'days', NULL, 0, NULL, NULL, 'insufficient', 45);
CREATE TABLE mart.funnel (channel VARCHAR, place INTEGER, stage VARCHAR, units BIGINT);
INSERT INTO mart.funnel VALUES ('advocacy', 3, 'applications', 620), ('advocacy', 1, 'shares', 4120),
  ('advocacy', 2, 'clicks', 20000), ('advocacy', 4, 'interviews', 210), ('advocacy', 5, 'offers', 60),
  ('advocacy', 6, 'hires', 41), ('other', 3, 'applications', 99), ('all', 3, 'applications', 719);
CREATE TABLE staging.quarantine (system VARCHAR, entity VARCHAR, record_id VARCHAR, field VARCHAR, reason VARCHAR,
  shape VARCHAR, level VARCHAR);
INSERT INTO staging.quarantine VALUES
  ('advocacy', 'referrals', 'R1', 'email', 'malformed', 'text of 9 characters', 'record'),
  ('advocacy', 'referrals', 'R2', 'phone', 'malformed', 'text of 9 characters', 'field'),
  ('advocacy', 'referrals', 'R3', 'phone', 'malformed', 'text of 9 characters', 'field');
CREATE TABLE staging.link (referral_id VARCHAR, block VARCHAR);
INSERT INTO staging.link VALUES ('R1', 'no_consent'), ('R2', 'no_consent'), ('R3', 'country'), ('R4', NULL);
"""


@pytest.fixture(scope="module")
def contract() -> Contract:
    return parse_contract(sandbox_contract())


@pytest.fixture
def tables() -> Tables:
    tables = Tables()
    tables.connection.execute(MARTS)
    return tables


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
        if tag in {"p", "dd", "dt", "li", "td", "th", "h1", "h2", "h3"}:
            self.text += " "

    def handle_data(self, data: str) -> None:
        self.text += "" if self._style else data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def written(tables: Tables, contract: Contract, folder: Path) -> str:
    return write_leadership_report(tables, contract, folder, as_of=AS_OF).read_text(encoding="utf-8")


def test_the_page_shows_each_headline_with_target_interval_and_basis(
    tables: Tables, contract: Contract, tmp_path: Path
) -> None:
    text = Outline(written(tables, contract, tmp_path)).text
    assert "as of 30 September 2026, 08:05 UTC" in text
    assert "Referrals that end in a hire 6.6 % Ahead, could still be chance" in text
    assert "Target at least 6.0 % Likely range 4.9 to 8.8 % Counted 41 of 620 applications" in text
    assert "Hires with full evidence 90.2 % Short, could still be chance" in text


def test_a_null_is_not_known_yet_and_never_zero(tables: Tables, contract: Contract, tmp_path: Path) -> None:
    text = Outline(written(tables, contract, tmp_path)).text
    assert f"Time to hire {UNKNOWN} Too few cases to tell Target at most 45.0 days" in text
    assert f"Advocates {UNKNOWN} Others 40.5 days" in text
    assert "0.0 days" not in text.replace("45.0 days", "")


def test_a_kpi_without_any_row_is_not_known_yet(tables: Tables, contract: Contract, tmp_path: Path) -> None:
    tables.connection.execute("DELETE FROM mart.kpi")
    text = Outline(written(tables, contract, tmp_path)).text
    assert f"Referrals that end in a hire {UNKNOWN} Not known yet Target at least 6.0 %" in text
    assert "Of 3 targets: 3 not known yet." in text


def test_the_funnel_counts_the_advocacy_channel_and_relates_applications_only(
    tables: Tables, contract: Contract, tmp_path: Path
) -> None:
    text = Outline(written(tables, contract, tmp_path)).text
    assert (
        "Step Count Of applications Shares 4,120 – Clicks 20,000 – Applications 620 – Interviews 210 33.9 % "
        "Offers 60 9.7 % Hires 41 6.6 % "
    ) in text


def test_a_funnel_without_applications_gives_no_parts(tables: Tables, contract: Contract, tmp_path: Path) -> None:
    tables.connection.execute("UPDATE mart.funnel SET units = 0")
    text = Outline(written(tables, contract, tmp_path)).text
    assert "Applications 0 – Interviews 0 – Offers 0 – Hires 0 – " in text


def test_coverage_is_told_for_hires_and_for_applications(tables: Tables, contract: Contract, tmp_path: Path) -> None:
    text = Outline(written(tables, contract, tmp_path)).text
    assert "Hires through advocates 37 41 90.2 %" in text
    assert "Applications through advocates 585 620 94.4 %" in text


def test_data_quality_is_told_in_plain_words_with_counts(tables: Tables, contract: Contract, tmp_path: Path) -> None:
    text = Outline(written(tables, contract, tmp_path)).text
    assert "1 referral was set aside: the e-mail address is missing or cannot be read." in text
    assert "2 referrals went on without the phone number, which cannot be read." in text
    assert "2 referrals were kept out of the applicant tracking system, because each has no consent on record." in text
    assert (
        "1 referral was kept out of the applicant tracking system, because it is from a country outside the agreement."
        in text
    )


def test_the_page_names_nobody(tables: Tables, contract: Contract, tmp_path: Path) -> None:
    html = written(tables, contract, tmp_path)
    assert "someone" not in html
    assert "mail.example" not in html
    assert re.search(r"[\w.]+@[\w.]+\.\w+", html) is None
    assert re.search(r"\+\d{7,}", html) is None


def test_the_page_runs_no_script_and_loads_nothing(tables: Tables, contract: Contract, tmp_path: Path) -> None:
    html = written(tables, contract, tmp_path)
    outline = Outline(html)
    tags = {name for name, _ in outline.tags}
    assert tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "video", "base", "form"})
    assert not any({"src", "href", "onclick", "onload"} & set(attributes) for _, attributes in outline.tags)
    assert "url(" not in html
    assert "@import" not in html
    assert "http:" not in html
    assert "https:" not in html


def test_the_page_can_be_read_by_everybody(tables: Tables, contract: Contract, tmp_path: Path) -> None:
    outline = Outline(written(tables, contract, tmp_path))
    assert outline.of("html") == [{"lang": "en"}]
    levels = [int(name[1]) for name, _ in outline.tags if re.fullmatch(r"h[1-6]", name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(outline.of("caption")) == len(outline.of("table")) > 0
    assert all(cell.get("scope") in {"row", "col"} for cell in outline.of("th"))
    assert outline.of("meta")[1]["content"] == "width=device-width, initial-scale=1"


def test_every_text_colour_stands_out_from_its_ground(tables: Tables, contract: Contract, tmp_path: Path) -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    html = written(tables, contract, tmp_path)
    named = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", html))
    for name in ("ink", "soft", "good", "near", "bad"):
        assert 1.05 / (luminance(named[name]) + 0.05) >= 4.5


def test_a_text_from_the_contract_cannot_become_markup(tables: Tables, contract: Contract, tmp_path: Path) -> None:
    owner = contract.owner.model_copy(update={"name": "<script>alert(1)</script>"})
    html = written(tables, contract.model_copy(update={"owner": owner}), tmp_path)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_the_page_is_replaced_whole_or_not_at_all(
    tables: Tables, contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = written(tables, contract, tmp_path)
    tables.connection.execute("UPDATE mart.kpi SET value = 0.1 WHERE kpi = 'referral_conversion_rate'")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", fail)
        with pytest.raises(OSError, match="disk full"):
            write_leadership_report(tables, contract, tmp_path, as_of=AS_OF)
    assert (tmp_path / "leadership.html").read_text(encoding="utf-8") == before
    assert [path.name for path in tmp_path.iterdir()] == ["leadership.html"]
    assert written(tables, contract, tmp_path) != before


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
    assert figure(1234.5, "currency", "EUR") == "1,234.50\u00a0EUR"
    assert figure(1234, "count") == "1,234"
    assert figure(None, "ratio") == UNKNOWN
    assert figure(0, "ratio") == "0.0\u00a0%"
    assert spread(0.049, 0.0885, "ratio") == "4.9 to 8.8\u00a0%"


def test_every_kpi_that_a_contract_may_name_has_words() -> None:
    from referral_pipeline.contract.kpi_names import KPI_NAMES

    assert set(KPI_NAMES) == set(KPI_WORDS)
