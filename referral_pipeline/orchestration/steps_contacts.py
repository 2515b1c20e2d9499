"""The step that writes contacts: every person with an application from a referral is level in the CRM.

Belongs here: the order inside this step, over an open bridge. Does not belong here: dagster (the assets call the
bridge), what a contact holds and when it is written (sync.contacts).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from referral_pipeline.orchestration.state import remember_system
from referral_pipeline.orchestration.steps_candidates import cases_of
from referral_pipeline.sync.contacts import ContactWriteBack
from referral_pipeline.sync.facts import Programme
from referral_pipeline.sync.report import SyncReport
from referral_pipeline.vocabulary import Side

if TYPE_CHECKING:
    from referral_pipeline.orchestration.bridge import Bridge


def write_contacts(bridge: Bridge) -> SyncReport:
    """Keep the CRM's contacts level; nothing where the contract names no CRM."""
    if bridge.crm is None:
        return SyncReport()
    programme = Programme.of(bridge.staged_advocacy)
    report = ContactWriteBack(
        crm=bridge.crm,
        ledger=bridge.ledger,
        contract=bridge.contract,
        programme=lambda: programme,
        sealer=bridge.sealer,
    ).run(
        cases_of(bridge, bridge.resolve_people()),
        progress=lambda done, total: bridge.progress("write contacts", done, total),
    )
    remember_system(Side.CRM, bridge.contract, bridge.settings)
    return report
