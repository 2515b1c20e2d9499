"""The assets of costs: what they tell in the UI when all is well, when a file is missing, and without any costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from cryptography.fernet import Fernet

from referral_pipeline.contract.scaffold import Choices, integration_yaml, sandbox_contract
from referral_pipeline.orchestration.assets.costs import NOT_CONFIGURED, allocated_costs, costs
from referral_pipeline.orchestration.resources import BridgeResource
from referral_pipeline.warehouse.store import Warehouse

HEADER = "period,channel,kind,amount,currency,allocation_key,note\n"
NOBODY = """
CREATE TABLE core.attribution
    (status VARCHAR, channel VARCHAR, applied_at TIMESTAMPTZ, hired_at TIMESTAMPTZ, status_at TIMESTAMPTZ)
"""
Told = Callable[..., dict[str, Any]]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    """Makes both assets from a contract and a file of costs, in a home of its own; what each tells."""
    for side in ("ADVOCACY", "GREENHOUSE"):
        for name in ("CLIENT_ID", "CLIENT_SECRET", "WEBHOOK_SECRET"):
            monkeypatch.setenv(f"{side}_{name}", "a-secret-value")
    monkeypatch.setenv("REFERRAL_PIPELINE_KEY", Fernet.generate_key().decode())
    monkeypatch.setenv("REFERRAL_PIPELINE_HASH_KEY", "0123456789abcdef")
    monkeypatch.delenv("REFERRAL_PIPELINE_CONFIG", raising=False)

    def make(text: str | None, contract: str | None = None) -> dict[str, Any]:
        (tmp_path / "data" / "samples").mkdir(parents=True)
        (tmp_path / "data" / "integration.yaml").write_text(contract or sandbox_contract(), encoding="utf-8")
        if text is not None:
            (tmp_path / "data" / "samples" / "costs.csv").write_text(text, encoding="utf-8")
        warehouse = Warehouse(
            "data/state/warehouse.duckdb", home=tmp_path, published_dir=tmp_path / "data" / "published"
        )
        with warehouse.connect() as connection:
            connection.execute(NOBODY)
        resources = {"bridge": BridgeResource(home=str(tmp_path))}
        run = dg.materialize([costs, allocated_costs], resources=resources)
        metadata: dict[str, Any] = {}
        for event in run.get_asset_materialization_events():
            made = event.step_materialization_data.materialization
            for name, value in made.metadata.items():
                metadata[f"{made.asset_key.to_user_string()}.{name}"] = value.value
        return metadata

    return make


def test_what_was_read_set_aside_and_stated_twice_is_told_with_sums_by_channel(told: Told):
    line = "2026-03,agency,external,10.00,USD,,\n"
    found = told(f"{HEADER}{line}{line}2026-03,advocacy,internal,x,USD,,\n2026-Q1,shared,internal,1,USD,hires,\n")
    assert (found["costs.files"], found["costs.quarantined"], found["costs.repeated_lines"]) == (1, 1, 1)
    assert found["costs.dagster/row_count"] == 3
    assert found["costs.set_aside"].startswith("- costs.csv:4: amount is no amount; write digits and a dot")
    assert found["costs.same_cost_twice"] == "- costs.csv:3 is the same cost as costs.csv:2"
    assert "| agency | 2000 |" in found["costs.sums"]
    assert found["costs.counted_as_other_channels"] == "agency"
    assert "none is added to them" in found["costs.bonuses"]
    assert found["allocated_costs.divided_evenly_for_want_of_a_basis"] == (
        "2026-01 by hires, 2026-02 by hires, 2026-03 by hires"
    )
    assert found["allocated_costs.dagster/row_count"] == 7


def test_a_file_that_is_missing_is_told_and_fails_nothing(told: Told):
    found = told(None)
    assert (found["costs.files"], found["costs.quarantined"], found["costs.dagster/row_count"]) == (0, 1, 0)
    assert found["costs.set_aside"] == "- costs.csv: file is not there; put it in its place, or mend costs.files"
    assert found["allocated_costs.dagster/row_count"] == 0


def test_without_a_section_of_costs_the_asset_says_that_none_are_configured(told: Told):
    found = told(None, integration_yaml(Choices()))
    assert (found["costs.note"], found["costs.dagster/row_count"]) == (NOT_CONFIGURED, 0)
    assert found["allocated_costs.dagster/row_count"] == 0


def test_no_note_of_a_cost_reaches_the_ui(told: Told):
    found = told(HEADER + "2026-03,agency,external,10.00,USD,,for Ann Lee\n")
    assert "agency" in found["costs.preview"]
    assert "Ann Lee" not in repr(found)
