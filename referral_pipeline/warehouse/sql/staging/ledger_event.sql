-- Events of the inbox that are done, but shares and clicks: what came when, and what came of it. One row per event, by its
-- number in the inbox and its receipt. Bodies and subjects stay in the ledger.
SELECT
    id::BIGINT AS id,
    system::VARCHAR AS system,
    event_type::VARCHAR AS event_type,
    origin::VARCHAR AS origin,
    received_at::TIMESTAMPTZ AS received_at,
    done_at::TIMESTAMPTZ AS done_at,
    outcome::VARCHAR AS outcome
FROM incoming
