"""The state machine of a referral: total, without contradiction, convergent, and without dead ends."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_pipeline.sync.lifecycle import (
    CONDITIONS,
    GUARDS,
    LIVE,
    TRANSITIONS,
    Action,
    Event,
    Facts,
    State,
    Step,
    advance,
    as_mermaid,
    eligible_on,
    settle,
    transitions_of,
)
from referral_pipeline.vocabulary import Block, CandidateStatus

TODAY = date(2026, 6, 1)
STATUSES = (None, *CandidateStatus)
BLOCKS = (None, *Block)
FIRST_DAYS = (None, TODAY - timedelta(91), TODAY - timedelta(90), TODAY - timedelta(89), TODAY, date.max)

PLAIN = Facts(
    block=None,
    status=CandidateStatus.APPLIED,
    gone=False,
    credited=True,
    starts_on=None,
    today=TODAY,
    waiting_days=90,
    paid=False,
)
HIRED = replace(PLAIN, status=CandidateStatus.HIRED, starts_on=TODAY)
DUE = replace(HIRED, starts_on=TODAY - timedelta(90))

ALL_FACTS = [
    Facts(block, status, gone, credited, starts_on, TODAY, 90, paid)
    for block, status, gone, credited, starts_on, paid in itertools.product(
        BLOCKS, STATUSES, (False, True), (False, True), FIRST_DAYS, (False, True)
    )
]
"""Every combination of facts that a guard can tell apart, both sides of each day that counts."""

facts_now = st.builds(
    Facts,
    block=st.sampled_from(BLOCKS),
    status=st.sampled_from(STATUSES),
    gone=st.booleans(),
    credited=st.booleans(),
    starts_on=st.none() | st.dates(),
    today=st.dates(),
    waiting_days=st.integers(0, 3650),
    paid=st.booleans(),
)
living_facts = facts_now.map(
    lambda facts: replace(facts, gone=False, block=None if facts.block is Block.ERASED else facts.block)
)


def test_every_state_event_and_facts_has_exactly_one_answer():
    for state, event in itertools.product(State, Event):
        names = [transition.guard for transition in transitions_of(state, event)]
        assert names
        for facts in ALL_FACTS:
            assert sum(GUARDS[name](facts) for name in names) == 1, (state, event, facts)


def test_the_table_names_only_what_there_is_and_uses_all_of_it():
    named = {transition.guard for transition in TRANSITIONS} | set(CONDITIONS.values())
    assert named == set(GUARDS)
    assert {transition.target for transition in TRANSITIONS if transition.target} == set(State)
    assert {action for transition in TRANSITIONS for action in transition.actions} == set(Action)
    assert set().union(*(transition.events for transition in TRANSITIONS)) == set(Event)


def test_every_state_but_erased_leads_to_every_state():
    for state in LIVE:
        reached = {advance(state, event, facts).state for event in Event for facts in ALL_FACTS}
        assert reached == set(State)
    assert {advance(State.ERASED, e, f) for e in Event for f in ALL_FACTS} == {Step(State.ERASED, ())}


@given(st.sampled_from(sorted(LIVE)), st.lists(st.sampled_from(list(Event)), min_size=1), facts_now)
def test_where_a_referral_came_from_and_why_we_look_do_not_decide_where_it_ends(state, events, facts):
    end = advance(State.RECEIVED, Event.TIME_PASSED, facts).state
    here = state
    for event in events:
        here = advance(here, event, facts).state
    assert here is end
    assert settle(state, facts).state is end


@given(st.lists(living_facts, min_size=1, max_size=8), facts_now, st.data())
def test_any_order_repetition_and_delay_of_the_same_events_ends_in_the_same_state(earlier, latest, data):
    """The world runs through `earlier` to `latest`; each event is looked at while some of it has happened already."""
    world = [*earlier, latest]
    looks = st.tuples(st.sampled_from(list(Event)), st.integers(0, len(world) - 1))
    events = data.draw(st.lists(looks, min_size=1, max_size=8))
    ends: set[State] = set()
    for order in (events, data.draw(st.permutations(events)), [*events, *data.draw(st.permutations(events))]):
        state, now = State.RECEIVED, 0
        for event, happened in order:
            now = max(now, happened)  # the facts are read again when we look, and the world does not go back
            state = advance(state, event, world[now]).state
        # The last change has an event of its own, and it is looked at after the change, however late.
        ends.add(advance(state, order[0][0], latest).state)
    assert len(ends) == 1


@given(st.sampled_from(list(State)), facts_now)
def test_settling_twice_changes_nothing(state, facts):
    step = settle(state, facts)
    again = settle(step.state, facts)
    assert again.state is step.state
    assert step.state is State.ERASED or again.actions == step.actions
    assert len(set(step.actions)) == len(step.actions)


@pytest.mark.parametrize(
    ("source", "event", "facts", "target", "actions"),
    [
        (
            State.RECEIVED,
            Event.REFERRAL_CHANGED,
            replace(PLAIN, status=None),
            State.RECEIVED,
            {Action.WRITE_CANDIDATE, Action.RECOGNISE_REVERSED},
        ),
        (
            State.OFFERED,
            Event.APPLICATION_CHANGED,
            HIRED,
            State.HIRED,
            {Action.RETURN_STATUS, Action.RECOGNISE_HIRED},
        ),
        (
            State.HIRED,
            Event.TIME_PASSED,
            DUE,
            State.BONUS_ELIGIBLE,
            {Action.RETURN_STATUS, Action.RECOGNISE_HIRED, Action.RECOGNISE_ELIGIBLE},
        ),
        (
            State.BONUS_ELIGIBLE,
            Event.APPLICATION_CHANGED,
            replace(DUE, status=CandidateStatus.OFFERED),
            State.OFFERED,
            {Action.RETURN_STATUS, Action.RECOGNISE_REVERSED},
        ),
        (
            State.BONUS_ELIGIBLE,
            Event.APPLICATION_CHANGED,
            replace(DUE, status=CandidateStatus.OFFERED, paid=True),
            State.OFFERED,
            {Action.RETURN_STATUS},
        ),
        (
            State.HIRED,
            Event.REFERRAL_CHANGED,
            replace(HIRED, block=Block.NO_CONSENT, credited=False),
            State.BLOCKED,
            {Action.STOP_WRITING, Action.RECOGNISE_REVERSED},
        ),
        (
            State.BONUS_ELIGIBLE,
            Event.REFERRAL_CHANGED,
            replace(DUE, credited=False),
            State.HIRED,
            {Action.WRITE_CANDIDATE, Action.RETURN_STATUS, Action.RECOGNISE_REVERSED},
        ),
        (
            State.REJECTED,
            Event.APPLICATION_CHANGED,
            replace(PLAIN, status=CandidateStatus.IN_REVIEW),
            State.IN_REVIEW,
            {Action.RETURN_STATUS, Action.RECOGNISE_REVERSED},
        ),
        (State.HIRED, Event.CANDIDATE_GONE, replace(HIRED, gone=True), State.ERASED, {Action.STOP_WRITING}),
        (
            State.HIRED,
            Event.CANDIDATE_GONE,
            HIRED,
            State.HIRED,
            {Action.RETURN_STATUS, Action.RECOGNISE_HIRED},
        ),
    ],
    ids=[
        "a new referral is written",
        "a hire is recognised at once",
        "the bonus becomes eligible with time",
        "an unhire takes back what is not paid",
        "an unhire takes back nothing that is paid",
        "consent taken back ends the writing and the credit",
        "lost credit is taken back while the hire stands",
        "a rejection can be undone",
        "a deleted candidate ends it",
        "a merged candidate is only told anew",
    ],
)
def test_the_story(source, event, facts, target, actions):
    step = advance(source, event, facts)
    assert (step.state, set(step.actions)) == (target, actions)


@pytest.mark.parametrize(
    ("starts_on", "waiting_days", "due"),
    [
        (date(2026, 1, 31), 90, date(2026, 5, 1)),
        (date(2026, 1, 31), 0, date(2026, 1, 31)),
        (None, 0, None),
        (date.max, 1, None),
    ],
)
def test_the_day_on_which_a_bonus_is_due(starts_on, waiting_days, due):
    assert eligible_on(starts_on, waiting_days) == due


def test_nothing_is_written_for_who_is_blocked_or_forgotten():
    for state, event, facts in itertools.product(State, Event, ALL_FACTS):
        if facts.block is not None or facts.gone:
            actions = set(advance(state, event, facts).actions)
            assert not actions & {Action.WRITE_CANDIDATE, Action.RETURN_STATUS, Action.RECOGNISE_HIRED}


def test_the_drawing_shows_every_transition():
    drawn = as_mermaid()
    assert drawn.startswith("stateDiagram-v2\n")
    for transition in TRANSITIONS:
        if transition.target is not None:
            arrow = rf"live --> {transition.target.value}: .*\[{transition.guard}\] / .*{transition.actions[-1].value}"
            assert re.search(arrow, drawn)
    assert "erased --> [*]" in drawn
