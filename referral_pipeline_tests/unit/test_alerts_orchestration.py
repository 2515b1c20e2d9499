"""What Dagster's own records become: alerts about failed runs and failed checks, and the daily heartbeat."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from referral_pipeline.ledger.store import Ledger
from referral_pipeline.orchestration import alerting
from referral_pipeline_tests.contract.wrong import changed
from referral_pipeline_tests.unit.alert_rig import SECRET, hook_channel, told, verified
from referral_pipeline_tests.unit.scripted_server import Reply, ScriptedServer, serving

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class World:
    """What the jobs and checks of a test do next, and where their alerts arrive."""

    def __init__(self, instance: dg.DagsterInstance, hook: ScriptedServer, home: Path) -> None:
        self.instance = instance
        self.hook = hook
        self.home = home
        self.works = True
        self.cursors: dict[str, str | None] = {}

        @dg.op
        def step() -> None:
            if not self.works:
                raise ValueError("jane.doe@example.com is no good")

        @dg.job
        def nightly() -> None:
            step()

        @dg.asset
        def numbers() -> None:
            """Whatever."""

        @dg.asset_check(asset=numbers, blocking=True, name="adds_up")
        def adds_up() -> dg.AssetCheckResult:
            told = {"failed_rows": 7, "what_to_do": "Count again."}
            return dg.AssetCheckResult(passed=self.works, description="7 of 9 are off", metadata=told)

        @dg.asset_check(asset=numbers, name="looks_well")
        def looks_well() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=self.works, severity=dg.AssetCheckSeverity.WARN)

        checked = dg.define_asset_job("checked", selection=[numbers])
        self.definitions = dg.Definitions(
            assets=[numbers],
            asset_checks=[adds_up, looks_well],
            jobs=[nightly, checked, *alerting.JOBS],
            executor=dg.in_process_executor,
        )

    def run(self, job: str) -> dg.ExecuteInProcessResult:
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, run_config=QUIET, raise_on_error=False
        )

    def tick(self, sensor: dg.SensorDefinition) -> None:
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(sensor.name),
            repository_def=self.definitions.get_repository_def(),
        ) as context:
            self.cursors[sensor.name] = sensor.evaluate_tick(context).cursor

    def told(self) -> list[tuple[str, str, str]]:
        """(type, name, subject) of what arrived since the last time."""
        new = [verified(seen) for seen in self.hook.seen]
        self.hook.seen.clear()
        return [(body["type"], body["data"]["name"], body["data"]["subject"]) for body in new]


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def world(instance: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("REFERRAL_PIPELINE_HOME", str(tmp_path))
    monkeypatch.setenv("ALERT_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("REFERRAL_PIPELINE_UI_URL", "https://dagster.example.com/")
    instance.wipe()
    with serving(lambda _: Reply(200, {})) as hook:
        contract = tmp_path / "data" / "integration.yaml"
        contract.parent.mkdir()
        contract.write_text(changed(("alerts: [{type: log}]", f"alerts: [{hook_channel(hook)}]")), encoding="utf-8")
        yield World(instance, hook, tmp_path)


def test_a_failed_run_is_told_with_its_page_and_step_but_not_the_words_of_its_error_and_success_is_the_recovery(world):
    world.works = False
    failed = world.run("nightly")
    world.tick(alerting.alert_on_failed_runs)
    body = verified(world.hook.seen[0])["data"]
    assert (body["severity"], body["subject"]) == ("error", "job:nightly")
    assert body["link"] == f"https://dagster.example.com/runs/{failed.run_id}"
    assert "step ended with ValueError" in body["what"]
    assert b"jane" not in world.hook.seen[0].body
    assert world.told() == [("alert.fired", "run_failed", "job:nightly")]

    world.run("nightly")  # again: counted
    world.tick(alerting.alert_on_failed_runs)
    world.tick(alerting.alert_on_failed_runs)
    assert world.told() == []
    world.works = True
    world.run("nightly")
    world.instance.add_run_tags(failed.run_id, {"looked": "at"})  # which brings the old failure up again
    world.tick(alerting.alert_on_failed_runs)
    assert world.told() == [("alert.recovered", "run_failed", "job:nightly")]
    world.tick(alerting.alert_on_failed_runs)
    assert world.told() == []


def test_a_run_whose_process_died_before_any_step_is_a_failed_run(world):
    run = world.instance.create_run_for_job(world.definitions.resolve_job_def("nightly"))
    world.instance.report_run_failed(run, "The process of this run ended without a word.")
    world.tick(alerting.alert_on_failed_runs)
    assert "without a word" in verified(world.hook.seen[0])["data"]["what"]


def test_a_failed_check_is_an_error_where_it_blocks_and_a_warning_elsewhere_and_is_told_once_until_it_passes(world):
    world.tick(alerting.alert_on_failed_checks)
    world.works = False
    world.run("checked")
    world.tick(alerting.alert_on_failed_checks)
    bodies = {seen.json["data"]["subject"]: verified(seen)["data"] for seen in world.hook.seen}
    assert {subject: body["severity"] for subject, body in bodies.items()} == {
        "numbers:adds_up": "error",
        "numbers:looks_well": "warning",
    }
    assert bodies["numbers:adds_up"]["count"] == 7
    assert bodies["numbers:adds_up"]["todo"] == "Count again."
    assert bodies["numbers:adds_up"]["what"].endswith("stay the last good ones. 7 of 9 are off")
    assert {kind for kind, _, _ in world.told()} == {"alert.fired"}

    world.tick(alerting.alert_on_failed_checks)
    world.run("checked")
    world.tick(alerting.alert_on_failed_checks)
    assert world.told() == []
    world.works = True
    world.run("checked")
    world.tick(alerting.alert_on_failed_checks)
    counts = {seen.json["data"]["subject"]: seen.json["data"]["count"] for seen in world.hook.seen}
    assert counts["numbers:looks_well"] == 2  # evaluations that failed, not ticks that saw it
    assert sorted(world.told()) == [
        ("alert.recovered", "check_failed", "numbers:adds_up"),
        ("alert.recovered", "check_failed", "numbers:looks_well"),
    ]


def test_what_no_channel_took_is_tried_again_at_the_next_tick(world):
    world.hook.answer = lambda _: Reply(503, {})
    world.works = False
    world.run("nightly")
    world.tick(alerting.alert_on_failed_runs)
    world.hook.answer = lambda _: Reply(200, {})
    world.hook.seen.clear()
    world.tick(alerting.alert_on_failed_runs)
    assert world.told() == [("alert.fired", "run_failed", "job:nightly")]


def test_the_heartbeat_job_tells_every_channel_and_is_red_where_one_is_silent(world, caplog):
    caplog.set_level(logging.CRITICAL)
    assert world.run("alert_heartbeat").success
    assert told(world.hook) == [("alerting.heartbeat", "heartbeat")]
    world.hook.answer = lambda _: Reply(503, {})
    red = world.run("alert_heartbeat")
    assert not red.success
    assert "webhook" in str(red.failure_data_for_node("tell_that_alerting_works").error.message)  # type: ignore[union-attr]
    with Ledger.open("sqlite:///data/state/ledger.sqlite", home=world.home) as ledger:
        assert [alert.name for alert in ledger.alerts(undelivered=True)] == ["heartbeat"]


def test_everything_runs_by_itself_in_utc():
    assert {sensor.name for sensor in alerting.SENSORS} == {"alert_on_failed_runs", "alert_on_failed_checks"}
    assert all(sensor.default_status is dg.DefaultSensorStatus.RUNNING for sensor in alerting.SENSORS)
    (daily,) = alerting.SCHEDULES
    assert (daily.execution_timezone, daily.default_status) == ("UTC", dg.DefaultScheduleStatus.RUNNING)
    assert [job.name for job in alerting.JOBS] == ["alert_heartbeat"]
