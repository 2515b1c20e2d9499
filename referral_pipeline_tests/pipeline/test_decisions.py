"""What people decided holds for the next event and for the next refresh alike, and is carried out in the ATS."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from referral_pipeline.ledger.records import IdentityDecision, IdentityKey
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline.sync.lane.people import People
from referral_pipeline.warehouse.people import PeopleReport, build_people
from referral_pipeline_tests.pipeline.event_rig import World, shared_world, tags, world

__all__ = ["shared_world", "world"]

BY = "analyst@example.com"


def decide(world: World, verdict: str, left: str, right: str, **more: Any) -> IdentityDecision:
    made = world.ledger.decide_identity(verdict, [left], [right], reason="seen both", decided_by=BY, **more)
    return made.decision


def persons(world: World) -> dict[str, str]:
    """Who is who by a refresh of everything."""
    with Bridge.open(world.settings) as bridge:
        bridge.pull_advocacy(full=True)
        bridge.pull_ats(full=True)
        return dict(bridge.resolve_people().person_of)


def waiting_referral(world: World, person: Any) -> str:
    """A referral that is not due yet."""
    referral_id = world.submit(person, stage="clicked", applied_at=None)
    world.settle()
    return referral_id


def becomes_due(world: World, referral_id: str) -> None:
    world.advocacy("edit_referral", referral_id=referral_id, stage="applied")
    world.settle()


def test_after_distinct_the_next_event_makes_a_candidate_of_its_own_beside_the_one_of_the_same_mailbox(world: World):
    person = world.person()
    typed_in = world.by_hand(person)
    referral_id = waiting_referral(world, person)
    decide(world, "distinct", f"advocacy:{referral_id}", f"greenhouse:{typed_in['id']}")
    becomes_due(world, referral_id)
    assert len(world.candidates(person)) == 2
    [application] = world.applications(person)
    assert application["candidate_id"] != typed_in["id"]
    assert tags(application)["referral_id"] == referral_id
    who = persons(world)
    own = f"greenhouse:{application['candidate_id']}"
    assert who[f"advocacy:{referral_id}"] == who[own] != who[f"greenhouse:{typed_in['id']}"]


def test_a_distinct_decision_that_was_undone_lets_the_next_event_find_the_candidate_of_the_mailbox(world: World):
    person = world.person()
    typed_in = world.by_hand(person)
    referral_id = waiting_referral(world, person)
    made = decide(world, "distinct", f"advocacy:{referral_id}", f"greenhouse:{typed_in['id']}")
    world.ledger.revoke_identity_decision(made.id, by=BY, reason="a mistake")
    becomes_due(world, referral_id)
    assert world.candidate(person)["id"] == typed_in["id"] == world.application(person)["candidate_id"]


def test_after_merge_the_next_event_writes_to_the_candidate_that_it_has_nothing_in_common_with(world: World):
    person, other = world.person(), world.person()
    typed_in = world.by_hand(other)
    referral_id = waiting_referral(world, person)
    decide(world, "merge", f"advocacy:{referral_id}", f"greenhouse:{typed_in['id']}")
    becomes_due(world, referral_id)
    assert world.candidates(person) == []
    application = world.application(other)
    assert application["candidate_id"] == typed_in["id"]
    assert tags(application)["referral_id"] == referral_id
    who = persons(world)
    assert who[f"advocacy:{referral_id}"] == who[f"greenhouse:{typed_in['id']}"]


def test_a_merge_is_followed_through_a_third_record_that_only_its_other_side_knows(world: World):
    """The referral is merged with an earlier referral; whose candidate it is, only that one's link tells."""
    person, other = world.person(), world.person()
    earlier = world.submit(other, job_id=world.job())
    world.settle()
    candidate = world.candidate(other)
    later = waiting_referral(world, person)
    decide(world, "merge", f"advocacy:{later}", f"advocacy:{earlier}")
    becomes_due(world, later)
    assert world.candidates(person) == []
    assert {a["candidate_id"] for a in world.applications(other)} == {candidate["id"]}
    assert len(world.applications(other)) == 2


def test_a_decision_costs_an_event_one_query_where_there_is_none(world: World, monkeypatch: Any):
    asked: list[int] = []
    plain = Ledger.identity_decisions_of

    def counted(ledger: Any, record_ids: Any, **more: Any) -> Any:
        asked.append(1)
        return plain(ledger, record_ids, **more)

    monkeypatch.setattr(Ledger, "identity_decisions_of", counted)
    around: list[int] = []
    look = People.around

    def looked(*arguments: Any, **more: Any) -> Any:
        around.append(1)
        return look(*arguments, **more)

    monkeypatch.setattr(People, "around", looked)
    world.submit(world.person())
    world.settle()
    assert around
    assert len(asked) == len(around)


