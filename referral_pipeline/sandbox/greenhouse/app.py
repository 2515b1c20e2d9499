"""The ASGI application: the vendor's endpoints and, beside them, the control plane of the sandbox.

Belongs here: turning requests of the web framework into the vendor's and back. Does not belong here: behaviour,
injected faults (a middleware around this app), starting servers.

Run it with `uvicorn.Config(create_app(store))`; several apps may share one process and one event loop.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from referral_pipeline.sandbox.greenhouse.auth import CLIENT_ID_SUFFIX, Client
from referral_pipeline.sandbox.greenhouse.control import add_control_plane
from referral_pipeline.sandbox.greenhouse.ingestion import PREFIX, Ingestion, Partner
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.greenhouse.switches import Switches
from referral_pipeline.sandbox.greenhouse.vendor import ALL_SCOPES, Incoming, Outgoing, Vendor
from referral_pipeline.sandbox.greenhouse.writes import ApplicationHook

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@dataclass(frozen=True)
class Credential:
    """A client id with its secret, as an administrator would copy them."""

    client_id: str
    client_secret: str = field(repr=False)


def new_credential() -> Credential:
    """A fresh credential for a sandbox."""
    return Credential(f"referral-pipeline-{secrets.token_hex(4)}{CLIENT_ID_SUFFIX}", secrets.token_urlsafe(24))


def create_app(
    store: GreenhouseStore,
    switches: Switches | None = None,
    *,
    clients: Iterable[Client] | None = None,
    credential: Credential | None = None,
    on_application_created: ApplicationHook | None = None,
    partner: Partner | None = None,
) -> FastAPI:
    """Make the app over a store.

    Args:
        store: All rows; shared with whoever seeds or watches it.
        switches: Replace the store's switches.
        clients: Every credential that may call; overrides `credential`.
        credential: One credential with all scopes, acting as the integration's service user.
        on_application_created: Called with the candidate and the application row after the API created an application.
        partner: Who may call the Candidate Ingestion API beside Harvest; None: nobody.

    Returns:
        The app; `app.state.vendor` is the `Vendor`, `app.state.credential` the credential in use.
    """
    if switches is not None:
        store.switches = switches
    held = credential or new_credential()
    if clients is None:
        user = service_user(store)
        clients = [Client(held.client_id, held.client_secret, ALL_SCOPES, user)]
    vendor = Vendor(store, clients, on_application_created)
    app = FastAPI(title="Greenhouse Harvest v3 sandbox", openapi_url=None, docs_url=None, redoc_url=None)
    app.router.redirect_slashes = False
    app.state.vendor = vendor
    app.state.credential = held
    add_control_plane(app, vendor)

    async def token(request: Request) -> Response:
        return _response(vendor.token(await _incoming(request, "")))

    async def elsewhere(request: Request) -> Response:
        return _response(vendor.not_found())

    app.add_route("/token", token, methods=["POST"])
    # First, because this is what is called all the time; an endpoint that is no function gets the bare ASGI call.
    app.router.routes.insert(0, Route("/v3/{path:path}", _Harvest(vendor), methods=_METHODS))
    if partner is not None:
        _add_ingestion(app, Ingestion(store, partner, on_application_created, vendor.calls))
    app.add_route("/{path:path}", elsewhere, methods=_METHODS)
    return app


def _add_ingestion(app: FastAPI, ingestion: Ingestion) -> None:
    async def partner(request: Request) -> Response:
        path, query, body = request.path_params["path"], request.url.query, await request.body()
        reply = ingestion.answer(request.method, path, query, dict(request.headers), body)
        return JSONResponse(reply.body, reply.status)

    app.add_route(PREFIX + "/{path:path}", partner, methods=_METHODS)


class _Harvest:
    """The vendor's API without the framework's request and response objects, which cost more than the work itself."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        authorization = headers.get(b"authorization")
        answer = self._vendor.harvest(
            Incoming(
                method=scope["method"],
                path=scope["path_params"]["path"],
                query=scope["query_string"].decode("latin-1"),
                url=f"{scope['scheme']}://{headers.get(b'host', b'').decode('latin-1')}{scope['path']}",
                authorization=None if authorization is None else authorization.decode("latin-1"),
                content_type=headers.get(b"content-type", b"").decode("latin-1").lower(),
                body=body,
            )
        )
        raw = [(name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in answer.headers.items()]
        if answer.body is not None:
            raw.append((b"content-type", b"application/json"))
        if answer.body is not None or answer.status != HTTPStatus.NO_CONTENT:
            raw.append((b"content-length", str(len(answer.body or b"")).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body or b""})


def service_user(store: GreenhouseStore) -> int:
    """The integration's service user (no e-mail address, Site Admin), made once."""
    for row in store.find("users", "primary_email", ""):
        if row["site_admin"]:
            return int(row["id"])
    return int(store.insert("users", {"name": "Integration", "first_name": "Integration", "site_admin": True})["id"])


async def _incoming(request: Request, path: str) -> Incoming:
    return Incoming(
        method=request.method,
        path=path,
        query=request.url.query,
        url=str(request.url.replace(query="")),
        authorization=request.headers.get("authorization"),
        content_type=request.headers.get("content-type", "").lower(),
        body=await request.body(),
    )


def _response(answer: Outgoing) -> Response:
    if answer.body is None:
        return Response(status_code=answer.status, headers=dict(answer.headers))
    return Response(answer.body, answer.status, dict(answer.headers), "application/json")
