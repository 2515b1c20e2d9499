"""What a client may change: opportunities, their tags and sources, contacts, webhooks.

Belongs here: from a request to the rules of the store. Does not belong here: the rules, shapes of bodies (`bodies`).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from referral_pipeline.sandbox.greenhouse import hiring, people
from referral_pipeline.sandbox.greenhouse.errors import Unprocessable
from referral_pipeline.sandbox.greenhouse.schema import Row
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.greenhouse.times import stamp
from referral_pipeline.sandbox.lever import bodies
from referral_pipeline.sandbox.lever.errors import bad_request, not_found
from referral_pipeline.sandbox.lever.ids import decode, one_name, stage_id
from referral_pipeline.sandbox.lever.lists import Lists
from referral_pipeline.sandbox.lever.memory import APPLICANT, LEAD, Memory
from referral_pipeline.sandbox.lever.switches import LeverSwitches
from referral_pipeline.sandbox.lever.views import Views

EVENTS = (
    "applicationCreated",
    "candidateHired",
    "candidateStageChange",
    "candidateArchiveChange",
    "candidateDeleted",
    "contactCreated",
    "contactUpdated",
)
"""The events that can be subscribed to here; those of interviews never happen."""


@dataclass(frozen=True)
class Answer:
    """A successful answer; `then` is the contact whose opportunity is new, or which changed, to be told of."""

    status: int
    body: Row
    then: tuple[Row, Row | None] | None = None


class Writes:
    """Changes one account. Every method raises Refusal."""

    def __init__(self, store: GreenhouseStore, memory: Memory, views: Views, lists: Lists) -> None:
        self._store = store
        self._memory = memory
        self._views = views
        self._lists = lists

    # ---------------------------------------------------------------- opportunities

    def create_opportunity(self, body: bodies.NewOpportunity) -> Answer:
        """A new opportunity each time: on the contact that is named or has the address, else on a new one.

        The data of a contact that exists win over those of the request.
        """
        job = self._job(body)
        first_stage, number = self._stage(job, body.stage)
        if body.owner is not None:
            self.user(body.owner)
        at = self._store.clock()
        values: dict[str, Any] = {}
        if body.createdAt is not None:
            if body.createdAt > at.timestamp() * 1000:
                raise bad_request("createdAt lies in the future")
            values["created_at"] = stamp(datetime.fromtimestamp(body.createdAt / 1000, UTC))
        contact, is_deduped = self._contact(body)
        try:
            if job is not None:
                hiring.check_can_apply(self._store, contact["id"] if contact else 0, job["id"])
            if contact is None:
                contact = self._new_contact(body, at)
            if job is None:
                row = hiring.create_prospect(self._store, candidate_id=contact["id"], at=at, values=values)
            else:
                row = hiring.create_application(
                    self._store,
                    candidate_id=contact["id"],
                    job_id=job["id"],
                    at=at,
                    initial_stage_id=number,
                    values=values,
                )
        except Unprocessable as problem:
            raise bad_request(str(problem.entries[0])) from None
        self._store.made_through_api("applications", row["id"])
        extras = self._memory.of(row["id"])
        extras.origin, extras.first_stage = body.origin, first_stage
        row = self._with(row, body.tags, body.sources)
        shown: Row = {"data": self._views.opportunity(row)}
        switches = self._store.switches
        if is_deduped and isinstance(switches, LeverSwitches) and switches.create_tells_deduped:
            shown["deduped"] = True
        candidate = self._store.tables["candidates"].rows[contact["id"]]
        return Answer(201, shown, (candidate, row) if job is not None else None)

    def _with(self, row: Row, tags: list[str], sources: list[str]) -> Row:
        changes: dict[str, Any] = {}
        if sources:
            changes["source_id"] = self._memory.source_named(sources[0])
            self._memory.of(row["id"]).sources.extend(sources[1:])
        if tags:
            changes["custom_fields"] = self._memory.with_tags(row, tags)
        return self._store.update("applications", row["id"], **changes) if changes else row

    def _job(self, body: bodies.NewOpportunity) -> Row | None:
        if not body.postings:
            return None
        job = self._store.get("jobs", decode("jobs", body.postings[0]))
        if job is None:
            raise bad_request(f"postings {body.postings[0][:60]} was not found")
        return job

    def _stage(self, job: Row | None, wanted: str | None) -> tuple[str, int | None]:
        """What the first stage is called on this opportunity, and the stage of the job that it begins in."""
        if wanted in {None, LEAD, APPLICANT}:
            return wanted or LEAD, None
        for stage in hiring.job_stages(self._store, job["id"]) if job else ():
            if stage_id(stage["name"]) == wanted:
                return APPLICANT, stage["id"]
        raise bad_request(f"stages {(wanted or '')[:60]} was not found")

    def _contact(self, body: bodies.NewOpportunity) -> tuple[Row | None, bool]:
        if body.contact is not None:
            row = self._store.get("candidates", decode("candidates", body.contact))
            if row is None:
                raise bad_request(f"contacts {body.contact[:60]} was not found")
            return row, False
        for address in body.emails:
            known = self._lists.contacts_with(address)
            if known:
                return known[0], True
        if body.name is None:
            raise bad_request("name is required")
        return None, False

    def _new_contact(self, body: bodies.NewOpportunity, at: datetime) -> Row:
        first, last = one_name([body.name or ""])
        row = people.create_candidate(
            self._store,
            {"first_name": first, "last_name": last, **_details(body.emails, body.phones)},
            at,
        )
        self._store.made_through_api("candidates", row["id"])
        return row

    def add_tags(self, row: Row, body: bodies.Tags) -> Answer:
        """Add tags; one that is there already changes nothing."""
        return self._fields(row, self._memory.with_tags(row, body.tags))

    def remove_tags(self, row: Row, body: bodies.Tags) -> Answer:
        """Remove tags; one that is not there changes nothing."""
        return self._fields(row, self._memory.without_tags(row, body.tags))

    def _fields(self, row: Row, fields: Mapping[str, Any]) -> Answer:
        row = self._store.update("applications", row["id"], custom_fields=dict(fields))
        return Answer(200, {"data": self._views.opportunity(row)})

    def add_sources(self, row: Row, body: bodies.Sources) -> Answer:
        """Add sources; new names are made."""
        held = self._memory.sources(row)
        new = [name for name in dict.fromkeys(body.sources) if name not in held]
        if new and row["source_id"] is None:
            row = self._store.update("applications", row["id"], source_id=self._memory.source_named(new.pop(0)))
        self._memory.of(row["id"]).sources.extend(new)
        return Answer(200, {"data": self._views.opportunity(row)})

    def remove_sources(self, row: Row, body: bodies.Sources) -> Answer:
        """Remove sources."""
        left = [name for name in self._memory.sources(row) if name not in body.sources]
        source_id = self._memory.source_named(left[0]) if left else None
        self._memory.of(row["id"]).sources[:] = left[1:]
        row = self._store.update("applications", row["id"], source_id=source_id)
        return Answer(200, {"data": self._views.opportunity(row)})

    def archive(self, row: Row, body: bodies.Ended) -> Answer:
        """End an opportunity by a reason; one that has ended gets the new reason."""
        known = {reason["id"]: reason["type"] for reason in self._views.reasons()}
        if body.reason not in known:
            raise bad_request(f"archive_reasons {body.reason[:60]} was not found")
        at = self._store.clock()
        if row["status"] == "hired":
            row = hiring.unhire(self._store, row, at)
        elif row["status"] == "rejected":
            row = hiring.unreject(self._store, row, at)
        reason_id = decode("rejection_reasons", body.reason)
        try:
            if known[body.reason] == "hired":
                opening = hiring.choose_opening(self._store, row, None)
                row = hiring.hire(self._store, row, opening, close_reason_id=None, at=at)
            else:
                assert reason_id is not None
                row = hiring.reject(self._store, row, reason_id=reason_id, at=at)
        except Unprocessable as problem:
            raise bad_request(str(problem.entries[0])) from None
        return Answer(200, {"data": self._views.opportunity(row)})

    # ---------------------------------------------------------------- contacts, users

    def change_contact(self, row: Row, body: bodies.Contact) -> Answer:
        """Change a contact; a list replaces the list that was there."""
        columns: dict[str, Any] = {}
        if body.name is not None:
            columns["first_name"], columns["last_name"] = one_name([body.name])
        details = _details(body.emails or [], body.phones or [])
        if body.emails is not None:
            columns["email_addresses"] = details["email_addresses"]
        if body.phones is not None:
            columns["phone_numbers"] = details["phone_numbers"]
        row = people.change_candidate(self._store, row["id"], columns, self._store.clock())
        return Answer(200, {"data": self._views.contact(row)}, (row, None))

    def user(self, user_id: str) -> Row:
        """A user who may act."""
        row = self._store.get("users", decode("users", user_id))
        if row is None or row["deactivated"]:
            raise bad_request(f"users {user_id[:60]} was not found")
        return row

    # ---------------------------------------------------------------- webhooks

    def create_webhook(self, body: bodies.Webhook) -> Answer:
        """Subscribe to one event. The answer alone shows the token that signs."""
        if body.event not in EVENTS:
            raise bad_request("Invalid event")
        configuration = {"conditions": body.configuration.conditions.model_dump()}
        hook = self._memory.register(
            {
                "id": stage_id(secrets.token_hex(8)),
                "event": body.event,
                "url": body.url,
                "configuration": {**configuration, "signatureToken": secrets.token_hex(24)},
            }
        )
        switches = self._store.switches
        is_double = isinstance(switches, LeverSwitches) and switches.webhook_create_answer == "double"
        return Answer(201, {"data": {"data": hook}} if is_double else {"data": hook})

    def delete_webhook(self, hook_id: str) -> Answer:
        """End a subscription."""
        kept = [hook for hook in self._memory.webhooks if hook["id"] != hook_id]
        if len(kept) == len(self._memory.webhooks):
            raise not_found("webhooks", hook_id)
        self._memory.webhooks[:] = kept
        return Answer(204, {})


def _details(emails: list[str], phones: list[bodies.Phone]) -> dict[str, list[Row]]:
    return {
        "email_addresses": [{"value": value, "type": "personal"} for value in emails],
        "phone_numbers": [{"value": phone.value, "type": phone.type or "mobile"} for phone in phones],
    }
