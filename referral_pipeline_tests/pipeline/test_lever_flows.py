"""What happens in Lever and on the platform is told both ways, by webhooks and the lane."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from referral_pipeline_tests.pipeline.event_rig import World, settled, shared_world, tags, world

__all__ = ["shared_world", "world"]

ATS = "lever"


def written(world: World) -> tuple[str, Any]:
    """A referral that is in the ATS, for a job of its own: its id, its application."""
    person = world.person()
    referral_id = world.submit(person, job_id=world.job())
    world.settle()
    return referral_id, world.application(person)


def test_a_referral_becomes_an_opportunity_and_its_echo_changes_nothing(world: World):
    person = world.person()
    referral_id = world.submit(person)
    world.enter(world.arrived())
    world.work()
    assert tags(world.application(person))["referral_id"] == referral_id
    echo = [one for one in world.arrived() if one.system == "lever"]
    assert {one.type for one in echo} == {"applicationCreated", "contactCreated"}
    world.enter(echo)
    world.work()
    assert len(world.applications(person)) == 1
    assert world.referral(referral_id)["status"] == "applied"


def test_what_recruiters_do_in_lever_comes_back_and_can_be_undone(world: World):
    referral_id, application = written(world)
    for act, details, status in (
        ("move", {"stage": "Phone Screen"}, "interviewed"),
        ("reject", {"reason": "THEY_REJECTED_US"}, "withdrawn"),
        ("unreject", {}, "interviewed"),
        ("reject", {"reason": "WE_REJECTED_THEM"}, "rejected"),
        ("unreject", {}, "interviewed"),
        ("move", {"stage": "Offer"}, "offered"),
        ("hire", {}, "hired"),
        ("unhire", {}, "offered"),
    ):
        world.ats(act, application_id=application["id"], **details)
        world.settle()
        assert world.referral(referral_id)["status"] == status, act


def test_a_hire_is_dated_by_its_archive_and_begins_when_the_offer_says(world: World):
    referral_id, application = written(world)
    world.ats("move", application_id=application["id"], stage="Offer")
    starts_on = (datetime.now(UTC).date() + timedelta(days=30)).isoformat()
    world.offer(application["id"], starts_on)
    before = datetime.now(UTC) - timedelta(seconds=1)
    world.ats("hire", application_id=application["id"])
    done = world.settle()
    assert "candidateHired" in {one.event_type for one in done}
    row = world.referral(referral_id)
    assert row["starts_on"] == starts_on
    assert before <= datetime.fromisoformat(row["hired_at"]) <= datetime.now(UTC)
    assert world.recognitions(referral_id) == [("hired", 0)]


def test_a_candidate_whom_a_recruiter_typed_in_takes_the_referral_that_was_before(world: World):
    person = world.person()
    world.by_hand(person, job=world.jobs[0])
    world.settle()
    earlier = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    referral_id = world.submit(person, submitted_at=earlier, applied_at=earlier)
    world.settle()
    assert tags(world.application(person))["referral_id"] == referral_id
    assert len(world.candidates(person)) == 1


def test_a_deleted_opportunity_is_not_made_again(world: World):
    referral_id, application = written(world)
    world.ats("delete_application", application_id=application["id"])
    deleted = [one for one in world.arrived() if one.type == "candidateDeleted"]
    assert len(deleted) == 1
    world.enter(deleted)
    world.work()
    world.advocacy("edit_referral", referral_id=referral_id, campaign_tag="autumn")
    world.settle()
    assert not [row for row in world.dump("lever")["applications"] if tags(row).get("referral_id") == referral_id]


def test_an_event_about_an_opportunity_of_a_stranger_writes_nothing(world: World):
    person = world.person()
    world.by_hand(person, job=world.jobs[0])
    done = world.settle()
    assert settled(done, "applicationCreated") == ["not_ours"]
    assert tags(world.application(person)) == {}
