"""What Lever keeps of a record and the store of the local ATS has no column for.

Belongs here: tags and sources of opportunities, origins, moments of a hire, what was deleted, registered webhooks. Does
not belong here: showing them (`views`).

A tag "name: value" is the custom field of that name in the store, where there is one: so the programme's acts, its
truth and its arrivals speak of one and the same thing whichever vendor is played.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from referral_pipeline.sandbox.greenhouse.journal import Changes
from referral_pipeline.sandbox.greenhouse.schema import Row
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.greenhouse.times import read_stamp, stamp

LEAD, APPLICANT = "lead-new", "applicant-new"
ORIGINS = ("agency", "applied", "internal", "referred", "sourced", "university")


def millis(text: str | None) -> int | None:
    """A moment of the store in epoch milliseconds."""
    return None if text is None else round(read_stamp(text).timestamp() * 1000)


@dataclass
class Extras:
    """What belongs to one opportunity beyond its row. `first_stage` is what its first stage is called."""

    origin: str = "applied"
    first_stage: str = APPLICANT
    tags: list[str] = field(default_factory=list[str])
    sources: list[str] = field(default_factory=list[str])


@dataclass
class Memory:
    """Of one account."""

    store: GreenhouseStore
    extras: dict[int, Extras] = field(default_factory=dict[int, Extras])
    hired_at: dict[int, int | None] = field(default_factory=dict[int, int | None])
    deleted: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """(application, epoch milliseconds), oldest first."""
    webhooks: list[Row] = field(default_factory=list[Row])

    def __post_init__(self) -> None:
        for row in self.store.rows("applications"):
            if row["status"] == "hired":
                self.hired_at[row["id"]] = self._known_hire(row)

    def of(self, application_id: int) -> Extras:
        """The extras of an opportunity."""
        return self.extras.setdefault(application_id, Extras())

    def told(self, changes: Changes) -> None:
        """A request or an act has ended: hires are dated when they are made, and what is gone is noted."""
        for (entity, row_id), old in changes.before.items():
            if entity != "applications":
                continue
            new = self.store.get(entity, row_id)
            if new is None:
                if old is not None:
                    self.deleted.append((row_id, round(self.store.clock().timestamp() * 1000)))
            elif new["status"] != "hired":
                self.hired_at.pop(row_id, None)
            elif row_id not in self.hired_at:
                self.hired_at[row_id] = millis(new["last_activity_at"])

    def _known_hire(self, row: Row) -> int | None:
        """When a hire of the programme was made. None for the one that nothing dates: it was imported so."""
        accepted = [o for o in self.store.find("offers", "application_id", row["id"]) if o["status"] == "Accepted"]
        filled = self.store.find("openings", "application_id", row["id"])
        moments = [o["resolved_at"] for o in accepted if o["resolved_at"]] or [o["closed_at"] for o in filled]
        return millis(max(filter(None, moments), default=None))

    # ---------------------------------------------------------------- tags

    def tags(self, row: Row) -> list[str]:
        """All tags of an opportunity."""
        fields: dict[str, Any] = row["custom_fields"] or {}
        ours = [f"{key}: {_text(entry['value'])}" for key, entry in fields.items() if entry["value"] not in (None, "")]
        return [*ours, *self.of(row["id"]).tags]

    def with_tags(self, row: Row, tags: Iterable[str]) -> dict[str, Any]:
        """The custom fields after these tags were added; those that are no field of the store are kept aside."""
        fields = dict(row["custom_fields"] or {})
        extras = self.of(row["id"])
        held = set(self.tags(row))
        for tag in tags:
            name, value = _split(tag)
            definition = self._field(name)
            if tag in held:
                continue
            if definition is None or not value or (fields.get(name) or {}).get("value") not in (None, ""):
                extras.tags.append(tag)
            else:
                fields[name] = {"name": definition["name"], "type": definition["value_type"], "value": value}
            held.add(tag)
        return fields

    def without_tags(self, row: Row, tags: Iterable[str]) -> dict[str, Any]:
        """The custom fields after these tags were removed."""
        fields = dict(row["custom_fields"] or {})
        extras = self.of(row["id"])
        for tag in tags:
            name, value = _split(tag)
            if name in fields and _text(fields[name]["value"]) == value:
                del fields[name]
            elif tag in extras.tags:
                extras.tags.remove(tag)
        # A second tag of the same name takes the place that is free now.
        for tag in list(extras.tags):
            name, value = _split(tag)
            definition = self._field(name)
            if definition is not None and value and name not in fields:
                extras.tags.remove(tag)
                fields[name] = {"name": definition["name"], "type": definition["value_type"], "value": value}
        return fields

    def _field(self, name: str) -> Row | None:
        found = self.store.find("custom_fields", "name_key", name)
        return next((row for row in found if row["field_type"] == "application" and row["active"]), None)

    # ---------------------------------------------------------------- sources

    def sources(self, row: Row) -> list[str]:
        """All sources of an opportunity."""
        first = self.store.get("sources", row["source_id"])
        return [*([first["name"]] if first else []), *self.of(row["id"]).sources]

    def source_named(self, name: str) -> int:
        """The source of this name; one that is new is made."""
        for row in self.store.rows("sources"):
            if row["name"] == name:
                return int(row["id"])
        return int(self.store.insert("sources", {"name": name}, at=self.store.clock())["id"])

    def register(self, values: Row) -> Row:
        """Keep a webhook."""
        now = millis(stamp(self.store.clock()))
        hook = {**values, "createdAt": now, "updatedAt": now}
        self.webhooks.append(hook)
        return hook


def _split(tag: str) -> tuple[str, str]:
    name, colon, value = tag.partition(": ")
    return (name, value) if colon else ("", "")


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
