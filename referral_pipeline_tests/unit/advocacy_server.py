"""An advocacy sandbox over loopback for tests: a real server, a clock that tests move, a client with a token."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
import uvicorn

from referral_pipeline.sandbox.advocacy.app import create_app
from referral_pipeline.sandbox.advocacy.store import AdvocacyStore
from referral_pipeline.sandbox.advocacy.switches import Switches
from referral_pipeline.sandbox.credentials import ADVOCACY_CLIENT_ID, ADVOCACY_CLIENT_SECRET
from referral_pipeline.sandbox.faults import Faults

START = datetime(2026, 11, 2, 9, 0, 0, tzinfo=UTC)
TIMEOUT = (2, 10)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an ASGI app on a free port of loopback; gives its address."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            app, loop="asyncio", lifespan="off", log_level="critical", access_log=False, timeout_graceful_shutdown=1
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


class Platform:
    """The platform as a client and as its own people see it."""

    def __init__(self, root: str, store: AdvocacyStore, clock: Clock) -> None:
        self.root = root
        self.store = store
        self.clock = clock
        self.session = requests.Session()

    def token(self, **more: Any) -> requests.Response:
        given = {
            "auth": (ADVOCACY_CLIENT_ID, ADVOCACY_CLIENT_SECRET),
            "data": {"grant_type": "client_credentials"},
            **more,
        }
        return requests.post(f"{self.root}/oauth/token", timeout=TIMEOUT, **given)

    def sign_in(self) -> None:
        self.session.headers["Authorization"] = f"Bearer {self.token().json()['access_token']}"

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        return self.session.request(method, f"{self.root}{path}", timeout=TIMEOUT, **more)

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.call("GET", path, params=params)

    def act(self, action: str, **details: Any) -> dict[str, Any]:
        answer = self.call("POST", "/_sandbox/act", json={"action": action, **details})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def submit(self, **more: Any) -> dict[str, Any]:
        details = {
            "advocate_id": "adv_1",
            "job_id": "4410000001",
            "candidate": {"first_name": "Ada", "last_name": "Example", "email": "ada@example.com", "country": "US"},
            **more,
        }
        return self.act("submit_referral", **details)


@contextmanager
def platform(switches: Switches | None = None) -> Iterator[Platform]:
    """A fresh platform with one advocate, one piece of content and a signed-in client."""
    clock = Clock()
    store = AdvocacyStore(now=clock)
    store.load("advocates", [{"id": "adv_1", "email": None, "department": None, "eligible": True}])
    store.tables["advocates"].rows["adv_1"].update(joined_at=None, left_at=None)
    store.load(
        "content",
        [{"id": "cnt_1", "title": "Join us", "campaign_tag": "autumn", "job_id": "4410000001", "published_at": None}],
    )
    with serving(Faults(create_app(store, switches))) as root:
        made = Platform(root, store, clock)
        made.sign_in()
        yield made
        made.session.close()
