"""The connector for an advocacy platform without an API: exports that are dropped as files, and files for the way back.

Belongs here: the advocacy protocol over a folder of exports. Does not belong here: files (`files_folder`), columns
(`files_columns`), memory (`files_book`), telling (`files_outbox`), what a row of the contract means (`advocacy_rows`).

Invariants, each with a test of the same number
1.  A file is known by its content: a copy under another name brings nothing. What takes the place of another content
    under one name is news, be it one that was seen before. Its time is that of when it became news.
2.  Content is read until a pull that began after it was seen was kept: a crash at any line repeats a file and never
    skips one, and so does a file that was away, being written, of another kind, or read by other options meanwhile.
    What is read again changes nothing.
3.  A row supersedes another of its id by `updated_at`, or where no column says it by the time of its file; what was
    told of a referral changes nothing in that. Two lines of one file with one id and no such column are a mistake.
4.  A file that is still being written is left to the next look; files are never moved or changed.
5.  A row that cannot be read is set aside by file and line; a file that cannot is told by its name, until one of that
    name can. The others go on.
6.  A file that is gone takes nothing away: a drop is news, no list of what there is, and an older row of a file that
    is still there is not taken for the truth. A live look knows the files that are there alone.
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
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from referral_pipeline.connectors.advocacy_rows import (
    READERS,
    read_advocate,
    read_content,
    read_referral,
    read_share,
    read_told,
)
from referral_pipeline.connectors.build import Build
from referral_pipeline.connectors.capabilities import AuditScope, Capability
from referral_pipeline.connectors.failures import Invalid, TransientFailure
from referral_pipeline.connectors.files_book import Book, Seen
from referral_pipeline.connectors.files_columns import COLUMNS, Cells, Lines
from referral_pipeline.connectors.files_folder import Drop, Look, digest, look, table_of
from referral_pipeline.connectors.files_options import FilesOptions
from referral_pipeline.connectors.files_outbox import Outbox
from referral_pipeline.connectors.files_probe import audit, probe, refuse_missing
from referral_pipeline.connectors.files_rows import (
    SEEN,
    SYSTEM,
    advocates_of,
    bad_line,
    changed_at,
    file_row,
    has_id,
    overlaid,
    put_newest,
    read_all,
    read_row,
)
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
from referral_pipeline.connectors.table_file import TableFileError, TableRow
from referral_pipeline.connectors.values import instant_text

BOOK_FILE = "files.sqlite"
PAGE_SIZE = 2_000
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
        """(2, 3) The rows of every file that is news in the window, or of all; of referrals the newest of each id."""
        self._book.export()  # what a process that was killed left unwritten
        if entity == "referrals":
            yield from self._pull_referrals(window.since)
            return
        for one in _from_first_new(self._found(entity), window.since):
            read = self._read(one)
            yield [file_row(one.drop.name, one.seen.version_at, read.problem)]
            yield from _pages(read.rows)
        if entity == "advocates":
            told_of = self._found("referrals")
            if _from_first_new(told_of, window.since):
                yield advocates_of([row for one in told_of for row in self._read(one).rows])

    def _pull_referrals(self, since: datetime | None) -> Iterator[list[Row]]:
        """(3, 8) The newest row of each referral of files that are news, or that something was told of, with that."""
        found = self._found("referrals")
        news = {one.drop.name for one in found if since is None or one.seen.seen_at >= since}
        wanted: dict[str, None] = {}
        newest: dict[str, Row] = {}
        for one in found if news else ():
            read = self._read(one)
            put_newest(newest, read.rows)
            if one.drop.name in news:
                yield [file_row(one.drop.name, one.seen.version_at, read.problem)]
                wanted |= dict.fromkeys(str(row["id"]) for row in read.rows if has_id(row))
                # What has no id, or stands for a line that cannot be read, goes as it is.
                yield from _pages([row for row in read.rows if not has_id(row)])
        wanted |= dict.fromkeys(self._book.told(since=since))
        known = self._standing(newest) if news else self._referrals() if wanted else {}
        told = self._book.told()
        yield from _pages([overlaid(known[i], told) for i in wanted if i in known])
        # (6) As they are: whoever holds the later row keeps it, and who never got it is not left with nothing.
        yield from _pages([newest[i] for i in wanted if i in newest and i not in known])

    def _look(self) -> Look:
        try:
            return look(self._folder, now=datetime.now(UTC), settle_seconds=self._settle_seconds)
        except OSError as error:
            raise TransientFailure(SYSTEM, "folder.list", detail=f"the folder: {error.strerror}") from None

    def _found(self, kind: str) -> list[_Found]:
        """(1) Each file of a kind that says something of its own, in order of its time."""
        known = self._book.hashes()
        fresh: dict[tuple[str, str], str] = {}
        there: list[tuple[Drop, str]] = []
        for drop in self._look().drops:
            if drop.kind != kind:
                continue
            key = (drop.name, drop.stamp) if drop.stamp is not None else None
            hashed = known.get(key) if key is not None else None
            if hashed is None:
                content = _content(drop)
                if content is None:
                    continue
                hashed = digest(content)
                if key is not None:
                    fresh[key] = hashed
            there.append((drop, hashed))
        if fresh:
            self._book.keep_hashes(fresh)
        names = [(drop.name, hashed, drop.modified_at) for drop, hashed in there]
        seen = self._book.seen(kind, self._readings[kind], names)
        found: dict[tuple[str, datetime], _Found] = {}
        for (drop, hashed), one in zip(there, seen, strict=True):
            found.setdefault((hashed, one.version_at), _Found(drop, one))
        return sorted(found.values(), key=lambda one: (one.seen.version_at, one.drop.name))

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
        as_row = lines.reader(table.columns, name=drop.name, version_at=one.seen.version_at)
        is_stamped = lines.column("updated_at") in table.columns
        seen_at = instant_text(one.seen.seen_at)
        rows: list[Row] = []
        first: dict[str, TableRow] = {}
        for line in table.rows:
            if line.has_more:
                words = "has more cells than the header; quote what holds a separator"
                rows.append(bad_line(drop.name, line, "line", words, f"{len(table.columns)} columns, and more cells"))
                continue
            row = as_row(line)
            if not is_stamped and has_id(row):
                earlier = first.setdefault(row["id"], line)
                if earlier is not line and earlier.cells != line.cells:
                    words = f"stands on line {earlier.line} with other values; keep one, or add a column updated_at"
                    rows.append(bad_line(drop.name, line, "id", words, "the same id"))
                    continue
            row[SEEN] = seen_at
            rows.append(row)
        return _Read(rows=tuple(rows))

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
        for one in self._found("referrals"):
            put_newest(newest, self._read(one).rows)
        standing = self._standing(newest)
        with self._lock:
            self._newest = (state, standing)
        return standing

    def _standing(self, newest: Mapping[str, Row]) -> Mapping[str, Row]:
        """(6) Without rows of which a later one was read from a file that is gone."""
        outdated = self._book.outdated({i: changed_at(row) for i, row in newest.items()})
        return {i: row for i, row in newest.items() if i not in outdated}

    def referral_row(self, referral_id: str) -> Row | None:
        """One referral's raw row, as the files and what was told say now. None when no file names it."""
        row = self._referrals().get(referral_id)
        return overlaid(row, self._book.told(of=referral_id)) if row is not None else None

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
        found = {entity: list(read_all(entity, raw, read, problems)) for entity, read in READERS.items()}
        return AdvocacyStaged(**found, problems=problems)

    def referral_of(self, row: Row) -> Referral | RowProblem:
        """(5) One row as a referral. Pure."""
        return read_row("referrals", row, read_referral)

    def told_of(self, row: Row) -> Told | RowProblem:
        """(8) What was told of a referral's application, from its row. Pure."""
        return read_row("referrals", row, read_told)

    def share_of(self, row: Row) -> Share | RowProblem:
        """(5) One share. Pure."""
        return read_row("shares", row, read_share)

    def content_of(self, row: Row) -> Content | RowProblem:
        """(5) One piece of content. Pure."""
        return read_row("content", row, read_content)

    def advocate_of(self, row: Row) -> Advocate | RowProblem:
        """(5) One advocate. Pure."""
        return read_row("advocates", row, read_advocate)

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
        found = read_row(entity, row, READERS[entity])
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


def _pages(rows: Sequence[Row]) -> Iterator[list[Row]]:
    for start in range(0, len(rows), PAGE_SIZE):
        yield list(rows[start : start + PAGE_SIZE])


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
