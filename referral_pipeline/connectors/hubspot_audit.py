"""What a HubSpot account can do for the integration, asked of the account itself.

Belongs here: the questions and how each is answered. Does not belong here: running them beside those of other systems
(`monitoring.api_audit`).

In a sandbox a contact with a reserved address is made, met again, changed and archived. In production nothing is
written: what would be is not verified.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from referral_pipeline.connectors.capabilities import (
    NO_WRITES,
    REACHED,
    Area,
    AuditScope,
    Capability,
    Question,
    dates_line,
    one_by_one,
    rate_line,
)
from referral_pipeline.connectors.failures import Conflict, HttpFailure, NotFound, Unauthorized
from referral_pipeline.connectors.hubspot_api import CONTACTS, HubSpotApi
from referral_pipeline.connectors.hubspot_models import Kind
from referral_pipeline.connectors.hubspot_probe import how_to_make

_NOBODY = "9000000000000000001"
_ADDRESS = "api-audit@referral-pipeline.example.com"
_CRM = ("candidate_creation",)


def _endpoint(name: str, title: str, with_it: str, without: str, endpoint: str) -> Question:
    return Question(Area.ENDPOINTS, name, title, with_it, without, _CRM, endpoint)


_LIST = _endpoint(
    "contacts.list", "Read contacts", "contacts can be compared", "no contact can be kept level", f"GET /{CONTACTS}"
)
_FIND = _endpoint(
    "contacts.by_email",
    "Find a contact by e-mail, at once",
    "nobody is written twice",
    "a contact is found by search only, which lags: duplicates are possible",
    f"GET /{CONTACTS}/{{id}}?idProperty=email",
)
_CREATE = _endpoint(
    "contacts.create", "Create a contact", "persons become contacts", "no contact can be made", f"POST /{CONTACTS}"
)
_UNIQUE = Question(
    Area.ARCHITECTURE,
    "contacts.unique",
    "A second contact with an address is refused",
    "a repeat makes no duplicate",
    "a repeat could make a duplicate",
    _CRM,
)
_UPDATE = _endpoint(
    "contacts.update",
    "Update a contact",
    "a status reaches the contact",
    "contacts grow stale",
    f"PATCH /{CONTACTS}/{{id}}",
)
_ERASE = _endpoint(
    "contacts.erase",
    "Erase a contact for good",
    "who is erased on the platform is erased here",
    "erasures are to be done by hand",
    f"POST /{CONTACTS}/gdpr-delete",
)
_PROPERTIES = Question(
    Area.CUSTOM_FIELDS,
    "properties",
    "The mapped properties are there, with their types",
    "values have their place",
    "no contact is written until they are made",
    _CRM,
    "GET /crm/v3/properties/contacts",
)


def audit(api: HubSpotApi, kinds: Mapping[str, Kind], scope: AuditScope) -> list[Capability]:
    """Every line. A refusal or a silence is a line, never an exception."""
    return one_by_one(list(_lines(api, kinds, scope)))


def _lines(api: HubSpotApi, kinds: Mapping[str, Kind], scope: AuditScope) -> Iterator[Capability]:
    try:
        answer = api.client.get("contacts.list", CONTACTS, {"limit": "1"})
    except Unauthorized as failure:
        yield REACHED.failed(failure)
        return
    except HttpFailure as failure:
        yield REACHED.covered("the key is known") if failure.status == 403 else REACHED.failed(failure)
        yield _LIST.failed(failure)
    else:
        yield REACHED.covered("the key was taken")
        yield _LIST.covered("one page was read")
        yield dates_line(_times(answer.data))
    yield _properties(api, kinds)
    try:
        found = api.by_email(_ADDRESS)
        yield _FIND.covered(f"asked for a reserved address: {'found' if found else 'none'}")
    except HttpFailure as failure:
        yield _FIND.failed(failure)
    if scope.may_write:
        yield from _round_trip(api)
    else:
        yield from (one.not_verified(NO_WRITES) for one in (_CREATE, _UNIQUE, _UPDATE, _ERASE))
    yield rate_line(api.client.rate_window)


def _properties(api: HubSpotApi, kinds: Mapping[str, Kind]) -> Capability:
    try:
        there = api.properties()
    except HttpFailure as failure:
        return _PROPERTIES.failed(failure)
    wrong = sorted(name for name, kind in kinds.items() if name in there and there[name].type != kind)
    missing: dict[str, Kind] = {name: kind for name, kind in kinds.items() if name not in there}
    if wrong:
        return _PROPERTIES.missing(f"of another type: {', '.join(wrong)}")
    if missing:
        told = f"{len(missing)} of {len(kinds)} are not there; they are made at the first write"
        return _PROPERTIES.partial(told, how_to_make(missing))
    return _PROPERTIES.covered(f"all {len(kinds)} are there")


def _round_trip(api: HubSpotApi) -> Iterator[Capability]:
    """Make a contact, meet it again, change it, archive it."""
    left = api.by_email(_ADDRESS)
    if left is not None:
        api.archive(left.id)
    try:
        made = api.create({"email": _ADDRESS})
    except HttpFailure as failure:
        yield _CREATE.failed(failure)
        yield from (one.not_verified("no contact could be made for it") for one in (_UNIQUE, _UPDATE))
    else:
        yield _CREATE.covered("a contact was made and archived")
        try:
            api.create({"email": _ADDRESS})
            yield _UNIQUE.missing("a second contact with the same address was made")
        except Conflict:
            yield _UNIQUE.covered("a second one was refused with 409")
        except HttpFailure as failure:
            yield _UNIQUE.failed(failure)
        try:
            api.update(made.id, {"lastname": "Audit"})
            yield _UPDATE.covered("the contact was changed")
        except HttpFailure as failure:
            yield _UPDATE.failed(failure)
        api.archive(made.id)
    try:
        # An id that nobody has (they are counted up from 1): whether it is refused for the scope shows all the same.
        api.erase(_NOBODY)
        yield _ERASE.covered("an unknown contact was accepted")
    except NotFound:
        yield _ERASE.covered("an unknown contact was not found")
    except HttpFailure as failure:
        yield _ERASE.failed(failure)


def _times(data: object) -> list[str]:
    rows = cast("Mapping[str, Any]", data).get("results") if isinstance(data, dict) else None
    times = [
        cast("Mapping[str, Any]", row).get("updatedAt")
        for row in cast("list[Any]", rows or [])
        if isinstance(row, dict)
    ]
    return [time for time in times if isinstance(time, str)]
