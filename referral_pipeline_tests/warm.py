"""Processes that run a command of ours without importing everything anew.

Belongs here: a process that is forked from one which has imported all that a refresh needs, with the part of `Popen`
that tests use. Does not belong here: what is tested.

Each is a process of its own, with its own memory, streams and signals, that can be killed like any other; only its
start is not what is tested. Imports are four of the five seconds before a command does its first work.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

_LONGEST_SECONDS = 300.0
"""A command that has not ended by then is killed; the longest of the tests takes a fifth of it."""
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["referral_pipeline_tests.warm_imports"])


class WarmCommand:
    """`referral-pipeline ARGUMENTS` in a process of its own; like `subprocess.Popen` with both outputs piped."""

    def __init__(self, arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> None:
        reading, writing = _CONTEXT.Pipe(duplex=False)
        self._output = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed when the command has ended
        self._process = _CONTEXT.Process(
            target=_run, args=(list(arguments), dict(environment), str(folder), self._output.name, writing)
        )
        self._process.start()
        writing.close()
        self.stderr: IO[str] = io.TextIOWrapper(os.fdopen(os.dup(reading.fileno()), "rb"), encoding="utf-8")
        reading.close()
        # Also whoever reads its lines one by one comes to an end.
        self._longest = threading.Timer(_LONGEST_SECONDS, self.kill)
        self._longest.daemon = True
        self._longest.start()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        pid = self._process.pid
        if self._process.exitcode is None and pid is not None:
            os.kill(pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("referral-pipeline", timeout or 0.0)
        return self._process.exitcode

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Wait for the end; standard output and what is left of standard error.

        Raises:
            subprocess.TimeoutExpired: it has not ended in time; it is killed, so that nothing waits for it.
        """
        read: list[str] = []
        # To its end, which is the command's; whoever else holds the pipe must not hold the tests.
        reader = threading.Thread(target=lambda: read.append(self.stderr.read()), daemon=True)
        reader.start()
        reader.join(timeout)
        if reader.is_alive():
            self.kill()
            raise subprocess.TimeoutExpired("referral-pipeline", timeout)
        self.wait(timeout)
        self._longest.cancel()
        self.stderr.close()
        with self._output:
            return self._output.read().decode(), "".join(read)


def _run(arguments: list[str], environment: dict[str, str], folder: str, output: str, errors: Connection) -> None:
    os.dup2(errors.fileno(), 2)
    errors.close()
    os.dup2(os.open(output, os.O_WRONLY), 1)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["referral-pipeline", *arguments]
    from referral_pipeline.cli import main

    main()
