-- One row per advocate, by id: what they did and what came of it. `conversion` is null without an application.
-- Credit counts by weight; applications and hires by whose the application shows (core.attribution). `bonus_cents` is what
-- payroll has and what can still come (core.bonus_share), in the smallest unit of the contract's currency: a bonus that was
-- paid stays with whom it was paid to, and credit that moved after it promises nobody a second one.
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
    SELECT advocate_id, count(*) AS referrals FROM staging.referral GROUP BY advocate_id
),
applications AS (
    SELECT advocate_id, count(*) AS applications, count(*) FILTER (WHERE status = 'hired') AS hires
    FROM core.attribution
    WHERE channel = 'advocacy'
    GROUP BY advocate_id
),
credit AS (
    SELECT advocate_id, sum(weight) AS credit FROM core.attribution_credit GROUP BY advocate_id
),
bonus AS (
    SELECT advocate_id, sum(paid_cents + open_cents)::BIGINT AS bonus_cents FROM core.bonus_share GROUP BY advocate_id
)
SELECT
    advocate.id AS advocate_id,
    advocate.department,
    coalesce(shares.shares, 0) AS shares,
    coalesce(clicks.clicks, 0) AS clicks,
    coalesce(referrals.referrals, 0) AS referrals,
    coalesce(applications.applications, 0) AS applications,
    coalesce(applications.hires, 0) AS hires,
    applications.hires / nullif(applications.applications, 0) AS conversion,
    coalesce(credit.credit, 0) AS credit,
    coalesce(bonus.bonus_cents, 0) AS bonus_cents
FROM staging.advocate AS advocate
LEFT JOIN shares ON shares.advocate_id = advocate.id
LEFT JOIN clicks ON clicks.advocate_id = advocate.id
LEFT JOIN referrals ON referrals.advocate_id = advocate.id
LEFT JOIN applications ON applications.advocate_id = advocate.id
LEFT JOIN credit ON credit.advocate_id = advocate.id
LEFT JOIN bonus ON bonus.advocate_id = advocate.id
ORDER BY advocate_id
