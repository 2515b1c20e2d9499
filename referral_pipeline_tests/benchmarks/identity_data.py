"""Synthetic candidate records with their truth: seeded, invented, held in memory and written nowhere but scratch files.

Belongs here: people, their records in several systems, and what happens to names, addresses and numbers on the way.
Does not belong here: measuring (identity).

The frequencies of names are Zipf-like. What makes matching hard is there on purpose: namesakes, households that share a
phone or a mailbox, mailboxes of firms, numbers that went to somebody else, short forms, typos, swapped and missing
fields, addresses and numbers that changed. Numbers are well formed; they were not looked up and are dialled by nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from referral_pipeline.identity import short_forms
from referral_pipeline.sandbox.programme import names as pools

_FIRST_NAMES = 3_000
_FIRST_DAY = np.datetime64("1950-01-01")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_AREAS = ("201", "212", "213", "312", "404", "415", "512", "617", "702", "713")


@dataclass(frozen=True)
class Odds:
    """How often a later record of a person differs from the first, by field."""

    short_form: float = 0.10
    first_typo: float = 0.04
    initial: float = 0.02
    swapped: float = 0.02
    last_typo: float = 0.05
    new_last: float = 0.03
    email_new: float = 0.25
    email_typo: float = 0.04
    email_missing: float = 0.12
    phone_new: float = 0.25
    phone_missing: float = 0.25
    dob_typo: float = 0.05
    dob_missing: float = 0.15
    city_new: float = 0.15
    city_missing: float = 0.15


def synthetic_records(records: int, *, seed: int, odds: Odds | None = None) -> pd.DataFrame:
    """So many records: record_id, first_name, last_name, email, phone, country, dob, city, and person, the truth.

    About three in four persons have one record; the order is random.
    """
    odds = odds or Odds()
    rng = np.random.default_rng(seed)
    taken: dict[str, int] = {}
    people = _people(max(int(records * 0.78), 1), rng, taken)
    copies = rng.choice(len(people), size=max(records - len(people), 0))
    first = people.iloc[: min(records, len(people))]
    later = _changed(people.iloc[copies].reset_index(drop=True), odds, rng, taken)
    whole = pd.concat([_thinned(first.reset_index(drop=True), rng), later], ignore_index=True)
    whole = whole.iloc[rng.permutation(len(whole))].reset_index(drop=True)
    whole["phone"] = _formatted(whole["phone"], rng)
    capital = rng.random(len(whole)) < 0.05
    whole["email"] = whole["email"].where(~capital, whole["email"].str.upper())
    whole.insert(0, "record_id", [f"s{number % 2}:{number}" for number in range(len(whole))])
    return whole[["record_id", "first_name", "last_name", "email", "phone", "country", "dob", "city", "person"]]


# ---------------------------------------------------------------- people


def _people(count: int, rng: np.random.Generator, taken: dict[str, int]) -> pd.DataFrame:
    firsts, lasts, cities = _first_names(), _last_names(), [f"{pools.last_name(n * 37)}ville" for n in range(400)]
    first = np.array(firsts, dtype=object)[_zipf(len(firsts), count, 0.9, rng)]
    last = np.array(lasts, dtype=object)[_zipf(len(lasts), count, 0.8, rng)]
    city = np.array(cities, dtype=object)[_zipf(len(cities), count, 0.8, rng)]
    phone = _numbers(count, rng)
    # Households: the next person takes name, phone and city, and sometimes the mailbox, of the one before.
    household = np.flatnonzero(rng.random(count) < 0.05)
    household = household[household > 0]
    last[household], phone[household], city[household] = (v[household - 1] for v in (last, phone, city))
    # Numbers that went to somebody else.
    recycled = rng.choice(count, size=count // 200)
    phone[recycled] = phone[rng.choice(count, size=len(recycled))]
    frame = pd.DataFrame(
        {
            "first_name": first,
            "last_name": last,
            "phone": phone,
            "country": "US",
            "dob": (_FIRST_DAY + rng.integers(0, 20_000, count)).astype(str),
            "city": city,
            "person": np.arange(count),
        }
    )
    frame["email"] = _addresses(frame, rng, taken)
    family = household[rng.random(len(household)) < 0.15]
    frame.loc[family, "email"] = frame["email"].to_numpy()[family - 1]
    # Mailboxes of firms, with a few dozen people each.
    firm = np.flatnonzero(rng.random(count) < 0.003)
    frame.loc[firm, "email"] = [f"team{n // 25}@firm{n // 25}.example.com" for n in range(len(firm))]
    return frame


def _first_names() -> list[str]:
    known = [*pools.FIRST, *(word.capitalize() for word in short_forms.full_names())]
    made = (pools.last_name(n * 12 * 7 + 5).removesuffix("er") + "a" for n in range(_FIRST_NAMES))
    return list(dict.fromkeys([*known, *made]))[:_FIRST_NAMES]


def _last_names() -> list[str]:
    order = np.random.default_rng(1).permutation(pools.LAST_NAMES)
    return list(dict.fromkeys(pools.last_name(int(number)) for number in order))


def _zipf(size: int, count: int, exponent: float, rng: np.random.Generator) -> np.ndarray:
    weights = 1 / (np.arange(size) + 20.0) ** exponent
    return rng.choice(size, size=count, p=weights / weights.sum())


def _numbers(count: int, rng: np.random.Generator) -> np.ndarray:
    area = np.array(_AREAS, dtype=object)[rng.integers(0, len(_AREAS), count)]
    rest = rng.integers(2_000_000, 9_999_999, count)
    return np.array([f"+1{a}{r}" for a, r in zip(area, rest, strict=True)], dtype=object)


def _addresses(people: pd.DataFrame, rng: np.random.Generator, taken: dict[str, int]) -> list[str]:
    """One address for each person, none given twice: as with a provider, whoever comes later gets a number."""
    domains = [*pools.MAIL_DOMAINS, *(f"{pools.last_name(n * 91).lower()}.example.org" for n in range(300))]
    style = rng.choice(5, size=len(people), p=[0.35, 0.15, 0.2, 0.1, 0.2])
    number = rng.integers(1, 9999, len(people))
    domain = _zipf(len(domains), len(people), 1.2, rng)
    made: list[str] = []
    rows = zip(people["first_name"], people["last_name"], style, number, domain, strict=True)
    for first, last, how, digits, place in rows:
        f, g = pools.ascii_word(last), pools.ascii_word(first)
        local = (f"{g}.{f}", f"{g[:1]}{f}", f"{g}{f}{digits}", f"{g}{digits}", f"{_nickname(int(digits), f)}")[how]
        address = f"{local}@{domains[place]}"
        count = taken[address] = taken.get(address, -1) + 1
        made.append(f"{local}{count}@{domains[place]}" if count else address)
    return made


def _nickname(number: int, word: str) -> str:
    return f"{pools.last_name(number * 17 % pools.LAST_NAMES).lower()}{word[-2:]}{number % 100}"


# ---------------------------------------------------------------- their records


def _thinned(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return _blanked(frame, {"email": 0.04, "phone": 0.15, "dob": 0.15, "city": 0.1}, rng)


def _blanked(frame: pd.DataFrame, odds: dict[str, float], rng: np.random.Generator) -> pd.DataFrame:
    for column, share in odds.items():
        frame[column] = frame[column].where(rng.random(len(frame)) >= share, None)
    return frame


def _changed(frame: pd.DataFrame, odds: Odds, rng: np.random.Generator, taken: dict[str, int]) -> pd.DataFrame:
    count = len(frame)

    def rows(share: float) -> np.ndarray:
        return np.flatnonzero(rng.random(count) < share)

    columns = {name: frame[name].to_numpy(dtype=object).copy() for name in frame.columns}
    other = _people(count, rng, {})
    fresh = {
        "email": (odds.email_new, np.array(_addresses(frame, rng, taken), dtype=object)),
        "phone": (odds.phone_new, _numbers(count, rng)),
        "city": (odds.city_new, other["city"].to_numpy()),
    }
    for column, (share, values) in fresh.items():
        at = rows(share)
        columns[column][at] = values[at]
    at = rows(odds.new_last)
    columns["last_name"][at] = other["last_name"].to_numpy()[at]
    for at in rows(odds.short_form):
        forms = short_forms.forms_of(columns["first_name"][at].lower())
        if forms:
            columns["first_name"][at] = forms[int(rng.integers(len(forms)))].capitalize()
    for column, share in (("first_name", odds.first_typo), ("last_name", odds.last_typo), ("email", odds.email_typo)):
        for at in rows(share):
            columns[column][at] = _typo(columns[column][at], rng)
    for at in rows(odds.dob_typo):
        columns["dob"][at] = _date_typo(columns["dob"][at], rng)
    for at in rows(odds.initial):
        columns["first_name"][at] = columns["first_name"][at][:1]
    at = rows(odds.swapped)
    columns["first_name"][at], columns["last_name"][at] = columns["last_name"][at], columns["first_name"][at].copy()
    missing = {"email": odds.email_missing, "phone": odds.phone_missing, "dob": odds.dob_missing}
    return _blanked(pd.DataFrame(columns), {**missing, "city": odds.city_missing}, rng)


def _typo(text: str, rng: np.random.Generator) -> str:
    """One slip of the hand: two letters swapped, one left out, doubled or replaced. An address keeps its domain."""
    local, at, domain = text.partition("@")
    if len(local) < 3:
        return text
    place = int(rng.integers(1, len(local) - 1))
    slip = int(rng.integers(4))
    letter = _LETTERS[int(rng.integers(26))]
    made = (
        local[:place] + local[place + 1] + local[place] + local[place + 2 :],
        local[:place] + local[place + 1 :],
        local[:place] + local[place] + local[place:],
        local[:place] + letter + local[place + 1 :],
    )[slip]
    return f"{made}{at}{domain}"


def _date_typo(text: str, rng: np.random.Generator) -> str:
    year, month, day = text.split("-")
    if rng.random() < 0.4 and int(day) <= 12:
        return f"{year}-{day}-{month}"
    return f"{year}-{month}-{1 + int(rng.integers(28)):02d}"


def _formatted(phones: pd.Series, rng: np.random.Generator) -> list[str | None]:
    how = rng.random(len(phones))
    return [
        None
        if not isinstance(phone, str)
        else (
            phone
            if share < 0.5
            else f"({phone[2:5]}) {phone[5:8]}-{phone[8:]}"
            if share < 0.85
            else pools.spaced(phone)
        )
        for phone, share in zip(phones, how, strict=True)
    ]
