"""The write endpoints: from a request body to a rule, and back to an answer.

Belongs here: one function per operation and the table of them. Does not belong here: rules (`people.py`, `hiring.py`,
`offers.py`), shapes (`bodies.py`), authentication and routing (`vendor.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from referral_pipeline.sandbox.greenhouse import bodies, hiring, offers, people
from referral_pipeline.sandbox.greenhouse.errors import UnknownId, unprocessable
from referral_pipeline.sandbox.greenhouse.fields import written_fields
from referral_pipeline.sandbox.greenhouse.schema import ENTITIES, Row
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.greenhouse.times import noon, read_date, read_stamp, stamp
from referral_pipeline.sandbox.greenhouse.views import show

ApplicationHook = Callable[[Row, Row], None]
"""Called with the candidate row and the application row after the API created an application."""


@dataclass(frozen=True)
class Answer:
    """A successful answer; `body=None` sends no body."""

    status: int
    body: Any = None


@dataclass(frozen=True)
class Call:
    """One write: the id in the path, the body as read, who acts, and when."""

    store: GreenhouseStore
    row_id: int
    content: dict[str, Any]
    actor_id: int
    at: datetime
    on_application_created: ApplicationHook | None = None

    def row(self, entity: str) -> Row:
        """The row that the path names. Raises UnknownId."""
        found = self.store.get(entity, self.row_id)
        if found is None:
            raise UnknownId(ENTITIES[entity].noun, self.row_id)
        return found

    def read(self, model: type[bodies.B]) -> bodies.B:
        """The body as the model wants it."""
        return bodies.read_body(model, self.content)

    def shown(self, entity: str, row: Row) -> Row:
        """A row as the API answers it."""
        return show(self.store, entity, row)


Handler = Callable[[Call], Answer]


# ---------------------------------------------------------------- candidates


def create_candidate(call: Call) -> Answer:
    """POST /v3/candidates."""
    body = call.read(bodies.CandidateCreate)
    values = body.sent()
    values.pop("application", None)
    columns = _candidate_columns(call, values, before=None)
    opening = _nested_application(call, body)
    candidate = people.create_candidate(call.store, columns, call.at)
    call.store.made_through_api("candidates", candidate["id"])
    application = opening(candidate) if opening else None
    candidate = call.store.tables["candidates"].rows[candidate["id"]]
    answer = _candidate_answer(call, candidate, application)
    if application is not None:
        _tell(call, candidate, application)
    return Answer(201, answer)


def _candidate_answer(call: Call, candidate: Row, application: Row | None) -> dict[str, Any]:
    shown = call.shown("candidates", candidate)
    if call.store.switches.candidate_create_answer == "flat":
        return shown
    if application is not None:
        return {"candidate": shown, "application": call.shown("applications", application)}
    if call.store.switches.missing_application == "null":
        return {"candidate": shown, "application": None}
    return {"candidate": shown}


def _nested_application(call: Call, body: bodies.CandidateCreate) -> Callable[[Row], Row] | None:
    """Check the nested application before anything is stored, and return how to open it."""
    nested = body.application
    if nested is None:
        return None
    store, at = call.store, call.at
    values = nested.sent()
    if "custom_fields" in values and store.switches.nested_application_custom_fields == "refused":
        raise unprocessable({"application.custom_fields": "is not permitted"})
    values = _application_columns(call, values, before=None)
    if isinstance(nested, bodies.NestedProspectArm):
        return lambda row: _made(call, hiring.create_prospect(store, candidate_id=row["id"], at=at, values=values))
    job_id, stage_id = values.pop("job_id"), values.pop("initial_stage_id", None)
    hiring.check_can_apply(store, 0, job_id)
    _check_initial_stage(call, job_id, stage_id)
    return lambda row: _made(
        call,
        hiring.create_application(
            store, candidate_id=row["id"], job_id=job_id, at=at, initial_stage_id=stage_id, values=values
        ),
    )


def _check_initial_stage(call: Call, job_id: int, stage_id: int | None) -> None:
    if stage_id is not None and stage_id not in {stage["id"] for stage in hiring.job_stages(call.store, job_id)}:
        raise unprocessable("Initial stage does not belong to the job")


def _made(call: Call, application: Row) -> Row:
    """Mark an application and its stage rows as fresh."""
    call.store.made_through_api("applications", application["id"])
    for row in call.store.find("application_stages", "application_id", application["id"]):
        call.store.made_through_api("application_stages", row["id"])
    return application


def _tell(call: Call, candidate: Row, application: Row) -> None:
    if call.on_application_created is not None:
        call.store.flush()  # what recruiters do next is another event
        call.on_application_created(dict(candidate), dict(application))


def _candidate_columns(call: Call, values: Mapping[str, Any], *, before: Row | None) -> dict[str, Any]:
    columns = people.prepare(call.store, values, call.at)
    if "custom_fields" in columns:
        kept = before["custom_fields"] if before else None
        columns["custom_fields"] = written_fields(call.store, "candidates", columns["custom_fields"], before=kept)
    return columns


def change_candidate(call: Call) -> Answer:
    """PATCH /v3/candidates/{id}."""
    candidate = call.row("candidates")
    values = call.read(bodies.CandidateChange).sent()
    columns = _candidate_columns(call, values, before=candidate)
    candidate = people.change_candidate(call.store, candidate["id"], columns, call.at)
    shown = call.shown("candidates", candidate)
    return Answer(200, {"candidate": shown} if call.store.switches.candidate_patch_answer == "wrapped" else shown)


def merge_candidates(call: Call) -> Answer:
    """POST /v3/candidates/{id}/merge."""
    primary = call.row("candidates")
    body = call.read(bodies.CandidateMerge)
    secondary = call.store.get("candidates", body.secondary_candidate_id)
    if secondary is None:
        raise unprocessable("Secondary candidate does not exist")
    row = people.merge(call.store, primary, secondary, call.at)
    return Answer(int(call.store.switches.merge_answer), call.shown("candidates", row))


def anonymize_candidate(call: Call) -> Answer:
    """PATCH /v3/candidates/{id}/anonymize."""
    candidate = call.row("candidates")
    row = people.anonymize(call.store, candidate, call.read(bodies.CandidateAnonymize).fields, call.at)
    status = int(call.store.switches.anonymize_answer)
    return Answer(status, None if status == 204 else call.shown("candidates", row))


def delete_candidate(call: Call) -> Answer:
    """DELETE /v3/candidates/{id}."""
    people.delete_candidate(call.store, call.row("candidates")["id"], call.at)
    return _deleted(call, "Candidate")


def _created(call: Call, entity: str, row: Row) -> Answer:
    return Answer(int(call.store.switches.tag_and_offer_create_answer), call.shown(entity, row))


def _deleted(call: Call, noun: str) -> Answer:
    if call.store.switches.delete_answer == "204":
        return Answer(204)
    return Answer(200, {"message": f"{noun} {call.row_id} deleted successfully"})


# ---------------------------------------------------------------- applications


def create_application(call: Call) -> Answer:
    """POST /v3/applications."""
    as_prospect = "prospect" in call.content and "job_id" not in call.content
    body = call.read(bodies.ApplicationAsProspect if as_prospect else bodies.ApplicationOnJob)
    values = body.sent()
    candidate = call.store.get("candidates", values.pop("candidate_id"))
    if candidate is None:
        raise unprocessable("Candidate does not exist")
    job_id, stage_id = values.pop("job_id", None), values.pop("initial_stage_id", None)
    columns = _application_columns(call, values, before=None)
    if isinstance(body, bodies.ApplicationAsProspect):
        if not body.prospect:
            raise unprocessable("Job must be given for an application that is no prospect")
        row = hiring.create_prospect(call.store, candidate_id=candidate["id"], at=call.at, values=columns)
    else:
        hiring.check_can_apply(call.store, candidate["id"], job_id)
        _check_initial_stage(call, job_id, stage_id)
        row = hiring.create_application(
            call.store,
            candidate_id=candidate["id"],
            job_id=job_id,
            at=call.at,
            initial_stage_id=stage_id,
            values=columns,
        )
    _made(call, row)
    answer = call.shown("applications", row)
    _tell(call, call.store.tables["candidates"].rows[candidate["id"]], row)
    return Answer(201, answer)


_NOT_KEPT = (
    "prospect",
    "prospect_pool_id",
    "prospect_pool_stage_id",
    "prospect_stage_id",
    "prospect_owner_id",
    "prospective_department_id",
    "prospective_office_id",
)
"""Keys about prospect pools: taken, but shown on no row of this sandbox."""


def _application_columns(call: Call, values: Mapping[str, Any], *, before: Row | None) -> dict[str, Any]:
    columns = {key: value for key, value in values.items() if key not in _NOT_KEPT}
    hiring.check_references(call.store, columns)
    if "job_ids" in columns:
        columns["prospective_job_ids"] = columns.pop("job_ids")
    if "created_at" in columns:
        text = columns["created_at"]
        columns["created_at"] = noon(read_date(text)) if before else stamp(read_stamp(text))
    if "custom_fields" in columns:
        kept = before["custom_fields"] if before else None
        columns["custom_fields"] = written_fields(call.store, "applications", columns["custom_fields"], before=kept)
    return columns


def change_application(call: Call) -> Answer:
    """PATCH /v3/applications/{id}."""
    application = call.row("applications")
    columns = _application_columns(call, call.read(bodies.ApplicationChange).sent(), before=application)
    if "rejected_at" in columns:
        if application["status"] != "rejected":
            raise unprocessable("Application is not rejected")
        columns["rejected_at"] = noon(read_date(columns["rejected_at"]))
    row = call.store.update("applications", application["id"], at=call.at, **columns)
    return Answer(200, call.shown("applications", row))


def move_application(call: Call) -> Answer:
    """POST /v3/applications/{id}/move."""
    application = call.row("applications")
    target = call.read(bodies.ApplicationMove).sent()
    switches = call.store.switches
    if {"to_job_id", "to_stage_id"} <= set(target) and switches.move_with_both_targets == "refused":
        raise unprocessable("Only one of to_stage_id and to_job_id can be given")
    hiring.check_open(application)
    held = "job_interview_stage_id" if switches.from_stage_id == "job_interview_stage_id" else "stage_id"
    if application[held] != target["from_stage_id"]:
        raise unprocessable("from_stage_id is not the current stage of the application")
    if "to_job_id" in target:
        hiring.move_to_job(call.store, application, target["to_job_id"], target.get("to_stage_id"), call.at)
    else:
        hiring.move(call.store, application, target.get("to_stage_id"), call.at)
    return Answer(204)


def reject_application(call: Call) -> Answer:
    """POST /v3/applications/{id}/reject."""
    application = call.row("applications")
    body = call.read(bodies.ApplicationReject)
    if body.rejection_email is not None and call.store.switches.rejection_email == "pair_required":
        given = body.rejection_email.model_fields_set
        if not {"email_template_id", "send_email_at"} <= given:
            raise unprocessable("rejection_email needs email_template_id and send_email_at")
    entries = [entry.sent() for entry in body.custom_fields]
    questions = written_fields(call.store, "rejection_details", entries)
    hiring.reject(
        call.store,
        application,
        reason_id=body.rejection_reason_id,
        at=call.at,
        actor_id=call.actor_id or None,
        notes=body.notes,
        questions=questions,
    )
    return Answer(204)


def unreject_application(call: Call) -> Answer:
    """POST /v3/applications/{id}/unreject."""
    application = call.row("applications")
    call.read(bodies.Nothing)
    hiring.unreject(call.store, application, call.at)
    return Answer(204)


def hire_application(call: Call) -> Answer:
    """POST /v3/applications/{id}/hire."""
    application = call.row("applications")
    values = call.read(bodies.ApplicationHire).sent()
    if application["status"] == "hired":
        raise unprocessable("Application has already been hired")
    hiring.check_open(application)
    opening = hiring.choose_opening(call.store, application, values.get("opening_id"))
    hiring.hire(call.store, application, opening, close_reason_id=values.get("close_reason_id"), at=call.at)
    offer = offers.current_offer(call.store, application["id"])
    if offer is not None and "start_date" in values:
        day = read_stamp(values["start_date"]).date().isoformat()
        call.store.update("offers", offer["id"], at=call.at, starts_on=day)
    return Answer(204)


def convert_application(call: Call) -> Answer:
    """POST /v3/applications/{id}/convert_to_candidate."""
    application = call.row("applications")
    body = call.read(bodies.ApplicationConvert)
    stage_id = body.sent().get("to_job_interview_stage_id")
    row = hiring.convert_prospect(call.store, application, job_id=body.job_id, stage_id=stage_id, at=call.at)
    return Answer(200, call.shown("applications", row))


def delete_application(call: Call) -> Answer:
    """DELETE /v3/applications/{id}."""
    hiring.delete_application(call.store, call.row("applications")["id"], call.at)
    return _deleted(call, "Application")


# ---------------------------------------------------------------- offers, tags, rejection details


def create_offer(call: Call) -> Answer:
    """POST /v3/offers."""
    values = call.read(bodies.OfferCreate).sent()
    application = call.store.get("applications", values.pop("application_id"))
    if application is None:
        raise unprocessable("Application does not exist")
    if "custom_fields" in values:
        values["custom_fields"] = written_fields(call.store, "offers", values["custom_fields"])
    return _created(call, "offers", offers.create_offer(call.store, application, values, call.at))


def change_offer(call: Call) -> Answer:
    """PATCH /v3/offers/{id}."""
    offer = call.row("offers")
    with_status = call.store.switches.offer_status_patch == "accepted"
    values = call.read(bodies.OfferChangeWithStatus if with_status else bodies.OfferChange).sent()
    for column in ("resolved_at", "created_at"):
        if column in values:
            text = values[column]
            values[column] = stamp(read_stamp(text)) if "T" in text.upper() else noon(read_date(text))
    if "custom_fields" in values:
        kept = offer["custom_fields"]
        values["custom_fields"] = written_fields(call.store, "offers", values["custom_fields"], before=kept)
    return Answer(200, call.shown("offers", offers.change_offer(call.store, offer, values, call.at)))


def create_tag(call: Call) -> Answer:
    """POST /v3/candidate_tags."""
    name = call.read(bodies.TagCreate).name
    if call.store.find("candidate_tags", "name", name):
        raise unprocessable("Name has already been taken")
    row = call.store.insert("candidate_tags", {"name": name}, at=call.at)
    return _created(call, "candidate_tags", row)


def delete_tag(call: Call) -> Answer:
    """DELETE /v3/candidate_tags/{id}: takes the tag from everybody."""
    tag = call.row("candidate_tags")
    for applied in call.store.find("applied_candidate_tags", "candidate_tag_id", tag["id"]):
        _untag(call, applied, tag["name"])
    call.store.delete("candidate_tags", tag["id"])
    return _deleted(call, "Candidate tag")


def apply_tag(call: Call) -> Answer:
    """POST /v3/applied_candidate_tags."""
    body = call.read(bodies.TagApply)
    candidate = call.store.get("candidates", body.candidate_id)
    tag = call.store.get("candidate_tags", body.candidate_tag_id)
    if candidate is None or tag is None:
        raise unprocessable("Candidate does not exist" if candidate is None else "Candidate tag does not exist")
    held = tag["name"] in candidate["tags"]
    if held and call.store.switches.tag_applied_twice == "refused":
        raise unprocessable("Candidate already has this tag")
    if not held:
        people.change_candidate(call.store, candidate["id"], {"tags": [*candidate["tags"], tag["name"]]}, call.at)
    rows = call.store.find("applied_candidate_tags", "candidate_id", candidate["id"])
    row = next(row for row in rows if row["candidate_tag_id"] == tag["id"])
    if held:
        return Answer(200, call.shown("applied_candidate_tags", row))
    return _created(call, "applied_candidate_tags", row)


def remove_tag(call: Call) -> Answer:
    """DELETE /v3/applied_candidate_tags/{id}."""
    applied = call.row("applied_candidate_tags")
    _untag(call, applied, call.store.tables["candidate_tags"].rows[applied["candidate_tag_id"]]["name"])
    return _deleted(call, "Applied candidate tag")


def _untag(call: Call, applied: Row, name: str) -> None:
    candidate = call.store.tables["candidates"].rows[applied["candidate_id"]]
    left = [tag for tag in candidate["tags"] if tag != name]
    people.change_candidate(call.store, candidate["id"], {"tags": left}, call.at)


def change_rejection_detail(call: Call) -> Answer:
    """PATCH /v3/rejection_details/{id}."""
    detail = call.row("rejection_details")
    reason_id = call.read(bodies.RejectionDetailChange).rejection_reason_id
    if call.store.get("rejection_reasons", reason_id) is None:
        raise unprocessable("Rejection reason does not exist")
    application = call.store.tables["applications"].rows[detail["application_id"]]
    if application["status"] != "rejected":
        raise unprocessable("Application is not rejected")
    call.store.update("applications", application["id"], at=call.at, rejection_reason_id=reason_id)
    row = call.store.update("rejection_details", detail["id"], at=call.at, rejection_reason_id=reason_id)
    return Answer(200, call.shown("rejection_details", row))


def read_rejection_reason(call: Call) -> Answer:
    """GET /v3/rejection_reasons/{id}: one of the two single reads of the whole API."""
    return Answer(200, call.shown("rejection_reasons", call.row("rejection_reasons")))


WRITES: Mapping[tuple[str, str], tuple[str, Handler]] = {
    ("POST", "candidates"): ("create", create_candidate),
    ("PATCH", "candidates/{id}"): ("update", change_candidate),
    ("DELETE", "candidates/{id}"): ("destroy", delete_candidate),
    ("POST", "candidates/{id}/merge"): ("merge", merge_candidates),
    ("PATCH", "candidates/{id}/anonymize"): ("anonymize", anonymize_candidate),
    ("POST", "applications"): ("create", create_application),
    ("PATCH", "applications/{id}"): ("update", change_application),
    ("DELETE", "applications/{id}"): ("destroy", delete_application),
    ("POST", "applications/{id}/move"): ("move", move_application),
    ("POST", "applications/{id}/reject"): ("reject", reject_application),
    ("POST", "applications/{id}/unreject"): ("unreject", unreject_application),
    ("POST", "applications/{id}/hire"): ("hire", hire_application),
    ("POST", "applications/{id}/convert_to_candidate"): ("convert_to_candidate", convert_application),
    ("POST", "offers"): ("create", create_offer),
    ("PATCH", "offers/{id}"): ("update", change_offer),
    ("POST", "candidate_tags"): ("create", create_tag),
    ("DELETE", "candidate_tags/{id}"): ("destroy", delete_tag),
    ("POST", "applied_candidate_tags"): ("create", apply_tag),
    ("DELETE", "applied_candidate_tags/{id}"): ("destroy", remove_tag),
    ("PATCH", "rejection_details/{id}"): ("update", change_rejection_detail),
    ("GET", "rejection_reasons/{id}"): ("list", read_rejection_reason),
}
"""Every operation but the lists: (method, path under /v3) to (verb of its scope, handler)."""
