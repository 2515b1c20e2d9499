"""The moves that cases are written with: typed by hand, fresh, already there.

Belongs here: what several cases need of the writers at once. Does not belong here: the cases (`cases`, `dirt`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypedDict, Unpack

from referral_pipeline.sandbox.programme import names
from referral_pipeline.sandbox.programme.advocacy import AdvocacyWriter, NewApplication, Referral, Share
from referral_pipeline.sandbox.programme.ats import Application, AtsWriter
from referral_pipeline.sandbox.programme.ats_setup import Job
from referral_pipeline.sandbox.programme.moments import days
from referral_pipeline.sandbox.programme.people import People, Person

MATURITY_DAYS = 90
"""The horizon of conversion. No application is 87 to 92 days old, so that its cohort's maturity does not depend on the
hour at which somebody looks."""

_HAND_MADE_SOURCES = (None, "Job board")
_OTHER_SOURCES = ("Job board", "Job board", "Agency North", "Company website", "Sourced by recruiter")
_OUTCOMES: tuple[tuple[float, dict[str, int]], ...] = (
    (4, {"applied": 70, "interviewed": 20, "rejected": 10}),
    (20, {"applied": 28, "interviewed": 34, "in_review": 4, "rejected": 24, "withdrawn": 5, "offered": 5}),
    (60, {"applied": 10, "interviewed": 28, "in_review": 4, "rejected": 34, "withdrawn": 8, "offered": 6, "hired": 10}),
    (130, {"applied": 3, "interviewed": 5, "rejected": 62, "withdrawn": 13, "hired": 17}),
    (10_000, {"applied": 2, "interviewed": 3, "rejected": 65, "withdrawn": 13, "hired": 15, "hired_late": 2}),
)
_CHANNEL_EDGE = {"hired": 0.6, "hired_late": 0.6, "offered": 0.7}
"""Other channels convert less: what makes the comparison worth looking at."""


class ReferralDetails(TypedDict, total=False):
    """What a case may want otherwise about a referral (see `AdvocacyWriter.refer`)."""

    advocate_id: str
    candidate: dict[str, Any]
    consent: dict[str, Any] | None
    stage: str


class Plot:
    """The writers, the clock and the dice of one programme."""

    def __init__(
        self,
        rng: random.Random,
        as_of: datetime,
        ats: AtsWriter,
        advocacy: AdvocacyWriter,
        countries: Sequence[str] = names.COUNTRIES,
    ) -> None:
        self.rng = rng
        self.as_of = as_of
        self.ats = ats
        self.advocacy = advocacy
        self.people = People(rng, countries)
        self.open_jobs = ats.job_list("open")
        self.stories: dict[str, str] = {}

    def job(self) -> Job:
        """An open job."""
        return self.rng.choice(self.open_jobs)

    def two_jobs(self) -> tuple[Job, Job]:
        """Two open jobs."""
        first, second = self.rng.sample(self.open_jobs, 2)
        return first, second

    def ago(self, low: float, high: float) -> datetime:
        """A moment between `low` and `high` days before as_of, outside the gap at the horizon."""
        age = self.rng.uniform(low, high)
        while MATURITY_DAYS - 3 <= age <= MATURITY_DAYS + 2:
            age = self.rng.uniform(low, high)
        return self.as_of - days(age)

    def lately(self) -> datetime:
        """A moment in the last days: younger than what recruiters have typed in."""
        return self.as_of - days(self.rng.uniform(0.2, 6))

    def outcome(self, job: Job, created_at: datetime, *, edge: bool = True) -> str:
        """What became of an application of this age; `edge` False for channels that convert less."""
        age = (self.as_of - created_at).days
        weights = next(weights for limit, weights in _OUTCOMES if age < limit)
        names_, chances = list(weights), [float(chance) for chance in weights.values()]
        if not edge:
            chances = [chance * _CHANNEL_EDGE.get(name, 1.0) for name, chance in zip(names_, chances, strict=True)]
        chosen = self.rng.choices(names_, chances)[0]
        return "interviewed" if chosen == "in_review" and not job.has_bar_raiser else chosen

    # ------------------------------------------------------------ the ATS side

    def enter(
        self,
        person: Person,
        created_at: datetime,
        *,
        first_name: str | None = None,
        last_name: str | None = None,
        emails: list[str] | None = None,
        phones: list[str] | None = None,
    ) -> int:
        """A candidate as a recruiter typed it; answers (and remembers) its id."""
        if person.ats_candidate_id is None:
            spelling = (first_name or person.first_name, last_name or person.last_name)
            emails = [person.email] if emails is None else emails
            if phones is None:
                form = self.rng.choice((person.phone, names.spaced(person.phone)))
                phones = [form] if self.rng.random() < 0.85 else []
            person.spellings.add(spelling)
            person.emails.update(emails)
            person.ats_candidate_id = self.ats.candidate(*spelling, emails, phones, created_at)
        return person.ats_candidate_id

    def typed(self, person: Person, job: Job, created_at: datetime, outcome: str | None = None) -> Application:
        """The application that a recruiter typed in from a referral, with no trace of the advocate."""
        source = self.rng.choice(_HAND_MADE_SOURCES)
        outcome = outcome or self.outcome(job, created_at)
        return self.ats.application(self.enter(person, created_at), job, created_at, outcome, source=source)

    def elsewhere(self, person: Person, job: Job, created_at: datetime, outcome: str | None = None) -> Application:
        """An application that came through another channel."""
        outcome = outcome or self.outcome(job, created_at, edge=False)
        source = self.rng.choice(_OTHER_SOURCES)
        return self.ats.application(self.enter(person, created_at), job, created_at, outcome, source=source)

    # ------------------------------------------------------------ both sides

    def new(self, person: Person, job: Job) -> NewApplication:
        """An application that the bridge has to open, and what the recruiters will do with it at once."""
        application = NewApplication(person, job)
        if application.key not in self.stories:
            self.stories[application.key] = self.rng.choices(
                ("stay", "phone_screen", "reject", "withdraw"), [60, 28, 8, 4]
            )[0]
        return application

    def fresh(
        self, case: str, person: Person, job: Job, touched_at: datetime | None = None, **more: Unpack[ReferralDetails]
    ) -> Referral:
        """A referral of the last days that the ATS does not know: the bridge opens the application."""
        return self.advocacy.refer(
            case,
            person,
            job,
            touched_at or self.lately(),
            outcome="written",
            target=self.new(person, job),
            **more,
        )

    def by_hand(
        self,
        case: str,
        person: Person,
        job: Job,
        *,
        low: float = 3,
        high: float = 410,
        outcome: str | None = None,
        share: Share | None = None,
        has_share: bool = True,
        is_applied_at_known: bool = True,
    ) -> Referral:
        """A referral of some time ago, and the application that a recruiter typed in from it days later."""
        created_at = self.ago(low, high)
        application = self.typed(person, job, created_at, outcome)
        return self.advocacy.refer(
            case,
            person,
            job,
            created_at - days(self.rng.uniform(0.1, 4)),
            outcome="written",
            target=application,
            share=share,
            has_share=has_share,
            is_applied_at_known=is_applied_at_known,
        )

    def blocked(
        self, case: str, person: Person, job: Job | str, reason: str, **more: Unpack[ReferralDetails]
    ) -> Referral:
        """A fresh referral that may not be written."""
        return self.advocacy.refer(
            case,
            person,
            job,
            self.lately(),
            outcome=f"blocked:{reason}",
            **more,
        )
