"""Names for what is wrong with a value, so that whoever mends it knows where to look.

Belongs here: one difference for each comparison that does not agree. Does not belong here: whether it agrees (compare).

The order of the rules is that from the narrowest to the widest: what is only written otherwise is no other value.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from referral_pipeline.identity.folding import folded_words
from referral_pipeline.quality.field_audit.compare import (
    Comparison,
    Difference,
    Kind,
    agree,
    how_far,
    is_blank,
    masked,
    moment,
    plain,
)

_HALF_HOUR: Final = timedelta(minutes=30)
_SAME_MINUTE: Final = timedelta(minutes=1)
_WIDEST: Final = timedelta(hours=26)
"""Between the two zones that are furthest apart (UTC-12 and UTC+14)."""

_PHONE_DIGITS: Final = 7
"""So many last digits in common make two numbers one line, written with and without its prefix."""

_ELLIPSIS: Final = "….- "
_WRITTEN_OTHERWISE: Final = (Difference.CASE_OR_SPACE, Difference.FORMAT, Difference.TRUNCATED, Difference.STALE)
"""From the nearest to the furthest, where a record carries several values of one field."""


@dataclass(frozen=True)
class Mismatch:
    """A field that does not agree, without its values: `expected` and `found` are shapes."""

    side: str
    field: str
    difference: Difference
    expected: str
    found: str


def mismatches(comparisons: Sequence[Comparison]) -> list[Mismatch]:
    """Those of one record's comparisons that do not agree, each with its name."""
    wrong = [one for one in comparisons if not agree(one)]
    swapped = _swapped(wrong)
    found: list[Mismatch] = []
    for number, one in enumerate(wrong):
        difference = Difference.SWAPPED if number in swapped else difference_of(one)
        words, apart = masked(one, one.found), how_far(one)
        found.append(
            Mismatch(
                one.side, one.field, difference, masked(one, one.expected), f"{words}, {apart}" if apart else words
            )
        )
    return found


def difference_of(one: Comparison) -> Difference:
    """What is wrong with a value that does not agree with the one expected."""
    if one.difference is not None:
        return one.difference
    if is_blank(one.found):
        return Difference.MISSING
    if one.kind is Kind.TIME:
        return _of_times(one)
    if one.kind is Kind.CURRENCY:
        return Difference.CURRENCY
    if one.kind in (Kind.EMAIL, Kind.PHONE):
        found = {_of_texts(one, plain(text)) for text in one.found}
        return next((name for name in _WRITTEN_OTHERWISE if name in found), Difference.OTHER)
    return _of_texts(one, plain(one.found))


def _of_texts(one: Comparison, found: str) -> Difference:
    expected = plain(one.expected)
    if not expected:
        return Difference.STALE if _was(one, found) else Difference.OTHER
    if _close(expected) == _close(found):
        return Difference.CASE_OR_SPACE
    if _is_same_otherwise(one.kind, expected, found):
        return Difference.FORMAT
    if _was(one, found):
        return Difference.STALE
    if one.kind is Kind.DAY:
        return Difference.TIME_ZONE if _is_a_day_apart(one) else Difference.OTHER
    if one.kind is Kind.WORD:
        return Difference.VOCABULARY
    if one.kind is Kind.COUNT:
        left, right = _number(expected), _number(found)
        return Difference.STALE if left is not None and right is not None and right < left else Difference.OTHER
    if _is_beginning(expected, found):
        return Difference.TRUNCATED
    return Difference.OTHER


def _of_times(one: Comparison) -> Difference:
    expected, found = moment(one.expected), moment(one.found)
    if found is None:
        return Difference.FORMAT  # something is written there that is no time
    if any(before is not None and abs(found - before) <= one.tolerance for before in map(moment, one.older)):
        return Difference.STALE
    if expected is None:
        return Difference.OTHER
    apart = abs(found - expected)
    halves = round(apart / _HALF_HOUR)
    by_zone = halves > 0 and apart <= _WIDEST and abs(apart - halves * _HALF_HOUR) <= max(_SAME_MINUTE, one.tolerance)
    return Difference.TIME_ZONE if by_zone else Difference.OTHER


def _swapped(wrong: Sequence[Comparison]) -> set[int]:
    """The numbers of those that hold each other's value."""
    texts = [
        (number, one.side, _close(plain(one.expected)), _close(plain(one.found)))
        for number, one in enumerate(wrong)
        if one.difference is None and one.kind in (Kind.TEXT, Kind.ID)
    ]
    found: set[int] = set()
    for place, (number, side, expected, there) in enumerate(texts):
        for other, its_side, its_expected, its_own in texts[place + 1 :]:
            if side == its_side and expected and its_expected and (expected, there) == (its_own, its_expected):
                found |= {number, other}
    return found


def _was(one: Comparison, found: str) -> bool:
    return _close(found) in {_close(plain(before)) for before in one.older if not is_blank(before)}


def _close(text: str) -> str:
    """Without case and without any space."""
    return "".join(text.casefold().split())


def _is_same_otherwise(kind: Kind, expected: str, found: str) -> bool:
    match kind:
        case Kind.PHONE:
            left, right = _digits(expected), _digits(found)
            shorter, longer = sorted((left.lstrip("0"), right.lstrip("0")), key=len)
            return len(shorter) >= _PHONE_DIGITS and longer.endswith(shorter)
        case Kind.EMAIL:
            return _letters(expected) == _letters(found)
        case Kind.ID:
            return _bare_id(expected) == _bare_id(found)
        case Kind.COUNT:
            return _number(expected) is not None and _number(expected) == _number(found)
        case Kind.DAY:
            return (moment(expected) or expected) == (moment(found) or found)
        case Kind.TEXT:
            return folded_words(expected) == folded_words(found) != ()
        case _:
            return False


def _is_beginning(expected: str, found: str) -> bool:
    shorter, longer = sorted((_close(expected), _close(found.rstrip(_ELLIPSIS))), key=len)
    return 0 < len(shorter) < len(longer) and longer.startswith(shorter)


def _is_a_day_apart(one: Comparison) -> bool:
    if not (isinstance(one.expected, date) and isinstance(one.found, date)):
        return False
    return abs((one.found - one.expected).days) == 1


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


def _letters(text: str) -> str:
    return re.sub(r"[^\w@]|_", "", unicodedata.normalize("NFKD", text.casefold()))


def _bare_id(text: str) -> str:
    return text.rpartition(":")[2].lstrip("0")


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None


def worst(found: Iterable[Mismatch]) -> tuple[str, str, Difference] | None:
    """The field with most mismatches and their most frequent difference: (side, field, difference); None of nothing."""
    counts: dict[tuple[str, str], dict[Difference, int]] = {}
    for one in found:
        by_name = counts.setdefault((one.side, one.field), {})
        by_name[one.difference] = by_name.get(one.difference, 0) + 1
    if not counts:
        return None
    (side, field), by_name = max(counts.items(), key=lambda item: (sum(item[1].values()), item[0]))
    return side, field, max(by_name, key=lambda name: (by_name[name], name))
