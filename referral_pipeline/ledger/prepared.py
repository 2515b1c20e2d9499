"""Statements of the hot path: written in SQLAlchemy, compiled once, run by SQLite's own driver.

Belongs here: the compiled form and its values. Does not belong here: queries, transactions.

An event needs some twenty small statements before it is done, and on SQLite nineteen twentieths of such a statement is
SQLAlchemy's way to the driver and back. A `Prepared` keeps SQLAlchemy's text and its conversions of values, and goes
the way itself. On any other database it is the statement as it was.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

_DIALECT = sqlite.dialect()
_MOST_TEXTS = 1_000
_LIST = re.compile(r"__\[POSTCOMPILE_(\w+)\]")

Through = sa.Connection | sqlite3.Connection
"""What a prepared statement is run through: a connection, or SQLite's own where only reading is meant."""
_Convert = Callable[[Any], Any] | None


class Prepared:
    """One statement. Its values are named as the statement's parameters are; a list is a parameter that expands."""

    def __init__(self, statement: Any, *, names: Sequence[str] | None = None) -> None:
        """Compile nothing yet; `names` are the columns of an INSERT that are given values."""
        self._statement = statement
        self._names = list(names) if names is not None else None
        self._compiled: _Compiled | None = None

    def all(self, through: Through, **values: Any) -> list[Any]:
        """The rows, as tuples."""
        driver = _driver_of(through)
        if driver is None:
            assert isinstance(through, Connection)
            return [tuple(row) for row in through.execute(self._statement, values)]
        compiled = self._compiled or self._compile()
        text, parameters = compiled.bound(values)
        try:
            rows = driver.execute(text, parameters).fetchall()
        except sqlite3.Error as error:
            raise _told(error, text) from None
        return compiled.converted(rows)

    def run(self, through: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Run it for each of these values; answers how many rows were changed."""
        driver = _driver_of(through)
        if driver is None:
            return through.execute(self._statement, list(rows)).rowcount
        compiled = self._compiled or self._compile()
        text = compiled.text
        try:
            if len(rows) == 1:
                return driver.execute(*compiled.bound(rows[0])).rowcount
            return driver.executemany(text, [compiled.bound(row)[1] for row in rows]).rowcount
        except sqlite3.Error as error:
            raise _told(error, text) from None

    def each(self, through: Connection, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Run it for each of these values; what it returned, as tuples."""
        if _driver_of(through) is None:
            return [tuple(row) for row in through.execute(self._statement, list(rows))]
        return [answer for row in rows for answer in self.all(through, **row)]

    def _compile(self) -> _Compiled:
        self._compiled = _Compiled(self._statement, self._names)
        return self._compiled


class _Compiled:
    """The text for SQLite, and where each value goes."""

    def __init__(self, statement: Any, names: list[str] | None) -> None:
        compiled: Any = statement.compile(dialect=_DIALECT, column_keys=names)
        self.text: str = compiled.string
        self._order: list[str] = list(compiled.positiontup or ())
        binds: Mapping[str, sa.BindParameter[Any]] = compiled.binds
        self._lists = {name for name in self._order if binds[name].expanding}
        self._given = {name: bind.value for name, bind in binds.items() if not bind.required}
        self._bind: dict[str, _Convert] = {
            name: binds[name].type.dialect_impl(_DIALECT).bind_processor(_DIALECT) for name in self._order
        }
        columns: Sequence[Any] = compiled._result_columns if statement.is_select or _returns(statement) else ()
        converts: list[_Convert] = [
            column.type.dialect_impl(_DIALECT).result_processor(_DIALECT, None) for column in columns
        ]
        self._converts = [(place, convert) for place, convert in enumerate(converts) if convert is not None]
        self._texts: dict[tuple[int, ...], str] = {}

    def bound(self, values: Mapping[str, Any]) -> tuple[str, list[Any]]:
        """The text with as many places as the lists need, and the values in their order."""
        parameters: list[Any] = []
        given = self._given
        for name in self._order:
            value: Any = values[name] if name in values else given[name]
            convert = self._bind[name]
            if name in self._lists:
                parameters.extend(value if convert is None else map(convert, value))
            else:
                parameters.append(value if convert is None else convert(value))
        return (self._expanded(values) if self._lists else self.text), parameters

    def _expanded(self, values: Mapping[str, Any]) -> str:
        sizes = tuple(len(values[name]) for name in self._order if name in self._lists)
        text = self._texts.get(sizes)
        if text is None:
            # An empty list: SQLite takes `IN ()`, which holds nothing.
            text = _LIST.sub(lambda found: ",".join("?" * len(values[found[1]])), self.text)
            if len(self._texts) >= _MOST_TEXTS:
                self._texts.clear()
            self._texts[sizes] = text
        return text

    def converted(self, rows: list[Any]) -> list[Any]:
        """The rows with the values that the columns' types stand for."""
        if not self._converts or not rows:
            return rows
        found: list[Any] = []
        for row in rows:
            one = list(row)
            for place, convert in self._converts:
                one[place] = convert(one[place])  # type: ignore[misc]
            found.append(tuple(one))
        return found


def insert_many(through: Connection, table: str, text: str, rows: Sequence[tuple[Any, ...]]) -> tuple[int, int]:
    """Run an INSERT of SQLite for rows as the table holds them; the greatest id before, and how many were inserted."""
    driver = _driver_of(through)
    assert driver is not None
    try:
        ((last,),) = driver.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchall()  # noqa: S608 - our own
        return last, driver.executemany(text, rows).rowcount
    except sqlite3.Error as error:
        raise _told(error, text) from None


def begin(driver: sqlite3.Connection) -> None:
    """Begin to write: at once, because a transaction that reads first could be refused the writer's place."""
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        raise _told(error, "BEGIN IMMEDIATE") from None


def _returns(statement: Any) -> bool:
    return bool(getattr(statement, "_returning", ()))


def _driver_of(through: Through) -> sqlite3.Connection | None:
    if isinstance(through, sqlite3.Connection):
        return through
    driver: Any = through.connection.driver_connection
    return driver if isinstance(driver, sqlite3.Connection) else None


def _told(error: sqlite3.Error, text: str) -> BaseException:
    """The error as SQLAlchemy would raise it: its kinds are known by name elsewhere, and it hides the values."""
    return DBAPIError.instance(text, None, error, sqlite3.Error, hide_parameters=True, dialect=_DIALECT)
