"""Where the tests keep their files.

Belongs here: settings of the whole suite. Does not belong here: fixtures (the folders' own conftest).

Ledger, warehouse and Dagster wait for the disk at every commit, some hundred thousand times in a run of the suite. What
tests prove of crashes is about processes, which a file in memory survives as well as one on disk: so files are kept in
memory where there is room. TMPDIR, or pytest's --basetemp, puts them elsewhere.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

_IN_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 2 << 30
"""Several times what the tests that run at one time keep; containers often have 64 MiB."""


def _keep_files_in_memory() -> None:
    if "TMPDIR" in os.environ or not os.access(_IN_MEMORY, os.W_OK | os.X_OK):
        return
    if shutil.disk_usage(_IN_MEMORY).free < _ROOM_BYTES:
        return
    os.environ["TMPDIR"] = str(_IN_MEMORY)  # for the processes that tests start
    tempfile.tempdir = None  # so that it is looked for again


_keep_files_in_memory()
