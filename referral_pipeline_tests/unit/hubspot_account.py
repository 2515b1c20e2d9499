"""A HubSpot account on loopback with the connector in front of it: its inside, what was sent, a still clock.

Belongs here: set-up shared by the tests of HubSpot, and holding every call against the vendor's document. Does not
belong here: other assertions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import requests

from referral_pipeline.connectors.http import ApiCall, Clock, HttpClient, RetryPolicy, Timeouts
from referral_pipeline.connectors.hubspot import RETRY_BASE_SECONDS, HubSpotConnector
from referral_pipeline.connectors.hubspot_models import HubSpotOptions, Kind
from referral_pipeline.connectors.records import ContactWish
from referral_pipeline.sandbox.hubspot.app import create_app, perform
from referral_pipeline.sandbox.hubspot.book import Book
from referral_pipeline.sandbox.hubspot.switches import HubSpotSwitches
from referral_pipeline_tests.openapi import HUBSPOT_DOCUMENT, hubspot_problems
from referral_pipeline_tests.serving import Door, running

START = datetime(2026, 11, 2, 9, 0, 0, tzinfo=UTC)
KEY = "a-key-of-tests"
KINDS: Mapping[str, Kind] = {
    "referral_id": "string",
    "referral_status": "string",
    "referral_hired_at": "datetime",
    "referral_clicks": "number",
}
ADA = ContactWish(
    emails=("ada@example.com",),
    first_name="Ada",
    last_name="Lovelace",
    phone="+14155550123",
    properties={"referral_id": "R1", "referral_status": "applied", "referral_hired_at": None, "referral_clicks": "4"},
)
CONTACTS = "/crm/v3/objects/contacts"


@dataclass(frozen=True)
class Sent:
    """One request as it reached the vendor, with what it was answered."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    status: int
    answer: Any


class _Door(Door):
    """Hands requests to the application of the present test, and keeps both sides."""

    sent: list[Sent]
    lose: int = 0
    before_work: bool = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        chunks: list[bytes] = []
        while True:
            message = await receive()
            chunks.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        body = b"".join(chunks)
        said: list[Any] = []

        async def again() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def keep(message: Any) -> None:
            said.append(message)

        loses = self.lose > 0 and scope["method"] == "POST" and scope["path"] == CONTACTS
        if not (loses and self.before_work):
            await self.app(scope, again, keep)
            answer = b"".join(message.get("body", b"") for message in said)
            query = {key: values[0] for key, values in parse_qs(scope["query_string"].decode()).items()}
            self.sent.append(
                Sent(
                    scope["method"],
                    scope["raw_path"].decode(),
                    query,
                    json.loads(body) if body.startswith(b"{") else None,
                    said[0]["status"],
                    json.loads(answer) if answer else None,
                )
            )
        if loses:
            self.lose -= 1
            said = [{"type": "http.response.start", "status": 502, "headers": []}, {"type": "http.response.body"}]
        for message in said:
            await send(message)


class Account:
    """One account: `book` is its inside, `connector` the way in under test."""

    def __init__(self, **switches: Any) -> None:
        self.now = START
        known = {"rate_limit": 100_000, "search_per_second": 1000, **switches}
        self.book = Book(HubSpotSwitches.model_validate(known), clock=lambda: self.now.timestamp())
        self._door, self.root = running(_Door, "hubspot")
        self._door.sent = []
        self._door.lose = 0
        self._door.app = create_app(self.book, key=KEY)
        self.calls: list[ApiCall] = []
        self.slept: list[float] = []
        self.connector = self.connect()

    @property
    def sent(self) -> list[Sent]:
        """What reached the vendor, in order."""
        return self._door.sent

    def writes(self) -> list[Sent]:
        """What was sent to change a contact."""
        return [one for one in self.sent if one.method != "GET" and one.path.startswith(CONTACTS)]

    def loses_creates(self, times: int = 1, *, before_work: bool = False) -> None:
        """The next creates of contacts are answered 502, after the work or instead of it."""
        self._door.lose, self._door.before_work = times, before_work

    def connect(self, *, key: str = KEY, root: str | None = None, kinds: Any = KINDS) -> HubSpotConnector:
        """A connector to this account."""
        client = HttpClient(
            system="hubspot",
            base_url=root or self.root,
            authorization=f"Bearer {key}",
            recorder=self.calls.append,
            timeouts=Timeouts(2, 5),
            retry=RetryPolicy(base_seconds=RETRY_BASE_SECONDS),
            clock=Clock(
                now=lambda: self.now.timestamp(),
                monotonic=lambda: self.now.timestamp(),
                sleep=self.sleep,
                dice=lambda: 0.9,
            ),
        )
        return HubSpotConnector(client, HubSpotOptions(), kinds=kinds)

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)

    def act(self, action: str, **details: Any) -> dict[str, Any]:
        """Do as people do on the screen, a minute later."""
        self.now += timedelta(minutes=1)
        with self.book.lock:
            return perform(self.book, action, details)

    def http(self, method: str, path: str, *, key: str = KEY, **more: Any) -> requests.Response:
        """A bare call."""
        headers = {"Authorization": f"Bearer {key}", **more.pop("headers", {})}
        return requests.request(method, f"{self.root}{path}", headers=headers, timeout=5, **more)

    def contacts(self) -> list[dict[str, str]]:
        """The properties of the living contacts."""
        return [dict(one.properties) for one in self.book.living()]

    def problems(self) -> list[str]:
        """What the vendor's document says against the traffic so far; nothing where the document is not here."""
        if not HUBSPOT_DOCUMENT.is_file():
            return []
        own = [one for one in self.sent if one.path.startswith(CONTACTS)]
        return [p for s in own for p in hubspot_problems(s.method, s.path, s.status, s.body, s.answer)]


@contextmanager
def account_with(**switches: Any) -> Iterator[Account]:
    """An account with these switches; all that was sent and answered is held against the vendor's document."""
    account = Account(**switches)
    try:
        yield account
    finally:
        account.connector.close()
    assert account.problems() == []
