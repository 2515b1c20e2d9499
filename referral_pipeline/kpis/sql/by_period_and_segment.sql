-- The facts of one KPI (kpi_fact, made by its own file) counted for every period and every segment at once.
-- A fact has cohort_at, its segments (channel, department, campaign, advocate, job), and
--   series       all, or the name of a second series of the same KPI: that one has the segment kind scope, so that each
--                KPI has one row of kind all for each period
--   is_in_all    false for what is counted in the segment of its channel only, for comparison
--   is_unit      whether it is one of the units; what is none still tells whether its cohort is mature
--   is_hit, is_mature
-- A period is that of the cohort, in UTC. Where nothing was counted there is no row.
WITH fact AS (
    SELECT
        *,
        date_trunc('month', cohort_at)::DATE AS month,
        date_trunc('quarter', cohort_at)::DATE AS quarter
    FROM kpi_fact
),
counted AS (
    SELECT
        series,
        CASE WHEN grouping(month) = 0 THEN 'month' WHEN grouping(quarter) = 0 THEN 'quarter' ELSE 'all' END
            AS period_kind,
        CASE WHEN grouping(month) = 0 THEN month WHEN grouping(quarter) = 0 THEN quarter END AS period_start,
        CASE
            WHEN grouping(department) = 0 THEN 'department'
            WHEN grouping(campaign) = 0 THEN 'campaign'
            WHEN grouping(advocate) = 0 THEN 'advocate'
            WHEN grouping(job) = 0 THEN 'job'
            WHEN series <> 'all' THEN 'scope'
            ELSE 'all'
        END AS segment_kind,
        coalesce(department, campaign, advocate, job) AS segment,
        count(*) FILTER (WHERE is_unit) AS units,
        count(*) FILTER (WHERE is_unit AND is_hit) AS hits,
        count(*) FILTER (WHERE is_unit AND is_mature) AS mature_units,
        count(*) FILTER (WHERE is_unit AND is_mature AND is_hit) AS mature_hits,
        bool_and(coalesce(is_mature, false)) AS is_all_mature
    FROM fact
    WHERE is_in_all
    GROUP BY GROUPING SETS (
        (series), (series, department), (series, campaign), (series, advocate), (series, job),
        (series, quarter), (series, quarter, department), (series, quarter, campaign), (series, quarter, advocate),
        (series, quarter, job),
        (series, month), (series, month, department), (series, month, campaign), (series, month, advocate),
        (series, month, job)
    )
    UNION ALL
    SELECT
        series,
        CASE WHEN grouping(month) = 0 THEN 'month' WHEN grouping(quarter) = 0 THEN 'quarter' ELSE 'all' END,
        CASE WHEN grouping(month) = 0 THEN month WHEN grouping(quarter) = 0 THEN quarter END,
        'channel',
        channel,
        count(*) FILTER (WHERE is_unit),
        count(*) FILTER (WHERE is_unit AND is_hit),
        count(*) FILTER (WHERE is_unit AND is_mature),
        count(*) FILTER (WHERE is_unit AND is_mature AND is_hit),
        bool_and(coalesce(is_mature, false))
    FROM fact
    GROUP BY GROUPING SETS ((series, channel), (series, quarter, channel), (series, month, channel))
)
SELECT
    series,
    period_kind,
    period_start,
    segment_kind,
    CASE WHEN segment_kind IN ('all', 'scope') THEN series ELSE segment END AS segment,
    units,
    hits,
    mature_units,
    mature_hits,
    is_all_mature
FROM counted
WHERE
    units > 0
    AND (segment_kind IN ('all', 'scope') OR (segment IS NOT NULL AND series = 'all'))
    AND (period_kind = 'all' OR period_start IS NOT NULL)
