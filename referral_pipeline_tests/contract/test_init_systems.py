"""What `init` writes for each choice of systems passes `check` against them, once the secrets are set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from referral_pipeline.cli import main
from referral_pipeline.connectors.factory import connector_names
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline.vocabulary import Side

TINY = ProgrammeSize(
    advocates=6, jobs=5, content=8, shares=20, clicks=10, referrals=10, fresh=2, other_applications=2, per_case=0
)


@pytest.mark.parametrize("ats", connector_names(Side.ATS))
def test_the_contract_that_init_writes_for_an_ats_passes_check_against_it(
    ats: str, clean_environment: Path, monkeypatch: pytest.MonkeyPatch
):
    written = CliRunner().invoke(main, ["init", "--no-ask", "--owner-email", "somebody@example.com", "--ats", ats])
    assert written.exit_code == 0, written.output
    assert f"connector: {ats}" in (clean_environment / "data" / "integration.yaml").read_text(encoding="utf-8")
    with Sandbox(size=TINY, ats=ats) as sandbox:
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        checked = CliRunner().invoke(main, ["check", "--json"])
    assert json.loads(checked.stdout) == {"ok": True, "problems": []}


@pytest.mark.parametrize("advocacy", connector_names(Side.ADVOCACY))
def test_the_contract_that_init_writes_for_a_platform_passes_check_against_it(
    advocacy: str, clean_environment: Path, monkeypatch: pytest.MonkeyPatch
):
    chosen = ["--advocacy", advocacy, "--country", "FR"]
    written = CliRunner().invoke(main, ["init", "--no-ask", "--owner-email", "somebody@example.com", *chosen])
    assert written.exit_code == 0, written.output
    if advocacy == "files":
        (clean_environment / "data" / "drops").mkdir()
        assert "make the folder of options.folder" in written.output
    with Sandbox(size=TINY, advocacy="advocacy" if advocacy == "files" else advocacy) as sandbox:
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        checked = CliRunner().invoke(main, ["check", "--json"])
    assert json.loads(checked.stdout) == {"ok": True, "problems": []}


@pytest.mark.parametrize("crm", connector_names(Side.CRM))
def test_the_contract_that_init_writes_with_a_crm_passes_check_against_it(
    crm: str, clean_environment: Path, monkeypatch: pytest.MonkeyPatch
):
    written = CliRunner().invoke(main, ["init", "--no-ask", "--owner-email", "somebody@example.com", "--crm", crm])
    assert written.exit_code == 0, written.output
    with Sandbox(size=TINY, crm=crm) as sandbox:
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        checked = CliRunner().invoke(main, ["check", "--json"])
    assert json.loads(checked.stdout) == {"ok": True, "problems": []}
