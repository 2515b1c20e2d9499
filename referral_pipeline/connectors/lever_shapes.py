"""What the connector reads of Lever's answers.

Belongs here: which model reads which list, which fields are words, what a record may hold in two forms. Does not belong
here: the models (`lever_models`).
"""

from __future__ import annotations

from collections.abc import Mapping

from referral_pipeline.connectors.expected import FLAG, LIST, OBJECT, TEXT, Field, Fields, Shapes, fields_of
from referral_pipeline.connectors.lever_api import STATES
from referral_pipeline.connectors.lever_models import (
    LeverRow,
    OfferRow,
    OpportunityRow,
    PostingRow,
    ReasonRow,
    StageRow,
)

_Words = Mapping[str, frozenset[str] | None]
"""Field -> all that the connector understands; None where a customer makes the words."""

_ROWS: tuple[tuple[type[LeverRow], _Words], ...] = (
    (OpportunityRow, {}),
    (PostingRow, {"state": frozenset(STATES)}),
    (StageRow, {"text": None}),
    (ReasonRow, {"text": None, "type": frozenset({"hired", "non-hired"})}),
    (OfferRow, {"status": None}),
)
_ENVELOPE: Fields = {
    "": Field(frozenset({OBJECT}), nullable=False),
    "data": Field(frozenset({LIST}), required=True, nullable=False),
    "hasNext": Field(frozenset({FLAG})),
    "next": Field(frozenset({TEXT})),
}


def _row(model: type[LeverRow], at: str, words: _Words) -> Fields:
    fields = fields_of(model, at, words=words)
    # The connector puts this into an offer: the vendor's record does not name it.
    fields.pop(f"{at}.opportunity", None)
    # An application is its id, until it is asked to be written out.
    entries = f"{at}.applications[]"
    if entries in fields:
        fields[entries] = Field(frozenset({OBJECT, TEXT}))
    return fields


SHAPES = Shapes(
    operations={
        **{f"{model.entity}.list": {**_ENVELOPE, **_row(model, "data[]", words)} for model, words in _ROWS},
        **{
            f"{model.entity}.read": {"": _ENVELOPE[""], **_row(model, "data", words)}
            for model, words in _ROWS
            if model in (OpportunityRow, PostingRow)
        },
    }
)
