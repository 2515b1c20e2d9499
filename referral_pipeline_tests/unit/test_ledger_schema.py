"""Opening a ledger brings it to the present schema, once, and never takes a database it cannot keep promises on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from referral_pipeline.ledger import tables
from referral_pipeline.ledger.engine import WRITES, open_engine, resolve_url
from referral_pipeline.ledger.migrate import alembic_config
from referral_pipeline.ledger.store import Ledger, LedgerError
from referral_pipeline_tests.unit.ledger_databases import BACKENDS, finish, fresh_url, start

_OPEN = """
import sys
from pathlib import Path
from referral_pipeline.ledger.store import Ledger
with Ledger.open(sys.argv[1], home=Path(sys.argv[2])) as ledger:
    ledger.alias("ats", sys.argv[3], "survivor")
"""

DESIGNED = {
    "inbox",
    "deliveries",
    "links",
    "candidate_aliases",
    "identity_keys",
    "status_history",
    "consents",
    "tombstones",
    "erasures",
    "api_calls",
    "cursors",
    "alerts",
    "heartbeats",
    "mirror",
    "breakers",
    "recognitions",
    "counters",
    "identity_decisions",
    "identity_decision_records",
    "attribution_overrides",
    "payroll_exports",
    "payroll_entries",
    "verifications",
    "daily_volume",
    "api_shapes",
}


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield from fresh_url(request.param, tmp_path)


@pytest.fixture
def engine(url: str, tmp_path: Path) -> Iterator[sa.Engine]:
    opened = open_engine(resolve_url(url, home=tmp_path))
    yield opened
    opened.dispose()


def test_a_new_ledger_has_every_table_of_the_design(url: str, tmp_path: Path, engine: sa.Engine) -> None:
    Ledger.open(url, home=tmp_path).close()
    assert set(sa.inspect(engine).get_table_names()) == DESIGNED | {"alembic_version"}


def test_the_migrations_lead_to_exactly_the_tables_of_the_code(url: str, tmp_path: Path, engine: sa.Engine) -> None:
    Ledger.open(url, home=tmp_path).close()
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


def test_a_ledger_can_be_taken_down_and_built_again(url: str, tmp_path: Path, engine: sa.Engine) -> None:
    Ledger.open(url, home=tmp_path).close()
    with engine.execution_options(**{WRITES: True}).begin() as connection:
        command.downgrade(alembic_config(connection), "base")
    assert set(sa.inspect(engine).get_table_names()) == {"alembic_version"}
    Ledger.open(url, home=tmp_path).close()
    assert set(sa.inspect(engine).get_table_names()) >= DESIGNED


def test_a_ledger_of_the_first_version_keeps_its_rows_and_they_can_be_worked_on(
    url: str, tmp_path: Path, engine: sa.Engine
) -> None:
    Ledger.open(url, home=tmp_path).close()
    writing = engine.execution_options(**{WRITES: True})
    with writing.begin() as connection:
        command.downgrade(alembic_config(connection), "0001")
    with writing.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO inbox (system, delivery_id, event_type, origin, received_at, state, available_at)"
                " VALUES ('ats', '1', 'x', 'webhook', CURRENT_TIMESTAMP, 'received', CURRENT_TIMESTAMP)"
            )
        )
        connection.execute(
            sa.text(
                "INSERT INTO alerts (name, fingerprint, severity, message, owner, channel, fired_at)"
                " VALUES ('n', 'f', 'error', 'm', 'ops', 'log', CURRENT_TIMESTAMP)"
            )
        )
    with Ledger.open(url, home=tmp_path) as ledger:
        (event,) = ledger.claim("lane", limit=5, lease=timedelta(seconds=60), bulk=False)
        assert (event.delivery_id, event.bulk, event.attempts) == ("1", False, 1)
        (alert,) = ledger.alerts()
        assert (alert.times, alert.last_at) == (1, alert.fired_at)


_ARRIVED = """
INSERT INTO inbox (system, delivery_id, event_type, origin, received_at, state, available_at, body, attempts)
VALUES ('ats', :delivery, 'x', 'webhook', CURRENT_TIMESTAMP, 'done', CURRENT_TIMESTAMP, :body, 3)
"""


def _inbox_of_version_3(url: str, home: Path, engine: sa.Engine) -> list[tuple[object, ...]]:
    """Two rows of the third version, numbered 1 and 3."""
    Ledger.open(url, home=home).close()
    writing = engine.execution_options(**{WRITES: True})
    with writing.begin() as connection:
        command.downgrade(alembic_config(connection), "0003")
    with writing.begin() as connection:
        for delivery in "123":
            connection.execute(sa.text(_ARRIVED), {"delivery": delivery, "body": delivery.encode()})
        connection.execute(sa.text("DELETE FROM inbox WHERE delivery_id = '2'"))
    return _inbox(engine)


def _inbox(engine: sa.Engine) -> list[tuple[object, ...]]:
    names = ", ".join(column.name for column in tables.inbox.columns)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(f"SELECT {names} FROM inbox ORDER BY id"))]


def test_a_number_of_the_inbox_is_never_given_again_though_its_row_is_gone(
    url: str, tmp_path: Path, engine: sa.Engine
) -> None:
    before = _inbox_of_version_3(url, tmp_path, engine)
    assert [row[0] for row in before] == [1, 3]
    Ledger.open(url, home=tmp_path).close()
    assert _inbox(engine) == before
    with engine.execution_options(**{WRITES: True}).begin() as connection:
        connection.execute(sa.text("DELETE FROM inbox"))
        connection.execute(sa.text(_ARRIVED), {"delivery": "3", "body": b"3"})
    assert [row[0] for row in _inbox(engine)] == [4]


_KILLED = """
import os, sys
from pathlib import Path
from referral_pipeline.ledger import migrate
def killed(connection):
    upgrade(connection)
    os.kill(os.getpid(), 9)
