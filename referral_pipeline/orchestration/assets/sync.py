"""Sync: the writes to outside systems.

Belongs here: calling the write and telling what it did. Does not belong here: what is written (the sync room).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from referral_pipeline.orchestration.periods import AsOfConfig
from referral_pipeline.orchestration.resources import BridgeResource
from referral_pipeline.orchestration.specs import WAREHOUSE_POOL, counts_table, spec

if TYPE_CHECKING:
    from referral_pipeline.sync.report import SyncReport

EVERY_WRITE_SUCCEEDED = "every_write_succeeded"
_SHOWN_FAILURES = 20
_SUPERSEDED = (
    "the platform holds results that were counted later than these. Look whether a second installation tells the same "
    "platform (stop one of them) and whether the clock of this host is right; then run `referral-pipeline refresh`"
)


def _write_check(asset: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name=EVERY_WRITE_SUCCEEDED,
        asset=asset,
        description="Every write that was due reached the other system. If it fails: what failed in passing is taken "
        "up by the next run; what was refused for good names the id and the vendor's reason, and waits for a person.",
    )


@dg.multi_asset(
    name="merge_candidates",
    specs=[spec("ats_candidate_merges")],
    check_specs=[_write_check("ats_candidate_merges")],
    pool=WAREHOUSE_POOL,
)
def ats_candidate_merges(
    context: dg.AssetExecutionContext, bridge: BridgeResource
) -> Iterator[dg.MaterializeResult[Any]]:
    """Make one candidate in the ATS of those that people decided to be one."""
    report = bridge.bridge.merge_candidates()
    metadata = _told(context, report)
    metadata |= {
        "decisions_done": report.counts["merges_done"],
        "candidates_merged": report.counts["candidates_merged"],
    }
    yield _result("ats_candidate_merges", report, metadata)


@dg.multi_asset(
    name="write_candidates",
    specs=[spec("ats_referral_candidates")],
    check_specs=[_write_check("ats_referral_candidates")],
    pool=WAREHOUSE_POOL,
)
def ats_referral_candidates(
    context: dg.AssetExecutionContext, bridge: BridgeResource
) -> Iterator[dg.MaterializeResult[Any]]:
    """Bring every referral that may pass into the ATS."""
    written = bridge.bridge.write_candidates()
    report = written.report
    metadata = _told(context, report)
    metadata |= {
        "persons": written.cases,
        "candidates_created": report.counts["candidates_created"],
        "candidates_updated": len(report.updated_candidates),
        "applications_created": report.counts["applications_created"],
        "applications_updated": report.counts["applications_updated"],
        "applications_unchanged": report.counts["applications_unchanged"],
        "applications_mended": report.counts["applications_mended"],
        "blocked": sum(report.blocked.values()),
        "blocked_by_reason": dg.MetadataValue.json(dict(sorted(report.blocked.items()))),
        "rows_read_again": written.rows_read_again,
    }
    yield _result("ats_referral_candidates", report, metadata)


@dg.multi_asset(
    name="return_statuses",
    specs=[spec("advocacy_referral_statuses")],
    check_specs=[_write_check("advocacy_referral_statuses")],
    pool=WAREHOUSE_POOL,
)
def advocacy_referral_statuses(
    context: dg.AssetExecutionContext, bridge: BridgeResource
) -> Iterator[dg.MaterializeResult[Any]]:
    """Tell the advocacy platform what became of each referral."""
    report = bridge.bridge.return_statuses()
    metadata = _told(context, report)
    metadata |= {
        "statuses_sent": report.counts["statuses_sent"],
        "statuses_unchanged": report.counts["statuses_unchanged"],
        "statuses_superseded": report.counts["statuses_superseded"],
    }
    yield _result("advocacy_referral_statuses", report, metadata)


@dg.multi_asset(
    name="publish_jobs",
    specs=[spec("advocacy_jobs")],
    check_specs=[_write_check("advocacy_jobs")],
    pool=WAREHOUSE_POOL,
)
def advocacy_jobs(context: dg.AssetExecutionContext, bridge: BridgeResource) -> Iterator[dg.MaterializeResult[Any]]:
    """Publish job postings from the ATS on the advocacy platform."""
    report = bridge.bridge.publish_jobs()
    metadata = _told(context, report)
    metadata |= {
        "jobs_published": report.counts["jobs_published"],
        "jobs_unchanged": report.counts["jobs_unchanged"],
        "jobs_draft": report.counts["jobs_draft"],
    }
    yield _result("advocacy_jobs", report, metadata)


@dg.multi_asset(
    name="write_contacts",
    specs=[spec("crm_contacts")],
    check_specs=[_write_check("crm_contacts")],
    pool=WAREHOUSE_POOL,
)
def crm_contacts(context: dg.AssetExecutionContext, bridge: BridgeResource) -> Iterator[dg.MaterializeResult[Any]]:
    """Keep the CRM's contacts level."""
    report = bridge.bridge.write_contacts()
    metadata = _told(context, report)
    if bridge.bridge.crm is None:
        context.log.info("the contract names no CRM: there is nothing to write")
        metadata["skipped"] = "the contract names no CRM"
    metadata |= {
        name: report.counts[name]
        for name in (
            *("contacts_created", "contacts_updated", "contacts_matched", "contacts_unchanged", "contacts_gone"),
            *("contacts_erased", "contacts_shared_mailbox", "contacts_without_email", "properties_made"),
        )
    }
    metadata |= {
        "blocked": sum(report.blocked.values()),
        "blocked_by_reason": dg.MetadataValue.json(dict(sorted(report.blocked.items()))),
    }
    yield _result("crm_contacts", report, metadata)


