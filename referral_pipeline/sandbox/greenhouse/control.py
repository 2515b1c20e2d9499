"""The control plane: looking inside, changing switches, acting as people do in the product's own screens.

Belongs here: endpoints below /_sandbox. Does not belong here: anything a client of the vendor may use; none of it is
subject to authentication, rate windows or injected faults.
"""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import ValidationError

from referral_pipeline.sandbox.greenhouse.acts import ActRefused, Acts
from referral_pipeline.sandbox.greenhouse.vendor import OPERATIONS, Vendor


def add_control_plane(app: FastAPI, vendor: Vendor) -> None:
    """Add the endpoints below /_sandbox to an app."""
    store = vendor.store

    async def dump(request: Request) -> Response:
        rows: dict[str, Any] = store.dump()
        facts = {
            "merged": {str(old): new for old, new in store.merged.items()},
            "deleted": {entity: sorted(ids) for entity, ids in store.deleted.items()},
            "anonymized": sorted(store.anonymized),
        }
        return _json(200, {**rows, "_facts": facts})

    async def calls(request: Request) -> Response:
        with store.lock:
            return _json(200, {name: dict(counts) for name, counts in vendor.calls.items()})

    async def reset_calls(request: Request) -> Response:
        with store.lock:
            vendor.calls.clear()
        return _json(200, {})

    async def read_switches(request: Request) -> Response:
        return _json(200, store.switches.model_dump())

    async def change_switches(request: Request) -> Response:
        changes = await _object(request)
        if changes is None:
            return _json(400, {"problem": "the body must be a JSON object"})
        try:
            with store.lock:
                changed = store.switches.changed(changes)
                off = {*changed.operations_forbidden, *changed.operations_absent}
                if unknown := sorted(off - {operation.name for operation in OPERATIONS.values()}):
                    return _json(422, {"problem": [f"{unknown[0]} is no operation"]})
                store.switches = changed
        except ValidationError as error:
            return _json(422, {"problem": [f"{p['loc']}: {p['msg']}" for p in error.errors(include_input=False)]})
        return _json(200, store.switches.model_dump())

    async def act(request: Request) -> Response:
        content = await _object(request)
        if content is None or "action" not in content:
            return _json(400, {"problem": "the body must be a JSON object with an action"})
        try:
            with store.lock:
                return _json(200, Acts(store).perform(content.pop("action"), content))
        except ActRefused as refused:
            return _json(422, {"problem": str(refused)})

    async def revoke_tokens(request: Request) -> Response:
        with store.lock:
            vendor.office.revoke_all()
        return _json(200, {})

    app.add_route("/_sandbox/dump", dump, methods=["GET"])
    app.add_route("/_sandbox/calls", calls, methods=["GET"])
    app.add_route("/_sandbox/calls/reset", reset_calls, methods=["POST"])
    app.add_route("/_sandbox/switches", read_switches, methods=["GET"])
    app.add_route("/_sandbox/switches", change_switches, methods=["POST"])
    app.add_route("/_sandbox/act", act, methods=["POST"])
    app.add_route("/_sandbox/revoke_tokens", revoke_tokens, methods=["POST"])


async def _object(request: Request) -> dict[str, Any] | None:
    try:
        content = json.loads(await request.body() or b"{}")
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _json(status: int, content: Any) -> Response:
    return Response(json.dumps(content, ensure_ascii=False).encode(), status, media_type="application/json")
