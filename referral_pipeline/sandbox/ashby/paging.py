"""Lists in pages, and what changed since the last time: cursors and syncTokens.

Belongs here: the protocol of all lists and its refusals. Does not belong here: which rows there are, how they look.

Rows come in the order of their ids. The last page brings a syncToken, which stands for the moment at which the first
page was asked for; with it only what changed since then is listed. What a list does not show yet (the lag) counts as
changed later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from referral_pipeline.sandbox.ashby.errors import Refusal
from referral_pipeline.sandbox.ashby.world import World
from referral_pipeline.sandbox.greenhouse.schema import Row
from referral_pipeline.sandbox.greenhouse.times import read_stamp

_PAGING = ("cursor", "syncToken", "limit")


def page(
    world: World,
    kind: str,
    rows: Sequence[Row],
    show: Callable[[Row], dict[str, Any]],
    body: Mapping[str, Any],
    *,
    key: Callable[[Row], int] = lambda row: int(row["id"]),
    is_visible: Callable[[Row], bool] = lambda row: True,
    with_sync: bool = True,
) -> dict[str, Any]:
    """One page of a list, as the answer's fields. `key` is what a row is known by in the order of changes.

    Raises:
        Refusal: a cursor or syncToken is not one of this list, or too old.
    """
    filters = {name: value for name, value in body.items() if name not in _PAGING}
    state = _state(world, kind, filters, body)
    after, since, until = state["after"], state["since"], state["until"]
    found = [row for row in rows if _is_asked_for(row, filters)]
    hidden = [row for row in found if not is_visible(row)]
    if hidden:
        until = min(until, *(world.changed_at(kind, key(row)) - 1 for row in hidden))
    if since is not None:
        found = [row for row in found if world.changed_at(kind, key(row)) > since]
        most = world.switches.incremental_sync_limit
        if most is not None and len(found) > most:
            raise Refusal("incremental_sync_too_large", "Too much changed; run a full sync")
    found = [row for row in found if key(row) > after and is_visible(row)]
    limit = int(body.get("limit", world.switches.default_limit))
    shown, more = found[:limit], len(found) > limit
    answer: dict[str, Any] = {"results": [show(row) for row in shown], "moreDataAvailable": more}
    made_at = world.now().timestamp()
    if more:
        following = {"after": key(shown[-1]), "since": since, "until": until}
        answer["nextCursor"] = world.sealed({"t": "c", "k": kind, "f": filters, "at": made_at, **following})
    elif with_sync and world.switches.sync_tokens:
        answer["syncToken"] = world.sealed({"t": "s", "k": kind, "f": filters, "at": made_at, "until": until})
    return answer


def _state(world: World, kind: str, filters: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """Where a page begins: after which id, what changed since when, and what its syncToken will stand for."""
    state: dict[str, Any] = {"after": 0, "since": None, "until": world.sequence}
    if "syncToken" in body and "cursor" not in body:
        token = world.opened(body["syncToken"])
        if token is None or token["t"] != "s" or token["k"] != kind or token["f"] != filters:
            raise Refusal("sync_token_invalid", "The sync token is invalid")
        life = world.switches.sync_token_lifetime_seconds
        if life is not None and world.now().timestamp() - token["at"] > life:
            raise Refusal("sync_token_expired", "The sync token has expired")
        state["since"] = token["until"]
    if "cursor" in body:
        cursor = world.opened(body["cursor"])
        if cursor is None or cursor["t"] != "c" or cursor["k"] != kind or cursor["f"] != filters:
            raise Refusal("invalid_next_cursor", "The cursor is invalid")
        life = world.switches.cursor_lifetime_seconds
        if life is not None and world.now().timestamp() - cursor["at"] > life:
            raise Refusal("next_cursor_expired", "The cursor has expired")
        state = {name: cursor[name] for name in state}
    return state


def _is_asked_for(row: Row, filters: Mapping[str, Any]) -> bool:
    since = filters.get("createdAfter")
    return since is None or read_stamp(row["created_at"]).timestamp() * 1000 > since