@dg.multi_asset(
    name="return_results",
    specs=[spec("advocate_results")],
    check_specs=[_write_check("advocate_results")],
    pool=WAREHOUSE_POOL,
)
def advocate_results(
    context: dg.AssetExecutionContext, config: AsOfConfig, bridge: BridgeResource
) -> Iterator[dg.MaterializeResult[Any]]:
    """Tell the advocacy platform what came of each advocate's sharing."""
    from referral_pipeline.sync.report import SyncReport

    report = SyncReport() if config.given else bridge.bridge.send_results()
    if config.given or report.counts["results_backdated"]:
        context.log.info("nothing is sent: these numbers stand at another moment than now")
    superseded = report.counts["results_superseded"]
    metadata = _told(context, report)
    metadata |= {
        "results_sent": report.counts["results_sent"],
        "results_unchanged": report.counts["results_unchanged"],
        "results_superseded": superseded,
        "results_backdated": report.counts["results_backdated"],
    }
    if superseded:
        context.log.warning("%d results were refused: %s", superseded, _SUPERSEDED)
    yield _result("advocate_results", report, metadata, superseded=superseded)


def _result(
    asset: str, report: "SyncReport", metadata: dict[str, Any], *, superseded: int = 0
) -> dg.MaterializeResult[Any]:
    """The materialization with its check: a write refused for good is an error, a passing failure a warning.

    So is what was `superseded` where nobody else should have told anything newer.
    """
    if superseded and not report.failures:
        check = dg.AssetCheckResult(
            check_name=EVERY_WRITE_SUCCEEDED,
            asset_key=asset,
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{superseded} results were refused as older than what the platform holds",
            metadata={"superseded": superseded, "what_to_do": _SUPERSEDED},
        )
        return dg.MaterializeResult(asset_key=asset, metadata=metadata, check_results=[check])
    for_good = sum(1 for failure in report.failures if not failure.transient)
    check = dg.AssetCheckResult(
        check_name=EVERY_WRITE_SUCCEEDED,
        asset_key=asset,
        passed=not report.failures,
        severity=dg.AssetCheckSeverity.ERROR if for_good else dg.AssetCheckSeverity.WARN,
        description=f"{len(report.failures)} writes failed, {for_good} of them for good; the first: "
        f"{report.failures[0].operation} {report.failures[0].subject}: {report.failures[0].error}"
        if report.failures
        else "every write that was due succeeded",
        metadata={
            "failed": len(report.failures),
            "failed_for_good": for_good,
            **({"superseded": superseded} if superseded else {}),
            **(_what_to_do(report) if report.failures else {}),
        },
    )
    return dg.MaterializeResult(asset_key=asset, metadata=metadata, check_results=[check])


def _what_to_do(report: "SyncReport") -> dict[str, Any]:
    """The failures of a check by id and reason, and what to do about each kind."""
    return {
        "failures": _listed(report),
        "what_to_do": "What failed in passing is taken up by the next run: nothing is to be done. What was refused for "
        "good waits: correct in the system named what the reason says; the next run tells it again.",
    }


def _listed(report: "SyncReport") -> dg.MetadataValue[Any]:
    return dg.MetadataValue.md(
        "\n".join(f"- {f.operation} {f.subject}: {f.error}" for f in report.failures[:_SHOWN_FAILURES])
    )


def _told(context: dg.AssetExecutionContext, report: "SyncReport") -> dict[str, Any]:
    """Counts and failures as metadata; each failure also as a warning in the run's log, with ids only."""
    for failure in report.failures[:_SHOWN_FAILURES]:
        context.log.warning("%s %s: %s", failure.operation, failure.subject, failure.error)
    if len(report.failures) > _SHOWN_FAILURES:
        context.log.warning("and %d failures more; see the ledger's deliveries", len(report.failures) - _SHOWN_FAILURES)
    metadata: dict[str, Any] = {
        "failed": len(report.failures),
        "failed_for_good": sum(1 for f in report.failures if not f.transient),
    }
    if report.counts:
        metadata["counts"] = counts_table(report.counts)
    if report.failures:
        metadata["failures"] = _listed(report)
    return metadata
