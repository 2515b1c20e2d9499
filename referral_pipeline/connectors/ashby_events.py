"""Webhooks of Ashby: which records an action is about.

Belongs here: the actions and where each has its ids. Does not belong here: statuses, names, any value of the body but
ids and times: a body is a hint, and what it tells is fetched anew.

1.  A body is `{"action", "data", "webhookActionId"}`; the ping has no id, and further keys are let pass.
2.  Applications lie under `data.application`; a hire has `data.offer` beside it, and comes as three events.
3.  Offers and schedules name their application as `applicationId`; the specification shows some of them inside a list.
4.  A deletion names `data.candidate.id`; a merge `deletedCandidate` and `mergedCandidate`, the one that stays.
5.  Nothing is told of a deleted application or an anonymized candidate: a full pull finds them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from referral_pipeline.connectors.hints import Hint, id_or_none, ids, instant_or_none, part, unknown, word_or_none
from referral_pipeline.connectors.records import Row

PING = "ping"

_Part = Mapping[str, Any]


def read_ashby_event(payload: Any) -> Hint:
    """What an event of Ashby is about. Never raises."""
    if not isinstance(payload, dict):
        return unknown(None)
    body = cast("Row", payload)
    action = word_or_none(body.get("action"))
    if action == PING:
        return Hint(action)
    reader = _READERS.get(action) if action is not None else None
    hint = reader(cast("str", action), part(body, "data")) if reader is not None else None
    return hint if hint is not None else unknown(action)


def _application(action: str, data: _Part) -> Hint | None:
    application = part(data, "application")
    application_id = id_or_none(application.get("id"))
    if application_id is None:
        return None
    return Hint(
        action,
        f"application:{application_id}",
        instant_or_none(application.get("updatedAt"), application.get("createdAt")),
        application_ids=(application_id,),
        candidate_ids=ids(part(application, "candidate").get("id")),
        job_ids=ids(part(application, "job").get("id")),
    )


def _of_application(key: str) -> Callable[[str, _Part], Hint | None]:
    def read(action: str, data: _Part) -> Hint | None:
        thing = _one(data, key)
        application_id = id_or_none(thing.get("applicationId"))
        if application_id is None:
            return None
        return Hint(action, f"application:{application_id}", None, application_ids=(application_id,))

    return read


def _candidate_deleted(action: str, data: _Part) -> Hint | None:
    candidate_id = id_or_none(part(data, "candidate").get("id"))
    if candidate_id is None:
        return None
    return Hint(action, f"candidate:{candidate_id}", candidate_ids=(candidate_id,), gone_candidates=(candidate_id,))


def _candidate_merged(action: str, data: _Part) -> Hint | None:
    old = id_or_none(part(data, "deletedCandidate").get("id"))
    new = id_or_none(part(data, "mergedCandidate").get("id"))
    if old is None or new is None or old == new:
        return None
    return Hint(action, f"candidate:{old}", candidate_ids=(old, new), merged=((old, new),))


def _job(action: str, data: _Part) -> Hint | None:
    job = part(data, "job")
    return _about_job(action, job.get("id"), job)


def _posting(action: str, data: _Part) -> Hint | None:
    posting = part(data, "jobPosting")
    return _about_job(action, posting.get("jobId"), posting)


def _plan(action: str, data: _Part) -> Hint | None:
    return _about_job(action, data.get("jobId"), {})


def _about_job(action: str, value: object, changed: _Part) -> Hint | None:
    job_id = id_or_none(value)
    if job_id is None:
        return None
    return Hint(action, f"job:{job_id}", instant_or_none(changed.get("updatedAt")), job_ids=(job_id,))


def _one(data: _Part, key: str) -> _Part:
    """(3) A record, or the first of a list of it."""
    value = data.get(key)
    if isinstance(value, list) and value:
        value = cast("list[Any]", value)[0]
    return cast("_Part", value) if isinstance(value, Mapping) else {}


_READERS: Mapping[str, Callable[[str, _Part], Hint | None]] = {
    **dict.fromkeys(
        ("applicationSubmit", "applicationUpdate", "candidateHire", "candidateStageChange", "pushToHRIS"),
        _application,
    ),
    **dict.fromkeys(("offerCreate", "offerUpdate", "offerDelete"), _of_application("offer")),
    **dict.fromkeys(("interviewScheduleCreate", "interviewScheduleUpdate"), _of_application("interviewSchedule")),
    "surveySubmit": _of_application("surveySubmission"),
    "candidateDelete": _candidate_deleted,
    "candidateMerge": _candidate_merged,
    **dict.fromkeys(("jobCreate", "jobUpdate"), _job),
    **dict.fromkeys(("jobPostingUpdate", "jobPostingPublish", "jobPostingUnpublish"), _posting),
    "interviewPlanTransition": _plan,
}

TYPES = frozenset({*_READERS, PING})
