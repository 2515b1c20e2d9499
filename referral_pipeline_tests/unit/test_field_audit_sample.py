"""Which records an audit draws, and what a sample of them can show."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.connectors.failures import Invalid
from referral_pipeline.ledger.records import Link
from referral_pipeline.quality.field_audit.judge import Verdict, percent, rate, verdict_on
from referral_pipeline.quality.field_audit.live import read_many
from referral_pipeline.quality.field_audit.sample import clean_sample_for, draw, stratum_of

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
CONFIDENCES = st.sampled_from([0.8, 0.9, 0.95, 0.99])


def linked(number: int, *, days: float = 1, created: bool = True, system: str = "greenhouse") -> Link:
    return Link(
        referral_id=f"R{number}",
        person_id=f"P{number}",
        job_id="J1",
        advocate_id="A1",
        share_id=None,
        campaign_tag=None,
        touched_at=NOW - timedelta(days=days),
        system=system,
        candidate_id=f"C{number}",
        application_id=f"X{number}",
        created_candidate=created,
    )


POPULATIONS = st.lists(
    st.tuples(st.sampled_from([0.5, 10, 45, 200]), st.booleans(), st.sampled_from(["greenhouse", "lever"])),
    max_size=120,
).map(lambda rows: [linked(i, days=d, created=c, system=s) for i, (d, c, s) in enumerate(rows)])


# ---------------------------------------------------------------- drawing


@settings(deadline=None)
@given(POPULATIONS, st.integers(1, 80), st.integers(0, 2**31), st.randoms())
def test_a_seed_draws_the_same_records_in_whatever_order_they_come(links, wanted, seed, shuffler):
    first = draw(links, wanted=wanted, seed=seed, now=NOW)
    mixed = list(links)
    shuffler.shuffle(mixed)
    again = draw(mixed, wanted=wanted, seed=seed, now=NOW)
    assert first.links == again.links
    assert first.strata == again.strata
    assert first.beside == again.beside
    assert len(set(first.links)) == len(first.links)
    assert len(first.links) - len(first.beside) == min(wanted, len(links))


@settings(deadline=None)
@given(POPULATIONS, st.integers(1, 80), st.integers(0, 2**31))
def test_every_stratum_is_looked_at_and_beside_the_sample_is_only_what_it_has_none_of(links, wanted, seed):
    drawn = draw(links, wanted=wanted, seed=seed, now=NOW)
    of = {link.referral_id: stratum_of(link, now=NOW) for link in links}
    assert {of[link.referral_id] for link in drawn.links} == set(of.values())
    inside = {of[link.referral_id] for link in drawn.links if link.referral_id not in drawn.beside}
    aside = [of[referral_id] for referral_id in drawn.beside]
    assert len(set(aside)) == len(aside)
    assert inside.isdisjoint(aside)
    assert {one: sum(of[x.referral_id] == one for x in drawn.links) for one in drawn.drawn} == dict(drawn.drawn)


def test_the_bound_holds_in_19_of_20_audits_also_where_small_strata_are_right_and_the_large_one_is_wrong():
    ages = (0.5, 10, 45)
    small = [linked(n, days=ages[n % 3], created=n % 2 == 0) for n in range(6)]
    links = [*small, *(linked(n, days=200) for n in range(100, 400))]
    wrong = {f"R{n}" for n in range(100, 135)}
    share = len(wrong) / len(links)
    missed = 0
    for seed in range(600):
        drawn = draw(links, wanted=25, seed=seed, now=NOW)
        counted = [link for link in drawn.links if link.referral_id not in drawn.beside]
        lower = rate(25, sum(link.referral_id in wrong for link in counted), 0.95).lower
        assert len(counted) == 25
        assert lower is not None
        missed += 1 - lower < share
    assert missed / 600 <= 0.05 + 3 * (0.05 * 0.95 / 600) ** 0.5


def test_other_seeds_draw_other_records():
    links = [linked(i) for i in range(500)]
    samples = {draw(links, wanted=50, seed=seed, now=NOW).links for seed in range(20)}
    assert len(samples) == 20


def test_records_are_told_apart_by_age_and_by_where_their_candidate_began():
    ages = {days: stratum_of(linked(1, days=days), now=NOW).age for days in (7, 8, 30, 31, 90, 91)}
    assert ages == {7: "week", 8: "month", 30: "month", 31: "quarter", 90: "quarter", 91: "older"}
    assert stratum_of(linked(1), now=NOW).origin == "advocacy"
    assert stratum_of(replace(linked(1), created_candidate=False), now=NOW).origin == "ats"


# ---------------------------------------------------------------- what it shows


def test_a_clean_sample_bounds_what_is_wrong_as_the_tables_say():
    assert [round(1 - (rate(n, 0, 0.95).lower or 0), 3) for n in (50, 25, 149)] == [0.058, 0.113, 0.02]
    assert [clean_sample_for(claim, 0.95) for claim in (0.02, 0.05, 0.1, 0.01)] == [149, 59, 29, 299]


@given(st.integers(1, 300), CONFIDENCES, st.data())
def test_a_bound_is_where_the_binomial_tail_is_what_is_left_of_the_confidence(checked, confidence, data):
    wrong = data.draw(st.integers(0, checked))
    found = rate(checked, wrong, confidence)
    right = checked - wrong
    assert found.accuracy is not None
    assert found.lower is not None
    assert found.upper is not None
    assert 0 <= found.lower <= found.accuracy <= found.upper <= 1

    def tail(share: float, counts: range) -> float:
        return sum(comb(checked, k) * share**k * (1 - share) ** (checked - k) for k in counts)

    if right:
        assert tail(found.lower, range(right, checked + 1)) == pytest.approx(1 - confidence, abs=1e-6)
    if wrong:
        assert tail(found.upper, range(right + 1)) == pytest.approx(1 - confidence, abs=1e-6)


@given(st.floats(0.001, 0.5), CONFIDENCES)
def test_the_sample_that_a_claim_needs_is_the_smallest_that_shows_it(claim, confidence):
    needed = clean_sample_for(claim, confidence)
    shown, almost = rate(needed, 0, confidence), rate(needed - 1, 0, confidence)
    assert shown.lower is not None
    assert 1 - shown.lower <= claim + 1e-9
    assert almost.lower is None or 1 - almost.lower > claim - 1e-9


@given(st.integers(1, 200), CONFIDENCES, st.data())
def test_one_more_wrong_record_never_shows_more(checked, confidence, data):
    wrong = data.draw(st.integers(0, checked - 1))
    less, more = rate(checked, wrong, confidence), rate(checked, wrong + 1, confidence)
    assert (less.lower or 0) >= (more.lower or 0)
    assert (less.upper or 0) >= (more.upper or 0)


def test_of_nothing_nothing_is_known():
    assert rate(0, 0, 0.95).accuracy is rate(0, 0, 0.95).lower is rate(0, 0, 0.95).upper is None


@pytest.mark.parametrize(("checked", "wrong"), [(3, 4), (0, 1), (5, -1)])
def test_more_wrong_than_checked_is_refused(checked, wrong):
    with pytest.raises(ValueError, match="allowed"):
        rate(checked, wrong, 0.95)


@pytest.mark.parametrize("claim", [0, 1, -0.1, 2])
def test_a_claim_that_is_no_share_is_refused(claim):
    with pytest.raises(ValueError, match=r"write 0\.02"):
        clean_sample_for(claim, 0.95)


@pytest.mark.parametrize(
    ("checked", "wrong", "population", "verdict"),
    [
        (50, 0, 900, Verdict.SHOWN),
        (50, 1, 900, Verdict.SHOWN),
        (50, 2, 900, Verdict.NOT_SHOWN),
        (28, 0, 900, Verdict.NOT_SHOWN),  # the sample was chosen too small
        (28, 0, 28, Verdict.TOO_FEW),
        (28, 1, 28, Verdict.NOT_SHOWN),  # a wrong record is wrong, however few there are
        (29, 0, 29, Verdict.SHOWN),
        (0, 0, 0, Verdict.TOO_FEW),
        (0, 0, 900, Verdict.NOT_SHOWN),
    ],
)
def test_a_minimum_is_shown_by_the_lower_bound_alone(checked, wrong, population, verdict):
    found = verdict_on(rate(checked, wrong, 0.95), minimum=0.9, confidence=0.95, population=population)
    assert found is verdict


def test_a_share_is_not_rounded_to_all_or_nothing():
    assert [percent(x) for x in (None, 0.0, 1.0, 0.9423, 0.99999, 0.00001)] == [
        "unknown", "0.0 %", "100.0 %", "94.2 %", "above 99.9 %", "below 0.1 %",
    ]  # fmt: skip


# ---------------------------------------------------------------- reading


@given(st.sets(st.integers(0, 400).map(str), max_size=140), st.sets(st.integers(0, 400).map(str), max_size=9))
def test_a_record_that_cannot_be_read_hides_no_other(there, broken):
    absent = {"900", "901"}

    def read(batch):
        assert len(batch) <= 50
        if broken & set(batch):
            raise Invalid("greenhouse", "applications.list", detail="a row cannot be read")
        return {record_id: record_id for record_id in batch if record_id not in absent}

    found, unreadable = read_many(there | absent, read)
    assert found.keys() == there - broken
    assert unreadable == there & broken
