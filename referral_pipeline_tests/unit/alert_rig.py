"""What tests of alerts need: a clock to turn, a ledger, a mail server and an HTTP server that are real.

Belongs here: putting them together. Does not belong here: tests.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.monitoring.alerts import Alert, AlertDesk
from referral_pipeline.settings import load_settings
from referral_pipeline_tests.contract.wrong import changed
from referral_pipeline_tests.unit.scripted_server import Reply, ScriptedServer, Seen

SIGNING_KEY = b"a key of twenty-four b.."
SECRET = "whsec_" + base64.b64encode(SIGNING_KEY).decode()
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

OUTAGE = Alert(
    name="breaker_open",
    subject="breaker:greenhouse",
    severity="error",
    what="Greenhouse has not answered five calls in a row.",
    todo="Look at the vendor's status page; events wait and are sent when it answers.",
    link="http://127.0.0.1:3000/runs/r1",
)


class Mailbox:
    """Keeps what a mail server is handed; refuses while `refuse` holds an answer."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.refuse: str | None = None

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        del server, session
        if self.refuse:
            return self.refuse
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        self.recipients += envelope.rcpt_tos
        return "250 taken"

    @property
    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]


class _OnAnyPort(Controller):
    def _trigger_server(self) -> None:
        """The controller tries its server out; with port 0 only the socket knows where that is."""
        with socket.create_connection(self.address, 5) as client:
            client.recv(64)

    @property
    def address(self) -> tuple[str, int]:
        return self.server.sockets[0].getsockname()  # type: ignore[union-attr]


@contextmanager
def mail_server(box: Mailbox, **options: Any) -> Iterator[int]:
    """A mail server on loopback; yields its port."""
    controller = _OnAnyPort(box, hostname="127.0.0.1", port=0, **options)
    controller.start()
    try:
        yield controller.address[1]
    finally:
        controller.stop()


class Rig:
    """One ledger, one clock, and desks on them."""

    def __init__(self, folder: Path) -> None:
        self.now = START
        self.home = folder
        self.ledger = self.open_ledger()

    def open_ledger(self) -> Ledger:
        return Ledger.open("sqlite:///ledger.sqlite", home=self.home, clock=lambda: self.now)

    def later(self, **time: float) -> None:
        self.now += timedelta(**time)

    def desk(self, channels: str, *, background: bool = False, ledger: Ledger | None = None) -> AlertDesk:
        return AlertDesk(
            contract_with(channels),
            load_settings(self.home),
            ledger or self.ledger,
            lambda: self.now,
            background=background,
        )


def contract_with(channels: str) -> Contract:
    return parse_contract(changed(("alerts: [{type: log}]", f"alerts: [{channels}]")))


def mail_channel(port: int, more: str = "starttls: off") -> str:
    return (
        '{type: email, to: "ops@example.com", from: "bridge@example.com", smtp_host: 127.0.0.1, '
        f"smtp_port: {port}, {more}}}"
    )


def hook_channel(server: ScriptedServer) -> str:
    return f'{{type: webhook, url: "{server.url}/alerts", secret_env: ALERT_WEBHOOK_SECRET}}'


def verified(seen: Seen) -> dict[str, Any]:
    """The body of a delivery, once its signature over the very bytes has proven right."""
    signed = f"{seen.headers['webhook-id']}.{seen.headers['webhook-timestamp']}.".encode() + seen.body
    right = base64.b64encode(hmac.new(SIGNING_KEY, signed, hashlib.sha256).digest()).decode()
    assert seen.headers["webhook-signature"] == f"v1,{right}"
    return seen.json


def told(server: ScriptedServer) -> list[tuple[str, str]]:
    """(type, name) of every delivery that the server took."""
    return [(body["type"], body["data"]["name"]) for body in map(verified, server.seen)]


def switchable(up: Sequence[bool], refusal: Reply | None = None) -> Callable[[Seen], Reply]:
    """Answers while `up[0]`, else refuses."""
    return lambda _: Reply(200, {}) if up[0] else refusal or Reply(503, {})
