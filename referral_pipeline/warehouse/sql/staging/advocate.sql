-- Employees who may refer. One row per advocate. Personal data: email.
SELECT
    id::VARCHAR AS id,
    email::VARCHAR AS email,
    department::VARCHAR AS department,
    eligible::BOOLEAN AS eligible,
    joined_at::TIMESTAMPTZ AS joined_at,
    left_at::TIMESTAMPTZ AS left_at,
    updated_at::TIMESTAMPTZ AS updated_at
FROM incoming
