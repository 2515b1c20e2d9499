"""Receiver and lane as real processes, killed at work, with faults in both APIs: nothing lost, nothing twice."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from referral_pipeline.ledger.store import DeliveryIntent
from referral_pipeline.orchestration.assets.events import process_events
from referral_pipeline.orchestration.instance import open_instance
from referral_pipeline.orchestration.lane import owner_name
from referral_pipeline.orchestration.liveness import LANE
from referral_pipeline.orchestration.sensors import build_sensors
from referral_pipeline.sandbox.launch import Control, Sandbox
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline_tests.benchmarks.live import Live
from referral_pipeline_tests.chaos import SWITCHES, disturbed, wait_until_quiet
from referral_pipeline_tests.pipeline.conftest import installed
from referral_pipeline_tests.unit.webhook_receiver import until

LEASE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, shared_patch: pytest.MonkeyPatch) -> Iterator[Live]:
    """Receiver and lane of a fresh installation, running."""
    with Sandbox(size=ProgrammeSize.small(), greenhouse=SWITCHES) as sandbox:
        installation = installed(tmp_path_factory.mktemp("chaos") / "home", sandbox, shared_patch)
        with Live(installation) as made:
            made.start("receiver", "lane")
            for system in ("advocacy", "greenhouse"):
                sandbox.control(system).webhooks(url=made.url)
            yield made


def quiet(live: Live) -> None:
    wait_until_quiet(live, live.installation.sandbox, 30.0)


def candidates(ats: Control, address: str) -> list[dict[str, Any]]:
    """The candidates with this address."""
    return [
        row
        for row in ats.dump()["candidates"]
        if address.lower() in {item["value"].lower() for item in row["email_addresses"]}
    ]


def test_killed_at_random_moments_every_event_is_done_and_nothing_is_done_twice(live):
    seed = time.time_ns()
    found = disturbed(
        live, live.installation.sandbox, events=200, kills=5, names=("lane", "receiver"), rng=random.Random(seed)
    )
    assert sum(found.kills.values()) == 5
    assert found.details == [], seed
    assert found.holds
    assert found.acknowledged == found.done > 200


def test_the_same_delivery_fifty_times_at_once_makes_one_candidate(live):
    advocacy, ats = (live.installation.sandbox.control(system) for system in ("advocacy", "greenhouse"))
    advocacy.webhooks(duplicate=50, connections=50)
    advocacy.forget_webhooks()
    (referral_id,) = advocacy.act("submit_referrals", count=1)["referral_ids"]
    quiet(live)
    (entry,) = advocacy.webhook_log()
    assert [attempt["status"] for attempt in entry["attempts"]] == [200] * 50
    (row,) = [row for row in advocacy.dump()["referrals"] if row["id"] == referral_id]
    assert len(candidates(ats, row["candidate"]["email"])) == 1
    assert row["status"] == "applied"
    assert live.ledger.inbox_event_by_delivery("advocacy", entry["id"]).outcome == "created"


def test_fifty_referrals_of_one_person_at_once_make_one_candidate_and_one_application(live):
    advocacy, ats = (live.installation.sandbox.control(system) for system in ("advocacy", "greenhouse"))
    advocacy.webhooks(duplicate=1, connections=50, hold=True)
    programme = advocacy.dump()
    advocates = [row["id"] for row in programme["advocates"] if row["eligible"] and not row["left_at"]]
    job_id = next(str(row["id"]) for row in ats.dump()["jobs"] if row["status"] == "open")
    for number in range(50):
        advocacy.act(
            "submit_referral",
            advocate_id=advocates[number % len(advocates)],
            job_id=job_id,
            candidate={
                "first_name": "Petra" if number % 3 else "PETRA",
                "last_name": "Unica",
                "email": "Petra.Unica@one.example.org" if number % 2 else "petra.unica@ONE.example.org",
                "phone": "+49 30 9099887",
                "country": "DE",
            },
        )
    advocacy.release("together")
    advocacy.webhooks(hold=False)
    quiet(live)
    (candidate,) = candidates(ats, "petra.unica@one.example.org")
    (application,) = [row for row in ats.dump()["applications"] if row["candidate_id"] == candidate["id"]]
    told = [row for row in advocacy.dump()["referrals"] if row["candidate"]["last_name"] == "Unica"]
    assert [(row["status"], row["ats"]["application_id"]) for row in told] == [("applied", str(application["id"]))] * 50


def test_what_a_killed_lane_held_is_done_by_the_sensors_run_and_what_a_living_one_holds_is_left_alone(live):
    """The heartbeat is set back, not waited for; the run is the one that the daemon would start."""
    ledger, advocacy = live.ledger, live.installation.sandbox.control("advocacy")
    beat = ledger.heartbeats(LANE)[0]
    live.kill("lane")
    advocacy.webhooks(connections=4)
    advocacy.act("submit_referrals", count=12)
    until(lambda: ledger.inbox_backlog().waiting >= 12)
    of_the_dead = ledger.claim(beat.owner, limit=4, lease=LEASE, bulk=False)
    living = owner_name()
    of_the_living = ledger.claim(living, limit=4, lease=LEASE, bulk=False)
    # The lane died right after it began the create for the first of them: only the ATS knows whether it was sent.
    left_behind = next(e.subject for e in of_the_dead if e.event_type == "referral.submitted").partition(":")[2]
    key = f"application:greenhouse:{left_behind}"
    ledger.begin(DeliveryIntent(key, "greenhouse", "create_application", "1", "hash", left_behind))
    now, ledger._clock = ledger._clock, lambda: datetime.now(UTC) - timedelta(seconds=11)
    for of_before in ledger.heartbeats(LANE):  # also what the test above killed may have beaten lately
        ledger.beat(LANE, of_before.owner)
    ledger._clock = now
    (sensor,) = build_sensors(process_events)
    with open_instance(live.installation.settings) as instance:
        with dg.build_sensor_context(instance=instance) as context:
            request = sensor(context)
        assert isinstance(request, dg.RunRequest)
        assert process_events.execute_in_process(instance=instance, run_config=request.run_config).success
    assert {ledger.inbox_event(event.id).state for event in of_the_dead} == {"done"}
    submitted = ledger.inbox_events(system="advocacy", event_type="referral.submitted", limit=12)
    assert Counter(event.state for event in submitted) == {"done": 8, "claimed": 4}
    held = [ledger.inbox_event(event.id) for event in of_the_living]
    assert {(event.state, event.lease_owner, event.attempts) for event in held} == {("claimed", living, 1)}
    assert [alert.name for alert in ledger.alerts(open_only=True)] == ["lane_stopped"]
