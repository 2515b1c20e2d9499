"""A vendor changes its API: it is told within one run, nothing is lost, and after the mend all is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner

from referral_pipeline.cli import main
from referral_pipeline.ledger.store import AlertRecord
from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline.orchestration.steps_schema_drift import keep_drift
from referral_pipeline.sandbox.launch import Control, Sandbox
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline_tests.pipeline.conftest import Installation, installed


@dataclass(frozen=True)
class Run:
    """What one run found and what is there after it."""

    changes: set[tuple[str, str, str, str, str]]  # (system, operation, kind, path, state)
    quarantine: dict[str, int]
    applications: set[str]
    referrals: set[str]
    alerts: list[AlertRecord]
    full: bool

    def open(self, kind: str) -> set[tuple[str, str, str]]:
        found = [change for change in self.changes if (change[2], change[4]) == (kind, "open")]
        return {(system, operation, path) for system, operation, _, path, _ in found}

    def told(self, part: str) -> list[AlertRecord]:
        """The alerts whose subject has this in it."""
        return [one for one in self.alerts if part in one.fingerprint and one.name == "schema_drift"]


@dataclass
class World:
    """An installation whose answers were learned by one run."""

    installation: Installation

    @property
    def ats(self) -> Control:
        return self.installation.sandbox.control("greenhouse")

    @property
    def advocacy(self) -> Control:
        return self.installation.sandbox.control("advocacy")

    def run(self, *, full: bool = False) -> Run:
        """Both pulls and the look at drift, by the steps of a run, without Dagster."""
        with Bridge.open(self.installation.settings) as bridge:
            _, first = bridge.pull_advocacy(full=full)
            pulls, second = bridge.pull_ats(full=full)
            keep_drift(bridge)
            warehouse = bridge.warehouse
            changes = warehouse.frame("SELECT system, operation, kind, path, state FROM ops.schema_drift")
            return Run(
                {tuple(row) for row in changes.itertuples(index=False)},
                {**first.quarantined_records, **second.quarantined_records},
                set(warehouse.frame("SELECT id FROM staging.ats_application")["id"]),
                set(warehouse.frame("SELECT id FROM staging.referral")["id"]),
                bridge.ledger.alerts(limit=1000),
                any(pull.full for pull in pulls),
            )


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory, shared_patch: pytest.MonkeyPatch) -> Iterator[tuple[World, Run]]:
    with Sandbox(size=ProgrammeSize.small()) as sandbox:
        world = World(installed(tmp_path_factory.mktemp("drift") / "home", sandbox, shared_patch))
        yield world, world.run()


@pytest.fixture
def world(learned: tuple[World, Run]) -> Iterator[World]:
    own = learned[0]
    yield own
    own.ats.drift()
    own.advocacy.drift()


def command(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["drift", *arguments])
    return done.exit_code, done.output


def test_an_api_that_does_not_change_is_no_news(world: World):
    run = world.run(full=True)
    assert run.changes == set()
    assert run.told("") == []


def test_a_renamed_field_is_told_within_one_run_and_no_row_is_lost(world: World, learned: tuple[World, Run]):
    before = learned[1]
    world.ats.drift({"only": "GET /v3/applications", "rename": {"candidate_id": "person_id"}, "rows": 40})
    run = world.run(full=True)
    assert ("greenhouse", "applications.list", "[].candidate_id") in run.open("missing_required")
    assert ("greenhouse", "applications.list", "[].person_id") in run.open("new_field")
    (alert,) = run.told("missing_required")
    assert (alert.severity, alert.resolved_at) == ("error", None)
    # What can be read goes on, the rest is set aside and counted.
    assert run.applications < before.applications
    assert len(before.applications) - len(run.applications) <= run.quarantine["candidate_id missing"]

    world.ats.drift()
    applications = world.installation.dump("greenhouse")["applications"]
    touched = next(row["id"] for row in applications if row["status"] == "in_process" and row["source_id"] is not None)
    world.installation.act("greenhouse", "edit_application", application_id=touched, source_id=None)
    mended = world.run()
    assert not mended.full
    assert mended.open("missing_required") == set()
    assert all(one.resolved_at for one in mended.told("missing_required"))
    # The next pull asks for everything again, and the change stays in the history.
    again = world.run()
    assert again.full
    assert again.applications == before.applications
    assert again.quarantine == before.quarantine
    assert not again.open("missing_required")
    assert ("greenhouse", "applications.list", "missing_required", "[].candidate_id", "over") in again.changes


def test_an_added_stage_is_told_within_one_run(world: World, learned: tuple[World, Run]):
    world.ats.drift({"only": "GET /v3/job_interview_stages", "word": {"name": "Panel of peers"}, "rows": 1})
    run = world.run(full=True)
    assert ("greenhouse", "job_interview_stages.list", "[].name") in run.open("new_word")
    (alert,) = run.told("Panel of peers")
    assert alert.severity == "warning"
    assert run.applications == learned[1].applications


def test_an_unknown_word_of_a_closed_vocabulary_is_told_and_its_rows_are_kept(world: World, learned: tuple[World, Run]):
    before = learned[1]
    world.advocacy.drift({"only": "GET /v1/referrals", "word": {"stage": "considering"}, "rows": 3})
    run = world.run(full=True)
    assert ("advocacy", "referrals.list", "data[].stage") in run.open("new_word")
    assert len(run.told("considering")) == 1
    assert len(before.referrals - run.referrals) == 3
    world.advocacy.drift()
    assert world.run(full=True).referrals == before.referrals


def test_a_sunset_header_is_told_within_one_run_with_its_day_once_for_all_operations(world: World):
    headers = {"Sunset": "Sat, 27 Feb 2027 00:00:00 GMT", "Deprecation": "@1767225600"}
    world.ats.drift({"only": "GET /v3/", "headers": headers})
    run = world.run()
    assert ("greenhouse", "jobs.list", "") in run.open("sunset")
    assert len(run.open("sunset")) > 5
    (alert,) = run.told("sunset:2027-02-27")
    assert "2027-02-27" in alert.message
    assert len(run.told("deprecation:2026-01-01")) == 1
    world.ats.drift()
    assert world.run().open("sunset") == set()


def test_a_type_that_changes_is_told_and_listed_and_a_person_accepts_it(world: World):
    world.ats.drift({"only": "GET /v3/candidates", "retype": ["id"]})
    world.run(full=True)
    code, text = command("list", "--json")
    rows: list[dict[str, Any]] = json.loads(text)["drifts"]
    (changed,) = [row for row in rows if row["kind"] == "type_changed" and row["path"] == "[].id"]
    assert (changed["found"], changed["before"], changed["severity"]) == ("text", "number", "warning")

    assert command("accept", "--by", "ada@example.com", "--why", "x")[0] == 2
    assert command("accept", changed["drift_id"], "--by", "@", "--why", "x")[0] == 2
    code, text = command("accept", "00000000", "--by", "ada@example.com", "--why", "ids are texts now")
    assert (code, "00000000" in text) == (1, True)
    code, text = command("accept", changed["drift_id"], "--by", "ada@example.com", "--why", "ids are texts now")
    assert code == 0, text
    run = world.run(full=True)
    assert ("greenhouse", "candidates.list", "type_changed", "[].id", "accepted") in run.changes
    assert all(one.resolved_at for one in run.told("type_changed:[].id"))
    assert changed["drift_id"] not in command()[1]
    assert changed["drift_id"] in command("list", "--all")[1]
    assert command("accept", "--all", "--by", "ada@example.com", "--why", "all of it")[0] == 0
    assert command()[0] == 0


def test_nothing_that_was_learned_names_a_person(world: World):
    with Bridge.open(world.installation.settings) as bridge:
        kept = " ".join(f"{fact.path} {fact.value}" for fact in bridge.ledger.shapes())
    assert "@" not in kept
    truth = world.installation.dump("greenhouse")["candidates"]
    names = {row["last_name"] for row in truth} - {""}
    assert len(names) > 20
    assert not [name for name in names if f" {name} " in kept]
