"""What the connector reads of Radancy's answers.

Belongs here: the operations and their models. Does not belong here: the models (`radancy_models`).
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from referral_pipeline.connectors.expected import LIST, NUMBER, OBJECT, TEXT, Field, Fields, Shapes, fields_of
from referral_pipeline.connectors.radancy_models import ApplicationRow, JobRow, JobStatus, Status, UserRow

_WORDS: Mapping[type[BaseModel], Mapping[str, frozenset[str] | None]] = {
    ApplicationRow: {"status": frozenset(Status)},
    JobRow: {"status": frozenset(JobStatus)},
    UserRow: {"status": None},
}


def _read(model: type[BaseModel], at: str) -> dict[str, Field]:
    own = fields_of(model, at, words=_WORDS[model])
    # What the connector adds to a row that does not show it.
    added = ("job.referenceNumber", "department.name")
    return {path: field for path, field in own.items() if not path.endswith(added)}


def _page(model: type[BaseModel]) -> Fields:
    return {
        "": Field(frozenset({OBJECT}), nullable=False),
        "total": Field(frozenset({NUMBER}), required=True, nullable=False),
        "items": Field(frozenset({LIST}), required=True, nullable=False),
        **_read(model, "items[]"),
    }


_NAMES: Fields = {
    "[]": Field(frozenset({OBJECT})),
    "[].id": Field(frozenset({TEXT}), required=True),
    "[].name": Field(frozenset({TEXT})),
}

SHAPES = Shapes(
    {
        "users.list": _page(UserRow),
        "applications.list": _page(ApplicationRow),
        "applications.get": _read(ApplicationRow, ""),
        "jobs.list": _page(JobRow),
        "jobs.get": _read(JobRow, ""),
        "departments.list": _NAMES,
        "locations.list": _NAMES,
    }
)
