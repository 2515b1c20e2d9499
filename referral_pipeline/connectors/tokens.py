"""OAuth client credentials: what they are, when a token ends, and one cached token for all who use the same credential.

Belongs here: credentials, expiry, the cache. Does not belong here: fetching (`connectors.http` owns the session).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from referral_pipeline.connectors.values import parse_instant

REFRESH_EARLY_SECONDS = 60.0
DEFAULT_LIFETIME_SECONDS = 3600.0


@dataclass(frozen=True)
class ClientCredentials:
    """A client id and secret, and where a token is had for them.

    `subject` is the acting user (`sub`) and `scope` what is asked for, each where the vendor wants one.
    """

    token_url: str
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    subject: str | None = None
    scope: str | None = None

    @property
    def fingerprint(self) -> str:
        """A short hash that tells credentials apart and gives none away."""
        parts = "\0".join((self.token_url, self.client_id, self.client_secret, self.subject or ""))
        return hashlib.sha256(parts.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Token:
    """An access token and the epoch second after which it is not used any more."""

    value: str = field(repr=False)
    good_until: float


class TokenCache:
    """The one token of one credential in this process, shared by all sessions and threads.

    Some say that a vendor keeps one active token for each credential, so two caches would revoke each other's for ever.
    """

    _all: ClassVar[dict[str, TokenCache]] = {}
    _all_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token: Token | None = None

    @classmethod
    def shared(cls, credentials: ClientCredentials) -> TokenCache:
        """The cache of this credential."""
        with cls._all_lock:
            return cls._all.setdefault(credentials.fingerprint, cls())

    def get(self, fetch: Callable[[], Token], now: Callable[[], float]) -> str:
        """The token, fetched by one thread while the others wait when there is none or it is about to end."""
        with self._lock:
            if self._token is None or now() >= self._token.good_until:
                self._token = fetch()
            return self._token.value

    def discard(self, value: str) -> None:
        """Forget this token; one that another thread fetched meanwhile stays."""
        with self._lock:
            if self._token is not None and self._token.value == value:
                self._token = None


def read_token(body: Mapping[str, Any], now: float) -> Token:
    """The token of a token answer.

    Sources disagree on how the end is told (GREENHOUSE_V3 section 2): `expires_in`, else `expires_at` in any ISO form,
    else the JWT's own `exp`, else an hour. It is refreshed 60 s early, or at half its life when that is short.

    Raises:
        ValueError: When there is no token in it.
    """
    value = body.get("access_token")
    if not isinstance(value, str) or not value:
        raise ValueError("no access_token in the answer")
    lifetime = _seconds(body.get("expires_in"))
    if lifetime is None:
        ends = _epoch(body.get("expires_at")) or _epoch(_jwt_claims(value).get("exp"))
        lifetime = ends - now if ends is not None else DEFAULT_LIFETIME_SECONDS
    return Token(value, now + lifetime - min(REFRESH_EARLY_SECONDS, max(lifetime, 0.0) / 2))


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _epoch(value: object) -> float | None:
    try:
        return parse_instant(value).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _jwt_claims(token: str) -> Mapping[str, Any]:
    """The claims of a JWT, unverified: they are only a hint about its end. Empty for anything else."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return cast("Mapping[str, Any]", claims) if isinstance(claims, dict) else {}
