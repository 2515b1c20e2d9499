"""What the connector reads of Greenhouse's answers.

Belongs here: which model reads which list, which fields are words, which objects have data for keys. Does not belong
here: the models (`greenhouse_models`).
"""

from __future__ import annotations

from referral_pipeline.connectors.expected import LIST, Field, Fields, Shapes, fields_of
from referral_pipeline.connectors.greenhouse_models import (
    ApplicationRow,
    ApplicationStageRow,
    CandidateRow,
    GreenhouseRow,
    JobPostRow,
    JobRow,
    JobStageRow,
    NamedRow,
    OfferRow,
    OpeningRow,
    RejectionDetailRow,
    RejectionReasonRow,
)

_ROWS: tuple[tuple[type[GreenhouseRow], str, tuple[str, ...]], ...] = (
    (CandidateRow, "candidates", ()),
    (ApplicationRow, "applications", ("status", "stage_name")),
    (ApplicationStageRow, "application_stages", ()),
    (JobStageRow, "job_interview_stages", ("name",)),
    (JobRow, "jobs", ("status",)),
    (JobPostRow, "job_posts", ()),
    (OfferRow, "offers", ("status",)),
    (OpeningRow, "openings", ()),
    (RejectionDetailRow, "rejection_details", ()),
    (RejectionReasonRow, "rejection_reasons", ("type.key",)),
    (NamedRow, "sources", ()),
    (NamedRow, "departments", ()),
)


def _list(model: type[GreenhouseRow], words: tuple[str, ...]) -> Fields:
    return {"": Field(frozenset({LIST}), nullable=False), **fields_of(model, "[]", words=words)}


SHAPES = Shapes(
    operations={f"{entity}.list": _list(model, words) for model, entity, words in _ROWS},
    maps=frozenset({"custom_fields", "keyed_custom_fields"}),
)
