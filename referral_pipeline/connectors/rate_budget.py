"""A rate budget that all processes and threads on this machine share, to stay under a vendor's limit together.

Belongs here: reserving a call before it is sent, waiting when the window is used up, adopting what the vendor's headers
say. Does not belong here: HTTP, reading headers (`connectors.http`).

How it stays honest
1. A call is reserved in one SQLite transaction (BEGIN IMMEDIATE) before it is sent: no two processes spend one unit.
2. The vendor's numbers win when they are lower: somebody else may be using the same credential.
3. At the turn of a window, calls still under way are charged to the new one: the vendor may count them there.
4. Before the vendor has said anything, a default limit holds; without one (None) calls pass freely until a header or a
   429 tells otherwise.
5. The budget is a courtesy, never a gate: when its file cannot be used, calls go on and the 429 is obeyed instead.

The file is WAL with synchronous=OFF: losing the last milliseconds in a power cut costs at most one 429. Nearly every
call finds a window with units in it and an answer that tells nothing new: that is one statement each; the rules in
Python decide the rest. A call costs about 0.05 ms in all.
"""

from __future__ import annotations

import logging
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS budget (
    key TEXT PRIMARY KEY,
    "limit" INTEGER,            -- calls per window; NULL while unknown and no default is set
    remaining INTEGER,          -- calls that may still be reserved in this window
    reset_at REAL NOT NULL,     -- epoch seconds at which the window ends
    confirmed INTEGER NOT NULL, -- whether the vendor itself has told the end of this window
    flying INTEGER NOT NULL,    -- reserved in this window and not answered yet
    window INTEGER NOT NULL,    -- counts windows, so that a late answer is not booked on a newer one
    blocked INTEGER NOT NULL    -- nothing may be sent before reset_at, whatever the limit
) WITHOUT ROWID
"""
_TAKE_ONE = """
UPDATE budget
SET flying = flying + 1, remaining = CASE WHEN "limit" IS NULL THEN remaining ELSE remaining - 1 END
WHERE key = ? AND NOT blocked AND reset_at > ?
  AND ("limit" IS NULL OR remaining IS NULL OR remaining > min(?, "limit" - 1))
RETURNING window
"""
"""Takes a unit of the present window, where there is one; the same as `_reserve_one` in its common case."""
_LANDED = "UPDATE budget SET flying = max(flying - 1, 0) WHERE key = ? AND window = ? RETURNING 1"
"""An answer without numbers; the same as `_book` for it."""
_LANDED_AND_TOLD = """
UPDATE budget SET flying = max(flying - 1, 0), remaining = max(min(remaining, ?), 0)
WHERE key = ? AND window = ? AND confirmed AND "limit" = ? AND remaining IS NOT NULL AND abs(reset_at - ?) <= ?
RETURNING 1
"""
"""An answer with the numbers of the window that we know; the same as `_book` for it."""
_TURN_PAD = 0.05
"""Seconds added to the end of a window: the vendor's clock is not ours."""
_SLACK = 0.5
"""Reset times closer than this name the same window (headers carry whole seconds)."""


@dataclass(frozen=True)
class Reservation:
    """One unit of a window, taken before sending. `window` is None when the budget could not be used."""

    window: int | None


@dataclass(frozen=True)
class ServerWindow:
    """What the vendor's headers said: calls per window, calls left, and when the window ends in local epoch seconds."""

    limit: int | None
    remaining: int | None
    reset_at: float | None


_FREE = (Reservation(None), 0.0)


@dataclass
class _Row:
    limit: int | None
    remaining: int | None
    reset_at: float
    confirmed: int
    flying: int
    window: int
    blocked: int


