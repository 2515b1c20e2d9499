-- source_of_hire_share: hires through advocates / all hires; in the segment of a channel, the hires of that channel / all.
-- Unit: an application of any channel that stands as hired, by a date within the horizon. Cohort: when it was made; mature
-- when all applications of it are. By department and period; campaign, advocate and job of a hire say its channel already.
WITH hire AS (
    SELECT
        cohort_at,
        channel,
        department,
        is_advocacy,
        coalesce(hired_at <= horizon_at, false) AS is_unit,
        is_mature
    FROM kpi_application
)
SELECT
    'all' AS series,
    cohort_at, NULL::VARCHAR AS channel, department, NULL::VARCHAR AS campaign, NULL::VARCHAR AS advocate,
    NULL::VARCHAR AS job,
    true AS is_in_all,
    is_unit,
    is_advocacy AS is_hit,
    is_mature
FROM hire
UNION ALL
SELECT 'all', cohort_at, channel.name, NULL, NULL, NULL, NULL, false, is_unit, hire.channel = channel.name, is_mature
FROM hire
CROSS JOIN (SELECT unnest(['advocacy', 'other']) AS name) AS channel
