"""Locks on names, across threads and processes, let go by the system when their holder dies.

Belongs here: who may work on what at this moment. Does not belong here: leases that outlive a process (inbox.py).

SQLite ledgers have a file beside them: a key is one byte of it, locked for an open file description, so that threads
exclude each other as processes do, and the kernel lets go whatever a process dies of. On PostgreSQL a key is an
advisory lock of a session. Keys are taken in one order by everybody, so nobody waits in a circle.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from hashlib import blake2b
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Engine

_FLOCK = struct.Struct("@hhqqi4x")
"""struct flock on 64-bit Linux: type, whence, start, length, pid (0 for locks of a file description)."""


def byte_lock(kind: int, place: int) -> bytes:
    """What fcntl is asked for: a lock of this kind on one byte of a file."""
    return _FLOCK.pack(kind, os.SEEK_SET, place, 1, 0)


class KeyLocks(Protocol):
    """Takes the locks of places that are distinct and sorted."""

    def taken(self, places: list[int]) -> Generator[None]:
        """Hold them while the generator stands still."""
        ...

    def close(self) -> None:
        """Close what is kept open between uses."""
        ...


class FileLocks:
    """Byte-range locks on one file."""

    def __init__(self, path: str) -> None:
        self._path = path

    def taken(self, places: list[int]) -> Generator[None]:
        """Each use opens the file anew: the lock belongs to that opening."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            for place in places:
                fcntl.fcntl(descriptor, fcntl.F_OFD_SETLKW, byte_lock(fcntl.F_WRLCK, place))
            yield
        finally:
            # Let go by name: a child that was forked meanwhile has the same opening, and closing ours would not do.
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, 0, 0, 0))
            os.close(descriptor)

    def close(self) -> None:
        """Nothing stays open."""


class AdvisoryLocks:
    """Advisory locks of PostgreSQL, each use on a connection of its own."""

    def __init__(self, engine: Engine) -> None:
        # Not the ledger's pool: those who hold a lock and need a connection would wait for each other.
        self._engine = sa.create_engine(
            engine.url, pool_size=4, max_overflow=-1, pool_pre_ping=True, isolation_level="AUTOCOMMIT"
        )

    def taken(self, places: list[int]) -> Generator[None]:
        """Session locks: they end with the connection, if not before."""
        with self._engine.connect() as connection:
            try:
                for place in places:
                    connection.execute(sa.select(sa.func.pg_advisory_lock(place)))
                yield
            finally:
                connection.execute(sa.select(sa.func.pg_advisory_unlock_all()))

    def close(self) -> None:
        """Close the idle connections."""
        self._engine.dispose()


class Locks:
    """Exclusive use of keys; one thread holds one set of keys at a time."""

    def __init__(self, engine: Engine) -> None:
        self._held = threading.local()
        self._locks: KeyLocks
        if engine.dialect.name == "sqlite":
            self._locks = FileLocks(f"{engine.url.database}.keys")
        else:
            self._locks = AdvisoryLocks(engine)

    @contextmanager
    def exclusive(self, keys: Iterable[str]) -> Generator[None]:
        """See `Ledger.exclusive`."""
        places = {_place(key) for key in keys}
        held: set[int] | None = getattr(self._held, "places", None)
        if held is not None:
            if not places <= held:
                raise RuntimeError(
                    "this thread holds other keys: ask for all of them at once, or two could wait in a circle"
                )
            yield
            return
        self._held.places = places
        try:
            yield from self._locks.taken(sorted(places))
        finally:
            self._held.places = None

    def close(self) -> None:
        """Close what is kept open between uses."""
        self._locks.close()


def _place(key: str) -> int:
    return int.from_bytes(blake2b(key.encode(), digest_size=5).digest(), "big")
