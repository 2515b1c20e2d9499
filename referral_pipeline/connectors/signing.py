"""What a scheme of webhook signatures must do.

Belongs here: the protocol and its refusals. Does not belong here: schemes, keys of an installation (`webhooks`).

A scheme is made from one or more keys as texts: each of them is good, which is how a key is rotated. It signs the bytes
as they came. Comparisons take the same time wherever two signatures begin to differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

STALE = "stale"
"""Why a delivery is refused that was signed right, but at a time too far from ours."""


class SignatureRefused(Exception):
    """A webhook is not what it claims to be. `reason` is one word, fit for a metric; it never shows a value."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class UnusableSecret(Exception):
    """A webhook secret cannot be a key of its scheme. Never shows it."""


class Verifier(Protocol):
    """One scheme with its keys."""

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
        """The id of the delivery. `headers` have lower-case names; ":method", ":path" and ":client" are the request's.

        Raises:
            SignatureRefused: it is unsigned, wrong or stale.
        """
        ...
