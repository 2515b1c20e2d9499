"""Custom fields of applications: read as a map, written as an array, and never a foreign one lost.

Belongs here: both forms of the values (GREENHOUSE_V3 section 4.13), the catalogue of definitions and options. Does not
belong here: which tags a referral gives.

A PATCH replaces the whole set, so the full set is always sent. A value that cannot be put in its written form is sent
as it was read: then the vendor accepts it or refuses the write aloud, and nothing is lost in silence.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from referral_pipeline.connectors.failures import Invalid
from referral_pipeline.connectors.greenhouse_models import SYSTEM, field_map
from referral_pipeline.connectors.records import Row

_SELECTS = frozenset({"single_select", "multi_select"})
_YES = frozenset({"true", "yes", "1"})
_NO = frozenset({"false", "no", "0"})


@dataclass(frozen=True)
class Definition:
    """One application custom field as the tenant has defined it. `options` are names (folded) and ids."""

    id: int
    name_key: str
    value_type: str
    options: Mapping[str, int] = field(default_factory=dict[str, int])
    active: bool = True


class FieldCatalog:
    """The definitions of application custom fields, read when first needed and again when a name is unknown.

    Args:
        definitions: Fetches all rows of `custom_fields` for applications, archived ones too.
        options: Fetches the rows of `custom_field_options` of these field ids.
    """

    def __init__(
        self, definitions: Callable[[], Iterable[Row]], options: Callable[[Sequence[str]], Iterable[Row]]
    ) -> None:
        self._definitions = definitions
        self._options = options
        self._lock = threading.Lock()
        self._known: dict[str, Definition] | None = None
        self._absent: set[tuple[str, str]] = set()

    def get(self, name_key: str) -> Definition | None:
        """The definition, or None when the tenant has none of that name."""
        with self._lock:
            if self._known is None:
                self._known = self._load()
            return self._known.get(name_key)

    def option(self, name_key: str, name: str) -> int | None:
        """The id of an option by its name. One that is not known may be new, so it is looked up again, once."""
        for again in (False, True):
            definition = self.get(name_key)
            if definition is not None and _folded(name) in definition.options:
                return definition.options[_folded(name)]
            with self._lock:
                if again or (name_key, name) in self._absent:
                    break
                self._known = None
        with self._lock:
            self._absent.add((name_key, name))
        return None

    def name_keys(self) -> set[str]:
        """The names of all fields that can be written, read afresh: archived ones take no more values."""
        with self._lock:
            self._known = self._load()
            return {key for key, definition in self._known.items() if definition.active}

    def _load(self) -> dict[str, Definition]:
        rows = [row for row in self._definitions() if isinstance(row.get("name_key"), str)]
        selects = [str(row["id"]) for row in rows if row.get("value_type") in _SELECTS]
        options: dict[str, dict[str, int]] = {}
        for option in self._options(selects) if selects else ():
            names = options.setdefault(str(option.get("custom_field_id")), {})
            # Of two options with one name the active one counts.
            if option.get("active", True) or _folded(option.get("name")) not in names:
                names[_folded(option.get("name"))] = int(option["id"])
        return {
            row["name_key"]: Definition(
                id=int(row["id"]),
                name_key=row["name_key"],
                value_type=str(row.get("value_type") or ""),
                options=options.get(str(row["id"]), {}),
                active=row.get("active") is not False,
            )
            for row in rows
        }


def read_tags(custom_fields: object, keys: Mapping[str, str]) -> dict[str, str | None]:
    """Every logical tag as text, None where empty."""
    fields = field_map(custom_fields)
    return {name: tag_text(fields.get(key, {}).get("value")) for name, key in keys.items()}


def tag_text(value: object) -> str | None:
    """A value as one text: numbers may come as texts and texts as numbers, depending on how the field is defined."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return ", ".join(filter(None, (tag_text(item) for item in cast("list[Any]", value)))) or None
    if isinstance(value, Mapping):
        amount = cast("Mapping[str, Any]", value).get("amount")
        return tag_text(amount)
    text = str(value).strip()
    if text.endswith(".0") and text[:-2].lstrip("-").isdigit():
        text = text[:-2]
    return text or None


