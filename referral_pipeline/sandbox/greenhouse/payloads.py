"""What the vendor's webhooks carry, action by action, after its published samples.

Belongs here: shapes, differences between actions included (a hire has neither status nor stage, sources are named by
`name` here and by `public_name` there). Does not belong here: which change is which action (`events.py`).

These are the shapes of the older API: an application in process is "active", moments have whole seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from referral_pipeline.sandbox.greenhouse.offers import current_offer
from referral_pipeline.sandbox.greenhouse.schema import Row
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.greenhouse.times import read_date

Payload = dict[str, Any]

_APPLICATION_ACTIONS = frozenset(
    {
        "new_candidate_application",
        "new_prospect_application",
        "application_updated",
        "candidate_stage_change",
        "reject_candidate",
        "unreject_candidate",
        "unhire_candidate",
    }
)
_SOURCE_BY_NAME = frozenset({"new_candidate_application", "new_prospect_application", "candidate_stage_change"})
_STATUSES = {"in_process": "active"}
_WEB = "https://app.greenhouse.io"


class Payloads:
    """Makes payloads from the rows of one store. Raises LookupError for a record or an action that does not exist."""

    def __init__(self, store: GreenhouseStore) -> None:
        self._store = store

    def make(self, action: str, record_id: int, gone: Row | None, anonymized: Sequence[str] | None) -> Payload:
        """The payload of an action about a record; `gone` is the row as it was when it is no longer there."""
        if action in _APPLICATION_ACTIONS:
            return {"application": self._application(action, self._row("applications", record_id))}
        match action:
            case "hire_candidate":
                return {"application": self._hired(self._row("applications", record_id))}
            case "delete_application":
                return {"application": self._deleted_application(gone or self._row("applications", record_id))}
            case "update_candidate":
                return {"candidate": self._candidate(self._row("candidates", record_id))}
            case "delete_candidate" | "merge_candidate":
                return {"person": self._person(action, record_id, gone or self._row("candidates", record_id))}
            case "candidate_anonymized":
                return {"candidate_id": record_id, "anonymized_fields": list(anonymized or ("full_name",))}
            case "offer_created" | "offer_updated" | "offer_approved":
                return _offer(self._row("offers", record_id))
            case "offer_deleted":
                return {"offer": _deleted_offer(gone or self._row("offers", record_id))}
            case "job_created" | "job_updated" | "job_approved":
                return {"job": self._whole_job(self._row("jobs", record_id))}
            case "job_deleted":
                row = gone or self._row("jobs", record_id)
                return {"job": {"id": row["id"], "name": row["name"]}}
            case "job_post_created" | "job_post_updated":
                return _post(self._row("job_posts", record_id))
            case "job_post_deleted":
                return {"job_post": _post(gone or self._row("job_posts", record_id))}
            case _:
                raise LookupError(f"this vendor has no action {action[:40]} on a record")

    # ---------------------------------------------------------------- applications

    def _application(self, action: str, row: Row) -> Payload:
        made: Payload = {
            "id": row["id"],
            "rejected_at": _second(row["rejected_at"]),
            "prospect": row["prospect"],
            "status": _STATUSES.get(row["status"], row["status"]),
            "applied_at": _second(row["created_at"]),
            "last_activity_at": _second(row["last_activity_at"]),
            "url": f"{_WEB}/people/{row['candidate_id']}?application_id={row['id']}",
            "source": self._source(row, "name" if action in _SOURCE_BY_NAME else "public_name"),
            "credited_to": self._credited(row),
            "rejection_reason": self._reason(row),
            "rejection_details": self._rejection(row),
            "current_stage": _stage(row),
            "custom_fields": row["custom_fields"] or {},
            "candidate": self._candidate(self._store.get("candidates", row["candidate_id"])),
            "jobs": [self._job(job) for job in self._jobs_of(row)],
        }
        if action == "reject_candidate":
            del made["candidate"]["url"]
        if action.startswith("new_"):
            for job in made["jobs"]:
                job.update(url=f"{_WEB}/sdash/{job['id']}", hiring_team=_no_team())
            made["prospect_detail"] = {"prospect_pool": None, "prospect_stage": None, "prospect_owner": None}
        return made

    def _hired(self, row: Row) -> Payload:
        store = self._store
        openings = store.find("openings", "application_id", row["id"])
        offer = current_offer(store, row["id"])
        job = store.get("jobs", row["job_id"])
        shape = self._job(job) if job else {}
        brief = {key: shape.get(key) for key in ("id", "name", "requisition_id", "departments", "offices")}
        fields = {"custom_fields": shape.get("custom_fields", {})}
        opened, closed = shape.get("opened_at"), shape.get("closed_at")
        return {
            "id": row["id"],
            "opening": {"opening_id": openings[0]["opening_id"], "custom_fields": []} if openings else None,
            "credited_to": self._credited(row),
            "source": self._source(row, "public_name"),
            "url": f"{_WEB}/people/{row['candidate_id']}?application_id={row['id']}",
            "candidate": self._candidate(store.get("candidates", row["candidate_id"]), brief=True),
            "job": {**brief, "open_date": opened, "close_date": closed, **fields},
            "jobs": [{**brief, "confidential": False, "opened_at": opened, "closed_at": closed, **fields}],
            "custom_fields": row["custom_fields"] or {},
            "offer": offer
            and {
                "id": offer["id"],
                "version": offer["version"],
                "created_at": _second(offer["created_at"]),
                "sent_at": offer["sent_on"],
                "resolved_at": _second(offer["resolved_at"]),
                "starts_at": offer["starts_on"],
                "custom_fields": offer["custom_fields"] or {},
            },
        }

    @staticmethod
    def _deleted_application(row: Row) -> Payload:
        return {
            "id": row["id"],
            "candidate_id": row["candidate_id"],
            "job_id": row["job_id"],
            "created_at": _second(row["created_at"]),
            "source_id": row["source_id"],
            "candidate_rejection_reason_id": row["rejection_reason_id"],
            "rejection_note_id": None,
            "rejected_at": _second(row["rejected_at"]),
            "referrer_id": row["referrer_id"],
            "prospect": row["prospect"],
            "rejected_by_user_id": None,
        }

    def _source(self, row: Row, key: str) -> Payload | None:
        source = self._store.get("sources", row["source_id"])
        return source and {"id": source["id"], key: source["name"]}

    def _credited(self, row: Row) -> Payload | None:
        referrer = self._store.get("referrers", row["referrer_id"])
        if referrer is None:
            return None
        user = self._store.get("users", referrer["user_id"]) or {}
        email, number = user.get("primary_email"), user.get("employee_id")
        return {"id": referrer["id"], "email": email, "name": referrer["name"], "employee_id": number}

    def _reason(self, row: Row) -> Payload | None:
        reason = self._store.get("rejection_reasons", row["rejection_reason_id"])
        kind = {"id": reason["type"]["id"], "name": reason["type"]["name"]} if reason else None
        return reason and {"id": reason["id"], "name": reason["name"], "type": kind}

    def _rejection(self, row: Row) -> Payload | None:
        if row["status"] != "rejected":
            return None
        details = self._store.find("rejection_details", "application_id", row["id"])
        return {"custom_fields": details[0]["question_custom_fields"] if details else {}}

    def _jobs_of(self, row: Row) -> list[Row]:
        ids = row["prospective_job_ids"] if row["prospect"] else [row["job_id"]]
        return [job for job in (self._store.get("jobs", job_id) for job_id in ids) if job is not None]

    # ---------------------------------------------------------------- people and jobs

    def _candidate(self, row: Row | None, *, brief: bool = False) -> Payload:
        if row is None:
            return {}
        made: Payload = {
            "id": row["id"],
            "first_name": row["first_name"],
            "last_name": row["last_name"],
            "title": row["title"],
            "external_id": None,
            "url": f"{_WEB}/people/{row['id']}",
            "is_private": row["private"],
            "can_email": row["can_email"],
            "phone_numbers": row["phone_numbers"],
            "email_addresses": row["email_addresses"],
            "addresses": row["addresses"],
            "educations": [],
            "employments": [],
            "recruiter": None,
            "coordinator": None,
            "attachments": [],
            "custom_fields": row["custom_fields"] or {},
        }
        if not brief:
            made["company"] = row["company"]
            made["created_at"] = _second(row["created_at"])
            made["photo_url"] = None
            made["website_addresses"] = row["website_addresses"]
            made["social_media_addresses"] = row["social_media_addresses"]
            made["tags"] = row["tags"]
        return made

    def _person(self, action: str, record_id: int, row: Row) -> Payload:
        made: Payload = {
            "id": record_id,
            "first_name": row["first_name"],
            "last_name": row["last_name"],
            "company": row["company"],
            "title": row["title"],
            "created_at": _second(row["created_at"]),
            "headline": None,
            "is_private": row["private"],
            "recruiter_user_id": None,
            "coordinator_user_id": None,
            "can_email": row["can_email"],
        }
        if action == "merge_candidate":
            return {**made, "new_candidate_id": self._store.merged.get(record_id)}
        return {**made, "deleted_application_ids": list(row.get("deleted_application_ids", ()))}

    def _job(self, row: Row) -> Payload:
        department = self._store.get("departments", row["department_id"])
        offices = [self._store.get("offices", office_id) for office_id in row["office_ids"]]
        return {
            "id": row["id"],
            "name": row["name"],
            "requisition_id": row["requisition_id"],
            "notes": row["notes"],
            "confidential": row["confidential"],
            "job_post_id": None,
            "status": row["status"],
            "created_by_id": None,
            "created_at": _second(row["created_at"]),
            "opened_at": _second(row["opened_at"]),
            "closed_at": _second(row["closed_at"]),
            "departments": [_named(department)] if department else [],
            "offices": [{**_named(office), "location": office["location"]} for office in offices if office],
            "custom_fields": row["custom_fields"] or {},
        }

    def _whole_job(self, row: Row) -> Payload:
        openings = [
            {"id": opening["id"], "opening_id": opening["opening_id"], "custom_fields": []}
            for opening in self._store.find("openings", "job_id", row["id"])
        ]
        return {**self._job(row), "hiring_team": _no_team(), "openings": openings}

    def _row(self, entity: str, record_id: int) -> Row:
        row = self._store.get(entity, record_id)
        if row is None:
            raise LookupError(f"{entity} has no row {record_id}")
        return row


def _no_team() -> Payload:
    return {"hiring_managers": [], "sourcers": [], "recruiters": [], "coordinators": []}


def _named(row: Row) -> Payload:
    return {"id": row["id"], "name": row["name"], "external_id": row["external_id"]}


def _stage(row: Row) -> Payload | None:
    stage_id = row["job_interview_stage_id"]
    return None if stage_id is None else {"id": stage_id, "name": row["stage_name"], "interviews": []}


def _offer(row: Row) -> Payload:
    return {
        "id": row["id"],
        "application_id": row["application_id"],
        "job_id": row["job_id"],
        "user_id": None,
        "version": row["version"],
        "sent_on": row["sent_on"],
        "resolved_at": _second(row["resolved_at"]),
        "start_date": read_date(row["starts_on"]).strftime("%m/%d/%Y") if row["starts_on"] else None,
        "notes": None,
        "offer_status": row["status"],
        "custom_fields": row["custom_fields"] or {},
    }


def _deleted_offer(row: Row) -> Payload:
    return {
        "id": row["id"],
        "application_id": row["application_id"],
        "offering_user_id": None,
        "offer_status": row["status"],
        "version": row["version"],
        "sent_on": row["sent_on"],
        "resolved_at": _second(row["resolved_at"]),
        "notes": None,
        "job_id": row["job_id"],
    }


def _post(row: Row) -> Payload:
    return {
        "id": row["id"],
        "title": row["title"],
        "location": row["location"],
        "content": row["content"],
        "internal_content": row["internal_content"],
        "updated_at": row["updated_at"],
        "job_id": row["job_id"],
        "external": not row["internal"],
        "internal": row["internal"],
        "live": row["live"],
        "questions": row["questions"],
    }


def _second(stamp: str | None) -> str | None:
    """A moment without its milliseconds: 2026-11-02T09:14:31Z."""
    return None if stamp is None else stamp[:19] + "Z"
