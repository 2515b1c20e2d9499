-- Who earned what part of each application, by the contract's model or the owner's override, and why others earned nothing.
-- The weights are the chosen model's in core.attribution_touch. The same rules as attribution.models (a property test holds
-- the two together): weights and cents in whole units by largest remainder, so that sums are exact.
-- An override gives all credit to its referral, of whatever job of the person, or to nobody; the others keep their row. It
-- does not replace consent: while its referral is blocked, nobody has the credit.
-- One row per application, advocate and share. `reason` is credited or override, or why a weight is 0: a gate's reason
-- (withdrawn, no_consent, consent_expired, country, erased, job), after_application, outside_lookback, overridden, or
-- other_touch_credited. The bonus is for applications that stand as hired and are no rehire (core.bonus_application).
-- Variables: attribution_model, bonus_cents, bonus_split; part and parts (of the applications).
WITH decided AS (
    SELECT
        owner.application_key,
        touchpoint.advocate_id,
        touchpoint.share_id,
        touchpoint.referral_id,
        touchpoint.content_id,
        touchpoint.campaign_tag,
        touchpoint.occurred_at,
        touchpoint.blocked
    FROM staging.ledger_override AS override
    JOIN core.application_person AS owner ON owner.application_key = override.application_key
    JOIN core.touchpoint AS touchpoint
        ON touchpoint.referral_id = override.referral_id
        AND touchpoint.kind = 'referral'
        AND touchpoint.person_id = owner.person_id
    WHERE hash(override.application_key) % getvariable('parts') = getvariable('part')
),
weighed AS (
    SELECT
        touch.application_key, touch.advocate_id, touch.share_id, touch.referral_id, touch.content_id,
        touch.campaign_tag, touch.kind, touch.occurred_at, touch.verdict, touch.place, touch.place_from_last,
        (1000000000000 * CASE getvariable('attribution_model')
            WHEN 'first_touch' THEN touch.first_touch
            WHEN 'last_touch' THEN touch.last_touch
            WHEN 'linear' THEN touch.linear
            WHEN 'time_decay' THEN touch.time_decay
            WHEN 'position_based' THEN touch.position_based
            ELSE error('the attribution model is unknown')
        END)::HUGEINT AS units,
        override.application_key IS NOT NULL AS is_overridden
    FROM core.attribution_touch AS touch
    LEFT JOIN staging.ledger_override AS override ON override.application_key = touch.application_key
    WHERE hash(touch.application_key) % getvariable('parts') = getvariable('part')
),
counting AS (
    SELECT
        application_key, advocate_id, share_id, referral_id, content_id, campaign_tag, kind, occurred_at, place,
        place_from_last, units, 'credited' AS reason
    FROM weighed
    WHERE units > 0 AND NOT is_overridden
    UNION ALL
    SELECT
        application_key, advocate_id, share_id, referral_id, content_id, campaign_tag, 'referral', occurred_at, 1, 1,
        1000000000000, 'override'
    FROM decided
    WHERE blocked IS NULL
),
payable AS (
    -- split = payee pays one advocate, the one with most credit, the latest among equals (to 9 decimals: the unit that
    -- rounding hands out makes nobody heavier); split = credit pays by weight
    SELECT
        *,
        CASE
            WHEN NOT is_due THEN 0
            WHEN getvariable('bonus_split') = 'credit' THEN units
            WHEN advocate_id = first_value(advocate_id) OVER (
                PARTITION BY application_key ORDER BY (advocate_units + 500) // 1000 DESC, place_from_last
            ) THEN units -- as `place` below
            ELSE 0
        END AS payable_units
    FROM (
        SELECT
            counting.*,
            application.status = 'hired' AND coalesce(bonus.pays, false) AS is_due,
            sum(counting.units) OVER (PARTITION BY counting.application_key, counting.advocate_id) AS advocate_units
        FROM counting
        JOIN core.application_person AS owner ON owner.application_key = counting.application_key
        JOIN staging.ats_application AS application
            ON application.system = owner.system AND application.id = owner.application_id
        LEFT JOIN core.bonus_application AS bonus ON bonus.application_key = counting.application_key
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
        *,
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
        units, bonus_cents, reason, place_from_last AS preference,
        -- 9 decimals: the unit that rounding hands out makes nobody heavier
        (units + 500) // 1000 AS heaviness,
        (advocate_units + 500) // 1000 AS advocate_heaviness,
        min(place_from_last) OVER (PARTITION BY application_key, advocate_id) AS advocate_preference
    FROM credited
    UNION ALL
    -- Every referral once more with nothing, and what an override took: where either earned credit, the credited row of
    -- its share stands before it.
    SELECT
        application_key, advocate_id, share_id, referral_id, content_id, campaign_tag, kind, occurred_at,
        0, 0,
        CASE
            WHEN verdict <> 'counts' THEN verdict
            WHEN is_overridden THEN 'overridden'
            ELSE 'other_touch_credited'
        END,
        2147483647, 0, 0, 2147483647
    FROM weighed
    WHERE kind = 'referral' OR (is_overridden AND units > 0)
    UNION ALL
    -- A referral for another job that was chosen and is blocked by now: it has no row of its own.
    SELECT
        application_key, advocate_id, share_id, referral_id, content_id, campaign_tag, 'referral', occurred_at,
        0, 0, blocked, 2147483646, 0, 0, 2147483646
    FROM decided
    WHERE blocked IS NOT NULL
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
            (-heaviness, preference, reason, coalesce(referral_id, ''))
        ) AS touch,
        max(advocate_heaviness) AS advocate_heaviness,
        min(advocate_preference) AS advocate_preference,
        min((-heaviness, preference)) AS own
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
    -- Whose values the application shows when several share the credit (attribution.models, foremost): the advocate with
    -- most weight, then the latest; of that advocate the heaviest touch, then the latest.
    row_number() OVER (
        PARTITION BY application_key
        ORDER BY
            advocate_heaviness DESC, advocate_preference, own, touch.occurred_at DESC, advocate_id, share_id
    ) AS place
FROM chosen
ORDER BY application_key, place
