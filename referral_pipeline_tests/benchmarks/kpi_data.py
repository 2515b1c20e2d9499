"""A made-up programme as staging and core hold it, for whatever is made from them: synthetic, seeded, nobody behind it.

Belongs here: making the tables that KPIs and reports read, at any size, in DuckDB alone. Does not belong here: timing.

Three years up to `AS_OF`. Every third application comes through one of the advocates (one for a hundred applications),
for one of 500 jobs of 25 departments, out of 40 campaigns; of these every fifth is credited to two. An application is
interviewed, offered, hired, rejected, withdrawn or left open with fixed probabilities, sooner or later by hashes of its
number; what would come after `AS_OF` has not happened. Each advocacy application has a share, most with two clicks, and
an event of the inbox. Each month has costs of advocacy, of an agency, and shared ones.
"""

from __future__ import annotations

from datetime import UTC, datetime

from referral_pipeline.warehouse.store import Warehouse

SEED = 20_260_101
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)


def build(warehouse: Warehouse, applications: int = 1_000_000, *, seed: int = SEED) -> None:
    """Fill staging and core with this many applications."""
    with warehouse.transaction() as connection:
        for name, value in (("applications", applications), ("seed", seed), ("made_until", AS_OF)):
            connection.execute(f"SET VARIABLE {name} = $value", {"value": value})
        connection.execute("CREATE OR REPLACE TEMP MACRO draw(a, b) AS (hash(a, b, getvariable('seed')) % 1000000)")
        for statement in _STATEMENTS:
            connection.execute(statement)


