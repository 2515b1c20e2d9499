"""The warehouse: the one place that opens DuckDB.

Belongs here: connection, lock, transactions, running the SQL models, reading frames. Does not belong here: SQL of the
models (sql/<layer>/<table>.sql), raw rows (raw.py), publishing (publish.py), what the tables mean.

One file, one writer at a time: DuckDB locks the file for the process that has it open, so connections are short and
whoever comes second waits with back-off. Readers use what `publish` made, never this file.
"""

from __future__ import annotations

import random
import re
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import duckdb
import pandas as pd
import pyarrow as pa
from duckdb import DuckDBPyConnection

from referral_pipeline.connectors.records import Row
from referral_pipeline.warehouse import publish as _publish
from referral_pipeline.warehouse import raw as _raw
from referral_pipeline.warehouse.failures import ModelFailed, WarehouseBusyError, WarehouseError, without_values
from referral_pipeline.warehouse.raw import Unseen

__all__ = ["ModelFailed", "Warehouse", "WarehouseBusyError", "WarehouseError"]

LAYERS = ("raw", "staging", "core", "mart", "ops")
PERSONAL_LAYERS = frozenset({"raw", "staging"})
"""Layers that hold personal data: never previewed, never published."""

_TABLE = re.compile(rf"({'|'.join(LAYERS)})\.([a-z][a-z0-9_]*)")
_VARIABLE = re.compile(r"[a-z][a-z0-9_]*")
_PAGE = 10_000


