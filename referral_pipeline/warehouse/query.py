"""Questions that people ask the published copy in SQL, and the answers in words that can be printed.

Belongs here: which statements are let through, what an error means to the one who typed, exact text of every value,
which tables there are, reading them as a warehouse is read. Does not belong here: opening the copy
(store.Warehouse.published), drawing (cli_query).

The copy is open read-only, without files, network or settings (`published(locked=True)`): what is refused here is
refused for a better message, but for EXPLAIN ANALYZE, which could write to DuckDB's own folder for spilling. Nothing
published names a person, so errors may show what DuckDB says.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import duckdb
from duckdb import DuckDBPyConnection

from referral_pipeline.escapes import safe_cell, visible
from referral_pipeline.warehouse.failures import WarehouseError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Asked",
    "ColumnInfo",
    "PublishedTables",
    "TableInfo",
    "as_csv",
    "as_json_value",
    "as_text",
    "ask",
    "published_tables",
]

_PAGE = 10_000
_READING = frozenset({"SELECT", "EXPLAIN"})
"""Kinds of statements that only read. DESCRIBE, SHOW, SUMMARIZE, FROM and WITH count as SELECT."""

_RUNS_IT = re.compile(r"(?is)(?:--[^\n]*\n|/\*.*?\*/|\s)*explain(?:--[^\n]*\n|/\*.*?\*/|\s|\()*analy[sz]e\b")

_LOOK = "`referral-pipeline query --tables` describes tables and columns"


@dataclass(frozen=True)
class Asked:
    """An answer under way: names and DuckDB types of its columns, and its rows, page by page."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    pages: Iterator[Sequence[tuple[Any, ...]]]


@dataclass(frozen=True)
class PublishedTables:
    """The published copy, read as a warehouse is: what stands in it belongs together and is of one moment."""

    connection: DuckDBPyConnection

    def frame(self, sql: str, params: Sequence[Any] | None = None) -> pd.DataFrame:
        """The answer to a query, times in UTC."""
        return self.connection.execute(sql, params).df()

    def has_table(self, table: str) -> bool:
        """Whether `layer.name` is in the copy."""
        layer, _, name = table.partition(".")
        found = self.connection.execute(
            "SELECT count(*) FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?", [layer, name]
        ).fetchall()
        return bool(found[0][0])


@dataclass(frozen=True)
class ColumnInfo:
    """A column with its DuckDB type and what it means; None where nobody described it."""

    name: str
    type: str
    about: str | None


@dataclass(frozen=True)
class TableInfo:
    """A published table, as `layer.name`, with its number of rows and what a row is."""

    table: str
    rows: int
    about: str | None
    columns: tuple[ColumnInfo, ...]


def ask(connection: DuckDBPyConnection, sql: str) -> Asked:
    """Run one statement that reads.

    Raises:
        WarehouseError: it is none or not one, it does not only read, or DuckDB cannot answer it; also while pages are
            read. The message is one line with the mend.
    """
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise WarehouseError(_in_words(connection, error)) from None
    if len(statements) != 1:
        found = "there is none" if not statements else f"there are {len(statements)}"
        raise WarehouseError(f"write one SELECT statement: {found}")
    kind = statements[0].type.name
    if kind not in _READING:
        raise WarehouseError(f"the published copy can only be read: write SELECT, not {kind}")
    if kind == "EXPLAIN" and _RUNS_IT.match(statements[0].query.strip()):
        raise WarehouseError("EXPLAIN ANALYZE runs what it explains, whatever that is: write EXPLAIN, or the SELECT")
    try:
        answer = connection.execute(statements[0])
    except duckdb.Error as error:
        raise WarehouseError(_in_words(connection, error)) from None
    described = cast("Sequence[tuple[Any, ...]]", answer.description or ())
    return Asked(
        columns=tuple(str(column[0]) for column in described),
        types=tuple(str(column[1]) for column in described),
        pages=_pages(connection, answer),
    )


def _pages(connection: DuckDBPyConnection, answer: DuckDBPyConnection) -> Iterator[Sequence[tuple[Any, ...]]]:
    while True:
        try:
            page = cast("Sequence[tuple[Any, ...]]", answer.fetchmany(_PAGE))
        except duckdb.Error as error:
            raise WarehouseError(_in_words(connection, error)) from None
        if not page:
            return
        yield page


