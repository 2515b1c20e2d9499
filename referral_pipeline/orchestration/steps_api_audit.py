"""The capability audit as a step of the bridge: made, kept in the ledger, shown in the warehouse, put into writing.

Belongs here: joining the rooms. Does not belong here: dagster (assets.api_capability), the audit itself
(monitoring.api_audit).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from referral_pipeline.ledger.records import Verification
from referral_pipeline.orchestration.verified import keep
from referral_pipeline.warehouse.api_capability import build_api_capability

if TYPE_CHECKING:
    from referral_pipeline.orchestration.bridge import Bridge

KIND = "api_audit"


def audit_apis(bridge: Bridge, *, made_by: str = "api_audit") -> Verification:
    """Audit both systems now, keep the outcome, rebuild ops.api_capability and write the published files."""
    from referral_pipeline.monitoring.api_audit.audit import audit_apis as ask
    from referral_pipeline.orchestration.state import state_folder

    audit = ask(
        bridge.contract,
        bridge.settings,
        bridge.ledger,
        state_dir=state_folder(bridge.settings),
        progress=bridge.progress,
    )
    kept = keep(KIND, bridge.contract, bridge.ledger, passed=audit.passed, facts=audit.facts(), made_by=made_by)
    rebuild_api_capability(bridge)
    write_audit(kept, bridge.settings.published_dir)
    return kept


def rebuild_api_capability(bridge: Bridge) -> int:
    """Make ops.api_capability anew from all audits that the ledger keeps; its row count."""
    return build_api_capability(bridge.warehouse, bridge.ledger.verifications(KIND))


def write_audit(kept: Verification, folder: Path) -> Sequence[Path]:
    """Write an audit as Markdown and JSON, each by atomic rename; the paths."""
    from referral_pipeline.monitoring.api_audit.words import JSON, MARKDOWN, json_text, markdown
    from referral_pipeline.reports.files import put

    texts = {MARKDOWN: markdown(kept), JSON: json_text(kept)}
    return [put(folder / name, text.encode()) for name, text in texts.items()]
