"""Signatures of outgoing webhooks, one class per scheme.

Belongs here: header lines for a body. Does not belong here: keys (`sandbox.credentials`), sending (`courier`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import zlib
from collections.abc import Sequence
from typing import Protocol, runtime_checkable


class Signer(Protocol):
    """Makes the header lines that identify and sign one attempt."""

    def headers(self, delivery_id: str, body: bytes, secrets: Sequence[str], at: float) -> bytes:
        """Header lines, each ended by CRLF. Several secrets: signed so that each of them is needed by somebody."""
        ...


@runtime_checkable
class Sealer(Protocol):
    """A signer whose scheme lies in the body: made once for a delivery, and the same at each attempt."""

    def delivery_id(self) -> str:
        """What identifies a delivery."""
        ...

    def seal(self, delivery_id: str, body: bytes, keys: Sequence[str], at: float) -> bytes:
        """The body as it is sent."""
        ...


class StandardSigner:
    """Standard Webhooks 1.0, v1: one signature per secret in one header, the time of the attempt signed too."""

    def headers(self, delivery_id: str, body: bytes, secrets: Sequence[str], at: float) -> bytes:
        """`webhook-id`, `webhook-timestamp`, `webhook-signature`."""
        timestamp = str(int(at))
        content = f"{delivery_id}.{timestamp}.".encode() + body
        marks = " ".join(
            "v1,"
            + base64.b64encode(
                hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), content, hashlib.sha256)
            ).decode()
            for secret in secrets
        )
        return f"webhook-id: {delivery_id}\r\nwebhook-timestamp: {timestamp}\r\nwebhook-signature: {marks}\r\n".encode()


class GreenhouseSigner:
    """`Signature: sha256 <hex>` over the bytes sent. It holds one signature: of two keys the id picks one."""

    def headers(self, delivery_id: str, body: bytes, secrets: Sequence[str], at: float) -> bytes:
        """`Signature`, `Greenhouse-Event-ID`."""
        del at  # this scheme signs no time
        secret = secrets[zlib.crc32(delivery_id.encode()) % len(secrets)]
        mark = hmac.digest(secret.encode(), body, hashlib.sha256).hex()
        return f"Signature: sha256 {mark}\r\nGreenhouse-Event-ID: {delivery_id}\r\n".encode()


class AshbySigner:
    """`Ashby-Signature: sha256=<hex>` over the bytes sent; the id lies in them. Of two keys the id picks one."""

    def headers(self, delivery_id: str, body: bytes, secrets: Sequence[str], at: float) -> bytes:
        """`Ashby-Signature`."""
        del at  # this scheme signs no time
        secret = secrets[zlib.crc32(delivery_id.encode()) % len(secrets)]
        return f"Ashby-Signature: sha256={hmac.digest(secret.encode(), body, hashlib.sha256).hex()}\r\n".encode()
