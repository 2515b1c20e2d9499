"""Credit for an application: which touches count, and in what parts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_pipeline.attribution.models import MODELS, Credit, Touch, credit, overridden, split_cents

APPLIED = datetime(2026, 3, 29, 12, tzinfo=UTC)


def referral(advocate: str, days_before: float, *, share: str | None = None, shared_days: float | None = None) -> Touch:
    return Touch(
        advocate_id=advocate,
        share_id=share,
        content_id=None,
        campaign_tag=None,
        referral_id=f"R-{advocate}-{days_before}",
        kind="referral",
        occurred_at=APPLIED - timedelta(days=days_before),
        shared_at=None if shared_days is None else APPLIED - timedelta(days=shared_days),
    )


def share(advocate: str, days_before: float) -> Touch:
    at = APPLIED - timedelta(days=days_before)
    return Touch(advocate, f"S-{advocate}-{days_before}", None, None, None, "share", at, at)


def divide(*touches: Touch, model: str, lookback_days: int = 90) -> dict[str, Decimal]:
    credits = credit(touches, applied_at=APPLIED, model=model, lookback_days=lookback_days)
    return {part.touch.advocate_id: part.weight for part in credits}


def test_one_candidate_referred_by_three_advocates_is_credited_to_the_last_one():
    touches = (referral("a", 30), referral("b", 2), referral("c", 10))
    assert divide(*touches, model="last_touch") == {"b": 1}
    assert divide(*touches, model="first_touch") == {"a": 1}


def test_linear_thirds_are_decimals_that_sum_to_one():
    parts = divide(referral("a", 3), referral("b", 2), referral("c", 1), model="linear")
    assert parts == {"a": Decimal("0.333333333334"), "b": Decimal("0.333333333333"), "c": Decimal("0.333333333333")}


def test_time_decay_halves_every_seven_days():
    assert divide(referral("a", 8), referral("b", 1), model="time_decay") == {
        "a": Decimal("0.333333333333"),
        "b": Decimal("0.666666666667"),
    }


def test_position_based_gives_the_ends_two_fifths_each():
    four = (referral("a", 4), referral("b", 3), referral("c", 2), referral("d", 1))
    assert divide(*four, model="position_based") == {
        "a": Decimal("0.4"),
        "b": Decimal("0.1"),
        "c": Decimal("0.1"),
        "d": Decimal("0.4"),
    }
    assert divide(*four[:2], model="position_based") == {"a": Decimal("0.5"), "b": Decimal("0.5")}
    assert divide(four[0], model="position_based") == {"a": 1}


def test_a_touch_at_either_end_of_the_look_back_counts_and_one_beyond_does_not():
    assert divide(referral("a", 90), model="last_touch") == {"a": 1}
    assert divide(referral("a", 0), model="last_touch") == {"a": 1}
    assert divide(referral("a", 90.0001), model="last_touch") == {}
    assert divide(referral("a", -0.0001), model="last_touch") == {}


def test_a_share_counts_only_for_an_advocate_who_referred_the_person():
    assert divide(share("a", 1), referral("b", 5), model="last_touch") == {"b": 1}
    assert divide(share("b", 1), referral("b", 5), model="last_touch") == {"b": 1}
    assert divide(share("a", 1), model="last_touch") == {}


def test_referring_somebody_who_has_applied_already_earns_nothing_for_an_earlier_share():
    assert divide(share("a", 10), referral("a", -5), model="last_touch") == {}


def test_an_old_referral_makes_a_share_within_the_look_back_count():
    credits = credit([referral("a", 100), share("a", 5)], applied_at=APPLIED, model="last_touch", lookback_days=90)
    assert [part.touch.kind for part in credits] == ["share"]


def test_of_touches_at_one_time_the_one_with_the_earliest_share_wins():
    tied = (
        referral("z", 1, share="S9", shared_days=20),
        referral("a", 1, share="S1", shared_days=10),
        referral("b", 1),
    )
    for model in ("first_touch", "last_touch"):
        assert divide(*tied, model=model) == {"z": 1}


def test_time_zones_and_daylight_saving_do_not_move_a_touch():
    # The clocks of Berlin go forward between these two: 2026-03-29 01:59 +01:00 and 03:01 +02:00 are two minutes apart.
    berlin_before = datetime.fromisoformat("2026-03-29T01:59:00+01:00")
    berlin_after = datetime.fromisoformat("2026-03-29T03:01:00+02:00")
    touches = [
        Touch("early", None, None, None, "R1", "referral", berlin_before),
        Touch("late", None, None, None, "R2", "referral", berlin_after),
    ]
    [only] = credit(touches, applied_at=berlin_after + timedelta(seconds=1), model="last_touch", lookback_days=1)
    assert only.touch.advocate_id == "late"
    assert (berlin_after - berlin_before) == timedelta(minutes=2)


def test_an_unknown_model_or_tie_rule_is_refused():
    with pytest.raises(ValueError, match="model"):
        credit([], applied_at=APPLIED, model="u_shaped", lookback_days=90)
    with pytest.raises(ValueError, match="tie"):
        credit([], applied_at=APPLIED, model="linear", lookback_days=90, tie="coin")


def test_cents_go_to_the_largest_remainders():
    parts = [Credit(referral("abc"[i], 1), Decimal("0.333333333333") + (i == 0) * Decimal("1e-12")) for i in range(3)]
    assert split_cents(100, parts) == [34, 33, 33]
    assert split_cents(0, parts) == [0, 0, 0]
    assert split_cents(200, []) == []
    with pytest.raises(ValueError, match="negative"):
        split_cents(-1, parts)


def test_an_override_gives_all_to_its_referral_whenever_it_was_made():
    late = referral("b", -5)
    assert overridden([referral("a", 2), share("b", 3), late], late.referral_id) == [Credit(late, Decimal(1))]
    assert split_cents(201, overridden([late], late.referral_id)) == [201]


def test_an_override_gives_nothing_for_nobody_or_for_a_referral_that_is_not_among_the_touches():
    assert overridden([referral("a", 2), share("a", 1)], None) == []
    assert overridden([referral("a", 2)], "R-other") == []


TOUCHES = st.lists(
    st.builds(
        lambda who, hours, kind, share_id, shared: Touch(
            advocate_id=who,
            share_id=share_id if kind == "referral" else f"S{hours}",
            content_id=None,
            campaign_tag=None,
            referral_id=f"R{who}{hours}" if kind == "referral" else None,
            kind=kind,
            occurred_at=APPLIED - timedelta(hours=hours),
            shared_at=APPLIED - timedelta(hours=shared) if share_id and kind == "referral" else None,
        ),
        st.sampled_from("abcd"),
        st.integers(-50, 3000),
        st.sampled_from(["referral", "share"]),
        st.sampled_from([None, "S1", "S2"]),
        st.integers(0, 5),
    ),
    max_size=12,
)


@given(TOUCHES, st.sampled_from(MODELS), st.integers(1, 120))
def test_weights_sum_to_exactly_one_or_there_are_none(touches: list[Touch], model: str, days: int):
    credits = credit(touches, applied_at=APPLIED, model=model, lookback_days=days)
    assert not credits or sum(part.weight for part in credits) == Decimal(1)
    assert all(0 < part.weight <= 1 for part in credits)


@given(TOUCHES, st.sampled_from(MODELS), st.randoms())
def test_the_order_of_the_touches_does_not_matter(touches: list[Touch], model: str, random):
    expected = credit(touches, applied_at=APPLIED, model=model, lookback_days=90)
    random.shuffle(touches)
    assert credit(touches, applied_at=APPLIED, model=model, lookback_days=90) == expected


@given(TOUCHES, st.integers(1, 60), st.integers(1, 60))
def test_a_longer_look_back_never_loses_a_touch(touches: list[Touch], days: int, more: int):
    def counted(lookback: int) -> set[Touch]:
        return {part.touch for part in credit(touches, applied_at=APPLIED, model="linear", lookback_days=lookback)}

    assert counted(days) <= counted(days + more)


@given(TOUCHES, st.sampled_from(MODELS), st.integers(0, 10**9))
def test_cents_sum_to_exactly_the_bonus(touches: list[Touch], model: str, amount: int):
    credits = credit(touches, applied_at=APPLIED, model=model, lookback_days=90)
    cents = split_cents(amount, credits)
    assert sum(cents) == (amount if credits else 0)
    assert all(part >= 0 for part in cents)
