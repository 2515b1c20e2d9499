-- The owner's decisions on credit that are in force, a copy of the ledger's. One row per application. Who decided, and why,
-- stays in the ledger: it is free text of a person about people.
SELECT
    id::BIGINT AS id,
    application_key::VARCHAR AS application_key,
    referral_id::VARCHAR AS referral_id,
    decided_at::TIMESTAMPTZ AS decided_at
FROM incoming
