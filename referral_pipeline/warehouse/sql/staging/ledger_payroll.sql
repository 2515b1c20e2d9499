-- What was handed to payroll, a copy of the ledger's entries. One row per export and bonus; `state` is paid or returned.
SELECT
    export_id::BIGINT AS export_id,
    "key"::VARCHAR AS "key",
    referral_id::VARCHAR AS referral_id,
    advocate_id::VARCHAR AS advocate_id,
    system::VARCHAR AS system,
    application_id::VARCHAR AS application_id,
    amount_cents::BIGINT AS amount_cents,
    currency::VARCHAR AS currency,
    eligible_at::TIMESTAMPTZ AS eligible_at,
    state::VARCHAR AS state,
    settled_at::TIMESTAMPTZ AS settled_at,
    export_state::VARCHAR AS export_state,
    pay_on::DATE AS pay_on
FROM incoming
