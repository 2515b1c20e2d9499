"""Who sent a webhook: one verifier for each signature scheme, and keys that may change while we run.

Belongs here: the schemes and their keys. Does not belong here: HTTP, JSON, what an event says.

Every scheme signs the bytes as they came, so nothing here decodes them. A verifier holds several keys, and each of them
is good: that is how a key is rotated. Comparisons take the same time wherever two signatures begin to differ.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any

from referral_pipeline.connectors.signing import STALE, SignatureRefused, UnusableSecret, Verifier
from referral_pipeline.connectors.vendors import vendor_of
from referral_pipeline.settings import MissingSecret, Settings

__all__ = [
    "STALE",
    "GreenhouseSignature",
    "Keyring",
    "SignatureRefused",
    "StandardWebhooks",
    "UnusableSecret",
    "Verifier",
    "headers_of",
    "scheme_of",
]

TOLERANCE_SECONDS = 300
READ_AGAIN_SECONDS = 3.0
"""How old the keys may be that were read from the environment and `.env`."""

_MOST_SIGNATURES = 20
_ID = re.compile(r"[\x21-\x7e]{1,200}")
_TIMESTAMP = re.compile(r"[0-9]{1,11}", re.ASCII)
_GREENHOUSE = re.compile(r"sha256 ([0-9a-f]{64})")


class StandardWebhooks:
    """Standard Webhooks 1.0, symmetric (v1): HMAC-SHA256 over `id.timestamp.body`, five minutes of tolerance."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Take base64 keys, with or without `whsec_`.

        Raises:
            UnusableSecret: there is none, or one is not base64.
        """
        self._keys = [_base64_key(secret) for secret in secrets]
        if not self._keys:
            raise UnusableSecret("holds no key")

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
        """The `webhook-id`, once one signature fits one key."""
        delivery_id, timestamp = headers.get("webhook-id"), headers.get("webhook-timestamp")
        told = headers.get("webhook-signature")
        if not delivery_id or not timestamp or not told:
            raise SignatureRefused("unsigned")
        if not _ID.fullmatch(delivery_id) or not _TIMESTAMP.fullmatch(timestamp):
            raise SignatureRefused("malformed")
        signatures = told.encode("latin-1").split(b" ")
        if len(signatures) > _MOST_SIGNATURES:
            raise SignatureRefused("malformed")
        signed = f"{delivery_id}.{timestamp}.".encode() + body
        fits = False
        for key in self._keys:
            expected = b"v1," + binascii.b2a_base64(hmac.digest(key, signed, "sha256"), newline=False)
            for signature in signatures:
                fits |= hmac.compare_digest(expected, signature)
        if not fits:
            raise SignatureRefused("wrong")
        # After the signature: what was signed right and comes at a wrong time says that a clock is wrong (health).
        if abs(now.timestamp() - int(timestamp)) > TOLERANCE_SECONDS:
            raise SignatureRefused(STALE)
        return delivery_id


class GreenhouseSignature:
    """Greenhouse: `Signature: sha256 <hex>` over the body. The scheme signs no time, and not the id of the event."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Take the secret keys as texts.

        Raises:
            UnusableSecret: there is none.
        """
        self._keys = [secret.encode() for secret in secrets]
        if not self._keys:
            raise UnusableSecret("holds no key")

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
        """`Greenhouse-Event-ID`; a hash of the body where there is none."""
        del now
        told = headers.get("signature")
        if not told:
            raise SignatureRefused("unsigned")
        found = _GREENHOUSE.fullmatch(told)
        delivery_id = headers.get("greenhouse-event-id")
        if not found or (delivery_id and not _ID.fullmatch(delivery_id)):
            raise SignatureRefused("malformed")
        signature, fits = found[1], False
        for key in self._keys:
            fits |= hmac.compare_digest(hmac.digest(key, body, "sha256").hex(), signature)
        if not fits:
            raise SignatureRefused("wrong")
        return delivery_id or hashlib.sha256(body).hexdigest()


def scheme_of(system: str) -> Callable[[Iterable[str]], Verifier] | None:
    """The scheme of a system that can send us webhooks; None for any other."""
    vendor = vendor_of(system)
    return vendor.verifier if vendor is not None else None


def headers_of(system: str) -> tuple[str, ...]:
    """What its scheme reads."""
    vendor = vendor_of(system)
    return vendor.headers if vendor is not None else ()


class Keyring:
    """The verifier of one system with the keys that are set now: a rotated key is seen within seconds."""

    def __init__(
        self, system: str, env_name: str | None, settings: Settings, options: Mapping[str, Any] | None = None
    ) -> None:
        """Read nothing yet; `env_name` is the contract's `webhook_secret_env`, None where nothing is signed.

        `options` are the system's of the contract: `webhook_url` is the address that it was given where that is not the
        one at which we are reached, and a scheme may ask for more.
        """
        self.env_name = env_name
        self.public_url = str((options or {}).get("webhook_url") or "")
        scheme = scheme_of(system)
        if scheme is None:
            raise LookupError(f"{system} sends no webhooks")
        configured = getattr(scheme, "configured", None)
        self._scheme: Callable[[Iterable[str]], Verifier] = (
            scheme if configured is None else partial(configured, options=options or {})
        )
        self.headers = headers_of(system)
        self._settings = settings
        self._text: str | None = None
        self._verifier: Verifier | None = None
        self._good_until = 0.0

    def verifier(self) -> Verifier:
        """The verifier with the present keys.

        Raises:
            MissingSecret: the variable is not set.
            UnusableSecret: what is set cannot be a key.
        """
        now = monotonic()
        if self._verifier is None or now >= self._good_until:
            text = self._settings.secret(self.env_name) if self.env_name is not None else ""
            if text != self._text or self._verifier is None:
                self._verifier = None
                self._verifier = self._scheme(text.replace(",", " ").split())
                self._text = text
            self._good_until = now + READ_AGAIN_SECONDS
        return self._verifier

    def problem(self) -> str | None:
        """Why nothing can be verified, in words without the value; None when it can."""
        try:
            self.verifier()
        except MissingSecret:
            return "is not set"
        except UnusableSecret as error:
            return str(error)
        return None


def _base64_key(secret: str) -> bytes:
    text = secret.removeprefix("whsec_").replace("-", "+").replace("_", "/").rstrip("=")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise UnusableSecret("holds a key that is not base64") from None
    if not key:
        raise UnusableSecret("holds an empty key")
    return key
