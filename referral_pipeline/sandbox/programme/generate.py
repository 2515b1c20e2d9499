"""Putting a programme together: setting, dirt, the clean rest, rows, truth.

Belongs here: the order of generation, which fixes what a seed means. Does not belong here: any single case.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from referral_pipeline.sandbox.programme import names
from referral_pipeline.sandbox.programme.advocacy import AdvocacyWriter
from referral_pipeline.sandbox.programme.ats import AtsWriter
from referral_pipeline.sandbox.programme.ats_setup import Job
from referral_pipeline.sandbox.programme.cases import CASES
from referral_pipeline.sandbox.programme.moments import days
from referral_pipeline.sandbox.programme.plot import Plot
from referral_pipeline.sandbox.programme.refusals import REFUSALS
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline.sandbox.programme.truth import assemble

Row = dict[str, Any]

_OLDEST_DAYS = 410
_YOUNGEST_TYPED_DAYS = 3


@dataclass(frozen=True)
class Programme:
    """Rows of both systems by entity, and the truth (`truth` describes its keys). All of it is plain JSON."""

    advocacy: dict[str, list[Row]]
    ats: dict[str, list[Row]]
    truth: dict[str, Any]


def today() -> datetime:
    """The default `as_of`: today, 00:00 UTC."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def generate(
    seed: int = 7,
    as_of: datetime | None = None,
    size: ProgrammeSize | None = None,
    countries: Sequence[str] = names.COUNTRIES,
) -> Programme:
    """A programme with 14 months of history before `as_of` (aware; default today, 00:00 UTC).

    Its people live in `countries`, but for those who are written down with a country that no contract allows.

    The truth about new applications supposes that they are created less than 80 days after `as_of`: later, the
    referrals' touches leave the look-back.

    Raises:
        ValueError: `as_of` has no time zone, or the size leaves no room for the cases.
    """
    size = size or ProgrammeSize()
    as_of = as_of or today()
    if as_of.tzinfo is None:
        raise ValueError("as_of needs a time zone")
    as_of = as_of.astimezone(UTC).replace(microsecond=0)
    # Repeatable invention is the purpose; nothing here is a secret.
    rng = random.Random(f"programme {seed}")  # noqa: S311
    ats = AtsWriter(rng, as_of, size.jobs)
    advocacy = AdvocacyWriter(rng, as_of, ats.jobs, advocates=size.advocates, content=size.content)
    plot = Plot(rng, as_of, ats, advocacy, countries)
    for case in (*CASES, *REFUSALS):
        for number in range(size.per_case):
            case(plot, number)
    _clean_fresh(plot, size.fresh)
    _clean_typed(plot, size.referrals - len(advocacy.referrals))
    _other_channels(plot, size.other_applications)
    _referring_users(plot)
    advocacy.fill_shares(size.shares)
    advocacy_rows = advocacy.rows(size.clicks)
    truth = assemble(plot, seed=seed, size=size.as_dict(), advocacy_rows=advocacy_rows, ats_rows=ats.rows)
    return Programme(advocacy_rows, ats.rows, truth)


def _clean_fresh(plot: Plot, count: int) -> None:
    """Referrals of the last days with nothing odd about them."""
    for _ in range(count):
        plot.fresh("fresh", plot.people.person(), plot.job())


def _clean_typed(plot: Plot, count: int) -> None:
    """Referrals of 14 months that recruiters typed in."""
    if count < 0:
        raise ValueError("the cases alone are more than the referrals asked for")
    closed = plot.ats.job_list("closed")
    for _ in range(count):
        job = plot.rng.choice((*plot.open_jobs, *closed))
        youngest = _youngest(plot, job)
        plot.by_hand("typed_by_hand", plot.people.person(), job, low=youngest, high=_OLDEST_DAYS)


def _other_channels(plot: Plot, count: int) -> None:
    """Applications that have nothing to do with advocacy; some people apply twice."""
    closed = plot.ats.job_list("closed")
    for number in range(count):
        person = plot.people.person()
        job = plot.rng.choice((*plot.open_jobs, *closed))
        created_at = plot.ago(_youngest(plot, job), _OLDEST_DAYS)
        plot.elsewhere(person, job, created_at)
        if number % 12 == 0:
            plot.elsewhere(person, plot.rng.choice([other for other in plot.open_jobs if other is not job]), created_at)


def _youngest(plot: Plot, job: Job) -> float:
    """The least age in days of an application to this job: before it was closed."""
    if job.closed_at is None:
        return _YOUNGEST_TYPED_DAYS
    return (plot.as_of - job.closed_at) / days(1) + 5


def _referring_users(plot: Plot) -> None:
    """Some advocates are users of the ATS, and some of these are known there as referrers."""
    start = plot.as_of - days(_OLDEST_DAYS)
    for number, advocate in enumerate(plot.advocacy.advocates):
        if number % 8 == 0:
            first = advocate["email"].split(".")[0].capitalize()
            user = plot.ats.add(
                "users",
                start,
                first_name=first,
                last_name="Colleague",
                name=f"{first} Colleague",
                primary_email=advocate["email"],
                emails=[advocate["email"]],
            )
            if number % 16 == 0:
                plot.ats.add("referrers", start, user_id=user["id"], name=user["name"])
