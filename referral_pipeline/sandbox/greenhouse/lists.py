"""List endpoints: parameters, filters, order, pages, Link header.

Belongs here: the conventions of section 1 of the vendor facts, for every table alike. Does not belong here: how a row
looks (`views.py`), filters that need more than the row itself (`special_filters.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from referral_pipeline.sandbox.greenhouse.cursors import Cursor, CursorBox
from referral_pipeline.sandbox.greenhouse.errors import Entry, Unprocessable
from referral_pipeline.sandbox.greenhouse.schema import ENTITIES, EntitySpec, Filter, Row
from referral_pipeline.sandbox.greenhouse.special_filters import special_filter
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.greenhouse.times import read_stamp, sortable
from referral_pipeline.sandbox.greenhouse.views import NEWER_APPLICATION_FIELDS, show, stage_view

Predicate = Callable[[Row], bool]

DEFAULT_PER_PAGE = 100
LARGEST_PER_PAGE = 500
LONGEST_LIST = 50

_FIELD_NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
_BRACKETS = re.compile(r"(\w+)\[(gte|lte|gt|lt)\]")
_DATE_OPERATORS = frozenset({"gte", "lte", "gt", "lt"})
_UNIVERSAL: Mapping[str, Filter] = {
    "ids": Filter("ids", "id"),
    "created_at": Filter("when"),
    "updated_at": Filter("when"),
}


@dataclass(frozen=True)
class Page:
    """One page of a list: rows as shown, and the Link header (None = no header at all)."""

    rows: list[Row]
    link: str | None


@dataclass(frozen=True)
class ListRequest:
    """A first request, understood."""

    params: Mapping[str, str]
    per_page: int
    fields: tuple[str, ...] | None
    predicates: tuple[Predicate, ...]
    id_sets: tuple[frozenset[int], ...]


def answer_list(store: GreenhouseStore, box: CursorBox, entity: str, query: str, url: str) -> Page:
    """Answer GET of a whole resource. `url` is the endpoint without its query. Raises Unprocessable."""
    params = _read_query(query)
    if "cursor" in params:
        cursor = _read_cursor(store, box, entity, params)
    else:
        cursor = Cursor(entity, params, 0, store.clock().timestamp())
    request = _Reader(store, ENTITIES[entity]).read(cursor.params)
    rows, more = _select(store, entity, request, cursor.after)
    links: list[str] = []
    if more:
        following = Cursor(entity, cursor.params, rows[-1]["id"], store.clock().timestamp(), _trail(store, cursor))
        links.append(f'<{url}?cursor={box.write(following)}>; rel="next"')
    if cursor.trail and store.switches.link_relations == "next_and_prev":
        back = Cursor(entity, cursor.params, cursor.trail[-1], store.clock().timestamp(), cursor.trail[:-1])
        links.append(f'<{url}?cursor={box.write(back)}>; rel="prev"')
    shown = [_cut(show(store, entity, row), request.fields) for row in rows]
    shown = _with_message_rows(store, entity, rows, shown, request)
    link = ", ".join(links) or ("" if store.switches.last_page_link == "empty" else None)
    return Page(shown, link)


def _trail(store: GreenhouseStore, cursor: Cursor) -> tuple[int, ...]:
    return (*cursor.trail, cursor.after) if store.switches.link_relations == "next_and_prev" else ()


def _read_query(query: str) -> dict[str, str]:
    params: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in params:
            raise Unprocessable([{name: "was given more than once; separate values by commas"}])
        params[name] = value
    return params


def _read_cursor(store: GreenhouseStore, box: CursorBox, entity: str, params: Mapping[str, str]) -> Cursor:
    if len(params) > 1:
        raise Unprocessable(["When passing a cursor, do not include other query params."])
    cursor = box.read(params["cursor"])
    if cursor is None or cursor.entity != entity:
        raise Unprocessable(["Cursor is invalid"])
    lifetime = store.switches.cursor_lifetime_seconds
    if lifetime is not None and store.clock().timestamp() - cursor.issued_at > lifetime:
        raise Unprocessable(["Cursor has expired"])
    return cursor


def _select(store: GreenhouseStore, entity: str, request: ListRequest, after: int) -> tuple[list[Row], bool]:
    table = store.tables[entity]
    switches = store.switches
    ids: Iterable[int]
    if request.id_sets:
        chosen = frozenset.intersection(*request.id_sets)
        ids = sorted((row_id for row_id in chosen if row_id in table.rows), reverse=True)
    else:
        ids = reversed(table.ids)
    rows: list[Row] = []
    for row_id in ids:
        if after and row_id >= after:
            continue
        row = table.rows[row_id]
        seen = stage_view(entity, row, switches)
        if not store.is_visible(entity, row_id) or not all(holds(seen) for holds in request.predicates):
            continue
        if len(rows) == request.per_page:
            return rows, True
        rows.append(row)
    return rows, False


def _cut(row: Row, fields: tuple[str, ...] | None) -> Row:
    return row if fields is None else {name: row[name] for name in fields if name in row}


def _with_message_rows(
    store: GreenhouseStore, entity: str, rows: list[Row], shown: list[Row], request: ListRequest
) -> list[Row]:
    """Put the `{message}` rows of the vendor's document among candidates; their meaning is unknown."""
    if entity != "candidates":
        return shown
    match store.switches.message_rows:
        case "off":
            return shown
        case "every_page":
            return [*shown, {"message": "This candidate cannot be shown"}]
        case "private":
            stub = {"message": "This candidate is private"}
            return [stub if row["private"] else look for row, look in zip(rows, shown, strict=True)]
        case "processing":
            wanted = frozenset.intersection(*request.id_sets) if request.id_sets else frozenset[int]()
            waiting = [i for i in wanted if store.get(entity, i) is not None and not store.is_visible(entity, i)]
            return [*({"message": "Candidate is still processing"} for _ in waiting), *shown]


