"""Made-up applications with their touches, as the warehouse holds them: synthetic, seeded, no person behind any.

Belongs here: making the tables that the credit models read, at any size, in DuckDB alone. Does not belong here: timing
(attribution.py).

Each application is of a person of its own, for one of 500 jobs, with 1 to 19 touches of up to three advocates in the
100 days before it; of each advocate the first touch is a referral, the others are shares. Times are whole seconds and
may fall together; one touch in fifty comes after the application, one referral in a hundred is withdrawn. Every second
application was opened by the bridge, from its first advocate's referral.
"""

from __future__ import annotations

from referral_pipeline.warehouse.store import Warehouse

SEED = 20_260_101


def make(warehouse: Warehouse, applications: int, *, seed: int = SEED) -> int:
    """Fill the tables that credit is made from; answers how many touches there are."""
    with warehouse.connect() as connection:
        connection.execute("SET VARIABLE applications = $n", {"n": applications})
        connection.execute("SET VARIABLE seed = $n", {"n": seed})
        connection.execute(_APPLICATIONS)
        connection.execute(_TOUCHES)
        return warehouse.row_count("core.touchpoint")


_APPLICATIONS = """
CREATE OR REPLACE TABLE staging.ats_application AS
SELECT
    'greenhouse' AS system, i::VARCHAR AS id, 'J' || hash(i, 1, getvariable('seed')) % 500 AS job_id,
    CASE WHEN i % 10 = 0 THEN 'hired' ELSE 'applied' END AS status,
    TIMESTAMPTZ '2026-01-01 00:00:00+00'
    + to_seconds((hash(i, 2, getvariable('seed')) % 15552000)::BIGINT) AS applied_at,
    CASE WHEN i % 10 = 0 THEN applied_at + INTERVAL 30 DAY END AS hired_at,
    coalesce(hired_at, applied_at) AS status_at
FROM range(getvariable('applications')) AS t(i);
CREATE OR REPLACE TABLE core.application_person AS
SELECT
    'greenhouse:' || id AS application_key, system, id AS application_id, 'C' || id AS candidate_id,
    'per_' || format('{:016x}', id::BIGINT) AS person_id, [job_id] AS job_ids
FROM staging.ats_application;
CREATE OR REPLACE TABLE staging.ledger_override (
    id BIGINT, application_key VARCHAR, referral_id VARCHAR, decided_at TIMESTAMPTZ
);
CREATE OR REPLACE TABLE staging.link AS
SELECT
    'ref_' || id || '_0' AS referral_id, system, id AS application_id, id::BIGINT % 2 = 0 AS created_application
FROM staging.ats_application;
CREATE OR REPLACE TABLE staging.ledger_bonus (
    referral_id VARCHAR, system VARCHAR, application_id VARCHAR, state VARCHAR, reason VARCHAR
);
CREATE OR REPLACE TABLE staging.ledger_payroll (system VARCHAR, application_id VARCHAR, state VARCHAR)
"""

_TOUCHES = """
CREATE OR REPLACE TABLE core.touchpoint AS
WITH drawn AS (
    SELECT
        owner.person_id,
        application.job_id,
        'adv_' || hash(application.id, t % 3, 3, getvariable('seed')) % 20000 AS advocate_id,
        t,
        hash(application.id, t, 4, getvariable('seed')) AS draw,
        application.id,
        application.applied_at
    FROM staging.ats_application AS application
    JOIN core.application_person AS owner ON owner.application_id = application.id,
        range((1 + hash(application.id, 5, getvariable('seed')) % 19)::BIGINT) AS touches(t)
),
touch AS (
    SELECT
        person_id,
        job_id,
        advocate_id,
        CASE WHEN t >= 3 OR draw % 2 = 0 THEN 'shr_' || id || '_' || t END AS share_id,
        'cnt_' || draw % 3000 AS content_id,
        'campaign-' || draw % 40 AS campaign_tag,
        CASE WHEN t < 3 THEN 'referral' ELSE 'share' END AS kind,
        applied_at
        + CASE WHEN draw % 50 = 1 THEN INTERVAL 1 DAY ELSE to_seconds(-(draw % 8640000)::BIGINT) END AS occurred_at,
        CASE WHEN t < 3 THEN 'ref_' || id || '_' || t END AS referral_id,
        CASE WHEN t < 3 AND draw % 100 = 7 THEN 'withdrawn' END AS blocked
    FROM drawn
)
SELECT
    *,
    CASE WHEN share_id IS NOT NULL THEN occurred_at END AS shared_at,
    row_number() OVER (
        ORDER BY occurred_at, shared_at NULLS LAST, share_id NULLS LAST, referral_id NULLS LAST, advocate_id, kind
    ) AS number
FROM touch
"""
