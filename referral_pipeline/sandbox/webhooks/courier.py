"""Carrying parcels to a receiver: a thread with its own event loop and some connections that stay open.

Belongs here: HTTP/1.1 as far as a webhook needs it, attempts and their schedule. Does not belong here: what is sent,
and why (`emitter`).

The client is written by hand on asyncio's streams: the sandbox shares a small machine with what it measures, and a
general client costs several times as much for each request.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Entry:
    """What the log says of one delivery. `mode` tells what was done to it; all times are epoch seconds."""

    id: str
    type: str
    subject: str | None
    made_at: float
    mode: str = "plain"
    attempts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def as_dict(self) -> dict[str, Any]:
        """As the control plane answers it."""
        return {
            "id": self.id,
            "type": self.type,
            "subject": self.subject,
            "made_at": self.made_at,
            "mode": self.mode,
            "attempts": list(self.attempts),
        }


@dataclass(eq=False)
class Parcel:
    """One delivery on its way. `sign` makes the header lines of an attempt at a given time."""

    entry: Entry
    host: str
    port: int
    path: str
    body: bytes
    sign: Callable[[float], bytes]
    schedule: Sequence[float]
    timeout: float
    tried: int = 0

    def request(self, now: float) -> bytes:
        """The bytes of an attempt."""
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nUser-Agent: sandbox\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(self.body)}\r\n"
        )
        return head.encode() + self.sign(now) + b"\r\n" + self.body


class Courier:
    """Delivers parcels in the background. Safe to call from any thread; nothing here waits for the network."""

    def __init__(self, name: str) -> None:
        self.connections = 16
        self._name = name
        self._workers: dict[int, asyncio.Task[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._new: deque[tuple[float, Sequence[Parcel]]] = deque()
        self._is_told = False
        self._under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def under_way(self) -> int:
        """Parcels that are neither delivered nor given up."""
        return self._under_way

    def send(self, parcels: Iterable[Parcel], after: float = 0.0) -> None:
        """Deliver each parcel on its own, `after` so many seconds."""
        self._put([(after, (parcel,)) for parcel in parcels])

    def send_in_order(self, parcels: Sequence[Parcel]) -> None:
        """Deliver these one by one: the next is sent when the one before has been answered."""
        if parcels:
            self._put([(0.0, parcels)])

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Do something in the courier's own thread after a while."""
        loop = self._running()
        loop.call_soon_threadsafe(lambda: loop.call_later(seconds, call))

    def stop(self) -> None:
        """Give up what is under way."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(5)

    # ------------------------------------------------------------ between the threads

    def _put(self, batches: list[tuple[float, Sequence[Parcel]]]) -> None:
        loop = self._running()
        with self._lock:
            self._under_way += sum(len(parcels) for _, parcels in batches)
            self._new.extend(batches)
            is_told, self._is_told = self._is_told, True
        if not is_told:
            loop.call_soon_threadsafe(self._take)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._run, args=(self._loop,), name=self._name, daemon=True)
                self._thread.start()
            return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        self._queue: asyncio.Queue[Parcel] = asyncio.Queue()
        try:
            loop.run_forever()
        finally:
            tasks = [*self._workers.values(), *self._tasks]
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self._workers.clear()
            loop.close()

    def _take(self) -> None:
        with self._lock:
            batches, self._new = self._new, deque()
            self._is_told = False
        for number in range(self.connections):
            if number not in self._workers:
                self._workers[number] = asyncio.get_running_loop().create_task(self._work(number))
        for after, parcels in batches:
            if len(parcels) > 1:
                self._spawn(self._one_by_one(parcels))
            else:
                self._enqueue(parcels[0], after)

    # ------------------------------------------------------------ in the courier's thread

    def _enqueue(self, parcel: Parcel, after: float) -> None:
        if after > 0:
            asyncio.get_running_loop().call_later(after, self._queue.put_nowait, parcel)
        else:
            self._queue.put_nowait(parcel)

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, number: int) -> None:
        connection = _Connection()
        try:
            while True:
                parcel = await self._queue.get()
                if number >= self.connections:  # one too many by now: the first of all never is
                    self._queue.put_nowait(parcel)
                    return
                await self._attempt(connection, parcel)
        finally:
            self._workers.pop(number, None)
            connection.close()

    async def _one_by_one(self, parcels: Sequence[Parcel]) -> None:
        connection = _Connection()
        try:
            for parcel in parcels:
                await self._attempt(connection, parcel)
        finally:
            connection.close()

    async def _attempt(self, connection: _Connection, parcel: Parcel) -> None:
        now = time.time()
        status = await connection.post(parcel, now)
        parcel.entry.attempts.append({"at": now, "status": status, "seconds": round(time.time() - now, 6)})
        if status != 200 and parcel.tried < len(parcel.schedule):
            wait = parcel.schedule[parcel.tried]
            parcel.tried += 1
            self._enqueue(parcel, wait)
            return
        with self._lock:
            self._under_way -= 1


class _Connection:
    """One connection to whatever address the last parcel went to."""

    def __init__(self) -> None:
        self._address: tuple[str, int] | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def close(self) -> None:
        if self._streams is not None:
            # The loop may be gone already when the sandbox ends.
            with contextlib.suppress(RuntimeError):
                self._streams[1].close()
        self._streams = None

    async def post(self, parcel: Parcel, now: float) -> int | None:
        """The status of the answer; None when there was none."""
        try:
            async with asyncio.timeout(parcel.timeout):
                return await self._post(parcel, now)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError, TimeoutError):
            self.close()
            return None

    async def _post(self, parcel: Parcel, now: float) -> int:
        request = parcel.request(now)
        was_open = self._streams is not None and self._address == (parcel.host, parcel.port)
        if not was_open:
            await self._open(parcel)
        try:
            return await self._exchange(request)
        except (OSError, EOFError):
            # A connection that was idle may have been closed by the other end meanwhile: once more on a new one.
            if not was_open:
                raise
            await self._open(parcel)
            return await self._exchange(request)

    async def _open(self, parcel: Parcel) -> None:
        self.close()
        self._streams = await asyncio.open_connection(parcel.host, parcel.port)
        self._address = (parcel.host, parcel.port)

    async def _exchange(self, request: bytes) -> int:
        if self._streams is None:
            raise ConnectionError
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(head[9:12])
        lines: dict[str, str] = {}
        for line in head.split("\r\n")[1:]:
            name, _, value = line.partition(":")
            lines[name] = value
        if "content-length" in lines:
            await reader.readexactly(int(lines["content-length"]))
        if "content-length" not in lines or lines.get("connection", "").strip() == "close":
            self.close()  # the rest of the answer, if any, is of no use
        return status


def spread(delay: float | tuple[float, float], chance: random.Random) -> float:
    """Seconds, drawn when a range is given."""
    return chance.uniform(*sorted(delay)) if isinstance(delay, tuple) else delay


_numbers = itertools.count(1)


def new_delivery_id(prefix: str) -> str:
    """An id that no other delivery of this process has, nor one of a process started at another moment."""
    return f"{prefix}_{_STARTED:x}{next(_numbers):06x}"


_STARTED = time.time_ns()
