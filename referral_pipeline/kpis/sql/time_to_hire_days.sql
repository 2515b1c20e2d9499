-- time_to_hire_days: fractional days from the application to the accepted offer, among hires of all channels: median,
-- quartiles and 90th percentile. time_to_hire_difference_days: the median of the advocacy channel minus that of the others.
-- One row per application. `is_over`: hired, with both dates; `measure` is its days then, and -1 otherwise. A negative
-- duration is a data error: core.attribution has no days for it, and lists it as negative_time_to_hire.
-- `is_counted`: of a mature application, and within the horizon. Of younger ones only the quick hires are over, and an old
-- one has had more time for a slow hire than the others: counted whole, a channel that grows would seem quicker, and one
-- that is old slower, for that alone.
-- Variables: horizon_days.
SELECT
    cohort_at, channel, department, campaign, advocate, job,
    is_advocacy,
    is_mature,
    status = 'hired' AND time_to_hire_days IS NOT NULL AS is_over,
    is_over AND is_mature AND time_to_hire_days <= getvariable('horizon_days') AS is_counted,
    CASE WHEN is_over THEN time_to_hire_days ELSE -1 END AS measure
FROM kpi_application
ORDER BY measure
