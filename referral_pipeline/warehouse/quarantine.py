"""The quarantine: what staging set aside, why, and how much of it, without a single value.

Belongs here: problems with their level, their counting, and `staging.quarantine`, written and read. Does not belong
here: the rules that find a problem (staging.py, the connectors).
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
        first: dict[tuple[str, str | int], str] = {}
        for number, item in enumerate(self._of(Level.RECORD, entity)):
            # Records without an id are each one of their own.
            first.setdefault((item.problem.entity, item.problem.record_id or number), item.why)
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


@dataclass(frozen=True)
class Kept:
    """One problem as `staging.quarantine` keeps it: what is wrong, what the value looks like, and what to do about it.

    `level` is record (the row is left out) or field (the row goes on without it).
    """

    system: str
    entity: str
    record_id: str
    level: str
    field: str
    problem: str
    shape: str
    mend: str


def read_quarantine(warehouse: Warehouse, wanted: Mapping[str, str], *, limit: int) -> tuple[list[Kept], int]:
    """The problems that stand since the last refresh, and how many there are; records that are left out first.

    Args:
        warehouse: whose staging was built.
        wanted: of which system, entity, record_id, field or level; equal in all that are named.
        limit: how many problems are answered at most.

    Raises:
        KeyError: a name in `wanted` is none of these.
        WarehouseError: nothing was staged yet.
    """
    where = " AND ".join(["true", *(f'"{name}" = ${name}' for name in wanted if _QUARANTINE[name])])
    with warehouse.connect() as connection:
        warehouse.row_count("staging.quarantine")  # says what to do when there is none yet
        rows = connection.execute(
            "SELECT system, entity, record_id, level, field, reason, shape, count(*) OVER () FROM staging.quarantine"  # noqa: S608 - our own names
            f" WHERE {where} ORDER BY level DESC, system, entity, record_id, field, reason LIMIT {limit}",
            dict(wanted),
        ).fetchall()
    return [_kept(*row[:7]) for row in rows], int(rows[0][7]) if rows else 0


def _kept(system: str, entity: str, record_id: str, level: str, field: str, reason: str, shape: str) -> Kept:
    # Readers of files end their reason with its mend; what a system sent is mended there.
    problem, _, mend = reason.partition("; ")
    where = "the file" if system == "files" else system
    mend = mend or f"correct it in {where}; the next refresh reads it again"
    return Kept(system, entity, record_id, level, field, problem, shape, mend)
