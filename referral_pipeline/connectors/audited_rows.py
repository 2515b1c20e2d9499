"""What an audit tells of rows, whichever system they are of.

Belongs here: whether rows hold what the connector reads of them. Does not belong here: reading rows, a vendor's models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel

from referral_pipeline.connectors.capabilities import ALWAYS, Area, Capability, Question
from referral_pipeline.connectors.records import Row, RowProblem


def fields_line(
    entity: str, model: type[BaseModel], read: Callable[[Any, Row], BaseModel | RowProblem], rows: Sequence[Row]
) -> Capability:
    """Whether rows can be understood: what is required of them is there, and what is optional is named."""
    question = Question(
        Area.FIELDS,
        f"{entity}.fields",
        f"Rows of {entity.replace('_', ' ')} hold what is read of them",
        "every row is understood",
        "rows that cannot be read are set aside, and optional fields that are absent count as empty",
        (ALWAYS,),
    )
    if not rows:
        return question.not_verified("no row was read")
    wrong = [found for row in rows if isinstance(found := read(model, row), RowProblem)]
    if wrong:
        first = wrong[0]
        told = f"{len(wrong)} of {len(rows)} cannot be read: {first.field} is {first.reason} ({first.shape})"
        return question.missing(told) if len(wrong) == len(rows) else question.partial(told)
    present = set[str]().union(*rows)
    names = {info.alias or name: info for name, info in model.model_fields.items()}
    required = sorted(name for name, info in names.items() if info.is_required())
    absent = sorted(set(names) - present)
    told = f"{len(rows)} rows, each with {', '.join(required)}"
    return question.partial(f"{told}; never {', '.join(absent)}") if absent else question.covered(told)
