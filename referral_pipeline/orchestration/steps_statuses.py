"""The step that returns statuses: the platform is told how each application stands, and hires are recognised.

Belongs here: the order inside this step, over an open bridge. Does not belong here: dagster (the assets call the
bridge), what is told (sync.statuses), who has earned what (sync.recognition_decision).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from referral_pipeline.connectors.failures import HttpFailure, TransientFailure
from referral_pipeline.connectors.records import AtsApplication
from referral_pipeline.sync.lane.hires import Hires
from referral_pipeline.sync.lane.people import People
from referral_pipeline.sync.lane.systems import Systems
from referral_pipeline.sync.recognitions import Recogniser
from referral_pipeline.sync.report import SyncFailure, SyncReport
from referral_pipeline.sync.statuses import StatusReturn

if TYPE_CHECKING:
    from referral_pipeline.orchestration.bridge import Bridge


def return_statuses(bridge: Bridge) -> SyncReport:
    """Tell the advocacy platform every status that changed."""
    if not bridge.contract.phases.status_return:
        return SyncReport()
    staged = bridge.staged_ats
    applications = {a.id: a for a in staged.applications}
    report = StatusReturn(
        advocacy=bridge.advocacy,
        ledger=bridge.ledger,
        ats_system=bridge.ats.system,
        known_until=bridge.known_until(),
        sealer=bridge.sealer,
    ).run(
        bridge.ledger.links(),
        applications,
        {r.id: r for r in bridge.staged_advocacy.referrals},
        progress=lambda done, total: bridge.progress("return statuses", done, total),
    )
    _recognise(bridge, applications, report)
    return report


def _recognise(bridge: Bridge, applications: Mapping[str, AtsApplication], report: SyncReport) -> None:
    """Recognise the hires of this pull that nobody has recognised yet, and take back what is none any more."""
    recogniser = Recogniser(bridge.advocacy, bridge.ledger, bridge.contract)
    people = People(
        ledger=bridge.ledger,
        mirror=bridge.mirror,
        ats=bridge.ats,
        contract=bridge.contract,
        hash_key=bridge.settings.secret("REFERRAL_PIPELINE_HASH_KEY"),
    )
    systems = Systems(
        contract=bridge.contract,
        ledger=bridge.ledger,
        ats=bridge.ats,
        advocacy=bridge.advocacy,
        mirror=bridge.mirror,
        people=people,
        statuses=StatusReturn(advocacy=bridge.advocacy, ledger=bridge.ledger, ats_system=bridge.ats.system),
        recogniser=recogniser,
        sealer=bridge.sealer,
        on_refused_recognition=lambda row: report.fail(
            SyncFailure(row.referral_id, "recognise", row.last_error or "refused", transient=False)
        ),
    )
    hires = Hires(systems)
    for application_id in hires.recognisable(applications):
        try:
            hires.recognise_applications([application_id])
        except HttpFailure as failure:
            is_passing = isinstance(failure, TransientFailure)
            report.fail(SyncFailure(application_id, "recognise", str(failure), transient=is_passing))
        else:
            report.count("hires_settled")
    hires.recognise_due()
