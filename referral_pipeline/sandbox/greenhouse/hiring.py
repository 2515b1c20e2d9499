"""What may happen to an application, whoever does it: the API or a person on the screen.

Belongs here: stages, rejection, hire and their traces in stages, rejection details, openings and jobs; each refuses
what the vendor refuses. Does not belong here: offers (`offers.py`), candidates (`people.py`), shapes of requests.

Every function takes the moment `at` it happens; all raise Unprocessable with a sentence when a rule forbids it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from referral_pipeline.sandbox.greenhouse.errors import unprocessable
from referral_pipeline.sandbox.greenhouse.offers import accept_open_offer, void_open_offer
from referral_pipeline.sandbox.greenhouse.schema import Row
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.greenhouse.times import stamp

_PEOPLE = {"recruiter_id": "Recruiter", "coordinator_id": "Coordinator"}


def job_stages(store: GreenhouseStore, job_id: int) -> list[Row]:
    """The active stages of a job in their order."""
    stages = [row for row in store.find("job_interview_stages", "job_id", job_id) if row["active"]]
    return sorted(stages, key=lambda row: (row["sort_order"], row["id"]))


def check_references(store: GreenhouseStore, values: Mapping[str, Any]) -> None:
    """Refuse ids of sources, referrers and users that do not exist. A user's id is no referrer's id."""
    if "source_id" in values and store.get("sources", values["source_id"]) is None:
        raise unprocessable("Source does not exist")
    if "referrer_id" in values and store.get("referrers", values["referrer_id"]) is None:
        raise unprocessable("Referrer does not exist")
    for column, noun in _PEOPLE.items():
        if column in values and store.get("users", values[column]) is None:
            raise unprocessable(f"{noun} does not exist")


def touch_candidate(store: GreenhouseStore, candidate_id: int, at: datetime) -> None:
    """Move the candidate's last activity, as every event of an application does."""
    if store.get("candidates", candidate_id) is not None:
        store.update("candidates", candidate_id, at=at, last_activity_at=stamp(at))


def check_can_apply(store: GreenhouseStore, candidate_id: int, job_id: int) -> None:
    """Refuse an application on a job that is unknown, not open, or that the candidate already applied for."""
    job = store.get("jobs", job_id)
    if job is None or job["is_template"]:
        raise unprocessable("Job does not exist")
    if job["status"] != "open" and store.switches.closed_job_application == "refused":
        raise unprocessable(f"Job is {job['status']}")
    if not job_stages(store, job_id):
        raise unprocessable("Job has no stages")
    if store.switches.duplicate_application == "allowed":
        return
    for other in store.find("applications", "candidate_id", candidate_id):
        same = other["job_id"] == job_id and not other["prospect"]
        if same and (other["status"] == "in_process" or store.switches.duplicate_application == "refused_any"):
            raise unprocessable("Candidate already has an application on this job")


def create_application(
    store: GreenhouseStore,
    *,
    candidate_id: int,
    job_id: int,
    at: datetime,
    initial_stage_id: int | None = None,
    values: Mapping[str, Any] | None = None,
) -> Row:
    """Open an application in the job's first stage or the one named; scaffold a row for every stage of the job."""
    stages = job_stages(store, job_id)
    first = stages[0] if initial_stage_id is None else next((s for s in stages if s["id"] == initial_stage_id), None)
    if first is None:
        raise unprocessable("Initial stage does not belong to the job")
    row = store.insert(
        "applications",
        {**(values or {}), "candidate_id": candidate_id, "job_id": job_id, "last_activity_at": stamp(at)},
        at=at,
    )
    _scaffold(store, row["id"], stages, at)
    row = enter_stage(store, row, first, at)
    touch_candidate(store, candidate_id, at)
    return row


def create_prospect(
    store: GreenhouseStore, *, candidate_id: int, at: datetime, values: Mapping[str, Any] | None = None
) -> Row:
    """Open a prospect application: no job, no stage."""
    for job_id in (values or {}).get("prospective_job_ids", ()):
        if store.get("jobs", job_id) is None:
            raise unprocessable("Job does not exist")
    row = store.insert(
        "applications",
        {**(values or {}), "candidate_id": candidate_id, "prospect": True, "last_activity_at": stamp(at)},
        at=at,
    )
    touch_candidate(store, candidate_id, at)
    return row


def convert_prospect(
    store: GreenhouseStore, application: Row, *, job_id: int, stage_id: int | None, at: datetime
) -> Row:
    """Turn a prospect into a candidate on a job."""
    if not application["prospect"]:
        raise unprocessable("Application is not a prospect")
    check_can_apply(store, application["candidate_id"], job_id)
    stages = job_stages(store, job_id)
    first = stages[0] if stage_id is None else next((s for s in stages if s["id"] == stage_id), None)
    if first is None:
        raise unprocessable("Stage does not belong to the job")
    row = store.update("applications", application["id"], at=at, prospect=False, job_id=job_id)
    _scaffold(store, row["id"], stages, at)
    return enter_stage(store, row, first, at)


