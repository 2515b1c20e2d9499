-- Who earned what part of each application, by the contract's model, and why others earned nothing.
-- The same rules as attribution.models (a property test holds the two together): which touches count, the order of equal
-- times, weights and cents in whole units by largest remainder, so that sums are exact.
-- One row per application, advocate and share. `reason` is credited, or why a referral's weight is 0: a gate's reason
-- (withdrawn, no_consent, consent_expired, country, erased, job), after_application, outside_lookback, or
-- other_touch_credited. The bonus is for applications that stand as hired; unless rehires are paid, for one of a person's:
-- the one that was paid, else the earliest (sync.bonus.rehires has the same rule). The sum of any other is 0.
-- Variables: attribution_model, lookback_days, bonus_cents, bonus_split, pay_rehires.
WITH touch AS (
    SELECT
        owner.application_key,
        application.applied_at,
        application.status = 'hired' AS is_hired,
        touchpoint.* EXCLUDE (person_id, job_id),
        touchpoint.blocked IS NULL
        AND bool_or(
            touchpoint.kind = 'referral'
            AND touchpoint.blocked IS NULL
            AND touchpoint.occurred_at <= application.applied_at
        ) OVER (PARTITION BY owner.application_key, touchpoint.advocate_id) AS is_referred
    FROM core.application_person AS owner
    JOIN staging.ats_application AS application
        ON application.system = owner.system AND application.id = owner.application_id
    JOIN core.touchpoint AS touchpoint
        ON touchpoint.person_id = owner.person_id AND list_contains(owner.job_ids, touchpoint.job_id)
    WHERE touchpoint.kind IN ('referral', 'share')
),
judged AS (
    SELECT
        *,
        CASE
            WHEN blocked IS NOT NULL THEN blocked
            WHEN occurred_at > applied_at THEN 'after_application'
            WHEN occurred_at < applied_at - to_hours(24 * getvariable('lookback_days')) THEN 'outside_lookback'
            WHEN NOT is_referred THEN 'not_referred'
        END AS reason
    FROM touch
),
counting AS (
    SELECT
        *,
        count(*) OVER application AS touches,
        max(occurred_at) OVER application AS latest_at,
        row_number() OVER (
            application
            ORDER BY occurred_at, shared_at NULLS LAST, share_id NULLS LAST, referral_id NULLS LAST, advocate_id, kind
        ) AS place,
        row_number() OVER (
            application
            ORDER BY
                occurred_at DESC, shared_at NULLS LAST, share_id NULLS LAST, referral_id NULLS LAST, advocate_id, kind
        ) AS place_from_last
    FROM judged
    WHERE reason IS NULL
    WINDOW application AS (PARTITION BY application_key)
),
weighed AS (
    SELECT
        *,
        CASE getvariable('attribution_model')
            WHEN 'first_touch' THEN (place = 1)::BIGINT
            WHEN 'last_touch' THEN (place_from_last = 1)::BIGINT
            WHEN 'linear' THEN 1
            WHEN 'time_decay' -- half after seven days, in parts of 2^40
                THEN round(pow(2, 40 - (epoch_us(latest_at) - epoch_us(occurred_at)) / 604800e6))::BIGINT
            WHEN 'position_based' -- 0.4 to each end and 0.2 over the middle
                THEN CASE WHEN touches > 2 AND place IN (1, touches) THEN 2 * (touches - 2) ELSE 1 END
            ELSE error('the attribution model is unknown')
        END::HUGEINT AS parts
    FROM counting
),
whole AS (
    SELECT
        *,
        parts * 1000000000000 // sum(parts) OVER application AS units,
        parts * 1000000000000 % sum(parts) OVER application AS remainder
    FROM weighed
    WINDOW application AS (PARTITION BY application_key)
),
divided AS (
    SELECT
        * EXCLUDE (units, remainder),
        units + (
            row_number() OVER (PARTITION BY application_key ORDER BY remainder DESC, place)
            <= 1000000000000 - sum(units) OVER (PARTITION BY application_key)
        )::BIGINT AS units
    FROM whole
),
paying AS (
    SELECT hire.application_key
    FROM (
        SELECT
            owner.application_key,
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
        LEFT JOIN (SELECT DISTINCT application_key FROM divided WHERE is_hired) AS hired
            ON hired.application_key = owner.application_key
        LEFT JOIN (
            SELECT DISTINCT system || ':' || application_id AS application_key
            FROM staging.ledger_payroll
            WHERE state = 'paid'
        ) AS paid
            ON paid.application_key = owner.application_key
        WHERE hired.application_key IS NOT NULL OR paid.application_key IS NOT NULL
    ) AS hire
    WHERE hire.is_paid OR hire.place_of_person = 1 OR getvariable('pay_rehires')
),
payable AS (
    -- split = payee pays one advocate, the one with most credit, the latest among equals (to 9 decimals: the unit that
    -- rounding hands out makes nobody heavier); split = credit pays by weight
    SELECT
        *,
        CASE
            WHEN NOT is_hired OR application_key NOT IN (SELECT application_key FROM paying) THEN 0
            WHEN getvariable('bonus_split') = 'credit' THEN units
            WHEN advocate_id = first_value(advocate_id) OVER (
                PARTITION BY application_key ORDER BY (advocate_units + 500) // 1000 DESC, place_from_last
            ) THEN units
            ELSE 0
        END AS payable_units
    FROM (
        SELECT *, sum(units) OVER (PARTITION BY application_key, advocate_id) AS advocate_units
        FROM divided
        WHERE units > 0
    )
),
in_cents AS (
    SELECT
        *,
        payable_units * getvariable('bonus_cents') // nullif(sum(payable_units) OVER application, 0) AS whole_cents,
        payable_units * getvariable('bonus_cents') % nullif(sum(payable_units) OVER application, 0) AS cent_remainder
    FROM payable
    WINDOW application AS (PARTITION BY application_key)
),
credited AS (
    SELECT
        * EXCLUDE (reason),
        coalesce(
            whole_cents + (
                row_number() OVER (PARTITION BY application_key ORDER BY cent_remainder DESC, place)
                <= getvariable('bonus_cents') - sum(whole_cents) OVER (PARTITION BY application_key)
            )::BIGINT,
            0
        ) AS bonus_cents
    FROM in_cents
),
explained AS (
    SELECT
        application_key, advocate_id, share_id, referral_id, content_id, campaign_tag, kind, occurred_at,
        units, bonus_cents, 'credited' AS reason, place_from_last AS preference
    FROM credited
    UNION ALL
    -- Every referral once more with nothing: where it earned credit, the credited row of its share stands before it.
    SELECT
        application_key, advocate_id, share_id, referral_id, content_id, campaign_tag, kind, occurred_at,
        0, 0, coalesce(reason, 'other_touch_credited'), 2147483647
    FROM judged
    WHERE kind = 'referral'
),
chosen AS (
    SELECT
        application_key,
        advocate_id,
        share_id,
        (sum(units)::DOUBLE / 1e12)::DECIMAL(18, 12) AS weight,
        sum(bonus_cents)::BIGINT AS bonus_cents,
        arg_min(
            {
                reason: reason,
                referral_id: referral_id,
                content_id: content_id,
                campaign_tag: campaign_tag,
                kind: kind,
                occurred_at: occurred_at
            },
            (preference, reason, coalesce(referral_id, ''))
        ) AS touch,
        min(preference) AS preference
    FROM explained
    GROUP BY application_key, advocate_id, share_id
)
SELECT
    application_key,
    advocate_id,
    share_id,
    weight,
    bonus_cents,
    touch.reason AS reason,
    touch.referral_id AS referral_id,
    touch.content_id AS content_id,
    touch.campaign_tag AS campaign_tag,
    touch.kind AS kind,
    touch.occurred_at AS occurred_at,
    -- Whose values the application shows when several share the credit: most weight, then the latest.
    row_number() OVER (
        PARTITION BY application_key ORDER BY round(weight, 9) DESC, preference, touch.occurred_at DESC, advocate_id, share_id
    ) AS place
FROM chosen
ORDER BY application_key, place
