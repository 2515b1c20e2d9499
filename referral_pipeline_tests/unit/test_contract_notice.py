"""Who runs a command where no contract file is, hears that the contract of the local sandbox holds: once, and aside."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from referral_pipeline.cli import main
from referral_pipeline.contract.scaffold import sandbox_contract
from referral_pipeline.settings import CONTRACT_TOLD

WORDS = "No contract file: the contract of the local sandbox is used."


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a contract and without secrets."""
    for name in [name for name in os.environ if name.startswith(("REFERRAL_PIPELINE_", "GREENHOUSE_", "ADVOCACY_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("REFERRAL_PIPELINE_HOME", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments])


@pytest.mark.parametrize(
    "arguments",
    [
        *("health --rules", "health --json", "check --offline", "map", "go-live", "refresh", "reconcile", "up", "lane"),
        *("audit run", "audit list", "audit-api", "attribution validate", "attribution repair", "parallel-run"),
        *(
            "parallel-run sign-off --by a@example.com --reason x",
            "events list --json",
            "events purge",
            "query --tables",
        ),
        *("quarantine", "explain app_1", "scorecard --template greenhouse", "review list", "credit list", "bonus list"),
    ],
)
def test_a_command_that_works_on_an_installation_says_once_which_contract_holds(home: Path, arguments: str):
    done = run(*arguments.split())
    assert done.exit_code in (0, 1), done.output
    assert done.stderr.count(WORDS) == 1
    assert f"One is looked for at {home / 'data' / 'integration.yaml'}; `referral-pipeline init`" in done.stderr
    assert WORDS not in done.stdout


def test_what_programs_read_is_left_alone(home: Path):
    assert json.loads(run("health", "--json").stdout)["severity"] == "ok"
    assert run("map").stdout.startswith("#")


@pytest.mark.parametrize(
    "arguments",
    [
        *("--help", "health --help", "parallel-run sign-off --help", "go-live --by a@example.com --no-such-option"),
        *("resolve --help", "init --owner-email ops@example.com"),
    ],
)
def test_who_asks_for_help_mistypes_or_needs_no_contract_hears_nothing_of_it(home: Path, arguments: str):
    assert WORDS not in run(*arguments.split()).output


def test_up_with_its_own_sandbox_hears_nothing_of_it(home: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("up", "--sandbox", "--port", str(taken.getsockname()[1]))
    assert (done.exit_code, "cannot listen on" in done.output, WORDS in done.output) == (1, True, False)


def test_with_a_contract_file_or_one_that_is_named_nothing_is_said(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REFERRAL_PIPELINE_CONFIG", "elsewhere.yaml")
    named = run("map")
    assert (named.exit_code, WORDS in named.output, "found no such file" in named.output) == (1, False, True)
    monkeypatch.delenv("REFERRAL_PIPELINE_CONFIG")
    (home / "data").mkdir(exist_ok=True)
    (home / "data" / "integration.yaml").write_text(sandbox_contract(), encoding="utf-8")
    assert WORDS not in run("map").output


def test_the_processes_of_up_do_not_say_it_again(home: Path, monkeypatch: pytest.MonkeyPatch):
    from referral_pipeline.orchestration.up import supervisor_for
    from referral_pipeline.settings import load_settings

    supervisor = supervisor_for(load_settings(home), host="127.0.0.1", port=0, say=lambda line: None)
    monkeypatch.setenv(CONTRACT_TOLD, supervisor.environment[CONTRACT_TOLD])
    assert WORDS not in run("map").output
