"""HTTP for all connectors: one session per system, and the only place that opens one.

Belongs here: one attempt and its retries, tokens on requests, the rate budget, recording. Does not belong here: the
connections (connections.py), what an answer means (answers.py), what a vendor's resources mean, and where recorded
calls go.

Rules
1. Only transient failures are retried (408, 425, 429, 5xx, no connection, timeouts, an answer that cannot be decoded),
   with exponential backoff and full jitter, a bounded number of times and within a deadline.
2. A create (any call with `repeatable=False`; POST by default) is never sent again once it may have been received:
   it ends in `AmbiguousOutcome`. Only 425, 429 and a connection that was never made may be tried again.
3. `Retry-After` (seconds or a date) and `X-RateLimit-Reset` are obeyed; each attempt takes a unit of the shared budget.
4. A 401 is answered with one fresh token, then it is `Unauthorized`.
5. Redirects are not followed, and a `next` link only to the system's own host: tokens go nowhere else.
6. With a breaker an attempt, token and all, is sent only while the breaker lets it pass (`connectors.breaker`).
7. Every attempt is recorded, token calls too. Bodies, ids and parameters are not; of answers the shape is learned
   (`connectors.shapes`).
8. With a guard nothing that writes is sent while the guard refuses; what only reads passes.
9. With a judge an answer of success may still be a refusal, for a system that tells its refusals in the body alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar, cast

import requests
from authlib.integrations.requests_client import OAuth2Session
from requests.adapters import HTTPAdapter

from referral_pipeline.connectors.answers import BROKEN_TRANSPORT, Answer, Answers, Judge, Measure
from referral_pipeline.connectors.breaker import Breaker
from referral_pipeline.connectors.calls import ApiCall, CallOutcome, CallRecorder
from referral_pipeline.connectors.clock import Clock
from referral_pipeline.connectors.connections import Connections, Request, Timeouts
from referral_pipeline.connectors.failures import (
    AmbiguousOutcome,
    CircuitOpen,
    Conflict,
    Evidence,
    Forbidden,
    HttpFailure,
    Invalid,
    NotApproved,
    NotFound,
    PermanentFailure,
    RateLimited,
    TransientFailure,
    Unauthorized,
    Unreachable,
    failure_for_status,
    is_transient,
    lost_answer,
    redact,
    vendor_message,
)
from referral_pipeline.connectors.rate_budget import RateBudget, ServerWindow
from referral_pipeline.connectors.shapes import ShapeRecorder
from referral_pipeline.connectors.tokens import ClientCredentials, Token, TokenCache, read_token
from referral_pipeline.connectors.wire import (
    clock_skew_ms,
    describe,
    json_or_none,
    origin,
    outcome_of,
    retry_after,
    server_window,
)

__all__ = [
    "AmbiguousOutcome",
    "Answer",
    "ApiCall",
    "CallOutcome",
    "CallRecorder",
    "CircuitOpen",
    "ClientCredentials",
    "Clock",
    "Conflict",
    "Evidence",
    "Forbidden",
    "HttpClient",
    "HttpFailure",
    "Invalid",
    "Judge",
    "NotApproved",
    "NotFound",
    "PermanentFailure",
    "RateLimited",
    "RetryPolicy",
    "Timeouts",
    "TransientFailure",
    "Unauthorized",
    "Unreachable",
    "WriteGuard",
]

WriteGuard = Callable[[str, str], None]
"""Called with system and operation; raises NotApproved when the write must not be sent."""

_T = TypeVar("_T")
_THREADS = 8
_READING = ("GET", "HEAD")


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long a transient failure is retried."""

    max_attempts: int = 6
    base_seconds: float = 0.25
    cap_seconds: float = 20.0
    deadline_seconds: float = 180.0

    def backoff(self, attempt: int, dice: Callable[[], float]) -> float:
        """Full jitter: anything between nothing and the doubled base, so that callers do not come back in step."""
        return dice() * min(self.cap_seconds, self.base_seconds * 2 ** (attempt - 1))


