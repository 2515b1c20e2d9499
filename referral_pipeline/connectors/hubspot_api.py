"""HubSpot's endpoints: contacts by id and by address, properties and their groups.

Belongs here: paths, parameters, reading answers. Does not belong here: what is written when. The numbers in comments
are the invariants of `hubspot`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from referral_pipeline.connectors.failures import AmbiguousOutcome, Invalid, NotFound
from referral_pipeline.connectors.http import HttpClient
from referral_pipeline.connectors.hubspot_models import GROUP_LABEL, SYSTEM, ContactRow, GroupRow, PropertyRow

CONTACTS = "crm/v3/objects/contacts"
PROPERTIES = "crm/v3/properties/contacts"
MOST_GROUPS = 5
"""Groups of filters that one search takes."""
_M = TypeVar("_M", bound=BaseModel)


class HubSpotApi:
    """Reads and writes. Safe for threads. `names` are the properties that are read of a contact."""

    def __init__(self, client: HttpClient, names: Sequence[str]) -> None:
        self.client = client
        self._asked = {"properties": ",".join(sorted(names))} if names else {}

    # ---------------------------------------------------------------- contacts

    def by_id(self, contact_id: str) -> ContactRow | None:
        """(7) The contact of an id, or the one into which it was merged; None when it is not there."""
        return self._read("contacts.read", contact_id, self._asked)

    def by_email(self, email: str) -> ContactRow | None:
        """(1) The contact that has this address as its first or as a further one, at once."""
        return self._read("contacts.read_by_email", email, {**self._asked, "idProperty": "email"})

    def having(self, name: str, values: Sequence[str]) -> list[ContactRow]:
        """Contacts whose property has one of these values, at most five. Search lags: what is fresh may be missing.

        `IN` would take values in lower case only, hence one group for each.
        """
        body = {
            "filterGroups": [
                {"filters": [{"propertyName": name, "operator": "EQ", "value": value}]}
                for value in values[:MOST_GROUPS]
            ],
            "sorts": list[str](),
            "properties": [name],
            "limit": 200,
            "after": "0",
        }
        answer = self.client.call(
            "contacts.search", "POST", f"{CONTACTS}/search", json=body, repeatable=True, writes=False
        )
        rows = (read(ContactRow, "contacts.search", row) for row in _results("contacts.search", answer.data))
        return [row for row in rows if row.properties.get(name) in values]

    def create(self, properties: Mapping[str, str]) -> ContactRow:
        """(2) A new contact. The document requires `associations`, be it empty."""
        body = {"properties": dict(properties), "associations": list[Any]()}
        answer = self.client.call("contacts.create", "POST", CONTACTS, json=body)
        return read(ContactRow, "contacts.create", _shown("contacts.create", answer.data))

    def update(self, contact_id: str, properties: Mapping[str, str]) -> ContactRow:
        """(4) Other values; whoever repeats it changes nothing."""
        path = f"{CONTACTS}/{contact_id}"
        answer = self.client.call("contacts.update", "PATCH", path, json={"properties": dict(properties)})
        return read(ContactRow, "contacts.update", _shown("contacts.update", answer.data))

    def erase(self, contact_id: str) -> None:
        """(8) Erase for good. Whoever repeats it is told that there is none."""
        body = {"objectId": contact_id}
        self.client.call("contacts.erase", "POST", f"{CONTACTS}/gdpr-delete", json=body, repeatable=True)

    def archive(self, contact_id: str) -> None:
        """Delete as people do, for what an audit has made."""
        self.client.call("contacts.archive", "DELETE", f"{CONTACTS}/{contact_id}")

    def _read(self, operation: str, which: str, params: Mapping[str, str]) -> ContactRow | None:
        try:
            answer = self.client.get(operation, f"{CONTACTS}/{quote(which, safe='')}", params)
        except NotFound:
            return None
        row = read(ContactRow, operation, answer.data)
        return None if row.archived else row

    # ---------------------------------------------------------------- properties

    def properties(self) -> dict[str, PropertyRow]:
        """All definitions by name."""
        rows = _results("properties.list", self.client.get("properties.list", PROPERTIES).data)
        return {one.name: one for one in (read(PropertyRow, "properties.list", row) for row in rows)}

    def groups(self) -> set[str]:
        """The names of all groups."""
        rows = _results("groups.list", self.client.get("groups.list", f"{PROPERTIES}/groups").data)
        return {read(GroupRow, "groups.list", row).name for row in rows}

    def add_group(self, name: str) -> None:
        """A group. A repeat is a conflict and makes no second one."""
        body = {"name": name, "label": GROUP_LABEL}
        self.client.call("groups.create", "POST", f"{PROPERTIES}/groups", json=body, repeatable=True)

    def add_property(self, body: Mapping[str, Any]) -> None:
        """A property. A repeat is a conflict and makes no second one."""
        self.client.call("properties.create", "POST", PROPERTIES, json=dict(body), repeatable=True)


def read(model: type[_M], operation: str, data: object) -> _M:
    """An answer as a record.

    Raises:
        Invalid: it has another form; names the place, never a value.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"][:2]) or "the answer"
        raise Invalid(SYSTEM, operation, detail=f"{where}: {first['type']}") from None


def _shown(operation: str, data: object) -> object:
    """What a write answered. It is done by now, so an empty answer is no refusal."""
    if data is None:
        raise AmbiguousOutcome(SYSTEM, operation, detail="the answer shows no record")
    return data


def _results(operation: str, data: object) -> list[Any]:
    rows = cast("Mapping[str, Any]", data).get("results") if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise Invalid(SYSTEM, operation, detail="the answer holds no results")
    return cast("list[Any]", rows)
