"""The connector for an advocacy platform without an API: exports that are dropped as files, and files for the way back.

Belongs here: the advocacy protocol over a folder of exports. Does not belong here: files (`files_folder`), columns
(`files_columns`), memory and outbox (`files_book`), what a row of the contract means (`advocacy_rows`).

Invariants, each with a test of the same number
1.  A file is known by its content: a copy under another name brings nothing. What takes the place of another content
    under one name is news, be it one that was seen before. Its time is that of when it became news.
2.  Content is seen once, and read until a pull that began after it was kept: a crash at any line repeats a file and
    never skips one. What is read again changes nothing.
3.  A row supersedes another of its id by `updated_at`, or where no column says it by the time of its file; what was
    told of a referral changes nothing in that. Two lines of one file with one id and no such column are a mistake.
4.  A file that is still being written is left to the next look; files are never moved or changed.
5.  A row that cannot be read is set aside by file and line; a file that cannot is told by its name, until one of that
    name can. The others go on.
6.  A file that is gone takes nothing away from the warehouse: a drop is news, no list of what there is. A live look
    knows the files that are there: one that replaces another under its name must hold its rows too.
7.  An export of referrals alone is enough: its advocates are made of it, until a file of advocates says more.
8.  Nothing can be told to such a platform: statuses, recognitions, jobs and results are kept as if they had been, and
    written to CSV files in the outbox.
9.  A status older than the one held is refused; a recognition is kept once by its key.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

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
from referral_pipeline.connectors.capabilities import Area, AuditScope, Capability, Question
from referral_pipeline.connectors.failures import Conflict, Evidence, HttpFailure, Invalid, TransientFailure
from referral_pipeline.connectors.files_book import Book, Seen
from referral_pipeline.connectors.files_columns import COLUMNS, PLACE, PROBLEM, Cells, Lines
from referral_pipeline.connectors.files_folder import Drop, Look, digest, look, table_of
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
from referral_pipeline.connectors.table_file import Table, TableFileError
from referral_pipeline.connectors.values import instant_text

SYSTEM = "files"
BOOK_FILE = "files.sqlite"
PAGE_SIZE = 2_000
_MADE_AT = datetime(1970, 1, 1, tzinfo=UTC)
"""When advocates were changed that were made of referrals: before any file that says more (7)."""
_SEEN = "_seen_at"
"""Since when the file of a row was news; part of the row in raw."""
_MEND = "correct it in the file and drop that anew"
ENTITIES: Mapping[str, Entity] = {
    name: Entity(name, tells_gone=False) for name in ("advocates", "content", "shares", "clicks", "referrals")
}


class FilesOptions(BaseModel):
    """`advocacy.options` of a contract whose connector is files."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    folder: str = Field(min_length=1)
    """Where exports are dropped, relative to the home folder."""
    outbox: str = "data/outbox"
    """Where files for the platform are written, relative to the home folder."""
    time_zone: str = "UTC"
    """The zone of times without one."""
    date_formats: tuple[str, ...] = ()
    """Further forms of a time, as strptime writes them; year first is always read."""
    columns: Mapping[str, Mapping[str, str]] = Field(default_factory=dict[str, Mapping[str, str]])
    """By entity: our field -> their column. A field left out is read from the column of its own name."""
    consent_basis: str | None = None
    """In the owner's words: on what ground people of files without a column of consent may be passed on."""
    settle_seconds: float = Field(default=5.0, ge=0)
    """How long a file must be unchanged before it is read."""

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("is no name of the IANA time zones; write it like Europe/Berlin") from None
        return value

    @field_validator("columns")
    @classmethod
    def _are_known(cls, value: Mapping[str, Mapping[str, str]]) -> Mapping[str, Mapping[str, str]]:
        for entity, names in value.items():
            if entity not in COLUMNS:
                raise ValueError(f"{entity} is no kind of row; allowed: {', '.join(COLUMNS)}")
            for name in names:
                if name not in COLUMNS[entity]:
                    raise ValueError(f"{entity}.{name} is no field; allowed: {', '.join(COLUMNS[entity])}")
        return value


@dataclass(frozen=True)
class _Read:
    """One file, read: its rows as the API would give them, or what is wrong with it."""

    rows: tuple[Row, ...] = ()
    problem: Mapping[str, str] | None = None


