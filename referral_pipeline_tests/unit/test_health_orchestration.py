"""Health in Dagster and on the command line: told once, kept for a month, and no check of it told a second time."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from referral_pipeline.cli import main
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.monitoring.health import Health, HealthRow, Severity
from referral_pipeline.monitoring.runbook import RUNBOOK
from referral_pipeline.orchestration import alerting
from referral_pipeline.orchestration import health as room
from referral_pipeline.orchestration.build import build_defs
from referral_pipeline.sandbox.credentials import SECRETS
from referral_pipeline.warehouse.health import keep_health
from referral_pipeline.warehouse.store import Warehouse

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """The ledger of an installation in which a receiver can die."""
    for name, value in {**SECRETS, "REFERRAL_PIPELINE_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("REFERRAL_PIPELINE_CONFIG", raising=False)
    logging.getLogger("referral_pipeline.alerts").setLevel(logging.CRITICAL)
    (tmp_path / "data" / "state").mkdir(parents=True)
    with Ledger.open("sqlite:///data/state/ledger.sqlite", home=tmp_path) as opened:
        yield opened
    logging.getLogger("referral_pipeline.alerts").setLevel(logging.NOTSET)
    room._watch().close()


def die(ledger: Ledger) -> None:
    """A receiver that was heard an hour ago for the last time."""
    clock, ledger._clock = ledger._clock, lambda: datetime.now(UTC) - timedelta(hours=1)
    ledger.beat("receiver", "one")
    ledger._clock = clock


def tick(instance: dg.DagsterInstance, cursor: str | None) -> Any:
    with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
        return room.watch_health(context)


def test_the_sensor_tells_once_and_sets_the_checks_that_changed(ledger: Ledger) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first = tick(instance, None)
        assert {event.check_name for event in first.asset_events} == set(RUNBOOK)
        assert all(event.passed for event in first.asset_events)
        die(ledger)
        second = tick(instance, first.cursor)
        (event,) = second.asset_events
        assert (event.check_name, event.passed) == ("silent_process", False)
        assert "receiver" in event.description
        assert tick(instance, second.cursor).asset_events == []
        (alert,) = ledger.alerts(open_only=True)
        assert (alert.name, alert.times, alert.details["subject"]) == ("silent_process", 1, "receiver")
        assert alert.details["link"].endswith("/assets/integration_health")
        ledger.beat("receiver", "two")
        over = tick(instance, second.cursor)
        assert [(event.check_name, event.passed) for event in over.asset_events] == [("silent_process", True)]
        assert ledger.alerts(open_only=True) == []


def test_the_sensor_reads_the_contract_anew_and_says_when_it_does_not_hold(ledger: Ledger, tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        cursor = tick(instance, None).cursor
        (tmp_path / "data" / "integration.yaml").write_text("version: 2\n")
        answer = tick(instance, cursor)
        assert "does not hold" in str(answer.skip_reason)
    assert ledger.alerts() == []


def test_a_failed_check_of_health_is_no_second_alert(ledger: Ledger) -> None:
    @dg.asset(name=room.HEALTH_ASSET)
    def health() -> None:
        """Stands for the asset."""

    @dg.asset_check(asset=health, name="freshness")
    def freshness() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False)

    definitions = dg.Definitions(assets=[health], asset_checks=[freshness], executor=dg.in_process_executor)
    with dg.DagsterInstance.ephemeral() as instance:
        definitions.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance, run_config=QUIET)
        repository = definitions.get_repository_def()
        with dg.build_sensor_context(instance=instance, repository_def=repository) as context:
            alerting.alert_on_failed_checks(context)
    assert ledger.alerts() == []


def test_a_warning_fails_no_check_and_its_words_tell_it() -> None:
    rows = (
        HealthRow("slow_calls", "ats", 0.1, 0.05, Severity.WARNING, "3 of 30.", operation="jobs.list"),
        HealthRow("freshness", "ats", 9.0, 3.0, Severity.ERROR, "9 hours."),
        HealthRow("dead_letters", "ats", 0.0, 0.0, Severity.OK, "None."),
    )
    found = room.verdicts(Health(NOW, rows))
    assert found["slow_calls"][:2] == (True, "ats jobs.list: 3 of 30.")
    assert found["freshness"][:2] == (False, "ats: 9 hours.")
    assert found["freshness"][2]["what_to_do"] == RUNBOOK["freshness"].mend
    assert found["dead_letters"][1] == "ok: ats"
    assert found["backlog_age"][1] == "unknown: too little data"


def test_every_measure_has_a_check_and_the_asset_runs_in_refresh_and_reconcile() -> None:
    defs = build_defs()
    keys = {k.name for k in defs.resolve_asset_graph().asset_check_keys if k.asset_key.path == [room.HEALTH_ASSET]}
    assert keys == set(RUNBOOK)
    # When a pull fails, what health says of it is wanted most.
    assert defs.resolve_asset_graph().get(dg.AssetKey(room.HEALTH_ASSET)).parent_keys == set()
    for job in ("refresh", "reconcile"):
        assert dg.AssetKey(room.HEALTH_ASSET) in defs.resolve_job_def(job).asset_layer.executable_asset_keys


def test_the_history_is_kept_for_a_month(tmp_path: Path) -> None:
    warehouse = Warehouse("w.duckdb", home=tmp_path, published_dir=tmp_path / "published")

    def keep(at: datetime) -> int:
        row = HealthRow("freshness", "ats", 1.5, 3.0, Severity.OK, "Well.", sample=3)
        return keep_health(warehouse, [{**row.as_json(), "sample_size": row.sample}], at)

    assert [keep(NOW), keep(NOW + timedelta(days=29)), keep(NOW + timedelta(days=31))] == [1, 2, 2]
    found = warehouse.frame("SELECT * FROM ops.health ORDER BY measured_at").to_dict("records")
    assert [row["measured_at"].to_pydatetime() for row in found] == [NOW + timedelta(days=d) for d in (29, 31)]
    assert (found[0]["value"], found[0]["threshold"], found[0]["sample_size"], found[0]["unit"]) == (1.5, 3.0, 3, "h")


# ---------------------------------------------------------------- the command


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["health", *arguments])


def test_the_command_ends_with_1_when_something_is_an_error(ledger: Ledger) -> None:
    well = invoke("--json")
    assert (well.exit_code, json.loads(well.stdout)["severity"]) == (0, "ok")
    die(ledger)
    ill = invoke("--json")
    assert (ill.exit_code, json.loads(ill.stdout)["severity"]) == (1, "error")
    text = invoke()
    assert text.exit_code == 1
    lines = text.stdout.splitlines()
    assert any(line.startswith("error\tsilent_process\treceiver\t") for line in lines)
    assert f"silent_process receiver: {RUNBOOK['silent_process'].mend}" in lines
    assert lines[-1].startswith("health: error")


def test_the_command_lists_open_alerts_each_once_whatever_the_channels(ledger: Ledger) -> None:
    for channel in ("log", "slack"):
        for _ in range(3):
            ledger.fire_alert("check_failed", "check_failed/jobs:is_unique", "warning", "Words.", "Owner", channel)
    ledger.fire_alert("breaker_open", "breaker_open/breaker:ats", "error", "It is down.", "Owner", "log", {"count": 7})
    ledger.fire_alert("dead_letter", "dead_letter/inbox:ats", "error", "Over.", "Owner", "log")
    ledger.resolve_alert("dead_letter/inbox:ats")
    lines = [line.split("\t") for line in invoke().stdout.splitlines() if line.startswith("open ")]
    assert [[*line[:3], line[4]] for line in lines] == [
        ["open error", "breaker_open", "breaker:ats", "how many: 7"],
        ["open warning", "check_failed", "jobs:is_unique", "how many: 3"],
    ]
    told = json.loads(invoke("--json").stdout)["open_alerts"]
    assert [(one["name"], one["times"], set(one)) for one in told] == [
        (name, times, {"name", "subject", "severity", "since", "times"})
        for name, times in (("breaker_open", 7), ("check_failed", 3))
    ]


def test_where_most_is_unknown_ok_alone_is_not_said(ledger: Ledger) -> None:
    assert re.search(r"^health: ok; (\d+) of (\d+) unknown: too little data", invoke().stdout, re.MULTILINE)
    row = HealthRow("freshness", "ats", 1.5, 3.0, Severity.OK, "Well.")
    few = replace(row, severity=Severity.UNKNOWN)
    assert Health(NOW, (row, few)).words == "ok"
    assert Health(NOW, (row, few, few)).words == "ok; 2 of 3 unknown: too little data"


def test_rules_are_printed_from_the_contract_without_a_ledger(ledger: Ledger, tmp_path: Path) -> None:
    ledger.close()
    for file in (tmp_path / "data" / "state").iterdir():
        file.unlink()
    result = invoke("--rules")
    assert result.exit_code == 0
    assert "ReferralPipelineApiErrorRate" in result.stdout
    assert list((tmp_path / "data" / "state").iterdir()) == []
