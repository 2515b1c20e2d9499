"""What attribution validation expects of an application is what the write-back gives it, whatever the touches."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from referral_pipeline.attribution.models import MODELS
from referral_pipeline.connectors.protocols import AtsConnector
from referral_pipeline.ledger.store import Ledger, Override
from referral_pipeline.quality.attribution_validation import Validator
from referral_pipeline.sync.crediting import Crediting
from referral_pipeline.vocabulary import ATTRIBUTION_FIELDS
from referral_pipeline.warehouse.attribution_validation import (
    TABLE,
    TagChange,
    build_attribution_validation,
    compared,
    note_validated,
)
from referral_pipeline.warehouse.moments import note_moment
from referral_pipeline_tests.unit.core_world import AS_OF, DAY0, World, attribution_rules, contract_with, day
from referral_pipeline_tests.unit.test_core_agreement import (
    CASES,
    DECISIONS,
    decided,
    made_world,
    may_count,
    programme_of,
)

EMPTY = dict.fromkeys(ATTRIBUTION_FIELDS)


def validated(world: World, *changes: TagChange) -> list[dict[str, Any]]:
    build_attribution_validation(world.warehouse, world.contract, changes=changes, at=AS_OF)
    return world.rows_of("SELECT * FROM ops.attribution_validation")


def findings(world: World, *changes: TagChange) -> set[tuple[str, str, str]]:
    return {(row["ats_application_id"], row["finding"], row["field"]) for row in validated(world, *changes)}


def expected_tags(world: World, chosen: dict[str, str | None], number: int) -> dict[str, str | None]:
    """What the write-back would write to an application; nothing where it would leave it alone."""
    key = f"greenhouse:P{number}"
    linked = {x["referral_id"]: x for x in world.links if x["application_id"] == f"P{number}"}
    if not linked or (key not in chosen and all(x["block"] for x in linked.values())):
        return {}
    decisions = []
    if key in chosen:
        fields: dict[str, Any] = dict.fromkeys(Override.__dataclass_fields__)
        decisions = [Override(**{**fields, "id": 1, "application_key": key, "referral_id": chosen[key]})]
    originals = {r.id: r for r in world.referrals}
    counting = [originals[r.id] for r in may_count(world, number, chosen.get(key))]
    opened_for = {i for i, x in linked.items() if x["created_application"]}
    programme = programme_of(world)
    tags = Crediting(world.contract, lambda: programme).tags(counting, DAY0, opened_for, decisions)
    return {name: value for name, value in tags.items() if name in ATTRIBUTION_FIELDS}


def block_what_the_gate_blocks(world: World) -> None:
    by_id = {r.id: r for r in world.referrals}
    for link in world.links:
        referral = by_id[link["referral_id"]]
        granted = referral.consent is not None and referral.consent.granted
        link["block"] = (
            "withdrawn"
            if referral.stage.value == "withdrawn"
            else "stage"
            if referral.stage.value == "clicked"
            else None
            if granted
            else "no_consent"
        )


@given(cases=CASES, decisions=DECISIONS, seed=st.integers(0, 9), model=st.sampled_from(MODELS))
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_should_stand_there_is_what_the_write_back_writes(
    cases: list[list[tuple]], decisions: list[int | str | None], seed: int, model: str
):
    with TemporaryDirectory() as folder:
        world = made_world(Path(folder), cases, seed)
        world.contract = attribution_rules(contract_with(), model=model)
        block_what_the_gate_blocks(world)
        chosen = decided(world, cases, decisions)
        with world.warehouse.connect():
            world.build()
            # Every field holds what is nowhere right, so that each field that should hold something is told.
            world.applications = [replace(a, tags=dict.fromkeys(ATTRIBUTION_FIELDS, "?")) for a in world.applications]
            world.stage()
            should: dict[str, dict[str, str | None]] = defaultdict(dict)
            for row in validated(world):
                if row["mends"] == "refresh":
                    should[row["ats_application_id"]][row["field"]] = row["should"]
            wanted = {f"P{n}": tags for n in range(len(cases)) if (tags := expected_tags(world, chosen, n))}
            assert should == wanted
            # And with what the write-back writes, nothing is wrong.
            world.applications = [
                replace(a, tags=wanted.get(a.id, EMPTY), source_name="Referral") for a in world.applications
            ]
            world.stage()
            assert findings(world) == set()


def a_world(path: Path) -> World:
    """Jane was referred by A1 and hired; Joe by A2; both linked, and right in the ATS."""
    world = World(path)
    for number, name in ((1, "Jane Doe"), (2, "Joe Roe")):
        world.advocate(f"A{number}")
        world.share(f"S{number}", f"A{number}", -2)
        world.referral(f"R{number}", f"A{number}", -1, person=name, share=f"S{number}")
        world.application(f"P{number}", 0, person=name, status="hired" if number == 1 else "applied",
                          hired=5 if number == 1 else None)  # fmt: skip
        world.link(f"R{number}", f"P{number}", person_id="", candidate_id=f"C-{name}")
        world.edit(f"P{number}", source_name="Referral", tags=right(number))
    world.application("P3", 0, person="Ann Other")
    return world


def right(number: int) -> dict[str, str | None]:
    return {
        "referral_id": f"R{number}",
        "advocate_id": f"A{number}",
        "share_id": f"S{number}",
        "content_id": f"CO-S{number}",
        "campaign_tag": "spring",
    }


def test_nothing_is_wrong_where_the_ats_carries_what_was_earned(tmp_path: Path):
    world = a_world(tmp_path).build()
    assert findings(world) == set()
    assert (compared(world.warehouse).applications, compared(world.warehouse).hires) == (2, 1)


def test_a_tag_that_nobody_of_the_platform_knows_is_told_by_its_shape_alone(tmp_path: Path):
    world = a_world(tmp_path)
    world.edit("P1", tags={**right(1), "advocate_id": "jane.roe@example.com", "campaign_tag": "for Jane Roe"})
    world.edit("P2", tags={**right(2), "campaign_tag": None})
    world.edit("P3", tags={**EMPTY, "referral_id": "from Jane Roe"})
    rows = {(row["ats_application_id"], row["field"]): row for row in validated(world.build())}
    assert {key: row["finding"] for key, row in rows.items()} == {
        ("P1", "advocate_id"): "wrong_advocate",
        ("P1", "campaign_tag"): "wrong_campaign",
        ("P2", "campaign_tag"): "missing_campaign",
        ("P3", "referral_id"): "orphaned_tag",
    }
    assert "Roe" not in str(rows)
    assert rows["P1", "advocate_id"]["stands"] == "text of 20 characters"
    assert (rows["P1", "advocate_id"]["should"], rows["P1", "advocate_id"]["is_hire"]) == ("A1", True)
    assert (rows["P2", "campaign_tag"]["stands"], rows["P2", "campaign_tag"]["is_hire"]) == (None, False)


def test_tags_of_another_application_and_of_no_referral_are_told_apart(tmp_path: Path):
    world = a_world(tmp_path)
    world.edit("P2", tags=right(1))
    world.edit("P3", tags={**EMPTY, "referral_id": "R-nobody"})
    world.application("P4", 0, person="Ann Third")
    world.edit("P4", tags=right(2))
    world.application("P5", 0, person="Ann Fourth")
    world.edit("P5", tags={**EMPTY, "campaign_tag": "career fair"})  # no referral is claimed
    found = {(r["ats_application_id"], r["finding"], r["field"], r["mends"]) for r in validated(world.build())}
    assert found == {
        ("P2", "double_tag", "referral_id", "refresh"),
        ("P2", "wrong_advocate", "advocate_id", "refresh"),
        ("P2", "wrong_share", "share_id", "refresh"),
        ("P2", "wrong_content", "content_id", "refresh"),
        ("P3", "orphaned_tag", "referral_id", "person"),
        ("P4", "double_tag", "referral_id", "person"),
    }


def test_fields_of_a_referral_that_was_taken_back_may_stay(tmp_path: Path):
    """No further write after a withdrawal: what stands there is the recruiter's record."""
    world = a_world(tmp_path)
    world.referrals = [replace(r, consent=replace(r.consent, granted=False)) for r in world.referrals]
    for link in world.links:
        link["block"] = "no_consent"
    assert findings(world.build()) == set()
    world.edit("P1", tags={**right(1), "referral_id": "R-nobody"})
    rows = validated(world.build())
    assert [(row["finding"], row["mends"]) for row in rows] == [("orphaned_tag", "repair")]


