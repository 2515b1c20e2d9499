-- advocate_participation_rate: eligible advocates with at least one share or referral in the period / advocates eligible
-- at any time in it.
-- Unit: an advocate who had joined before the period's end and not left before its start, and whom the platform calls
-- eligible; who left is no longer eligible for that alone, so of them the day on which they left tells until when they
-- were. Who joined after they left has come back: they are there from joined_at on (of the first stay nothing is known).
-- Hit: they shared or referred in the period; a referral that is only clicked is nobody's act. The period is that of
-- the act, not of a cohort, and immature until it is over. All time runs from the first act to as_of. Segments: the
-- advocate's own department.
-- Counted as by_period_and_segment.sql does.
-- Variables: as_of.
WITH advocate AS (
    SELECT id, department, joined_at, CASE WHEN joined_at > left_at THEN NULL ELSE left_at END AS until
    FROM staging.advocate
    -- by the present clock: who left after as_of was still eligible then
    WHERE eligible OR until <= current_timestamp
),
act AS (
    SELECT advocate_id, shared_at AS acted_at FROM staging.share
    UNION ALL
    SELECT advocate_id, coalesce(submitted_at, applied_at) FROM staging.referral WHERE stage <> 'clicked'
),
known AS (
    SELECT act.advocate_id, act.acted_at
    FROM act
    JOIN advocate ON advocate.id = act.advocate_id
    WHERE act.acted_at <= getvariable('as_of')
),
span AS (
    SELECT min(acted_at) AS first_at FROM known HAVING count(*) > 0
),
period AS (
    SELECT 'all' AS period_kind, NULL::DATE AS period_start, first_at AS starts_at, getvariable('as_of') AS ends_at
    FROM span
    UNION ALL
    SELECT kind, start::DATE, start, start + length
    FROM (
        SELECT
            'month' AS kind,
            unnest(generate_series(date_trunc('month', first_at), getvariable('as_of'), INTERVAL 1 MONTH)) AS start,
            INTERVAL 1 MONTH AS length
        FROM span
        UNION ALL
        SELECT
            'quarter',
            unnest(generate_series(date_trunc('quarter', first_at), getvariable('as_of'), INTERVAL 3 MONTH)),
            INTERVAL 3 MONTH
        FROM span
    )
),
active AS (
    SELECT DISTINCT 'all' AS period_kind, NULL::DATE AS period_start, advocate_id FROM known
    UNION ALL
    SELECT DISTINCT 'month', date_trunc('month', acted_at)::DATE, advocate_id FROM known
    UNION ALL
    SELECT DISTINCT 'quarter', date_trunc('quarter', acted_at)::DATE, advocate_id FROM known
),
counted AS (
    SELECT
        period.period_kind,
        period.period_start,
        period.ends_at <= getvariable('as_of') AS is_over,
        advocate.department,
        count(*) AS units,
        count(active.advocate_id) AS hits
    FROM period
    JOIN advocate
        ON coalesce(advocate.joined_at < period.ends_at, true) AND coalesce(advocate.until >= period.starts_at, true)
    LEFT JOIN active
        ON active.advocate_id = advocate.id
        AND active.period_kind = period.period_kind
        AND active.period_start IS NOT DISTINCT FROM period.period_start
    GROUP BY ALL
)
SELECT
    'all' AS series,
    period_kind,
    period_start,
    CASE WHEN grouping(department) = 0 THEN 'department' ELSE 'all' END AS segment_kind,
    CASE WHEN grouping(department) = 0 THEN department ELSE 'all' END AS segment,
    sum(units)::BIGINT AS units,
    sum(hits)::BIGINT AS hits,
    coalesce(sum(units) FILTER (WHERE is_over), 0)::BIGINT AS mature_units,
    coalesce(sum(hits) FILTER (WHERE is_over), 0)::BIGINT AS mature_hits,
    is_over AS is_all_mature
FROM counted
GROUP BY GROUPING SETS ((period_kind, period_start, is_over), (period_kind, period_start, is_over, department))
HAVING grouping(department) = 1 OR department IS NOT NULL
