"""`up`: the processes of an installation under one supervisor.

Belongs here: starting the webserver and the daemon, restarting what dies, stopping all cleanly. Does not belong here:
what those processes do, the sandboxes.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic, sleep
from types import FrameType

from referral_pipeline.orchestration.instance import close_orphaned_runs, dagster_home, open_instance
from referral_pipeline.settings import Settings

_STOP_SECONDS = 15.0
_STANDARD_ERROR = 2
_LONGEST_PAUSE = 30.0
_HEALTHY_AFTER = 60.0
"""A process that lived this long starts again at once; one that dies sooner waits twice as long each time."""


class PortTakenError(Exception):
    """The port of the Dagster UI is not free; the message says which, and the mend."""


@dataclass
class Child:
    """One supervised process."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause: float = 1.0
    restart_at: float = 0.0


@dataclass
class Supervisor:
    """Keeps children running until it is told to stop (SIGTERM, SIGINT, the terminal's end, or `stop`).

    `before_start` is called before a child starts, also when it starts again.
    """

    children: Sequence[Child]
    environment: Mapping[str, str]
    say: Callable[[str], None]
    before_start: Callable[[], object] = lambda: None
    _groups: set[int] = field(default_factory=set[int])
    _stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Start all and watch them; returns when every child has ended after a stop."""
        handlers = {s: signal.signal(s, self._on_signal) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        try:
            for child in self.children:
                self._start(child)
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
        self.say(f"{child.name} started (process {child.process.pid})")

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
        self.say(f"{child.name} ended with code {code}; starting it again in {child.pause:.0f} s")
        child.process = None
        child.restart_at = monotonic() + child.pause
        child.pause = min(child.pause * 2, _LONGEST_PAUSE)

    def _stop_all(self) -> None:
        alive = [c for c in self.children if c.process is not None and c.process.poll() is None]
        for child in alive:
            assert child.process is not None
            child.process.terminate()
        deadline = monotonic() + _STOP_SECONDS
        for child in alive:
            assert child.process is not None
            try:
                child.process.wait(timeout=max(0.1, deadline - monotonic()))
            except subprocess.TimeoutExpired:
                self.say(f"{child.name} did not end in {_STOP_SECONDS:.0f} s; ending it now")
                child.process.kill()
                child.process.wait()
            self.say(f"{child.name} stopped")
        self._end_groups()

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


def supervisor_for(settings: Settings, *, host: str, port: int, say: Callable[[str], None]) -> Supervisor:
    """The supervisor of webserver and daemon for this installation.

    Raises:
        PortTakenError: another process listens there; the webserver would die of it again and again.
    """
    require_free(host, port)
    module = "referral_pipeline.definitions"
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(dagster_home(settings)),
        "REFERRAL_PIPELINE_HOME": str(settings.home),
    }
    webserver = [sys.executable, "-m", "dagster_webserver", "-h", host, "-p", str(port), "-m", module]
    daemon = [sys.executable, "-m", "dagster._daemon", "run", "-m", module]

    def close_orphans() -> None:
        with open_instance(settings) as instance:
            close_orphaned_runs(instance)

    return Supervisor(
        children=[Child("webserver", webserver), Child("daemon", daemon)],
        environment=environment,
        say=say,
        before_start=close_orphans,
    )


def require_free(host: str, port: int) -> None:
    """Look whether the port is free.

    Raises:
        PortTakenError: it is not, or this machine has no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            message = f"cannot listen on {host} port {port}: {error.strerror}. Choose another one with --port"
            raise PortTakenError(message) from None
