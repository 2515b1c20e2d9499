"""Request bodies of every write, strict where the vendor's document is strict.

Belongs here: shapes. A body of another shape is a 422 with one-key entries. Does not belong here: rules of the business
(whether a job exists, an application is open): those are sentences, made where the rule is.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Literal, NoReturn, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    model_validator,
)

from referral_pipeline.sandbox.greenhouse.errors import Entry, Unprocessable
from referral_pipeline.sandbox.greenhouse.times import read_date, read_stamp


class MalformedJson(Exception):
    """A body that is no JSON object text at all."""


def _is_moment(text: str) -> str:
    read_stamp(text)
    return text


def _is_day(text: str) -> str:
    read_date(text)
    return text


def _is_day_or_moment(text: str) -> str:
    if "T" in text.upper():
        return _is_moment(text)
    return _is_day(text)


Moment = Annotated[str, AfterValidator(_is_moment)]
Day = Annotated[str, AfterValidator(_is_day)]
DayOrMoment = Annotated[str, AfterValidator(_is_day_or_moment)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Text255 = Annotated[str, StringConstraints(max_length=255)]
CurrencyCode = Annotated[str, StringConstraints(max_length=3)]
Number = int | float


class Body(BaseModel):
    """Base of all bodies: no unknown keys, no coercion."""

    model_config = ConfigDict(extra="forbid", strict=True)

    def sent(self) -> dict[str, Any]:
        """The keys that were really sent, as plain values."""
        return self.model_dump(exclude_unset=True)


class Money(Body):
    """`{amount, currency_code}`."""

    amount: Number
    currency_code: CurrencyCode


class MoneyRange(Body):
    """`{min_amount, max_amount, currency_code}`; rejections and offers only."""

    min_amount: Number
    max_amount: Number
    currency_code: CurrencyCode


class NumberRange(Body):
    """`{min_value, max_value}`; rejections and offers only."""

    min_value: Number
    max_value: Number


# An empty list matches both arms of the document's oneOf, so the document refuses it; null unsets a field.
Scalars = str | bool | Number | None
Lists = Annotated[list[str], Field(min_length=1)] | Annotated[list[Number], Field(min_length=1)]


class _NamedField(Body):
    name_key: Text255 | None = None
    custom_field_id: int | None = None

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        named = {"name_key", "custom_field_id"} & self.model_fields_set
        if len(named) != 1 or getattr(self, next(iter(named))) is None:
            raise ValueError("exactly one of name_key and custom_field_id must be given")
        return self


class CustomFieldEntry(_NamedField):
    """One custom field value as written: named by exactly one of name_key and custom_field_id."""

    value: Scalars | Lists | Money = None


class RangeCustomFieldEntry(_NamedField):
    """The same where ranges are allowed."""

    value: Scalars | Lists | Money | MoneyRange | NumberRange = None


class PhoneNumber(Body):
    """A phone number."""

    value: Name
    type: Literal["home", "work", "mobile", "skype", "other"]


class Address(Body):
    """A postal address."""

    value: Name
    type: Literal["home", "work", "other"]


class EmailAddress(Body):
    """An e-mail address."""

    value: Name
    type: Literal["personal", "work", "other"]


class WebsiteAddress(Body):
    """A web address; a scheme is not required."""

    value: Name
    type: Literal["personal", "company", "portfolio", "blog", "other"]


class SocialMediaAddress(Body):
    """A social media address, untyped."""

    value: Name


class NestedCandidateArm(Body):
    """`application` inside a candidate create, on a job."""

    job_id: int
    initial_stage_id: int = 0
    source_id: int = 0
    referrer_id: int = 0
    recruiter_id: int = 0
    coordinator_id: int = 0
    custom_fields: list[CustomFieldEntry] = []


class NestedProspectArm(Body):
    """`application` inside a candidate create, without a job."""

    prospect: Literal[True]
    job_ids: list[int] = []
    source_id: int = 0
    referrer_id: int = 0
    recruiter_id: int = 0
    coordinator_id: int = 0
    prospect_pool_id: int = 0
    prospect_pool_stage_id: int = 0
    prospect_owner_id: int = 0
    prospective_department_id: int = 0
    prospective_office_id: int = 0
    custom_fields: list[CustomFieldEntry] = []


def _arm(value: Any) -> str:
    given: Any = value  # a dict when read, a model when written out
    as_prospect = "prospect" in given if isinstance(given, dict) else isinstance(given, NestedProspectArm)
    return "<prospect>" if as_prospect else "<job>"


NestedApplication = Annotated[
    Annotated[NestedCandidateArm, Tag("<job>")] | Annotated[NestedProspectArm, Tag("<prospect>")],
    Discriminator(_arm),
]


class _CandidateShared(Body):
    preferred_name: Text255 = ""
    company: Text255 = ""
    title: Text255 = ""
    is_private: bool = False
    can_email: bool = True
    time_zone: str = ""
    tags: list[Name] = []
    linked_user_ids: list[int] = []
    phone_numbers: list[PhoneNumber] = []
    addresses: list[Address] = []
    email_addresses: list[EmailAddress] = []
    website_addresses: list[WebsiteAddress] = []
    social_media_addresses: list[SocialMediaAddress] = []
    custom_fields: list[CustomFieldEntry] = []


class CandidateChange(_CandidateShared):
    """Body of PATCH /v3/candidates/{id}: every key optional, every array the whole list."""

    first_name: Name = ""
    last_name: Name = ""


class CandidateCreate(_CandidateShared):
    """Body of POST /v3/candidates."""

    first_name: Name
    last_name: Name
    application: NestedApplication | None = None


class CandidateMerge(Body):
    """Body of POST /v3/candidates/{id}/merge."""

    secondary_candidate_id: int


class CandidateAnonymize(Body):
    """Body of PATCH /v3/candidates/{id}/anonymize."""

    fields: Annotated[list[str], Field(min_length=1)]


class _ApplicationShared(Body):
    candidate_id: int
    source_id: int = 0
    recruiter_id: int = 0
    coordinator_id: int = 0
    referrer_id: int = 0
    created_at: Moment = ""
    custom_fields: list[CustomFieldEntry] = []


class ApplicationOnJob(_ApplicationShared):
    """First arm of POST /v3/applications."""

    job_id: int
    initial_stage_id: int = 0


class ApplicationAsProspect(_ApplicationShared):
    """Second arm of POST /v3/applications."""

    prospect: bool
    job_ids: list[int] = []
    prospect_pool_id: int = 0
    prospect_pool_stage_id: int = 0
    prospect_owner_id: int = 0
    prospective_department_id: int = 0
    prospective_office_id: int = 0


class ApplicationChange(Body):
    """Body of PATCH /v3/applications/{id}."""

    source_id: int = 0
    referrer_id: int = 0
    recruiter_id: int = 0
    coordinator_id: int = 0
    prospect_pool_id: Number = 0
    prospect_stage_id: Number = 0
    rejected_at: Day = ""
    created_at: Day = ""
    custom_fields: list[CustomFieldEntry] = []


class ApplicationMove(Body):
    """Body of POST /v3/applications/{id}/move."""

    from_stage_id: int
    to_stage_id: int = 0
    to_job_id: int = 0
    email_from_user_id: int = 0


class RejectionEmail(BaseModel):
    """`rejection_email` of a rejection; the document does not forbid other keys here."""

    model_config = ConfigDict(extra="allow", strict=True)

    send_email_at: Moment = ""
    email_template_id: int = 0
    email_from_user_id: int = 0


class ApplicationReject(Body):
    """Body of POST /v3/applications/{id}/reject."""

    rejection_reason_id: int
    notes: str = ""
    rejection_email: RejectionEmail | None = None
    custom_fields: list[RangeCustomFieldEntry] = []

    never_null: ClassVar[frozenset[str]] = frozenset({"rejection_email"})


class ApplicationHire(Body):
    """Body of POST /v3/applications/{id}/hire."""

    start_date: Moment = ""
    opening_id: int = 0
    close_reason_id: int | None = None


class ApplicationConvert(Body):
    """Body of POST /v3/applications/{id}/convert_to_candidate."""

    job_id: int
    to_job_interview_stage_id: int = 0


class Nothing(Body):
    """A body without any key."""


class OfferCreate(Body):
    """Body of POST /v3/offers."""

    application_id: int
    starts_on: Day = ""
    custom_fields: list[RangeCustomFieldEntry] = []


class OfferChange(Body):
    """Body of PATCH /v3/offers/{id}; `status` only where the switch allows it."""

    starts_on: Day = ""
    sent_on: Day = ""
    resolved_at: DayOrMoment = ""
    created_at: DayOrMoment = ""
    custom_fields: list[RangeCustomFieldEntry] = []


class OfferChangeWithStatus(OfferChange):
    """The same with a status."""

    status: Literal["Created", "Accepted", "Rejected", "Deprecated"] = "Created"


class TagCreate(Body):
    """Body of POST /v3/candidate_tags."""

    name: Name


class TagApply(Body):
    """Body of POST /v3/applied_candidate_tags."""

    candidate_id: int
    candidate_tag_id: int


class RejectionDetailChange(Body):
    """Body of PATCH /v3/rejection_details/{id}."""

    rejection_reason_id: int


B = TypeVar("B", bound=Body)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def read_json(raw: bytes) -> dict[str, Any]:
    """The body as an object; an empty body is an empty object. Raises MalformedJson, or Unprocessable for no object."""
    if not raw.strip():
        return {}
    try:
        content = json.loads(raw, parse_constant=_no_constant)
    except ValueError as error:
        raise MalformedJson from error
    if not isinstance(content, dict):
        raise Unprocessable([{"body": "value is not an object"}])
    return content


def read_body(model: type[B], content: dict[str, Any]) -> B:
    """The body as the model wants it. Raises Unprocessable with one entry per problem."""
    try:
        body = model.model_validate(content)
    except ValidationError as error:
        raise Unprocessable(_entries(error)) from error
    nulls = [name for name in getattr(model, "never_null", ()) if name in content and content[name] is None]
    if nulls:
        raise Unprocessable([{name: "value is not an object"} for name in nulls])
    return body


_UNION_ARMS = frozenset({"str", "int", "float", "bool", "Money", "MoneyRange", "NumberRange"})


def _entries(error: ValidationError) -> list[Entry]:
    """One entry per place, whatever the number of union arms that failed there. The value itself is not repeated."""
    entries: dict[str, str] = {}
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        parts: list[str] = []
        for part in problem["loc"]:
            if isinstance(part, str) and part.startswith("<"):
                continue  # the arm of a nested application
            if isinstance(part, str) and (part in _UNION_ARMS or not part.isidentifier()):
                break  # from here on pydantic names the types that a value could have had
            parts.append(str(part))
        entries.setdefault(".".join(parts) or "body", problem["msg"].lower())
    return [{place: text} for place, text in entries.items()]
