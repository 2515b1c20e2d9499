"""Webhooks of Greenhouse: which records an action is about.

Belongs here: the actions and where each hides its ids. Does not belong here: statuses, names, any value of the body but
ids and times: a payload is a hint, and what it tells is fetched anew.

1.  A body is `{"action", "payload"}`. The ping's body is not published: any signed body is answered.
2.  Applications lie under `payload.application`; its candidate under `candidate` (`candidate_id` when it was deleted),
    its jobs under `jobs` (several for a prospect), `job` too when it was hired, `job_id` when it was deleted.
3.  `hire_candidate` has no status, stage or times; `application.last_activity_at` dates the others.
4.  A candidate lies under `payload.candidate` when updated, under `payload.person` when deleted or merged, and is only
    `payload.candidate_id` when anonymized.
5.  A deletion names its applications as `deleted_application_ids`; the vendor's own table says `application_ids`.
6.  A merge names `new_candidate_id`, supersedes the delete event, and the old id answers 404 from then on.
7.  An anonymization lists the fields that went: the person is gone only when a field that names them is among them.
8.  An offer is the payload itself, but lies under `offer` when it was deleted; so do job posts under `job_post`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from referral_pipeline.connectors.hints import (
    Hint,
    id_or_none,
    ids,
    ids_of,
    instant_or_none,
    objects,
    part,
    unknown,
    word_or_none,
)
from referral_pipeline.connectors.records import Row

PING = "ping"
_IDENTIFYING = frozenset({"full_name", "first_name", "last_name", "emails", "email_addresses"})

_Part = Mapping[str, Any]


def read_greenhouse_event(payload: Any) -> Hint:
    """What an event of Greenhouse is about. Never raises."""
    if not isinstance(payload, dict):
        return unknown(None)
    body = cast("Row", payload)
    action = word_or_none(body.get("action"))
    if action == PING:
        return Hint(action)
    reader = _READERS.get(action) if action is not None else None
    hint = reader(cast("str", action), part(body, "payload")) if reader is not None else None
    return hint if hint is not None else unknown(action)


def _application(action: str, payload: _Part) -> Hint | None:
    application = part(payload, "application")
    application_id = id_or_none(application.get("id"))
    if application_id is None:
        return None
    candidate = part(application, "candidate") or part(payload, "candidate")
    return Hint(
        action,
        f"application:{application_id}",
        instant_or_none(application.get("last_activity_at"), application.get("updated_at")),
        application_ids=(application_id,),
        candidate_ids=ids(candidate.get("id"), application.get("candidate_id")),
        job_ids=ids(
            *(job.get("id") for job in objects(application.get("jobs"))),
            part(application, "job").get("id"),
            application.get("job_id"),
        ),
        gone_applications=(application_id,) if action == "delete_application" else (),
    )


def _candidate(action: str, payload: _Part) -> Hint | None:
    candidate = part(payload, "candidate") or part(payload, "person")
    candidate_id = id_or_none(candidate.get("id") or payload.get("candidate_id"))
    if candidate_id is None:
        return None
    return Hint(
        action,
        f"candidate:{candidate_id}",
        instant_or_none(candidate.get("updated_at"), candidate.get("last_activity")),
        candidate_ids=(candidate_id,),
        application_ids=ids(
            *(application.get("id") for application in objects(candidate.get("applications"))),
            *ids_of(candidate.get("application_ids")),
        ),
    )


def _candidate_deleted(action: str, payload: _Part) -> Hint | None:
    person = part(payload, "person") or part(payload, "candidate")
    candidate_id = id_or_none(person.get("id") or payload.get("candidate_id"))
    if candidate_id is None:
        return None
    applications = ids(*ids_of(person.get("deleted_application_ids")), *ids_of(person.get("application_ids")))
    return Hint(
        action,
        f"candidate:{candidate_id}",
        candidate_ids=(candidate_id,),
        application_ids=applications,
        gone_candidates=(candidate_id,),
        gone_applications=applications,
    )


def _candidate_merged(action: str, payload: _Part) -> Hint | None:
    person = part(payload, "person") or part(payload, "candidate")
    old, new = id_or_none(person.get("id")), id_or_none(person.get("new_candidate_id"))
    if old is None or new is None or old == new:
        return None
    return Hint(action, f"candidate:{old}", candidate_ids=(old, new), merged=((old, new),))


def _candidate_anonymized(action: str, payload: _Part) -> Hint | None:
    candidate = part(payload, "candidate") or part(payload, "person")
    candidate_id = id_or_none(payload.get("candidate_id") or candidate.get("id"))
    if candidate_id is None:
        return None
    went = payload.get("anonymized_fields")
    names_nobody = isinstance(went, list) and not any(
        isinstance(one, str) and one in _IDENTIFYING for one in cast("list[Any]", went)
    )
    return Hint(
        action,
        f"candidate:{candidate_id}",
        candidate_ids=(candidate_id,),
        gone_candidates=() if names_nobody else (candidate_id,),
    )


def _offer(action: str, payload: _Part) -> Hint | None:
    offer = part(payload, "offer") or payload
    application_id = id_or_none(offer.get("application_id") or part(offer, "application").get("id"))
    if application_id is None:
        return None
    return Hint(
        action,
        f"application:{application_id}",
        instant_or_none(offer.get("updated_at")),
        application_ids=(application_id,),
        candidate_ids=ids(offer.get("candidate_id")),
        job_ids=ids(offer.get("job_id")),
    )


def _job(action: str, payload: _Part) -> Hint | None:
    job = part(payload, "job")
    return _about_job(action, job.get("id"), job)


def _of_job(action: str, payload: _Part) -> Hint | None:
    """Something that belongs to a job: a post of it, a stage of its plan."""
    thing = part(payload, "job_post") or part(payload, "job_interview_stage") or payload
    return _about_job(action, thing.get("job_id") or part(payload, "job").get("id"), thing)


def _about_job(action: str, value: object, changed: _Part) -> Hint | None:
    job_id = id_or_none(value)
    if job_id is None:
        return None
    return Hint(action, f"job:{job_id}", instant_or_none(changed.get("updated_at")), job_ids=(job_id,))


_READERS: Mapping[str, Callable[[str, _Part], Hint | None]] = {
    **dict.fromkeys(
        (
            "new_candidate_application",
            "new_prospect_application",
            "application_updated",
            "delete_application",
            "candidate_stage_change",
            "hire_candidate",
            "unhire_candidate",
            "reject_candidate",
            "unreject_candidate",
        ),
        _application,
    ),
    "update_candidate": _candidate,
    "delete_candidate": _candidate_deleted,
    "merge_candidate": _candidate_merged,
    "candidate_anonymized": _candidate_anonymized,
    **dict.fromkeys(("offer_created", "offer_approved", "offer_updated", "offer_deleted"), _offer),
    **dict.fromkeys(("job_created", "job_updated", "job_deleted", "job_approved"), _job),
    **dict.fromkeys(
        ("job_post_created", "job_post_updated", "job_post_deleted", "job_interview_stage_deleted"), _of_job
    ),
}

TYPES = frozenset({*_READERS, PING})
