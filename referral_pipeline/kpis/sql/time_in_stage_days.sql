-- time_in_stage_days: how long an application stays in a canonical status: the Kaplan-Meier median, by status and pooled.
-- One row per stretch in core.status_history: `measure` fractional days; `ended` 1 when it went on, 0 when it is still there
-- (censored at as_of). The terminal statuses (hired, rejected, withdrawn) are no stay. Cohort: when the application was
-- made.
-- Variables: as_of.
SELECT
    application.cohort_at,
    history.status AS scope,
    (epoch_us(least(history.valid_to, getvariable('as_of'))) - epoch_us(history.valid_from)) / 86400e6 AS measure,
    coalesce(history.valid_to <= getvariable('as_of'), false)::TINYINT AS ended
FROM core.status_history AS history
JOIN kpi_application AS application ON application.application_key = history.application_key
WHERE history.status NOT IN ('hired', 'rejected', 'withdrawn') AND history.valid_from <= getvariable('as_of')
