-- What each channel cost in each month, in the smallest unit of the reporting currency. One row per month, channel, source
-- (the channel as the file gives it) and kind. The whole sums to exactly what staging.cost holds.
-- A cost of a longer period is spread evenly over its months; of the cents that do not divide, the first months take one
-- each. A shared cost is then divided by its key within each month: hires of the month by hired_at (else by when the ATS
-- last changed the hire), applications of the month by applied_at (UTC; evenly in a month that has none), evenly, or by the
-- stated share; by largest remainder, of two equal ones advocacy bears the cent, so that its costs are never told too low.
-- A channel that bears nothing of a shared cost has no row of it: a zero that only division made is no cost on record.
WITH spread AS (
    SELECT
        cost.*,
        (cost.first_month + to_months(part.number::INTEGER))::DATE AS month,
        (
            sign(cost.reporting_cents)::BIGINT
            * (
                abs(cost.reporting_cents) // cost.months
                + CASE WHEN part.number < abs(cost.reporting_cents) % cost.months THEN 1 ELSE 0 END
            )
        )::HUGEINT AS cents
    FROM staging.cost AS cost
    JOIN range(12) AS part(number) ON part.number < cost.months
),
basis AS (
    SELECT
        basis,
        month,
        count(*) FILTER (WHERE channel = 'advocacy') AS advocacy,
        count(*) FILTER (WHERE channel = 'other') AS other
    FROM (
        SELECT 'hires' AS basis, date_trunc('month', coalesce(hired_at, status_at))::DATE AS month, channel
        FROM core.attribution
        WHERE status = 'hired'
        UNION ALL
        SELECT 'applications', date_trunc('month', applied_at)::DATE, channel FROM core.attribution
    )
    WHERE month IS NOT NULL
    GROUP BY basis, month
),
weighed AS (
    SELECT
        spread.*,
        (CASE spread.basis
            WHEN 'share' THEN spread.advocacy_millionths
            WHEN 'even' THEN 1
            ELSE coalesce(basis.advocacy, 1)
        END)::HUGEINT AS advocacy_weight,
        (CASE spread.basis
            WHEN 'share' THEN 1000000 - spread.advocacy_millionths
            WHEN 'even' THEN 1
            ELSE coalesce(basis.other, 1)
        END)::HUGEINT AS other_weight
    FROM spread
    LEFT JOIN basis ON basis.basis = spread.basis AND basis.month = spread.month
),
divided AS (
    SELECT
        *,
        sign(cents)::HUGEINT * (
            abs(cents) * advocacy_weight // (advocacy_weight + other_weight)
            + CASE
                WHEN 2 * (abs(cents) * advocacy_weight % (advocacy_weight + other_weight))
                >= advocacy_weight + other_weight THEN 1
                ELSE 0
            END
        ) AS advocacy_cents
    FROM weighed
),
charged AS (
    SELECT month, channel AS source, kind, reporting_currency AS currency, cents,
        CASE WHEN channel = 'advocacy' THEN 'advocacy' ELSE 'other' END AS channel
    FROM spread
    WHERE channel <> 'shared'
    UNION ALL
    SELECT month, channel, kind, reporting_currency, advocacy_cents, 'advocacy'
    FROM divided
    WHERE channel = 'shared' AND advocacy_cents <> 0
    UNION ALL
    SELECT month, channel, kind, reporting_currency, cents - advocacy_cents, 'other'
    FROM divided
    WHERE channel = 'shared' AND cents <> advocacy_cents
)
SELECT
    month,
    channel,
    source,
    kind,
    sum(cents)::BIGINT AS amount_cents,
    currency
FROM charged
GROUP BY month, channel, source, kind, currency
ORDER BY month, channel, source, kind
