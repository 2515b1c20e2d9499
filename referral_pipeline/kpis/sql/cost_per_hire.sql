-- cost_per_hire: what a channel cost in a period, external and internal, over the hires of the period (ANSI/SHRM 06001,
-- ISO 30407). A cost belongs to its month, and a hire to the month of its hired_at (UTC): here, unlike in the cohort KPIs,
-- the period is that of the hire. A hire without a date of its own counts in the month in which the ATS last changed it, as
-- in the KPIs of applications (application.sql); mart.data_quality tells how many there are.
-- One row per period and segment. Segments: advocacy, other, and all, which has the costs of a month only when both
-- channels have costs on record in it. The period `all` takes the months that are over and have costs on record, and the
-- hires of exactly those months.
-- There is no interval: costs and hires of a period are counted in full, nothing is drawn from a larger number of them.
-- Maturity: insufficient without costs on record, without hires, or when more money came back than was spent; immature
-- while the period is not over, or has costs on record for only a part of its months; mature otherwise.
-- `is_complete` says of costs and hires alone that the period is over and no month of it lacks costs.
-- Variables: as_of. Reads mart.cost and core.attribution.
WITH cost AS (
    SELECT month, channel, sum(amount_cents)::BIGINT AS cents
    FROM mart.cost
    GROUP BY month, channel
),
hire AS (
    SELECT date_trunc('month', coalesce(hired_at, status_at))::DATE AS month, channel, count(*) AS hires
    FROM core.attribution
    WHERE status = 'hired'
    GROUP BY ALL
),
by_channel AS (
    SELECT month, channel AS segment, cost.cents, coalesce(hire.hires, 0) AS hires
    FROM cost
    FULL JOIN hire USING (month, channel)
),
by_month AS (
    SELECT
        *,
        date_trunc('quarter', month)::DATE AS quarter,
        (month + INTERVAL 1 MONTH)::TIMESTAMPTZ <= getvariable('as_of') AS is_over
    FROM (
        SELECT * FROM by_channel
        UNION ALL
        SELECT month, 'all', CASE WHEN count(cents) = 2 THEN sum(cents) END, sum(hires) FROM by_channel GROUP BY month
    )
    WHERE month::TIMESTAMPTZ <= getvariable('as_of')
),
counted AS (
    SELECT
        'month' AS period_kind, month AS period_start, segment, cents, hires,
        (cents IS NOT NULL)::INTEGER AS months, 1 AS months_wanted, is_over
    FROM by_month
    UNION ALL
    SELECT
        'quarter', quarter, segment, sum(cents), sum(hires), count(cents), 3,
        (quarter + INTERVAL 3 MONTH)::TIMESTAMPTZ <= getvariable('as_of')
    FROM by_month
    GROUP BY quarter, segment
    UNION ALL
    -- A row for each segment, also when nothing was counted: that is not the same as not having looked.
    SELECT
        'all', NULL, wanted.segment,
        sum(cents) FILTER (WHERE is_over),
        coalesce(sum(hires) FILTER (WHERE is_over AND cents IS NOT NULL), 0),
        count(cents) FILTER (WHERE is_over),
        greatest(count(cents) FILTER (WHERE is_over), 1),
        true
    FROM (VALUES ('all'), ('advocacy'), ('other')) AS wanted(segment)
    LEFT JOIN by_month ON by_month.segment = wanted.segment
    GROUP BY wanted.segment
),
begun AS (
    -- Costs of a month that is not over are on record, and cannot count yet: the period `all` is then immature.
    SELECT segment, count(cents) AS months FROM by_month WHERE NOT is_over GROUP BY segment
)
SELECT
    counted.period_kind,
    counted.period_start,
    CASE WHEN counted.segment = 'all' THEN 'all' ELSE 'channel' END AS segment_kind,
    counted.segment,
    counted.cents::BIGINT AS cents,
    counted.hires::BIGINT AS hires,
    counted.months = counted.months_wanted AND counted.is_over AS is_complete,
    CASE
        WHEN counted.period_kind = 'all' AND counted.months = 0 AND begun.months > 0 THEN 'immature'
        WHEN counted.months = 0 OR counted.hires = 0 THEN 'insufficient'
        WHEN counted.months < counted.months_wanted OR NOT counted.is_over THEN 'immature'
        WHEN counted.cents < 0 THEN 'insufficient'
        ELSE 'mature'
    END AS maturity
FROM counted
LEFT JOIN begun ON begun.segment = counted.segment
ORDER BY period_kind, period_start, segment_kind, segment
