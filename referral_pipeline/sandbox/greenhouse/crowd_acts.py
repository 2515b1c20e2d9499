"""Many acts at once, for measurements.

Belongs here: bulk forms of what a person does one by one. Does not belong here: the single acts (`acts.py`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from referral_pipeline.sandbox.greenhouse import hiring, people
from referral_pipeline.sandbox.greenhouse.errors import Unprocessable, unprocessable
from referral_pipeline.sandbox.greenhouse.fields import plain_fields
from referral_pipeline.sandbox.greenhouse.job_acts import JobActs
from referral_pipeline.sandbox.greenhouse.schema import Row

LARGEST = 20_000
_numbers = itertools.count(1)


class CrowdActs(JobActs):
    """Acts on many records. Each record's change is an event of its own."""

    def create_applications(
        self,
        count: int,
        *,
        job_ids: Sequence[int] | None = None,
        stage: str | None = None,
        tags: Sequence[str] = (),
        at: datetime | str | None = None,
    ) -> Row:
        """Enter `count` new people with an application each, on these jobs in turn (else on all open ones).

        `tags` are referral ids for the application's field `referral_id`, one for each from the first on.
        """
        moment = self._moment(at)
        open_ones = [int(row["id"]) for row in self._store.rows("jobs") if row["status"] == "open"]
        jobs = list(job_ids or open_ones)
        if not 1 <= count <= LARGEST or not jobs:
            raise unprocessable(f"count must be from 1 to {LARGEST}, and a job must be open")
        stages = {job_id: None if stage is None else self._stage(job_id, stage) for job_id in jobs}
        candidates: list[int] = []
        applications: list[int] = []
        for number, job_id in zip(range(count), itertools.cycle(jobs), strict=False):
            name = next(_numbers)
            columns: dict[str, Any] = {
                "first_name": "Crowd",
                "last_name": f"Member {name}",
                "email_addresses": [{"value": f"member.{name:06d}@people.example.net", "type": "personal"}],
            }
            candidate = people.create_candidate(self._store, columns, moment)
            values: dict[str, Any] = {}
            if number < len(tags):
                values["custom_fields"] = plain_fields(self._store, "applications", {"referral_id": tags[number]})
            row = hiring.create_application(
                self._store,
                candidate_id=candidate["id"],
                job_id=job_id,
                at=moment,
                initial_stage_id=stages[job_id],
                values=values,
            )
            candidates.append(candidate["id"])
            applications.append(row["id"])
            self._store.flush()
        return {"application_ids": applications, "candidate_ids": candidates}

    def advance_applications(
        self, application_ids: Sequence[int], *, stage: str | None = None, at: datetime | str | None = None
    ) -> Row:
        """Move each to its next stage, or to the one named; answers which could not be moved."""
        advanced: list[int] = []
        refused: list[int] = []
        for application_id in application_ids:
            row = self._row("applications", application_id)
            try:
                stage_id = None if stage is None else self._stage(row["job_id"], stage)
                hiring.move(self._store, row, stage_id, self._moment(at))
                advanced.append(application_id)
            except Unprocessable:
                refused.append(application_id)
            self._store.flush()
        return {"advanced": advanced, "refused": refused}
