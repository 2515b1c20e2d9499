"""Lever's records as far as the pipeline reads them, and the connector's options.

Belongs here: lenient models (unknown fields and new words pass), options. Does not belong here: what records mean
together (`lever_assemble`).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, ClassVar, Self, TypeVar, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from referral_pipeline.connectors.field_names import completed
from referral_pipeline.connectors.records import Row, RowProblem
from referral_pipeline.connectors.values import parse_id, parse_instant, shape

SYSTEM = "lever"

TAG_NAMES: tuple[str, ...] = ("referral_id", "advocate_id", "share_id", "content_id", "campaign_tag")
ENRICHMENT_NAMES: tuple[str, ...] = ("clicks", "shares", "reach")
DEFAULT_FIELDS: Mapping[str, str] = {
    **{name: name for name in TAG_NAMES},
    **{name: f"advocacy_{name}" for name in ENRICHMENT_NAMES},
}


class LeverOptions(BaseModel):
    """`ats.options` of a contract whose connector is lever."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    perform_as: str
    """The id of the Lever user in whose name everything is written."""
    source_name: str | None = None
    """The source that new opportunities are given; Lever makes it when it is new. None leaves it empty."""
    custom_fields: Mapping[str, str] = Field(default_factory=lambda: dict(DEFAULT_FIELDS))
    """Logical name -> what stands before the colon in the tag that carries it. Names left out keep their default."""
    withdrawn_reasons: tuple[str, ...] = ("Withdrew", "Offer declined")
    """The archive reasons by which a candidate withdraws; by any other that is no hire, the company rejects."""
    initial_stage: str | None = None
    """The id of the stage that new opportunities begin in; None leaves it to Lever (`lead-new`)."""
    visibility_lag_seconds: float = Field(default=30.0, ge=0)
    """How long a fresh record may stay out of lists. The vendor names no number."""
    connect_timeout_seconds: float = Field(default=5.0, gt=0)
    read_timeout_seconds: float = Field(default=30.0, gt=0)
    max_attempts: int = Field(default=6, ge=1, le=20)
    calls_per_second: int = Field(default=10, ge=1)
    """What Lever allows a key: 10 a second."""

    @field_validator("perform_as")
    @classmethod
    def _is_id(cls, value: str) -> str:
        try:
            return str(uuid.UUID(value))
        except ValueError:
            raise ValueError("must be the id of a Lever user (a UUID)") from None

    @model_validator(mode="after")
    def _complete_fields(self, info: ValidationInfo) -> Self:
        complete = completed(self.custom_fields, DEFAULT_FIELDS, info)
        for name, label in complete.items():
            if not label.strip() or ":" in label:
                raise ValueError(f"custom_fields.{name} must be a name without a colon, which begins a tag")
        if len({label.strip().casefold() for label in complete.values()}) < len(complete):
            raise ValueError("custom_fields names the same tag twice")
        object.__setattr__(self, "custom_fields", complete)
        return self


def parse_millis(value: object) -> datetime:
    """(5) A moment from epoch milliseconds, as a number or its digits; an ISO text passes too.

    Raises:
        ValueError: When it is none.
    """
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return parse_instant(value)
    return parse_instant(value / 1000)


def parse_millis_day(value: object) -> date:
    """The day in UTC of a moment in epoch milliseconds, or a date as text.

    Raises:
        ValueError: When it is none.
    """
    if isinstance(value, str) and len(value.strip()) == len("2026-11-23"):
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("not a date") from None
    return parse_millis(value).astimezone(UTC).date()


def _id_of(value: object) -> str:
    """An id, or that of the record that was written out in its place."""
    if isinstance(value, Mapping):
        value = cast("Mapping[str, Any]", value).get("id")
    return parse_id(value)


def _none_as_empty(value: object) -> object:
    return () if value is None else value


def _objects(value: object) -> object:
    """The objects of a list; ids stand there where nothing was written out."""
    if not isinstance(value, list):
        return ()
    return [one for one in cast("list[Any]", value) if isinstance(one, Mapping)]


Id = Annotated[str, BeforeValidator(_id_of)]
Instant = Annotated[datetime, BeforeValidator(parse_millis)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_none_as_empty)]


