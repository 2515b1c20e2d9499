-- hire_probability_by_day: the probability that an application is hired within the horizon, and by each day (the curve in
-- mart.time_to_hire_curve), of all channels. Aalen-Johansen: rejection and withdrawal compete, and applications that are
-- open are censored at as_of.
-- One row per application: `measure` fractional days from the application to its end or to as_of; `ended` 0 open, 1 hired,
-- 2 rejected or withdrawn. A hire without a date of its own is placed by when the ATS recorded it, a rejection without a
-- sensible one likewise, and where that is before the application too (it was entered later than it was decided) on the day
-- of the application; what came after as_of was open then. Left out: a hire without any date or before its application (a
-- negative duration is a data error and never averaged in), an end without any date, and applications without a date or
-- after as_of.
-- Variables: as_of.
WITH ended AS (
    SELECT
        *,
        status IN ('hired', 'rejected', 'withdrawn') AS is_ended,
        CASE
            WHEN status = 'hired' THEN hired_at
            WHEN rejected_at >= cohort_at THEN rejected_at
            WHEN coalesce(status_at, rejected_at) IS NOT NULL THEN greatest(coalesce(status_at, rejected_at), cohort_at)
        END AS end_at
    FROM kpi_application
    WHERE cohort_at <= getvariable('as_of') AND NOT has_negative_duration
)
SELECT
    cohort_at, channel, department,
    is_mature,
    (epoch_us(CASE WHEN is_ended THEN least(end_at, getvariable('as_of')) ELSE getvariable('as_of') END)
    - epoch_us(cohort_at)) / 86400e6 AS measure,
    CASE WHEN NOT is_ended OR end_at > getvariable('as_of') THEN 0 WHEN status = 'hired' THEN 1 ELSE 2 END::TINYINT
        AS ended
FROM ended
WHERE NOT is_ended OR end_at >= cohort_at
