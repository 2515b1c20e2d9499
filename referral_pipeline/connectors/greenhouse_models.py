"""Greenhouse's rows as far as the pipeline reads them, and the connector's options.

Belongs here: lenient models (unknown fields and new words pass), options. Does not belong here: what rows mean together
(`greenhouse_assemble`).

The vendor's schemas forbid further properties and its live tenants send them all the same, so nothing here validates
strictly: only what cannot be understood makes a row a problem.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Self, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, model_validator

from referral_pipeline.connectors.field_names import completed
from referral_pipeline.connectors.records import Row, RowProblem
from referral_pipeline.connectors.values import parse_day, parse_id, parse_instant, shape

SYSTEM = "greenhouse"

TAG_NAMES: tuple[str, ...] = ("referral_id", "advocate_id", "share_id", "content_id", "campaign_tag")
ENRICHMENT_NAMES: tuple[str, ...] = ("clicks", "shares", "reach")
DEFAULT_FIELDS: Mapping[str, str] = {
    **{name: name for name in TAG_NAMES},
    **{name: f"advocacy_{name}" for name in ENRICHMENT_NAMES},
}


class IngestionOptions(BaseModel):
    """`ats.options.ingestion` of a contract whose connector is greenhouse."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    api_key_env: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    """The variable that holds the partner's API key."""
    on_behalf_of: str = Field(min_length=3)
    """E-mail address of the user in whose name candidates are handed in; normally a service user."""
    base_url: str | None = None
    """None is the vendor's address; in a sandbox, the host of `ats.base_url`."""


class GreenhouseOptions(BaseModel):
    """`ats.options` of a contract whose connector is greenhouse."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    source_name: str | None = None
    """The source that new applications are given; it must exist in Greenhouse. None leaves it empty."""
    custom_fields: Mapping[str, str] = Field(default_factory=lambda: dict(DEFAULT_FIELDS))
    """Logical name -> `name_key` of the application custom field. Names left out keep their default."""
    acting_user_id: int | None = Field(default=None, gt=0)
    """The user the token acts as (`sub`); None is the integration's service user."""
    visibility_lag_seconds: float = Field(default=30.0, ge=0)
    """How long a fresh record may stay out of lists. The vendor names no number."""
    connect_timeout_seconds: float = Field(default=5.0, gt=0)
    read_timeout_seconds: float = Field(default=30.0, gt=0)
    max_attempts: int = Field(default=6, ge=1, le=20)
    default_rate_limit: int | None = Field(default=50, ge=1)
    """Calls per 30 s until the first header tells; the vendor publishes none, one production connector budgets 50."""
    ingestion: IngestionOptions | None = None
    """A partner's way in for new candidates; None creates them by Harvest."""

    @model_validator(mode="after")
    def _complete_fields(self, info: ValidationInfo) -> Self:
        complete = completed(self.custom_fields, DEFAULT_FIELDS, info)
        if len(set(complete.values())) < len(complete):
            raise ValueError("custom_fields names the same field twice")
        object.__setattr__(self, "custom_fields", complete)
        return self


Id = Annotated[str, BeforeValidator(parse_id)]
Instant = Annotated[datetime, BeforeValidator(parse_instant)]
Day = Annotated[date, BeforeValidator(parse_day)]


def _none_as_empty(value: object) -> object:
    return () if value is None else value


class GreenhouseRow(BaseModel):
    """What every row has. Subclasses name what is read of theirs; `entity` is the resource."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)
    entity: ClassVar[str]

    id: Id


class Contact(BaseModel):
    """One e-mail address or phone number."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    value: str | None = Field(default=None, repr=False)


class CandidateRow(GreenhouseRow):
    """A candidate. Personal data."""

    entity = "candidates"
    first_name: str | None = Field(default=None, repr=False)
    last_name: str | None = Field(default=None, repr=False)
    email_addresses: Annotated[tuple[Contact, ...], BeforeValidator(_none_as_empty)] = Field(default=(), repr=False)
    phone_numbers: Annotated[tuple[Contact, ...], BeforeValidator(_none_as_empty)] = Field(default=(), repr=False)
    created_at: Instant
    updated_at: Instant


