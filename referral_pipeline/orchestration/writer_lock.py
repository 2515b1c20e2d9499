"""The writer lock of an installation: one run at a time writes to the outside systems.

Belongs here: taking and holding it. Does not belong here: what is written (the bridge), locks on persons and
applications (the ledger).
"""

from __future__ import annotations

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


class AnotherRunError(Exception):
    """Another process of this installation is writing to the outside systems."""


@contextmanager
def single_writer(state_dir: Path, *, wait: bool = True) -> Generator[None]:
    """Hold this installation's writer lock, so that two runs never write to the same systems at once.

    The lock is the kernel's: a killed process lets go of it.

    Raises:
        AnotherRunError: `wait` is False and another run holds it.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "writer.lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            message = "another run is writing to the systems; wait for it or stop it"
            raise AnotherRunError(message) from error
        yield
