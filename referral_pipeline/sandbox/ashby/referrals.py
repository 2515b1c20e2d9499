"""The referral form and referrals made with it.

Belongs here: the form that this Ashby has, and what a submission becomes. Does not belong here: candidates and
applications as such (`writes`).

The form is of our making: the vendor's document shows none whole, and paths are each account's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from referral_pipeline.sandbox.ashby import ids
from referral_pipeline.sandbox.ashby.errors import Refusal, invalid, not_found
from referral_pipeline.sandbox.ashby.ids import id_of, uuid_of
from referral_pipeline.sandbox.ashby.payloads import Payloads
from referral_pipeline.sandbox.ashby.reads import Reads
from referral_pipeline.sandbox.ashby.world import World
from referral_pipeline.sandbox.ashby.writes import Writes

Body = Mapping[str, Any]

FORM_ID = uuid_of(ids.INTERVIEW_PLANS, 7)
_FIELDS = (
    ("_systemfield.name", "String", "Name", True),
    ("_systemfield.email", "Email", "Email", True),
    ("_systemfield.phone", "Phone", "Phone number", False),
    ("_systemfield.job", "Job", "Job", True),
    ("c0ffee01", "LongText", "Why do you refer this person?", False),
)


class Referrals:
    """Referrals of one world."""

    def __init__(self, world: World, payloads: Payloads, reads: Reads, writes: Writes) -> None:
        self._world = world
        self._store = world.store
        self._payloads = payloads
        self._row = reads.row
        self._writes = writes
        self.calls: Mapping[str, Callable[[Body], dict[str, Any]]] = {
            "referralForm.info": self._form,
            "referral.create": self._create,
        }

    def _form(self, body: Body) -> dict[str, Any]:
        del body
        if not self._world.switches.referrals:
            raise Refusal("referral_form_not_found", "Referrals are not part of this plan")
        fields = [
            {
                "isRequired": is_required,
                "field": {
                    "id": uuid_of(ids.INTERVIEW_PLANS, 100 + number),
                    "type": kind,
                    "path": path,
                    "humanReadablePath": title,
                    "title": title,
                    "isNullable": not is_required,
                },
            }
            for number, (path, kind, title, is_required) in enumerate(_FIELDS)
        ]
        form = {
            "id": FORM_ID,
            "organizationId": uuid_of(ids.INTERVIEW_PLANS, 8),
            "title": "Referral",
            "isArchived": False,
            "isDefaultForm": True,
            "formDefinition": {"sections": [{"fields": fields}]},
        }
        return {"results": form}

    def _create(self, body: Body) -> dict[str, Any]:
        if body["id"] != FORM_ID or not self._world.switches.referrals:
            raise not_found("referral_form")
        known = {path: is_required for path, _, _, is_required in _FIELDS}
        given: dict[str, Any] = {one["path"]: one["value"] for one in body["fieldSubmissions"]}
        if unknown := sorted(set(given) - set(known)):
            raise invalid(f"the form has no field {unknown[0][:40]}")
        for path, is_required in known.items():
            if is_required and not given.get(path):
                raise invalid(f"{path} is required")
        wanted: Any = given["_systemfield.job"]
        named = cast("dict[str, Any]", wanted).get("value") if isinstance(wanted, dict) else None
        job = self._store.get("jobs", id_of("jobs", str(named)))
        if job is None or job["status"] != "open":
            raise invalid("the job must be open")
        email = str(given["_systemfield.email"]).strip()
        referrer = self._writes.referrer(body["creditedToUserId"])
        known_ids = sorted(self._store.tables["candidates"].matching("email", email.casefold()))
        if known_ids:
            candidate = self._store.tables["candidates"].rows[known_ids[0]]
        else:
            phone = given.get("_systemfield.phone")
            candidate = self._writes.make_candidate(str(given["_systemfield.name"]), [email], phone)
        row = self._writes.open_application(candidate, job, None, {"referrer_id": referrer})
        answer = {"results": self._payloads.application(row)}
        self._writes.tell(row)
        return answer
