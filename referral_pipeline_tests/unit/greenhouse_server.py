"""A Greenhouse sandbox over loopback for tests: one server for the whole run, a fresh store for each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from referral_pipeline.sandbox.greenhouse.acts import Acts
from referral_pipeline.sandbox.greenhouse.app import Credential, create_app
from referral_pipeline.sandbox.greenhouse.auth import Client
from referral_pipeline.sandbox.greenhouse.job_acts import set_up_basics
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.greenhouse.switches import Switches
from referral_pipeline.sandbox.greenhouse.vendor import ALL_SCOPES
from referral_pipeline_tests.serving import running

START = datetime(2026, 11, 2, 9, 0, 0, tzinfo=UTC)
CREDENTIAL = Credential("tests.greenhouse", "not-a-secret-outside-tests")
LIMITED = Credential("limited.greenhouse", "not-a-secret-outside-tests")
EMPTY = Credential("empty.greenhouse", "not-a-secret-outside-tests")
LIMITED_SCOPES = frozenset({"harvest:jobs:list", "harvest:candidates:list"})


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Greenhouse:
    """A client's and an administrator's view of one sandbox."""

    def __init__(self, switches: Switches | None = None, *, hook: Any = None) -> None:
        door, self.root = running(name="greenhouse")
        self.clock = Clock()
        self.store = GreenhouseStore(switches or Switches(rate_limit=100_000), clock=self.clock)
        set_up_basics(self.store, at=START - timedelta(days=300))
        self.acts = Acts(self.store)
        self.service_user = self.acts.add_row("users", {"name": "Integration", "site_admin": True})["id"]
        clients = [
            Client(CREDENTIAL.client_id, CREDENTIAL.client_secret, ALL_SCOPES, self.service_user),
            Client(LIMITED.client_id, LIMITED.client_secret, LIMITED_SCOPES, self.service_user),
            Client(EMPTY.client_id, EMPTY.client_secret, frozenset(), self.service_user),
        ]
        door.app = create_app(self.store, clients=clients, on_application_created=hook)
        self.session = requests.Session()
        self._token: str | None = None
        self._minted_at = START

    # ---------------------------------------------------------------- a client

    def mint(self, credential: Credential = CREDENTIAL, **form: str) -> requests.Response:
        """POST /token with the documented form."""
        return self.session.post(
            f"{self.root}/token",
            auth=(credential.client_id, credential.client_secret),
            data={"grant_type": "client_credentials", **form},
            timeout=10,
        )

    @property
    def token(self) -> str:
        """A token that is still good by the test's clock."""
        if self._token is None or self.clock.now - self._minted_at > timedelta(minutes=50):
            self._minted_at = self.clock.now
            self._token = self.mint().json()["access_token"]
        return self._token

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None, **kwargs: Any) -> Any:
        """Call /v3/`path`; `body` goes as JSON."""
        if body is not None:
            kwargs["json"] = body
        headers = {"Authorization": f"Bearer {token or self.token}", **kwargs.pop("headers", {})}
        return self.session.request(method, f"{self.root}/v3/{path}", headers=headers, timeout=10, **kwargs)

    def get(self, path: str, **kwargs: Any) -> requests.Response:
        return self.call("GET", path, **kwargs)

    def post(self, path: str, body: Any = None, **kwargs: Any) -> requests.Response:
        return self.call("POST", path, body, **kwargs)

    def patch(self, path: str, body: Any = None, **kwargs: Any) -> requests.Response:
        return self.call("PATCH", path, body, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> requests.Response:
        return self.call("DELETE", path, **kwargs)

    def rows(self, path: str) -> list[dict[str, Any]]:
        """The rows of a list that must succeed."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def one(self, entity: str, row_id: int) -> dict[str, Any]:
        """The one row of this id."""
        (row,) = self.rows(f"{entity}?ids={row_id}")
        return row

    def all_pages(self, path: str) -> list[list[dict[str, Any]]]:
        """Every page of a list, by its Link headers."""
        answer = self.get(path)
        pages = [answer.json()]
        while "next" in answer.links:
            url = answer.links["next"]["url"]
            answer = self.session.get(url, headers={"Authorization": f"Bearer {self.token}"}, timeout=10)
            assert answer.status_code == 200, answer.text
            pages.append(answer.json())
        return pages

    # ---------------------------------------------------------------- a person or a test

    def switch(self, **changes: Any) -> None:
        """Change switches through the control plane."""
        answer = self.control("switches", changes)
        assert answer.status_code == 200, answer.text

    def control(self, path: str, body: Any = None) -> requests.Response:
        """POST to the control plane (GET without a body)."""
        url = f"{self.root}/_sandbox/{path}"
        if body is None:
            return self.session.get(url, timeout=10)
        return self.session.post(url, json=body, timeout=10)

    def act(self, action: str, **arguments: Any) -> dict[str, Any]:
        """Let a person act on the screen."""
        answer = self.control("act", {"action": action, **arguments})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def job(self, name: str = "Data Engineer", **kwargs: Any) -> dict[str, Any]:
        """An open job with three stages."""
        return self.acts.add_job(name, **{"stages": ("Application Review", "Phone Screen", "Offer"), **kwargs})

    def stages(self, job_id: int) -> list[int]:
        """The stage ids of a job in their order."""
        rows = self.rows(f"job_interview_stages?job_ids={job_id}")
        return [row["id"] for row in sorted(rows, key=lambda row: row["sort_order"])]

    def candidate(self, **body: Any) -> dict[str, Any]:
        """A candidate created through the API."""
        answer = self.post("candidates", {"first_name": "Ada", "last_name": "Lovelace", **body})
        assert answer.status_code == 201, answer.text
        return answer.json()["candidate"]

    def application(self, job: dict[str, Any] | None = None, **body: Any) -> dict[str, Any]:
        """An application created through the API, of a new candidate."""
        job = job or self.job()
        candidate = self.candidate()
        answer = self.post("applications", {"candidate_id": candidate["id"], "job_id": job["id"], **body})
        assert answer.status_code == 201, answer.text
        return answer.json()


def errors_of(answer: requests.Response) -> list[Any]:
    """The entries of a 422."""
    assert answer.status_code == 422, f"{answer.status_code} {answer.text}"
    return answer.json()["errors"]


@contextmanager
def greenhouse_with(**switches: Any) -> Iterator[Greenhouse]:
    """A sandbox with these switches."""
    sandbox = Greenhouse(Switches(**{"rate_limit": 100_000, **switches}))
    try:
        yield sandbox
    finally:
        sandbox.session.close()


@pytest.fixture
def greenhouse() -> Iterator[Greenhouse]:
    """A sandbox with the default switches and a generous rate limit."""
    with greenhouse_with() as sandbox:
        yield sandbox
