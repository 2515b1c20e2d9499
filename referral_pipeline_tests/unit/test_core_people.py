"""Persons in the warehouse: from staged records to core.person, review pairs and the ledger's keys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from referral_pipeline.ledger.store import Ledger, Link
from referral_pipeline.privacy.crypto import CryptoError, keyed_hash
from referral_pipeline.sync.owners import owner_of
from referral_pipeline.warehouse.core import build_core
from referral_pipeline_tests.unit.core_world import AS_OF, World, day


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.advocate("A1")
    return made


def test_a_referral_and_the_candidate_of_the_same_mailbox_are_one_person(world: World):
    world.referral("R1", "A1", 1)
    world.application("P1", 2, candidate="C1")
    world.stage()
    report = world.people()
    assert (report.persons, report.merged) == (1, 1)
    assert report.person_of["advocacy:R1"] == report.person_of["greenhouse:C1"]
    [person] = world.rows_of("SELECT * FROM core.person")
    assert person == {
        "person_id": report.person_of["advocacy:R1"],
        "record_count": 2,
        "match_methods": "email",
        "first_seen_at": day(0.5),
    }


def test_known_ids_and_confirmed_links_are_taken_over(world: World):
    world.referral("R1", "A1", 1)
    world.application("P1", 2, person="J Doe", candidate="C1")
    world.stage()
    known = "per_00000000000000aa"
    report = world.people(ledger_persons={"advocacy:R1": known}, must_link=[("greenhouse:C1", "advocacy:R1")])
    assert set(report.person_of.values()) == {known}
    assert set(report.method_of.values()) == {"link"}


def test_a_confirmed_link_does_not_bind_two_people_who_have_nothing_in_common_any_more(world: World):
    """The referral was made over to somebody else after it was written; a name alone that changed is no such case."""
    world.referral("R1", "A1", 1)
    world.application("P1", 2, person="Bob Roe", candidate="C1")
    world.stage()
    assert world.people(must_link=[("greenhouse:C1", "advocacy:R1")]).persons == 2
    [candidate] = world.candidates
    world.candidates = [type(candidate)(**{**vars(candidate), "emails": ("jane.doe@example.com",)})]
    world.stage()
    assert world.people(must_link=[("greenhouse:C1", "advocacy:R1")]).persons == 1


def test_a_shared_mailbox_goes_to_review_with_its_evidence(world: World):
    world.referral("R1", "A1", 1, person="Jane Doe")
    world.application("P1", 2, person="John Doe", candidate="C1")
    [candidate] = world.candidates
    world.candidates = [type(candidate)(**{**vars(candidate), "emails": ("jane.doe@example.com",)})]
    world.stage()
    assert world.people().persons == 2
    [pair] = world.rows_of("SELECT * FROM core.duplicate_review")
    assert (pair["score"], pair["evidence"], pair["state"]) == (None, "email: shared mailbox, names contradict", "open")
    assert pair["left_person_id"] < pair["right_person_id"]


def test_the_keys_for_the_ledger_are_hashes_only(world: World):
    world.referral("R1", "A1", 1)
    world.stage()
    report = world.people()
    [key] = report.identity_keys("secret")
    assert (key.kind, key.system, key.record_id) == ("email", "advocacy", "advocacy:R1")
    assert key.key_hash == keyed_hash("jane.doe@example.com", "secret")
    assert key.person_id == report.person_of["advocacy:R1"]
    with pytest.raises(CryptoError):
        report.identity_keys("")


def test_only_records_that_were_read_whole_are_said_to_have_no_key(world: World):
    """A candidate that only an application names may have addresses all the same."""
    world.application("P1", 1, candidate="C1")
    world.application("P2", 2, candidate="C2")
    world.referral("R1", "A1", 1)
    world.candidates = [replace(c, emails=()) for c in world.candidates if c.id == "C1"]
    world.referrals = [replace(r, email=None) for r in world.referrals]
    world.stage()
    report = world.people()
    assert "greenhouse:C2" in report.person_of
    assert "greenhouse:C1" in report.without_keys
    assert "greenhouse:C2" not in report.without_keys


def test_the_representation_of_a_report_shows_no_record(world: World):
    world.referral("R1", "A1", 1)
    world.stage()
    assert "jane" not in repr(world.people()).lower()


def test_table_and_ledger_agree_on_whose_an_application_is(tmp_path: Path):
    """Referrals of another person stay linked after a split; a candidate without contact details is nobody we know."""
    world = World(tmp_path)
    world.advocate("A1")
    for number, person in enumerate(("Jane Doe", "Max Stone", "Ida Berg", "Tom Hill")):
        world.referral(f"R{number}", "A1", -5, person=person)
        world.application(f"P{number}", 0, person=person)
    world.application("P4", 0, candidate="C-4", person="Nobody Known")
    world.application("P5", 0, candidate="C-5", person="Nobody Seen")
    world.candidates = [replace(c, emails=()) if c.id in {"C-4", "C-5"} else c for c in world.candidates]
    opened = {("R2", "P4"), ("R1", "P1")}
    linked = [("R0", "P0"), ("R1", "P0"), ("R0", "P1"), ("R1", "P1"), ("R3", "P2"), ("R1", "P4"), ("R2", "P4"),
              ("R3", "P5"), ("R2", "P5")]  # fmt: skip
    for referral_id, application_id in linked:
        world.link(referral_id, application_id, created_application=(referral_id, application_id) in opened)
    with world.warehouse.connect():
        world.stage()
        report = world.people()
        build_core(world.warehouse, world.contract, AS_OF)
    table = {row["application_id"]: row["person_id"] for row in world.rows_of("SELECT * FROM core.application_person")}
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite", home=tmp_path) as ledger:
        ledger.save_identity_keys(report.identity_keys("key"))
        for application in world.applications:
            links = [
                Link(r, "per_link", "J1", "A1", None, None, AS_OF, "greenhouse", application_id=a,
                     created_application=(r, a) in opened)
                for r, a in linked if a == application.id
            ]  # fmt: skip
            owner = owner_of(ledger, "advocacy", "greenhouse", application.candidate_id, links)
            assert table[application.id] == owner, application.id
    who = report.person_of
    assert table["P0"] == who["greenhouse:C-Jane Doe"] == who["advocacy:R0"]
    assert table["P2"] == who["advocacy:R3"]
    assert table["P4"] == who["advocacy:R2"]
    assert table["P5"] == who["advocacy:R2"]
