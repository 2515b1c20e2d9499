"""A Radancy account on loopback with the connector in front of it: its inside, what was sent, a still clock.

Belongs here: set-up shared by the tests of Radancy. Does not belong here: assertions.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import requests

from referral_pipeline.connectors.http import ClientCredentials, Clock, HttpClient, RetryPolicy, Timeouts
from referral_pipeline.connectors.radancy import RadancyConnector
from referral_pipeline.connectors.radancy_models import JobDefaults
from referral_pipeline.connectors.radancy_rows import Declared
from referral_pipeline.connectors.records import Row, Window
from referral_pipeline.contract.systems import SANDBOX_OPTIONS
from referral_pipeline.sandbox.advocacy.acts import act
from referral_pipeline.sandbox.advocacy.store import AdvocacyStore
from referral_pipeline.sandbox.credentials import RADANCY_CLIENT_ID, RADANCY_CLIENT_SECRET
from referral_pipeline.sandbox.radancy.account import Account
from referral_pipeline.sandbox.radancy.app import create_app
from referral_pipeline.sandbox.radancy.ids import COMPANY, id_of
from referral_pipeline.sandbox.radancy.switches import Switches
from referral_pipeline_tests.serving import Door, running

START = datetime(2026, 11, 2, 9, 0, 0, tzinfo=UTC)
ADVOCATE = id_of("advocates", "adv_1")
LEFT = id_of("advocates", "adv_2")
ADA = {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com", "phone": "01 99 00 12 34"}
DECLARED = Declared("terms accepted in the referral form", "FR")


@dataclass(frozen=True)
class Sent:
    """One request as it reached the vendor; `path` begins below the company."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class _Door(Door):
    """Hands requests to the application of the present test, and keeps what was sent."""

    sent: list[Sent]
    before: Callable[[Sent], None]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        chunks: list[bytes] = []
        while True:
            message = await receive()
            chunks.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        body = b"".join(chunks)
        query = {key: values[0] for key, values in parse_qs(scope["query_string"].decode()).items()}
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        content = json.loads(body) if body.startswith(b"{") else body.decode()
        path = scope["path"].removeprefix(f"/v1/companies/{COMPANY}/")
        one = Sent(scope["method"], path, query, headers, content)
        self.sent.append(one)
        self.before(one)

        async def again() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, again, send)


class Tenant:
    """One account: `store` and `account` are its inside, `connector` the way in under test."""

    def __init__(self) -> None:
        self.now = START
        self.store = AdvocacyStore(now=lambda: self.now)
        self.store.load("advocates", [_advocate(ADVOCATE), {**_advocate(LEFT), "eligible": False}])
        numbers = iter(range(10_000))
        self.store.new_id = lambda prefix: id_of("live", f"{prefix}:{next(numbers)}")
        self.account = Account(self.store)
        self.switches = Switches()
        door, self.root = running(_Door, "radancy")
        self._door = door
        door.sent, door.before = [], lambda sent: None
        door.app = create_app(self.account, self.switches)
        self.connector = self.connect()

    @property
    def sent(self) -> list[Sent]:
        """What reached the vendor, in order, without calls for tokens."""
        return [one for one in self._door.sent if one.path != "/oauth/token"]

    @property
    def tokens(self) -> list[Sent]:
        """The calls for tokens."""
        return [one for one in self._door.sent if one.path == "/oauth/token"]

    def writes(self) -> list[tuple[str, str, Any]]:
        """What was sent to change something."""
        return [(one.method, one.path, one.body) for one in self.sent if one.method != "GET"]

    def before_each(self, do: Callable[[Sent], None]) -> None:
        """Do something before each request is answered."""
        self._door.before = do

    def connect(self, *, secret: str = RADANCY_CLIENT_SECRET, company: str = COMPANY, **more: Any) -> RadancyConnector:
        """A connector to this account."""
        credentials = ClientCredentials(
            f"{self.root}/oauth/token", RADANCY_CLIENT_ID, secret, scope=more.pop("scope", "read write")
        )
        client = HttpClient(
            system="radancy",
            base_url=f"{self.root}/v1",
            credentials=credentials,
            timeouts=Timeouts(2, 5),
            retry=RetryPolicy(max_attempts=2),
            clock=Clock(monotonic=lambda: self.now.timestamp(), sleep=lambda seconds: None),
        )
        client._tokens.discard(client._tokens._token.value) if client._tokens and client._tokens._token else None
        defaults = JobDefaults.model_validate({**SANDBOX_OPTIONS["job_defaults"], **more})
        return RadancyConnector(client, company_id=company, declared=DECLARED, job_defaults=defaults)

    def refer(self, *, job: str = "4410000001", **changes: Any) -> str:
        """Somebody applies, a minute later; the application's id."""
        self.now += timedelta(minutes=1)
        person = {**ADA, "country": "FR", **changes.pop("candidate", {})}
        values = {"advocate_id": ADVOCATE, "job_id": job, "candidate": person, **changes}
        return act(self.store, "submit_referral", values)["id"]

    def act(self, action: str, **details: Any) -> Row:
        return act(self.store, action, details)

    def row(self, referral_id: str) -> Row:
        return self.store.get("referrals", referral_id)

    def pull(self, entity: str) -> list[Row]:
        return [row for page in self.connector.pull(entity, Window(None, self.now)) for row in page]

    def http(self, method: str, path: str, **more: Any) -> requests.Response:
        """A bare call below the company, with a token."""
        token = requests.post(
            f"{self.root}/oauth/token",
            data={"grant_type": "client_credentials", "scope": "read write"},
            auth=(RADANCY_CLIENT_ID, RADANCY_CLIENT_SECRET),
            timeout=5,
        ).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        url = f"{self.root}/v1/companies/{COMPANY}/{path}"
        return requests.request(method, url, headers=headers, timeout=5, **more)


def _advocate(advocate_id: str) -> Row:
    return {
        "id": advocate_id,
        "email": "robin.1@staff.example.com",
        "department": "Sales",
        "eligible": True,
        "joined_at": None,
        "left_at": None,
    }