def _scaffold(store: GreenhouseStore, application_id: int, stages: list[Row], at: datetime) -> None:
    for stage in stages:
        values = {"application_id": application_id, "job_interview_stage_id": stage["id"]}
        store.insert("application_stages", values, at=at)


def stage_row(store: GreenhouseStore, application_id: int, stage_id: int) -> Row | None:
    """The application's row for one stage of its job."""
    rows = store.find("application_stages", "application_id", application_id)
    return next((row for row in rows if row["job_interview_stage_id"] == stage_id), None)


def enter_stage(store: GreenhouseStore, application: Row, stage: Row, at: datetime) -> Row:
    """Leave the present stage, if any, and enter another of the same job."""
    row = stage_row(store, application["id"], stage["id"])
    if row is None:  # the stage was added to the job after the application was made
        values = {"application_id": application["id"], "job_interview_stage_id": stage["id"]}
        row = store.insert("application_stages", values, at=at)
    _leave_stage(store, application, at, still_current=False)
    store.update("application_stages", row["id"], at=at, entered_at=stamp(at), exited_at=None, current=True)
    row = store.update(
        "applications",
        application["id"],
        at=at,
        stage_id=row["id"],
        job_interview_stage_id=stage["id"],
        stage_name=stage["name"],
        last_activity_at=stamp(at),
    )
    touch_candidate(store, application["candidate_id"], at)
    return row


def _leave_stage(store: GreenhouseStore, application: Row, at: datetime, *, still_current: bool) -> None:
    current = store.get("application_stages", application["stage_id"])
    if current is not None:
        store.update("application_stages", current["id"], at=at, exited_at=stamp(at), current=still_current)


def next_stage(store: GreenhouseStore, application: Row) -> Row:
    """The stage after the present one."""
    stages = job_stages(store, application["job_id"])
    ids = [stage["id"] for stage in stages]
    place = ids.index(application["job_interview_stage_id"])
    if place + 1 == len(stages):
        raise unprocessable("Application is already in the last stage")
    return stages[place + 1]


def check_open(application: Row) -> None:
    """Refuse what only an application in process can do."""
    if application["prospect"]:
        raise unprocessable("Application is a prospect")
    if application["status"] != "in_process":
        raise unprocessable(f"Application is {application['status']}")


def move(store: GreenhouseStore, application: Row, stage_id: int | None, at: datetime) -> Row:
    """Move within the job, to the stage named or the next one."""
    check_open(application)
    if stage_id is None:
        return enter_stage(store, application, next_stage(store, application), at)
    stages = {stage["id"]: stage for stage in job_stages(store, application["job_id"])}
    if stage_id not in stages:
        raise unprocessable("Stage does not belong to the job")
    if stage_id == application["job_interview_stage_id"]:
        raise unprocessable("Application is already in this stage")
    return enter_stage(store, application, stages[stage_id], at)


def move_to_job(store: GreenhouseStore, application: Row, job_id: int, stage_id: int | None, at: datetime) -> Row:
    """Transfer to another job: its first stage, or the one named; the stage rows of the old job go."""
    check_open(application)
    if job_id == application["job_id"]:
        raise unprocessable("Application is already on this job")
    check_can_apply(store, application["candidate_id"], job_id)
    stages = job_stages(store, job_id)
    first = stages[0] if stage_id is None else next((s for s in stages if s["id"] == stage_id), None)
    if first is None:
        raise unprocessable("Stage does not belong to the job")
    for row in store.find("application_stages", "application_id", application["id"]):
        store.delete("application_stages", row["id"])
    void_open_offer(store, application["id"], at)
    moved = store.update("applications", application["id"], at=at, job_id=job_id, stage_id=None)
    _scaffold(store, moved["id"], stages, at)
    return enter_stage(store, moved, first, at)


def reject(
    store: GreenhouseStore,
    application: Row,
    *,
    reason_id: int,
    at: datetime,
    actor_id: int | None = None,
    notes: str | None = None,
    questions: Mapping[str, Any] | None = None,
) -> Row:
    """Reject: one rejection details row, the offer void, the present stage row left but still current."""
    if application["status"] == "rejected":
        raise unprocessable("Application has already been rejected")
    if application["status"] != "in_process":
        raise unprocessable(f"Application is {application['status']}")
    if store.get("rejection_reasons", reason_id) is None:
        raise unprocessable("Rejection reason does not exist")
    note_id = None
    if notes:
        note = {"candidate_id": application["candidate_id"], "application_id": application["id"]}
        note_id = store.insert("notes", {**note, "body": notes, "user_id": actor_id}, at=at)["id"]
    details = {
        "rejected_by_id": actor_id,
        "rejection_note_id": note_id,
        "rejection_reason_id": reason_id,
        "rejected_at": stamp(at),
        "question_custom_fields": dict(questions or {}),
    }
    known = store.find("rejection_details", "application_id", application["id"])
    if known:
        store.update("rejection_details", known[0]["id"], at=at, **details)
        store.made_through_api("rejection_details", known[0]["id"])
    else:
        row = store.insert("rejection_details", {**details, "application_id": application["id"]}, at=at)
        store.made_through_api("rejection_details", row["id"])
    _leave_stage(store, application, at, still_current=True)
    void_open_offer(store, application["id"], at)
    touch_candidate(store, application["candidate_id"], at)
    return store.update(
        "applications",
        application["id"],
        at=at,
        status="rejected",
        rejected_at=stamp(at),
        rejection_reason_id=reason_id,
        last_activity_at=stamp(at),
    )


