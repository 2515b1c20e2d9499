-- One row per advocate, by id: what they did, what came of it, and where their bonuses stand. `incoming` is what
-- kpis.advocates answered: counts of applications, conversion with its interval and maturity, moment and currency.
-- Credit counts by weight; applications and hires by whose the application shows (core.attribution). `bonus_cents` is what
-- payroll has and what can still come (core.bonus_share), in the smallest unit of the contract's currency: a bonus that was
-- paid stays with whom it was paid to, and credit that moved after it promises nobody a second one.
-- The amounts by state are sums over mart.bonus, in that currency only: no sum is made over two currencies.
WITH shares AS (
    SELECT advocate_id, count(*) AS shares FROM staging.share GROUP BY advocate_id
),
clicks AS (
    SELECT share.advocate_id, count(*) AS clicks
    FROM staging.click AS click
    JOIN staging.share AS share ON share.id = click.share_id
    GROUP BY share.advocate_id
),
referrals AS (
    -- one that is only clicked is nobody's act
    SELECT advocate_id, count(*) AS referrals FROM staging.referral WHERE stage <> 'clicked' GROUP BY advocate_id
),
credit AS (
    SELECT advocate_id, sum(weight) AS credit FROM core.attribution_credit GROUP BY advocate_id
),
bonus AS (
    SELECT advocate_id, sum(paid_cents + open_cents)::BIGINT AS bonus_cents FROM core.bonus_share GROUP BY advocate_id
),
standing AS (
    SELECT
        advocate_id,
        currency,
        sum(amount_cents) FILTER (WHERE state = 'pending') AS pending_cents,
        sum(amount_cents) FILTER (WHERE state = 'eligible') AS eligible_cents,
        sum(amount_cents) FILTER (WHERE state = 'paid') AS paid_cents,
        sum(amount_cents) FILTER (WHERE state = 'reversed') AS reversed_cents
    FROM mart.bonus
    GROUP BY advocate_id, currency
),
waiting AS (
    -- a pending bonus of nothing (a rehire, credit that moved) becomes eligible on no day
    SELECT advocate_id, min(eligible_on) AS next_eligible_on
    FROM mart.bonus
    WHERE state = 'pending' AND amount_cents > 0
    GROUP BY advocate_id
)
SELECT
    advocate.id AS advocate_id,
    advocate.department,
    incoming.as_of::TIMESTAMPTZ AS as_of,
    coalesce(shares.shares, 0) AS shares,
    coalesce(clicks.clicks, 0) AS clicks,
    coalesce(referrals.referrals, 0) AS referrals,
    incoming.applications::BIGINT AS applications,
    incoming.interviews::BIGINT AS interviews,
    incoming.offers::BIGINT AS offers,
    incoming.hires::BIGINT AS hires,
    incoming.mature_applications::BIGINT AS mature_applications,
    incoming.mature_hires::BIGINT AS mature_hires,
    incoming.conversion::DOUBLE AS conversion,
    incoming.conversion_low::DOUBLE AS conversion_low,
    incoming.conversion_high::DOUBLE AS conversion_high,
    incoming.maturity::VARCHAR AS maturity,
    coalesce(credit.credit, 0) AS credit,
    incoming.currency::VARCHAR AS currency,
    coalesce(bonus.bonus_cents, 0) AS bonus_cents,
    coalesce(standing.pending_cents, 0)::BIGINT AS pending_cents,
    coalesce(standing.eligible_cents, 0)::BIGINT AS eligible_cents,
    coalesce(standing.paid_cents, 0)::BIGINT AS paid_cents,
    coalesce(standing.reversed_cents, 0)::BIGINT AS reversed_cents,
    waiting.next_eligible_on
FROM staging.advocate AS advocate
JOIN incoming ON incoming.advocate_id = advocate.id
LEFT JOIN shares ON shares.advocate_id = advocate.id
LEFT JOIN clicks ON clicks.advocate_id = advocate.id
LEFT JOIN referrals ON referrals.advocate_id = advocate.id
LEFT JOIN credit ON credit.advocate_id = advocate.id
LEFT JOIN bonus ON bonus.advocate_id = advocate.id
LEFT JOIN standing ON standing.advocate_id = advocate.id AND standing.currency = incoming.currency
LEFT JOIN waiting ON waiting.advocate_id = advocate.id
ORDER BY advocate.id
