"""The HTTP surface of the Radancy sandbox, and its control plane under `/_sandbox`.

Belongs here: routes, and the order in which a request is judged (path, rate, token, company, parameters, body, state).
Does not belong here: the account, the form of resources, injected faults (`sandbox.faults`).
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from referral_pipeline.sandbox.advocacy.acts import act
from referral_pipeline.sandbox.advocacy.answers import Refused, as_refusal, json_answer
from referral_pipeline.sandbox.advocacy.parameters import json_object
from referral_pipeline.sandbox.advocacy.store import Conflict, Invalid, NotFound
from referral_pipeline.sandbox.advocacy.switches import RateLimit
from referral_pipeline.sandbox.advocacy.tokens import Tokens
from referral_pipeline.sandbox.credentials import RADANCY_CLIENT_ID, RADANCY_CLIENT_SECRET
from referral_pipeline.sandbox.radancy.account import JOB_STATUSES, Account, applied_at, status_of
from referral_pipeline.sandbox.radancy.bodies import job_body, job_status_body, query_of, status_body
from referral_pipeline.sandbox.radancy.faults import BAD_PATH, NO_COMPANY, Fault, fault_answer
from referral_pipeline.sandbox.radancy.ids import COMPANY, DEPARTMENT_IDS, LOCATION, REWARD
from referral_pipeline.sandbox.radancy.resources import APPLICATION_FIELDS, EXPANDABLE, Resources
from referral_pipeline.sandbox.radancy.switches import Switches

Row = dict[str, Any]
Handler = Callable[[Request, Resources], Awaitable[Response]]

SCOPES = frozenset({"read", "write"})
_BASE = "/v1/companies/{company}"
_PAGED = ("offset", "limit", "sort", "fields")


def create_app(
    account: Account,
    switches: Switches | None = None,
    *,
    together: Callable[[], AbstractContextManager[None]] = nullcontext,
    client_id: str = RADANCY_CLIENT_ID,
    client_secret: str = RADANCY_CLIENT_SECRET,
) -> Starlette:
    """The platform over an account. `switches` can be changed while it runs; what one act does is told `together`."""
    return _Surface(account, switches or Switches(), client_id, client_secret, together).app()


class _Surface:
    def __init__(
        self,
        account: Account,
        switches: Switches,
        client_id: str,
        client_secret: str,
        together: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.account = account
        self.together = together
        self.switches = switches
        self.tokens = Tokens(client_id, client_secret, switches, SCOPES)
        self.rate = RateLimit(switches)
        self.calls: dict[str, Counter[str]] = defaultdict(Counter)
        self.operations: list[str] = []

    def app(self) -> Starlette:
        routes = [
            Route("/oauth/token", self.token, methods=["POST"]),
            self._path("/applications", GET=self.list_applications),
            self._path("/applications/{id}", GET=self.get_application),
            self._path("/applications/{id}/status", PUT=self.put_status),
            self._path("/users", GET=self.list_users),
            self._path("/users/{id}", GET=self.get_user),
            self._path("/departments", GET=self.list_departments),
            self._path("/locations", GET=self.list_locations),
            self._path("/rewarding/plans", GET=self.list_plans),
            self._path("/jobs", GET=self.list_jobs, POST=self.create_job),
            self._path("/jobs/{id}", GET=self.get_job, PUT=self.update_job),
            self._path("/jobs/{id}/status", PUT=self.put_job_status),
            Route("/_sandbox/dump", self.dump, methods=["GET"]),
            Route("/_sandbox/calls", self.show_calls, methods=["GET"]),
            Route("/_sandbox/calls/reset", self.reset_calls, methods=["POST"]),
            Route("/_sandbox/switches", self.set_switches, methods=["GET", "POST"]),
            Route("/_sandbox/revoke_tokens", self.revoke_tokens, methods=["POST"]),
            Route("/_sandbox/act", self.do_act, methods=["POST"]),
        ]
        handlers = {HTTPException: _no_path, **dict.fromkeys((Refused, NotFound, Conflict, Invalid), _refused)}
        return Starlette(routes=routes, exception_handlers=handlers)

    # ------------------------------------------------------------ the order of judgement

    def _path(self, path: str, **by_method: Handler) -> Route:
        async def judged(request: Request) -> Response:
            method = "GET" if request.method == "HEAD" else request.method
            operation = f"{method} {path}"
            try:
                if operation in self.switches.operations_absent:
                    raise Fault(404, "4040", "The resource you have called couldn't be found")
                self.rate.take()
                self.tokens.check(request)
                if operation in self.switches.operations_forbidden:
                    raise Refused(403, "these credentials are not sufficient")
                if request.path_params["company"] != COMPANY:
                    raise Fault(404, NO_COMPANY, "the requested company does not exist")
                _check_id(request.path_params.get("id"))
                resources = Resources(self.account, f"{request.url.scheme}://{request.url.netloc}/v1")
                answer = await by_method[method](request, resources)
            except (Refused, NotFound, Conflict, Invalid) as error:
                answer = fault_answer(as_refusal(error))
            self.calls[operation][str(answer.status_code)] += 1
            return answer

        self.operations += [f"{method} {path}" for method in by_method]
        return Route(f"{_BASE}{path}", judged, methods=list(by_method))

    async def token(self, request: Request) -> Response:
        answer = await self.tokens.answer(request)
        self.calls["POST /oauth/token"][str(answer.status_code)] += 1
        return answer

    # ------------------------------------------------------------ applications

    async def list_applications(self, request: Request, resources: Resources) -> Response:
        query = query_of(request, "status", "rating", "rated", "sourceId", "expand", *_PAGED)
        statuses = query.words("status", ("IN_PROGRESS", "HIRED", "CLOSED"))
        expand = query.words("expand", [name.upper() for name in EXPANDABLE]) or set[str]()
        expanded = {name.lower() for name in expand}
        rows = [row for row in self.account.applications() if statuses is None or status_of(row) in statuses]
        if query.words("rating", ("A", "B", "C")) or query.flag("rated"):
            rows = []
        keyed = [{**row, "applicationDate": applied_at(row)} for row in rows]
        keyed = query.sorted(keyed, ("applicationDate", "id"))

        def form(row: Row) -> Row:
            return query.only_fields(resources.application(row, expanded), APPLICATION_FIELDS)

        return json_answer(resources.page("applications", _asked(request), keyed, query.window(), form))

    async def get_application(self, request: Request, resources: Resources) -> Response:
        query = query_of(request, "fields", "expand")
        expand = query.words("expand", [name.upper() for name in EXPANDABLE]) or set[str]()
        row = self.account.application(request.path_params["id"])
        shown = resources.application(row, {name.lower() for name in expand})
        return json_answer(query.only_fields(shown, APPLICATION_FIELDS))

    async def put_status(self, request: Request, resources: Resources) -> Response:
        query_of(request)
        body = status_body(await json_object(request))
        return self._put(resources.application(self.account.put_status(request.path_params["id"], body)))

    # ------------------------------------------------------------ users, departments, locations, plans

    async def list_users(self, request: Request, resources: Resources) -> Response:
        filters = ("mainRoles", "roles", "locations", "departments", "inactives", "incognitos", "exclude", "query")
        query = query_of(request, *filters, "status", *_PAGED)
        statuses = query.words("status", ("ACTIVE", "INACTIVE"))
        query.flag("incognitos")
        inactives = query.flag("inactives")
        rows = [row for row in self.account.users() if inactives or row["eligible"]]
        if statuses is not None:
            rows = [row for row in rows if ("ACTIVE" if row["eligible"] else "INACTIVE") in statuses]
        rows = query.sorted(rows, ("email", "id"))
        return json_answer(resources.page("users", _asked(request), rows, query.window(), resources.user))

    async def get_user(self, request: Request, resources: Resources) -> Response:
        query_of(request)
        return json_answer(resources.user(self.account.user(request.path_params["id"])))

    async def list_departments(self, request: Request, resources: Resources) -> Response:
        query_of(request)
        return json_answer([{"id": own, "name": name} for name, own in DEPARTMENT_IDS.items()])

    async def list_locations(self, request: Request, resources: Resources) -> Response:
        query_of(request)
        return json_answer([{"id": LOCATION, "name": "Lyon"}])

    async def list_plans(self, request: Request, resources: Resources) -> Response:
        query = query_of(request, "status", "offset", "limit")
        plan: Row = {
            "id": REWARD,
            "type": "hire",
            "name": "Referral bonus",
            "currency": "USD",
            "external": True,
            "details": {"items": [{"description": "Bonus", "value": 2000, "paymentDate": "CANDIDATE_IS_HIRED"}]},
        }
        return json_answer(resources.page("rewarding/plans", _asked(request), [plan], query.window(), lambda row: row))

    # ------------------------------------------------------------ jobs

    async def list_jobs(self, request: Request, resources: Resources) -> Response:
        filters = ("status", "endDateBefore", "department", "location", "contact", "hot", "referenceNumber", "query")
        query = query_of(request, *filters, *_PAGED)
        statuses = query.words("status", JOB_STATUSES)
        reference = query.given.get("referenceNumber")
        rows = [
            job
            for job in self.account.jobs.values()
            if (statuses is None or job["status"] in statuses)
            and (reference is None or job["referenceNumber"] == reference)
        ]
        rows = query.sorted(rows, ("title", "creationDate", "id"))
        return json_answer(resources.page("jobs", _asked(request), rows, query.window(), resources.job))

    async def get_job(self, request: Request, resources: Resources) -> Response:
        query_of(request, "fields", "expand")
        return json_answer(resources.job(self.account.job(request.path_params["id"])))

    async def create_job(self, request: Request, resources: Resources) -> Response:
        query_of(request)
        job = self.account.create_job(self._known(job_body(await json_object(request))))
        return json_answer({"id": job["id"]}, 201)

    async def update_job(self, request: Request, resources: Resources) -> Response:
        query_of(request)
        body = self._known(job_body(await json_object(request)))
        return self._put(resources.job(self.account.update_job(request.path_params["id"], body)))

    async def put_job_status(self, request: Request, resources: Resources) -> Response:
        query_of(request)
        value = job_status_body(await json_object(request))
        return self._put(resources.job(self.account.put_job_status(request.path_params["id"], value)))

    def _put(self, shown: Row) -> Response:
        """What a PUT answers: no body is documented."""
        return json_answer(shown) if self.switches.puts_show_record else Response(status_code=200)

    def _known(self, body: Row) -> Row:
        """A job's body whose ids are those of the account."""
        known = {"department": set(DEPARTMENT_IDS.values()), "location": {LOCATION}, "reward": {REWARD}}
        for name, ids in known.items():
            if body[name]["id"] not in ids:
                raise Fault(400, "4002", f"{name}: there is no such one")
        self.account.user(body["contactPerson"]["id"])
        return body

    # ------------------------------------------------------------ the control plane

    async def dump(self, request: Request) -> Response:
        return json_answer(self.account.dump())

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
        action = str(details.pop("action", ""))
        if action == "pay_rewards":
            return json_answer({"paid": self.account.pay_rewards()})
        if action == "set_status":  # as a recruiter does it in the platform's own pages
            application_id = str(details.pop("referral_id", ""))
            return json_answer(self.account.put_status(application_id, status_body(details)))
        with self.together():
            return json_answer(act(self.account.store, action, details))


def _asked(request: Request) -> str:
    """The query without its window."""
    return "&".join(
        part for part in request.url.query.split("&") if part.partition("=")[0] not in {"offset", "limit", ""}
    )


def _check_id(value: str | None) -> None:
    if value is not None:
        try:
            uuid.UUID(value)
        except ValueError:
            raise Fault(400, BAD_PATH, "one of the path variables is invalid") from None


async def _no_path(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return fault_answer(Refused(error.status_code, error.detail, headers=error.headers))


async def _refused(request: Request, error: Exception) -> Response:
    return fault_answer(as_refusal(error))
