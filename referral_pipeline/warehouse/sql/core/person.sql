-- One row per person, by pseudonym only. `match_methods` is sorted text: email,phone.
SELECT
    person_id,
    count(*) AS record_count,
    string_agg(DISTINCT match_method, ',' ORDER BY match_method) AS match_methods,
    min(first_seen_at) AS first_seen_at
FROM core.person_record
GROUP BY person_id
ORDER BY person_id
