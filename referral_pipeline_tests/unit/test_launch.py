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
from referral_pipeline_tests.unit.webhook_receiver import receiving, until

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


def token(sandbox: Sandbox, prefix: str) -> dict[str, str]:
    """The headers of a client of one sandbox."""
    environment = sandbox.environment()
    url = sandbox.ats_auth_url if prefix == "GREENHOUSE" else f"{sandbox.advocacy_url}/oauth/token"
    client = (environment[f"{prefix}_CLIENT_ID"], environment[f"{prefix}_CLIENT_SECRET"])
    answer = requests.post(url, auth=client, data={"grant_type": "client_credentials"}, timeout=5)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_both_sandboxes_send_webhooks_from_the_start_when_told_where() -> None:
    with receiving() as receiver, Sandbox(size=SMALL, webhooks_to=receiver.url) as sandbox:
        advocacy, greenhouse = sandbox.control("advocacy"), sandbox.control("greenhouse")
        referrals = advocacy.act("submit_referrals", count=5)["referral_ids"]
        made = greenhouse.act("create_applications", count=3)["application_ids"]
        until(lambda: len(receiver.got) >= 9)
        assert sorted(json.loads(got.body).get("action", "advocacy") for got in receiver.got) == sorted(
            ["ping", *["new_candidate_application"] * 3, *["advocacy"] * 5]
        )
        until(lambda: advocacy.webhooks()["under_way"] == greenhouse.webhooks()["under_way"] == 0)
        log = advocacy.webhook_log()
        assert [entry["subject"] for entry in log] == [f"referral:{referral_id}" for referral_id in referrals]
        assert advocacy.webhook_log(log[-1]["made_at"] + 1) == []
        assert [entry["type"] for entry in greenhouse.webhook_log()] == ["ping", *["new_candidate_application"] * 3]
        open_jobs = {str(row["id"]) for row in greenhouse.dump()["jobs"] if row["status"] == "open"}
        rows = {row["id"]: row for row in advocacy.dump()["referrals"]}
        assert {rows[referral_id]["job_id"] for referral_id in referrals} <= open_jobs

        greenhouse.webhooks(hold=True)
        again = greenhouse.emit("candidate_stage_change", made[0], delivery_id="evt_again")
        assert (again, greenhouse.webhooks()["held"]) == ("evt_again", 1)
        assert greenhouse.release() == 1
        until(lambda: receiver.got[-1].headers.get("greenhouse-event-id") == "evt_again")
        assert greenhouse.webhooks(reset=True)["hold"] is False
        greenhouse.forget_webhooks()
        assert greenhouse.webhook_log() == []
        assert greenhouse.webhooks(url=None)["url"] is None
        with pytest.raises(ValueError, match="refused"):
            greenhouse.webhooks(colour="red")
        with pytest.raises(ValueError, match="no action"):
            greenhouse.emit("dance", 1)


def test_arrivals_tell_when_a_tag_and_a_status_came_in(sandbox: Sandbox) -> None:
    advocacy, greenhouse = sandbox.control("advocacy"), sandbox.control("greenhouse")
    before = time.time()
    job = next(row["id"] for row in greenhouse.dump()["jobs"] if row["status"] == "open")
    tag = {"name_key": "referral_id", "value": "ref_arriving"}
    body = {"first_name": "Ada", "last_name": "Example", "application": {"job_id": job, "custom_fields": [tag]}}
    made = requests.post(f"{sandbox.ats_url}/candidates", json=body, headers=token(sandbox, "GREENHOUSE"), timeout=5)
    ids = {"application_id": made.json()["application"]["id"], "candidate_id": made.json()["candidate"]["id"]}
    (arrival,) = greenhouse.arrivals(before)
    assert before <= arrival.pop("at") <= time.time()
    assert arrival == {**ids, "referral_id": "ref_arriving"}
    referral = advocacy.dump()["referrals"][1]["id"]
    ats = {"system": "greenhouse", **{key: str(value) for key, value in ids.items()}}
    status = {"status": "applied", "status_at": "2026-11-20T00:00:00Z", "ats": ats}
    url = f"{sandbox.advocacy_url}/v1/referrals/{referral}"
    assert requests.patch(url, json=status, headers=token(sandbox, "ADVOCACY"), timeout=5).status_code == 200
    (status_arrival,) = advocacy.arrivals(before)
    assert status_arrival["referral_id"] == referral
    assert status_arrival["status"] == "applied"
    assert advocacy.arrivals(time.time() + 1) == []


def test_an_outage_closes_the_api_until_it_is_lifted_while_webhooks_go_on(sandbox: Sandbox) -> None:
    with receiving() as receiver:
        for name, act in (("advocacy", "submit_referrals"), ("greenhouse", "create_applications")):
            control = sandbox.control(name)
            control.webhooks(url=receiver.url)
            assert control.outage() == {"kind": "unavailable"}
            for path in ("v1/shares", "v3/jobs", "oauth/token", "token"):
                assert requests.post(f"{control.root}/{path}", timeout=5).status_code == 503
            control.outage("dropped")
            with pytest.raises(requests.ConnectionError):
                requests.get(f"{control.root}/v1/shares", timeout=5)
            control.outage("unauthorized")
            headers = token(sandbox, name.upper())
            assert requests.get(f"{control.root}/v1/shares", headers=headers, timeout=5).status_code == 401
            count = len(receiver.got)
            control.act(act, count=1)
            receiver.wait(count + 1)
            control.outage(None)
            assert requests.get(f"{control.root}/v3/shares", timeout=5).status_code in {401, 404}
            control.webhooks(url=None)
            with pytest.raises(ValueError, match="refused"):
                control.outage("of patience")


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


def test_an_address_that_no_webhook_can_go_to_is_told_in_one_line() -> None:
    with pytest.raises(SandboxFailed, match="must be an http address"), Sandbox(webhooks_to="receiver:80"):
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
    assert f"""curl --data '{{"url": "http://127.0.0.1:8780"}}' {root}/_sandbox/webhooks""" in lines
