"""The quarantine: what staging set aside, why, and how much of it, without a single value.

Belongs here: problems with their level, their counting, and `staging.quarantine`. Does not belong here: the rules that
find a problem (staging.py, the connectors).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Literal

from referral_pipeline.connectors.records import RowProblem
from referral_pipeline.warehouse.frames import columns, frame_of_rows
from referral_pipeline.warehouse.store import Warehouse

ADVOCACY_ENTITIES = frozenset({"advocates", "content", "shares", "clicks", "referrals"})
_FILES = frozenset({"costs", "manual_intake"})
"""Kept by people as files, and each a side of its own."""

_QUARANTINE = columns(text="system entity record_id field reason shape level")


class Level(StrEnum):
    """How much of a record a problem costs."""

    RECORD = "record"  # the row is left out
    FIELD = "field"  # the row goes on without that field


@dataclass(frozen=True)
class Quarantined:
    """One problem of one record."""

    problem: RowProblem
    level: Level

    @property
    def why(self) -> str:
        """Field and reason in words, the heading under which it is counted: "email has no @"."""
        return f"{self.problem.field} {self.problem.reason}".strip()


@dataclass(frozen=True)
class StagingReport:
    """What staging made: rows by table, and what it set aside.

    A record that is left out counts once, under the first of its reasons, so that the counts add up to records.
    """

    rows: Mapping[str, int]
    quarantine: Sequence[Quarantined] = ()

    @property
    def quarantined_records(self) -> dict[str, int]:
        """Records left out, by reason."""
        return self.quarantined_records_by_reason()

    @property
    def quarantined_fields(self) -> dict[str, int]:
        """Fields left out of records that went on, by reason."""
        return self.quarantined_fields_by_reason()

    def quarantined_records_by_reason(self, entity: str | None = None) -> dict[str, int]:
        """Records left out, by reason, of one entity or of all."""
        first: dict[tuple[str, str], str] = {}
        for item in self._of(Level.RECORD, entity):
            first.setdefault((item.problem.entity, item.problem.record_id), item.why)
        return dict(sorted(Counter(first.values()).items()))

    def quarantined_fields_by_reason(self, entity: str | None = None) -> dict[str, int]:
        """Fields left out, by reason, of one entity or of all."""
        return dict(sorted(Counter(item.why for item in self._of(Level.FIELD, entity)).items()))

    def _of(self, level: Level, entity: str | None) -> list[Quarantined]:
        return [i for i in self.quarantine if i.level is level and (entity is None or i.problem.entity == entity)]


def judged(problems: Sequence[RowProblem], kept: Mapping[str, Collection[str]]) -> list[Quarantined]:
    """A connector's problems with their level: a record that the connector handed over all the same lost a field.

    Args:
        problems: as the connector found them.
        kept: ids of the records that it handed over, by entity.
    """
    return [Quarantined(p, Level.FIELD if p.record_id in kept.get(p.entity, ()) else Level.RECORD) for p in problems]


def save_quarantine(
    warehouse: Warehouse, found: Sequence[Quarantined], *, side: Literal["advocacy", "ats", "costs", "manual_intake"]
) -> int:
    """Replace one side's rows of `staging.quarantine`, keeping the others'; answers how many rows it has in all."""
    kept: list[dict[str, str]] = []
    if warehouse.has_table("staging.quarantine"):
        for row in warehouse.frame("SELECT * FROM staging.quarantine").to_dict("records"):
            if _side_of(str(row["entity"])) != side:
                kept.append({str(name): str(value) for name, value in row.items()})
    new = [{**asdict(item.problem), "level": item.level.value} for item in found]
    return warehouse.replace("staging.quarantine", frame_of_rows([*kept, *new], _QUARANTINE))


def _side_of(entity: str) -> str:
    return "advocacy" if entity in ADVOCACY_ENTITIES else entity if entity in _FILES else "ats"
