-- Where each bonus stands, a copy of what the ledger answers (ledger.bonuses). One row per referral, application and cycle.
-- `amount_cents` counts the currency's smallest unit, null as long as it is pending.
SELECT
    bonus_id::VARCHAR AS bonus_id,
    "key"::VARCHAR AS "key",
    system::VARCHAR AS system,
    application_id::VARCHAR AS application_id,
    referral_id::VARCHAR AS referral_id,
    advocate_id::VARCHAR AS advocate_id,
    cycle::BIGINT AS cycle,
    state::VARCHAR AS state,
    reason::VARCHAR AS reason,
    amount_cents::BIGINT AS amount_cents,
    currency::VARCHAR AS currency,
    recognised_at::TIMESTAMPTZ AS recognised_at,
    eligible_at::TIMESTAMPTZ AS eligible_at,
    reversed_at::TIMESTAMPTZ AS reversed_at,
    paid_on::DATE AS paid_on,
    export_id::BIGINT AS export_id
FROM incoming
