"""Request bodies, strict.

Belongs here: shapes. Does not belong here: whether what they name exists.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from referral_pipeline.sandbox.lever.errors import bad_request

Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Address = Annotated[str, StringConstraints(pattern=r"^[^\s@,;]+@[^\s@,;]+\.[^\s@,;]+$")]
Origin = Literal["agency", "applied", "internal", "referred", "sourced", "university"]


class Body(BaseModel):
    """Base of all bodies: no unknown keys, no coercion."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Phone(Body):
    """A phone number of a contact."""

    value: Text
    type: Literal["mobile", "home", "work", "skype", "other"] | None = None


class Archive(Body):
    """An opportunity that is archived from the beginning."""

    reason: Text
    archivedAt: int | None = None


class NewOpportunity(Body):
    """POST /opportunities."""

    name: Text | None = None
    headline: str | None = None
    location: str | None = None
    emails: list[Address] = Field(default_factory=list[str])
    phones: list[Phone] = Field(default_factory=list[Phone])
    links: list[str] = Field(default_factory=list[str])
    tags: list[Text] = Field(default_factory=list[str])
    sources: list[Text] = Field(default_factory=list[str])
    origin: Origin = "sourced"
    owner: Text | None = None
    followers: list[str] = Field(default_factory=list[str])
    postings: list[Text] = Field(default_factory=list[str], max_length=1)
    stage: Text | None = None
    createdAt: int | None = None
    archived: Archive | None = None
    contact: Text | None = None


class Tags(Body):
    """addTags and removeTags."""

    tags: list[Text] = Field(min_length=1)


class Sources(Body):
    """addSources and removeSources."""

    sources: list[Text] = Field(min_length=1)


class Ended(Body):
    """PUT /opportunities/:opportunity/archived."""

    reason: Text
    cleanInterviews: bool | None = None
    requisitionId: Text | None = None


class Contact(Body):
    """PUT /contacts/:contact; a list is the whole list."""

    name: Text | None = None
    headline: str | None = None
    location: str | None = None
    emails: list[Address] | None = None
    phones: list[Phone] | None = None


class Conditions(Body):
    """Of which origins events are told."""

    origins: list[Origin] = Field(default_factory=list[Any])


class Configuration(Body):
    """Of a webhook."""

    conditions: Conditions = Field(default_factory=Conditions)


class Webhook(Body):
    """POST /webhooks."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://")]
    event: Text
    configuration: Configuration = Field(default_factory=Configuration)


B = TypeVar("B", bound=Body)


def read_body(model: type[B], content_type: str, raw: bytes) -> B:
    """A body as its model. Raises Refusal."""
    if not content_type.startswith("application/json"):
        raise bad_request("Content-Type must be application/json")
    try:
        content: Any = json.loads(raw)
    except ValueError:
        raise bad_request("The body is no JSON") from None
    if not isinstance(content, dict):
        raise bad_request("The body must be an object")
    try:
        return model.model_validate(cast("dict[str, Any]", content))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise bad_request(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
