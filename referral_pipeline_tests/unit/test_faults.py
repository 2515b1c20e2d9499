"""Injected faults are real ones at the client, and the same seed gives the same ones."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from referral_pipeline.sandbox.faults import KINDS, Faults
from referral_pipeline_tests.unit.advocacy_server import serving

WHOLE = {"rows": list(range(500))}


class Work:
    """What the app behind the faults did."""

    def __init__(self) -> None:
        self.done = 0

    async def do(self, request: Request) -> Response:
        await request.body()
        self.done += 1
        return JSONResponse(WHOLE)

    async def do_silently(self, request: Request) -> Response:
        self.done += 1
        return Response(status_code=204)


class Server:
    def __init__(self, root: str, work: Work) -> None:
        self.root = root
        self.work = work

    def inject(self, *kinds: str, rate: float = 1.0, seed: int = 7) -> None:
        body = {"rate": rate, "kinds": list(kinds), "seed": seed}
        assert requests.post(f"{self.root}/_sandbox/faults", json=body, timeout=5).status_code == 200

    def call(self, path: str = "/work", read_timeout: float = 5) -> requests.Response:
        return requests.post(f"{self.root}{path}", json={"some": "body"}, timeout=(2, read_timeout))


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[str, Work]]:
    work = Work()
    routes = [
        Route("/work", work.do, methods=["POST"]),
        Route("/silent", work.do_silently, methods=["POST"]),
        Route("/_sandbox/look", work.do, methods=["POST"]),
    ]
    with serving(Faults(Starlette(routes=routes), slow_seconds=0.05)) as root:
        yield root, work


@pytest.fixture
def server(running: tuple[str, Work]) -> Server:
    root, work = running
    work.done = 0
    return Server(root, work)


def test_nothing_is_injected_at_rate_zero(server: Server) -> None:
    server.inject(*KINDS, rate=0)
    assert all(server.call().json() == WHOLE for _ in range(20))


def test_a_429_says_when_to_come_back_and_does_no_work(server: Server) -> None:
    server.inject("rate_limited")
    answer = server.call()
    assert (answer.status_code, answer.headers["retry-after"], server.work.done) == (429, "1", 0)


def test_a_500_is_answered_before_any_work(server: Server) -> None:
    server.inject("server_error")
    assert (server.call().status_code, server.work.done) == (500, 0)


@pytest.mark.parametrize(("kind", "done"), [("bad_gateway", 0), ("bad_gateway_after_work", 1)])
def test_a_502_is_a_page_of_html_before_the_work_or_after_it(server: Server, kind: str, done: int) -> None:
    server.inject(kind)
    answer = server.call()
    assert (answer.status_code, answer.headers["content-type"], server.work.done) == (502, "text/html", done)
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


@pytest.mark.parametrize(("kind", "done"), [("timeout", 0), ("timeout_after_work", 1)])
def test_a_timeout_never_answers_whether_the_work_was_done_or_not(server: Server, kind: str, done: int) -> None:
    server.inject(kind)
    with pytest.raises(requests.ReadTimeout):
        server.call(read_timeout=0.4)
    assert server.work.done == done


@pytest.mark.parametrize(("kind", "done"), [("reset", 0), ("reset_after_work", 1)])
def test_a_reset_breaks_the_connection_before_the_work_or_after_it(server: Server, kind: str, done: int) -> None:
    server.inject(kind)
    with pytest.raises(requests.ConnectionError):
        server.call()
    assert server.work.done == done


@pytest.mark.parametrize("kind", ["reset", "reset_after_work"])
def test_a_reset_is_a_real_one_on_the_socket(server: Server, kind: str) -> None:
    # A client library may notice it while it still sends, and tell it otherwise: so no library here.
    server.inject(kind)
    address = urlsplit(server.root)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=5) as raw:
        raw.sendall(b"POST /work HTTP/1.1\r\nHost: sandbox\r\nContent-Length: 2\r\n\r\n{}")
        with pytest.raises(ConnectionResetError):
            raw.recv(1)


def test_a_truncated_body_ends_before_its_content_length(server: Server) -> None:
    server.inject("truncated")
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        server.call()
    assert server.work.done == 1


def test_an_answer_without_a_body_cannot_be_truncated_and_breaks_instead(server: Server) -> None:
    server.inject("truncated")
    with pytest.raises(requests.ConnectionError):
        server.call("/silent")
    assert server.work.done == 1


def test_a_slow_answer_is_whole(server: Server) -> None:
    server.inject("slow")
    assert server.call().json() == WHOLE


def test_the_control_plane_is_exempt(server: Server) -> None:
    server.inject("server_error")
    assert server.call("/_sandbox/look").json() == WHOLE


def test_after_faults_the_server_serves_as_before(server: Server) -> None:
    server.inject("reset", "truncated", "server_error", "reset_after_work")
    for _ in range(12):
        try:
            server.call()
        except requests.RequestException:
            continue
    server.inject(rate=0)
    assert server.call().json() == WHOLE


def test_faults_come_at_their_rate_and_are_counted(server: Server) -> None:
    server.inject("server_error", rate=0.3)
    failed = sum(server.call().status_code == 500 for _ in range(200))
    state = requests.get(f"{server.root}/_sandbox/faults", timeout=5).json()
    assert state["injected"] == {"server_error": failed}
    assert 30 <= failed <= 90


def test_the_same_seed_meets_the_same_faults(server: Server) -> None:
    kinds = ("rate_limited", "server_error", "bad_gateway", "slow")
    runs: list[list[int]] = []
    for seed in (5, 5, 6):
        server.inject(*kinds, rate=0.5, seed=seed)
        runs.append([server.call().status_code for _ in range(40)])
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_one_endpoint_alone_can_be_spoilt(server: Server) -> None:
    body = {"rate": 1.0, "kinds": ["server_error"], "only": "POST /work"}
    assert requests.post(f"{server.root}/_sandbox/faults", json=body, timeout=5).json()["only"] == "POST /work"
    assert [server.call(path).status_code for path in ("/work", "/silent")] == [500, 204]
    server.inject("server_error")
    assert [server.call(path).status_code for path in ("/work", "/silent")] == [500, 500]


@pytest.mark.parametrize(
    "wish", [{"rate": 2}, {"rate": -0.1}, {"rate": 0.1, "kinds": ["earthquake"]}, {"rate": "much"}, [1]]
)
def test_faults_that_cannot_be_are_refused(server: Server, wish: object) -> None:
    server.inject("slow", rate=0.0)
    assert requests.post(f"{server.root}/_sandbox/faults", json=wish, timeout=5).status_code == 422


def test_a_reset_outside_uvicorn_says_what_it_needs() -> None:
    async def receive() -> dict:
        return {"type": "http.disconnect"}

    async def send(message: dict) -> None:
        return None

    faults = Faults(Starlette(), 1.0, ["reset"])
    with pytest.raises(RuntimeError, match="uvicorn"):
        asyncio.run(faults({"type": "http", "path": "/x", "method": "GET"}, receive, send))
