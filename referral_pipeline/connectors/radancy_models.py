"""Radancy's records as far as the pipeline reads them, and the connector's options.

Belongs here: lenient models (unknown fields pass), the words of the platform, options. Does not belong here: calls
(`radancy`), what a record means to the rest of the project (`radancy_rows`).
"""

from __future__ import annotations

import ipaddress
import uuid
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from referral_pipeline.connectors.values import parse_instant
from referral_pipeline.identity.canonical import canonical_country

SYSTEM = "radancy"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
SENDERS = ("52.57.76.133", "52.57.83.207")
"""The addresses that the vendor names as those of its webhooks."""


class Status(StrEnum):
    """All that the platform knows of an application."""

    IN_PROGRESS = "IN_PROGRESS"
    HIRED = "HIRED"
    CLOSED = "CLOSED"


class JobStatus(StrEnum):
    """The states of a job; DRAFT and DELETED cannot be set."""

    DRAFT = "DRAFT"
    ACTIVE_PUBLISHED = "ACTIVE_PUBLISHED"
    ACTIVE_CLOSED = "ACTIVE_CLOSED"
    ARCHIVED = "ARCHIVED"
    DELETED = "DELETED"


def networks(addresses: list[str] | tuple[str, ...]) -> tuple[Network, ...]:
    """Addresses and networks as such.

    Raises:
        ValueError: one is neither, or is a network of everybody.
    """
    try:
        found = tuple(ipaddress.ip_network(address) for address in addresses)
    except ValueError:
        raise ValueError("holds something that is neither an address nor a network (192.0.2.0/24)") from None
    if not all(network.prefixlen for network in found):
        raise ValueError("holds a network of everybody (prefix length 0): name those of the vendor's senders")
    return found


def _uuid(value: str) -> str:
    try:
        found = uuid.UUID(value)
    except ValueError:
        raise ValueError("must be an id of this account (a UUID)") from None
    if not found.int:
        raise ValueError("is still the placeholder: write the id of your account")
    return str(found)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Residency(_Section):
    """Where the applicants of this account live: the platform has no field that says it, so its owner does."""

    country: str
    """ISO 3166 alpha-2."""
    basis: str
    """Why that is so, in the owner's words."""

    @field_validator("country")
    @classmethod
    def _is_country(cls, value: str) -> str:
        code = canonical_country(value)
        if code is None:
            raise ValueError("must be the country in which this account's applicants live (ISO 3166 alpha-2)")
        return code

    @field_validator("basis")
    @classmethod
    def _says_why(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("must say in your words why all applicants of this account live there")
        return value.strip()


class JobDefaults(_Section):
    """What a job of the platform needs and the ATS does not name: ids of the account. A job that is there keeps its."""

    department: str
    location: str
    contact_person: str
    reward: str

    @field_validator("department", "location", "contact_person", "reward")
    @classmethod
    def _is_id(cls, value: str) -> str:
        return _uuid(value)


class RadancyOptions(_Section):
    """`advocacy.options` of a contract whose connector is radancy."""

    company_id: str
    """The id of the account; every path begins with it."""
    consent_basis: str = Field(default="", max_length=300)
    """On what ground applicants' data may be passed on, in the owner's words: the API has no field of consent. Needed
    while privacy.require_consent is on."""
    residency: Residency
    job_defaults: JobDefaults
    webhook_addresses: tuple[str, ...] = SENDERS
    """From where webhooks are taken, as addresses or networks: the platform signs nothing."""
    connect_timeout_seconds: float = Field(default=5.0, gt=0)
    read_timeout_seconds: float = Field(default=30.0, gt=0)
    max_attempts: int = Field(default=6, ge=1, le=20)
    default_rate_limit: int | None = Field(default=None, ge=1)
    """Calls per window. The vendor publishes no number."""

    @field_validator("company_id")
    @classmethod
    def _is_id(cls, value: str) -> str:
        return _uuid(value)

    @field_validator("webhook_addresses")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("names no address: then no webhook is ever taken")
        networks(value)
        return value


# ---------------------------------------------------------------- records

Id = Annotated[str, Field(min_length=1, max_length=200)]
Moment = Annotated[datetime, BeforeValidator(parse_instant)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, populate_by_name=True)


class Reference(_Record):
    """A record that another one names."""

    id: Id


class ApplicantRow(_Record):
    """Whoever applied, as `expand=applicant` shows them. Personal data."""

    id: Id
    first_name: str | None = Field(default=None, alias="firstName")
    last_name: str | None = Field(default=None, alias="lastName")
    email: str | None = None
    phone: str | None = Field(default=None, alias="phoneNumber")


class JobReference(_Record):
    """The job of an application. `reference` is the ATS's id, which the connector looks up where it is not shown."""

    id: Id
    reference: Id = Field(alias="referenceNumber")


class ApplicationRow(_Record):
    """An application: what this project calls a referral."""

    id: Id
    status: Status
    applied_at: Moment = Field(alias="applicationDate")
    applicant: ApplicantRow
    referrer: Reference
    job: JobReference
    reward_paid: bool = Field(default=False, alias="rewardPaid")


class Department(_Record):
    """A department, as the connector adds its name to a user."""

    name: str | None = None


class UserRow(_Record):
    """A user: what this project calls an advocate."""

    id: Id
    email: str | None = None
    status: str
    roles: tuple[str, ...] = ()
    department: Department | None = None


class JobRow(_Record):
    """A job as the platform lists it."""

    id: Id
    title: str = ""
    status: JobStatus
    reference: str | None = Field(default=None, alias="referenceNumber")
    career_site_url: str | None = Field(default=None, alias="careerSiteUrl")
