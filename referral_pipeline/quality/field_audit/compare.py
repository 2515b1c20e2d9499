"""Two values of one field: whether they agree once both are in canonical form, and how they read without being shown.

Belongs here: what a comparison is, agreement by kind of field, masking. Does not belong here: what a field must hold
(expect), names for what differs (classify).

Canonical is what the bridge itself makes of a value: a mailbox, a number in E.164, a moment in UTC, a text trimmed and
in NFC. Case and inner spaces of a name are as they were sent, so they differ.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, cast

from referral_pipeline.connectors.values import parse_instant, shape
from referral_pipeline.identity.canonical import canonical_email, canonical_phone
from referral_pipeline.vocabulary import Block, CandidateStatus, Side

ATS, ADVOCACY = Side.ATS.value, Side.ADVOCACY.value


class Kind(StrEnum):
    """What a field holds, which decides how two values of it are compared."""

    TEXT = "text"
    EMAIL = "email"
    PHONE = "phone"
    ID = "id"
    WORD = "word"
    COUNT = "count"
    TIME = "time"
    DAY = "day"
    CURRENCY = "currency"


class Difference(StrEnum):
    """What is wrong with a value that does not agree."""

    MISSING = "missing"
    TRUNCATED = "truncated"  # one is the beginning of the other
    SWAPPED = "swapped"  # two fields hold each other's values
    CASE_OR_SPACE = "case_or_space"
    TIME_ZONE = "time_zone"  # whole or half hours apart, to the same minute; a day apart for a date
    FORMAT = "format"  # the same, written otherwise
    STALE = "stale"  # it was true once
    VOCABULARY = "vocabulary"  # another word of a closed list, which was never true
    CURRENCY = "currency"
    GONE = "gone"  # the record is not there any more
    MERGED = "merged"  # the record lives on under another id
    OTHER = "other"


@dataclass(frozen=True)
class Comparison:
    """One field of one record as it must be and as it is. Personal data inside, never in its `repr`.

    `side` is the system that holds the field. `found` of an e-mail or phone are all that the record carries. `older`
    are values that were true before. `country` is how to read a phone. `tolerance` is how far apart times may be.
    `agrees` and `difference` say what is known of it already, where the rule is another than equality.
    """

    side: str
    field: str
    kind: Kind
    expected: Any = dataclasses.field(repr=False)
    found: Any = dataclasses.field(repr=False)
    older: tuple[Any, ...] = dataclasses.field(default=(), repr=False)
    country: str | None = dataclasses.field(default=None, repr=False)
    tolerance: timedelta = timedelta(seconds=1)
    agrees: bool | None = None
    difference: Difference | None = None


def agree(one: Comparison) -> bool:
    """Whether the value found is the one expected."""
    if one.difference is not None:
        return False
    if one.agrees is not None:
        return one.agrees
    match one.kind:
        case Kind.EMAIL:
            mailbox = canonical_email(one.expected)
            return mailbox is not None and any(canonical_email(text) == mailbox for text in _texts(one.found))
        case Kind.PHONE:
            number = canonical_phone(one.expected, one.country)
            return number is not None and number in {canonical_phone(text, one.country) for text in _texts(one.found)}
        case Kind.TIME:
            expected, found = moment(one.expected), moment(one.found)
            if expected is None or found is None:
                return is_blank(one.expected) and is_blank(one.found)
            return abs(found - expected) <= one.tolerance
        case _:
            return plain(one.expected) == plain(one.found)


def plain(value: object) -> str:
    """A value as text, trimmed and in NFC; empty for nothing."""
    if value is None:
        return ""
    if isinstance(value, date | datetime):
        return value.isoformat()
    return unicodedata.normalize("NFC", str(value)).strip()


def is_blank(value: object) -> bool:
    """Whether there is nothing in a value."""
    if isinstance(value, list | tuple):
        return not any(plain(item) for item in cast("Sequence[object]", value))
    return not plain(value)


def moment(value: object) -> datetime | None:
    """A time, however it is written; None for what is none."""
    try:
        return parse_instant(value)
    except ValueError:
        return None


def masked(one: Comparison, value: object) -> str:
    """What a value looks like. Words of a closed list and counts are shown, all else by its shape.

    Anybody may type anything into a field that ought to hold a word or a count: shown are the words that we know, and
    numbers too small for a telephone's.
    """
    if is_blank(value):
        return "nothing"
    if one.kind in (Kind.EMAIL, Kind.PHONE):
        texts = [text for text in _texts(value) if plain(text)]
        return shape(texts[0]) if len(texts) == 1 else f"{len(texts)} values"
    text = plain(value)
    if one.kind is Kind.WORD:
        known = _WORDS | {plain(word) for word in (one.expected, *one.older)}
        return text if text in known or set(text.split(", ")) <= known else shape(text)
    if one.kind is Kind.COUNT and _whole(value) is not None:
        return text if len(text) <= _LONGEST_COUNT else shape(text)
    if one.kind is Kind.CURRENCY:
        return text if len(text) == _CURRENCY_CODE and text.isalpha() else shape(text)
    return one.kind.value if isinstance(value, date | datetime) else shape(value)


def how_far(one: Comparison) -> str:
    """How far apart two times or days are, in words; empty where they are none."""
    if one.kind is Kind.DAY and isinstance(one.expected, date) and isinstance(one.found, date):
        days = (one.found - one.expected).days
        return f"{abs(days)} d {'later' if days > 0 else 'earlier'}"
    expected, found = (moment(one.expected), moment(one.found)) if one.kind is Kind.TIME else (None, None)
    if expected is None or found is None:
        return ""
    minutes, seconds = divmod(round(abs(found - expected).total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    amount = " ".join(f"{number} {unit}" for number, unit in ((hours, "h"), (minutes, "min"), (seconds, "s")) if number)
    return f"{amount or '0 s'} {'later' if found > expected else 'earlier'}"


_WORDS = frozenset(
    {*CandidateStatus, *Block, "hired", "bonus_eligible", "reversed", "shared", "clicked", "true", "false", "yes", "no"}
)
_LONGEST_COUNT = 7
_CURRENCY_CODE = 3


def _texts(value: object) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    return [str(item) for item in cast("Sequence[object]", value) if item is not None]


def _whole(value: object) -> int | None:
    try:
        return int(plain(value))
    except ValueError:
        return None
