-- Every resolved record with its person, from what identity.population keeps.
SELECT
    record_id,
    split_part(record_id, ':', 1) AS system,
    person_id,
    match_method,
    first_seen_at
FROM staging.person_state
ORDER BY record_id
