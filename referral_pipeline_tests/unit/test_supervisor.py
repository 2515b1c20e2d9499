"""`up`: who is started, when all are ready, and in which order they end."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.orchestration import up
from referral_pipeline.orchestration.liveness import open_ledger
from referral_pipeline.orchestration.up import Child, PortTakenError, Supervisor, missing_parts, supervisor_for
from referral_pipeline.sandbox.credentials import SECRETS
from referral_pipeline.settings import Settings, load_settings
from referral_pipeline_tests.serving import Door, running

STOPPING = """
import pathlib, signal, sys, time
log = pathlib.Path(sys.argv[1])
def note(what):
    with log.open("a") as handle:
        handle.write(f"{sys.argv[2]} {what}\\n")
def told(*_):
    note("told")
    time.sleep(0.2)
    note("ended")
    sys.exit(0)
signal.signal(signal.SIGTERM, told)
note("started")
time.sleep(60)
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in [name for name in os.environ if name.startswith("REFERRAL_PIPELINE_")]:
        monkeypatch.delenv(name)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return load_settings(tmp_path)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_receiver_ends_first_then_the_lane_then_the_rest(tmp_path):
    log, said = tmp_path / "log", list[str]()
    orders = {"webserver": 2, "daemon": 2, "lane": 1, "receiver": 0}
    children = [
        Child(name, [sys.executable, "-c", STOPPING, str(log), name], stops=stops) for name, stops in orders.items()
    ]
    supervisor = Supervisor(children, dict(os.environ), say=said.append)

    def stop_when_all_run() -> None:
        while not log.exists() or log.read_text(encoding="utf-8").count("started") < len(orders):
            time.sleep(0.05)
        supervisor.stop()

    threading.Thread(target=stop_when_all_run, daemon=True).start()
    supervisor.run()
    ends = [line for line in log.read_text(encoding="utf-8").splitlines() if "started" not in line]
    assert ends[:4] == ["receiver told", "receiver ended", "lane told", "lane ended"]
    assert sorted(ends[4:]) == ["daemon ended", "daemon told", "webserver ended", "webserver told"]
    assert said[-4:-2] == ["receiver stopped", "lane stopped"]


def test_children_end_even_when_nobody_reads_what_is_said(tmp_path):
    def say(line: str) -> None:
        if "started" in line:
            supervisor.stop()
        raise BrokenPipeError

    children = [Child(name, [sys.executable, "-c", "import time; time.sleep(60)"]) for name in ("one", "two")]
    supervisor = Supervisor(children, dict(os.environ), say=say)
    supervisor.run()
    assert [child.process is not None and child.process.poll() for child in children] == [-15, -15]


@pytest.mark.parametrize("late", [False, True])
def test_ready_is_said_once_nothing_is_missing_and_before_that_what_is(late, monkeypatch):
    monkeypatch.setattr(up, "_READY_SECONDS", 0.0 if late else 60.0)
    said: list[str] = []
    answers = iter([["the lane does not beat"], []])

    def missing() -> list[str]:
        return next(answers, [])

    def say(line: str) -> None:
        said.append(line)
        if line == "ready":
            supervisor.stop()

    sleeper = Child("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"])
    supervisor = Supervisor([sleeper], dict(os.environ), say=say, missing=missing)
    supervisor.run()
    told = [line for line in said if "sleeper" not in line]
    assert told == (["not ready after 0 s: the lane does not beat"] if late else []) + ["ready"]


class Probed:
    """A server that answers each path with a status and a body."""

    def __init__(self, **answers: tuple[int, Any]) -> None:
        self.answers = answers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        status, body = self.answers.get(scope["path"].strip("/"), (404, {}))
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})


@pytest.fixture
def probed() -> tuple[Probed, int]:
    door, root = running(Door)
    door.app = Probed(server_info=(200, {}), readyz=(200, {}))
    return door.app, int(root.rpartition(":")[2])


def test_an_installation_is_ready_when_the_page_the_receiver_and_the_lane_are(settings, probed):
    server, port = probed
    here = ("127.0.0.1", port)
    assert missing_parts(settings, ui=here, receiver=here) == ["the lane does not beat"]
    with open_ledger(settings) as (_, ledger):
        ledger.beat("lane", "one")
    assert missing_parts(settings, ui=here, receiver=here) == []
    server.answers["readyz"] = (503, {"missing": "GREENHOUSE_WEBHOOK_SECRET"})
    (told,) = missing_parts(settings, ui=here, receiver=here)
    assert told == f"the receiver is not ready on port {port} (missing GREENHOUSE_WEBHOOK_SECRET)"


def test_what_does_not_answer_is_missing(settings):
    page, receiver = free_port(), free_port()
    assert missing_parts(settings, ui=("127.0.0.1", page), receiver=("127.0.0.1", receiver)) == [
        f"the Dagster UI does not answer on port {page}",
        f"the receiver is not ready on port {receiver}",
        "the lane does not beat",
    ]
    assert len(missing_parts(settings, ui=("127.0.0.1", page), receiver=None)) == 1


def test_a_lane_whose_heartbeat_is_old_does_not_count(settings):
    here = ("127.0.0.1", free_port())
    with open_ledger(settings) as (_, ledger):
        now = ledger._clock()
        ledger._clock = lambda: now - timedelta(seconds=11)
        ledger.beat("lane", "one")
    assert "the lane does not beat" in missing_parts(settings, ui=here, receiver=here)


def test_a_taken_port_of_the_receiver_is_told_with_its_option(settings):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port}: .* --receiver-port"):
            supervisor_for(settings, host="127.0.0.1", port=free_port(), say=print, receiver=("127.0.0.1", port))


def test_lane_and_receiver_run_beside_page_and_daemon_only_when_asked_for(settings):
    def names(**more: Any) -> set[str]:
        supervisor = supervisor_for(settings, host="127.0.0.1", port=free_port(), say=print, **more)
        return {child.name for child in supervisor.children}

    assert names() == {"webserver", "daemon"}
    assert names(receiver=("127.0.0.1", free_port())) == {"webserver", "daemon", "lane", "receiver"}
