"""Contacts between a HubSpot account on loopback and a ledger in a file: each invariant by its number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.connectors.failures import TransientFailure, Unreachable
from referral_pipeline.connectors.hubspot_models import kinds_of
from referral_pipeline.connectors.records import AdvocacyStaged, Advocate, Consent, Referral
from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.models import Contract
from referral_pipeline.contract.scaffold import LOCAL_SANDBOX, integration_yaml
from referral_pipeline.ledger.store import DeliveryState, Ledger, Link
from referral_pipeline.sync.cases import PersonCase
from referral_pipeline.sync.contact_memory import contact_key, known_contacts, note_end
from referral_pipeline.sync.contacts import ContactWriteBack
from referral_pipeline.sync.facts import Programme
from referral_pipeline.sync.report import SyncReport
from referral_pipeline.vocabulary import CandidateStatus, ReferralStage
from referral_pipeline_tests.records import NOW, ago, make_application, make_referral
from referral_pipeline_tests.unit.hubspot_account import Account, account_with

CONTRACT: Contract = parse_contract(integration_yaml(replace(LOCAL_SANDBOX, crm="hubspot")))


@dataclass
class Rig:
    """One account, one ledger, and runs between them."""

    account: Account
    ledger: Ledger
    contract: Contract = field(default_factory=lambda: CONTRACT)
    now: datetime = NOW

    def case(self, *referrals: Referral, person: str = "per_ada", applications: Any = None, **more: Any) -> PersonCase:
        """The case of a person whose referrals are all linked to one application, or to none for `applications=()`."""
        own = (make_application(),) if applications is None else tuple(applications)
        links = {
            r.id: Link(
                referral_id=r.id,
                person_id=person,
                job_id=r.job_id,
                advocate_id=r.advocate_id,
                share_id=r.share_id,
                campaign_tag=r.campaign_tag,
                touched_at=r.touched_at,
                system="greenhouse",
                candidate_id=own[0].candidate_id,
                application_id=own[0].id,
                created_application=True,
            )
            for r in referrals
            if own
        }
        return PersonCase(person, referrals, (), own, links, **more)

    def run(self, *cases: PersonCase, connector: Any = None, rounds: int = 2) -> SyncReport:
        ids = sorted({r.advocate_id for case in cases for r in case.referrals})
        advocates = [Advocate(i, None, None, True, None, None, ago(days=400)) for i in ids]
        programme = Programme.of(AdvocacyStaged(advocates, [], [], [], [], []))
        write_back = ContactWriteBack(
            crm=connector or self.account.connect(kinds=kinds_of(self.contract)),
            ledger=self.ledger,
            contract=self.contract,
            programme=lambda: programme,
            clock=lambda: self.now,
            workers=1,
        )
        return write_back.run(list(cases), rounds=rounds)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with account_with() as account, Ledger.open("sqlite:///ledger.sqlite", home=tmp_path, clock=lambda: NOW) as ledger:
        yield Rig(account, ledger)


def held(rig: Rig) -> dict[str, str]:
    (contact,) = rig.account.contacts()
    return contact


def test_a_person_becomes_one_contact_with_what_the_contract_maps_and_nothing_more(rig: Rig) -> None:
    hired = make_application(status=CandidateStatus.HIRED, hired_at=ago(hours=3))
    report = rig.run(rig.case(make_referral(), applications=[hired]))
    assert (report.counts["contacts_created"], report.failures) == (1, [])
    assert held(rig) == {
        "email": "ada@example.com",
        "firstname": "Ada",
        "lastname": "Example",
        "referral_id": "R1",
        "referral_advocate_id": "A1",
        "referral_share_id": "S1",
        "referral_campaign_tag": "spring",
        "referral_ats_application_id": "1001",
        "referral_ats_candidate_id": "501",
        "referral_status": "hired",
        "referral_hired_at": ago(hours=3).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def test_what_did_not_change_costs_no_call_and_a_change_costs_one_write(rig: Rig) -> None:
    rig.run(rig.case(make_referral()))
    rig.account.sent.clear()
    assert rig.run(rig.case(make_referral())).counts["contacts_unchanged"] == 1
    assert rig.account.sent == []
    moved = make_application(status=CandidateStatus.INTERVIEWED)
    assert rig.run(rig.case(make_referral(), applications=[moved])).counts["contacts_updated"] == 1
    assert [sent.body for sent in rig.account.writes()] == [{"properties": {"referral_status": "interviewed"}}]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"consent": None}, "no_consent"),
        ({"consent": Consent(True, "consent", ago(days=9), expires_at=ago(days=1))}, "consent_expired"),
        ({"country": "BR"}, "country"),
        ({"stage": ReferralStage.WITHDRAWN}, "withdrawn"),
        ({"stage": ReferralStage.CLICKED}, "stage"),
    ],
)
def test_1_whom_the_gate_holds_back_is_never_written(rig: Rig, changes: dict[str, Any], reason: str) -> None:
    report = rig.run(rig.case(make_referral(**changes)))
    assert (report.blocked[reason], rig.account.sent) == (1, [])


def test_1_who_has_no_application_has_no_contact(rig: Rig) -> None:
    rig.run(rig.case(make_referral(), applications=()))
    assert rig.account.sent == []


def test_2_without_mappings_nothing_is_written(rig: Rig) -> None:
    rig.contract = CONTRACT.model_copy(update={"mappings": ()})
    rig.run(rig.case(make_referral()))
    assert rig.account.sent == []


def test_2_the_latest_application_speaks(rig: Rig) -> None:
    one, two = make_referral(), make_referral(id="R2", job_id="J2", advocate_id="A2")
    case = rig.case(one, two, applications=[make_application()])
    later = make_application(id="1002", job_id="J2", status=CandidateStatus.OFFERED, status_at=ago(hours=1))
    links = {**case.links, "R2": replace(case.links["R2"], application_id="1002")}
    rig.run(replace(case, applications=(*case.applications, later), links=links))
    assert (held(rig)["referral_status"], held(rig)["referral_id"]) == ("offered", "R2")


def test_3_of_two_who_share_a_mailbox_the_first_has_the_contact_and_keeps_it(rig: Rig) -> None:
    first = rig.case(make_referral())
    other = rig.case(
        make_referral(id="R2", submitted_at=ago(days=1), applied_at=ago(days=1), first_name="Bo"), person="per_bo"
    )
    assert rig.run(other, first).counts["contacts_shared_mailbox"] == 1
    assert held(rig)["referral_id"] == "R1"
    earlier = replace(other, referrals=(replace(other.referrals[0], submitted_at=ago(days=90)),))
    assert rig.run(earlier, first).counts["contacts_shared_mailbox"] == 1
    assert held(rig)["referral_id"] == "R1"


def test_3_of_two_persons_who_were_one_the_one_that_was_written_keeps_the_contact(rig: Rig) -> None:
    one, two = make_referral(), make_referral(id="R2", email="bo@example.com")
    rig.run(rig.case(one, two))
    moved = [make_application(id="1002", candidate_id="502", status=CandidateStatus.OFFERED)]
    rig.run(rig.case(two, person="per_bo", applications=moved), rig.case(one))
    assert {(c["email"], c["referral_ats_candidate_id"]) for c in rig.account.contacts()} == {
        ("bo@example.com", "502"),
        ("ada@example.com", "501"),
    }


def test_3_who_left_no_address_has_no_contact(rig: Rig) -> None:
    assert rig.run(rig.case(make_referral(email=None))).counts["contacts_without_email"] == 1
    assert rig.account.writes() == []


def test_4_a_contact_that_people_deleted_is_not_made_again_under_another_person_either(rig: Rig) -> None:
    rig.run(rig.case(make_referral()))
    (known,) = known_contacts(rig.ledger, "hubspot")
    rig.account.act("delete_contact", id=known.contact_id)
    moved = make_application(status=CandidateStatus.INTERVIEWED)
    for person in ("per_ada", "per_merged"):
        report = rig.run(rig.case(make_referral(), person=person, applications=[moved]))
        assert (report.counts["contacts_gone"], report.failures) == (1, [])
    assert rig.account.contacts() == []


def test_4_what_the_crm_tells_of_a_deletion_is_remembered(rig: Rig) -> None:
    rig.run(rig.case(make_referral()))
    (known,) = known_contacts(rig.ledger, "hubspot")
    rig.account.act("delete_contact", id=known.contact_id)
    assert note_end(rig.ledger, "hubspot", known.contact_id, "deleted") == "noted"
    assert note_end(rig.ledger, "hubspot", "777", "deleted") == "not_ours"
    rig.account.sent.clear()
    assert rig.run(rig.case(make_referral())).counts["contacts_gone"] == 1
    assert rig.account.sent == []


def test_4_a_contact_that_people_took_back_is_kept_level_again(rig: Rig) -> None:
    rig.run(rig.case(make_referral()))
    (known,) = known_contacts(rig.ledger, "hubspot")
    for action, end in (("delete_contact", "deleted"), ("restore_contact", "restored")):
        rig.account.act(action, id=known.contact_id)
        note_end(rig.ledger, "hubspot", known.contact_id, end)
    assert rig.run(rig.case(make_referral())).counts["contacts_unchanged"] == 1
    moved = make_application(status=CandidateStatus.INTERVIEWED)
    assert rig.run(rig.case(make_referral(), applications=[moved])).counts["contacts_updated"] == 1


def test_the_owners_decision_about_credit_reaches_the_contact(rig: Rig) -> None:
    one, two = (
        make_referral(),
        make_referral(id="R2", advocate_id="A2", submitted_at=ago(days=1), applied_at=ago(days=1)),
    )
    rig.run(rig.case(one, two))
    before = held(rig)["referral_advocate_id"]
    chosen = "R1" if before == "A2" else "R2"
    rig.ledger.decide_override("greenhouse:1001", chosen, reason="agreed", decided_by="owner@example.com")
    assert rig.run(rig.case(one, two)).counts["contacts_updated"] == 1
    assert held(rig)["referral_advocate_id"] == {"R1": "A1", "R2": "A2"}[chosen]


def test_5_who_was_erased_on_the_platform_is_erased_in_the_crm_once(rig: Rig) -> None:
    rig.run(rig.case(make_referral()))
    (known,) = known_contacts(rig.ledger, "hubspot")
    rig.ledger.add_tombstone("referral", "advocacy:R1", "candidate.erased")
    assert rig.run().counts["contacts_erased"] == 1  # the platform shows the referral no more
    assert rig.account.book.erased == [known.contact_id]
    again = make_referral(id="R2")
    report = rig.run(rig.case(make_referral(), again, erased=frozenset({"R1"})))
    assert (report.counts["contacts_erased"], report.counts["contacts_gone"]) == (0, 1)
    assert rig.account.contacts() == []


def test_5_an_erasure_that_did_not_get_through_is_tried_again_and_nobody_is_written_meanwhile(rig: Rig) -> None:
    rig.run(rig.case(make_referral()))
    rig.ledger.add_tombstone("referral", "advocacy:R1", "candidate.erased")
    rig.account.book.switches = rig.account.book.switches.changed(
        {"operations_forbidden": ("POST /crm/v3/objects/contacts/gdpr-delete",)}
    )
    report = rig.run(rig.case(make_referral()))
    assert [(f.operation, f.transient) for f in report.failures] == [("erase_contact", False)]
    rig.account.book.switches = rig.account.book.switches.changed({"operations_forbidden": ()})
    assert rig.run(rig.case(make_referral())).counts["contacts_erased"] == 1


def test_5_who_was_erased_in_the_crm_is_not_made_again_by_a_new_referral(rig: Rig) -> None:
    rig.run(rig.case(make_referral()))
    (known,) = known_contacts(rig.ledger, "hubspot")
    rig.account.act("erase_contact", id=known.contact_id)
    note_end(rig.ledger, "hubspot", known.contact_id, "erased")
    assert rig.ledger.tombstoned([f"hubspot:{known.contact_id}"])
    newer = make_referral(id="R9", submitted_at=NOW - timedelta(hours=1))
    report = rig.run(rig.case(make_referral(), newer, person="per_new"))
    assert (report.counts["contacts_gone"], rig.account.contacts()) == (1, [])


class Killed(BaseException):
    """The process ends here."""


def test_6_who_is_killed_after_the_call_leaves_an_intent_and_the_next_run_makes_no_second(rig: Rig) -> None:
    connector = rig.account.connect(kinds=kinds_of(CONTRACT))

    class Dies:
        system = "hubspot"

        def __getattr__(self, name: str) -> Any:
            return getattr(connector, name)

        def put_contact(self, wish: Any) -> Any:
            connector.put_contact(wish)
            raise Killed

    with pytest.raises(Killed):
        rig.run(rig.case(make_referral()), connector=Dies())
    delivery = rig.ledger.delivery(contact_key("per_ada"))
    assert delivery is not None
    assert delivery.state is DeliveryState.PENDING
    assert rig.run(rig.case(make_referral())).counts["contacts_matched"] == 1
    assert len(rig.account.contacts()) == 1


def test_6_a_passing_failure_is_taken_up_again_and_one_for_good_is_a_dead_letter(rig: Rig) -> None:
    connector = rig.account.connect(kinds=kinds_of(CONTRACT))
    failures: list[TransientFailure] = [Unreachable("hubspot", "contacts.create", detail="reset")]

    class Stumbles:
        system = "hubspot"

        def __getattr__(self, name: str) -> Any:
            return getattr(connector, name)

        def put_contact(self, wish: Any) -> Any:
            if failures:
                raise failures.pop()
            return connector.put_contact(wish)

    assert rig.run(rig.case(make_referral()), connector=Stumbles()).failures == []
    bad = rig.case(make_referral(id="R2", email="no address"), person="per_bad")
    (failure,) = rig.run(bad).failures
    assert (failure.subject, failure.transient) == ("per_bad", False)
    assert "no address" not in failure.error
    delivery = rig.ledger.delivery(contact_key("per_bad"))
    assert delivery is not None
    assert delivery.state is DeliveryState.DEAD


def test_properties_that_cannot_be_made_stop_the_run_with_what_to_do(rig: Rig) -> None:
    rig.account.book.switches = rig.account.book.switches.changed({"scopes": rig.account.book.switches.scopes[:3]})
    (failure,) = rig.run(rig.case(make_referral())).failures
    assert (failure.operation, failure.transient) == ("ensure_properties", False)
    assert "crm.schemas.contacts.write" in failure.error
    assert rig.account.writes() == []
