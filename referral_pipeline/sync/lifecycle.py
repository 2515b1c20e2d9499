"""The life of one referral as data: states, the events that make us look, guards over facts, transitions, actions.

Belongs here: the table, the pure functions that read it, and its drawing. Does not belong here: fetching facts, doing
what an action asks (sync.candidates, sync.statuses, sync.recognitions), how the gate or an ATS comes to its answer.

How to read it
1. Level-triggered: `Facts` are the truth, fetched again; an event is only why we look. Whatever event brings us, the
   facts decide the state, so events that come late, twice or in any order end where the facts say.
2. The guards named in one state for one event divide all facts between them: exactly one holds, and `advance` has
   exactly one answer.
3. An action says "bring this level", and costs nothing where it is level. It is asked for again as long as the facts
   ask for it, so what a crash swallowed is done the next time that we look.
4. A state can be left as long as its facts can change. Only `erased` cannot: who was forgotten is not remembered
   because of a late event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from referral_pipeline.vocabulary import Block, CandidateStatus


class State(StrEnum):
    """Where a referral stands."""

    RECEIVED = "received"  # may be written, and is not in the ATS yet
    BLOCKED = "blocked"  # the gate holds it back, or has taken it back after it was written
    APPLIED = "applied"
    IN_REVIEW = "in_review"
    INTERVIEWED = "interviewed"
    OFFERED = "offered"
    HIRED = "hired"  # the bonus waits for its day, or the referral earned no credit
    BONUS_ELIGIBLE = "bonus_eligible"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"  # the candidate left the application
    ERASED = "erased"  # deleted, anonymized or forgotten; the only state without a way out


class Event(StrEnum):
    """Why we look."""

    REFERRAL_CHANGED = "referral_changed"  # submitted, edited, withdrawn, consent given or taken back
    APPLICATION_CHANGED = "application_changed"  # created, moved, rejected, hired, unhired, its offer changed
    CANDIDATE_GONE = "candidate_gone"  # the ATS says deleted, anonymized or merged; the facts say which
    TIME_PASSED = "time_passed"  # a waiting period or a consent may have ended


class Action(StrEnum):
    """What is to be brought level."""

    WRITE_CANDIDATE = "write_candidate"  # candidate, application and its tags in the ATS
    RETURN_STATUS = "return_status"  # the status on the advocacy platform
    RECOGNISE_HIRED = "recognise_hired"
    RECOGNISE_ELIGIBLE = "recognise_eligible"
    RECOGNISE_REVERSED = "recognise_reversed"  # nothing may stand recognised
    STOP_WRITING = "stop_writing"  # no further write to the ATS for this referral


@dataclass(frozen=True)
class Facts:
    """All that decides, as it is now. No personal data.

    `block` is the gate's answer (privacy.gate), `status` that of the linked application in the ATS, None without one.
    `gone` says that the ATS deleted or anonymized the candidate. `credited` says that the referral earned a part of the
    credit. `paid` says that its bonus was paid out, after which nothing is taken back. `today` is the date in UTC.
    """

    block: Block | None
    status: CandidateStatus | None
    gone: bool
    credited: bool
    starts_on: date | None
    today: date
    waiting_days: int
    paid: bool


Guard = Callable[[Facts], bool]


@dataclass(frozen=True)
class Transition:
    """From any of `sources`, on any of `events`, when the guard holds: to `target` (None: stay), asking for actions."""

    sources: frozenset[State]
    events: frozenset[Event]
    guard: str
    target: State | None
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True)
class Step:
    """Where a referral stands after one look, and what is to be brought level for it, in this order."""

    state: State
    actions: tuple[Action, ...]


def eligible_on(starts_on: date | None, waiting_days: int) -> date | None:
    """The day from which the bonus is due; None when no first day is known, or none that a calendar holds."""
    if starts_on is None:
        return None
    try:
        return starts_on + timedelta(days=waiting_days)
    except OverflowError:
        return None


# ---------------------------------------------------------------- guards


def _is_erased(facts: Facts) -> bool:
    return facts.gone or facts.block is Block.ERASED


def _is_blocked(facts: Facts) -> bool:
    return facts.block is not None and not _is_erased(facts)


def _may_be_written(facts: Facts) -> bool:
    return facts.block is None and not facts.gone


def _is_due(facts: Facts) -> bool:
    due = eligible_on(facts.starts_on, facts.waiting_days)
    return due is not None and facts.today >= due


def _stands_at(status: CandidateStatus | None) -> Guard:
    return lambda facts: _may_be_written(facts) and facts.status is status


_is_hired = _stands_at(CandidateStatus.HIRED)

_RESTING: Final = {
    State.APPLIED: CandidateStatus.APPLIED,
    State.IN_REVIEW: CandidateStatus.IN_REVIEW,
    State.INTERVIEWED: CandidateStatus.INTERVIEWED,
    State.OFFERED: CandidateStatus.OFFERED,
    State.REJECTED: CandidateStatus.REJECTED,
    State.WITHDRAWN: CandidateStatus.WITHDRAWN,
}
"""The states that are a status of the application and nothing more; the guard of each has the state's name."""

