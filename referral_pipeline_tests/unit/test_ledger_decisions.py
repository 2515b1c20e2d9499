"""Identity decisions in the ledger: the latest word counts, nothing is forgotten, and nobody is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.ledger.decisions import DecisionRefusedError, speaks_of
from referral_pipeline.ledger.store import IdentityDecision, IdentityKey, Ledger
from referral_pipeline_tests.unit.ledger_databases import BACKENDS, Clock, fresh_url

BY = "analyst@example.com"


@pytest.fixture(params=BACKENDS)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    for url in fresh_url(request.param, tmp_path):
        with Ledger.open(url, home=tmp_path, clock=Clock()) as opened:
            yield opened


def decide(ledger: Ledger, verdict: str, left: str, right: str, **more: object) -> IdentityDecision:
    """Sides as texts of record ids."""
    return ledger.decide_identity(
        verdict, left.split(), right.split(), **{"reason": "looked at both", "decided_by": BY, **more}
    ).decision


def known(ledger: Ledger, **persons: str) -> None:
    """Records (a name without its colon) with one key each, of these persons."""
    keys = [IdentityKey(f"hash-{i}", "email", "x", f"x:{i}", person) for i, person in persons.items()]
    ledger.save_identity_keys(keys, replace=True)


def test_a_decision_is_kept_with_its_records_its_reason_and_who_they_were(ledger: Ledger):
    known(ledger, a="per_1", b="per_2")
    made = decide(ledger, "merge", "x:b x:c", "x:a", reason="  same notice period ")
    assert (made.verdict, made.left, made.right, made.reason) == (
        "merge",
        ("x:b", "x:c"),
        ("x:a",),
        "same notice period",
    )
    assert (made.decided_by, made.in_force, made.ats_state) == (BY, True, None)
    assert made.persons == {"x:a": "per_1", "x:b": "per_2"}
    assert ledger.identity_decisions() == [made]
    assert ledger.identity_decision(made.id) == made


def test_the_same_decision_twice_is_one_whichever_way_round(ledger: Ledger):
    made = decide(ledger, "distinct", "x:a x:b", "x:c")
    assert decide(ledger, "distinct", "x:c", "x:b x:a") == made
    assert decide(ledger, "distinct", "x:c", "x:a") == made
    assert len(ledger.identity_decisions(in_force_only=False)) == 1


def test_the_latest_word_on_two_sides_counts_and_the_earlier_one_is_kept(ledger: Ledger):
    first = decide(ledger, "merge", "x:a", "x:b")
    second = ledger.decide_identity("distinct", ["x:b", "x:d"], ["x:a"], reason="two people", decided_by=BY)
    assert second.revoked == (first.id,)
    assert ledger.identity_decisions() == [second.decision]
    [before, _] = ledger.identity_decisions(in_force_only=False)
    assert (before.id, before.in_force, before.revoked_by) == (first.id, False, BY)
    assert "two people" in (before.revoked_reason or "")


def test_a_decision_on_other_sides_stands_beside(ledger: Ledger):
    decide(ledger, "merge", "x:a x:b", "x:c")
    decide(ledger, "distinct", "x:a", "x:b")
    decide(ledger, "distinct", "x:c", "x:d")
    assert [one.verdict for one in ledger.identity_decisions()] == ["merge", "distinct", "distinct"]


@pytest.mark.parametrize("taken_out", ["x:b1", "x:b1 x:c1"], ids=["record", "and another"])
def test_a_split_leaves_the_rest_of_a_merge_as_a_merge_with_its_reason_and_who_decided_it(
    ledger: Ledger, taken_out: str
):
    known(ledger, a1="per_1", b1="per_2", b2="per_2")
    merge = decide(ledger, "merge", "x:a1", "x:b1 x:b2", in_ats=True)
    known(ledger, a1="per_1", b1="per_1", b2="per_1")
    split = ledger.decide_identity(
        "distinct", taken_out.split(), ["x:a1", "x:b2"], reason="brothers", decided_by="other@example.com"
    )
    [rest, made] = ledger.identity_decisions()
    assert (split.decision, split.revoked, split.remaining) == (made, (merge.id,), (rest.id,))
    assert (rest.verdict, rest.left, rest.right, rest.decided_by) == ("merge", ("x:a1",), ("x:b2",), BY)
    assert rest.reason == f"looked at both (what is left of decision {merge.id})"
    assert (rest.ats_state, rest.persons) == ("pending", {"x:a1": "per_1", "x:b2": "per_2"})
    ledger.decide_identity("distinct", ["x:a1"], ["x:b2"], reason="three people", decided_by=BY)
    assert {one.verdict for one in ledger.identity_decisions()} == {"distinct"}


def test_a_split_that_takes_a_whole_side_out_leaves_nothing_of_the_merge(ledger: Ledger):
    decide(ledger, "merge", "x:a", "x:b x:c")
    split = ledger.decide_identity("distinct", ["x:b"], ["x:a"], reason="two people", decided_by=BY)
    assert (ledger.identity_decisions(), split.remaining) == ([split.decision], ())


def test_records_that_a_split_does_not_name_stay_with_what_is_left_of_the_merge(ledger: Ledger):
    decide(ledger, "merge", "x:a1 x:a2", "x:b1 x:b2 x:b3")
    decide(ledger, "distinct", "x:b1", "x:a1 x:b2")
    [rest, _] = ledger.identity_decisions()
    assert (rest.left, rest.right) == (("x:a1", "x:a2"), ("x:b2", "x:b3"))


@pytest.mark.parametrize(
    ("merges", "distinct", "sides"),
    [
        (["x:a|x:b"], "x:a|x:c", "x:b|x:c"),
        (["x:a|x:b", "x:c|x:d"], "x:a|x:d", "x:b|x:c"),
        ([], "x:a|x:b", "x:a x:b|x:c"),
        (["ats:1|x:b"], "ats:2|x:c", "x:b|x:c"),
    ],
    ids=["through one", "through two", "within a side", "through the ATS"],
)
def test_a_merge_that_another_decision_makes_impossible_is_refused_by_name_with_the_way_out(
    ledger: Ledger, merges: list[str], distinct: str, sides: str
):
    ledger.alias("ats", "1", "2")
    for merge in merges:
        decide(ledger, "merge", *merge.split("|"))
    against = decide(ledger, "distinct", *distinct.split("|"))
    before = ledger.identity_decisions(in_force_only=False)
    with pytest.raises(DecisionRefusedError, match=f"review undo {against.id}`"):
        decide(ledger, "merge", *sides.split("|"))
    assert ledger.identity_decisions(in_force_only=False) == before
    ledger.revoke_identity_decision(against.id, by=BY, reason="a mistake")
    assert decide(ledger, "merge", *sides.split("|")).in_force


def test_the_latest_word_counts_under_whichever_id_a_candidate_lives_on(ledger: Ledger):
    distinct = decide(ledger, "distinct", "ats:b", "ats:c")
    ledger.alias("ats", "b", "a")
    merge = ledger.decide_identity("merge", ["ats:a"], ["ats:c"], reason="one after all", decided_by=BY)
    assert merge.revoked == (distinct.id,)
    assert decide(ledger, "merge", "ats:b", "ats:c") == merge.decision
    assert speaks_of(merge.decision, ["ats:b"], ["ats:c"], aliases={"ats:b": "ats:a"})


def test_two_candidates_that_the_ats_made_one_cannot_be_decided_to_be_two_people(ledger: Ledger):
    ledger.alias("ats", "b", "a")
    with pytest.raises(DecisionRefusedError, match="one candidate of both sides"):
        decide(ledger, "distinct", "ats:a x:1", "ats:b x:2")
    assert ledger.identity_decisions(in_force_only=False) == []


def test_a_decision_about_too_many_records_is_refused(ledger: Ledger):
    many = " ".join(f"x:{n}" for n in range(400))
    for verdict in ("distinct", "merge"):
        with pytest.raises(DecisionRefusedError, match="at most 400"):
            decide(ledger, verdict, many, "x:other")
    assert decide(ledger, "distinct", many.removesuffix(" x:399"), "x:other").in_force


def test_a_merge_that_is_revoked_gives_the_records_back_to_whom_they_were(ledger: Ledger):
    known(ledger, a="per_1", b="per_2")
    made = decide(ledger, "merge", "x:a", "x:b")
    known(ledger, a="per_1", b="per_1")
    revoked = ledger.revoke_identity_decision(made.id, by=BY, reason="a mistake")
    assert (revoked.in_force, revoked.revoked_by, revoked.revoked_reason) == (False, BY, "a mistake")
    assert ledger.persons() == {"x:a": "per_1", "x:b": "per_2"}


def test_merges_undone_in_any_order_give_every_record_its_first_person_back(ledger: Ledger):
    known(ledger, a="per_1", b="per_2", c="per_3")
    first = decide(ledger, "merge", "x:a", "x:b")
    known(ledger, b="per_1")
    second = decide(ledger, "merge", "x:b", "x:c")
    known(ledger, c="per_1")
    for one in (first, second):
        ledger.revoke_identity_decision(one.id, by=BY, reason="a mistake")
    assert ledger.persons() == {"x:a": "per_1", "x:b": "per_2", "x:c": "per_3"}


def test_a_decision_revoked_twice_keeps_its_first_revocation(ledger: Ledger):
    made = decide(ledger, "distinct", "x:a", "x:b")
    revoked = ledger.revoke_identity_decision(made.id, by=BY, reason="a mistake")
    assert ledger.revoke_identity_decision(made.id, by="other@example.com", reason="again") == revoked
    assert ledger.identity_decisions() == []


def test_a_decision_that_was_undone_may_be_made_again(ledger: Ledger):
    made = decide(ledger, "distinct", "x:a", "x:b")
    ledger.revoke_identity_decision(made.id, by=BY, reason="a mistake")
    again = decide(ledger, "distinct", "x:a", "x:b")
    assert again.id != made.id
    assert ledger.identity_decisions() == [again]


@pytest.mark.parametrize(
    "reason",
    [
        "",
        "   ",
        "x" * 501,
        "mail ada@example.org",
        "call 0301234567",
        "call +49 30 123 45 67",
        "030 / 123 45-67 89",
        "06.12.04.56.78",
    ],
    ids=["none", "blank", "long", "address", "digits", "international", "national", "with points"],
)
def test_a_reason_without_words_or_with_personal_data_is_refused(ledger: Ledger, reason: str):
    with pytest.raises(DecisionRefusedError) as refused:
        decide(ledger, "merge", "x:a", "x:b", reason=reason)
    assert reason.strip() == "" or reason.strip() not in str(refused.value)
    assert ledger.identity_decisions(in_force_only=False) == []
    made = decide(ledger, "merge", "x:a", "x:b", reason="same start on 2026-11-27 10:30, 4.5.2026 9:00:00, req 4711")
    with pytest.raises(DecisionRefusedError):
        ledger.revoke_identity_decision(made.id, by=BY, reason=reason)


@pytest.mark.parametrize(
    ("verdict", "left", "right", "word"),
    [
        ("maybe", "x:a", "x:b", "verdict"),
        ("merge", "", "x:b", "no record"),
        ("merge", "x:a x:b", "x:b", "both sides"),
        ("merge", "a", "x:b", "system:id"),
    ],
    ids=["verdict", "empty", "both", "shape"],
)
def test_a_decision_that_makes_no_sense_is_refused(ledger: Ledger, verdict: str, left: str, right: str, word: str):
    with pytest.raises(DecisionRefusedError, match=word):
        decide(ledger, verdict, left, right)


def test_decisions_are_found_by_any_of_their_records_while_they_are_in_force(ledger: Ledger):
    merge = decide(ledger, "merge", "x:a x:b", "x:c")
    distinct = decide(ledger, "distinct", "x:b", "x:d")
    undone = decide(ledger, "merge", "x:a", "x:e")
    ledger.revoke_identity_decision(undone.id, by=BY, reason="a mistake")
    assert ledger.identity_decisions_of(["x:a"]) == [merge]
    assert ledger.identity_decisions_of(["x:b"]) == [merge, distinct]
    assert ledger.identity_decisions_of(["x:e", "x:f"]) == []
    assert ledger.identity_decisions_of([]) == []
    assert ledger.identity_decisions_of((f"x:{n}" for n in "abcdef" * 300), aliases_of="x") == [merge, distinct]


def test_decisions_about_candidates_that_were_merged_away_are_found_by_the_survivor(ledger: Ledger):
    made = decide(ledger, "merge", "ats:1", "x:a")
    ledger.alias("ats", "1", "2")
    ledger.alias("ats", "2", "3")
    ledger.alias("other", "1", "9")
    assert ledger.identity_decisions_of(["ats:3"], aliases_of="ats") == [made]
    assert ledger.identity_decisions_of(["ats:9", "other:9"], aliases_of="ats") == []
    assert ledger.identity_decisions_of(["ats:3"]) == []


def test_a_merge_for_the_ats_is_pending_until_it_is_settled_and_one_refused_may_be_asked_again(ledger: Ledger):
    made = decide(ledger, "merge", "ats:1", "ats:2", in_ats=True)
    assert made.ats_state == "pending"
    ledger.settle_ats_merge(made.id, "refused", "ats candidates.merge answered 422")
    [refused] = ledger.identity_decisions()
    assert (refused.ats_state, refused.ats_error) == ("refused", "ats candidates.merge answered 422")
    again = decide(ledger, "merge", "ats:1", "ats:2", in_ats=True)
    assert (again.id, again.ats_state, again.ats_error) == (made.id, "pending", None)
    ledger.settle_ats_merge(made.id, "done")
    assert decide(ledger, "merge", "ats:1", "ats:2", in_ats=True).ats_state == "done"
    assert decide(ledger, "distinct", "ats:1", "ats:3", in_ats=True).ats_state is None


def test_what_was_never_decided_cannot_be_undone_or_settled(ledger: Ledger):
    with pytest.raises(LookupError):
        ledger.revoke_identity_decision(7, by=BY, reason="a mistake")
    with pytest.raises(LookupError):
        ledger.settle_ats_merge(7, "done")


# ---------------------------------------------------------------- laws


@contextmanager
def fresh_ledger() -> Iterator[Ledger]:
    with TemporaryDirectory() as folder, Ledger.open("sqlite:///l.sqlite", home=Path(folder), clock=Clock()) as one:
        yield one


_side = st.sets(st.sampled_from("abcd"), min_size=1, max_size=2)
_word = st.tuples(st.sampled_from(["merge", "distinct"]), _side, _side).filter(lambda word: not word[1] & word[2])
_step = st.one_of(_word, st.integers(1, 8))


@settings(max_examples=25, deadline=None)
@given(st.lists(_step, max_size=10))
def test_after_any_words_and_undoings_no_two_decisions_in_force_contradict_on_the_same_sides(steps: list[object]):
    """And the last word said and not undone is in force, and every word ever kept can still be read."""
    with fresh_ledger() as ledger:
        said: list[int] = []
        for step in steps:
            if isinstance(step, int):
                if step in said:
                    ledger.revoke_identity_decision(step, by=BY, reason="undone")
                    assert step not in {one.id for one in ledger.identity_decisions()}
                continue
            verdict, left, right = step  # type: ignore[misc]
            before = ledger.identity_decisions(in_force_only=False)
            try:
                decided = ledger.decide_identity(
                    verdict, [f"x:{i}" for i in left], [f"x:{i}" for i in right], reason="said", decided_by=BY
                )
            except DecisionRefusedError:
                assert verdict == "merge"
                assert ledger.identity_decisions(in_force_only=False) == before
                continue
            said += [*decided.remaining, *([decided.decision.id] if decided.is_new else [])]
            assert decided.decision in ledger.identity_decisions()
            assert decided.decision.verdict == verdict
        in_force = ledger.identity_decisions()
        assert [one.id for one in ledger.identity_decisions(in_force_only=False)] == said
        for one in in_force:
            for other in in_force:
                assert one.verdict == other.verdict or not speaks_of(one, other.left, other.right)
