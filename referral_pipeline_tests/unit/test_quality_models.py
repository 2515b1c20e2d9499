"""Rules and page against the tables that the project's own models make."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from referral_pipeline.kpis.compute import compute_kpis
from referral_pipeline.quality.adapter import run_rules
from referral_pipeline.quality.frames import frame_for
from referral_pipeline.quality.rules import RULE_TABLES
from referral_pipeline.reports.leadership import write_leadership_report
from referral_pipeline_tests.unit.core_world import AS_OF, World, attribution_rules, contract_with
from referral_pipeline_tests.unit.test_core_bonus import BONUS, bonus, paid, with_bonus


def lively(path: Path, model: str) -> World:
    """Hires by one and by three advocates, a withdrawn referral, no consent, a rejection, a walk-in, clicks."""
    world = World(path, contract=attribution_rules(contract_with(), model=model))
    for number in range(4):
        world.advocate(f"A{number}")
        world.share(f"S{number}", f"A{number}", -20 + number)
        world.click(f"K{number}", f"S{number}", -10 + number)
    world.job("J1")
    for number in range(3):
        world.referral(f"R{number}", f"A{number}", -5 + number, share=f"S{number}")
    world.application("P1", 1, status="hired", hired=30, interviewed=5, offered=25)
    world.referral("R4", "A3", -1, person="Ann Lee", share="S3", stage="withdrawn")
    world.application("P2", 1, person="Ann Lee", status="rejected", rejected=9)
    world.referral("R5", "A3", -1, person="Bo Roe", granted=False)
    world.application("P3", 1, person="Bo Roe", status="in_review", status_at=4)
    world.referral("R6", "A3", -1, person="Cy Poe", share="S3")
    world.application("P4", 0, person="Cy Poe", status="hired", hired=12)
    world.application("P5", 3, person="Di Moe", status="withdrawn", rejected=4)
    return world.build()


def complaints(world: World) -> list[str]:
    with world.warehouse.connect():
        results = [one for table in RULE_TABLES for one in run_rules(partial(frame_for, world.warehouse), table)]
    return [result.message for result in results if not result.passed]


@pytest.mark.parametrize("model", ["last_touch", "position_based"])
def test_what_the_models_make_passes_every_rule(tmp_path: Path, model: str) -> None:
    assert complaints(lively(tmp_path, model)) == []


def test_what_the_models_make_of_nothing_passes_every_rule(tmp_path: Path) -> None:
    assert complaints(World(tmp_path).build()) == []


def test_bonuses_that_follow_the_credit_or_were_paid_before_it_moved_pass_every_rule(tmp_path: Path) -> None:
    world = lively(tmp_path, "linear")
    with_bonus(world, split="credit")
    world.contract = attribution_rules(world.contract, model="linear")
    # Paid to R6's advocate; another, chosen since, has the credit and gets nothing.
    world.referral("R1x", "A1", -2, person="Cy Poe")
    world.override("P4", "R1x")
    bonus(world, "R6", "P4", "paid", advocate_id="A3", amount_cents=BONUS, export_id=1)
    paid(world, "R6", "P4", advocate_id="A3")
    bonus(world, "R1x", "P4", "pending")
    for number in range(3):
        bonus(world, f"R{number}", "P1", "pending", advocate_id=f"A{number}")
    world.build()
    assert complaints(world) == []


def test_a_bonus_that_stands_with_another_than_the_credit_is_a_warning(tmp_path: Path) -> None:
    world = lively(tmp_path, "last_touch")
    bonus(world, "R0", "P1", "eligible", advocate_id="A0", amount_cents=BONUS)
    bonus(world, "R2", "P1", "pending")
    world.build()
    found = complaints(world)
    assert [message.split(":")[0] for message in found] == [
        "bonuses_of_an_application_are_one_bonus",
        "bonus_follows_the_credit",
    ]
    assert "Mend: Run `referral-pipeline refresh`" in found[1]


def test_one_weight_changed_by_hand_is_one_failed_row(tmp_path: Path) -> None:
    world = lively(tmp_path, "linear")
    with world.warehouse.connect() as connection:
        connection.execute(
            "UPDATE core.attribution_credit SET weight = weight + 1e-12 WHERE share_id = 'S3' AND weight = 1"
        )
    (failure,) = (
        one
        for one in run_rules(partial(frame_for, world.warehouse), "core.attribution_credit")
        if not one.passed and one.rule.name == "weights_sum_to_one"
    )
    assert failure.failed_rows == 1
    assert failure.rule.blocking


def test_the_page_is_written_from_the_marts_of_the_project(tmp_path: Path) -> None:
    world = lively(tmp_path, "last_touch")
    compute_kpis(world.warehouse, world.contract, as_of=AS_OF)
    written = write_leadership_report(world.warehouse, world.contract, tmp_path / "published", as_of=AS_OF)
    html = written.html.read_text(encoding="utf-8")
    assert '>2</span> of <span data-value="2"' in html
    assert "100.0\u00a0%" in html
    assert not any(name in html for name in ("Jane", "Doe", "Lee", "Roe", "Poe", "example.com"))


def test_the_page_of_a_programme_that_has_not_begun_knows_nothing_yet(tmp_path: Path) -> None:
    world = World(tmp_path).build()
    compute_kpis(world.warehouse, world.contract, as_of=AS_OF)
    written = write_leadership_report(world.warehouse, world.contract, tmp_path / "published", as_of=AS_OF)
    html = written.html.read_text(encoding="utf-8")
    assert html.count('<p class="value unknown"') == 3
    assert "Too few cases to tell" in html
