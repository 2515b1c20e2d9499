"""What can go wrong with a call: two families, transient and permanent, and how an answer is sorted into them.

Belongs here: the failure classes, the rule that sorts a status, reading a vendor's error body, redaction. Does not
belong here: sending, retrying (`connectors.http`).

The functions *return* the exception, so that the caller writes `raise failure from error` and the traceback starts
where the call was made. A message names the system, the operation, the status and what the vendor said, never personal
data: what was sent is cut out of what came back, and so is everything that looks like an address, a number, a quoted
value or a token. (A measured case: the Greenhouse token endpoint echoes the client id in its 400.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

RETRYABLE_4XX = frozenset({408, 425, 429})
"""The only statuses below 500 that invite another try; any other 4xx stays wrong however often it is sent."""

NOT_PROCESSED = frozenset({425, 429})
"""Refused before any work was done, so that even a create may be sent again."""

_LONGEST_DETAIL = 300
_SHORTEST_SENT_VALUE = 3


MOST_EVIDENCE_BYTES = 64 * 1024
"""How much of an answer is kept as evidence."""


@dataclass(frozen=True)
class Evidence:
    """What was sent and what came back, for whoever must decide about a dead letter.

    Holds personal data: it is kept encrypted or not at all, and its `repr` shows none. Query parameters and headers are
    not in it (the one may hold addresses, the other holds the token).
    """

    method: str
    path: str = field(repr=False)
    body: Any = field(default=None, repr=False)
    status: int | None = None
    answer: bytes = field(default=b"", repr=False)

    @property
    def request(self) -> bytes:
        """The request as one JSON object: method, path, body."""
        request = {"method": self.method, "path": self.path, "body": self.body}
        # Half of a character, which no UTF-8 holds, is written as JSON escapes it.
        return json.dumps(request, ensure_ascii=False).encode("utf-8", "backslashreplace")

    @property
    def response(self) -> bytes | None:
        """The answer as one JSON object: status, body as text. None when no answer came."""
        if self.status is None:
            return None
        text = self.answer.decode("utf-8", "replace")
        return json.dumps({"status": self.status, "body": text}, ensure_ascii=False).encode()


class HttpFailure(Exception):
    """A call that did not succeed.

    `status` is None when no answer came; `detail` is redacted. `evidence` is what the message leaves out, None where
    nothing was sent or where it was a credential.
    """

    evidence: Evidence | None = None

    def __init__(
        self,
        system: str,
        operation: str,
        *,
        status: int | None = None,
        detail: str = "",
        retry_after: float | None = None,
    ) -> None:
        self.system = system
        self.operation = operation
        self.status = status
        self.detail = detail
        self.retry_after = retry_after
        answered = f"answered {status}" if status is not None else "gave no usable answer"
        super().__init__(f"{system} {operation} {answered}" + (f": {detail}" if detail else ""))


class TransientFailure(HttpFailure):
    """May succeed later. `exhausted` says that the client has retried as far as it was allowed to."""

    exhausted: bool = False


class RateLimited(TransientFailure):
    """Too many calls; `retry_after` says in seconds when the system takes calls again, None when it did not say."""


class AmbiguousOutcome(TransientFailure):
    """A write that the system may have done, or not: nobody knows. Read before writing again."""


class Unreachable(TransientFailure):
    """No connection could be made, so the request was certainly not received."""


class CircuitOpen(TransientFailure):
    """Not sent: the system's breaker is open. `retry_after` says in seconds when it lets a call through again."""

    exhausted = True


class NotApproved(CircuitOpen):
    """Not sent: nobody has approved that production is written to under this contract. What waits, waits on."""

    def __init__(self, system: str, operation: str) -> None:
        detail = "go-live is not approved for this contract; run `referral-pipeline go-live`"
        super().__init__(system, operation, detail=detail, retry_after=60.0)


class PermanentFailure(HttpFailure):
    """Will not succeed as it is; sending it again is pointless."""


class Unauthorized(PermanentFailure):
    """The credential was refused (401), also after a fresh token."""


class Forbidden(PermanentFailure):
    """The credential lacks the right (403): a scope, or what its acting user may do."""


class NotFound(PermanentFailure):
    """The record or the route is not there (404, 410)."""


class Conflict(PermanentFailure):
    """The record stands in a way that excludes this write (409)."""


class Invalid(PermanentFailure):
    """The request itself is wrong (400, 422), or an answer cannot mean what it should."""


_PERMANENT: Mapping[int, type[PermanentFailure]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: NotFound,
    422: Invalid,
}


