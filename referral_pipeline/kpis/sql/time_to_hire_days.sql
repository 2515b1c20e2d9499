-- time_to_hire_days: fractional days from the application to the accepted offer, among hires of all channels.
-- One row per hire with both dates. A negative duration is a data error: core.attribution has no days for it, and lists
-- it as negative_time_to_hire.
-- Variables: horizon_days, as_of.
SELECT
    'all' AS series,
    attribution.applied_at AS cohort_at,
    attribution.channel,
    job.department,
    attribution.campaign_tag AS campaign,
    attribution.advocate_id AS advocate,
    attribution.job_id AS job,
    true AS is_hit,
    attribution.applied_at + to_hours(24 * getvariable('horizon_days')) <= getvariable('as_of') AS is_mature,
    attribution.time_to_hire_days AS measure
FROM core.attribution AS attribution
LEFT JOIN staging.ats_job AS job ON job.id = attribution.job_id
WHERE attribution.status = 'hired' AND attribution.time_to_hire_days IS NOT NULL
