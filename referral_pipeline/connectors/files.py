"""The connector for an advocacy platform without an API: exports that are dropped as files, and files for the way back.

Belongs here: the advocacy protocol over a folder of exports. Does not belong here: files (`files_folder`), columns
(`files_columns`), memory (`files_book`), telling (`files_outbox`), what a row of the contract means (`advocacy_rows`).

Invariants, each with a test of the same number
1.  A file is known by its content: a copy under another name brings nothing, and an edited file is another file. Its
    time is that of its first sight, whatever is done to it later.
2.  Content is read until a pull that began after it was seen was kept: a crash at any line repeats a file and never
    skips one, and so does a file that was away, being written, of another kind, or read by other options meanwhile.
    What is read again changes nothing.
3.  A row supersedes another of its id by `updated_at`, or where no column says it by the time of its file.
4.  A file that is still being written is left to the next look; files are never moved or changed.
5.  A row that cannot be read is set aside by file and line; a file that cannot is told by its name, until one of that
    name can. The others go on.
6.  A file that is gone takes nothing away: a drop is news, no list of what there is.
7.  An export of referrals alone is enough: its advocates are made of it, until a file of advocates says more.
8.  Nothing can be told to such a platform: statuses, recognitions, jobs and results are kept as if they had been, and
    written to CSV files in the outbox.
9.  A status older than the one held is refused; a recognition is kept once by its key.
10. An e-mail address where an advocate's id should be is kept as the address, and its keyed hash is the id.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from referral_pipeline.connectors.advocacy_rows import (
    READERS,
    read_advocate,
    read_content,
    read_one,
    read_referral,
    read_share,
    read_told,
)
from referral_pipeline.connectors.build import Build
from referral_pipeline.connectors.capabilities import AuditScope, Capability
from referral_pipeline.connectors.failures import Invalid, TransientFailure
from referral_pipeline.connectors.files_book import Book, Seen
from referral_pipeline.connectors.files_columns import COLUMNS, PLACE, PROBLEM, Cells, Lines
from referral_pipeline.connectors.files_folder import Drop, Look, digest, look, table_of
from referral_pipeline.connectors.files_options import FilesOptions
from referral_pipeline.connectors.files_outbox import Outbox
from referral_pipeline.connectors.files_probe import audit, probe, refuse_missing
from referral_pipeline.connectors.http import WriteGuard
from referral_pipeline.connectors.protocols import RawReader
from referral_pipeline.connectors.records import (
    AdvocacyStaged,
    Advocate,
    AdvocateResults,
    AtsJob,
    Content,
    Entity,
    Finding,
    Referral,
    Row,
    RowProblem,
    Share,
    StatusUpdate,
    Told,
    Window,
)
from referral_pipeline.connectors.table_file import TableFileError
from referral_pipeline.connectors.values import instant_text

SYSTEM = "files"
BOOK_FILE = "files.sqlite"
PAGE_SIZE = 2_000
_MADE_AT = datetime(1970, 1, 1, tzinfo=UTC)
"""When advocates were changed that were made of referrals: before any file that says more (7); a second later where
their address is told, which a later file without it must not take away."""
_MEND = "correct it in the file and drop that anew"
ENTITIES: Mapping[str, Entity] = {
    name: Entity(name, tells_gone=False) for name in ("advocates", "content", "shares", "clicks", "referrals")
}


@dataclass(frozen=True)
class _Read:
    """One file, read: its rows as the API would give them, or what is wrong with it."""

    rows: tuple[Row, ...] = ()
    problem: Mapping[str, str] | None = None


@dataclass(frozen=True)
class _Found:
    """One content that lies there."""

    drop: Drop
    seen: Seen


class FilesConnector:
    """Implements `protocols.AdvocacyConnector`. Safe for threads."""

    system: str = SYSTEM
    entities: Mapping[str, Entity] = ENTITIES

    def __init__(
        self,
        options: FilesOptions,
        *,
        folder: Path,
        book: Book,
        hash_key: Callable[[], str] | None = None,
        guard: WriteGuard | None = None,
    ) -> None:
        self._outbox = Outbox(book, SYSTEM, guard)
        self._lock = threading.Lock()
        self._newest: tuple[object, Mapping[str, Row]] | None = None
        cells = Cells(ZoneInfo(options.time_zone), options.date_formats)
        self._folder = folder
        self._settle_seconds = options.settle_seconds
        self._book = book
        self._hash_key = hash_key
        self._readings = {kind: options.reading(kind) for kind in COLUMNS}
        self._lines = {
            kind: Lines(kind, cells, options.columns.get(kind, {}), options.consent_basis, self._digest)
            for kind in COLUMNS
        }

    # ------------------------------------------------------------ reading

    def pull(self, entity: str, window: Window) -> Iterator[list[Row]]:
        """(2, 3) The rows of every file that was first seen in the window, or of all, oldest file first."""
        kinds = {entity, "referrals"} if entity == "advocates" else {entity}
        told = self._book.told(since=window.since) if entity == "referrals" else {}
        waiting = dict(told)
        for one in _from_first_new(self._found(kinds), window.since):
            read = self._read(one)
            rows = list(read.rows)
            if entity == "advocates" and one.drop.kind == "referrals":
                rows = _advocates_of(rows)
            elif one.drop.kind == entity:
                yield [_file_row(one, read)]
            if entity == "referrals":
                held = self._book.told()
                rows = [_overlaid(row, held) for row in rows]
                for row in rows:
                    waiting.pop(str(row.get("id")), None)
            for start in range(0, len(rows), PAGE_SIZE):
                yield rows[start : start + PAGE_SIZE]
        if waiting:
            known = self._referrals()
            yield [_overlaid(known[i], waiting) for i in waiting if i in known]

    def _look(self) -> Look:
        try:
            return look(self._folder, now=datetime.now(UTC), settle_seconds=self._settle_seconds)
        except OSError as error:
            raise TransientFailure(SYSTEM, "folder.list", detail=f"the folder: {error.strerror}") from None

    def _found(self, kinds: set[str]) -> list[_Found]:
        """(1) Each content once, under the first of its names, oldest first."""
        drops = [drop for drop in self._look().drops if drop.kind in kinds]
        known = self._book.hashes()
        fresh: dict[tuple[str, str], str] = {}
        found: list[_Found] = []
        for kind in sorted(kinds):
            contents: dict[str, Drop] = {}
            for drop in (drop for drop in drops if drop.kind == kind):
                key = (drop.name, drop.stamp) if drop.stamp is not None else None
                hashed = known.get(key) if key is not None else None
                if hashed is None:
                    content = _content(drop)
                    if content is None:
                        continue
                    hashed = digest(content)
                    if key is not None:
                        fresh[key] = hashed
                contents.setdefault(hashed, drop)
            at = {h: drop.modified_at for h, drop in contents.items()}
            seen = self._book.seen(kind, self._readings[kind], at)
            found += [_Found(contents[h], one) for h, one in seen.items()]
        if fresh:
            self._book.keep_hashes(fresh)
        return sorted(found, key=lambda one: (one.seen.version_at, one.drop.name))

    def _read(self, one: _Found) -> _Read:
        drop = one.drop
        content = _content(drop)
        if content is None or digest(content) != one.seen.hash:
            raise TransientFailure(SYSTEM, "file.read", detail=f"{drop.name}: was changed while it was read")
        lines = self._lines[drop.kind]
        names = [lines.column(name) for name in COLUMNS[drop.kind]]
        try:
            table = table_of(drop.name, content, columns=names)
            refuse_missing(lines, table)
        except TableFileError as error:
            return _Read(problem={"field": error.field, "reason": error.reason, "shape": error.shape})
        row = lines.reader(table.columns, name=drop.name, version_at=one.seen.version_at)
        return _Read(rows=tuple(map(row, table.rows)))

    def _digest(self, address: str) -> str:
        """(10) An address as an id: the same for the same address, and nobody's who has not the key."""
        if self._hash_key is None:
            raise Invalid(SYSTEM, "file.read", detail="advocates are known by address, and there is no hash key")
        return hmac.new(self._hash_key().encode(), address.encode(), hashlib.sha256).hexdigest()[:24]

    def _referrals(self) -> Mapping[str, Row]:
        """The newest row of each referral, without what was told; read again when the folder has changed."""
        drops = [drop for drop in self._look().drops if drop.kind == "referrals"]
        state = tuple((drop.name, drop.size, drop.modified_at) for drop in drops)
        with self._lock:
            if self._newest is not None and self._newest[0] == state:
                return self._newest[1]
        newest: dict[str, Row] = {}
        for one in self._found({"referrals"}):
            for row in self._read(one).rows:
                record_id = str(row.get("id"))
                held = newest.get(record_id)
                if held is None or _comparable(str(row["updated_at"])) >= _comparable(str(held["updated_at"])):
                    newest[record_id] = row
        with self._lock:
            self._newest = (state, newest)
        return newest

    def referral_row(self, referral_id: str) -> Row | None:
        """One referral's raw row, as the files and what was told say now. None when no file names it."""
        row = self._referrals().get(referral_id)
        return _overlaid(row, self._book.told()) if row is not None else None

    def get_referral(self, referral_id: str) -> Referral | None:
        """One referral, fresh. None when no file names it."""
        row = self.referral_row(referral_id)
        found = self.referral_of(row) if row is not None else None
        if isinstance(found, RowProblem):
            detail = f"{found.record_id}: {found.field} {found.reason} ({found.shape})"
            raise Invalid(SYSTEM, "referrals.get", detail=detail)
        return found

    # ------------------------------------------------------------ rows as records

    def stage(self, raw: RawReader) -> AdvocacyStaged:
        """(5) Read raw rows into canonical records. Pure."""
        problems: list[RowProblem] = []
        found = {entity: list(_all(entity, raw, read, problems)) for entity, read in READERS.items()}
        return AdvocacyStaged(**found, problems=problems)

    def referral_of(self, row: Row) -> Referral | RowProblem:
        """(5) One row as a referral. Pure."""
        return _one("referrals", row, read_referral)

    def told_of(self, row: Row) -> Told | RowProblem:
        """(8) What was told of a referral's application, from its row. Pure."""
        return _one("referrals", row, read_told)

    def share_of(self, row: Row) -> Share | RowProblem:
        """(5) One share. Pure."""
        return _one("shares", row, read_share)

    def content_of(self, row: Row) -> Content | RowProblem:
        """(5) One piece of content. Pure."""
        return _one("content", row, read_content)

    def advocate_of(self, row: Row) -> Advocate | RowProblem:
        """(5) One advocate. Pure."""
        return _one("advocates", row, read_advocate)

    # ------------------------------------------------------------ telling

    def return_status(self, update: StatusUpdate) -> bool:
        """(8, 9) Keep a status for the outbox. False when a later one is held."""
        return self._outbox.return_status(update)

    def put_job(self, job: AtsJob) -> None:
        """(8) Keep a job posting for the outbox."""
        self._outbox.put_job(job)

    def put_results(self, results: AdvocateResults) -> bool:
        """(8) Keep an advocate's results for the outbox. False when later ones are held."""
        return self._outbox.put_results(results)

    def recognise(
        self,
        referral_id: str,
        kind: str,
        amount_cents: int,
        currency: str,
        key: str,
        *,
        starts_on: date | None = None,
    ) -> None:
        """(9) Keep a recognition for the outbox; the same key again changes nothing.

        Raises:
            Conflict: It stands already under another key, or there is nothing to reverse.
            Invalid: The key stands for another recognition.
        """
        del starts_on
        self._outbox.recognise(referral_id, kind, amount_cents, currency, key)

    # ------------------------------------------------------------ looking

    def probe(self) -> list[Finding]:
        """Look, without writing, at the folder and at the headers of what lies there."""
        return probe(self._folder, self._book.outbox, self._lines, self._settle_seconds)

    def audit(self, scope: AuditScope) -> list[Capability]:
        """What a platform without an API can do for the integration."""
        del scope
        return audit(self.probe())

    def row_problem(self, entity: str, row: Row) -> RowProblem | None:
        """(5) Why a row cannot be read; None when it can. Pure."""
        found = _one(entity, row, READERS[entity])
        return found if isinstance(found, RowProblem) else None

    def close(self) -> None:
        """(8) Write the outbox."""
        self._book.close()


