-- The bonus ledger: one row per bonus, that is per referral, application and cycle (a cycle lasts from a hire to its end).
-- `state` is pending, eligible, reversed or paid, as the ledger has it. `amount_cents` counts the currency's smallest unit.
-- A pending bonus shows, in the contract's currency, what can still come of it by today's credit: the advocate's share less
-- what they or others were paid or promised for the application (core.bonus_share), on the latest of their pending referrals.
-- `eligible_on` is the day on which it became eligible, or will: the first day of work plus the waiting period, null as
-- long as no first day is known, and beyond the calendar's last day (9999-12-31).
-- `reason` tells what the state alone does not: waiting, no_first_day, rehire (another hire of the person has the bonus),
-- other_advocate (credited, and the bonus is or was another's, or stands on another referral of theirs), not_credited,
-- unhired, changed (divided or dated anew), returned (payroll gave it back), no_longer_due (paid, and the hire was undone),
-- no_application (the ATS has it no more, so that nobody can tell whether the hire stands), zero (the contract's bonus is
-- nothing), untold, refused.
-- Variables: waiting_days, bonus_cents, currency, pay_rehires.
WITH credit AS (
    SELECT application_key, advocate_id, sum(weight) AS weight
    FROM core.attribution_credit
    GROUP BY application_key, advocate_id
),
application AS (
    SELECT application_key, sum(bonus_cents)::BIGINT AS bonus_cents, sum(weight) > 0 AS is_credited
    FROM core.attribution_credit
    GROUP BY application_key
),
placed AS (
    SELECT
        bonus.*,
        bonus.system || ':' || bonus.application_id AS application_key,
        bonus.state = 'pending' AND bonus.amount_cents IS NULL AS is_expected,
        row_number() OVER (
            PARTITION BY bonus.system, bonus.application_id, bonus.advocate_id, is_expected
            ORDER BY referral.touched_at DESC NULLS LAST, bonus.referral_id DESC
        ) AS place
    FROM staging.ledger_bonus AS bonus
    LEFT JOIN staging.referral AS referral ON referral.id = bonus.referral_id
),
joined AS (
    SELECT
        placed.*,
        owner.person_id,
        attribution.status,
        attribution.hired_at,
        attribution.starts_on,
        attribution.starts_on + getvariable('waiting_days')::INTEGER AS due_on,
        coalesce(application.bonus_cents, 0) AS application_cents,
        coalesce(application.is_credited, false) AS is_credited,
        coalesce(credit.weight, 0) > 0 AS has_credit,
        CASE WHEN is_expected AND placed.place = 1 THEN greatest(0, share.open_cents - share.promised_cents) ELSE 0 END
            AS expected_cents
    FROM placed
    LEFT JOIN core.application_person AS owner ON owner.application_key = placed.application_key
    LEFT JOIN core.attribution AS attribution ON attribution.application_key = placed.application_key
    LEFT JOIN application ON application.application_key = placed.application_key
    LEFT JOIN credit
        ON credit.application_key = placed.application_key AND credit.advocate_id = placed.advocate_id
    LEFT JOIN core.bonus_share AS share
        ON share.application_key = placed.application_key AND share.advocate_id = placed.advocate_id
)
SELECT
    bonus_id,
    application_key,
    person_id,
    referral_id,
    advocate_id,
    cycle,
    CASE WHEN is_expected THEN expected_cents ELSE amount_cents END AS amount_cents,
    CASE WHEN is_expected THEN getvariable('currency')::VARCHAR ELSE currency END AS currency,
    state,
    CASE
        WHEN reason IS NOT NULL THEN reason
        WHEN status IS NULL THEN 'no_application'
        WHEN state = 'paid' AND status <> 'hired' THEN 'no_longer_due'
        WHEN state = 'reversed' AND status <> 'hired' THEN 'unhired'
        WHEN state = 'reversed' THEN 'changed'
        WHEN state <> 'pending' THEN NULL
        WHEN status <> 'hired' THEN 'unhired'
        WHEN NOT has_credit THEN 'not_credited'
        WHEN getvariable('bonus_cents') = 0 THEN 'zero'
        WHEN
            NOT getvariable('pay_rehires')
            AND is_credited
            AND application_cents = 0
            THEN 'rehire'
        WHEN expected_cents = 0 THEN 'other_advocate'
        WHEN starts_on IS NULL THEN 'no_first_day'
        ELSE 'waiting'
    END AS reason,
    CASE WHEN state = 'reversed' OR hired_at IS NULL THEN recognised_at ELSE hired_at END::DATE AS hired_on,
    CASE WHEN state <> 'reversed' THEN starts_on END AS starts_on,
    CASE
        WHEN eligible_at IS NOT NULL THEN eligible_at::DATE
        WHEN state = 'pending' AND due_on::DATE <= DATE '9999-12-31' THEN due_on::DATE
    END AS eligible_on,
    eligible_at,
    reversed_at,
    paid_on,
    export_id,
    getvariable('bonus_cents')::BIGINT AS bonus_cents
FROM joined
ORDER BY application_key, referral_id, cycle
