"""Filters that need more than one column of the row.

Belongs here: `email`, `tag`, `status`, `current_only`, `include_defaults`, custom field options and the like. Does not
belong here: filters that compare a column (`lists.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from referral_pipeline.sandbox.greenhouse.errors import Entry
from referral_pipeline.sandbox.greenhouse.schema import CUSTOM_FIELD_TYPES, Row
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore

_STATUS_CHOICES = ("rejected", "hired", "converted", "active")


@dataclass(frozen=True)
class SpecialFilter:
    """What a parameter means: a test of rows, a set of ids, or what is wrong with it."""

    predicate: Callable[[Row], bool] | None = None
    ids: Iterable[int] | None = None
    problems: list[Entry] = field(default_factory=list[Entry])


def special_filter(store: GreenhouseStore, entity: str, name: str, text: str) -> SpecialFilter:
    """Understand one parameter of one table."""
    match name:
        case "email":
            return SpecialFilter(ids=store.tables["candidates"].matching("email", text.casefold()))
        case "tag":
            return SpecialFilter(predicate=lambda row: text in row["tags"])
        case "status":
            return _status(store, text)
        case "current_only":
            return _flag(name, text, when_true=lambda row: is_current_offer(store, row))
        case "include_defaults":
            return _flag(name, text, when_false=lambda row: row["id"] not in store.built_in_reasons)
        case "show_service_accounts":
            return _flag(name, text, when_false=lambda row: row["primary_email"] != "")
        case "custom_field_option_id":
            return _option(store, entity, text)
        case "custom_field_key":
            fields = {row["id"] for row in store.find("custom_fields", "name_key", text)}
            return SpecialFilter(predicate=lambda row: row["custom_field_id"] in fields)
        case "external_office_id":
            return _by_external_id(store, "offices", "office_ids", text)
        case "external_department_id":
            return _by_external_id(store, "departments", "department_ids", text)
        case "interviewer_tag_ids":
            wanted = set(text.split(","))
            return SpecialFilter(predicate=lambda row: any(str(tag["id"]) in wanted for tag in row["interviewer_tags"]))
        case _:
            raise ValueError(f"no rule for the filter {name}")


def is_current_offer(store: GreenhouseStore, offer: Row) -> bool:
    """Whether an offer row is the present version of its application's offer."""
    versions = store.find("offers", "application_id", offer["application_id"])
    newest = max(versions, key=lambda row: (row["version"], row["id"]))
    return newest["id"] == offer["id"] and offer["status"] != "Deprecated"


def _status(store: GreenhouseStore, text: str) -> SpecialFilter:
    if text == "in_process" and store.switches.in_process_filter == "empty":
        return SpecialFilter(ids=())
    if text not in _STATUS_CHOICES:
        return SpecialFilter(problems=[{"status": f"`{text[:40]}` is not one of: {', '.join(_STATUS_CHOICES)}"}])
    wanted = "in_process" if text == "active" else text
    return SpecialFilter(predicate=lambda row: row["status"] == wanted)


def _option(store: GreenhouseStore, entity: str, text: str) -> SpecialFilter:
    option = store.get("custom_field_options", int(text)) if text.isdecimal() else None
    if not text.isdecimal():
        return SpecialFilter(problems=[{"custom_field_option_id": f"`{text[:40]}` is not an integer"}])
    definition = store.get("custom_fields", option["custom_field_id"]) if option else None
    if option is None or definition is None or definition["field_type"] != CUSTOM_FIELD_TYPES.get(entity):
        return SpecialFilter(ids=())
    key, name = definition["name_key"], option["name"]

    def chosen(row: Row) -> bool:
        value = (row["custom_fields"] or {}).get(key, {}).get("value")
        return name in value if isinstance(value, list) else value == name

    return SpecialFilter(predicate=chosen)


def _by_external_id(store: GreenhouseStore, entity: str, column: str, text: str) -> SpecialFilter:
    wanted = {row["id"] for row in store.rows(entity) if row["external_id"] == text}
    return SpecialFilter(predicate=lambda row: not wanted.isdisjoint(row[column]))


def _flag(
    name: str,
    text: str,
    *,
    when_true: Callable[[Row], bool] | None = None,
    when_false: Callable[[Row], bool] | None = None,
) -> SpecialFilter:
    if text not in {"true", "false"}:
        return SpecialFilter(problems=[{name: f"`{text[:40]}` is not a boolean"}])
    return SpecialFilter(predicate=when_true if text == "true" else when_false)
