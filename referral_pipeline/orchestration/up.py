"""`up`: the processes of an installation under one supervisor.

Belongs here: starting webserver, daemon, lane and receiver, restarting what dies, saying when all are ready, stopping
all cleanly. Does not belong here: what those processes do, the sandboxes, alerts (a lane that is silent is told by the
inbox sensor, whoever supervises it).
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from time import monotonic, sleep
from types import FrameType

from referral_pipeline.orchestration.instance import close_orphaned_runs, dagster_home, open_instance
from referral_pipeline.orchestration.liveness import LANE, is_alive, open_ledger
from referral_pipeline.settings import CONTRACT_TOLD, Settings

_STOP_SECONDS = 15.0
_READY_SECONDS = 60.0
_PROBE_SECONDS = 3.0
_STANDARD_ERROR = 2
_LONGEST_PAUSE = 30.0
_HEALTHY_AFTER = 60.0
"""A process that lived this long starts again at once; one that dies sooner waits twice as long each time."""


class PortTakenError(Exception):
    """A port is not free; the message says which, and the mend."""


@dataclass
class Child:
    """One supervised process. Those with a lower `stops` end first; the next ones are told when these have ended."""

    name: str
    command: Sequence[str]
    stops: int = 2
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause: float = 1.0
    restart_at: float = 0.0


@dataclass
class Supervisor:
    """Keeps children running until it is told to stop (SIGTERM, SIGINT, the terminal's end, or `stop`).

    `before_start` is called before a child starts, also when it starts again. `missing` tells what is not ready yet;
    once it tells nothing, "ready" is said, and after a minute without that, what is missing.
    """

    children: Sequence[Child]
    environment: Mapping[str, str]
    say: Callable[[str], None]
    before_start: Callable[[], object] = lambda: None
    missing: Callable[[], Sequence[str]] | None = None
    _groups: set[int] = field(default_factory=set[int])
    _stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Start all and watch them; returns when every child has ended after a stop."""
        handlers = {s: signal.signal(s, self._on_signal) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        try:
            for child in self.children:
                self._start(child)
            if self.missing is not None:
                # Beside the watching: a probe may wait for an answer, a child that died shall not.
                threading.Thread(target=self._tell_readiness, args=(self.missing,), daemon=True).start()
            while not self._stopping.wait(0.5):
                for child in self.children:
                    self._watch(child)
        finally:
            self._stop_all()
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def stop(self) -> None:
        """Ask for the end."""
        self._stopping.set()

    def _tell(self, line: str) -> None:
        """Say a line; nobody who listens any more is no reason to leave children behind."""
        with suppress(OSError):
            self.say(line)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._stopping.set()

    def _start(self, child: Child) -> None:
        self.before_start()
        # A session of its own: Ctrl-C on the terminal reaches the supervisor, which then stops the children in order.
        # What they say goes to standard error, so that --json keeps its promise.
        child.process = subprocess.Popen(  # noqa: S603
            list(child.command), env=dict(self.environment), start_new_session=True, stdout=_STANDARD_ERROR
        )
        self._groups = {group for group in self._groups if _signalled(group, 0)} | {child.process.pid}
        child.started_at = monotonic()
        self._tell(f"{child.name} started (process {child.process.pid})")

    def _watch(self, child: Child) -> None:
        if child.process is None:
            if monotonic() >= child.restart_at:
                self._start(child)
            return
        code = child.process.poll()
        if code is None:
            return
        if monotonic() - child.started_at >= _HEALTHY_AFTER:
            child.pause = 1.0
        self._tell(f"{child.name} ended with code {code}; starting it again in {child.pause:.0f} s")
        child.process = None
        child.restart_at = monotonic() + child.pause
        child.pause = min(child.pause * 2, _LONGEST_PAUSE)

    def _tell_readiness(self, missing: Callable[[], Sequence[str]]) -> None:
        overdue = monotonic() + _READY_SECONDS
        while not self._stopping.is_set():
            try:
                lacking = missing()
            except Exception as error:  # noqa: BLE001 - a look that fails must end neither the looking nor the rest
                lacking = [f"{type(error).__name__}: {error}"]
            if not lacking:
                self._tell("ready")
                return
            if monotonic() >= overdue:
                self._tell(f"not ready after {_READY_SECONDS:.0f} s: {'; '.join(lacking)}")
                overdue = float("inf")
            self._stopping.wait(0.5)

    def _stop_all(self) -> None:
        alive = [c for c in self.children if c.process is not None and c.process.poll() is None]
        try:
            for _, together in groupby(sorted(alive, key=lambda c: c.stops), key=lambda c: c.stops):
                self._stop(list(together))
        finally:
            self._end_groups()

    def _stop(self, children: Sequence[Child]) -> None:
        """Ask these to end, and wait for them: each finishes what it holds."""
        for child in children:
            assert child.process is not None
            child.process.terminate()
        deadline = monotonic() + _STOP_SECONDS
        for child in children:
            assert child.process is not None
            try:
                child.process.wait(timeout=max(0.1, deadline - monotonic()))
            except subprocess.TimeoutExpired:
                self._tell(f"{child.name} did not end in {_STOP_SECONDS:.0f} s; ending it now")
                child.process.kill()
                child.process.wait()
            self._tell(f"{child.name} stopped")

    def _end_groups(self) -> None:
        """End what the children started: a run in progress would go on writing to the systems without anybody."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = monotonic() + _STOP_SECONDS
            for group in self._groups:
                _signalled(group, number)
            while any(_signalled(group, 0) for group in self._groups) and monotonic() < deadline:
                sleep(0.1)


def _signalled(group: int, number: int) -> bool:
    """Send a signal (0: none) to a group of processes; whether there is such a group."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def supervisor_for(
    settings: Settings,
    *,
    host: str,
    port: int,
    say: Callable[[str], None],
    receiver: tuple[str, int] | None = None,
    lanes: int = 1,
) -> Supervisor:
    """The supervisor of an installation's processes.

    Args:
        settings: whose home is used.
        host: address of the Dagster UI.
        port: port of the Dagster UI.
        say: takes one line about what happened.
        receiver: address and port of the webhook receiver; None runs neither receiver nor lane.
        lanes: how many lanes work side by side; a second one helps when one processor core is too slow.

    Raises:
        PortTakenError: another process listens there; the child would die of it again and again.
    """
    require_free(host, port)
    module = "referral_pipeline.definitions"
    environment = {
        "REFERRAL_PIPELINE_UI_URL": f"http://{_reachable(host)}:{port}",
        **os.environ,
        "DAGSTER_HOME": str(dagster_home(settings)),
        "REFERRAL_PIPELINE_HOME": str(settings.home),
        CONTRACT_TOLD: "1",
    }
    children = [
        Child("webserver", [sys.executable, "-m", "dagster_webserver", "-h", host, "-p", str(port), "-m", module]),
        Child("daemon", [sys.executable, "-m", "dagster._daemon", "run", "-m", module, "--log-level", "warning"]),
    ]
    if receiver is not None:
        require_free(*receiver, option="--receiver-port")
        ours = [sys.executable, "-m", "referral_pipeline.cli"]
        # What is still coming in ends first, then the lane finishes what it holds.
        children += [
            *(
                Child("lane" if number == 1 else f"lane {number}", [*ours, "lane"], stops=1)
                for number in range(1, lanes + 1)
            ),
            Child("receiver", [*ours, "receiver", "--host", receiver[0], "--port", str(receiver[1])], stops=0),
        ]

    def close_orphans() -> None:
        with open_instance(settings) as instance:
            close_orphaned_runs(instance)

    return Supervisor(
        children=children,
        environment=environment,
        say=say,
        before_start=close_orphans,
        missing=lambda: missing_parts(settings, ui=(host, port), receiver=receiver),
    )


def missing_parts(settings: Settings, *, ui: tuple[str, int], receiver: tuple[str, int] | None) -> list[str]:
    """What of an installation does not answer, or does not beat, yet; in words."""
    lacking: list[str] = []
    if _answer(*ui, "/server_info")[0] != 200:
        lacking.append(f"the Dagster UI does not answer on port {ui[1]}")
    if receiver is not None:
        status, said = _answer(*receiver, "/readyz")
        if status != 200:
            told = f" ({said})" if said else ""
            lacking.append(f"the receiver is not ready on port {receiver[1]}{told}")
        with open_ledger(settings) as (_, ledger):
            if not is_alive(ledger, LANE, now=datetime.now(UTC)):
                lacking.append("the lane does not beat")
    return lacking


def _answer(host: str, port: int, path: str) -> tuple[int, str]:
    """Status and words of a GET to a process of our own; status 0 when none came."""
    connection = http.client.HTTPConnection(_reachable(host).strip("[]"), port, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, " ".join(_words(response.read(10_000)).split())[:300]
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


def _words(body: bytes) -> str:
    text = body.decode(errors="replace")
    try:
        return ", ".join(f"{name} {value}" for name, value in json.loads(text).items())
    except (ValueError, AttributeError):
        return text


def _reachable(host: str) -> str:
    """The address under which this machine reaches a server of its own that listens there."""
    if host in {"0.0.0.0", ""}:  # noqa: S104
        return "127.0.0.1"
    return f"[{'::1' if host == '::' else host}]" if ":" in host else host


def require_free(host: str, port: int, *, option: str = "--port") -> None:
    """Look whether the port is free; `option` chooses another one.

    Raises:
        PortTakenError: it is not, or this machine has no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            message = f"cannot listen on {host} port {port}: {error.strerror}. Choose another one with {option}"
            raise PortTakenError(message) from None
