"""Keeping what was verified, for the go-live gate.

Belongs here: putting a result in the ledger with what it is true of. Does not belong here: what go-live asks for
(quality.go_live), the verifications themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from referral_pipeline.connectors.covered import fingerprint_of
from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.records import Verification
from referral_pipeline.ledger.store import Ledger

if TYPE_CHECKING:
    from referral_pipeline.orchestration.run import RunOutcome
    from referral_pipeline.settings import Settings

_COMMAND = "the command line"


def keep(
    kind: str,
    contract: Contract,
    ledger: Ledger,
    *,
    passed: bool,
    facts: Mapping[str, Any],
    made_by: str = _COMMAND,
) -> Verification:
    """Keep a result as true of the present contract. `facts` hold counts, names and ids, no personal data."""
    return ledger.record_verification(
        kind,
        passed=passed,
        environment=contract.environment,
        fingerprint=fingerprint_of(contract),
        made_by=made_by,
        facts=facts,
    )


def keep_sandbox_run(settings: Settings, outcome: RunOutcome) -> None:
    """Keep how a refresh in the sandbox went; one in production proves nothing of the sandbox."""
    from referral_pipeline.orchestration.liveness import open_ledger

    blocking = [f"{check.asset}.{check.name}" for check in outcome.failed_checks if check.blocking]
    facts = {
        "run_id": outcome.run_id,
        "checks": outcome.checks_run,
        "failed_checks": len(outcome.failed_checks),
        "blocking": blocking,
        "failed_steps": sorted(outcome.errors),
    }
    with open_ledger(settings) as (contract, ledger):
        if contract.environment == "sandbox":
            keep("sandbox_run", contract, ledger, passed=outcome.success and not blocking, facts=facts)
