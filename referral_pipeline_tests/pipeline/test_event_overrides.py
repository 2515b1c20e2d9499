"""The owner decides who has the credit, and both systems follow: through the command, the lane, and both sandboxes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from referral_pipeline.cli import main
from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline_tests.pipeline.event_rig import Person, World, shared_world, tags, world

__all__ = ["shared_world", "world"]

OWNER = "talent-ops@example.com"
AMOUNT = 200_000


@pytest.fixture(autouse=True)
def _at_home(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFERRAL_PIPELINE_HOME", str(world.settings.home))


def ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat()


def command(*arguments: str) -> dict[str, Any]:
    answer = CliRunner().invoke(main, ["credit", *arguments, "--json"])
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.stdout)


def decide(application_id: int, *whose: str) -> dict[str, Any]:
    return command("override", str(application_id), *whose, "--reason", "she told him first", "--by", OWNER)


def hired_after_two(world: World) -> tuple[Person, str, str, int]:
    """A person whom two advocates referred, hired by now: the person, both referrals in time, the application."""
    person, job = world.person(), world.job()
    first, second = (
        world.submit(person, job_id=job, advocate_id=world.advocates[n], applied_at=ago(2 - n), submitted_at=ago(2 - n))
        for n in (0, 1)
    )
    world.settle()
    application_id = world.application(person)["id"]
    world.offer(application_id, starts_on=(datetime.now(UTC).date() - timedelta(days=100)).isoformat())
    world.ats("hire", application_id=application_id)
    world.settle()
    return person, first, second, application_id


EARNED = [("hired", 0), ("bonus_eligible", AMOUNT)]
TAKEN_BACK = [*EARNED, ("reversed", AMOUNT)]


def test_an_override_moves_advocate_and_recognition_and_its_end_moves_them_back(world: World):
    person, first, second, application_id = hired_after_two(world)
    assert tags(world.application(person))["advocate_id"] == world.advocates[1]
    assert (world.recognitions(first), world.recognitions(second)) == ([], EARNED)

    decide(application_id, "--referral", first)
    world.settle()
    carried = tags(world.application(person))
    assert (carried["advocate_id"], carried["referral_id"]) == (world.advocates[0], first)
    assert (world.recognitions(first), world.recognitions(second)) == (EARNED, TAKEN_BACK)

    command("revoke", str(application_id), "--reason", "a mistake", "--by", OWNER)
    world.settle()
    carried = tags(world.application(person))
    assert (carried["advocate_id"], carried["referral_id"]) == (world.advocates[1], second)
    assert (world.recognitions(first), world.recognitions(second)) == (TAKEN_BACK, [*TAKEN_BACK, *EARNED])


def test_when_nobody_is_to_have_the_credit_the_fields_are_emptied_and_all_is_reversed(world: World):
    person, first, second, application_id = hired_after_two(world)
    decide(application_id, "--nobody")
    world.settle()
    assert tags(world.application(person)) == {}
    assert (world.recognitions(first), world.recognitions(second)) == ([], TAKEN_BACK)


def test_a_refresh_follows_an_override_as_the_lane_does(world: World):
    person, first, second, application_id = hired_after_two(world)
    decide(application_id, "--referral", first)
    with Bridge.open(world.settings) as bridge:
        bridge.pull_ats()
        bridge.pull_advocacy()
        bridge.write_candidates()
        bridge.return_statuses()
    assert tags(world.application(person))["advocate_id"] == world.advocates[0]
    assert (world.recognitions(first), world.recognitions(second)) == (EARNED, TAKEN_BACK)
    world.settle()
    assert (world.recognitions(first), world.recognitions(second)) == (EARNED, TAKEN_BACK)


def test_nobody_has_the_credit_while_the_chosen_referral_is_withdrawn(world: World):
    person, first, second, application_id = hired_after_two(world)
    decide(application_id, "--referral", first)
    world.settle()
    world.advocacy("withdraw_referral", referral_id=first)
    world.settle()
    assert (world.recognitions(first), world.recognitions(second)) == (TAKEN_BACK, TAKEN_BACK)
    assert tags(world.application(person)) == {}


def test_a_referral_after_the_application_can_be_given_the_credit_and_loses_it_again(world: World):
    person, job = world.person(), world.job()
    world.by_hand(person, job=job)
    world.settle()
    late = world.submit(person, job_id=job)
    world.settle()
    application_id = world.application(person)["id"]
    assert tags(world.application(person)) == {}
    decide(application_id, "--referral", late)
    world.settle()
    assert tags(world.application(person))["referral_id"] == late
    command("revoke", str(application_id), "--reason", "a mistake", "--by", OWNER)
    world.settle()
    assert tags(world.application(person)) == {}
