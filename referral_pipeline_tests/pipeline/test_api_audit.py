"""The capability audit of a whole installation: by the command, kept for go-live, and of no harm to what runs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from referral_pipeline.cli import main
from referral_pipeline.connectors.capabilities import ALWAYS, CREATION, MERGING, RETURN
from referral_pipeline.contract.loader import load_contract
from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.records import InboxDelivery
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.monitoring.api_audit.audit import ApiAudit, Line, audit_apis, in_use
from referral_pipeline.monitoring.api_audit.webhooks import webhook_lines
from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline.quality import go_live
from referral_pipeline.settings import Settings
from referral_pipeline.warehouse.descriptions import describe
from referral_pipeline_tests.pipeline import event_rig
from referral_pipeline_tests.pipeline.conftest import Installation
from referral_pipeline_tests.pipeline.event_rig import World

shared_world, world = event_rig.shared_world, event_rig.world
CREATE = "POST /v3/candidates"


def audited(settings: Settings, **changes: object) -> ApiAudit:
    contract = load_contract(settings)
    with Ledger.open(contract.ledger.url, home=settings.home) as ledger:
        return audit_apis(contract.model_copy(update=changes), settings, ledger)


def standing_of_the_audit(contract: Contract, ledger: Ledger) -> str:
    found = go_live.standings(contract, ledger, now=datetime.now(UTC))
    return next(one.state for one in found if one.requirement.kind == "api_audit")


def test_the_command_tells_what_lacks_keeps_it_for_go_live_and_puts_it_in_writing(
    installation: Installation, tmp_path: Path
):
    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["audit-api", *arguments])
        return done.exit_code, done.stdout

    contract = load_contract(installation.settings)
    code, output = run()
    assert (code, "Passed: nothing that the contract needs is missing" in output) == (0, True)
    published = installation.settings.published_dir
    assert "**Passed**" in (published / "api_capability.md").read_text()
    first = json.loads((published / "api_capability.json").read_text())
    with Ledger.open(contract.ledger.url, home=installation.home) as ledger:
        assert standing_of_the_audit(contract, ledger) == "passed"

    control = installation.sandbox.control("greenhouse")
    control.switches(operations_forbidden=[CREATE])
    code, output = run("--json", "--out", str(tmp_path / "out"))
    told = json.loads(output)
    assert (code, told["ok"], told["missing"]) == (1, False, ["greenhouse candidates.create"])
    assert [(one["key"], one["mend"]) for one in told["problems"]] == [
        ("greenhouse candidates.create", "no referral reaches the ATS")
    ]
    assert json.loads((tmp_path / "out" / "api_capability.json").read_text())["missing"] == told["missing"]
    assert (
        "**Not passed**: missing and needed: greenhouse candidates.create."
        in (tmp_path / "out" / "api_capability.md").read_text()
    )

    with Bridge.open(installation.settings) as bridge:
        assert standing_of_the_audit(contract, bridge.ledger) == "failed"
        rows = bridge.warehouse.frame("SELECT * FROM ops.api_capability")
    assert sorted(set(rows["audit_id"])) == [first["id"], told["id"]]
    known = describe("ops.api_capability")
    assert known is not None
    assert list(known.columns) == list(rows.columns)
    lacking = rows[(rows["standing"] == "missing") & rows["needed"]]
    assert list(lacking["endpoint"]) == [CREATE]
    # Nothing of anybody is in what others read.
    people = [row for row in installation.dump("greenhouse")["candidates"] if row["email_addresses"]]
    text = (published / "api_capability.json").read_text()
    assert people
    assert not [row["id"] for row in people if row["email_addresses"][0]["value"] in text]


def _is_arrival(line: Line, system: str) -> bool:
    return (line.system, line.capability.name) == (system, "webhooks.arrived")


def test_the_lane_meets_an_audit_as_it_meets_strangers(world: World):
    before = {system: world.dump(system) for system in ("advocacy", "greenhouse")}
    audit = audited(world.settings)
    assert audit.passed
    done = world.settle()
    ended = {one.outcome for one in done if one.system == "greenhouse" and not one.outcome.startswith("again:")}
    assert ended == {"not_ours"}
    for entity in ("referrals", "recognitions", "results"):
        assert world.dump("advocacy")[entity] == before["advocacy"][entity]
    for entity in ("candidates", "applications"):
        assert world.dump("greenhouse")[entity] == before["greenhouse"][entity]
    [line] = [one.capability for one in audited(world.settings).lines if _is_arrival(one, "greenhouse")]
    assert line.standing == "covered"


def test_what_a_phase_that_is_off_would_need_is_told_and_does_not_fail(world: World):
    contract = load_contract(world.settings)
    off = contract.phases.model_copy(update={"candidate_creation": False, "content_enrichment": False})
    control = world._ats
    control.switches(operations_absent=[CREATE])
    try:
        assert [one.capability.name for one in audited(world.settings).missing] == ["candidates.create"]
        audit = audited(world.settings, phases=off)
    finally:
        control.switches(operations_absent=[])
    [line] = [one for one in audit.lines if one.capability.endpoint == CREATE]
    assert (line.capability.standing, line.needed, audit.passed) == ("missing", False, True)


def test_an_answer_that_never_comes_is_not_called_missing_and_does_not_pass(world: World):
    ats = load_contract(world.settings).ats
    impatient = ats.model_copy(update={"options": {**ats.options, "max_attempts": 1}})
    world._ats.outage("read_only")
    try:
        audit = audited(world.settings, ats=impatient)
    finally:
        world._ats.outage(None)
    assert audit.missing == []
    assert "candidates.create" in {one.capability.name for one in audit.unanswered}
    assert not audit.passed


@pytest.mark.parametrize("seed", range(3))
def test_calls_that_fail_now_and_then_change_nothing_of_what_is_found_and_leave_nothing_behind(world: World, seed: int):
    world.settle()
    before = {entity: world.dump("greenhouse")[entity] for entity in ("candidates", "applications")}
    kinds = ("server_error", "bad_gateway_after_work", "reset", "reset_after_work", "truncated")
    for control in (world._ats, world._advocacy):
        control.faults(0.1, kinds, seed)
    try:
        audit = audited(world.settings)
    finally:
        injected = [sum(control.injected().values()) for control in (world._ats, world._advocacy)]
        for control in (world._ats, world._advocacy):
            control.faults(0)
    assert sum(injected) > 0
    assert audit.passed, (audit.missing, audit.unanswered)
    audited(world.settings)  # the next one takes away what a lost answer hid
    assert {entity: world.dump("greenhouse")[entity] for entity in before} == before


def test_what_counts_follows_the_phases_of_the_contract(world: World):
    contract = load_contract(world.settings)
    assert {ALWAYS, CREATION, RETURN} <= in_use(contract)
    assert MERGING not in in_use(contract)
    dedupe = contract.rules.dedupe.model_copy(update={"merge_in_ats": True})
    rules = contract.rules.model_copy(update={"dedupe": dedupe})
    assert MERGING in in_use(contract.model_copy(update={"rules": rules}))


def test_in_production_an_audit_writes_nothing(world: World):
    world.forget_calls()
    audit = audited(world.settings, environment="production")
    assert audit.passed
    calls = {**world.calls("greenhouse"), **world.calls("advocacy")}
    assert {name.partition(" ")[0] for name in calls} == {"GET"}


def test_a_webhook_key_that_cannot_be_one_is_told(world: World, monkeypatch: pytest.MonkeyPatch):
    contract = load_contract(world.settings)
    monkeypatch.setenv(contract.advocacy.webhook_secret_env, "whsec_!")
    [line] = [one for one in audited(world.settings).missing if one.system == "advocacy"]
    assert line.capability.name == "webhooks.signature"
    assert "whsec" not in repr(line)


def test_what_reconciliation_found_is_no_webhook(world: World, tmp_path: Path):
    system = load_contract(world.settings).ats
    found = InboxDelivery("greenhouse", "reconcile:1", "reconcile.application", "reconciliation", None, None, None)
    with Ledger.open("sqlite:///ledger.sqlite", home=tmp_path) as ledger:
        ledger.receive_many([found])
        [_, line] = webhook_lines(system, ledger, world.settings)
        assert (line.name, line.standing) == ("webhooks.arrived", "not verified")
        ledger.receive_many([replace(found, delivery_id="1", origin="webhook")])
        [_, line] = webhook_lines(system, ledger, world.settings)
        assert line.standing == "covered"
