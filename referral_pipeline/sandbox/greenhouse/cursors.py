"""Opaque cursors: everything about a list that the next request needs, signed.

Belongs here: making and reading them. Does not belong here: what a list filters by.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Cursor:
    """Where a list goes on: after the row `after` (ids fall), with the parameters of the first request.

    `trail` are the starts of the pages before, for `rel="prev"`; 0 stands for the first page.
    """

    entity: str
    params: Mapping[str, str]
    after: int
    issued_at: float
    trail: tuple[int, ...] = ()


class CursorBox:
    """Writes and reads the cursors of one server."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, cursor: Cursor) -> str:
        """Make the opaque text."""
        body = json.dumps(asdict(cursor), separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._sign(body) + body).decode().rstrip("=")

    def read(self, text: str) -> Cursor | None:
        """Read it back. None when it was not made here."""
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except (binascii.Error, ValueError):
            return None
        signature, body = raw[:16], raw[16:]
        if not hmac.compare_digest(signature, self._sign(body)):
            return None
        content: dict[str, Any] = json.loads(body)
        content["trail"] = tuple(content["trail"])
        return Cursor(**content)

    def _sign(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, hashlib.sha256)[:16]
