"""What the connector reads of Greenhouse's answers.

Belongs here: which model reads which list, which fields are words, which objects have data for keys. Does not belong
here: the models (`greenhouse_models`).
"""

from __future__ import annotations

from collections.abc import Mapping

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

_Words = Mapping[str, frozenset[str] | None]
"""Field -> all that the connector understands; None where a customer makes the words."""

_ROWS: tuple[tuple[type[GreenhouseRow], str, _Words], ...] = (
    (CandidateRow, "candidates", {}),
    (
        ApplicationRow,
        "applications",
        # The document knows in_process, some live answers say active.
        {"status": frozenset({"in_process", "active", "rejected", "hired", "converted"}), "stage_name": None},
    ),
    (ApplicationStageRow, "application_stages", {}),
    (JobStageRow, "job_interview_stages", {"name": None}),
    (JobRow, "jobs", {"status": frozenset({"open", "closed", "draft"})}),
    (JobPostRow, "job_posts", {}),
    (OfferRow, "offers", {"status": frozenset({"Created", "Accepted", "Rejected", "Deprecated"})}),
    (OpeningRow, "openings", {}),
    (RejectionDetailRow, "rejection_details", {}),
    (RejectionReasonRow, "rejection_reasons", {"type.key": None}),
    (NamedRow, "sources", {}),
    (NamedRow, "departments", {}),
)


def _list(model: type[GreenhouseRow], words: _Words) -> Fields:
    return {"": Field(frozenset({LIST}), nullable=False), **fields_of(model, "[]", words=words)}


SHAPES = Shapes(
    operations={f"{entity}.list": _list(model, words) for model, entity, words in _ROWS},
    maps=frozenset({"custom_fields", "keyed_custom_fields"}),
)
