"""HubSpot's contacts and properties as the connector reads them, and the options of the contract.

Belongs here: answers, options, types of properties, how values are written. Does not belong here: calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from referral_pipeline.connectors.values import parse_day, parse_instant
from referral_pipeline.contract.fields import find_field
from referral_pipeline.contract.models import Contract

SYSTEM = "hubspot"
GROUP_LABEL = "Referral pipeline"
SCOPES = (
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.schemas.contacts.read",
    "crm.schemas.contacts.write",
)
"""What the private app needs."""

Kind = Literal["string", "number", "datetime", "date"]
_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("time", "status time", "hire time"), "datetime"),
    **dict.fromkeys(("date", "start date"), "date"),
    **dict.fromkeys(("clicks", "shares", "reach"), "number"),
}
FIELD_TYPES: Mapping[Kind, str] = {"string": "text", "number": "number", "datetime": "date", "date": "date"}


class HubSpotOptions(BaseModel):
    """`crm.options` of a contract whose connector is hubspot."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    property_group: str = Field(default="referral_pipeline", pattern=r"^[a-z][a-z0-9_]{0,99}$")
    """The group in which our properties are made."""
    calls_per_ten_seconds: int = Field(default=190, ge=1)
    """What the account may: 190 for paid ones, 100 for free ones."""
    webhook_url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$")
    """The whole address that HubSpot was given for webhooks, where a proxy stands before the receiver."""
    connect_timeout_seconds: float = Field(default=5.0, gt=0)
    read_timeout_seconds: float = Field(default=30.0, gt=0)
    max_attempts: int = Field(default=6, ge=1, le=20)


class ContactRow(BaseModel):
    """A contact as it is answered. Properties that were asked for and hold nothing are null."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    id: str = Field(pattern=r"^[0-9]{1,20}$")
    properties: dict[str, str | None] = Field(repr=False)
    archived: bool = False


class PropertyRow(BaseModel):
    """A property's definition."""

    model_config = ConfigDict(frozen=True)

    name: str
    type: str


class GroupRow(BaseModel):
    """A group of properties."""

    model_config = ConfigDict(frozen=True)

    name: str


def kinds_of(contract: Contract) -> dict[str, Kind]:
    """The type of each property that the contract maps; what is transformed is text."""
    transformed = contract.crm_transforms()
    kinds: dict[str, Kind] = {}
    for name, source in contract.crm_sources().items():
        spec = find_field(source)
        kinds[name] = "string" if spec is None or name in transformed else _KINDS.get(spec.kind, "string")
    return kinds


def written(kind: Kind, value: str | None) -> str:
    """A value as HubSpot keeps it, so that what it answers can be compared; an empty text clears."""
    if not value:
        return ""
    try:
        if kind == "datetime":
            moment = parse_instant(value).astimezone(UTC)
            return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if kind == "date":
            return parse_day(value).isoformat()
        if kind == "number":
            return f"{float(value):.10g}" if value.strip() else ""
    except ValueError:
        return value
    return value


def definition(name: str, kind: Kind, group: str) -> dict[str, Any]:
    """The body that makes a property."""
    return {
        "name": name,
        "label": name.replace("_", " ").capitalize(),
        "groupName": group,
        "type": kind,
        "fieldType": FIELD_TYPES[kind],
        "description": "Kept by the referral pipeline; what people write here is overwritten.",
    }