class LeverRow(BaseModel):
    """What every record has. Subclasses name what is read of theirs; `entity` is the list."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)
    entity: ClassVar[str]

    id: Id


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class Phone(_Part):
    """One phone number."""

    value: str | None = Field(default=None, repr=False)


class StageChange(_Part):
    """One step from stage to stage."""

    to_stage: Id = Field(alias="toStageId")
    at: Instant = Field(alias="updatedAt")


class Archived(_Part):
    """That an opportunity ended: why and when."""

    reason: Id | None = None
    at: Instant | None = Field(default=None, alias="archivedAt")


class Application(_Part):
    """The application inside an opportunity; it alone names the posting."""

    id: Id
    posting: Id | None = None
    type: str | None = None
    user: Id | None = None


class OpportunityRow(LeverRow):
    """One candidacy. Personal data: name and addresses of its contact."""

    entity = "opportunities"
    contact: Id
    name: str | None = Field(default=None, repr=False)
    emails: Texts = Field(default=(), repr=False)
    phones: Annotated[tuple[Phone, ...], BeforeValidator(_none_as_empty)] = Field(default=(), repr=False)
    created_at: Instant = Field(alias="createdAt")
    updated_at: Instant | None = Field(default=None, alias="updatedAt")
    interaction_at: Instant | None = Field(default=None, alias="lastInteractionAt")
    archived: Archived | None = None
    archived_at: Instant | None = Field(default=None, alias="archivedAt")
    archive_reason: Id | None = Field(default=None, alias="archiveReason")
    stage: Id | None = None
    stage_changes: Annotated[tuple[StageChange, ...], BeforeValidator(_none_as_empty)] = Field(
        default=(), alias="stageChanges"
    )
    tags: Texts = Field(default=(), repr=False)
    sources: Texts = ()
    applications: Annotated[tuple[Application, ...], BeforeValidator(_objects)] = ()
    is_anonymized: bool | None = Field(default=False, alias="isAnonymized")

    @property
    def ended(self) -> Archived | None:
        """Why and when it ended, in whichever of the two forms it is told; None while it goes on."""
        if self.archived is not None:
            return self.archived
        if self.archived_at is None and self.archive_reason is None:
            return None
        return Archived.model_construct(reason=self.archive_reason, at=self.archived_at)

    @property
    def posting(self) -> str | None:
        """The posting that it is for; None for a lead."""
        return self.applications[0].posting if self.applications else None

    @property
    def changed_at(self) -> datetime:
        """When it last changed. Old ones were never given `updatedAt`."""
        moments = [self.created_at, *(change.at for change in self.stage_changes)]
        ended = self.ended
        if ended is not None and ended.at is not None:
            moments.append(ended.at)
        return self.updated_at or max(moments)


class StageRow(LeverRow):
    """A stage of the account's pipeline."""

    entity = "stages"
    text: str = ""


class ReasonRow(LeverRow):
    """An archive reason."""

    entity = "archive_reasons"
    text: str = ""
    type: str | None = None


class Categories(_Part):
    """How a posting is sorted."""

    department: str | None = None
    location: str | None = None


class Urls(_Part):
    """Where a posting is shown."""

    show: str | None = None


class PostingRow(LeverRow):
    """A job posting."""

    entity = "postings"
    text: str
    state: str
    categories: Categories | None = None
    urls: Urls | None = None
    created_at: Instant | None = Field(default=None, alias="createdAt")
    updated_at: Instant | None = Field(default=None, alias="updatedAt")


class OfferField(_Part):
    """One field of an offer."""

    identifier: str | None = None
    value: Any = Field(default=None, repr=False)


class OfferRow(LeverRow):
    """An offer. `opportunity` is put in by the connector: the vendor's record does not name it."""

    entity = "offers"
    opportunity: Id
    status: str = ""
    created_at: Instant = Field(alias="createdAt")
    sent_at: Instant | None = Field(default=None, alias="sentAt")
    fields: Annotated[tuple[OfferField, ...], BeforeValidator(_none_as_empty)] = ()

    @property
    def starts_on(self) -> date | None:
        """The first day at work that it names."""
        for field in self.fields:
            if field.identifier == "anticipated_start_date" and field.value not in {None, ""}:
                try:
                    return parse_millis_day(field.value)
                except ValueError:
                    return None
        return None


R = TypeVar("R", bound=LeverRow)


def read_row(model: type[R], row: Row) -> R | RowProblem:
    """A row as a model, or why it could not be read, without its content."""
    try:
        return model.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = str(first["loc"][0]) if first["loc"] else ""
        reason = "missing" if first["type"] == "missing" else first["msg"].removeprefix("Value error, ")
        record_id = row.get("id")
        return RowProblem(
            system=SYSTEM,
            entity=model.entity,
            record_id=str(record_id) if isinstance(record_id, int | str) else "",
            field=where,
            reason=reason,
            shape=shape(row.get(where)),
        )
