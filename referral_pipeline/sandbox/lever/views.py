"""Records as Lever shows them.

Belongs here: shapes, after the published samples. Does not belong here: which records (`lists`), what may be written
(`writes`).

A contact is a candidate of the store, an opportunity an application, a posting a job. The first stage of a job is that
of new applicants, or of new leads; all others are shared by their names.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from referral_pipeline.sandbox.greenhouse.hiring import job_stages
from referral_pipeline.sandbox.greenhouse.schema import Row
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.greenhouse.times import read_date
from referral_pipeline.sandbox.lever.ids import APPLIED, encode, stage_id
from referral_pipeline.sandbox.lever.memory import APPLICANT, LEAD, Memory, millis
from referral_pipeline.sandbox.lever.switches import LeverSwitches

HIRED_REASON = 4_039_999_999
"""The reason of the type `hired`, which the store need not know."""
EXPANDABLE = frozenset({"applications", "contact", "owner", "stage"})
_WEB = "https://hire.lever.co"
_OFFER_STATUS = {"Accepted": "signed", "Rejected": "denied"}


class Views:
    """Shows the records of one account."""

    def __init__(self, store: GreenhouseStore, memory: Memory) -> None:
        self._store = store
        self._memory = memory

    @property
    def _switches(self) -> LeverSwitches:
        switches = self._store.switches
        assert isinstance(switches, LeverSwitches)
        return switches

    # ---------------------------------------------------------------- opportunities

    def opportunity(self, row: Row, expand: Iterable[str] = (), include: Iterable[str] = ()) -> Row:
        """An opportunity. `include` restricts its fields, `expand` writes out what it refers to."""
        wanted = frozenset(expand)
        candidate = self._store.tables["candidates"].rows[row["candidate_id"]]
        extras = self._memory.of(row["id"])
        reason, archived_at = self._archived(row)
        person = self._person(candidate, reason is not None)
        applied = [] if row["prospect"] else [row]
        stage = self.stage_of(row)
        shown: Row = {
            "id": encode("applications", row["id"]),
            "name": person["name"],
            "headline": person["headline"],
            "contact": self.contact(candidate) if "contact" in wanted else encode("candidates", candidate["id"]),
            "emails": person["emails"],
            "phones": person["phones"],
            "confidentiality": "confidential" if candidate["private"] else "non-confidential",
            "location": "",
            "links": [],
            **self._archived_fields(reason, archived_at),
            "createdAt": millis(row["created_at"]),
            "updatedAt": self._updated_at(row),
            "lastInteractionAt": millis(row["last_activity_at"]),
            "lastAdvancedAt": max((c["updatedAt"] for c in self._changes(row)), default=millis(row["created_at"])),
            "snoozedUntil": None,
            "stage": {"id": stage, "text": self.stage_text(stage)} if "stage" in wanted else stage,
            "stageChanges": self._changes(row),
            "owner": None,
            "tags": self._memory.tags(row),
            "sources": self._memory.sources(row),
            "origin": extras.origin,
            "sourcedBy": None,
            "applications": [
                self.application(one) if "applications" in wanted else encode(APPLIED, one["id"]) for one in applied
            ],
            "resume": None,
            "followers": [],
            "urls": {"list": f"{_WEB}/candidates", "show": f"{_WEB}/candidates/{encode('applications', row['id'])}"},
            "dataProtection": None,
            "isAnonymized": candidate["id"] in self._store.anonymized,
        }
        kept = frozenset(include)
        return {key: value for key, value in shown.items() if key in kept or key == "id"} if kept else shown

    def updated_at(self, row: Row) -> int:
        """When an opportunity was changed, or the contact whose details it shows."""
        candidate = self._store.tables["candidates"].rows[row["candidate_id"]]
        return millis(max(row["updated_at"], candidate["updated_at"])) or 0

    def _updated_at(self, row: Row) -> int | None:
        is_untouched = row["updated_at"] == row["created_at"]
        return None if self._switches.updated_at == "null_when_old" and is_untouched else self.updated_at(row)

    def archived_at(self, row: Row) -> int | None:
        """When it was archived; None while it is not, and where nobody knows."""
        return self._archived(row)[1]

    def reason_of(self, row: Row) -> str | None:
        """Why it is archived; None when it is not."""
        return self._archived(row)[0]

    def _archived(self, row: Row) -> tuple[str | None, int | None]:
        if row["status"] == "hired":
            return encode("rejection_reasons", HIRED_REASON), self._memory.hired_at.get(row["id"])
        if row["status"] == "rejected":
            return encode("rejection_reasons", row["rejection_reason_id"]), millis(row["rejected_at"])
        return None, None

    def _archived_fields(self, reason: str | None, archived_at: int | None) -> Row:
        if self._switches.archived_shape == "flat":
            return {"archivedAt": archived_at, "archiveReason": reason}
        return {"archived": {"reason": reason, "archivedAt": archived_at} if reason is not None else None}

    def _changes(self, row: Row) -> list[Row]:
        entered = [r for r in self._store.find("application_stages", "application_id", row["id"]) if r["entered_at"]]
        return [
            {
                "toStageId": self._stage_id(row, one["job_interview_stage_id"]),
                "toStageIndex": index,
                "userId": None,
                "updatedAt": millis(one["entered_at"]),
            }
            for index, one in enumerate(sorted(entered, key=lambda one: (one["entered_at"], one["id"])))
        ]

    def stage_of(self, row: Row) -> str:
        """The id of the stage that an opportunity stands in."""
        return self._stage_id(row, row["job_interview_stage_id"])

    def _stage_id(self, row: Row, number: int | None) -> str:
        stage = self._store.get("job_interview_stages", number)
        if stage is None:
            return LEAD
        stages = job_stages(self._store, stage["job_id"])
        return self._memory.of(row["id"]).first_stage if stages[0]["id"] == number else stage_id(stage["name"])

    def _person(self, candidate: Row, is_archived: bool) -> Row:
        if self._switches.personal_data == "withheld_when_archived" and is_archived:
            return {"name": "", "headline": "", "emails": [], "phones": []}
        shown = self.contact(candidate)
        return {key: shown[key] for key in ("name", "headline", "emails", "phones")}

    def contact(self, candidate: Row) -> Row:
        """A contact."""
        names = (candidate["first_name"], candidate["last_name"])
        return {
            "id": encode("candidates", candidate["id"]),
            "name": " ".join(part for part in names if part),
            "headline": "",
            "isAnonymized": candidate["id"] in self._store.anonymized,
            "location": {"name": ""},
            "emails": [item["value"] for item in candidate["email_addresses"]],
            "phones": [{"type": item.get("type"), "value": item["value"]} for item in candidate["phone_numbers"]],
        }

    def application(self, row: Row) -> Row:
        """The application of an opportunity, which names its posting."""
        referrer = self._store.get("referrers", row["referrer_id"])
        user = encode("users", referrer["user_id"]) if referrer and referrer["user_id"] else None
        return {
            "id": encode(APPLIED, row["id"]),
            "opportunityId": encode("applications", row["id"]),
            "candidateId": encode("applications", row["id"]),
            "type": "referral" if user else "posting",
            "posting": encode("jobs", row["job_id"]),
            "postingOwner": None,
            "postingHiringManager": None,
            "user": user,
            "createdAt": millis(row["created_at"]),
            "archived": None,
            "requisitionForHire": None,
            "customQuestions": [],
        }

    def referrals(self, row: Row) -> list[Row]:
        """The referral forms of an opportunity. They are read here, and made on the screen only."""
        application = self.application(row)
        if application["user"] is None:
            return []
        return [
            {
                "id": application["id"],
                "type": "referral",
                "text": "Referral",
                "instructions": "",
                "fields": [],
                "baseTemplateId": stage_id("referral form"),
                "user": application["user"],
                "referrer": application["user"],
                "stage": self.stage_of(row),
                "createdAt": application["createdAt"],
                "completedAt": application["createdAt"],
            }
        ]

    def offers(self, row: Row) -> list[Row]:
        """The offers of an opportunity; a version that was replaced is not among them."""
        kept = [o for o in self._store.find("offers", "application_id", row["id"]) if o["status"] != "Deprecated"]
        return [self._offer(row, offer) for offer in kept]

    def _offer(self, row: Row, offer: Row) -> Row:
        sent = offer["sent_on"]
        status = _OFFER_STATUS.get(offer["status"]) or ("sent" if sent else "draft")
        return {
            "id": encode("offers", offer["id"]),
            "posting": encode("jobs", row["job_id"]),
            "createdAt": millis(offer["created_at"]),
            "status": status,
            "creator": None,
            "fields": [
                {
                    "text": "Anticipated start date",
                    "identifier": "anticipated_start_date",
                    "value": _day(offer["starts_on"]),
                }
            ],
            "sentAt": _day(sent),
            "approvedAt": None,
            "sentDocument": None,
            "signedDocument": None,
        }

    # ---------------------------------------------------------------- set-up

    def stages(self) -> list[Row]:
        """All stages, in the order of pipelines."""
        first = [{"id": LEAD, "text": "New lead"}, {"id": APPLICANT, "text": "New applicant"}]
        return [*first, *({"id": stage_id(name), "text": name} for name in self.stage_names())]

    def stage_names(self) -> list[str]:
        """The names of the stages that follow the first of each job."""
        places: dict[str, int] = {}
        for job in self._store.rows("jobs"):
            for place, stage in enumerate(job_stages(self._store, job["id"])):
                if place:
                    places[stage["name"]] = max(places.get(stage["name"], 0), place)
        return sorted(places, key=lambda name: (places[name], name))

    def stage_text(self, wanted: str) -> str:
        """The name of a stage by its id."""
        return next((stage["text"] for stage in self.stages() if stage["id"] == wanted), "")

    def reasons(self) -> list[Row]:
        """All archive reasons."""
        rows = [(row["id"], row["name"], "non-hired") for row in self._store.rows("rejection_reasons")]
        return [
            {"id": encode("rejection_reasons", number), "text": text, "status": "active", "type": kind}
            for number, text, kind in [*rows, (HIRED_REASON, "Hired", "hired")]
        ]

    def posting(self, row: Row) -> Row:
        """A posting."""
        department = self._store.get("departments", row["department_id"])
        posts = self._store.find("job_posts", "job_id", row["id"])
        post = next((p for p in posts if p["active"] and p["live"] and not p["internal"]), None)
        place = (post or {}).get("location") or {}
        posting_id = encode("jobs", row["id"])
        return {
            "id": posting_id,
            "text": row["name"],
            "state": state_of(row),
            "createdAt": millis(row["opened_at"] or row["created_at"]),
            "updatedAt": millis(row["updated_at"]),
            "user": None,
            "owner": None,
            "hiringManager": None,
            "confidentiality": "confidential" if row["confidential"] else "non-confidential",
            "categories": {
                "team": None,
                "department": department["name"] if department else None,
                "location": place.get("name"),
                "commitment": None,
                "level": None,
            },
            "tags": [],
            "content": {"description": "", "lists": [], "closing": ""},
            "urls": {
                "list": "https://jobs.lever.co/example",
                "show": f"https://jobs.lever.co/example/{posting_id}",
                "apply": f"https://jobs.lever.co/example/{posting_id}/apply",
            },
        }

    def user(self, row: Row) -> Row:
        """A user."""
        return {
            "id": encode("users", row["id"]),
            "name": row["name"] or "",
            "username": (row["primary_email"] or "").partition("@")[0],
            "email": row["primary_email"],
            "accessRole": "super admin" if row["site_admin"] else "interviewer",
            "photo": None,
            "createdAt": millis(row["created_at"]),
            "deactivatedAt": millis(row["updated_at"]) if row["deactivated"] else None,
            "externalDirectoryId": None,
        }


def state_of(job: Row) -> str:
    """The state of a posting."""
    return {"open": "published", "closed": "closed"}.get(job["status"], "draft")


def _day(text: str | None) -> int | None:
    """A day as Lever writes it: its midnight in UTC."""
    if text is None:
        return None
    day = read_date(text[:10])
    return round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
