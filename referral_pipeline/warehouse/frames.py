"""Typed pandas frames from canonical records.

Belongs here: column kinds and the building of a frame whose columns have their type even when it is empty. Does not
belong here: which records (staging.py), casts of a model (sql/).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

import pandas as pd
import pyarrow as pa


class Kind(Enum):
    """What a column holds."""

    TEXT = "text"
    TIME = "time"
    DATE = "date"
    WHOLE = "whole"
    NUMBER = "number"
    FLAG = "flag"


Columns = Mapping[str, Kind]
"""Columns of a frame in order."""

_ARROW: Mapping[Kind, Any] = {
    Kind.TEXT: pa.string(),
    Kind.TIME: pa.timestamp("us", tz="UTC"),
    Kind.DATE: pa.date32(),
    Kind.WHOLE: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.FLAG: pa.bool_(),
}


def columns(
    *, text: str = "", time: str = "", date: str = "", whole: str = "", number: str = "", flag: str = ""
) -> dict[str, Kind]:
    """Columns by kind, each kind's names separated by spaces."""
    named = {
        Kind.TEXT: text,
        Kind.TIME: time,
        Kind.DATE: date,
        Kind.WHOLE: whole,
        Kind.NUMBER: number,
        Kind.FLAG: flag,
    }
    return {name: kind for kind, names in named.items() for name in names.split()}


def frame_of(records: Sequence[object], kinds: Columns) -> pd.DataFrame:
    """A frame with one row a record, its columns read from the attributes of the same names."""
    return _frame({name: [getattr(record, name) for record in records] for name in kinds}, kinds)


def frame_of_rows(rows: Iterable[Mapping[str, Any]], kinds: Columns) -> pd.DataFrame:
    """A frame with one row a mapping. A missing key is null."""
    every = list(rows)
    return _frame({name: [row.get(name) for row in every] for name in kinds}, kinds)


def _frame(values: Mapping[str, list[Any]], kinds: Columns) -> pd.DataFrame:
    series: dict[str, Any] = {}
    for name, kind in kinds.items():
        arrow = _ARROW[kind]
        series[name] = pd.Series(_array(values[name], kind, arrow), dtype=pd.ArrowDtype(arrow))
    return pd.DataFrame(series)


def _array(values: list[Any], kind: Kind, arrow: Any) -> Any:
    try:
        return pa.array(values, arrow)
    except UnicodeEncodeError:
        # Half a surrogate pair: JSON can carry it, UTF-8 cannot. One such name must not stop all others.
        return pa.array([None if v is None else str(v).encode("utf-8", "replace").decode() for v in values], arrow)
    except OverflowError:
        if kind is not Kind.WHOLE:
            raise
        return pa.array([v if v is None or -(2**63) <= v < 2**63 else None for v in values], arrow)
