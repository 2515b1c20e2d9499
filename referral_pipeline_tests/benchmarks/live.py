"""Receiver, lane and daemon of an installation as processes of their own, and how long until something is so.

Belongs here: starting and stopping the processes that handle events, waiting, reading what they did. Does not belong
here: what is measured.
"""

from __future__ import annotations

import http.client
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from referral_pipeline.connectors.http import ApiCall
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.orchestration.instance import dagster_home
from referral_pipeline.orchestration.liveness import open_ledger
from referral_pipeline_tests.pipeline.conftest import Installation

_T = TypeVar("_T")
_START_SECONDS = 90.0
_STOP_SECONDS = 60.0


class Live:
    """The processes that handle events, from `with` to the end of its block; `start` starts one of them."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._groups: list[int] = []  # of daemons: one that is killed leaves its code servers behind
        self._ledger_context = open_ledger(installation.settings)

    def __enter__(self) -> Self:
        self.ledger: Ledger = self._ledger_context.__enter__()[1]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for name in ("receiver", "lane", "lane2", "daemon"):
            self.stop(name)
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self._ledger_context.__exit__(kind, error, at)

    def start(self, *names: str) -> None:
        """Start "receiver", "lane", "lane2" or "daemon", and wait until receiver and lane say that they work."""
        ours = [sys.executable, "-m", "referral_pipeline.cli"]
        commands: dict[str, list[str]] = {
            "receiver": [*ours, "receiver", "--port", str(self.port)],
            "lane": [*ours, "lane"],
            "lane2": [*ours, "lane"],
            "daemon": [sys.executable, "-m", "dagster._daemon", "run", "-m", "referral_pipeline.definitions"],
        }
        environment = {
            **os.environ,
            **self.installation.environment,
            "DAGSTER_HOME": str(dagster_home(self.installation.settings)),
        }
        for name in names:
            log = (self.installation.home / f"{name}.log").open("ab")
            with log:
                self._processes[name] = subprocess.Popen(
                    commands[name],
                    env=environment,
                    cwd=self.installation.home,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=name == "daemon",
                )
            if name == "daemon":
                self._groups.append(self._processes[name].pid)
        for name in names:
            if name == "receiver":
                self.until("the receiver is ready", self._ready, seconds=_START_SECONDS)
            elif name == "lane":
                self.until("the lane beats", partial(self._beats, datetime.now(UTC)), seconds=_START_SECONDS)

    def stop(self, name: str) -> None:
        """Stop one of them cleanly, if it runs."""
        process = self._processes.pop(name, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self, name: str) -> None:
        """End one of them with SIGKILL, whatever it is doing."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def until(self, what: str, look: Callable[[], _T | None], *, seconds: float = 30.0, every: float = 0.05) -> _T:
        """What `look` finds, as soon as it finds something.

        Raises:
            RuntimeError: One of the processes died, or it took too long; with the last lines they said.
        """
        ends = time.monotonic() + seconds
        while (found := look()) is None:
            dead = [name for name, process in self._processes.items() if process.poll() is not None]
            if dead or time.monotonic() > ends:
                why = f"{', '.join(dead)} ended" if dead else f"not within {seconds:g} s"
                raise RuntimeError(f"waited until {what}: {why}; {self.said(*(dead or self._processes))}")
            time.sleep(every)
        return found

    def said(self, *names: str) -> str:
        """The last words of processes."""
        files = [self.installation.home / f"{name}.log" for name in names]
        return "; ".join(f"{file.stem}: {file.read_text(errors='replace')[-1500:]}" for file in files if file.exists())

    def idle(self, *, seconds: float) -> None:
        """Wait until no event waits or is at work."""

        def look() -> bool | None:
            backlog = self.ledger.inbox_backlog()
            return None if backlog.waiting or backlog.waiting_bulk or backlog.claimed else True

        self.until("every event is done", look, seconds=seconds, every=0.2)

    def calls(self, since: float) -> list[ApiCall]:
        """The calls to both systems from an epoch second on. Waits until the lane has written them down."""
        time.sleep(2.5)
        return [
            call for call in self.ledger.calls(since=datetime.fromtimestamp(since, UTC)) if call.operation != "token"
        ]

    def _ready(self) -> bool | None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200 or None
        except OSError:
            return None
        finally:
            connection.close()

    def _beats(self, since: datetime) -> bool | None:
        return any(beat.at >= since for beat in self.ledger.heartbeats("lane")) or None


def free_port() -> int:
    """A port where nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below or at which that share of the values lies (nearest rank); nan for none."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * share) - 1, 0)] if ordered else math.nan


def folder_bytes(folder: Path) -> int:
    """What the files below a folder hold."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue  # a write-ahead log that was folded in meanwhile
    return total
