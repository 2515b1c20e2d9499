"""One uvicorn per process for all tests of a module: starting a server costs more than most tests."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import uvicorn

T = TypeVar("T")


class Door:
    """An ASGI application that hands every request to the application of the present test."""

    app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@cache
def running(door_type: type[Door] = Door, name: str = "") -> tuple[Any, str]:
    """The door of this type and name, served on loopback for the rest of the process, and its address."""
    del name  # only tells doors of one type apart
    door = door_type()
    # The protocol is named so that asyncio turns Nagle's algorithm off; without it an answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(door, lifespan="off", log_level="warning", access_log=False))
    threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    return door, f"http://127.0.0.1:{listener.getsockname()[1]}"


def run_apart(main: Coroutine[Any, Any, T]) -> T:
    """Like `asyncio.run`, in a thread of its own: a browser in the same process keeps a loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, main).result()
