-- attribution_coverage: advocacy hires with complete attribution / advocacy hires; as a second series the same over
-- applications. What is complete is said by core.attribution (is_complete, missing).
-- Unit: a hire of the advocacy channel; for the second series an application of it. Cohort: when the application was made.
-- Whether the evidence is complete is known at once: there is nothing to wait for, and every cohort is mature.
WITH fact AS (
    SELECT
        cohort_at, channel, department, campaign, advocate, job,
        true AS is_in_all,
        true AS is_unit,
        is_complete AS is_hit,
        true AS is_mature,
        status
    FROM kpi_application
    WHERE is_advocacy
)
SELECT 'all' AS series, * EXCLUDE (status) FROM fact WHERE status = 'hired'
UNION ALL
SELECT 'applications' AS series, * EXCLUDE (status) FROM fact