class _Reader:
    """Reads the parameters of one table, collecting what is wrong with them."""

    def __init__(self, store: GreenhouseStore, spec: EntitySpec) -> None:
        self._store = store
        self._spec = spec
        self._filters = {**_UNIVERSAL, **spec.filters}
        if spec.name == "applications" and not store.switches.newer_application_fields:
            del self._filters["job_interview_stage_ids"]
        self._problems: list[Entry] = []
        self._predicates: list[Predicate] = []
        self._id_sets: list[frozenset[int]] = []

    def read(self, params: Mapping[str, str]) -> ListRequest:
        per_page = DEFAULT_PER_PAGE
        fields: tuple[str, ...] | None = None
        for name, text in params.items():
            if name == "per_page":
                per_page = self._per_page(text)
            elif name == "fields":
                fields = self._fields(text)
            else:
                self._one(name, text)
        if "created_at" in params and "updated_at" in params:
            self._problems.append("created_at and updated_at cannot be combined")
        if self._spec.name == "users" and "show_service_accounts" not in params:
            self._one("show_service_accounts", "false")
        if self._spec.name == "rejection_reasons" and "include_defaults" not in params:
            self._one("include_defaults", "false")
        if self._problems:
            raise Unprocessable(self._problems)
        return ListRequest(params, per_page, fields, tuple(self._predicates), tuple(self._id_sets))

    def _one(self, name: str, text: str) -> None:
        brackets = _BRACKETS.fullmatch(name)
        if brackets and self._store.switches.bracket_dates == "accepted":
            name, text = brackets[1], f"{brackets[2]}|{text}"
        found = self._filters.get(name)
        if found is None:
            self._problems.append({name: "is not a supported query parameter"})
            return
        column = found.column or name
        match found.kind:
            case "ids":
                self._ids(name, column, text)
            case "texts":
                wanted = set(self._items(name, text))
                self._predicates.append(lambda row: row[column] in wanted)
            case "contains_id":
                numbers = self._numbers(name, text)
                self._predicates.append(lambda row: not numbers.isdisjoint(row[column] or ()))
            case "id":
                number = self._number(name, text)
                self._predicates.append(lambda row: row[column] == number)
            case "text":
                self._predicates.append(lambda row: row[column] == text)
            case "folded":
                folded = text.casefold()
                self._predicates.append(lambda row: str(row[column]).casefold() == folded)
            case "bool":
                flag = self._flag(name, text)
                self._predicates.append(lambda row: bool(row[column]) is flag)
            case "when":
                self._predicates.extend(self._dates(name, column, text))
            case "choice":
                if text not in found.choices:
                    self._problems.append({name: f"`{text}` is not one of: {', '.join(found.choices)}"})
                self._predicates.append(lambda row: row[column] == text)
            case "special":
                self._special(name, text)

    def _special(self, name: str, text: str) -> None:
        special = special_filter(self._store, self._spec.name, name, text)
        self._problems.extend(special.problems)
        if special.predicate is not None:
            self._predicates.append(special.predicate)
        if special.ids is not None:
            self._id_sets.append(frozenset(special.ids))

    def _ids(self, name: str, column: str, text: str) -> None:
        numbers = self._numbers(name, text)
        table = self._store.tables[self._spec.name]
        if column == "id":
            self._id_sets.append(frozenset(numbers))
        elif table.has_index(column):  # never a column that a switch changes in what is shown
            self._id_sets.append(frozenset[int]().union(*(table.matching(column, number) for number in numbers)))
        else:
            self._predicates.append(lambda row: row[column] in numbers)

    def _items(self, name: str, text: str) -> list[str]:
        items = text.split(",")
        if len(items) > LONGEST_LIST:
            self._problems.append({name: f"array size is greater than: {LONGEST_LIST}"})
        return items

    def _numbers(self, name: str, text: str) -> set[int]:
        return {self._number(name, item) for item in self._items(name, text)}

    def _number(self, name: str, text: str) -> int:
        if not re.fullmatch(r"-?\d{1,19}", text):
            self._problems.append({name: f"`{text[:40]}` is not an integer"})
            return 1
        return int(text)

    def _flag(self, name: str, text: str) -> bool:
        if text not in {"true", "false"}:
            self._problems.append({name: f"`{text[:40]}` is not a boolean"})
        return text == "true"

    def _per_page(self, text: str) -> int:
        number = self._number("per_page", text)
        if number > LARGEST_PER_PAGE:
            self._problems.append({"per_page": f"`{number}` number is greater than: {LARGEST_PER_PAGE}"})
        elif number < 1:
            self._problems.append({"per_page": f"`{number}` number is less than: 1"})
        return number

    def _fields(self, text: str) -> tuple[str, ...]:
        known = {"id", "created_at", "updated_at", *self._spec.empty}
        if self._spec.name == "applications" and not self._store.switches.newer_application_fields:
            known -= set(NEWER_APPLICATION_FIELDS)
        names = self._items("fields", text)
        for name in names:
            if not _FIELD_NAME.fullmatch(name) or name not in known:
                self._problems.append({"fields": f"`{name[:40]}` is not a field of this resource"})
        return tuple(dict.fromkeys(names))

    def _dates(self, name: str, column: str, text: str) -> list[Predicate]:
        parts = text.split("|")
        pairs = list(zip(parts[::2], parts[1::2], strict=False))
        operators = [operator for operator, _ in pairs]
        one_sided = self._store.switches.two_sided_dates == "refused"
        if len(parts) % 2 or not set(operators) <= _DATE_OPERATORS or len(set(operators)) < len(operators):
            self._problems.append({name: f"`{text[:80]}` is not of the form gte|2024-01-01T00:00:00Z"})
            return []
        if one_sided and len(pairs) > 1:
            self._problems.append({name: "takes one comparison only"})
            return []
        predicates: list[Predicate] = []
        for operator, moment in pairs:
            try:
                bound = sortable(read_stamp(moment.replace(" ", "+")))
            except ValueError:
                self._problems.append({name: f"`{moment[:40]}` is not a date-time"})
                continue
            predicates.append(_comparison(column, operator, bound))
        return predicates


def _comparison(column: str, operator: str, bound: str) -> Predicate:
    def value(row: Row) -> str | None:
        found: str | None = row[column]
        if found is None:
            return None
        return found.removesuffix("Z") if "T" in found else f"{found}T00:00:00.000"

    def holds(row: Row) -> bool:
        found = value(row)
        if found is None:
            return False
        match operator:
            case "gte":
                return found >= bound
            case "gt":
                return found > bound
            case "lte":
                return found <= bound
            case _:
                return found < bound

    return holds
