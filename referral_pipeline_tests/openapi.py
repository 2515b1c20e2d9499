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

import pytest
from jsonschema import Draft202012Validator, FormatChecker

REPOSITORY = Path(__file__).resolve().parent.parent
REFERENCE_DIR = Path(os.environ.get("REFERENCE_DIR", REPOSITORY / ".." / "shared"))
GREENHOUSE_DOCUMENT = REFERENCE_DIR / "vendor_samples" / "greenhouse_v3" / "harvest-v3-openapi-2026-03.json"

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
