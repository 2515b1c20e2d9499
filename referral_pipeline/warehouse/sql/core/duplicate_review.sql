-- Pairs of persons that may be one and were not joined: those that share evidence by the rules (staging.person_review),
-- and those that are probably one (staging.probable_pair, of the last scoring; its records may have new persons since).
-- `score` is a match probability, null until a pair has been scored. `evidence` says in words what is alike and what is
-- not, without a value. `proposed_action` is merge, look or distinct: a proposal, nothing is merged by probability.
-- `state` is open, or distinct when a person has said that these are two people.
WITH decided AS (
    SELECT DISTINCT
        least(l.person_id, r.person_id) AS left_person_id,
        greatest(l.person_id, r.person_id) AS right_person_id
    FROM staging.person_link AS link
    JOIN staging.person_state AS l ON l.record_id = link.left_id
    JOIN staging.person_state AS r ON r.record_id = link.right_id
    WHERE link.kind = 'cannot'
),
probable AS (
    SELECT
        least(l.person_id, r.person_id) AS left_person_id,
        greatest(l.person_id, r.person_id) AS right_person_id,
        max(pair.probability) AS score,
        arg_max(pair.evidence, (pair.probability, pair.evidence)) AS evidence,
        arg_max(pair.proposed_action, (pair.probability, pair.evidence)) AS proposed_action
    FROM staging.probable_pair AS pair
    JOIN staging.person_state AS l ON l.record_id = pair.left_record
    JOIN staging.person_state AS r ON r.record_id = pair.right_record
    WHERE l.person_id <> r.person_id
    GROUP BY ALL
)
SELECT
    coalesce(rule.left_person_id, probable.left_person_id) AS left_person_id,
    coalesce(rule.right_person_id, probable.right_person_id) AS right_person_id,
    probable.score,
    concat_ws('; ', rule.evidence, probable.evidence) AS evidence,
    CASE
        WHEN decided.left_person_id IS NOT NULL THEN NULL
        WHEN probable.score < 0.1 THEN 'distinct'
        ELSE coalesce(probable.proposed_action, 'look')
    END AS proposed_action,
    CASE WHEN decided.left_person_id IS NULL THEN 'open' ELSE 'distinct' END AS state
FROM staging.person_review AS rule
FULL JOIN probable
    ON probable.left_person_id = rule.left_person_id AND probable.right_person_id = rule.right_person_id
LEFT JOIN decided
    ON decided.left_person_id = coalesce(rule.left_person_id, probable.left_person_id)
    AND decided.right_person_id = coalesce(rule.right_person_id, probable.right_person_id)
ORDER BY score DESC NULLS LAST, left_person_id, right_person_id
