"""Erasures reach the CRM whatever happened before: a crash, another referral, a contract that changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from referral_pipeline.connectors.hubspot_models import kinds_of
from referral_pipeline.ledger.store import DeliveryState, IdentityKey
from referral_pipeline.sync.contact_memory import contact_key, known_contacts
from referral_pipeline_tests.records import NOW, make_application, make_referral
from referral_pipeline_tests.unit.test_contacts import CONTRACT, Killed, Rig, rig

__all__ = ["rig"]


def forget(rig: Rig, referral_id: str = "R1") -> None:
    rig.ledger.add_tombstone("referral", f"advocacy:{referral_id}", "candidate.erased")


def write_and_die(rig: Rig, *, reaches: bool = True) -> None:
    """A run that is killed after the contact was made, or just before: nobody has noted which."""
    connector = rig.account.connect(kinds=kinds_of(CONTRACT))
    connector.ensure_properties()

    class Dies:
        system = "hubspot"

        def __getattr__(self, name: str) -> Any:
            return getattr(connector, name)

        def put_contact(self, wish: Any) -> Any:
            if reaches:
                connector.put_contact(wish)
            raise Killed

    case = rig.case(make_referral(), make_referral(id="R0", job_id="J2"))
    rig.ledger.save_links(list(case.links.values()))
    with pytest.raises(Killed):
        rig.run(case, connector=Dies())
    assert len(rig.account.contacts()) == reaches


def unsettled(rig: Rig) -> int:
    return len(rig.ledger.deliveries(state=DeliveryState.PENDING, system="hubspot"))


def test_a_contact_that_a_killed_run_made_is_found_and_erased(rig: Rig) -> None:
    write_and_die(rig)
    forget(rig)
    assert rig.run().counts["contacts_erased"] == 0  # search does not show it yet
    rig.account.now += timedelta(minutes=1)
    assert rig.run().counts["contacts_erased"] == 1
    assert (rig.account.contacts(), unsettled(rig)) == ([], 0)
    (known,) = known_contacts(rig.ledger, "hubspot")
    assert known.gone == "erased"
    rig.account.sent.clear()
    assert rig.run().counts["contacts_erased"] == 0
    assert rig.account.sent == []


def test_a_killed_run_that_made_none_is_settled_once_search_would_show_it(rig: Rig) -> None:
    write_and_die(rig, reaches=False)
    forget(rig)
    rig.run()
    assert unsettled(rig) == 1  # search lags: what it does not show yet may be there
    rig.now = NOW + timedelta(hours=2)
    rig.run()
    assert unsettled(rig) == 0
    rig.account.sent.clear()
    rig.run()
    assert rig.account.sent == []


def test_a_contact_of_somebody_else_is_left_alone_though_it_holds_the_referral(rig: Rig) -> None:
    write_and_die(rig)
    (made,) = rig.account.book.living()
    other = [make_application(id="1002", candidate_id="502")]
    rig.run(rig.case(make_referral(id="R2", email="bo@example.com"), person="per_bo", applications=other))
    (known,) = known_contacts(rig.ledger, "hubspot")
    rig.account.act("edit_contact", id=known.contact_id, properties={"referral_id": "R1"})
    rig.account.now += timedelta(minutes=1)
    forget(rig)
    rig.run()
    assert rig.account.book.erased == [made.id]


def test_without_a_property_that_holds_the_referral_it_is_told_once_what_to_do_by_hand(rig: Rig) -> None:
    mappings = tuple(m for m in CONTRACT.mappings if not m.target.endswith(".referral_id"))
    rig.contract = CONTRACT.model_copy(update={"mappings": mappings})
    write_and_die(rig)
    forget(rig)
    (failure,) = rig.run().failures
    assert (failure.subject, failure.transient) == ("per_ada", False)
    assert "erase it by hand" in failure.error
    delivery = rig.ledger.delivery(contact_key("per_ada"))
    assert delivery is not None
    assert delivery.state is DeliveryState.DEAD
    assert rig.run().failures == []


def test_who_was_erased_by_an_address_loses_the_contact_of_another_referral_too(rig: Rig) -> None:
    rig.run(rig.case(make_referral()))
    keys = [IdentityKey(f"hash-of-{kind}", kind, "advocacy", "advocacy:R1", "per_ada") for kind in ("email", "phone")]
    rig.ledger.save_identity_keys(keys)
    rig.ledger.add_tombstone("phone", "hash-of-phone", "candidate.erased")  # a household may share a number
    assert rig.run().counts["contacts_erased"] == 0
    rig.ledger.add_tombstone("email", "hash-of-email", "candidate.erased")
    assert rig.run().counts["contacts_erased"] == 1
    assert rig.account.contacts() == []


def test_an_erasure_is_done_though_the_contract_maps_nothing_any_more(rig: Rig) -> None:
    rig.run(rig.case(make_referral()))
    phases = CONTRACT.phases.model_copy(update={"candidate_creation": False})
    forget(rig)
    rig.contract = CONTRACT.model_copy(update={"phases": phases})
    assert rig.run().counts["contacts_erased"] == 1
    assert rig.account.contacts() == []
