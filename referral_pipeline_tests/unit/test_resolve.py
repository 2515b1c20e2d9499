"""Records become persons: what joins, what never does, and what goes to review."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.identity.names import Name, names_contradict, names_equal
from referral_pipeline.identity.resolve import Record, Resolution, resolve

START = datetime(2026, 1, 1, tzinfo=UTC)


def record(
    record_id: str, name: str = "", *, email: str | None = None, phone: str | None = None, day: int = 0
) -> Record:
    first, _, last = name.partition(" ")
    return Record(
        record_id=record_id,
        email_keys=(email,) if email else (),
        phone_keys=(phone,) if phone else (),
        first_name=first or None,
        last_name=last or None,
        first_seen_at=START + timedelta(days=day),
    )


def resolved(*records: Record, **options) -> Resolution:
    return resolve(records, **{"shared_mailbox_limit": 3, **options})


def people(resolution: Resolution) -> set[frozenset[str]]:
    groups: dict[str, set[str]] = {}
    for record_id, person in resolution.person_of.items():
        groups.setdefault(person, set()).add(record_id)
    return {frozenset(members) for members in groups.values()}


PHONE = "+14155552671"


def test_one_mailbox_and_names_that_do_not_contradict_are_one_person():
    result = resolved(
        record("a:1", "Robert Müller", email="rm@example.com"),
        record("a:2", "Bob Mueller", email="rm@example.com"),
        record("g:3", "", email="rm@example.com"),
    )
    assert people(result) == {frozenset({"a:1", "a:2", "g:3"})}
    assert set(result.method_of.values()) == {"email"}
    assert result.review == []


def test_one_phone_joins_another_mailbox_when_the_names_do_not_contradict():
    result = resolved(
        record("a:1", "Jane Doe", email="jane@example.com", phone=PHONE),
        record("g:2", "J. Doe", email="work@example.org", phone=PHONE),
    )
    assert people(result) == {frozenset({"a:1", "g:2"})}
    assert result.method_of == {"a:1": "phone", "g:2": "phone"}


def test_one_phone_says_too_little_about_a_record_without_a_full_name():
    result = resolved(record("a:1", "Jane Doe", phone=PHONE), record("g:2", "Jane", phone=PHONE))
    assert len(people(result)) == 2


def test_one_phone_and_names_in_two_scripts_go_to_review():
    result = resolved(record("a:1", "Xiaoming Wang", phone=PHONE), record("g:2", "小明 王", phone=PHONE))
    assert len(people(result)) == 2
    assert [pair.evidence for pair in result.review] == ["phone: names cannot be compared"]


def test_contradicting_names_in_one_mailbox_never_merge_and_go_to_review():
    result = resolved(
        record("a:1", "Anna Braun", email="family@example.com"),
        record("a:2", "Peter Braun", email="family@example.com"),
    )
    assert len(people(result)) == 2
    [pair] = result.review
    assert {pair.left_person, pair.right_person} == set(result.person_of.values())
    assert pair.evidence == "email: shared mailbox, names contradict"


def test_in_a_shared_mailbox_only_equal_names_are_one_person():
    result = resolved(
        record("a:1", "Anna Braun", email="family@example.com"),
        record("a:2", "Peter Braun", email="family@example.com"),
        record("a:3", "ANNA  Braün", email="family@example.com"),
        record("a:4", "A. Braun", email="family@example.com"),
        record("a:5", "", email="family@example.com"),
    )
    assert people(result) == {frozenset({"a:1", "a:3"}), frozenset({"a:2"}), frozenset({"a:4"}), frozenset({"a:5"})}


def test_a_mailbox_of_thirty_people_merges_nobody():
    names = [f"Person{chr(97 + n // 26)}{chr(97 + n % 26)} Surname{chr(97 + n)}" for n in range(30 - 4)]
    names += ["Anna Braun", "A. Braun", "Anne Roe", "Peter Roe"]
    result = resolved(*(record(f"a:{n}", name, email="agency@example.com") for n, name in enumerate(names)))
    assert len(people(result)) == 30
    assert len(result.review) == 29


def test_more_differently_written_names_than_the_limit_make_a_mailbox_shared():
    four = ["John Smith", "J. Smith", "Johnny Smith", "John A. Smith"]
    rows = [record(f"a:{n}", name, email="js@example.com") for n, name in enumerate(four)]
    assert len(people(resolved(*rows))) == 4
    assert len(people(resolved(*rows, shared_mailbox_limit=4))) == 1


def test_the_address_of_a_function_is_a_shared_mailbox():
    result = resolved(
        record("a:1", "Jane Doe", email="jobs@example.com"), record("a:2", "J Doe", email="jobs@example.com")
    )
    assert len(people(result)) == 2
    assert len(result.review) == 1


def test_a_family_phone_does_not_merge_a_family():
    result = resolved(record("a:1", "Anna Braun", phone=PHONE), record("a:2", "Peter Braun", phone=PHONE))
    assert len(people(result)) == 2
    assert result.review[0].evidence == "phone: shared number, names contradict"


def test_a_chain_never_joins_two_people_whose_names_contradict():
    result = resolved(
        record("a:1", "John Smith", email="one@example.com"),
        Record("a:2", ("one@example.com",), (PHONE,), "J.", "Smith", START),
        record("a:3", "Jane Smith", phone=PHONE),
    )
    assert people(result) == {frozenset({"a:1", "a:2"}), frozenset({"a:3"})}
    assert [pair.evidence for pair in result.review] == ["phone: names contradict through another record"]


def test_a_confirmed_link_joins_whatever_the_names_say():
    result = resolved(
        record("advocacy:R1", "Jane Doe", email="jane@example.com"),
        record("greenhouse:7", "Jane Married", email="other@example.com"),
        must_link=[("advocacy:R1", "greenhouse:7")],
    )
    assert len(people(result)) == 1
    assert result.method_of == {"advocacy:R1": "link", "greenhouse:7": "link"}


def test_two_referrals_of_a_candidate_that_is_gone_are_still_linked():
    links = [("advocacy:R1", "greenhouse:gone"), ("advocacy:R2", "greenhouse:gone")]
    assert len(people(resolved(record("advocacy:R1"), record("advocacy:R2"), must_link=links))) == 1


def test_the_renamed_candidate_of_a_confirmed_link_does_not_make_a_mailbox_shared():
    result = resolved(
        record("advocacy:R1", "Jane Doe", email="jane@example.com"),
        record("greenhouse:7", "Jane Married", email="jane@example.com"),
        record("advocacy:R2", "J. Doe", email="jane@example.com"),
        must_link=[("advocacy:R1", "greenhouse:7")],
    )
    assert len(people(result)) == 1
    assert result.review == []


def test_only_the_kinds_that_the_contract_names_match():
    rows = [record("a:1", "Jane Doe", phone=PHONE), record("a:2", "Jane Doe", phone=PHONE)]
    assert len(people(resolved(*rows, match_on=["email"]))) == 2
    assert len(people(resolved(*rows, match_on=["phone"]))) == 1
    with pytest.raises(ValueError, match="fax"):
        resolved(*rows, match_on=["fax"])


def test_a_record_id_that_comes_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        resolved(record("a:1"), record("a:1"))


def test_a_person_keeps_the_id_of_its_earliest_record_when_two_persons_merge():
    rows = [record("a:1", "Jane Doe", email="jane@example.com", day=2), record("a:2", "Jane Doe", phone=PHONE, day=1)]
    before = resolved(*rows)
    bridge = Record("a:3", ("jane@example.com",), (PHONE,), "Jane", "Doe", START)
    after = resolved(*rows, bridge, previous=before.person_of)
    assert set(after.person_of.values()) == {before.person_of["a:2"]}


def test_after_a_split_the_earliest_record_keeps_the_id_and_the_other_gets_a_new_one():
    rows = [record("a:1", "Jane Doe", email="jane@example.com", day=2), record("a:2", "Jane Doe", day=1)]
    previous = dict.fromkeys(("a:1", "a:2"), resolved(rows[0]).person_of["a:1"])
    after = resolved(*rows, previous=previous)
    assert after.person_of["a:2"] == previous["a:1"]
    assert after.person_of["a:1"] != previous["a:1"]
    assert resolved(*rows, previous=after.person_of).person_of == after.person_of


FATHER_AND_SON = (
    record("a:1", "John Doe", email="doe@example.com"),
    record("a:2", "John Doe", email="doe@example.com", day=1),
    record("g:1", "John Doe", email="doe@example.com", day=2),
    record("g:2", "John Doe", email="doe@example.com", day=3),
)
TOLD_APART = [("a:1", "a:2"), ("a:1", "g:2"), ("g:1", "a:2"), ("g:1", "g:2")]


def test_what_was_decided_to_be_two_people_is_two_people_and_each_keeps_his_records():
    result = resolved(*FATHER_AND_SON, cannot_link=TOLD_APART)
    assert people(result) == {frozenset({"a:1", "g:1"}), frozenset({"a:2", "g:2"})}
    assert [pair.is_decided for pair in result.review] == [True]


def test_a_third_record_that_fits_two_people_of_one_name_joins_neither_and_goes_to_review():
    third = record("a:3", "John Doe", email="doe@example.com", day=4)
    result = resolved(*FATHER_AND_SON, third, cannot_link=TOLD_APART)
    assert frozenset({"a:3"}) in people(result)
    of_the_third = [pair for pair in result.review if result.person_of["a:3"] in (pair.left_person, pair.right_person)]
    assert len(of_the_third) == 2
    assert not any(pair.is_decided for pair in of_the_third)


def test_a_decision_outranks_a_confirmed_link_direct_or_through_others():
    rows = [record("a:1", "Jane Doe"), record("g:9", "Jane Doe")]
    assert len(people(resolved(*rows, must_link=[("a:1", "g:9")], cannot_link=[("g:9", "a:1")]))) == 2
    through = [("a:1", "x:5"), ("x:5", "g:9")]
    assert len(people(resolved(*rows, must_link=through, cannot_link=[("a:1", "g:9")]))) == 2


def test_two_of_one_name_on_a_shared_mailbox_are_told_apart_by_their_phones() -> None:
    garcias = [
        record("a:1", "Maria Garcia", email="jobs@example.com", phone="+14155552671"),
        record("a:2", "Maria Garcia", email="jobs@example.com", phone="+14155552672"),
        record("a:3", "Maria Garcia", email="jobs@example.com"),
    ]
    result = resolved(*garcias)
    assert people(result) == {frozenset({"a:1"}), frozenset({"a:2"}), frozenset({"a:3"})}
    assert len(result.review) == 3
    assert people(resolved(garcias[0], garcias[2])) == {frozenset({"a:1", "a:3"})}


def test_a_shared_mailbox_joins_no_other_spelling_and_no_swapped_name() -> None:
    family = [
        record("a:1", "Ali Hassan", email="family@example.com"),
        record("a:2", "Hassan Ali", email="family@example.com"),
        record("a:3", "Michael Berg", email="family@example.com"),
        record("a:4", "Michal Berg", email="family@example.com"),
    ]
    result = resolved(*family)
    assert len(people(result)) == 4
    assert len(result.review) == 6


def test_two_people_who_are_said_to_be_one_are_one_with_all_their_records() -> None:
    """A misspelt name contradicts, and pairs for review are just of this kind."""
    rows = [
        record("c:1", "Ada Brockhausen", email="one@example.com"),
        record("c:2", "Ada Brockhausen", email="one@example.com"),
        record("c:3", "Ada Brockhaussen", email="two@example.com"),
        record("c:4", "Ada Brockhaussen", email="two@example.com"),
    ]
    assert len(people(resolved(*rows))) == 2
    assert len(people(resolved(*rows, must_link=[("c:1", "c:3")]))) == 1


def test_a_split_that_is_undone_gives_the_person_its_id_back():
    before = resolved(*FATHER_AND_SON)
    split = resolved(*FATHER_AND_SON, cannot_link=TOLD_APART, previous=before.person_of)
    assert split.person_of["a:1"] == before.person_of["a:1"] != split.person_of["a:2"]
    assert resolved(*FATHER_AND_SON, previous=split.person_of).person_of == before.person_of


def test_the_representation_of_a_record_shows_its_id_only():
    shown = repr(Record("a:1", ("jane@example.com",), (PHONE,), "Jane", "Doe", START))
    assert "a:1" in shown
    assert not any(text in shown for text in ("jane", "Jane", "Doe", PHONE))


NAMES = st.sampled_from(
    ["Jane Doe", "J. Doe", "Janet Doe", "John Doe", "Bob Roe", "Robert Roe", "Robert Row", "Jane", ""]
)
RECORDS = st.lists(
    st.builds(
        lambda name, emails, phones, day: ("", name, emails, phones, day),
        NAMES,
        st.lists(st.sampled_from(["m1@example.com", "m2@example.com", "jobs@example.com"]), max_size=2),
        st.lists(st.sampled_from(["+14155552671", "+14155552672"]), max_size=1),
        st.integers(0, 3),
    ),
    max_size=9,
).map(
    lambda rows: [
        Record(f"x:{n}", tuple(e), tuple(p), (name.partition(" ")[0] or None), name.partition(" ")[2] or None,
               START + timedelta(days=day))
        for n, (_, name, e, p, day) in enumerate(rows)
    ]
)  # fmt: skip
LINKS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=2).map(
    lambda pairs: [(f"x:{a}", f"x:{b}") for a, b in pairs]
)


@given(RECORDS, LINKS, LINKS, st.randoms())
@settings(max_examples=200, deadline=None)
def test_the_order_of_the_input_does_not_matter(
    rows: list[Record], links: list[tuple[str, str]], apart: list[tuple[str, str]], random
):
    apart = [pair for pair in apart if pair[0] != pair[1]]
    expected = resolved(*rows, must_link=links, cannot_link=apart)
    random.shuffle(rows)
    random.shuffle(links)
    random.shuffle(apart)
    assert resolved(*rows, must_link=[(b, a) for a, b in links], cannot_link=[(b, a) for a, b in apart]) == expected


@given(RECORDS, LINKS, LINKS)
@settings(max_examples=200, deadline=None)
def test_no_evidence_joins_what_was_decided_to_be_two_people(
    rows: list[Record], links: list[tuple[str, str]], apart: list[tuple[str, str]]
):
    apart = [pair for pair in apart if pair[0] != pair[1]]
    result = resolved(*rows, must_link=links, cannot_link=apart)
    known = [(a, b) for a, b in apart if a in result.person_of and b in result.person_of]
    assert all(result.person_of[a] != result.person_of[b] for a, b in known)


@given(RECORDS, LINKS)
@settings(max_examples=200, deadline=None)
def test_resolving_again_with_its_own_result_changes_nothing(rows: list[Record], links: list[tuple[str, str]]):
    first = resolved(*rows, must_link=links)
    assert resolved(*rows, must_link=links, previous=first.person_of) == first


@given(RECORDS)
@settings(max_examples=200, deadline=None)
def test_no_person_holds_two_names_that_contradict(rows: list[Record]):
    result = resolved(*rows)
    by_id = {row.record_id: Name(row.first_name, row.last_name) for row in rows}
    for members in people(result):
        assert not any(names_contradict(by_id[a], by_id[b]) for a in members for b in members)


@given(RECORDS, LINKS)
@settings(max_examples=200, deadline=None)
def test_linked_records_are_always_one_person(rows: list[Record], links: list[tuple[str, str]]):
    person_of = resolved(*rows, must_link=links).person_of
    assert all(person_of[a] == person_of[b] for a, b in links if a in person_of and b in person_of)


@given(RECORDS)
@settings(max_examples=200, deadline=None)
def test_every_pair_that_shares_a_key_is_one_person_or_differs_for_a_reason(rows: list[Record]):
    result = resolved(*rows)
    review = {frozenset((pair.left_person, pair.right_person)) for pair in result.review}
    for a in rows:
        for b in rows:
            left, right = result.person_of[a.record_id], result.person_of[b.record_id]
            shares_mailbox = set(a.email_keys) & set(b.email_keys)
            if shares_mailbox and left != right:
                assert frozenset((left, right)) in review
            if shares_mailbox and names_equal(Name(a.first_name, a.last_name), Name(b.first_name, b.last_name)):
                assert left == right or frozenset((left, right)) in review
