"""Reconciliation: what follows from a record and was not done is found; what was done, or is under way, is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.connectors.records import AtsApplication, AtsJob, Consent, Referral
from referral_pipeline.identity.admission import referral_record
from referral_pipeline.ledger.records import InboxDelivery
from referral_pipeline.ledger.store import DeliveryIntent, IdentityKey, Link
from referral_pipeline.privacy.crypto import keyed_hash
from referral_pipeline.sync.cases import MassDisappearanceError
from referral_pipeline.sync.jobs import job_key, posting_hash
from referral_pipeline.sync.reconciliation import GRACE, Pulled, enter, missed
from referral_pipeline.sync.statuses import request_hash, status_key, statuses_due
from referral_pipeline.vocabulary import CandidateStatus, ReferralStage
from referral_pipeline_tests.records import make_application, make_referral
from referral_pipeline_tests.unit.core_world import contract_with
from referral_pipeline_tests.unit.sync_rig import Rig, rig_with

HASH_KEY = "a key for hashes of tests"
LEASE = timedelta(minutes=1)


class World:
    """What both systems show, what the ledger remembers, and looks for what was missed."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.ledger = rig.ledger
        self.contract = contract_with()
        self.job = AtsJob(str(rig.account.job["id"]), "Data Engineer", "open", updated_at=self.ago(days=90))
        self.tell_job(self.job)

    @property
    def now(self) -> Any:
        return self.rig.account.now

    def ago(self, **delta: float) -> Any:
        return self.now - timedelta(**delta)

    # ------------------------------------------------------------ what was done before

    def referral(self, **fields: Any) -> Referral:
        at = {"submitted_at": self.ago(days=3), "applied_at": self.ago(days=2), "updated_at": self.ago(hours=1)}
        return make_referral(**{"job_id": self.job.id, **at, **fields})

    def linked(self, referral: Referral, **fields: Any) -> Link:
        """The link and keys of a referral that was handled as it is, an hour ago."""
        link = Link(
            referral_id=referral.id,
            person_id=f"per_{referral.id}",
            job_id=referral.job_id,
            advocate_id=referral.advocate_id,
            share_id=referral.share_id,
            campaign_tag=referral.campaign_tag,
            touched_at=referral.touched_at,
            system="greenhouse",
            updated_at=self.ago(hours=1),
        )
        link = replace(link, **fields)
        self.ledger.save_links([link])
        record = referral_record(referral, "advocacy")
        keys = [
            IdentityKey(keyed_hash(key, HASH_KEY), kind, "advocacy", record.record_id, link.person_id)
            for kind in ("email", "phone")
            for key in record.keys(kind)
        ]
        self.ledger.save_identity_keys(keys, replace=True)
        return link

    def application(self, **fields: Any) -> AtsApplication:
        at = self.ago(days=1)
        return make_application(**{"status_at": at, "applied_at": at, "updated_at": at, **fields})

    def told(self, link: Link, application: AtsApplication, referral: Referral) -> None:
        """The platform was told the application's status."""
        ((_, update),) = statuses_due(
            [link],
            {application.id: application},
            {referral.id: referral},
            ledger=self.ledger,
            ats_system="greenhouse",
            advocacy_system="advocacy",
        )
        self.confirm(status_key(referral.id), request_hash(update))

    def tell_job(self, job: AtsJob) -> None:
        self.confirm(job_key(job.id), posting_hash(job))

    def confirm(self, key: str, request: str) -> None:
        self.ledger.begin(DeliveryIntent(key, "advocacy", "tell", key, request))
        self.ledger.confirm(key, {})

    def event(self, subject: str, *, system: str = "advocacy", delivery_id: str = "d1") -> int:
        self.ledger.receive_many([InboxDelivery(system, delivery_id, "webhook", "webhook", subject, None, None)])
        event = self.ledger.inbox_event_by_delivery(system, delivery_id)
        assert event is not None
        return event.id

    def finish(self, outcome: str | None = "done") -> None:
        """The lane handles what waits; without an outcome it gives up."""
        for event in self.ledger.claim("lane", limit=100, lease=LEASE, bulk=False):
            if outcome is None:
                self.ledger.bury("lane", event.id, "refused")
            else:
                self.ledger.finish_many("lane", [(event.id, outcome)], None)

    # ------------------------------------------------------------ looking

    def missed(
        self,
        *referrals: Referral,
        applications: Sequence[AtsApplication] = (),
        jobs: Sequence[AtsJob] | None = None,
        pulled_ago: float = 0,
        **more: Any,
    ) -> list[InboxDelivery]:
        at = self.ago(seconds=pulled_ago)
        pulled = Pulled(
            referrals, applications, [self.job] if jobs is None else jobs, {"advocacy": at, "greenhouse": at}
        )
        return missed(
            pulled,
            ledger=self.ledger,
            ats=self.rig.ats,
            contract=self.contract,
            hash_key=HASH_KEY,
            now=self.now,
            **more,
        )

    def enter(self, found: Sequence[InboxDelivery]) -> dict[str, int]:
        return dict(enter(found, ledger=self.ledger, systems=["advocacy", "greenhouse"]))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with rig_with(tmp_path) as rig:
        yield World(rig)


