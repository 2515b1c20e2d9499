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


# ---------------------------------------------------------------- credit that moved while nobody was told


def late_referral(world: World) -> tuple[str, str, int]:
    """A hire that is paid out to the first advocate, and a later touch of another whose events were lost."""
    person, job = world.person(), world.job()
    first = world.submit(person, job_id=job, applied_at=ago(2), submitted_at=ago(2))
    world.settle()
    application_id = world.application(person)["id"]
    hire(world, application_id, day(-100))
    assert world.recognitions(first) == EARNED
    second = world.submit(person, job_id=job, advocate_id=world.advocates[1], applied_at=ago(1), submitted_at=ago(1))
    world.arrived()  # and lost
    return first, second, application_id


def test_a_refresh_moves_the_bonus_of_a_hire_whose_credit_moved_and_payroll_pays_the_right_advocate(
    world: World, tmp_path: Path
):
    first, second, application_id = late_referral(world)
    tables = refresh(world)
    assert tables.paid(application_id) == {world.advocates[1]: 200_000}
    assert (world.recognitions(first), world.recognitions(second)) == (TAKEN_BACK, EARNED)
    refresh(world)
    assert (world.recognitions(first), world.recognitions(second)) == (TAKEN_BACK, EARNED)
    assert handed_over(tmp_path, "may.csv", first, second) == ([second], [])


def test_a_refresh_reads_no_application_whose_recognitions_are_level(world: World):
    _, second, _ = late_referral(world)
    refresh(world)
    refresh(world)
    with Bridge.open(world.settings) as bridge:
        bridge.pull_advocacy()
        bridge.pull_ats()
        bridge.write_candidates()
        bridge.return_statuses()
        report = bridge.return_statuses()
    assert report.counts["hires_settled"] == 0
    assert world.recognitions(second) == EARNED


def test_what_payroll_gave_back_after_the_credit_moved_is_held_and_taken_back_by_the_next_refresh(
    world: World, tmp_path: Path
):
    first, second, _ = late_referral(world)
    answer, rows = exported(tmp_path, "may.csv")
    assert first in {row["referral_id"] for row in rows}
    refresh(world)
    assert (world.recognitions(first), world.recognitions(second)[:1]) == (EARNED, EARNED[:1])
    bonus("cancel", str(answer["export_id"]), "--by", "payroll@example.com", "--reason", "wrong month")
    left, reasons = handed_over(tmp_path, "june.csv", first, second)
    assert (left, "credit_or_first_day_moved" in reasons) == ([], True)
    refresh(world)
    assert (world.recognitions(first), world.recognitions(second)) == (TAKEN_BACK, EARNED)
    assert handed_over(tmp_path, "july.csv", first, second)[0] == [second]


# ---------------------------------------------------------------- one advocate stands for an application


@pytest.mark.parametrize("model", ["linear", "position_based"])
def test_the_field_in_the_ats_names_the_advocate_who_is_paid_whatever_the_model(
    world: World, tmp_path: Path, model: str
):
    with ruled(world, tmp_path, "model: last_touch", f"model: {model}"):
        person, job = world.person(), world.job()
        one, other = world.advocates[:2]
        for advocate, days in ((one, 6), (one, 5), (other, 4), (other, 2), (one, 1)):
            last = world.submit(person, job_id=job, advocate_id=advocate, applied_at=ago(days), submitted_at=ago(days))
        world.settle()
        application_id = world.application(person)["id"]
        hire(world, application_id, day(-100))
        tables = refresh(world)
        assert tables.paid(application_id).keys() == {one}
        carried = tags(world.application(person))
        assert (carried["advocate_id"], carried["referral_id"]) == tables.shown(application_id)
        assert carried["advocate_id"] == one
        if model == "linear":
            assert world.recognitions(last) == EARNED


def test_an_override_reaches_the_ats_though_the_applications_own_referral_is_held_back(world: World):
    person = world.person()
    own, application_id = referred(world, person)
    other, _ = referred(world, person, advocate_id=world.advocates[1])
    world.advocacy("withdraw_referral", referral_id=own)
    world.settle()

    def carried() -> dict[str, Any]:
        (row,) = [row for row in world.applications(person) if row["id"] == application_id]
        return tags(row)

    assert carried()["referral_id"] == own
    decide(application_id, "--referral", other)
    world.settle()
    assert (carried()["referral_id"], carried()["advocate_id"]) == (other, world.advocates[1])
    decide(application_id, "--nobody")
    refresh(world)
    assert carried() == {}


def test_a_referral_that_is_only_clicked_earns_nothing_though_it_opened_the_application(world: World, tmp_path: Path):
    with ruled(world, tmp_path, "create_when_stage: applied", "create_when_stage: clicked"):
        person, job = world.person(), world.job()
        clicked = world.submit(person, job_id=job, stage="clicked", applied_at=None)
        world.settle()
        application_id = world.application(person)["id"]
        hire(world, application_id, day(-100))
        world.tick()
        tables = refresh(world)
        assert (world.recognitions(clicked), tables.paid(application_id)) == ([], {})
        assert tags(world.application(person)) == {}