upgrade, migrate._upgrade = migrate._upgrade, killed
from referral_pipeline.ledger.store import Ledger
Ledger.open(sys.argv[1], home=Path(sys.argv[2]))
"""


def test_an_upgrade_that_is_killed_leaves_the_old_ledger_and_the_next_one_succeeds(
    url: str, tmp_path: Path, engine: sa.Engine
) -> None:
    before = _inbox_of_version_3(url, tmp_path, engine)
    child = start(_KILLED, url, str(tmp_path))
    child.communicate(timeout=120)
    assert child.returncode == -9
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one() == "0003"
    assert _inbox(engine) == before
    Ledger.open(url, home=tmp_path).close()
    assert _inbox(engine) == before


def test_processes_that_open_a_new_ledger_at_once_make_one_schema(url: str, tmp_path: Path) -> None:
    children = [start(_OPEN, url, str(tmp_path), str(number)) for number in range(3)]
    for child in children:
        finish(child)
    with Ledger.open(url, home=tmp_path) as ledger:
        assert set(ledger.aliases("ats")) == {"0", "1", "2"}


def test_a_ledger_written_by_a_newer_version_is_refused(url: str, tmp_path: Path, engine: sa.Engine) -> None:
    Ledger.open(url, home=tmp_path).close()
    with engine.execution_options(**{WRITES: True}).begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LedgerError, match="newer version"):
        Ledger.open(url, home=tmp_path)


def test_a_state_outside_the_vocabulary_is_refused_by_the_database(url: str, tmp_path: Path, engine: sa.Engine) -> None:
    Ledger.open(url, home=tmp_path).close()
    row = {
        "system": "ats",
        "delivery_id": "1",
        "event_type": "x",
        "origin": "webhook",
        "received_at": sa.func.now(),
        "available_at": sa.func.now(),
    }
    writing = engine.execution_options(**{WRITES: True})
    with writing.begin() as connection:
        connection.execute(sa.insert(tables.inbox).values(**row, state="received"))
    with pytest.raises(sa.exc.IntegrityError), writing.begin() as connection:
        connection.execute(sa.insert(tables.inbox).values(**row | {"delivery_id": "2"}, state="lost"))
    with pytest.raises(sa.exc.IntegrityError), writing.begin() as connection:
        connection.execute(sa.insert(tables.inbox).values(**row, state="received"))


def test_a_sqlite_ledger_is_in_wal_mode_with_full_sync_beside_its_home(tmp_path: Path) -> None:
    Ledger.open("sqlite:///data/state/ledger.sqlite", home=tmp_path).close()
    assert (tmp_path / "data" / "state" / "ledger.sqlite").exists()
    engine = open_engine(resolve_url("sqlite:///data/state/ledger.sqlite", home=tmp_path))
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 60_000}


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("mysql://u:hidden@host/db", "sqlite or postgresql"),
        ("not a url", "not a database URL"),
    ],
)
def test_a_database_that_cannot_serve_is_refused_without_showing_its_password(
    url: str, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(LedgerError, match=complaint) as refused:
        Ledger.open(url, home=tmp_path)
    assert "hidden" not in str(refused.value)
