"""Which application takes which referral."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from referral_pipeline.sync.assignment import assign
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests.records import NOW, ago, make_application, make_referral


def only(assignments):
    (assignment,) = assignments
    return assignment


def test_an_application_made_after_the_referral_came_from_it():
    application = make_application(applied_at=ago(days=1), status=CandidateStatus.REJECTED)
    assert only(assign([make_referral(applied_at=ago(days=2))], [application], linked={})).application == application


def test_of_several_later_applications_the_first_takes_the_referral():
    first = make_application(id="1", applied_at=ago(days=20), status=CandidateStatus.REJECTED)
    second = make_application(id="2", applied_at=ago(days=1))
    assert only(assign([make_referral(applied_at=ago(days=30))], [second, first], linked={})).application == first


def test_an_open_application_takes_a_referral_that_came_later():
    application = make_application(applied_at=ago(days=9))
    assert only(assign([make_referral(applied_at=ago(days=2))], [application], linked={})).application == application


def test_a_closed_application_that_is_older_does_not_stop_a_new_one():
    for status in (CandidateStatus.REJECTED, CandidateStatus.WITHDRAWN, CandidateStatus.HIRED):
        application = make_application(applied_at=ago(days=9), status=status)
        assert only(assign([make_referral(applied_at=ago(days=2))], [application], linked={})).application is None


def test_an_application_for_another_job_takes_nothing():
    assert only(assign([make_referral()], [make_application(job_id="J2")], linked={})).application is None


def test_three_referrals_for_one_job_open_one_application():
    referrals = [make_referral(id=f"R{i}", advocate_id=f"A{i}") for i in range(3)]
    assert len(only(assign(referrals, [], linked={})).referrals) == 3


def test_a_linked_referral_stays_with_its_application():
    old = make_application(id="1", applied_at=ago(days=30), status=CandidateStatus.REJECTED)
    new = make_application(id="2", applied_at=ago(days=1))
    assert only(assign([make_referral()], [old, new], linked={"R1": "1"})).application == old


@given(
    touches=st.lists(st.integers(0, 40), min_size=1, max_size=5),
    applications=st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from(list(CandidateStatus)), st.sampled_from(["J1", "J2"])), max_size=5
    ),
    data=st.data(),
)
def test_every_referral_is_assigned_once_whatever_the_order(touches, applications, data):
    referrals = [make_referral(id=f"R{i}", applied_at=NOW - timedelta(days=d)) for i, d in enumerate(touches)]
    made = [
        make_application(id=str(i), applied_at=NOW - timedelta(days=d), status=status, job_id=job)
        for i, (d, status, job) in enumerate(applications)
    ]
    result = assign(referrals, made, linked={})
    assert sorted(r.id for a in result for r in a.referrals) == sorted(r.id for r in referrals)
    assert sum(1 for a in result if a.application is None) <= 1
    shuffled = assign(data.draw(st.permutations(referrals)), data.draw(st.permutations(made)), linked={})
    assert shuffled == result
