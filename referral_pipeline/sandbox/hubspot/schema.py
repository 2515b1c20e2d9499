"""The properties of contacts: those of the vendor, those that clients add, and which values each takes.

Belongs here: definitions, checks of values. Does not belong here: contacts (`book`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from referral_pipeline.sandbox.hubspot.errors import invalid, not_found, taken

Definition = dict[str, Any]
_FIELD_TYPES: Mapping[str, tuple[str, ...]] = {
    "string": ("text", "textarea", "phonenumber", "html", "file", "calculation_equation"),
    "number": ("number", "calculation_equation"),
    "date": ("date",),
    "datetime": ("date",),
    "enumeration": ("select", "radio", "checkbox", "booleancheckbox", "calculation_equation"),
    "bool": ("booleancheckbox", "calculation_equation"),
}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}")
READ_ONLY = ("createdate", "lastmodifieddate", "hs_object_id", "hs_additional_emails", "hs_merged_object_ids")
DEFAULT_READ = ("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname")
"""What a read answers when it names no properties."""
_OURS: Mapping[str, tuple[str, str]] = {
    "email": ("string", "text"),
    "firstname": ("string", "text"),
    "lastname": ("string", "text"),
    "phone": ("string", "phonenumber"),
    "company": ("string", "text"),
    "website": ("string", "text"),
    "country": ("string", "text"),
    "createdate": ("datetime", "date"),
    "lastmodifieddate": ("datetime", "date"),
    "hs_object_id": ("number", "number"),
    "hs_additional_emails": ("string", "text"),
    "hs_merged_object_ids": ("string", "text"),
}


class NewGroup(BaseModel):
    """The body of a new group."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,99}$")
    label: str = Field(min_length=1)
    displayOrder: int = -1


class Choice(BaseModel):
    """An option of an enumeration."""

    model_config = ConfigDict(extra="forbid", strict=True)

    label: str
    value: str
    hidden: bool
    displayOrder: int = -1
    description: str = ""


class NewProperty(BaseModel):
    """The body of a new property."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    label: str = Field(min_length=1)
    groupName: str
    type: Literal["string", "number", "date", "datetime", "enumeration", "bool"]
    fieldType: str
    description: str = ""
    options: list[Choice] = Field(default_factory=list[Choice])
    displayOrder: int = -1
    hasUniqueValue: bool = False
    hidden: bool = False
    formField: bool = False


class Schema:
    """Definitions by name, groups by name."""

    def __init__(self) -> None:
        self.groups: dict[str, Definition] = {
            "contactinformation": _group("contactinformation", "Contact information", 0)
        }
        self.properties: dict[str, Definition] = {
            name: _property(name, name, "contactinformation", kind, field, is_vendors=True)
            for name, (kind, field) in _OURS.items()
        }

    def add_group(self, wish: NewGroup) -> Definition:
        """A new group of properties."""
        if wish.name in self.groups:
            raise taken(f"A property group named '{wish.name}' already exists")
        self.groups[wish.name] = _group(wish.name, wish.label, wish.displayOrder)
        return self.groups[wish.name]

    def add(self, wish: NewProperty) -> Definition:
        """A new property, in a group that is there."""
        if not _NAME.fullmatch(wish.name):
            raise invalid(f"Property name '{wish.name[:60]}' is invalid")
        if wish.name in self.properties:
            raise taken(f"A property named '{wish.name}' already exists")
        if wish.groupName not in self.groups:
            raise invalid(f"Property group '{wish.groupName}' does not exist")
        if wish.fieldType not in _FIELD_TYPES[wish.type]:
            raise invalid(f"Field type {wish.fieldType[:40]} does not go with type {wish.type}")
        if wish.type == "enumeration" and not wish.options:
            raise invalid("An enumeration needs options")
        made = _property(wish.name, wish.label, wish.groupName, wish.type, wish.fieldType, is_vendors=False)
        made.update(
            description=wish.description,
            options=[one.model_dump() for one in wish.options],
            hasUniqueValue=wish.hasUniqueValue,
            hidden=wish.hidden,
            formField=wish.formField,
        )
        self.properties[wish.name] = made
        return made

    def remove(self, name: str) -> None:
        """Archive a client's property."""
        definition = self.properties.get(name)
        if definition is None or definition["hubspotDefined"]:
            raise not_found()
        del self.properties[name]

    def problem(self, name: str, value: str) -> tuple[str, str, str] | None:
        """What is wrong with a value; None: nothing. An empty one clears."""
        definition = self.properties.get(name)
        if definition is None:
            return name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist'
        if name in READ_ONLY:
            return name, "READ_ONLY_VALUE", f'"{name}" is a read only property'
        if value == "":
            return None
        if name == "email" and not _EMAIL.fullmatch(value):
            return name, "INVALID_EMAIL", "Email address is invalid"
        kind = definition["type"]
        if kind == "number" and not re.fullmatch(r"-?\d+(\.\d+)?", value):
            return name, "INVALID_INTEGER", "the value was not a valid number"
        if kind == "date" and stored(kind, value) is None:
            return name, "INVALID_DATE", "the value was not a date at midnight UTC"
        if kind == "datetime" and stored(kind, value) is None:
            return name, "INVALID_LONG", "the value was not a valid time"
        if kind == "enumeration" and value not in {one["value"] for one in definition["options"]}:
            return name, "INVALID_OPTION", "the value was not one of the allowed options"
        if kind == "bool" and value not in {"true", "false"}:
            return name, "INVALID_BOOLEAN", "the value was not true or false"
        return None

    def kept(self, name: str, value: str) -> str:
        """The value as it is answered afterwards."""
        if name == "email":
            return value.strip().lower()
        return stored(self.properties[name]["type"], value) or value


def stored(kind: str, value: str) -> str | None:
    """A date or a time as it is kept; None when it is none; other kinds as they are."""
    try:
        if kind == "date":
            if re.fullmatch(r"-?\d{10,}", value):
                moment = datetime.fromtimestamp(int(value) / 1000, UTC)
                return moment.date().isoformat() if moment.time() == datetime.min.time() else None
            return date.fromisoformat(value).isoformat()
        if kind == "datetime":
            if re.fullmatch(r"-?\d{10,}", value):
                return iso(datetime.fromtimestamp(int(value) / 1000, UTC))
            moment = datetime.fromisoformat(value)
            return None if moment.tzinfo is None else iso(moment)
    except (ValueError, OverflowError):
        return None
    return value


def iso(moment: datetime) -> str:
    """A time as the vendor writes it, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _group(name: str, label: str, order: int) -> Definition:
    return {"name": name, "label": label, "displayOrder": order, "archived": False}


def _property(name: str, label: str, group: str, kind: str, field: str, *, is_vendors: bool) -> Definition:
    return {
        "name": name,
        "label": label,
        "groupName": group,
        "type": kind,
        "fieldType": field,
        "description": "",
        "options": [],
        "hubspotDefined": is_vendors,
        "hasUniqueValue": name == "email",
        "hidden": False,
        "formField": False,
        "calculated": False,
        "externalOptions": False,
        "archived": False,
        "displayOrder": -1,
        "modificationMetadata": {
            "archivable": not is_vendors,
            "readOnlyDefinition": is_vendors,
            "readOnlyValue": name in READ_ONLY,
        },
    }
