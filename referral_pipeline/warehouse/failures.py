"""What can go wrong in the warehouse, told without the data that it went wrong on.

Belongs here: the error classes and the cleaning of DuckDB's messages. Does not belong here: retries, transactions.
"""

from __future__ import annotations

import re

import duckdb

_WORDS_ONLY = (duckdb.CatalogException, duckdb.BinderException, duckdb.ParserException)
"""Errors about the text of a model, found before any row is read."""

_NUMBER = re.compile(r"(?<![A-Za-z_\d])[\d][\d.:T+-]*")


class WarehouseError(Exception):
    """Something is wrong with the warehouse; the message says what, and holds no data."""


class WarehouseBusyError(WarehouseError):
    """Another process or thread held the warehouse for longer than we wait."""


class ModelFailed(WarehouseError):
    """A table could not be built. The table as it was before still stands."""

    def __init__(self, table: str, reason: str) -> None:
        super().__init__(f"model {table} failed, the table stays as it was: {reason}")
        self.table = table
        self.reason = reason


def without_values(error: Exception) -> str:
    """The message of an error of DuckDB or Arrow, without any value of a row.

    Errors about the text of a model are told in full: they name tables and columns. Of all others, what stands between
    the first and the last quotation mark, and every number, is left out: DuckDB quotes the value it stumbled on.
    """
    message = str(error)
    if isinstance(error, _WORDS_ONLY):
        return message.strip()
    # The excerpt of the model comes last; a value may itself contain such a line, so it is cut at the last one.
    message = message.rsplit("\n\nLINE ", 1)[0]
    quotes = [place for place, character in enumerate(message) if character in "'\"`"]
    if quotes:
        message = f"{message[: quotes[0]]}…{message[quotes[-1] + 1 :] if len(quotes) > 1 else ''}"
    return _NUMBER.sub("…", message).strip()
