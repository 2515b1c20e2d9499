"""Refusals as Lever words them: {code, message}.

Belongs here: the forms. Does not belong here: deciding when.
"""

from __future__ import annotations


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.body = {"code": code, "message": message}
        super().__init__(message)


def bad_request(message: str) -> Refusal:
    """A request that is wrong in itself."""
    return Refusal(400, "BadRequestError", message)


def unauthorized() -> Refusal:
    """No key, or a wrong one."""
    return Refusal(401, "Unauthorized", "Authentication failed")


def forbidden(message: str) -> Refusal:
    """The key lacks the right."""
    return Refusal(403, "Forbidden", message)


def not_found(what: str, record_id: str) -> Refusal:
    """A record that is not there."""
    return Refusal(404, "ResourceNotFound", f"{what} {record_id[:60]} was not found")


def no_route(path: str) -> Refusal:
    """A path that leads nowhere."""
    return Refusal(404, "ResourceNotFound", f"{path[:60]} does not exist")


def too_many() -> Refusal:
    """The bucket is empty. No header says when it has something again."""
    return Refusal(429, "TooManyRequests", "Too many requests")
