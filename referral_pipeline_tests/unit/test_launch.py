"""The sandboxes run as one child process, which says when it is ready and never outlives its parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import psutil
import pytest
import requests

from referral_pipeline.sandbox.launch import Control, Sandbox, SandboxFailed
from referral_pipeline.sandbox.programme import ProgrammeSize, generate

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
SMALL = ProgrammeSize.small()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=11, size=SMALL, as_of=AS_OF, greenhouse={"rate_limit": 500}) as running:
        yield running


def gone(pid: int, seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_both_sandboxes_give_tokens_for_the_credentials_of_the_environment(sandbox: Sandbox) -> None:
    environment = sandbox.environment()
    for url, prefix in ((f"{sandbox.advocacy_url}/oauth/token", "ADVOCACY"), (sandbox.ats_auth_url, "GREENHOUSE")):
        client = (environment[f"{prefix}_CLIENT_ID"], environment[f"{prefix}_CLIENT_SECRET"])
        answer = requests.post(url, auth=client, data={"grant_type": "client_credentials"}, timeout=5)
        assert answer.status_code == 200, prefix
    assert environment["REFERRAL_PIPELINE_ATS_BASE_URL"] == sandbox.ats_url
    assert sandbox.ats_url.endswith("/v3")


def test_both_sandboxes_serve_the_rows_and_the_truth_of_the_same_programme(sandbox: Sandbox) -> None:
    programme = generate(11, AS_OF, SMALL)
    advocacy, greenhouse = sandbox.control("advocacy"), sandbox.control("greenhouse")
    assert advocacy.truth() == greenhouse.truth() == json.loads(json.dumps(programme.truth))
    assert sorted(row["id"] for row in advocacy.dump()["referrals"]) == sorted(
        row["id"] for row in programme.advocacy["referrals"]
    )
    assert len(greenhouse.dump()["applications"]) == len(programme.ats["applications"])


def test_switches_faults_and_acts_are_reached_through_the_control(sandbox: Sandbox) -> None:
    advocacy, greenhouse = sandbox.control("advocacy"), sandbox.control("greenhouse")
    assert greenhouse.switches()["rate_limit"] == 500
    assert advocacy.switches(rate_limit=9)["rate_limit"] == 9
    assert advocacy.switches(rate_limit=0)["rate_limit"] == 0
    for control in (advocacy, greenhouse):
        control.faults(1.0, ["server_error"])
        assert requests.get(f"{control.root}/v1/shares", timeout=5).status_code == 500
        assert control.injected() == {"server_error": 1}
        control.faults(0)
    referral = advocacy.dump()["referrals"][0]["id"]
    assert advocacy.act("withdraw_referral", referral_id=referral)["stage"] == "withdrawn"
    with pytest.raises(ValueError, match="refused"):
        advocacy.act("dance")
    with pytest.raises(ValueError, match="no sandbox lever"):
        sandbox.control("lever")


def test_the_child_is_gone_after_its_block_and_stop_may_be_called_again() -> None:
    sandbox = Sandbox(size=SMALL).start()
    pid = sandbox.pid
    sandbox.stop()
    assert gone(pid)
    sandbox.stop()
    with pytest.raises(SandboxFailed):
        _ = sandbox.pid


def test_sigterm_ends_the_child_cleanly_even_while_a_client_hangs(sandbox: Sandbox) -> None:
    with Sandbox(size=SMALL, faults=1.0, fault_kinds=["timeout"]) as hanging:
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{hanging.advocacy_url}/v1/shares", timeout=(2, 0.3))
        pid = hanging.pid
        os.kill(pid, signal.SIGTERM)
        assert gone(pid)


def test_the_child_ends_when_its_parent_is_killed() -> None:
    script = (
        "import time\n"
        "from referral_pipeline.sandbox.launch import Sandbox\n"
        "from referral_pipeline.sandbox.programme import ProgrammeSize\n"
        "sandbox = Sandbox(size=ProgrammeSize.small()).start()\n"
        "print(sandbox.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert psutil.pid_exists(child)
        parent.kill()
        parent.wait()
    assert gone(child)


def test_a_taken_port_is_told_in_one_line(sandbox: Sandbox) -> None:
    port = int(sandbox.advocacy_url.rpartition(":")[2])
    with pytest.raises(SandboxFailed, match="cannot run"), Sandbox(size=SMALL, advocacy_port=port):
        pass


def test_a_person_gets_addresses_and_exports_to_copy() -> None:
    command = [sys.executable, "-m", "referral_pipeline.sandbox", "--small", "--seed", "4"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line.strip())
            if line.strip().startswith("export REFERRAL_PIPELINE_HASH_KEY"):
                break
        root = next(line.split()[-1] for line in lines if line.startswith("advocacy platform"))
        control = Control(root)
        assert control.truth()["seed"] == 4
        control.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert "export ADVOCACY_CLIENT_ID=sandbox-advocacy-client" in lines