def test_an_empty_source_and_a_merge_that_was_not_followed_are_told(tmp_path: Path):
    world = a_world(tmp_path)
    world.edit("P1", source_name=None)
    world.links[1]["candidate_id"] = "C-before"
    assert findings(world.build()) == {("P1", "source_missing", "source"), ("P2", "merged", "candidate_id")}
    world.aliases.append(("C-before", "C-Joe Roe"))
    assert findings(world.build()) == {("P1", "source_missing", "source")}


def test_what_is_over_is_new_once_and_what_was_written_after_the_pull_is_not_judged(tmp_path: Path):
    world = a_world(tmp_path)
    world.edit("P2", tags=right(1))
    world.build()
    changes = [
        TagChange("greenhouse", "P2", "fresh"),
        TagChange("greenhouse", "P1", "mended", "wrong_advocate", "R1", day(1)),
        TagChange("greenhouse", "P9", "settled", "gone", "R9", AS_OF),
    ]
    note_validated(world.warehouse, day(0))
    assert {(r["ats_application_id"], r["state"], r["is_new"]) for r in validated(world, *changes)} == {
        ("P1", "mended", True),
        ("P9", "settled", True),
    }
    note_validated(world.warehouse, day(2))
    assert {(r["ats_application_id"], r["is_new"]) for r in validated(world, *changes)} == {
        ("P1", False),
        ("P9", True),
    }
    # What is wrong again is open, and not over.
    world.edit("P1", tags={**right(1), "advocate_id": "A2"})
    world.stage()
    states = {(r["ats_application_id"], r["finding"]): r["state"] for r in validated(world, *changes)}
    assert states == {("P1", "wrong_advocate"): "open", ("P9", "gone"): "settled"}


