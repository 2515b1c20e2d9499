-- attribution_coverage: advocacy hires with complete attribution / advocacy hires; as a second series the same over
-- applications. What is complete is said by core.attribution (is_complete, missing).
-- One row per hire of the advocacy channel, and one per application.
WITH fact AS (
    SELECT
        attribution.applied_at AS cohort_at,
        attribution.channel,
        job.department,
        attribution.campaign_tag AS campaign,
        attribution.advocate_id AS advocate,
        attribution.job_id AS job,
        attribution.is_complete AS is_hit,
        true AS is_mature,
        NULL::DOUBLE AS measure,
        attribution.status
    FROM core.attribution AS attribution
    LEFT JOIN staging.ats_job AS job ON job.id = attribution.job_id
    WHERE attribution.channel = 'advocacy'
)
SELECT 'all' AS series, * EXCLUDE (status) FROM fact WHERE status = 'hired'
UNION ALL
SELECT 'applications' AS series, * EXCLUDE (status) FROM fact
