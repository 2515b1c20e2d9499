"""Which records are looked at: a sample drawn by a seed, with every stratum in it.

Belongs here: strata, how many of each, which ones. Does not belong here: what a sample shows (judge).

The population are the linked records that the bridge keeps level: a referral with its application, held back by
nothing. A stratum is the system that the application is in, the side on which its candidate began (`advocacy`: the
bridge created it; `ats`: it was there before), and the age of the referral. Each stratum has its proportional part of
the sample and at least one record, so a small one counts for a little more than its part; the bounds of `judge`, which
take the sample for a simple one, are on the safe side of what proportional strata give.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, log
from typing import Any, Final, TypeVar

from referral_pipeline.ledger.records import Link

_AGES: Final = (("week", timedelta(days=7)), ("month", timedelta(days=30)), ("quarter", timedelta(days=90)))
_OLDER: Final = "older"

_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True, order=True)
class Stratum:
    """Records that are drawn from together: `origin` is advocacy or ats, `age` is week, month, quarter or older."""

    system: str
    origin: str
    age: str


@dataclass(frozen=True)
class Sample:
    """The records drawn, in the order of their ids, and by stratum how many there are and how many were drawn."""

    links: tuple[Link, ...]
    population: Mapping[Stratum, int]
    drawn: Mapping[Stratum, int]

    @property
    def strata(self) -> list[dict[str, Any]]:
        """The strata as rows of plain values."""
        return [
            {**vars(one), "population": self.population[one], "sampled": self.drawn.get(one, 0)}
            for one in sorted(self.population)
        ]


def clean_sample_for(claim: float, confidence: float) -> int:
    """How many records without a single error it takes to claim that at most this share is wrong.

    149 for 2 % at 95 % confidence (KPIS, what a sample can show).

    Args:
        claim: the share of wrong records, above 0 and below 1.
        confidence: one-sided, above 0 and below 1.

    Raises:
        ValueError: one of the two is out of range.
    """
    if not 0 < claim < 1 or not 0 < confidence < 1:
        raise ValueError("a claim and its confidence are shares above 0 and below 1: write 0.02 for 2 %")
    return ceil(log(1 - confidence) / log(1 - claim) - 1e-9)


def stratum_of(link: Link, *, now: datetime) -> Stratum:
    """The stratum of a linked record at this time."""
    age = now - link.touched_at
    word = next((word for word, limit in _AGES if age <= limit), _OLDER)
    return Stratum(link.system, "advocacy" if link.created_candidate else "ats", word)


def draw(links: Sequence[Link], *, wanted: int, seed: int, now: datetime) -> Sample:
    """Draw so many records, or all when there are no more.

    The same seed draws the same records of the same population, in whatever order it comes: each record has a place by
    a hash of the seed and its id, and the first ones of each stratum are taken.
    """
    strata: dict[Stratum, list[Link]] = defaultdict(list)
    for link in links:
        strata[stratum_of(link, now=now)].append(link)
    population = {one: len(members) for one, members in strata.items()}
    counts = allocate(population, wanted)
    drawn = [
        link
        for one, members in strata.items()
        for link in sorted(members, key=lambda link: _place(seed, link))[: counts.get(one, 0)]
    ]
    return Sample(tuple(sorted(drawn, key=lambda link: link.referral_id)), population, counts)


def allocate(sizes: Mapping[_Key, int], wanted: int) -> dict[_Key, int]:
    """How many to draw of each stratum: its proportional part, at least one, never more than there are.

    The parts sum to `wanted`, or to all there are. With fewer wanted than there are strata the largest have one each.
    """
    there = {key: size for key, size in sizes.items() if size > 0}
    total = sum(there.values())
    wanted = min(wanted, total)
    by_size = sorted(there, key=lambda key: (-there[key], str(key)))
    counts = dict.fromkeys(by_size[:wanted], 1)
    for _ in range(wanted - len(counts)):
        # The one that lacks most of its part; of equals the largest, then by name.
        open_ones = [key for key in by_size if counts[key] < there[key]]
        lacking = max(open_ones, key=lambda key: there[key] * wanted - counts[key] * total)
        counts[lacking] += 1
    return counts


def _place(seed: int, link: Link) -> str:
    return hashlib.sha256(f"{seed}:{link.system}:{link.referral_id}".encode()).hexdigest()
