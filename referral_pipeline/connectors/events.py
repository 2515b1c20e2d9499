"""Reading webhooks: from a signed body to what it is about.

Belongs here: the choice of the reader by system. Does not belong here: signatures (`webhooks/`), a vendor's shapes, and
acting on what was read (`sync/`).
"""

from __future__ import annotations

import json
import logging
from typing import Any, NoReturn, cast

import orjson

from referral_pipeline.connectors.hints import UNNAMED, Hint, unknown
from referral_pipeline.connectors.vendors import vendor_of

__all__ = ["UNNAMED", "Hint", "decode", "read_event", "split_delivery"]

_log = logging.getLogger(__name__)

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
    vendor = vendor_of(system)
    reader = vendor.read if vendor is not None else None
    if reader is None:
        return unknown(None)
    try:
        return reader(payload)
    except Exception as error:  # noqa: BLE001 - deliveries of all systems are committed together: none may hold up others
        _log.error("the reader of %s raised %s: the event is kept, and done by reconciliation", system, _name(error))
        return unknown(None)


def split_delivery(system: str, delivery_id: str, body: bytes, payload: Any) -> list[tuple[str, bytes, Any]] | None:
    """(delivery id, body, decoded body) of each event of a delivery, in order; None when it is not of the right form.

    Most systems put one event, a JSON object, into a delivery. Where there are many, each becomes one of its own.
    """
    vendor = vendor_of(system)
    split = vendor.split if vendor is not None else None
    if split is None:
        return [(delivery_id, body, payload)] if isinstance(payload, dict) else None
    try:
        parts = split(payload)
        return [(f"{delivery_id}:{which}", orjson.dumps(part), part) for which, part in parts]
    except (KeyError, TypeError, ValueError):
        return None
    except Exception as error:  # noqa: BLE001 - as above
        _log.error("the splitter of %s raised %s: the delivery is kept as one", system, _name(error))
        return [(delivery_id, body, payload)]


def _name(error: Exception) -> str:
    return type(error).__name__
