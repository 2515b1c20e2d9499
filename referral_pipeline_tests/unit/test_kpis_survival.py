"""Kaplan-Meier and Aalen-Johansen against reference values, by hand, and by laws that hold whatever the data."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.kpis.statistics import median_difference
from referral_pipeline.kpis.survival import CENSORED, HAPPENED, OTHERWISE, aalen_johansen, kaplan_meier

REFERENCE = Path(os.environ.get("REFERENCE_DIR", Path(__file__).parents[3] / "shared")) / "vectors"
with_vectors = pytest.mark.skipif(
    not REFERENCE.exists(), reason="the reference vectors are not here: set REFERENCE_DIR"
)

COURSES = st.lists(st.tuples(st.integers(0, 12), st.sampled_from([CENSORED, HAPPENED, OTHERWISE])), max_size=40)


def arrays(courses: list[tuple[int, int]]) -> tuple[Any, Any]:
    times = np.array([time for time, _ in courses], dtype=np.float64)
    return times, np.array([end for _, end in courses], dtype=np.int8)


def vectors() -> dict[str, Any]:
    return json.loads((REFERENCE / "kpi_reference_vectors.json").read_text(encoding="utf-8"))


def data_set(name: str) -> tuple[Any, Any]:
    source, group = name.split(":")
    columns = ("T", "E", "group") if source == "waltons" else ("t", "status", "Rx")
    with (REFERENCE / f"km_{source}.csv").open(encoding="utf-8") as file:
        rows = [[row[column] for column in columns] for row in csv.DictReader(file)]
    chosen = [(float(t), int(float(e))) for t, e, g in rows if g == group]
    return np.array([t for t, _ in chosen]), np.array([e for _, e in chosen])


# ---------------------------------------------------------------- reference values


@with_vectors
@pytest.mark.parametrize("name", ["waltons:control", "waltons:miR-137", "leukemia:0", "leukemia:1"])
def test_medians_intervals_and_survival_equal_the_reference_vectors(name: str):
    expected = vectors()[name]
    times, ends = data_set(name)
    assert (len(times), int(ends.sum())) == (expected["n"], expected["events"])
    curve = kaplan_meier(times, ends)
    median, low, high = curve.median()
    assert median == pytest.approx(expected["median"], abs=1e-6)
    assert [None if np.isnan(bound) else bound for bound in (low, high)] == expected["ci"]
    for at, survival in expected["S_at"].items():
        assert curve.at(float(at)) == pytest.approx(survival, abs=1e-6)


@with_vectors
def test_the_example_of_competing_ends_equals_the_reference_vectors_and_thirteen_thirtieths():
    toy = vectors()["toy"]
    times = np.array(toy["T"], dtype=np.float64)
    ends = np.array(toy["E(1=hired,2=rejected,0=open)"])
    curve = aalen_johansen(times, ends, np.array([60.0]))
    assert curve.probability[0] == pytest.approx(13 / 30, abs=1e-12)
    assert curve.probability[0] == pytest.approx(toy["AalenJohansen_CIF(60)"], abs=1e-6)
    alone = kaplan_meier(times, ends)
    assert 1 - alone.at(60) == pytest.approx(toy["KM_1-S(60)_rejected_as_censored"], abs=1e-6)
    assert alone.median()[0] == toy["median_KM"]
    hired = ends == HAPPENED
    assert hired.sum() / len(ends) == toy["naive_rate_all"]
    assert hired.sum() / (ends != CENSORED).sum() == pytest.approx(toy["naive_rate_closed"])
    assert np.median(times[hired]) == toy["median_naive_hired_only"]


# ---------------------------------------------------------------- by hand


def test_without_anybody_open_the_incidence_is_the_plain_share_and_its_variance_the_binomial_one():
    times, ends = arrays([(1, HAPPENED), (2, OTHERWISE), (2, HAPPENED), (3, OTHERWISE), (9, OTHERWISE)])
    curve = aalen_johansen(times, ends, np.array([0.0, 1.0, 2.0, 9.0]))
    assert curve.probability == pytest.approx([0, 0.2, 0.4, 0.4])
    assert list(curve.at_risk) == [5, 5, 4, 1]
    assert list(curve.happened) == [0, 1, 2, 2]
    spread = np.exp(1.959963984540054 * np.sqrt(0.4 * 0.6 / 5) / (0.4 * -np.log(0.4)))
    assert (curve.low[3], curve.high[3]) == pytest.approx((0.4**spread, 0.4 ** (1 / spread)))


def test_nothing_is_said_of_days_that_nobody_was_observed_for():
    times, ends = arrays([(1, HAPPENED), (5, CENSORED)])
    curve = aalen_johansen(times, ends, np.array([5.0, 5.1]))
    assert curve.probability[0] == 0.5
    assert np.isnan(curve.probability[1])
    closed = aalen_johansen(*arrays([(1, HAPPENED), (5, OTHERWISE)]), np.array([180.0]))
    assert closed.probability[0] == 0.5  # all have ended: nothing can change


def test_the_variance_with_open_ones_is_that_of_the_delta_method_written_out():
    times, ends = arrays(
        [(1, HAPPENED), (2, OTHERWISE), (2, CENSORED), (3, HAPPENED), (4, OTHERWISE), (6, HAPPENED), (9, CENSORED)]
    )
    curve = aalen_johansen(times, ends, np.array([6.0]))
    steps = [(1, 7, 1, 0), (2, 6, 0, 1), (3, 4, 1, 0), (4, 3, 0, 1), (6, 2, 1, 0)]  # time, at risk, hired, otherwise
    survival, incidence, rows = 1.0, 0.0, []
    for _, n, own, other in steps:
        incidence += survival * own / n
        rows.append((n, own, own + other, survival, incidence))
        survival *= 1 - (own + other) / n
    variance = sum(
        (incidence - f) ** 2 * d / (n * (n - d)) + s**2 * own * (n - own) / n**3 - 2 * (incidence - f) * s * own / n**2
        for n, own, d, s, f in rows
    )
    value = curve.probability[0]
    assert value == pytest.approx(incidence)
    spread = np.exp(1.959963984540054 * np.sqrt(variance) / (value * -np.log(value)))
    assert (curve.low[0], curve.high[0]) == pytest.approx((value**spread, value ** (1 / spread)))


def test_a_median_that_half_have_not_reached_is_not_known():
    median, low, high = kaplan_meier(*arrays([(3, HAPPENED), (4, CENSORED), (5, CENSORED)])).median()
    assert np.isnan([median, high]).all()
    assert np.isnan(low) or low == 3


def test_medians_are_compared_by_the_spread_of_each_side():
    left, right = np.arange(1.0, 10.0), np.arange(11.0, 20.0)
    difference, low, high = median_difference(left, right)
    # n = 9: ranks 2 and 8 are 6 apart, and leave out 10 of 512 on each side: z = 2.0635; each error is 6 / (2 z).
    assert difference == -10
    assert (high - low) / 2 == pytest.approx(1.959964 * np.hypot(6, 6) / (2 * 2.06353), abs=1e-4)
    with pytest.raises(ValueError, match="allowed: 5 or more on each side"):
        median_difference(left[:4], right)


# ---------------------------------------------------------------- laws


@settings(deadline=None, max_examples=150)
@given(COURSES.filter(bool))
def test_the_probabilities_of_all_ends_and_of_none_sum_to_one(courses: list[tuple[int, int]]):
    times, ends = arrays(courses)
    at = np.unique(times)
    hired = aalen_johansen(times, ends, at).probability
    otherwise = aalen_johansen(times, np.where(ends > 0, 3 - ends, 0), at).probability
    still = kaplan_meier(times, (ends > 0).astype(np.int8)).survival
    assert hired + otherwise + still == pytest.approx(np.ones(len(at)), abs=1e-9)


@settings(deadline=None, max_examples=150)
@given(COURSES.filter(bool))
def test_without_competing_ends_the_incidence_is_what_kaplan_and_meier_leave(courses: list[tuple[int, int]]):
    times, ends = arrays([(time, min(end, HAPPENED)) for time, end in courses])
    at = np.unique(times)
    curve, alone = aalen_johansen(times, ends, at), kaplan_meier(times, ends)
    assert curve.probability == pytest.approx(1 - alone.survival, abs=1e-9)


@settings(deadline=None, max_examples=100)
@given(COURSES.filter(bool), st.randoms(use_true_random=False))
def test_the_order_of_the_units_does_not_matter(courses: list[tuple[int, int]], random: Any):
    at = np.arange(13.0)
    first = aalen_johansen(*arrays(courses), at)
    median = kaplan_meier(*arrays(courses)).median()
    random.shuffle(courses)
    again = aalen_johansen(*arrays(courses), at)
    for name in ("at_risk", "happened", "probability", "low", "high"):
        assert np.array_equal(getattr(first, name), getattr(again, name), equal_nan=name not in {"at_risk", "happened"})
    assert np.array_equal(median, kaplan_meier(*arrays(courses)).median(), equal_nan=True)


@settings(deadline=None, max_examples=100)
@given(COURSES)
def test_an_interval_holds_its_value_and_stays_between_none_and_all(courses: list[tuple[int, int]]):
    curve = aalen_johansen(*arrays(courses), np.arange(13.0))
    known = ~np.isnan(curve.low)
    assert np.all((curve.low >= 0) & (curve.low <= curve.probability + 1e-12), where=known)
    assert np.all((curve.high <= 1) & (curve.high >= curve.probability - 1e-12), where=known)
    assert np.all(np.diff(curve.probability[~np.isnan(curve.probability)]) >= -1e-12)
