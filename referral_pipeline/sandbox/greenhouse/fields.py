"""Custom fields: from the array that is written to the map that is kept.

Belongs here: which fields a record type has, which values a type takes. Does not belong here: the shape of the array
(`bodies.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from referral_pipeline.sandbox.greenhouse.errors import Entry, Unprocessable
from referral_pipeline.sandbox.greenhouse.schema import CUSTOM_FIELD_TYPES, Row
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.greenhouse.times import read_date

_TEXTS = frozenset({"short_text", "long_text", "url", "rich_text"})


def written_fields(
    store: GreenhouseStore,
    entity: str,
    entries: Sequence[Mapping[str, Any]],
    *,
    before: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The map after a write of `entries` over `before` (kept only when the switch says that PATCH merges).

    Raises Unprocessable for a field that is unknown, archived or another record type's, and for a wrong value.
    """
    keep = store.switches.custom_fields_patch == "merge"
    result: dict[str, Any] = dict(before or {}) if keep else {}
    problems: list[Entry] = []
    named: set[int] = set()
    for entry in entries:
        definition = _definition(store, entity, entry)
        if definition is None:
            problems.append(f"Custom field {entry.get('name_key') or entry.get('custom_field_id')} does not exist")
            continue
        if definition["id"] in named:
            problems.append(f"Custom field {definition['name_key']} is given more than once")
        named.add(definition["id"])
        try:
            value = _stored(store, definition, entry.get("value"))
        except ValueError as error:
            problems.append(f"Custom field {definition['name_key']}: {error}")
            continue
        result[definition["name_key"]] = {
            "name": definition["name"],
            "type": definition["value_type"],
            "value": value,
        }
    if problems:
        raise Unprocessable(problems)
    return result


def plain_fields(store: GreenhouseStore, entity: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The map for values by name_key as they read (options by name): what a person fills in on the screen."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        definition = _definition(store, entity, {"name_key": key})
        if definition is None:
            raise ValueError(f"no custom field {key} on {entity}")
        result[key] = {"name": definition["name"], "type": definition["value_type"], "value": value}
    return result


def _definition(store: GreenhouseStore, entity: str, entry: Mapping[str, Any]) -> Row | None:
    wanted = CUSTOM_FIELD_TYPES[entity]
    if entry.get("custom_field_id") is not None:
        found = store.get("custom_fields", entry["custom_field_id"])
        rows = [] if found is None else [found]
    else:
        rows = store.find("custom_fields", "name_key", entry["name_key"])
    return next((row for row in rows if row["field_type"] == wanted and row["active"]), None)


def _stored(store: GreenhouseStore, definition: Row, value: Any) -> Any:
    """The value as it will read. ValueError says what the field takes instead."""
    if value is None:
        return None
    kind = definition["value_type"]
    if kind in _TEXTS:
        return _of(value, isinstance(value, str), "takes text")
    if kind == "yes_no":
        return _of(value, isinstance(value, bool), "takes true or false")
    if kind == "number":
        return _of(value, isinstance(value, int | float) and not isinstance(value, bool), "takes a number")
    if kind == "user":
        return _of(value, isinstance(value, int) and store.get("users", value) is not None, "takes a user id")
    if kind == "date":
        if not isinstance(value, str):
            raise ValueError("takes a date")
        return read_date(value).isoformat()
    if kind == "single_select":
        return _option_name(store, definition, value)
    if kind == "multi_select":
        if not isinstance(value, list):
            raise ValueError("takes a list of options")
        return [_option_name(store, definition, item) for item in value]
    if kind in {"currency", "currency_range", "number_range"}:
        return _of(value, isinstance(value, dict), "takes an object")
    raise ValueError("cannot be written")


def _of(value: Any, fits: bool, otherwise: str) -> Any:
    if not fits:
        raise ValueError(otherwise)
    return value


def _option_name(store: GreenhouseStore, definition: Row, value: Any) -> str:
    by_name = store.switches.select_write == "id_or_name"
    for option in store.find("custom_field_options", "custom_field_id", definition["id"]):
        if option["active"] and (option["id"] == value or (by_name and option["name"] == value)):
            return str(option["name"])
    raise ValueError("takes the id of one of its options")
