"""What the files connector remembers: which content it has seen since when, and what the platform was told.

Belongs here: one SQLite file beside the other state, and the CSV files that are written from it. Does not belong here:
reading drops (`files_folder`), what is told (sync).

A platform without an API cannot be written to, so what would be written stands here, and in CSV files for people to
upload: statuses, recognitions, jobs, results. They hold ids, words, dates and amounts, and no personal data. The same
state gives the same bytes, and a reader never sees half a file.

Why a file of its own and not the ledger: connectors know nothing of what comes after them, and this is the other
system's memory, which the connector stands for.
"""

from __future__ import annotations

import csv
import io
import logging
import os
import sqlite3
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from referral_pipeline.connectors.values import instant_text
from referral_pipeline.escapes import safe_cell

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sightings (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, hash TEXT NOT NULL, version_at TEXT NOT NULL, seen_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS statuses (
    referral_id TEXT PRIMARY KEY, status TEXT NOT NULL, status_at TEXT NOT NULL, ats_system TEXT NOT NULL,
    ats_candidate_id TEXT NOT NULL, ats_application_id TEXT NOT NULL, hired_at TEXT, starts_on TEXT,
    told_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS recognitions (
    key TEXT PRIMARY KEY, referral_id TEXT NOT NULL, kind TEXT NOT NULL, amount_cents INTEGER NOT NULL,
    currency TEXT NOT NULL, told_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS jobs (
    job_id TEXT PRIMARY KEY, title TEXT NOT NULL, status TEXT NOT NULL, location TEXT, url TEXT
);
CREATE TABLE IF NOT EXISTS results (
    advocate_id TEXT PRIMARY KEY, as_of TEXT NOT NULL, shares INTEGER, clicks INTEGER, referrals INTEGER,
    applications INTEGER, interviews INTEGER, offers INTEGER, hires INTEGER, credit TEXT, next_eligible_on TEXT
);
"""
_EXPORTED: Mapping[str, Sequence[str]] = {
    "statuses": (
        "referral_id",
        "status",
        "status_at",
        "hired_at",
        "starts_on",
        "ats_system",
        "ats_candidate_id",
        "ats_application_id",
    ),
    "recognitions": ("key", "referral_id", "kind", "amount_cents", "currency"),
    "jobs": ("job_id", "title", "status", "location", "url"),
    "results": (
        "advocate_id",
        "as_of",
        "shares",
        "clicks",
        "referrals",
        "applications",
        "interviews",
        "offers",
        "hires",
        "credit",
        "next_eligible_on",
    ),
}
_LOG = logging.getLogger(__name__)
_WAIT_SECONDS = 30.0
_LATER = timedelta(milliseconds=1)
_SOON_SECONDS = 2.0


@dataclass(frozen=True)
class Seen:
    """Content of a file: when it was written as of its first sight, and when that was."""

    hash: str
    version_at: datetime
    seen_at: datetime


class Book:
    """The memory. Safe for threads and processes."""

    def __init__(self, path: Path, outbox: Path) -> None:
        self._path = path
        self._outbox = outbox
        self._lock = threading.Lock()
        self._flush: threading.Timer | None = None
        path.parent.parent.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)  # beside what holds personal data
        with self._connection() as connection:
            for statement in filter(str.strip, _SCHEMA.split(";")):
                connection.execute(statement)

    # ------------------------------------------------------------ what was seen

    def seen(self, found: Sequence[tuple[str, str, datetime]], now: datetime) -> list[Seen]:
        """Since when each of these files has stood as it does; what is news is known from now on.

        A content that is new is news, and so is one that takes the place of another under one name, be it one that was
        seen before. A copy under a new name is none: it has the time of what it is a copy of.

        Args:
            found: name, hash and time of each file.
            now: the time of this look.
        """
        answer: list[Seen] = []
        with self._connection() as connection:
            for name, content, modified_at in found:
                own = _sighting(connection, "name", name)
                same = _sighting(connection, "hash", content)
                if own is not None and own.hash == content:
                    answer.append(own)
                    continue
                if own is not None:
                    version_at = max(min(modified_at, now), own.version_at + _LATER)
                else:
                    version_at = same.version_at if same is not None else min(modified_at, now)
                seen_at = same.seen_at if own is None and same is not None else now
                connection.execute(
                    "INSERT INTO sightings (name, hash, version_at, seen_at) VALUES (?, ?, ?, ?)",
                    [name, content, _text(version_at), _text(seen_at)],
                )
                answer.append(Seen(content, version_at, seen_at))
        return answer

    # ------------------------------------------------------------ what was told

    def tell_status(self, values: Mapping[str, Any]) -> bool:
        """Keep a status; False when a later one is held."""
        with self._connection() as connection:
            held = connection.execute(
                "SELECT status_at FROM statuses WHERE referral_id = ?", [values["referral_id"]]
            ).fetchone()
            if held is not None and _time(held[0]) > _time(values["status_at"]):
                return False
            _put(connection, "statuses", values)
        self.export_soon()
        return True

    def told(self, *, since: datetime | None = None) -> dict[str, dict[str, Any]]:
        """What was told by referral, of all or from a moment on."""
        with self._connection() as connection:
            cursor = connection.execute("SELECT * FROM statuses")
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor]
        return {row["referral_id"]: row for row in rows if since is None or _time(row["told_at"]) >= since}

    def recognitions_of(self, referral_id: str) -> list[dict[str, Any]]:
        """The recognitions of a referral, in the order in which they were told."""
        with self._connection() as connection:
            cursor = connection.execute(
                "SELECT * FROM recognitions WHERE referral_id = ? ORDER BY told_at, rowid", [referral_id]
            )
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def put(self, table: str, values: Mapping[str, Any]) -> None:
        """Keep a row, in place of the one with its key."""
        with self._connection() as connection:
            _put(connection, table, values)
        self.export_soon()

    def result_of(self, advocate_id: str) -> datetime | None:
        """As of when the results of an advocate stand here; None for none."""
        with self._connection() as connection:
            row = connection.execute("SELECT as_of FROM results WHERE advocate_id = ?", [advocate_id]).fetchone()
        return _time(row[0]) if row is not None else None

    # ------------------------------------------------------------ the outbox

    def export_soon(self) -> None:
        """Write the files in a moment, once for all that comes meanwhile."""
        with self._lock:
            if self._flush is None:
                self._flush = threading.Timer(_SOON_SECONDS, self._exported)
                self._flush.daemon = True
                self._flush.start()

    def _exported(self) -> None:
        with self._lock:
            self._flush = None
        try:
            self.export()
        except (OSError, sqlite3.Error) as error:
            # What was told is kept; the next write, pull or end of a process writes the files.
            _LOG.warning("the outbox could not be written now: %s", type(error).__name__)

    def close(self) -> None:
        """Write what is not written yet."""
        with self._lock:
            waiting, self._flush = self._flush, None
        if waiting is not None:
            waiting.cancel()
        self.export()

    def export(self) -> list[Path]:
        """Write the CSV files, those that differ; their paths. One process at a time, on what stands then."""
        written: list[Path] = []
        with self._connection() as connection:  # which holds the only right to write until the files are in place
            for table, columns in _EXPORTED.items():
                rows = connection.execute(
                    f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1"  # noqa: S608 - our own names
                ).fetchall()
                if rows or (self._outbox / f"{table}.csv").exists():
                    written += self._write(table, columns, rows)
        return written

    def _write(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[Path]:
        sheet = io.StringIO(newline="")
        writer = csv.writer(sheet)
        writer.writerow(columns)
        writer.writerows([[_cell(cell) for cell in row] for row in rows])
        content = sheet.getvalue().encode()
        path = self._outbox / f"{table}.csv"
        if path.exists() and path.read_bytes() == content:
            return
        self._outbox.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.new")
        beside.write_bytes(content)
        beside.replace(path)
        yield path

    @contextmanager
    def _connection(self) -> Generator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=_WAIT_SECONDS, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        finally:
            connection.close()


def _sighting(connection: sqlite3.Connection, column: str, value: str) -> Seen | None:
    """The newest sighting of a name, or the first of a content."""
    order = "DESC" if column == "name" else "ASC"
    row = connection.execute(
        f"SELECT hash, version_at, seen_at FROM sightings WHERE {column} = ? ORDER BY number {order} LIMIT 1",  # noqa: S608
        [value],
    ).fetchone()
    return Seen(row[0], _time(row[1]), _time(row[2])) if row is not None else None


def _put(connection: sqlite3.Connection, table: str, values: Mapping[str, Any]) -> None:
    names = ", ".join(values)
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", list(values.values()))  # noqa: S608


def _cell(value: Any) -> Any:
    """A cell that no spreadsheet program takes for a formula."""
    return "" if value is None else safe_cell(value) if isinstance(value, str) else value


def _text(moment: datetime) -> str:
    return instant_text(moment)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
