"""Looking at the folder of exports: what `check` and `audit-api` say of a platform without an API.

Belongs here: findings on files, headers and the outbox, and what can never be done. Does not belong here: reading rows.

Names of columns are told only of a header that has every column it needs: where there is no header, what stands in its
place is somebody's data.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from referral_pipeline.connectors.capabilities import Area, Capability, Question
from referral_pipeline.connectors.files_columns import COLUMNS, Lines
from referral_pipeline.connectors.files_folder import Drop, look, table_of
from referral_pipeline.connectors.records import Finding
from referral_pipeline.connectors.table_file import Table, TableFileError

_FOLDER = "advocacy.options.folder"
_OUTBOX = "advocacy.options.outbox"
_MOST_NAMED = 8

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


def probe(folder: Path, outbox: Path, lines: Mapping[str, Lines], settle_seconds: float) -> list[Finding]:
    """Look at what lies there; writes nothing."""
    try:
        found = look(folder, now=datetime.now(UTC), settle_seconds=settle_seconds)
    except OSError as error:
        return [Finding(_FOLDER, False, f"{error.strerror}", "Make the folder, or name another here")]
    by_kind = {kind: sum(drop.kind == kind for drop in found.drops) for kind in COLUMNS}
    counted = ", ".join(f"{kind} {count}" for kind, count in by_kind.items() if count)
    findings = [Finding(_FOLDER, True, f"files there: {counted or 'none yet'}")]
    if found.unknown:
        mend = f"Begin their names with one of {', '.join(COLUMNS)}, and save them as .csv, .xlsx or .parquet"
        findings.append(Finding(_FOLDER, False, f"{len(found.unknown)} files are of no kind that is read", mend))
    for drop in found.drops:
        findings += _columns_of(drop, lines[drop.kind])
    return [*findings, *_outbox(outbox)]


def audit(findings: Sequence[Finding]) -> list[Capability]:
    """What there is without an API, given what `probe` found."""
    reached = next(finding for finding in findings if finding.key == _FOLDER)
    shut = [finding for finding in findings if finding.key == _OUTBOX and not finding.ok]
    told = _RETURN.partial("kept and written to CSV files; somebody uploads them")
    return [
        _PULL.covered(reached.found) if reached.ok else _PULL.missing(reached.found),
        _RETURN.missing(shut[0].found) if shut else told,
        _WEBHOOKS.missing("there is no API"),
        _SINCE.partial("a new file is found within a minute"),
    ]


def refuse_missing(lines: Lines, table: Table) -> None:
    """Refuse a header without a column that is needed.

    Raises:
        TableFileError: names the field, and how to name another column for it.
    """
    missing = lines.missing(table.columns)
    if missing:
        name = missing[0]
        reason = f"has no column {lines.column(name)}; add it, or name yours in options.columns.{lines.entity}.{name}"
        raise TableFileError(name, reason, f"{len(table.columns)} columns")


def _columns_of(drop: Drop, lines: Lines) -> Iterator[Finding]:
    place = f"advocacy.options.columns.{drop.kind}"
    try:
        table = table_of(drop.name, drop.path.read_bytes(), columns=[lines.column(n) for n in COLUMNS[drop.kind]])
        refuse_missing(lines, table)
    except TableFileError as error:
        yield Finding(place, False, f"{drop.name}: {error.field} {error.reason}", "Drop a corrected file")
    except OSError as error:
        yield Finding(_FOLDER, False, f"{drop.name}: {error.strerror}", "Let it be read")
    else:
        unread = lines.unknown(table.columns)
        if unread:
            more = f" and {len(unread) - _MOST_NAMED} more" if len(unread) > _MOST_NAMED else ""
            named = ", ".join(unread[:_MOST_NAMED]) + more
            yield Finding(place, True, f"{drop.name}: {len(unread)} columns are not read: {named}")


def _outbox(outbox: Path) -> Iterator[Finding]:
    """Whether the outbox can be written, told by what is there of its path."""
    nearest = next(path for path in (outbox, *outbox.parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        yield Finding(_OUTBOX, False, "cannot be written", "Let the folder be written, or name another here")
