"""OAuth 2.0 client credentials of the advocacy sandbox (RFC 6749 section 4.4, RFC 6750).

Belongs here: minting and checking of tokens. Does not belong here: any other grant.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import time
from urllib.parse import parse_qsl, unquote_plus

from starlette.requests import Request
from starlette.responses import Response

from referral_pipeline.sandbox.advocacy.answers import Refused, json_answer, token_error
from referral_pipeline.sandbox.advocacy.switches import Switches


class Tokens:
    """The tokens that are alive, by value, with the monotonic second of their end."""

    def __init__(
        self, client_id: str, client_secret: str, switches: Switches, scopes: frozenset[str] = frozenset()
    ) -> None:
        """`scopes` are those that may be asked for."""
        self._scopes = scopes
        self._client = (client_id, client_secret)
        self._switches = switches
        self._ends: dict[str, float] = {}

    async def answer(self, request: Request) -> Response:
        """`POST /oauth/token`."""
        client = _basic_client(request.headers.get("authorization", ""))
        if client is None or not self._is_known(client):
            return token_error(401, "invalid_client", "the client is unknown, or its secret is wrong")
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/x-www-form-urlencoded":
            return token_error(400, "invalid_request", "the body must be application/x-www-form-urlencoded")
        try:
            pairs = parse_qsl((await request.body()).decode("ascii"), keep_blank_values=True, strict_parsing=True)
        except ValueError:
            return token_error(400, "invalid_request", "the form cannot be read")
        form = dict(pairs)
        if len(form) != len(pairs):
            return token_error(400, "invalid_request", "a parameter is repeated")
        if not form.get("grant_type"):
            return token_error(400, "invalid_request", "grant_type is missing")
        if form["grant_type"] != "client_credentials":
            return token_error(400, "unsupported_grant_type", "only client_credentials is supported")
        scope = form.get("scope", "")
        if not set(scope.split()) <= self._scopes:
            return token_error(400, "invalid_scope", f"known scopes: {' '.join(sorted(self._scopes)) or 'none'}")
        lifetime = self._switches.token_lifetime_seconds
        token = secrets.token_urlsafe(24)
        self._forget_ended()
        self._ends[token] = time.monotonic() + lifetime
        body: dict[str, object] = {"access_token": token, "token_type": "Bearer", "expires_in": lifetime}
        body |= {"scope": scope} if scope else {}
        return json_answer(body, headers={"Cache-Control": "no-store"})

    def check(self, request: Request) -> None:
        """Let a request with a living token pass.

        Raises:
            Refused: 401, with the challenge of RFC 6750.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(401, "a bearer token is needed", headers={"WWW-Authenticate": 'Bearer realm="advocacy"'})
        if self._ends.get(token.strip(), 0.0) <= time.monotonic():
            challenge = 'Bearer realm="advocacy", error="invalid_token"'
            raise Refused(401, "the token is unknown or has ended", headers={"WWW-Authenticate": challenge})

    def revoke_all(self) -> None:
        """End every token at once, as an administrator would."""
        self._ends.clear()

    def _is_known(self, client: tuple[str, str]) -> bool:
        # RFC 6749 section 2.3.1 form-encodes both parts; many clients do not. Either reading may match.
        readings = (client, (unquote_plus(client[0]), unquote_plus(client[1])))
        return any(
            hmac.compare_digest(name.encode(), self._client[0].encode())
            and hmac.compare_digest(secret.encode(), self._client[1].encode())
            for name, secret in readings
        )

    def _forget_ended(self) -> None:
        now = time.monotonic()
        self._ends = {token: end for token, end in self._ends.items() if end > now}


def _basic_client(header: str) -> tuple[str, str] | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, secret) if colon else None
