-- What advocates did, in time: referrals, shares, and the clicks on them.
-- A referral that is only clicked is not a touch. A share has the person whom its advocate referred for the same job (one
-- row for each such person), else none; a click names no person.
-- `blocked` says why a referral earns no credit; null when it counts. A share is as its referrals are (attribution_credit).
-- `number` puts touches of one time in order: the one whose share is earliest comes first, then by share, referral and
-- advocate id, one without a share last: the tie rule, decided once for all that comes after.
-- Variables: advocacy_system, require_consent, as_of.
WITH share AS (
    SELECT
        share.id,
        share.advocate_id,
        share.content_id,
        coalesce(share.job_id, content.job_id) AS job_id,
        content.campaign_tag,
        share.shared_at
    FROM staging.share AS share
    LEFT JOIN staging.content AS content ON content.id = share.content_id
),
link AS (
    SELECT referral_id, any_value(block) AS block
    FROM staging.link
    WHERE block IN ('erased', 'country', 'job') -- the others are judged here, on facts that may be fresher
    GROUP BY referral_id
),
written AS (
    SELECT DISTINCT referral_id FROM staging.link WHERE application_id IS NOT NULL
),
referral AS (
    SELECT
        record.person_id,
        referral.job_id,
        referral.advocate_id,
        referral.share_id,
        coalesce(referral.content_id, share.content_id) AS content_id,
        coalesce(referral.campaign_tag, content.campaign_tag) AS campaign_tag,
        coalesce(referral.applied_at, referral.submitted_at) AS occurred_at,
        referral.id AS referral_id,
        share.shared_at,
        CASE
            WHEN referral.stage = 'withdrawn' THEN 'withdrawn'
            -- Ended on the platform before anything was made of it; later the end may be of our own telling.
            WHEN referral.is_ended AND written.referral_id IS NULL THEN 'withdrawn'
            WHEN getvariable('require_consent') AND NOT coalesce(referral.consent_granted, false) THEN 'no_consent'
            WHEN getvariable('require_consent') AND referral.consent_expires_at <= getvariable('as_of')
                THEN 'consent_expired'
            ELSE link.block
        END AS blocked
    FROM staging.referral AS referral
    JOIN core.person_record AS record ON record.record_id = getvariable('advocacy_system') || ':' || referral.id
    LEFT JOIN share ON share.id = referral.share_id
    LEFT JOIN staging.content AS content ON content.id = coalesce(referral.content_id, share.content_id)
    LEFT JOIN link ON link.referral_id = referral.id
    LEFT JOIN written ON written.referral_id = referral.id
    WHERE referral.stage <> 'clicked'
),
referred AS (
    SELECT DISTINCT person_id, job_id, advocate_id FROM referral
),
touch AS (
    SELECT *, 'referral' AS kind FROM referral
    UNION ALL BY NAME
    SELECT
        referred.person_id,
        share.job_id,
        share.advocate_id,
        share.id AS share_id,
        share.content_id,
        share.campaign_tag,
        share.shared_at AS occurred_at,
        share.shared_at,
        'share' AS kind
    FROM share
    LEFT JOIN referred ON referred.advocate_id = share.advocate_id AND referred.job_id = share.job_id
    UNION ALL BY NAME
    SELECT
        share.job_id,
        share.advocate_id,
        share.id AS share_id,
        share.content_id,
        share.campaign_tag,
        click.clicked_at AS occurred_at,
        share.shared_at,
        'click' AS kind
    FROM staging.click AS click
    JOIN share ON share.id = click.share_id
)
SELECT
    person_id,
    job_id,
    advocate_id,
    share_id,
    content_id,
    campaign_tag,
    kind,
    occurred_at,
    referral_id,
    shared_at,
    blocked,
    row_number() OVER (
        ORDER BY shared_at NULLS LAST, share_id NULLS LAST, referral_id NULLS LAST, advocate_id, kind, occurred_at
    ) AS number
FROM touch
ORDER BY occurred_at, number
