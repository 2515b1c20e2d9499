"""The contacts of the account, and what becomes of them.

Belongs here: rows and changes of rows, whoever makes them. Does not belong here: HTTP, search, what is told of changes.

A contact is found by id, by the id of one that was merged into it, by its address and by each further address that it
took over. An archived one is found by nobody, and its address is free again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from referral_pipeline.sandbox.hubspot.errors import bad_properties, exists, invalid, not_found
from referral_pipeline.sandbox.hubspot.schema import Schema, iso
from referral_pipeline.sandbox.hubspot.switches import HubSpotSwitches

_FIRST_ID = 500_101
_STEP = 50


@dataclass
class Contact:
    """One contact. `properties` hold what was written; times and id are added when it is shown."""

    id: str
    created_at: datetime
    updated_at: datetime
    properties: dict[str, str] = field(default_factory=dict[str, str])
    further_emails: list[str] = field(default_factory=list[str])
    merged_ids: list[str] = field(default_factory=list[str])
    archived_at: datetime | None = None

    def value(self, name: str) -> str | None:
        """A property as it is answered."""
        match name:
            case "createdate":
                return iso(self.created_at)
            case "lastmodifieddate":
                return iso(self.updated_at)
            case "hs_object_id":
                return self.id
            case "hs_additional_emails":
                return ";".join(self.further_emails) or None
            case "hs_merged_object_ids":
                return ";".join(self.merged_ids) or None
            case _:
                return self.properties.get(name)


@dataclass(frozen=True)
class Change:
    """What happened to a contact: a word of the webhooks, and what goes with it."""

    kind: str
    contact_id: str
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Book:
    """All contacts. `lock` guards it; `told` hears of each set of changes, inside the lock."""

    def __init__(self, switches: HubSpotSwitches | None = None, clock: Callable[[], float] = time.time) -> None:
        self.lock = threading.RLock()
        self.switches = switches or HubSpotSwitches()
        self.schema = Schema()
        self.clock = clock
        self.contacts: dict[str, Contact] = {}
        self.erased: list[str] = []
        self.told: Callable[[list[Change]], None] | None = None
        self._blocked: set[str] = set()
        self._by_email: dict[str, str] = {}
        self._merged: dict[str, str] = {}
        self._next = _FIRST_ID

    # ---------------------------------------------------------------- finding

    def find(self, contact_id: str) -> Contact | None:
        """A living contact by id, or by that of one merged into it."""
        contact = self.contacts.get(self._merged.get(contact_id, contact_id))
        return contact if contact is not None and contact.archived_at is None else None

    def by_email(self, email: str) -> Contact | None:
        """A living contact by any of its addresses."""
        found = self._by_email.get(email.strip().lower())
        return self.find(found) if found is not None else None

    def living(self) -> Iterator[Contact]:
        """All that are not archived, in order of ids."""
        return (one for one in self.contacts.values() if one.archived_at is None)

    # ---------------------------------------------------------------- changing

    def create(self, wish: Mapping[str, str]) -> Contact:
        """A new contact; one address is one contact."""
        values = self._checked(wish)
        if not any(values.values()):
            raise invalid("No properties found to create")
        email = values.get("email", "")
        if email and (there := self.by_email(email)) is not None:
            raise exists(there.id, tells_id=self.switches.conflict_tells_id)
        if email in self._blocked and self.switches.blocklist:
            raise bad_properties([("email", "BLOCKLISTED_EMAIL", "The address belongs to an erased contact")])
        now = self._now()
        contact = Contact(str(self._next), now, now, {name: value for name, value in values.items() if value})
        self._next += _STEP
        self.contacts[contact.id] = contact
        if email:
            self._by_email[email] = contact.id
        self._tell(
            [
                Change("contact.creation", contact.id, {"changeFlag": "CREATED"}),
                *_values(contact.id, contact.properties),
            ]
        )
        return contact

    def update(self, contact: Contact, wish: Mapping[str, str]) -> Contact:
        """Other values; an empty one clears. What does not change is told to nobody."""
        values = self._checked(wish)
        changed = {name: value for name, value in values.items() if contact.properties.get(name, "") != value}
        email = changed.get("email")
        if email and (there := self.by_email(email)) is not None and there is not contact:
            raise exists(there.id, tells_id=self.switches.conflict_tells_id)
        if email is not None:
            before = contact.properties.get("email")
            if before:
                self._by_email.pop(before, None)
            if email:
                self._by_email[email] = contact.id
        for name, value in changed.items():
            if value:
                contact.properties[name] = value
            else:
                contact.properties.pop(name, None)
        if changed:
            contact.updated_at = self._now()
            self._tell(list(_values(contact.id, changed)))
        return contact

    def archive(self, contact: Contact) -> None:
        """Delete, as the product calls it: it can be restored for 90 days, and is found by nobody."""
        contact.archived_at = self._now()
        self._free(contact)
        self._tell([Change("contact.deletion", contact.id, {"changeFlag": "DELETED"})])

    def restore(self, contact_id: str) -> Contact:
        """Take an archived contact back, unless its address is somebody else's by now."""
        contact = self.contacts.get(contact_id)
        if contact is None or contact.archived_at is None:
            raise not_found()
        email = contact.properties.get("email")
        if email and (there := self.by_email(email)) is not None:
            raise exists(there.id, tells_id=self.switches.conflict_tells_id)
        contact.archived_at = None
        for one in filter(None, (email, *contact.further_emails)):
            self._by_email.setdefault(one, contact.id)
        self._tell([Change("contact.restore", contact.id)])
        return contact

    def erase(self, contact_id: str) -> None:
        """Delete for good, as the law asks: archived or not."""
        contact = self.contacts.get(self._merged.get(contact_id, contact_id))
        if contact is None:
            raise not_found()
        self._blocked |= {one for one in (contact.properties.get("email"), *contact.further_emails) if one}
        self._free(contact)
        del self.contacts[contact.id]
        self.erased.append(contact.id)
        self._tell([Change("contact.privacyDeletion", contact.id, {"changeFlag": "DELETED"})])

    def merge(self, primary_id: str, other_id: str) -> Contact:
        """Make one of two: the first keeps its values, takes over what it lacks and the other's addresses."""
        primary, other = self.find(primary_id), self.find(other_id)
        if primary is None or other is None:
            raise not_found()
        if primary is other:
            raise invalid("A contact cannot be merged into itself")
        moved = {
            name: value
            for name, value in other.properties.items()
            if name != "email" and not primary.properties.get(name)
        }
        primary.properties.update(moved)
        for email in filter(None, (other.properties.get("email"), *other.further_emails)):
            if primary.properties.get("email"):
                primary.further_emails.append(email)
            else:
                primary.properties["email"] = email
            self._by_email[email] = primary.id
        primary.merged_ids += [other.id, *other.merged_ids]
        for old in (other.id, *other.merged_ids):
            self._merged[old] = primary.id
        primary.updated_at = self._now()
        del self.contacts[other.id]
        details = {
            "primaryObjectId": int(primary.id),
            "mergedObjectIds": [int(other.id)],
            "newObjectId": int(primary.id),
            "numberOfPropertiesMoved": len(moved),
        }
        self._tell([Change("contact.merge", primary.id, details), *_values(primary.id, moved)])
        return primary

    # ---------------------------------------------------------------- parts

    def _checked(self, wish: Mapping[str, str]) -> dict[str, str]:
        problems = [found for name, value in wish.items() if (found := self.schema.problem(name, value)) is not None]
        if problems:
            raise bad_properties(problems)
        return {name: self.schema.kept(name, value) if value else "" for name, value in wish.items()}

    def _free(self, contact: Contact) -> None:
        for email in filter(None, (contact.properties.get("email"), *contact.further_emails)):
            if self._by_email.get(email) == contact.id:
                del self._by_email[email]

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)

    def _tell(self, changes: list[Change]) -> None:
        if self.told is not None and changes:
            self.told(changes)


def _values(contact_id: str, values: Mapping[str, str]) -> Iterator[Change]:
    for name, value in values.items():
        yield Change("contact.propertyChange", contact_id, {"propertyName": name, "propertyValue": value})
