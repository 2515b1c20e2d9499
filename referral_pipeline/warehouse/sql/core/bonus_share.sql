-- What each advocate's part of an application's bonus has come to: one row per application and advocate with credit or with a
-- bonus. All amounts are in the contract's currency, in its smallest unit.
-- `share_cents` is how today's credit divides the bonus (core.attribution_credit). Payroll is not undone by credit that moves,
-- so beside it stand `paid_cents` (payroll has it), `promised_cents` (eligible, or told as such and not answered) and
-- `open_cents`, what can be had beyond the paid, the promised included. The rule is sync.recognition_decision's:
-- - What stands already divides as the credit does: nothing more is given, whatever the contract's amount is by now.
-- - Where the contract had another currency when the last payment was promised, the bonus was of that currency, and so is
--   what may be left of it, which the ledger alone knows: in today's currency nothing is open but what was promised in it.
--   No amount is ever converted.
-- - Else what was paid is taken off the bonus, and the rest goes to those whose part is still open, by their credit.
-- Variables: currency.
WITH credit AS (
    SELECT application_key, advocate_id, sum(bonus_cents)::BIGINT AS share_cents
    FROM core.attribution_credit
    GROUP BY application_key, advocate_id
),
paid AS (
    SELECT
        system || ':' || application_id AS application_key,
        advocate_id,
        sum(amount_cents)::BIGINT AS any_cents,
        coalesce(sum(amount_cents) FILTER (WHERE currency = getvariable('currency')), 0)::BIGINT AS paid_cents
    FROM staging.ledger_payroll
    WHERE state = 'paid'
    GROUP BY ALL
),
paid_otherwise AS (
    SELECT system || ':' || application_id AS application_key
    FROM staging.ledger_payroll
    WHERE state = 'paid'
    GROUP BY ALL
    HAVING arg_max(currency, (eligible_at, "key")) <> getvariable('currency')
),
promised AS (
    SELECT
        system || ':' || application_id AS application_key,
        advocate_id,
        coalesce(sum(amount_cents), 0)::BIGINT AS any_cents,
        coalesce(sum(amount_cents) FILTER (WHERE currency = getvariable('currency')), 0)::BIGINT AS promised_cents
    FROM staging.ledger_bonus
    WHERE state IN ('pending', 'eligible')
    GROUP BY ALL
),
joined AS (
    SELECT
        application_key,
        advocate_id,
        coalesce(credit.share_cents, 0) AS share_cents,
        coalesce(paid.paid_cents, 0) AS paid_cents,
        coalesce(promised.promised_cents, 0) AS promised_cents,
        coalesce(paid.any_cents, 0) + coalesce(promised.any_cents, 0) AS standing_cents,
        -- Somebody whose only bonus was paid has nothing open, though their share may have grown since.
        CASE
            WHEN paid.any_cents > 0 AND promised.application_key IS NULL THEN 0
            ELSE greatest(0, coalesce(credit.share_cents, 0) - coalesce(paid.paid_cents, 0))
        END AS claim_cents
    FROM credit
    FULL JOIN paid USING (application_key, advocate_id)
    FULL JOIN promised USING (application_key, advocate_id)
),
summed AS (
    SELECT
        *,
        sum(standing_cents) OVER application AS all_standing,
        sum(claim_cents) OVER application AS all_claims,
        sum(claim_cents) OVER (
            application ORDER BY advocate_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS claims_so_far,
        greatest(0, sum(share_cents) OVER application - sum(paid_cents) OVER application)::HUGEINT AS left_cents,
        sum(share_cents) OVER application AS all_shares
    FROM joined
    WINDOW application AS (PARTITION BY application_key)
),
judged AS (
    SELECT
        *,
        all_standing > 0
        AND all_shares > 0
        -- within the unit that rounding hands out
        AND bool_and(
            abs(standing_cents::HUGEINT * all_shares - share_cents::HUGEINT * all_standing)
            <= greatest(all_shares, all_standing)
        ) OVER (PARTITION BY application_key) AS stands_as_credited
    FROM summed
)
SELECT
    application_key,
    advocate_id,
    share_cents,
    paid_cents,
    promised_cents,
    CASE
        WHEN stands_as_credited OR paid_otherwise.application_key IS NOT NULL THEN promised_cents
        WHEN all_claims = 0 THEN 0
        -- in whole units whose sum is what is left
        ELSE left_cents * claims_so_far // all_claims - left_cents * (claims_so_far - claim_cents) // all_claims
    END::BIGINT AS open_cents
FROM judged
LEFT JOIN paid_otherwise USING (application_key)
ORDER BY application_key, advocate_id
