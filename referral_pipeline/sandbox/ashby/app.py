"""The ASGI application: Ashby's calls and, beside them, the control plane of the sandbox.

Belongs here: from the web framework's requests to the vendor's and back; what the control plane shows and does.
Does not belong here: the endpoints of the control plane (sandbox.control), behaviour, injected faults (a middleware
around this app), starting servers.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from referral_pipeline.sandbox import control
from referral_pipeline.sandbox.ashby.ids import ENTITIES, inward, outward, uuid_of
from referral_pipeline.sandbox.ashby.names import spelt
from referral_pipeline.sandbox.ashby.params import PARAMETERS
from referral_pipeline.sandbox.ashby.switches import Switches
from referral_pipeline.sandbox.ashby.vendor import Vendor
from referral_pipeline.sandbox.greenhouse.acts import ActRefused, Acts
from referral_pipeline.sandbox.greenhouse.schema import ENTITIES as SPECS
from referral_pipeline.sandbox.greenhouse.schema import Row

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_app(vendor: Vendor) -> FastAPI:
    """Make the app over an Ashby; `app.state.vendor` is it."""
    app = FastAPI(title="Ashby sandbox", openapi_url=None, docs_url=None, redoc_url=None)
    app.router.redirect_slashes = False
    app.state.vendor = vendor
    control.add_control_plane(app, _inside(vendor))
    app.router.routes.append(Route("/{path:path}", _Calls(vendor), methods=_METHODS))
    return app


class _Calls:
    """The vendor's API without the framework's request and response objects, which cost more than the work itself."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        authorization = headers.get(b"authorization")
        answer = self._vendor.answer(
            scope["method"],
            scope["path_params"]["path"],
            None if authorization is None else authorization.decode("latin-1"),
            headers.get(b"content-type", b"").decode("latin-1").lower(),
            body,
        )
        raw = [(name.lower().encode(), text.encode("latin-1")) for name, text in answer.headers.items()]
        raw += [(b"content-type", b"application/json"), (b"content-length", str(len(answer.body)).encode())]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})


def dump(vendor: Vendor) -> dict[str, Any]:
    """All rows of the store by entity, with the vendor's ids and with names as they are after a way through it."""
    store = vendor.world.store
    shown: dict[str, Any] = {
        entity: [outward(entity if entity in ENTITIES else None, row) for row in rows]
        for entity, rows in store.dump().items()
    }
    for row in shown["candidates"]:
        row["first_name"], row["last_name"] = spelt(row["first_name"], row["last_name"])
    shown["_facts"] = {
        "merged": {uuid_of("candidates", old): uuid_of("candidates", new) for old, new in store.merged.items()},
        "deleted": {
            entity: sorted(uuid_of(entity, row_id) for row_id in gone)
            for entity, gone in store.deleted.items()
            if entity in ENTITIES
        },
        "anonymized": sorted(uuid_of("candidates", row_id) for row_id in store.anonymized),
    }
    return shown


def _inside(vendor: Vendor) -> control.Inside[Switches]:
    world = vendor.world

    def act(action: str, details: Row) -> Row:
        return _shown(Acts(world.store).perform(action, inward(details)))

    return control.Inside(
        lock=world.store.lock,
        calls=vendor.calls,
        operations=PARAMETERS,
        dump=lambda: dump(vendor),
        switches=lambda: world.switches,
        set_switches=world.set_switches,
        act=act,
        refusals=(ActRefused,),
    )


def _shown(row: Row) -> dict[str, Any]:
    """The row that an act answers. Which table it is of, its columns tell."""
    entity = next((name for name, spec in SPECS.items() if set(spec.empty) <= set(row) and "id" in row), None)
    return outward(entity, row)
