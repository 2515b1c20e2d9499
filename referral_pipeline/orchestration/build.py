"""Assembly: assets, checks, jobs, schedules and resources become one Definitions object.

Belongs here: putting together, with a way for a test to put other resources in. Does not belong here: definitions
themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from referral_pipeline.orchestration.assets import analytics, ingest, sync
from referral_pipeline.orchestration.checks import build_checks
from referral_pipeline.orchestration.jobs import JOBS
from referral_pipeline.orchestration.resources import BridgeResource
from referral_pipeline.orchestration.schedules import SCHEDULES


def build_defs(*, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """All definitions.

    Args:
        resource_overrides: resources by name that replace the defaults ("bridge"), for tests.
    """
    return dg.Definitions(
        assets=[
            ingest.pull_advocacy,
            ingest.pull_ats,
            sync.ats_referral_candidates,
            sync.advocacy_referral_statuses,
            sync.advocacy_jobs,
            analytics.people,
            analytics.attribution,
            analytics.kpis,
            analytics.published_tables,
            analytics.leadership_report,
        ],
        asset_checks=build_checks(),
        jobs=list(JOBS),
        schedules=list(SCHEDULES),
        resources={"bridge": BridgeResource(), **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )
