"""The ASGI application: the vendor's endpoints and, beside them, the control plane of the sandbox.

Belongs here: turning requests of the web framework into the vendor's and back. Does not belong here: behaviour,
injected faults (a middleware around this app), starting servers.
"""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.greenhouse.writes import ApplicationHook
from referral_pipeline.sandbox.lever.control import add_control_plane
from referral_pipeline.sandbox.lever.memory import Memory
from referral_pipeline.sandbox.lever.switches import LeverSwitches
from referral_pipeline.sandbox.lever.vendor import Incoming, Outgoing, Vendor

ACTING_USER = 4_029_999_999
"""The number of the user in whose name the integration writes."""

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_app(
    store: GreenhouseStore,
    memory: Memory,
    *,
    key: str,
    switches: LeverSwitches | None = None,
    on_application_created: ApplicationHook | None = None,
) -> FastAPI:
    """Make the app over a store.

    Args:
        store: All rows; shared with whoever seeds or watches it.
        memory: What the vendor keeps beside them.
        key: The API key that may call.
        switches: Replace the store's switches.
        on_application_created: Called with the candidate and the application row after the API created an opportunity.

    Returns:
        The app; `app.state.vendor` is the `Vendor`.
    """
    store.switches = switches or LeverSwitches()
    if store.get("users", ACTING_USER) is None:
        user = {"id": ACTING_USER, "name": "Integration", "primary_email": "integration@example.com"}
        store.insert("users", {**user, "site_admin": True})
    vendor = Vendor(store, memory, key, on_application_created)
    app = FastAPI(title="Lever Data API v1 sandbox", openapi_url=None, docs_url=None, redoc_url=None)
    app.router.redirect_slashes = False
    app.state.vendor = vendor
    add_control_plane(app, vendor)

    async def data_api(request: Request) -> Response:
        incoming = Incoming(
            method=request.method,
            path=request.path_params["path"],
            query=request.url.query,
            authorization=request.headers.get("authorization"),
            content_type=request.headers.get("content-type", "").lower(),
            body=await request.body(),
        )
        return _response(vendor.answer(incoming))

    async def elsewhere(request: Request) -> Response:
        return _response(vendor.not_found())

    app.add_route("/v1/{path:path}", data_api, methods=_METHODS)
    app.add_route("/{path:path}", elsewhere, methods=_METHODS)
    return app


def _response(answer: Outgoing) -> Response:
    if answer.body is None:
        return Response(status_code=answer.status, headers=dict(answer.headers))
    return Response(answer.body, answer.status, dict(answer.headers), "application/json")