GUARDS: Final[Mapping[str, Guard]] = MappingProxyType(
    {
        "erased": _is_erased,
        "blocked": _is_blocked,
        "unwritten": _stands_at(None),
        **{state.value: _stands_at(status) for state, status in _RESTING.items()},
        "hired_without_credit": lambda facts: _is_hired(facts) and not facts.credited,
        "hired_and_waiting": lambda facts: _is_hired(facts) and facts.credited and not _is_due(facts),
        "hired_and_due": lambda facts: _is_hired(facts) and facts.credited and _is_due(facts),
        "always": lambda facts: True,
        "unpaid": lambda facts: not facts.paid,
    }
)
"""Conditions by name. Those that transitions of one state name divide all facts between them."""

CONDITIONS: Final[Mapping[Action, str]] = MappingProxyType({Action.RECOGNISE_REVERSED: "unpaid"})
"""Actions that are asked for only when a guard holds besides: what was paid is not taken back."""


# ---------------------------------------------------------------- transitions

LIVE: Final = frozenset(State) - {State.ERASED}
"""The states that can be left."""

_ANY: Final = frozenset(Event)
_LOOKS: Final = frozenset({Event.APPLICATION_CHANGED, Event.CANDIDATE_GONE, Event.TIME_PASSED})
_EDITED: Final = frozenset({Event.REFERRAL_CHANGED})


def _anywhere(guard: str, target: State, *actions: Action) -> Transition:
    return Transition(LIVE, _ANY, guard, target, actions)


def _written(guard: str, target: State, *actions: Action) -> tuple[Transition, Transition]:
    """To a state in which the candidate is in the ATS: an edited referral is written there too, before all else."""
    return (
        Transition(LIVE, _EDITED, guard, target, (Action.WRITE_CANDIDATE, *actions)),
        Transition(LIVE, _LOOKS, guard, target, actions),
    )


TRANSITIONS: Final[tuple[Transition, ...]] = (
    _anywhere("unwritten", State.RECEIVED, Action.WRITE_CANDIDATE, Action.RECOGNISE_REVERSED),
    *(
        transition
        for state in _RESTING
        for transition in _written(state.value, state, Action.RETURN_STATUS, Action.RECOGNISE_REVERSED)
    ),
    *_written("hired_without_credit", State.HIRED, Action.RETURN_STATUS, Action.RECOGNISE_REVERSED),
    *_written("hired_and_waiting", State.HIRED, Action.RETURN_STATUS, Action.RECOGNISE_HIRED),
    *_written(
        "hired_and_due", State.BONUS_ELIGIBLE, Action.RETURN_STATUS, Action.RECOGNISE_HIRED, Action.RECOGNISE_ELIGIBLE
    ),
    _anywhere("blocked", State.BLOCKED, Action.STOP_WRITING, Action.RECOGNISE_REVERSED),
    # A deleted record says nothing about the hire: what was recognised stands, and nothing is added.
    _anywhere("erased", State.ERASED, Action.STOP_WRITING),
    Transition(frozenset({State.ERASED}), _ANY, "always", None),
)
"""The table."""


def transitions_of(state: State, event: Event) -> tuple[Transition, ...]:
    """The transitions that wait for this event in this state."""
    return _BY_STATE_AND_EVENT[state, event]


_BY_STATE_AND_EVENT: Final = {
    (state, event): tuple(t for t in TRANSITIONS if state in t.sources and event in t.events)
    for state in State
    for event in Event
}


# ---------------------------------------------------------------- reading the table


def advance(state: State, event: Event, facts: Facts) -> Step:
    """One look at a referral.

    Args:
        state: where it stood.
        event: why we look.
        facts: the truth, fetched again.
    """
    for transition in _BY_STATE_AND_EVENT[state, event]:
        if GUARDS[transition.guard](facts):
            return Step(transition.target or state, _asked_for(transition.actions, facts))
    return Step(state, ())


def settle(state: State, facts: Facts, events: Iterable[Event] = tuple(Event)) -> Step:
    """Look for every one of these events until nothing moves any more; the actions are all that were asked for, once.

    Without `events` it looks for all of them, as when it is not known what was missed. The facts must be those of
    before the actions: after a write they are fetched again.
    """
    looked_for = tuple(events)
    asked: dict[Action, None] = {}
    while True:
        before = state
        for event in looked_for:
            step = advance(state, event, facts)
            if step.state is not state:
                # What the state before asked for, by the same facts, is asked for here again or is out of date.
                asked.clear()
            state = step.state
            asked.update(dict.fromkeys(step.actions))
        if state is before:
            return Step(state, tuple(action for action in Action if action in asked))


def _asked_for(actions: tuple[Action, ...], facts: Facts) -> tuple[Action, ...]:
    return tuple(a for a in actions if a not in CONDITIONS or GUARDS[CONDITIONS[a]](facts))


# ---------------------------------------------------------------- drawing


def as_mermaid() -> str:
    """The table as a Mermaid state diagram. What holds in every live state is drawn once, from a node of that name."""
    lines = ["stateDiagram-v2", '    state "any state but erased" as live', "    [*] --> received: a referral arrives"]
    for transition in TRANSITIONS:
        if transition.target is None:
            continue
        whence = ["live"] if transition.sources == LIVE else [s.value for s in State if s in transition.sources]
        lines += [f"    {source} --> {transition.target.value}: {_label(transition)}" for source in whence]
    lines.append("    erased --> [*]")
    return "\n".join(lines) + "\n"


def _label(transition: Transition) -> str:
    events = "any event" if transition.events == _ANY else ", ".join(e.value for e in Event if e in transition.events)
    return f"{events} [{transition.guard}] / {', '.join(a.value for a in transition.actions)}"
