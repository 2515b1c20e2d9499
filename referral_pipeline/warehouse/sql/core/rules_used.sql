-- The contract's rules by which the tables of attribution and bonus were made last: one row. Whoever explains or judges these
-- tables reads the rules here; the contract may have changed since.
-- Variables: attribution_model, lookback_days, tie, bonus_cents, currency, bonus_split, waiting_days, pay_rehires.
SELECT
    getvariable('attribution_model')::VARCHAR AS attribution_model,
    getvariable('lookback_days')::INTEGER AS lookback_days,
    getvariable('tie')::VARCHAR AS tie,
    getvariable('bonus_cents')::BIGINT AS bonus_cents,
    getvariable('currency')::VARCHAR AS currency,
    getvariable('bonus_split')::VARCHAR AS bonus_split,
    getvariable('waiting_days')::INTEGER AS waiting_days,
    getvariable('pay_rehires')::BOOLEAN AS pay_rehires
