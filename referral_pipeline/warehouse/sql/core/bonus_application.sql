-- Which hires a bonus is due for: one row per application that stands as hired and is credited, or that was paid for.
-- `pays` is false for a rehire: unless rehires are paid, one application of a person has the bonus, the one that was paid,
-- else the earliest by the ATS's date (sync.bonus.rehires has the same rule). What was paid stays paid.
-- The platform lets a referral stand for one application at a time (sync.recognition_decision, rule 6): an application all of whose
-- credit is earned by referrals that stand for another one, and are not linked to it, has no bonus. Where only part of it is,
-- the ledger divides the bonus among the others, and core.attribution_credit still shows each with its own part.
-- Variables: pay_rehires, attribution_model.
WITH stands AS (
    SELECT DISTINCT bonus.referral_id, bonus.system || ':' || bonus.application_id AS application_key
    FROM staging.ledger_bonus AS bonus
    WHERE bonus.state <> 'reversed' AND bonus.reason IS DISTINCT FROM 'refused'
),
home AS (
    SELECT DISTINCT referral_id, system || ':' || application_id AS application_key
    FROM staging.link
    WHERE application_id IS NOT NULL
),
latest AS (
    -- whose a share is: the advocate's latest referral before the application
    SELECT application_key, advocate_id, arg_max(referral_id, (occurred_at, referral_id)) AS referral_id
    FROM core.attribution_touch
    WHERE kind = 'referral' AND verdict IN ('counts', 'outside_lookback')
    GROUP BY application_key, advocate_id
),
earning AS (
    SELECT touch.application_key, coalesce(touch.referral_id, latest.referral_id) AS referral_id
    FROM core.attribution_touch AS touch
    LEFT JOIN latest
        ON latest.application_key = touch.application_key AND latest.advocate_id = touch.advocate_id
    ANTI JOIN staging.ledger_override AS override ON override.application_key = touch.application_key
    WHERE
        touch.verdict = 'counts'
        AND CASE getvariable('attribution_model')
            WHEN 'first_touch' THEN touch.first_touch
            WHEN 'last_touch' THEN touch.last_touch
            WHEN 'linear' THEN touch.linear
            WHEN 'time_decay' THEN touch.time_decay
            WHEN 'position_based' THEN touch.position_based
            ELSE error('the attribution model is unknown')
        END > 0
    UNION
    SELECT override.application_key, override.referral_id
    FROM staging.ledger_override AS override
    JOIN core.application_person AS owner ON owner.application_key = override.application_key
    JOIN core.touchpoint AS touchpoint
        ON touchpoint.referral_id = override.referral_id
        AND touchpoint.kind = 'referral'
        AND touchpoint.person_id = owner.person_id
    WHERE touchpoint.blocked IS NULL
),
credited AS (
    SELECT DISTINCT earning.application_key
    FROM earning
    LEFT JOIN home ON home.referral_id = earning.referral_id AND home.application_key = earning.application_key
    LEFT JOIN stands
        ON stands.referral_id = earning.referral_id AND stands.application_key <> earning.application_key
    WHERE stands.referral_id IS NULL OR home.referral_id IS NOT NULL
),
paid AS (
    SELECT DISTINCT system || ':' || application_id AS application_key
    FROM staging.ledger_payroll
    WHERE state = 'paid'
),
hire AS (
    SELECT
        owner.application_key,
        owner.person_id,
        paid.application_key IS NOT NULL AS is_paid,
        row_number() OVER (
            PARTITION BY coalesce(owner.person_id, owner.application_key)
            ORDER BY
                paid.application_key IS NULL,
                coalesce(application.hired_at, application.status_at),
                owner.system,
                owner.application_id
        ) AS place_of_person
    FROM core.application_person AS owner
    JOIN staging.ats_application AS application
        ON application.system = owner.system AND application.id = owner.application_id
    LEFT JOIN credited ON credited.application_key = owner.application_key
    LEFT JOIN paid ON paid.application_key = owner.application_key
    WHERE
        paid.application_key IS NOT NULL
        OR (application.status = 'hired' AND credited.application_key IS NOT NULL)
)
SELECT
    application_key,
    person_id,
    is_paid OR place_of_person = 1 OR getvariable('pay_rehires') AS pays
FROM hire
ORDER BY application_key
