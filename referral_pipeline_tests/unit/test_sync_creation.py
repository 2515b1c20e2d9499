"""Creating in the ATS exactly once, whatever is lost on the way and whoever else writes meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from referral_pipeline.connectors.failures import Invalid, Unreachable
from referral_pipeline.ledger.store import DeliveryState, LedgerError
from referral_pipeline.sync.facts import Programme
from referral_pipeline_tests.unit.sync_rig import LAG, Rig, Spoilt, lost, rig_with, tags_of


class KilledError(BaseException):
    """The process ends here."""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with rig_with(tmp_path) as rig:
        yield rig


def killed(*_: object, **__: object) -> None:
    raise KilledError


@pytest.mark.parametrize("rounds", [4, 1])
def test_a_create_that_timed_out_after_the_work_is_adopted_and_not_repeated(rig, rounds):
    referral = rig.referral()
    report = rig.run(rig.case(referral), ats=rig.loses_answers("create_candidate"), rounds=rounds)
    if rounds == 1:  # the next run finds it
        assert [f.transient for f in report.failures] == [True]
        report = rig.run(rig.case(referral))
    assert report.failures == []
    assert rig.counts() == (1, 1)
    link = rig.ledger.link("R1")
    assert (link.candidate_id, link.application_id) == (
        str(rig.candidates()[0]["id"]),
        str(rig.applications()[0]["id"]),
    )
    assert {d.state for d in rig.ledger.deliveries()} == {"confirmed"}


@pytest.mark.parametrize("rounds", [4, 1])
def test_a_create_that_timed_out_before_the_work_is_repeated_once(rig, rounds):
    referral = rig.referral()
    report = rig.run(rig.case(referral), ats=rig.loses_answers("create_candidate", before_work=True), rounds=rounds)
    if rounds == 1:
        assert rig.counts() == (0, 0)
        report = rig.run(rig.case(referral))
    assert report.failures == []
    assert rig.counts() == (1, 1)
    assert tags_of(rig, rig.applications()) == ["R1"]


def test_an_application_whose_create_timed_out_after_the_work_is_adopted(rig):
    rig.run(rig.case(rig.referral()))
    rig.time_passes()
    other = rig.account.acts.add_job("Analyst", stages=("Review", "Offer"))
    second = rig.referral("R2", job_id=str(other["id"]))
    report = rig.run(rig.case(rig.referral(), second), ats=rig.loses_answers("create_application"))
    assert report.failures == []
    assert rig.counts() == (1, 2)


@pytest.mark.parametrize("answer", ["flat", "wrapped"])
def test_an_answer_without_an_application_ends_in_one_application(tmp_path, answer):
    with rig_with(tmp_path, candidate_create_answer=answer) as rig:
        report = rig.run(rig.case(rig.referral()))
        assert report.failures == []
        assert rig.counts() == (1, 1)
        assert report.counts["candidates_created"] == report.counts["applications_created"] == 1
        rig.time_passes()
        again = rig.run(rig.case(rig.referral()))
        assert rig.counts() == (1, 1)
        assert again.counts["applications_unchanged"] == 1


@pytest.mark.parametrize("visible", [True, False])
def test_a_crash_between_create_and_confirm_ends_in_one_candidate(rig, visible):
    with pytest.raises(KilledError):
        rig.run(rig.case(rig.referral()), ledger=Spoilt(rig.ledger, confirm_many=killed))
    assert rig.counts() == (1, 1)
    if visible:
        rig.time_passes()
    report = rig.run(rig.case(rig.referral()))
    assert report.failures == []
    assert rig.counts() == (1, 1)
    assert rig.ledger.link("R1").application_id == str(rig.applications()[0]["id"])


def test_a_crash_between_confirm_and_link_ends_in_one_candidate(rig):
    with pytest.raises(KilledError):
        rig.run(rig.case(rig.referral()), ledger=Spoilt(rig.ledger, save_links=killed))
    report = rig.run(rig.case(rig.referral()))
    assert (report.failures, rig.counts()) == ([], (1, 1))
    assert rig.ledger.link("R1").application_id == str(rig.applications()[0]["id"])


def test_a_crash_long_after_the_intent_still_waits_until_the_create_must_be_visible(rig):
    """The call waited for the rate limit: the intent is old, what it created is not."""

    def late(*arguments: object) -> object:
        rig.time_passes(LAG + 10)
        rig.ats.create_candidate(*arguments)
        raise KilledError

    with pytest.raises(KilledError):
        rig.run(rig.case(rig.referral()), ats=Spoilt(rig.ats, create_candidate=late))
    rig.run(rig.case(rig.referral()))
    assert rig.counts() == (1, 1)


def test_a_crash_is_resolved_though_another_referral_of_the_person_comes_first_now(rig):
    """The referrals that share an application are others at the second attempt: an older one was let through."""
    with pytest.raises(KilledError):
        rig.run(rig.case(rig.referral("R2")), ats=Spoilt(rig.ats, create_candidate=_then_killed(rig)))
    rig.run(rig.case(rig.referral("R1", days=5, advocate_id="A2"), rig.referral("R2")))
    assert rig.counts() == (1, 1)
    assert {rig.ledger.link(i).application_id for i in ("R1", "R2")} == {str(rig.applications()[0]["id"])}


@pytest.mark.parametrize("operation", ["create_candidate", "create_application"])
def test_an_ambiguous_application_is_found_though_its_referrals_are_grouped_anew(rig, operation):
    if operation == "create_application":
        rig.run(rig.case(rig.referral("R0", job_id=str(rig.account.acts.add_job("Other", stages=("Review",))["id"]))))
        rig.time_passes()
    links = [rig.referral("R0", job_id=rig.ledger.link("R0").job_id)] if rig.ledger.link("R0") else []
    first, second = rig.referral("R1", days=5), rig.referral("R2", days=2, advocate_id="A2")
    before = rig.counts()
    failed = rig.run(rig.case(*links, first, second), ats=rig.loses_answers(operation), rounds=1)
    assert len(failed.failures) == 1
    rig.run(rig.case(*links, second))  # the first one was withdrawn meanwhile
    assert rig.counts()[1] == before[1] + 1


def test_an_ambiguous_create_is_found_though_the_person_has_another_id_by_now(rig):
    """Two persons turned out to be one, and the other id lived on."""
    rig.run(rig.case(rig.referral("R2")), ats=rig.loses_answers("create_candidate"), rounds=1)
    rig.run(rig.case(rig.referral("R2"), person="per_merged"))
    assert rig.counts() == (1, 1)


def test_a_create_confirmed_under_another_person_id_is_not_repeated(rig):
    with pytest.raises(KilledError):
        rig.run(rig.case(rig.referral()), ledger=Spoilt(rig.ledger, save_links=killed))
    rig.run(rig.case(rig.referral(), person="per_merged"))
    assert rig.counts() == (1, 1)


def test_the_candidate_of_somebody_else_is_not_taken_for_a_person_that_inherited_the_id(rig):
    """The first record of a person turned out to be somebody else, who keeps the id: the candidate stays with R1."""
    rig.run(rig.case(rig.referral("R1")))
    rig.time_passes()
    ada = str(rig.candidates()[0]["id"])
    grace = rig.referral("R2", days=9, first_name="Grace", last_name="Other", email="grace@example.net")
    rig.run(rig.case(grace), person_of={ada: "per_ada_anew"})
    assert rig.counts() == (2, 2)
    assert rig.ledger.link("R2").candidate_id != ada


def test_a_recruiter_who_creates_the_same_candidate_meanwhile_keeps_it_and_gets_the_application(rig):
    case = rig.case(rig.referral())
    by_hand = rig.account.acts.create_candidate(first_name="Ada", last_name="Example", emails=["ADA@example.com"])
    rig.time_passes()
    report = rig.run(case)
    assert report.counts["candidates_created"] == 0
    assert [c["id"] for c in rig.candidates()] == [by_hand["id"]]
    assert [a["candidate_id"] for a in rig.applications()] == [by_hand["id"]]


def test_a_recruiter_who_opens_the_same_application_meanwhile_gets_its_advocate(rig):
    rig.account.acts.create_candidate(first_name="Ada", last_name="Example", emails=["ada@example.com"])
    case = rig.case(rig.referral())
    made = rig.account.acts.create_application(candidate_id=rig.candidates()[0]["id"], job_id=rig.account.job["id"])
    rig.time_passes()
    report = rig.run(case)
    assert (rig.counts(), report.counts["applications_adopted"]) == ((1, 1), 1)
    assert rig.account.tags(made["id"])["advocate_id"] == "A1"


def test_two_jobs_for_one_new_person_create_one_candidate(rig):
    other = rig.account.acts.add_job("Analyst", stages=("Review", "Offer"))
    report = rig.run(rig.case(rig.referral("R1"), rig.referral("R2", job_id=str(other["id"]))))
    assert report.failures == []
    assert rig.counts() == (1, 2)
    assert {rig.ledger.link(i).candidate_id for i in ("R1", "R2")} == {str(rig.candidates()[0]["id"])}


@pytest.mark.parametrize("before_work", [True, False])
def test_two_jobs_for_one_new_person_create_one_candidate_though_answers_are_lost(rig, before_work):
    other = rig.account.acts.add_job("Analyst", stages=("Review", "Offer"))
    spoilt = rig.loses_answers("create_candidate", "create_application", before_work=before_work)
    report = rig.run(rig.case(rig.referral("R1"), rig.referral("R2", job_id=str(other["id"]))), ats=spoilt)
    assert (report.failures, rig.counts()) == ([], (1, 2))


def test_people_of_one_shared_mailbox_get_a_candidate_each_though_their_names_are_alike(tmp_path):
    with rig_with(tmp_path, visibility_lag_seconds=0) as rig:
        john = rig.case(rig.referral("R1", first_name="John", email="jobs@example.com"), person="per_john")
        jay = rig.case(rig.referral("R2", first_name="J.", email="jobs@example.com"), person="per_jay")
        rig.run(john, jay)
        assert rig.counts() == (2, 2)


def test_a_refused_create_is_told_and_kept_as_a_dead_delivery_and_may_succeed_once_it_is_mended(rig):
    def refuses(*_: object) -> None:
        raise Invalid("greenhouse", "candidates.create", status=422, detail="no")

    report = rig.run(rig.case(rig.referral()), ats=Spoilt(rig.ats, create_candidate=refuses))
    assert [f.transient for f in report.failures] == [False]
    dead = rig.ledger.deliveries(state=DeliveryState.DEAD)
    assert dead
    assert all("422" in (d.last_error or "") for d in dead)
    report = rig.run(rig.case(rig.referral()))
    assert (report.failures, rig.counts()) == ([], (1, 1))
    assert {d.state for d in rig.ledger.deliveries()} == {"confirmed"}


def test_a_lost_answer_is_kept_with_the_delivery(rig):
    rig.run(rig.case(rig.referral()), ats=rig.loses_answers("create_candidate", before_work=True), rounds=1)
    pending = rig.ledger.deliveries(state=DeliveryState.PENDING)
    assert pending
    assert all(d.last_error == str(lost("create_candidate")) for d in pending)


def _then_killed(rig: Rig):
    def call(*arguments: object) -> None:
        rig.ats.create_candidate(*arguments)
        raise KilledError

    return call


def test_time_passes_only_as_long_as_the_vendor_may_hide_what_is_fresh(rig):
    start = rig.account.now
    rig.run(rig.case(rig.referral()), ats=rig.loses_answers("create_candidate"))
    assert timedelta(seconds=LAG) <= rig.account.now - start < timedelta(seconds=3 * LAG)


def test_a_process_that_ends_while_it_searches_makes_nobody_elses_application_its_own(rig):
    """The intents go to disk beside the search: left behind, they prove nothing."""
    rig.account.acts.create_candidate(
        first_name="Ada", last_name="Example", emails=["ada@example.com"], phones=[], job_id=rig.account.job["id"]
    )
    rig.time_passes()
    referral = rig.referral()
    with ThreadPoolExecutor(1) as aside:
        with pytest.raises(KilledError):
            rig.run(rig.case(referral), ledger=Spoilt(rig.ledger, withdraw=killed), aside=aside)
        rig.time_passes()
        report = rig.run(rig.case(referral), aside=aside)
    assert (report.failures, rig.counts()) == ([], (1, 1))
    link = rig.ledger.link("R1")
    assert (link.created_candidate, link.created_application) == (False, False)
    assert report.counts["applications_created"] == 0


def test_nothing_is_created_before_its_intents_are_on_disk(rig):
    seen: list[tuple[str, int]] = []

    def sync() -> None:
        seen.append((rig.ledger.delivery("candidate:greenhouse:per_ada").state, len(rig.candidates())))
        rig.ledger.sync()

    with ThreadPoolExecutor(2) as aside:
        rig.run(rig.case(rig.referral()), ledger=Spoilt(rig.ledger, sync=sync), aside=aside)
    assert (seen, rig.counts()) == ([("pending", 0)], (1, 1))


def test_a_disk_that_does_not_take_the_intents_stops_the_create_and_leaves_none_behind(rig):
    def broken() -> None:
        raise LedgerError("the ledger cannot be synced to disk")

    with ThreadPoolExecutor(2) as aside:
        with pytest.raises(LedgerError):
            rig.run(rig.case(rig.referral()), ledger=Spoilt(rig.ledger, sync=broken), aside=aside)
        assert (rig.ledger.deliveries(), rig.counts()) == ([], (0, 0))
        rig.run(rig.case(rig.referral()), aside=aside)
    assert rig.counts() == (1, 1)


def test_a_programme_that_cannot_be_read_stops_the_create_and_leaves_no_intent_behind(rig):
    def unreachable() -> Programme:
        raise Unreachable("advocacy", "shares.list", detail="no connection")

    with ThreadPoolExecutor(2) as aside:
        report = rig.run(rig.case(rig.referral()), programme=unreachable, rounds=1, aside=aside)
        assert [f.transient for f in report.failures] == [True]
        assert (rig.ledger.deliveries(), rig.counts()) == ([], (0, 0))
        rig.run(rig.case(rig.referral()), aside=aside)
    assert rig.counts() == (1, 1)


def test_a_search_that_ends_for_a_reason_of_ours_leaves_no_intent_behind(rig):
    class StoppedError(Exception):
        pass

    def stopped(*_: object) -> object:
        raise StoppedError

    with ThreadPoolExecutor(1) as aside:
        with pytest.raises(StoppedError):
            rig.run(rig.case(rig.referral()), ats=Spoilt(rig.ats, search_candidates=stopped), aside=aside)
        assert rig.ledger.deliveries() == []
        rig.run(rig.case(rig.referral()), aside=aside)
    assert rig.counts() == (1, 1)
