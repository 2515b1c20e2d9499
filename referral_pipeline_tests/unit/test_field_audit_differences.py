"""When two values of a field agree, and what a difference is called. No value is ever shown."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_pipeline.quality.field_audit.classify import difference_of, mismatches, worst
from referral_pipeline.quality.field_audit.compare import ADVOCACY, ATS, Comparison, Difference, Kind, agree
from referral_pipeline.quality.field_audit.words import WHAT_TO_DO
from referral_pipeline.warehouse.field_accuracy import DIFFERENCES

AT = datetime(2026, 3, 29, 9, 15, 30, tzinfo=UTC)


def pair(kind: Kind, expected: Any, found: Any, **more: Any) -> Comparison:
    return Comparison(more.pop("side", ATS), more.pop("field", "field"), kind, expected, found, **more)


def test_what_somebody_typed_where_a_word_or_a_count_belongs_is_not_shown():
    typed = [
        pair(Kind.WORD, "applied", "Jane, Doe"),
        pair(Kind.WORD, "applied", "Doe"),
        pair(Kind.COUNT, "12", "4155550143"),
    ]
    found = mismatches(typed)
    assert [one.expected for one in found] == ["applied", "applied", "12"]
    assert not any(word in repr(found) for word in ("Jane", "Doe", "4155550143"))
    told = mismatches([pair(Kind.WORD, "hired", "rejected"), pair(Kind.COUNT, "12", "1300")])
    assert [(one.expected, one.found) for one in told] == [("hired", "rejected"), ("12", "1300")]


@pytest.mark.parametrize(
    "one",
    [
        pair(Kind.TEXT, "Zoë", " Zoe\u0308 "),  # composed or not, and trimmed
        pair(Kind.TEXT, None, "  "),
        pair(Kind.EMAIL, "A.Da+jobs@GMail.com", ("other@example.com", "ada@gmail.com")),
        pair(Kind.PHONE, "0151 23456789", ("+49 151 23456789",), country="DE"),
        pair(Kind.TIME, AT, "2026-03-29T11:15:30.400+02:00"),
        pair(Kind.TIME, None, None),
        pair(Kind.DAY, date(2026, 3, 29), date(2026, 3, 29)),
        pair(Kind.COUNT, "3", "3"),
        pair(Kind.WORD, "hired", "hired"),
    ],
)
def test_values_agree_in_canonical_form(one):
    assert agree(one)
    assert mismatches([one]) == []


@pytest.mark.parametrize(
    ("one", "difference"),
    [
        (pair(Kind.TEXT, "Lovelace", None), Difference.MISSING),
        (pair(Kind.TEXT, "Lovelace", "  "), Difference.MISSING),
        (pair(Kind.EMAIL, "ada@example.com", ()), Difference.MISSING),
        (pair(Kind.TIME, AT, None), Difference.MISSING),
        (pair(Kind.TEXT, "Lovelace", "Lovel"), Difference.TRUNCATED),
        (pair(Kind.TEXT, "Lovelace", "LOVEL…"), Difference.TRUNCATED),
        (pair(Kind.TEXT, "Ada", "Ada Augusta"), Difference.TRUNCATED),
        (pair(Kind.ID, "adv_000123", "adv_0001"), Difference.TRUNCATED),
        (pair(Kind.EMAIL, "ada@example.com", ("ada@example.co",)), Difference.TRUNCATED),
        (pair(Kind.TEXT, "Lovelace", "LOVELACE"), Difference.CASE_OR_SPACE),
        (pair(Kind.TEXT, "Mary Ann", "Maryann"), Difference.CASE_OR_SPACE),
        (pair(Kind.TEXT, "Müller", "Mueller"), Difference.FORMAT),
        (pair(Kind.ID, "31", "greenhouse:31"), Difference.FORMAT),
        (pair(Kind.COUNT, "3", "3.0"), Difference.FORMAT),
        (pair(Kind.PHONE, "+49 151 23456789", ("151 23456789 x",), country="FR"), Difference.FORMAT),
        (pair(Kind.EMAIL, "a.da@example.com", ("ada@example.com",)), Difference.FORMAT),
        (pair(Kind.TIME, AT, "yesterday"), Difference.FORMAT),
        (pair(Kind.TIME, AT, AT + timedelta(hours=2)), Difference.TIME_ZONE),
        (pair(Kind.TIME, AT, AT - timedelta(hours=5, minutes=30)), Difference.TIME_ZONE),
        (pair(Kind.TIME, AT, AT + timedelta(hours=1, seconds=59)), Difference.TIME_ZONE),
        (pair(Kind.TIME, AT, AT + timedelta(hours=27)), Difference.OTHER),  # further than any two zones
        (pair(Kind.TIME, AT, AT + timedelta(hours=1, minutes=9)), Difference.OTHER),
        (pair(Kind.TIME, AT, AT + timedelta(seconds=20)), Difference.OTHER),
        (pair(Kind.TIME, AT, AT - timedelta(hours=2), older=(AT - timedelta(hours=2),)), Difference.STALE),
        (pair(Kind.DAY, date(2026, 4, 1), date(2026, 3, 31)), Difference.TIME_ZONE),
        (pair(Kind.DAY, date(2026, 4, 1), date(2026, 4, 15)), Difference.OTHER),
        (pair(Kind.WORD, "hired", "applied", older=("applied",)), Difference.STALE),
        (pair(Kind.WORD, "in_review", "offered", older=("applied",)), Difference.VOCABULARY),
        (pair(Kind.ID, "adv_2", "adv_1", older=("adv_1",)), Difference.STALE),
        (pair(Kind.ID, None, "adv_1", older=("adv_1",)), Difference.STALE),
        (pair(Kind.ID, None, "adv_1"), Difference.OTHER),
        (pair(Kind.COUNT, "12", "9"), Difference.STALE),
        (pair(Kind.COUNT, "9", "12"), Difference.OTHER),
        (pair(Kind.CURRENCY, "EUR", "USD"), Difference.CURRENCY),
        (pair(Kind.TEXT, "Lovelace", "Byron"), Difference.OTHER),
        (pair(Kind.ID, "31", None, difference=Difference.GONE), Difference.GONE),
    ],
)
def test_a_difference_has_the_narrowest_name_that_fits(one, difference):
    assert not agree(one)
    assert difference_of(one) is difference


def test_two_fields_that_hold_each_others_values_are_swapped():
    first = pair(Kind.TEXT, "Ada", "Lovelace", field="first_name")
    last = pair(Kind.TEXT, "Lovelace", "ADA", field="last_name")
    other = pair(Kind.TEXT, "Lovelace", "Ada", field="first_name", side=ADVOCACY)
    assert [one.difference for one in mismatches([first, last])] == [Difference.SWAPPED] * 2
    assert Difference.SWAPPED not in {one.difference for one in mismatches([first, other])}  # not in one system
    assert Difference.SWAPPED not in {one.difference for one in mismatches([first])}


@given(
    st.sampled_from([Kind.TEXT, Kind.ID, Kind.EMAIL, Kind.PHONE, Kind.WORD]),
    st.text("abcdefgh@. -0123", min_size=5, max_size=30),
    st.text("ijklmnop@. -4567", min_size=5, max_size=30),
)
def test_a_mismatch_shows_no_value(kind, expected, found):
    both = kind in (Kind.EMAIL, Kind.PHONE)
    for one in mismatches([pair(kind, expected, (found,) if both else found)]):
        shown = f"{one.expected} {one.found}"
        if kind is Kind.WORD:
            # A word of a closed list is shown; what is none is described.
            assert found.strip() not in shown or found.strip().replace("_", "").isalnum()
        else:
            assert len(found.strip()) < 5 or found.strip() not in shown
            assert len(expected.strip()) < 5 or expected.strip() not in shown


@given(st.sampled_from(list(Kind)), st.text(max_size=12), st.text(max_size=12))
def test_every_difference_has_a_name_and_equal_values_have_none(kind, left, right):
    both = kind in (Kind.EMAIL, Kind.PHONE)
    one = pair(kind, left, (right,) if both else right)
    assert len(mismatches([one])) == (not agree(one))
    if kind not in (Kind.EMAIL, Kind.PHONE, Kind.TIME):
        assert agree(pair(kind, left, left))


def test_how_far_times_are_apart_is_told():
    (one,) = mismatches([pair(Kind.TIME, AT, AT + timedelta(hours=2, minutes=30))])
    assert one.found.endswith("2 h 30 min later")


def test_the_worst_field_is_the_one_that_is_wrong_most_often():
    found = mismatches(
        [
            pair(Kind.TEXT, "a", None, field="phone"),
            pair(Kind.TEXT, "b", None, field="phone"),
            pair(Kind.TEXT, "b", "B", field="phone"),
            pair(Kind.TEXT, "b", "c", field="email"),
        ]
    )
    assert worst(found) == (ATS, "phone", Difference.MISSING)
    assert worst([]) is None


def test_every_difference_has_a_column_and_says_what_to_do():
    names = {difference.value for difference in Difference}
    assert set(DIFFERENCES) == names
    assert set(WHAT_TO_DO) == names
