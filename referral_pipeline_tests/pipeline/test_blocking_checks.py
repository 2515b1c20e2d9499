"""A broken attribution table never becomes a number."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from referral_pipeline.orchestration import bridge as bridge_module
from referral_pipeline.orchestration.build import build_defs
from referral_pipeline.orchestration.resources import BridgeResource
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline_tests.pipeline.conftest import Installation, installed
from referral_pipeline_tests.pipeline.event_rig import TINY

CORRUPTIONS = {
    "a hire before the application": (
        "UPDATE core.attribution SET hired_at = applied_at - INTERVAL 1 DAY WHERE application_key = "
        "(SELECT min(application_key) FROM core.attribution)"
    ),
    "an application that stands twice": (
        "INSERT INTO core.attribution SELECT * FROM core.attribution ORDER BY application_key LIMIT 1"
    ),
    "a weight that is not whole": (
        "UPDATE core.attribution_credit SET weight = weight / 2 WHERE weight > 0 AND application_key = "
        "(SELECT min(application_key) FROM core.attribution_credit WHERE weight > 0)"
    ),
    "an advocate that nobody knows": (
        "UPDATE core.attribution SET advocate_id = 'nobody' WHERE application_key = "
        "(SELECT min(application_key) FROM core.attribution WHERE advocate_id IS NOT NULL)"
    ),
}


@pytest.fixture(scope="module")
def refreshed(tmp_path_factory: pytest.TempPathFactory, shared_patch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """A tiny programme that one refresh has published."""
    with Sandbox(size=TINY) as sandbox:
        made = installed(tmp_path_factory.mktemp("blocking") / "home", sandbox, shared_patch)
        assert made.refresh().success
        yield made


def analytics(of: Installation) -> dg.Definitions:
    """The definitions with one job more: from attribution, on what was pulled last, to the report."""
    job = dg.define_asset_job("analytics", selection=dg.AssetSelection.groups("attribution", "kpis", "reports"))
    own = build_defs(resource_overrides={"bridge": BridgeResource(home=str(of.home))})
    return dg.Definitions.merge(own, dg.Definitions(jobs=[job]))


@pytest.mark.parametrize(
    ("what", "whole"), [(what, number == 0) for number, what in enumerate(CORRUPTIONS)], ids=list(CORRUPTIONS)
)
def test_one_corrupted_row_blocks_the_kpis_and_the_publication(refreshed, monkeypatch, what, whole):
    """In a whole refresh; and each other corruption in the part of it from attribution on."""
    published = refreshed.home / "data" / "published"
    before = {path.name: path.stat().st_mtime_ns for path in published.iterdir()}
    build = bridge_module.Bridge.build_attribution

    def corrupted(self: bridge_module.Bridge, **kwargs):
        counts = build(self, **kwargs)
        with self.warehouse.connect() as connection:
            connection.execute(CORRUPTIONS[what])
        return counts

    monkeypatch.setattr(bridge_module.Bridge, "build_attribution", corrupted)
    outcome = refreshed.refresh() if whole else refreshed.refresh(name="analytics", definitions=analytics(refreshed))
    assert not outcome.success
    assert "attribution" in outcome.metadata
    assert not {"kpis", "published_tables", "leadership_report"} & set(outcome.metadata)
    assert {path.name: path.stat().st_mtime_ns for path in published.iterdir()} == before
    (failed, *_) = [c for c in outcome.failed_checks if c.blocking]
    assert failed.name in failed.message
    assert any(f"{n} of " in failed.message for n in (1, 2)), failed.message


def test_the_next_good_run_publishes_again(refreshed):
    manifest = refreshed.home / "data" / "published" / "manifest.json"
    before = manifest.stat().st_mtime_ns
    outcome = refreshed.refresh(name="analytics", definitions=analytics(refreshed))
    assert outcome.success
    assert {"kpis", "published_tables", "leadership_report"} <= set(outcome.metadata)
    assert manifest.stat().st_mtime_ns > before
