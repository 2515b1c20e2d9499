"""A receiver over a ledger in a file, spoken to as a server would, and signed requests for it.

Belongs here: set-up shared by the tests of the receiver. Does not belong here: assertions.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from standardwebhooks.webhooks import Webhook
from starlette.applications import Starlette

from referral_pipeline.contract.loader import load_contract
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.privacy.crypto import Cipher
from referral_pipeline.sandbox.credentials import SECRETS
from referral_pipeline.settings import load_settings
from referral_pipeline.webhooks.app import create_app

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
REFERRAL = {"type": "referral.submitted", "timestamp": "2026-03-04T05:06:00Z", "data": {"id": "R1", "note": "Ada"}}
STAGE_CHANGE = {
    "action": "candidate_stage_change",
    "payload": {"application": {"id": 31, "candidate": {"id": 7}, "jobs": [{"id": 4}]}},
}


def advocacy_headers(
    body: bytes, delivery_id: str = "msg_1", *, at: datetime = NOW, secret: str = ""
) -> dict[str, str]:
    """Headers as the reference library of Standard Webhooks signs them."""
    mark = Webhook(secret or SECRETS["ADVOCACY_WEBHOOK_SECRET"]).sign(delivery_id, at, body.decode())
    return {
        "content-type": "application/json",
        "webhook-id": delivery_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": mark,
    }


def greenhouse_headers(body: bytes, delivery_id: str | None = "evt_1", *, secret: str = "") -> dict[str, str]:
    """Headers as Greenhouse signs them."""
    key = (secret or SECRETS["GREENHOUSE_WEBHOOK_SECRET"]).encode()
    own = {"greenhouse-event-id": delivery_id} if delivery_id else {}
    mark = f"sha256 {hmac.new(key, body, hashlib.sha256).hexdigest()}"
    return {"content-type": "application/json", "signature": mark, **own}


@dataclass
class Receiver:
    """The application, its ledger, and a clock that stands still until it is moved."""

    app: Starlette
    ledger: Ledger
    home: Path
    at: list[datetime] = field(default_factory=lambda: [NOW])

    def move(self, seconds: float) -> None:
        self.at[0] += timedelta(seconds=seconds)

    async def send(
        self,
        path: str,
        chunks: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | Iterable[tuple[bytes, bytes]] = (),
        method: str = "POST",
        client: str = "127.0.0.1",
    ) -> tuple[int, str]:
        """Status and text of one request, by ASGI; raises when the application does not answer once and whole."""
        parts = [chunks] if isinstance(chunks, bytes) else list(chunks)
        raw = (
            [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()]
            if isinstance(headers, Mapping)
            else list(headers)
        )
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": b"",
            "headers": raw,
            "server": ("127.0.0.1", 80),
            "client": (client, 1),
        }
        coming = iter(parts)
        left = len(parts)
        said: list[Any] = []

        async def receive() -> dict[str, Any]:
            nonlocal left
            left -= 1
            part = next(coming, None)
            if part is None:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": part, "more_body": left > 0}

        async def send(message: Any) -> None:
            said.append(message)

        await self.app(scope, receive, send)
        assert [message["type"] for message in said] == ["http.response.start", "http.response.body"]
        return said[0]["status"], said[1]["body"].decode()

    async def advocacy(self, event: Any = REFERRAL, delivery_id: str = "msg_1") -> tuple[int, str]:
        """A signed delivery of the advocacy platform."""
        body = json.dumps(event).encode()
        return await self.send("/webhooks/advocacy", body, advocacy_headers(body, delivery_id, at=self.at[0]))

    def bodies(self) -> list[bytes]:
        """What the inbox holds, decrypted."""
        cipher = Cipher(SECRETS["REFERRAL_PIPELINE_KEY"])
        return [cipher.decrypt(event.body) for event in self.ledger.inbox_events(limit=1000) if event.body]


def write_env(home: Path, **changes: str | None) -> None:
    """`.env` of a home with the sandbox's secrets, some changed or left out."""
    home.mkdir(exist_ok=True)
    secrets = {key: value for key, value in {**SECRETS, **changes}.items() if value is not None}
    (home / ".env").write_text("".join(f"{key}='{value}'\n" for key, value in secrets.items()))


@contextmanager
def receiver_in(home: Path) -> Iterator[Receiver]:
    """A receiver whose home has the sandbox's secrets in `.env`."""
    write_env(home)
    settings, at = load_settings(home), [NOW]
    contract = load_contract(settings)
    with Ledger.open(f"sqlite:///{home}/ledger.sqlite", home=home, clock=lambda: at[0]) as ledger:
        app = create_app(contract=contract, settings=settings, ledger=ledger, clock=lambda: at[0])
        yield Receiver(app, ledger, home, at)
