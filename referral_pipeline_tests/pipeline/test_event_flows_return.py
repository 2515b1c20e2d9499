"""What recruiters do in the ATS becomes so on the advocacy platform: through the lane, against both sandboxes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from referral_pipeline_tests.pipeline.event_rig import (
    Delivery,
    Person,
    World,
    outcomes,
    settled,
    shared_world,
    tags,
    world,
)

__all__ = ["shared_world", "world"]

AMOUNT = 200_000


def ago(**distance: float) -> str:
    return (datetime.now(UTC) - timedelta(**distance)).isoformat()


def day(days: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


def written(world: World, **fields: Any) -> tuple[Person, str, int]:
    """A referral that is in the ATS, for a job of its own: whose it is, its id, its application."""
    person = world.person()
    referral_id = world.submit(person, **{"job_id": world.job(), **fields})
    world.settle()
    return person, referral_id, world.application(person)["id"]


# ---------------------------------------------------------------- applications


def test_the_echo_of_our_own_create_costs_no_call(world: World):
    world.submit(world.person())
    world.enter(world.arrived())
    world.work()
    echo = world.arrived()
    assert {one.type for one in echo if one.system == "greenhouse"} == {"new_candidate_application"}
    world.forget_calls()
    world.enter(echo)
    assert outcomes(world.work()) == ["own"]
    assert world.calls("greenhouse") == {}
    assert world.calls("advocacy") == {}


def test_an_application_of_a_stranger_is_not_ours_and_nothing_is_written(world: World):
    person = world.person()
    world.by_hand(person, job=world.jobs[0])
    done = world.settle()
    assert settled(done, "new_candidate_application") == ["not_ours"]
    assert tags(world.application(person)) == {}


def test_an_application_typed_in_for_somebody_who_only_clicked_is_taken_when_they_apply(world: World):
    person = world.person()
    referral_id = world.submit(person, stage="clicked", applied_at=None, submitted_at=ago(days=1))
    world.settle()
    world.by_hand(person, job=world.jobs[0])
    world.settle()
    assert tags(world.application(person)) == {}
    world.advocacy("edit_referral", referral_id=referral_id, stage="applied", applied_at=ago(days=1))
    world.settle()
    assert tags(world.application(person))["referral_id"] == referral_id
    assert len(world.candidates(person)) == 1


def test_a_second_candidate_typed_in_for_a_referred_person_changes_nothing(world: World):
    person, referral_id, application_id = written(world)
    world.by_hand(person, job=world.jobs[0])
    world.settle()
    first, second = sorted(world.applications(person), key=lambda row: row["id"])
    assert (first["id"], tags(first)["referral_id"]) == (application_id, referral_id)
    assert tags(second) == {}


def test_a_move_comes_back_as_its_canonical_status(world: World):
    _, referral_id, application_id = written(world)
    for stage, status in (("Phone Screen", "interviewed"), ("Offer", "offered"), ("Application Review", "applied")):
        world.ats("move", application_id=application_id, stage=stage)
        assert "status_sent" in outcomes(world.settle())
        assert world.referral(referral_id)["status"] == status


def test_a_stage_that_nobody_mapped_is_in_review_and_alerts_once(world: World):
    for _ in range(2):
        _, referral_id, application_id = written(world, job_id=world.jobs[1])
        world.ats("move", application_id=application_id, stage="Bar Raiser")
        world.settle()
        assert world.referral(referral_id)["status"] == "in_review"
    (alert,) = [a for a in world.ledger.alerts() if a.name == "unmapped_stage"]
    assert "Bar Raiser" in alert.message


def test_many_events_of_one_application_cost_one_look(world: World):
    _, referral_id, application_id = written(world)
    for stage in ("Phone Screen", "Face to Face", "Offer", "Face to Face"):
        world.ats("move", application_id=application_id, stage=stage)
    events = world.arrived()
    assert len([one for one in events if one.type == "candidate_stage_change"]) == 4
    world.forget_calls()
    world.enter(events)
    world.work()
    assert world.calls("greenhouse")["GET /v3/applications"] == 1
    assert world.calls("advocacy") == {"PATCH /v1/referrals/{id}": 1}
    assert world.referral(referral_id)["status"] == "interviewed"


@pytest.mark.parametrize(("reason", "status"), [("WE_REJECTED_THEM", "rejected"), ("THEY_REJECTED_US", "withdrawn")])
def test_a_rejection_comes_back_and_so_does_its_undoing(world: World, reason: str, status: str):
    _, referral_id, application_id = written(world)
    world.ats("reject", application_id=application_id, reason=reason)
    world.settle()
    assert world.referral(referral_id)["status"] == status
    world.ats("unreject", application_id=application_id)
    world.settle()
    assert world.referral(referral_id)["status"] == "applied"


def test_events_that_come_in_the_wrong_order_end_where_the_ats_stands(world: World):
    _, referral_id, application_id = written(world)
    world.ats("move", application_id=application_id, stage="Phone Screen")
    world.ats("reject", application_id=application_id)
    world.ats("unreject", application_id=application_id)
    for event in reversed(world.arrived()):
        world.enter([event])
        world.work()
    assert world.referral(referral_id)["status"] == "interviewed"


def test_a_transfer_to_another_job_keeps_the_referral_with_its_application(world: World):
    person, referral_id, application_id = written(world)
    world.ats("transfer", application_id=application_id, job_id=int(world.jobs[2]), stage="Face to Face")
    world.settle()
    assert world.referral(referral_id)["status"] == "interviewed"
    assert world.application(person)["id"] == application_id
    assert tags(world.application(person))["referral_id"] == referral_id


# ---------------------------------------------------------------- hires and what they earn


def test_a_hire_is_recognised_at_once_and_its_bonus_after_the_waiting_period(world: World):
    _, referral_id, application_id = written(world)
    world.offer(application_id, starts_on=day(-89))
    world.ats("hire", application_id=application_id)
    world.settle()
    returned = world.referral(referral_id)
    assert (returned["status"], returned["starts_on"]) == ("hired", day(-89))
    assert returned["hired_at"] is not None
    world.tick()
    assert world.recognitions(referral_id) == [("hired", 0)]
    world.ahead += timedelta(days=1)
    world.tick()
    world.tick()
    assert world.recognitions(referral_id) == [("hired", 0), ("bonus_eligible", AMOUNT)]
    assert world.ledger.links_for([referral_id])[referral_id].status == "hired"


def test_an_undone_hire_is_reversed_and_a_rehire_recognised_anew(world: World):
    _, referral_id, application_id = written(world)
    world.offer(application_id, starts_on=day(-100))
    world.ats("hire", application_id=application_id)
    world.settle()
    earned = [("hired", 0), ("bonus_eligible", AMOUNT)]
    assert world.recognitions(referral_id) == earned
    world.ats("unhire", application_id=application_id)
    world.settle()
    returned = world.referral(referral_id)
    assert returned["status"] != "hired"
    assert returned["hired_at"] is None
    assert world.recognitions(referral_id) == [*earned, ("reversed", AMOUNT)]
    world.ats("hire", application_id=application_id)
    world.settle()
    assert world.recognitions(referral_id)[3:] == earned


@pytest.mark.parametrize("side", ["advocacy", "ats"])
def test_a_hire_whose_person_is_forgotten_stays_recognised_and_earns_nothing_more(world: World, side: str):
    person, referral_id, application_id = written(world)
    world.offer(application_id, starts_on=day(-89))
    world.ats("hire", application_id=application_id)
    world.settle()
    if side == "advocacy":
        world.advocacy("erase", referral_id=referral_id)
    else:
        world.ats("anonymize", candidate_id=world.candidate(person)["id"])
    world.settle()
    world.ahead += timedelta(days=1)
    world.tick()
    assert world.recognitions(referral_id) == [("hired", 0)]
    assert [row.kind for row in world.ledger.recognitions(referral_ids=[referral_id])] == ["hired"]


def test_only_the_credited_advocate_is_recognised_and_a_lost_credit_is_reversed(world: World):
    person, job = world.person(), world.job()
    first = world.submit(person, job_id=job, applied_at=ago(days=2), submitted_at=ago(days=2))
    second = world.submit(
        person, job_id=job, advocate_id=world.advocates[1], applied_at=ago(days=1), submitted_at=ago(days=1)
    )
    world.settle()
    application_id = world.application(person)["id"]
    world.offer(application_id, starts_on=day(10))
    world.ats("hire", application_id=application_id)
    world.settle()
    assert (world.recognitions(first), world.recognitions(second)) == ([], [("hired", 0)])
    world.advocacy("withdraw_referral", referral_id=second)
    world.settle()
    assert world.recognitions(second) == [("hired", 0), ("reversed", 0)]
    assert world.recognitions(first) == [("hired", 0)]


def test_a_hire_told_twice_and_late_is_recognised_once(world: World):
    _, referral_id, application_id = written(world)
    world.offer(application_id, starts_on=day(5))
    world.ats("hire", application_id=application_id)
    events = world.arrived()
    world.enter(events)
    world.work()
    world.ahead += timedelta(hours=1)
    world.enter([type(one)(one.system, f"{one.id}-again", one.type, one.subject, one.body) for one in events])
    world.settle()
    assert world.recognitions(referral_id) == [("hired", 0)]


# ---------------------------------------------------------------- offers


def test_an_offer_that_was_sent_is_offered_and_a_new_first_day_is_told(world: World):
    _, referral_id, application_id = written(world)
    world.ats("offer_create", application_id=application_id, starts_on=day(20))
    world.settle()
    assert world.referral(referral_id)["status"] == "applied"
    world.ats("offer_send", application_id=application_id)
    world.settle()
    assert world.referral(referral_id)["status"] == "offered"
    world.ats("offer_accept", application_id=application_id, starts_on=day(30))
    world.ats("hire", application_id=application_id)
    world.settle()
    assert world.referral(referral_id)["starts_on"] == day(30)


# ---------------------------------------------------------------- candidates


def test_a_candidate_whose_address_a_recruiter_changed_is_found_under_both(world: World):
    person, _, application_id = written(world)
    candidate = world.candidate(person)
    world.ats("edit_candidate", candidate_id=candidate["id"], emails=[f"new.{person.email}"])
    world.settle()
    world.submit(person, candidate={"email": f"new.{person.email}", "phone": None}, job_id=world.jobs[1])
    world.submit(person, job_id=world.jobs[2])
    world.settle()
    assert world.candidate(person)["id"] == candidate["id"]
    assert application_id in {row["id"] for row in world.applications(person)}
    assert len(world.applications(person)) == 3


def test_a_candidate_whose_last_address_a_recruiter_removed_is_found_by_none(world: World):
    person, _, _ = written(world)
    candidate = world.candidate(person)
    record = f"greenhouse:{candidate['id']}"
    assert world.ledger.keys_of([record])
    world.ats("edit_candidate", candidate_id=candidate["id"], emails=[], phones=[])
    world.settle()
    assert world.ledger.keys_of([record]) == []


def test_a_stranger_who_gets_the_address_of_a_referred_person_becomes_their_candidate(world: World):
    person = world.person(email="first.try@example.net", phone=None)
    referral_id = world.submit(person, stage="clicked", applied_at=None)
    world.settle()
    typed = world.by_hand(world.person(last_name=person.last_name, first_name=person.first_name), job=world.jobs[1])
    world.settle()
    world.ats("edit_candidate", candidate_id=typed["id"], emails=["first.try@example.net"])
    world.settle()
    world.advocacy("edit_referral", referral_id=referral_id, stage="applied")
    world.settle()
    assert world.candidate(person)["id"] == typed["id"]
    assert len(world.applications(person)) == 2


def test_a_deleted_candidate_is_not_created_again_from_its_referral_but_from_a_new_one(world: World):
    person, referral_id, _ = written(world)
    world.ats("delete_candidate", candidate_id=world.candidate(person)["id"])
    world.settle()
    assert world.ledger.links_for([referral_id])[referral_id].block == "erased"
    world.advocacy("edit_referral", referral_id=referral_id, campaign_tag="again")
    world.settle()
    assert world.candidates(person) == []
    again = world.submit(person)
    world.settle()
    assert tags(world.application(person))["referral_id"] == again


def test_a_candidate_deleted_right_after_it_was_made_does_not_stop_the_next_referral(world: World):
    person, _, _ = written(world)
    world.ats("delete_candidate", candidate_id=world.candidate(person)["id"])
    world.arrived()  # never delivered: the lane takes its own fresh candidate unread
    again = world.submit(person, job_id=world.jobs[1])
    world.settle()
    assert tags(world.application(person))["referral_id"] == again


def test_a_deleted_application_is_not_opened_again_from_its_referral(world: World):
    person, referral_id, application_id = written(world)
    world.ats("delete_application", application_id=application_id)
    world.settle()
    assert world.applications(person) == []
    world.advocacy("edit_referral", referral_id=referral_id, campaign_tag="again")
    world.settle()
    assert world.applications(person) == []


def test_a_merged_candidate_goes_on_under_the_id_that_was_kept(world: World):
    person, referral_id, application_id = written(world)
    ours = world.candidate(person)
    kept = world.by_hand(world.person(last_name=person.last_name, first_name=person.first_name))
    world.settle()
    world.ats("merge", primary_id=kept["id"], secondary_id=ours["id"])
    world.settle()
    world.ats("move", application_id=application_id, stage="Phone Screen")
    world.settle()
    returned = world.referral(referral_id)
    assert returned["status"] == "interviewed"
    assert returned["ats"]["candidate_id"] == str(kept["id"])
    world.submit(person, job_id=world.jobs[1])
    world.settle()
    assert world.candidate(person)["id"] == kept["id"]
    assert len(world.applications(person)) == 2


def test_an_anonymized_candidate_is_left_alone_for_good(world: World):
    person, referral_id, application_id = written(world)
    world.ats("anonymize", candidate_id=world.candidate(person)["id"])
    assert "blocked:erased" in outcomes(world.settle())
    world.advocacy("edit_referral", referral_id=referral_id, campaign_tag="again")
    world.ats("move", application_id=application_id, stage="Phone Screen")
    world.settle()
    assert world.candidates(person) == []
    assert world.referral(referral_id)["status"] == "applied"


def test_a_candidate_of_whom_only_a_number_was_anonymized_lives_on(world: World):
    person, referral_id, application_id = written(world)
    world.ats("anonymize", candidate_id=world.candidate(person)["id"], fields=["phone_numbers"])
    world.settle()
    assert world.ledger.links_for([referral_id])[referral_id].block is None
    world.ats("move", application_id=application_id, stage="Phone Screen")
    world.settle()
    assert world.referral(referral_id)["status"] == "interviewed"


def test_a_prospect_is_no_application(world: World):
    person = world.person()
    typed = world.by_hand(person)
    world.ats("create_prospect", candidate_id=typed["id"])
    done = world.settle()
    assert settled(done, "new_prospect_application") == ["not_ours"]
    referral_id = world.submit(person)
    world.settle()
    assert len(world.candidates(person)) == 1
    (application,) = [row for row in world.applications(person) if not row["prospect"]]
    assert tags(application)["referral_id"] == referral_id


# ---------------------------------------------------------------- jobs, and what nobody knows


def test_a_job_is_published_when_it_opens_changes_and_closes_and_a_draft_is_not(world: World):
    job = world.ats("add_job", name="Night porter")
    world.settle()
    assert _posted(world, job["id"])["status"] == "open"
    world.ats("edit_job", job_id=job["id"], name="Day porter")
    world.settle()
    assert _posted(world, job["id"])["title"] == "Day porter"
    world.ats("close_job", job_id=job["id"])
    world.settle()
    assert _posted(world, job["id"])["status"] == "closed"
    draft = world.ats("add_job", name="Someday", status="draft")
    world.settle()
    assert [row for row in world.dump("advocacy")["jobs"] if row["id"] == str(draft["id"])] == []


def test_a_referral_held_back_by_its_job_is_written_once_the_job_opens(world: World):
    job = world.ats("add_job", name="Baker", status="draft")
    person = world.person()
    referral_id = world.submit(person, job_id=str(job["id"]))
    assert "blocked:job" in outcomes(world.settle())
    world.ats("reopen_job", job_id=job["id"])
    world.settle()
    assert tags(world.application(person))["referral_id"] == referral_id


def test_a_ping_and_types_that_nobody_knows_are_done_without_a_call(world: World):
    world.ats("add_source", name="Somewhere")  # nothing that is told
    world.settle()
    world.forget_calls()
    world.enter([_made("greenhouse", "ping", {"action": "ping", "payload": {}})])
    world.enter([_made("greenhouse", "odd", {"action": "interview_scorecard_eaten", "payload": {"id": 4}})])
    world.enter([_made("advocacy", "odd", {"type": "referral.sneezed", "data": {"id": "ref_1"}})])
    world.enter([_made("greenhouse", "void", {"action": "hire_candidate", "payload": {}})])
    assert sorted(outcomes(world.settle())) == ["ignored", "ignored", "ignored", "ping"]
    assert (world.calls("greenhouse"), world.calls("advocacy")) == ({}, {})


def _posted(world: World, job_id: int) -> dict[str, Any]:
    (found,) = [row for row in world.dump("advocacy")["jobs"] if row["id"] == str(job_id)]
    return found


def _made(system: str, delivery_id: str, body: dict[str, Any]) -> Delivery:
    return Delivery(system, delivery_id, "", None, json.dumps(body).encode())
