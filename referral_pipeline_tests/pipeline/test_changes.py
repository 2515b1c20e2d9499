"""What happens between two runs (late edits, hires, merges, deletions, withdrawals) and what becomes of it.

All but the last test share one installation and a tiny programme, each with people of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from referral_pipeline.contract.loader import load_contract
from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline_tests.pipeline.conftest import Installation, installed
from referral_pipeline_tests.pipeline.event_rig import TINY

_NUMBERS = count(1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_patch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """An installation whose first levelling is done, with openings for all that the tests hire."""
    with Sandbox(size=TINY) as sandbox:
        made = installed(tmp_path_factory.mktemp("changes") / "home", sandbox, shared_patch)
        for job in open_jobs(made):
            for _ in range(3):
                made.act("greenhouse", "add_opening", job_id=job["id"])
        assert made.level().candidates.failures == []
        yield made


@pytest.fixture
def quirina() -> dict[str, Any]:
    """The form of a person whom nobody knows yet; her last name is nobody else's."""
    number = next(_NUMBERS)
    name = "Zandbergen" + "".join("abcdefghij"[int(digit)] for digit in f"{number:03}")
    return {
        "first_name": "Quirina",
        "last_name": name,
        "email": f"quirina.{name.lower()}@example.net",
        "phone": f"+49 30 901{number:03}",
        "country": "DE",
    }


def open_jobs(running: Installation) -> list[dict[str, Any]]:
    return [j for j in running.dump("greenhouse")["jobs"] if j["status"] == "open"]


def advocates(running: Installation) -> list[str]:
    return sorted(a["id"] for a in running.dump("advocacy")["advocates"] if a["eligible"] and not a["left_at"])


