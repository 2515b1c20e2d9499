"""Schedules: when jobs run by themselves.

Belongs here: cron lines with their time zone. Does not belong here: what the jobs do. Concept page:
https://docs.dagster.io/guides/automate/schedules
"""

from __future__ import annotations

import dagster as dg

from referral_pipeline.orchestration.jobs import reconcile, refresh

SCHEDULES = (
    dg.ScheduleDefinition(
        name="refresh_hourly",
        job=refresh,
        cron_schedule="5 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="The whole way, every hour.",
    ),
    dg.ScheduleDefinition(
        name="reconcile_every_15_minutes",
        job=reconcile,
        cron_schedule="20,35,50 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Both systems brought level between two refreshes; the refresh does the same on the hour.",
    ),
)
