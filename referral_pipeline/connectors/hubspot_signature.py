"""How HubSpot signs its webhooks (v3).

Belongs here: the scheme. Does not belong here: keys of an installation (`webhooks`), what an event says (events).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, cast

import orjson

from referral_pipeline.connectors.events import decode
from referral_pipeline.connectors.signing import STALE, SignatureRefused, UnusableSecret

TOLERANCE_SECONDS = 300
_SIGNATURE = re.compile(r"[A-Za-z0-9+/]{43}=")
_TIMESTAMP = re.compile(r"[0-9]{1,15}", re.ASCII)


class HubSpotSignature:
    """HubSpot v3: base64 HMAC-SHA256, by the app's client secret, over method, full address, body and timestamp (ms).

    The address is the one that HubSpot was given: `options.webhook_url` of the contract, else the one of the request.
    It names no delivery: two attempts of one differ in `attemptNumber` and time only, so the id is a digest of the
    events without their attempts.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        """Take client secrets as texts.

        Raises:
            UnusableSecret: there is none.
        """
        self._keys = [secret.encode() for secret in secrets]
        if not self._keys:
            raise UnusableSecret("holds no key")

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
        """A digest of the events, once the signature fits one key."""
        signature, timestamp = headers.get("x-hubspot-signature-v3"), headers.get("x-hubspot-request-timestamp")
        if not signature or not timestamp:
            raise SignatureRefused("unsigned")
        if not _SIGNATURE.fullmatch(signature) or not _TIMESTAMP.fullmatch(timestamp):
            raise SignatureRefused("malformed")
        address = headers.get(":public_url") or _address(headers)
        signed = headers.get(":method", "").encode() + address.encode() + body + timestamp.encode()
        fits = False
        for key in self._keys:
            expected = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
            fits |= hmac.compare_digest(expected, signature)
        if not fits:
            raise SignatureRefused("wrong")
        if abs(now.timestamp() - int(timestamp) / 1000) > TOLERANCE_SECONDS:
            raise SignatureRefused(STALE)
        return _delivery_id(body)


def _address(headers: Mapping[str, str]) -> str:
    scheme = "https" if headers.get("x-forwarded-proto", "").lower() == "https" else "http"
    return f"{scheme}://{headers.get('host', '')}{headers.get(':path', '')}"


def _delivery_id(body: bytes) -> str:
    try:
        found = decode(body)
    except (ValueError, RecursionError):
        raise SignatureRefused("malformed") from None
    return event_digest(found) if isinstance(found, list) else hashlib.sha256(body).hexdigest()


def event_digest(value: Any) -> str:
    """What tells an event, or a list of them, from others: all but which attempt it is."""
    if isinstance(value, list):
        some = [_without_attempt(one) for one in cast("list[Any]", value)]
        return hashlib.sha256(orjson.dumps(some, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return hashlib.sha256(orjson.dumps(_without_attempt(value), option=orjson.OPT_SORT_KEYS)).hexdigest()


def _without_attempt(event: Any) -> Any:
    if not isinstance(event, dict):
        return event
    return {name: value for name, value in cast("dict[str, Any]", event).items() if name != "attemptNumber"}
