"""Ashby's refusals. Belongs here: codes and their body. Does not belong here: when they are given."""

from __future__ import annotations

import secrets
from typing import Any


class Refusal(Exception):
    """An answer that is no success. `status` is 200 for everything that the vendor tells in the body alone."""

    def __init__(self, code: str, message: str, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.code = code
        self.message = message
        self.status = status
        self.headers = headers or {}
        super().__init__(code)

    @property
    def body(self) -> dict[str, Any]:
        """The body as documented."""
        info = {"code": self.code, "message": self.message, "requestId": f"01{secrets.token_hex(12).upper()}"}
        return {"success": False, "errors": [self.code], "errorInfo": info}


def invalid(message: str) -> Refusal:
    """The request is wrong."""
    return Refusal("invalid_input", message)


def not_found(noun: str) -> Refusal:
    """The record is not there: "candidate", "application", "interview_stage"."""
    return Refusal(f"{noun}_not_found", f"{noun.replace('_', ' ').capitalize()} not found")
