-- What came of each advocate's referrals: one row per advocate of the platform, by id. An application counts for each
-- advocate who holds part of its credit (weight above 0), once however many shares earned it, as in
-- advocate_conversion_rate. It reached a stage when it was ever in it; an undone hire is no hire.
-- `mature_applications` are as old as the horizon, `mature_hires` those of them that were hired within it, as in
-- referral_conversion_rate: what is younger may still become a hire, and must not be read as a failure.
-- Parameters: horizon_days, as_of.
WITH reached AS (
    SELECT
        credit.advocate_id,
        attribution.status = 'hired' AS is_hired,
        attribution.interviewed_at IS NOT NULL OR coalesce(history.was_interviewed, false) AS was_interviewed,
        attribution.offered_at IS NOT NULL OR coalesce(history.was_offered, false) AS was_offered,
        attribution.applied_at + to_hours(24 * $horizon_days::BIGINT) <= $as_of::TIMESTAMPTZ AS is_mature,
        coalesce(
            attribution.status = 'hired'
            AND coalesce(attribution.hired_at, attribution.status_at)
            <= attribution.applied_at + to_hours(24 * $horizon_days::BIGINT),
            false
        ) AS is_hit
    FROM (SELECT DISTINCT application_key, advocate_id FROM core.attribution_credit WHERE weight > 0) AS credit
    JOIN core.attribution AS attribution ON attribution.application_key = credit.application_key
    LEFT JOIN (
        SELECT
            application_key,
            bool_or(status = 'interviewed') AS was_interviewed,
            bool_or(status = 'offered') AS was_offered
        FROM core.status_history
        GROUP BY application_key
    ) AS history ON history.application_key = attribution.application_key
)
SELECT
    advocate.id AS advocate_id,
    count(reached.advocate_id) AS applications,
    count(*) FILTER (WHERE reached.was_interviewed) AS interviews,
    count(*) FILTER (WHERE reached.was_offered) AS offers,
    count(*) FILTER (WHERE reached.is_hired) AS hires,
    count(*) FILTER (WHERE reached.is_mature) AS mature_applications,
    count(*) FILTER (WHERE reached.is_mature AND reached.is_hit) AS mature_hires
FROM staging.advocate AS advocate
LEFT JOIN reached ON reached.advocate_id = advocate.id
GROUP BY advocate.id
ORDER BY advocate.id