class ApplicationRow(GreenhouseRow):
    """An application. `status` stays text: a word the vendor adds tomorrow must not stop the pull."""

    entity = "applications"
    candidate_id: Id
    job_id: Id | None = None
    status: str
    prospect: bool | None = False
    job_interview_stage_id: Id | None = None
    stage_name: str | None = None
    source_id: Id | None = None
    referrer_id: Id | None = None
    rejected_at: Instant | None = None
    rejection_reason_id: Id | None = None
    custom_fields: Any = Field(default=None, repr=False)
    created_at: Instant
    updated_at: Instant

    @property
    def is_candidate_application(self) -> bool:
        """False for prospects and for what was converted into another application."""
        return not self.prospect and self.status != "converted" and self.job_id is not None


class ApplicationStageRow(GreenhouseRow):
    """One stage of one application; rows of stages that were never visited exist and have no times."""

    entity = "application_stages"
    application_id: Id
    job_interview_stage_id: Id | None = None
    entered_at: Instant | None = None
    exited_at: Instant | None = None
    current: bool | None = False
    updated_at: Instant | None = None


class JobStageRow(GreenhouseRow):
    """A stage of a job's plan."""

    entity = "job_interview_stages"
    job_id: Id
    sort_order: int = 0
    name: str = ""
    active: bool | None = True


class JobRow(GreenhouseRow):
    """A job."""

    entity = "jobs"
    name: str
    status: str
    department_id: Id | None = None
    is_template: bool | None = False
    opened_at: Instant | None = None
    closed_at: Instant | None = None
    updated_at: Instant


class PostPlace(BaseModel):
    """Where a post says the job is."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str | None = None


class JobPostRow(GreenhouseRow):
    """A posting of a job on a board."""

    entity = "job_posts"
    job_id: Id
    internal: bool | None = False
    active: bool | None = True
    live: bool | None = True
    public_url: str | None = None
    location: PostPlace | None = None

    @property
    def is_public(self) -> bool:
        """Whether people outside can see it."""
        return bool(self.active) and bool(self.live) and not self.internal


class OfferRow(GreenhouseRow):
    """One version of an offer."""

    entity = "offers"
    application_id: Id
    version: int = 1
    status: str
    sent_on: Day | None = None
    resolved_at: Instant | None = None
    starts_on: Day | None = None
    created_at: Instant
    updated_at: Instant


class OpeningRow(GreenhouseRow):
    """An opening; a hire closes one and leaves the application's id on it."""

    entity = "openings"
    application_id: Id | None = None
    closed_at: Instant | None = None


class RejectionDetailRow(GreenhouseRow):
    """Why and when an application was rejected."""

    entity = "rejection_details"
    application_id: Id
    rejection_reason_id: Id | None = None
    rejected_at: Instant | None = None
    updated_at: Instant | None = None


class ReasonType(BaseModel):
    """The type of a rejection reason."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    key: str | None = None


class RejectionReasonRow(GreenhouseRow):
    """A rejection reason."""

    entity = "rejection_reasons"
    type: ReasonType | None = None


class NamedRow(GreenhouseRow):
    """A row of which only the name matters (sources, departments)."""

    entity = "sources"
    name: str | None = None


R = TypeVar("R", bound=GreenhouseRow)


def read_row(model: type[R], row: Row, *, entity: str | None = None) -> R | RowProblem:
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
            entity=entity or model.entity,
            record_id=str(record_id) if isinstance(record_id, int | str) else "",
            field=where,
            reason=reason,
            shape=shape(row.get(where)),
        )


def field_map(custom_fields: object) -> Mapping[str, Mapping[str, Any]]:
    """The custom fields of a row by name_key; empty when the map is null, absent or no map."""
    if not isinstance(custom_fields, Mapping):
        return {}
    fields = cast("Mapping[str, Any]", custom_fields)
    return {key: cast("Mapping[str, Any]", entry) for key, entry in fields.items() if isinstance(entry, Mapping)}
