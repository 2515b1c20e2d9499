"""What the connector reads of Ashby's answers.

Belongs here: which model reads the answer of which call, which fields are words. Does not belong here: the models
(`ashby_models`).

The vendor leaves out what is empty, so that only what the models need must be there.
"""

from __future__ import annotations

from collections.abc import Mapping

from referral_pipeline.connectors.ashby_models import (
    ApplicationRow,
    AshbyRow,
    CandidateRow,
    DepartmentRow,
    HistoryItem,
    JobRow,
    OfferRow,
    PostingRow,
    StageRow,
)
from referral_pipeline.connectors.expected import FLAG, LIST, OBJECT, TEXT, Field, Fields, Shapes, fields_of

_Words = Mapping[str, frozenset[str] | None]
"""Field -> all that the connector understands; None where a customer makes the words."""

_STAGE_TYPES = frozenset({"Lead", "PreInterviewScreen", "Active", "Offer", "Archived", "Hired"})
_OF_STAGE: _Words = {"title": None, "type": _STAGE_TYPES}
_OF_APPLICATION: _Words = {
    "status": frozenset({"Hired", "Archived", "Active", "Lead"}),
    "archiveReason.reasonType": frozenset({"RejectedByCandidate", "RejectedByOrg", "Other"}),
    **{f"currentInterviewStage.{name}": words for name, words in _OF_STAGE.items()},
}
_LISTS: tuple[tuple[str, type[AshbyRow], _Words], ...] = (
    ("candidate.list", CandidateRow, {}),
    ("candidate.search", CandidateRow, {}),
    ("application.list", ApplicationRow, _OF_APPLICATION),
    ("job.list", JobRow, {"status": frozenset({"Open", "Closed", "Draft", "Archived"})}),
    ("jobPosting.list", PostingRow, {}),
    ("department.list", DepartmentRow, {}),
    ("interviewStage.list", StageRow, _OF_STAGE),
    ("offer.list", OfferRow, {"acceptanceStatus": None, "offerStatus": None}),
)
_RECORDS: tuple[tuple[str, type[AshbyRow], _Words], ...] = (
    ("candidate.info", CandidateRow, {}),
    ("application.info", ApplicationRow, _OF_APPLICATION),
    ("job.info", JobRow, {}),
)
_WHOLE: Fields = {"": Field(frozenset({OBJECT}), nullable=False), "success": Field(frozenset({FLAG}))}
_PAGE: Fields = {
    **_WHOLE,
    "results": Field(frozenset({LIST}), required=True, nullable=False),
    "moreDataAvailable": Field(frozenset({FLAG})),
    "nextCursor": Field(frozenset({TEXT})),
    "syncToken": Field(frozenset({TEXT})),
}
_HISTORY: Fields = {
    "results.applicationHistory": Field(frozenset({LIST})),
    **fields_of(HistoryItem, "results.applicationHistory[]", words={"title": None}),
}

SHAPES = Shapes(
    operations={
        **{call: {**_PAGE, **fields_of(model, "results[]", words=words)} for call, model, words in _LISTS},
        **{
            call: {**_WHOLE, **fields_of(model, "results", words=words), **(_HISTORY if "application" in call else {})}
            for call, model, words in _RECORDS
        },
    }
)
