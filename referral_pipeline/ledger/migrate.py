"""Bringing a ledger to the present schema, once, however many processes start at the same time.

Belongs here: running the Alembic migrations under a guard. Does not belong here: the migrations (migrations/versions).

The guard is a lock file beside a SQLite ledger and an advisory lock on PostgreSQL; both are let go by the system when
their holder dies. Each upgrade is one transaction on both databases: killed half-way, the old schema stands.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock, Timeout
from sqlalchemy.engine import Connection, Engine

from referral_pipeline.ledger.engine import WRITES, LedgerError

_ADVISORY_LOCK = 7_302_114_950_166_035_457
_GUARD_TIMEOUT_SECONDS = 120.0


def alembic_config(connection: Connection) -> Config:
    """The configuration Alembic runs with; there is no alembic.ini, the scripts travel inside the package."""
    config = Config()
    scripts = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def migrate(engine: Engine) -> None:
    """Create or upgrade the schema.

    Raises:
        LedgerError: when another process holds the guard for two minutes, or the ledger is newer than this program.
    """
    with _guard(engine):
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                _to_wal(connection)
        with engine.execution_options(**{WRITES: True}).connect() as connection, connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
            _upgrade(connection)


def _upgrade(connection: Connection) -> None:
    config = alembic_config(connection)
    script = ScriptDirectory.from_config(config)
    present = MigrationContext.configure(connection).get_current_heads()
    if set(present) == set(script.get_heads()):
        return
    known = {revision.revision for revision in script.walk_revisions()}
    if not known.issuperset(present):
        raise LedgerError("the ledger was written by a newer version of Referral Pipeline: upgrade this one")
    command.upgrade(config, "head")


@contextmanager
def _guard(engine: Engine) -> Generator[None]:
    if engine.dialect.name != "sqlite":
        yield
        return
    assert engine.url.database
    try:
        with FileLock(engine.url.database + ".lock", timeout=_GUARD_TIMEOUT_SECONDS):
            yield
    except Timeout as error:
        raise LedgerError("another process has been starting on this ledger for two minutes: end it") from error


def _to_wal(connection: Connection) -> None:
    # The mode is kept in the file, so only the first start changes it; it cannot change inside a transaction.
    driver = connection.connection.driver_connection
    assert driver is not None
    mode = driver.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != ("wal",):
        raise LedgerError("SQLite cannot use WAL mode here: put the ledger on a local disk, or use PostgreSQL")
