"""Nothing is written in production before what is written there was verified in the sandbox and approved."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from referral_pipeline.cli import main
from referral_pipeline.connectors.covered import fingerprint_of
from referral_pipeline.contract.loader import load_contract, parse_contract
from referral_pipeline.contract.models import Contract
from referral_pipeline.contract.problems import ContractError
from referral_pipeline.contract.scaffold import Choices, integration_yaml
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.monitoring.alerts import AlertDesk
from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline.orchestration.lane import open_lane
from referral_pipeline.orchestration.lane_alerts import LaneAlerts
from referral_pipeline.orchestration.verified import keep
from referral_pipeline.quality import go_live
from referral_pipeline.quality.go_live import GoLiveRefused, WriteGuard
from referral_pipeline.sandbox.credentials import SECRETS
from referral_pipeline.settings import load_settings
from referral_pipeline_tests.pipeline.conftest import Installation

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = "a key of the two installations"
KINDS = [requirement.kind for requirement in go_live.REQUIREMENTS]
YAML = integration_yaml(Choices())
SANDBOX = parse_contract(YAML)


def production(contract: Contract) -> Contract:
    return contract.model_copy(update={"environment": "production"})


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    with Ledger.open("sqlite:///here.sqlite", home=tmp_path, clock=clock) as opened:
        yield opened


@pytest.fixture
def elsewhere(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    with Ledger.open("sqlite:///production.sqlite", home=tmp_path, clock=clock) as opened:
        yield opened


def verified(ledger: Ledger, contract: Contract = SANDBOX, *, but: str = "", passed: bool = True) -> None:
    for kind in KINDS:
        if kind != but:
            keep(kind, contract, ledger, passed=passed, facts={"checked": 50})


def approved(ledger: Ledger, contract: Contract = SANDBOX) -> None:
    verified(ledger, contract)
    go_live.approve(contract, ledger, by="lead@example.com", reason="all is well", now=NOW)


# ---------------------------------------------------------------- what is asked for


@pytest.mark.parametrize("kind", KINDS)
def test_without_any_one_verification_nobody_can_approve(ledger: Ledger, kind: str):
    verified(ledger, but=kind)
    with pytest.raises(GoLiveRefused, match=f"^{kind} is missing: "):
        go_live.approve(SANDBOX, ledger, by="lead@example.com", reason="it will do", now=NOW)
    assert go_live.approval_of(SANDBOX, ledger) is None


def test_what_lacks_is_mended_by_commands_that_there_are():
    named = {one.kind: re.findall(r"`referral-pipeline ([a-z-]+)", one.mend) for one in go_live.REQUIREMENTS}
    assert named["api_audit"] == ["audit-api"]
    assert {command for commands in named.values() for command in commands} <= set(main.commands)


def test_the_newest_result_counts_and_an_old_one_does_not(ledger: Ledger, clock: Clock):
    verified(ledger)
    keep("check", SANDBOX, ledger, passed=False, facts={"problems": ["ats.base_url"]})
    states = {s.requirement.kind: s.state for s in go_live.standings(SANDBOX, ledger, now=NOW)}
    assert states == {**dict.fromkeys(KINDS, "passed"), "check": "failed"}
    later = NOW + timedelta(days=32)
    states = {s.requirement.kind: s.state for s in go_live.standings(SANDBOX, ledger, now=later)}
    assert states == {**dict.fromkeys(KINDS, "old"), "check": "failed"}


def test_somebody_must_answer_for_it(ledger: Ledger):
    verified(ledger)
    for by, reason in (("", "because"), ("somebody", "because"), ("@", "because"), ("lead@example.com", " ")):
        with pytest.raises(GoLiveRefused, match="--by with their e-mail address, and --reason"):
            go_live.approve(SANDBOX, ledger, by=by, reason=reason, now=NOW)


def test_a_refusal_keeps_the_case_of_what_must_be_typed(ledger: Ledger):
    verified(ledger, but="sign_off")
    with pytest.raises(GoLiveRefused, match=r"read `referral-pipeline .* --by ADDRESS --reason WORDS`"):
        go_live.approve(SANDBOX, ledger, by="lead@example.com", reason="it will do", now=NOW)


@pytest.mark.parametrize("state", ["failed", "old"])
def test_an_approval_travels_only_while_what_it_rests_on_holds(ledger: Ledger, state: str):
    approved(ledger)
    now = NOW + timedelta(days=8) if state == "old" else NOW
    if state == "failed":
        keep("check", SANDBOX, ledger, passed=False, facts={"problems": ["ats.base_url"]})
    with pytest.raises(GoLiveRefused, match=f"does not hold now. check is {state}: run `referral-pipeline check`"):
        go_live.exported(SANDBOX, ledger, key=KEY, now=now)


def test_production_cannot_approve_itself(ledger: Ledger):
    verified(ledger, production(SANDBOX))
    with pytest.raises(GoLiveRefused, match="given where the evidence is"):
        go_live.approve(production(SANDBOX), ledger, by="lead@example.com", reason="we are in a hurry", now=NOW)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  Offer: offered", "  Offer: interviewed"),
        ("model: last_touch", "model: linear"),
        ("  - {from: ats.application.starts_on, to: advocacy.referral.starts_on}\n", ""),
        ("shared_mailbox_limit: 3", "shared_mailbox_limit: 4"),
    ],
)
def test_what_it_covers_must_be_verified_and_approved_again_when_it_changes(ledger: Ledger, old: str, new: str):
    approved(ledger)
    assert go_live.is_approved(production(SANDBOX), ledger)
    assert old in YAML
    changed = production(parse_contract(YAML.replace(old, new, 1)))
    assert not go_live.is_approved(changed, ledger)
    assert {s.state for s in go_live.standings(changed, ledger, now=NOW)} == {"missing"}


def test_what_was_verified_in_production_is_no_evidence(ledger: Ledger):
    verified(ledger, production(SANDBOX))
    assert {s.state for s in go_live.standings(SANDBOX, ledger, now=NOW)} == {"missing"}


def test_a_copy_of_a_copy_is_no_younger(ledger: Ledger, elsewhere: Ledger, clock: Clock):
    approved(ledger)
    first = go_live.exported(SANDBOX, ledger, key=KEY, now=NOW)
    clock.now = NOW + timedelta(days=29)
    live = production(SANDBOX)
    taken = go_live.import_approval(first, live, elsewhere, key=KEY, now=clock.now)
    assert (taken.at, taken.given_at) == (clock.now, NOW)
    again = go_live.exported(live, elsewhere, key=KEY, now=clock.now)
    assert json.loads(again)["approved_at"] == json.loads(first)["approved_at"]
    with pytest.raises(GoLiveRefused, match="not of the last 30 days"):
        go_live.import_approval(again, live, elsewhere, key=KEY, now=NOW + timedelta(days=31))


def test_the_alert_that_nothing_is_written_is_over_when_the_contract_is_approved_again(
    ledger: Ledger, elsewhere: Ledger, tmp_path: Path, clock: Clock
):
    live = production(SANDBOX)
    approved(ledger)
    copy = go_live.exported(SANDBOX, ledger, key=KEY, now=NOW)
    with AlertDesk(live, load_settings(tmp_path), elsewhere, clock, background=False) as desk:
        told = LaneAlerts(live, elsewhere, desk)
        told.not_approved()
        told.approved_again(lambda: go_live.is_approved(live, elsewhere))
        assert [alert.name for alert in elsewhere.alerts(open_only=True)] == ["not_approved"]
        go_live.import_approval(copy, live, elsewhere, key=KEY, now=NOW)
        told.approved_again(lambda: go_live.is_approved(live, elsewhere))
    assert elsewhere.alerts(open_only=True) == []


def test_another_version_of_a_connector_is_not_the_approved_one(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    approved(ledger)
    monkeypatch.setattr("referral_pipeline.connectors.covered.connector_version", lambda name: f"{name} of tomorrow")
    assert not go_live.is_approved(production(SANDBOX), ledger)


def test_what_mends_a_missing_validation_of_attribution_are_commands_that_there_are(ledger: Ledger):
    verified(ledger, but="attribution")
    with pytest.raises(GoLiveRefused) as refused:
        go_live.approve(SANDBOX, ledger, by="lead@example.com", reason="it will do", now=NOW)
    named = re.findall(r"`(?:referral-pipeline )?(attribution [a-z]+)`", str(refused.value))
    assert named == ["attribution validate", "attribution repair"]
    for command in named:
        assert CliRunner().invoke(main, [*command.split(), "--help"]).exit_code == 0


# ---------------------------------------------------------------- the copy that travels


def test_an_approval_travels_to_production_and_can_be_taken_back_there(ledger: Ledger, elsewhere: Ledger, clock: Clock):
    approved(ledger)
    live = production(SANDBOX)
    assert not go_live.is_approved(live, elsewhere)
    text = go_live.exported(SANDBOX, ledger, key=KEY, now=NOW)
    go_live.import_approval(text, live, elsewhere, key=KEY, now=NOW)
    found = go_live.approval_of(live, elsewhere)
    assert found is not None
    assert (found.approved, found.by, found.reason) == (True, "lead@example.com", "all is well")
    clock.now = NOW + timedelta(hours=1)
    go_live.revoke(live, elsewhere, by="cto@example.com", reason="duplicates were seen")
    assert not go_live.is_approved(live, elsewhere)
    with pytest.raises(GoLiveRefused, match="revoked here after it was given"):
        go_live.import_approval(text, live, elsewhere, key=KEY, now=clock.now)


@pytest.mark.parametrize("name", ["fingerprint", "approved_by", "approved_at", "reason", "signature"])
def test_a_file_that_was_changed_anywhere_is_refused(ledger: Ledger, elsewhere: Ledger, name: str):
    approved(ledger)
    content: dict[str, Any] = json.loads(go_live.exported(SANDBOX, ledger, key=KEY, now=NOW))
    content[name] = (NOW + timedelta(minutes=1)).isoformat() if name == "approved_at" else content[name][:-1] + "~"
    with pytest.raises(GoLiveRefused, match="signature does not fit"):
        go_live.import_approval(json.dumps(content), production(SANDBOX), elsewhere, key=KEY, now=NOW)
    assert go_live.approval_of(production(SANDBOX), elsewhere) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"format": 1}', "\x00", '{"signature": 5, "format": []}'])
def test_a_file_that_is_no_approval_is_refused_in_words(elsewhere: Ledger, text: str):
    with pytest.raises(GoLiveRefused, match="is not an approval"):
        go_live.import_approval(text, production(SANDBOX), elsewhere, key=KEY, now=NOW)


def test_a_file_of_another_key_another_contract_or_another_time_is_refused(ledger: Ledger, elsewhere: Ledger):
    approved(ledger)
    text = go_live.exported(SANDBOX, ledger, key=KEY, now=NOW)
    live = production(SANDBOX)
    other = production(parse_contract(YAML.replace("model: last_touch", "model: linear")))
    for contract, key, now, words in (
        (live, KEY + "!", NOW, "signed with another"),
        (other, KEY, NOW, "approves another contract"),
        (live, KEY, NOW + timedelta(days=31), "not of the last 30 days"),
        (live, KEY, NOW - timedelta(days=1), "not of the last 30 days"),
        (live, "short", NOW, "shorter than 16"),
    ):
        with pytest.raises(GoLiveRefused, match=words):
            go_live.import_approval(text, contract, elsewhere, key=key, now=now)
    assert elsewhere.verifications("go_live") == []


# ---------------------------------------------------------------- the guard under every write


def writes(bridge: Bridge) -> Counter[str]:
    bridge.calls.flush()
    return Counter(
        call.operation for call in bridge.ledger.calls() if call.method != "GET" and call.operation != "token"
    )


def everything(bridge: Bridge) -> None:
    bridge.pull_advocacy()
    bridge.pull_ats()
    bridge.write_candidates()
    bridge.return_statuses()
    bridge.publish_jobs()


def test_nothing_at_all_is_written_in_production_before_it_is_approved(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("referral_pipeline.quality.go_live._ASK_AGAIN_SECONDS", 0.0)
    settings = installation.settings
    sandbox = load_contract(settings)
    before = {system: installation.dump(system) for system in ("advocacy", "greenhouse")}
    with Bridge(settings=settings, contract=production(sandbox)) as bridge:
        everything(bridge)
        bridge.merge_candidates()
        assert writes(bridge) == Counter()
        assert any(call.method == "GET" for call in bridge.ledger.calls())
        assert {system: installation.dump(system) for system in before} == before

        approved(bridge.ledger, sandbox)
        everything(bridge)
        sent = writes(bridge)
        assert sent["candidates.create"] > 0
        assert sent["referrals.update"] > 0

        go_live.revoke(production(sandbox), bridge.ledger, by="cto@example.com", reason="stop")
        [job, *_] = installation.dump("greenhouse")["jobs"]
        installation.act("greenhouse", "close_job", job_id=job["id"])
        everything(bridge)
        assert writes(bridge) == sent
    # Nothing was burnt by being refused: with a new word it goes on.
    with Bridge(settings=settings, contract=production(sandbox)) as bridge:
        approved(bridge.ledger, sandbox)
        everything(bridge)
        assert writes(bridge)["jobs.put"] > sent["jobs.put"]


def test_a_connector_that_nobody_gave_a_guard_writes_nothing_in_production(installation: Installation):
    from referral_pipeline.connectors.factory import build_advocacy
    from referral_pipeline.connectors.failures import NotApproved

    contract = production(load_contract(installation.settings))
    connector = build_advocacy(contract, installation.settings)
    [job, *_] = installation.dump("greenhouse")["jobs"]
    with pytest.raises(NotApproved, match="run `referral-pipeline go-live`"):
        connector._client.call("jobs.put", "PUT", f"v1/jobs/{job['id']}", json={})
    connector.close()


def test_who_runs_is_told_once_when_the_approval_ends(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    from referral_pipeline.connectors.failures import NotApproved

    monkeypatch.setattr("referral_pipeline.quality.go_live._ASK_AGAIN_SECONDS", 0.0)
    told: list[int] = []
    approved(ledger)
    guard = WriteGuard(production(SANDBOX), ledger, lambda: told.append(1))
    guard("greenhouse", "candidates.create")
    go_live.revoke(production(SANDBOX), ledger, by="cto@example.com", reason="stop")
    for _ in range(3):
        with pytest.raises(NotApproved):
            guard("greenhouse", "candidates.create")
    assert told == [1]


def test_a_revocation_stops_what_runs_also_when_the_file_was_changed_meanwhile(ledger: Ledger):
    approved(ledger)
    live = production(SANDBOX)
    guard = WriteGuard(live, ledger)
    assert guard.look()
    changed = production(parse_contract(YAML.replace("shared_mailbox_limit: 3", "shared_mailbox_limit: 4", 1)))
    go_live.revoke(changed, ledger, by="cto@example.com", reason="stop now")
    assert not go_live.is_approved(live, ledger)
    approved(ledger)
    assert go_live.is_approved(live, ledger)


def test_what_runs_stops_writing_when_the_contract_in_the_file_is_another_or_broken(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("referral_pipeline.quality.go_live._ASK_AGAIN_SECONDS", 0.0)
    approved(ledger)
    text = [YAML]
    told: list[int] = []
    guard = WriteGuard(production(SANDBOX), ledger, lambda: told.append(1), lambda: production(parse_contract(text[0])))
    assert guard.look()
    text[0] = YAML.replace("  Offer: offered", "  Offer: interviewed", 1)
    assert not guard.look()
    text[0] = "version: ["
    assert not guard.look()
    assert told == [1]
    text[0] = YAML.replace("latency_p95_seconds: 60", "latency_p95_seconds: 61", 1)  # nothing that is covered
    assert guard.look()


# ---------------------------------------------------------------- what starts, and what people see


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in {**SECRETS, "REFERRAL_PIPELINE_APPROVAL_KEY": KEY}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("REFERRAL_PIPELINE_HOME", str(tmp_path))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "integration.yaml").write_text(YAML, encoding="utf-8")
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, [*arguments])
    return done.exit_code, done.output


def test_from_the_sandbox_to_production_by_the_command_line(home: Path, monkeypatch: pytest.MonkeyPatch):
    import threading

    code, output = run("go-live")
    assert code == 1
    assert "0 of 7 requirements hold.\nNot approved: 7 of 7 are not met." in output
    code, output = run("go-live", "--approve", "--by", "lead@example.com", "--reason", "now")
    assert code == 1
    assert "check is missing: run `referral-pipeline check` and mend what it names" in output
    contract = load_contract(load_settings(home))
    with Ledger.open(contract.ledger.url, home=home) as ledger:
        verified(ledger, contract)
    file = home / "approval.json"
    code, output = run("go-live", "--approve", "--by", "lead@example.com", "--reason", "all is well")
    assert (code, "7 of 7 requirements hold.\nApproved by" in output) == (0, True)
    assert run("go-live", "--export", str(file))[0] == 0
    shown = json.loads(run("go-live", "--json")[1])
    assert (shown["approved"], shown["ready"], shown["fingerprint"]) == (True, True, fingerprint_of(contract))

    # Another installation, in production: the same contract but for the environment and the addresses.
    live = home / "live"
    (live / "data").mkdir(parents=True)
    text = integration_yaml(Choices(environment="production"))
    (live / "data" / "integration.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("REFERRAL_PIPELINE_HOME", str(live))
    settings = load_settings(live)
    assert fingerprint_of(load_contract(settings)) == fingerprint_of(contract)
    for start in (lambda: Bridge.open(settings), lambda: open_lane(settings, stop=threading.Event()).__enter__()):
        with pytest.raises(ContractError, match="whose go-live has not been approved"):
            start()
    for command in ("refresh", "reconcile", "audit run", "audit-api"):
        code, output = run(*command.split())
        assert code == 1
        assert output.startswith("error: environment: found production, whose go-live has not been approved")
    assert not (live / "data" / "state" / "dagster").exists()  # no run was made that could become an alert
    code, output = run("go-live", "--import", str(file))
    assert (code, "Approved by lead@example.com" in output) == (0, True)
    Bridge.open(settings).close()
    assert run("go-live", "--revoke", "--by", "cto@example.com", "--reason", "stop")[0] == 0
    with pytest.raises(ContractError, match="whose go-live was revoked"):
        Bridge.open(settings)


@pytest.mark.parametrize(
    "arguments", ["--approve --revoke --by a@example.com --reason x", "--by a@example.com", "--reason x --json"]
)
def test_words_that_fit_no_one_action_are_a_usage_error(home: Path, arguments: str):
    code, output = run("go-live", *arguments.split())
    assert (code, "Usage: " in output) == (2, True)


def test_a_check_that_talked_to_the_systems_is_kept_for_go_live(installation: Installation):
    assert run("check", "--offline")[0] == 0
    contract = load_contract(installation.settings)
    with Ledger.open(contract.ledger.url, home=installation.home) as ledger:
        assert ledger.verifications("check") == []
        assert run("check")[0] == 0
        [kept] = ledger.verifications("check")
    assert (kept.passed, kept.fingerprint, kept.facts["problems"]) == (True, fingerprint_of(contract), [])
