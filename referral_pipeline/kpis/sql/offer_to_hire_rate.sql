-- offer_to_hire_rate: applications with an offer that were hired / applications with an offer.
-- Unit: an application of the advocacy channel that had an offer within the horizon; those of other channels count in the
-- segment of their channel only. Cohort: when the application was made. Hit: it stands as hired, by a date within the
-- horizon. A hire without an offer is no unit here. A cohort is mature when all its applications are.
SELECT
    'all' AS series,
    cohort_at, channel, department, campaign, advocate, job,
    is_advocacy AS is_in_all,
    coalesce(offered_at <= horizon_at, false) AS is_unit,
    coalesce(hired_at <= horizon_at, false) AS is_hit,
    is_mature
FROM kpi_application
