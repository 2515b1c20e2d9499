"""What an ATS has before anybody applies: jobs, stages, sources, reasons, users, the advocacy custom fields.

Belongs here: configuration rows and their ids. Does not belong here: people and what they do (`ats`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from referral_pipeline.sandbox.advocacy.clock import stamp
from referral_pipeline.sandbox.programme.moments import days
from referral_pipeline.vocabulary import CandidateStatus

if TYPE_CHECKING:
    from referral_pipeline.sandbox.programme.ats import AtsWriter

FIRST_IDS = {
    "candidates": 5_120_000_000,
    "applications": 6_230_000_000,
    "application_stages": 9_910_000_000,
    "jobs": 4_410_000_000,
    "job_interview_stages": 8_810_000_000,
    "job_posts": 4_450_000_000,
    "openings": 2_210_000_000,
    "offers": 3_310_000_000,
    "users": 4_020_000_000,
    "referrers": 4_510_000_000,
    "custom_fields": 4_700_000_000,
    "sources": 4_000_000_000,
    "rejection_reasons": 4_030_000_000,
    "rejection_details": 7_710_000_000,
    "departments": 4_060_000_000,
    "offices": 4_070_000_000,
    "close_reasons": 4_080_000_000,
}
"""Where ids of each entity start; all above 2^31, as the vendor's are."""

SOURCE_NAME = "Employee Advocacy"
"""The source of everything that the bridge creates (`options.source_name` of the sandbox's contract)."""

_SOURCES = (
    (SOURCE_NAME, 3, "Referral"),
    ("Job board", 1, "Third-party boards"),
    ("Agency North", 2, "Agencies"),
    ("Company website", 4, "Company marketing"),
    ("Sourced by recruiter", 5, "Prospecting"),
)
SOURCE_IDS = {name: FIRST_IDS["sources"] + number for number, (name, _, _) in enumerate(_SOURCES, 1)}

_REASONS = (
    ("Lacking skill(s)", 1, "WE_REJECTED_THEM", "We rejected them"),
    ("Position filled", 1, "WE_REJECTED_THEM", "We rejected them"),
    ("Accepted another offer", 2, "THEY_REJECTED_US", "They rejected us"),
    ("Compensation", 2, "THEY_REJECTED_US", "They rejected us"),
)
REASON_IDS = {
    "ours": (FIRST_IDS["rejection_reasons"] + 1, FIRST_IDS["rejection_reasons"] + 2),
    "theirs": (FIRST_IDS["rejection_reasons"] + 3, FIRST_IDS["rejection_reasons"] + 4),
}
CLOSE_REASON_HIRE = FIRST_IDS["close_reasons"] + 1

STAGES = ("Application Review", "Phone Screen", "Face to Face", "Offer")
CUSTOM_STAGE = "Bar Raiser"
STATUS_OF_STAGE = {
    "Application Review": CandidateStatus.APPLIED,
    "Phone Screen": CandidateStatus.INTERVIEWED,
    "Face to Face": CandidateStatus.INTERVIEWED,
    "Offer": CandidateStatus.OFFERED,
    CUSTOM_STAGE: CandidateStatus.IN_REVIEW,
}
"""What each stage means under the sandbox's own contract; the custom one is mapped by nobody."""

TAGS = ("referral_id", "advocate_id", "share_id", "content_id", "campaign_tag", "clicks", "shares", "reach")
"""The application custom fields that carry the advocacy data, by `name_key`."""

DEPARTMENTS = ("Engineering", "Sales", "Customer Care", "Finance", "Operations", "Product")
_OFFICES = (("Chicago", "Chicago, Illinois"), ("Berlin", "Berlin, Germany"), ("Lyon", "Lyon, France"))
_TITLES = (
    "Data Engineer",
    "Account Executive",
    "Support Specialist",
    "Controller",
    "Site Manager",
    "Product Manager",
    "Backend Developer",
    "Sales Engineer",
    "Team Lead Care",
    "Payroll Accountant",
    "Logistics Planner",
    "UX Researcher",
)
_HISTORY_DAYS = 440
_OPENINGS_PER_OPEN_JOB = 4


