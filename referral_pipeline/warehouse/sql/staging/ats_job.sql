-- Requisitions. One row per job.
SELECT
    id::VARCHAR AS id,
    title::VARCHAR AS title,
    status::VARCHAR AS status,
    department::VARCHAR AS department,
    location::VARCHAR AS location,
    url::VARCHAR AS url,
    opened_at::TIMESTAMPTZ AS opened_at,
    closed_at::TIMESTAMPTZ AS closed_at,
    updated_at::TIMESTAMPTZ AS updated_at
FROM incoming
