"""The advocacy contract as an OpenAPI 3.1 document, written by hand: the sandbox follows it, not the other way round.

Belongs here: the document. Does not belong here: code that reads it; the tests hold every answer against it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from referral_pipeline.sandbox.advocacy.parameters import (
    BONUS_STATES,
    DEFAULT_LIMIT,
    JOB_STATUSES,
    MATURITIES,
    MAX_LIMIT,
)
from referral_pipeline.sandbox.advocacy.store import RECOGNITION_KINDS
from referral_pipeline.vocabulary import CandidateStatus, ReferralStage

Schema = dict[str, Any]

_ID: Schema = {"type": "string", "minLength": 1}
_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"type": "string", "format": "date-time", "description": "RFC 3339, UTC"}
_DATE: Schema = {"type": "string", "format": "date"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_COUNTED = ("shares", "clicks", "referrals", "applications", "interviews", "offers", "hires")
_STATUS: Schema = {"type": "string", "enum": [status.value for status in CandidateStatus]}


def _or_null(schema: Schema) -> Schema:
    return {"oneOf": [schema, {"type": "null"}]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: dict[str, Schema], *, optional: tuple[str, ...] = (), description: str = "") -> Schema:
    schema: Schema = {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }
    if description:
        schema["description"] = description
    return schema


def _schemas() -> dict[str, Schema]:
    ats = _object({"system": _ID, "candidate_id": _ID, "application_id": _ID})
    candidate = _object(
        {name: _or_null(_TEXT) for name in ("first_name", "last_name", "email", "phone", "country")},
        description="As the advocate typed it. Personal data.",
    )
    consent = _object(
        {
            "granted": {"type": "boolean"},
            "basis": _or_null(_TEXT),
            "granted_at": _or_null(_TIME),
            "expires_at": _or_null(_TIME),
        },
        description="`expires_at` null: no expiry.",
    )
    posting: dict[str, Schema] = {
        "title": _ID,
        "status": {"type": "string", "enum": list(JOB_STATUSES)},
        "location": _or_null(_ID),
        "url": _or_null(_ID),
    }
    recognition: dict[str, Schema] = {
        "referral_id": _ID,
        "kind": {"type": "string", "enum": list(RECOGNITION_KINDS)},
        "amount_cents": _COUNT,
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
    }
    part = {"type": "number", "minimum": 0, "maximum": 1}
    conversion = _object(
        {
            **{name: _or_null(part) for name in ("value", "low", "high")},
            "maturity": {"type": "string", "enum": list(MATURITIES)},
        },
        description="Hires over applications with a 95 % interval; numbers exactly when `maturity` is mature.",
    )
    bonus = _object(
        {
            "state": {"type": "string", "enum": list(BONUS_STATES)},
            "amount_cents": _COUNT,
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
            "count": _COUNT,
        },
        description="All bonuses of one state and currency; `amount_cents` counts the currency's smallest unit.",
    )
    results: dict[str, Schema] = {
        "as_of": _TIME,
        **dict.fromkeys(_COUNTED, _COUNT),
        "conversion": _ref("Conversion"),
        "credit": {"type": "number", "minimum": 0, "description": "Sum of the weights of their credit."},
        "bonuses": {"type": "array", "items": _ref("BonusSum")},
        "next_eligible_on": _or_null(_DATE),
    }
    return {
        "Conversion": conversion,
        "BonusSum": bonus,
        "NewResults": _object(results, description="What came of an advocate's sharing, whole. Ids and counts only."),
        "Results": _object({"id": _ID, **results, "updated_at": _TIME}),
        "Advocate": _object(
            {
                "id": _ID,
                "email": _or_null(_TEXT),
                "department": _or_null(_TEXT),
                "eligible": {"type": "boolean"},
                "joined_at": _or_null(_TIME),
                "left_at": _or_null(_TIME),
                "updated_at": _TIME,
            }
        ),
        "Content": _object(
            {
                "id": _ID,
                "title": _TEXT,
                "campaign_tag": _or_null(_TEXT),
                "job_id": _or_null(_ID),
                "published_at": _or_null(_TIME),
                "updated_at": _TIME,
            }
        ),
        "Share": _object(
            {
                "id": _ID,
                "advocate_id": _ID,
                "content_id": _or_null(_ID),
                "job_id": _or_null(_ID),
                "channel": _or_null(_TEXT),
                "shared_at": _TIME,
                "reach": _or_null(_COUNT),
                "updated_at": _TIME,
            }
        ),
        "Click": _object(
            {"id": _ID, "share_id": _ID, "visitor_id": _or_null(_TEXT), "clicked_at": _TIME, "updated_at": _TIME}
        ),
        "Ats": ats,
        "Candidate": candidate,
        "Consent": consent,
        "Engagement": _object({"clicks": _or_null(_COUNT), "shares": _or_null(_COUNT), "reach": _or_null(_COUNT)}),
        "Referral": _object(
            {
                "id": _ID,
                "advocate_id": _ID,
                "share_id": _or_null(_ID),
                "job_id": _ID,
                "campaign_tag": _or_null(_TEXT),
                "stage": {"type": "string", "enum": [stage.value for stage in ReferralStage]},
                "submitted_at": _TIME,
                "applied_at": _or_null(_TIME),
                "candidate": _ref("Candidate"),
                "consent": _or_null(_ref("Consent")),
                "engagement": _or_null(_ref("Engagement")),
                "status": _or_null(_STATUS),
                "status_at": _or_null(_TIME),
                "ats": _or_null(_ref("Ats")),
                "hired_at": _or_null(_TIME),
                "starts_on": _or_null(_DATE),
                "updated_at": _TIME,
            }
        ),
        "StatusUpdate": _object(
            {
                "status": _STATUS,
                "status_at": _TIME,
                "ats": _ref("Ats"),
                "hired_at": _or_null(_TIME),
                "starts_on": _or_null(_DATE),
            },
            optional=("ats", "hired_at", "starts_on"),
            description=(
                "`status_at` is when the ATS recorded the change. `ats` is needed once the platform knows it. "
                "`hired_at` and `starts_on` are kept with the status `hired` only; any other status clears them."
            ),
        ),
        "JobPosting": _object(posting, optional=("location", "url")),
        "Job": _object({"id": _ID, **posting, "updated_at": _TIME}),
        "NewRecognition": _object(
            recognition, description="`hired` has amount 0, `bonus_eligible` the amount, `reversed` all of it again."
        ),
        "Erasure": _object({"id": _ID, "referral_id": _ID, "erased_at": _TIME}),
        "Recognition": _object({"id": _ID, **recognition, "created_at": _TIME, "updated_at": _TIME}),
        "Token": _object(
            {"access_token": _ID, "token_type": {"const": "Bearer"}, "expires_in": _COUNT},
        ),
        "TokenError": _object(
            {
                "error": {
                    "enum": ["invalid_request", "invalid_client", "unsupported_grant_type", "invalid_scope"],
                },
                "error_description": _TEXT,
            },
            description="RFC 6749 section 5.2",
        ),
        "Problem": {
            "type": "object",
            "description": "RFC 9457",
            "properties": {
                "type": {"type": "string", "format": "uri-reference"},
                "title": _TEXT,
                "status": {"type": "integer"},
                "detail": _TEXT,
                "errors": {
                    "type": "array",
                    "items": _object({"pointer": _TEXT, "detail": _TEXT}),
                },
            },
            "required": ["type", "title", "status", "detail"],
        },
    }


_PROBLEMS = {
    "400": "A parameter is unknown, repeated or out of range, or the body is not JSON.",
    "401": "No living token.",
    "404": "No row with this id.",
    "409": "Contradicts what the platform knows.",
    "415": "The body is not declared as JSON.",
    "422": "A value has the wrong type or is outside the vocabulary.",
    "429": "Too many calls; `Retry-After` says how many seconds to wait.",
}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _operation(
    summary: str, answers: dict[str, tuple[str, Schema]], problems: tuple[str, ...], **more: Any
) -> dict[str, Any]:
    responses: dict[str, Any] = {
        status: {"description": description, "content": _json(schema)}
        for status, (description, schema) in answers.items()
    }
    for status in problems:
        responses[status] = {"$ref": f"#/components/responses/Problem{status}"}
    return {"summary": summary, "responses": responses, **more}


def _list_operation(name: str, schema: str) -> dict[str, Any]:
    page = _object({"data": {"type": "array", "items": _ref(schema)}, "next_cursor": _or_null(_ID)})
    parameters = [{"$ref": f"#/components/parameters/{key}"} for key in ("updated_since", "cursor", "limit")]
    return _operation(
        f"{name} by (updated_at, id), ascending",
        {"200": ("A page", page)},
        ("400", "401", "429"),
        parameters=parameters,
    )


def _paths() -> dict[str, Any]:
    row_id = {"name": "id", "in": "path", "required": True, "schema": _ID}
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": "The same key again answers the same; with another body it is 422.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    }
    form = {
        "type": "object",
        "properties": {"grant_type": {"const": "client_credentials"}},
        "required": ["grant_type"],
    }
    lists = {
        "advocates": "Advocate",
        "content": "Content",
        "shares": "Share",
        "clicks": "Click",
        "referrals": "Referral",
    }
    token_error = {"description": "RFC 6749 error", "content": _json(_ref("TokenError"))}
    return {
        "/oauth/token": {
            "post": {
                "summary": "Client credentials",
                "security": [{"client": []}],
                "requestBody": {
                    "required": True,
                    "content": {"application/x-www-form-urlencoded": {"schema": form}},
                },
                "responses": {
                    "200": {"description": "A token", "content": _json(_ref("Token"))},
                    "400": token_error,
                    "401": token_error,
                },
            }
        },
        **{f"/v1/{name}": {"get": _list_operation(name.capitalize(), schema)} for name, schema in lists.items()},
        "/v1/referrals/{id}": {
            "parameters": [row_id],
            "get": _operation("One referral", {"200": ("It", _ref("Referral"))}, ("400", "401", "404", "429")),
            "patch": _operation(
                "Return a status; idempotent; 409 when older than the stored status_at",
                {"200": ("The referral", _ref("Referral"))},
                ("400", "401", "404", "409", "415", "422", "429"),
                requestBody={"required": True, "content": _json(_ref("StatusUpdate"))},
            ),
        },
        "/v1/jobs/{id}": {
            "parameters": [row_id],
            "put": _operation(
                "Publish or update a job posting",
                {"200": ("Updated", _ref("Job")), "201": ("New", _ref("Job"))},
                ("400", "401", "415", "422", "429"),
                requestBody={"required": True, "content": _json(_ref("JobPosting"))},
            ),
        },
        "/v1/advocates/{id}/results": {
            "parameters": [row_id],
            "put": _operation(
                "Return what came of an advocate's sharing; idempotent; 409 when older than the stored as_of",
                {"200": ("The results", _ref("Results"))},
                ("400", "401", "404", "409", "415", "422", "429"),
                requestBody={"required": True, "content": _json(_ref("NewResults"))},
            ),
        },
        "/v1/recognitions": {
            "post": _operation(
                "Recognise an advocate",
                {"201": ("The recognition", _ref("Recognition"))},
                ("400", "401", "409", "415", "422", "429"),
                parameters=[key],
                requestBody={"required": True, "content": _json(_ref("NewRecognition"))},
            ),
        },
    }


_WEBHOOKS: dict[str, tuple[str, str]] = {
    "referral.submitted": ("A referral was made", "Referral"),
    "referral.updated": ("A referral was changed by people; a returned status sends no webhook", "Referral"),
    "referral.withdrawn": ("A referral was taken back", "Referral"),
    "share.created": ("An advocate shared", "Share"),
    "click.recorded": ("Somebody clicked on a share", "Click"),
    "consent.updated": ("A candidate's consent changed; the whole referral", "Referral"),
    "candidate.erased": ("A candidate is forgotten, and the referral with them", "Erasure"),
}


def _webhooks() -> dict[str, Any]:
    """What is sent to the receiver, signed after Standard Webhooks 1.0 (v1, HMAC-SHA256, 5 minutes of tolerance)."""
    headers = [
        {"name": name, "in": "header", "required": True, "schema": _ID, "description": description}
        for name, description in (
            ("webhook-id", "The same for every attempt of one delivery."),
            ("webhook-timestamp", "Seconds since the epoch, of this attempt."),
            ("webhook-signature", "One or more `v1,<base64>`, separated by spaces."),
        )
    ]
    answers = {
        "200": {"description": "Taken. Anything else is sent again."},
    }
    found: dict[str, Any] = {}
    for event_type, (summary, schema) in _WEBHOOKS.items():
        body = _object({"type": {"const": event_type}, "timestamp": _TIME, "data": _ref(schema)})
        found[event_type] = {
            "post": {
                "summary": summary,
                "security": [],
                "parameters": headers,
                "requestBody": {"required": True, "content": _json(body)},
                "responses": answers,
            }
        }
    return found


@cache
def document() -> dict[str, Any]:
    """The whole document. Shared: do not change it."""
    problem: dict[str, Any] = {"application/problem+json": {"schema": _ref("Problem")}}
    responses: dict[str, Any] = {
        f"Problem{status}": {"description": description, "content": problem}
        for status, description in _PROBLEMS.items()
    }
    responses["Problem429"]["headers"] = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Employee advocacy platform",
            "version": "1.0.0",
            "description": "Advocates, their shares, the people they refer; statuses and jobs come back from the ATS.",
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": _paths(),
        "webhooks": _webhooks(),
        "components": {
            "schemas": _schemas(),
            "responses": responses,
            "parameters": {
                "updated_since": {
                    "name": "updated_since",
                    "in": "query",
                    "description": "Rows changed at or after this time.",
                    "schema": _TIME,
                },
                "cursor": {
                    "name": "cursor",
                    "in": "query",
                    "description": "`next_cursor` of the page before; it remembers its updated_since.",
                    "schema": _ID,
                },
                "limit": {
                    "name": "limit",
                    "in": "query",
                    "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
                },
            },
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "client": {"type": "http", "scheme": "basic"},
            },
        },
    }
