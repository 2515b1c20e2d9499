"""The receiver as a process: it says where it listens, beats, bounds what it reads, and ends without losing a word."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from referral_pipeline.ledger.store import Ledger
from referral_pipeline.sandbox.credentials import SECRETS
from referral_pipeline.settings import load_settings
from referral_pipeline.webhooks.protocol import LARGEST_HEAD
from referral_pipeline.webhooks.server import serve
from referral_pipeline_tests.unit.receiver_rig import REFERRAL, advocacy_headers

SERVE = """
from referral_pipeline.settings import load_settings
from referral_pipeline.webhooks.server import serve
serve(load_settings(), port=0, say=lambda line: print(line, flush=True))
"""
BODY = json.dumps(REFERRAL).encode()


@contextmanager
def serving(home: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    home.mkdir(exist_ok=True)
    environment = {**os.environ, **SECRETS, "REFERRAL_PIPELINE_HOME": str(home)}
    with subprocess.Popen([sys.executable, "-c", SERVE], stdout=subprocess.PIPE, text=True, env=environment) as child:
        try:
            assert child.stdout is not None
            line = child.stdout.readline()
            assert line.startswith("receiver ready: http://127.0.0.1:")
            yield child, int(line.rsplit(":", 1)[1])
        finally:
            child.kill()


def request(delivery_id: str) -> bytes:
    headers = advocacy_headers(BODY, delivery_id, at=datetime.now(UTC)) | {"content-length": str(len(BODY))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /webhooks/advocacy HTTP/1.1\r\nhost: here\r\n{lines}\r\n".encode() + BODY


def answer(connection: socket.socket) -> bytes:
    heard = b""
    while not heard.endswith((b"}", b".")):
        more = connection.recv(65_536)
        if not more:
            break
        heard += more
    return heard.split(b"\r\n", 1)[0]


def test_a_stop_answers_what_is_in_and_forgets_the_heartbeat(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as (child, port), socket.create_connection(("127.0.0.1", port), 20) as one:
        ledger = Ledger.open(f"sqlite:///{tmp_path}/home/data/state/ledger.sqlite", home=tmp_path)
        one.sendall(request("msg_1"))
        assert answer(one) == b"HTTP/1.1 200 OK"
        (beat,) = ledger.heartbeats("receiver")
        assert beat.address == f"http://127.0.0.1:{port}"
        half = request("msg_2")
        with socket.create_connection(("127.0.0.1", port), 20) as other:
            other.sendall(half[:-5])
            one.sendall(request("msg_3"))  # answered, so the half one has been begun
            assert answer(one) == b"HTTP/1.1 200 OK"
            child.send_signal(signal.SIGTERM)
            other.sendall(half[-5:])
            assert answer(other) == b"HTTP/1.1 200 OK"
        assert child.wait(20) == 0
        with ledger:
            assert {event.delivery_id for event in ledger.inbox_events()} == {"msg_1", "msg_2", "msg_3"}
            assert ledger.heartbeats("receiver") == []


def test_a_head_without_end_is_cut_off(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as (_, port):
        for begin in (b"POST /webhooks/advocacy HTTP/1.1\r\nx: ", b"POST /"):
            with socket.create_connection(("127.0.0.1", port), 20) as connection:
                connection.sendall(begin + b"y" * (LARGEST_HEAD + 1))
                assert answer(connection) == b"HTTP/1.1 400 Bad Request"
        with socket.create_connection(("127.0.0.1", port), 20) as connection:
            connection.sendall(b"\x00\xff\r\n\r\n")
            assert answer(connection) == b"HTTP/1.1 400 Bad Request"
        with socket.create_connection(("127.0.0.1", port), 20) as connection:
            connection.sendall(request("msg_1"))
            assert answer(connection) == b"HTTP/1.1 200 OK"


def test_a_port_that_is_taken_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="choose another one"):
        serve(load_settings(tmp_path), port=taken.getsockname()[1], say=print)


def test_a_writer_that_is_killed_is_not_believed_and_started_again(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as (child, port), socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(request("msg_1"))
        assert answer(connection) == b"HTTP/1.1 200 OK"
        (writer,) = psutil.Process(child.pid).children()
        writer.kill()
        connection.sendall(request("msg_2"))
        assert answer(connection) == b"HTTP/1.1 503 Service Unavailable"
        connection.sendall(request("msg_2"))
        assert answer(connection) == b"HTTP/1.1 200 OK"
        (again,) = psutil.Process(child.pid).children()
        child.kill()
        assert psutil.wait_procs([again], 10)[1] == []


def test_the_writer_of_a_killed_receiver_keeps_what_it_has_and_ends_without_a_word(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(tmp_path / "home") as (child, port), socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(request("msg_1"))
        assert answer(connection) == b"HTTP/1.1 200 OK"
        (writer,) = psutil.Process(child.pid).children()
        writer.suspend()
        connection.sendall(request("msg_2"))
        with socket.create_connection(("127.0.0.1", port), 20) as other:
            other.sendall(b"GET /healthz HTTP/1.1\r\nhost: here\r\n\r\n")
            assert answer(other) == b"HTTP/1.1 200 OK"  # what came before it was handed over
        child.kill()
        child.wait(10)
        writer.resume()
        assert psutil.wait_procs([writer], 10)[1] == []
    with Ledger.open(f"sqlite:///{tmp_path}/home/data/state/ledger.sqlite", home=tmp_path) as ledger:
        assert {event.delivery_id for event in ledger.inbox_events()} == {"msg_1", "msg_2"}
    assert capfd.readouterr().err == ""
