"""An Ashby account on loopback with the connector in front of it: its inside, what was sent, a still clock.

Belongs here: set-up shared by the connector's tests, and holding every request and answer against the vendor's OpenAPI
document. Does not belong here: assertions on what the connector does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from referral_pipeline.connectors.ashby import AshbyConnector
from referral_pipeline.connectors.ashby_api import judged
from referral_pipeline.connectors.ashby_models import DEFAULT_FIELDS, AshbyOptions
from referral_pipeline.connectors.ashby_tokens import SyncTokens
from referral_pipeline.connectors.http import ApiCall, Clock, HttpClient, RetryPolicy, Timeouts
from referral_pipeline.connectors.records import NewApplication, NewCandidate, Row, Window
from referral_pipeline.connectors.shapes import ShapeRecorder
from referral_pipeline.sandbox.ashby.app import create_app
from referral_pipeline.sandbox.ashby.ids import id_of, uuid_of
from referral_pipeline.sandbox.ashby.switches import Switches
from referral_pipeline.sandbox.ashby.vendor import Vendor
from referral_pipeline.sandbox.ashby.world import World
from referral_pipeline.sandbox.greenhouse.acts import Acts
from referral_pipeline.sandbox.greenhouse.job_acts import set_up_basics
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests import openapi
from referral_pipeline_tests.serving import Door, running

START = datetime(2026, 11, 2, 9, 0, 0, tzinfo=UTC)
STAGES = ("Application Review", "Phone Screen", "Team Chat", "Offer")
STAGE_MAP = {" phone screen": CandidateStatus.INTERVIEWED, "Offer": CandidateStatus.HIRED}
TAGS = {"referral_id": "ref_1", "advocate_id": "adv_1", "share_id": "sh_1", "campaign_tag": "spring"}
ADA = NewCandidate(first_name="Ada", last_name="Lovelace", email="ada@example.com", phone="+14155550123")
ADVOCATE = "Nadia.Brandt@Example.com"
SOURCE = "Employee Advocacy"
KEY = "not-a-secret-outside-tests"
BASIC = "Basic bm90LWEtc2VjcmV0LW91dHNpZGUtdGVzdHM6"


@dataclass(frozen=True)
class Exchange:
    """One request as it reached the vendor, and what came back."""

    call: str
    body: Any
    status: int
    answer: Any
    headers: dict[str, str]


class _Door(Door):
    """Hands requests to the application of the present test, and keeps what was sent and answered."""

    exchanges: list[Exchange]
    lose: set[str]
    """Calls of which the next answer is lost after the work was done."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith("/_sandbox/"):  # no call of the vendor's
            await self.app(scope, receive, send)
            return
        message = await receive()
        body = message.get("body", b"")
        while message.get("more_body"):
            message = await receive()
            body += message.get("body", b"")
        answered: list[Any] = []

        async def again() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def keep(part: Any) -> None:
            answered.append(part)

        await self.app(scope, again, keep)
        call = scope["path"].removeprefix("/")
        raw = b"".join(part.get("body", b"") for part in answered[1:])
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        status = answered[0]["status"]
        self.exchanges.append(Exchange(call, json.loads(body or b"{}"), status, json.loads(raw), headers))
        if call in self.lose:
            self.lose.discard(call)
            await send({"type": "http.response.start", "status": 502, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        for part in answered:
            await send(part)


class Account:
    """One account: `store` and `acts` are its inside, `connector` the way in under test."""

    def __init__(self, **switches: Any) -> None:
        self.now = START
        self.store = GreenhouseStore(clock=lambda: self.now)
        set_up_basics(self.store, at=START - timedelta(days=300))
        self.acts = Acts(self.store)
        self.acts.add_source(SOURCE, strategy="Referral")
        for title in DEFAULT_FIELDS.values():
            self.acts.add_custom_field(title)
        self.acts.add_custom_field("level", value_type="single_select", options=("Junior", "Senior"))
        self.user = self.acts.add_user(ADVOCATE.lower(), "Nadia", "Brandt")
        self.job = self.acts.add_job("Data Engineer", stages=STAGES, at=START - timedelta(days=90))
        self.world = World(self.store, Switches(**{"rate_limit": 100_000, **switches}), api_key=KEY)
        self.vendor = Vendor(self.world)
        self._door, self.root = running(_Door, "ashby")
        self._door.app, self._door.exchanges, self._door.lose = create_app(self.vendor), [], set()
        self.calls: list[ApiCall] = []
        self.asks_for_refusals = False
        self.connector = self.connect()

    @property
    def job_id(self) -> str:
        return uuid_of("jobs", self.job["id"])

    @property
    def exchanges(self) -> list[Exchange]:
        """What went to and fro, in order."""
        return self._door.exchanges

    def sent(self, call: str) -> list[Any]:
        """The bodies that were sent with a call."""
        return [one.body for one in self.exchanges if one.call == call]

    def lose_answer(self, call: str) -> None:
        """The next answer to this call is lost, after the work."""
        self._door.lose.add(call)

    def switch(self, **changes: Any) -> None:
        self.world.set_switches(self.world.switches.changed(changes))

    def connect(
        self, *, key: str | None = KEY, tokens: Path | None = None, shapes: ShapeRecorder | None = None, **options: Any
    ) -> AshbyConnector:
        """A connector to this account."""
        client = HttpClient(
            system="ashby",
            base_url=self.root,
            authorization=BASIC if key == KEY else None if key is None else f"Basic {key}",
            recorder=self.calls.append,
            shapes=shapes,
            timeouts=Timeouts(2, 5),
            retry=RetryPolicy(max_attempts=3),
            clock=Clock(now=lambda: self.now.timestamp(), monotonic=lambda: self.now.timestamp(), sleep=self.sleep),
            judge=judged,
        )
        wanted = AshbyOptions(**{"source_name": SOURCE, **options})
        return AshbyConnector(client, wanted, stage_map=STAGE_MAP, tokens=SyncTokens(tokens, "tests"))

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.now += timedelta(seconds=seconds)

    # ------------------------------------------------------------ what it holds

    def new_application(self, tags: dict[str, str | None] | None = None) -> NewApplication:
        return NewApplication(self.job_id, TAGS if tags is None else tags, ADVOCATE)

    def by_hand(self, first_name: str = "Grace", **more: Any) -> str:
        """A candidate with an application, typed in by a recruiter; answers the application's id."""
        candidate = self.acts.create_candidate(
            first_name=first_name, last_name="Hopper", emails=[f"{first_name.lower()}@example.com"], **more
        )
        row = self.acts.create_application(candidate_id=candidate["id"], job_id=self.job["id"])
        return uuid_of("applications", row["id"])

    def act(self, name: str, application_id: str, **details: Any) -> Row:
        """What a recruiter does to an application."""
        number = id_of("applications", application_id)
        return self.acts.perform(name, {"application_id": number, **details})

    def row(self, entity: str, uuid: str) -> Row:
        row = self.store.get(entity, id_of(entity, uuid))
        assert row is not None
        return row

    def tags(self, application_id: str) -> dict[str, Any]:
        """The values that an application's custom fields hold."""
        fields = self.row("applications", application_id)["custom_fields"] or {}
        return {key: entry["value"] for key, entry in fields.items()}

    def pulled(self, window: Window | None = None, connector: AshbyConnector | None = None) -> dict[str, list[Row]]:
        """Everything that a pull brings, by entity, each row once."""
        reading = connector or self.connector
        wanted = window or Window(None, self.now)
        return {
            entity: list({row["id"]: row for page in reading.pull(entity, wanted) for row in page}.values())
            for entity in reading.entities
        }


@contextmanager
def account_with(**switches: Any) -> Iterator[Account]:
    """An account under these switches; all that went to and fro must be as the vendor's document declares it."""
    account = Account(**switches)
    try:
        yield account
    finally:
        account.connector.close()
    if openapi.ASHBY_DOCUMENT.is_file():
        for one in account.exchanges:
            # An audit sends what must be refused, to see whether a call is there.
            if one.answer.get("success") or not account.asks_for_refusals:
                assert openapi.ashby_request_problems(one.call, one.body) == []
            if one.status == 200:
                assert openapi.ashby_answer_problems(one.call, one.answer) == []
