-- time_to_hire_days: fractional days from the application to the accepted offer, among hires of all channels: median,
-- quartiles and 90th percentile. time_to_hire_difference_days: the median of the advocacy channel minus that of the others.
-- One row per hire with both dates. A negative duration is a data error: core.attribution has no days for it, and lists
-- it as negative_time_to_hire.
SELECT
    cohort_at, channel, department, campaign, advocate, job,
    is_advocacy,
    is_mature,
    time_to_hire_days AS measure
FROM kpi_application
WHERE status = 'hired' AND time_to_hire_days IS NOT NULL
ORDER BY measure