def subjects(found: Sequence[InboxDelivery]) -> list[str | None]:
    return [delivery.subject for delivery in found]


# ---------------------------------------------------------------- referrals


def test_a_referral_that_nobody_heard_of_enters_once_and_is_counted(world):
    found = world.missed(world.referral())
    (delivery,) = found
    assert (delivery.system, delivery.event_type, delivery.subject) == (
        "advocacy",
        "reconcile.referral",
        "referral:R1",
    )
    assert (delivery.origin, delivery.body) == ("reconciliation", None)
    assert world.enter(found) == {"advocacy": 1, "greenhouse": 0}
    assert world.enter(found) == {"advocacy": 0, "greenhouse": 0}
    assert world.missed(world.referral()) == []
    assert world.ledger.counts() == {"reconcile.missed.advocacy": 1, "reconcile.missed.greenhouse": 0}


def test_a_finding_that_is_true_after_it_was_handled_enters_again(world):
    referral = world.referral()
    world.enter(world.missed(referral))
    world.finish()
    assert world.missed(referral, pulled_ago=60) == []  # the pull is older than what was done
    world.rig.time_passes(900)
    again = world.missed(referral)
    assert world.enter(again) == {"advocacy": 1, "greenhouse": 0}
    assert world.missed(referral) == []


def test_a_referral_that_was_handled_as_it_is_was_not_missed(world):
    referral = world.referral()
    world.linked(referral)
    # The platform stamps a referral anew when it is told a status, and counts clicks: no webhook, nothing to do.
    stamped = replace(referral, status=CandidateStatus.APPLIED, clicks=99, updated_at=world.ago(minutes=5))
    assert world.missed(stamped) == []


