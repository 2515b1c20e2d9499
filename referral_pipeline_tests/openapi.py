"""The vendor's own OpenAPI document, for tests: component schemas and request bodies as JSON Schema validators.

The document is not part of this repository. It is read from `REFERENCE_DIR` (default: `../shared` beside the
repository); tests that need it skip with a reason when it is absent.
"""

from __future__ import annotations

import json
import os
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker, validators
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

REPOSITORY = Path(__file__).resolve().parent.parent
REFERENCE_DIR = Path(os.environ.get("REFERENCE_DIR", REPOSITORY / ".." / "shared"))
GREENHOUSE_DOCUMENT = REFERENCE_DIR / "vendor_samples" / "greenhouse_v3" / "harvest-v3-openapi-2026-03.json"

ASHBY_SAMPLES = REFERENCE_DIR / "vendor_samples" / "ashby"
ASHBY_DOCUMENT = ASHBY_SAMPLES / "ashby-openapi.yml"

needs_ashby_document = pytest.mark.skipif(
    not ASHBY_DOCUMENT.is_file(), reason="the vendor's OpenAPI document is not here (set REFERENCE_DIR)"
)
needs_greenhouse_document = pytest.mark.skipif(
    not GREENHOUSE_DOCUMENT.is_file(), reason="the vendor's OpenAPI document is not here (set REFERENCE_DIR)"
)

NEWER_APPLICATION_FIELDS = ("job_interview_stage_id", "rejection_reason_id")
"""Fields of an application that came after the document of March 2026."""

_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("date-time", raises=ValueError)
def _date_time(value: object) -> bool:
    return not isinstance(value, str) or ("T" in value and datetime.fromisoformat(value).tzinfo is not None)


@_FORMATS.checks("date", raises=ValueError)
def _date(value: object) -> bool:
    return not isinstance(value, str) or bool(date.fromisoformat(value))


@_FORMATS.checks("uuid", raises=ValueError)
def _uuid(value: object) -> bool:
    return not isinstance(value, str) or bool(UUID(value))


@cache
def greenhouse_document() -> dict[str, Any]:
    """The whole document."""
    return json.loads(GREENHOUSE_DOCUMENT.read_text(encoding="utf-8"))


@cache
def row_validator(component: str) -> Draft202012Validator:
    """A validator of one row by its component schema (`candidate`, `application`, ...)."""
    schema = greenhouse_document()["components"]["schemas"][component]
    return Draft202012Validator(_readable(schema), format_checker=_FORMATS)


@cache
def body_validator(method: str, path: str) -> Draft202012Validator:
    """A validator of the request body of one operation, such as ("patch", "/v3/applications/{id}")."""
    operation = greenhouse_document()["paths"][path][method]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return Draft202012Validator(_readable(schema), format_checker=_FORMATS)


def row_problems(component: str, row: dict[str, Any]) -> list[str]:
    """What is wrong with a row by the document of March 2026, the two newer application fields set aside.

    A row that lacks a declared property is wrong too, although the schema does not say `required`.
    """
    if component == "application":
        row = {key: value for key, value in row.items() if key not in NEWER_APPLICATION_FIELDS}
    schema = greenhouse_document()["components"]["schemas"][component]
    declared = schema.get("properties") or schema["oneOf"][0]["properties"]
    missing = [f"{name} is missing" for name in declared if name not in row]
    return missing + [f"{error.json_path}: {error.message}" for error in row_validator(component).iter_errors(row)]


def body_is_valid(method: str, path: str, body: object) -> bool:
    """Whether the document accepts this request body."""
    return body_validator(method, path).is_valid(body)


