"""Reading webhooks: from a signed body to what it is about.

Belongs here: the choice of the reader by system. Does not belong here: signatures (`webhooks/`), a vendor's shapes, and
acting on what was read (`sync/`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, cast

import orjson

from referral_pipeline.connectors.advocacy_events import read_advocacy_event
from referral_pipeline.connectors.greenhouse_events import read_greenhouse_event
from referral_pipeline.connectors.hints import UNNAMED, Hint, unknown

__all__ = ["READERS", "UNNAMED", "Hint", "decode", "read_event"]

READERS: Mapping[str, Callable[[Any], Hint]] = {
    "advocacy": read_advocacy_event,
    "greenhouse": read_greenhouse_event,
}


_DEEPEST = 200
"""What is nested deeper could be read by one of our two readers and not be written again by the other."""


def decode(body: bytes) -> Any:
    """The JSON of a body.

    Raises:
        ValueError: it is none, or holds NaN or Infinity.
        RecursionError: it is nested too deeply.
    """
    try:
        value = orjson.loads(body)
    except ValueError:
        # A little that is JSON to others is none to it, such as half of a surrogate pair. That comes once in a while.
        value = _decode(body.decode())
    if body.count(b"[") + body.count(b"{") > _DEEPEST and _is_too_deep(value):
        raise RecursionError("nested too deeply")
    return value


def _is_too_deep(value: Any) -> bool:
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (cast("dict[str, Any]", one).values() if isinstance(one, dict) else cast("list[Any]", one))
        ]
        if not level:
            return False
    return True


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


_decode = json.JSONDecoder(parse_constant=_no_constant).decode


def read_event(system: str, payload: Any) -> Hint:
    """What a decoded body of this system is about. Never raises: what cannot be read is `known=False`."""
    reader = READERS.get(system)
    return reader(payload) if reader is not None else unknown(None)
