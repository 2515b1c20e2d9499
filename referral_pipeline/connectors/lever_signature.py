"""How Lever signs its webhooks.

Belongs here: the scheme. Does not belong here: keys of an installation (`webhooks`), what an event says (events).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import cast

from referral_pipeline.connectors.events import decode
from referral_pipeline.connectors.signing import STALE, SignatureRefused, UnusableSecret

TOLERANCE_SECONDS = 300
_ID = re.compile(r"[\x21-\x7e]{1,200}")
_HEX = re.compile(r"[0-9a-f]{64}")


class LeverSignature:
    """Lever: in the body, hex HMAC-SHA256 over `token` and `triggeredAt`. It covers neither `data` nor the event.

    So what the body tells is a hint to read anew; a time more than five minutes away is refused, and so is, by the
    inbox, a token that came before: it is the delivery's id. Each webhook has a key of its own, so there may be many.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        """Take the signature tokens as texts.

        Raises:
            UnusableSecret: there is none.
        """
        self._keys = [secret.encode() for secret in secrets]
        if not self._keys:
            raise UnusableSecret("holds no key")

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
        """The `token`, once the signature fits one key."""
        del headers
        try:
            found = decode(body)
        except (ValueError, RecursionError):
            raise SignatureRefused("malformed") from None
        if not isinstance(found, dict):
            raise SignatureRefused("malformed")
        told = cast("dict[str, object]", found)
        token, triggered_at, signature = (told.get(name) for name in ("token", "triggeredAt", "signature"))
        if token is None or triggered_at is None or signature is None:
            raise SignatureRefused("unsigned")
        if not isinstance(token, str) or not _ID.fullmatch(token):
            raise SignatureRefused("malformed")
        if isinstance(triggered_at, bool) or not isinstance(triggered_at, int) or not 0 <= triggered_at < 10**15:
            raise SignatureRefused("malformed")
        if not isinstance(signature, str) or not _HEX.fullmatch(signature):
            raise SignatureRefused("malformed")
        fits = False
        for key in self._keys:
            expected = hmac.digest(key, f"{token}{triggered_at}".encode(), "sha256").hex()
            fits |= hmac.compare_digest(expected, signature)
        if not fits:
            raise SignatureRefused("wrong")
        if abs(now.timestamp() - triggered_at / 1000) > TOLERANCE_SECONDS:
            raise SignatureRefused(STALE)
        return token