def test_of_tables_at_a_chosen_moment_nothing_is_judged_and_there_is_a_table_to_publish_all_the_same(tmp_path: Path):
    world = a_world(tmp_path)
    world.edit("P1", tags={**right(1), "advocate_id": "A2"})
    world.build()
    note_moment(world.warehouse, "core.attribution", day(3))
    # Neither the ledger nor the ATS is asked.
    validator = Validator(world.contract, cast("Ledger", None), world.warehouse, cast("AtsConnector", None), None)
    first = validator.validate(at=AS_OF)
    assert (first.is_judged, first.open) == (False, ())
    world.warehouse.publish([TABLE])
    assert world.rows_of("SELECT * FROM ops.attribution_validation") == []
    # What was open before such a run is open after it.
    assert [row["finding"] for row in validated(world)] == ["wrong_advocate"]
    again = validator.validate(at=AS_OF)
    assert (again.is_judged, [one.finding.value for one in again.open]) == (False, ["wrong_advocate"])
    assert [row["finding"] for row in world.rows_of("SELECT * FROM ops.attribution_validation")] == ["wrong_advocate"]


def test_a_field_that_is_mapped_from_something_else_is_not_compared(tmp_path: Path):
    world = a_world(tmp_path)
    mappings = [m for m in world.contract.mappings if not m.target.endswith(".campaign_tag")]
    world.contract = world.contract.model_copy(update={"mappings": mappings})
    world.edit("P1", tags={**right(1), "campaign_tag": "anything"})
    assert findings(world.build()) == set()


def test_nothing_is_asked_of_the_ats_while_candidates_are_not_created(tmp_path: Path):
    world = a_world(tmp_path)
    phases = world.contract.phases.model_copy(update={"candidate_creation": False})
    world.contract = world.contract.model_copy(update={"phases": phases})
    world.edit("P1", tags=EMPTY, source_name=None)
    world.edit("P3", tags=right(2))
    assert findings(world.build()) == set()


def test_what_was_written_after_the_pull_is_not_counted_as_compared(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    world.build()
    validated(world)
    both = compared(world.warehouse).applications
    validated(world, TagChange("greenhouse", "P1", "fresh"))
    assert compared(world.warehouse).applications == both - 1
    validated(world, TagChange("greenhouse", "P1", "fresh"), TagChange("greenhouse", "P2", "fresh"))
    assert (compared(world.warehouse).applications, both) == (0, 2)
