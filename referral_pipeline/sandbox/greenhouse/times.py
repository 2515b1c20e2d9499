"""Moments as the vendor writes them: ISO 8601 in UTC, milliseconds, `Z`.

Belongs here: reading and writing stamps and dates. Does not belong here: which fields hold them.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import lru_cache

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def stamp(moment: datetime) -> str:
    """Write an aware datetime as `2026-11-02T09:14:31.204Z`; finer digits are cut, as a database column would."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


@lru_cache(50_000)  # lists read the same few moments again and again
def read_stamp(text: str) -> datetime:
    """Read an RFC 3339 date-time. ValueError for anything else, a bare date included."""
    if not _DATE_TIME.fullmatch(text):
        raise ValueError("not an RFC 3339 date-time")
    return datetime.fromisoformat(text.upper()).astimezone(UTC)


def read_date(text: str) -> date:
    """Read `YYYY-MM-DD`. ValueError for anything else."""
    if not _DATE.fullmatch(text):
        raise ValueError("not a date")
    return date.fromisoformat(text)


def noon(day: date) -> str:
    """Write a date as the vendor stores a date sent to a datetime field: noon UTC."""
    return f"{day.isoformat()}T12:00:00.000Z"


def sortable(moment: datetime) -> str:
    """Write a moment so that it compares as text with `row_stamp.removesuffix("Z")`, microseconds kept."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return text[:-3] if text.endswith("000") else text


def parse_moment(value: str | datetime | date) -> datetime:
    """Read what a person or a test hands in: a datetime, a date (midnight UTC) or either as text."""
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if _DATE.fullmatch(value):
        return parse_moment(read_date(value))
    return read_stamp(value)
