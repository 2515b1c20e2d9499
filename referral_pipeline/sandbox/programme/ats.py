"""The ATS content of a programme, row by row in the vendor's shapes.

Belongs here: jobs and their stages, candidates, applications with their whole history, offers, openings, rejections.
Does not belong here: who referred whom (`advocacy`), which application ought to carry which tag (`truth`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from referral_pipeline.sandbox.advocacy.clock import stamp
from referral_pipeline.sandbox.programme import ats_setup
from referral_pipeline.sandbox.programme.ats_setup import Job, Stage
from referral_pipeline.sandbox.programme.moments import days, days_between
from referral_pipeline.vocabulary import CandidateStatus

Row = dict[str, Any]

_DAYS_IN_STAGE = {
    "Application Review": (1.0, 6.0),
    "Phone Screen": (3.0, 9.0),
    "Bar Raiser": (2.0, 5.0),
    "Face to Face": (4.0, 14.0),
    "Offer": (2.0, 9.0),
}
_LAST_STAGE = {"applied": "Application Review", "in_review": "Bar Raiser", "offered": "Offer"}
_UNFINISHED = frozenset({"applied", "in_review", "interviewed", "offered", "unhired"})
_REJECTED = frozenset({"rejected", "withdrawn", "unhired_rejected"})
_OFFERED = frozenset({"offered", "hired", "hired_late", "rehired", "unhired", "unhired_rejected"})


@dataclass(frozen=True)
class Application:
    """An application that the ATS holds before the bridge runs, with what it really stands at."""

    id: int
    candidate_id: int
    job: Job
    created_at: datetime
    status: CandidateStatus
    hired_at: datetime | None = None
    starts_on: date | None = None

    @property
    def key(self) -> str:
        """Its logical name in the truth."""
        return f"ats:{self.id}"


@dataclass
class _Course:
    """The stages that an application went through, and when."""

    entered: list[tuple[Stage, datetime]] = field(default_factory=list[tuple[Stage, datetime]])
    ended_at: datetime | None = None

    @property
    def last(self) -> tuple[Stage, datetime]:
        return self.entered[-1]


class AtsWriter:
    """Collects rows by entity. One random generator decides everything, in order."""

    def __init__(self, rng: random.Random, as_of: datetime, jobs: int) -> None:
        self.rng = rng
        self.as_of = as_of
        self.rows: dict[str, list[Row]] = {}
        self.applications: list[Application] = []
        self._candidates: dict[int, Row] = {}
        self._numbers = dict(ats_setup.FIRST_IDS)
        self.jobs = ats_setup.set_up(self, jobs)

    def job_list(self, status: str) -> list[Job]:
        """Jobs in this state."""
        return [job for job in self.jobs if job.status == status]

    def add(self, entity: str, created_at: datetime, updated_at: datetime | None = None, **columns: Any) -> Row:
        """A row with the next id."""
        number = self._numbers[entity] = self._numbers[entity] + 1
        row: Row = {
            "id": number,
            "created_at": stamp(created_at),
            "updated_at": stamp(updated_at or created_at),
            **columns,
        }
        self.rows.setdefault(entity, []).append(row)
        return row

    def candidate(
        self, first_name: str, last_name: str, emails: list[str], phones: list[str], created_at: datetime
    ) -> int:
        """A candidate as a recruiter typed it."""
        row = self.add(
            "candidates",
            created_at,
            first_name=first_name,
            last_name=last_name,
            last_activity_at=stamp(created_at),
            email_addresses=[{"value": email, "type": "personal"} for email in emails],
            phone_numbers=[{"value": phone, "type": "mobile"} for phone in phones],
        )
        self._candidates[row["id"]] = row
        return row["id"]

    # ------------------------------------------------------------ applications

    def application(
        self, candidate_id: int, job: Job, created_at: datetime, outcome: str, *, source: str | None = None
    ) -> Application:
        """An application and all that hangs on it.

        `outcome` is applied, interviewed, in_review, offered, rejected, withdrawn, hired, hired_late (after more than
        90 days), hired_no_offer (the opening carries the date), hired_undated (nothing does), unhired,
        unhired_rejected, rehired.
        """
        course = self._course(job, created_at, outcome)
        stage, entered_at = course.last
        touched_at = course.ended_at or entered_at
        status = self._status(stage, outcome)
        source_id = ats_setup.SOURCE_IDS[source] if source else None
        row = self.add(
            "applications",
            created_at,
            touched_at,
            candidate_id=candidate_id,
            job_id=job.id,
            source_id=source_id,
            stage_name=stage.name,
            job_interview_stage_id=stage.id,
            status=_vendor_status(status),
            prospect=False,
            last_activity_at=stamp(touched_at),
            custom_fields={},
        )
        self._write_stages(row, course, job)
        if status in {CandidateStatus.REJECTED, CandidateStatus.WITHDRAWN}:
            self._write_rejection(row, status, touched_at)
        hired_at, starts_on = self._write_hire(row, job, course, outcome)
        candidate = self._candidates[candidate_id]
        candidate["updated_at"] = max(candidate["updated_at"], stamp(touched_at))
        candidate["last_activity_at"] = max(candidate["last_activity_at"], stamp(touched_at))
        application = Application(row["id"], candidate_id, job, created_at, status, hired_at, starts_on)
        self.applications.append(application)
        return application

    def _course(self, job: Job, created_at: datetime, outcome: str) -> _Course:
        """Which stages were entered when, squeezed so that all of it lies before `as_of`."""
        visited = self._visited(job, outcome)
        spans = [self.rng.uniform(*_DAYS_IN_STAGE[stage.name]) for stage in visited]
        if outcome == "hired_late":
            stretch = self.rng.uniform(105, 125) / sum(spans)
            spans = [span * stretch for span in spans]
        if outcome in _UNFINISHED:
            spans[-1] = 0.0
        room = days_between(created_at, self.as_of) * 0.9
        if sum(spans) > room:
            spans = [span * room / sum(spans) for span in spans]
        course, at = _Course(), created_at
        for stage, span in zip(visited, spans, strict=True):
            course.entered.append((stage, at))
            at += days(span)
        if outcome not in _UNFINISHED:
            course.ended_at = at
        return course

    def _visited(self, job: Job, outcome: str) -> list[Stage]:
        names = [stage.name for stage in job.stages]
        if outcome in _LAST_STAGE:
            last = names.index(_LAST_STAGE[outcome])
        elif outcome == "interviewed":
            last = names.index(self.rng.choice(("Phone Screen", "Face to Face")))
        elif outcome in {"rejected", "withdrawn"}:
            last = self.rng.choices(range(len(names)), [6, 4, *[2] * (len(names) - 2)])[0]
        else:
            last = len(names) - 1
        return list(job.stages[: last + 1])

    def _status(self, stage: Stage, outcome: str) -> CandidateStatus:
        if outcome.startswith("hired") or outcome == "rehired":
            return CandidateStatus.HIRED
        if outcome == "withdrawn":
            return CandidateStatus.WITHDRAWN
        if outcome in _REJECTED:
            return CandidateStatus.REJECTED
        return ats_setup.STATUS_OF_STAGE[stage.name]

    def _write_stages(self, application: Row, course: _Course, job: Job) -> None:
        """A row for every stage of the job, as the vendor shows them; unvisited ones have no times."""
        ends = [at for _, at in course.entered[1:]] + [course.ended_at]
        visited = {stage.id: (at, end) for (stage, at), end in zip(course.entered, ends, strict=True)}
        current = course.last[0]
        for stage in job.stages:
            entered_at, exited_at = visited.get(stage.id, (None, None))
            in_stage = days_between(entered_at, exited_at or self.as_of) if entered_at else 0
            row = self.add(
                "application_stages",
                course.entered[0][1],
                exited_at or entered_at or course.entered[0][1],
                application_id=application["id"],
                job_interview_stage_id=stage.id,
                entered_at=stamp(entered_at) if entered_at else None,
                exited_at=stamp(exited_at) if exited_at else None,
                days_in_stage=int(in_stage),
                current=stage.id == current.id,
            )
            if stage.id == current.id:
                application["stage_id"] = row["id"]

    def _write_rejection(self, application: Row, status: CandidateStatus, at: datetime) -> None:
        reasons = ats_setup.REASON_IDS["theirs" if status is CandidateStatus.WITHDRAWN else "ours"]
        reason_id = self.rng.choice(reasons)
        application["rejected_at"] = stamp(at)
        application["rejection_reason_id"] = reason_id
        self.add(
            "rejection_details",
            at,
            application_id=application["id"],
            rejection_reason_id=reason_id,
            rejected_at=stamp(at),
        )

    # ------------------------------------------------------------ offers and openings

    def _write_hire(
        self, application: Row, job: Job, course: _Course, outcome: str
    ) -> tuple[datetime | None, date | None]:
        """Offers and the opening. Answers the date that counts, and the first day at work."""
        if outcome == "hired_no_offer":
            closed_at = course.ended_at or self.as_of
            self._fill_opening(application, job, closed_at)
            return closed_at, None
        if outcome not in _OFFERED:
            return None, None
        offered_at = course.last[1]
        if outcome == "offered":
            self._offer(application, job, offered_at, "Created")
            return None, None
        ended_at = course.ended_at or min(offered_at + days(1), self.as_of)
        # The recruiter presses "hire" some time after the offer was accepted: the two dates must not be mistaken.
        accepted_at = offered_at + (ended_at - offered_at) * 0.75
        accepted_at -= timedelta(microseconds=accepted_at.microsecond % 1000)
        starts_on = (accepted_at + days(self.rng.randint(14, 60))).date()
        if outcome in {"hired", "hired_late"}:
            opening_id = self._fill_opening(application, job, ended_at)
            self._offer(
                application,
                job,
                offered_at,
                "Accepted",
                resolved_at=accepted_at,
                starts_on=starts_on,
                opening=opening_id,
            )
            return accepted_at, starts_on
        undone_at = offered_at + (accepted_at - offered_at) * 0.5
        undone_at -= timedelta(microseconds=undone_at.microsecond % 1000)
        self._offer(application, job, offered_at, "Deprecated", resolved_at=undone_at, starts_on=starts_on)
        if outcome == "unhired":
            self._offer(application, job, undone_at, "Created", version=2)
        if outcome != "rehired":
            return None, None
        starts_on += timedelta(days=30)
        opening_id = self._fill_opening(application, job, ended_at)
        self._offer(
            application,
            job,
            undone_at,
            "Accepted",
            version=2,
            resolved_at=accepted_at,
            starts_on=starts_on,
            opening=opening_id,
        )
        return accepted_at, starts_on

    def _offer(
        self,
        application: Row,
        job: Job,
        created_at: datetime,
        status: str,
        *,
        version: int = 1,
        resolved_at: datetime | None = None,
        starts_on: date | None = None,
        opening: int | None = None,
    ) -> None:
        self.add(
            "offers",
            created_at,
            resolved_at or created_at,
            version=version,
            application_id=application["id"],
            job_id=job.id,
            candidate_id=application["candidate_id"],
            opening_id=opening,
            status=status,
            sent_on=created_at.date().isoformat(),
            resolved_at=stamp(resolved_at) if resolved_at else None,
            starts_on=starts_on.isoformat() if starts_on else None,
        )

    def _fill_opening(self, application: Row, job: Job, closed_at: datetime) -> int:
        row = self.add(
            "openings",
            job.opened_at or closed_at,
            closed_at,
            job_id=job.id,
            opened_at=stamp(job.opened_at or closed_at),
            closed_at=stamp(closed_at),
            opening_id=f"{job.id % 1000}-{application['id'] % 100_000}",
            application_id=application["id"],
            close_reason_id=ats_setup.CLOSE_REASON_HIRE,
            open=False,
        )
        return row["id"]


def _vendor_status(status: CandidateStatus) -> str:
    if status is CandidateStatus.HIRED:
        return "hired"
    return "rejected" if status in {CandidateStatus.REJECTED, CandidateStatus.WITHDRAWN} else "in_process"
