"""Schedules: when jobs run by themselves.

Belongs here: cron lines with their time zone. Does not belong here: what the jobs do. Concept page:
https://docs.dagster.io/guides/automate/schedules
"""

from __future__ import annotations

import dagster as dg

from referral_pipeline.orchestration.jobs import api_audit, monthly_audit, quarterly_review, reconcile, refresh
from referral_pipeline.orchestration.pruning import PRUNE_DAILY

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
        cron_schedule="*/15 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="What webhooks missed on either side enters the inbox; how much that was is a health figure.",
    ),
    dg.ScheduleDefinition(
        name="quarterly_review_on_the_fifth",
        job=quarterly_review,
        cron_schedule="0 6 5 1,4,7,10 *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="The edition of the quarter that is over, five days into the next one.",
    ),
    dg.ScheduleDefinition(
        name="monthly_audit_on_the_second",
        job=monthly_audit,
        cron_schedule="0 5 2 * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="The field accuracy audit, each month; `referral-pipeline audit run` makes one at any time.",
    ),
    dg.ScheduleDefinition(
        name="api_audit_on_mondays",
        job=api_audit,
        cron_schedule="30 4 * * 1",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="What the APIs can do, each week; `referral-pipeline audit-api` asks at any time.",
    ),
    PRUNE_DAILY,
)
