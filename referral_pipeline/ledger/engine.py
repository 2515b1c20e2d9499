"""Opening the ledger's database: URL, driver, durability, and the lock of the one writer.

Belongs here: everything in which SQLite and PostgreSQL differ, but for the migrations' guard (migrate.py). Does not
belong here: tables, queries.

SQLite runs in WAL mode with full sync: what was committed survives a power cut (but for what group_commit leaves to a
later sync), and readers never wait for the writer.
Every write begins with BEGIN IMMEDIATE, because a transaction that reads first and writes later cannot wait for the
lock: SQLite refuses it at once, however long the busy timeout.
"""

from __future__ import annotations

import fcntl
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError

from referral_pipeline.ledger.prepared import Prepared

BUSY_TIMEOUT_SECONDS = 60.0
WRITES = "ledger_writes"
"""Execution option of a connection that is about to write."""
READS = "ledger_reads"
"""Execution option of a connection that reads with single statements."""


class LedgerError(Exception):
    """The ledger cannot be opened; the message says why and what to do. Holds no password."""


UNUSABLE: tuple[type[Exception], ...] = (OperationalError, InterfaceError, LedgerError)
"""What a ledger raises that cannot be used at the moment, whatever it was asked: no fault of a row."""


def resolve_url(url: str, *, home: Path) -> URL:
    """Read a ledger URL: `sqlite:///relative/to/home`, `sqlite:////absolute`, or `postgresql://...`.

    Raises:
        LedgerError: for any other database, SQLite in memory, or a text that is no URL.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise LedgerError("ledger.url is not a database URL: write sqlite:///path or postgresql://host/name") from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise LedgerError("ledger.url names no file: a ledger in memory would forget what was sent")
        return parsed.set(drivername="sqlite", database=str((home / parsed.database).resolve()))
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    raise LedgerError(f"ledger.url names {backend}: the ledger runs on sqlite or postgresql")


def open_engine(url: URL) -> Engine:
    """An engine with the project's durability settings. Makes the folder of a SQLite file, private to the owner.

    Raises:
        LedgerError: when the PostgreSQL driver is not installed, or SQLite's locks are not to be had here.
    """
    if url.get_backend_name() == "sqlite":
        assert url.database
        if not hasattr(fcntl, "F_OFD_SETLKW"):
            raise LedgerError("a ledger on SQLite uses locks that only Linux has: set ledger.url to postgresql://...")
        Path(url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # hide_parameters: an error of the database must not carry the row that it refused into a log.
        arguments = {"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
        engine = sa.create_engine(url, connect_args=arguments, hide_parameters=True)
        event.listen(engine, "connect", _sqlite_connected)
        event.listen(engine, "begin", _sqlite_begin)
        return engine
    try:
        return sa.create_engine(url, pool_pre_ping=True, hide_parameters=True)
    except ModuleNotFoundError as error:
        raise LedgerError("PostgreSQL needs a driver: pip install 'referral-pipeline[postgresql]'") from error


@cache
def insert(dialect: str, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ON CONFLICT, which both databases spell alike and SQLAlchemy keeps per dialect."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def upsert(connection: Connection, table: sa.Table, rows: list[dict[str, Any]], *, keep: tuple[str, ...] = ()) -> None:
    """Insert rows, or overwrite those with the same primary key. All rows have the same columns, in one statement.

    `keep` are columns of which a row that is there keeps what it has.
    """
    if not rows:
        return
    keys = [column.name for column in table.primary_key]
    # One order of locks for every process, or two batches could wait for each other on PostgreSQL.
    rows = sorted(rows, key=lambda row: tuple(str(row[key]) for key in keys))
    _upserting(connection.dialect.name, table, tuple(rows[0]), keep).run(connection, rows)


@cache
def _upserting(dialect: str, table: sa.Table, names: tuple[str, ...], keep: tuple[str, ...]) -> Prepared:
    keys = [column.name for column in table.primary_key]
    statement = insert(dialect, table)
    changed = {name: statement.excluded[name] for name in names if name not in keys and name not in keep}
    return Prepared(statement.on_conflict_do_update(index_elements=keys, set_=changed), names=names)


@cache
def insert_new(dialect: str, table: sa.Table, *returning: str) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that leaves out what is there already, and answers these columns of what is new."""
    statement = insert(dialect, table).on_conflict_do_nothing()
    return statement.returning(*(table.c[name] for name in returning)) if returning else statement  # type: ignore[return-value]


_FEW = 20


def enter(connection: Connection, table: sa.Table, rows: list[dict[str, Any]], *returning: str) -> list[Any]:
    """Insert what is not there yet; these columns of each row that is new, as tuples. All rows have the same columns.

    Many go in one statement, few one by one, which costs less on SQLite.
    """
    if not rows:
        return []
    dialect = connection.dialect.name
    if dialect == "sqlite" and len(rows) <= _FEW:
        return _entering(table, tuple(rows[0]), returning).each(connection, rows)
    return [tuple(row) for row in connection.execute(insert_new(dialect, table, *returning), rows)]


@cache
def _entering(table: sa.Table, names: tuple[str, ...], returning: tuple[str, ...]) -> Prepared:
    return Prepared(insert_new("sqlite", table, *returning), names=names)


def _sqlite_connected(connection: Any, _record: object) -> None:
    # The driver's own transactions start late and commit around DDL; _sqlite_begin starts them instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=FULL")
    # 16 MiB: pages that every commit changes (the ends of indexes) are copied home a quarter as often.
    cursor.execute("PRAGMA wal_autocheckpoint=4000")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get(READS, False):
        return  # one SELECT sees one state by itself, and half of the cost of a small one is its transaction
    writes = options.get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
