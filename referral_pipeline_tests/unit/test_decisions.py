"""What decisions ask of resolution, and what becomes of persons over decisions, undoings, refreshes and rebuilds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.connectors.greenhouse import GreenhouseConnector
from referral_pipeline.connectors.protocols import MergesCandidates
from referral_pipeline.contract.systems import SYSTEMS
from referral_pipeline.identity.decisions import constraints_of, record_aliases
from referral_pipeline.ledger.decisions import DecisionRefusedError
from referral_pipeline.ledger.store import IdentityDecision, Ledger
from referral_pipeline_tests.unit.core_world import DAY0, World

BY = "analyst@example.com"


def decision(verdict: str, left: str, right: str) -> IdentityDecision:
    return IdentityDecision(1, verdict, tuple(left.split()), tuple(right.split()), "r", BY, DAY0)


# ---------------------------------------------------------------- the pure part


def test_a_merge_joins_all_records_of_both_sides_and_holds_while_each_has_one_left():
    merge = decision("merge", "x:a x:b", "x:c x:d")
    assert constraints_of([merge], existing={"x:a", "x:b", "x:c", "x:d"}).must_link == (
        ("x:a", "x:b"),
        ("x:a", "x:c"),
        ("x:a", "x:d"),
    )
    assert constraints_of([merge], existing={"x:a", "x:b", "x:d"}).must_link == (("x:a", "x:b"), ("x:a", "x:d"))
    assert constraints_of([merge], existing={"x:b", "x:d"}).must_link == (("x:b", "x:d"),)
    assert constraints_of([merge], existing={"x:a", "x:b"}).must_link == ()


def test_distinct_parts_every_record_of_one_side_from_every_one_of_the_other():
    found = constraints_of([decision("distinct", "x:d x:b", "x:c x:a")], existing=set())
    assert found.cannot_link == (("x:a", "x:b"), ("x:a", "x:d"), ("x:b", "x:c"), ("x:c", "x:d"))
    assert found.must_link == ()


def test_a_candidate_that_was_merged_away_stands_for_the_survivor():
    aliases = record_aliases("ats", {"1": "2"})
    existing = {"x:a", "ats:2"}
    assert constraints_of([decision("merge", "ats:1", "x:a")], existing=existing, aliases=aliases).must_link == (
        ("ats:2", "x:a"),
    )
    assert constraints_of([decision("distinct", "ats:1", "x:a")], existing=existing, aliases=aliases).cannot_link == (
        ("ats:2", "x:a"),
    )


def test_a_distinct_decision_lapses_when_the_ats_made_one_candidate_of_the_two():
    lapsed = decision("distinct", "ats:1 x:a", "ats:2 x:b")
    found = constraints_of([lapsed], existing={"ats:2", "x:a", "x:b"}, aliases=record_aliases("ats", {"1": "2"}))
    assert found.cannot_link == ()


def test_what_the_facts_say_of_each_connector_that_is_built_in_is_so():
    assert SYSTEMS["greenhouse"].merges_candidates
    assert issubclass(GreenhouseConnector, MergesCandidates)


# ---------------------------------------------------------------- over refreshes


class Programme:
    """Records of both sides in a warehouse, decisions in a ledger, and refreshes between them."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.ledger = ledger
        self.touched = 0
        self.world = World(folder)
        self.world.advocate("A1")

    def refresh(self, *, rebuilt: bool = False, meanwhile: Callable[[], None] = lambda: None) -> dict[str, str]:
        """Who is who after a refresh; `rebuilt` with nothing kept in the warehouse, `meanwhile` done before its end."""
        world = self.world
        as_read = self.ledger.identity_keys_as_read()
        with world.warehouse.connect() as connection:
            world.stage()
            if rebuilt:
                connection.execute("DELETE FROM ops.meta WHERE key = 'identity_rules'")
            report = world.people(ledger_persons=as_read.persons, decisions=self.ledger.identity_decisions())
        meanwhile()
        self.ledger.refresh_identity_keys(as_read, report.identity_keys(b"key"), without=report.without_keys)
        self.touched = report.touched
        return dict(report.person_of)

    def decide(self, verdict: str, left: Sequence[str], right: Sequence[str]) -> int:
        return self.ledger.decide_identity(verdict, left, right, reason="said", decided_by=BY).decision.id

    def undo(self, decision_id: int) -> None:
        self.ledger.revoke_identity_decision(decision_id, by=BY, reason="a mistake")


