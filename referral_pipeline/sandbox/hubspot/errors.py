"""Refusals as HubSpot words them: {status, message, correlationId, category}.

Belongs here: the forms. Does not belong here: deciding when.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, category: str | None, message: str, **more: Any) -> None:
        self.status = status
        self.body: dict[str, Any] = {
            "status": "error",
            "message": message,
            "correlationId": str(uuid.uuid4()),
            **({"category": category} if category else {}),
            **more,
        }
        super().__init__(message)


def invalid(message: str) -> Refusal:
    """A request that is wrong in itself."""
    return Refusal(400, "VALIDATION_ERROR", message)


def bad_properties(problems: Sequence[tuple[str, str, str]]) -> Refusal:
    """Values that no property takes: (property, code, words). The list is text inside the message."""
    told = [{"isValid": False, "message": words, "error": code, "name": name} for name, code, words in problems]
    errors = [{"message": words, "code": code, "context": {"propertyName": [name]}} for name, code, words in problems]
    return Refusal(400, "VALIDATION_ERROR", f"Property values were not valid: {json.dumps(told)}", errors=errors)


def unauthorized() -> Refusal:
    """No key, or a wrong one."""
    return Refusal(401, "INVALID_AUTHENTICATION", "Authentication credentials not found or invalid")


def forbidden(scopes: Sequence[str]) -> Refusal:
    """The app lacks a scope."""
    words = "This app hasn't been granted all required scopes to make this call"
    errors = [
        {
            "message": "One or more of the following scopes are required.",
            "context": {"requiredGranularScopes": list(scopes)},
        }
    ]
    return Refusal(403, "MISSING_SCOPES", words, errors=errors)


def not_found(what: str = "resource not found") -> Refusal:
    """A record that is not there."""
    return Refusal(404, "OBJECT_NOT_FOUND", what)


def no_method() -> Refusal:
    """A method that the path does not know."""
    return Refusal(405, "METHOD_NOT_ALLOWED", "The method is not allowed here")


def exists(contact_id: str, *, tells_id: bool) -> Refusal:
    """A contact with this address is there."""
    return Refusal(409, "CONFLICT", "Contact already exists" + (f". Existing ID: {contact_id}" if tells_id else ""))


def taken(message: str) -> Refusal:
    """A property or a group of this name is there."""
    return Refusal(409, "OBJECT_ALREADY_EXISTS", message)


def too_many(policy: str, words: str) -> Refusal:
    """Too many calls. As published: without a category."""
    return Refusal(429, None, f"You have reached your {words} limit.", errorType="RATE_LIMIT", policyName=policy)


Headers = Mapping[str, str]
