"""Who may call: credentials, the token endpoint, bearer tokens.

Belongs here: section 2 of the vendor facts. Does not belong here: what a token allows on a route (`vendor.py`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from referral_pipeline.sandbox.greenhouse.errors import Refusal, too_many_refusal, unauthorized_refusal
from referral_pipeline.sandbox.greenhouse.rate import FixedWindow
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.greenhouse.times import stamp

CLIENT_ID_SUFFIX = ".greenhouse"
"""An unknown client id without it is "of the wrong form"; the real suffix is not published."""

_GRANTS = "authorization_code, refresh_token, client_credentials, urn:ietf:params:oauth:grant-type:token-exchange"
_TOKEN_WINDOW_SECONDS = 60.0
_KNOWN_TOKENS = 1_000


@dataclass(frozen=True)
class Client:
    """One credential. `scopes` are `harvest:<resource>:<verb>`; `user_id` is who acts when `sub` is left out."""

    client_id: str
    client_secret: str = field(repr=False)
    scopes: frozenset[str]
    user_id: int | None = None


@dataclass(frozen=True)
class Caller:
    """Who a valid bearer token stands for."""

    client_id: str
    user_id: int
    scopes: frozenset[str]


class TokenOffice:
    """Mints and reads the access tokens of one server."""

    def __init__(self, store: GreenhouseStore, clients: Iterable[Client], key: bytes) -> None:
        self._store = store
        self._clients = {client.client_id: client for client in clients}
        self._key = key
        self._window = FixedWindow()
        self._newest: dict[str, str] = {}
        self._known: dict[str, dict[str, Any]] = {}

    # ---------------------------------------------------------------- POST /token

    def mint(self, authorization: str | None, content_type: str, query: str, body: bytes) -> dict[str, Any]:
        """Answer a token request. Raises Refusal with the measured bodies."""
        client_id, secret = _basic(authorization)
        client = self._clients.get(client_id)
        if client is None and not client_id.endswith(CLIENT_ID_SUFFIX):
            text = f"client_id={client_id} does not contain a valid client ID suffix"
            raise Refusal(400, {"message": text, "errorId": _error_id()})
        if client is None or not hmac.compare_digest(client.client_secret.encode(), secret.encode()):
            raise Refusal(401, {"error": "invalid_client"})
        now = self._store.clock().timestamp()
        switches = self._store.switches
        reading = self._window.count(client_id, switches.token_limit, _TOKEN_WINDOW_SECONDS, now)
        if not reading.allowed:
            raise too_many_refusal(reading.retry_after, switches)
        values = _values(content_type, query, body)
        if not values.get("grant_type"):
            raise Refusal(400, {"message": "Must include `grant_type` parameter in /token request"})
        if values["grant_type"] != "client_credentials":
            raise Refusal(400, {"message": f"`grant_type` must be one of: {_GRANTS}"})
        if not client.scopes and switches.client_without_scopes == "refused":
            raise Refusal(400, {"message": "The client requests no scopes", "errorId": _error_id()})
        return self._answer(client, self._subject(client, values.get("sub")), now)

    def _subject(self, client: Client, text: str | None) -> int:
        if text is None:
            return client.user_id or 0
        user = self._store.get("users", int(text)) if text.isdecimal() else None
        if user is None or user["deactivated"]:
            raise Refusal(400, {"message": "`sub` does not name an active user", "errorId": _error_id()})
        return int(text)

    def _answer(self, client: Client, user_id: int, now: float) -> dict[str, Any]:
        switches = self._store.switches
        life = switches.token_lifetime_seconds
        token_id = secrets.token_hex(8)
        claims = {
            "iss": "greenhouse-sandbox",
            "sub": str(user_id),
            "client_id": client.client_id,
            "scope": " ".join(sorted(client.scopes)),
            "iat": int(now),
            "exp": now + life,
            "jti": token_id,
        }
        self._newest[client.client_id] = token_id
        answer: dict[str, Any] = {"token_type": "Bearer", "access_token": self._sign(claims)}
        if switches.token_expiry in {"expires_in", "both"}:
            answer["expires_in"] = int(life)
        if switches.token_expiry in {"expires_at", "both"}:
            moment = stamp(datetime.fromtimestamp(now + life, tz=UTC))
            offset = switches.token_expires_at_format == "offset"  # noqa: S105
            answer["expires_at"] = moment.removesuffix("Z") + "+0000" if offset else moment
        return answer

    # ---------------------------------------------------------------- Bearer

    def caller(self, authorization: str | None) -> Caller:
        """Who calls. Raises Refusal 401."""
        scheme, _, token = (authorization or "").partition(" ")
        claims = self._read(token.strip()) if scheme.lower() == "bearer" else None
        if claims is None:
            raise unauthorized_refusal("Token could not be decoded. Please check that the token is correct.")
        client = self._clients.get(str(claims["client_id"]))
        if client is None or float(claims["exp"]) <= self._store.clock().timestamp():
            raise unauthorized_refusal("Token has expired")
        if self._store.switches.token_revocation and claims["jti"] != self._newest.get(client.client_id):
            raise unauthorized_refusal("Token has been revoked")
        return Caller(client.client_id, int(claims["sub"]), claims["scopes"])

    def revoke_all(self) -> None:
        """End every token minted so far, as when an administrator rotates the credential."""
        self._key = secrets.token_bytes(32)
        self._known.clear()

    def _sign(self, claims: Mapping[str, Any]) -> str:
        head = _b64(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        body = f"{head}.{_b64(json.dumps(claims).encode())}"
        return f"{body}.{self._signature(body)}"

    def _read(self, token: str) -> dict[str, Any] | None:
        known = self._known.get(token)
        if known is None:
            known = self._decoded(token)
            if known is not None:
                if len(self._known) >= _KNOWN_TOKENS:
                    self._known.clear()
                self._known[token] = known
        return known

    def _decoded(self, token: str) -> dict[str, Any] | None:
        body, _, signature = token.rpartition(".")
        if not body or not hmac.compare_digest(signature.encode(), self._signature(body).encode()):
            return None
        payload = body.partition(".")[2]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return {**claims, "scopes": frozenset(str(claims["scope"]).split())}

    def _signature(self, body: str) -> str:
        return _b64(hmac.digest(self._key, body.encode(), hashlib.sha256))


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _error_id() -> str:
    return f"err-{secrets.token_hex(6)}"


def _basic(authorization: str | None) -> tuple[str, str]:
    scheme, _, encoded = (authorization or "").partition(" ")
    nobody = Refusal(401, {"message": "Unauthorized", "errorId": _error_id()})
    if scheme.lower() != "basic":
        raise nobody
    try:
        client_id, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise nobody from None
    if not colon or not client_id:
        raise nobody
    return unquote_plus(client_id), unquote_plus(secret)


def _values(content_type: str, query: str, body: bytes) -> dict[str, str]:
    """grant_type and sub from the form; the vendor's OpenAPI also shows them in the query and in JSON."""
    values = {name: items[-1] for name, items in parse_qs(query).items()}
    if content_type.startswith("application/x-www-form-urlencoded"):
        values |= {name: items[-1] for name, items in parse_qs(body.decode("utf-8", "replace")).items()}
    elif content_type.startswith("application/json") and body.strip():
        try:
            content = json.loads(body)
        except ValueError:
            raise Refusal(400, {"message": "Bad Request", "errorId": _error_id()}) from None
        if isinstance(content, dict):
            values |= {str(name): str(value) for name, value in content.items()}
    return values