@contextmanager
def programme() -> Iterator[Programme]:
    with TemporaryDirectory() as text:
        folder = Path(text)
        with Ledger.open("sqlite:///ledger.sqlite", home=folder) as ledger:
            yield Programme(folder, ledger)


@pytest.fixture
def people() -> Iterator[Programme]:
    with programme() as one:
        yield one


R1, R2, C1 = "advocacy:R1", "advocacy:R2", "greenhouse:C1"


def test_a_merge_joins_people_of_contradicting_names_and_undone_gives_the_old_ids_back(people: Programme):
    people.world.referral("R1", "A1", 1, person="Jane Doe")
    people.world.referral("R2", "A1", 2, person="Bob Roe")
    before = people.refresh()
    assert before[R1] != before[R2]
    merge = people.decide("merge", [R1], [R2])
    after = people.refresh()
    assert after[R1] == after[R2] == before[R1]
    assert people.refresh(rebuilt=True) == after
    people.undo(merge)
    assert people.refresh() == before


def test_a_merge_of_contradicting_names_tears_no_record_off_either_side(people: Programme):
    for number, name in enumerate(("Jane Doe", "Jane Doe", "Bob Roe", "Bob Roe"), start=1):
        people.world.referral(f"R{number}", "A1", number, person=name)
    before = people.refresh()
    assert before[R1] == before[R2] != before["advocacy:R3"] == before["advocacy:R4"]
    people.decide("merge", [R1, R2], ["advocacy:R3", "advocacy:R4"])
    for rebuilt in (False, True):
        assert set(people.refresh(rebuilt=rebuilt).values()) == {before[R1]}


def test_the_old_ids_come_back_where_they_were_not_made_from_the_records_either(people: Programme):
    people.world.referral("R1", "A1", 1, person="Jane Doe")
    people.world.referral("R2", "A1", 2, person="Bob Roe")
    people.refresh()
    keys = [key for i in (R1, R2) for key in people.ledger.keys_of([i])]
    renamed = [type(key)(**{**vars(key), "person_id": f"per_old_{key.record_id[-1]}"}) for key in keys]
    people.ledger.save_identity_keys(renamed, replace=True)
    before = people.refresh()
    assert before == {R1: "per_old_1", R2: "per_old_2"}
    merge = people.decide("merge", [R1], [R2])
    assert set(people.refresh().values()) == {"per_old_1"}
    people.undo(merge)
    assert people.refresh() == before


def test_a_split_that_was_undone_stays_undone_over_refreshes_and_rebuilds(people: Programme):
    people.world.referral("R1", "A1", 1)
    people.world.application("P1", 2, candidate="C1")
    before = people.refresh()
    assert before[R1] == before[C1]
    split = people.decide("distinct", [R1], [C1])
    apart = people.refresh()
    assert apart[R1] != apart[C1]
    assert people.refresh(rebuilt=True) == apart
    people.undo(split)
    for rebuilt in (False, True, False):
        assert people.refresh(rebuilt=rebuilt) == before


