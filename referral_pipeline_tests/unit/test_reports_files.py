"""A folder is put in place whole, whatever line its writer is killed at, and whoever else is writing."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from referral_pipeline.reports.files import LOCK, put_folder

OLD = {"page.html": b"old page", "book.xlsx": b"old book", "manifest.json": b"old"}
NEW = {"page.html": b"new page", "book.xlsx": b"new book", "manifest.json": b"new"}
LATER = {"page.html": b"later"}
TOUCHES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree"}
"""What Python tells of before it touches a file: each is a line at which a writer may be killed."""


def content(folder: Path) -> dict[str, bytes] | None:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else None


def forked(work: Callable[[], object]) -> int:
    """The process id of one that does this work, and ends well when it did."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def ended(child: int) -> int:
    """0 when it did its work, minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(touch: int, folder: Path, files: Mapping[str, bytes]) -> int:
    """How a writer ended that is killed before it touches the parent's files for the so-manieth time."""

    def work() -> None:
        left = touch

        def watch(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in TOUCHES and str(folder.parent) in str(arguments[0]):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        put_folder(folder, files, replace=True)

    return ended(forked(work))


@pytest.mark.parametrize("before", [None, OLD])
def test_a_writer_that_is_killed_at_any_line_leaves_the_old_folder_or_the_new_one(
    tmp_path: Path, before: dict[str, bytes] | None
) -> None:
    seen: list[dict[str, bytes] | None] = []
    for touch in range(1, 100):
        folder = tmp_path / str(touch) / "2026-Q3"
        if before is not None:
            put_folder(folder, before, replace=False)
        else:
            folder.parent.mkdir()
        end = killed_at(touch, folder, NEW)
        found = content(folder)
        assert found in (None, before, NEW), touch
        # Whoever comes next finds what was there, and nothing of the one who died.
        is_new = put_folder(folder, LATER, replace=False)
        after = content(folder)
        assert after == (found if found is not None else before if before is not None else LATER), touch
        assert is_new == (after == LATER)
        assert {path.name for path in folder.parent.iterdir()} == {"2026-Q3", LOCK}
        seen.append(found)
        if end == 0:
            break
        assert end == -signal.SIGKILL
    assert end == 0
    assert len(seen) > 15
    assert seen[-1] == NEW
    assert seen.count(None) <= (1 if before else len(seen))  # an old one is away between two renames, and comes back


def test_what_a_writer_that_is_alive_has_written_so_far_is_not_swept(tmp_path: Path) -> None:
    """The one waits with all of its files written; the other comes meanwhile, waits for it, and finds its folder."""
    folder = tmp_path / "2026-Q3"
    (waits, goes), (ready, told) = os.pipe(), os.pipe()

    def work() -> None:
        def watch(event: str, arguments: tuple[object, ...]) -> None:
            if event == "os.rename" and str(arguments[1]) == str(folder):
                os.write(told, b"1")
                os.read(waits, 1)

        sys.addaudithook(watch)
        put_folder(folder, NEW, replace=False)

    child = forked(work)
    try:
        os.read(ready, 1)
        release = threading.Timer(0.3, os.write, (goes, b"1"))
        release.start()
        assert not put_folder(folder, LATER, replace=False)
        release.join()
    finally:
        end = ended(child)
        for handle in (waits, goes, ready, told):
            os.close(handle)
    assert end == 0
    assert content(folder) == NEW


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "2026-Q3"
    put_folder(folder, OLD, replace=False)
    rename = Path.rename

    def fail(path: Path, target: Path) -> Path:
        if path.name.startswith(".writing"):
            raise OSError("disk full")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail)
        with pytest.raises(OSError, match="disk full"):
            put_folder(folder, NEW, replace=True)
    assert content(folder) == OLD
    assert {path.name for path in tmp_path.iterdir()} == {"2026-Q3", LOCK}
    assert put_folder(folder, NEW, replace=True)
    assert content(folder) == NEW
