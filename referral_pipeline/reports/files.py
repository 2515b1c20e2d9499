"""Putting a file in place so that a reader sees the old one or the new one, never half of one.

Belongs here: the atomic write. Does not belong here: what is written.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def put(path: Path, content: bytes) -> Path:
    """Write beside, have it on the disk, and rename; the folder is made when it does not exist. Answers the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o644)  # mkstemp gives 600; a report is for reading
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    return path
