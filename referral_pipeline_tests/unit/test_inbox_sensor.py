"""The inbox sensor: asks for a run when the lane is silent and events wait, once at a time, and tells the owner."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from referral_pipeline.ledger.records import InboxDelivery
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.orchestration.instance import BORN_TAG, HOST_TAG, PID_TAG, process_tags
from referral_pipeline.orchestration.sensors import DRAIN, MODE_TAG, build_sensors
from referral_pipeline.sandbox.credentials import SECRETS

LEASE = timedelta(minutes=1)


@dg.op(config_schema={"mode": str})
def take_events() -> None:
    """Stands for the op that takes events."""


@dg.job
def process_events() -> None:
    take_events()


class Watch:
    """A sensor over a ledger whose clock a test sets back, and an instance in memory."""

    def __init__(self, home: Path, instance: dg.DagsterInstance) -> None:
        self.back = timedelta(0)
        self.instance = instance
        self.ledger = Ledger.open("sqlite:///data/state/ledger.sqlite", home=home)
        self._clock = self.ledger._clock
        self.ledger._clock = lambda: self._clock() - self.back
        (self.sensor,) = build_sensors(process_events)

    def tick(self) -> Any:
        with dg.build_sensor_context(instance=self.instance) as context:
            return self.sensor(context)

    def event(self, delivery_id: str = "d1") -> None:
        delivery = InboxDelivery("advocacy", delivery_id, "referral.submitted", "webhook", "referral:R1", None, None)
        self.ledger.receive_many([delivery])

    def beat(self, *, seconds_ago: float = 0, name: str = "lane") -> None:
        self.back = timedelta(seconds=seconds_ago)
        self.ledger.beat(name, "one")
        self.back = timedelta(0)

    def run(self, request: Any, status: dg.DagsterRunStatus, **tags: str) -> None:
        """What the daemon makes of a request."""
        run = dg.DagsterRun(
            job_name="process_events",
            run_config=request.run_config,
            tags={**request.tags, **tags},
            status=status,
        )
        self.instance.add_run(run)

    def alerts(self) -> list[str]:
        return [alert.name for alert in self.ledger.alerts(open_only=True)]


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    for name, value in {**SECRETS, "REFERRAL_PIPELINE_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("REFERRAL_PIPELINE_CONFIG", raising=False)
    with dg.DagsterInstance.ephemeral() as instance:
        made = Watch(tmp_path, instance)
        yield made
        made.ledger.close()


def asked(answer: Any) -> bool:
    return isinstance(answer, dg.RunRequest)


def test_a_run_is_asked_for_when_events_wait_and_no_lane_beats(watch):
    assert not asked(watch.tick())
    watch.event()
    request = watch.tick()
    assert request.run_config == {"ops": {"take_events": {"config": {"mode": DRAIN}}}}
    assert process_events.execute_in_process(run_config=request.run_config).success
    assert request.tags == {MODE_TAG: DRAIN}


def test_nothing_is_asked_for_while_the_lane_beats(watch):
    watch.event()
    watch.beat()
    assert not asked(watch.tick())
    assert watch.alerts() == []


def test_a_silent_lane_is_told_once_and_its_return_too(watch):
    watch.event()
    watch.beat(seconds_ago=11)
    assert asked(watch.tick())
    assert asked(watch.tick())
    assert watch.alerts() == ["lane_stopped"]
    (alert,) = watch.ledger.alerts()
    assert alert.times == 1
    assert "1 events wait" in alert.message
    watch.beat()
    watch.tick()
    assert watch.alerts() == []


def test_without_a_receiver_nobody_misses_a_lane_that_never_was(watch):
    watch.event()
    watch.tick()
    assert watch.alerts() == []
    watch.beat(name="receiver")
    watch.tick()
    assert watch.alerts() == ["lane_stopped"]


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
)
def test_no_second_run_is_asked_for_while_one_is_under_way(status, watch):
    watch.event()
    request = watch.tick()
    assert watch.tick().run_key == request.run_key  # asked for again before the daemon made a run of it: the same one
    watch.run(request, status, **process_tags())
    assert not asked(watch.tick())


def test_the_next_takeover_is_another_run(watch):
    watch.event()
    first = watch.tick()
    watch.run(first, dg.DagsterRunStatus.SUCCESS)
    assert watch.tick().run_key != first.run_key


def test_a_run_whose_process_was_killed_does_not_stand_in_the_way(watch):
    watch.event()
    gone = {**process_tags(), PID_TAG: "4194305", BORN_TAG: "1"}
    assert HOST_TAG in gone
    watch.run(watch.tick(), dg.DagsterRunStatus.STARTED, **gone)
    assert not asked(watch.tick())
    assert asked(watch.tick())


def test_what_is_held_under_a_lease_or_waits_for_its_next_attempt_asks_for_no_run(watch):
    watch.event()
    (event,) = watch.ledger.claim("lane-1", limit=1, lease=LEASE, bulk=False)
    assert not asked(watch.tick())
    watch.ledger.retry("lane-1", event.id, error="answered 503", available_at=watch.ledger._clock() + LEASE)
    assert not asked(watch.tick())


def test_what_a_dead_lane_held_is_taken_once_its_lease_has_ended(watch):
    watch.event()
    watch.back = timedelta(minutes=5)
    watch.ledger.claim("lane-1", limit=1, lease=LEASE, bulk=False)
    watch.back = timedelta(0)
    assert asked(watch.tick())


def test_a_contract_that_does_not_hold_is_told_as_the_reason(watch, tmp_path):
    (tmp_path / "data" / "integration.yaml").write_text("version: 7\n", encoding="utf-8")
    answer = watch.tick()
    assert isinstance(answer, dg.SkipReason)
    assert "the contract does not hold" in str(answer.skip_message)


def test_what_a_killed_lane_had_claimed_waits_for_no_lease(watch):
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    ended.wait()
    watch.event()
    watch.ledger.claim(f"{socket.gethostname()}/{ended.pid}/1/lane", limit=1, lease=LEASE, bulk=False)
    assert asked(watch.tick())


def test_a_clock_that_was_set_back_does_not_make_a_dead_lane_look_alive(watch):
    watch.event()
    watch.beat(seconds_ago=-3600)
    assert asked(watch.tick())
    watch.ledger.beat("lane", "another")
    assert not asked(watch.tick())
