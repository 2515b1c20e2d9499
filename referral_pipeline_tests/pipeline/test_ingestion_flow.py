"""Referrals that become candidates by a partner's key: the lane's way, with the credit that Harvest cannot give."""

from __future__ import annotations

import pytest

from referral_pipeline.contract.scaffold import sandbox_contract
from referral_pipeline_tests.pipeline.event_rig import World, shared_world, tags
from referral_pipeline_tests.pipeline.event_rig import world as _world

__all__ = ["shared_world"]

world = _world


@pytest.fixture(scope="module", autouse=True)
def handing_in(shared_world: World) -> None:
    """The installation's contract, with the partner's way in."""
    user = next(row["primary_email"] for row in shared_world.dump("ats")["users"] if row["primary_email"])
    path = shared_world.settings.home / "data" / "integration.yaml"
    head, ats, tail = sandbox_contract().partition("ats:\n")
    options = f"  options:\n    ingestion: {{api_key_env: GREENHOUSE_INGESTION_API_KEY, on_behalf_of: {user}}}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + ats + tail.replace("  options:\n", options, 1), encoding="utf-8")


def test_a_referral_becomes_one_candidate_credited_to_an_advocate_who_is_no_user_of_the_ats(world: World):
    users = {row["primary_email"].casefold() for row in world.dump("ats")["users"]}
    strangers = [a for a in world.dump("advocacy")["advocates"] if a["eligible"] and a["email"].casefold() not in users]
    advocate = strangers[0]
    person = world.person()
    world.forget_calls()
    referral_id = world.submit(person, advocate_id=advocate["id"])
    world.settle()
    application = world.application(person)
    assert tags(application)["referral_id"] == referral_id
    assert world.calls("greenhouse")["POST /v1/partner/candidates"] == 1
    assert "POST /v3/candidates" not in world.calls("greenhouse")
    referrers = {row["id"]: row for row in world.dump("ats")["referrers"]}
    assert referrers[application["referrer_id"]]["name"] == advocate["email"].partition("@")[0]
    assert world.referral(referral_id)["ats"]["application_id"] == str(application["id"])


def test_the_same_referral_told_again_makes_nobody_twice(world: World):
    person = world.person()
    referral_id = world.submit(person)
    world.settle()
    world.hint(("advocacy", f"referral:{referral_id}"))
    world.work()
    world.advocacy("edit_referral", referral_id=referral_id)
    world.settle()
    assert len(world.candidates(person)) == 1
    assert len(world.applications(person)) == 1
