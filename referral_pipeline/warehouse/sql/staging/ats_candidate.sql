-- Candidates of the ATS. One row per candidate. Personal data: name.
SELECT
    id::VARCHAR AS id,
    first_name::VARCHAR AS first_name,
    last_name::VARCHAR AS last_name,
    created_at::TIMESTAMPTZ AS created_at,
    updated_at::TIMESTAMPTZ AS updated_at
FROM incoming
