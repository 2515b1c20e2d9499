"""The attribution benchmark in miniature: what it measures is what the refresh builds, and its sums hold."""

from __future__ import annotations

from pathlib import Path

from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.benchmarks.attribution_child import build, check
from referral_pipeline_tests.benchmarks.attribution_data import make


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
