"""Ashby's rows as far as the pipeline reads them, and the connector's options.

Belongs here: lenient models (unknown fields and new words pass), options. Does not belong here: what rows mean together
(`ashby_assemble`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, model_validator

from referral_pipeline.connectors.field_names import completed
from referral_pipeline.connectors.records import Row, RowProblem
from referral_pipeline.connectors.values import parse_day, parse_id, parse_instant, shape
from referral_pipeline.contract.systems import TAGS

SYSTEM = "ashby"


def title_of(name: str) -> str:
    """The title that a field of this name has where nobody gives it another."""
    return name.replace("_", " ").capitalize()


DEFAULT_FIELDS: Mapping[str, str] = {name: title_of(name) for name in TAGS}
"""Logical tag -> title of the application custom field."""


class AshbyOptions(BaseModel):
    """`ats.options` of a contract whose connector is ashby."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    source_name: str | None = None
    """The source that applications are given; it must exist in Ashby. None leaves it empty."""
    custom_fields: Mapping[str, str] = Field(default_factory=lambda: dict(DEFAULT_FIELDS))
    """Logical name -> title of the application custom field. Names left out keep their default."""
    credit_users: bool = True
    """Whether an advocate who is a user of Ashby gets the credit natively (`creditedToUserId`)."""
    referral_form: bool = False
    """Whether new candidates of such advocates are made with the referral form, where the plan has one."""
    stage_history: bool = True
    """Whether the history of stages is pulled: a call for each application that changed, or for all in a full pull."""
    visibility_lag_seconds: float = Field(default=30.0, ge=0)
    """How long a fresh record may stay out of lists. The vendor names no number."""
    connect_timeout_seconds: float = Field(default=5.0, gt=0)
    read_timeout_seconds: float = Field(default=30.0, gt=0)
    max_attempts: int = Field(default=6, ge=1, le=20)
    default_rate_limit: int | None = Field(default=None, ge=1)
    """Calls per 30 s; None: as many as come. The vendor publishes no number and sends no rate headers."""

    @model_validator(mode="after")
    def _complete_fields(self, info: ValidationInfo) -> Self:
        complete = completed(self.custom_fields, DEFAULT_FIELDS, info, called=title_of)
        if len({title_key(title) for title in complete.values()}) < len(complete):
            raise ValueError("custom_fields names the same field twice")
        object.__setattr__(self, "custom_fields", complete)
        return self


def title_key(title: object) -> str:
    """How titles of fields, sources and stages are compared: without regard to case and blanks."""
    return " ".join(str(title or "").split()).casefold()


Id = Annotated[str, BeforeValidator(parse_id)]
Instant = Annotated[datetime, BeforeValidator(parse_instant)]
Day = Annotated[date, BeforeValidator(parse_day)]


def _none_as_empty(value: object) -> object:
    return () if value is None else value


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class AshbyRow(_Part):
    """What every row has. Subclasses name what is read of theirs; `entity` is its name here."""

    entity: ClassVar[str]

    id: Id


class Named(_Part):
    """A record inside another one, of which the id counts, or a title."""

    id: Id
    title: str | None = None


class Contact(_Part):
    """One e-mail address or phone number."""

    value: str | None = Field(default=None, repr=False)


Contacts = Annotated[tuple[Contact, ...], BeforeValidator(_none_as_empty)]


class CandidateRow(AshbyRow):
    """A candidate. Personal data. The specification requires neither time; one of them is there in practice."""

    entity = "candidates"
    name: str | None = Field(default=None, repr=False)
    primary_email: Contact | None = Field(default=None, alias="primaryEmailAddress", repr=False)
    emails: Contacts = Field(default=(), alias="emailAddresses", repr=False)
    primary_phone: Contact | None = Field(default=None, alias="primaryPhoneNumber", repr=False)
    phones: Contacts = Field(default=(), alias="phoneNumbers", repr=False)
    application_ids: Annotated[tuple[Id, ...], BeforeValidator(_none_as_empty)] = Field(
        default=(), alias="applicationIds"
    )
    created_at: Instant = Field(alias="createdAt")
    updated_at: Instant | None = Field(default=None, alias="updatedAt")


class Stage(_Part):
    """A stage of an interview plan. `type` stays text: a word the vendor adds tomorrow must not stop the pull."""

    id: Id
    title: str | None = None
    type: str | None = None
    plan_id: Id | None = Field(default=None, alias="interviewPlanId")


class StageRow(AshbyRow):
    """A stage as it is pulled."""

    entity = "interview_stages"
    title: str | None = None
    type: str | None = None


class ArchiveReason(_Part):
    """Why an application was archived."""

    reason_type: str | None = Field(default=None, alias="reasonType")


class Opening(_Part):
    """An opening; a hire fills one."""

    closed_at: Instant | None = Field(default=None, alias="closedAt")


class ApplicationRow(AshbyRow):
    """An application. `status` stays text."""

    entity = "applications"
    status: str
    candidate: Named
    job: Named
    stage: Stage | None = Field(default=None, alias="currentInterviewStage")
    source: Named | None = None
    archive_reason: ArchiveReason | None = Field(default=None, alias="archiveReason")
    archived_at: Instant | None = Field(default=None, alias="archivedAt")
    credited_to: Named | None = Field(default=None, alias="creditedToUser")
    openings: Annotated[tuple[Opening, ...], BeforeValidator(_none_as_empty)] = ()
    custom_fields: Any = Field(default=None, alias="customFields", repr=False)
    created_at: Instant = Field(alias="createdAt")
    updated_at: Instant = Field(alias="updatedAt")


class HistoryItem(_Part):
    """One stage that an application entered."""

    stage_id: Id = Field(alias="stageId")
    title: str | None = None
    entered_at: Instant = Field(alias="enteredStageAt")
    left_at: Instant | None = Field(default=None, alias="leftStageAt")


class HistoryRow(AshbyRow):
    """The history of an application, as it is pulled: under the application's id."""

    entity = "application_history"
    history: Annotated[tuple[HistoryItem, ...], BeforeValidator(_none_as_empty)] = ()


class Place(_Part):
    """A location inside a job."""

    name: str | None = None


class JobRow(AshbyRow):
    """A job."""

    entity = "jobs"
    title: str | None = None
    status: str
    department_id: Id | None = Field(default=None, alias="departmentId")
    location: Place | None = None
    opened_at: Instant | None = Field(default=None, alias="openedAt")
    closed_at: Instant | None = Field(default=None, alias="closedAt")
    updated_at: Instant | None = Field(default=None, alias="updatedAt")


class PostingRow(AshbyRow):
    """A posting of a job."""

    entity = "job_postings"
    job_id: Id = Field(alias="jobId")
    is_listed: bool | None = Field(default=True, alias="isListed")
    link: str | None = Field(default=None, alias="externalLink")
    apply_link: str | None = Field(default=None, alias="applyLink")


class DepartmentRow(AshbyRow):
    """A department."""

    entity = "departments"
    name: str | None = None


class OfferVersion(_Part):
    """The newest version of an offer."""

    starts_on: Day | None = Field(default=None, alias="startDate")
    created_at: Instant | None = Field(default=None, alias="createdAt")


class OfferRow(AshbyRow):
    """An offer."""

    entity = "offers"
    application_id: Id = Field(alias="applicationId")
    acceptance: str | None = Field(default=None, alias="acceptanceStatus")
    status: str | None = Field(default=None, alias="offerStatus")
    decided_at: Instant | None = Field(default=None, alias="decidedAt")
    version: OfferVersion | None = Field(default=None, alias="latestVersion")


R = TypeVar("R", bound=AshbyRow)


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
