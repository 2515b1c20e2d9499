"""A receiver of webhooks for tests: a real server that keeps what it gets and answers what it is told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from referral_pipeline.sandbox.webhooks.emitter import Emitter


@dataclass(frozen=True)
class Got:
    """One request; header names in lower case. `peer` is the sender's port: one connection, one port."""

    path: str
    headers: dict[str, str]
    body: bytes
    peer: int


class Receiver:
    """`answers` are used up first, then `status` is answered; status 0 closes the connection without an answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.got: list[Got] = []
        self.status = 200
        self.answers: list[int] = []

    def wait(self, count: int) -> list[Got]:
        """What came, once it is at least `count` requests."""
        until(lambda: len(self.got) >= count)
        return list(self.got)


def until(holds: Callable[[], Any], seconds: float = 15.0) -> None:
    """Wait for something that must come true."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


@contextmanager
def receiving() -> Generator[Receiver]:
    """A receiver on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body go in two packets; the second would wait 40 ms

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = receiver.answers.pop(0) if receiver.answers else receiver.status
            receiver.got.append(Got(self.path, headers, body, self.client_address[1]))
            if status == 0:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64  # of 5, a burst of connections has to wait a second for the kernel's next try

    server = Server(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def emitting(emitter: Emitter) -> Generator[Emitter]:
    """Ends the emitter's thread."""
    try:
        yield emitter
    finally:
        emitter.stop()
