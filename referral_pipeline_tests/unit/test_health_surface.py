"""Health where people and programs look: the receiver's page, its JSON, Prometheus, and the rules."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from referral_pipeline.connectors.calls import ApiCall
from referral_pipeline.contract.loader import load_contract
from referral_pipeline.ledger.records import BreakerState
from referral_pipeline.monitoring.health import Health, HealthRow, Severity
from referral_pipeline.monitoring.page import page_of
from referral_pipeline.monitoring.prometheus import METRICS, metrics_text, rules_yaml
from referral_pipeline.monitoring.runbook import RUNBOOK
from referral_pipeline.settings import load_settings
from referral_pipeline.webhooks import health_surface
from referral_pipeline_tests.serving import run_apart
from referral_pipeline_tests.unit.receiver_rig import NOW, REFERRAL, Receiver, advocacy_headers, receiver_in

BODY = json.dumps(REFERRAL).encode()
_SAMPLE = re.compile(r"^([a-z_]+)(?:\{([^}]*)\})? (\S+)$", re.MULTILINE)


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.delenv("REFERRAL_PIPELINE_UI_URL", raising=False)
    with receiver_in(tmp_path / "home") as found:
        found.move(3600)
        yield found


def asked(receiver: Receiver, path: str, accept: str = "*/*") -> tuple[int, str]:
    return run_apart(receiver.send(path, headers={"accept": accept}, method="GET"))


def failing(receiver: Receiver, *, outcome: str = "server_error", count: int = 20) -> None:
    receiver.ledger.record_calls(
        [
            ApiCall("greenhouse", "jobs.list", "GET", 500, outcome, 80, 1, 40, NOW + timedelta(minutes=n), 100)
            for n in range(count)
        ]
    )


class _Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_each_measure_with_state_evidence_and_what_to_do(receiver: Receiver) -> None:
    failing(receiver)
    status, html = asked(receiver, "/health", "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8")
    assert status == 200
    page = _Page(html)
    assert {attrs["id"] for tag, attrs in page.tags if tag == "section"} == set(RUNBOOK)
    assert page.text.index(RUNBOOK["api_error_rate"].title) < page.text.index(RUNBOOK["daily_volume"].title)
    for words in (
        "Health: error",
        "20 of 20 calls",
        "one after the other",
        RUNBOOK["api_error_rate"].mend.replace("`", ""),
    ):
        assert words in page.text
    assert not {"script", "img", "iframe", "form", "object"} & {tag for tag, _ in page.tags}
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert 'content="width=device-width' in html


def test_the_page_leads_to_the_run_that_handles_events_and_escapes_what_it_is_told() -> None:
    hostile = "<script>alert(1)</script>"
    row = HealthRow("breaker", hostile, 1.0, 0.0, Severity.ERROR, hostile, told_by=hostile)
    html = page_of(Health(NOW, (row,), run_id="r/1"), "https://ui.example.com/")
    assert '<a href="https://ui.example.com/runs/r%2F1">' in html
    assert '<a href="https://ui.example.com/assets/integration_health">' in html
    assert hostile not in html
    assert html.count("&lt;script&gt;") == 3


def test_the_page_folds_operations_that_are_well_or_unknown_and_begins_with_the_systems() -> None:
    def row(operation: str | None, severity: Severity) -> HealthRow:
        return HealthRow("api_error_rate", "ats", 0.01, 0.02, severity, "Some.", operation=operation)

    rows = [row(f"well.{number}", Severity.OK) for number in range(3)]
    rows += [row("quiet.list", Severity.UNKNOWN), row(None, Severity.OK), row("ill.list", Severity.ERROR)]
    html = page_of(Health(NOW, tuple(rows)), "http://ui")
    shown, folded = html.split("<details><summary>4 operations: 3 ok, 1 unknown</summary>")
    assert shown.index("ill.list") < shown.index("<b>ats</b>")
    assert all(f"well.{number}" in folded for number in range(3))
    assert "quiet.list" in folded
    assert "ill.list" not in folded
    assert "Open alerts" not in html


def test_the_page_and_its_json_list_open_alerts_without_their_words(receiver: Receiver) -> None:
    receiver.ledger.fire_alert("many_gone", "many_gone/<b>", "warning", "Ada is gone.", "Owner", "log", {"count": 12})
    html = asked(receiver, "/health", "text/html")[1]
    assert "Open alerts" in html
    assert "<b>many_gone</b> &lt;b&gt;" in html
    assert "how many: 12." in html
    assert "Ada" not in html
    (told,) = json.loads(asked(receiver, "/health", "application/json")[1])["open_alerts"]
    assert (told["name"], told["subject"], told["times"]) == ("many_gone", "<b>", 12)


def test_programs_get_json(receiver: Receiver) -> None:
    failing(receiver)
    status, text = asked(receiver, "/health", "application/json")
    answer = json.loads(text)
    assert (status, answer["severity"]) == (200, "error")
    (row,) = [r for r in answer["rows"] if (r["measure"], r["operation"]) == ("api_error_rate", "jobs.list")]
    assert (row["system"], row["severity"], row["value"], row["sample"]) == ("greenhouse", "error", 1.0, 20)
    assert row["what_to_do"]


def test_however_many_ask_at_once_health_is_measured_once(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Any] = []
    look = health_surface.Watcher.look
    monkeypatch.setattr(health_surface.Watcher, "look", lambda self, now: looks.append(now) or look(self, now))

    async def crowd() -> list[tuple[int, str]]:
        ask = [receiver.send(path, headers={}, method="GET") for path in ("/health", "/metrics") * 10]
        return await asyncio.gather(*ask)

    assert {status for status, _ in run_apart(crowd())} == {200}
    assert len(looks) == 1


def test_a_ledger_that_cannot_be_read_is_503_and_leaves_the_other_metrics_there(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise OSError("disk")

    monkeypatch.setattr(health_surface.Watcher, "look", broken)
    assert asked(receiver, "/health")[0] == 503
    status, text = asked(receiver, "/metrics")
    assert status == 200
    assert "webhooks_accepted_total" in text
    assert "health_measured" not in text


def test_metrics_hold_every_measure_and_an_error_is_an_alert_unless_another_tells_of_it(receiver: Receiver) -> None:
    failing(receiver)
    receiver.ledger.save_breaker(BreakerState("advocacy", "open", NOW, None, 5, "it does not answer"))
    text = asked(receiver, "/metrics")[1]
    samples = {(name, labels): float(value) for name, labels, value in _SAMPLE.findall(text)}
    names = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert {f"referral_pipeline_{metric.name}" for metric in METRICS.values()} <= names
    guilty = 'measure="api_error_rate",system="greenhouse",operation="jobs.list"'
    assert samples["referral_pipeline_health_severity", guilty] == 3
    assert samples["referral_pipeline_health_alert", guilty] == 1
    assert samples["referral_pipeline_api_error_ratio", 'system="greenhouse",operation="jobs.list"'] == 1
    held = 'measure="breaker",system="advocacy",operation=""'
    assert samples["referral_pipeline_health_severity", held] == 3
    assert samples["referral_pipeline_health_alert", held] == 0
    assert samples["referral_pipeline_breaker_open", 'system="advocacy"'] == 1
    assert samples["referral_pipeline_clock_skew_seconds", 'system="greenhouse"'] == pytest.approx(0.1)
    assert not [name for name, _ in samples if name == "referral_pipeline_webhook_success_ratio"]  # unknown is no 0


def test_no_series_is_told_twice_and_labels_are_escaped(receiver: Receiver) -> None:
    failing(receiver)
    text = asked(receiver, "/metrics")[1]
    series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(series) == len(set(series))
    types = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert len(types) == len(set(types))
    row = HealthRow("undelivered_alerts", 'a"b\\c\nd', 1.0, 0.0, Severity.ERROR, "Waits.")
    assert '{channel="a\\"b\\\\c\\nd"} 1\n' in metrics_text(Health(NOW, (row,)))


def test_every_metric_that_a_rule_names_is_shown_and_every_rule_says_what_to_do(receiver: Receiver) -> None:
    rules = yaml.safe_load(rules_yaml(load_contract(load_settings(receiver.home))))["groups"][0]["rules"]
    shown = set(re.findall(r"^# TYPE (\S+)", asked(receiver, "/metrics")[1], re.MULTILINE))
    assert len({rule["alert"] for rule in rules}) == len(rules) > 10
    for rule in rules:
        assert set(re.findall(r"referral_pipeline_\w+", rule["expr"])) <= shown, rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}
        assert all(rule["annotations"].values()), rule["alert"]
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_the_summary_of_a_rule_states_a_fault(receiver: Receiver) -> None:
    rules = yaml.safe_load(rules_yaml(load_contract(load_settings(receiver.home))))["groups"][0]["rules"]
    summaries = {rule["alert"]: rule["annotations"]["summary"] for rule in rules}
    assert all(summary.endswith(".") for summary in summaries.values())
    assert not {entry.title for entry in RUNBOOK.values()} & {summary.split(":")[0] for summary in summaries.values()}
    assert summaries["ReferralPipelineClockSkew"] == "The clock of {{ $labels.system }} is off."
    for rule in rules:  # an expression keeps the labels that its summary names
        named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) - {"reason"}
        kept = re.search(r"by \(([^)]*)\)", rule["expr"])
        if not rule["expr"].startswith("increase("):
            assert named <= set(kept[1].split(", ") if kept else []), rule["alert"]


def test_rules_carry_the_thresholds_of_the_contract(receiver: Receiver) -> None:
    contract = load_contract(load_settings(receiver.home))
    monitoring = contract.monitoring.model_copy(update={"backlog_minutes": 7, "freshness_hours": 2.5})
    text = rules_yaml(contract.model_copy(update={"monitoring": monitoring}))
    assert "max(referral_pipeline_backlog_age_seconds) > 420" in text
    assert "max by (system) (referral_pipeline_freshness_seconds) > 9000" in text


def test_a_delivery_that_is_signed_right_at_a_wrong_time_counts_for_the_clocks_and_a_forged_one_does_not(
    receiver: Receiver,
) -> None:
    signed = advocacy_headers(BODY, at=NOW)  # the clock has moved an hour on
    forged = {**signed, "webhook-timestamp": "1"}
    for headers in (signed, signed, forged):
        assert run_apart(receiver.send("/webhooks/advocacy", BODY, headers))[0] == 401
    metrics = receiver.app.state.metrics
    assert metrics.lately_refused_for_time(receiver.at[0]) == {"advocacy": 2}
    assert metrics.lately_refused_for_time(receiver.at[0] + timedelta(hours=1)) == {}