def changed_tags(
    custom_fields: object, wanted: Mapping[str, str | None], keys: Mapping[str, str]
) -> dict[str, str | None]:
    """What must be written to bring the fields to `wanted`: name_key -> text, None to clear.

    Raises:
        Invalid: For a tag that the options name no field for.
    """
    unknown = sorted(set(wanted) - set(keys))
    if unknown:
        raise Invalid(SYSTEM, "applications.update", detail=f"no custom field is named for the tag {unknown[0]}")
    present = read_tags(custom_fields, keys)
    return {keys[name]: tag_text(value) for name, value in wanted.items() if tag_text(value) != present.get(name)}


def merged(
    custom_fields: object, changes: Mapping[str, str | None], catalog: FieldCatalog, *, with_archived: bool = True
) -> list[dict[str, Any]]:
    """(5) The full set in written form: all that is there, with `changes` on top.

    `with_archived=False` leaves out the fields that the tenant has archived, for a tenant that refuses them.
    """
    written: list[dict[str, Any]] = []
    for key, entry in field_map(custom_fields).items():
        # An empty field stays empty when it is left out.
        if key in changes or entry.get("value") is None:
            continue
        definition = catalog.get(key)
        if with_archived or definition is None or definition.active:
            written.append({"name_key": key, "value": _written(key, entry, catalog)})
    return written + new_values(changes, catalog)


def new_values(values: Mapping[str, str | None], catalog: FieldCatalog) -> list[dict[str, Any]]:
    """Our own values in written form, fitted to how the tenant has defined each field.

    Raises:
        Invalid: When a value does not fit its field.
    """
    return [{"name_key": key, "value": _fitted(key, value, catalog)} for key, value in values.items()]


def _fitted(key: str, value: str | None, catalog: FieldCatalog) -> Any:
    if value is None:
        return None
    definition = catalog.get(key)
    kind = definition.value_type if definition else ""
    if kind == "number":
        number = _number(value)
        if number is None:
            raise _misfit(key, "is defined as a number")
        return number
    if kind == "yes_no" and value.casefold() in _YES | _NO:
        return value.casefold() in _YES
    if kind in _SELECTS:
        option = catalog.option(key, value)
        if option is None:
            raise _misfit(key, "is a select without such an option; define it as a short text")
        return option if kind == "single_select" else [option]
    return value


def _written(key: str, entry: Mapping[str, Any], catalog: FieldCatalog) -> Any:
    """A value that was read, in the form in which it is written."""
    value = entry.get("value")
    definition = catalog.get(key)
    kind = definition.value_type if definition else str(entry.get("type") or "")
    if kind == "single_select" and isinstance(value, str):
        option = catalog.option(key, value)
        return value if option is None else option
    if kind == "multi_select" and isinstance(value, list):
        names = cast("list[Any]", value)
        found = [catalog.option(key, name) if isinstance(name, str) else name for name in names]
        # An empty list fits both array forms of the vendor's schema, which it therefore refuses; null means the same.
        return (found if None not in found else names) or None
    if kind == "number" and isinstance(value, str):
        number = _number(value)
        return value if number is None else number
    if kind == "currency" and isinstance(value, Mapping):
        money = cast("Mapping[str, Any]", value)
        amount = money.get("amount")
        number = _number(amount) if isinstance(amount, str) else amount
        return {"amount": amount if number is None else number, "currency_code": money.get("currency_code")}
    if kind == "user" and isinstance(value, Mapping) and "id" in value:
        return cast("Mapping[str, Any]", value)["id"]
    return value


def _number(text: str) -> int | float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number.is_integer() else number


def _folded(name: object) -> str:
    return str(name or "").strip().casefold()


def _misfit(key: str, why: str) -> Invalid:
    return Invalid(SYSTEM, "applications.update", detail=f"the custom field {key} {why}")
