"""The account: applications, users and jobs, over the store of the advocacy sandbox.

Belongs here: what the platform knows of them, and what can be done to them. Does not belong here: HTTP, the form of
resources (`resources`).

An application is a referral whose person applied and accepted the terms: whoever only clicked, or whose consent is
missing, taken back or over, is not in the API. Jobs are the platform's own records, with the ATS's id as reference.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from referral_pipeline.sandbox.advocacy import clock
from referral_pipeline.sandbox.advocacy.store import AdvocacyStore
from referral_pipeline.sandbox.radancy.faults import INVALID, NO_APPLICATION, NO_USER, NOT_THERE, Fault
from referral_pipeline.sandbox.radancy.ids import CONTACT, DEPARTMENT_IDS, LOCATION, REWARD, id_of

Row = dict[str, Any]

IN_PROGRESS, HIRED, CLOSED = "IN_PROGRESS", "HIRED", "CLOSED"
CLOSE_REASONS = (
    "CANDIDATE_KNOWN",
    "CANDIDATE_REJECTED",
    "CANDIDATE_WITHDRAWN",
    "CANDIDATE_EVIDENCE",
    "APPLICATION_INVALID",
)
JOB_STATUSES = ("DRAFT", "ACTIVE_PUBLISHED", "ACTIVE_CLOSED", "ARCHIVED", "DELETED")
_NEXT: dict[str, tuple[str, ...]] = {
    "DRAFT": ("ACTIVE_PUBLISHED",),
    "ACTIVE_PUBLISHED": ("ACTIVE_CLOSED", "ARCHIVED"),
    "ACTIVE_CLOSED": ("ACTIVE_PUBLISHED", "ARCHIVED"),
    "ARCHIVED": ("ACTIVE_PUBLISHED",),
}
"""Which state of a job leads to which. The vendor's picture of them is not text: a guess, on the strict side."""
_IN_OURS = {"DRAFT": "draft", "ACTIVE_PUBLISHED": "open"}