class FilesConnector:
    """Implements `protocols.AdvocacyConnector`. Safe for threads."""

    system: str = SYSTEM
    entities: Mapping[str, Entity] = ENTITIES

    def __init__(self, options: FilesOptions, *, folder: Path, book: Book, guard: WriteGuard | None = None) -> None:
        self._guard = guard
        self._lock = threading.Lock()
        self._newest: tuple[object, Mapping[str, Row]] | None = None
        cells = Cells(ZoneInfo(options.time_zone), options.date_formats)
        self._folder = folder
        self._settle_seconds = options.settle_seconds
        self._book = book
        self._lines = {
            kind: Lines(kind, cells, options.columns.get(kind, {}), options.consent_basis) for kind in COLUMNS
        }

    # ------------------------------------------------------------ reading

    def pull(self, entity: str, window: Window) -> Iterator[list[Row]]:
        """(2, 3) The rows of every file that is news in the window, or of all; of referrals the newest of each id."""
        self._book.export()  # what a process that was killed left unwritten
        kinds = {entity, "referrals"} if entity == "advocates" else {entity}
        wanted: dict[str, None] = {}
        advocates: list[Row] = []
        has_news = window.is_full
        for drop, seen, content in self._found(kinds):
            is_news = window.since is None or seen.seen_at >= window.since
            is_own = drop.kind == entity
            if is_own and not is_news:
                continue
            read = self._read(drop, seen, content)
            if not is_own:
                advocates += read.rows
                has_news = has_news or is_news
                continue
            yield [_file_row(drop, seen, read)]
            rows = list(read.rows)
            if entity == "referrals":
                # What has no id, or stands for a line that cannot be read, goes as it is.
                wanted |= dict.fromkeys(str(row["id"]) for row in rows if _has_id(row))
                rows = [row for row in rows if not _has_id(row)]
            for start in range(0, len(rows), PAGE_SIZE):
                yield rows[start : start + PAGE_SIZE]
        if advocates and has_news:
            yield _advocates_of(advocates)
        if entity == "referrals":
            yield from self._newest_of(wanted, window.since)

    def _newest_of(self, wanted: Mapping[str, None], since: datetime | None) -> Iterator[list[Row]]:
        """(3, 8) The newest row of these referrals, and of those that something was told of, with what was told."""
        known, told = self._referrals(), self._book.told()
        ids = [*wanted, *(i for i in self._book.told(since=since) if i not in wanted)]
        rows = [_overlaid(known[i], told) for i in ids if i in known]
        for start in range(0, len(rows), PAGE_SIZE):
            yield rows[start : start + PAGE_SIZE]

    def _look(self) -> Look:
        try:
            return look(self._folder, now=datetime.now(UTC), settle_seconds=self._settle_seconds)
        except OSError as error:
            raise TransientFailure(SYSTEM, "folder.list", detail=f"the folder: {error.strerror}") from None

    def _found(self, kinds: set[str]) -> Iterator[tuple[Drop, Seen, bytes]]:
        """(1) Each file that says something of its own, in order of its time."""
        now = datetime.now(UTC)
        there: list[tuple[Drop, bytes]] = []
        for drop in self._look().drops:
            if drop.kind not in kinds:
                continue
            try:
                content = drop.path.read_bytes()
            except FileNotFoundError:
                continue  # taken away since
            except OSError as error:
                raise TransientFailure(SYSTEM, "file.read", detail=f"{drop.name}: {error.strerror}") from None
            if len(content) == drop.size:  # (4) else it grew between the look and the reading
                there.append((drop, content))
        seen = self._book.seen([(drop.name, digest(content), drop.modified_at) for drop, content in there], now)
        found: dict[tuple[str, datetime], tuple[Drop, Seen, bytes]] = {}
        for (drop, content), one in zip(there, seen, strict=True):
            found.setdefault((one.hash, one.version_at), (drop, one, content))
        yield from sorted(found.values(), key=lambda one: (one[1].version_at, one[0].name))

    def _read(self, drop: Drop, seen: Seen, content: bytes) -> _Read:
        lines = self._lines[drop.kind]
        names = [lines.column(name) for name in COLUMNS[drop.kind]]
        try:
            table = table_of(drop.name, content, columns=names)
            _refuse_missing(lines, table)
        except TableFileError as error:
            return _Read(problem={"field": error.field, "reason": error.reason, "shape": error.shape})
        declares = drop.kind == "referrals" and lines.declares_consent(table.columns)
        is_stamped = lines.column("updated_at") in table.columns
        rows: list[Row] = []
        first: dict[str, tuple[str, Mapping[str, Any]]] = {}
        for one in table.rows:
            place = f"{drop.name}:{one.line}"
            if one.has_more:
                shape_of_it = f"{len(table.columns)} columns, and more cells"
                rows.append(
                    _bad_line(
                        place, "line", "has more cells than the header; quote what holds a separator", shape_of_it
                    )
                )
                continue
            row = lines.row(one.cells, place=place, version_at=seen.version_at, declares=declares)
            if _has_id(row) and not is_stamped:
                earlier = first.setdefault(str(row["id"]), (place, one.cells))
                if earlier[1] != one.cells:
                    words = f"stands on {earlier[0]} with other values; keep one, or add a column updated_at"
                    rows.append(_bad_line(place, "id", words, "the same id"))
                    continue
            rows.append({**row, _SEEN: instant_text(seen.seen_at)})
        return _Read(rows=tuple(rows))

    def _referrals(self) -> Mapping[str, Row]:
        """The newest row of each referral, without what was told; read again when the folder has changed."""
        drops = [drop for drop in self._look().drops if drop.kind == "referrals"]
        state = tuple((drop.name, drop.size, drop.modified_at) for drop in drops)
        with self._lock:
            if self._newest is not None and self._newest[0] == state:
                return self._newest[1]
        newest: dict[str, Row] = {}
        for drop, seen, content in self._found({"referrals"}):
            for row in self._read(drop, seen, content).rows:
                if not _has_id(row):
                    continue
                record_id = str(row["id"])
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
        values: dict[str, Any] = {
            "referral_id": update.referral_id,
            "status": update.status.value,
            "status_at": instant_text(update.status_at),
            "ats_system": update.ats_system,
            "ats_candidate_id": update.ats_candidate_id,
            "ats_application_id": update.ats_application_id,
            "hired_at": instant_text(update.hired_at) if update.hired_at else None,
            "starts_on": update.starts_on.isoformat() if update.starts_on else None,
            "told_at": instant_text(datetime.now(UTC)),
        }
        self._ask("statuses", values)
        return self._book.tell_status(values)

    def _ask(self, table: str, values: Mapping[str, Any]) -> None:
        """(8) What is kept for the platform counts as written to it: the same guard stands before it."""
        if self._guard is None:
            return
        try:
            self._guard(SYSTEM, f"{table}.keep")
        except HttpFailure as refused:
            refused.evidence = Evidence("KEEP", f"{table}.csv", dict(values))
            raise

    def _keep(self, table: str, values: Mapping[str, Any]) -> None:
        self._ask(table, values)
        self._book.put(table, values)

    def put_job(self, job: AtsJob) -> None:
        """(8) Keep a job posting for the outbox."""
        values = {"job_id": job.id, "title": job.title, "status": job.status}
        self._keep("jobs", {**values, "location": job.location or None, "url": job.url or None})

    def put_results(self, results: AdvocateResults) -> bool:
        """(8) Keep an advocate's results for the outbox. False when later ones are held."""
        held = self._book.result_of(results.advocate_id)
        if held is not None and held > results.as_of:
            return False
        counts = ("shares", "clicks", "referrals", "applications", "interviews", "offers", "hires")
        day = results.next_eligible_on
        self._keep(
            "results",
            {
                "advocate_id": results.advocate_id,
                "as_of": instant_text(results.as_of),
                **{name: getattr(results, name) for name in counts},
                "credit": f"{results.credit:f}",
                "next_eligible_on": day.isoformat() if day is not None else None,
            },
        )
        return True

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
        values = {"referral_id": referral_id, "kind": kind, "amount_cents": amount_cents, "currency": currency}
        before = self._book.recognitions_of(referral_id)
        same = next((one for one in before if one["key"] == key), None)
        if same is not None:
            if any(same[name] != value for name, value in values.items()):
                raise Invalid(SYSTEM, "recognitions.create", detail="the key stands for another recognition")
            self._book.export_soon()  # the process that kept it may have been killed before it wrote the file
            return
        since = max((i + 1 for i, one in enumerate(before) if one["kind"] == "reversed"), default=0)
        standing = {one["kind"] for one in before[since:]}
        if kind in standing or (kind == "reversed" and not standing):
            raise Conflict(SYSTEM, "recognitions.create", detail="it stands already, or there is nothing to reverse")
        self._keep("recognitions", {"key": key, **values, "told_at": instant_text(datetime.now(UTC))})

    # ------------------------------------------------------------ looking

    def probe(self) -> list[Finding]:
        """Look, without writing, at the folder and at the headers of what lies there."""
        key = "advocacy.options.folder"
        try:
            found = look(self._folder, now=datetime.now(UTC), settle_seconds=self._settle_seconds)
        except OSError as error:
            return [Finding(key, False, f"{error.strerror}", "Make the folder, or name another here")]
        by_kind = {kind: sum(drop.kind == kind for drop in found.drops) for kind in COLUMNS}
        counted = ", ".join(f"{kind} {count}" for kind, count in by_kind.items() if count)
        findings = [Finding(key, True, f"files there: {counted or 'none yet'}")]
        if found.unknown:
            mend = f"Begin their names with one of {', '.join(COLUMNS)}, and save them as .csv, .xlsx or .parquet"
            findings.append(Finding(key, False, f"{len(found.unknown)} files are of no kind that is read", mend))
        for drop in found.drops:
            findings += self._columns_of(drop)
        return findings

    def _columns_of(self, drop: Drop) -> list[Finding]:
        lines = self._lines[drop.kind]
        try:
            table = table_of(drop.name, drop.path.read_bytes(), columns=[lines.column(n) for n in COLUMNS[drop.kind]])
            _refuse_missing(lines, table)
        except TableFileError as error:
            place = f"advocacy.options.columns.{drop.kind}"
            return [Finding(place, False, f"{drop.name}: {error.field} {error.reason}", "Drop a corrected file")]
        except OSError as error:
            return [Finding("advocacy.options.folder", False, f"{drop.name}: {error.strerror}", "Let it be read")]
        unread = len(lines.unknown(table.columns))
        if not unread:
            return []
        return [Finding(f"advocacy.options.columns.{drop.kind}", True, f"{drop.name}: {unread} columns are not read")]

    def audit(self, scope: AuditScope) -> list[Capability]:
        """What a platform without an API can do for the integration."""
        del scope
        reached = [finding for finding in self.probe() if finding.key == "advocacy.options.folder"]
        lines = [_PULL.covered(reached[0].found) if reached[0].ok else _PULL.missing(reached[0].found)]
        lines.append(_RETURN.partial("kept and written to CSV files; somebody uploads them"))
        return [*lines, _WEBHOOKS.missing("there is no API"), _SINCE.partial("a new file is found within a minute")]

    def row_problem(self, entity: str, row: Row) -> RowProblem | None:
        """(5) Why a row cannot be read; None when it can. Pure."""
        found = _one(entity, row, READERS[entity])
        return found if isinstance(found, RowProblem) else None

    def close(self) -> None:
        """(8) Write the outbox."""
        self._book.close()


