"""Raw rows: each record as its vendor sent it, with when it was changed, pulled, and found gone.

Belongs here: the raw tables, on an open connection. Does not belong here: windows and cursors (ingest.py), what a row
means (connectors), transactions and locks (store.py).

Invariants
1. One row a record; a row older than the one held never overwrites it, whatever the order of arrival.
2. A record that is seen again is not gone: `deleted_at` is cleared by any sight of it.
3. A record without its key is kept all the same, under the hash of its content, for staging to report.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
from duckdb import DuckDBPyConnection

from referral_pipeline.connectors.records import Row

_LAST_MILLISECOND = 253_402_300_800_000
"""The end of the year 9999."""
KEYLESS = "?"
"""Begins the key under which a record without its own is kept. No vendor's id does."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def raw_table(system: str, entity: str) -> str:
    """The qualified name of an entity's raw table.

    Raises:
        ValueError: when a name is not a plain lower-case word, and could say something else in SQL.
    """
    if not _NAME.fullmatch(system) or not _NAME.fullmatch(entity):
        raise ValueError("system and entity are named by lower-case letters, digits and underscores")
    return f"raw.{system}_{entity}"


def upsert(
    connection: DuckDBPyConnection,
    table: str,
    rows: Iterable[Row],
    *,
    key: str,
    changed_field: str | None,
    pulled_at: datetime,
) -> int:
    """Write rows that were just pulled; answers how many are new or differ from what was held."""
    incoming = _incoming(rows, key, changed_field)
    if not incoming.num_rows:
        return 0
    _ensure(connection, table)
    with registered(connection, "incoming_raw", incoming):
        # Several versions of one record may come in one page; the newest counts, the later among equals.
        connection.execute(
            """
            CREATE OR REPLACE TEMP TABLE newest AS
            SELECT id, updated_at, payload
            FROM (SELECT id, TRY_CAST(updated_at AS TIMESTAMPTZ) AS updated_at, payload, place FROM incoming_raw)
            QUALIFY row_number() OVER (PARTITION BY id ORDER BY updated_at DESC NULLS LAST, place DESC) = 1
            """
        )
    changed = connection.execute(
        f"""
        SELECT count(*) FROM newest LEFT JOIN {table} AS held USING (id)
        WHERE held.id IS NULL
           OR held.deleted_at IS NOT NULL
           OR (newest.updated_at < held.updated_at) IS NOT TRUE AND newest.payload <> held.payload::VARCHAR
        """  # noqa: S608 - the table's name is checked by raw_table
    ).fetchall()
    connection.execute(
        f"""
        INSERT INTO {table} AS held (id, updated_at, payload, pulled_at, deleted_at)
        SELECT id, updated_at, payload::JSON, $pulled_at::TIMESTAMPTZ, NULL FROM newest
        ON CONFLICT (id) DO UPDATE SET
            payload =
                CASE WHEN excluded.updated_at < held.updated_at THEN held.payload ELSE excluded.payload END,
            updated_at =
                CASE WHEN excluded.updated_at < held.updated_at THEN held.updated_at ELSE excluded.updated_at END,
            pulled_at = greatest(held.pulled_at, excluded.pulled_at),
            deleted_at = NULL
        """,  # noqa: S608
        {"pulled_at": pulled_at},
    )
    connection.execute("DROP TABLE newest")
    return int(changed[0][0])


@dataclass(frozen=True)
class Unseen:
    """What a full pull did not see: records of those that were held, by their key, and rows that never had one."""

    records: int
    held: int
    keyless: int


def unseen(connection: DuckDBPyConnection, table: str, *, full_pull_started_at: datetime) -> Unseen:
    """How many rows no pull has seen since, of those that are not marked as gone."""
    _ensure(connection, table)
    ((records, held, keyless),) = connection.execute(
        f"""
        SELECT count(*) FILTER (pulled_at < $at AND NOT starts_with(id, '{KEYLESS}')),
               count(*) FILTER (NOT starts_with(id, '{KEYLESS}')),
               count(*) FILTER (pulled_at < $at AND starts_with(id, '{KEYLESS}'))
        FROM {table} WHERE deleted_at IS NULL
        """,  # noqa: S608 - the table's name is checked by raw_table
        {"at": full_pull_started_at},
    ).fetchall()
    return Unseen(int(records), int(held), int(keyless))


