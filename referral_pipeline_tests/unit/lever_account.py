"""A Lever account on loopback with the connector in front of it: its inside, what was sent, a still clock.

Belongs here: set-up shared by the tests of Lever. Does not belong here: assertions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import requests

from referral_pipeline.connectors.http import ApiCall, Clock, HttpClient, RetryPolicy, Timeouts
from referral_pipeline.connectors.lever import LeverConnector
from referral_pipeline.connectors.lever_models import DEFAULT_FIELDS, LeverOptions
from referral_pipeline.connectors.records import AtsStaged, NewApplication, NewCandidate, Row, Window
from referral_pipeline.connectors.shapes import ShapeRecorder
from referral_pipeline.sandbox.greenhouse.acts import Acts
from referral_pipeline.sandbox.greenhouse.job_acts import set_up_basics
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.lever.app import ACTING_USER, create_app
from referral_pipeline.sandbox.lever.ids import encode
from referral_pipeline.sandbox.lever.memory import Memory
from referral_pipeline.sandbox.lever.switches import LeverSwitches
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests.serving import Door, running

START = datetime(2026, 11, 2, 9, 0, 0, tzinfo=UTC)
STAGES = ("Application Review", "Phone Screen", "Team Chat", "Offer")
STAGES_OF_TWO = ("Application Review", "Offer")
STAGE_MAP = {"phone screen": CandidateStatus.INTERVIEWED, " OFFER ": CandidateStatus.OFFERED}
TAGS = {"referral_id": "ref_1", "advocate_id": "adv_1", "share_id": "sh_1", "campaign_tag": "spring: 2026"}
ADA = NewCandidate(first_name="Ada", last_name="Lovelace", email="ada@example.com", phone="+14155550123")
SOURCE = "Employee Advocacy"
KEY = "a-key-of-tests"
ACTING = encode("users", ACTING_USER)


@dataclass(frozen=True)
class Sent:
    """One request as it reached the vendor."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


class _Door(Door):
    """Hands requests to the application of the present test, and keeps what was sent."""

    sent: list[Sent]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        chunks = []
        while True:
            message = await receive()
            chunks.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        body = b"".join(chunks)
        query = {key: values[0] for key, values in parse_qs(scope["query_string"].decode()).items()}
        content = json.loads(body) if body.startswith(b"{") else None
        self.sent.append(Sent(scope["method"], scope["path"].removeprefix("/v1/"), query, content))

        async def again() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, again, send)


class Account:
    """One account: `store` and `acts` are its inside, `connector` the way in under test."""

    def __init__(self, **switches: Any) -> None:
        self.now = START
        self.store = GreenhouseStore(clock=lambda: self.now)
        set_up_basics(self.store, at=START - timedelta(days=300))
        self.acts = Acts(self.store)
        self.acts.add_source(SOURCE, strategy="Referral")
        for name in DEFAULT_FIELDS.values():
            self.acts.add_custom_field(name)
        self.job = self.acts.add_job("Data Engineer", stages=STAGES, openings=3, at=START - timedelta(days=90))
        self.memory = Memory(self.store)
        self.store.watch(self.memory.told)
        self._door, self.root = running(_Door, "lever")
        self._door.sent = []
        self._door.app = create_app(
            self.store,
            self.memory,
            key=KEY,
            switches=LeverSwitches.model_validate({"calls_per_second": 100_000, "burst": 100_000, **switches}),
        )
        self.calls: list[ApiCall] = []
        self.slept: list[float] = []
        self.connector = self.connect()

    @property
    def sent(self) -> list[Sent]:
        """What reached the vendor, in order."""
        return self._door.sent

    def writes(self) -> list[Sent]:
        """What was sent to change something."""
        return [sent for sent in self.sent if sent.method != "GET"]

    def switch(self, **values: Any) -> None:
        self.store.switches = self.store.switches.changed(values)

    def connect(
        self, *, key: str = KEY, root: str | None = None, shapes: ShapeRecorder | None = None, **options: Any
    ) -> LeverConnector:
        """A connector to this account."""
        wanted = LeverOptions.model_validate(
            {"perform_as": ACTING, "source_name": SOURCE, "withdrawn_reasons": ["Accepted another offer"], **options}
        )
        client = HttpClient(
            system="lever",
            base_url=f"{root or self.root}/v1",
            authorization=basic(key),
            recorder=self.calls.append,
            shapes=shapes,
            timeouts=Timeouts(2, 5),
            retry=RetryPolicy(max_attempts=wanted.max_attempts),
            clock=Clock(now=lambda: self.now.timestamp(), monotonic=lambda: self.now.timestamp(), sleep=self.sleep),
        )
        return LeverConnector(client, wanted, stage_map=STAGE_MAP)

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)

    def act(self, action: str, **details: Any) -> Row:
        """Do as people do on the screen, a minute later."""
        self.now += timedelta(minutes=1)
        return self.acts.perform(action, details)

    def http(self, method: str, path: str, *, key: str = KEY, **more: Any) -> requests.Response:
        """A bare call."""
        headers = {"Authorization": basic(key), **more.pop("headers", {})}
        return requests.request(method, f"{self.root}/v1/{path}", headers=headers, timeout=5, **more)

    # ------------------------------------------------------------ what it holds

    @property
    def posting(self) -> str:
        return encode("jobs", self.job["id"])

    def new_application(self, tags: dict[str, str | None] | None = None, job: Row | None = None) -> NewApplication:
        return NewApplication(encode("jobs", (job or self.job)["id"]), TAGS if tags is None else tags)

    def applied(self, **details: Any) -> tuple[str, int]:
        """A person typed in with an application: its id as a client knows it, and its number."""
        person = {"first_name": "Grace", "last_name": "Hopper", "emails": ["grace@example.com"], **details}
        candidate = self.act("create_candidate", job_id=self.job["id"], **person)
        (row,) = self.store.find("applications", "candidate_id", candidate["id"])
        return encode("applications", row["id"]), int(row["id"])

    def opportunity(self, opportunity_id: str) -> Row:
        return self.http("GET", f"opportunities/{opportunity_id}").json()["data"]

    def staged(self) -> AtsStaged:
        """All that a full pull brings."""
        return self.connector.stage(lambda entity: [row for page in self.pull(entity) for row in page])

    def pull(self, entity: str, since: datetime | None = None) -> list[list[Row]]:
        return list(self.connector.pull(entity, Window(since, self.now)))


def basic(key: str) -> str:
    return requests.Request("GET", "http://x", auth=(key, "")).prepare().headers["Authorization"]


@contextmanager
def account_with(**switches: Any) -> Iterator[Account]:
    """An account with these switches."""
    account = Account(**switches)
    try:
        yield account
    finally:
        account.connector.close()


def status_of(account: Account, opportunity_id: str) -> Any:
    live = account.connector.get_applications([opportunity_id])[opportunity_id]
    staged = {one.id: one for one in account.staged().applications}[opportunity_id]
    assert live == staged
    return live


def sample(**changes: Any) -> dict[str, Any]:
    """An opportunity of a pull, somewhat like the published one."""
    row = {
        "id": "250d8f03-738a-4bba-a671-8a3d73477145",
        "contact": "7f23e772-f2cb-4ebb-b33f-54b872999992",
        "name": "Shane Smith",
        "createdAt": 1407460071043,
        "stage": "lead-new",
        "applications": [{"id": "a1", "posting": "p1"}],
    }
    return {**row, **changes}