def submit(running: Installation, person: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A new referral with consent, for an open job, by an advocate."""
    values = {
        "advocate_id": advocates(running)[0],
        "job_id": str(open_jobs(running)[0]["id"]),
        "campaign_tag": "late-spring",
        "candidate": person,
        **fields,
    }
    return running.act("advocacy", "submit_referral", **values)


def application_of(running: Installation, referral_id: str) -> dict[str, Any]:
    (found,) = [a for a in running.dump("greenhouse")["applications"] if tag(a, "referral_id") == referral_id]
    return found


def tag(application: dict[str, Any], name: str) -> str | None:
    return ((application["custom_fields"] or {}).get(name) or {}).get("value")


def candidates_of(running: Installation, person: dict[str, Any]) -> list[dict[str, Any]]:
    return [c for c in running.dump("greenhouse")["candidates"] if c["last_name"] == person["last_name"]]


def test_a_new_referral_becomes_one_candidate_that_carries_its_advocate(running, quirina):
    referral = submit(running, quirina)
    levelled = running.level()
    application = application_of(running, referral["id"])
    (candidate,) = candidates_of(running, quirina)
    assert application["candidate_id"] == candidate["id"]
    assert candidate["email_addresses"][0]["value"] == quirina["email"]
    assert tag(application, "advocate_id") == referral["advocate_id"]
    assert tag(application, "campaign_tag") == "late-spring"
    returned = running.row("advocacy", "referrals", referral["id"])
    assert returned["status"] == "applied"
    assert returned["ats"]["application_id"] == str(application["id"])
    assert levelled.of(application["id"])["advocate_id"] == referral["advocate_id"]


def test_a_referral_that_was_only_clicked_is_created_once_it_is_applied(running, quirina):
    referral = submit(running, quirina, stage="clicked", applied_at=None)
    running.level()
    assert candidates_of(running, quirina) == []
    running.act("advocacy", "edit_referral", referral_id=referral["id"], stage="applied")
    running.level()
    assert len(candidates_of(running, quirina)) == 1


def test_a_late_hire_is_dated_by_the_accepted_offer(running, quirina):
    referral = submit(running, quirina)
    running.level()
    application = application_of(running, referral["id"])
    running.act("greenhouse", "offer_create", application_id=application["id"])
    running.act(
        "greenhouse",
        "offer_accept",
        application_id=application["id"],
        at=datetime.now(UTC).isoformat(),
        resolved_at="2030-03-04T12:00:00Z",
        starts_on="2030-04-01",
    )
    running.act("greenhouse", "hire", application_id=application["id"])
    levelled = running.level()
    returned = running.row("advocacy", "referrals", referral["id"])
    assert (returned["status"], returned["starts_on"]) == ("hired", "2030-04-01")
    assert returned["hired_at"].startswith("2030-03-04T12:00:00")
    assert levelled.of(application["id"])["hired_at"].isoformat().startswith("2030-03-04T12:00:00")


def test_an_undone_hire_takes_the_status_and_the_hire_back(running, quirina):
    referral = submit(running, quirina)
    running.level()
    application = application_of(running, referral["id"])
    running.act("greenhouse", "offer_create", application_id=application["id"])
    running.act("greenhouse", "offer_accept", application_id=application["id"], starts_on="2030-04-01")
    running.act("greenhouse", "hire", application_id=application["id"])
    running.level()
    assert running.row("advocacy", "referrals", referral["id"])["status"] == "hired"
    running.act("greenhouse", "unhire", application_id=application["id"])
    levelled = running.level()
    returned = running.row("advocacy", "referrals", referral["id"])
    assert returned["status"] != "hired"
    assert returned["hired_at"] is None
    assert levelled.of(application["id"])["hired_at"] is None


def test_a_rejection_and_its_undoing_both_come_back(running, quirina):
    referral = submit(running, quirina)
    running.level()
    application = application_of(running, referral["id"])
    running.act("greenhouse", "reject", application_id=application["id"], reason="THEY_REJECTED_US")
    running.level()
    assert running.row("advocacy", "referrals", referral["id"])["status"] == "withdrawn"
    running.act("greenhouse", "unreject", application_id=application["id"])
    running.level()
    assert running.row("advocacy", "referrals", referral["id"])["status"] == "applied"


def test_a_merged_candidate_keeps_its_application_and_is_not_created_again(running, quirina):
    referral = submit(running, quirina)
    running.level()
    (candidate,) = candidates_of(running, quirina)
    other = running.act(
        "greenhouse",
        "create_candidate",
        first_name="Quirina",
        last_name=quirina["last_name"],
        email_addresses=[{"value": quirina["email"].replace(".net", ".org"), "type": "personal"}],
    )
    running.act("greenhouse", "merge", primary_id=other["id"], secondary_id=candidate["id"])
    running.level()
    assert [c["id"] for c in candidates_of(running, quirina)] == [other["id"]]
    assert running.row("advocacy", "referrals", referral["id"])["ats"]["candidate_id"] == str(other["id"])
    with Bridge.open(running.settings) as bridge:
        assert bridge.ledger.current_candidate("greenhouse", str(candidate["id"])) == str(other["id"])


def test_a_candidate_deleted_in_the_ats_is_not_created_again_from_the_same_referral(running, quirina):
    """Not when the next pull asks for changes only, nor when it asks for everything."""
    other = {"last_name": f"{quirina['last_name']}-Vos", "email": f"vos.{quirina['email']}", "phone": None}
    changes_only, everything = quirina, {**quirina, **other}
    lag = running.sandbox.control("greenhouse").switches()["visibility_lag_seconds"]
    running.sandbox.control("greenhouse").switches(visibility_lag_seconds=0)
    for person in (changes_only, everything):
        submit(running, person)
    before = running.level().candidates.blocked["erased"]
    wait_for_visibility(running)
    for person, full in ((changes_only, False), (everything, True)):
        (candidate,) = candidates_of(running, person)
        running.act("greenhouse", "delete_candidate", candidate_id=candidate["id"])
        assert running.level(full=full).candidates.failures == []
    running.level(full=True)
    assert [candidates_of(running, person) for person in (changes_only, everything)] == [[], []]
    assert running.level().candidates.blocked["erased"] == before + 2
    running.sandbox.control("greenhouse").switches(visibility_lag_seconds=lag)


def wait_for_visibility(running: Installation) -> None:
    """Let the contract's visibility lag pass: earlier, absence proves nothing."""
    time.sleep(float(load_contract(running.settings).ats.options["visibility_lag_seconds"]))


def test_consent_withdrawn_after_the_creation_ends_credit_and_further_writes(running, quirina):
    referral = submit(running, quirina)
    running.level()
    application = application_of(running, referral["id"])
    running.act("advocacy", "withdraw_consent", referral_id=referral["id"])
    running.act("greenhouse", "move", application_id=application["id"], stage="Phone Screen")
    levelled = running.level()
    assert running.row("advocacy", "referrals", referral["id"])["status"] == "applied"
    assert len(candidates_of(running, quirina)) == 1
    assert levelled.of(application["id"])["channel"] == "other"
    rows = [c for c in levelled.credit if c["application_key"] == f"greenhouse:{application['id']}"]
    assert rows
    assert all(c["weight"] == 0 and c["bonus_cents"] == 0 and c["reason"] == "no_consent" for c in rows)


def test_credit_moves_to_an_advocate_who_referred_before_the_application(running, quirina):
    """Two advocates refer the same person; the later touch holds the credit, and its withdrawal gives it back."""
    one, other = advocates(running)[:2]
    written_otherwise = {**quirina, "email": f"{quirina['email'].title()} "}
    first = submit(running, written_otherwise, advocate_id=one)
    second = submit(running, quirina, advocate_id=other, job_id=first["job_id"], campaign_tag="early-summer")
    running.level()
    application = application_of(running, second["id"])
    assert tag(application, "advocate_id") == other
    assert len(candidates_of(running, quirina)) == 1
    running.act("advocacy", "withdraw_referral", referral_id=second["id"])
    running.level()
    assert tag(application_of(running, first["id"]), "advocate_id") == one


def test_a_referral_made_over_to_somebody_else_does_not_mix_two_people_in_the_ats(running, quirina):
    """An advocate edits the form of a written referral instead of sending a new one, then sends the new one too."""
    grace = {"first_name": "Grace", "last_name": "Hopperova", "email": "grace.h@example.net", "phone": None}
    first = submit(running, quirina)
    running.level()
    running.act("advocacy", "edit_referral", referral_id=first["id"], candidate=grace)
    second = submit(running, {**quirina, **grace})
    third = submit(running, {**quirina, **grace}, job_id=str(open_jobs(running)[1]["id"]))
    running.level()
    (written,), (hopperova,) = candidates_of(running, quirina), candidates_of(running, grace)
    made = {a["candidate_id"] for r in (second, third) for a in [application_of(running, r["id"])]}
    assert made == {hopperova["id"]}
    applications = running.dump("greenhouse")["applications"]
    assert len([a for a in applications if a["candidate_id"] == written["id"]]) == 1


def test_an_edit_of_the_advocacy_fields_in_the_ats_is_put_right(running, quirina):
    referral = submit(running, quirina)
    running.level()
    application = application_of(running, referral["id"])
    running.act(
        "greenhouse", "edit_application", application_id=application["id"], custom_fields={"campaign_tag": "wrong"}
    )
    running.level()
    assert tag(application_of(running, referral["id"]), "campaign_tag") == "late-spring"


def test_other_fields_of_the_application_survive_our_writes(running, quirina):
    referral = submit(running, quirina)
    running.level()
    application = application_of(running, referral["id"])
    key = running.act("greenhouse", "add_custom_field", name="Recruiter's note")["name_key"]
    running.act("greenhouse", "edit_application", application_id=application["id"], custom_fields={key: "kept"})
    running.act("advocacy", "edit_referral", referral_id=referral["id"], campaign_tag="renamed")
    running.level()
    after = application_of(running, referral["id"])
    assert (tag(after, "campaign_tag"), tag(after, key)) == ("renamed", "kept")


def test_malformed_referrals_are_counted_and_the_good_ones_go_on(running, quirina):
    unreadable = {**quirina, "email": "not an address", "last_name": "Quarantined"}
    bad = submit(running, unreadable)
    good = submit(running, quirina)
    levelled = running.level()
    assert application_of(running, good["id"])
    assert candidates_of(running, unreadable) == []
    (row,) = [q for q in levelled.quarantine if q["record_id"] == bad["id"]]
    assert (row["field"], row["level"]) == ("email", "record")
    assert "not an address" not in " ".join(map(str, row.values()))


def test_reconcile_brings_both_systems_level_without_analytics(running, quirina):
    referral = submit(running, quirina)
    outcome = running.refresh(name="reconcile")
    assert outcome.success
    assert application_of(running, referral["id"])
    assert running.row("advocacy", "referrals", referral["id"])["status"] == "applied"
    assert "kpis" not in outcome.metadata


def test_the_warehouse_is_rebuilt_when_its_file_is_lost(installation):
    before = installation.level().attribution
    state = installation.home / "data" / "state"
    for path in state.glob("warehouse.duckdb*"):
        path.unlink()
    levelled = installation.level()
    assert levelled.candidates.counts["candidates_created"] == 0
    assert levelled.statuses.counts["statuses_sent"] == 0
    assert len(levelled.attribution) == len(before)
    assert installation.verify().differences == []
