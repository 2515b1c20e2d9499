"""What people do in the product's own screens: recruiters, coordinators, administrators.

Belongs here: one method per act, named as people call it, and `perform` for the control plane. Does not belong here:
rules shared with the API (`people.py`, `hiring.py`, `offers.py`), acts of job administrators (`job_acts.py`),
acts on many at once (`crowd_acts.py`).

Every act takes `at`, the moment it happens (default now). What is made here is visible at once: the visibility lag is
the API's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from referral_pipeline.sandbox.greenhouse import hiring, offers, people
from referral_pipeline.sandbox.greenhouse.crowd_acts import CrowdActs
from referral_pipeline.sandbox.greenhouse.errors import UnknownId, Unprocessable, unprocessable
from referral_pipeline.sandbox.greenhouse.fields import plain_fields
from referral_pipeline.sandbox.greenhouse.schema import ENTITIES, Row
from referral_pipeline.sandbox.greenhouse.times import parse_moment, read_date, stamp

When = datetime | str | None


class ActRefused(Exception):
    """An act that is unknown, lacks something, or that a rule forbids; the text says why."""


class Acts(CrowdActs):
    """All acts on one store. Acts raise Unprocessable or UnknownId; `perform` turns both into ActRefused."""

    def perform(self, action: str, arguments: Mapping[str, Any]) -> Row:
        """Do the act of this name; answers the row that it changed (empty for a deletion). Raises ActRefused."""
        act: Callable[..., Row | None] | None = None
        if not action.startswith("_") and action != "perform":
            act = getattr(self, action, None)
        if act is None or not callable(act):
            raise ActRefused(f"there is no act {action[:40]}")
        try:
            inspect.signature(act).bind(**arguments)
        except TypeError as error:
            raise ActRefused(f"{action}: {error}") from error
        try:
            return act(**arguments) or {}
        except Unprocessable as problem:
            raise ActRefused(f"{action}: {problem.entries[0]}") from problem
        except UnknownId as problem:
            raise ActRefused(f"{action}: {problem}") from problem
        except ValueError as error:
            raise ActRefused(f"{action}: {error}") from error
        finally:
            self._store.flush()

    # ---------------------------------------------------------------- candidates

    def create_candidate(
        self,
        *,
        first_name: str,
        last_name: str,
        emails: Sequence[str] = (),
        phones: Sequence[str] = (),
        job_id: int | None = None,
        stage: str | int | None = None,
        application: Mapping[str, Any] | None = None,
        at: When = None,
        **columns: Any,
    ) -> Row:
        """Enter a candidate by hand, with an application when `job_id` is given. Answers the candidate."""
        moment = self._moment(at)
        values = {
            **columns,
            "first_name": first_name,
            "last_name": last_name,
            "email_addresses": [{"value": value, "type": "personal"} for value in emails],
            "phone_numbers": [{"value": value, "type": "mobile"} for value in phones],
        }
        row = people.create_candidate(self._store, self._columns("candidates", values, moment), moment)
        if job_id is not None:
            self.create_application(
                candidate_id=row["id"], job_id=job_id, stage=stage, at=moment, **dict(application or {})
            )
        return self._row("candidates", row["id"])

    def edit_candidate(self, candidate_id: int, *, at: When = None, **changes: Any) -> Row:
        """Change columns of a candidate; `emails` and `phones` are short for the whole lists."""
        moment = self._moment(at)
        if "emails" in changes:
            changes["email_addresses"] = [{"value": v, "type": "personal"} for v in changes.pop("emails")]
        if "phones" in changes:
            changes["phone_numbers"] = [{"value": v, "type": "mobile"} for v in changes.pop("phones")]
        candidate = self._row("candidates", candidate_id)
        columns = self._columns("candidates", changes, moment, before=candidate)
        return people.change_candidate(self._store, candidate_id, columns, moment)

    def merge(self, primary_id: int, secondary_id: int, *, at: When = None) -> Row:
        """Merge the secondary candidate into the primary."""
        primary, secondary = self._row("candidates", primary_id), self._row("candidates", secondary_id)
        return people.merge(self._store, primary, secondary, self._moment(at))

    def anonymize(self, candidate_id: int, *, fields: Sequence[str] | None = None, at: When = None) -> Row:
        """Anonymize a candidate; everything unless `fields` are named."""
        candidate = self._row("candidates", candidate_id)
        return people.anonymize(self._store, candidate, list(fields or people.ANONYMIZED), self._moment(at))

    def delete_candidate(self, candidate_id: int, *, at: When = None) -> None:
        """Delete a candidate with all applications."""
        people.delete_candidate(self._store, self._row("candidates", candidate_id)["id"], self._moment(at))

    # ---------------------------------------------------------------- applications

    def create_application(
        self, *, candidate_id: int, job_id: int, stage: str | int | None = None, at: When = None, **columns: Any
    ) -> Row:
        """Add a candidate to a job by hand."""
        moment = self._moment(at)
        self._row("candidates", candidate_id)
        values = self._columns("applications", columns, moment)
        stage_id = None if stage is None else self._stage(job_id, stage)
        return hiring.create_application(
            self._store, candidate_id=candidate_id, job_id=job_id, at=moment, initial_stage_id=stage_id, values=values
        )

    def create_prospect(self, *, candidate_id: int, at: When = None, **columns: Any) -> Row:
        """Add a candidate as a prospect."""
        moment = self._moment(at)
        self._row("candidates", candidate_id)
        values = self._columns("applications", columns, moment)
        return hiring.create_prospect(self._store, candidate_id=candidate_id, at=moment, values=values)

    def edit_application(self, application_id: int, *, at: When = None, **changes: Any) -> Row:
        """Change columns of an application (source, referrer, recruiter, custom fields by name_key)."""
        moment = self._moment(at)
        application = self._row("applications", application_id)
        columns = self._columns("applications", changes, moment, before=application)
        return self._store.update("applications", application_id, at=moment, **columns)

    def move(self, application_id: int, *, stage: str | int | None = None, at: When = None) -> Row:
        """Move to a stage by name or id, else to the next one."""
        application = self._row("applications", application_id)
        stage_id = None if stage is None else self._stage(application["job_id"], stage)
        return hiring.move(self._store, application, stage_id, self._moment(at))

    def transfer(self, application_id: int, job_id: int, *, stage: str | int | None = None, at: When = None) -> Row:
        """Transfer to another job."""
        application = self._row("applications", application_id)
        stage_id = None if stage is None else self._stage(job_id, stage)
        return hiring.move_to_job(self._store, application, job_id, stage_id, self._moment(at))

    def reject(
        self,
        application_id: int,
        *,
        reason: str | int = "WE_REJECTED_THEM",
        notes: str | None = None,
        by_user_id: int | None = None,
        at: When = None,
    ) -> Row:
        """Reject; `reason` is a rejection reason's id, its name, or a type's key (its first reason is taken)."""
        application = self._row("applications", application_id)
        return hiring.reject(
            self._store,
            application,
            reason_id=self._reason(reason),
            at=self._moment(at),
            actor_id=by_user_id,
            notes=notes,
        )

    def unreject(self, application_id: int, *, at: When = None) -> Row:
        """Take a rejection back."""
        return hiring.unreject(self._store, self._row("applications", application_id), self._moment(at))

    def hire(
        self, application_id: int, *, opening_id: int | None = None, close_reason_id: int | None = None, at: When = None
    ) -> Row:
        """Mark as hired; fills the opening named, else the offer's, else the first open one, else none."""
        application = self._row("applications", application_id)
        open_ones = {row["id"]: row for row in self._store.find("openings", "job_id", application["job_id"])}
        open_ones = {row_id: row for row_id, row in open_ones.items() if row["open"]}
        if opening_id is not None and opening_id not in open_ones:
            raise unprocessable("Opening does not exist or is not open on this job")
        offer = offers.current_offer(self._store, application_id)
        wanted = opening_id if opening_id is not None else (offer or {}).get("opening_id")
        opening = open_ones.get(wanted) if wanted is not None else None
        if opening is None:
            opening = next(iter(open_ones.values()), None)
        return hiring.hire(self._store, application, opening, close_reason_id=close_reason_id, at=self._moment(at))

    def unhire(self, application_id: int, *, keep_offer: bool = False, at: When = None) -> Row:
        """Take a hire back; the offer counts as unanswered again unless it is kept."""
        moment = self._moment(at)
        row = hiring.unhire(self._store, self._row("applications", application_id), moment)
        if not keep_offer:
            offers.reopen_offer(self._store, application_id, moment)
        return row

    def delete_application(self, application_id: int, *, at: When = None) -> None:
        """Delete an application."""
        hiring.delete_application(self._store, self._row("applications", application_id)["id"], self._moment(at))

    # ---------------------------------------------------------------- offers

    def offer_create(
        self, application_id: int, *, starts_on: str | None = None, opening_id: int | None = None, at: When = None
    ) -> Row:
        """Make an offer."""
        values: dict[str, Any] = {"starts_on": None if starts_on is None else read_date(starts_on).isoformat()}
        if opening_id is not None:
            values["opening_id"] = opening_id
        return offers.create_offer(self._store, self._row("applications", application_id), values, self._moment(at))

    def offer_change(self, application_id: int, *, at: When = None, **changes: Any) -> Row:
        """Change the present offer; another start date or opening makes a new version."""
        columns = self._columns("offers", changes, self._moment(at), before=self._offer(application_id))
        return offers.change_offer(self._store, self._offer(application_id), columns, self._moment(at))

    def offer_send(self, application_id: int, *, sent_on: str | None = None, at: When = None) -> Row:
        """Send the present offer."""
        moment = self._moment(at)
        day = read_date(sent_on).isoformat() if sent_on else moment.date().isoformat()
        return self._store.update("offers", self._offer(application_id)["id"], at=moment, sent_on=day)

    def offer_accept(
        self, application_id: int, *, resolved_at: When = None, starts_on: str | None = None, at: When = None
    ) -> Row:
        """Record that the candidate accepted; a start date that differs from the offer's makes a new version first."""
        moment = self._moment(at if at is not None else resolved_at)
        offer = self._offer(application_id)
        if starts_on is not None and offer["starts_on"] is None:
            offer = self._store.update("offers", offer["id"], at=moment, starts_on=read_date(starts_on).isoformat())
        elif starts_on is not None and offer["starts_on"] != starts_on:
            sent_on = offer["sent_on"]
            offer = offers.change_offer(self._store, offer, {"starts_on": read_date(starts_on).isoformat()}, moment)
            offer = self._store.update("offers", offer["id"], at=moment, sent_on=sent_on)
        when = self._moment(resolved_at if resolved_at is not None else at)
        return offers.answer_offer(self._store, offer, "Accepted", resolved_at=when, at=moment)

    def offer_reject(self, application_id: int, *, resolved_at: When = None, at: When = None) -> Row:
        """Record that the candidate declined."""
        moment = self._moment(at if at is not None else resolved_at)
        when = self._moment(resolved_at if resolved_at is not None else at)
        return offers.answer_offer(self._store, self._offer(application_id), "Rejected", resolved_at=when, at=moment)

    # ---------------------------------------------------------------- helpers

    def _offer(self, application_id: int) -> Row:
        self._row("applications", application_id)
        offer = offers.current_offer(self._store, application_id)
        if offer is None:
            raise unprocessable("Application has no offer")
        return offer

    def _columns(
        self, entity: str, values: Mapping[str, Any], at: datetime, *, before: Row | None = None
    ) -> dict[str, Any]:
        columns = dict(values)
        unknown = set(columns) - set(ENTITIES[entity].empty) - {"created_at", "is_private"}
        if unknown:
            raise ValueError(f"{entity} has no column {sorted(unknown)[0]}")
        if entity == "candidates":
            columns = people.prepare(self._store, columns, at)
        if entity == "applications":
            hiring.check_references(self._store, {key: value for key, value in columns.items() if value is not None})
        if "created_at" in columns:
            columns["created_at"] = stamp(parse_moment(columns["created_at"]))
        if "custom_fields" in columns:
            kept = dict(before["custom_fields"] or {}) if before else {}
            columns["custom_fields"] = {**kept, **plain_fields(self._store, entity, columns["custom_fields"])}
        return columns
