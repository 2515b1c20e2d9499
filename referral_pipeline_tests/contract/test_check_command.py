"""`check`, `init` and `map` as a person runs them: twelve wrong contracts, live sandboxes, exit codes, JSON."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from referral_pipeline import __version__
from referral_pipeline.cli import main
from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.scaffold import sandbox_contract
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline.sandbox.programme.costs import write_sample_costs
from referral_pipeline.sandbox.programme.manual_intake import write_sample_manual_intake
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline_tests.contract.test_refusals import WRONG_CONTRACTS
from referral_pipeline_tests.contract.wrong import changed

Check = Callable[..., Result]

MENDS = {
    "unknown key": ("rules.attribution.look_back", "Did you mean lookback_days?"),
    "bad URL": ("ats.base_url", "Write it like https://"),
    "http in production": ("ats.base_url", "https address"),
    "missing secret": ("ats.client_secret_env", "Export GREENHOUSE_CLIENT_SECRET"),
    "unknown KPI": ("objectives.kpis[1].name", "Did you mean time_to_hire_days?"),
    "wrong owner": ("owner.email", "talent-ops@example.com"),
    "bad threshold": ("monitoring.error_rate_threshold", "error_rate_threshold: "),
    "cyclic mapping": ("mappings[4]", "remove the other"),
    "foreign field": ("mappings[4].to", "of the integration's own"),
    "unknown stage": ("rules.create_when_stage", "Did you mean applied?"),
    "two systems of record": ("systems_of_record.candidate", "Keep the system"),
    "unreachable system": ("ats.base_url", "Check ats.base_url and the network"),
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(size=ProgrammeSize.small()) as running:
        yield running


@pytest.fixture
def fresh_sandbox() -> Iterator[Sandbox]:
    with Sandbox(size=ProgrammeSize.small()) as running:
        yield running


@pytest.fixture
def check(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Runs `check` on a contract with the secrets, and where asked the addresses, of running sandboxes."""

    def run(text: str, sandbox: Sandbox, *arguments: str, without: str | None = None, addresses: bool = True) -> Result:
        for name, value in sandbox.environment().items():
            if name == without or (name.endswith("_URL") and not addresses):
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        path = clean_environment / "data" / "integration.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        write_sample_costs(clean_environment, date(2026, 11, 1))
        platform = sandbox.control("advocacy")
        write_sample_manual_intake(clean_environment, lambda: platform.dump()["referrals"], platform.truth)
        return CliRunner().invoke(main, ["check", *arguments])

    return run


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def at(sandbox: Sandbox, text: str) -> str:
    """The contract with the addresses of the sandboxes written in it; an address that is wrong already stays."""
    return (
        text.replace("http://127.0.0.1:8701", sandbox.advocacy_url)
        .replace('"http://127.0.0.1:8702/v3"', f'"{sandbox.ats_url}"')
        .replace("http://127.0.0.1:8702/token", sandbox.ats_auth_url)
    )


def wrong(kind: str, sandbox: Sandbox) -> tuple[str, str | None]:
    """The contract that is wrong in this way, and the secret to leave out."""
    if kind == "missing secret":
        return at(sandbox, sandbox_contract()), "GREENHOUSE_CLIENT_SECRET"
    if kind == "unreachable system":
        nobody = f"http://127.0.0.1:{closed_port()}/v3"
        return at(sandbox, changed(("http://127.0.0.1:8702/v3", nobody))), None
    return at(sandbox, WRONG_CONTRACTS[kind]), None


def lines_after_the_table(output: str) -> list[str]:
    """What `check` prints below its table, without the closing count."""
    lines = output.splitlines()
    last = max(number for number, line in enumerate(lines) if line.startswith("└"))
    return lines[last + 1 : -1]


@pytest.mark.parametrize("kind", MENDS)
def test_each_of_twelve_wrong_contracts_is_told_in_one_line_with_key_and_mend(kind, sandbox, check):
    text, without = wrong(kind, sandbox)
    result = check(text, sandbox, without=without, addresses=False)
    key, mend = MENDS[kind]
    (line,) = lines_after_the_table(result.stdout)
    assert line.startswith(f"{key}: ")
    assert mend in line
    assert result.exit_code == 1
    assert result.stdout.endswith("1 to mend.\n")


def test_the_twelve_lines_differ_and_json_tells_the_same(sandbox, check):
    lines: set[str] = set()
    for kind in MENDS:
        text, without = wrong(kind, sandbox)
        result = check(text, sandbox, "--json", without=without, addresses=False)
        told = json.loads(result.stdout)
        assert result.exit_code == 1
        assert set(told) == {"ok", "problems"}
        assert told["ok"] is False
        (problem,) = told["problems"]
        assert set(problem) == {"key", "problem", "mend"}
        assert problem["key"] == MENDS[kind][0]
        assert MENDS[kind][1] in problem["mend"]
        lines.add("{key}: {problem}. {mend}".format(**problem))
    assert len(lines) == len(MENDS) == 12


def test_a_good_contract_holds_against_live_systems(sandbox, check):
    result = check(sandbox_contract(), sandbox)
    assert result.exit_code == 0, result.output
    assert "Everything holds." in result.stdout
    assert "to mend" not in result.stdout


