"""What an audit finds out about an advocacy platform: exactly what is not there, and nothing is changed."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import requests

from referral_pipeline.connectors.capabilities import AuditScope, Capability, Standing
from referral_pipeline.connectors.records import AtsJob, Row
from referral_pipeline_tests.unit.test_advocacy_connector import REFERRAL, Platform, T, clicks

JOB = AtsJob(id="4410000001", title="Porter", status="open", location="Kiel")
SANDBOX = AuditScope(may_write=True, posting=lambda job_id: JOB if job_id == JOB.id else None)
PRODUCTION = AuditScope(may_write=False)
KNOWN: Row = {
    **REFERRAL,
    "id": "ref_2",
    "status": "applied",
    "status_at": T(2),
    "ats": {"system": "greenhouse", "candidate_id": "1", "application_id": "2"},
    "hired_at": None,
    "starts_on": None,
}
ENDPOINTS = (
    "GET /v1/advocates",
    "GET /v1/shares",
    "GET /v1/clicks",
    "GET /v1/referrals/{id}",
    "PATCH /v1/referrals/{id}",
    "PUT /v1/jobs/{id}",
    "PUT /v1/advocates/{id}/results",
    "POST /v1/recognitions",
)


@pytest.fixture
def platform() -> Iterator[Platform]:
    one = Platform()
    one.store.load("referrals", [REFERRAL, KNOWN])
    one.store.load("advocates", [{"id": "adv_1", "email": "a@example.com", "department": None, "eligible": True}])
    one.store.load("shares", [{"id": "sh_1", "advocate_id": "adv_1", "shared_at": T(1)}])
    one.store.load("clicks", clicks(3))
    one.store.put_job(JOB.id, {"title": JOB.title, "status": JOB.status, "location": JOB.location, "url": None})
    yield one
    one.connector.close()


def audited(platform: Platform, scope: AuditScope = SANDBOX) -> dict[str, Capability]:
    lines = platform.connector.audit(scope)
    assert all(line.title and line.evidence and line.consequence for line in lines)
    return {line.name: line for line in lines}


def missing(lines: dict[str, Capability]) -> set[str | None]:
    return {one.endpoint for one in lines.values() if one.standing is Standing.MISSING and one.needed_by}


def test_a_platform_that_keeps_the_contract_is_covered_and_nothing_changes_there(platform: Platform):
    before = platform.store.dump()
    lines = audited(platform)
    assert missing(lines) == set()
    for name in ("referrals.update", "referrals.order", "referrals.get", "jobs.put", "recognitions.idempotency"):
        assert lines[name].standing is Standing.COVERED, lines[name]
    assert platform.store.dump() == before


def test_what_is_tried_on_a_referral_is_left_open_where_none_can_be_known(platform: Platform):
    platform.switches.set({"operations_forbidden": ["GET /v1/referrals"]})
    lines = audited(platform)
    assert missing(lines) == {"GET /v1/referrals"}
    assert lines["referrals.get"].standing is Standing.NOT_VERIFIED
    assert lines["referrals.update"].standing is Standing.PARTIAL


@pytest.mark.parametrize("seed", range(6))
def test_four_of_eight_endpoints_that_are_off_are_found_and_no_others(platform: Platform, seed: int):
    chance = random.Random(seed)
    chosen = chance.sample(ENDPOINTS, 4)
    platform.switches.set({"operations_forbidden": chosen[: seed % 5], "operations_absent": chosen[seed % 5 :]})
    assert missing(audited(platform)) == set(chosen)


def test_in_production_nothing_is_sent_that_writes(platform: Platform):
    lines = audited(platform, PRODUCTION)
    assert {call.method for call in platform.calls if call.operation != "token"} == {"GET"}
    assert lines["referrals.update"].standing is Standing.NOT_VERIFIED
    assert set(lines) == set(audited(platform))


def test_before_any_status_was_returned_the_operation_is_shown_by_a_refusal(platform: Platform):
    platform.store.remove("referrals", "ref_2")
    before = platform.store.dump()
    lines = audited(platform)
    assert lines["referrals.update"].standing is Standing.PARTIAL
    assert lines["referrals.order"].standing is Standing.NOT_VERIFIED
    assert platform.store.dump() == before


def test_without_any_referral_nothing_is_called_missing():
    platform = Platform()
    lines = audited(platform)
    assert missing(lines) == set()
    assert lines["referrals.get"].standing is Standing.NOT_VERIFIED
    platform.connector.close()


def test_rows_that_break_the_contract_are_told_by_field_and_shape(platform: Platform):
    platform.put(id="ref_3", submitted_at="yesterday")
    line = audited(platform)["referrals.fields"]
    assert line.standing is Standing.PARTIAL
    assert line.evidence.startswith("1 of 3 break it: submitted_at is no time (text of 9 characters")


def test_times_without_a_zone_are_told(platform: Platform):
    platform.put(id="ref_3", applied_at="2026-11-02T09:00:00")
    line = audited(platform)["times"]
    assert line.standing is Standing.PARTIAL
    assert line.evidence.startswith("in the forms 9999-99-99T99:99:99")
    assert line.evidence.endswith(" (each 9 a digit)")


def test_a_switch_takes_operations_that_exist_and_nothing_else(platform: Platform):
    def answer(value: object) -> int:
        url = f"{platform.root}/_sandbox/switches"
        return requests.post(url, json={"operations_absent": value}, timeout=5).status_code

    assert [answer(value) for value in ("PUT /v1/jobs/{id}", 1, ["PUT /v1/job"], [{}], [["GET"]])] == [422] * 5
    assert answer(["PUT /v1/jobs/{id}"]) == 200
    assert platform.switches.operations_absent == ("PUT /v1/jobs/{id}",)