_PULL = Question(
    Area.ENDPOINTS,
    "files.read",
    "Read exports of referrals, advocates, shares, clicks and content",
    "referrals become candidates once their file is dropped",
    "nothing comes from the advocacy platform",
    ("always",),
)
_RETURN = Question(
    Area.ENDPOINTS,
    "files.return",
    "Tell the platform a status, a recognition, a job, results",
    "advocates see what became of their referrals",
    "advocates see it once somebody has uploaded the files of the outbox",
    ("status_return",),
)
_WEBHOOKS = Question(
    Area.WEBHOOKS,
    "files.webhooks",
    "Hear of a referral within seconds",
    "a referral is a candidate in seconds",
    "a referral is a candidate once the next export is dropped",
)
_SINCE = Question(
    Area.ENDPOINTS,
    "files.changed_since",
    "Ask for what changed",
    "only news is read",
    "an export holds all rows, and all are read",
)


def _refuse_missing(lines: Lines, table: Table) -> None:
    missing = lines.missing(table.columns)
    if missing:
        name = missing[0]
        reason = f"has no column {lines.column(name)}; add it, or name yours in options.columns.{lines.entity}.{name}"
        raise TableFileError(name, reason, f"{len(table.columns)} columns")


def _file_row(drop: Drop, seen: Seen, read: _Read) -> Row:
    """(5) The row that stands for a whole file: what is wrong with it, or that nothing is."""
    return {"id": f"?{drop.name}", "updated_at": instant_text(seen.version_at), PROBLEM: read.problem}


