"""What the advocacy platform tells becomes so in the ATS: through the lane, against both sandboxes."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from referral_pipeline_tests.pipeline.event_rig import World, outcomes, settled, shared_world, tags, world

__all__ = ["shared_world", "world"]


def ago(**distance: float) -> str:
    return (datetime.now(UTC) - timedelta(**distance)).isoformat()


# ---------------------------------------------------------------- submitted and edited


def test_a_submitted_referral_becomes_a_candidate_with_its_tags_and_its_status_comes_back(world: World):
    person = world.person()
    referral_id = world.submit(person)
    done = world.settle()
    application = world.application(person)
    expected = {"referral_id": referral_id, "advocate_id": world.advocates[0], "campaign_tag": "spring"}
    assert tags(application) == expected
    returned = world.referral(referral_id)
    assert returned["status"] == "applied"
    assert returned["ats"] == {
        "system": "greenhouse",
        "candidate_id": str(application["candidate_id"]),
        "application_id": str(application["id"]),
    }
    assert settled(done, "referral.submitted") == ["created"]


def test_the_same_delivery_many_times_makes_one_candidate(world: World):
    person = world.person()
    world.submit(person)
    (delivery,) = world.arrived()
    assert sum(world.enter([delivery] * 20)) == 1
    world.settle()
    assert sum(world.enter([delivery] * 3)) == 0
    assert world.settle() == []
    assert world.application(person)


def test_a_corrected_address_before_the_create_is_the_one_that_is_written(world: World):
    person = world.person(email="wrong@example.net")
    referral_id = world.submit(person, stage="clicked", applied_at=None)
    world.settle()
    world.advocacy("edit_referral", referral_id=referral_id, candidate={"email": "right@example.net"}, stage="applied")
    world.settle()
    assert [e["value"] for e in world.candidate(person)["email_addresses"]] == ["right@example.net"]


def test_a_corrected_address_after_the_create_makes_no_second_candidate(world: World):
    person = world.person()
    referral_id = world.submit(person)
    world.settle()
    world.advocacy("edit_referral", referral_id=referral_id, candidate={"email": "corrected@example.net"})
    world.settle()
    assert world.application(person)
    # Whoever is referred under the corrected address is the same person.
    world.submit(person, candidate={"email": "corrected@example.net", "phone": None}, job_id=world.jobs[1])
    world.settle()
    assert len({a["candidate_id"] for a in world.applications(person)}) == 1
    assert len(world.applications(person)) == 2


def test_engagement_that_grew_is_written_to_the_application(world: World):
    person = world.person()
    referral_id = world.submit(person, engagement={"clicks": 2, "shares": 1, "reach": 90})
    world.settle()
    assert tags(world.application(person))["clicks"] in {2, "2"}
    world.advocacy("edit_referral", referral_id=referral_id, engagement={"clicks": 7, "shares": 3, "reach": 400})
    done = world.settle()
    shown = tags(world.application(person))
    assert [int(shown[name]) for name in ("clicks", "shares", "reach")] == [7, 3, 400]
    assert settled(done, "referral.updated") == ["updated"]


def test_a_referral_made_over_to_another_advocate_moves_the_credit(world: World):
    person = world.person()
    referral_id = world.submit(person)
    world.settle()
    world.advocacy("edit_referral", referral_id=referral_id, advocate_id=world.advocates[1])
    world.settle()
    assert tags(world.application(person))["advocate_id"] == world.advocates[1]


def test_an_update_that_changes_nothing_for_the_ats_writes_nothing(world: World):
    person = world.person()
    referral_id = world.submit(person)
    world.settle()
    before = world.application(person)
    world.advocacy("edit_referral", referral_id=referral_id, candidate={"first_name": person.first_name.upper()})
    done = world.settle()
    assert outcomes(done) == ["unchanged"]
    assert world.application(person) == before


# ---------------------------------------------------------------- withdrawn, consent, gate


def test_a_referral_withdrawn_before_the_create_is_never_written(world: World):
    person = world.person()
    referral_id = world.submit(person)
    world.advocacy("withdraw_referral", referral_id=referral_id)
    world.settle()
    assert world.candidates(person) == []
    assert world.referral(referral_id)["status"] is None


def test_a_referral_withdrawn_after_the_create_leaves_the_record_alone_and_is_told_nothing_more(world: World):
    person = world.person()
    referral_id = world.submit(person)
    world.settle()
    before = world.application(person)
    world.advocacy("withdraw_referral", referral_id=referral_id)
    done = world.settle()
    assert outcomes(done) == ["blocked:withdrawn"]
    assert world.application(person) == before
    world.ats("move", application_id=before["id"], stage="Phone Screen")
    world.settle()
    assert world.referral(referral_id)["status"] == "applied"
    assert tags(world.application(person)) == tags(before)


def test_consent_taken_back_stops_both_ways_and_given_again_opens_them(world: World):
    person = world.person()
    referral_id = world.submit(person)
    world.settle()
    consent = world.referral(referral_id)["consent"]
    world.advocacy("withdraw_consent", referral_id=referral_id)
    assert outcomes(world.settle()) == ["blocked:no_consent"]
    application = world.application(person)
    world.ats("move", application_id=application["id"], stage="Phone Screen")
    world.settle()
    assert world.referral(referral_id)["status"] == "applied"
    world.advocacy("edit_referral", referral_id=referral_id, consent=consent)
    world.settle()
    assert world.referral(referral_id)["status"] == "interviewed"
    assert len(world.applications(person)) == 1


def test_a_referral_without_consent_is_written_once_consent_is_given(world: World):
    person = world.person()
    referral_id = world.submit(person, consent=None)
    assert outcomes(world.settle()) == ["blocked:no_consent"]
    assert world.candidates(person) == []
    consent = {"granted": True, "basis": "consent", "granted_at": ago(seconds=1), "expires_at": None}
    world.advocacy("edit_referral", referral_id=referral_id, consent=consent)
    world.settle()
    assert tags(world.application(person))["referral_id"] == referral_id


def test_a_country_outside_the_contract_is_never_written_and_an_allowed_one_however_it_is_typed(world: World):
    person = world.person(country="BR")
    referral_id = world.submit(person)
    assert outcomes(world.settle()) == ["blocked:country"]
    assert world.candidates(person) == []
    world.advocacy("edit_referral", referral_id=referral_id, candidate={"country": " de "})
    world.settle()
    assert world.application(person)


def test_a_click_waits_until_it_is_an_application(world: World):
    person = world.person()
    referral_id = world.submit(person, stage="clicked", applied_at=None)
    assert outcomes(world.settle()) == ["blocked:stage"]
    assert world.candidates(person) == []
    world.advocacy("edit_referral", referral_id=referral_id, stage="applied", applied_at=ago(seconds=0))
    world.settle()
    assert world.referral(referral_id)["status"] == "applied"


def test_a_referral_that_cannot_be_written_is_quarantined_and_written_once_it_is_mended(world: World):
    person = world.person()
    referral_id = world.submit(person, candidate={"email": "no address at all"})
    assert outcomes(world.settle()) == ["quarantined:email"]
    assert world.candidates(person) == []
    world.advocacy("edit_referral", referral_id=referral_id, candidate={"email": person.email})
    world.settle()
    assert world.application(person)


@pytest.mark.parametrize("status", ["closed", "draft"])
def test_a_referral_for_a_job_that_takes_nobody_is_held_back(world: World, status: str):
    job = next(row for row in world.dump("greenhouse")["jobs"] if row["status"] == status)
    person = world.person()
    world.submit(person, job_id=str(job["id"]))
    assert outcomes(world.settle()) == ["blocked:job"]
    assert world.candidates(person) == []


# ---------------------------------------------------------------- shares, clicks, erasure


def test_a_share_that_is_told_after_its_referral_completes_the_tags(world: World):
    content = next(row for row in world.content if row["job_id"] == world.jobs[0])
    share = world.advocacy("add_share", advocate_id=world.advocates[2], content_id=content["id"])
    late = world.arrived()
    person = world.person()
    referral_id = world.submit(person, advocate_id=world.advocates[2], share_id=share["id"], campaign_tag=None)
    world.settle()
    shown = tags(world.application(person))
    assert (shown["share_id"], shown["content_id"]) == (share["id"], content["id"])
    assert shown["campaign_tag"] == content["campaign_tag"]
    world.enter(late)
    assert outcomes(world.settle()) == ["kept"]
    assert tags(world.application(person)) == {**shown, "referral_id": referral_id}


def test_a_click_is_noted_and_costs_no_call(world: World):
    share = world.dump("advocacy")["shares"][0]
    world.submit(world.person())
    world.settle()
    world.forget_calls()
    world.advocacy("add_click", share_id=share["id"])
    assert outcomes(world.settle()) == ["noted"]
    assert world.calls("greenhouse") == {}
    assert world.calls("advocacy") == {}


def test_an_erased_candidate_is_forgotten_here_and_never_written_again(world: World):
    person = world.person()
    referral_id = world.submit(person)
    world.settle()
    before = world.application(person)
    world.advocacy("erase", referral_id=referral_id)
    assert outcomes(world.settle()) == ["blocked:erased"]
    assert world.ledger.mirror("advocacy", "referrals", [referral_id]) == {}
    assert world.ledger.keys_of([f"advocacy:{referral_id}"]) == []
    again = world.submit(person, job_id=world.jobs[1])
    assert outcomes(world.settle()) == ["blocked:erased"]
    assert world.application(person) == before
    assert world.referral(again)["status"] is None


def test_a_person_erased_before_the_create_is_never_written(world: World):
    person = world.person()
    referral_id = world.submit(person)
    submitted = world.arrived()
    world.advocacy("erase", referral_id=referral_id)
    world.enter(world.arrived())
    world.settle()
    world.enter(submitted)
    world.settle()
    assert world.candidates(person) == []


# ---------------------------------------------------------------- several referrals of one person


def test_two_advocates_for_one_job_share_an_application_that_carries_who_came_last(world: World):
    person = world.person()
    first = world.submit(person, applied_at=ago(days=2), submitted_at=ago(days=2))
    world.settle()
    assert tags(world.application(person))["advocate_id"] == world.advocates[0]
    # Told later, but it happened before the application: the credit is theirs.
    second = world.submit(person, advocate_id=world.advocates[1], applied_at=ago(days=1), submitted_at=ago(days=1))
    world.settle()
    application = world.application(person)
    assert tags(application)["advocate_id"] == world.advocates[1]
    assert tags(application)["referral_id"] == second
    world.ats("move", application_id=application["id"], stage="Phone Screen")
    world.settle()
    assert [world.referral(i)["status"] for i in (first, second)] == ["interviewed", "interviewed"]


def test_an_advocate_who_came_after_the_application_earns_nothing_and_hears_its_status(world: World):
    person = world.person()
    first = world.submit(person)
    world.settle()
    late = world.submit(person, advocate_id=world.advocates[1])
    world.settle()
    assert tags(world.application(person))["referral_id"] == first
    assert world.referral(late)["status"] == "applied"


def test_the_credit_goes_back_when_the_referral_that_held_it_is_withdrawn(world: World):
    person = world.person()
    first = world.submit(person, applied_at=ago(days=2), submitted_at=ago(days=2))
    second = world.submit(person, advocate_id=world.advocates[1], applied_at=ago(days=1), submitted_at=ago(days=1))
    world.settle()
    assert tags(world.application(person))["referral_id"] == second
    world.advocacy("withdraw_referral", referral_id=second)
    world.settle()
    assert tags(world.application(person))["referral_id"] == first
    assert tags(world.application(person))["advocate_id"] == world.advocates[0]


def test_many_referrals_of_one_person_at_once_are_one_candidate(world: World):
    person = world.person()
    referrals = [
        world.submit(person, advocate_id=world.advocates[n % len(world.advocates)], job_id=world.jobs[n % 3])
        for n in range(12)
    ]
    world.settle()
    applications = world.applications(person)
    assert len({a["candidate_id"] for a in applications}) == 1
    assert sorted(str(a["job_id"]) for a in applications) == sorted(world.jobs)
    assert {world.referral(i)["status"] for i in referrals} == {"applied"}


def test_one_person_for_two_jobs_is_one_candidate_with_two_applications(world: World):
    person = world.person()
    first, second = world.submit(person), world.submit(person, job_id=world.jobs[1], advocate_id=world.advocates[1])
    world.settle()
    applications = world.applications(person)
    assert len(world.candidates(person)) == 1
    assert {(str(a["job_id"]), tags(a)["referral_id"], tags(a)["advocate_id"]) for a in applications} == {
        (world.jobs[0], first, world.advocates[0]),
        (world.jobs[1], second, world.advocates[1]),
    }


def test_the_same_number_under_another_address_is_the_same_person(world: World):
    person = world.person()
    world.submit(person)
    world.settle()
    national = "0" + (person.phone or "").removeprefix("+49").strip()
    world.submit(person, candidate={"email": f"other.{person.email}", "phone": national}, job_id=world.jobs[1])
    world.settle()
    assert len(world.candidates(person)) == 1
    assert len(world.applications(person)) == 2


def test_a_mailbox_of_several_people_never_merges_them(world: World):
    one = world.person(email="office@example.net")
    other = world.person(email="office@example.net")
    world.submit(one)
    world.settle()
    world.submit(other)
    world.settle()
    assert world.candidate(one)["id"] != world.candidate(other)["id"]
    assert world.application(one)
    assert world.application(other)


# ---------------------------------------------------------------- typed in by hand


def test_a_candidate_typed_in_by_hand_is_taken_with_its_application(world: World):
    person = world.person()
    typed = world.by_hand(person, job=world.jobs[0])
    world.settle()
    referral_id = world.submit(person, applied_at=ago(days=1), submitted_at=ago(days=1))
    done = world.settle()
    assert settled(done, "referral.submitted") == ["matched"]
    assert world.candidate(person)["id"] == typed["id"]
    assert tags(world.application(person))["referral_id"] == referral_id
    assert world.referral(referral_id)["status"] == "applied"


def test_a_candidate_typed_in_by_hand_without_the_job_gets_an_application(world: World):
    person = world.person()
    typed = world.by_hand(person)
    world.settle()
    referral_id = world.submit(person)
    assert settled(world.settle(), "referral.submitted") == ["application_opened"]
    assert world.candidate(person)["id"] == typed["id"]
    assert tags(world.application(person))["referral_id"] == referral_id


# ---------------------------------------------------------------- what it costs


def test_a_fresh_event_is_taken_as_it_came_and_one_older_than_a_minute_is_read_anew(world: World):
    person = world.person()
    referral_id = world.submit(person, campaign_tag="old")
    stale = world.arrived()
    world.advocacy("edit_referral", referral_id=referral_id, campaign_tag="new")
    world.arrived()  # never delivered
    world.ahead += timedelta(seconds=90)
    world.forget_calls()
    world.enter(stale)
    world.settle()
    assert world.calls("advocacy")["GET /v1/referrals/{id}"] == 1
    assert tags(world.application(person))["campaign_tag"] == "new"


def test_a_fresh_event_costs_no_read_on_the_platform(world: World):
    world.submit(world.person())
    world.settle()
    world.forget_calls()
    world.submit(world.person())
    world.settle()
    assert "GET /v1/referrals/{id}" not in world.calls("advocacy")


def test_a_stale_event_of_a_referral_that_is_gone_is_done(world: World):
    person = world.person()
    referral_id = world.submit(person)
    stale = world.arrived()
    world.advocacy("erase", referral_id=referral_id)
    world.arrived()  # never delivered
    world.ahead += timedelta(seconds=90)
    world.enter(stale)
    assert outcomes(world.settle()) == ["gone"]
    assert world.candidates(person) == []


def test_an_empty_inbox_is_worked_off_at_once(world: World):
    world.settle()
    assert world.work() == []


def test_a_job_that_closed_without_a_word_holds_the_referral_back_and_kills_no_event(world: World):
    job = world.job()
    world.settle()
    with world.lane() as lane:
        working = threading.Thread(target=lane.engine.run, args=(lane.stop,))
        working.start()
        try:
            world.submit(world.person(), job_id=job)
            world.enter(one for one in world.arrived() if one.system == "advocacy")
            assert lane.engine.reports.get(timeout=20).outcome == "created"
            world.ats("close_job", job_id=int(job))
            world.arrived()  # and nobody delivers it
            late = world.submit(world.person(), job_id=job)
            world.enter(one for one in world.arrived() if one.system == "advocacy")
            told = [lane.engine.reports.get(timeout=20).outcome]
            while told[-1].startswith("again"):
                told.append(lane.engine.reports.get(timeout=20).outcome)
        finally:
            lane.stop.set()
            working.join()
    assert told[-1] == "blocked:job"
    link = world.ledger.link(late)
    assert link is not None
    assert link.application_id is None
