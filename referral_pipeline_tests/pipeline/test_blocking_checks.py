"""A broken attribution table never becomes a number."""

from __future__ import annotations

import pytest

from referral_pipeline.orchestration import bridge as bridge_module

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


@pytest.mark.parametrize("what", CORRUPTIONS)
def test_one_corrupted_row_blocks_the_kpis_and_the_publication(twice, monkeypatch, what):
    published = twice.home / "data" / "published"
    before = {path.name: path.stat().st_mtime_ns for path in published.iterdir()}
    build = bridge_module.Bridge.build_attribution

    def corrupted(self: bridge_module.Bridge, **kwargs):
        counts = build(self, **kwargs)
        with self.warehouse.connect() as connection:
            connection.execute(CORRUPTIONS[what])
        return counts

    monkeypatch.setattr(bridge_module.Bridge, "build_attribution", corrupted)
    outcome = twice.refresh()
    assert not outcome.success
    assert not {"kpis", "published_tables", "leadership_report"} & set(outcome.metadata)
    assert {path.name: path.stat().st_mtime_ns for path in published.iterdir()} == before
    (failed, *_) = [c for c in outcome.failed_checks if c.blocking]
    assert failed.name in failed.message
    assert any(f"{n} of " in failed.message for n in (1, 2)), failed.message


def test_the_next_good_run_publishes_again(twice):
    manifest = twice.home / "data" / "published" / "manifest.json"
    before = manifest.stat().st_mtime_ns
    assert twice.refresh().success
    assert manifest.stat().st_mtime_ns > before
