"""What a call may be given, as the vendor's document declares it.

Belongs here: types of parameters, one table by call, reading a body by it. Does not belong here: what a call does.

A parameter that no document names is refused, so that a misspelt one is not silently passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from referral_pipeline.sandbox.ashby.errors import invalid
from referral_pipeline.sandbox.greenhouse.times import read_stamp

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FIRST_PRE_INTERVIEW_SCREEN = "FirstPreInterviewScreen"
FIELD_TYPES = (
    *("Boolean", "CompensationRange", "Currency", "Date", "LongText", "MultiValueSelect", "Number", "NumberRange"),
    *("String", "ValueSelect", "Url", "UUID"),
)
HOOKS = (
    *("applicationSubmit", "applicationUpdate", "candidateHire", "candidateStageChange", "candidateDelete"),
    *("candidateMerge", "interviewPlanTransition", "interviewScheduleCreate", "interviewScheduleUpdate"),
    *("jobPostingUpdate", "jobPostingPublish", "jobPostingUnpublish", "offerCreate", "offerUpdate", "offerDelete"),
    *("pushToHRIS", "surveySubmit"),
)
"""What a webhook can be registered for by the API; the screen knows more."""

Check = Callable[[Any], bool]


def _is_uuid(value: Any) -> bool:
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_limit(value: Any) -> bool:
    return _is_whole(value) and 1 <= value <= 100


def _is_stage(value: Any) -> bool:
    return value == FIRST_PRE_INTERVIEW_SCREEN or _is_uuid(value)


def _is_moment(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        read_stamp(value)
    except ValueError:
        return False
    return True


def _is_any(value: Any) -> bool:
    return value is not None


def _is_place(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_text(one) for one in value.values())


def _one_of(*words: str) -> Check:
    return lambda value: isinstance(value, str) and value in words


def _list_of(check: Check, least: int = 0) -> Check:
    return lambda value: isinstance(value, list) and len(value) >= least and all(check(one) for one in value)


def _object_of(fields: Mapping[str, Check]) -> Check:
    return lambda value: (
        isinstance(value, dict)
        and set(value) == set(fields)
        and all(check(value[name]) for name, check in fields.items())
    )


@dataclass(frozen=True)
class Parameters:
    """What one call takes: required and optional parameters with their types."""

    required: Mapping[str, Check]
    optional: Mapping[str, Check]

    def read(self, body: Any) -> dict[str, Any]:
        """The body, once it fits.

        Raises:
            Refusal: invalid_input, with the parameter at fault.
        """
        if not isinstance(body, dict):
            raise invalid("Request payload is malformed")
        for name in self.required:
            if name not in body:
                raise invalid(f"{name} is required")
        for name, value in body.items():
            check = self.required.get(name) or self.optional.get(name)
            if check is None:
                raise invalid(f"{name[:40]} is not a parameter of this call")
            if not check(value):
                raise invalid(f"{name} is not of the right type")
        return body


_SYNC: Mapping[str, Check] = {"cursor": _is_text, "syncToken": _is_text, "limit": _is_limit}
_CREATED: Mapping[str, Check] = {**_SYNC, "createdAfter": _is_whole}
_ARCHIVED: Mapping[str, Check] = {"includeArchived": _is_flag}
_VALUE: Mapping[str, Check] = {"fieldId": _is_uuid, "fieldValue": _is_any}
_OBJECT = _one_of("Application", "Candidate", "Job", "Opening")


def _call(required: Mapping[str, Check] | None = None, optional: Mapping[str, Check] | None = None) -> Parameters:
    return Parameters(required or {}, optional or {})


PARAMETERS: Mapping[str, Parameters] = {
    "apiKey.info": _call(),
    "candidate.list": _call(optional=_CREATED),
    "candidate.search": _call(optional={"email": _is_text, "name": _is_text}),
    "candidate.info": _call(optional={"id": _is_uuid, "externalMappingId": _is_text}),
    "candidate.create": _call(
        {"name": _is_text},
        {
            **dict.fromkeys(("email", "phoneNumber", "linkedInUrl", "githubUrl", "website"), _is_text),
            "alternateEmailAddresses": _list_of(_is_text),
            "sourceId": _is_uuid,
            "creditedToUserId": _is_uuid,
            "location": _is_place,
            "createdAt": _is_moment,
        },
    ),
    "candidate.update": _call(
        {"candidateId": _is_uuid},
        {
            **dict.fromkeys(
                ("name", "email", "phoneNumber", "linkedInUrl", "githubUrl", "websiteUrl", "alternateEmail"), _is_text
            ),
            "sourceId": _is_uuid,
            "creditedToUserId": _is_uuid,
            "location": _is_place,
            "createdAt": _is_moment,
            "sendNotifications": _is_flag,
        },
    ),
    "candidate.addTag": _call({"candidateId": _is_uuid, "tagId": _is_uuid}),
    "candidateTag.list": _call(optional={**_ARCHIVED, **_SYNC}),
    "candidateTag.create": _call({"title": _is_text}),
    "application.list": _call(
        optional={
            **_CREATED,
            "status": _one_of("Hired", "Archived", "Active", "Lead"),
            "jobId": _is_uuid,
            "expand": _list_of(_one_of("openings")),
        }
    ),
    "application.info": _call(
        {"applicationId": _is_uuid},
        {"expand": _list_of(_one_of("openings", "applicationFormSubmissions", "referrals"))},
    ),
    "application.listHistory": _call({"applicationId": _is_uuid}, {"cursor": _is_text, "limit": _is_limit}),
    "application.create": _call(
        {"candidateId": _is_uuid, "jobId": _is_uuid},
        {
            "interviewPlanId": _is_uuid,
            "interviewStageId": _is_stage,
            "sourceId": _is_uuid,
            "creditedToUserId": _is_uuid,
            "createdAt": _is_moment,
        },
    ),
    "application.update": _call(
        {"applicationId": _is_uuid},
        {
            "sourceId": _is_uuid,
            "creditedToUserId": _is_uuid,
            "createdAt": _is_moment,
            "sendNotifications": _is_flag,
        },
    ),
    "application.changeSource": _call({"applicationId": _is_uuid, "sourceId": _is_uuid}),
    "application.changeStage": _call(
        {"applicationId": _is_uuid, "interviewStageId": _is_uuid}, {"archiveReasonId": _is_uuid}
    ),
    "candidate.anonymize": _call({"candidateId": _is_uuid}),
    "customField.list": _call(optional=_SYNC),
    "customField.create": _call(
        {
            "fieldType": _one_of(*FIELD_TYPES),
            "objectType": _one_of("Application", "Candidate", "Job", "Employee"),
            "title": _is_text,
        },
        {
            "description": _is_text,
            "selectableValues": _list_of(_object_of({"label": _is_text, "value": _is_text})),
            "isExposableToCandidate": _is_flag,
        },
    ),
    "customField.setValue": _call({"objectId": _is_uuid, "objectType": _OBJECT, **_VALUE}),
    "customField.setValues": _call(
        {"objectId": _is_uuid, "objectType": _OBJECT, "values": _list_of(_object_of(_VALUE), 1)}
    ),
    "job.list": _call(
        optional={
            **_CREATED,
            "status": _list_of(_one_of("Draft", "Open", "Closed", "Archived")),
            **dict.fromkeys(("openedAfter", "openedBefore", "closedAfter", "closedBefore"), _is_whole),
            "includeUnpublishedJobPostingsIds": _is_flag,
            "expand": _list_of(_one_of("location", "openings")),
        }
    ),
    "job.info": _call(
        {"id": _is_uuid},
        {"includeUnpublishedJobPostingsIds": _is_flag, "expand": _list_of(_one_of("location", "openings"))},
    ),
    "jobPosting.list": _call(
        optional={"location": _is_text, "department": _is_text, "listedOnly": _is_flag, "jobBoardId": _is_uuid}
    ),
    "department.list": _call(optional={**_ARCHIVED, **_SYNC}),
    "source.list": _call(optional=_ARCHIVED),
    "interviewPlan.list": _call(optional={**_ARCHIVED, **_SYNC}),
    "interviewStage.list": _call({"interviewPlanId": _is_uuid}),
    "archiveReason.list": _call(optional=_ARCHIVED),
    "offer.list": _call(
        optional={
            **_CREATED,
            "applicationId": _is_uuid,
            **dict.fromkeys(("offerStatus", "acceptanceStatus", "approvalStatus"), _list_of(_is_text, 1)),
        }
    ),
    "user.list": _call(optional={**_CREATED, "includeDeactivated": _is_flag}),
    "user.search": _call({"email": _is_text}),
    "webhook.create": _call({"webhookType": _one_of(*HOOKS), "requestUrl": _is_text, "secretToken": _is_text}),
    "webhook.info": _call({"webhookId": _is_uuid}),
    "webhook.delete": _call({"webhookId": _is_uuid}),
    "referralForm.info": _call(),
    "referral.create": _call(
        {
            "id": _is_uuid,
            "creditedToUserId": _is_uuid,
            "fieldSubmissions": _list_of(_object_of({"path": _is_text, "value": _is_any})),
        },
        {"createdAt": _is_moment},
    ),
}
"""By call."""

WRITING = frozenset(
    {
        "candidate.create",
        "candidate.update",
        "candidate.addTag",
        "candidateTag.create",
        "application.create",
        "application.update",
        "application.changeSource",
        "application.changeStage",
        "candidate.anonymize",
        "customField.create",
        "customField.setValue",
        "customField.setValues",
        "referral.create",
        "webhook.create",
        "webhook.delete",
    }
)
"""The calls that change something."""

PERMISSIONS: Mapping[str, str] = {
    **dict.fromkeys(PARAMETERS, "candidatesRead"),
    **dict.fromkeys(WRITING, "candidatesWrite"),
    **dict.fromkeys(("job.list", "job.info", "jobPosting.list"), "jobsRead"),
    **dict.fromkeys(("interviewPlan.list", "interviewStage.list"), "interviewsRead"),
    **dict.fromkeys(("user.list", "user.search", "department.list"), "organizationRead"),
    **dict.fromkeys(
        ("archiveReason.list", "source.list", "customField.list", "candidateTag.list", "referralForm.info"),
        "hiringProcessMetadataRead",
    ),
    **dict.fromkeys(("candidateTag.create", "customField.create"), "hiringProcessMetadataWrite"),
    "offer.list": "offersRead",
    **dict.fromkeys(("apiKey.info", "webhook.info"), "apiKeysRead"),
    **dict.fromkeys(("webhook.create", "webhook.delete"), "apiKeysWrite"),
}
"""The permission that each call requires, as its page says."""
