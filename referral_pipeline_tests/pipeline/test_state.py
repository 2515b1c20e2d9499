"""The state folder and the processes around a run: who may read it, what may not start, what a killed run leaves."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import dagster as dg
import psutil
import pytest

from referral_pipeline.contract.loader import load_contract, parse_contract
from referral_pipeline.contract.problems import ContractError
from referral_pipeline.contract.scaffold import Choices, integration_yaml, sandbox_contract
from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline.orchestration.demo import demo_home, with_sandbox
from referral_pipeline.orchestration.instance import (
    BORN_TAG,
    PID_TAG,
    close_orphaned_runs,
    open_instance,
    process_tags,
)
from referral_pipeline.orchestration.run import run_job
from referral_pipeline.orchestration.state import (
    SYSTEMS_FILE,
    refuse_other_systems,
    remember_system,
    state_folder,
)
from referral_pipeline.orchestration.up import Child, PortTakenError, Supervisor, supervisor_for
from referral_pipeline.sandbox.credentials import SECRETS
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline.settings import Settings, load_settings
from referral_pipeline.vocabulary import Side
from referral_pipeline_tests.pipeline.conftest import Installation, installed
from referral_pipeline_tests.warm import WarmCommand


@pytest.fixture(scope="module")
def small() -> Iterator[Sandbox]:
    with Sandbox(size=ProgrammeSize.small()) as sandbox:
        yield sandbox


@pytest.fixture
def installation(small, tmp_path, monkeypatch) -> Installation:
    """An installation of its own; what tests wrote to the systems before stays there."""
    return installed(tmp_path / "home", small, monkeypatch)


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    for name in [name for name in os.environ if name.startswith("REFERRAL_PIPELINE_")]:
        monkeypatch.delenv(name)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return load_settings(tmp_path)


def test_the_state_folder_is_for_its_owner_only(settings):
    with open_instance(settings):
        pass
    assert settings.state_dir.stat().st_mode & 0o077 == 0


def test_a_mode_that_the_user_chose_is_kept(settings):
    settings.state_dir.mkdir(parents=True)
    settings.state_dir.chmod(0o750)
    assert state_folder(settings).stat().st_mode & 0o777 == 0o750


# ---------------------------------------------------------------- what may not start


def test_the_bridge_does_not_open_in_production(settings):
    path = settings.config_path
    path.parent.mkdir()
    path.write_text(integration_yaml(Choices(environment="production")), encoding="utf-8")
    with pytest.raises(ContractError, match="environment: found production, whose go-live has not been approved"):
        Bridge.open(settings)
    assert not settings.state_dir.exists()


def test_state_of_other_systems_is_refused_with_the_mend(settings, monkeypatch):
    contract = load_contract(settings)
    refuse_other_systems(contract, settings)
    remember_system(Side.ATS, contract, settings)
    refuse_other_systems(contract, settings)
    live = parse_contract(integration_yaml(Choices()), overrides={"ats_base_url": "https://harvest.greenhouse.io/v3"})
    with pytest.raises(ContractError) as refused:
        refuse_other_systems(live, settings)
    (problem,) = refused.value.problems
    assert problem.key == "ats.base_url"
    assert "greenhouse http://127.0.0.1:8702/v3" in problem.problem
    assert str(settings.state_dir) in problem.problem
    assert "Move that folder away" in problem.mend


def test_what_pulls_remembers_its_systems_and_a_refresh_of_others_is_refused_in_one_line(installation, small):
    with Bridge.open(installation.settings) as bridge:
        bridge.pull_advocacy()
        bridge.pull_ats()
    told = json.loads((installation.settings.state_dir / SYSTEMS_FILE).read_text(encoding="utf-8"))
    assert told == {"advocacy": f"advocacy {small.advocacy_url}", "ats": f"greenhouse {small.ats_url}"}
    installation.environment = {
        **installation.environment,
        "REFERRAL_PIPELINE_ATS_BASE_URL": "http://127.0.0.1:9/v3",
    }
    ended = installation.command("refresh", "--json")
    output, errors = ended.communicate(timeout=120)
    assert ended.returncode == 1
    assert output == ""
    (line,) = errors.splitlines()
    assert line.startswith("error: ats.base_url: found greenhouse http://127.0.0.1:9/v3, but ")


# ---------------------------------------------------------------- where sandboxes keep their state


def test_the_demonstration_empties_what_it_made_itself(settings):
    home = demo_home(settings)
    assert home == settings.home
    (settings.state_dir / "ledger.sqlite").write_text("old", encoding="utf-8")
    assert demo_home(settings) == settings.home
    assert not (settings.state_dir / "ledger.sqlite").exists()
    assert settings.state_dir.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("kept", ["state/ledger.sqlite", "published/kpi.parquet", "integration.yaml"])
def test_the_demonstration_leaves_alone_what_it_did_not_make(kept, settings):
    path = settings.home / "data" / kept
    path.parent.mkdir(parents=True)
    path.write_text("mine", encoding="utf-8")
    home = demo_home(settings)
    assert home == settings.state_dir / "demo"
    assert path.read_text(encoding="utf-8") == "mine"
    assert {p.name for p in path.parent.iterdir()} <= {path.name, "demo", "state"}
    assert (home / "data" / "state").stat().st_mode & 0o077 == 0


def test_each_start_of_the_sandboxes_begins_with_an_empty_state(settings):
    (settings.home / ".env").write_text("REFERRAL_PIPELINE_ATS_BASE_URL=https://live.example.com/v3\n", "utf-8")
    with with_sandbox(settings, Sandbox(size=ProgrammeSize.small())) as (sandbox, own):
        assert load_contract(own).ats.base_url == sandbox.ats_url
        (own.state_dir / "ledger.sqlite").write_text("of the first", encoding="utf-8")
    with with_sandbox(settings, Sandbox(size=ProgrammeSize.small())) as (_, own):
        assert not (own.state_dir / "ledger.sqlite").exists()
    assert "REFERRAL_PIPELINE_ATS_BASE_URL" not in os.environ


# ---------------------------------------------------------------- runs whose process is gone


def in_progress(instance: dg.DagsterInstance, tags: dict[str, str]) -> str:
    run_id = dg.DagsterRun(job_name="refresh").run_id
    instance.add_run(dg.DagsterRun(job_name="refresh", run_id=run_id, status=dg.DagsterRunStatus.STARTED, tags=tags))
    return run_id


def test_only_runs_whose_process_is_gone_are_closed(settings):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with open_instance(settings) as instance:
        alive = in_progress(instance, process_tags())
        gone = in_progress(instance, {**process_tags(), PID_TAG: str(ended.pid)})
        number_given_again = in_progress(instance, {**process_tags(), BORN_TAG: "1"})
        untagged = in_progress(instance, {})
        assert set(close_orphaned_runs(instance)) == {gone, number_given_again}
        for run_id in (alive, untagged):
            assert instance.get_run_by_id(run_id).status is dg.DagsterRunStatus.STARTED
        assert instance.get_run_by_id(gone).status is dg.DagsterRunStatus.FAILURE


# ---------------------------------------------------------------- what a failed run says


def test_a_run_that_does_not_get_to_a_step_says_why(settings, capfd):
    path = settings.config_path
    path.parent.mkdir()
    path.write_text(sandbox_contract().replace("source_name:", "sorce_name:"), encoding="utf-8")
    outcome = run_job("refresh", settings, sink=lambda *_: None)
    assert not outcome.success
    assert list(outcome.errors) == ["start"]
    assert outcome.errors["start"].startswith("ats.options.sorce_name: found an unknown option")
    assert "Traceback" not in capfd.readouterr().err


def test_a_step_that_fails_says_why_in_our_own_words(settings, capfd):
    outcome = run_job("refresh", settings, sink=lambda *_: None)
    assert not outcome.success
    assert "no connection to 127.0.0.1:870" in " ".join(outcome.errors.values())
    assert not any("\n" in error or "HTTPConnectionPool" in error for error in outcome.errors.values())
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_refresh_that_is_interrupted_says_so_in_one_line_and_is_recorded_as_failed(number, installation):
    process = installation.warm_command("refresh", "--json")
    said: list[str] = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("write candidates"):
            process.send_signal(number)
            break
    output, errors = process.communicate(timeout=60)
    said += errors.splitlines()
    assert process.returncode == 1
    assert said[-1].startswith("error: interrupted before its end. Run it again")
    assert not any("Traceback" in line for line in said)
    assert output == ""
    with open_instance(installation.settings) as instance:
        (run,) = instance.get_runs()
        assert run.status is dg.DagsterRunStatus.FAILURE


def test_a_command_that_does_not_end_holds_no_test_up(tmp_path):
    process = WarmCommand(["sandbox"], environment=os.environ, folder=tmp_path)
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=0.5)
    assert process.wait(timeout=30) == -signal.SIGKILL


# ---------------------------------------------------------------- up


def test_a_port_that_is_taken_is_told_before_anything_starts(settings):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port}: .*in use.* --port"):
            supervisor_for(settings, host="127.0.0.1", port=port, say=print)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_supervisor_ends_its_children_on_each_signal_of_the_end(number, tmp_path):
    said: list[str] = []
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    supervisor = Supervisor([Child("sleeper", sleeper)], dict(os.environ), say=said.append)

    def when_started(line: str) -> None:
        said.append(line)
        if "started" in line:
            os.kill(os.getpid(), number)

    supervisor.say = when_started
    before = signal.getsignal(number)
    supervisor.run()
    assert signal.getsignal(number) is before
    assert said[-1] == "sleeper stopped"
    assert supervisor.children[0].process.poll() is not None


def test_a_child_that_dies_starts_again_after_the_orphans_are_looked_for():
    said: list[str] = []
    looked: list[int] = []
    supervisor = Supervisor(
        [Child("short", [sys.executable, "-c", ""], pause=0.1)],
        dict(os.environ),
        say=lambda line: (said.append(line), len(looked) > 1 and supervisor.stop()),
        before_start=lambda: looked.append(1),
    )
    supervisor.run()
    assert len(looked) == 2
    assert sum("started" in line for line in said) == 2


def test_what_a_child_has_started_ends_with_the_supervisor(tmp_path):
    code = (
        "import pathlib, subprocess, sys, time\n"
        "inner = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(tmp_path / 'part')!r}).write_text(str(inner.pid))\n"
        f"pathlib.Path({str(tmp_path / 'part')!r}).rename({str(tmp_path / 'pid')!r})\n"
        "time.sleep(60)\n"
    )
    supervisor = Supervisor([Child("parent", [sys.executable, "-c", code])], dict(os.environ), say=lambda line: None)

    def stop_when_it_runs() -> None:
        while not (tmp_path / "pid").exists():
            time.sleep(0.05)
        supervisor.stop()

    threading.Thread(target=stop_when_it_runs, daemon=True).start()
    supervisor.run()
    inner = int((tmp_path / "pid").read_text(encoding="utf-8"))
    assert not psutil.pid_exists(inner) or psutil.Process(inner).status() == psutil.STATUS_ZOMBIE
