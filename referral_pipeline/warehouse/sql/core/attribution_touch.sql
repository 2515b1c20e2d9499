-- Every touch that is considered for an application, its verdict, and what each of the five models gives it.
-- The same rules as attribution.models (a property test holds the two together): which touches count, the order of equal
-- times, weights in whole units by largest remainder, so that each model's sum is exactly 1.
-- One row per application and touch: the referrals and shares of its person for its jobs. `verdict` is counts, or why the
-- touch does not: a gate's reason (withdrawn, no_consent, consent_expired, country, erased, job), after_application,
-- outside_lookback, or not_referred. Of those that count, `place` is the place in time, `place_from_last` the place from
-- the last one (of equal times the earlier share first, both ways). The models' weights are null where a touch does not
-- count. What is paid and what is compared both come from here, so that they cannot differ.
-- Remainders: linear leaves n at most one unit each, so that the first touches have it; position_based alike in its middle,
-- after the ends, whose share (2/5) is whole. time_decay needs the general form.
-- Applications and touches are told apart by numbers here: whole numbers sort faster than texts.
-- Variables: lookback_days; part and parts (of the applications).
WITH opened AS (
    -- A referral from which the bridge opened an application happened before it, whatever the clocks of the two say.
    SELECT DISTINCT system || ':' || application_id AS application_key, referral_id
    FROM staging.link
    WHERE created_application AND application_id IS NOT NULL
),
touch AS (
    SELECT
        owner.rowid AS application,
        owner.application_key,
        application.applied_at,
        touchpoint.* EXCLUDE (person_id, occurred_at),
        CASE
            WHEN opened.referral_id IS NOT NULL THEN least(touchpoint.occurred_at, application.applied_at)
            ELSE touchpoint.occurred_at
        END AS occurred_at
    FROM core.application_person AS owner
    JOIN staging.ats_application AS application
        ON application.system = owner.system AND application.id = owner.application_id
    JOIN core.touchpoint AS touchpoint
        ON touchpoint.person_id = owner.person_id AND list_contains(owner.job_ids, touchpoint.job_id)
    LEFT JOIN opened
        ON opened.application_key = owner.application_key AND opened.referral_id = touchpoint.referral_id
    WHERE
        touchpoint.kind IN ('referral', 'share')
        AND hash(owner.application_key) % getvariable('parts') = getvariable('part')
),
referrer AS (
    SELECT DISTINCT application, advocate_id
    FROM touch
    WHERE kind = 'referral' AND blocked IS NULL AND occurred_at <= applied_at
),
referred AS (
    -- a share is seen through the referrals of its advocate for its job, and never through one that a gate holds back
    SELECT DISTINCT application, advocate_id, job_id
    FROM touch
    WHERE kind = 'referral' AND blocked IS NULL
),
judged AS (
    SELECT
        touch.*,
        CASE
            WHEN touch.blocked IS NOT NULL THEN touch.blocked
            WHEN touch.occurred_at > touch.applied_at THEN 'after_application'
            WHEN touch.occurred_at < touch.applied_at - to_hours(24 * getvariable('lookback_days'))
                THEN 'outside_lookback'
            WHEN referrer.application IS NULL OR referred.application IS NULL THEN 'not_referred'
            ELSE 'counts'
        END AS verdict
    FROM touch
    LEFT JOIN referrer ON referrer.application = touch.application AND referrer.advocate_id = touch.advocate_id
    LEFT JOIN referred
        ON referred.application = touch.application
        AND referred.advocate_id = touch.advocate_id
        AND referred.job_id IS NOT DISTINCT FROM touch.job_id
),
latest AS (
    SELECT application, max(occurred_at) AS latest_at
    FROM judged
    WHERE verdict = 'counts'
    GROUP BY application
),
aged AS (
    SELECT
        judged.*,
        CASE
            WHEN verdict = 'counts' -- half after seven days, in parts of 2^40, a half of one rounded up
                THEN floor(pow(2, 40 - (epoch_us(latest_at) - epoch_us(occurred_at)) / 604800e6) + 0.5)::BIGINT
        END AS parts
    FROM judged
    LEFT JOIN latest ON latest.application = judged.application
),
placed AS (
    -- One sort serves all of these: the windows by time are prefixes of the one by time and number.
    SELECT
        *,
        row_number() OVER (PARTITION BY application, verdict = 'counts' ORDER BY occurred_at, number) AS place,
        rank() OVER same_time AS first_of_time,
        count(*) OVER same_time AS last_of_time,
        count(*) OVER all_touches AS touches,
        sum(parts) OVER all_touches AS all_parts
    FROM aged
    WINDOW
        same_time AS (PARTITION BY application, verdict = 'counts' ORDER BY occurred_at),
        all_touches AS (PARTITION BY application, verdict = 'counts')
),
divided AS (
    SELECT
        * EXCLUDE (first_of_time, last_of_time),
        touches - last_of_time + place - first_of_time + 1 AS place_from_last,
        (parts::HUGEINT * 1000000000000 // all_parts)::BIGINT AS whole,
        (parts::HUGEINT * 1000000000000 % all_parts)::BIGINT AS remainder
    FROM placed
),
rounded AS (
    SELECT
        *,
        whole + (
            row_number() OVER (PARTITION BY application, verdict = 'counts' ORDER BY remainder DESC, place)
            <= 1000000000000 - sum(whole) OVER (PARTITION BY application, verdict = 'counts')
        )::BIGINT AS decayed
    FROM divided
),
weighed AS (
    SELECT
        *,
        CASE WHEN place = 1 THEN 1000000000000 ELSE 0 END AS first_units,
        CASE WHEN place_from_last = 1 THEN 1000000000000 ELSE 0 END AS last_units,
        1000000000000 // touches + (place <= 1000000000000 % touches)::BIGINT AS linear_units,
        CASE
            WHEN touches <= 2 THEN 1000000000000 // touches
            WHEN place IN (1, touches) THEN 400000000000
            ELSE 200000000000 // (touches - 2) + (place - 1 <= 200000000000 % (touches - 2))::BIGINT
        END AS position_units
    FROM rounded
)
SELECT
    application_key,
    job_id,
    advocate_id,
    share_id,
    content_id,
    campaign_tag,
    referral_id,
    kind,
    occurred_at,
    shared_at,
    verdict,
    CASE WHEN verdict = 'counts' THEN place END AS place,
    CASE WHEN verdict = 'counts' THEN place_from_last END AS place_from_last,
    CASE WHEN verdict = 'counts' THEN (first_units / 1e12)::DECIMAL(18, 12) END AS first_touch,
    CASE WHEN verdict = 'counts' THEN (last_units / 1e12)::DECIMAL(18, 12) END AS last_touch,
    CASE WHEN verdict = 'counts' THEN (linear_units / 1e12)::DECIMAL(18, 12) END AS linear,
    CASE WHEN verdict = 'counts' THEN (decayed / 1e12)::DECIMAL(18, 12) END AS time_decay,
    CASE WHEN verdict = 'counts' THEN (position_units / 1e12)::DECIMAL(18, 12) END AS position_based
FROM weighed
