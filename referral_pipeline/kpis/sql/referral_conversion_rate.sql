-- referral_conversion_rate: hires within the horizon / applications of the advocacy cohort.
-- Unit: an application of the advocacy channel; those of other channels count in the segment of their channel only, so
-- that the two can be compared. Cohort: when it was made. Hit: it stands as hired, by a date within the horizon.
SELECT
    'all' AS series,
    cohort_at, channel, department, campaign, advocate, job,
    is_advocacy AS is_in_all,
    true AS is_unit,
    coalesce(hired_at <= horizon_at, false) AS is_hit,
    is_mature
FROM kpi_application
