"""Jobs of the ATS on Radancy: found by their reference, made, brought level.

Belongs here: what is written of a job. Does not belong here: reading lists (`radancy_pages`). The numbers are the
invariants of `radancy`.

(11) A job is looked for by its reference before it is made, so that one whose answer was lost is not made twice. An
update takes all attributes, so those that people set are sent as they are. Where applicants are led (`jobPostingUrl`)
is theirs to say: it changes what becomes of an application.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import cast
from urllib.parse import quote

from referral_pipeline.connectors.failures import AmbiguousOutcome, Invalid
from referral_pipeline.connectors.http import HttpClient
from referral_pipeline.connectors.radancy_models import SYSTEM, JobDefaults, JobRow, JobStatus
from referral_pipeline.connectors.records import AtsJob, Row

ALL_JOBS = ",".join(status for status in JobStatus if status is not JobStatus.DELETED)
LONGEST_TITLE = 255

_JOB_STATUSES = {"open": JobStatus.ACTIVE_PUBLISHED, "closed": JobStatus.ACTIVE_CLOSED}
_REFERENCES = {
    "department": "department",
    "location": "location",
    "contactPerson": "contact_person",
    "reward": "reward",
}


class Jobs:
    """Writes jobs. `jobs` lists those that a query finds."""

    def __init__(
        self,
        client: HttpClient,
        company: str,
        defaults: JobDefaults,
        jobs: Callable[[Mapping[str, str]], Iterator[JobRow]],
    ) -> None:
        self._client = client
        self._company = company
        self._defaults = defaults
        self._list = jobs

    def put(self, job: AtsJob) -> None:
        """Bring a job to title, address and status of the ATS's.

        Raises:
            Invalid: a draft, which is not for others to see.
            AmbiguousOutcome: nobody knows whether it was made; it is found by its reference the next time.
        """
        wanted = _JOB_STATUSES.get(job.status)
        if wanted is None:
            raise Invalid(SYSTEM, "jobs.put", detail="the status of a job is open or closed")
        found = self._job_of(job.id)
        title, url = job.title[:LONGEST_TITLE], job.url or None
        if found is None:
            if wanted is not JobStatus.ACTIVE_PUBLISHED:
                return
            body: Row = {name: {"id": getattr(self._defaults, of)} for name, of in _REFERENCES.items()}
            body |= {"title": title, "description": "<p></p>", "hot": False, "referenceNumber": job.id}
            body |= {"careerSiteUrl": url} if url else {}
            made = self._client.call("jobs.create", "POST", f"{self._company}/jobs", json=body).data
            self._put_job_status(_id_of(made), wanted)
            return
        if found.title != title or (url is not None and found.career_site_url != url):
            path = f"{self._company}/jobs/{quote(found.id, safe='')}"
            row = _object(self._client.get("jobs.get", path).data)
            self._client.call("jobs.update", "PUT", path, json=self._updated(row, job.id, title, url))
        if found.status is not wanted:
            self._put_job_status(found.id, wanted)

    def _job_of(self, reference: str) -> JobRow | None:
        """The job of a reference: one that is not archived before one that is."""
        found = [
            job
            for job in self._list({"referenceNumber": reference, "status": ALL_JOBS})
            if job.reference == reference and job.status is not JobStatus.DELETED
        ]
        found.sort(key=lambda job: (job.status is JobStatus.ARCHIVED, job.id))
        return found[0] if found else None

    def _updated(self, row: Row, reference: str, title: str, url: str | None) -> Row:
        """An update takes all attributes: those that people set are sent as they are."""
        kept = {name: row[name] for name in ("endDate", "jobPostingUrl", "careerSiteUrl") if row.get(name) is not None}
        for name in (*_REFERENCES, "jobBranding"):
            if isinstance(row.get(name), dict):
                kept[name] = {"id": row[name].get("id")}
        if isinstance(row.get("responsiblePersons"), list):
            kept["responsiblePersons"] = [{"id": one.get("id")} for one in row["responsiblePersons"]]
        own = {"title": title, "referenceNumber": reference, "hot": bool(row.get("hot"))}
        own["description"] = row.get("description") or ""
        return {**kept, **own, **({"careerSiteUrl": url} if url else {})}

    def _put_job_status(self, job_id: str, status: JobStatus) -> None:
        path = f"{self._company}/jobs/{quote(job_id, safe='')}/status"
        self._client.call("jobs.status", "PUT", path, json={"value": status.value})


def _id_of(made: object) -> str:
    """The id that a create answered. It may have been made: an answer without one came too late to undo anything."""
    job_id: object = cast("Row", made).get("id") if isinstance(made, dict) else None
    if not isinstance(job_id, str):
        raise AmbiguousOutcome(SYSTEM, "jobs.create", detail="the answer shows no id")
    return job_id


def _object(data: object) -> Row:
    if not isinstance(data, dict):
        raise Invalid(SYSTEM, "jobs", detail="the answer is no object")
    return cast("Row", data)
