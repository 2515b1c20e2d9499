"""The control plane: looking inside, changing switches, acting as people do in the product's own screens.

Belongs here: endpoints below /_sandbox. Does not belong here: anything a client of the vendor may use.

Acts are those of the local ATS (`sandbox.greenhouse.acts`); the ids that they take and answer are Lever's.
"""

from __future__ import annotations

import json
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from pydantic import ValidationError

from referral_pipeline.sandbox.greenhouse.acts import ActRefused, Acts
from referral_pipeline.sandbox.greenhouse.schema import ENTITIES, Row
from referral_pipeline.sandbox.lever.ids import encode, stage_id, told_row, understood
from referral_pipeline.sandbox.lever.vendor import OPERATIONS, Vendor


def add_control_plane(app: FastAPI, vendor: Vendor) -> None:
    """Add the endpoints below /_sandbox to an app."""
    store = vendor.store

    async def dump(request: Request) -> Response:
        rows: dict[str, Any] = {entity: [told_row(entity, row) for row in own] for entity, own in store.dump().items()}
        with store.lock:
            for row, told in zip(store.rows("applications"), rows["applications"], strict=True):
                told["lever"] = {"tags": vendor.memory.tags(row), "sources": vendor.memory.sources(row)}
        facts = {
            "merged": {encode("candidates", old): encode("candidates", new) for old, new in store.merged.items()},
            "deleted": {
                entity: sorted(told_row(entity, {"id": number})["id"] for number in numbers)
                for entity, numbers in store.deleted.items()
            },
            "anonymized": sorted(encode("candidates", number) for number in store.anonymized),
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
                if unknown := sorted(off - set(OPERATIONS)):
                    return _json(422, {"problem": [f"{unknown[0]} is no operation"]})
                store.switches = changed
        except ValidationError as error:
            return _json(422, {"problem": [f"{p['loc']}: {p['msg']}" for p in error.errors(include_input=False)]})
        return _json(200, store.switches.model_dump())

    async def act(request: Request) -> Response:
        content = await _object(request)
        if content is None or "action" not in content:
            return _json(400, {"problem": "the body must be a JSON object with an action"})
        action = str(content.pop("action"))
        try:
            with store.lock:
                arguments = {name: _stage(vendor, name, understood(value)) for name, value in content.items()}
                row = Acts(store).perform(action, arguments)
                return _json(200, _told(vendor, row))
        except ActRefused as refused:
            return _json(422, {"problem": str(refused)})

    app.add_route("/_sandbox/dump", dump, methods=["GET"])
    app.add_route("/_sandbox/calls", calls, methods=["GET"])
    app.add_route("/_sandbox/calls/reset", reset_calls, methods=["POST"])
    app.add_route("/_sandbox/switches", read_switches, methods=["GET"])
    app.add_route("/_sandbox/switches", change_switches, methods=["POST"])
    app.add_route("/_sandbox/act", act, methods=["POST"])


def _stage(vendor: Vendor, name: str, value: Any) -> Any:
    """A stage may be named by its id here."""
    if name != "stage" or not isinstance(value, str):
        return value
    return next((text for text in vendor.views.stage_names() if stage_id(text) == value), value)


def _told(vendor: Vendor, row: Row) -> Row:
    """The row that an act answered; of which entity it is shows by where it stands."""
    number = row.get("id")
    if not isinstance(number, int):
        return {
            key: [encode(f"{key.removesuffix('_ids')}s", one) for one in cast("list[int]", value)]
            if key in {"application_ids", "candidate_ids"}
            else value
            for key, value in row.items()
        }
    entity = next((name for name in ENTITIES if vendor.store.get(name, number) == row), None)
    return row if entity is None else told_row(entity, row)


async def _object(request: Request) -> dict[str, Any] | None:
    try:
        content = json.loads(await request.body() or b"{}")
    except ValueError:
        return None
    return cast("dict[str, Any]", content) if isinstance(content, dict) else None


def _json(status: int, content: Any) -> Response:
    return Response(json.dumps(content, ensure_ascii=False).encode(), status, media_type="application/json")