class HttpClient:
    """The one session of one system. Safe for threads; `close()` ends it.

    Every call raises a class of `connectors.failures`: a `TransientFailure` after its retries, a `PermanentFailure` at
    once.

    Args:
        system: Name used in records and messages.
        base_url: What paths are appended to; links are followed on its host only.
        credentials: OAuth client credentials; None for a system without.
        authorization: The header of every call to a system that is called with an API key; None for others.
        budget: The shared rate budget; None for none.
        recorder: Called once for each attempt.
        shapes: Learns the shape of each answer; None for none.
        timeouts: Of each attempt.
        retry: How transient failures are retried.
        clock: Time, for tests.
        breaker: The breaker of the system; None for none.
        guard: Asked with system and operation before anything that writes; raises NotApproved. None for none.
        judge: Tells refusals that come as successes. None for a system that answers them with a status.
    """

    def __init__(
        self,
        *,
        system: str,
        base_url: str,
        credentials: ClientCredentials | None = None,
        authorization: str | None = None,
        budget: RateBudget | None = None,
        recorder: Callable[[ApiCall], None] | None = None,
        shapes: ShapeRecorder | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        clock: Clock | None = None,
        breaker: Breaker | None = None,
        guard: WriteGuard | None = None,
        judge: Judge | None = None,
    ) -> None:
        self.system = system
        self.base_url = base_url.rstrip("/")
        self._origin = origin(self.base_url)
        self._credentials = credentials
        self._tokens = TokenCache.shared(credentials) if credentials else None
        self._budget = budget
        self._recorder = recorder
        self._shapes = shapes
        if shapes is not None:
            shapes.expect(system)
        self._timeouts = timeouts or Timeouts()
        self._retry = retry or RetryPolicy()
        self.clock = self._clock = clock or Clock()
        self.rate_window: ServerWindow | None = None
        """What the newest rate headers said; None while no answer had any."""
        self._breaker = breaker
        self._guard = guard
        self._answers = Answers(
            system,
            self._clock,
            longest_seconds=self._retry.deadline_seconds,
            read_seconds=self._timeouts.read,
            judge=judge,
            blocked=budget.block_until if budget is not None else None,
            shown=partial(shapes.answered, system) if shapes is not None else None,
        )
        self._oauth = self._open_session()
        # The same object: Authlib's session is a requests session, which its type stubs do not tell.
        self._session = cast("requests.Session", self._oauth)
        self._prepare_session()
        if authorization is not None:
            self._session.headers["Authorization"] = authorization
        self._connections = Connections(self._session, self.base_url, self._timeouts)

    def get(self, operation: str, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """Read. `path` may be a whole URL on the system's own host."""
        return self.call(operation, "GET", path, params=params)

    def pages(self, operation: str, path: str, params: Mapping[str, str] | None = None) -> Iterator[Answer]:
        """Read page after page along the `next` links of the Link header, each used exactly as given."""
        answer = self.get(operation, path, params)
        yield answer
        while answer.next_url:
            answer = self.get(operation, answer.next_url)
            yield answer

    def call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        writes: bool | None = None,
    ) -> Answer:
        """Send one request, with its retries.

        Args:
            operation: Stable name without ids, such as `candidates.list`: it is recorded and shown.
            method: HTTP method.
            path: Appended to the base URL, or a whole URL on the same host.
            params: Query parameters.
            json: Body.
            headers: Further headers.
            repeatable: Whether doing it twice does no harm. Default: everything but POST.
            writes: Whether it changes anything there. Default: everything but GET and HEAD.

        Raises:
            NotApproved: it writes, and the guard refuses.
        """
        is_write = method not in _READING if writes is None else writes
        request = Request(
            operation=operation,
            method=method,
            url=self._own_url(operation, path),
            repeatable=method != "POST" if repeatable is None else repeatable,
            params=params,
            json=json,
            headers=headers or {},
            writes=is_write,
        )
        return self._retrying(lambda attempt: self._guarded(request, attempt))

    def pause(self, attempt: int) -> None:
        """Wait as before a retry, for a caller that must look before it writes again."""
        self._clock.sleep(self._retry.backoff(attempt, self._clock.dice))

    def check_token(self) -> None:
        """Make sure that a token can be had, and raise as every call does when not."""
        self._token()

    def close(self) -> None:
        """Close connections."""
        self._connections.close()
        self._session.close()
        if self._budget is not None:
            self._budget.close()

    # ------------------------------------------------------------ retrying

    def _retrying(self, attempt: Callable[[int], _T]) -> _T:
        started = self._clock.monotonic()
        number = 0
        while True:
            number += 1
            try:
                return attempt(number)
            except AmbiguousOutcome:
                raise
            except TransientFailure as failure:
                if failure.exhausted:
                    raise
                wait = max(self._retry.backoff(number, self._clock.dice), failure.retry_after or 0.0)
                spent = self._clock.monotonic() - started
                if number >= self._retry.max_attempts or spent + wait > self._retry.deadline_seconds:
                    failure.exhausted = True
                    raise
            self._clock.sleep(wait)

    def _guarded(self, request: Request, attempt: int) -> Answer:
        if request.writes and self._guard is not None:
            try:
                self._guard(self.system, request.operation)  # each attempt: it may have been revoked between two
            except HttpFailure as refused:
                raise self._answers.evident(refused, request) from None
        if self._breaker is None:
            return self._authorized(request, attempt)
        with self._breaker.call(request.operation):
            return self._authorized(request, attempt)

    def _authorized(self, request: Request, attempt: int) -> Answer:
        token = self._token()
        try:
            return self._once(request, attempt, token)
        except Unauthorized:
            if token is None or self._tokens is None:
                raise
            # Refused before any work was done, so even a create may be sent again, with a fresh token, once.
            self._tokens.discard(token)
        return self._once(request, attempt, self._token())

    # ------------------------------------------------------------ one attempt

    def _once(self, request: Request, attempt: int, token: str | None) -> Answer:
        reservation = self._budget.acquire() if self._budget else None
        measure = Measure(self._clock, attempt)
        try:
            answer = self._connections.send(request, token)
            now = self._clock.now()
            measure.status = answer.status
            measure.outcome = outcome_of(answer.status)
            measure.told = server_window(answer.headers, now)
            measure.clock_skew_ms = clock_skew_ms(answer.headers, now)
            self.rate_window = measure.told or self.rate_window
            if self._shapes is not None:
                self._shapes.noticed(self.system, request.operation, answer.headers)
            if answer.status >= 300:
                raise self._answers.refusal(request, answer, measure)
            return self._answers.decoded(request, answer, measure)
        except BROKEN_TRANSPORT as error:
            # Its words hold the URL, and that an address.
            raise self._answers.evident(self._answers.broken(request, measure, error), request) from None
        finally:
            if self._budget is not None and reservation is not None:
                self._budget.settle(reservation, measure.told)
            self._record(request.operation, request.method, measure)

    def _record(self, operation: str, method: str, measure: Measure) -> None:
        if self._recorder is None:
            return
        self._recorder(
            ApiCall(
                system=self.system,
                operation=operation,
                method=method,
                status=measure.status,
                outcome=str(measure.outcome),
                latency_ms=round((self._clock.monotonic() - measure.started) * 1000),
                attempt=measure.attempt,
                budget_left=measure.told.remaining if measure.told else None,
                at=measure.at,
                clock_skew_ms=measure.clock_skew_ms,
            )
        )

    # ------------------------------------------------------------ tokens

    def _token(self) -> str | None:
        if self._tokens is None:
            return None
        return self._tokens.get(lambda: self._retrying(self._fetch_token), self._clock.now)

    def _fetch_token(self, attempt: int) -> Token:
        credentials = self._credentials
        assert credentials is not None
        request = Request("token", "POST", credentials.token_url, repeatable=True)
        measure = Measure(self._clock, attempt)

        def read(response: requests.Response) -> requests.Response:
            measure.status = response.status_code
            measure.outcome = outcome_of(response.status_code)
            if response.status_code >= 300:
                raise self._token_refusal(credentials, response)
            return response

        # One thread at a time: the cache's lock is held.
        self._oauth.compliance_hook["access_token_response"] = {read}
        extra = {"sub": credentials.subject} if credentials.subject else {}
        extra |= {"scope": credentials.scope} if credentials.scope else {}
        try:
            body = self._oauth.fetch_token(
                credentials.token_url,
                grant_type="client_credentials",
                timeout=(self._timeouts.connect, self._timeouts.read),
                allow_redirects=False,
                **extra,
            )
            return read_token(body, self._clock.now())
        except requests.exceptions.JSONDecodeError as error:
            measure.outcome = CallOutcome.BROKEN
            raise lost_answer(self.system, "token", status=measure.status, detail="no JSON") from error
        except BROKEN_TRANSPORT as error:
            raise self._answers.broken(request, measure, error) from None
        except ValueError as error:
            measure.outcome = CallOutcome.BROKEN
            raise lost_answer(self.system, "token", status=measure.status, detail="no token in it") from error
        finally:
            # The session must not put a token on requests by itself: the cache decides which one is used.
            self._oauth.token = None
            self._record("token", "POST", measure)

    def _token_refusal(self, credentials: ClientCredentials, response: requests.Response) -> HttpFailure:
        status = response.status_code
        words = redact(
            vendor_message(json_or_none(response.content)) or describe(response.headers, response.content),
            [credentials.client_id, credentials.client_secret, *filter(None, [credentials.subject])],
        )
        if status in {400, 401, 403}:
            return Unauthorized(self.system, "token", status=status, detail=words)
        pause = retry_after(response.headers, self._clock.now()) if is_transient(status) else None
        return failure_for_status(self.system, "token", status, detail=words, retry_after=pause)

    # ------------------------------------------------------------ the session

    def _open_session(self) -> OAuth2Session:
        credentials = self._credentials
        return OAuth2Session(
            client_id=credentials.client_id if credentials else None,
            client_secret=credentials.client_secret if credentials else None,
            token_endpoint_auth_method="client_secret_basic",  # noqa: S106 - the name of a method
        )

    def _prepare_session(self) -> None:
        session = self._session
        adapter = HTTPAdapter(pool_connections=4, pool_maxsize=_THREADS, max_retries=0)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        session.headers["User-Agent"] = "referral-pipeline"
        # Read the environment (proxies, certificate bundle) once: asking it for each call costs more than sending on
        # loopback, and would let ~/.netrc replace the token.
        settings = session.merge_environment_settings(self.base_url, {}, None, None, None)
        session.proxies = settings["proxies"]
        session.verify = settings["verify"]
        session.trust_env = False
        # Cookies are shared state between threads, and no system here needs them.
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def _own_url(self, operation: str, path: str) -> str:
        if "://" not in path:
            return f"{self.base_url}/{path.lstrip('/')}"
        if origin(path) != self._origin:
            raise Invalid(self.system, operation, detail="a link leads to another host; it is not followed")
        return path
