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
_FILES = dg.AssetSelection.assets("costs", "manual_intake")  # of no system that is brought level
_HEALTH = dg.AssetSelection.assets("integration_health", "api_schema_drift")
_EDITION = dg.AssetSelection.assets("quarterly_edition")
_FIELD_AUDIT = dg.AssetSelection.assets("field_accuracy_audit")  # reads both systems: a month is often enough
_API_AUDIT = dg.AssetSelection.assets("api_capability")  # asks both systems: a week is often enough

refresh = dg.define_asset_job(
    name="refresh",
    selection=dg.AssetSelection.all() - _RECONCILIATION - _EDITION - _FIELD_AUDIT - _API_AUDIT,
    description="The whole way: pull both systems, write candidates, return statuses, publish jobs, rebuild "
    "attribution and KPIs, check them, publish.",
    config=_QUIET,
    tags={"owner": "talent-operations"},
)

reconcile = dg.define_asset_job(
    name="reconcile",
    selection=(dg.AssetSelection.groups("ingest") - _FILES) | _RECONCILIATION | _HEALTH,
    description="Both systems brought level: pull what changed, and put what webhooks missed in the inbox. The lane "
    "works it off; without a lane this run does. Health is measured, and changes of the APIs are told. No analytics.",
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

monthly_audit = dg.define_asset_job(
    name="monthly_audit",
    selection=_FIELD_AUDIT,
    description="The field accuracy audit: a sample of records, read again from both systems and compared. It calls "
    "both systems within their rate limits, and writes to neither.",
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

JOBS: tuple[Any, ...] = (refresh, reconcile, quarterly_review, monthly_audit, api_audit)
