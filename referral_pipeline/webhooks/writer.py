"""The process that encrypts and commits for the receiver, and wakes the lane.

Belongs here: the child, its pipe, starting it again. Does not belong here: when a batch goes (`intake`).

Why a process: encryption and SQLite take the interpreter's lock for every row. In a thread beside the event loop the
two wait for each other, which costs more than the work itself. The receiver hands over a batch and gets back, once it
is on disk, which of it was new. When the child dies, what it had is not acknowledged, and the next batch starts it
again; when the receiver dies, the child's pipe ends and so does the child.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from referral_pipeline.contract.loader import load_contract
from referral_pipeline.ledger.records import InboxDelivery
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.privacy.crypto import Cipher
from referral_pipeline.settings import PREFIX, MissingSecret, Settings, load_settings
from referral_pipeline.webhooks.wake import Waker

Row = tuple[Any, ...]
"""An arrival: system, delivery id, type, subject, time, bulk, body."""

_CODE = "import sys; from referral_pipeline.webhooks.writer import main; main(int(sys.argv[1]))"


class WriterFailed(Exception):
    """The child could not commit, or is gone. Holds the name of an error, nothing of a row."""


def commit(ledger: Ledger, cipher: Cipher, rows: Sequence[Row]) -> list[bool]:
    """Encrypt and commit in this process."""
    encrypt = cipher.encrypt
    return ledger.receive_many(
        [
            InboxDelivery(system, delivery_id, event_type, "webhook", subject, occurred_at, encrypt(body), bulk)
            for system, delivery_id, event_type, subject, occurred_at, bulk, body in rows
        ]
    )


class WriterProcess:
    """Commits in a child. For one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        """Start the child."""
        self._home = settings.home
        self._child: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._start()

    def commit(self, rows: Sequence[Row]) -> list[bool]:
        """Which of these are new, once all are on disk.

        Raises:
            WriterFailed: they are not, or nobody can tell.
        """
        if self._pipe is None:
            self._start()
        assert self._pipe is not None
        try:
            self._pipe.send(rows)
            answer: list[bool] | str = self._pipe.recv()
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
                answer: list[bool] | str = commit(ledger, cipher, rows)
            except Exception as error:  # noqa: BLE001 whatever it was, the receiver must hear that it is not kept
                answer = type(error).__name__
            is_news = not isinstance(answer, str) and any(answer)
            if is_news:
                waker.tell()
            try:
                pipe.send(answer)
            except OSError:
                return
            if is_news:
                waker.look()
