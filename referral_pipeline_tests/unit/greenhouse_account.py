"""A Greenhouse account on loopback with the connector in front of it: its inside, what was sent, a still clock.

Belongs here: set-up shared by the connector's tests. Does not belong here: assertions.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from referral_pipeline.connectors.greenhouse import GreenhouseConnector
from referral_pipeline.connectors.greenhouse_ingestion import Ingestion
from referral_pipeline.connectors.greenhouse_models import DEFAULT_FIELDS, GreenhouseOptions
from referral_pipeline.connectors.http import ApiCall, ClientCredentials, Clock, HttpClient, RetryPolicy, Timeouts
from referral_pipeline.connectors.records import NewApplication, NewCandidate, Row, Window
from referral_pipeline.sandbox.greenhouse.acts import Acts
from referral_pipeline.sandbox.greenhouse.app import create_app
from referral_pipeline.sandbox.greenhouse.auth import Client
from referral_pipeline.sandbox.greenhouse.ingestion import Partner
from referral_pipeline.sandbox.greenhouse.job_acts import set_up_basics
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.greenhouse.switches import Switches
from referral_pipeline.sandbox.greenhouse.vendor import ALL_SCOPES
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests.serving import Door, running

START = datetime(2026, 11, 2, 9, 0, 0, tzinfo=UTC)
STAGES = ("Application Review", "Phone Screen", "Team Chat", "Offer")
STAGE_MAP = {"phone screen": CandidateStatus.INTERVIEWED, " OFFER ": CandidateStatus.OFFERED}
TAGS = {"referral_id": "ref_1", "advocate_id": "adv_1", "share_id": "sh_1", "campaign_tag": "spring"}
ADA = NewCandidate(first_name="Ada", last_name="Lovelace", email="ada@example.com", phone="+14155550123")
ADVOCATE = "Nadia.Brandt@Example.com"
SOURCE = "Employee Advocacy"


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
        if scope["path"] != "/token":
            content = json.loads(body) if body else None
            self.sent.append(Sent(scope["method"], scope["path"].removeprefix("/v3/"), query, content))

        async def again() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, again, send)


class Account:
    """One account: `store` and `acts` are its inside, `connector` the way in under test."""

    def __init__(self, **switches: Any) -> None:
        self.now = START
        self.secret = secrets.token_hex(8)  # tokens are shared by credential: another account needs another one
        self.store = GreenhouseStore(Switches(**{"rate_limit": 100_000, **switches}), clock=lambda: self.now)
        set_up_basics(self.store, at=START - timedelta(days=300))
        self.acts = Acts(self.store)
        self.acts.add_source(SOURCE, strategy="Referral")
        for name in DEFAULT_FIELDS.values():
            kind = "number" if name.startswith("advocacy_") else "short_text"
            self.acts.add_custom_field(name, value_type=kind)
        self.acts.add_custom_field("level", value_type="single_select", options=("Junior", "Senior"))
        self.acts.add_custom_field("skills", value_type="multi_select", options=("SQL", "Python", "Go"))
        self.acts.add_custom_field("salary", value_type="currency")
        self.acts.add_custom_field("score", value_type="number")
        self.acts.add_custom_field("relocates", value_type="yes_no")
        user = self.acts.add_user(ADVOCATE.lower(), "Nadia", "Brandt")
        self.referrer = self.acts.add_referrer(user_id=user["id"])
        self.service_user = self.acts.add_row("users", {"name": "Integration", "site_admin": True})["id"]
        self.job = self.acts.add_job("Data Engineer", stages=STAGES, at=START - timedelta(days=90))
        self._door, self.root = running(_Door)
        self._door.sent = []
        self.scoped(ALL_SCOPES)
        self.calls: list[ApiCall] = []
        self.slept: list[float] = []
        self.connector = self.connect()

    def scoped(self, scopes: frozenset[str]) -> None:
        """Serve the account; the credential may do what `scopes` say."""
        self._door.app = create_app(
            self.store,
            clients=[Client("t.greenhouse", self.secret, scopes, self.service_user)],
            partner=Partner(f"partner-{self.secret}"),
        )

    @property
    def sent(self) -> list[Sent]:
        """What reached the vendor, in order."""
        return self._door.sent

    def writes(self) -> list[Sent]:
        """What was sent to change something."""
        return [sent for sent in self.sent if sent.method != "GET"]

    def connect(
        self, *, secret: str | None = None, root: str | None = None, ingestion: Ingestion | None = None, **options: Any
    ) -> GreenhouseConnector:
        """A connector to this account."""
        wanted = GreenhouseOptions(**{"source_name": SOURCE, **options})
        client = HttpClient(
            system="greenhouse",
            base_url=f"{root or self.root}/v3",
            credentials=ClientCredentials(f"{root or self.root}/token", "t.greenhouse", secret or self.secret),
            recorder=self.calls.append,
            timeouts=Timeouts(2, 5),
            retry=RetryPolicy(max_attempts=wanted.max_attempts),
            clock=Clock(now=lambda: self.now.timestamp(), monotonic=lambda: self.now.timestamp(), sleep=self.sleep),
        )
        return GreenhouseConnector(client, wanted, stage_map=STAGE_MAP, ingestion=ingestion)

    def handing_in(self, *, key: str | None = None, user: str = ADVOCATE) -> GreenhouseConnector:
        """A connector that creates candidates with the partner's key, in the name of a user."""
        clock = Clock(now=lambda: self.now.timestamp(), monotonic=lambda: self.now.timestamp(), sleep=self.sleep)
        basic = base64.b64encode(f"{key or f'partner-{self.secret}'}:".encode()).decode()
        client = HttpClient(
            system="greenhouse",
            base_url=f"{self.root}/v1/partner",
            authorization=f"Basic {basic}",
            recorder=self.calls.append,
            timeouts=Timeouts(2, 5),
            retry=RetryPolicy(max_attempts=3),
            clock=clock,
        )
        return self.connect(ingestion=Ingestion(client, user))

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)

    # ------------------------------------------------------------ what it holds

    def new_application(self, job: Row | None = None, tags: dict[str, str | None] | None = None) -> NewApplication:
        return NewApplication(str((job or self.job)["id"]), TAGS if tags is None else tags, ADVOCATE)

    def by_hand(self, first_name: str = "Grace", job: Row | None = None, **more: Any) -> Row:
        """A candidate with an application, typed in by a recruiter; answers the application."""
        candidate = self.acts.create_candidate(
            first_name=first_name, last_name="Hopper", emails=[f"{first_name.lower()}@example.com"], **more
        )
        return self.acts.create_application(candidate_id=candidate["id"], job_id=(job or self.job)["id"])

    def row(self, entity: str, row_id: str | int) -> Row:
        row = self.store.get(entity, int(row_id))
        assert row is not None
        return row

    def tags(self, application_id: str | int) -> dict[str, Any]:
        """The values that an application's custom fields hold."""
        fields = self.row("applications", application_id)["custom_fields"] or {}
        return {key: entry["value"] for key, entry in fields.items()}

    def pulled(self, since: datetime | None = None) -> dict[str, list[Row]]:
        """Everything that a pull brings, by entity, each row once."""
        window = Window(since, self.now)
        return {
            entity: list({row["id"]: row for page in self.connector.pull(entity, window) for row in page}.values())
            for entity in self.connector.entities
        }


def source_id(account: Account) -> int:
    """The id of the source that the connector gives."""
    return next(row["id"] for row in account.store.rows("sources") if row["name"] == SOURCE)


@contextmanager
def account_with(**switches: Any) -> Iterator[Account]:
    """An account under these switches."""
    account = Account(**switches)
    try:
        yield account
    finally:
        account.connector.close()
