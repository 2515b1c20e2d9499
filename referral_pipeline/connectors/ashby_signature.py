"""How Ashby signs its webhooks.

Belongs here: the scheme. Does not belong here: keys of an installation (`webhooks`), what an event says (events).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import cast

import orjson

from referral_pipeline.connectors.signing import SignatureRefused, UnusableSecret

_ID = re.compile(r"[\x21-\x7e]{1,200}")
_ASHBY = re.compile(r"sha256=([0-9a-f]{64})")


class AshbySignature:
    """Ashby: `Ashby-Signature: sha256=<hex>` over the body, which holds the id. The scheme signs no time.

    Ashby signs only once a secret was set there; with a key here, what is unsigned is refused.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        """Take the secret keys as texts.

        Raises:
            UnusableSecret: there is none.
        """
        self._keys = [secret.encode() for secret in secrets]
        if not self._keys:
            raise UnusableSecret("holds no key")

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
        """`webhookActionId` of the body, equal for all retries and settings; a hash of the body where there is none."""
        del now
        told = headers.get("ashby-signature")
        if not told:
            raise SignatureRefused("unsigned")
        found = _ASHBY.fullmatch(told)
        if not found:
            raise SignatureRefused("malformed")
        fits = False
        for key in self._keys:
            fits |= hmac.compare_digest(hmac.digest(key, body, "sha256").hex(), found[1])
        if not fits:
            raise SignatureRefused("wrong")
        return _action_id(body) or hashlib.sha256(body).hexdigest()


def _action_id(body: bytes) -> str | None:
    try:
        content: object = orjson.loads(body)
    except ValueError:
        return None
    told = cast("dict[str, object]", content).get("webhookActionId") if isinstance(content, dict) else None
    return told if isinstance(told, str) and _ID.fullmatch(told) else None
