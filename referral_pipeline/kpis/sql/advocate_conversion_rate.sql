-- advocate_conversion_rate: per advocate, hires within the horizon / applications credited.
-- Unit: an application and an advocate who holds part of its credit (weight above 0), once however many shares earned it.
-- The row `all` pools the advocates: an application that three share is three units there. Cohort: when the application was
-- made. Hit: as for referral_conversion_rate. Under five units nothing is said (kpis.compute).
SELECT
    'all' AS series,
    application.cohort_at, NULL::VARCHAR AS channel, NULL::VARCHAR AS department, NULL::VARCHAR AS campaign,
    credit.advocate_id AS advocate, NULL::VARCHAR AS job,
    true AS is_in_all,
    true AS is_unit,
    coalesce(application.hired_at <= application.horizon_at, false) AS is_hit,
    application.is_mature
FROM (SELECT DISTINCT application_key, advocate_id FROM core.attribution_credit WHERE weight > 0) AS credit
JOIN kpi_application AS application ON application.application_key = credit.application_key