class Account:
    """One account. Not safe for threads: one event loop owns it."""

    def __init__(self, store: AdvocacyStore) -> None:
        self.store = store
        self.jobs: dict[str, Row] = {}

    # ------------------------------------------------------------ applications

    def applications(self) -> list[Row]:
        """Those that the API shows, oldest first."""
        rows = [row for row in self.store.tables["referrals"].rows.values() if self.is_shown(row)]
        return sorted(rows, key=lambda row: (applied_at(row), row["id"]))

    def application(self, application_id: str) -> Row:
        """One of them."""
        row = self.store.tables["referrals"].rows.get(application_id)
        if row is None or not self.is_shown(row):
            raise Fault(404, NO_APPLICATION, "the requested job application does not exist")
        return row

    def is_shown(self, row: Row) -> bool:
        """Whether somebody applied, and agreed to be here."""
        consent = row["consent"]
        if row["stage"] == "clicked" or not consent or not consent["granted"]:
            return False
        return not consent["expires_at"] or consent["expires_at"] > clock.stamp(self.store.now())

    def put_status(self, application_id: str, body: Row) -> Row:
        """Take a status; the store knows it in the words of the programme."""
        row = self.application(application_id)
        value = body["value"]
        changes: Row = {"status": None, "starts_on": None, "close_reason": None, "pay_reward": False}
        if value == HIRED:
            changes |= {
                "status": "hired",
                # What is not said again stays as it was said.
                "starts_on": body.get("firstDayOfWork", row["starts_on"]),
                "pay_reward": body.get("payReward", row.get("pay_reward", False)),
            }
        elif value == CLOSED:
            changes |= {"status": "rejected", "close_reason": body["closeReason"]}
        elif row["stage"] == "withdrawn":
            changes["stage"] = "applied"
        changed = self.store.change("referrals", application_id, changes)
        word = changes["status"] or "in_review"
        arrival = {"referral_id": application_id, "status": word, "at": time.time(), "changed": changed is not row}
        self.store.arrivals.append(arrival)
        if value != IN_PROGRESS:
            self.store.announce("application.hired" if value == HIRED else "application.closed", changed)
        return changed

    def pay_rewards(self) -> list[str]:
        """The platform pays what is to be paid."""
        due = [row["id"] for row in self.applications() if row.get("pay_reward") and not row.get("reward_paid")]
        for application_id in due:
            self.store.change("referrals", application_id, {"reward_paid": True})
        return due

    # ------------------------------------------------------------ users

    def users(self) -> list[Row]:
        """All users, in order of their ids."""
        return sorted(self.store.tables["advocates"].rows.values(), key=lambda row: row["id"])

    def user(self, user_id: str) -> Row:
        """One user. The recruiter whom the contract names for jobs is one too."""
        if user_id == CONTACT:
            return {"id": CONTACT, "email": "recruiting@staff.example.com", "department": "Other", "eligible": True}
        row = self.store.tables["advocates"].rows.get(user_id)
        if row is None:
            raise Fault(404, NO_USER, "the requested user does not exist")
        return row

    # ------------------------------------------------------------ jobs

    def load_jobs(self, references: Iterable[str], titles: dict[str, str]) -> None:
        """Jobs that people typed in long ago, under the ATS's ids; their titles are what was remembered of them."""
        for reference in references:
            job_id = id_of("jobs", reference)
            self.jobs[job_id] = {
                **_new_job(job_id, clock.stamp(self.store.now())),
                "title": f"{titles.get(reference, 'Somebody')} wanted",
                "referenceNumber": reference,
                "status": "ACTIVE_PUBLISHED",
                "by_hand": True,
            }

    def job(self, job_id: str) -> Row:
        """One job."""
        if job_id not in self.jobs:
            raise Fault(404, NOT_THERE, "the resource you have called couldn't be found")
        return self.jobs[job_id]

    def job_of(self, reference: str) -> Row:
        """The job that an application is for; a live one may be for a job that nobody has told of yet."""
        found = next((row for row in self.jobs.values() if row["referenceNumber"] == reference), None)
        if found is None:
            self.load_jobs([reference], {})
            found = self.jobs[id_of("jobs", reference)]
        return found

    def create_job(self, body: Row) -> Row:
        """A job as a draft."""
        job_id = self.store.new_id("jobs")
        self.jobs[job_id] = {**_new_job(job_id, clock.stamp(self.store.now())), **_attributes(body), "by_hand": False}
        return self.jobs[job_id]

    def update_job(self, job_id: str, body: Row) -> Row:
        """All attributes of a job, those that are not sent emptied."""
        job = self.job(job_id)
        job |= {**_attributes(body), "by_hand": False}
        return job

    def put_job_status(self, job_id: str, value: str) -> Row:
        """The next state of a job."""
        job = self.job(job_id)
        if value != job["status"] and value not in _NEXT.get(job["status"], ()):
            raise Fault(400, INVALID, f"value: {job['status']} does not become {value}")
        job |= {"status": value, "by_hand": False}
        return job

    # ------------------------------------------------------------ the inside

    def dump(self) -> dict[str, list[Row]]:
        """All rows by entity; of jobs those that the integration wrote, under the ATS's ids."""
        jobs = [
            {"id": job["referenceNumber"], "title": job["title"], "status": _IN_OURS.get(job["status"], "closed")}
            for job in self.jobs.values()
            if not job["by_hand"]
        ]
        return {**self.store.dump(), "jobs": jobs}


def status_of(row: Row) -> str:
    """The platform's word for an application."""
    if row["status"] == "hired":
        return HIRED
    return CLOSED if row["status"] == "rejected" or row["stage"] == "withdrawn" else IN_PROGRESS


def applied_at(row: Row) -> str:
    """When somebody applied, in whole seconds: `2016-03-23T08:37:15Z`."""
    return f"{(row['applied_at'] or row['submitted_at'])[:19]}Z"


def _new_job(job_id: str, now: str) -> Row:
    return {
        "id": job_id,
        "title": "",
        "referenceNumber": None,
        "status": "DRAFT",
        "creationDate": f"{now[:19]}Z",
        "description": "",
        "endDate": None,
        "hot": False,
        "department": next(iter(DEPARTMENT_IDS.values())),
        "location": LOCATION,
        "contactPerson": CONTACT,
        "reward": REWARD,
        "responsiblePersons": [],
        "jobBranding": None,
        "jobPostingUrl": None,
        "careerSiteUrl": None,
    }


def _attributes(body: Row) -> Row:
    own: Row = {name: body.get(name) for name in ("referenceNumber", "endDate", "jobPostingUrl", "careerSiteUrl")}
    own |= {"title": body["title"], "description": body["description"], "hot": body.get("hot", False)}
    own |= {name: body[name]["id"] for name in ("department", "location", "contactPerson", "reward")}
    own["responsiblePersons"] = [one["id"] for one in body.get("responsiblePersons", [])]
    own["jobBranding"] = body["jobBranding"]["id"] if body.get("jobBranding") else None
    return own
