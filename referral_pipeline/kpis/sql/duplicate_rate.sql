-- duplicate_rate: records that resolution merged / records received; as a second series (created_by_integration) the
-- candidates that this integration created beside one that was there already / candidates that it created, which must be 0.
-- Unit: a record that came in (a referral, or a candidate of the ATS that this integration did not create: its own are not
-- received, and say nothing new of anybody); merged are all but one of each person. Of the second series: a
-- candidate that a referral was the reason to create; a hit when its person has another candidate in the ATS that is older
-- (of equal age, the one whose id is lower). For all time only: which record of a person is the one too many has no date.
-- Counted as by_period_and_segment.sql does.
-- Variables: ats_system.
WITH candidate AS (
    SELECT record.person_id, candidate.id, candidate.created_at
    FROM staging.ats_candidate AS candidate
    JOIN core.person_record AS record ON record.record_id = getvariable('ats_system') || ':' || candidate.id
),
created AS (
    SELECT DISTINCT candidate_id AS id FROM staging.link WHERE created_candidate AND candidate_id IS NOT NULL
),
oldest AS (
    SELECT person_id, arg_min(id, (created_at, id)) AS id FROM candidate GROUP BY person_id
),
counted AS (
    SELECT 'all' AS series, count(*) AS units, count(*) - count(DISTINCT record.person_id) AS hits
    FROM core.person_record AS record
    ANTI JOIN created ON record.record_id = getvariable('ats_system') || ':' || created.id
    UNION ALL
    SELECT
        'created_by_integration',
        count(*),
        count(*) FILTER (WHERE oldest.id <> created.id)
    FROM created
    LEFT JOIN candidate ON candidate.id = created.id
    LEFT JOIN oldest ON oldest.person_id = candidate.person_id
)
SELECT
    series,
    'all' AS period_kind,
    NULL::DATE AS period_start,
    CASE WHEN series = 'all' THEN 'all' ELSE 'scope' END AS segment_kind,
    series AS segment,
    units,
    hits,
    units AS mature_units,
    hits AS mature_hits,
    true AS is_all_mature
FROM counted
WHERE units > 0
