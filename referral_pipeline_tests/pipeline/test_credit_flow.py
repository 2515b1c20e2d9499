"""Whoever has the credit is paid, and nobody else: from both sandboxes through lane and refresh to payroll's file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from referral_pipeline.cli import main
from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline.settings import load_settings
from referral_pipeline_tests.pipeline.event_rig import World, shared_world, tags, world
from referral_pipeline_tests.pipeline.test_bonus_flow import EARNED, bonus, day, exported, hire, referred, state_of
from referral_pipeline_tests.pipeline.test_decisions import decide as decide_identity
from referral_pipeline_tests.pipeline.test_event_overrides import TAKEN_BACK, ago, command, decide, hired_after_two

__all__ = ["shared_world", "world"]


@pytest.fixture(autouse=True)
def _at_home(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFERRAL_PIPELINE_HOME", str(world.settings.home))


@contextmanager
def ruled(world: World, folder: Path, old: str, new: str) -> Iterator[None]:
    """Another contract, in which `new` stands for `old`."""
    kept = world.settings
    text = (Path(__file__).parents[2] / "data" / "integration.yaml").read_text(encoding="utf-8")
    assert text.count(old) == 1
    path = folder / "integration.yaml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REFERRAL_PIPELINE_CONFIG", str(path))
        world.settings = load_settings(kept.home)
        try:
            yield
        finally:
            world.settings = kept


@dataclass(frozen=True)
class Tables:
    """What a refresh wrote of credit."""

    credit: list[dict[str, Any]]

    def paid(self, application_id: int) -> dict[str, int]:
        """Cents by advocate, of those who get any."""
        own = [row for row in self.credit if row["application_key"] == f"greenhouse:{application_id}"]
        return {row["advocate_id"]: row["bonus_cents"] for row in own if row["bonus_cents"]}

    def shown(self, application_id: int) -> tuple[str, str]:
        """Advocate and referral of whoever stands first."""
        (first,) = [
            row
            for row in self.credit
            if row["application_key"] == f"greenhouse:{application_id}" and row["place"] == 1 and row["weight"]
        ]
        return first["advocate_id"], first["referral_id"]


def handed_over(folder: Path, name: str, *referral_ids: str) -> tuple[list[str], list[str]]:
    """An export: which of these referrals are in its file, and the reasons for which bonuses were held."""
    answer, rows = exported(folder, name)
    return [i for i in referral_ids if i in {row["referral_id"] for row in rows}], [
        one["reason"] for one in answer["held"]
    ]


def refresh(world: World) -> Tables:
    """The steps of a refresh, without Dagster."""
    with Bridge.open(world.settings) as bridge:
        bridge.pull_advocacy()
        bridge.pull_ats()
        bridge.write_candidates()
        bridge.return_statuses()
        bridge.resolve_people()
        bridge.build_attribution(as_of=datetime.now(UTC))
        frame = bridge.warehouse.frame("SELECT * FROM core.attribution_credit")
    return Tables([{str(name): value for name, value in row.items()} for row in frame.to_dict("records")])


# ---------------------------------------------------------------- a referral that is linked to another application


def test_a_bonus_that_the_owner_gave_to_a_referral_for_another_job_is_paid(world: World, tmp_path: Path):
    person = world.person()
    first, application_id = referred(world, person)
    other, _ = referred(world, person, advocate_id=world.advocates[1])
    hire(world, application_id, day(-100))
    decide(application_id, "--referral", other)
    world.settle()
    world.tick()
    assert (world.recognitions(first), world.recognitions(other)) == (TAKEN_BACK, EARNED)
    assert handed_over(tmp_path, "may.csv", first, other) == ([other], [])
    assert state_of(other) == [("paid", None)]
    assert bonus("reconcile", str(tmp_path / "may.csv"))["differences"] == []
    # It is undone like any other: before the export it would be held, after it it is to reclaim.
    world.ats("unhire", application_id=application_id)
    world.settle()
    assert [d["kind"] for d in bonus("reconcile", str(tmp_path / "may.csv"), code=1)["differences"]] == ["to_reclaim"]


def test_the_first_touch_is_paid_though_its_referral_belongs_to_an_application_that_was_rejected(
    world: World, tmp_path: Path
):
    with ruled(world, tmp_path, "model: last_touch", "model: first_touch"):
        person, job = world.person(), world.job()
        first = world.submit(person, job_id=job, applied_at=ago(20), submitted_at=ago(20))
        world.settle()
        rejected = world.application(person)["id"]
        world.ats("reject", application_id=rejected)
        world.settle()
        second = world.submit(person, job_id=job, advocate_id=world.advocates[1])
        world.settle()
        (hired,) = {row["id"] for row in world.applications(person)} - {rejected}
        hire(world, hired, day(-100))
        world.tick()
        assert (world.recognitions(first), world.recognitions(second)) == (EARNED, [])
        assert handed_over(tmp_path, "may.csv", first, second) == ([first], [])
        assert state_of(first) == [("paid", None)]


# ---------------------------------------------------------------- decisions that nobody acted on yet


def test_an_export_between_a_decision_and_the_lane_pays_nobody_who_lost_the_credit_by_it(world: World, tmp_path: Path):
    _, first, second, application_id = hired_after_two(world)
    decide(application_id, "--nobody")
    assert handed_over(tmp_path, "may.csv", first, second) == ([], ["override"])
    world.settle()
    assert world.recognitions(second) == TAKEN_BACK
    decide(application_id, "--referral", first)
    world.settle()
    # Taken back: until the lane has given it to the other, nobody is paid.
    command("revoke", str(application_id), "--reason", "a mistake", "--by", "talent-ops@example.com")
    assert handed_over(tmp_path, "june.csv", first, second) == ([], ["override"])
    world.settle()
    assert handed_over(tmp_path, "july.csv", first, second) == ([second], [])


# ---------------------------------------------------------------- two persons on one application


@pytest.mark.parametrize("first_heard", [0, 1])
def test_after_a_split_the_person_of_the_candidate_keeps_the_application_and_nothing_is_told_in_turns(
    world: World, tmp_path: Path, first_heard: int
):
    person, first, second, application_id = hired_after_two(world)
    decide_identity(world, "distinct", f"advocacy:{first}", f"advocacy:{second}")
    both = [first, second][:: 1 if first_heard == 0 else -1]
    world.hint(("advocacy", f"referral:{both[0]}"))
    world.settle()
    told = {i: world.recognitions(i) for i in both}
    (owner,) = [i for i in both if told[i] and told[i][-1] == EARNED[-1]]
    carried = tags(world.application(person))
    assert carried["referral_id"] == owner
    for _ in range(2):
        for referral_id in both:
            world.hint(("advocacy", f"referral:{referral_id}"))
            world.settle()
    world.hint(("greenhouse", f"application:{application_id}"))
    world.settle()
    tables = refresh(world)
    world.tick()
    assert {i: world.recognitions(i) for i in both} == told
    assert tags(world.application(person)) == carried
    advocate = world.referral(owner)["advocate_id"]
    assert (tables.paid(application_id), tables.shown(application_id)) == ({advocate: 200_000}, (advocate, owner))
    assert handed_over(tmp_path, "may.csv", *both) == ([owner], [])


def test_the_owner_cannot_give_an_application_to_the_person_that_was_split_from_it(world: World):
    _, first, second, application_id = hired_after_two(world)
    decide_identity(world, "distinct", f"advocacy:{first}", f"advocacy:{second}")
    world.hint(("advocacy", f"referral:{first}"))
    world.settle()
    (stranger,) = [i for i in (first, second) if not world.recognitions(i) or world.recognitions(i)[-1] != EARNED[-1]]
    words = ["--reason", "she told him first", "--by", "talent-ops@example.com"]
    refused = CliRunner().invoke(main, ["credit", "override", str(application_id), "--referral", stranger, *words])
    assert refused.exit_code != 0
    assert "is of another person" in refused.output
