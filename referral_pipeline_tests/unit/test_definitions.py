"""The Dagster definitions: names that others rely on, and what every asset must tell."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

import referral_pipeline
from referral_pipeline.monitoring.runbook import RUNBOOK
from referral_pipeline.orchestration.assets.api_capability import NOTHING_NEEDED_IS_MISSING
from referral_pipeline.orchestration.assets.attribution_validation import CHECKS as OF_THE_VALIDATION
from referral_pipeline.orchestration.assets.field_audit import ACCURACY_IS_SHOWN, EVERY_FIELD_AGREES
from referral_pipeline.orchestration.assets.ingest import EVERY_STAGE_IS_MAPPED, NOTHING_VANISHED
from referral_pipeline.orchestration.assets.parallel_run import CHECKS as OF_THE_PARALLEL_RUN
from referral_pipeline.orchestration.assets.schema_drift import CHECKS as OF_THE_DRIFT
from referral_pipeline.orchestration.assets.sync import EVERY_WRITE_SUCCEEDED
from referral_pipeline.orchestration.build import build_defs
from referral_pipeline.orchestration.catalog import CATALOG
from referral_pipeline.orchestration.specs import table_result
from referral_pipeline.quality.rules import RULES
from referral_pipeline.warehouse.store import Warehouse

GROUPS = {
    "ingest": {
        "advocates",
        "content",
        "shares",
        "clicks",
        "referrals",
        "ats_jobs",
        "ats_candidates",
        "ats_applications",
        "ats_offers",
        "costs",
        "manual_intake",
    },
    "identity": {"people", "duplicate_review"},
    "attribution": {
        *("touchpoints", "attribution", "attribution_credit", "attribution_comparison", "bonus_ledger"),
        "status_history",
    },
    "sync": {
        "ats_candidate_merges",
        "ats_referral_candidates",
        "advocacy_referral_statuses",
        "advocacy_jobs",
        "crm_contacts",
        "advocate_results",
        "reconciliation",
        "processed_events",
    },
    "kpis": {"allocated_costs", "kpis", "advocate_performance"},
    "monitoring": {"integration_health", "api_capability", "api_schema_drift"},
    "reports": {"published_tables", "leadership_report", "quarterly_edition"},
    "quality": {"attribution_validation", "field_accuracy_audit", "parallel_run"},
}


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    return build_defs()


@pytest.fixture(scope="module")
def specs(defs) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def test_assets_stand_in_their_groups(specs):
    found: dict[str, set[str]] = {}
    for name, spec in specs.items():
        found.setdefault(spec.group_name, set()).add(name)
    assert found == GROUPS


def test_every_asset_has_an_owner_kinds_and_a_description(specs):
    for name, spec in specs.items():
        assert spec.owners, name
        assert spec.kinds, name
        assert len(spec.description or "") > 40, name


def test_the_catalogue_and_the_graph_name_the_same_assets(specs):
    assert set(specs) == {entry.name for entry in CATALOG}


def test_every_rule_is_a_check_and_those_that_guard_attribution_block(defs):
    graph = defs.resolve_asset_graph()
    checks = {key: graph.get(key) for key in graph.asset_check_keys}
    of_runs = {EVERY_WRITE_SUCCEEDED, EVERY_STAGE_IS_MAPPED, NOTHING_VANISHED, ACCURACY_IS_SHOWN, EVERY_FIELD_AGREES}
    of_runs |= {*OF_THE_PARALLEL_RUN, *OF_THE_VALIDATION, *OF_THE_DRIFT, *RUNBOOK, NOTHING_NEEDED_IS_MISSING}
    assert {key.name for key in checks} == {rule.name for rule in RULES} | of_runs
    blocking = {key.name for key, node in checks.items() if node.blocking}
    assert blocking == {rule.name for rule in RULES if rule.blocking}
    assert any(rule.asset == "attribution" for rule in RULES if rule.blocking)


def test_jobs_schedules_and_sensors_have_the_names_that_the_runbook_uses(defs):
    repository = defs.get_repository_def()
    jobs = {job.name for job in repository.get_all_jobs()}
    assert {"process_events", "refresh", "reconcile", "prune", "alert_heartbeat"} <= jobs
    assert {"quarterly_review", "monthly_audit", "api_audit"} <= jobs
    assert {s.name: s.execution_timezone for s in repository.schedule_defs} == {
        "refresh_hourly": "UTC",
        "reconcile_every_15_minutes": "UTC",
        "quarterly_review_on_the_fifth": "UTC",
        "monthly_audit_on_the_second": "UTC",
        "api_audit_on_mondays": "UTC",
        "prune_daily": "UTC",
        "alert_heartbeat_daily": "UTC",
    }
    sensors = {"inbox", "dropped_files", "alert_on_failed_runs", "alert_on_failed_checks", "health"}
    assert {s.name for s in repository.sensor_defs} == sensors


def test_all_that_runs_by_itself_is_on_from_the_start(defs):
    repository = defs.get_repository_def()
    assert {s.default_status for s in repository.schedule_defs} == {dg.DefaultScheduleStatus.RUNNING}
    assert {s.default_status for s in repository.sensor_defs} == {dg.DefaultSensorStatus.RUNNING}


def test_reconcile_pulls_and_compares_and_refresh_writes_by_itself(defs):
    def assets(job: str) -> set[str]:
        return {key.to_user_string() for key in defs.resolve_job_def(job).asset_layer.executable_asset_keys}

    own = {"reconciliation", "integration_health", "api_schema_drift"}
    assert assets("reconcile") == (GROUPS["ingest"] - {"costs", "manual_intake"}) | own
    writes = GROUPS["sync"] - {"reconciliation", "processed_events"}
    assert writes < assets("refresh")
    assert "reconciliation" not in assets("refresh")
    assert "attribution_validation" in assets("refresh")


def test_an_edition_is_kept_by_the_quarterly_review_alone(defs):
    def assets(job: str) -> set[str]:
        return {key.to_user_string() for key in defs.resolve_job_def(job).asset_layer.executable_asset_keys}

    assert assets("quarterly_review") == {"quarterly_edition"}
    assert "quarterly_edition" not in assets("refresh")


def test_the_field_audit_reads_both_systems_once_a_month_and_not_with_each_refresh(defs):
    def assets(job: str) -> set[str]:
        return {key.to_user_string() for key in defs.resolve_job_def(job).asset_layer.executable_asset_keys}

    assert assets("monthly_audit") == {"field_accuracy_audit"}
    assert "field_accuracy_audit" not in assets("refresh")


def test_what_the_apis_can_do_is_asked_by_the_api_audit_alone(defs):
    def assets(job: str) -> set[str]:
        return {key.to_user_string() for key in defs.resolve_job_def(job).asset_layer.executable_asset_keys}

    assert assets("api_audit") == {"api_capability"}
    assert "api_capability" not in assets("refresh") | assets("reconcile")


def test_the_report_waits_for_the_tables_that_it_says_are_published_beside_it(defs):
    graph = defs.resolve_asset_graph()
    assert dg.AssetKey("published_tables") in graph.get(dg.AssetKey("leadership_report")).parent_keys


def test_numbers_and_publication_wait_for_the_checks_of_attribution(specs):
    downstream = {dep.asset_key.to_user_string() for dep in specs["kpis"].deps}
    assert {"attribution", "attribution_credit"} <= downstream
    assert "kpis" in {dep.asset_key.to_user_string() for dep in specs["published_tables"].deps}


def test_the_preview_of_the_review_shows_the_likeliest_open_pairs_first(tmp_path: Path):
    warehouse = Warehouse("w.duckdb", home=tmp_path, published_dir=tmp_path / "published")
    with warehouse.connect() as connection:
        connection.execute(
            "CREATE TABLE core.duplicate_review AS SELECT 'per_' || i AS left_person_id, 'per_x' || i AS"
            " right_person_id, CASE WHEN i = 3 THEN NULL ELSE i / 100 END AS score, 'phone' AS evidence,"
            " 'look' AS proposed_action, CASE WHEN i < 20 THEN 'open' ELSE 'distinct' END AS state FROM range(30) t(i)"
        )
    shown = table_result(warehouse, "duplicate_review").metadata or {}
    lines = shown["preview"].md_str.splitlines()[2:]  # type: ignore[union-attr]
    assert [line.split(" | ")[0] for line in lines] == [f"| per_{i}" for i in range(19, 9, -1)]


def test_loading_the_definitions_imports_nothing_heavy_and_needs_no_secret():
    code = (
        "import sys, referral_pipeline.definitions\n"
        "import dagster\n"
        "heavy = {'great_expectations', 'pandas', 'duckdb', 'scipy', 'fastapi', 'phonenumbers', 'sqlalchemy'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    bare = subprocess.run(
        [sys.executable, "-c", code.replace("referral_pipeline.definitions", "dagster")],
        capture_output=True,
        text=True,
        check=True,
    )
    ours = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ours.stdout == bare.stdout


def test_only_orchestration_imports_dagster():
    package = Path(referral_pipeline.__file__).parent
    offenders = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if re.search(r"^\s*(import|from) dagster", path.read_text(encoding="utf-8"), re.MULTILINE)
        and path.relative_to(package).parts[0] != "orchestration"
    ]
    assert offenders == []
