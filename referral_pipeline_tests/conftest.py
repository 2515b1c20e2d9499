"""Where the tests keep their files, and what their processes need not say.

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
from typing import Any

from referral_pipeline.settings import CONTRACT_TOLD

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
# Most tests have no contract file; what commands say of that is a test of its own.
os.environ[CONTRACT_TOLD] = "1"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The table of injected faults, wherever its tests ran: what they report travels with their results."""
    rows = [
        value
        for report in terminalreporter.stats.get("passed", [])
        for name, value in report.user_properties
        if name == "injected fault"
    ]
    if not rows:
        return
    terminalreporter.section("injected faults")
    table = [("fault", "found by", "called", "alert", "told"), *(tuple(str(cell) for cell in row) for row in rows)]
    widths = [max(len(row[place]) for row in table) for place in range(len(table[0]))]
    for row in table:
        terminalreporter.write_line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