def test_a_decision_that_is_undone_during_a_refresh_is_undone_after_the_next(people: Programme):
    """The person that comes apart again gets its old id, which only the ledger knows by then."""
    people.world.referral("R2", "A1", 5, person="Jane Doe")
    people.world.referral("R1", "A1", 6, person="Jane Roe")
    people.world.referral("R0", "A1", 7, person="Jane Roe")
    shared = people.world.referrals[1].email
    people.world.referrals[2] = replace(people.world.referrals[2], email="other@example.com")
    people.refresh()
    people.world.referrals[2] = replace(people.world.referrals[2], email=shared)
    before = people.refresh()
    assert before["advocacy:R0"] == before[R1] != before[R2]
    merge = people.decide("merge", [R2], ["advocacy:R0", R1])
    assert len(set(people.refresh(meanwhile=lambda: people.undo(merge)).values())) == 1
    assert people.refresh() == before


def test_a_candidate_whose_last_address_was_removed_is_forgotten_and_nobody_changes_their_id_for_it(
    people: Programme,
):
    world = people.world
    world.application("P0", 0, person="Jane Doe", candidate="C0")
    world.application("P1", 1, person="Jane Doe", candidate="C1")
    assert len(set(people.refresh().values())) == 1
    world.candidates = [replace(c, emails=()) if c.id == "C1" else c for c in world.candidates]
    after = people.refresh()
    assert after["greenhouse:C0"] != after[C1]
    assert people.ledger.keys_of([C1]) == []
    assert people.refresh() == after
    assert people.touched == 0


def test_a_pair_decided_distinct_stays_in_the_review_as_decided(people: Programme):
    people.world.referral("R1", "A1", 1)
    people.world.application("P1", 2, candidate="C1")
    people.refresh()
    people.decide("distinct", [R1], [C1])
    people.refresh()
    [pair] = people.world.rows_of("SELECT state FROM core.duplicate_review")
    assert pair["state"] == "distinct"


def test_a_candidate_merged_away_in_the_ats_and_staged_still_is_the_person_of_its_survivor(people: Programme):
    people.world.application("P1", 2, candidate="C1", person="Jane Doe")
    people.world.application("P2", 3, candidate="C2", person="Bob Roe")
    people.world.stage()
    found = people.world.people(aliases=record_aliases("greenhouse", {"C2": "C1"})).person_of
    assert found["greenhouse:C1"] == found["greenhouse:C2"]


_RECORDS = ("advocacy:R1", "advocacy:R2", "advocacy:R3", "greenhouse:C1", "greenhouse:C2")
_side = st.sets(st.sampled_from(_RECORDS), min_size=1, max_size=2)
_word = st.tuples(st.sampled_from(["merge", "distinct"]), _side, _side).filter(lambda word: not word[1] & word[2])
_step = st.one_of(_word, st.integers(1, 5), st.sampled_from(["refresh", "rebuild"]))


@settings(max_examples=6, deadline=None)
@given(st.lists(_step, max_size=7))
def test_after_any_decisions_and_undoings_the_way_there_does_not_matter_and_all_undone_is_as_before(
    steps: list[object],
):
    """Persons by refreshes on the way are those of a rebuild, no pair decided distinct is one, and undone is undone."""
    with programme() as people:
        world = people.world
        world.referral("R1", "A1", 1, person="Jane Doe")
        world.referral("R2", "A1", 2, person="Bob Roe")
        world.referral("R3", "A1", 3, person="Jane Doe")
        world.application("P1", 4, candidate="C1", person="Jane Doe")
        world.application("P2", 5, candidate="C2", person="Cid Poe")
        before = people.refresh()
        for step in steps:
            if isinstance(step, int):
                if people.ledger.identity_decision(step) is not None:
                    people.undo(step)
            elif isinstance(step, str):
                people.refresh(rebuilt=step == "rebuild")
            else:
                verdict, left, right = step  # type: ignore[misc]
                with suppress(DecisionRefusedError):  # a merge that an earlier word makes impossible
                    people.decide(verdict, sorted(left), sorted(right))
        now = people.refresh()
        assert people.refresh(rebuilt=True) == now
        for one in people.ledger.identity_decisions():
            if one.verdict == "distinct":
                assert not {now[i] for i in one.left} & {now[i] for i in one.right}
        for one in people.ledger.identity_decisions():
            people.undo(one.id)
        assert people.refresh() == before
