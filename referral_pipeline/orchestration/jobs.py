"""Jobs: selections of assets that run together.

Belongs here: selections and run settings. Does not belong here: when they run (`schedules`). Concept page:
https://docs.dagster.io/guides/build/jobs

Every job runs in one process: DuckDB lets one process hold the file, and the pool keeps runs one after another.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

_QUIET = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}

_RECONCILIATION = dg.AssetSelection.assets("reconciliation")
_COSTS = dg.AssetSelection.assets("costs")  # of no system that is brought level
_EDITION = dg.AssetSelection.assets("quarterly_edition")
_API_AUDIT = dg.AssetSelection.assets("api_capability")

refresh = dg.define_asset_job(
    name="refresh",
    selection=dg.AssetSelection.all() - _RECONCILIATION - _EDITION - _API_AUDIT,
    description="The whole way: pull both systems, write candidates, return statuses, publish jobs, rebuild "
    "attribution and KPIs, check them, publish.",
    config=_QUIET,
    tags={"owner": "talent-operations"},
)

reconcile = dg.define_asset_job(
    name="reconcile",
    selection=(dg.AssetSelection.groups("ingest") - _COSTS) | _RECONCILIATION,
    description="Both systems brought level: pull what changed, and put what webhooks missed in the inbox. The lane "
    "works it off; without a lane this run does. No analytics.",
    config=_QUIET,
    tags={"owner": "talent-operations"},
)

quarterly_review = dg.define_asset_job(
    name="quarterly_review",
    selection=_EDITION,
    description="The edition of the last quarter that is over, kept by date, from the numbers of the last refresh. One "
    "that is kept already stays as it is.",
    config=_QUIET,
    tags={"owner": "talent-operations"},
)

api_audit = dg.define_asset_job(
    name="api_audit",
    selection=_API_AUDIT,
    description="The capability audit: both systems asked what their APIs can do, within their rate limits. In a "
    "sandbox one candidate is created and deleted again; in production nothing is written.",
    config=_QUIET,
    tags={"owner": "talent-operations"},
)

JOBS: tuple[Any, ...] = (refresh, reconcile, quarterly_review, api_audit)
