"""Times on the wire of the advocacy contract: RFC 3339, UTC, milliseconds, `Z`.

Belongs here: reading and writing of that one form. Does not belong here: durations, calendars.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def now() -> datetime:
    """The present moment, aware."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """`2026-11-23T10:00:00.123Z`. Fixed width, so that texts sort as the moments do.

    Raises:
        ValueError: The moment has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a time on the wire needs a time zone")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def read(text: str) -> datetime | None:
    """The moment that an RFC 3339 text names, in UTC; None when it is not one."""
    if not _RFC3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def read_date(text: str) -> date | None:
    """The day that an RFC 3339 full-date names; None when it is not one."""
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
