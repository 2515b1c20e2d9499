"""Intervals and quantiles against reference values."""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random

import pytest

from referral_pipeline.kpis.statistics import quantile, quantile_interval, wilson

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


def test_quantiles_interpolate_between_neighbours():
    assert quantile([7.0], 0.9) == 7.0
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.5
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.25) == 1.75


def test_below_six_values_nothing_bounds_a_median():
    assert quantile_interval([1.0, 2.0, 3.0, 4.0, 5.0], 0.5) == (None, None)
    assert quantile_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 0.5) == (1.0, 6.0)


def test_the_interval_of_a_median_covers_it_at_least_as_often_as_it_says():
    random = Random(7)
    covered = 0
    for _ in range(1_000):
        values = sorted(random.expovariate(1.0) for _ in range(40))
        low, high = quantile_interval(values, 0.5)
        covered += low is not None and high is not None and low <= 0.6931471805599453 <= high
    assert covered >= 940