class Warehouse:
    """The analytics store. Safe for threads (they queue) and for processes (they wait for the file)."""

    def __init__(
        self,
        url: str | Path,
        *,
        home: Path,
        published_dir: Path,
        busy_timeout_seconds: float = 120,
        memory_limit: str = "512MB",
        sql_dir: Path | None = None,
    ) -> None:
        """Bind to a file without opening it.

        Args:
            url: path of the DuckDB file, relative to `home` or absolute.
            home: the project's folder.
            published_dir: where `publish` puts what others may read.
            busy_timeout_seconds: how long to wait for another process that holds the file.
            memory_limit: what DuckDB may take, in its own notation.
            sql_dir: folder of the models, by default the package's own.
        """
        self.path = (home / url).resolve()
        self.published_dir = published_dir
        self._busy_timeout_seconds = busy_timeout_seconds
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "threads": 2,
            "memory_limit": memory_limit,
            # Whatever extension is missing, a refresh must not fetch code from the network.
            "autoinstall_known_extensions": "false",
        }
        self._sql_dir = sql_dir or Path(__file__).with_name("sql")
        self._turn = threading.RLock()
        self._connection: DuckDBPyConnection | None = None
        self._in_transaction = False
        self._identified: tuple[tuple[int, int] | None, str] = (None, "")

    # ------------------------------------------------------------ connection

    @contextmanager
    def connect(self) -> Generator[DuckDBPyConnection]:
        """The open connection of this thread, or a new one that is closed at the end. Make no network call inside.

        Raises:
            WarehouseBusyError: when the file is held for longer than the busy timeout.
            WarehouseError: when the file is no DuckDB database, or cannot be opened.
        """
        deadline = time.monotonic() + self._busy_timeout_seconds
        if not self._turn.acquire(timeout=self._busy_timeout_seconds):
            raise WarehouseBusyError("another thread has held the warehouse for too long")
        try:
            if self._connection is not None:
                yield self._connection
                return
            self._connection = self._open(deadline)
            try:
                yield self._connection
            finally:
                connection, self._connection = self._connection, None
                connection.close()
        finally:
            self._turn.release()

    @contextmanager
    def transaction(self) -> Generator[DuckDBPyConnection]:
        """Everything inside commits together, or not at all when an exception leaves. Inner ones join the outer."""
        with self.connect() as connection:
            if self._in_transaction:
                yield connection
                return
            connection.execute("BEGIN TRANSACTION")
            self._in_transaction = True
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            else:
                connection.execute("COMMIT")
            finally:
                self._in_transaction = False

    @property
    def warehouse_id(self) -> str:
        """The identity of this file, kept inside. A new file has a new one: cursors of the old do not count for it."""
        file = self._file()
        if file is None or file != self._identified[0]:
            with self.connect() as connection:
                identity = str(_one(connection, "SELECT value FROM ops.meta WHERE key = 'warehouse_id'"))
            self._identified = (self._file(), identity)
        return self._identified[1]

    def _file(self) -> tuple[int, int] | None:
        """Which file stands at the path: one that was removed and made anew has another identity."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    # ------------------------------------------------------------ raw

    def upsert_raw(
        self,
        system: str,
        entity: str,
        rows: Iterable[Row],
        *,
        key: str = "id",
        changed_field: str | None = "updated_at",
        pulled_at: datetime,
    ) -> int:
        """Write rows as a vendor sent them, in one transaction; answers how many are new or differ from what was held.

        A row whose `changed_field` is older than the one held never overwrites it.

        Raises:
            WarehouseError: when DuckDB does not take them; none is written then.
        """
        table = _raw.raw_table(system, entity)
        try:
            with self.transaction() as connection:
                return _raw.upsert(connection, table, rows, key=key, changed_field=changed_field, pulled_at=pulled_at)
        except duckdb.Error as error:
            raise WarehouseError(f"rows for {table} could not be written: {without_values(error)}") from None

    def mark_absent(
        self, system: str, entity: str, *, full_pull_started_at: datetime, only_keyless: bool = False
    ) -> int:
        """Mark as gone the rows that a full pull, and all since, did not see; answers how many are newly gone."""
        with self.transaction() as connection:
            return _raw.mark_absent(
                connection,
                _raw.raw_table(system, entity),
                full_pull_started_at=full_pull_started_at,
                only_keyless=only_keyless,
            )

    def unseen(self, system: str, entity: str, *, full_pull_started_at: datetime) -> Unseen:
        """How many rows `mark_absent` would mark, of how many."""
        with self.transaction() as connection:
            return _raw.unseen(connection, _raw.raw_table(system, entity), full_pull_started_at=full_pull_started_at)

    def gone_ids(self, system: str, entity: str) -> list[str]:
        """The keys of the rows that were there and are gone by a full pull, in order."""
        with self.transaction() as connection:
            return _raw.gone(connection, _raw.raw_table(system, entity))

    def raw_rows(self, system: str, entity: str) -> Iterator[Row]:
        """Every row that is not gone, in key order. Read in pages: the file is not held while you work on a row."""
        table, after = _raw.raw_table(system, entity), ""
        while True:
            with self.connect() as connection:
                if not _exists(connection, table):
                    return
                rows = _raw.page(connection, table, after=after, limit=_PAGE)
            for _, row in rows:
                yield row
            if len(rows) < _PAGE:
                return
            after = rows[-1][0]

    # ------------------------------------------------------------ models

    def replace(self, table: str, frame: pd.DataFrame) -> int:
        """Replace a table by its model run over `frame`, which the model reads as `incoming`; answers its row count.

        Raises:
            ModelFailed: when the model does not run on this frame; the old table stands.
        """
        incoming = _to_arrow(table, frame)
        with self.connect() as connection, _raw.registered(connection, "incoming", incoming):
            return self._run_model(table)

    def build(self, table: str, *, parts: int = 1, **variables: Any) -> int:
        """Replace a table by its model run over other tables; answers its row count.

        Args:
            table: the qualified name, as in `core.person`; its model is `sql/core/person.sql`.
            parts: in how many runs, one after another; each finds its number in the variable `part`, counted from 0,
                and theirs in `parts`. A model that can be divided so sorts in memory what would else go to disk.
            variables: values that the model reads by `getvariable('name')`.

        Raises:
            ModelFailed: when the model does not run; the old table stands.
        """
        with self.connect() as connection, _variables(connection, {**variables, "part": 0, "parts": parts}):
            return self._run_model(table, parts)

    def _run_model(self, table: str, parts: int = 1) -> int:
        model = self._model(table)
        try:
            with self.transaction() as connection:
                # DDL is transactional in DuckDB: until the commit every other connection sees the old table.
                connection.execute(f"CREATE OR REPLACE TABLE {table} AS\n{model}")
                for part in range(1, parts):
                    connection.execute("SET VARIABLE part = $value", {"value": part})
                    connection.execute(f"INSERT INTO {table}\n{model}")
                return int(_one(connection, f"SELECT count(*) FROM {table}"))  # noqa: S608 - checked by _model
        except duckdb.Error as error:
            # Without its cause: a traceback would show the value that this message leaves out.
            raise ModelFailed(table, without_values(error)) from None

    def _model(self, table: str) -> str:
        layer, name = _split(table)
        path = self._sql_dir / layer / f"{name}.sql"
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise ModelFailed(table, f"there is no file {layer}/{name}.sql among the models") from None
        return text.strip().removesuffix(";") + "\n"

    # ------------------------------------------------------------ reading

    def frame(self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> pd.DataFrame:
        """The answer to a query, times in UTC."""
        with self.connect() as connection, warnings.catch_warnings():
            # DuckDB 2.0 uses a keyword that pandas 3 is giving up; it concerns neither us nor our callers.
            warnings.simplefilter("ignore", DeprecationWarning)
            return connection.execute(sql, cast(Any, params)).df()

    def has_table(self, table: str) -> bool:
        """Whether a table was ever built."""
        _split(table)
        with self.connect() as connection:
            return _exists(connection, table)

    def row_count(self, table: str) -> int:
        """The number of rows of a table.

        Raises:
            WarehouseError: when it was never built.
        """
        _split(table)
        with self.connect() as connection:
            if not _exists(connection, table):
                raise WarehouseError(f"there is no table {table} yet: run a refresh")
            return int(_one(connection, f"SELECT count(*) FROM {table}"))  # noqa: S608 - checked by _split

    def preview(self, table: str, limit: int = 10) -> pd.DataFrame:
        """The first rows of a table that holds no personal data.

        Raises:
            WarehouseError: for a table of a layer that may hold personal data.
        """
        _refuse_personal(table)
        return self.frame(f"SELECT * FROM {table} LIMIT $limit", {"limit": limit})  # noqa: S608

    # ------------------------------------------------------------ publishing

    def publish(
        self,
        tables: Sequence[str],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        as_of: datetime | None = None,
    ) -> list[Path]:
        """Put these tables into the published folder as Parquet, with a read-only copy of core, mart and ops.

        Answers the published paths: one `<name>.parquet` a table, `warehouse.duckdb`, `manifest.json`. Readers that
        hold an old file keep it; whoever opens finds a whole file. `as_of` goes into the manifest.

        Raises:
            WarehouseError: for a table of a layer that may hold personal data, or two tables of one name.
        """
        for table in tables:
            _refuse_personal(table)
        layers = [layer for layer in LAYERS if layer not in PERSONAL_LAYERS]
        with self.connect() as connection:
            return _publish.publish(connection, self.published_dir, tables, layers=layers, at=clock(), as_of=as_of)

    @contextmanager
    def published(self, *, locked: bool = False) -> Generator[DuckDBPyConnection]:
        """The copy of core, mart and ops that `publish` made last, to read from; it waits for nobody.

        No file and no network can be reached through it; with `locked`, for SQL that people type, no setting changed.

        Raises:
            WarehouseError: nothing was published yet, or the copy cannot be read.
        """
        path = self.published_dir / _publish.COPY
        if not path.exists():
            raise WarehouseError("nothing is published yet: run `referral-pipeline refresh`")
        try:
            connection = duckdb.connect(
                path, read_only=True, config={**self._config, "enable_external_access": "false"}
            )
        except duckdb.Error as error:
            raise WarehouseError(f"the published copy {path.name} cannot be opened: {error}") from error
        try:
            connection.execute("SET TimeZone = 'UTC'")
            if locked:
                connection.execute("SET lock_configuration = true")
            yield connection
        finally:
            connection.close()

    def published_at(self) -> datetime | None:
        """When `publish` made what is published now; None when nothing is."""
        return _publish.published_at(self.published_dir)

    # ------------------------------------------------------------ opening

    def _open(self, deadline: float) -> DuckDBPyConnection:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        wait = 0.01
        while True:
            try:
                _drop_orphaned_log(self.path)
                connection = duckdb.connect(self.path, config=self._config)
            except duckdb.Error as error:
                # DuckDB has one class for every fault of a file; only these words tell a held lock from the others.
                if "Could not set lock" not in str(error):
                    raise WarehouseError(f"the warehouse {self.path.name} cannot be opened: {error}") from error
                left = deadline - time.monotonic()
                if left <= 0:
                    raise WarehouseBusyError(
                        f"another process has held the warehouse {self.path.name} for"
                        f" {self._busy_timeout_seconds:g} s: wait for its run to end, or close it"
                    ) from error
                time.sleep(min(wait * random.uniform(0.5, 1.5), left))  # noqa: S311 - jitter, not a secret
                wait = min(wait * 2, 1.0)
                continue
            try:
                _prepare(connection)
            except BaseException:
                connection.close()
                raise
            return connection


def _drop_orphaned_log(path: Path) -> None:
    """Remove the log of a file that somebody removed: it must not be replayed into the successor."""
    log = path.with_name(f"{path.name}.wal")
    # In this order: a log seen before its file is missing cannot belong to a file that another process makes just now.
    if log.exists() and not path.exists():
        log.unlink(missing_ok=True)


def _prepare(connection: DuckDBPyConnection) -> None:
    # Set here, not on opening: DuckDB 1.5 knows no time zones before it is open.
    connection.execute("SET TimeZone = 'UTC'")
    if _exists(connection, "ops.meta"):
        return
    connection.execute("BEGIN TRANSACTION")
    for layer in LAYERS:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {layer}")
    connection.execute("CREATE TABLE ops.meta (key VARCHAR PRIMARY KEY, value VARCHAR NOT NULL)")
    connection.execute("INSERT INTO ops.meta VALUES ('warehouse_id', ?)", [str(uuid.uuid4())])
    connection.execute("COMMIT")


@contextmanager
def _variables(connection: DuckDBPyConnection, variables: Mapping[str, Any]) -> Generator[None]:
    for name in variables:
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"{name!r} cannot name a variable of a model")
    for name, value in variables.items():
        connection.execute(f"SET VARIABLE {name} = $value", {"value": value})
    try:
        yield
    finally:
        # After a failure inside a larger transaction DuckDB refuses even this; the next build sets its own anyway.
        with suppress(duckdb.TransactionException):
            for name in variables:
                connection.execute(f"RESET VARIABLE {name}")


def _to_arrow(table: str, frame: pd.DataFrame) -> Any:
    """The frame by way of Arrow, where a column without any value has no type and casts to whatever the model says."""
    columns: dict[str, Any] = {}
    for name in frame.columns:
        try:
            columns[str(name)] = pa.Array.from_pandas(frame[name])
        except (pa.ArrowException, UnicodeError, OverflowError, ValueError, TypeError):
            # Without its cause: Arrow quotes the value that it could not take.
            raise ModelFailed(table, f"column {name} of its frame holds values of no single type") from None
    return pa.table(columns)


def _exists(connection: DuckDBPyConnection, table: str) -> bool:
    layer, name = table.split(".")
    found = connection.execute(
        "SELECT 1 FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = ? AND table_name = ?",
        [layer, name],
    )
    return bool(found.fetchall())


def _one(connection: DuckDBPyConnection, sql: str) -> Any:
    # To the last row: DuckDB lets nothing else happen on a connection while an answer is half read.
    return connection.execute(sql).fetchall()[0][0]


def _split(table: str) -> tuple[str, str]:
    match = _TABLE.fullmatch(table)
    if match is None:
        raise WarehouseError(f"{table!r} names no table: write layer.name, layer one of {', '.join(LAYERS)}")
    return match[1], match[2]


def _refuse_personal(table: str) -> None:
    layer, _ = _split(table)
    if layer in PERSONAL_LAYERS:
        raise WarehouseError(f"{table} may hold personal data: it is neither shown nor published")
