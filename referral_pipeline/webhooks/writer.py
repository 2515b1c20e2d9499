"""The process that reads, encrypts and commits for the receiver, and wakes the lane.

Belongs here: from a proved body to a row on disk; the child, its pipe, starting it again. Does not belong here: proving
(`signatures`), when a batch goes (`intake`).

Why a process: reading, encryption and SQLite take the interpreter's lock for every row. In a thread beside the event
loop the two wait for each other, which costs more than the work itself. The receiver hands over a batch and gets back,
once it is on disk, what became of each. When the child dies, what it had is not acknowledged, and the next batch starts
it again; when the receiver dies, the child's pipe ends and so does the child.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from referral_pipeline.connectors.events import read_event
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

_CODE = "import sys; from referral_pipeline.webhooks.writer import main; main(int(sys.argv[1]))"


class WriterFailed(Exception):
    """The child could not commit, or is gone. Holds the name of an error, nothing of a row."""


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


_decode = json.JSONDecoder(parse_constant=_no_constant).decode


def commit(ledger: Ledger, cipher: Cipher, rows: Sequence[Row]) -> list[Taken]:
    """Read, encrypt and commit in this process."""
    encrypt = cipher.encrypt
    deliveries: list[InboxDelivery] = []
    words: list[str | None] = []
    for system, delivery_id, body in rows:
        try:
            payload: Any = _decode(body.decode())
        except (ValueError, RecursionError):
            payload = None
        if not isinstance(payload, dict):
            words.append(None)
            continue
        hint = read_event(system, payload)
        words.append(hint.event_type if hint.known else "other")
        deliveries.append(
            InboxDelivery(
                system,
                delivery_id,
                hint.event_type,
                "webhook",
                hint.subject,
                hint.occurred_at,
                encrypt(body),
                hint.bulk,
            )
        )
    fresh = iter(ledger.receive_many(deliveries))
    return [None if word is None else (word, next(fresh)) for word in words]


def any_new(taken: Iterable[Taken]) -> bool:
    """Whether the lane has something to do."""
    return any(one is not None and one[1] for one in taken)


class WriterProcess:
    """Commits in a child. For one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        """Start the child."""
        self._home = settings.home
        self._child: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._start()

    def commit(self, rows: Sequence[Row]) -> list[Taken]:
        """What became of these, once all are on disk.

        Raises:
            WriterFailed: they are not, or nobody can tell.
        """
        if self._pipe is None:
            self._start()
        assert self._pipe is not None
        try:
            self._pipe.send(rows)
            answer: list[Taken] | str = self._pipe.recv()
        except (OSError, EOFError) as error:
            self.close()
            raise WriterFailed(type(error).__name__) from None
        if isinstance(answer, str):
            raise WriterFailed(answer)
        return answer

    def close(self) -> None:
        """End the child."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
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
        self._pipe = Connection(ours.detach())


def main(descriptor: int) -> None:
    """The child: commit what comes until the pipe ends. It stays through signals: the receiver drains first."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    settings = load_settings()
    if settings.key is None:
        raise MissingSecret(f"{PREFIX}KEY")
    cipher = Cipher(settings.key.get_secret_value())
    with Connection(descriptor) as pipe, Ledger.open(load_contract(settings).ledger.url, home=settings.home) as ledger:
        waker = Waker(ledger)
        while True:
            try:
                rows = pipe.recv()
            except (EOFError, OSError):
                return
            try:
                answer: list[Taken] | str = commit(ledger, cipher, rows)
            except Exception as error:  # noqa: BLE001 whatever it was, the receiver must hear that it is not kept
                answer = type(error).__name__
            is_news = not isinstance(answer, str) and any_new(answer)
            if is_news:
                waker.tell()
            try:
                pipe.send(answer)
            except OSError:
                return
            if is_news:
                waker.look()