def _in_words(connection: DuckDBPyConnection, error: duckdb.Error) -> str:
    """DuckDB's first lines without its picture of the statement, and what to do about it."""
    # A value that cannot be converted is told, whatever it would have a terminal do.
    words = visible(" ".join(str(error).split("\n\nLINE ", 1)[0].split()))
    words = words.partition("Error: ")[2] or words
    match error:
        case duckdb.CatalogException() if words.startswith("Table with name"):
            tables = ", ".join(info.table for info in _tables(connection))
            words = words.partition(" Did you mean")[0]
            return f"{words} Published are: {tables}. raw and staging hold personal data and are not published"
        case duckdb.CatalogException() | duckdb.BinderException():
            return f"{words}; {_LOOK}"
        case duckdb.ParserException():
            return f"{words}; write one SELECT statement of DuckDB's SQL"
        case duckdb.PermissionException():
            return "only the published tables can be read: no file, no network, no extension"
        case _:
            return words


# ---------------------------------------------------------------- which tables there are


def published_tables(connection: DuckDBPyConnection) -> list[TableInfo]:
    """Every table of the copy with its rows, in order."""
    return [
        TableInfo(table=info.table, rows=_count(connection, info.table), about=info.about, columns=info.columns)
        for info in _tables(connection)
    ]


def _tables(connection: DuckDBPyConnection) -> list[TableInfo]:
    columns: dict[str, list[ColumnInfo]] = {}
    for table, name, kind, about in connection.execute(
        "SELECT schema_name || '.' || table_name, column_name, data_type, comment FROM duckdb_columns()"
        " WHERE NOT internal AND database_name = current_database() ORDER BY 1, column_index"
    ).fetchall():
        columns.setdefault(str(table), []).append(ColumnInfo(str(name), str(kind), about))
    abouts: Mapping[str, str | None] = dict(
        connection.execute(
            "SELECT schema_name || '.' || table_name, comment FROM duckdb_tables()"
            " WHERE database_name = current_database()"
        ).fetchall()
    )
    return [TableInfo(table, 0, abouts.get(table), tuple(found)) for table, found in columns.items()]


def _count(connection: DuckDBPyConnection, table: str) -> int:
    layer, _, name = table.partition(".")
    # Names come from the catalogue of the copy.
    [(rows,)] = connection.execute(f'SELECT count(*) FROM "{layer}"."{name}"').fetchall()  # noqa: S608
    return int(rows)


# ---------------------------------------------------------------- values


def as_json_value(value: Any) -> Any:
    """A value as JSON can hold it, exactly: decimals and non-finite numbers as text, times as RFC 3339 in UTC."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case datetime():
            return _instant(value)
        case date() | time():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case timedelta():
            return str(value)
        case bytes() | bytearray():
            return value.hex()
        case dict():
            return {str(key): as_json_value(inner) for key, inner in cast("dict[Any, Any]", value).items()}
        case list() | tuple():
            return [as_json_value(inner) for inner in cast("Sequence[Any]", value)]
        case _:
            return str(value)


def as_text(value: Any) -> str:
    """A value as one line of text, exactly; null for None."""
    plain = as_json_value(value)
    match plain:
        case None:
            return "null"
        case str():
            return plain
        case _:
            # Numbers as JSON writes them, which is the shortest text that reads back as the same number.
            return json.dumps(plain, ensure_ascii=False)


def as_csv(values: Sequence[Any], *, exact: bool = False) -> str:
    """One line of RFC 4180. Null is an empty field, an empty text is `""`: they are different answers.

    Args:
        values: of one row, or the names of the columns.
        exact: leave a text that a spreadsheet would take for a formula as it is, for programs. Without it such a text
            has an apostrophe before it; numbers and times are the same either way.
    """
    return ",".join("" if value is None else _csv_field(_csv_text(value, exact=exact)) for value in values)


def _csv_text(value: Any, *, exact: bool) -> str:
    text = as_text(value)
    return (
        text if exact or isinstance(value, bool | int | float | Decimal | date | time | timedelta) else safe_cell(text)
    )


def _csv_field(text: str) -> str:
    if text and not any(letter in text for letter in ',"\r\n'):
        return text
    return '"' + text.replace('"', '""') + '"'


def _instant(moment: datetime) -> str:
    # The session is in UTC, so that a time without a zone is in UTC too.
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.isoformat().replace("+00:00", "Z")
