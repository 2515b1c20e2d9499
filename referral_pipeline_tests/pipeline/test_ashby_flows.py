"""What happens in Ashby and on the platform is told both ways, by webhooks and the lane.

All that goes to and fro is held against the vendor's own document.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime, timedelta

import pytest

from referral_pipeline.connectors.ashby_signature import AshbySignature
from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline.settings import load_settings
from referral_pipeline_tests import openapi
from referral_pipeline_tests.pipeline.conftest import installed
from referral_pipeline_tests.pipeline.event_rig import TINY, World, settled, tags
from referral_pipeline_tests.unit.webhook_receiver import Receiver, receiving
from referral_pipeline_tests.watching import Exchange, watching


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory, shared_patch: pytest.MonkeyPatch
) -> Generator[tuple[World, Receiver, list[Exchange]]]:
    with (
        Sandbox(size=TINY, rate_limit=1_000_000, ats="ashby") as sandbox,
        receiving() as receiver,
        watching(sandbox.ats_url) as (url, exchanges),
    ):
        home = installed(tmp_path_factory.mktemp("events") / "home", sandbox, shared_patch).home
        shared_patch.setenv("REFERRAL_PIPELINE_ATS_BASE_URL", url)
        made = World(load_settings(home), sandbox, receiver)
        try:
            yield made, receiver, exchanges
        finally:
            made.ledger.close()


@pytest.fixture
def world(watched: tuple[World, Receiver, list[Exchange]]) -> Generator[World]:
    """The module's world, at the present; afterwards the calls of the test are held against the document."""
    made, _, exchanges = watched
    made.ahead = timedelta(0)
    exchanges.clear()
    yield made
    assert exchanges
    if openapi.ASHBY_DOCUMENT.is_file():
        for one in exchanges:
            assert openapi.ashby_request_problems(one.call, one.body) == []
            assert one.status != 200 or openapi.ashby_answer_problems(one.call, one.answer) == []


def written(world: World) -> tuple[str, str]:
    """A referral that is in the ATS, for a job of its own: its id, its application's."""
    person = world.person()
    referral_id = world.submit(person, job_id=world.job())
    world.settle()
    return referral_id, world.application(person)["id"]


def test_a_referral_becomes_an_application_and_its_echo_changes_nothing(world: World):
    person = world.person()
    referral_id = world.submit(person)
    world.enter(world.arrived())
    world.work()
    assert tags(world.application(person))["referral_id"] == referral_id
    echo = [one for one in world.arrived() if one.system == "ashby"]
    assert {one.type for one in echo} >= {"applicationSubmit"}
    world.enter(echo)
    world.work()
    assert len(world.applications(person)) == 1
    assert world.referral(referral_id)["status"] == "applied"


def test_what_arrives_is_signed_with_the_key_of_the_contract(
    world: World, watched: tuple[World, Receiver, list[Exchange]]
):
    written(world)
    scheme = AshbySignature([world.settings.secret("ASHBY_WEBHOOK_SECRET")])
    told = [one for one in watched[1].got if one.path.endswith("/ashby")]
    ids = [scheme.verify(one.headers, one.body, datetime.now(UTC)) for one in told]
    assert len(ids) > 1
    assert len(set(ids)) == len(ids)


def test_what_recruiters_do_in_ashby_comes_back_and_can_be_undone(world: World):
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
        world.ats(act, application_id=application, **details)
        world.settle()
        assert world.referral(referral_id)["status"] == status, act


def test_a_hire_that_is_told_three_times_is_recognised_once_and_begins_when_the_offer_says(world: World):
    referral_id, application = written(world)
    world.ats("move", application_id=application, stage="Offer")
    starts_on = (datetime.now(UTC).date() + timedelta(days=30)).isoformat()
    world.offer(application, starts_on)
    world.settle()
    world.ats("hire", application_id=application)
    done = world.settle()
    assert {"candidateHire", "applicationUpdate", "candidateStageChange"} <= {one.event_type for one in done}
    row = world.referral(referral_id)
    assert row["starts_on"] == starts_on
    assert world.recognitions(referral_id) == [("hired", 0)]


def test_a_candidate_who_is_deleted_is_not_made_again(world: World):
    person = world.person()
    referral_id = world.submit(person, job_id=world.job())
    world.settle()
    world.ats("delete_candidate", candidate_id=world.candidate(person)["id"])
    deleted = [one for one in world.arrived() if one.type == "candidateDelete"]
    assert len(deleted) == 1
    world.enter(deleted)
    world.work()
    world.advocacy("edit_referral", referral_id=referral_id, campaign_tag="autumn")
    world.settle()
    assert world.candidates(person) == []


def test_an_event_about_an_application_of_a_stranger_writes_nothing(world: World):
    person = world.person()
    world.by_hand(person, job=world.jobs[0])
    done = world.settle()
    assert settled(done, "applicationSubmit") == ["not_ours"]
    assert tags(world.application(person)) == {}


def test_what_a_refresh_asks_of_ashby_and_is_answered_is_as_documented(world: World):
    person = world.person()
    referral_id = world.submit(person)
    with Bridge.open(world.settings) as bridge:
        bridge.pull_advocacy(full=True)
        bridge.pull_ats(full=True)
        bridge.write_candidates()
        bridge.return_statuses()
        bridge.publish_jobs()
        bridge.pull_ats()
    assert tags(world.application(person))["referral_id"] == referral_id
    assert world.referral(referral_id)["status"] == "applied"
    world.arrived()
