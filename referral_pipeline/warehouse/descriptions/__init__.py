"""What every published table and column means, in one sentence each.

Belongs here: reading the sentences (one file a layer, beside this one). Does not belong here: types and row counts (the
tables know them), where the sentences are shown (Dagster, `query --tables`, comments of the published copy).

One place, because three copies of a sentence are three truths. A test holds it complete: each column of each published
table has a sentence, and no sentence is about a column that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

__all__ = ["TableDescription", "describe", "described_tables"]

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class TableDescription:
    """What one row of a table is, and what each of its columns says."""

    about: str
    columns: Mapping[str, str] = field(default_factory=dict[str, str])


def describe(table: str) -> TableDescription | None:
    """The description of `layer.name`; None for a table that nobody described."""
    return _layer(table.partition(".")[0]).get(table)


def described_tables() -> list[str]:
    """Every table that is described, as `layer.name`, in order."""
    return sorted(table for path in _FOLDER.glob("*.yaml") for table in _layer(path.stem))


@cache
def _layer(layer: str) -> dict[str, TableDescription]:
    path = _FOLDER / f"{layer}.yaml"
    if not path.is_file():
        return {}
    read: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {
        f"{layer}.{name}": TableDescription(about=str(entry["about"]), columns=dict(entry["columns"]))
        for name, entry in read.items()
    }
