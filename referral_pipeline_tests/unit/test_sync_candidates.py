"""What the write-back brings to the ATS and remembers of it, run by run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from referral_pipeline.connectors.failures import Invalid, NotFound
from referral_pipeline.connectors.records import Consent
from referral_pipeline.ledger.store import DeliveryState, Link
from referral_pipeline.sync.cases import MassDisappearanceError, person_cases
from referral_pipeline.vocabulary import ReferralStage
from referral_pipeline_tests.unit.greenhouse_account import START
from referral_pipeline_tests.unit.sync_rig import Rig, Spoilt, rig_with


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with rig_with(tmp_path) as rig:
        yield rig


def test_what_the_advocate_before_had_more_does_not_stay_when_the_credit_moves(rig):
    """Campaign and share of a withdrawn referral must not stand beside the advocate who is credited now."""
    first = rig.referral("R1", days=5, advocate_id="A1", campaign_tag=None, clicks=None)
    second = rig.referral("R2", days=2, advocate_id="A2", campaign_tag="late", share_id="S9", clicks=7)
    rig.run(rig.case(first, second))
    rig.time_passes()
    (application,) = rig.applications()
    before = rig.account.tags(application["id"])
    assert (before["advocate_id"], before["campaign_tag"], before["share_id"]) == ("A2", "late", "S9")
    rig.run(rig.case(first, replace(second, stage=ReferralStage.WITHDRAWN)))
    after = rig.account.tags(application["id"])
    assert after["advocate_id"] == "A1"
    assert (after.get("campaign_tag"), after.get("share_id"), after.get("advocacy_clicks")) == (None, None, None)
    rig.time_passes()
    again = rig.run(rig.case(first, replace(second, stage=ReferralStage.WITHDRAWN)))
    assert again.counts["applications_updated"] == 0


def test_clocks_that_differ_by_a_minute_take_no_credit_from_the_referral_that_opened_the_application(rig):
    """The platform stamped the referral one minute later than the ATS stamped the application made from it."""
    referral = rig.referral(days=-1 / 1440)
    rig.run(rig.case(referral))
    rig.time_passes()
    rig.run(rig.case(referral))
    (application,) = rig.applications()
    assert rig.account.tags(application["id"])["advocate_id"] == "A1"
    late = rig.referral("R2", days=-1, advocate_id="A2")  # this one did come after the application
    rig.run(rig.case(referral, late))
    rig.time_passes()
    rig.run(rig.case(referral, late))
    assert rig.account.tags(application["id"])["advocate_id"] == "A1"


def test_a_referral_that_is_held_back_counts_once_however_often_its_person_is_taken_up(rig):
    held = rig.referral("R2", consent=Consent(False, None, None, None))
    report = rig.run(rig.case(rig.referral("R1"), held), ats=rig.loses_answers("create_candidate"))
    assert (report.failures, dict(report.blocked)) == ([], {"no_consent": 1})


def test_one_person_that_fails_for_good_stops_no_other(rig):
    def refuses_ada(details, new):
        if details.first_name == "Ada":
            raise Invalid("greenhouse", "candidates.create", status=422)
        return rig.ats.create_candidate(details, new)

    grace = rig.referral("R2", first_name="Grace", last_name="Hopper", email="grace@example.com")
    report = rig.run(
        rig.case(rig.referral("R1")),
        rig.case(grace, person="per_grace"),
        ats=Spoilt(rig.ats, create_candidate=refuses_ada),
    )
    assert [(f.subject, f.transient) for f in report.failures] == [("per_ada", False)]
    assert [c["first_name"] for c in rig.candidates()] == ["Grace"]


def test_a_refused_update_is_kept_with_its_delivery(rig):
    rig.run(rig.case(rig.referral()))
    rig.time_passes()

    def refuses(*_: object, **__: object) -> bool:
        raise Invalid("greenhouse", "applications.update", status=422, detail="no such field")

    edited = rig.referral(campaign_tag="renamed")
    rig.run(rig.case(edited), ats=Spoilt(rig.ats, update_application=refuses))
    (dead,) = rig.ledger.deliveries(state=DeliveryState.DEAD)
    assert "no such field" in (dead.last_error or "")
    rig.run(rig.case(edited))
    assert rig.ledger.deliveries(state=DeliveryState.DEAD) == []


def test_a_new_application_that_lacks_its_fields_and_is_not_visible_yet_is_no_failure(rig):
    """The fields are brought by the next run; the application is linked now."""

    def bare(details, new):
        return rig.ats.create_candidate(details, replace(new, tags={}))

    def hidden(*_: object, **__: object) -> bool:
        raise NotFound("greenhouse", "applications.list", detail="the record is not there")

    report = rig.run(rig.case(rig.referral()), ats=Spoilt(rig.ats, create_candidate=bare, update_application=hidden))
    (application,) = rig.applications()
    assert report.failures == []
    assert rig.ledger.link("R1").application_id == str(application["id"])
    rig.time_passes()
    rig.run(rig.case(rig.referral()))
    assert rig.account.tags(application["id"])["referral_id"] == "R1"


def test_an_application_that_a_recruiter_moved_to_another_job_keeps_its_advocate(rig):
    referral = rig.referral()
    rig.run(rig.case(referral))
    rig.time_passes()
    (application,) = rig.applications()
    other = rig.account.acts.add_job("Analyst", stages=("Review", "Offer"))
    rig.account.acts.transfer(application["id"], other["id"])
    second = rig.referral("R2", days=1, advocate_id="A2", job_id=str(other["id"]))
    rig.run(rig.case(referral, second, applications=tuple(rig.ats.get_applications([str(application["id"])]).values())))
    rig.time_passes()
    settled = rig.run(rig.case(referral, second))
    assert rig.counts() == (1, 1)
    assert settled.counts["applications_updated"] == 0, "two groups of referrals write one application in turns"


def test_one_linked_application_that_cannot_be_read_stops_no_other(rig):
    grace = rig.referral("R2", first_name="Grace", last_name="Hopper", email="grace@example.com")
    rig.run(rig.case(rig.referral()), rig.case(grace, person="per_grace"))
    rig.time_passes()
    unreadable = rig.ledger.link("R1").application_id
    gone = rig.ledger.link("R2").application_id
    rig.account.acts.delete_application(int(gone))

    def get_applications(ids):
        if unreadable in ids:
            raise Invalid("greenhouse", "offers.list", detail="a row cannot be read")
        return rig.ats.get_applications(ids)

    cases = person_cases(
        [rig.referral(), grace],
        [],
        person_of={"advocacy:R1": "per_ada", "advocacy:R2": "per_grace"},
        advocacy_system="advocacy",
        ats=Spoilt(rig.ats, get_applications=get_applications),
        ledger=rig.ledger,
        now=rig.account.now,
    )
    assert {c.person_id: c.erased for c in cases} == {"per_ada": frozenset(), "per_grace": frozenset({"R2"})}


def test_what_is_known_to_be_gone_is_not_looked_up_in_every_run(rig):
    rig.run(rig.case(rig.referral()))
    rig.time_passes()
    rig.account.acts.delete_application(rig.applications()[0]["id"])

    def cases():
        return person_cases(
            [rig.referral()], [], person_of={"advocacy:R1": "per_ada"}, advocacy_system="advocacy", ats=rig.ats,
            ledger=rig.ledger, now=rig.account.now,
        )  # fmt: skip

    rig.run(*cases())
    assert rig.ledger.link("R1").block == "erased"
    calls = len(rig.account.sent)
    rig.run(*cases())
    assert len(rig.account.sent) == calls
    assert rig.counts() == (1, 0)


def test_a_job_that_is_closed_or_a_draft_takes_no_new_application(rig):
    draft = rig.account.acts.add_job("Later", stages=("Review",), status="draft")
    report = rig.run(rig.case(rig.referral("R1", job_id=str(draft["id"])), rig.referral("R2", job_id="999")))
    assert (dict(report.blocked), rig.counts()) == ({"job": 2}, (0, 0))


def test_consent_that_ends_after_the_creation_ends_all_further_writes(rig):
    rig.run(rig.case(rig.referral()))
    rig.time_passes()
    ended = Consent(True, "consent", START - timedelta(days=9), START - timedelta(days=1))
    sent = len(rig.account.writes())
    report = rig.run(rig.case(rig.referral(campaign_tag="renamed", consent=ended)))
    assert dict(report.blocked) == {"consent_expired": 1}
    assert len(rig.account.writes()) == sent
    assert rig.ledger.link("R1").application_id is not None


def test_many_applications_that_vanish_at_once_stop_the_run_and_change_nothing(rig: Rig) -> None:
    """A credential that lost a right shows nothing any more; that is no deletion of everybody."""
    seen_at = rig.account.now - timedelta(days=1)
    links = [
        Link(
            referral_id=f"R{i}",
            person_id=f"per_{i}",
            job_id="1",
            advocate_id="A1",
            share_id=None,
            campaign_tag=None,
            touched_at=seen_at,
            system="greenhouse",
            candidate_id=str(5_000_000_000 + i),
            application_id=str(6_900_000_000 + i),
            updated_at=seen_at,
        )
        for i in range(30)
    ]
    rig.ledger.save_links(links)
    with pytest.raises(MassDisappearanceError, match="30 of 30"):
        person_cases(
            [], [], person_of={}, advocacy_system="advocacy", ats=rig.ats, ledger=rig.ledger, now=rig.account.now
        )
    assert all(link.block is None for link in rig.ledger.links())


def test_a_person_under_a_tombstone_is_held_back(rig: Rig) -> None:
    rig.ledger.add_tombstone("email", "hash-of-ada", "asked to be forgotten")
    (case,) = person_cases(
        [rig.referral("R1")],
        [],
        person_of={"advocacy:R1": "per_ada"},
        advocacy_system="advocacy",
        ats=rig.ats,
        ledger=rig.ledger,
        now=rig.account.now,
        key_hashes={"R1": {"hash-of-ada", "hash-of-a-phone"}},
    )
    rig.run(case)
    link = rig.ledger.link("R1")
    assert link is not None
    assert link.block == "erased"
    assert rig.account.store.dump()["candidates"] == []


@pytest.mark.parametrize("blocked", [True, False])
def test_a_run_over_an_older_pull_overwrites_no_link_that_was_written_since(rig, blocked):
    """The lane works while a refresh does: consent was given, or taken back, after the refresh had pulled."""
    old, new = rig.referral(consent=None), rig.referral()
    if blocked:
        old, new = new, old
    pulled_at, stale = rig.account.now, rig.case(old, lock_keys=frozenset({"hash"}))
    rig.time_passes()
    rig.run(rig.case(new))
    known = rig.ledger.link("R1")
    report = rig.run(stale, known_until=pulled_at)
    assert rig.ledger.link("R1") == known
    assert rig.counts() == ((0, 0) if blocked else (1, 1))
    assert report.counts["links_known_better"] == (0 if blocked else 1)
    rig.run(rig.case(new), known_until=rig.account.now)
    assert rig.ledger.link("R1") == known
