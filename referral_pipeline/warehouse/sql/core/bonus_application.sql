-- Which hires a bonus is due for: one row per application that stands as hired and is credited, or that was paid for.
-- `pays` is false for a rehire: unless rehires are paid, one application of a person has the bonus, the one that was paid,
-- else the earliest by the ATS's date (sync.bonus.rehires has the same rule). What was paid stays paid.
-- Variables: pay_rehires.
WITH credited AS (
    SELECT touch.application_key
    FROM core.attribution_touch AS touch
    ANTI JOIN staging.ledger_override AS override ON override.application_key = touch.application_key
    WHERE touch.verdict = 'counts'
    UNION
    SELECT override.application_key
    FROM staging.ledger_override AS override
    JOIN core.application_person AS owner ON owner.application_key = override.application_key
    JOIN core.touchpoint AS touchpoint
        ON touchpoint.referral_id = override.referral_id
        AND touchpoint.kind = 'referral'
        AND touchpoint.person_id = owner.person_id
    WHERE touchpoint.blocked IS NULL
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
