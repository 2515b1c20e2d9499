-- The current offer of each application. One row per offer.
SELECT
    id::VARCHAR AS id,
    application_id::VARCHAR AS application_id,
    status::VARCHAR AS status,
    sent_on::DATE AS sent_on,
    resolved_at::TIMESTAMPTZ AS resolved_at,
    starts_on::DATE AS starts_on,
    updated_at::TIMESTAMPTZ AS updated_at
FROM incoming
