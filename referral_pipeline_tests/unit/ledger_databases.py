"""Ledgers for tests: a SQLite file always, PostgreSQL too when LEDGER_TEST_POSTGRES_URL names a server.

Belongs here: fresh, empty databases. Does not belong here: tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

POSTGRES_URL = os.environ.get("LEDGER_TEST_POSTGRES_URL")
BACKENDS = ["sqlite", *(["postgresql"] if POSTGRES_URL else [])]

NOW = datetime(2026, 5, 4, 12, 30, 15, 123456, tzinfo=UTC)


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


def fresh_url(backend: str, folder: Path) -> Iterator[str]:
    """URL of an empty ledger, removed afterwards."""
    if backend == "sqlite":
        yield f"sqlite:///{folder}/ledger.sqlite"
        return
    assert POSTGRES_URL
    schema = f"ledger_{uuid.uuid4().hex}"
    url = sa.make_url(POSTGRES_URL).set(drivername="postgresql+psycopg")
    server = sa.create_engine(url)
    with server.begin() as connection:
        connection.execute(sa.schema.CreateSchema(schema))
    yield url.update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False)
    with server.begin() as connection:
        connection.execute(sa.schema.DropSchema(schema, cascade=True))
    server.dispose()


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    """A child process that runs this code with these arguments."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(child: subprocess.Popen[str]) -> str:
    """What the child printed; fails when the child did."""
    out, err = child.communicate(timeout=120)
    if child.returncode != 0:
        pytest.fail(f"the child ended with {child.returncode}: {err}")
    return out