def mark_absent(
    connection: DuckDBPyConnection, table: str, *, full_pull_started_at: datetime, only_keyless: bool = False
) -> int:
    """Mark as gone what no pull has seen since; answers how many rows are newly gone.

    With `only_keyless` the rows alone that have no key: the next sight of one is another row, so it is never missed.
    """
    _ensure(connection, table)
    which = f" AND starts_with(id, '{KEYLESS}')" if only_keyless else ""
    gone = connection.execute(
        f"UPDATE {table} SET deleted_at = $at WHERE pulled_at < $at AND deleted_at IS NULL{which} RETURNING 1",  # noqa: S608
        {"at": full_pull_started_at},
    )
    return len(gone.fetchall())


def gone(connection: DuckDBPyConnection, table: str) -> list[str]:
    """The keys of the rows that are gone, in order."""
    _ensure(connection, table)
    rows = connection.execute(
        f"SELECT id FROM {table} WHERE deleted_at IS NOT NULL ORDER BY id"  # noqa: S608
    ).fetchall()
    return [str(key) for (key,) in rows]


def page(connection: DuckDBPyConnection, table: str, *, after: str, limit: int) -> list[tuple[str, Row]]:
    """The next rows in key order with their keys, without those that are gone."""
    rows = connection.execute(
        f"SELECT id, payload::VARCHAR FROM {table} WHERE id > $after AND deleted_at IS NULL ORDER BY id LIMIT $limit",  # noqa: S608
        {"after": after, "limit": limit},
    ).fetchall()
    return [(key, json.loads(payload)) for key, payload in rows]


@contextmanager
def registered(connection: DuckDBPyConnection, name: str, table: Any) -> Generator[None]:
    """Let SQL read an Arrow table by a name."""
    connection.register(name, table)
    try:
        yield
    except BaseException:
        # In a transaction that failed DuckDB takes no orders but the rollback, which also undoes the name.
        with suppress(duckdb.Error):
            connection.unregister(name)
        raise
    connection.unregister(name)


def _ensure(connection: DuckDBPyConnection, table: str) -> None:
    connection.execute(
        f"""
        CREATE TABLE IF NOT EXISTS {table} (
            id VARCHAR PRIMARY KEY, updated_at TIMESTAMPTZ, payload JSON, pulled_at TIMESTAMPTZ, deleted_at TIMESTAMPTZ
        )
        """
    )


def _payload(row: Row) -> str:
    text = json.dumps(row, separators=(",", ":"), ensure_ascii=False)
    if not text.isascii():
        # Half a surrogate pair is valid in JSON and in no text: one such name would stop the page of all others.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _moment_text(stamp: Any) -> str | None:
    """A stamp as SQL reads it. A number is epoch milliseconds: no vendor here counts seconds."""
    if isinstance(stamp, int) and not isinstance(stamp, bool) and 0 <= stamp < _LAST_MILLISECOND:
        return datetime.fromtimestamp(stamp / 1000, UTC).isoformat()
    return None if stamp is None else str(stamp)


def _incoming(rows: Iterable[Row], key: str, changed_field: str | None) -> Any:
    ids: list[str] = []
    changed: list[str | None] = []
    payloads: list[str] = []
    for row in rows:
        payload = _payload(row)
        named: Any = row.get(key)
        stamp: Any = row.get(changed_field) if changed_field is not None else None
        content = hashlib.sha256(payload.encode()).hexdigest()[:16]
        ids.append(f"{KEYLESS}{content}" if named in (None, "") else str(named))
        changed.append(_moment_text(stamp))
        payloads.append(payload)
    return pa.table(
        {
            "id": pa.array(ids, pa.string()),
            "updated_at": pa.array(changed, pa.string()),
            "payload": pa.array(payloads, pa.string()),
            "place": pa.array(range(len(ids)), pa.int64()),
        }
    )
