"""Reading webhooks: from a signed body to what it is about.

Belongs here: the choice of the reader by system. Does not belong here: signatures (`webhooks/`), a vendor's shapes, and
acting on what was read (`sync/`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from referral_pipeline.connectors.advocacy_events import read_advocacy_event
from referral_pipeline.connectors.greenhouse_events import read_greenhouse_event
from referral_pipeline.connectors.hints import UNNAMED, Hint, unknown

__all__ = ["READERS", "UNNAMED", "Hint", "read_event"]

READERS: Mapping[str, Callable[[Any], Hint]] = {
    "advocacy": read_advocacy_event,
    "greenhouse": read_greenhouse_event,
}


def read_event(system: str, payload: Any) -> Hint:
    """What a decoded body of this system is about. Never raises: what cannot be read is `known=False`."""
    reader = READERS.get(system)
    return reader(payload) if reader is not None else unknown(None)