def _has_id(row: Row) -> bool:
    return PROBLEM not in row and isinstance(row.get("id"), str) and bool(row["id"])


def _bad_line(place: str, field: str, reason: str, shape: str) -> Row:
    """(5) The row that stands for a line that cannot be read as one."""
    return {PLACE: place, PROBLEM: {"field": field, "reason": reason, "shape": shape}}


def _advocates_of(rows: Sequence[Row]) -> list[Row]:
    """(7) Each advocate that referrals name, with the latest address that one of them says."""
    found: dict[str, Row] = {}
    for row in rows:
        advocate_id = row.get("advocate_id")
        if isinstance(advocate_id, str) and advocate_id:
            made = {"id": advocate_id, "eligible": True, "updated_at": instant_text(_MADE_AT), PLACE: row[PLACE]}
            address = row.get("advocate_email")
            if isinstance(address, str) or advocate_id not in found:
                found[advocate_id] = {**made, **({"email": address} if isinstance(address, str) else {})}
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
        # Later than whatever was handed over of it before: only the newest row of a referral ever is.
        "updated_at": max(str(row["updated_at"]), held["told_at"], str(row[_SEEN]), key=_comparable),
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
    name = str(row[PLACE]) if PLACE in row else str(row["id"]).removeprefix("?")
    return RowProblem(SYSTEM, entity, name, what["field"], what["reason"], what["shape"])


def _one(entity: str, row: Row, read: Any) -> Any:
    """(5) One row as a record, or why it is none, by file and line."""
    found = read_one(entity, {name: value for name, value in row.items() if name not in {PLACE, _SEEN}}, read)
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
    return FilesConnector(options, folder=home / options.folder, book=book, guard=of.write_guard)
