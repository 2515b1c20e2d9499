-- Stretches of an application in one canonical status, from the ATS's own stage history.
SELECT
    application_id::VARCHAR AS application_id,
    status::VARCHAR AS status,
    stage_name::VARCHAR AS stage_name,
    entered_at::TIMESTAMPTZ AS entered_at,
    exited_at::TIMESTAMPTZ AS exited_at
FROM incoming
