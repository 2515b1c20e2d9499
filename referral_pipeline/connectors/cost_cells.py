"""The cells of a cost, read without a guess: each reader answers a value, or says what is wrong and how to mend it.

Belongs here: one function a column, for text (CSV) and typed cells (XLSX) alike. Does not belong here: files
(cost_table), rules over several cells of a row (costs).

Every reader raises ValueError whose message goes after the column's name and shows no value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from typing import Final

from referral_pipeline.money import decimals_of, from_decimal

ADVOCACY: Final = "advocacy"
SHARED: Final = "shared"
KINDS: Final = ("internal", "external")
BASES: Final = ("hires", "applications", "even")
MOST_CENTS: Final = 10**15
"""The largest amount, in the smallest unit of its currency: shares of it are still whole numbers in every engine."""

_PERIOD: Final = re.compile(r"(?P<year>(?:19|20|21)\d\d)(?:-?Q(?P<quarter>[1-4])|-(?P<month>0[1-9]|1[0-2]))?", re.I)
_CHANNEL: Final = re.compile(r"[a-z0-9][a-z0-9_&./+]{0,39}")
_SHARE: Final = re.compile(r"advocacy\s*=\s*(\d{1,3}(?:\.\d{1,4})?)\s*%")
_ADVOCATES: Final = frozenset({"advocacy", "advocate", "advocates"})
_PROGRAMME: Final = """
employee employees staff our programme programmes program programs platform tool software licence license
bonus bonuses reward rewards cost costs expense expenses channel
"""
_TOGETHER: Final = "shared cost costs expense expenses overhead overheads all channels"
_ALL: Final = "all all_channels both common general total unallocated overhead overheads"
_OF_A_PROGRAMME: Final = frozenset(_PROGRAMME.split())
_OF_SHARED: Final = frozenset(_TOGETHER.split())
_OF_ALL: Final = frozenset(_ALL.split())
_MAY_BE_ADVOCACY: Final = ("advocacy", "advocate", "referral", "ambassador", "bonus", "reward")
_PERIOD_MEND: Final = "write a month (2026-03), a quarter (2026-Q1) or a year (2026)"


@dataclass(frozen=True)
class Period:
    """A month, quarter or year: its name in one form, its first month, and how many it has."""

    name: str
    first_month: date
    months: int


def period(cell: object) -> Period:
    """2026-03, 2026-Q1, 2026; a date means the month that it lies in.

    Raises:
        ValueError: it is none of them.
    """
    if isinstance(cell, date):  # a datetime too
        return _month(cell.year, cell.month)
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    text = str(cell).strip() if isinstance(cell, str | int) and not isinstance(cell, bool) else ""
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        try:
            day = date.fromisoformat(text)
        except ValueError:
            raise ValueError(f"is no day of the calendar; {_PERIOD_MEND}") from None
        return _month(day.year, day.month)
    found = _PERIOD.fullmatch(text)
    if found is None:
        raise ValueError(f"is no period; {_PERIOD_MEND}")
    year = int(found["year"])
    if found["month"]:
        return _month(year, int(found["month"]))
    if found["quarter"]:
        quarter = int(found["quarter"])
        return Period(f"{year}-Q{quarter}", date(year, 3 * quarter - 2, 1), 3)
    return Period(str(year), date(year, 1, 1), 12)


def _month(year: int, month: int) -> Period:
    return Period(f"{year:04}-{month:02}", date(year, month, 1), 1)


def channel(cell: object) -> str:
    """The channel in one spelling: "Job Board" is job_board. All but advocacy and shared count as other channels.

    Words that can only mean one of these two are read as it ("Advocacy Programme", "shared_costs"); words that may mean
    it are refused, because they would count as another channel unseen. What begins with other_ is another channel.

    Raises:
        ValueError: it is no short word, or may mean one of the two.
    """
    word = channel_word(cell)
    if not _CHANNEL.fullmatch(word):
        raise ValueError("is no short word; write advocacy, shared, or where else the money went, such as job_board")
    parts = set(re.split(r"[_&./+]+", word))
    if word.partition("_")[0] == "other":
        return word
    if parts & _ADVOCATES and parts <= _ADVOCATES | _OF_A_PROGRAMME:
        return ADVOCACY
    if SHARED in parts and parts <= _OF_SHARED:
        return SHARED
    if "refer" in parts or any(part.startswith(_MAY_BE_ADVOCACY) for part in parts):
        raise ValueError(
            "may mean the advocacy programme, and would count as another channel; write advocacy where its advocates "
            "earn from it, or else a word that begins with other_, such as other_referrals"
        )
    if SHARED in parts or word in _OF_ALL or parts & {"all", "total"}:
        raise ValueError(
            "may mean a cost of all channels, and would count as another channel; write shared and an allocation_key, "
            "or else a word that begins with other_"
        )
    near = get_close_matches(word, (ADVOCACY, SHARED), n=1, cutoff=0.8)
    if near:
        raise ValueError(
            f"is nearly {near[0]}, and would count as another channel; write {near[0]}, or a different word"
        )
    return word


def channel_word(cell: object) -> str:
    """What stands in a cell of the channel, in one spelling and nothing else done to it."""
    return re.sub(r"[\s_\-]+", "_", str(cell).strip().casefold())


def kind(cell: object) -> str:
    """Internal or external.

    Raises:
        ValueError: it is neither.
    """
    word = str(cell).strip().casefold()
    if word not in KINDS:
        raise ValueError("is neither internal nor external; write one of the two")
    return word


def currency(cell: object) -> str:
    """An ISO 4217 code in capitals.

    Raises:
        ValueError: it is no code of three letters.
    """
    code = str(cell).strip().upper()
    if not re.fullmatch(r"[A-Z]{3}", code):
        raise ValueError("is no code of three letters; write it such as USD or EUR")
    return code


def amount(cell: object, code: str) -> int:
    """An amount in the smallest unit of its currency; money that came back has a minus before it.

    Raises:
        ValueError: it could mean two amounts, or none, or is larger than any cost.
    """
    if isinstance(cell, str):
        text = cell.strip()
        cents = -from_decimal(text[1:], code) if text.startswith("-") else from_decimal(text, code)
    elif isinstance(cell, int | float) and not isinstance(cell, bool):
        cents = _number(cell, code)
    else:
        raise ValueError("is no amount; write a number")
    if abs(cents) > MOST_CENTS:
        raise ValueError("is larger than any cost of hiring; look at its decimals")
    return cents


def _number(value: float, code: str) -> int:
    """A typed number: a spreadsheet keeps 15 digits, and what is behind them is noise of the binary form."""
    exact = Decimal(value) if isinstance(value, int) else Decimal(format(value, ".15g"))
    if not exact.is_finite():
        raise ValueError("is no amount; write a number")
    cents = exact.scaleb(decimals_of(code))
    if cents != cents.to_integral_value():
        raise ValueError(f"has more decimals than the {decimals_of(code)} of {code}; round it")
    return int(cents)


@dataclass(frozen=True)
class Allocation:
    """How a shared cost is divided: by a basis of the month, or by a stated share of advocacy in 1/1,000,000."""

    name: str
    basis: str
    advocacy_millionths: int | None = None


def allocation(cell: object) -> Allocation:
    """hires, applications, even, or advocacy=30%.

    Raises:
        ValueError: it is none of them.
    """
    text = str(cell).strip().casefold()
    if text in BASES:
        return Allocation(text, text)
    found = _SHARE.fullmatch(text)
    share = Decimal(found[1]) if found else None
    if share is None or share > 100:
        raise ValueError("is no key; write hires, applications, even, or a share such as advocacy=30%")
    return Allocation(f"advocacy={share}%", "share", int(share * 10_000))


def note(cell: object) -> str | None:
    """Whatever somebody wrote beside the cost."""
    return (str(cell).strip() or None) if cell is not None else None