class RateBudget:
    """The budget of one credential at one system.

    Args:
        path: The SQLite file shared by all processes; made when absent.
        key: Which budget: the system and a hash of the credential, never the credential.
        default_limit: Calls per window until the vendor says; None lets calls pass freely.
        window_seconds: Length of a window until the vendor says.
        reserve: Units of each window that are never taken, so that interactive use finds some.
        max_wait_seconds: How long `acquire` waits at most before it lets the call go (and the vendor decide).
        now: Epoch seconds.
        sleep: Waits the given seconds.
    """

    def __init__(
        self,
        path: Path,
        key: str,
        *,
        default_limit: int | None = None,
        window_seconds: float = 30.0,
        reserve: int = 0,
        max_wait_seconds: float = 600.0,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = path
        self._key = key
        self._default_limit = default_limit
        self._window_seconds = window_seconds
        self._reserve = reserve
        self._max_wait = max_wait_seconds
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._process = os.getpid()
        self._complained = False

    def acquire(self) -> Reservation:
        """Take one unit, waiting for the next window when this one is used up."""
        waited = 0.0
        while True:
            reservation, wait = self._fast(self._take_one) or self._transaction(self._reserve_one) or _FREE
            if reservation is not None:
                return reservation
            if waited >= self._max_wait:
                return Reservation(None)
            # A little jitter, so that eight threads do not all ask at the same instant.
            wait = min(wait + random.uniform(0, 0.05), self._max_wait)  # noqa: S311 - not a secret
            self._sleep(wait)
            waited += wait

    def settle(self, reservation: Reservation, told: ServerWindow | None) -> None:
        """Book the answer to a reserved call: it is no longer under way, and the vendor may have told its numbers."""
        if reservation.window is None and told is None:
            return
        if self._fast(lambda connection: self._land(connection, reservation, told)) is None:
            self._transaction(lambda row, now: self._book(row, now, reservation, told))

    def block_until(self, reset_at: float) -> None:
        """Nothing may be sent before `reset_at` (epoch seconds): the vendor said that this window is used up."""
        self._transaction(lambda row, now: self._block(row, now, reset_at))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    # ------------------------------------------------------------ the common cases, each one statement

    def _take_one(self, connection: sqlite3.Connection) -> tuple[Reservation | None, float] | None:
        found = connection.execute(_TAKE_ONE, (self._key, self._now() - _TURN_PAD, self._reserve)).fetchall()
        return (Reservation(found[0][0]), 0.0) if found else None

    def _land(
        self, connection: sqlite3.Connection, reservation: Reservation, told: ServerWindow | None
    ) -> list[object] | None:
        if reservation.window is None:
            return None
        if told is None or told.limit is None or told.remaining is None:
            return connection.execute(_LANDED, (self._key, reservation.window)).fetchall()
        if told.reset_at is None or told.reset_at <= self._now():
            return None
        numbers = (told.remaining, self._key, reservation.window, told.limit, told.reset_at, _SLACK)
        return connection.execute(_LANDED_AND_TOLD, numbers).fetchall() or None

    # ------------------------------------------------------------ rules, each inside one transaction

    def _reserve_one(self, row: _Row, now: float) -> tuple[Reservation | None, float]:
        self._turn(row, now)
        if not row.blocked:
            if row.limit is None or row.remaining is None:
                row.flying += 1
                return Reservation(row.window), 0.0
            if row.remaining > self._reserve_of(row.limit):
                row.remaining -= 1
                row.flying += 1
                return Reservation(row.window), 0.0
        return None, max(row.reset_at + _TURN_PAD - now, 0.01)

    def _reserve_of(self, limit: int) -> int:
        # A reserve as large as the window would stop everything for ever.
        return min(self._reserve, limit - 1)

    def _turn(self, row: _Row, now: float) -> None:
        """Open the next window when this one is over."""
        if now < row.reset_at + _TURN_PAD:
            return
        row.window += 1
        row.reset_at = now + self._window_seconds
        row.confirmed = 0
        row.blocked = 0
        limit = row.limit if row.limit is not None else self._default_limit
        row.limit = limit
        # What is still under way may be counted by the vendor in the new window; at least one unit stays usable,
        # so that calls which died with their process cannot stop the others.
        row.remaining = None if limit is None else max(limit - row.flying, 1)
        row.flying = 0

    def _book(self, row: _Row, now: float, reservation: Reservation, told: ServerWindow | None) -> None:
        own_window = reservation.window == row.window
        if own_window and row.flying > 0:
            row.flying -= 1
        if told is None or told.limit is None or told.remaining is None:
            return
        if told.reset_at is None or told.reset_at <= now:
            # An answer that comes from a window already over says nothing of this one but its size.
            row.limit = told.limit
            return
        if not row.confirmed:
            # The first word about this window. Until now we lived on a guess.
            row.remaining = told.remaining - row.flying if row.remaining is None else min(row.remaining, told.remaining)
            if row.limit != told.limit:
                row.remaining = told.remaining - row.flying
            row.reset_at = told.reset_at
            row.confirmed = 1
        elif told.reset_at > row.reset_at + _SLACK:
            # The vendor has turned the window before our clock did.
            row.window += 1
            row.reset_at = told.reset_at
            row.remaining = told.remaining - row.flying
            row.flying = 0
        elif told.reset_at >= row.reset_at - _SLACK and row.remaining is not None:
            row.remaining = min(row.remaining, told.remaining)
        row.limit = told.limit
        row.remaining = max(row.remaining or 0, 0)

    def _block(self, row: _Row, now: float, reset_at: float) -> None:
        if reset_at <= now:
            return
        if not row.blocked or reset_at > row.reset_at:
            row.reset_at = reset_at
            row.confirmed = 1
        row.blocked = 1
        if row.remaining is not None:
            row.remaining = 0

    # ------------------------------------------------------------ the file

    def _fast(self, statement: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """Run a single statement, which SQLite makes a transaction of its own; None when it could not be run."""
        try:
            with self._lock:
                return statement(self._open())
        except sqlite3.Error:
            return None  # the transaction that follows meets the same error, and says so

    def _transaction(self, rule: Callable[[_Row, float], _T]) -> _T | None:
        """Run a rule on the stored row; None when the file could not be used."""
        try:
            with self._lock:
                connection = self._open()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    row = self._load(connection)
                    result = rule(row, self._now())
                    self._save(connection, row)
                    connection.execute("COMMIT")
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                return result
        except sqlite3.Error as error:
            if not self._complained:
                self._complained = True
                _LOG.warning("the shared rate budget cannot be used (%s); calls go on and obey 429", error)
            return None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None or self._process != os.getpid():  # a connection does not survive a fork
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Guarded by self._lock, hence usable from any thread.
            connection = sqlite3.connect(self._path, timeout=5.0, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute(_SCHEMA)
            self._connection = connection
            self._process = os.getpid()
        return self._connection

    def _load(self, connection: sqlite3.Connection) -> _Row:
        found = connection.execute(
            'SELECT "limit", remaining, reset_at, confirmed, flying, window, blocked FROM budget WHERE key = ?',
            (self._key,),
        ).fetchone()
        if found is not None:
            return _Row(*found)
        limit = self._default_limit
        return _Row(limit, limit, self._now() + self._window_seconds, 0, 0, 0, 0)

    def _save(self, connection: sqlite3.Connection, row: _Row) -> None:
        connection.execute(
            "INSERT OR REPLACE INTO budget VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._key,
                row.limit,
                row.remaining,
                row.reset_at,
                row.confirmed,
                row.flying,
                row.window,
                row.blocked,
            ),
        )
