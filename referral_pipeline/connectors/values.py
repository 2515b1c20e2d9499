"""Reading loosely typed values off the wire: instants, days, ids, texts; and saying what was wrong without showing it.

Belongs here: readers shared by several vendors. Does not belong here: a vendor's fields, canonical e-mail or phone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, cast


def parse_instant(value: object) -> datetime:
    """An aware UTC time from any ISO 8601 form (seconds, fractions, `Z`, `+00:00`, `+0000`, ` UTC`) or epoch seconds.

    A time without an offset is read as UTC, as all vendors here promise UTC.

    Raises:
        ValueError: When it is no time.
    """
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        moment = _from_epoch(value)
    elif isinstance(value, str):
        text = value.strip()
        if text.endswith(" UTC"):
            text = text[:-4] + "+00:00"
        # `2026-11-23 15:00:00 +0000`, as Ruby prints it.
        text = text.replace(" +", "+")
        if len(text) < len("2026-11-23T15"):
            raise ValueError("not a time")
        moment = _from_text(text)
    else:
        raise ValueError("not a time")
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        # The last hours of the year 9999, in an offset that puts them into the next.
        raise ValueError("not a time") from None


def _from_text(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        # The standard library's message shows the value.
        raise ValueError("not a time") from None


def _from_epoch(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError("not a time") from None


def parse_day(value: object) -> date:
    """A date; a time is accepted where a vendor sends one in a date field, and its day in UTC taken.

    Raises:
        ValueError: When it is no date.
    """
    if isinstance(value, datetime):
        return parse_instant(value).date()
    if isinstance(value, date):
        return value
    if not isinstance(value, str):
        raise ValueError("not a date")
    text = value.strip()
    return _from_text(text).date() if len(text) == len("2026-11-23") else parse_instant(text).date()


def parse_id(value: object) -> str:
    """An id as text: vendors send integers beyond 2^31 or strings.

    Raises:
        ValueError: When it is empty or neither.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("not an id")
    text = str(value).strip()
    if not text:
        raise ValueError("empty")
    return text


def instant_text(moment: datetime) -> str:
    """RFC 3339 in UTC with `Z`, with fractions only where there are any."""
    moment = moment.astimezone(UTC)
    precise = "milliseconds" if moment.microsecond % 1000 == 0 else "microseconds"
    return moment.isoformat(timespec=precise if moment.microsecond else "seconds").replace("+00:00", "Z")


def shape(value: object) -> str:
    """What a value looks like, without showing it: fit for a log or a quarantine row."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return f"integer of {len(str(abs(value)))} digits"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return _text_shape(value)
    if isinstance(value, list | tuple):
        return f"list of {len(cast('list[Any]', value))}"
    if isinstance(value, dict):
        return f"object with {len(cast('dict[Any, Any]', value))} fields"
    return type(value).__name__


def _text_shape(text: str) -> str:
    if not text:
        return "empty text"
    if not text.strip():
        return f"text of {len(text)} blanks"
    kinds = [
        name
        for name, holds in (
            ("digits", any(c.isdigit() for c in text)),
            ("letters", any(c.isalpha() for c in text)),
            ("blanks", any(c.isspace() for c in text)),
            ("signs", any(not c.isalnum() and not c.isspace() for c in text)),
        )
        if holds
    ]
    return f"text of {len(text)} characters ({', '.join(kinds)})"
