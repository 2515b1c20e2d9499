-- Every application with what the KPIs of applications read: its segments, and when it reached what. One row each; the
-- files of those KPIs read it as kpi_application.
-- Ever interviewed or offered: by its own date, or by a stretch in that status, whichever is earlier (mart.funnel counts
-- the same ones). Stages may be skipped. An undone hire is no hire. A hire without a date of its own (no offer) is placed
-- by when the ATS last changed it, which cannot be before it happened, and moves when somebody edits it later.
-- Mature: at least the horizon old at as_of. The horizon is that many times 24 hours, whatever the clocks do.
-- Variables: horizon_days, as_of.
SELECT
    attribution.application_key,
    attribution.applied_at AS cohort_at,
    attribution.channel,
    job.department,
    attribution.campaign_tag AS campaign,
    attribution.advocate_id AS advocate,
    attribution.job_id AS job,
    attribution.channel = 'advocacy' AS is_advocacy,
    attribution.status,
    attribution.status_at,
    least(attribution.interviewed_at, history.interviewed_at) AS interviewed_at,
    least(attribution.offered_at, history.offered_at) AS offered_at,
    CASE WHEN attribution.status = 'hired' THEN coalesce(attribution.hired_at, attribution.status_at) END AS hired_at,
    attribution.rejected_at,
    attribution.time_to_hire_days,
    contains(attribution.missing, 'negative_time_to_hire') AS has_negative_duration,
    attribution.is_complete,
    attribution.applied_at + to_hours(24 * getvariable('horizon_days')) AS horizon_at,
    coalesce(attribution.applied_at + to_hours(24 * getvariable('horizon_days')) <= getvariable('as_of'), false)
        AS is_mature
FROM core.attribution AS attribution
LEFT JOIN staging.ats_job AS job ON job.id = attribution.job_id
LEFT JOIN (
    SELECT
        application_key,
        min(valid_from) FILTER (WHERE status = 'interviewed') AS interviewed_at,
        min(valid_from) FILTER (WHERE status = 'offered') AS offered_at
    FROM core.status_history
    WHERE status IN ('interviewed', 'offered')
    GROUP BY application_key
) AS history ON history.application_key = attribution.application_key
