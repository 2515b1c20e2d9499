"""Assembly: assets, checks, jobs, schedules, sensors and resources become one Definitions object.

Belongs here: putting together, with a way for a test to put other resources in. Does not belong here: definitions
themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from referral_pipeline.orchestration import alerting
from referral_pipeline.orchestration.assets import (
    analytics,
    api_capability,
    attribution_validation,
    costs,
    events,
    field_audit,
    health,
    ingest,
    parallel_run,
    reconciliation,
    schema_drift,
    sync,
)
from referral_pipeline.orchestration.checks import build_checks
from referral_pipeline.orchestration.drops import dropped_files
from referral_pipeline.orchestration.health import SENSORS
from referral_pipeline.orchestration.jobs import JOBS
from referral_pipeline.orchestration.pruning import prune
from referral_pipeline.orchestration.resources import BridgeResource
from referral_pipeline.orchestration.schedules import SCHEDULES
from referral_pipeline.orchestration.sensors import build_sensors


def build_defs(*, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """All definitions.

    Args:
        resource_overrides: resources by name that replace the defaults ("bridge"), for tests.
    """
    return dg.Definitions(
        assets=[
            sync.ats_candidate_merges,
            ingest.pull_advocacy,
            ingest.pull_ats,
            sync.ats_referral_candidates,
            sync.advocacy_referral_statuses,
            sync.advocacy_jobs,
            sync.crm_contacts,
            reconciliation.reconciliation,
            *events.ASSETS,
            *health.ASSETS,
            analytics.people,
            analytics.duplicate_review,
            analytics.attribution,
            analytics.bonus_ledger,
            *costs.ASSETS,
            analytics.kpis,
            analytics.advocate_performance,
            sync.advocate_results,
            analytics.published_tables,
            analytics.leadership_report,
            analytics.quarterly_edition,
            *attribution_validation.ASSETS,
            *field_audit.ASSETS,
            *parallel_run.ASSETS,
            *api_capability.ASSETS,
            *schema_drift.ASSETS,
        ],
        asset_checks=build_checks(),
        jobs=[*JOBS, events.process_events, prune, *alerting.JOBS],
        schedules=[*SCHEDULES, *alerting.SCHEDULES],
        sensors=[*build_sensors(events.process_events), dropped_files, *alerting.SENSORS, *SENSORS],
        resources={"bridge": BridgeResource(), **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )
