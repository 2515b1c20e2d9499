"""What an audit finds out about a Radancy account: what is not there, what the platform has no place for; no change."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from referral_pipeline.connectors.capabilities import AuditScope, Capability, Standing
from referral_pipeline.contract.systems import LACKS
from referral_pipeline_tests.unit.radancy_account import Tenant

SANDBOX, PRODUCTION = AuditScope(may_write=True), AuditScope(may_write=False)
ENDPOINTS = (
    "GET /applications",
    "GET /users",
    "GET /jobs",
    "GET /applications/{id}",
    "PUT /applications/{id}/status",
    "POST /jobs",
    "PUT /jobs/{id}/status",
)


@pytest.fixture
def tenant() -> Iterator[Tenant]:
    one = Tenant()
    one.refer()
    one.refer(job="4410000002")
    one.account.load_jobs(["4410000001", "4410000002"], {})
    yield one
    one.connector.close()


def audited(tenant: Tenant, scope: AuditScope = SANDBOX) -> dict[str, Capability]:
    lines = tenant.connector.audit(scope)
    assert all(line.title and line.evidence and line.consequence for line in lines)
    return {line.name: line for line in lines}


def missing(lines: dict[str, Capability]) -> set[str | None]:
    return {one.endpoint for one in lines.values() if one.standing is Standing.MISSING and one.needed_by}


def test_everything_that_is_documented_is_found_and_nothing_is_changed(tenant: Tenant):
    before = tenant.account.dump(), str(tenant.account.jobs)
    lines = audited(tenant)
    assert missing(lines) == set()
    assert (tenant.account.dump(), str(tenant.account.jobs)) == before
    assert {line.endpoint for line in lines.values()} >= set(ENDPOINTS)
    assert lines["applications.fields"].standing is Standing.COVERED
    assert lines["jobs.reference"].standing is Standing.COVERED


def test_what_the_platform_has_no_place_for_is_told_with_what_follows(tenant: Tenant):
    lines = audited(tenant)
    assert {name for name in LACKS if lines[f"holds.{name}"].standing is Standing.MISSING} == set(LACKS)
    assert "attribution_coverage" in lines["holds.content"].consequence
    assert lines["changed_since"].standing is Standing.MISSING


@pytest.mark.parametrize("seed", range(3))
def test_endpoints_that_are_switched_off_are_exactly_those_that_are_missing(tenant: Tenant, seed: int):
    off = set(random.Random(seed).sample(ENDPOINTS, 3)) - {"GET /applications", "GET /jobs"}
    tenant.switches.operations_absent = tuple(off)
    assert missing(audited(tenant)) == off


def test_in_production_nothing_that_writes_is_sent(tenant: Tenant):
    lines = audited(tenant, PRODUCTION)
    assert tenant.writes() == []
    for name in ("applications.status", "jobs.create", "jobs.status"):
        assert lines[name].standing is Standing.NOT_VERIFIED
