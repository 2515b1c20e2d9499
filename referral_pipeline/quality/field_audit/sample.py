"""Which records are looked at: a sample drawn by a seed, with every stratum in it.

Belongs here: strata, which records are drawn, the size that a claim needs. Does not belong here: what a sample shows
(judge).

The population are the linked records that the bridge keeps level: a referral with its application, held back by
nothing. A stratum is the system that the application is in, the side on which its candidate began (`advocacy`: the
bridge created it; `ats`: it was there before), and the age of the referral.

The sample is a simple random one, because exact bounds are true of that and of nothing else: one record more from each
small stratum would leave a large one with less than its part, and a bound of 95 % was wrong in 11 of 100 audits of such
a population. So of a stratum that the sample has none of, one record is looked at beside it: what is wrong with that is
told, and counts in no rate.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, log
from typing import Any, Final

from referral_pipeline.ledger.records import Link

_AGES: Final = (("week", timedelta(days=7)), ("month", timedelta(days=30)), ("quarter", timedelta(days=90)))
_OLDER: Final = "older"


@dataclass(frozen=True, order=True)
class Stratum:
    """Records that are drawn from together: `origin` is advocacy or ats, `age` is week, month, quarter or older."""

    system: str
    origin: str
    age: str


@dataclass(frozen=True)
class Sample:
    """The records drawn, in the order of their ids, and by stratum how many there are and how many were drawn.

    `beside` are the ids of the referrals among them that are no part of the random sample.
    """

    links: tuple[Link, ...]
    population: Mapping[Stratum, int]
    drawn: Mapping[Stratum, int]
    beside: frozenset[str] = frozenset()

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
    """Draw so many records, or all when there are no more, and one beside them of each stratum that has none of these.

    The same seed draws the same records of the same population, in whatever order it comes: each record has a place by
    a hash of the seed and its id, and the first ones are taken.
    """
    in_order = sorted(links, key=lambda link: _place(seed, link))
    strata = {link.referral_id: stratum_of(link, now=now) for link in links}
    drawn = in_order[:wanted]
    counts = Counter(strata[link.referral_id] for link in drawn)
    beside: list[Link] = []
    for link in in_order[wanted:]:
        if not counts[strata[link.referral_id]]:
            counts[strata[link.referral_id]] += 1
            beside.append(link)
    return Sample(
        links=tuple(sorted((*drawn, *beside), key=lambda link: link.referral_id)),
        population=dict(Counter(strata.values())),
        drawn=dict(counts),
        beside=frozenset(link.referral_id for link in beside),
    )


def _place(seed: int, link: Link) -> str:
    return hashlib.sha256(f"{seed}:{link.system}:{link.referral_id}".encode()).hexdigest()
