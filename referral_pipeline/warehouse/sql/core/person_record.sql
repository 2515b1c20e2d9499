-- Every resolved record with its person. `incoming` is what identity.resolve answered.
SELECT
    record_id::VARCHAR AS record_id,
    system::VARCHAR AS system,
    person_id::VARCHAR AS person_id,
    match_method::VARCHAR AS match_method,
    first_seen_at::TIMESTAMPTZ AS first_seen_at
FROM incoming
ORDER BY record_id