# ---------------------------------------------------------------- a refresh and the lane at once


def test_what_the_lane_learns_of_a_candidate_during_a_refresh_is_there_after_it(world: World, monkeypatch: Any):
    person = world.person()
    typed_in = world.by_hand(person)
    record = f"greenhouse:{typed_in['id']}"
    persons(world)
    [known] = [key for key in world.ledger.keys_of([record]) if key.kind == "email"]
    corrected = replace(known, key_hash="0" * 64)

    def meanwhile(*arguments: Any, **more: Any) -> PeopleReport:
        report = build_people(*arguments, **more)
        world.ledger.save_identity_keys([corrected], all_keys_of=[record])
        return report

    with Bridge.open(world.settings) as bridge, monkeypatch.context() as patch:
        patch.setattr("referral_pipeline.orchestration.steps_identity.build_people", meanwhile)
        bridge.resolve_people()
    assert world.ledger.keys_of([record]) == [corrected]
    persons(world)
    assert known in world.ledger.keys_of([record])


def test_a_deleted_candidate_is_forgotten_by_a_full_pull_and_one_that_no_pull_has_shown_is_not(world: World):
    typed_in = world.by_hand(world.person())
    gone, unseen = f"greenhouse:{typed_in['id']}", "greenhouse:987654321"
    persons(world)
    assert world.ledger.keys_of([gone])
    world.ledger.save_identity_keys([IdentityKey("1" * 64, "email", "greenhouse", unseen, "per_lane")])
    world.ats("delete_candidate", candidate_id=typed_in["id"])
    persons(world)
    assert world.ledger.keys_of([gone]) == []
    assert world.ledger.keys_of([unseen])
    world.ledger.forget_records([unseen])


# ---------------------------------------------------------------- in the ATS


@contextmanager
def merging_bridge(world: World) -> Generator[Bridge]:
    """A bridge whose contract lets merges be carried out in the ATS."""
    with Bridge.open(world.settings) as bridge:
        rules = bridge.contract.rules
        dedupe = rules.dedupe.model_copy(update={"merge_in_ats": True})
        rules = rules.model_copy(update={"dedupe": dedupe})
        bridge.contract = bridge.contract.model_copy(update={"rules": rules})
        yield bridge


def test_a_refresh_merges_in_the_ats_and_the_same_refresh_goes_on_with_the_survivor(world: World):
    first, second = world.person(), world.person()
    old = world.by_hand(first, job=world.job())
    referral_id = world.submit(second)
    world.settle()
    young = world.candidate(second)
    before = {a["id"] for a in (*world.applications(first), *world.applications(second))}
    assert len(before) == 2
    persons(world)
    decide(world, "merge", f"greenhouse:{old['id']}", f"greenhouse:{young['id']}", in_ats=True)
    with merging_bridge(world) as bridge:
        report = bridge.merge_candidates()
        bridge.pull_ats()
        who = dict(bridge.resolve_people().person_of)
        written = bridge.write_candidates().report
    assert (report.failures, written.failures) == ([], [])
    assert world.candidates(second) == []
    assert {a["id"] for a in world.dump("greenhouse")["applications"] if a["candidate_id"] == old["id"]} == before
    link = world.ledger.link(referral_id)
    assert link is not None
    assert link.candidate_id == str(old["id"])
    assert who[f"advocacy:{referral_id}"] == who[f"greenhouse:{old['id']}"]
    world.settle()
    assert world.candidates(second) == []
    assert world.referral(referral_id)["ats"]["candidate_id"] == str(old["id"])


def test_no_merge_is_made_in_the_ats_while_the_contract_does_not_say_so(world: World):
    first, second = world.person(), world.person()
    a, b = world.by_hand(first), world.by_hand(second)
    made = decide(world, "merge", f"greenhouse:{a['id']}", f"greenhouse:{b['id']}", in_ats=True)
    with Bridge.open(world.settings) as bridge:
        assert not bridge.merge_candidates().counts
    assert world.candidates(first)
    assert world.candidates(second)
    world.ledger.revoke_identity_decision(made.id, by=BY, reason="only for this test")
