"""Killing refreshes at random moments, for the suite and the benchmark."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from typing import Any


def killed_refreshes(
    installation: Any, *, kills: int, rng: random.Random, calls: int = 300, start: Callable[..., Any] | None = None
) -> int:
    """Start `refresh` and end it with SIGKILL, `kills` times, each time somewhere in its work.

    The moment is drawn over the calls that a refresh makes, not over seconds: what matters is between which two writes
    the process dies. A refresh that ends before its moment is not counted, and the next moment is drawn earlier.
    Returns how many were really killed while they worked. `start` starts a command, by default a fresh interpreter.
    """
    start = start or partial(installation.command, start_new_session=True)
    killed, within = 0, calls
    for _ in range(kills * 3):
        if killed == kills:
            break
        before = _calls(installation)
        after = rng.randrange(0, within)
        process = start("refresh", "--json")
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if _calls(installation) - before >= after:
                time.sleep(rng.random() * 0.3)
                break
            time.sleep(0.02)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        else:
            within = max(within // 4, 5)
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return killed


def _calls(installation: Any) -> int:
    return sum(
        count
        for system in ("advocacy", "greenhouse")
        for answers in installation.sandbox.control(system).calls().values()
        for count in answers.values()
    )
