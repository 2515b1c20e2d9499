"""Through Radancy the programme comes to what it can carry, and what happens on either side is told once and right."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from referral_pipeline.contract.loader import load_contract
from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline.orchestration.steps_field_audit import audit_fields
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline.webhooks.app import create_app
from referral_pipeline_tests.pipeline.conftest import installed
from referral_pipeline_tests.pipeline.event_rig import World, settled, shared_world, tags, world
from referral_pipeline_tests.unit.advocacy_server import serving
from referral_pipeline_tests.unit.webhook_receiver import until

__all__ = ["shared_world", "world"]

ADVOCACY = "radancy"
_QUICK = (
    "rate_limited",
    "server_error",
    "bad_gateway",
    "bad_gateway_after_work",
    "reset",
    "reset_after_work",
    "truncated",
)


def test_a_programme_through_radancy_is_verified_under_faults_and_a_repeat_does_nothing(tmp_path: Path):
    played = Sandbox(
        size=ProgrammeSize.small(),
        advocacy="radancy",
        faults=0.1,
        fault_kinds=_QUICK,
        ats_switches={"visibility_lag_seconds": 0.2},
    )
    with pytest.MonkeyPatch.context() as patch, played as sandbox:
        installation = installed(tmp_path / "home", sandbox, patch)
        installation.level()
        assert installation.verify().differences == []
        platform = sandbox.control("advocacy")
        hires = [row for row in platform.dump()["referrals"] if row["status"] == "hired"]
        due = (datetime.now(UTC).date() - timedelta(days=90)).isoformat()
        credited = {row["referral_id"] for row in installation.truth()["applications"]}
        rewarded = {row["id"] for row in hires if row["pay_reward"]}
        assert rewarded == {row["id"] for row in hires if row["id"] in credited and (row["starts_on"] or "9") <= due}
        platform.faults(0)
        platform.reset_calls()
        again = installation.level()
        assert not again.candidates.counts.keys() - {"applications_unchanged"}
        assert again.statuses.counts.keys() == {"statuses_unchanged"}
        assert {name.partition(" ")[0] for name in platform.calls()} == {"GET"}
        with Bridge.open(installation.settings) as bridge:
            kept = audit_fields(bridge, seed=1)
        assert (kept.verification.facts["mismatches"], kept.verification.facts["unreadable"]) == ([], 0)
        assert installation.verify().differences == []


def sent_by_platform(url: str, events: list[dict[str, Any]]) -> int:
    return requests.post(f"{url}/webhooks/radancy", json=events, timeout=10).status_code


def forged(kind: str, application_id: str, **more: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")
    return {"event_name": kind, "event": {"job_application": {"id": application_id}, "date_time": now, **more}}


def test_a_batch_goes_through_receiver_and_lane_and_made_up_events_do_nothing(world: World):
    world.settle()
    contract = load_contract(world.settings)
    app = create_app(contract=contract, settings=world.settings, ledger=world.ledger, clock=world.now)
    with serving(app) as url:
        control = world._advocacy
        before = control.webhooks()["url"]
        control.forget_webhooks()
        control.webhooks(url=url)
        made = world.advocacy("submit_referrals", count=3, job_ids=world.jobs[:1])["referral_ids"]
        until(lambda: not control.webhooks()["under_way"])
        control.webhooks(url=before)
        (delivery,) = control.webhook_log()
        assert [attempt["status"] for attempt in delivery["attempts"]] == [200]
        nobody = str(uuid.uuid4())
        lies = {"applicant": {"email": "evil@example.com", "first_name": "Mallory"}}
        made_up = [
            forged("job_application.received", nobody, **lies),
            forged("job_application.edited", made[0], **lies),
        ]
        for _ in range(2):
            assert sent_by_platform(url, made_up) == 200
        assert sent_by_platform(url, [forged("job_application.deleted", made[1])]) == 200
        done = world.work()
    assert settled(done, "job_application.received").count("created") == 3
    assert "gone" in settled(done, "job_application.received")
    own = {tags(row)["referral_id"]: row for row in world.dump("greenhouse")["applications"] if tags(row)}
    assert own.keys() >= set(made)
    assert nobody not in own
    texts = str(world.dump("greenhouse")["candidates"])
    assert "evil@example.com" not in texts
    assert "Mallory" not in texts
    world.settle()


def test_what_recruiters_do_in_the_ats_is_told_in_the_platform_s_words_and_its_echo_changes_nothing(world: World):
    person = world.person()
    referral_id = world.submit(person, job_id=world.job())
    world.settle()
    application = world.application(person)
    for act, details, status in (
        ("move", {"stage": "Phone Screen"}, None),
        ("reject", {"reason": "THEY_REJECTED_US"}, "rejected"),
        ("unreject", {}, None),
        ("reject", {"reason": "WE_REJECTED_THEM"}, "rejected"),
    ):
        world.ats(act, application_id=application["id"], **details)
        world.settle()
        assert world.referral(referral_id)["status"] == status, act
    reason = world.referral(referral_id)["close_reason"]
    assert reason == "CANDIDATE_REJECTED"
    assert tags(world.application(person))["referral_id"] == referral_id
    world.forget_calls()
    world.hint(("radancy", f"referral:{referral_id}"))
    world.work()
    assert [name for name in world.calls("advocacy") if not name.startswith("GET")] == []


def test_a_hire_lets_the_reward_go_when_it_is_due_and_takes_it_back_when_it_is_undone(world: World):
    person = world.person()
    earlier = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    referral_id = world.submit(person, job_id=world.job(), submitted_at=earlier, applied_at=earlier)
    world.settle()
    application = world.application(person)
    world.ats("move", application_id=application["id"], stage="Offer")
    starts_on = (datetime.now(UTC).date() - timedelta(days=100)).isoformat()
    world.offer(application["id"], starts_on)
    world.ats("hire", application_id=application["id"])
    world.settle()
    row = world.referral(referral_id)
    assert (row["status"], row["starts_on"], row["pay_reward"]) == ("hired", starts_on, True)
    world.ats("unhire", application_id=application["id"])
    world.settle()
    row = world.referral(referral_id)
    assert (row["status"], row["pay_reward"]) == (None, False)


def test_what_was_closed_in_the_platform_before_it_was_written_is_written_once_it_is_opened_again(world: World):
    person = world.person()
    referral_id = world.submit(person)
    world.advocacy("withdraw_referral", referral_id=referral_id)
    done = world.settle()
    assert "blocked:withdrawn" in settled(done, "job_application.received")
    assert world.candidates(person) == []
    world.advocacy("set_status", referral_id=referral_id, value="IN_PROGRESS")
    world.hint(("radancy", f"referral:{referral_id}"))
    world.settle()
    assert tags(world.application(person))["referral_id"] == referral_id


def test_an_application_that_the_platform_deleted_is_gone_and_what_the_ats_has_stays(world: World):
    person = world.person()
    referral_id = world.submit(person)
    world.settle()
    world.advocacy("erase", referral_id=referral_id)
    done = world.settle()
    assert settled(done, "job_application.deleted") == ["gone"]
    assert len(world.applications(person)) == 1
