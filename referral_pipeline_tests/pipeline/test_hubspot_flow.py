"""The programme with HubSpot beside the ATS, held against the truth; and what the CRM tells of ended contacts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from referral_pipeline.contract.loader import load_contract
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline.sandbox.faults import KINDS
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline.sandbox.verify_contacts import verify_contacts
from referral_pipeline.sync.contact_memory import known_contacts
from referral_pipeline.sync.report import SyncReport
from referral_pipeline.webhooks.app import create_app
from referral_pipeline_tests.pipeline.conftest import Installation, installed
from referral_pipeline_tests.serving import run_apart
from referral_pipeline_tests.unit.receiver_rig import Receiver
from referral_pipeline_tests.unit.webhook_receiver import receiving

_QUICK = [kind for kind in KINDS if not kind.startswith("timeout")]
"""A timeout costs three seconds, and is to a client what a reset is: no answer."""


@pytest.fixture(scope="module")
def hubspot(tmp_path_factory: pytest.TempPathFactory, shared_patch: pytest.MonkeyPatch) -> Iterator[Installation]:
    switches = {"visibility_lag_seconds": 0.5}
    with Sandbox(
        size=ProgrammeSize.small(), crm="hubspot", faults=0.1, fault_kinds=_QUICK, ats_switches=switches
    ) as sandbox:
        installation = installed(tmp_path_factory.mktemp("hubspot") / "home", sandbox, shared_patch)
        installation.level()
        yield installation


def now() -> datetime:
    return datetime.now(UTC)


def write(installation: Installation) -> SyncReport:
    with Bridge.open(installation.settings) as bridge:
        return bridge.write_contacts()


def test_under_faults_each_person_is_one_contact_and_a_second_pass_writes_nothing(hubspot: Installation) -> None:
    first = write(hubspot)
    assert first.failures == []
    assert first.counts["contacts_created"] > 50
    verified = verify_contacts(hubspot.truth(), hubspot.dump("hubspot"), hubspot.dump("greenhouse"))
    assert verified.differences == []
    before = hubspot.dump("hubspot")
    again = write(hubspot)
    assert hubspot.dump("hubspot") == before
    assert not again.counts.keys() & {"contacts_created", "contacts_updated", "contacts_matched"}


def test_a_batch_of_ended_contacts_goes_through_the_receiver_to_the_lane_and_none_is_made_again(
    hubspot: Installation,
) -> None:
    write(hubspot)
    crm = hubspot.sandbox.control("hubspot")
    deleted, erased = [row["id"] for row in crm.dump()["contacts"] if not row["archived"]][:2]
    contract, settings = load_contract(hubspot.settings), hubspot.settings
    with receiving() as server, Ledger.open(contract.ledger.url, home=settings.home) as ledger:
        crm.webhooks(url=server.url)
        crm.act("delete_contact", id=deleted)
        crm.act("erase_contact", id=erased)
        got = server.wait(2)
        crm.webhooks(url=None)
        door = Receiver(
            create_app(contract=contract, settings=settings, ledger=ledger, clock=now), ledger, settings.home
        )
        for one in got:
            path = urlsplit(one.path).path
            assert run_apart(door.send(path, one.body, one.headers))[0] == 200
        subjects = {event.subject for event in ledger.inbox_events() if event.system == "hubspot"}
        assert subjects == {f"contact:{deleted}", f"contact:{erased}"}
        with Bridge.open(settings) as bridge:
            assert bridge.drain_inbox()["noted"] == 2
        gone = {one.contact_id: one.gone for one in known_contacts(ledger, "hubspot") if one.gone}
        assert gone == {deleted: "deleted", erased: "erased"}
        assert ledger.tombstoned([f"hubspot:{erased}"])
    assert write(hubspot).counts["contacts_gone"] == 2
    living = {row["id"] for row in crm.dump()["contacts"] if not row["archived"]}
    assert not living & {deleted, erased}


def test_an_erasure_on_the_platform_reaches_the_crm(hubspot: Installation) -> None:
    write(hubspot)
    contract, settings = load_contract(hubspot.settings), hubspot.settings
    with Ledger.open(contract.ledger.url, home=settings.home) as ledger:
        known = next(one for one in known_contacts(ledger, "hubspot") if one.gone is None)
        ledger.add_tombstone("referral", f"advocacy:{min(known.referral_ids)}", "candidate.erased")
    assert write(hubspot).counts["contacts_erased"] == 1
    assert known.contact_id in hubspot.dump("hubspot")["_facts"]["erased"]
