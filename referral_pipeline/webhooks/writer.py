"""The process that reads, encrypts and commits for the receiver, and wakes the lane.

Belongs here: from a proved body to a row on disk; the child, its pipe, starting it again. Does not belong here: proving
(`signatures`), when a batch goes (`intake`).

Why a process: reading, encryption and SQLite take the interpreter's lock for every row. In a thread beside the event
loop the two wait for each other, which costs more than the work itself. The receiver hands over a batch and gets back,
once it is on disk, what became of each. When the child dies, what it had is not acknowledged, and the next batch starts
it again; when the receiver dies, the child's pipe ends and so does the child.
"""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import BinaryIO

from referral_pipeline.connectors.events import decode, read_event, split_delivery
from referral_pipeline.contract.loader import load_contract
from referral_pipeline.ledger.records import InboxDelivery
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.privacy.crypto import Cipher
from referral_pipeline.settings import PREFIX, MissingSecret, Settings, load_settings
from referral_pipeline.webhooks.wake import Waker

Row = tuple[str, str, bytes]
"""An arrival: system, delivery id, body."""
Taken = tuple[str, bool] | None
"""What became of an arrival that is on disk: its type in a word of ours, and whether it was new. None: no JSON object,
and nothing of it was kept.
"""

COLLECT_AFTER = 20_000
"""Objects made until the collector looks: a request leaves no circles behind, and Python's 700 are soon made."""
_SIZE = struct.Struct("!Q")
_LARGEST_ANSWER = 2**20
_CODE = "import sys; from referral_pipeline.webhooks.writer import main; main(int(sys.argv[1]))"


class WriterFailed(Exception):
    """The child could not commit, or bring it to disk, or is gone. Holds the name of an error, nothing of a row."""


def commit(
    ledger: Ledger, cipher: Cipher, rows: Sequence[Row], *, on_news: Callable[[], None] = lambda: None
) -> list[Taken]:
    """Read, encrypt and commit in this process; when it returns, all of it is on disk.

    `on_news` is called as soon as new rows can be seen, while the disk is still being waited for. Whoever creates
    something for them meanwhile puts his intents on disk before, in the same log and so these rows with them; all else
    that is sent may be sent again.

    Raises:
        LedgerError: it is not committed, or committed and perhaps not on disk. The sender must send it again.
    """
    encrypt = cipher.encrypt
    deliveries: list[InboxDelivery] = []
    words: list[tuple[str, int] | None] = []  # the type of an arrival, and how many events it holds
    for system, delivery_id, body in rows:
        try:
            events = split_delivery(system, delivery_id, body, decode(body))
        except (ValueError, RecursionError):
            events = None
        if events is None:
            words.append(None)
            continue
        word = "none"
        for place, (event_id, own_body, payload) in enumerate(events):
            hint = read_event(system, payload)
            if place == 0:
                word = hint.event_type if hint.known else "other"
            deliveries.append(
                InboxDelivery(
                    system,
                    event_id,
                    hint.event_type,
                    "webhook",
                    hint.subject,
                    hint.occurred_at,
                    encrypt(own_body),
                    hint.bulk,
                )
            )
        words.append((word, len(events)))
    fresh = ledger.receive_many(deliveries, durable=False)
    if any(fresh):
        on_news()
    ledger.sync()
    each = iter(fresh)
    # A delivery is new when any of its events is.
    return [None if word is None else (word[0], any(list(islice(each, word[1])))) for word in words]


def any_new(taken: Iterable[Taken]) -> bool:
    """Whether the lane has something to do."""
    return any(one is not None and one[1] for one in taken)


class WriterProcess:
    """Commits in a child. Belongs to one event loop, and takes one batch at a time."""

    def __init__(self, settings: Settings) -> None:
        """Start the child."""
        self._home = settings.home
        self._child: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._start()

    async def commit(self, rows: Sequence[Row]) -> list[Taken]:
        """What became of these, once all are on disk.

        Raises:
            WriterFailed: they are not, or nobody can tell.
        """
        if self._socket is None:
            self._start()
        try:
            reader, writer = self._streams or await self._open()
            body = pickle.dumps(rows, pickle.HIGHEST_PROTOCOL)
            writer.write(_SIZE.pack(len(body)))
            writer.write(body)
            await writer.drain()
            (size,) = _SIZE.unpack(await reader.readexactly(_SIZE.size))
            # Of our own child, over a pair of sockets that nobody else has.
            answer: list[Taken] | str = pickle.loads(await reader.readexactly(size))  # noqa: S301
        except (OSError, EOFError) as error:
            await asyncio.to_thread(self.close)
            raise WriterFailed(type(error).__name__) from None
        if isinstance(answer, str):
            raise WriterFailed(answer)
        return answer

    def close(self) -> None:
        """End the child."""
        self._streams = None
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None
        if self._child is not None:
            self._child.wait()
            self._child = None

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._child = subprocess.Popen(  # noqa: S603 our own interpreter and code
                [sys.executable, "-c", _CODE, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, f"{PREFIX}HOME": str(self._home)},
                stdin=subprocess.DEVNULL,
            )
        self._socket = ours

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        assert self._socket is not None
        # A copy: the loop closes what it is given, and this process must be able to end the child without a loop.
        self._streams = await asyncio.open_connection(sock=self._socket.dup(), limit=_LARGEST_ANSWER)
        return self._streams


def main(descriptor: int) -> None:
    """The child: commit what comes until the pipe ends. It stays through signals: the receiver drains first."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    settings = load_settings()
    if settings.key is None:
        raise MissingSecret(f"{PREFIX}KEY")
    cipher = Cipher(settings.key.get_secret_value())
    with (
        socket.socket(fileno=descriptor) as ours,
        ours.makefile("rb") as reader,
        Ledger.open(load_contract(settings).ledger.url, home=settings.home) as ledger,
    ):
        waker = Waker(ledger)
        gc.collect()
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER)
        while (rows := _next_batch(reader)) is not None:
            try:
                answer: list[Taken] | str = commit(ledger, cipher, rows, on_news=waker.tell)
            except Exception as error:  # noqa: BLE001 whatever it was, the receiver must hear that it may not be kept
                answer = type(error).__name__
            told = pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
            try:
                ours.sendall(_SIZE.pack(len(told)) + told)
            except OSError:
                return
            if not isinstance(answer, str) and any_new(answer):
                waker.look()


def _next_batch(reader: BinaryIO) -> list[Row] | None:
    """What the receiver hands over next; None when it is gone, be it in the middle of a word."""
    try:
        head = reader.read(_SIZE.size)
        size: int = _SIZE.unpack(head)[0] if len(head) == _SIZE.size else 0
        body = reader.read(size)
    except OSError:  # it was killed before it read the last answer
        return None
    return pickle.loads(body) if size and len(body) == size else None  # noqa: S301 of our own parent
