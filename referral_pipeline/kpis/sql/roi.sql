-- roi: (cost per hire of the other channels - cost per hire of advocacy) x hires of advocacy / programme cost, which is
-- what advocacy cost in the period. What was saved for each unit of money put in: 0 when advocacy hires cost the same.
-- The inputs are those that cost_per_hire shows for the period, so that the two can be held against each other. One row
-- for the period all and for each quarter with costs or hires. Channels whose costs are of different months are not
-- compared (`is_comparable`): the row `all` of cost_per_hire, which has the months of both, is then not their sum.
-- A hire without a date of its own is placed as in cost_per_hire.
-- There is no interval: the inputs are totals, not a sample (see cost_per_hire).
-- Reads the temporary table cost_per_hire, made by that KPI's own file.
WITH advocacy AS (
    SELECT * FROM cost_per_hire WHERE segment = 'advocacy' AND period_kind IN ('all', 'quarter')
),
other AS (
    SELECT * FROM cost_per_hire WHERE segment = 'other' AND period_kind IN ('all', 'quarter')
),
together AS (
    SELECT * FROM cost_per_hire WHERE segment = 'all' AND period_kind IN ('all', 'quarter')
),
period AS (
    SELECT DISTINCT period_kind, period_start FROM cost_per_hire WHERE period_kind IN ('all', 'quarter')
)
SELECT
    period.period_kind,
    period.period_start,
    advocacy.cents AS advocacy_cents,
    coalesce(advocacy.hires, 0) AS advocacy_hires,
    coalesce(advocacy.is_complete, false) AS advocacy_is_complete,
    coalesce(advocacy.maturity, 'insufficient') AS advocacy_maturity,
    other.cents AS other_cents,
    coalesce(other.hires, 0) AS other_hires,
    coalesce(other.maturity, 'insufficient') AS other_maturity,
    coalesce(together.cents = advocacy.cents + other.cents, false) AS is_comparable
FROM period
LEFT JOIN advocacy
    ON advocacy.period_kind = period.period_kind AND advocacy.period_start IS NOT DISTINCT FROM period.period_start
LEFT JOIN other
    ON other.period_kind = period.period_kind AND other.period_start IS NOT DISTINCT FROM period.period_start
LEFT JOIN together
    ON together.period_kind = period.period_kind AND together.period_start IS NOT DISTINCT FROM period.period_start
ORDER BY period.period_kind, period.period_start
