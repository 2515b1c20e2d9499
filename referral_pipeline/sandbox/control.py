"""The control plane of a vendor's sandbox: looking inside, changing switches, acting as people do in its own screens.

Belongs here: the endpoints below /_sandbox that Greenhouse, Lever, Ashby and HubSpot share. Does not belong here: what
a dump shows or an act does, which each of them knows; anything a client of the vendor may use. None of it is subject to
authentication, rate windows or injected faults.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar, cast

from fastapi import FastAPI, Request, Response
from pydantic import ValidationError

Row = dict[str, Any]


class SwitchSet(Protocol):
    """The switches of one vendor: what its public sources leave open, and what is forbidden or absent."""

    @property
    def operations_forbidden(self) -> Collection[str]:
        """Operations that the key may not use."""
        ...

    @property
    def operations_absent(self) -> Collection[str]:
        """Operations that this account does not have."""
        ...

    def changed(self, changes: dict[str, Any], /) -> Self:
        """These with changes. Raises pydantic.ValidationError for a name or value unknown."""
        ...

    def model_dump(self) -> Row:
        """The value of each by name."""
        ...


S = TypeVar("S", bound=SwitchSet)


@dataclass(frozen=True)
class Inside(Generic[S]):
    """What the control plane needs of a vendor. All of it is called with the lock held."""

    lock: AbstractContextManager[Any]
    calls: dict[str, Counter[str]]
    """Answers by operation and status."""
    operations: Collection[str]
    """Names that may be forbidden or absent."""
    dump: Callable[[], Mapping[str, Any]]
    switches: Callable[[], S]
    set_switches: Callable[[S], None]
    act: Callable[[str, Row], Row]
    """An act by name with its details; answers the row that it made or changed."""
    refusals: tuple[type[Exception], ...]
    """What `act` raises for an act that is unknown, lacks something or is forbidden; the text says why."""


def add_control_plane(app: FastAPI, inside: Inside[S]) -> None:
    """Add the endpoints below /_sandbox to an app."""

    async def dump(request: Request) -> Response:
        with inside.lock:
            return told(200, inside.dump())

    async def calls(request: Request) -> Response:
        with inside.lock:
            return told(200, {name: dict(counts) for name, counts in inside.calls.items()})

    async def reset_calls(request: Request) -> Response:
        with inside.lock:
            inside.calls.clear()
        return told(200, {})

    async def read_switches(request: Request) -> Response:
        with inside.lock:
            return told(200, inside.switches().model_dump())

    async def change_switches(request: Request) -> Response:
        changes = await _object(request)
        if changes is None:
            return told(400, {"problem": "the body must be a JSON object"})
        try:
            with inside.lock:
                changed = inside.switches().changed(changes)
                off = {*changed.operations_forbidden, *changed.operations_absent}
                if unknown := sorted(off - set(inside.operations)):
                    return told(422, {"problem": [f"{unknown[0]} is no operation"]})
                inside.set_switches(changed)
                return told(200, inside.switches().model_dump())
        except ValidationError as error:
            return told(422, {"problem": [f"{p['loc']}: {p['msg']}" for p in error.errors(include_input=False)]})

    async def act(request: Request) -> Response:
        details = await _object(request)
        if details is None or "action" not in details:
            return told(400, {"problem": "the body must be a JSON object with an action"})
        action = str(details.pop("action"))
        try:
            with inside.lock:
                return told(200, inside.act(action, details))
        except inside.refusals as refused:
            return told(422, {"problem": str(refused)})

    app.add_route("/_sandbox/dump", dump, methods=["GET"])
    app.add_route("/_sandbox/calls", calls, methods=["GET"])
    app.add_route("/_sandbox/calls/reset", reset_calls, methods=["POST"])
    app.add_route("/_sandbox/switches", read_switches, methods=["GET"])
    app.add_route("/_sandbox/switches", change_switches, methods=["POST"])
    app.add_route("/_sandbox/act", act, methods=["POST"])


def told(status: int, content: Any) -> Response:
    """An answer in JSON."""
    return Response(json.dumps(content, ensure_ascii=False).encode(), status, media_type="application/json")


async def _object(request: Request) -> Row | None:
    try:
        content = json.loads(await request.body() or b"{}")
    except ValueError:
        return None
    return cast("Row", content) if isinstance(content, dict) else None
