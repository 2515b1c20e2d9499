-- Pairs of persons that share evidence and were not joined, from what identity.population keeps.
-- `score` is a match probability: null until a pair has been scored, which rules alone cannot do.
-- `state` is open, or distinct when a person has said that these are two people.
SELECT
    left_person_id,
    right_person_id,
    NULL::DOUBLE AS score,
    evidence,
    CASE WHEN is_decided THEN 'distinct' ELSE 'open' END AS state
FROM staging.person_review
ORDER BY left_person_id, right_person_id
