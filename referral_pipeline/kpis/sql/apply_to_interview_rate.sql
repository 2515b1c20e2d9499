-- apply_to_interview_rate: applications that were interviewed within the horizon / applications.
-- Unit: an application of the advocacy channel; those of other channels count in the segment of their channel only.
-- Cohort: when it was made. Hit: it ever was interviewed, within the horizon, whatever came of it.
SELECT
    'all' AS series,
    cohort_at, channel, department, campaign, advocate, job,
    is_advocacy AS is_in_all,
    true AS is_unit,
    coalesce(interviewed_at <= horizon_at, false) AS is_hit,
    is_mature
FROM kpi_application
