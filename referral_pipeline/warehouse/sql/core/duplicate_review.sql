-- Pairs of persons that share evidence and were not joined. `incoming` is what identity.resolve answered.
-- `score` is a match probability: null until a pair has been scored, which rules alone cannot do.
SELECT
    left_person_id::VARCHAR AS left_person_id,
    right_person_id::VARCHAR AS right_person_id,
    score::DOUBLE AS score,
    evidence::VARCHAR AS evidence,
    state::VARCHAR AS state
FROM incoming
ORDER BY left_person_id, right_person_id
