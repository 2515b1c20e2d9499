"""Lever and Ashby as an administrator meets them: audited for go-live, webhooks registered, fields made, by command."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner, Result

from referral_pipeline.cli import main
from referral_pipeline.connectors.factory import build_ats
from referral_pipeline.connectors.failures import NotApproved
from referral_pipeline.connectors.setup import CreatesFields, RegistersWebhooks
from referral_pipeline.contract.loader import load_contract
from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline.orchestration.steps_api_audit import audit_apis
from referral_pipeline.quality import go_live
from referral_pipeline.sandbox.launch import Control, Sandbox
from referral_pipeline.webhooks.signatures import Keyring, SignatureRefused
from referral_pipeline_tests.pipeline.conftest import Installation, installed
from referral_pipeline_tests.pipeline.event_rig import TINY
from referral_pipeline_tests.unit.webhook_receiver import receiving

HERE = "https://bridge.example.com"
_KINDS = ("server_error", "bad_gateway_after_work", "reset", "reset_after_work", "truncated")


@dataclass(frozen=True)
class Account:
    """One ATS with an installation in front of it."""

    name: str
    installation: Installation

    @property
    def control(self) -> Control:
        return self.installation.sandbox.control(self.name)

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, list(arguments))

    def told(self, *arguments: str) -> dict[str, Any]:
        """What a command tells of this ATS as JSON."""
        answer = json.loads(self.run(*arguments, "--json").stdout)
        return next((one for one in answer.get("systems", ()) if one["system"] == self.name), answer)


@pytest.fixture(scope="module", params=["lever", "ashby"])
def account(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Account]:
    name: str = request.param
    with Sandbox(size=TINY, ats=name, rate_limit=1_000_000) as sandbox, pytest.MonkeyPatch.context() as patch:
        yield Account(name, installed(tmp_path_factory.mktemp(name) / "home", sandbox, patch))


def only(name: str) -> pytest.MarkDecorator:
    """For a test of one of them."""
    return pytest.mark.parametrize("account", [name], indirect=True)


def open_strangers(account: Account) -> list[Any]:
    """What audits made and did not take back."""
    rows = account.installation.dump(account.name)
    people = {row["id"] for row in rows["candidates"] if (row["first_name"], row["last_name"]) == ("API", "Audit")}
    return [row["id"] for row in rows["applications"] if row["candidate_id"] in people and row["status"] != "rejected"]


def test_an_audit_passes_for_go_live_though_calls_fail_now_and_then(account: Account):
    account.control.faults(0.1, _KINDS, 3)
    try:
        with Bridge.open(account.installation.settings) as bridge:
            kept = audit_apis(bridge)
            found = go_live.standings(bridge.contract, bridge.ledger, now=datetime.now(UTC))
    finally:
        injected = sum(account.control.injected().values())
        account.control.faults(0)
    assert injected > 0
    assert kept.passed, (kept.facts["missing"], kept.facts["unanswered"])
    assert next(one.state for one in found if one.requirement.kind == "api_audit") == "passed"
    with Bridge.open(account.installation.settings) as bridge:
        audit_apis(bridge)  # takes away what a lost answer hid
    assert open_strangers(account) == []


def test_before_anything_is_approved_production_registers_and_makes_nothing(account: Account):
    contract = load_contract(account.installation.settings).model_copy(update={"environment": "production"})
    with Bridge.open(account.installation.settings) as bridge:
        guard = go_live.WriteGuard(contract, bridge.ledger)
        source: Any = build_ats(contract, account.installation.settings, guard=guard)
    assert isinstance(source, RegistersWebhooks)
    account.control.reset_calls()
    with pytest.raises(NotApproved):
        source.register_hook("candidateHired" if account.name == "lever" else "candidateHire", HERE, "a-key")
    assert isinstance(source, CreatesFields)
    if account.name == "ashby":
        account.installation.act("ashby", "archive_custom_field", name_key="reach")
        [missing] = source.missing_fields()
        with pytest.raises(NotApproved):
            source.create_field(missing)
    source.close()
    assert not [name for name in account.control.calls() if "create" in name or name.startswith("POST /webhooks")]
    account.run("fields", "create")


def test_a_dry_run_tells_what_is_missing_and_registers_nothing(account: Account):
    told = account.told("webhooks", "register", "--url", HERE, "--dry-run")
    assert told["missing"] == list(_events(account))
    assert (told["registered"], told["keys"]) == ([], [])
    assert account.told("webhooks", "list")["webhooks"] == []


def test_what_is_missing_is_registered_once_and_listed(account: Account):
    told = account.told("webhooks", "register", "--url", HERE)
    assert (told["registered"], told["missing"]) == (list(_events(account)), [])
    assert len(told["keys"]) == (len(told["registered"]) if account.name == "lever" else 0)
    again = account.told("webhooks", "register", "--url", f"{HERE}/")
    assert (again["registered"], again["keys"]) == ([], [])
    listed = account.told("webhooks", "list", "--url", HERE)
    assert {one["url"] for one in listed["webhooks"]} == {f"{HERE}/webhooks/{account.name}"}
    assert listed["missing"] == []
    shown = account.run("webhooks", "list", "--url", HERE).stdout
    assert "nothing is missing" in shown
    assert (
        "advocacy:\n  the API registers none: point webhooks at https://bridge.example.com/webhooks/advocacy" in shown
    )


def test_the_check_tells_where_events_go(account: Account):
    account.told("webhooks", "register", "--url", HERE)
    shown = account.run("check").stdout
    assert "events are sent to a receiver" in " ".join(shown.split())


def _events(account: Account) -> tuple[str, ...]:
    source: Any = build_ats(load_contract(account.installation.settings), account.installation.settings)
    source.close()
    return tuple(source.hook_events)


@only("lever")
def test_keys_that_lever_made_up_verify_what_it_then_sends(account: Account, monkeypatch: pytest.MonkeyPatch):
    keys = account.told("webhooks", "register", "--url", HERE, "--again")["keys"]
    lost = set(keys)
    keys = account.told("webhooks", "register", "--url", HERE, "--again")["keys"]
    assert len(keys) == len(lost)
    assert not lost & set(keys)
    settings = account.installation.settings
    old = Keyring("lever", "LEVER_WEBHOOK_SECRET", settings)
    with receiving() as receiver:
        account.control.webhooks(url=receiver.url)
        account.installation.act(
            "lever", "create_candidate", first_name="Ada", last_name="Byron", emails=["a@b.example"]
        )
        # The greeting, then the contact.
        [*_, got] = receiver.wait(2)
    with pytest.raises(SignatureRefused, match="wrong"):
        old.verifier().verify(got.headers, got.body, datetime.now(UTC))
    monkeypatch.setenv("LEVER_WEBHOOK_SECRET", ",".join([settings.secret("LEVER_WEBHOOK_SECRET"), *keys]))
    fresh = Keyring("lever", "LEVER_WEBHOOK_SECRET", settings)
    assert fresh.verifier().verify(got.headers, got.body, datetime.now(UTC)) == json.loads(got.body)["token"]


@only("ashby")
def test_fields_that_are_missing_are_made_by_command_where_the_api_can(account: Account):
    account.installation.act("ashby", "archive_custom_field", name_key="share_id")
    dry = account.run("fields", "create", "--dry-run")
    assert (dry.exit_code, dry.stdout) == (1, "ashby: missing: Share id\n")
    assert "referral-pipeline fields create" in " ".join(account.run("check").stdout.split())
    assert account.run("fields", "create").stdout == "ashby: created: Share id\n"
    done = account.run("fields", "create")
    assert (done.exit_code, done.stdout) == (0, "ashby: no field is missing\n")
    names = [row["name"] for row in account.installation.dump("ashby")["custom_fields"] if row["active"]]
    assert names.count("Share id") == 1


@only("ashby")
def test_webhooks_that_are_left_disabled_are_told_and_replaced_once_the_receiver_answers(account: Account):
    here = "https://another.example.com"
    account.control.switches(webhook_ping="refused")
    try:
        done = account.run("webhooks", "register", "--url", here)
    finally:
        account.control.switches(webhook_ping="answered")
    assert done.exit_code == 1
    assert "its ping was not answered" in done.stdout
    told = account.told("webhooks", "register", "--url", here)
    assert (told["problem"], told["registered"]) == (None, list(_events(account)))
    assert all(one["on"] for one in account.told("webhooks", "list")["webhooks"])


@only("lever")
def test_fields_of_lever_need_nothing_and_a_url_is_asked_for(account: Account, monkeypatch: pytest.MonkeyPatch):
    done = account.run("fields", "create")
    assert (done.exit_code, done.stdout) == (0, "lever: no field is missing\n")
    refused = account.run("webhooks", "register")
    assert refused.exit_code == 2
    assert "REFERRAL_PIPELINE_RECEIVER_URL" in refused.output
    assert account.run("webhooks", "register", "--url", "bridge").exit_code == 2
    monkeypatch.setenv("REFERRAL_PIPELINE_RECEIVER_URL", "https://third.example.com")
    told = account.told("webhooks", "register", "--dry-run")
    assert (told["url"], told["missing"]) == ("https://third.example.com/webhooks/lever", list(_events(account)))


@only("greenhouse")
def test_where_the_api_makes_no_fields_it_is_told_where_people_do(account: Account):
    assert account.run("fields", "create").exit_code == 0
    account.installation.act("greenhouse", "archive_custom_field", name_key="share_id")
    done = account.run("fields", "create")
    assert done.exit_code == 1
    assert "greenhouse: missing: share_id" in done.stdout
    assert "in Configure > Custom Options" in done.stdout
    told = account.told("webhooks", "register", "--url", HERE)
    assert "Configure > Dev Center > Web Hooks" in told["by_hand"]


@only("ashby")
def test_a_secret_that_holds_no_key_is_told_by_its_variable(account: Account, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ASHBY_WEBHOOK_SECRET", " , ")
    refused = account.run("webhooks", "register", "--url", "https://fourth.example.com")
    assert refused.exit_code == 1
    assert "ASHBY_WEBHOOK_SECRET holds no key" in refused.output


@only("lever")
def test_each_key_of_lever_is_told_when_it_is_made(account: Account):
    done = account.run("webhooks", "register", "--url", "https://fifth.example.com", "--json")
    keys = next(one for one in json.loads(done.stdout)["systems"] if one["system"] == "lever")["keys"]
    assert [line.rpartition(": ")[2] for line in done.stderr.splitlines() if "told this once" in line] == keys
