"""Rows of dropped files: those that stand for a file or a bad line, which is the newest, and rows as records.

Belongs here: what a row is beside the line that it came from. Does not belong here: cells (`files_columns`), which
files are read (`files`). The numbers are the invariants of `files`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from referral_pipeline.connectors.advocacy_rows import read_one
from referral_pipeline.connectors.files_columns import PLACE, PROBLEM
from referral_pipeline.connectors.protocols import RawReader
from referral_pipeline.connectors.records import Row, RowProblem
from referral_pipeline.connectors.table_file import TableRow
from referral_pipeline.connectors.values import instant_text

SYSTEM = "files"
SEEN = "_seen_at"
"""Since when the file of a row was news; part of the row in raw."""
_MADE_AT = datetime(1970, 1, 1, tzinfo=UTC)
"""When advocates were changed that were made of referrals: before any file that says more (7); a second later where
their address is told, which a later file without it must not take away."""
_MEND = "correct it in the file and drop that anew"


def put_newest(newest: dict[str, Row], rows: Sequence[Row]) -> None:
    """(3) Put rows over those of their ids that are no newer."""
    for row in rows:
        if has_id(row):
            held = newest.get(row["id"])
            if held is None or changed_at(row) >= changed_at(held):
                newest[row["id"]] = row


def changed_at(row: Row) -> float:
    """When a row was changed, in seconds since 1970; 0 where that cannot be read."""
    return _comparable(str(row["updated_at"]))


def has_id(row: Row) -> bool:
    """Whether a row is of a record that can be told from others."""
    return PROBLEM not in row and isinstance(row.get("id"), str) and bool(row["id"])


def bad_line(name: str, line: TableRow, field: str, reason: str, shape: str) -> Row:
    """(5) The row that stands for a line that cannot be read as one."""
    what = {"field": field, "reason": reason, "shape": shape}
    return {PLACE: f"{name}:{line.line}", PROBLEM: what}


def file_row(name: str, version_at: datetime, problem: Mapping[str, str] | None) -> Row:
    """(5) The row that stands for a whole file: what is wrong with it, or that nothing is."""
    return {"id": f"?{name}", "updated_at": instant_text(version_at), PROBLEM: problem}


def advocates_of(rows: Sequence[Row]) -> list[Row]:
    """(7) Each advocate that referrals name, with the latest address that one of them says."""
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


def overlaid(row: Row, told: Mapping[str, Mapping[str, Any]]) -> Row:
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
        "updated_at": max(str(row["updated_at"]), held["told_at"], str(row[SEEN]), key=_comparable),
    }


def _comparable(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def read_all(entity: str, raw: RawReader, read: Any, problems: list[RowProblem]) -> Iterator[Any]:
    """(5) The rows of an entity as records; what is wrong with the others is put to the problems."""
    for row in raw(entity):
        if PROBLEM in row:
            if row[PROBLEM] is not None:
                problems.append(_of_file(entity, row))
            continue
        found = read_row(entity, row, read)
        if isinstance(found, RowProblem):
            problems.append(found)
        else:
            yield found


def _of_file(entity: str, row: Row) -> RowProblem:
    what: Mapping[str, str] = row[PROBLEM]
    name = str(row[PLACE]) if PLACE in row else str(row["id"]).removeprefix("?")
    return RowProblem(SYSTEM, entity, name, what["field"], what["reason"], what["shape"])


def read_row(entity: str, row: Row, read: Any) -> Any:
    """(5) One row as a record, or why it is none, by file and line."""
    found = read_one(entity, {name: value for name, value in row.items() if name not in {PLACE, SEEN}}, read)
    if isinstance(found, RowProblem):
        place = str(row.get(PLACE) or found.record_id)
        return replace(found, system=SYSTEM, record_id=place, reason=f"{found.reason}; {_MEND}")
    return found