def unreject(store: GreenhouseStore, application: Row, at: datetime) -> Row:
    """Take a rejection back: the stage held before, reason and note cleared."""
    if application["status"] != "rejected":
        raise unprocessable("Application is not rejected")
    for row in store.find("rejection_details", "application_id", application["id"]):
        cleared = {"rejection_reason_id": None, "rejection_note_id": None, "rejected_at": None, "rejected_by_id": None}
        store.update("rejection_details", row["id"], at=at, **cleared)
    return _reopen(store, application, at)


def _reopen(store: GreenhouseStore, application: Row, at: datetime) -> Row:
    stage = store.get("application_stages", application["stage_id"])
    if stage is not None:
        store.update("application_stages", stage["id"], at=at, exited_at=None, current=True)
    touch_candidate(store, application["candidate_id"], at)
    return store.update(
        "applications",
        application["id"],
        at=at,
        status="in_process",
        rejected_at=None,
        rejection_reason_id=None,
        last_activity_at=stamp(at),
    )


def choose_opening(store: GreenhouseStore, application: Row, opening_id: int | None) -> Row | None:
    """The opening that a hire through the API fills; None only where a hire without one is allowed."""
    open_ones = [row for row in store.find("openings", "job_id", application["job_id"]) if row["open"]]
    if opening_id is not None:
        chosen = next((row for row in open_ones if row["id"] == opening_id), None)
        if chosen is None:
            raise unprocessable("Opening does not exist or is not open on this job")
        return chosen
    if len(open_ones) > 1 and store.switches.hire_with_many_openings == "refused":
        raise unprocessable("opening_id must be given when more than one opening is open")
    if not open_ones and store.switches.hire_without_opening == "refused":
        raise unprocessable("Job has no open opening")
    return open_ones[0] if open_ones else None


def hire(
    store: GreenhouseStore, application: Row, opening: Row | None, *, close_reason_id: int | None, at: datetime
) -> Row:
    """Hire: the opening closes and names the application, the job closes with its last open opening."""
    if application["status"] == "hired":
        raise unprocessable("Application has already been hired")
    check_open(application)
    if close_reason_id is not None and store.get("close_reasons", close_reason_id) is None:
        raise unprocessable("Close reason does not exist")
    if opening is not None:
        reason = close_reason_id if close_reason_id is not None else _hire_reason(store)
        filled = {"open": False, "closed_at": stamp(at), "application_id": application["id"]}
        store.update("openings", opening["id"], at=at, **filled, close_reason_id=reason)
        if not any(row["open"] for row in store.find("openings", "job_id", application["job_id"])):
            store.update("jobs", application["job_id"], at=at, status="closed", closed_at=stamp(at))
    if store.switches.offer_on_hire == "accepted":
        accept_open_offer(store, application["id"], at)
    _leave_stage(store, application, at, still_current=True)
    touch_candidate(store, application["candidate_id"], at)
    return store.update("applications", application["id"], at=at, status="hired", last_activity_at=stamp(at))


def unhire(store: GreenhouseStore, application: Row, at: datetime) -> Row:
    """Take a hire back (on the screen only): the opening and the job open again."""
    if application["status"] != "hired":
        raise unprocessable("Application is not hired")
    for row in store.find("openings", "application_id", application["id"]):
        freed = {"open": True, "closed_at": None, "application_id": None, "close_reason_id": None}
        store.update("openings", row["id"], at=at, **freed)
        if store.tables["jobs"].rows[row["job_id"]]["status"] == "closed":
            store.update("jobs", row["job_id"], at=at, status="open", closed_at=None)
    return _reopen(store, application, at)


def _hire_reason(store: GreenhouseStore) -> int | None:
    reasons = [row for row in store.rows("close_reasons") if row["name"].startswith("Hire -")]
    return reasons[0]["id"] if reasons else None


def delete_application(store: GreenhouseStore, application_id: int, at: datetime) -> None:
    """Delete an application and all that hangs on it; a filled opening stays closed."""
    for entity in ("application_stages", "offers", "rejection_details", "notes"):
        for row in store.find(entity, "application_id", application_id):
            store.delete(entity, row["id"])
    for row in store.find("openings", "application_id", application_id):
        store.update("openings", row["id"], at=at, application_id=None)
    store.delete("applications", application_id)
