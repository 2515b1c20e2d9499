"""Benchmarks in miniature: what they measure is what the refresh builds, and its sums hold."""

from __future__ import annotations

from pathlib import Path

from referral_pipeline.kpis.compute import compute_kpis
from referral_pipeline.warehouse.costs import allocate_costs
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.benchmarks import kpi_data
from referral_pipeline_tests.benchmarks.attribution_child import build, check
from referral_pipeline_tests.benchmarks.attribution_data import make
from referral_pipeline_tests.unit.core_world import contract_with


def test_made_up_touches_are_credited_under_every_model_and_each_sums_to_one(tmp_path: Path):
    warehouse = Warehouse(tmp_path / "w.duckdb", home=tmp_path, published_dir=tmp_path / "published")
    touches = make(warehouse, 400)
    build(warehouse)
    found = check(warehouse)
    assert touches > 2000
    assert found["off"] == 0
    assert int(str(found["credited"])) > 350
    with warehouse.connect() as connection:
        bonuses = connection.execute(
            "SELECT DISTINCT sum(bonus_cents) FROM core.attribution_credit GROUP BY application_key ORDER BY ALL"
        ).fetchall()
    assert bonuses == [(0,), (200_000,)]


def test_a_made_up_programme_has_every_kpi_with_a_value(tmp_path: Path):
    warehouse = Warehouse(tmp_path / "w.duckdb", home=tmp_path, published_dir=tmp_path / "published")
    kpi_data.build(warehouse, 2000)
    allocate_costs(warehouse)
    compute_kpis(warehouse, contract_with(), as_of=kpi_data.AS_OF)
    with warehouse.connect() as connection:
        unknown = connection.execute(
            "SELECT kpi FROM mart.kpi WHERE period_kind = 'all' AND segment_kind = 'all' AND value IS NULL ORDER BY kpi"
        ).fetchall()
    assert unknown == []
