"""What came back of one request: an answer, or the failure that it means.

Belongs here: decoding, judging refusals by status and by body, broken transport, evidence. Does not belong here:
sending and retries (`http`), which status is which failure (`failures`), headers one by one (`wire`).
"""

from __future__ import annotations

import json as json_codec
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError as TransportError

from referral_pipeline.connectors.calls import CallOutcome
from referral_pipeline.connectors.clock import Clock
from referral_pipeline.connectors.connections import Request
from referral_pipeline.connectors.failures import (
    MOST_EVIDENCE_BYTES,
    Evidence,
    HttpFailure,
    Invalid,
    PermanentFailure,
    Unreachable,
    failure_for_status,
    is_transient,
    lost_answer,
    redact,
    texts_in,
    vendor_message,
)
from referral_pipeline.connectors.rate_budget import ServerWindow
from referral_pipeline.connectors.wire import (
    describe,
    is_untrusted,
    json_or_none,
    next_link,
    origin,
    outcome_of,
    retry_after,
    transport_outcome,
)

Judge = Callable[[Any], "tuple[int, str] | None"]
"""Reads the decoded body of a success: the status that a refusal in it comes to, and its words; None: a success."""


BROKEN_TRANSPORT = (requests.RequestException, TransportError, OSError)
"""What a connection that does not hold raises."""
_MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """A successful answer. `data` is the decoded JSON, None for an empty body; `next_url` the next page, if any."""

    status: int
    data: Any
    next_url: str | None = None


class Measure:
    """What is known of one attempt so far; becomes its record."""

    def __init__(self, clock: Clock, attempt: int) -> None:
        self.attempt = attempt
        self.at = datetime.fromtimestamp(clock.now(), UTC)
        self.started = clock.monotonic()
        self.status: int | None = None
        self.outcome = CallOutcome.BROKEN
        self.told: ServerWindow | None = None
        self.clock_skew_ms: int | None = None


@dataclass(frozen=True)
class Answers:
    """Judges what comes back of one system. Safe for threads.

    Attributes:
        system: Name used in messages.
        clock: Time, for tests.
        longest_seconds: How long a body may take.
        read_seconds: How long an answer was waited for, as a message tells it.
        judge: Tells refusals that come as successes; None for none.
        blocked: Called with the moment (epoch seconds) until which the credential's window is used up.
        shown: Called with operation and data of each success; None for nobody.
    """

    system: str
    clock: Clock
    longest_seconds: float
    read_seconds: float
    judge: Judge | None = None
    blocked: Callable[[float], None] | None = None
    shown: Callable[[str, Any], None] | None = None

    def evident(self, failure: HttpFailure, request: Request, body: bytes = b"") -> HttpFailure:
        """The failure with what was sent and what came back."""
        failure.evidence = Evidence(
            method=request.method,
            path=urlsplit(request.url).path,
            body=request.json,
            status=failure.status,
            answer=body[:MOST_EVIDENCE_BYTES],
        )
        return failure

    def refusal(self, request: Request, response: BaseHTTPResponse, measure: Measure) -> HttpFailure:
        """The failure that a status of 300 or more means. A lost body only loses the vendor's words."""
        status = response.status
        try:
            body = self._body(response, measure)
        except BROKEN_TRANSPORT:
            body = b""
        now = self.clock.now()
        pause = retry_after(response.headers, now) if is_transient(status) else None
        if status == 429 and measure.told is not None and pause and self.blocked is not None:
            # With rate headers the window of the credential is used up, for everybody. A 429 without them says so
            # of this call alone; the others will hear it themselves.
            self.blocked(now + pause)
        words = vendor_message(json_or_none(body)) or describe(response.headers, body)
        failure = failure_for_status(
            self.system,
            request.operation,
            status,
            detail=redact(words, [*texts_in(request.params), *texts_in(request.json)]),
            retry_after=pause,
            repeatable=request.repeatable,
        )
        return self.evident(failure, request, body)

    def decoded(self, request: Request, response: BaseHTTPResponse, measure: Measure) -> Answer:
        """The answer of a status below 300.

        One to a write may be empty: it was done, and whoever needs its record must look. A read that is answered with
        nothing has lost its answer.

        Raises:
            HttpFailure: It is no JSON, or tells a refusal.
        """
        body = self._body(response, measure)
        if not body and (response.status == 204 or request.writes):
            return Answer(response.status, None)
        try:
            data = json_codec.loads(body)
        except ValueError as error:
            measure.outcome = CallOutcome.BROKEN
            failure = lost_answer(
                self.system,
                request.operation,
                status=response.status,
                detail=f"no JSON but {describe(response.headers, body) or 'an empty body'}",
                repeatable=request.repeatable,
            )
            raise self.evident(failure, request, body) from error
        refused = self.judge(data) if self.judge is not None else None
        if refused is not None:
            raise self.evident(self._judged(request, response, measure, *refused), request, body)
        if self.shown is not None:
            self.shown(request.operation, data)
        return Answer(response.status, data, next_link(response.headers))

    def _judged(
        self, request: Request, response: BaseHTTPResponse, measure: Measure, comes_to: int, words: str
    ) -> HttpFailure:
        """The failure of a refusal that came as a success: of the kind that it comes to, with the status it had."""
        measure.outcome = outcome_of(comes_to)
        pause = retry_after(response.headers, self.clock.now()) if is_transient(comes_to) else None
        meant = failure_for_status(self.system, request.operation, comes_to, repeatable=request.repeatable)
        detail = redact(words, [*texts_in(request.params), *texts_in(request.json)])
        return type(meant)(self.system, request.operation, status=response.status, detail=detail, retry_after=pause)

    def _body(self, response: BaseHTTPResponse, measure: Measure) -> bytes:
        """The body, as it comes: a server that drips bytes for ever meets the deadline."""
        parts: list[bytes] = []
        size = 0
        try:
            while part := response.read1(1 << 16, decode_content=True):
                parts.append(part)
                size += len(part)
                late = self.clock.monotonic() - measure.started > self.longest_seconds
                if late or size > _MOST_BYTES:
                    raise requests.ReadTimeout("the answer does not end")
        except BaseException:
            response.close()  # what is left of it must not be read as the next answer
            raise
        response.release_conn()
        return b"".join(parts)

    def broken(self, request: Request, measure: Measure, error: Exception) -> HttpFailure:
        """The failure that an error of the transport means."""
        measure.outcome = transport_outcome(error)
        what = type(error).__name__
        if is_untrusted(error):
            measure.outcome = CallOutcome.UNREACHABLE
            return PermanentFailure(self.system, request.operation, detail="its certificate is not trusted")
        if measure.outcome is CallOutcome.UNREACHABLE:
            host = origin(request.url)
            return Unreachable(self.system, request.operation, detail=f"no connection to {host[1]}:{host[2]} ({what})")
        if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
            return Invalid(self.system, request.operation, detail=f"the URL cannot be used ({what})")
        detail = {
            CallOutcome.TIMEOUT: f"no answer within {self.read_seconds:g} s",
        }.get(measure.outcome, f"the connection broke off ({what})")
        return lost_answer(
            self.system, request.operation, status=measure.status, detail=detail, repeatable=request.repeatable
        )