def test_a_good_contract_gives_one_json_object(sandbox, check):
    result = check(sandbox_contract(), sandbox, "--json")
    assert json.loads(result.stdout) == {"ok": True, "problems": []}
    assert result.stderr == ""
    assert result.exit_code == 0


def test_no_key_is_cut_short_on_a_narrow_terminal(sandbox, check, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert "…" not in check(sandbox_contract(), sandbox).stdout


def test_offline_talks_to_no_system(sandbox, check):
    text = changed(("http://127.0.0.1:8702/v3", f"http://127.0.0.1:{closed_port()}/v3"))
    assert check(text, sandbox, "--offline", addresses=False).exit_code == 0


@pytest.mark.parametrize("arguments", [(), ("--offline",)])
def test_an_option_that_the_connector_does_not_know_is_told_offline_too(arguments, sandbox, check):
    text = changed(('source_name: "Employee Advocacy"', 'sorce_name: "Employee Advocacy"'))
    told = json.loads(check(text, sandbox, "--json", *arguments).stdout)
    (problem,) = told["problems"]
    assert problem["key"] == "ats.options.sorce_name"
    assert "source_name" in problem["mend"]


def test_a_wrong_secret_is_told_and_not_shown(sandbox, check, monkeypatch):
    assert check(sandbox_contract(), sandbox).exit_code == 0
    monkeypatch.setenv("GREENHOUSE_CLIENT_SECRET", "hunter2-hunter2")
    result = invoke("check")
    assert result.exit_code == 1
    (line,) = lines_after_the_table(result.stdout)
    assert line.startswith("ats.client_id_env: ")
    assert "401" in line
    assert "hunter2" not in result.output


def test_a_custom_field_that_is_gone_is_told(fresh_sandbox, check):
    fresh_sandbox.control("greenhouse").act("archive_custom_field", name_key="campaign_tag")
    (problem,) = json.loads(check(sandbox_contract(), fresh_sandbox, "--json").stdout)["problems"]
    assert problem["key"] == "ats.options.custom_fields.campaign_tag"
    assert "no application custom field campaign_tag" in problem["problem"]
    assert "Create" in problem["mend"]


def test_a_source_that_nobody_made_is_told(sandbox, check):
    text = changed(('source_name: "Employee Advocacy"', 'source_name: "Colleagues"'))
    (problem,) = json.loads(check(text, sandbox, "--json").stdout)["problems"]
    assert problem["key"] == "ats.options.source_name"
    assert "Create the source Colleagues" in problem["mend"]


def test_a_mapped_stage_that_no_job_has_is_told(sandbox, check):
    text = changed(('"Phone Screen": interviewed', '"Phone Screan": interviewed'))
    (problem,) = json.loads(check(text, sandbox, "--json").stdout)["problems"]
    assert problem["key"] == 'stage_map."Phone Screan"'
    assert "no job has such a stage" in problem["problem"]


# ---------------------------------------------------------------- init, map and the rest


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def error_lines(result: Result) -> Sequence[str]:
    return result.stderr.splitlines()


def test_what_init_writes_passes_check_once_the_secrets_are_set(clean_environment, secrets_in_environment):
    result = invoke("init", "--owner-email", "somebody@example.com", "--country", "de", "--currency", "eur")
    assert result.exit_code == 0, result.output
    assert (clean_environment / ".env.example").is_file()
    assert invoke("check", "--offline").exit_code == 1
    secrets_in_environment()
    result = invoke("check", "--offline", "--json")
    assert json.loads(result.stdout) == {"ok": True, "problems": []}


def test_init_asks_for_the_owner(clean_environment):
    result = CliRunner().invoke(main, ["init"], input="somebody@example.com\n")
    assert result.exit_code == 0
    assert "somebody@example.com" in (clean_environment / "data" / "integration.yaml").read_text(encoding="utf-8")


def test_init_asks_which_systems_and_for_what_nobody_can_guess_of_them(clean_environment):
    answers = [
        "advocacy",
        "lever",
        "none",
        "production",
        "https://advocacy.acme.example.org",
        "user-17",
        "Left, Other offer",
    ]
    answers += ["Hiring", "somebody@example.com", "de, fr", "eur"]
    result = CliRunner().invoke(main, ["init", "--ask"], input="\n".join(answers) + "\n")
    assert result.exit_code == 0, result.output
    contract = parse_contract((clean_environment / "data" / "integration.yaml").read_text(encoding="utf-8"))
    assert (contract.ats.connector, contract.environment, contract.crm) == ("lever", "production", None)
    assert contract.ats.options["perform_as"] == "user-17"
    assert contract.ats.options["withdrawn_reasons"] == ["Left", "Other offer"]
    assert str(contract.advocacy.base_url).rstrip("/") == "https://advocacy.acme.example.org"
    assert (contract.owner.name, contract.owner.email) == ("Hiring", "somebody@example.com")
    assert (contract.privacy.allowed_countries, contract.rules.bonus.currency) == (("DE", "FR"), "EUR")
    assert "LEVER_API_KEY=" in (clean_environment / ".env.example").read_text(encoding="utf-8")


def test_init_says_what_is_left_to_do_in_the_systems_that_were_chosen(clean_environment):
    result = invoke("init", "--owner-email", "somebody@example.com", "--ats", "ashby")
    assert "Ashby: `referral-pipeline fields create` makes the custom fields" in result.output
    assert result.output.splitlines()[-1].endswith("run `referral-pipeline check`")


def test_init_does_not_write_over_a_contract_of_somebody(clean_environment):
    path = clean_environment / "data" / "integration.yaml"
    path.parent.mkdir()
    path.write_text("mine", encoding="utf-8")
    result = invoke("init", "--owner-email", "somebody@example.com")
    assert result.exit_code == 1
    (line,) = error_lines(result)
    assert line.startswith("error: integration.yaml: ")
    assert "--force" in line
    assert path.read_text(encoding="utf-8") == "mine"
    assert not (clean_environment / ".env.example").exists()
    assert invoke("init", "--owner-email", "somebody@example.com", "--force").exit_code == 0


def test_init_replaces_the_untouched_files_of_a_clone(clean_environment):
    repository = Path(__file__).parents[2]
    for name in ("data/integration.yaml", ".env.example"):
        target = clean_environment / name
        target.parent.mkdir(exist_ok=True)
        target.write_text((repository / name).read_text(encoding="utf-8"), encoding="utf-8")
    assert invoke("init", "--owner-email", "somebody@example.com").exit_code == 0
    assert "somebody@example.com" in (clean_environment / "data" / "integration.yaml").read_text(encoding="utf-8")


def test_init_offers_only_what_can_be_connected(clean_environment):
    result = invoke("init", "--owner-email", "somebody@example.com", "--ats", "taleo")
    assert result.exit_code == 1
    assert "there are: ashby, greenhouse, lever" in result.output
    assert not (clean_environment / "data" / "integration.yaml").exists()


def test_a_choice_that_init_cannot_take_is_one_line(clean_environment):
    result = invoke("init", "--owner-email", "nobody")
    assert result.exit_code == 1
    assert len(error_lines(result)) >= 1
    assert all(line.startswith("error: ") for line in error_lines(result))
    assert list(clean_environment.iterdir()) == []


def test_map_prints_markdown_with_a_diagram_or_writes_it(clean_environment):
    printed = invoke("map")
    assert printed.exit_code == 0
    assert printed.stdout.startswith("# Data-flow map")
    assert "```mermaid" in printed.stdout
    path = clean_environment / "map.md"
    assert invoke("map", "--out", str(path)).exit_code == 0
    assert path.read_text(encoding="utf-8").strip() == printed.stdout.strip()


def test_a_path_that_cannot_be_written_is_one_line(clean_environment):
    result = invoke("map", "--out", str(clean_environment / "nowhere" / "map.md"))
    assert result.exit_code == 1
    (line,) = error_lines(result)
    assert "nowhere" in line
    assert "Errno" not in line


def test_the_version_is_told():
    assert invoke("--version").stdout.strip().endswith(__version__)


@pytest.mark.parametrize("command", ["refresh", "reconcile", "up"])
def test_production_is_refused_until_it_is_approved(command, clean_environment, secrets_in_environment, monkeypatch):
    invoke("init", "--owner-email", "somebody@example.com", "--environment", "production")
    path = clean_environment / "data" / "integration.yaml"
    assert "environment: production" in path.read_text(encoding="utf-8")
    secrets_in_environment()
    result = invoke(command)
    assert result.exit_code == 1
    (line,) = error_lines(result)
    assert line.startswith("error: environment: found production, whose go-live has not been approved")
    assert not (clean_environment / "data" / "state").exists()


@pytest.mark.parametrize("command", [("refresh",), ("refresh", "--json"), ("up",)])
def test_a_missing_secret_stops_a_run_before_it_starts(command, clean_environment, secrets_in_environment):
    secrets_in_environment(without="GREENHOUSE_CLIENT_SECRET")
    result = invoke(*command)
    assert result.exit_code == 1
    (line,) = error_lines(result)
    assert line.startswith("error: ats.client_secret_env: ")
    assert result.stdout == ""


def test_an_unexpected_error_is_one_line_and_a_traceback_only_with_debug(clean_environment):
    code = (
        "import referral_pipeline.contract.flow as flow\n"
        "from referral_pipeline.cli import main\n"
        "def broken(contract): raise RuntimeError('of a kind\\nthat nobody expected')\n"
        "flow.data_flow_map = broken\n"
        "main()\n"
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)

    plain, debug = run("map"), run("--debug", "map")
    assert plain.returncode == 1
    assert plain.stderr == "error: of a kind that nobody expected\n"
    assert plain.stdout == ""
    assert debug.returncode == 1
    assert "Traceback" in debug.stderr


def test_json_problems_have_the_stated_form(clean_environment):
    told: dict[str, Any] = json.loads(invoke("check", "--json").stdout)
    assert told["ok"] is False
    assert len(told["problems"]) == 8
