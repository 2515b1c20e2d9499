"""The connector for HubSpot's CRM (api.hubapi.com, contacts v3).

Belongs here: the CRM protocol over the vendor's ways of reading and writing. Does not belong here: decisions about
people, stores. Its parts: `hubspot_api` (calls), `hubspot_models` (rows, options), `hubspot_probe` (looking at an
account), `hubspot_audit`, `hubspot_events` and `hubspot_signature` (webhooks).

Invariants of the vendor's API, each with a test of the same number
1. A contact is found by `idProperty=email`, which sees at once what was written. Search lags, and is not used to write.
2. One address is one contact: a create of a second one is refused (409). Then the contact that is there is read and
   brought to the wish.
3. No create has an idempotency key: after an outcome that nobody knows the address is read before anything is sent.
4. Only own properties that differ are written; where none does, nothing is sent.
5. Names, address and number are written when the contact is created, and never after: they belong to people.
6. Properties that are missing are made, in a group of our own; one of another type stops the write with what to do.
7. A contact that was merged away is answered by the one that lives on, under another id; that id is kept from then on.
8. A contact that we wrote and that is gone was deleted by people: it is not made again. Erasure is `gdpr-delete`.
9. All values are texts; an empty one clears. Times are kept to the millisecond.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from referral_pipeline.connectors.build import Build
from referral_pipeline.connectors.capabilities import AuditScope, Capability
from referral_pipeline.connectors.failures import AmbiguousOutcome, Conflict, Forbidden, Invalid, NotFound
from referral_pipeline.connectors.http import HttpClient, RetryPolicy, Timeouts
from referral_pipeline.connectors.hubspot_api import MOST_GROUPS, HubSpotApi
from referral_pipeline.connectors.hubspot_audit import audit
from referral_pipeline.connectors.hubspot_models import (
    SYSTEM,
    ContactRow,
    HubSpotOptions,
    Kind,
    definition,
    kinds_of,
    written,
)
from referral_pipeline.connectors.hubspot_probe import how_to_make, of_other_type, probe
from referral_pipeline.connectors.records import ContactPut, ContactWish, Finding

_WINDOW_SECONDS = 10.0
_CREATE_ATTEMPTS = 3
RETRY_BASE_SECONDS = 1.0
"""A refusal for too many calls says not how long it lasts, and a window is ten seconds."""


class HubSpotConnector:
    """Implements `protocols.CrmConnector`. Safe for threads.

    Args:
        client: The session, already with its key and budget.
        options: `crm.options` of the contract.
        kinds: The own properties that the contract maps, with their types.
    """

    system: str = SYSTEM

    def __init__(self, client: HttpClient, options: HubSpotOptions, *, kinds: Mapping[str, Kind]) -> None:
        self._client = client
        self._options = options
        self._kinds = dict(kinds)
        self._api = HubSpotApi(client, tuple(self._kinds))

    # ------------------------------------------------------------ properties

    def ensure_properties(self) -> int:
        """(6) Make what is missing; how many properties were made.

        Raises:
            Forbidden: The app may not make them; the message says which are to be made by hand.
            Invalid: One is there with another type.
        """
        there = self._api.properties()
        for name, kind in self._kinds.items():
            if name in there and there[name].type != kind:
                raise Invalid(SYSTEM, "properties.list", detail=of_other_type(name, there[name].type, kind))
        missing = [name for name in self._kinds if name not in there]
        if not missing:
            return 0
        group = self._options.property_group
        try:
            if group not in self._api.groups():
                # A conflict: somebody else has made it meanwhile, or our own first try had.
                with suppress(Conflict):
                    self._api.add_group(group)
            for name in missing:
                with suppress(Conflict):
                    self._api.add_property(definition(name, self._kinds[name], group))
        except Forbidden as refused:
            mend = how_to_make({name: self._kinds[name] for name in missing})
            raise Forbidden(SYSTEM, refused.operation, status=refused.status, detail=mend) from None
        return len(missing)

    # ------------------------------------------------------------ contacts

    def find_contact(self, email: str) -> str | None:
        """(1) The id of the contact with this address."""
        found = self._api.by_email(email)
        return found.id if found is not None else None

    def contacts_having(self, name: str, values: Sequence[str]) -> list[str]:
        """Ids of the contacts whose own property has one of these values; by search, which lags (1)."""
        some = [values[start : start + MOST_GROUPS] for start in range(0, len(values), MOST_GROUPS)]
        return list(dict.fromkeys(row.id for part in some for row in self._api.having(name, part)))

    def put_contact(self, wish: ContactWish) -> ContactPut:
        """(2-5, 7, 8) Bring a contact to a wish.

        Raises:
            AmbiguousOutcome: Nobody knows whether it was created; it is found by its address the next time.
        """
        if wish.contact_id is not None:
            known = self._api.by_id(wish.contact_id)
            return ContactPut(wish.contact_id, "gone") if known is None else self._bring(known, wish)
        for email in wish.emails:
            found = self._api.by_email(email)
            if found is not None:
                return self._bring_found(found, wish)
        return self._create(wish)

    def erase_contact(self, contact_id: str) -> bool:
        """(8) Erase a contact for good, archived or not. False when there is none."""
        try:
            self._api.erase(contact_id)
        except NotFound:
            return False
        return True

    def _bring_found(self, contact: ContactRow, wish: ContactWish) -> ContactPut:
        """What an address found may be another person's, whom people here or there have joined with this one."""
        return ContactPut(contact.id, "taken") if contact.id in wish.not_these else self._bring(contact, wish)

    def _bring(self, contact: ContactRow, wish: ContactWish) -> ContactPut:
        """(4) Write what differs. People may delete it meanwhile: then it is gone."""
        wanted = {name: written(self._kinds.get(name, "string"), value) for name, value in wish.properties.items()}
        differing = {
            name: value
            for name, value in wanted.items()
            if written(self._kinds.get(name, "string"), contact.properties.get(name)) != value
        }
        if not differing:
            return ContactPut(contact.id, "unchanged")
        try:
            return ContactPut(self._api.update(contact.id, differing).id, "updated")
        except NotFound:
            return ContactPut(contact.id, "gone")

    def _create(self, wish: ContactWish) -> ContactPut:
        """(2, 3, 5) Create; look by address whenever it may be there already."""
        person = {
            "email": wish.emails[0],
            "firstname": wish.first_name,
            "lastname": wish.last_name,
            "phone": wish.phone,
        }
        own = {name: written(self._kinds.get(name, "string"), value) for name, value in wish.properties.items()}
        body = {name: value for name, value in {**person, **own}.items() if value}
        for attempt in range(1, _CREATE_ATTEMPTS + 1):
            try:
                return ContactPut(self._api.create(body).id, "created")
            except Conflict:
                found = self._api.by_email(wish.emails[0])
                if found is None:
                    raise
                return self._bring_found(found, wish)
            except AmbiguousOutcome:
                self._client.pause(attempt)
                found = self._api.by_email(wish.emails[0])
                if found is not None:
                    put = self._bring_found(found, wish)
                    return ContactPut(put.contact_id, "created" if put.outcome == "unchanged" else put.outcome)
                if attempt == _CREATE_ATTEMPTS:
                    raise
        raise AssertionError  # the last attempt returns or raises

    # ------------------------------------------------------------ looking

    def probe(self) -> list[Finding]:
        """Look, without writing, whether the account is reachable and set up as the contract needs."""
        return probe(self._api, self._kinds)

    def audit(self, scope: AuditScope) -> list[Capability]:
        """What the account can do, line by line."""
        return audit(self._api, self._kinds, scope)

    def close(self) -> None:
        """Close the session."""
        self._client.close()


def build(of: Build) -> HubSpotConnector:
    """The connector that a contract asks for."""
    options = of.options(HubSpotOptions)
    client = of.api_key_client(
        scheme="bearer",
        timeouts=Timeouts(options.connect_timeout_seconds, options.read_timeout_seconds),
        retry=RetryPolicy(max_attempts=options.max_attempts, base_seconds=RETRY_BASE_SECONDS),
        default_limit=options.calls_per_ten_seconds,
        window_seconds=_WINDOW_SECONDS,
    )
    return HubSpotConnector(client, options, kinds=kinds_of(of.contract))
