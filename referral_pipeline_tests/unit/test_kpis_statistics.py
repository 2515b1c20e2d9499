"""Intervals and quantiles against reference values."""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import binomtest

from referral_pipeline.kpis.facts import Facts
from referral_pipeline.kpis.rows import Shape, difference_rows, incidence_rows, kpi_frame
from referral_pipeline.kpis.statistics import (
    Samples,
    differs,
    holm,
    p_of_counts,
    p_of_interval,
    quantile,
    quantile_interval,
    quantile_intervals_of,
    quantiles_of,
    wilson,
    wilson_of,
)

REFERENCE = Path(os.environ.get("REFERENCE_DIR", Path(__file__).parents[3] / "shared"))
VECTORS = REFERENCE / "vectors" / "kpi_reference_vectors.json"


@pytest.mark.skipif(not VECTORS.exists(), reason="the reference vectors are not here: set REFERENCE_DIR")
def test_wilson_intervals_equal_the_reference_vectors():
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))["wilson95"]
    assert len(vectors) == 6
    for pair, expected in vectors.items():
        hits, units = map(int, pair.split("/"))
        assert wilson(hits, units) == pytest.approx(tuple(expected), abs=1e-6)


def test_wilson_of_nothing_is_refused():
    with pytest.raises(ValueError):
        wilson(0, 0)


