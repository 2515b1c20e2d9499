-- What advocates share. One row per piece of content.
SELECT
    id::VARCHAR AS id,
    title::VARCHAR AS title,
    campaign_tag::VARCHAR AS campaign_tag,
    job_id::VARCHAR AS job_id,
    published_at::TIMESTAMPTZ AS published_at,
    updated_at::TIMESTAMPTZ AS updated_at
FROM incoming
