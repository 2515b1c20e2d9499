"""Rows of the store as Ashby shows them.

Belongs here: the shape of each record. Does not belong here: which are shown. What is empty is left out: the vendor's
document allows no null where it declares a text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from referral_pipeline.sandbox.ashby import ids
from referral_pipeline.sandbox.ashby.ids import uuid_of, uuid_or_none
from referral_pipeline.sandbox.ashby.names import joined
from referral_pipeline.sandbox.ashby.world import World
from referral_pipeline.sandbox.greenhouse.hiring import job_stages
from referral_pipeline.sandbox.greenhouse.schema import Row

Json = dict[str, Any]

OBJECT_TYPES: Mapping[str, str] = {
    "application": "Application",
    "candidate": "Candidate",
    "job": "Job",
    "offer": "Offer",
    "opening": "Opening",
    "user_attribute": "Employee",
}
_FIELD_TYPES: Mapping[str, str] = {
    "number": "Number",
    "yes_no": "Boolean",
    "date": "Date",
    "single_select": "ValueSelect",
    "multi_select": "MultiValueSelect",
    "currency": "Currency",
    "long_text": "LongText",
    "number_range": "NumberRange",
}
VALUE_TYPES: Mapping[str, str] = {shown: kept for kept, shown in _FIELD_TYPES.items()}
"""Type of a field as Ashby names it -> as the store does; a text where it is none of these."""
_REASON_TYPES: Mapping[str, str] = {"THEY_REJECTED_US": "RejectedByCandidate", "WE_REJECTED_THEM": "RejectedByOrg"}
_JOB_STATUS: Mapping[str, str] = {"open": "Open", "draft": "Draft", "closed": "Closed"}
_CONTACT_TYPES: Mapping[str, str] = {"personal": "Personal", "home": "Personal", "mobile": "Personal", "work": "Work"}
_EMPLOYMENT = "FullTime"
_NOBODY_ID = 1


class Payloads:
    """Shows rows of one world. Callers hold the store's lock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._store = world.store

    # ------------------------------------------------------------ people

    def candidate(self, row: Row) -> Json:
        """A candidate."""
        emails, phones = _contacts(row["email_addresses"]), _contacts(row["phone_numbers"])
        applications = [one for one in self._store.find("applications", "candidate_id", row["id"]) if is_shown(one)]
        tags = (self._store.find("candidate_tags", "name", name) for name in row["tags"])
        return _filled(
            {
                "id": uuid_of("candidates", row["id"]),
                "createdAt": row["created_at"],
                "updatedAt": row["updated_at"],
                "name": joined(row["first_name"], row["last_name"]),
                "primaryEmailAddress": emails[0] if emails else None,
                "emailAddresses": emails,
                "primaryPhoneNumber": phones[0] if phones else None,
                "phoneNumbers": phones,
                "socialLinks": [],
                "tags": [self.tag(found[0]) for found in tags if found],
                "company": row["company"],
                "position": row["title"],
                "applicationIds": [uuid_of("applications", one["id"]) for one in applications],
                "fileHandles": [],
                "customFields": self.fields("candidates", row),
                "profileUrl": f"https://app.ashbyhq.com/candidate-searches/new/right-side/candidates/"
                f"{uuid_of('candidates', row['id'])}",
            }
        )

    def tag(self, row: Row) -> Json:
        """A tag of candidates."""
        return {"id": uuid_of("candidate_tags", row["id"]), "title": row["name"], "isArchived": False}

    def user(self, row: Row) -> Json:
        """A user."""
        return _filled(
            {
                "id": uuid_of("users", row["id"]),
                "firstName": row["first_name"] or row["name"] or "",
                "lastName": row["last_name"] or "",
                "email": row["primary_email"] or None,
                "globalRole": "Organization Admin" if row["site_admin"] else "Limited Access",
                "isEnabled": not row["deactivated"],
                "updatedAt": row["updated_at"],
            }
        )

    # ------------------------------------------------------------ applications

    def application(self, row: Row, expand: Sequence[str] = ()) -> Json:
        """An application as lists show it."""
        candidate = self._store.tables["candidates"].rows[row["candidate_id"]]
        emails, phones = _contacts(candidate["email_addresses"]), _contacts(candidate["phone_numbers"])
        job = self._store.tables["jobs"].rows[row["job_id"]]
        source = self._store.get("sources", row["source_id"])
        reason = self._store.get("rejection_reasons", row["rejection_reason_id"])
        shown = {
            "id": uuid_of("applications", row["id"]),
            "createdAt": row["created_at"],
            "updatedAt": row["updated_at"],
            "status": self.status(row),
            "customFields": self.fields("applications", row),
            "candidate": _filled(
                {
                    "id": uuid_of("candidates", candidate["id"]),
                    "name": joined(candidate["first_name"], candidate["last_name"]),
                    "primaryEmailAddress": emails[0] if emails else None,
                    "primaryPhoneNumber": phones[0] if phones else None,
                }
            ),
            "currentInterviewStage": self.current_stage(row),
            "source": self.source(source) if source else None,
            "archiveReason": {**self.reason(reason), "customFields": []} if reason else None,
            "archivedAt": row["rejected_at"],
            "job": _filled(
                {
                    "id": uuid_of("jobs", job["id"]),
                    "title": job["name"],
                    "departmentId": uuid_or_none("departments", job["department_id"]),
                }
            ),
            "creditedToUser": self._credited(row),
            "hiringTeam": [],
        }
        if "openings" in expand:
            shown["openings"] = [self.opening(one) for one in self._store.find("openings", "application_id", row["id"])]
        return _filled(shown)

    def application_info(self, row: Row, expand: Sequence[str] = ()) -> Json:
        """An application as `application.info` shows it: with its history."""
        return {**self.application(row, expand), "applicationHistory": self.history(row)}

    def status(self, row: Row) -> str:
        """The status of an application."""
        if row["status"] == "in_process":
            return "Lead" if row["id"] in self._world.leads else "Active"
        return "Hired" if row["status"] == "hired" else "Archived"

    def history(self, row: Row) -> list[Json]:
        """The stages that were entered, oldest first, and the one in which an application ends."""
        plan = {stage["id"]: stage for stage in self.stages(row["job_id"])}
        visited = [
            one for one in self._store.find("application_stages", "application_id", row["id"]) if one["entered_at"]
        ]
        visited.sort(key=lambda one: (one["entered_at"], one["id"]))
        items: list[Json] = []
        for one in visited:
            stage_id = uuid_of("job_interview_stages", one["job_interview_stage_id"])
            stage = self._store.get("job_interview_stages", one["job_interview_stage_id"])
            title = plan[stage_id]["title"] if stage_id in plan else (stage or {}).get("name", "")
            items.append(
                {
                    "id": uuid_of("application_stages", one["id"]),
                    "stageId": stage_id,
                    "title": title,
                    "enteredStageAt": one["entered_at"],
                    "leftStageAt": one["exited_at"],
                }
            )
        if row["status"] != "in_process":
            last = self.current_stage(row)
            ended = row["rejected_at"] or (items[-1]["leftStageAt"] if items else None) or row["updated_at"]
            items.append(
                {
                    "id": uuid_of(ids.ENDS, row["id"]),
                    "stageId": last["id"],
                    "title": last["title"],
                    "enteredStageAt": ended,
                }
            )
        common = {"allowedActions": ["none"]}
        return [_filled({**item, "stageNumber": number, **common}) for number, item in enumerate(items)]

    def _credited(self, row: Row) -> Json | None:
        referrer = self._store.get("referrers", row["referrer_id"])
        user = self._store.get("users", referrer["user_id"]) if referrer else None
        return self.user(user) if user else None

    # ------------------------------------------------------------ stages

    def stages(self, job_id: int) -> list[Json]:
        """The stages of a job's interview plan, in order; with those in which an application begins and ends."""
        inner = job_stages(self._store, job_id)
        rows = [(uuid_of(ids.LEAD_STAGES, job_id), "New Lead", "Lead")]
        rows += [(uuid_of("job_interview_stages", row["id"]), row["name"], _stage_type(row, inner)) for row in inner]
        rows += [
            (uuid_of(ids.HIRED_STAGES, job_id), "Hired", "Hired"),
            (uuid_of(ids.ARCHIVED_STAGES, job_id), "Archived", "Archived"),
        ]
        plan = uuid_of(ids.INTERVIEW_PLANS, job_id)
        return [
            {"id": stage, "title": title, "type": kind, "orderInInterviewPlan": 1000 + place, "interviewPlanId": plan}
            for place, (stage, title, kind) in enumerate(rows)
        ]

    def current_stage(self, row: Row) -> Json:
        """The stage in which an application is."""
        stages = self.stages(row["job_id"])
        kind = self.status(row)
        if kind != "Active":
            return next(stage for stage in stages if stage["type"] == kind)
        wanted = uuid_or_none("job_interview_stages", row["job_interview_stage_id"])
        return next((stage for stage in stages if stage["id"] == wanted), stages[1])

    def plan(self, job: Row) -> Json:
        """The interview plan of a job."""
        return {
            "id": uuid_of(ids.INTERVIEW_PLANS, job["id"]),
            "title": f"{job['name']} plan",
            "isArchived": False,
            "createdAt": job["created_at"],
            "updatedAt": job["created_at"],
        }

    # ------------------------------------------------------------ jobs

    def job(self, row: Row, expand: Sequence[str] = ()) -> Json:
        """A job."""
        plan = uuid_of(ids.INTERVIEW_PLANS, row["id"])
        office = self._store.get("offices", row["office_ids"][0]) if row["office_ids"] else None
        posts = self._store.find("job_posts", "job_id", row["id"])
        shown: Json = {
            "id": uuid_of("jobs", row["id"]),
            "title": row["name"],
            "confidential": row["confidential"],
            "status": _JOB_STATUS[row["status"]],
            "employmentType": _EMPLOYMENT,
            "locationId": uuid_of("offices", office["id"]) if office else None,
            "departmentId": uuid_or_none("departments", row["department_id"]),
            "defaultInterviewPlanId": plan,
            "interviewPlanIds": [plan],
            "customFields": self.fields("jobs", row),
            "jobPostingIds": [uuid_of("job_posts", one["id"]) for one in posts],
            "hiringTeam": [],
            "createdAt": row["created_at"],
            "updatedAt": row["updated_at"],
            "openedAt": row["opened_at"],
            "closedAt": row["closed_at"],
        }
        if "location" in expand and office:
            shown["location"] = {
                "id": uuid_of("offices", office["id"]),
                "name": office["name"],
                "isArchived": False,
                "isRemote": False,
            }
        if "openings" in expand:
            shown["openings"] = [self.opening(one) for one in self._store.find("openings", "job_id", row["id"])]
        return _filled(shown)

    def posting(self, row: Row) -> Json:
        """A posting of a job."""
        job = self._store.tables["jobs"].rows[row["job_id"]]
        department = self._store.get("departments", job["department_id"])
        office = self._store.get("offices", job["office_ids"][0]) if job["office_ids"] else None
        link = row["public_url"] or f"https://jobs.ashbyhq.com/example/{uuid_of('job_posts', row['id'])}"
        name = department["name"] if department else ""
        return {
            "id": uuid_of("job_posts", row["id"]),
            "title": row["title"],
            "jobId": uuid_of("jobs", row["job_id"]),
            "departmentName": name,
            "teamName": name,
            "locationName": office["name"] if office else "",
            "locationIds": {
                "primaryLocationId": uuid_of("offices", office["id"] if office else _NOBODY_ID),
                "secondaryLocationIds": [],
            },
            "employmentType": _EMPLOYMENT,
            "isListed": bool(row["active"] and row["live"] and not row["internal"]),
            "publishedDate": (row["first_published_at"] or row["created_at"])[:10],
            "externalLink": link,
            "applyLink": f"{link}/application",
            "shouldDisplayCompensationOnJobBoard": False,
            "updatedAt": row["updated_at"],
        }

    def opening(self, row: Row) -> Json:
        """An opening."""
        filled = row["application_id"] is not None
        return _filled(
            {
                "id": uuid_of("openings", row["id"]),
                "openedAt": row["opened_at"],
                "closedAt": row["closed_at"],
                "isArchived": False,
                "closeReasonId": uuid_or_none("close_reasons", row["close_reason_id"]),
                "openingState": "Open" if row["open"] else "Filled" if filled else "Closed",
            }
        )

    def department(self, row: Row) -> Json:
        """A department."""
        return _filled(
            {
                "id": uuid_of("departments", row["id"]),
                "name": row["name"],
                "isArchived": False,
                "parentId": uuid_or_none("departments", row["parent_id"]),
                "createdAt": row["created_at"],
                "updatedAt": row["updated_at"],
            }
        )

    # ------------------------------------------------------------ offers

    def offer(self, application_id: int) -> Json | None:
        """The offer of an application with its newest version."""
        versions = self._store.find("offers", "application_id", application_id)
        newest = max(versions, key=lambda row: (row["version"], row["id"]), default=None)
        if newest is None:
            return None
        acceptance, status = _offer_status(newest)
        return _filled(
            {
                "id": uuid_of(ids.OFFER_PROCESSES, application_id),
                "decidedAt": newest["resolved_at"] if newest["status"] in {"Accepted", "Rejected"} else None,
                "applicationId": uuid_of("applications", application_id),
                "acceptanceStatus": acceptance,
                "offerStatus": status,
                "latestVersion": _filled(
                    {
                        "id": uuid_of("offers", newest["id"]),
                        "startDate": f"{newest['starts_on']}T00:00:00.000Z" if newest["starts_on"] else None,
                        "createdAt": newest["created_at"],
                        "openingId": uuid_or_none("openings", newest["opening_id"]),
                        "customFields": [],
                        "fileHandles": [],
                    }
                ),
            }
        )

    # ------------------------------------------------------------ words

    def source(self, row: Row) -> Json:
        """A source."""
        kind = row["type"]
        return {
            "id": uuid_of("sources", row["id"]),
            "title": row["name"],
            "isArchived": False,
            "sourceType": {"id": uuid_of("sources", kind["id"]), "title": kind["name"], "isArchived": False},
        }

    def reason(self, row: Row) -> Json:
        """An archive reason."""
        return {
            "id": uuid_of("rejection_reasons", row["id"]),
            "text": row["name"],
            "reasonType": _REASON_TYPES.get(row["type"]["key"], "Other"),
            "isArchived": False,
        }

    def field(self, row: Row) -> Json:
        """A custom field as it is defined."""
        shown: Json = {
            "id": uuid_of("custom_fields", row["id"]),
            "isPrivate": row["private"],
            "title": row["name"],
            "objectType": OBJECT_TYPES[row["field_type"]],
            "isArchived": not row["active"],
            "fieldType": _FIELD_TYPES.get(row["value_type"], "String"),
            "isRequired": row["required"],
        }
        options = self._store.find("custom_field_options", "custom_field_id", row["id"])
        if shown["fieldType"] in {"ValueSelect", "MultiValueSelect"}:
            shown["selectableValues"] = [
                {"label": one["name"], "value": one["name"], "isArchived": not one["active"]} for one in options
            ]
        return shown

    def fields(self, entity: str, row: Row) -> list[Json]:
        """The custom fields of a record that hold something."""
        shown: list[Json] = []
        for key, entry in (row["custom_fields"] or {}).items():
            if entry["value"] is None:
                continue
            shown.append(self.field_value(key, entry["value"]))
        return shown

    def field_value(self, name_key: str, value: Any) -> Json:
        """One custom field with its value."""
        definition = self._store.find("custom_fields", "name_key", name_key)[0]
        return {
            "id": uuid_of("custom_fields", definition["id"]),
            "isPrivate": definition["private"],
            "title": definition["name"],
            "value": value,
        }


def is_shown(application: Row) -> bool:
    """Whether a row is an application to Ashby: always of a job."""
    return not application["prospect"] and application["job_id"] is not None


def _stage_type(row: Row, of_job: Sequence[Row]) -> str:
    if row["id"] == of_job[0]["id"]:
        return "PreInterviewScreen"
    return "Offer" if row["name"] == "Offer" else "Active"


def _offer_status(row: Row) -> tuple[str, str]:
    if row["status"] == "Created":
        return (
            ("WaitingOnResponse", "WaitingOnCandidateResponse")
            if row["sent_on"]
            else (
                "Created",
                "WaitingOnApprovalStart",
            )
        )
    return {
        "Accepted": ("Accepted", "CandidateAccepted"),
        "Rejected": ("Declined", "CandidateRejected"),
        "Deprecated": ("Cancelled", "OfferCancelled"),
    }[row["status"]]


def _contacts(items: Sequence[Mapping[str, Any]]) -> list[Json]:
    return [
        {"value": item["value"], "type": _CONTACT_TYPES.get(item["type"], "Other"), "isPrimary": place == 0}
        for place, item in enumerate(items)
    ]


def _filled(shown: Mapping[str, Any]) -> Json:
    return {name: value for name, value in shown.items() if value is not None}
