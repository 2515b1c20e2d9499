-- Clicks on shares. One row per click; a click names no person.
SELECT
    id::VARCHAR AS id,
    share_id::VARCHAR AS share_id,
    visitor_id::VARCHAR AS visitor_id,
    clicked_at::TIMESTAMPTZ AS clicked_at,
    updated_at::TIMESTAMPTZ AS updated_at
FROM incoming