def _readable(schema: Any) -> Any:
    """Give OpenAPI 3.0's `nullable`, which slipped into the document, the meaning that JSON Schema lacks."""
    if isinstance(schema, list):
        return [_readable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    read = {key: _readable(value) for key, value in schema.items() if key != "nullable"}
    if schema.get("nullable") and isinstance(read.get("type"), str):
        read["type"] = [read["type"], "null"]
    return read


# ---------------------------------------------------------------- Ashby


@cache
def ashby_document() -> dict[str, Any]:
    """The whole document, where it contradicts itself as its descriptions say.

    Its unions overlap (a date is a text too), so that `oneOf` can only mean `anyOf`. `interviewStageId` of
    application.create takes a word beside ids, and a field submission takes an object where the field is a job.
    """
    document = yaml.load(ASHBY_DOCUMENT.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    create = _ashby_request(document, "application.create")["properties"]
    create["interviewStageId"] = {"anyOf": [create["interviewStageId"], {"const": "FirstPreInterviewScreen"}]}
    submission = _ashby_request(document, "referral.create")["properties"]["fieldSubmissions"]["items"]
    del submission["properties"]["value"]["type"]
    return _with_any_of(document)


def _ashby_request(document: dict[str, Any], call: str) -> dict[str, Any]:
    return document["paths"][f"/{call}"]["post"]["requestBody"]["content"]["application/json"]["schema"]


def _with_any_of(schema: Any) -> Any:
    # In place: aliases of the document stay one object, so that it is walked once.
    pending, seen = [schema], set[int]()
    while pending:
        one = pending.pop()
        if id(one) in seen or not isinstance(one, dict | list):
            continue
        seen.add(id(one))
        if isinstance(one, dict) and "oneOf" in one:
            # The references of the document lead through "oneOf": it stays where it is, and says nothing more.
            one["anyOf"] = one["oneOf"]
            one["oneOf"] = _Branches(one["oneOf"])
        pending.extend(one.values() if isinstance(one, dict) else one)
    return schema


class _Branches(list[Any]):
    """Branches that references may lead through."""


def _any_number_of(validator: Any, branches: Any, instance: Any, schema: Any) -> Any:
    """`oneOf` as it is meant there: `anyOf` beside it says all."""
    return iter(())


@cache
def _ashby_validator(pointer: str) -> Any:
    document = ashby_document()
    registry = Registry().with_resource("urn:ashby", Resource.from_contents(document, DRAFT202012))
    kind = validators.extend(Draft202012Validator, {"oneOf": _any_number_of})
    return kind({"$ref": f"urn:ashby#{pointer}"}, registry=registry, format_checker=_FORMATS)


def ashby_request_problems(call: str, body: object) -> list[str]:
    """What is wrong with the body of a request, undeclared parameters included."""
    operation = ashby_document()["paths"][f"/{call}"]["post"]
    if "requestBody" not in operation:
        return [] if body in ({}, None) else ["the call takes no body"]
    where = f"/paths/~1{call}/post/requestBody/content/application~1json/schema"
    return [f"{call}: {error.message}" for error in _ashby_validator(where).iter_errors(body)]


def ashby_answer_problems(call: str, answer: Any) -> list[str]:
    """What is wrong with an answer that came with HTTP 200: a success must be one, a refusal must be one."""
    branch = 0 if answer.get("success") else 1
    where = f"/paths/~1{call}/post/responses/200/content/application~1json/schema/anyOf/{branch}"
    return [f"{call} {error.json_path}: {error.message}" for error in _ashby_validator(where).iter_errors(answer)]


def ashby_event_problems(body: Any) -> list[str]:
    """What is wrong with the body of a webhook."""
    where = f"/webhooks/{body['action']}/post/requestBody/content/application~1json/schema"
    return [f"{body['action']} {e.json_path}: {e.message}" for e in _ashby_validator(where).iter_errors(body)]


# ---------------------------------------------------------------- HubSpot

HUBSPOT_SAMPLES = REFERENCE_DIR / "vendor_samples" / "hubspot"
HUBSPOT_DOCUMENT = HUBSPOT_SAMPLES / "contacts.v3.json"

needs_hubspot_document = pytest.mark.skipif(
    not HUBSPOT_DOCUMENT.is_file(), reason="the vendor's OpenAPI document is not here (set REFERENCE_DIR)"
)


@cache
def hubspot_document() -> dict[str, Any]:
    """The whole document, where the vendor's own samples contradict it: a property may be null, `status` is beside."""
    document = json.loads(HUBSPOT_DOCUMENT.read_text(encoding="utf-8"))
    for schema in document["components"]["schemas"].values():
        values = schema.get("properties", {}).get("properties", {})
        if values.get("type") == "object":
            values["additionalProperties"] = {"type": ["string", "null"]}
    return document


def hubspot_operation(method: str, path: str) -> dict[str, Any] | None:
    """The operation of a path such as /crm/v3/objects/contacts/501; None when the document has none."""
    paths = hubspot_document()["paths"]
    for known in (path, f"{path.rpartition('/')[0]}/{{contactId}}"):
        if known in paths and method.lower() in paths[known]:
            return paths[known][method.lower()]
    return None


def hubspot_problems(method: str, path: str, status: int, request: Any, answer: Any) -> list[str]:
    """What is wrong with a request (unless it was refused) and with its answer."""
    operation = hubspot_operation(method, path)
    if operation is None:
        return [f"{method} {path.rpartition('/')[0]}: no such operation"]
    name, found = operation["operationId"], list[str]()
    if status < 300 and "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        found += [f"{name} request: {e.message}" for e in _hubspot_validator(json.dumps(schema)).iter_errors(request)]
    if status == 429:
        return found  # as published: without a category
    content = operation["responses"].get(str(status), {}).get("content")
    if status >= 400:
        schema = {"$ref": "#/components/schemas/Error"}
    elif not content:
        return found + ([f"{name}: {status} is not declared"] if str(status) not in operation["responses"] else [])
    else:
        schema = next(iter(content.values()))["schema"]
    return found + [
        f"{name} {e.json_path}: {e.message}" for e in _hubspot_validator(json.dumps(schema)).iter_errors(answer)
    ]


@cache
def _hubspot_validator(schema: str) -> Any:
    registry = Registry().with_resource("urn:hubspot", Resource.from_contents(hubspot_document(), DRAFT202012))
    whole = json.loads(schema.replace("#/components", "urn:hubspot#/components"))
    return Draft202012Validator(whole, registry=registry, format_checker=_FORMATS)
