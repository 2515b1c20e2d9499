"""Group commit on SQLite: threads of one process share a transaction, and with it the wait for the disk.

Belongs here: who runs in which transaction, and who commits it. Does not belong here: queries, PostgreSQL (which
groups commits by itself).

SQLite has one writer. While one thread waits for the disk, others queue up; instead of a commit for each, they run one
after the other in one transaction, each behind a savepoint of its own, and whoever finds nobody waiting behind him
commits for all. A call returns only after that commit. Alone, a caller commits at once, without a savepoint: nothing is
ever waited for in the hope of company.

Between processes, a lock of the kernel comes before SQLite's own: SQLite waits by sleeping, up to 100 ms at a time, and
would let a busy process starve the others.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import sqlite3
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from typing import Any

from sqlalchemy.engine import Connection, Engine

from referral_pipeline.ledger.engine import BUSY_TIMEOUT_SECONDS, READS, LedgerError
from referral_pipeline.ledger.locks import byte_lock
from referral_pipeline.ledger.prepared import begin

_MOST_MEMBERS = 64
_MOST_SECONDS = 0.02
"""A shared transaction that is older takes nobody else in, so that its first member does not wait for a crowd."""
_WRITER_PLACE = 2**41
"""Beyond every place of a key (locks.py), whose file this lock shares."""
_LOOK_AGAIN_SECONDS = 0.25


class CommitFailedError(LedgerError):
    """The shared transaction was lost; nothing of this call was kept."""


class _Batch:
    """One shared transaction. Everything but `done` is touched only by the thread whose turn it is."""

    __slots__ = ("done", "durable", "failure", "members", "opened")

    def __init__(self, durable: bool) -> None:
        self.durable = durable
        self.opened = time.monotonic()
        self.members = 0  # callers whose writes are in it
        self.failure: BaseException | None = None
        self.done = threading.Event()


class GroupCommit:
    """The one writer of a process on a SQLite ledger."""

    def __init__(self, engine: Engine) -> None:
        # The driver begins and commits, a third of the price of the same by SQLAlchemy, which is told not to.
        self._engine = engine.execution_options(**{READS: True})
        self._turn = threading.Lock()
        self._counting = threading.Lock()
        self._waiting = 0
        self._batch: _Batch | None = None
        self._connection: Connection | None = None
        self._driver: Any = None
        self._synced = True
        self._among_processes = _ProcessTurn(f"{engine.url.database}.keys")
        self._disk = _Disk(str(engine.url.database))

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Generator[Connection]:
        """A transaction, perhaps shared. When the block ends well, its writes are on disk; when not, none of them is.

        When not `durable`, the writes survive the death of the process, but wait for the next durable commit or `sync`
        to survive a power cut. They are never lost alone: whatever was written after them goes with them.

        Raises:
            CommitFailedError: when the transaction was lost by somebody else's turn in it, or by the commit.
            LedgerError: it is committed, but nobody can tell whether it is on disk.
        """
        self._take_turn()
        try:
            batch = self._join(durable)
            assert self._connection is not None
        except BaseException:
            self._turn.release()
            raise
        try:
            yield self._connection
            if not self._driver.in_transaction:
                raise CommitFailedError("the ledger gave the transaction up: nothing of this call was kept")
            if batch.members:
                self._driver.execute("RELEASE member")
            batch.members += 1
        except BaseException as error:
            try:
                self._undo(batch, error)
                if self._batch is batch and not self._is_followed(batch):
                    self._commit(batch)
            finally:
                self._turn.release()
            raise
        self._settle(batch)
        if durable and not batch.durable:
            self._disk.sync()  # it went along with somebody who had no need of the disk

    def sync(self) -> None:
        """Wait until all that was committed, by whatever process, survives a power cut.

        Raises:
            LedgerError: the disk does not take it; whether it is kept nobody can tell.
        """
        self._disk.sync()

    @contextmanager
    def step(self) -> Generator[None]:
        """Inside a transaction of this thread: keep what the block writes, or none of it when an exception leaves."""
        self._driver.execute("SAVEPOINT step")
        try:
            yield
        except BaseException:
            # Not when SQLite has rolled everything back by itself: transaction() finds that out.
            if self._driver.in_transaction:
                self._driver.execute("ROLLBACK TO step")
                self._driver.execute("RELEASE step")
            raise
        self._driver.execute("RELEASE step")

    def close(self) -> None:
        """Close the connection. The next transaction opens a new one."""
        with self._turn:
            if self._batch is not None:
                self._commit(self._batch)
            if self._connection is not None:
                self._connection.close()
            self._connection = self._driver = None
            self._disk.let_go()
            self._among_processes.close()

    def _take_turn(self) -> None:
        if self._turn.acquire(blocking=False):
            return
        with self._counting:
            self._waiting += 1
        try:
            self._turn.acquire()
        finally:
            with self._counting:
                self._waiting -= 1

    def _join(self, durable: bool) -> _Batch:
        batch = self._batch
        if batch is not None:
            self._driver.execute("SAVEPOINT member")
            return batch
        self._among_processes.take()
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
                self._driver = self._connection.connection.driver_connection
                self._synced = True
            if durable is not self._synced:
                self._driver.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                self._synced = durable
            begin(self._driver)
            self._disk.hold()
            batch = self._batch = _Batch(durable)
        except BaseException:
            self._among_processes.give()
            raise
        return batch

    def _is_followed(self, batch: _Batch) -> bool:
        """Whether somebody waits for the turn and may still join."""
        return self._waiting > 0 and batch.members < _MOST_MEMBERS and time.monotonic() - batch.opened < _MOST_SECONDS

    def _settle(self, batch: _Batch) -> None:
        try:
            followed = self._is_followed(batch)
            if not followed:
                self._commit(batch)
        finally:
            self._turn.release()
        # Whoever follows commits or hands on. Should he be interrupted on the way to his turn, this one looks again.
        while followed and not batch.done.wait(_LOOK_AGAIN_SECONDS):
            with self._turn:
                if self._batch is batch:
                    self._commit(batch)
        if batch.failure is not None:
            raise CommitFailedError("the ledger could not commit: nothing of this call was kept") from batch.failure

    def _commit(self, batch: _Batch) -> None:
        """End the transaction for all its members. Never raises an ordinary error: they all find it in the batch."""
        try:
            self._end_by("COMMIT")
        except BaseException as error:
            self._lose(batch, error)
            if not isinstance(error, Exception):
                raise
        else:
            self._end(batch)

    def _end_by(self, word: str) -> None:
        assert self._connection is not None
        if self._driver.in_transaction:
            self._driver.execute(word)
        elif word == "COMMIT":
            raise CommitFailedError("the ledger gave the transaction up")
        if self._connection.in_transaction():
            self._connection.rollback()  # of what SQLAlchemy believes to be open; there is nothing left to undo

    def _undo(self, batch: _Batch, error: BaseException) -> None:
        """Take back what the present caller wrote, and nothing of the others."""
        if batch.members == 0:
            try:
                self._end_by("ROLLBACK")
            except Exception as broken:  # noqa: BLE001 - the caller's own error is the one to tell
                self._lose(batch, broken)
            else:
                self._end(batch)
            return
        try:
            # After some errors (a full disk) SQLite has rolled everything back by itself; the others must hear of it.
            self._driver.execute("ROLLBACK TO member")
            self._driver.execute("RELEASE member")
        except Exception:  # noqa: BLE001 - see above
            self._lose(batch, error)

    def _lose(self, batch: _Batch, failure: BaseException) -> None:
        batch.failure = failure
        if self._connection is not None:
            with suppress(Exception):
                self._end_by("ROLLBACK")
            with suppress(Exception):
                self._connection.invalidate()
            with suppress(Exception):
                self._connection.close()
        self._connection = self._driver = None
        self._disk.let_go()
        self._end(batch)

    def _end(self, batch: _Batch) -> None:
        self._batch = None
        self._among_processes.give()
        batch.done.set()


class _Disk:
    """The ledger's write-ahead log on its way to the disk. Safe for threads.

    In WAL mode a commit is on disk once the log is. The log is held open from before the first commit: the kernel tells
    of a write that failed only to those who had the file open then. As long as the connection is open SQLite keeps the
    log; one that is gone was copied home and synced before.

    One thread syncs at a time, for all who asked before it began: of several the kernel would tell only one of a write
    that failed.
    """

    def __init__(self, database: str) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._log: int | None = None
        self._failed = False
        self._numbers = itertools.count(1)
        self._asked = self._answered = 0

    def hold(self) -> None:
        """Hold the log of a connection that is open. What cannot be held now is opened when it is synced."""
        if self._log is None:
            with self._lock, suppress(OSError):
                self._log = self._open()

    def let_go(self) -> None:
        """The connection is closed."""
        with self._lock:
            if self._log is not None:
                os.close(self._log)
            self._log = None

    def sync(self) -> None:
        """Wait until the log is on disk.

        Raises:
            LedgerError: it is not, or nobody can tell.
        """
        mine = self._asked = next(self._numbers)  # should it be set back by another thread, one sync more is made
        with self._lock:
            if mine <= self._answered:
                return
            answers = self._asked
            try:
                if self._failed:
                    self._write_again()
                self._wait()
            except (OSError, sqlite3.Error) as error:
                self._failed = True
                why = error.strerror if isinstance(error, OSError) else "it is in use"
                raise LedgerError(f"the ledger cannot be synced to disk: {why}") from None
            self._failed = False
            self._answered = max(mine, answers)

    def _wait(self) -> None:
        if self._log is not None:
            os.fdatasync(self._log)
            return
        with suppress(FileNotFoundError):
            log = self._open()
            try:
                os.fdatasync(log)
            finally:
                os.close(log)

    def _open(self) -> int:
        return os.open(f"{self._database}-wal", os.O_RDONLY | os.O_CLOEXEC)

    def _write_again(self) -> None:
        """Copy the log home and begin a new one: what failed once, the kernel takes for written, and never retries."""
        with closing(sqlite3.connect(self._database, timeout=BUSY_TIMEOUT_SECONDS)) as connection:
            (is_busy,) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[:1]
        if is_busy:
            raise sqlite3.OperationalError


class _ProcessTurn:
    """Which process writes. Taken by one thread at a time."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: int | None = None

    def take(self) -> None:
        """Wait for the turn.

        Raises:
            LedgerError: after a minute.
        """
        if self._file is None:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        asking = byte_lock(fcntl.F_WRLCK, _WRITER_PLACE)
        until = time.monotonic() + BUSY_TIMEOUT_SECONDS
        pause = 0.0002
        while True:
            try:
                fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, asking)
            except (BlockingIOError, PermissionError):
                if time.monotonic() > until:
                    raise LedgerError("another process has been writing to the ledger for a minute: end it") from None
                time.sleep(pause)
                pause = min(pause * 1.5, 0.002)
            else:
                return

    def give(self) -> None:
        """Let the next process write."""
        if self._file is not None:
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, byte_lock(fcntl.F_UNLCK, _WRITER_PLACE))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
        self._file = None