def test_of_several_comparisons_holm_lets_those_stand_out_that_the_level_leaves_room_for():
    """0.005 x 4 and 0.01 x 3 are below 0.05, 0.03 x 2 is not, and then none after it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == [True, False, False, True]
    assert holm([0.03, 0.04]) == [False, False]
    assert holm([0.04]) == [True]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
@example([0.05])
def test_holm_lets_stand_out_whatever_each_part_of_the_level_would_and_nothing_that_the_level_alone_would_not(
    p_values: list[float],
):
    for p_value, stands_out in zip(p_values, holm(p_values), strict=True):
        assert stands_out or p_value * len(p_values) >= 0.05 * (1 - 1e-12)
        assert p_value < 0.05 or not stands_out


def test_of_a_dozen_equal_numbers_hardly_ever_one_stands_out():
    random = Random(20_261_128)
    families = 4_000
    wrong = sum(any(holm([random.random() for _ in range(12)])) for _ in range(families))
    assert wilson(wrong, families)[0] <= 0.05


def test_an_interval_that_just_reaches_zero_has_a_chance_of_one_in_twenty():
    assert p_of_interval(1.5, 0.0, 9.0) == pytest.approx(0.05)
    assert p_of_interval(-1.5, -9.0, 0.0) == pytest.approx(0.05)
    assert p_of_interval(2.0, 1.0, 2.5) < 0.001
    assert p_of_interval(2.0, -3.0, 2.5) > 0.3
    assert p_of_interval(2.0, 2.0, 2.0) == 1.0


def test_the_chance_of_two_ratios_is_that_of_fisher():
    """The lady tasting tea, three of four right: 17/35 for three or more on either side."""
    assert p_of_counts(3, 4, 1, 4) == pytest.approx(17 / 35)


def test_quantiles_interpolate_between_neighbours():
    assert quantile([7.0], 0.9) == 7.0
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.5
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.25) == 1.75


def test_below_six_values_nothing_bounds_a_median():
    assert quantile_interval([1.0, 2.0, 3.0, 4.0, 5.0], 0.5) == (None, None)
    assert quantile_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 0.5) == (1.0, 6.0)


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30).map(sorted), min_size=1, max_size=5))
def test_many_groups_at_once_are_as_one_after_another(groups: list[list[float]]):
    samples = Samples(np.concatenate([np.array(g) for g in groups]), np.array([len(g) for g in groups]))
    for q in (0.25, 0.5, 0.95):
        values, (low, high) = quantiles_of(samples, q), quantile_intervals_of(samples, q)
        assert values == pytest.approx([float(np.quantile(group, q)) for group in groups], rel=1e-9, abs=1e-6)
        for i, group in enumerate(groups):
            bounds = tuple(None if np.isnan(bound) else bound for bound in (low[i], high[i]))
            assert bounds == quantile_interval(group, q)


@given(st.lists(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1))
def test_wilson_of_many_is_that_of_each_as_scipy_gives_it(pairs: list[tuple[int, int]]):
    low, high = wilson_of(np.array([hits for hits, _ in pairs]), np.array([units for _, units in pairs]))
    hits, units = pairs[-1]
    interval = binomtest(hits, units).proportion_ci(method="wilson")
    assert (low[-1], high[-1]) == (interval.low, interval.high)
    assert list(zip(low, high, strict=True)) == [wilson(*pair) for pair in pairs]


def test_medians_of_two_channels_are_compared_from_five_hires_a_side_on():
    measure = np.arange(1.0, 12.0)
    facts = Facts(
        month=np.array([673] * 11),  # February 2026
        numbers={
            "measure": measure,
            "is_mature": np.ones(11, dtype=bool),
            "is_comparable": np.ones(11, dtype=bool),
            "is_advocacy": np.arange(11) < 5,
        },
        segments={"department": (np.array([0] * 10 + [1]), ["Engineering", "Sales"])},
    )
    frame = kpi_frame(difference_rows(Shape("difference", "days", ("all", "department")), facts))
    rows = {(row.period_kind, row.segment): row for row in frame.itertuples()}
    assert (rows["all", "all"].value, rows["all", "all"].maturity) == (3.0 - 8.5, "mature")
    assert rows["month", "all"].ci_low < -5.5 < rows["month", "all"].ci_high
    assert str(rows["month", "all"].period_start.date()) == "2026-02-01"
    assert (rows["all", "Engineering"].value, rows["all", "Engineering"].denominator) == (3.0 - 8.0, 10)
    assert (rows["all", "Sales"].maturity, np.isnan(rows["all", "Sales"].value)) == ("insufficient", True)


def test_a_young_channel_is_not_quicker_because_only_its_quick_hires_are_over():
    measure = np.concatenate([np.arange(60.0, 75.0), np.arange(12.0, 18.0)])
    is_own = np.arange(21) >= 15
    facts = Facts(
        month=np.array([673] * 21),
        numbers={"measure": measure, "is_mature": ~is_own, "is_comparable": ~is_own, "is_advocacy": is_own},
        segments={},
    )
    frame = kpi_frame(difference_rows(Shape("difference", "days", ("all",)), facts))
    assert set(frame["maturity"]) == {"insufficient"}
    assert frame["value"].isna().all()


def test_one_old_application_does_not_stand_for_a_cohort_that_is_young():
    facts = Facts(
        month=np.array([673] * 50),
        numbers={
            "measure": np.array([91.0] + [8.0] * 49),
            "ended": np.zeros(50, dtype=np.int8),
            "is_mature": np.arange(50) < 1,
        },
        segments={},
    )
    frame = kpi_frame(incidence_rows(Shape("probability", "ratio", ("all",)), facts, 90, target=None))
    assert set(frame["maturity"]) == {"immature"}
    assert frame["value"].isna().all()


def test_of_ten_equal_campaigns_none_stands_out_and_a_real_difference_does():
    assert differs(12, 60, 51, 540)
    assert not differs(12, 60, 51, 540, looks=10)  # one of ten looks like this by chance
    assert differs(75, 800, 5, 200, looks=10)


def test_the_interval_of_a_median_covers_it_at_least_as_often_as_it_says():
    random = Random(7)
    covered = 0
    for _ in range(1_000):
        values = sorted(random.expovariate(1.0) for _ in range(40))
        low, high = quantile_interval(values, 0.5)
        covered += low is not None and high is not None and low <= 0.6931471805599453 <= high
    assert covered >= 940