def is_transient(status: int) -> bool:
    """Whether a status invites another try."""
    return status in RETRYABLE_4XX or status >= 500


def failure_for_status(
    system: str,
    operation: str,
    status: int,
    *,
    detail: str = "",
    retry_after: float | None = None,
    repeatable: bool = True,
) -> HttpFailure:
    """The failure that a status means.

    Args:
        system: Whose answer it is.
        operation: What was asked, such as `candidates.create`.
        status: HTTP status, 300 or more.
        detail: The vendor's words, already redacted.
        retry_after: Seconds until the system takes calls again.
        repeatable: False for a write that must not be done twice; then a transient status means `AmbiguousOutcome`
            unless the status promises that nothing was done.
    """
    if status == 429:
        return RateLimited(system, operation, status=status, detail=detail, retry_after=retry_after)
    if is_transient(status):
        kind = TransientFailure if repeatable or status in NOT_PROCESSED else AmbiguousOutcome
        return kind(system, operation, status=status, detail=detail, retry_after=retry_after)
    return _PERMANENT.get(status, PermanentFailure)(system, operation, status=status, detail=detail)


def lost_answer(
    system: str, operation: str, *, status: int | None = None, detail: str = "", repeatable: bool = True
) -> TransientFailure:
    """The failure for an answer that never came, broke off, or cannot be decoded."""
    kind = TransientFailure if repeatable else AmbiguousOutcome
    return kind(system, operation, status=status, detail=detail)


def vendor_message(body: object) -> str:
    """What an error body says, whatever its form (GREENHOUSE_V3 section 3.4; RFC 9457; RFC 6749).

    Takes `message`, `error`, `title`, `detail` or `developerMessage`, and flattens `errors`: a list of strings, of
    one-key objects, of {message, field}, or absent.
    """
    if not isinstance(body, Mapping):
        return ""
    parts: list[str] = []
    fields = cast("Mapping[str, Any]", body)
    for name in ("message", "error", "title", "error_description", "detail", "developerMessage"):
        value = fields.get(name)
        if isinstance(value, str) and value and value not in parts:
            parts.append(value)
    parts.extend(_flatten_errors(fields.get("errors")))
    return "; ".join(parts)


def _flatten_errors(errors: object) -> Iterable[str]:
    if isinstance(errors, str):
        yield errors
    elif isinstance(errors, Mapping):
        entry = cast("Mapping[str, Any]", errors)
        if isinstance(entry.get("message"), str):
            where = entry.get("field") or entry.get("pointer")
            yield f"{where}: {entry['message']}" if where else str(entry["message"])
        else:
            for key, value in entry.items():
                for text in _flatten_errors(value):
                    yield f"{key}: {text}"
    elif isinstance(errors, list):
        for entry in cast("list[Any]", errors):
            yield from _flatten_errors(entry)


_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[^\s<>\"'`,;:()\[\]]+@[^\s<>\"'`,;:()\[\]]+"), "[e-mail]"),
    (re.compile(r"`[^`]*`|\"[^\"]*\"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|(?<!\w)'[^']*'(?!\w)|‘[^’]*’"), "[value]"),
    (re.compile(r"\b(client_id|client_secret|token|password|secret)=\S+", re.IGNORECASE), r"\1=[value]"),
    (re.compile(r"(?=[A-Za-z0-9_\-.+/=]{20,})(?=[A-Za-z_\-.+/=]*\d)[A-Za-z0-9_\-.+/=]{20,}"), "[token]"),
    (re.compile(r"(?<![\w.])\+?\(?\d[\d\s().\-/]{5,}\d"), "[number]"),
)


def redact(text: str, sent: Iterable[str] = ()) -> str:
    """Take personal data and secrets out of a vendor's words.

    Args:
        text: What the vendor said.
        sent: Values of the request; wherever one comes back it is cut out, which also catches names.
    """
    for value in sorted({value.strip() for value in sent}, key=len, reverse=True):
        if len(value) >= _SHORTEST_SENT_VALUE:
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "[value]", text, flags=re.IGNORECASE)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_DETAIL else text[: _LONGEST_DETAIL - 1] + "…"


def texts_in(value: object) -> Iterable[str]:
    """Every text inside a JSON value: what `redact` cuts out when it comes back."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in cast("Mapping[Any, Any]", value).values():
            yield from texts_in(inner)
    elif isinstance(value, list | tuple):
        for inner in cast("Iterable[Any]", value):
            yield from texts_in(inner)
