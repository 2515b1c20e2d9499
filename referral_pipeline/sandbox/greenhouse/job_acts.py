"""What administrators do in the product's own screens: jobs, stages, openings, fields, users, reasons.

Belongs here: acts on the set-up. Does not belong here: acts on candidates and applications (`acts.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from referral_pipeline.sandbox.greenhouse.errors import UnknownId, unprocessable
from referral_pipeline.sandbox.greenhouse.hiring import job_stages
from referral_pipeline.sandbox.greenhouse.schema import ENTITIES, Row
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.greenhouse.times import parse_moment, stamp

DEFAULT_STAGES = (
    "Application Review",
    "Preliminary Phone Screen",
    "Phone Interview",
    "Take Home Test",
    "Face to Face",
    "Reference Check",
    "Offer",
)
"""The stages a new job of the product starts with."""


class JobActs:
    """Acts of administrators on one store."""

    def __init__(self, store: GreenhouseStore) -> None:
        self._store = store

    # ---------------------------------------------------------------- jobs

    def add_job(
        self,
        name: str,
        *,
        stages: Sequence[str] = DEFAULT_STAGES,
        openings: int = 1,
        status: str = "open",
        at: datetime | str | None = None,
        **columns: Any,
    ) -> Row:
        """Open a job with its stages and openings."""
        moment = self._moment(at)
        opened = stamp(moment) if status != "draft" else None
        values = {"name": name, "status": status, "opened_at": opened, **columns}
        if status == "closed":
            values.setdefault("closed_at", stamp(moment))
        job = self._store.insert("jobs", values, at=moment)
        for order, stage in enumerate(stages):
            self._store.insert(
                "job_interview_stages", {"job_id": job["id"], "sort_order": order, "name": stage}, at=moment
            )
        for _ in range(openings if status == "open" else 0):
            self.add_opening(job["id"], at=moment)
        return job

    def edit_job(self, job_id: int, *, at: datetime | str | None = None, **changes: Any) -> Row:
        """Change columns of a job."""
        self._row("jobs", job_id)
        return self._store.update("jobs", job_id, at=self._moment(at), **changes)

    def close_job(self, job_id: int, *, at: datetime | str | None = None) -> Row:
        """Close a job and its open openings."""
        moment = self._moment(at)
        self._row("jobs", job_id)
        for opening in self._store.find("openings", "job_id", job_id):
            if opening["open"]:
                self._store.update("openings", opening["id"], at=moment, open=False, closed_at=stamp(moment))
        return self._store.update("jobs", job_id, at=moment, status="closed", closed_at=stamp(moment))

    def reopen_job(self, job_id: int, *, at: datetime | str | None = None) -> Row:
        """Open a closed or draft job, with one more opening."""
        moment = self._moment(at)
        job = self._row("jobs", job_id)
        self.add_opening(job_id, at=moment)
        opened = job["opened_at"] or stamp(moment)
        return self._store.update("jobs", job_id, at=moment, status="open", closed_at=None, opened_at=opened)

    def add_opening(self, job_id: int, *, at: datetime | str | None = None, **columns: Any) -> Row:
        """Add an open opening to a job."""
        moment = self._moment(at)
        job = self._row("jobs", job_id)
        count = len(self._store.find("openings", "job_id", job_id))
        label = f"{job['requisition_id']}-{count + 1}" if job["requisition_id"] else None
        values = {"job_id": job_id, "opened_at": stamp(moment), "sort_order": count, "opening_id": label, **columns}
        return self._store.insert("openings", values, at=moment)

    def add_stage(
        self, job_id: int, name: str, *, before: str | int | None = None, at: datetime | str | None = None
    ) -> Row:
        """Add a stage to a job, at the end or before another one. Applications get a row when they enter it."""
        moment = self._moment(at)
        self._row("jobs", job_id)
        stages = job_stages(self._store, job_id)
        place = len(stages)
        if before is not None:
            place = [stage["id"] for stage in stages].index(self._stage(job_id, before))
        for order, stage in enumerate(stages[place:], start=place + 1):
            self._store.update("job_interview_stages", stage["id"], at=moment, sort_order=order)
        values = {"job_id": job_id, "sort_order": place, "name": name}
        return self._store.insert("job_interview_stages", values, at=moment)

    def rename_stage(
        self, name: str, *, stage: str | int, job_id: int | None = None, at: datetime | str | None = None
    ) -> Row:
        """Rename a stage (by id, or by its old name on a job); applications standing in it show the new name."""
        moment = self._moment(at)
        if isinstance(stage, int):
            stage_id = self._row("job_interview_stages", stage)["id"]
        elif job_id is not None:
            stage_id = self._stage(job_id, stage)
        else:
            raise ValueError("a stage named by its name needs job_id")
        row = self._store.update("job_interview_stages", stage_id, at=moment, name=name)
        for application in self._store.find("applications", "job_id", row["job_id"]):
            if application["job_interview_stage_id"] == stage_id:
                self._store.update("applications", application["id"], at=moment, stage_name=name)
        return row

    # ---------------------------------------------------------------- set-up

    def add_custom_field(
        self,
        name: str,
        *,
        name_key: str | None = None,
        field_type: str = "application",
        value_type: str = "short_text",
        options: Sequence[str] = (),
        at: datetime | str | None = None,
        **columns: Any,
    ) -> Row:
        """Define a custom field, with its options for a select."""
        moment = self._moment(at)
        key = name_key or re.sub(r"\W+", "_", name.lower()).strip("_")
        values = {"name": name, "name_key": key, "field_type": field_type, "value_type": value_type, **columns}
        row = self._store.insert("custom_fields", values, at=moment)
        for order, option in enumerate(options):
            option_values = {"custom_field_id": row["id"], "name": option, "sort_order": order}
            self._store.insert("custom_field_options", option_values, at=moment)
        return row

    def archive_custom_field(self, name_key: str, *, at: datetime | str | None = None) -> Row:
        """Archive a custom field: it stays listed, takes no more values, and keeps those it has."""
        found = self._store.find("custom_fields", "name_key", name_key)
        if not found:
            raise ValueError("no such custom field")
        return self._store.update("custom_fields", found[0]["id"], at=self._moment(at), active=False)

    def add_user(
        self, email: str, first_name: str, last_name: str, *, at: datetime | str | None = None, **columns: Any
    ) -> Row:
        """Add a user."""
        values = {
            "primary_email": email,
            "emails": [email],
            "first_name": first_name,
            "last_name": last_name,
            "name": f"{first_name} {last_name}",
            **columns,
        }
        return self._store.insert("users", values, at=self._moment(at))

    def add_referrer(
        self, *, user_id: int | None = None, name: str | None = None, at: datetime | str | None = None
    ) -> Row:
        """Add a referrer: a user, or somebody outside by name."""
        shown = name or (self._row("users", user_id)["name"] if user_id is not None else "")
        return self._store.insert("referrers", {"user_id": user_id, "name": shown}, at=self._moment(at))

    def add_source(self, name: str, *, strategy: str = "Other", at: datetime | str | None = None) -> Row:
        """Add a source of a strategy."""
        known = {row["type"]["name"]: row["type"]["id"] for row in self._store.rows("sources")}
        kind = {"id": known.get(strategy, 4_000_100 + len(known)), "name": strategy}
        return self._store.insert("sources", {"name": name, "type": kind}, at=self._moment(at))

    def add_rejection_reason(
        self, name: str, *, key: str, built_in: bool = False, at: datetime | str | None = None
    ) -> Row:
        """Add a rejection reason; built-in ones are listed only with include_defaults=true."""
        types = {
            "WE_REJECTED_THEM": {"id": 4_000_001, "key": key, "name": "We rejected them"},
            "THEY_REJECTED_US": {"id": 4_000_002, "key": key, "name": "They rejected us"},
            "NONE_SPECIFIED": {"id": 4_000_003, "key": key, "name": "None specified"},
            "SECURITY_CONCERN": {"id": 4_000_004, "key": key, "name": "Security concern"},
        }
        if key not in types:
            raise ValueError(f"key must be one of {', '.join(types)}")
        row = self._store.insert("rejection_reasons", {"name": name, "type": types[key]}, at=self._moment(at))
        if built_in:
            self._store.built_in_reasons.add(row["id"])
        return row

    def add_row(self, entity: str, values: Mapping[str, Any], *, at: datetime | str | None = None) -> Row:
        """Add a row of any other table (departments, offices, close reasons, job posts, tracking links, tags)."""
        if entity not in ENTITIES:
            raise ValueError(f"no table {entity[:40]}")
        return self._store.insert(entity, values, at=self._moment(at))

    # ---------------------------------------------------------------- helpers

    def _moment(self, at: datetime | str | None) -> datetime:
        return self._store.clock() if at is None else parse_moment(at)

    def _row(self, entity: str, row_id: int) -> Row:
        found = self._store.get(entity, row_id)
        if found is None:
            raise UnknownId(ENTITIES[entity].noun, row_id)
        return found

    def _stage(self, job_id: int, stage: str | int) -> int:
        for row in job_stages(self._store, job_id):
            if stage in (row["id"], row["name"]):
                return int(row["id"])
        raise unprocessable("Stage does not belong to the job")

    def _reason(self, reason: str | int) -> int:
        for row in self._store.rows("rejection_reasons"):
            if reason in (row["id"], row["name"], row["type"]["key"]):
                return int(row["id"])
        raise unprocessable("Rejection reason does not exist")


def set_up_basics(store: GreenhouseStore, *, at: datetime | str | None = None) -> None:
    """What every account has: sources, rejection reasons of each type, close reasons."""
    acts = JobActs(store)
    for name, strategy in (
        ("Referral", "Referral"),
        ("Jobs page on your website", "Company Marketing"),
        ("LinkedIn", "Third-party boards"),
        ("Agency", "Agencies"),
    ):
        acts.add_source(name, strategy=strategy, at=at)
    for name, key, built_in in (
        ("Lacking required skills", "WE_REJECTED_THEM", False),
        ("Hired other candidate", "WE_REJECTED_THEM", False),
        ("Accepted another offer", "THEY_REJECTED_US", False),
        ("Withdrew for personal reasons", "THEY_REJECTED_US", False),
        ("Other", "NONE_SPECIFIED", True),
        ("Flagged", "SECURITY_CONCERN", True),
    ):
        acts.add_rejection_reason(name, key=key, built_in=built_in, at=at)
    for name in ("Hire - New Headcount", "Hire - Backfill", "Close - On Hold", "Close - Cancelled"):
        acts.add_row("close_reasons", {"name": name}, at=at)