def _content(drop: Drop) -> bytes | None:
    """(4) A file's bytes; None when it was taken away, or grew, since the look."""
    try:
        content = drop.path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TransientFailure(SYSTEM, "file.read", detail=f"{drop.name}: {error.strerror}") from None
    return content if len(content) == drop.size else None


def _from_first_new(found: Sequence[_Found], since: datetime | None) -> Sequence[_Found]:
    """(3) What was first seen from then on, and whatever is newer.

    Else an old file that comes late would have the last word on a row whose change a newer file tells with the same
    time.
    """
    if since is None:
        return found
    first = next((i for i, one in enumerate(found) if one.seen.seen_at >= since), len(found))
    return found[first:]


def _file_row(one: _Found, read: _Read) -> Row:
    """(5) The row that stands for a whole file: what is wrong with it, or that nothing is."""
    return {"id": f"?{one.drop.name}", "updated_at": instant_text(one.seen.version_at), PROBLEM: read.problem}


def _advocates_of(rows: Sequence[Row]) -> list[Row]:
    """(7) Each advocate that referrals name, with an address where one of them says it."""
    found: dict[str, Row] = {}
    for row in rows:
        advocate_id = row.get("advocate_id")
        if isinstance(advocate_id, str) and advocate_id:
            address = row.get("advocate_email")
            if isinstance(address, str):
                told = {"email": address, "updated_at": instant_text(_MADE_AT + timedelta(seconds=1))}
            elif advocate_id in found:
                continue
            else:
                told = {"updated_at": instant_text(_MADE_AT)}
            found[advocate_id] = {"id": advocate_id, "eligible": True, **told, PLACE: row[PLACE]}
    return list(found.values())


