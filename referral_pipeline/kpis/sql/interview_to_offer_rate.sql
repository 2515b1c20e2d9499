-- interview_to_offer_rate: interviewed applications that also had an offer / interviewed applications.
-- Unit: an application of the advocacy channel that was interviewed within the horizon; those of other channels count in
-- the segment of their channel only. Cohort: when the application was made. Hit: an offer within the horizon too.
-- A cohort is mature when all its applications are: an interview may still come for one that had none.
SELECT
    'all' AS series,
    cohort_at, channel, department, campaign, advocate, job,
    is_advocacy AS is_in_all,
    coalesce(interviewed_at <= horizon_at, false) AS is_unit,
    coalesce(offered_at <= horizon_at, false) AS is_hit,
    is_mature
FROM kpi_application
