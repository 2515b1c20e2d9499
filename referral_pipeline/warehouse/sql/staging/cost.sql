-- Costs of hiring as the files state them, one row per line that could be read. `incoming` is what connectors.costs read.
-- Amounts count the smallest unit of their currency; `reporting_cents` is the amount converted once, at the stated rate.
-- `basis` says how a shared cost is divided: hires, applications, even, or share (`advocacy_millionths` of it).
SELECT
    file::VARCHAR AS file,
    line::BIGINT AS line,
    period::VARCHAR AS period,
    first_month::DATE AS first_month,
    months::BIGINT AS months,
    channel::VARCHAR AS channel,
    kind::VARCHAR AS kind,
    amount_cents::BIGINT AS amount_cents,
    currency::VARCHAR AS currency,
    reporting_cents::BIGINT AS reporting_cents,
    reporting_currency::VARCHAR AS reporting_currency,
    rate::VARCHAR AS rate,
    allocation_key::VARCHAR AS allocation_key,
    basis::VARCHAR AS basis,
    advocacy_millionths::BIGINT AS advocacy_millionths,
    note::VARCHAR AS note
FROM incoming
ORDER BY file, line
