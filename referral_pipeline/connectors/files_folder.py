"""The folder in which exports are dropped: which files are there, whole, and of which kind.

Belongs here: names, endings, whether a file is still being written, its content and its hash. Does not belong here:
what is in it (`files_columns`), what was seen before (`files_book`).

A file's kind is how its name begins: "referrals 2026-11.csv" holds referrals. Files are read, and never moved or
changed. One that changed a moment ago, or is named as unfinished, is left to the next look.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from referral_pipeline.connectors.files_columns import COLUMNS
from referral_pipeline.connectors.table_file import Table, TableFileError, TableRow, plain_name, read_table

SUFFIXES: Final = (".csv", ".xlsx", ".parquet")
_UNFINISHED: Final = (".part", ".tmp", ".crdownload", ".filepart", ".partial", ".new")
_FUTURE_SECONDS: Final = 120.0
_CLOCK_TICK_SECONDS: Final = 2.0
"""Two changes within one tick of a file system's clock look the same; the coarsest tick is of two seconds."""


@dataclass(frozen=True)
class Drop:
    """One file as it lay there."""

    path: Path
    kind: str
    size: int
    modified_at: datetime
    stamp: str | None = None
    """Another one once the file is written to; None while it is so young that it might be the same."""

    @property
    def name(self) -> str:
        """Its name, by which it is told."""
        return self.path.name


@dataclass(frozen=True)
class Look:
    """What lies in the folder: drops in order of their time, those still being written, and names of no kind."""

    drops: Sequence[Drop]
    unsettled: Sequence[str] = ()
    unknown: Sequence[str] = ()


def look(folder: Path, *, now: datetime, settle_seconds: float) -> Look:
    """Look at the folder.

    Raises:
        OSError: it is not there, or may not be read.
    """
    drops: list[Drop] = []
    unsettled: list[str] = []
    unknown: list[str] = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "~$")) or not path.is_file():
            continue
        if path.suffix.lower() in _UNFINISHED:
            unsettled.append(path.name)
            continue
        kind = kind_of(path.name)
        if kind is None:
            unknown.append(path.name)
            continue
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # taken away since
        modified_at = datetime.fromtimestamp(status.st_mtime, UTC)
        age = (now - modified_at).total_seconds()
        # A time that lies well ahead is a clock's fault, and says nothing of whether somebody is writing.
        if -_FUTURE_SECONDS < age < settle_seconds:
            unsettled.append(path.name)
            continue
        is_old = now.timestamp() - status.st_ctime > _CLOCK_TICK_SECONDS
        stamp = f"{status.st_size}.{status.st_mtime_ns}.{status.st_ctime_ns}.{status.st_ino}" if is_old else None
        drops.append(Drop(path, kind, status.st_size, modified_at, stamp))
    return Look(sorted(drops, key=lambda one: (one.modified_at, one.name)), unsettled, unknown)


def kind_of(name: str) -> str | None:
    """The entity whose rows a file of this name holds; None for none."""
    path = Path(name)
    if path.suffix.lower() not in SUFFIXES:
        return None
    start = plain_name(path.stem)
    return next((kind for kind in COLUMNS if start == kind or start.startswith(f"{kind}_")), None)


def digest(content: bytes) -> str:
    """What a file is known by, whatever its name."""
    return hashlib.sha256(content).hexdigest()


def table_of(name: str, content: bytes, *, columns: Sequence[str]) -> Table:
    """The table that a file holds; of a Parquet file each row is a line, the first after the header's.

    Raises:
        TableFileError: the bytes are not what the name says.
    """
    if not name.lower().endswith(".parquet"):
        return read_table(name, content, one="row", columns=columns)
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table: Any = pq.read_table(io.BytesIO(content))
        names = [plain_name(one) for one in table.column_names]
        rows = tuple(_rows(names, table))
    except (pa.ArrowException, OSError, ValueError, OverflowError):
        reason = "is no Parquet file that can be read; export it anew"
        raise TableFileError("file", reason, f"{len(content)} bytes") from None
    repeated = [one for one in columns if names.count(one) > 1]
    if repeated:
        raise TableFileError(repeated[0], "stands in the header twice; keep one of the columns", "2 columns")
    return Table(tuple(names), rows)


def _rows(names: Sequence[str], table: Any) -> Iterator[TableRow]:
    for number, cells in enumerate(zip(*(column.to_pylist() for column in table.columns), strict=True), start=2):
        yield TableRow(number, dict(zip(names, cells, strict=True)), has_more=False)