@pytest.mark.parametrize(
    "change",
    [
        {"stage": ReferralStage.WITHDRAWN},
        {"consent": Consent(granted=False, basis=None, granted_at=None, expires_at=None)},
        {"country": "BR"},
        {"campaign_tag": "autumn"},
        {"share_id": None},
        {"email": "countess@example.com"},
        {"phone": "+4915123456789"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_change_that_matters_was_missed(change, world):
    referral = world.referral()
    world.linked(referral)
    assert subjects(world.missed(replace(referral, **change))) == ["referral:R1"]


def test_a_referral_that_waits_for_its_job_is_found_when_the_job_opens(world):
    referral = world.referral()
    world.linked(referral, block="job")
    closed = replace(world.job, status="closed")
    world.tell_job(closed)
    assert world.missed(referral, jobs=[closed]) == []
    world.tell_job(world.job)
    assert subjects(world.missed(referral)) == ["referral:R1"]


def test_an_erased_person_is_not_found_again(world):
    referral = world.referral()
    world.linked(referral, block="erased")
    assert world.missed(replace(referral, email="other@example.com")) == []


def test_a_young_change_is_left_to_its_webhook(world):
    referral = world.referral(updated_at=world.ago(seconds=90))
    assert world.missed(referral) == []
    assert subjects(world.missed(referral, grace=timedelta(0))) == ["referral:R1"]
    world.rig.time_passes(GRACE.total_seconds())
    assert subjects(world.missed(referral)) == ["referral:R1"]


def test_what_waits_in_the_inbox_was_not_missed(world):
    world.event("referral:R1")
    assert subjects(world.missed(world.referral(), world.referral(id="R2"))) == ["referral:R2"]


def test_what_was_given_up_waits_for_a_person_until_it_changes(world):
    referral = world.referral()
    world.event("referral:R1")
    world.finish(None)
    assert world.missed(referral) == []
    world.rig.time_passes(900)
    assert subjects(world.missed(replace(referral, updated_at=world.ago(minutes=5)))) == ["referral:R1"]


def test_a_long_backlog_enters_in_parts_oldest_first(world):
    referrals = [world.referral(id=f"R{n}", updated_at=world.ago(hours=n)) for n in range(1, 5)]
    assert subjects(world.missed(*referrals, most=2)) == ["referral:R4", "referral:R3"]


def test_nothing_is_due_for_referrals_while_candidate_creation_is_off(world):
    phases = world.contract.phases.model_copy(update={"candidate_creation": False})
    world.contract = world.contract.model_copy(update={"phases": phases})
    assert world.missed(world.referral()) == []


# ---------------------------------------------------------------- applications


def applied(world: World, **fields: Any) -> tuple[Referral, Link, AtsApplication]:
    referral, application = world.referral(), world.application()
    link = world.linked(referral, candidate_id="501", application_id="1001", **fields)
    return referral, link, application


def test_a_status_that_was_not_told_was_missed_and_one_that_was_told_was_not(world):
    referral, link, application = applied(world)
    (delivery,) = world.missed(referral, applications=[application])
    assert (delivery.system, delivery.event_type, delivery.subject) == (
        "greenhouse",
        "reconcile.application",
        "application:1001",
    )
    world.told(link, application, referral)
    assert world.missed(referral, applications=[application]) == []
    hired = replace(application, status=CandidateStatus.HIRED, hired_at=world.ago(hours=1))
    assert world.missed(referral, applications=[hired]) == []  # told just now, from what is newer than the pull
    world.rig.time_passes(900)
    assert subjects(world.missed(referral, applications=[hired])) == ["application:1001"]


def test_a_blocked_referral_has_no_status_to_miss(world):
    referral, _, application = applied(world, block="country")
    assert world.missed(replace(referral, country="BR"), applications=[application]) == []


def test_one_application_of_several_referrals_is_one_finding(world):
    referral, _, application = applied(world)
    other = world.referral(id="R2", email="ada.two@example.com")
    world.linked(other, candidate_id="501", application_id="1001")
    assert subjects(world.missed(referral, other, applications=[application])) == ["application:1001"]


def test_a_merged_candidate_is_found_until_the_alias_is_known(world):
    referral, link, application = applied(world, block="withdrawn")
    withdrawn = replace(referral, stage=ReferralStage.WITHDRAWN)
    merged = replace(application, candidate_id="777")
    assert world.missed(withdrawn, applications=[application]) == []
    assert subjects(world.missed(withdrawn, applications=[merged])) == ["application:1001"]
    world.ledger.alias("greenhouse", "501", "777")
    assert world.missed(withdrawn, applications=[merged]) == []
    assert link.candidate_id == "501"


def test_an_application_that_the_ats_deleted_is_found(world):
    referral, _, _ = applied(world)
    assert subjects(world.missed(referral)) == ["application:1001"]
    world.linked(referral, candidate_id="501", application_id="1001", block="erased")
    assert world.missed(referral) == []


def test_when_far_too_many_applications_are_gone_nothing_enters(world):
    referrals = [world.referral(id=f"R{n}", email=f"r{n}@example.com") for n in range(25)]
    for number, referral in enumerate(referrals):
        world.linked(referral, candidate_id=f"5{number}", application_id=f"90{number}")
    with pytest.raises(MassDisappearanceError):
        world.missed(*referrals)


# ---------------------------------------------------------------- jobs


def test_a_job_whose_posting_was_not_told_was_missed(world):
    draft = AtsJob("999", "Secret", "draft", updated_at=world.ago(days=1))
    assert world.missed(jobs=[world.job, draft]) == []
    world.rig.time_passes(60)
    closed = replace(world.job, status="closed")
    (delivery,) = world.missed(jobs=[closed])
    assert (delivery.event_type, delivery.subject) == ("reconcile.job", f"job:{world.job.id}")
