-- time_to_hire_days: fractional days from the application to the accepted offer, among hires of all channels: median,
-- quartiles and 90th percentile. time_to_hire_difference_days: the median of the advocacy channel minus that of the others.
-- One row per hire with both dates (`is_over`, with its days as `measure`) and per application that is not mature (of which
-- `measure` says nothing unless it is over): a cohort is mature when none of those is in it. A negative duration is a data
-- error: core.attribution has no days for it, and lists it as negative_time_to_hire.
-- `is_counted`: of a mature application. Of younger ones only the quick hires are over: counted too, a channel that grows
-- would seem quicker for that alone. `is_comparable`: and within the horizon, which every counted application has had; of an
-- older one a slow hire is known that a younger one cannot have yet, so that of two channels the older would seem slower.
-- Variables: horizon_days.
SELECT
    cohort_at, channel, department, campaign, advocate, job,
    is_advocacy,
    is_mature,
    status = 'hired' AND time_to_hire_days IS NOT NULL AS is_over,
    is_over AND is_mature AS is_counted,
    is_counted AND time_to_hire_days <= getvariable('horizon_days') AS is_comparable,
    CASE WHEN is_over THEN time_to_hire_days ELSE -1 END AS measure
FROM kpi_application
WHERE NOT is_mature OR (status = 'hired' AND time_to_hire_days IS NOT NULL)
ORDER BY measure
