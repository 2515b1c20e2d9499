"""The advocacy platform's content: advocates, content, shares, clicks, referrals.

Belongs here: rows in the shapes of the advocacy contract, consistent among themselves. Does not belong here: the ATS
(`ats`), what ought to come of a referral (`truth`).
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from referral_pipeline.sandbox.advocacy.clock import stamp
from referral_pipeline.sandbox.programme import names
from referral_pipeline.sandbox.programme.ats import Application
from referral_pipeline.sandbox.programme.ats_setup import DEPARTMENTS, Job
from referral_pipeline.sandbox.programme.moments import days
from referral_pipeline.sandbox.programme.people import Person

Row = dict[str, Any]

CHANNELS = ("linkedin", "xing", "facebook", "email", "whatsapp")
_CONTENT_AGE_DAYS = 437.0
_HISTORY_DAYS = 425.0


@dataclass(frozen=True)
class Content:
    """A piece of content; `job` None for content about the company."""

    id: str
    campaign_tag: str
    job: Job | None


@dataclass(frozen=True)
class Share:
    """One act of sharing."""

    id: str
    advocate_id: str
    content: Content
    shared_at: datetime
    reach: int


@dataclass(frozen=True)
class NewApplication:
    """An application that the bridge has to open: one per person and job."""

    person: Person
    job: Job

    @property
    def key(self) -> str:
        """Its logical name in the truth."""
        return f"new:{self.person.key}:{self.job.id}"


@dataclass(eq=False)
class Referral:
    """A referral, and what ought to come of it.

    `outcome` is "written", "blocked:<reason>" or "quarantined"; `target` is the application that takes it when written.
    """

    id: str
    case: str
    person: Person
    advocate_id: str
    share: Share | None
    job_id: str
    campaign_tag: str | None
    stage: str
    submitted_at: datetime
    applied_at: datetime | None
    candidate: Row
    consent: Row | None
    outcome: str
    target: Application | NewApplication | None
    updated_at: datetime
    engagement: Row | None = None

    @property
    def touched_at(self) -> datetime:
        """When it counts as a touch."""
        return self.applied_at or self.submitted_at

    @property
    def is_written(self) -> bool:
        """Whether it reaches the ATS."""
        return self.outcome == "written"


class AdvocacyWriter:
    """Collects what advocates did.

    Pairs of (advocate, job) can be kept for one case, so that no chance share by the same advocate for the same job
    changes who is credited there.
    """

    def __init__(self, rng: random.Random, as_of: datetime, jobs: list[Job], *, advocates: int, content: int) -> None:
        self.rng = rng
        self.as_of = as_of
        self.shares: list[Share] = []
        self.referrals: list[Referral] = []
        self._kept: set[tuple[str, int]] = set()
        self._used: set[tuple[str, int]] = set()
        self.advocates = self._make_advocates(advocates)
        self.active = [row["id"] for row in self.advocates if row["eligible"] and not row["left_at"]]
        self.content = self._make_content(content, [job for job in jobs if job.status != "draft"])
        self.content_rows = [self._content_row(item) for item in self.content]
        self._by_job: dict[int, list[Content]] = defaultdict(list)
        for item in self.content:
            if item.job:
                self._by_job[item.job.id].append(item)

    # ------------------------------------------------------------ who and what

    def _make_advocates(self, count: int) -> list[Row]:
        rows: list[Row] = []
        for number in range(1, count + 1):
            joined_at = self.as_of - days(self.rng.uniform(450, 2_000))
            left = number % 25 == 0
            left_at = self.as_of - days(self.rng.uniform(5, 60)) if left else None
            rows.append(
                {
                    "id": f"adv_{number:04d}",
                    "email": f"{self.rng.choice(names.FIRST).lower()}.{number}@staff.example.com",
                    "department": DEPARTMENTS[number % len(DEPARTMENTS)],
                    "eligible": not left and number % 33 != 0,
                    "joined_at": stamp(joined_at),
                    "left_at": stamp(left_at) if left_at else None,
                    "updated_at": stamp(left_at or joined_at),
                }
            )
        return rows

    def _make_content(self, count: int, jobs: list[Job]) -> list[Content]:
        """At least two pieces for each job in turn; one piece in twenty is about the company."""
        made: list[Content] = []
        for number in range(1, count + 1):
            job = None if number % 20 == 0 and number > 2 * len(jobs) else jobs[(number - 1) % len(jobs)]
            quarter = f"{self.as_of.year}-{'abcd'[number % 4]}"
            tag = f"{'brand' if job is None else 'jobs'}-{quarter}-{number:02d}"
            made.append(Content(f"cnt_{number:03d}", tag, job))
        return made

    def _content_row(self, item: Content) -> Row:
        published_at = self.as_of - days(_CONTENT_AGE_DAYS + self.rng.random())
        return {
            "id": item.id,
            "title": f"We are hiring: {item.job.name}" if item.job else "A day with us",
            "campaign_tag": item.campaign_tag,
            "job_id": str(item.job.id) if item.job else None,
            "published_at": stamp(published_at),
            "updated_at": stamp(published_at),
        }

    def advocate(self, job: Job, *, alone: bool = False, other_than: tuple[str, ...] = ()) -> str:
        """An active advocate for this job. `alone`: one that nobody else will share or refer with for this job."""
        for _ in range(10_000):
            chosen = self.rng.choice(self.active)
            pair = (chosen, job.id)
            if chosen in other_than or pair in self._kept or (alone and pair in self._used):
                continue
            self._used.add(pair)
            if alone:
                self._kept.add(pair)
            return chosen
        raise ValueError("too few advocates for the cases of this programme")

    def content_for(self, job: Job, *, other_than: Content | None = None) -> Content:
        """A piece of content about this job."""
        return self.rng.choice([item for item in self._by_job[job.id] if item is not other_than])

    # ------------------------------------------------------------ what happened

    def share(self, advocate_id: str, content: Content, shared_at: datetime) -> Share:
        """An advocate shares."""
        share = Share(f"shr_{len(self.shares) + 1:05d}", advocate_id, content, shared_at, self.rng.randint(20, 900))
        self.shares.append(share)
        return share

    def refer(
        self,
        case: str,
        person: Person,
        job: Job | str,
        touched_at: datetime,
        *,
        outcome: str,
        target: Application | NewApplication | None = None,
        advocate_id: str | None = None,
        share: Share | None = None,
        has_share: bool = True,
        stage: str = "applied",
        is_applied_at_known: bool = True,
        candidate: Row | None = None,
        consent: Row | str | None = "given",
    ) -> Referral:
        """A referral with the share that it came from (made some days before, unless one is given)."""
        if share is None and isinstance(job, Job) and has_share:
            sharing = advocate_id or self.advocate(job)
            share = self.share(sharing, self.content_for(job), touched_at - days(self.rng.uniform(0.1, 6)))
        referring = share.advocate_id if share else advocate_id or self.rng.choice(self.active)
        submitted_at = touched_at - days(self.rng.uniform(0.01, 0.08)) if is_applied_at_known else touched_at
        if consent == "given":
            consent = self.consent(touched_at)
        later = 1.0 if stage == "withdrawn" else 0.002
        referral = Referral(
            id=f"ref_{len(self.referrals) + 1:05d}",
            case=case,
            person=person,
            advocate_id=referring,
            share=share,
            job_id=str(job.id) if isinstance(job, Job) else job,
            campaign_tag=share.content.campaign_tag if share else None,
            stage=stage,
            submitted_at=submitted_at,
            applied_at=touched_at if is_applied_at_known and stage != "clicked" else None,
            candidate={**self.contact(person), **(candidate or {})},
            consent=consent if isinstance(consent, dict) else None,
            outcome=outcome,
            target=target,
            updated_at=min(touched_at + days(later), self.as_of),
        )
        self.referrals.append(referral)
        return referral

    def contact(self, person: Person) -> Row:
        """How an advocate writes a person down: right, in one of several ways to write a number, or without it."""
        forms = (person.phone, names.national(person.phone), names.spaced(person.phone), None)
        phone = self.rng.choices(forms, [5, 3, 2, 1])[0]
        return {
            "first_name": person.first_name,
            "last_name": person.last_name,
            "email": person.email,
            "phone": phone,
            "country": person.country,
        }

    @staticmethod
    def consent(given_at: datetime, *, granted: bool = True, expires_at: datetime | None = None) -> Row:
        """The consent that came with a referral."""
        return {
            "granted": granted,
            "basis": "consent" if granted else None,
            "granted_at": stamp(given_at) if granted else None,
            "expires_at": stamp(expires_at) if expires_at else None,
        }

    def fill_shares(self, count: int) -> None:
        """Shares that led to nobody, up to `count` in all, never by a kept pair."""
        while len(self.shares) < count:
            content = self.rng.choice(self.content)
            advocate_id = self.advocate(content.job) if content.job else self.rng.choice(self.active)
            self.share(advocate_id, content, self.as_of - days(self.rng.uniform(0.1, _HISTORY_DAYS)))

    # ------------------------------------------------------------ rows

    def rows(self, clicks: int) -> dict[str, list[Row]]:
        """All rows by entity; clicks are spread over the shares, and every referral's engagement is counted."""
        click_rows, per_share = self._clicks(clicks)
        shares_of = Counter((share.advocate_id, share.content.job.id) for share in self.shares if share.content.job)
        for referral in self.referrals:
            if referral.share:
                job_id = int(referral.job_id) if referral.job_id.isdigit() else 0
                referral.engagement = {
                    "clicks": per_share[referral.share.id],
                    "shares": shares_of[referral.advocate_id, job_id],
                    "reach": referral.share.reach,
                }
        return {
            "advocates": self.advocates,
            "content": self.content_rows,
            "shares": [_share_row(share) for share in self.shares],
            "clicks": click_rows,
            "referrals": [_referral_row(referral) for referral in self.referrals],
        }

    def _clicks(self, count: int) -> tuple[list[Row], Counter[str]]:
        rng = self.rng
        weights = list(accumulate(rng.paretovariate(1.6) for _ in self.shares))
        chosen = list(self.shares)  # everybody is clicked on once, the rest by popularity
        while len(chosen) < count:
            chosen.append(self.shares[bisect_right(weights, rng.random() * weights[-1]) % len(self.shares)])
        visitors = max(1, count * 2 // 3)
        rows: list[Row] = []
        per_share: Counter[str] = Counter()
        for number, share in enumerate(chosen, 1):
            room = (self.as_of - share.shared_at) / timedelta(milliseconds=1)
            clicked_at = share.shared_at + timedelta(milliseconds=int(min(room, rng.expovariate(1 / 2.0e8))))
            text = stamp(clicked_at)
            per_share[share.id] += 1
            rows.append(
                {
                    "id": f"clk_{number:06d}",
                    "share_id": share.id,
                    "visitor_id": f"vis_{rng.randrange(visitors):06d}",
                    "clicked_at": text,
                    "updated_at": text,
                }
            )
        return rows, per_share


def _share_row(share: Share) -> Row:
    job = share.content.job
    text = stamp(share.shared_at)
    return {
        "id": share.id,
        "advocate_id": share.advocate_id,
        "content_id": share.content.id,
        "job_id": str(job.id) if job else None,
        "channel": CHANNELS[int(share.id[4:]) % len(CHANNELS)],
        "shared_at": text,
        "reach": share.reach,
        "updated_at": text,
    }


def _referral_row(referral: Referral) -> Row:
    return {
        "id": referral.id,
        "advocate_id": referral.advocate_id,
        "share_id": referral.share.id if referral.share else None,
        "job_id": referral.job_id,
        "campaign_tag": referral.campaign_tag,
        "stage": referral.stage,
        "submitted_at": stamp(referral.submitted_at),
        "applied_at": stamp(referral.applied_at) if referral.applied_at else None,
        "candidate": referral.candidate,
        "consent": referral.consent,
        "engagement": referral.engagement,
        "status": None,
        "status_at": None,
        "ats": None,
        "hired_at": None,
        "starts_on": None,
        "updated_at": stamp(referral.updated_at),
    }