_STATEMENTS = (
    """
    CREATE OR REPLACE TABLE staging.advocate AS
    SELECT
        'adv_' || i AS id, NULL::VARCHAR AS email, 'Department ' || draw(i, 31) % 25 AS department,
        draw(i, 32) % 20 > 0 AS eligible,
        TIMESTAMPTZ '2023-01-01 00:00:00+00' + to_days((draw(i, 33) % 700)::INTEGER) AS joined_at,
        CASE
            WHEN draw(i, 34) % 10 = 0
                THEN TIMESTAMPTZ '2025-01-01 00:00:00+00' + to_days((draw(i, 35) % 365)::INTEGER)
        END AS left_at,
        getvariable('made_until')::TIMESTAMPTZ AS updated_at
    FROM range(greatest(1, getvariable('applications') // 100)) AS t(i)
    """,
    """
    CREATE OR REPLACE TABLE staging.ats_job AS
    SELECT
        'job_' || i AS id, 'Job ' || i AS title, 'open' AS status, 'Department ' || i % 25 AS department,
        NULL::VARCHAR AS location, NULL::VARCHAR AS url, NULL::TIMESTAMPTZ AS opened_at, NULL::TIMESTAMPTZ AS closed_at,
        getvariable('made_until')::TIMESTAMPTZ AS updated_at
    FROM range(500) AS t(i)
    """,
    """
    CREATE OR REPLACE TABLE staging.content AS
    SELECT
        'cnt_' || i AS id, NULL::VARCHAR AS title, 'campaign-' || i % 40 AS campaign_tag, 'job_' || i % 500 AS job_id,
        NULL::TIMESTAMPTZ AS published_at, NULL::TIMESTAMPTZ AS updated_at
    FROM range(2000) AS t(i)
    """,
    """
    CREATE OR REPLACE TEMP TABLE made AS
    WITH drawn AS (
        SELECT
            i, draw(i, 1) AS d,
            i % 3 = 0 AS is_advocacy,
            'adv_' || draw(i, 2) % greatest(1, getvariable('applications') // 100) AS advocate_id,
            draw(i, 3) % 2000 AS content,
            getvariable('made_until')::TIMESTAMPTZ - to_seconds(94608000 * draw(i, 4) / 1000000) AS applied_at,
            draw(i, 5) / 1e6 AS one, draw(i, 6) / 1e6 AS two, draw(i, 7) / 1e6 AS three
        FROM range(getvariable('applications')) AS t(i)
    ),
    planned AS (
        SELECT
            *,
            CASE
                WHEN d < (CASE WHEN is_advocacy THEN 80000 ELSE 40000 END) THEN 'hired'
                WHEN d < 700000 THEN 'rejected'
                WHEN d < 780000 THEN 'withdrawn'
                ELSE 'open'
            END AS end_status,
            applied_at + to_seconds(86400.0 * (3 + 100 * one * two)) AS ends_at,
            d < 300000 OR d >= 900000 AS is_interviewed,
            d < 120000 OR d >= 980000 AS is_offered
        FROM drawn
    )
    SELECT
        i, is_advocacy, advocate_id, content, applied_at,
        'greenhouse:' || i AS application_key,
        CASE WHEN end_status <> 'open' AND ends_at <= getvariable('made_until') THEN end_status END AS ended,
        ends_at,
        CASE WHEN is_interviewed THEN applied_at + (ends_at - applied_at) * (0.2 + 0.2 * three) END AS interviewed_at,
        CASE WHEN is_offered THEN applied_at + (ends_at - applied_at) * (0.6 + 0.3 * three) END AS offered_at
    FROM planned
    """,
    """
    UPDATE made SET
        interviewed_at = CASE WHEN interviewed_at <= getvariable('made_until') THEN interviewed_at END,
        offered_at = CASE WHEN offered_at <= getvariable('made_until') THEN offered_at END
    """,
    """
    CREATE OR REPLACE TABLE core.attribution AS
    SELECT
        application_key, 'per_' || i AS person_id, 'greenhouse' AS ats, 'C' || i AS ats_candidate_id,
        i::VARCHAR AS ats_application_id, 'job_' || content % 500 AS job_id,
        CASE WHEN is_advocacy THEN 'ref_' || i END AS referral_id,
        CASE WHEN is_advocacy THEN advocate_id END AS advocate_id,
        CASE WHEN is_advocacy THEN 'shr_' || i END AS share_id,
        CASE WHEN is_advocacy THEN 'cnt_' || content END AS content_id,
        CASE WHEN is_advocacy THEN 'campaign-' || content % 40 END AS campaign_tag,
        CASE WHEN is_advocacy THEN 'advocacy' ELSE 'other' END AS channel,
        'last_touch' AS attribution_model, NULL::BIGINT AS override,
        applied_at,
        coalesce(ended, CASE
            WHEN offered_at IS NOT NULL THEN 'offered'
            WHEN interviewed_at IS NOT NULL THEN 'interviewed'
            ELSE 'applied'
        END) AS status,
        coalesce(CASE WHEN ended IS NOT NULL THEN ends_at END, offered_at, interviewed_at, applied_at) AS status_at,
        interviewed_at, offered_at,
        CASE WHEN ended = 'hired' THEN ends_at END AS hired_at,
        NULL::DATE AS starts_on,
        CASE WHEN ended IN ('rejected', 'withdrawn') THEN ends_at END AS rejected_at,
        CASE WHEN ended = 'hired' THEN (epoch_us(ends_at) - epoch_us(applied_at)) / 86400e6 END AS time_to_hire_days,
        'email' AS match_method,
        CASE WHEN is_advocacy THEN draw(i, 8) % 50 > 0 END AS is_complete,
        CASE WHEN is_advocacy AND draw(i, 8) % 50 = 0 THEN 'campaign_tag' ELSE '' END AS missing
    FROM made
    """,
    """
    CREATE OR REPLACE TABLE core.attribution_credit AS
    SELECT
        application_key, advocate_id, 'shr_' || i AS share_id,
        (CASE WHEN i % 5 = 0 THEN 0.5 ELSE 1 END)::DECIMAL(18, 12) AS weight, 0::BIGINT AS bonus_cents,
        'credited' AS reason, 'ref_' || i AS referral_id, 'cnt_' || content AS content_id,
        'campaign-' || content % 40 AS campaign_tag, 'referral' AS kind, applied_at AS occurred_at, 1::BIGINT AS place
    FROM made
    WHERE is_advocacy
    UNION ALL
    SELECT
        application_key, 'adv_' || draw(i, 9) % greatest(1, getvariable('applications') // 100), NULL, 0.5, 0,
        'credited', 'ref_b' || i, NULL, NULL, 'referral', applied_at, 2
    FROM made
    WHERE is_advocacy AND i % 5 = 0
    """,
    """
    CREATE OR REPLACE TABLE core.status_history AS
    WITH event AS (
        SELECT application_key, 'applied' AS status, applied_at AS valid_from FROM made
        UNION ALL
        SELECT application_key, 'interviewed', interviewed_at FROM made WHERE interviewed_at IS NOT NULL
        UNION ALL
        SELECT application_key, 'offered', offered_at FROM made WHERE offered_at IS NOT NULL
        UNION ALL
        SELECT application_key, ended, ends_at FROM made WHERE ended IS NOT NULL
    )
    SELECT
        application_key, status, valid_from,
        lead(valid_from) OVER (PARTITION BY application_key ORDER BY valid_from) AS valid_to
    FROM event
    """,
    """
    CREATE OR REPLACE TABLE staging.share AS
    SELECT
        'shr_' || i AS id, advocate_id, 'cnt_' || content AS content_id, 'job_' || content % 500 AS job_id,
        'linkedin' AS channel, applied_at - to_seconds((draw(i, 10) * 2)::BIGINT) AS shared_at, 10::BIGINT AS reach,
        applied_at AS updated_at
    FROM made
    WHERE is_advocacy
    """,
    """
    CREATE OR REPLACE TABLE staging.click AS
    SELECT
        'clk_' || id || '_' || k AS id, id AS share_id, 'vis_' || draw(id, 11 + k) AS visitor_id,
        shared_at + to_seconds((draw(id, 13 + k) % 100000)::BIGINT) AS clicked_at, updated_at
    FROM staging.share, range(2) AS t(k)
    WHERE draw(id, 15) % 10 < 7
    """,
    """
    CREATE OR REPLACE TABLE core.touchpoint AS
    SELECT
        'per_' || i AS person_id, 'job_' || content % 500 AS job_id, advocate_id, 'shr_' || i AS share_id,
        'cnt_' || content AS content_id, 'campaign-' || content % 40 AS campaign_tag, 'referral' AS kind,
        applied_at AS occurred_at, 'ref_' || i AS referral_id, applied_at AS shared_at, NULL::VARCHAR AS blocked,
        i AS number
    FROM made
    WHERE is_advocacy
    """,
    """
    CREATE OR REPLACE TABLE core.attribution_touch AS
    SELECT
        'greenhouse:' || number AS application_key, job_id, advocate_id, share_id, content_id, campaign_tag,
        referral_id, kind, occurred_at, shared_at, 'counts' AS verdict
    FROM core.touchpoint
    """,
    """
    CREATE OR REPLACE TABLE staging.referral AS
    SELECT
        referral_id AS id, advocate_id, share_id, content_id, job_id, campaign_tag, 'applied' AS stage,
        occurred_at AS submitted_at, occurred_at AS applied_at, occurred_at AS touched_at
    FROM core.touchpoint
    """,
    """
    CREATE OR REPLACE TABLE staging.ats_candidate AS
    SELECT
        'C' || i AS id, NULL::VARCHAR AS first_name, NULL::VARCHAR AS last_name, applied_at AS created_at,
        applied_at AS updated_at
    FROM made
    """,
    """
    CREATE OR REPLACE TABLE core.person_record AS
    SELECT
        'greenhouse:C' || i AS record_id, 'greenhouse' AS system, 'per_' || i AS person_id, 'email' AS match_method,
        applied_at AS first_seen_at
    FROM made
    UNION ALL
    SELECT 'advocacy:ref_' || i, 'advocacy', 'per_' || i, 'email', applied_at FROM made WHERE is_advocacy
    """,
    """
    CREATE OR REPLACE TABLE core.person AS
    SELECT
        person_id, count(*) AS record_count, 'email' AS match_methods, min(first_seen_at) AS first_seen_at
    FROM core.person_record
    GROUP BY person_id
    """,
    """
    CREATE OR REPLACE TABLE staging.link AS
    SELECT
        'ref_' || i AS referral_id, 'per_' || i AS person_id, 'job_' || content % 500 AS job_id, 'greenhouse' AS system,
        'C' || i AS candidate_id, i::VARCHAR AS application_id, NULL::VARCHAR AS block, 'email' AS match_method,
        i % 2 = 0 AS created_candidate, true AS created_application, NULL::VARCHAR AS status,
        NULL::TIMESTAMPTZ AS status_at
    FROM made
    WHERE is_advocacy
    """,
    """
    CREATE OR REPLACE TABLE staging.ledger_event AS
    SELECT
        i AS id, CASE WHEN i % 2 = 0 THEN 'advocacy' ELSE 'greenhouse' END AS system,
        CASE WHEN i % 2 = 0 THEN 'referral.submitted' ELSE 'candidate_stage_change' END AS event_type,
        'webhook' AS origin, applied_at AS received_at,
        applied_at + to_milliseconds(50 + (draw(i, 20) * draw(i, 21) / 1e8)::BIGINT) AS done_at,
        CASE WHEN i % 2 = 0 THEN 'created' ELSE 'status_sent' END AS outcome
    FROM made
    WHERE is_advocacy
    """,
    """
    CREATE OR REPLACE TABLE core.bonus_share AS
    SELECT id AS advocate_id, 0::BIGINT AS paid_cents, 0::BIGINT AS open_cents FROM staging.advocate WHERE false
    """,
    """
    CREATE OR REPLACE TABLE staging.quarantine AS
    SELECT
        'advocacy' AS system, 'referrals' AS entity, 'ref_' || i AS record_id, 'phone' AS field, 'unreadable' AS reason,
        '7 characters' AS shape, 'field' AS "level"
    FROM made
    WHERE is_advocacy AND i % 100 = 3
    """,
    """
    CREATE OR REPLACE TABLE staging.cost AS
    SELECT
        'costs.csv' AS file, row_number() OVER () AS line, month::DATE AS first_month, 1::BIGINT AS months, channel,
        'external' AS kind, 'EUR' AS currency, 'EUR' AS reporting_currency, '1' AS rate,
        CASE WHEN channel = 'shared' THEN 'hires' END AS allocation_key,
        CASE WHEN channel = 'shared' THEN 'hires' END AS basis, NULL::VARCHAR AS note,
        strftime(month, '%Y-%m') AS period, cents AS amount_cents, cents AS reporting_cents,
        NULL::BIGINT AS advocacy_millionths
    FROM range(DATE '2023-01-01', getvariable('made_until')::DATE, INTERVAL 1 MONTH) AS m(month),
        (VALUES ('advocacy', 9000000), ('agency', 40000000), ('shared', 12345679)) AS c(channel, cents)
    """,
    "DROP TABLE made",
)
