"""The transactions that every method of the ledger runs in.

Belongs here: reading, writing, `atomic()`. Does not belong here: queries (inbox.py, mirror.py, store.py and their
neighbours), what differs between databases (engine.py).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy.engine import Connection, Engine

from referral_pipeline.ledger.engine import READS, WRITES
from referral_pipeline.ledger.group_commit import GroupCommit
from referral_pipeline.ledger.prepared import Through

MOST_VALUES = 500
"""Values in one IN list; SQLite and PostgreSQL both bound the parameters of a statement."""


class Transactions:
    """One database and its transactions; the parts of the ledger are built on it."""

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._engine = engine
        self._reader = engine.execution_options(**{READS: True})
        self._writer = engine.execution_options(**{WRITES: True})
        self._clock = clock
        self._held = threading.local()
        self._group = GroupCommit(engine) if engine.dialect.name == "sqlite" else None
        self._idle: list[sqlite3.Connection] = []

    def close(self) -> None:
        """Close every connection. The ledger can be used again afterwards; it opens new ones."""
        if self._group is not None:
            self._group.close()
        while self._idle:
            self._idle.pop().close()
        self._engine.dispose()

    @contextmanager
    def atomic(self) -> Generator[None]:
        """Everything this thread writes inside commits together at the end, or not at all when an exception leaves.

        Keep it short, and make no call to another system inside: the ledger has one writer at a time, and other threads
        may wait for the same commit.
        """
        with self._writing():
            yield

    def sync(self) -> None:
        """Wait until everything that was committed so far survives a power cut; on PostgreSQL it does already.

        Raises:
            LedgerError: the disk does not take it.
        """
        if self._group is not None:
            self._group.sync()

    @contextmanager
    def _writing(self, *, durable: bool = True) -> Generator[Connection]:
        """A transaction that writes. Not `durable`: for what a power cut may undo, or what `sync` follows."""
        held: Connection | None = getattr(self._held, "connection", None)
        if held is not None:
            # A savepoint, so that a method that fails inside atomic() leaves nothing of itself, even when caught.
            with self._group.step() if self._group is not None else held.begin_nested():
                yield held
            return
        later = self._put_off()
        with (
            self._group.transaction(durable=durable) if self._group is not None else self._writer.begin() as connection
        ):
            self._held.connection = connection
            try:
                for write in later:
                    write(connection)
                written = len(later)
                yield connection
            finally:
                self._held.connection = None
        del later[:written]

    def _put_off(self) -> list[Callable[[Connection], object]]:
        """What this thread is to write with its next transaction. It stays until that is committed."""
        later: list[Callable[[Connection], object]] | None = getattr(self._held, "later", None)
        if later is None:
            later = self._held.later = []
        return later

    def _write_what_was_put_off(self) -> None:
        if self._put_off() and getattr(self._held, "connection", None) is None:
            with self._writing(durable=False):
                pass

    @contextmanager
    def _reading(self) -> Generator[Connection]:
        held: Connection | None = getattr(self._held, "connection", None)
        if held is not None:
            yield held
            return
        with self._reader.connect() as connection:
            yield connection

    @contextmanager
    def _looking(self) -> Generator[Through]:
        """What prepared statements read through: on SQLite a connection of the driver, kept between uses."""
        held: Connection | None = getattr(self._held, "connection", None)
        if held is not None:
            yield held
            return
        if self._group is None:
            with self._reader.connect() as connection:
                yield connection
            return
        try:
            driver = self._idle.pop()
        except IndexError:
            driver = self._detached()
        try:
            yield driver
        except BaseException:
            driver.close()
            raise
        self._idle.append(driver)

    def _detached(self) -> sqlite3.Connection:
        connection = self._engine.raw_connection()
        driver = connection.driver_connection
        connection.detach()
        assert isinstance(driver, sqlite3.Connection)
        return driver


def parts(values: Iterable[str]) -> Iterator[list[str]]:
    """Distinct values in sorted lists that fit an IN."""
    every = sorted(set(values))
    for start in range(0, len(every), MOST_VALUES):
        yield every[start : start + MOST_VALUES]
