-- Every status that the bridge saw, a copy of the ledger's history.
SELECT
    system::VARCHAR AS system,
    application_id::VARCHAR AS application_id,
    status::VARCHAR AS status,
    "at"::TIMESTAMPTZ AS "at",
    source_event::VARCHAR AS source_event
FROM incoming
