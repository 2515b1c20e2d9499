"""The steps of the parallel run, for assets and the command line.

Belongs here: reading manual intake, comparing, and keeping the result. Does not belong here: the comparison itself
(quality.parallel_run), dagster.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from referral_pipeline.connectors.covered import fingerprint_of
from referral_pipeline.quality.parallel_run.facts import quarantined_keys
from referral_pipeline.quality.parallel_run.numbers import Numbers
from referral_pipeline.quality.parallel_run.run import ParallelRunResult, run_parallel
from referral_pipeline.quality.parallel_run.sign_off import COMPARISON
from referral_pipeline.warehouse.manual_intake import ManualStaged
from referral_pipeline.warehouse.manual_intake import stage_manual_intake as _stage

if TYPE_CHECKING:
    from referral_pipeline.orchestration.bridge import Bridge
    from referral_pipeline.warehouse.store import Warehouse

__all__ = ["JOB", "compare_manual_intake", "stage_manual_intake"]

JOB = "job:"
"""Begins the name of who compares, where that is no person."""

_AGAIN_AFTER = timedelta(days=1)

_SET_ASIDE = """
SELECT count(DISTINCT record_id) AS rows FROM staging.quarantine WHERE entity = 'manual_intake' AND level = 'record'
"""
_REFERRALS_SET_ASIDE = """
SELECT record_id, min(field) AS field FROM staging.quarantine
WHERE entity = 'referrals' AND level = 'record' GROUP BY record_id
"""


def stage_manual_intake(bridge: Bridge) -> ManualStaged:
    """Read the files of manual intake, and rebuild their staging table."""
    return _stage(bridge.warehouse, bridge.contract, bridge.settings.home)


def compare_manual_intake(bridge: Bridge, *, made_by: str, now: datetime) -> ParallelRunResult:
    """Compare manual intake with what the last refresh left, write ops.parallel_run, and keep the result in the ledger.

    Nothing is kept where nothing could be compared: that is no verification. Of a job a result that is as the newest
    one is kept once a day, and once more when the window is over: a refresh each hour would tell the same for ever.
    """
    warehouse = bridge.warehouse
    with warehouse.connect():  # held for the step: each opening of the file costs 20 to 40 ms
        result = run_parallel(
            warehouse,
            bridge.ledger,
            bridge.contract,
            set_aside=_set_aside(warehouse),
            quarantined=lambda: _quarantined(bridge),
            now=now,
        )
    if result.numbers is not None and not (made_by.startswith(JOB) and _is_told(bridge, result.numbers, now)):
        bridge.ledger.record_verification(
            COMPARISON,
            passed=result.numbers.passed,
            environment=bridge.contract.environment,
            fingerprint=fingerprint_of(bridge.contract),
            made_by=made_by,
            facts=result.numbers.facts(),
        )
    return result


def _is_told(bridge: Bridge, numbers: Numbers, now: datetime) -> bool:
    newest = bridge.ledger.latest_verification(COMPARISON, fingerprint_of(bridge.contract))
    if newest is None or newest.made_at <= now - _AGAIN_AFTER or newest.made_at < numbers.window.ends_at <= now:
        return False
    return newest.facts == json.loads(json.dumps(numbers.facts()))


def _set_aside(warehouse: Warehouse) -> int:
    return int(warehouse.frame(_SET_ASIDE)["rows"].iloc[0]) if warehouse.has_table("staging.quarantine") else 0


def _quarantined(bridge: Bridge) -> Mapping[str, tuple[str, str]]:
    """By which addresses and numbers the referrals are known that staging set aside."""
    found = bridge.warehouse.frame(_REFERRALS_SET_ASIDE)
    aside = [(str(row["record_id"]), str(row["field"])) for row in found.to_dict("records")]
    # Their values are in raw only, and reading that costs more than the comparison: not for nothing.
    return quarantined_keys(aside, bridge.staged_advocacy.referrals) if aside else {}