@dataclass(frozen=True)
class Stage:
    """A stage of one job."""

    id: int
    name: str


@dataclass(frozen=True)
class Job:
    """A job of the ATS. `stages` in order."""

    id: int
    name: str
    status: str
    opened_at: datetime | None
    closed_at: datetime | None
    stages: tuple[Stage, ...]

    @property
    def has_bar_raiser(self) -> bool:
        """Whether the job has the stage that no contract maps."""
        return any(stage.name == CUSTOM_STAGE for stage in self.stages)


def set_up(writer: AtsWriter, jobs: int) -> list[Job]:
    """Write the configuration rows and answer the jobs: seven in ten open, a tenth draft, the rest closed."""
    start = writer.as_of - days(_HISTORY_DAYS)
    for name, type_id, type_name in _SOURCES:
        writer.add("sources", start, name=name, type={"id": type_id, "name": type_name})
    for name, type_id, key, type_name in _REASONS:
        writer.add("rejection_reasons", start, name=name, type={"id": type_id, "key": key, "name": type_name})
    writer.add("close_reasons", start, name="Hire - New Headcount")
    writer.add("close_reasons", start, name="Not Filling")
    for name in DEPARTMENTS:
        writer.add("departments", start, name=name)
    for name, location in _OFFICES:
        writer.add("offices", start, name=name, location=location)
    for order, key in enumerate(TAGS):
        writer.add(
            "custom_fields",
            start,
            name=key.replace("_", " ").capitalize(),
            name_key=key,
            field_type="application",
            value_type="short_text",
            sort_order=order,
        )
    writer.add(
        "users",
        start,
        first_name="Robin",
        last_name="Recruiter",
        name="Robin Recruiter",
        primary_email="robin.recruiter@staff.example.com",
        emails=["robin.recruiter@staff.example.com"],
        site_admin=True,
    )
    drafts = max(1, jobs // 10)
    closed = max(1, jobs // 5)
    states = ["open"] * (jobs - drafts - closed) + ["closed"] * closed + ["draft"] * drafts
    return [_job(writer, number, state) for number, state in enumerate(states)]


def _job(writer: AtsWriter, number: int, state: str) -> Job:
    made_at = writer.as_of - days(_HISTORY_DAYS - 1 + writer.rng.random())
    opened_at = None if state == "draft" else made_at
    closed_at = writer.as_of - days(writer.rng.uniform(15, 150)) if state == "closed" else None
    office = number % len(_OFFICES)
    name = f"{_TITLES[number % len(_TITLES)]} {('I', 'II', 'III', 'IV', 'V')[number // len(_TITLES) % 5]}"
    row = writer.add(
        "jobs",
        made_at,
        closed_at or made_at,
        name=name,
        requisition_id=f"REQ-{number + 1:03d}",
        status=state,
        opened_at=stamp(opened_at) if opened_at else None,
        closed_at=stamp(closed_at) if closed_at else None,
        department_id=FIRST_IDS["departments"] + 1 + number % len(DEPARTMENTS),
        office_ids=[FIRST_IDS["offices"] + 1 + office],
    )
    names = (*STAGES[:2], CUSTOM_STAGE, *STAGES[2:]) if number == 1 else STAGES
    stages = tuple(
        Stage(writer.add("job_interview_stages", made_at, job_id=row["id"], sort_order=order, name=name)["id"], name)
        for order, name in enumerate(names)
    )
    if state == "open":
        _publish(writer, row["id"], name, office)
    return Job(row["id"], name, state, opened_at, closed_at, stages)


def _publish(writer: AtsWriter, job_id: int, name: str, office: int) -> None:
    """A post on the job board, and openings that nobody has filled yet."""
    start = writer.as_of - days(_HISTORY_DAYS - 2)
    writer.add(
        "job_posts",
        start,
        title=name,
        job_id=job_id,
        first_published_at=stamp(start),
        public_url=f"https://jobs.example.com/{job_id}",
        location={"type": "free_text", "name": _OFFICES[office][1], "id": None},
    )
    for order in range(_OPENINGS_PER_OPEN_JOB):
        writer.add("openings", start, job_id=job_id, opened_at=stamp(start), sort_order=order, open=True)
