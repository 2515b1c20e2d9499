"""The field accuracy audit as a step of the bridge: made, kept in the ledger, shown in the warehouse.

Belongs here: joining the rooms. Does not belong here: dagster (assets.field_audit), the audit itself
(quality.field_audit).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from referral_pipeline.connectors.covered import fingerprint_of
from referral_pipeline.ledger.records import Verification
from referral_pipeline.quality.field_audit.judge import Verdict
from referral_pipeline.warehouse.field_accuracy import build_field_accuracy

if TYPE_CHECKING:
    from referral_pipeline.orchestration.bridge import Bridge
    from referral_pipeline.quality.field_audit.audit import Audit

KIND = "field_audit"
_SEEDS = 2**31


@dataclass(frozen=True)
class KeptAudit:
    """An audit with the verification under which it is kept."""

    audit: Audit
    verification: Verification


def audit_fields(
    bridge: Bridge,
    *,
    sample: int | None = None,
    seed: int | None = None,
    claim: float | None = None,
    made_by: str = "monthly_audit",
) -> KeptAudit:
    """Audit a sample of linked records now, keep the outcome, and rebuild ops.field_accuracy.

    Args:
        bridge: of the installation.
        sample: how many records; None for what the claim needs, without a claim what the contract says.
        seed: which ones are drawn; None for one that nobody chose.
        claim: the share of wrong records of which at most is to be claimed.
        made_by: who asked for it.

    Raises:
        AuditFailed: a system could not be read to the end; nothing is kept.
    """
    from referral_pipeline.quality.field_audit.audit import FieldAudit
    from referral_pipeline.quality.field_audit.live import Systems

    systems = Systems(bridge.contract, bridge.ledger, bridge.ats, bridge.advocacy, progress=bridge.progress)
    seed = secrets.randbelow(_SEEDS) if seed is None else seed
    audit = FieldAudit(systems).run(seed=seed, sample=sample, claim=claim)
    verification = bridge.ledger.record_verification(
        KIND,
        passed=audit.verdict is Verdict.SHOWN,
        environment=bridge.contract.environment,
        fingerprint=fingerprint_of(bridge.contract),
        made_by=made_by,
        facts=audit.facts(),
    )
    rebuild_field_accuracy(bridge)
    return KeptAudit(audit, verification)


def rebuild_field_accuracy(bridge: Bridge) -> int:
    """Make ops.field_accuracy anew from all audits that the ledger keeps; its row count."""
    return build_field_accuracy(bridge.warehouse, bridge.ledger.verifications(KIND))
