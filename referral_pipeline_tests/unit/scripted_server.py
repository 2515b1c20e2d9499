"""A small real HTTP server on loopback that answers as a test says: for failures no sandbox should have to know.

Belongs here: a server whose every answer is scripted. Does not belong here: vendor behaviour (that is the sandboxes').
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """What to answer. `cut` sends that many bytes fewer than announced; `abort` resets the connection instead."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    cut: int = 0
    abort: bool = False
    hang: bool = False


class ScriptedServer:
    """Answers by a function of the request, and keeps what it saw."""

    def __init__(self, answer: Callable[[Seen], Reply]) -> None:
        self.answer = answer
        self.seen: list[Seen] = []
        self.targets: list[str] = []
        self.connections = 0
        self.released = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                owner.connections += 1
                super().setup()

            def handle_any(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                seen = Seen(self.command, parts.path, query, {k.lower(): v for k, v in self.headers.items()}, body)
                owner.seen.append(seen)
                owner.targets.append(self.path)
                self.send(owner.answer(seen))

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any

            def send(self, reply: Reply) -> None:
                if reply.hang:
                    owner.released.wait(30)
                    self.close_connection = True
                    return
                if reply.abort:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.close_connection = True
                    self.connection.close()
                    return
                body = (
                    reply.raw
                    if reply.raw is not None
                    else b""
                    if reply.body is None
                    else json.dumps(reply.body).encode()
                )
                self.send_response_only(reply.status)  # without a Date, unless the test gives one
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) - reply.cut])
                if reply.cut:
                    self.close_connection = True

            def finish(self) -> None:
                try:
                    super().finish()
                except OSError:
                    self.connection.close()

            def log_message(self, format: str, *args: object) -> None:
                del format, args

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                del request, client_address  # a client that left is part of the tests

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.02), daemon=True)

    def paths(self, method: str | None = None) -> list[str]:
        return [seen.path for seen in self.seen if method in {None, seen.method}]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@contextmanager
def serving(answer: Callable[[Seen], Reply]) -> Iterator[ScriptedServer]:
    """A running server; answers from `answer`, token requests with a fixed token unless `answer` handles `/token`."""
    server = ScriptedServer(answer)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def in_turn(*replies: Reply) -> Callable[[Seen], Reply]:
    """Answer with these replies one after the other, the last one for ever."""
    left = list(replies)
    lock = threading.Lock()

    def answer(_: Seen) -> Reply:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return answer
