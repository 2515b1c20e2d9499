"""For the author of a CRM connector: what the rest of the project relies on, asked of a connector over its sandbox.

Belongs here: the questions, in words that say what lacks and what follows. Does not belong here: any vendor, pytest,
the same for an ATS (`testing`, which shows how it is used).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count

from referral_pipeline.connectors.protocols import CrmConnector
from referral_pipeline.connectors.records import ContactWish
from referral_pipeline.connectors.testing import Gap

__all__ = ["CrmTenant", "crm_gaps"]


@dataclass(frozen=True)
class CrmTenant:
    """A tenant of a CRM that may be written to, and what only its own side can do.

    Attributes:
        connector: under test, bound to the tenant.
        text_property: a property of text that the connector was given as mapped.
        read: (first name, value of the property) of a contact by id, as the CRM holds them; None for none.
        rename: a person of the CRM writes another first name.
        delete: a person of the CRM deletes the contact.
    """

    connector: CrmConnector
    text_property: str
    read: Callable[[str], tuple[str | None, str | None] | None]
    rename: Callable[[str, str], None]
    delete: Callable[[str], None]
    people: Iterator[int] = field(default_factory=lambda: count(1))

    def wish(self, value: str | None = "one") -> ContactWish:
        """A person whom nobody knows yet."""
        number = next(self.people)
        properties = {self.text_property: value}
        return ContactWish((f"kit.{number}@example.com",), "Kit", f"Number {number}", None, properties)


def crm_gaps(tenant: CrmTenant) -> list[Gap]:
    """All that the connector of a CRM does not do."""
    gaps: list[Gap] = []
    for question in _ASKED:
        try:
            gaps += question(tenant)
        except Exception as error:  # noqa: BLE001 - an author shall see every gap, also behind one that raises
            what = (question.__doc__ or question.__name__).rstrip(".")
            gaps.append(Gap(what, f"it raised {type(error).__name__}: {error}", "nothing of it is known"))
    return gaps


def _makes_properties_once(tenant: CrmTenant) -> Iterable[Gap]:
    """It makes the properties that are missing, once."""
    tenant.connector.ensure_properties()
    if again := tenant.connector.ensure_properties():
        yield Gap("ensure_properties", f"a second call made {again}", "each run makes them anew")


def _writes_one_contact(tenant: CrmTenant) -> Iterable[Gap]:
    """It makes one contact of a person, finds it at once, and writes nothing where nothing differs."""
    wish = tenant.wish()
    made, again = tenant.connector.put_contact(wish), tenant.connector.put_contact(wish)
    if (made.outcome, again.outcome) != ("created", "unchanged"):
        yield Gap("put_contact twice", f"{made.outcome}, {again.outcome}", "a repeat does harm, or costs a write")
    if again.contact_id != made.contact_id:
        yield Gap("put_contact twice", "two contacts", "persons are doubled")
    if tenant.connector.find_contact(wish.emails[0]) != made.contact_id:
        yield Gap("find_contact", "not found at once", "what was lost on the way is made twice")


def _leaves_what_people_wrote(tenant: CrmTenant) -> Iterable[Gap]:
    """It brings own properties, clears them, and leaves names to people."""
    wish = tenant.wish()
    contact_id = tenant.connector.put_contact(wish).contact_id
    tenant.rename(contact_id, "Changed")
    for value in ("two", None):
        tenant.connector.put_contact(replace(wish, properties={tenant.text_property: value}, contact_id=contact_id))
        found = tenant.read(contact_id)
        if found is None or (found[1] or None) != value:
            yield Gap("put_contact", f"the property does not hold {value or 'nothing'}", "contacts grow stale")
        if found is not None and found[0] != "Changed":
            yield Gap("put_contact", "the first name was written again", "what people wrote is lost")


def _respects_an_end(tenant: CrmTenant) -> Iterable[Gap]:
    """It makes no contact again that people deleted, and erases for good."""
    wish = tenant.wish()
    contact_id = tenant.connector.put_contact(wish).contact_id
    tenant.delete(contact_id)
    put = tenant.connector.put_contact(replace(wish, contact_id=contact_id))
    if put.outcome != "gone" or tenant.connector.find_contact(wish.emails[0]) is not None:
        yield Gap("put_contact", f"a deleted contact was {put.outcome}", "what people deleted comes back")
    other = tenant.connector.put_contact(tenant.wish()).contact_id
    first, second = tenant.connector.erase_contact(other), tenant.connector.erase_contact(other)
    if not first or second or tenant.read(other) is not None:
        yield Gap("erase_contact", "not erased, or not told as gone the second time", "an erasure cannot be proven")


_ASKED = (_makes_properties_once, _writes_one_contact, _leaves_what_people_wrote, _respects_an_end)
