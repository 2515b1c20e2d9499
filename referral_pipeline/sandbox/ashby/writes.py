"""The calls that change something, but for referrals.

Belongs here: from a body to the store's rules, and back to an answer. Does not belong here: the rules
(`sandbox.greenhouse`: people, hiring), referrals (`referrals`), shapes (`payloads`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from referral_pipeline.sandbox.ashby import ids
from referral_pipeline.sandbox.ashby.errors import invalid, not_found
from referral_pipeline.sandbox.ashby.ids import id_of
from referral_pipeline.sandbox.ashby.names import parted
from referral_pipeline.sandbox.ashby.params import FIRST_PRE_INTERVIEW_SCREEN
from referral_pipeline.sandbox.ashby.payloads import OBJECT_TYPES, Payloads
from referral_pipeline.sandbox.ashby.reads import Reads
from referral_pipeline.sandbox.ashby.world import World
from referral_pipeline.sandbox.greenhouse import hiring, people
from referral_pipeline.sandbox.greenhouse.fields import written_fields
from referral_pipeline.sandbox.greenhouse.schema import Row
from referral_pipeline.sandbox.greenhouse.times import read_stamp, stamp

Body = Mapping[str, Any]
_TABLES: Mapping[str, tuple[str, str]] = {
    "Application": ("applications", "application"),
    "Candidate": ("candidates", "candidate"),
    "Job": ("jobs", "job"),
    "Opening": ("openings", "opening"),
}


class Writes:
    """Changes one world. Each method is a call and answers its fields beside `success`.

    All of them raise Refusal; Unprocessable and UnknownId of the store's rules go through.
    """

    def __init__(self, world: World, payloads: Payloads, reads: Reads) -> None:
        self._world = world
        self._store = world.store
        self._payloads = payloads
        self._row = reads.row
        self.calls: Mapping[str, Callable[[Body], dict[str, Any]]] = {
            "candidate.create": self._create_candidate,
            "candidate.update": self._update_candidate,
            "candidate.addTag": self._add_tag,
            "candidateTag.create": self._create_tag,
            "application.create": self._create_application,
            "application.update": self._update_application,
            "application.changeSource": self._update_application,
            "application.changeStage": self._change_stage,
            "candidate.anonymize": self._anonymize,
            "customField.setValue": self._set_value,
            "customField.setValues": self._set_values,
        }

    # ------------------------------------------------------------ people

    def _create_candidate(self, body: Body) -> dict[str, Any]:
        self._check_credit(body)
        row = self.make_candidate(
            body["name"],
            [*([body["email"]] if body.get("email") else []), *body.get("alternateEmailAddresses", ())],
            body.get("phoneNumber"),
            created_at=body.get("createdAt"),
        )
        return {"results": self._payloads.candidate(row)}

    def make_candidate(self, name: str, emails: list[str], phone: str | None, *, created_at: str | None = None) -> Row:
        """Store a new candidate. Duplicates are not refused."""
        if not name.strip():
            raise invalid("name is required")
        now = self._world.now()
        first, last = parted(name)
        columns: dict[str, Any] = {
            "first_name": first,
            "last_name": last,
            "email_addresses": [{"value": value.strip(), "type": "personal"} for value in emails],
            "phone_numbers": [{"value": phone, "type": "mobile"}] if phone else [],
        }
        if created_at is not None:
            columns["created_at"] = stamp(read_stamp(created_at))
        row = people.create_candidate(self._store, people.prepare(self._store, columns, now), now)
        self._store.made_through_api("candidates", row["id"])
        return row

    def _update_candidate(self, body: Body) -> dict[str, Any]:
        row = self._row("candidates", body["candidateId"], "candidate")
        self._check_credit(body)
        now = self._world.now()
        columns: dict[str, Any] = {}
        if "name" in body:
            columns["first_name"], columns["last_name"] = parted(body["name"])
        emails = [dict(item) for item in row["email_addresses"]]
        if body.get("email"):
            emails = [_personal(body["email"]), *(one for one in emails[1:] if not _same(one, body["email"]))]
        if body.get("alternateEmail") and not any(_same(one, body["alternateEmail"]) for one in emails):
            emails = [*emails, _personal(body["alternateEmail"])]
        if emails != row["email_addresses"]:
            columns["email_addresses"] = emails
        if body.get("phoneNumber"):
            kept = row["phone_numbers"] if self._world.switches.phone_update == "adds" else row["phone_numbers"][1:]
            columns["phone_numbers"] = [{"value": body["phoneNumber"], "type": "mobile"}, *kept]
        row = people.change_candidate(self._store, row["id"], people.prepare(self._store, columns, now), now)
        return {"results": self._payloads.candidate(row)}

    def _add_tag(self, body: Body) -> dict[str, Any]:
        row = self._row("candidates", body["candidateId"], "candidate")
        tag = self._row("candidate_tags", body["tagId"], "candidate_tag")
        now = self._world.now()
        columns = people.prepare(self._store, {"tags": [*row["tags"], tag["name"]]}, now)
        return {"results": self._payloads.candidate(people.change_candidate(self._store, row["id"], columns, now))}

    def _create_tag(self, body: Body) -> dict[str, Any]:
        return {"results": self._payloads.tag(people.tag_named(self._store, body["title"], self._world.now()))}

    # ------------------------------------------------------------ applications

    def _create_application(self, body: Body) -> dict[str, Any]:
        candidate = self._row("candidates", body["candidateId"], "candidate")
        job = self._row("jobs", body["jobId"], "job")
        if body.get("interviewPlanId", plan := ids.uuid_of(ids.INTERVIEW_PLANS, job["id"])) != plan:
            raise not_found("interview_plan")
        stage_id, is_lead = self._first_stage(job, body.get("interviewStageId"))
        values = self._credit(body)
        if "createdAt" in body:
            values["created_at"] = stamp(read_stamp(body["createdAt"]))
        row = self.open_application(candidate, job, stage_id, values, is_lead=is_lead)
        answer = {"results": self._payloads.application(row)}
        self.tell(row)
        return answer

    def open_application(
        self, candidate: Row, job: Row, stage_id: int | None, values: dict[str, Any], *, is_lead: bool = False
    ) -> Row:
        """Open an application through the API."""
        hiring.check_can_apply(self._store, candidate["id"], job["id"])
        row = hiring.create_application(
            self._store,
            candidate_id=candidate["id"],
            job_id=job["id"],
            at=self._world.now(),
            initial_stage_id=stage_id,
            values=values,
        )
        self._store.made_through_api("applications", row["id"])
        if is_lead:
            self._world.leads.add(row["id"])
        return row

    def tell(self, row: Row) -> None:
        """Let recruiters act on a new application; what they do is another event."""
        if self._world.on_application_created is not None:
            self._store.flush()
            candidate = self._store.tables["candidates"].rows[row["candidate_id"]]
            self._world.on_application_created(dict(candidate), dict(row))

    def _first_stage(self, job: Row, wanted: str | None) -> tuple[int | None, bool]:
        """The stage of the store in which an application begins, and whether it is a lead only."""
        if wanted is None or wanted == ids.uuid_of(ids.LEAD_STAGES, job["id"]):
            return None, True
        if wanted == FIRST_PRE_INTERVIEW_SCREEN:
            return None, False
        stage_id = id_of("job_interview_stages", wanted)
        if stage_id not in {stage["id"] for stage in hiring.job_stages(self._store, job["id"])}:
            raise not_found("interview_stage")
        return stage_id, False

    def _update_application(self, body: Body) -> dict[str, Any]:
        row = self._row("applications", body["applicationId"], "application")
        values = self._credit(body)
        if "createdAt" in body:
            values["created_at"] = stamp(read_stamp(body["createdAt"]))
        row = self._store.update("applications", row["id"], at=self._world.now(), **values)
        return {"results": self._payloads.application(row)}

    def _change_stage(self, body: Body) -> dict[str, Any]:
        """Move an application, into the archive too, which wants a reason."""
        row = self._row("applications", body["applicationId"], "application")
        stages = {stage["id"]: stage["type"] for stage in self._payloads.stages(row["job_id"])}
        kind = stages.get(body["interviewStageId"])
        if kind is None:
            raise not_found("interview_stage")
        now = self._world.now()
        if (kind == "Archived") is not ("archiveReasonId" in body):
            raise invalid("Archive reason ID is required for archive stages, and not allowed for others")
        if row["status"] == "rejected":
            row = hiring.unreject(self._store, row, now)
        if kind == "Archived":
            reason = self._row("rejection_reasons", body["archiveReasonId"], "archive_reason")
            row = hiring.reject(self._store, row, reason_id=reason["id"], at=now)
        elif kind in {"Hired", "Lead"}:
            raise invalid(f"an application cannot be moved to {kind} here")
        else:
            row = hiring.move(self._store, row, id_of("job_interview_stages", body["interviewStageId"]), now)
        return {"results": self._payloads.application(row)}

    def _anonymize(self, body: Body) -> dict[str, Any]:
        row = self._row("candidates", body["candidateId"], "candidate")
        own = self._store.find("applications", "candidate_id", row["id"])
        if any(one["status"] == "in_process" for one in own):
            raise invalid("all applications must be archived or hired")
        row = people.anonymize(self._store, row, tuple(people.ANONYMIZED), self._world.now())
        return {"results": self._payloads.candidate(row)}

    def _check_credit(self, body: Body) -> None:
        if "sourceId" in body:
            self._row("sources", body["sourceId"], "source")
        if "creditedToUserId" in body:
            self._row("users", body["creditedToUserId"], "user")

    def _credit(self, body: Body) -> dict[str, Any]:
        """Columns for the source and the user who has the credit."""
        self._check_credit(body)
        values: dict[str, Any] = {}
        if "sourceId" in body:
            values["source_id"] = id_of("sources", body["sourceId"])
        if "creditedToUserId" in body:
            values["referrer_id"] = self.referrer(body["creditedToUserId"])
        return values

    def referrer(self, user_uuid: str) -> int:
        """The store's referrer of a user."""
        user = self._row("users", user_uuid, "user")
        known = self._store.find("referrers", "user_id", user["id"])
        if known:
            return int(known[0]["id"])
        return int(self._store.insert("referrers", {"user_id": user["id"], "name": user["name"] or ""})["id"])

    # ------------------------------------------------------------ custom fields

    def _set_value(self, body: Body) -> dict[str, Any]:
        return {"results": self._set(body, [body])[0]}

    def _set_values(self, body: Body) -> dict[str, Any]:
        return {"results": self._set(body, body["values"])}

    def _set(self, body: Body, values: list[Any]) -> list[dict[str, Any]]:
        entity, noun = _TABLES[body["objectType"]]
        row = self._row(entity, body["objectId"], noun)
        entries: list[dict[str, Any]] = []
        shown: list[tuple[str, Any]] = []
        for one in values:
            definition = self._row("custom_fields", one["fieldId"], "custom_field")
            if OBJECT_TYPES[definition["field_type"]] != body["objectType"]:
                raise invalid("the custom field belongs to another type of object")
            if not definition["active"]:
                raise invalid("the custom field is archived")
            value = one["fieldValue"]
            stored = None if value == "" and self._world.switches.cleared_field == "absent" else value
            entries.append({"name_key": definition["name_key"], "value": stored})
            shown.append((definition["name_key"], value))
        fields = written_fields(self._store, entity, entries, before=row["custom_fields"])
        self._store.update(entity, row["id"], at=self._world.now(), custom_fields=fields)
        return [self._payloads.field_value(key, value) for key, value in shown]


def _personal(address: str) -> dict[str, Any]:
    return {"value": address.strip(), "type": "personal"}


def _same(item: Mapping[str, Any], address: str) -> bool:
    return str(item["value"]).casefold() == address.strip().casefold()
