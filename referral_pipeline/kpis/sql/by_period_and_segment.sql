-- The facts of one KPI (kpi_fact, made by its own file) counted for every period and every segment at once.
-- A period is that of the cohort, in UTC. `series` is all, or the name of a second series of the same KPI: that one has
-- the segment kind scope, so that each KPI has one row of kind all for each period.
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
            WHEN grouping(channel) = 0 THEN 'channel'
            WHEN grouping(department) = 0 THEN 'department'
            WHEN grouping(campaign) = 0 THEN 'campaign'
            WHEN grouping(advocate) = 0 THEN 'advocate'
            WHEN grouping(job) = 0 THEN 'job'
            WHEN series <> 'all' THEN 'scope'
            ELSE 'all'
        END AS segment_kind,
        coalesce(channel, department, campaign, advocate, job) AS segment,
        count(*) AS units,
        count(*) FILTER (WHERE is_hit) AS hits,
        count(*) FILTER (WHERE is_mature) AS mature_units,
        count(*) FILTER (WHERE is_mature AND is_hit) AS mature_hits,
        list(measure ORDER BY measure) FILTER (WHERE measure IS NOT NULL) AS measures
    FROM fact
    GROUP BY GROUPING SETS (
        (series), (series, channel), (series, department), (series, campaign), (series, advocate), (series, job),
        (series, quarter), (series, quarter, channel), (series, quarter, department), (series, quarter, campaign),
        (series, quarter, advocate), (series, quarter, job),
        (series, month), (series, month, channel), (series, month, department), (series, month, campaign),
        (series, month, advocate), (series, month, job)
    )
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
    measures
FROM counted
WHERE
    (segment_kind IN ('all', 'scope') OR (segment IS NOT NULL AND series = 'all'))
    AND (period_kind = 'all' OR period_start IS NOT NULL)
ORDER BY period_kind, period_start, segment_kind, segment