def _overlaid(row: Row, told: Mapping[str, Mapping[str, Any]]) -> Row:
    """(8) A referral with what was told of it, as a platform would show it."""
    held = told.get(str(row.get("id")))
    if held is None:
        return row
    return {
        **row,
        "status": held["status"],
        "status_at": held["status_at"],
        "ats": {
            "system": held["ats_system"],
            "candidate_id": held["ats_candidate_id"],
            "application_id": held["ats_application_id"],
        },
        "hired_at": held["hired_at"],
        "starts_on": held["starts_on"],
        "updated_at": max(str(row["updated_at"]), held["told_at"], key=_comparable),
    }


def _comparable(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _all(entity: str, raw: RawReader, read: Any, problems: list[RowProblem]) -> Iterator[Any]:
    for row in raw(entity):
        if PROBLEM in row:
            if row[PROBLEM] is not None:
                problems.append(_of_file(entity, row))
            continue
        found = _one(entity, row, read)
        if isinstance(found, RowProblem):
            problems.append(found)
        else:
            yield found


def _of_file(entity: str, row: Row) -> RowProblem:
    what: Mapping[str, str] = row[PROBLEM]
    name = str(row["id"]).removeprefix("?")
    return RowProblem(SYSTEM, entity, name, what["field"], what["reason"], what["shape"])


def _one(entity: str, row: Row, read: Any) -> Any:
    """(5) One row as a record, or why it is none, by file and line."""
    found = read_one(entity, {name: value for name, value in row.items() if name != PLACE}, read)
    if isinstance(found, RowProblem):
        place = str(row.get(PLACE) or found.record_id)
        return replace(found, system=SYSTEM, record_id=place, reason=f"{found.reason}; {_MEND}")
    return found


def build(of: Build) -> FilesConnector:
    """The connector that a contract asks for.

    Raises:
        build.ConnectorError: an option is wrong.
    """
    options = of.options(FilesOptions)
    home = of.settings.home
    book = Book((of.state_dir or of.settings.state_dir) / BOOK_FILE, home / options.outbox)
    return FilesConnector(
        options,
        folder=home / options.folder,
        book=book,
        hash_key=lambda: of.settings.secret("REFERRAL_PIPELINE_HASH_KEY"),
        guard=of.write_guard,
    )
