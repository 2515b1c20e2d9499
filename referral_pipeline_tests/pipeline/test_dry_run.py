"""`dry-run` and transforms against both sandboxes: what it shows is what is then written, and itself writes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from referral_pipeline.cli import main
from referral_pipeline_tests.pipeline.event_rig import Person, World, shared_world, tags
from referral_pipeline_tests.pipeline.event_rig import world as _world

__all__ = ["shared_world"]

world = _world
CHANGES = (
    ("      reach: reach\n", "      channel: reach\n"),
    (
        "  - {from: advocacy.engagement.reach, to: ats.application.custom_fields.reach}\n",
        "  - from: advocacy.share.channel\n"
        "    to: ats.application.custom_fields.channel\n"
        '    transform: {map: {linkedin: LinkedIn}, default: elsewhere, template: "Seen: {value}"}\n',
    ),
)


@pytest.fixture(scope="module", autouse=True)
def transforming(shared_world: World) -> None:
    """The installation's contract, with a field that is transformed on its way."""
    from referral_pipeline.contract.scaffold import sandbox_contract

    path = shared_world.settings.home / "data" / "integration.yaml"
    text = sandbox_contract()
    for old, new in CHANGES:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def dry_run(referral_id: str) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["dry-run", referral_id, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def written_to(world: World) -> dict[str, int]:
    """Calls to either side that change something."""
    reads = (".list", ".get", ".search", "GET ")
    calls = {**world.calls("greenhouse"), **{f"advocacy {k}": n for k, n in world.calls("advocacy").items()}}
    return {name: count for name, count in calls.items() if not any(part in name for part in reads)}


def share_of(world: World, channel: str) -> dict[str, Any]:
    return next(row for row in world.dump("advocacy")["shares"] if row["channel"] == channel)


def submitted(world: World, person: Person, channel: str) -> str:
    share = share_of(world, channel)
    return world.submit(person, share_id=share["id"], advocate_id=share["advocate_id"], job_id=world.jobs[0])


def test_what_a_dry_run_shows_is_what_the_lane_then_writes_and_it_writes_nothing_itself(world: World):
    person = world.person()
    referral_id = submitted(world, person, "linkedin")
    world.forget_calls()
    before = world.ledger.link(referral_id)
    shown = dry_run(referral_id)
    assert written_to(world) == {}
    assert world.ledger.link(referral_id) == before
    assert world.candidates(person) == []
    assert (shown["does"], shown["block"], shown["application_id"]) == ("create_candidate", None, None)
    fields = {field["name"]: field["value"] for field in shown["fields"]}
    assert fields["channel"] == "Seen: LinkedIn"
    assert next(f for f in shown["fields"] if f["name"] == "channel")["transformed"]
    (payload,) = shown["payloads"]
    assert (payload["method"], payload["path"]) == ("POST", "/v3/candidates")
    world.settle()
    there = tags(world.application(person))
    assert there.pop("reach") == "Seen: LinkedIn"
    assert there == {name: value for name, value in fields.items() if name != "channel" and value is not None}


def test_no_name_address_or_number_is_shown(world: World):
    person = world.person()
    referral_id = submitted(world, person, "email")
    for arguments in (["dry-run", referral_id], ["dry-run", referral_id, "--json"]):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        for secret in (person.first_name, person.last_name, person.email, "+49309", "zander"):
            assert secret not in result.output
        assert "characters)" in result.output
    assert "Seen: elsewhere" in result.output


def test_a_number_in_national_form_is_not_shown_with_its_country_either(world: World):
    person = world.person(phone="030 9000001")
    referral_id = submitted(world, person, "linkedin")
    result = CliRunner().invoke(main, ["dry-run", referral_id])
    assert result.exit_code == 0, result.output
    assert "9000001" not in result.output


def test_a_mailbox_that_others_use_proves_nothing_to_a_dry_run_either(world: World):
    mailbox = "reception@college.example.net"
    for name in ("Ina", "Jon"):
        world.by_hand(world.person(first_name=name, email=mailbox, phone=None), job=world.jobs[1])
    person = world.person(first_name="I.", email=mailbox, phone=None)
    referral_id = submitted(world, person, "linkedin")
    shown = dry_run(referral_id)
    world.settle()
    candidate = world.candidate(person)
    is_new = shown["does"] == "create_candidate"
    assert is_new or shown["candidate_id"] == str(candidate["id"])
    assert is_new == (len(world.candidates(person)) == 1 and candidate["first_name"] == "I.")


def test_a_referral_that_is_written_and_right_shows_that_nothing_would_be_sent(world: World):
    person = world.person()
    referral_id = submitted(world, person, "linkedin")
    world.settle()
    shown = dry_run(referral_id)
    application = world.application(person)
    assert (shown["does"], shown["application_id"]) == ("nothing", str(application["id"]))
    (payload,) = shown["payloads"]
    assert payload["path"] == f"/v1/referrals/{referral_id}", "the status that is returned"
    assert payload["body"]["status"] == "applied"
    world.ats("edit_application", application_id=application["id"], custom_fields={"reach": "something else"})
    shown = dry_run(referral_id)
    assert shown["does"] == "update_application"
    assert shown["payloads"][0]["method"] == "PATCH"


def test_who_is_known_to_the_ats_gets_an_application_and_no_second_candidate(world: World):
    person = world.person()
    known = world.by_hand(person, job=world.jobs[1])
    referral_id = submitted(world, person, "linkedin")
    shown = dry_run(referral_id)
    assert (shown["does"], shown["candidate_id"]) == ("create_application", str(known["id"]))


def test_a_referral_that_may_not_be_written_says_why(world: World):
    abroad = world.submit(world.person(country="BR"))
    assert dry_run(abroad)["block"] == "country"
    result = CliRunner().invoke(main, ["dry-run", abroad])
    assert "held back: the candidate's country is not in privacy.allowed_countries" in result.output
    assert "would write: nothing" in result.output
    result = CliRunner().invoke(main, ["dry-run", "ref_of_nobody"])
    assert result.exit_code == 1
    assert "shows no referral of this id" in result.output
