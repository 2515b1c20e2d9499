-- What each of the five models would give, beside what is paid. One row per application, advocate and share that a model or
-- an override credits. Each model's weights sum to exactly 1 over an application, or are all 0 where no touch counts (an
-- override may credit one that no model does). `pays` names the model whose column is `paid`, or says override.
-- Variables: attribution_model; part and parts (of the applications).
WITH given AS (
    SELECT
        application_key,
        advocate_id,
        share_id,
        first_touch,
        last_touch,
        linear,
        time_decay,
        position_based
    FROM core.attribution_touch
    WHERE verdict = 'counts' AND hash(application_key) % getvariable('parts') = getvariable('part')
    UNION ALL BY NAME
    SELECT application_key, advocate_id, share_id, weight AS paid
    FROM core.attribution_credit
    WHERE weight > 0 AND hash(application_key) % getvariable('parts') = getvariable('part')
),
summed AS (
    SELECT
        application_key,
        advocate_id,
        share_id,
        coalesce(sum(first_touch), 0)::DECIMAL(18, 12) AS first_touch,
        coalesce(sum(last_touch), 0)::DECIMAL(18, 12) AS last_touch,
        coalesce(sum(linear), 0)::DECIMAL(18, 12) AS linear,
        coalesce(sum(time_decay), 0)::DECIMAL(18, 12) AS time_decay,
        coalesce(sum(position_based), 0)::DECIMAL(18, 12) AS position_based,
        coalesce(sum(paid), 0)::DECIMAL(18, 12) AS paid
    FROM given
    GROUP BY application_key, advocate_id, share_id
)
SELECT
    summed.*,
    CASE
        WHEN override.application_key IS NULL THEN getvariable('attribution_model')::VARCHAR
        ELSE 'override'
    END AS pays
FROM summed
LEFT JOIN staging.ledger_override AS override ON override.application_key = summed.application_key
ORDER BY summed.application_key, advocate_id, share_id
