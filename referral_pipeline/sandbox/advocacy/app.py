"""The HTTP surface of the advocacy sandbox, and its control plane under `/_sandbox`.

Belongs here: routes, and the order in which a request is judged (path, rate, token, parameters, body, state). Does not
belong here: the rules of the rows (`store`), the document (`openapi`), faults (`sandbox.faults`).

Plain Starlette, no model on the way out: a row is encoded once and pages are joined bytes, so that the sandbox never
is the slow end of a measurement.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from referral_pipeline.sandbox.advocacy import clock
from referral_pipeline.sandbox.advocacy.acts import act
from referral_pipeline.sandbox.advocacy.answers import Refused, as_refusal, json_answer, page_answer, problem_answer
from referral_pipeline.sandbox.advocacy.openapi import document
from referral_pipeline.sandbox.advocacy.parameters import (
    ATS_BODY,
    JOB_BODY,
    RECOGNITION_BODY,
    RESULTS_BODY,
    STATUS_BODY,
    check_object,
    json_object,
    list_query,
    only,
    write_cursor,
)
from referral_pipeline.sandbox.advocacy.store import LISTED, AdvocacyStore, Conflict, Invalid, NotFound
from referral_pipeline.sandbox.advocacy.switches import RateLimit, Switches
from referral_pipeline.sandbox.advocacy.tokens import Tokens
from referral_pipeline.sandbox.credentials import ADVOCACY_CLIENT_ID, ADVOCACY_CLIENT_SECRET

Handler = Callable[[Request], Awaitable[Response]]
_MAX_KEY_LENGTH = 255
_NO_PATH = "there is no such path"


def create_app(
    store: AdvocacyStore,
    switches: Switches | None = None,
    *,
    client_id: str = ADVOCACY_CLIENT_ID,
    client_secret: str = ADVOCACY_CLIENT_SECRET,
) -> Starlette:
    """The platform over `store`. `switches` can be changed while it runs."""
    return _Surface(store, switches or Switches(), client_id, client_secret).app()


class _Surface:
    def __init__(self, store: AdvocacyStore, switches: Switches, client_id: str, client_secret: str) -> None:
        self.store = store
        self.switches = switches
        self.tokens = Tokens(client_id, client_secret, switches)
        self.rate = RateLimit(switches)
        self.calls: dict[str, Counter[str]] = defaultdict(Counter)
        self.operations: list[str] = []

    def app(self) -> Starlette:
        routes = [
            self._path("/oauth/token", is_open=True, POST=self.tokens.answer),
            self._path("/openapi.json", is_open=True, GET=self.document),
            *(self._path(f"/v1/{entity}", GET=self._list(entity)) for entity in LISTED),
            self._path("/v1/referrals/{id}", GET=self.get_referral, PATCH=self.patch_referral),
            self._path("/v1/jobs/{id}", PUT=self.put_job),
            self._path("/v1/advocates/{id}/results", PUT=self.put_results),
            self._path("/v1/recognitions", POST=self.post_recognition),
            Route("/_sandbox/dump", self.dump, methods=["GET"]),
            Route("/_sandbox/calls", self.show_calls, methods=["GET"]),
            Route("/_sandbox/calls/reset", self.reset_calls, methods=["POST"]),
            Route("/_sandbox/switches", self.set_switches, methods=["GET", "POST"]),
            Route("/_sandbox/revoke_tokens", self.revoke_tokens, methods=["POST"]),
            Route("/_sandbox/act", self.do_act, methods=["POST"]),
        ]
        return Starlette(
            routes=routes,
            exception_handlers={
                HTTPException: _http_problem,
                **dict.fromkeys((Refused, NotFound, Conflict, Invalid), _act_problem),
            },
        )

    # ------------------------------------------------------------ the order of judgement

    def _path(self, path: str, *, is_open: bool = False, **by_method: Handler) -> Route:
        async def judged(request: Request) -> Response:
            # Starlette lets HEAD through wherever GET is allowed.
            method = "GET" if request.method == "HEAD" else request.method
            operation = f"{method} {path}"
            try:
                if operation in self.switches.operations_absent:
                    raise Refused(404, _NO_PATH)
                if not is_open:
                    self.rate.take()
                    self.tokens.check(request)
                if operation in self.switches.operations_forbidden:
                    raise Refused(403, "this client may not use this operation")
                answer = await by_method[method](request)
            except (Refused, NotFound, Conflict, Invalid) as error:
                answer = problem_answer(as_refusal(error))
            self.calls[f"{method} {path}"][str(answer.status_code)] += 1
            return answer

        self.operations += [f"{method} {path}" for method in by_method]
        return Route(path, judged, methods=list(by_method))

    # ------------------------------------------------------------ the contract

    async def document(self, request: Request) -> Response:
        return json_answer(document())

    def _list(self, entity: str) -> Handler:
        async def answer(request: Request) -> Response:
            query = list_query(request)
            rows, after = self.store.page(entity, since=query.since, after=query.after, limit=query.limit)
            return page_answer(rows, write_cursor(query.since, after) if after else None)

        return answer

    async def get_referral(self, request: Request) -> Response:
        only(request)
        return json_answer(self.store.get("referrals", request.path_params["id"]))

    async def patch_referral(self, request: Request) -> Response:
        only(request)
        body = check_object(await json_object(request), STATUS_BODY)
        ats = check_object(body["ats"], ATS_BODY, "/ats") if "ats" in body else None
        status_at = clock.read(body["status_at"])
        hired_at = clock.read(body["hired_at"]) if body.get("hired_at") else None
        if status_at is None:
            raise Refused(422, "must be an RFC 3339 time with its zone", pointer="/status_at")
        row = self.store.return_status(
            request.path_params["id"],
            status=body["status"],
            status_at=status_at,
            ats=ats,
            hired_at=clock.stamp(hired_at) if hired_at else None,
            starts_on=body.get("starts_on"),
        )
        return json_answer(row)

    async def put_job(self, request: Request) -> Response:
        only(request)
        body = check_object(await json_object(request), JOB_BODY)
        posting = {"location": None, "url": None, **body}
        row, is_new = self.store.put_job(request.path_params["id"], posting)
        return json_answer(row, 201 if is_new else 200)

    async def put_results(self, request: Request) -> Response:
        only(request)
        body = check_object(await json_object(request), RESULTS_BODY)
        as_of = clock.read(body["as_of"])
        if as_of is None:
            raise Refused(422, "must be an RFC 3339 time with its zone", pointer="/as_of")
        row = self.store.put_results(request.path_params["id"], {**body, "as_of": clock.stamp(as_of)})
        return json_answer(row)

    async def post_recognition(self, request: Request) -> Response:
        only(request)
        key = request.headers.get("idempotency-key", "").strip()
        if not 1 <= len(key) <= _MAX_KEY_LENGTH:
            raise Refused(400, f"Idempotency-Key is needed, 1 to {_MAX_KEY_LENGTH} characters")
        body = check_object(await json_object(request), RECOGNITION_BODY)
        return json_answer(self.store.recognise(key, body), 201)

    # ------------------------------------------------------------ the control plane

    async def dump(self, request: Request) -> Response:
        return json_answer(self.store.dump())

    async def show_calls(self, request: Request) -> Response:
        return json_answer({operation: dict(counts) for operation, counts in self.calls.items()})

    async def reset_calls(self, request: Request) -> Response:
        self.calls.clear()
        return json_answer({})

    async def set_switches(self, request: Request) -> Response:
        if request.method == "POST":
            changes = await json_object(request)
            for name in ("operations_forbidden", "operations_absent"):
                named: Any = changes.get(name)
                if isinstance(named, list) and any(one not in self.operations for one in cast("list[Any]", named)):
                    raise Refused(422, "names an operation that the platform does not know", pointer=f"/{name}")
            self.switches.set(changes)
        return json_answer(asdict(self.switches))

    async def revoke_tokens(self, request: Request) -> Response:
        self.tokens.revoke_all()
        return json_answer({})

    async def do_act(self, request: Request) -> Response:
        details = await json_object(request)
        return json_answer(act(self.store, str(details.pop("action", "")), details))


async def _http_problem(request: Request, error: Exception) -> Response:
    """Starlette's own refusals (404, 405) in the contract's form."""
    if not isinstance(error, HTTPException):
        raise error
    detail = {404: _NO_PATH, 405: "this path does not take this method"}
    return problem_answer(
        Refused(error.status_code, detail.get(error.status_code, error.detail), headers=error.headers)
    )


async def _act_problem(request: Request, error: Exception) -> Response:
    """What an act or a switch of the control plane refuses."""
    return problem_answer(as_refusal(error))
