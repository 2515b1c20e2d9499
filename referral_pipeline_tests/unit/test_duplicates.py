"""Pairs for review in the warehouse: scored once for what there is, with what people decided."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from referral_pipeline.ledger.store import IdentityDecision
from referral_pipeline.warehouse.duplicates import DuplicatesReport, score_duplicates
from referral_pipeline_tests.unit.core_world import World

SHARED = "SELECT left_person_id, right_person_id, score, evidence, proposed_action, state FROM core.duplicate_review"


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.advocate("A1")
    return made


def candidate(world: World, number: int, person: str, *, email: str | None = None) -> None:
    world.application(f"P{number}", 2, person=person, candidate=f"C{number}")
    if email is not None:
        mine = world.candidates[-1]
        world.candidates[-1] = type(mine)(**{**vars(mine), "emails": (email,)})


def scored(world: World, **options) -> DuplicatesReport:
    world.stage()
    world.people(**options)
    return score_duplicates(world.warehouse, world.contract)


def test_a_misspelt_name_with_nearly_the_same_address_is_listed_and_nobody_is_merged(world: World) -> None:
    candidate(world, 1, "Katharina Brockhausen", email="katharina.brockhausen@example.com")
    candidate(world, 2, "Katharina Brockhaussen", email="katharina.brockhausn@example.com")
    candidate(world, 3, "Bob Roe", email="bob@example.org")
    report = scored(world)
    assert report.is_scored
    assert world.people().persons == 3
    [pair] = world.rows_of(SHARED)
    assert pair["score"] >= 0.5
    assert (pair["proposed_action"] in {"merge", "look"}, pair["state"]) == (True, "open")
    assert not any(text in pair["evidence"].lower() for text in ("katharina", "brockhaus", "example"))


def test_a_pair_that_the_rules_doubt_is_listed_with_its_score_however_low(world: World) -> None:
    candidate(world, 1, "Jane Doe", email="family@example.com")
    candidate(world, 2, "Otto Zimmermann", email="family@example.com")
    scored(world)
    [pair] = world.rows_of(SHARED)
    assert pair["evidence"].startswith("email: shared mailbox, names contradict; ")
    assert pair["score"] is not None
    assert pair["state"] == "open"


def test_what_was_decided_to_be_two_people_is_no_open_pair(world: World) -> None:
    candidate(world, 1, "Jane Doe", email="family@example.com")
    candidate(world, 2, "Otto Zimmermann", email="family@example.com")
    report = scored(world, cannot_link=[("greenhouse:C1", "greenhouse:C2")])
    [pair] = world.rows_of(SHARED)
    assert (pair["state"], pair["proposed_action"], report.open_pairs) == ("distinct", None, 0)


def test_nothing_is_scored_again_when_nothing_changed_and_the_pairs_stand(world: World) -> None:
    candidate(world, 1, "Katharina Brockhausen", email="katharina.brockhausen@example.com")
    candidate(world, 2, "Katharina Brockhaussen", email="katharina.brockhausn@example.com")
    assert scored(world).is_scored
    before = world.rows_of(SHARED)
    assert not scored(world).is_scored
    assert world.rows_of(SHARED) == before
    candidate(world, 3, "Bob Roe", email="bob@example.org")
    assert scored(world).is_scored


def decision(number: int, verdict: str, left: str, right: str) -> IdentityDecision:
    at = datetime(2026, 5, 4, tzinfo=UTC)
    return IdentityDecision(number, verdict, (left,), (right,), "seen by a person", "owner@example.com", at)


def test_what_people_decided_calibrates_the_scores_and_a_decided_merge_is_no_pair(world: World) -> None:
    decisions: list[IdentityDecision] = []
    for n in range(40):
        word = f"{chr(97 + n % 26)}{chr(97 + n // 26)}"
        candidate(world, 4 * n, f"Jo{word}anna Brock{word}hausen", email=f"jo{word}anna.brock{word}@example.com")
        candidate(world, 4 * n + 1, f"Jo{word}anna Brock{word}haussen", email=f"jo{word}anna.brok{word}@example.com")
        decisions.append(decision(2 * n, "merge", f"greenhouse:C{4 * n}", f"greenhouse:C{4 * n + 1}"))
        candidate(world, 4 * n + 2, f"Al{word}ina Zim{word}mer", email=f"family{word}@example.org")
        candidate(world, 4 * n + 3, f"Bo{word}ris Zim{word}mer", email=f"family{word}@example.org")
        decisions.append(decision(2 * n + 1, "distinct", f"greenhouse:C{4 * n + 2}", f"greenhouse:C{4 * n + 3}"))
    world.stage()
    world.people(decisions=decisions)
    report = score_duplicates(world.warehouse, world.contract, decisions)
    assert report.calibration == "reviewers' decisions"
    pairs = world.rows_of(SHARED)
    assert [pair["state"] for pair in pairs].count("distinct") == 40
    assert all(pair["left_person_id"] != pair["right_person_id"] and "#" not in str(pair) for pair in pairs)
    assert world.people(decisions=decisions).persons == 120


def test_a_pair_that_became_one_person_is_listed_no_more(world: World) -> None:
    candidate(world, 1, "Katharina Brockhausen", email="katharina.brockhausen@example.com")
    candidate(world, 2, "Katharina Brockhausen", email="katharina.brockhausn@example.com")
    scored(world)
    report = scored(world, must_link=[("greenhouse:C1", "greenhouse:C2")])
    assert (report.pairs, world.rows_of(SHARED)) == (0, [])
