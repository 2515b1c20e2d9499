"""Status history: which status an application was in, without overlap, whatever the sources say."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from referral_pipeline_tests.unit.core_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.job("J1")
    return made


def test_stages_follow_each_other_to_the_end_that_stands(world: World):
    stages = (("applied", 0, 2), ("interviewed", 2, 6), ("interviewed", 6, 8), ("offered", 8, None))
    world.application("P1", 0, status="hired", hired=10, status_at=11, history=stages)
    world.build()
    assert world.history() == [("applied", 0, 2), ("interviewed", 2, 8), ("offered", 8, 10), ("hired", 10, None)]


def test_without_stages_the_dates_of_interview_and_offer_tell_the_history(world: World):
    world.application("P1", 0, status="rejected", rejected=9, interviewed=3, offered=5)
    world.build()
    assert world.history() == [("applied", 0, 3), ("interviewed", 3, 5), ("offered", 5, 9), ("rejected", 9, None)]


def test_a_hire_that_was_undone_stays_in_the_history(world: World):
    world.application("P1", 0, status="in_review", status_at=15, history=(("applied", 0, None),))
    world.told("P1", "applied", 0.1)
    world.told("P1", "hired", 10)
    world.told("P1", "in_review", 15)
    world.build()
    assert world.history() == [("applied", 0, 10), ("hired", 10, 15), ("in_review", 15, None)]


def test_a_hire_whose_date_was_corrected_is_one_hire_from_the_corrected_date(world: World):
    world.application("P1", 0, status="hired", hired=12, status_at=20)
    world.told("P1", "hired", 10)
    world.told("P1", "hired", 12)
    world.build()
    assert world.history() == [("applied", 0, 12), ("hired", 12, None)]


def test_a_rehire_is_a_second_hire(world: World):
    world.application("P1", 0, status="hired", hired=10, status_at=20)
    for status, at in (("hired", 10), ("offered", 15), ("hired", 20)):
        world.told("P1", status, at)
    world.build()
    assert world.history() == [("applied", 0, 10), ("hired", 10, 15), ("offered", 15, 20), ("hired", 20, None)]


def test_a_rejection_that_was_undone_and_came_again_is_told_twice(world: World):
    world.application("P1", 0, status="rejected", rejected=30, status_at=30)
    for status, at in (("rejected", 5), ("interviewed", 8), ("rejected", 30)):
        world.told("P1", status, at)
    world.build()
    assert world.history() == [("applied", 0, 5), ("rejected", 5, 8), ("interviewed", 8, 30), ("rejected", 30, None)]


def test_what_the_ledger_was_told_of_stages_does_not_displace_the_ats_dates(world: World):
    stages = (("applied", 0, 2), ("interviewed", 2, 6), ("offered", 6, None))
    world.application("P1", 0, status="offered", status_at=6, history=stages)
    world.told("P1", "interviewed", 6.5)
    world.told("P1", "offered", 7)
    world.build()
    assert world.history() == [("applied", 0, 2), ("interviewed", 2, 6), ("offered", 6, None)]


def test_a_stage_dated_after_an_end_that_stands_is_left_out(world: World):
    world.application("P1", 0, status="hired", hired=10, history=(("applied", 0, 12), ("offered", 12, None)))
    world.build()
    assert world.history() == [("applied", 0, 10), ("hired", 10, None)]


def test_a_negative_duration_is_counted_and_kept_out(world: World):
    stages = (("interviewed", -3, 1), ("in_review", 4, 2))
    world.application("P1", 0, status="hired", hired=-1, status_at=6, history=stages)
    world.build()
    assert world.history() == [("applied", 0, 6), ("hired", 6, None)]
    errors = world.rows_of("SELECT status, error FROM core.status_event WHERE error IS NOT NULL ORDER BY status")
    assert errors == [
        {"status": "hired", "error": "before_application"},
        {"status": "in_review", "error": "ends_before_it_starts"},
        {"status": "interviewed", "error": "before_application"},
    ]


STATUSES = ("applied", "in_review", "interviewed", "offered", "hired", "rejected", "withdrawn")
APPLICATIONS = st.lists(
    st.tuples(
        st.sampled_from(STATUSES),
        st.one_of(st.none(), st.integers(-2, 9)),
        st.integers(0, 9),
        st.lists(st.tuples(st.sampled_from(STATUSES[:4]), st.integers(-2, 9), st.one_of(st.none(), st.integers(-2, 9))),
                 max_size=4),
        st.lists(st.tuples(st.sampled_from(STATUSES), st.integers(0, 9)), max_size=4),
    ),
    min_size=20,
    max_size=30,
)  # fmt: skip


@given(applications=APPLICATIONS)
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_history_is_without_gap_or_overlap_and_ends_in_the_present_status(tmp_path: Path, applications):
    world = World(tmp_path)
    for number, (status, ended, recorded, stages, told) in enumerate(applications):
        end = {"hired": {"hired": ended}, "rejected": {"rejected": ended}}.get(status, {})
        world.application(f"P{number}", 0, person=f"A{number} B", candidate=f"C{number}", status=status,
                          status_at=recorded, history=tuple(stages), **end)  # fmt: skip
        for name, at in told:
            world.told(f"P{number}", name, at)
    world.build()
    for number, (status, *_) in enumerate(applications):
        history = world.history(f"P{number}")
        assert history[0][1] == 0
        assert [row[2] for row in history] == [*[row[1] for row in history[1:]], None]
        assert all(end is None or end > start for _, start, end in history)
        assert all(left[0] != right[0] for left, right in pairwise(history))
        assert history[-1][0] == status
