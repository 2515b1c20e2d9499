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
CREATE TABLE IF NOT EXISTS stands (
    number INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, hash TEXT NOT NULL, reading TEXT NOT NULL,
    version_at TEXT NOT NULL, seen_at TEXT NOT NULL, is_there INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS stands_of_name ON stands (kind, name);
CREATE INDEX IF NOT EXISTS stands_of_hash ON stands (kind, hash);
CREATE TABLE IF NOT EXISTS stamps (name TEXT PRIMARY KEY, stamp TEXT NOT NULL, hash TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS changes (referral_id TEXT PRIMARY KEY, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS looks (one INTEGER PRIMARY KEY CHECK (one = 1), at TEXT NOT NULL);
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
        "bonus_kind",
        "bonus_amount_cents",
        "bonus_currency",
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
_QUERIES: Mapping[str, str] = {
    "statuses": f"""
        SELECT {", ".join(_EXPORTED["statuses"])} FROM statuses LEFT JOIN (
            SELECT referral_id, kind AS bonus_kind, amount_cents AS bonus_amount_cents, currency AS bonus_currency
            FROM recognitions WHERE rowid IN (SELECT max(rowid) FROM recognitions GROUP BY referral_id)
        ) USING (referral_id) ORDER BY 1
    """,  # noqa: S608 - our own names
}
"""Where a file is not a table as it stands: with each status goes what was told last of the referral's bonus."""
_ANYBODYS_TEXT = frozenset({"title", "location", "url"})
_LOG = logging.getLogger(__name__)
_LATER = timedelta(milliseconds=1)
_WAIT_SECONDS = 30.0
_SOON_SECONDS = 2.0


@dataclass(frozen=True)
class Seen:
    """Content of a file: when it was written as of its first sight, and when that was."""

    hash: str
    version_at: datetime
    seen_at: datetime


@dataclass(frozen=True)
class _Stand:
    """How a file stood at one time."""

    number: int
    hash: str
    reading: str
    version_at: datetime
    seen_at: datetime
    is_there: bool


class Book:
    """The memory. Safe for threads and processes."""

    def __init__(self, path: Path, outbox: Path) -> None:
        self.outbox = outbox
        self._path = path
        self._lock = threading.Lock()
        self._flush: threading.Timer | None = None
        path.parent.parent.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)  # beside what holds personal data
        with self._connection() as connection:
            for statement in filter(str.strip, _SCHEMA.split(";")):
                connection.execute(statement)

    # ------------------------------------------------------------ what was seen

    def seen(self, kind: str, reading: str, found: Sequence[tuple[str, str, datetime]]) -> list[Seen]:
        """Since when each of these files has stood as it does; what is news is known from now on.

        A content that is new is news, and so is one that takes the place of another under one name, be it one that was
        seen before. A copy under a new name is none: it has the time of what it is a copy of. What a look misses (taken
        away, being written anew) is news when it is back, as whoever pulled meanwhile, and asks for news since then,
        has not read it; so is everything once it is read in another way. Its version stays.

        Args:
            kind: whose rows the files hold; the same bytes may be dropped as two kinds.
            reading: how they are read, in a word.
            found: everything of that kind that is there: name, hash and time of each file.
        """
        answer: list[Seen] = []
        with self._connection() as connection:
            now = self._looked(connection)
            for name, content, modified_at in found:
                own = _stand(connection, kind, "name", name)
                if own is not None and own.hash == content:
                    is_known = own.is_there and own.reading == reading
                    answer.append(Seen(content, own.version_at, own.seen_at if is_known else now))
                    connection.execute(
                        "UPDATE stands SET seen_at = ?, reading = ?, is_there = 1 WHERE number = ?",
                        [_text(answer[-1].seen_at), reading, own.number],
                    )
                    continue
                same = _stand(connection, kind, "hash", content)
                seen_at = now
                if own is not None:
                    version_at = max(min(modified_at, now), own.version_at + _LATER)
                elif same is not None:
                    version_at = same.version_at
                    seen_at = self._seen_under_others(connection, kind, reading, content) or now
                else:
                    version_at = min(modified_at, now)
                connection.execute(
                    "INSERT INTO stands (kind, name, hash, reading, version_at, seen_at, is_there)"
                    " VALUES (?, ?, ?, ?, ?, ?, 1)",
                    [kind, name, content, reading, _text(version_at), _text(seen_at)],
                )
                answer.append(Seen(content, version_at, seen_at))
            there = {(name, content) for name, content, _ in found}
            held = connection.execute("SELECT number, name, hash FROM stands WHERE kind = ? AND is_there = 1", [kind])
            left = [(number,) for number, *one in held.fetchall() if tuple(one) not in there]
            connection.executemany("UPDATE stands SET is_there = 0 WHERE number = ?", left)
        return answer

    def _seen_under_others(
        self, connection: sqlite3.Connection, kind: str, reading: str, content: str
    ) -> datetime | None:
        """Since when content was news under the names that it had at the last look; None where it was not there."""
        (latest,) = connection.execute(
            "SELECT max(number) FROM stands WHERE kind = ? AND reading = ? AND hash = ? AND is_there = 1",
            [kind, reading, content],
        ).fetchone()
        if latest is None:
            return None
        return _time(connection.execute("SELECT seen_at FROM stands WHERE number = ?", [latest]).fetchone()[0])

    def hashes(self) -> dict[tuple[str, str], str]:
        """The hash of each file that was read before, by its name and stamp."""
        with self._connection() as connection:
            return {(n, stamp): h for n, stamp, h in connection.execute("SELECT name, stamp, hash FROM stamps")}

    def keep_hashes(self, found: Mapping[tuple[str, str], str]) -> None:
        """Keep hashes, so that a file which nobody wrote to need not be read to know it."""
        with self._connection() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO stamps VALUES (?, ?, ?)", [(*key, h) for key, h in found.items()]
            )

    def _looked(self, connection: sqlite3.Connection) -> datetime:
        """The time of this look, taken while no other process can look, and never before that of the one before."""
        held = connection.execute("SELECT at FROM looks").fetchone()
        now = datetime.now(UTC)
        at = now if held is None else max(now, _time(held[0]))
        connection.execute("INSERT OR REPLACE INTO looks VALUES (1, ?)", [_text(at)])
        return at

    def outdated(self, changed: Mapping[str, float]) -> set[str]:
        """Those referrals of which a later row was read before; the latest change of each is kept.

        Args:
            changed: by referral when the newest row that lies there was changed, in seconds since 1970.
        """
        with self._connection() as connection:
            connection.executemany(
                "INSERT INTO changes VALUES (?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)",
                changed.items(),
            )
            latest = dict(connection.execute("SELECT referral_id, at FROM changes").fetchall())
        return {i for i, at in changed.items() if at < latest[i]}

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

    def told(self, *, of: str | None = None, since: datetime | None = None) -> dict[str, dict[str, Any]]:
        """What was told by referral: of all or of one, ever or from a moment on."""
        with self._connection() as connection:
            if of is None:
                cursor = connection.execute("SELECT * FROM statuses")
            else:
                cursor = connection.execute("SELECT * FROM statuses WHERE referral_id = ?", [of])
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor]
        return {row["referral_id"]: row for row in rows if since is None or _time(row["told_at"]) >= since}

    def recognitions_of(self, referral_id: str) -> list[dict[str, Any]]:
        """The recognitions of a referral, in the order in which they were told."""
        with self._connection() as connection:
            cursor = connection.execute(
                "SELECT * FROM recognitions WHERE referral_id = ? ORDER BY rowid", [referral_id]
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
                query = _QUERIES.get(table) or f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1"  # noqa: S608
                rows = connection.execute(query).fetchall()
                if rows or (self.outbox / f"{table}.csv").exists():
                    written += self._write(table, columns, rows)
        return written

    def _write(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[Path]:
        sheet = io.StringIO(newline="")
        writer = csv.writer(sheet)
        writer.writerow(columns)
        writer.writerows([[_cell(*one) for one in zip(columns, row, strict=True)] for row in rows])
        content = sheet.getvalue().encode()
        path = self.outbox / f"{table}.csv"
        if path.exists() and path.read_bytes() == content:
            return
        self.outbox.mkdir(parents=True, exist_ok=True)
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


def _stand(connection: sqlite3.Connection, kind: str, column: str, value: str) -> _Stand | None:
    """How a name stood last, or a content first."""
    order = "DESC" if column == "name" else "ASC"
    row = connection.execute(
        f"SELECT number, hash, reading, version_at, seen_at, is_there FROM stands WHERE kind = ? AND {column} = ?"  # noqa: S608 - our own names
        f" ORDER BY number {order} LIMIT 1",
        [kind, value],
    ).fetchone()
    if row is None:
        return None
    number, content, reading, version_at, seen_at, is_there = row
    return _Stand(number, content, reading, _time(version_at), _time(seen_at), bool(is_there))


def _put(connection: sqlite3.Connection, table: str, values: Mapping[str, Any]) -> None:
    names = ", ".join(values)
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", list(values.values()))  # noqa: S608


def _cell(column: str, value: Any) -> Any:
    """A value in a file that people may open in a spreadsheet. Ids stay as they are: they are matched by them."""
    if value is None:
        return ""
    return safe_cell(value) if column in _ANYBODYS_TEXT else value


def _text(moment: datetime) -> str:
    return instant_text(moment)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
