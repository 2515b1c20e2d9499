-- Acts of sharing. One row per share.
SELECT
    id::VARCHAR AS id,
    advocate_id::VARCHAR AS advocate_id,
    content_id::VARCHAR AS content_id,
    job_id::VARCHAR AS job_id,
    channel::VARCHAR AS channel,
    shared_at::TIMESTAMPTZ AS shared_at,
    reach::BIGINT AS reach,
    updated_at::TIMESTAMPTZ AS updated_at
FROM incoming
