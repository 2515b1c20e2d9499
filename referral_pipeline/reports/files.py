"""Putting a file, or a folder of them, in place so that a reader sees the old one or the new one, never half of one.

Belongs here: the atomic writes. Does not belong here: what is written.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

LOCK = ".lock"
"""Beside the folders that `put_folder` puts in place: held while it writes there."""

_WRITING, _REPLACED = ".writing-", ".replaced-"


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


def put_folder(folder: Path, files: Mapping[str, bytes], *, replace: bool) -> bool:
    """Put a folder with these files in place as a whole; False when there is one, which then stands.

    It is written beside its place and renamed there. One that is replaced is renamed out of the way first, as no system
    call puts a folder in the place of a full one everywhere; whoever is killed between the two renames leaves the old
    one aside, and the next call, or `put_right`, puts it back before it does anything else.

    Args:
        folder: its place; the folder around it is made when it does not exist.
        files: by name.
        replace: put it in the place of the one that is there.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.parent):
        _tidy(folder.parent)
        if folder.exists() and not replace:
            return False
        beside = folder.with_name(f"{_WRITING}{folder.name}")
        try:
            beside.mkdir()
            for name, content in files.items():
                put(beside / name, content)
            beside.chmod(0o755)  # whatever the umask: a report is for reading
            _sync(beside)
            if folder.exists():
                folder.rename(folder.with_name(f"{_REPLACED}{folder.name}"))
            beside.rename(folder)
            _sync(folder.parent)
        finally:
            _tidy(folder.parent)
    return True


def put_right(parent: Path) -> None:
    """Put back what a writer that was killed in `put_folder` left aside. Nothing without such a folder."""
    if parent.is_dir():
        with _alone(parent):
            _tidy(parent)


@contextmanager
def _alone(parent: Path) -> Generator[None]:
    """Keep every other writer out of a folder. The lock is the kernel's: one who is killed lets go of it."""
    with (parent / LOCK).open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _tidy(parent: Path) -> None:
    """Take up what a writer left behind: the lock is ours, so none of them is alive."""
    for aside in parent.glob(f"{_REPLACED}*"):
        place = parent / aside.name.removeprefix(_REPLACED)
        if place.exists():
            shutil.rmtree(aside)
        else:
            aside.rename(place)
    for unfinished in parent.glob(f"{_WRITING}*"):
        shutil.rmtree(unfinished)


def _sync(folder: Path) -> None:
    """Have the system put a folder on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
