-- referral_conversion_rate: hires within the horizon / applications of the advocacy cohort.
-- One row per application of the advocacy channel. An undone hire is no hire. A hire without a date of its own (no offer)
-- is placed by when the ATS recorded it, which cannot be before it happened.
-- Variables: horizon_days, as_of.
SELECT
    'all' AS series,
    attribution.applied_at AS cohort_at,
    attribution.channel,
    job.department,
    attribution.campaign_tag AS campaign,
    attribution.advocate_id AS advocate,
    attribution.job_id AS job,
    coalesce(
        attribution.status = 'hired'
        AND coalesce(attribution.hired_at, attribution.status_at)
        <= attribution.applied_at + to_hours(24 * getvariable('horizon_days')),
        false
    ) AS is_hit,
    attribution.applied_at + to_hours(24 * getvariable('horizon_days')) <= getvariable('as_of') AS is_mature,
    NULL::DOUBLE AS measure
FROM core.attribution AS attribution
LEFT JOIN staging.ats_job AS job ON job.id = attribution.job_id
WHERE attribution.channel = 'advocacy'
