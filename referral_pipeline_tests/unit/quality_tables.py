"""A small warehouse in memory whose tables pass every quality rule, for tests to break one thing at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pandas as pd

from referral_pipeline.quality.columns import COLUMNS

TYPES = {
    "text": "VARCHAR",
    "whole": "BIGINT",
    "number": "DOUBLE",
    "decimal": "DECIMAL(18, 9)",
    "time": "TIMESTAMPTZ",
    "date": "DATE",
    "boolean": "BOOLEAN",
}

GOOD_ROWS = """
INSERT INTO staging.advocate BY NAME
  SELECT 'A' || i AS id, true AS eligible, now() - INTERVAL 400 DAY AS joined_at FROM range(4) t(i);
INSERT INTO staging.content BY NAME SELECT 'CO' || i AS id, 'spring' AS campaign_tag FROM range(4) t(i);
INSERT INTO staging.share BY NAME
  SELECT 'S' || i AS id, 'A' || i AS advocate_id, 'CO' || i AS content_id, 'linkedin' AS channel,
    now() - INTERVAL 60 DAY AS shared_at, 10 AS reach FROM range(4) t(i);
INSERT INTO staging.click BY NAME
  SELECT 'K' || i AS id, 'S' || i % 4 AS share_id, now() - INTERVAL 50 DAY AS clicked_at FROM range(8) t(i);
INSERT INTO staging.referral BY NAME
  SELECT 'R' || i AS id, 'A' || i AS advocate_id, 'S' || i AS share_id, 'J1' AS job_id, 'applied' AS stage,
    now() - INTERVAL 41 DAY AS submitted_at, now() - INTERVAL 40 DAY AS applied_at,
    now() - INTERVAL 40 DAY AS touched_at, 'someone' || i || '@mail.example' AS email_key,
    '+4930123450' || i AS phone_key, 'DE' AS country, 'applied' AS status
  FROM range(4) t(i);
INSERT INTO staging.ats_job BY NAME SELECT 'J1' AS id, 'open' AS status;
INSERT INTO staging.ats_candidate BY NAME SELECT 'C' || i AS id FROM range(4) t(i);
INSERT INTO staging.ats_candidate_contact BY NAME
  SELECT 'C' || i AS candidate_id, 'email' AS kind, 'someone' || i || '@mail.example' AS key FROM range(4) t(i)
  UNION ALL BY NAME SELECT 'C' || i AS candidate_id, 'phone' AS kind, '+4930123450' || i AS key FROM range(4) t(i);
INSERT INTO staging.ats_application BY NAME
  SELECT 'greenhouse' AS system, 'P' || i AS id, 'C' || i AS candidate_id, 'J1' AS job_id, 'hired' AS status,
    now() - INTERVAL 40 DAY AS applied_at, now() - INTERVAL 10 DAY AS hired_at, 'A' || i AS tag_advocate_id
  FROM range(4) t(i);
INSERT INTO staging.ats_offer BY NAME
  SELECT 'O' || i AS id, 'P' || i AS application_id, 'accepted' AS status FROM range(4) t(i);
INSERT INTO core.person BY NAME
  SELECT 'per_00000000000000' || (10 + i) AS person_id, 2 AS record_count FROM range(4) t(i);
INSERT INTO core.touchpoint BY NAME
  SELECT 'per_00000000000000' || (10 + i) AS person_id, 'J1' AS job_id, 'A' || i AS advocate_id, 'S' || i AS share_id,
    'referral' AS kind, now() - INTERVAL 40 DAY AS occurred_at FROM range(4) t(i);
INSERT INTO core.touchpoint BY NAME
  SELECT 'A1' AS advocate_id, 'S1' AS share_id, 'click' AS kind, now() - INTERVAL 50 DAY AS occurred_at;
INSERT INTO core.attribution BY NAME
  SELECT 'greenhouse:P' || i AS application_key, 'per_00000000000000' || (10 + i) AS person_id, 'greenhouse' AS ats,
    'A' || i AS advocate_id, 'S' || i AS share_id, 'advocacy' AS channel, 'last_touch' AS attribution_model,
    now() - INTERVAL 40 DAY AS applied_at, 'hired' AS status, now() - INTERVAL 30 DAY AS interviewed_at,
    now() - INTERVAL 10 DAY AS hired_at FROM range(4) t(i);
INSERT INTO core.attribution_credit BY NAME
  SELECT 'greenhouse:P' || i AS application_key, 'A' || i AS advocate_id, 'S' || i AS share_id, w AS weight,
    (200000 * w)::BIGINT AS bonus_cents, 'credited' AS reason
  FROM range(4) t(i), (VALUES (0.333333333), (0.333333333), (0.333333334)) v(w);
UPDATE core.attribution_credit SET bonus_cents = CASE weight WHEN 0.333333334 THEN 66666 ELSE 66667 END;
INSERT INTO core.attribution_credit BY NAME
  SELECT 'greenhouse:P' || i AS application_key, 'A' || i AS advocate_id, 0 AS weight, 0 AS bonus_cents,
    'withdrawn' AS reason FROM range(2) t(i);
INSERT INTO core.rules_used BY NAME SELECT 'linear' AS attribution_model, 200000 AS bonus_cents, 'USD' AS currency;
INSERT INTO mart.attribution_comparison BY NAME
  SELECT application_key, advocate_id, share_id, first_touch, first_touch AS last_touch, w AS linear, w AS time_decay,
    w AS position_based, w AS paid, 'linear' AS pays
  FROM (SELECT application_key, advocate_id, share_id, 1 AS first_touch, sum(weight) AS w FROM core.attribution_credit
    WHERE weight > 0 GROUP BY ALL);
INSERT INTO core.status_history BY NAME
  SELECT 'greenhouse:P' || i AS application_key, 'applied' AS status, now() - INTERVAL 40 DAY AS valid_from,
    now() - INTERVAL 10 DAY AS valid_to FROM range(4) t(i)
  UNION ALL BY NAME SELECT 'greenhouse:P' || i AS application_key, 'hired' AS status,
    now() - INTERVAL 10 DAY AS valid_from FROM range(4) t(i);
INSERT INTO mart.bonus BY NAME
  SELECT 'bon_' || i AS bonus_id, 'greenhouse:P' || i AS application_key, 'A' || i AS advocate_id, 1 AS cycle,
    200000 AS amount_cents, 'USD' AS currency, CASE WHEN i < 2 THEN 'paid' ELSE 'eligible' END AS state,
    CASE WHEN i < 2 THEN 1 END AS export_id, 200000 AS bonus_cents FROM range(4) t(i)
  UNION ALL BY NAME SELECT 'bon_pending' AS bonus_id, 'greenhouse:P2' AS application_key, 'A3' AS advocate_id,
    1 AS cycle, 0 AS amount_cents, 'USD' AS currency, 'pending' AS state, 200000 AS bonus_cents;
INSERT INTO staging.cost BY NAME
  SELECT 'costs.csv' AS file, i AS line, DATE '2026-03-01' AS first_month, 1 AS months, 'external' AS kind,
    CASE i WHEN 2 THEN 'advocacy' ELSE 'agency' END AS channel, (i - 1) * 1000 AS reporting_cents,
    'USD' AS reporting_currency FROM range(2, 4) t(i);
INSERT INTO mart.cost BY NAME
  SELECT first_month AS month, CASE channel WHEN 'advocacy' THEN channel ELSE 'other' END AS channel,
    channel AS source, kind, reporting_cents AS amount_cents, reporting_currency AS currency FROM staging.cost;
INSERT INTO staging.ledger_payroll BY NAME
  SELECT 1 AS export_id, 'K' || i AS key, 100000 AS amount_cents, 'USD' AS currency, 'paid' AS state,
    'open' AS export_state FROM range(2) t(i)
  UNION ALL BY NAME SELECT 2 AS export_id, 'K1' AS key, 100000 AS amount_cents, 'USD' AS currency,
    'returned' AS state, 'cancelled' AS export_state;
"""


class Tables:
    """Stands for the warehouse: what frames and reports need of it, on a database in memory."""

    def __init__(self, rows: str = GOOD_ROWS) -> None:
        self.connection = duckdb.connect(":memory:", config={"threads": 1})
        self.connection.execute("SET TimeZone = 'UTC'")
        for layer in ("raw", "staging", "core", "mart"):
            self.connection.execute(f"CREATE SCHEMA {layer}")
        for table, columns in COLUMNS.items():
            declared = ", ".join(f"{name} {TYPES[kind]}" for name, kind in columns.items())
            self.connection.execute(f"CREATE TABLE {table} ({declared})")
        if rows:
            self.connection.execute(rows)

    def frame(self, sql: str, params: Sequence[Any] | None = None) -> pd.DataFrame:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # as the warehouse does: DuckDB's affair with pandas 3
            return self.connection.execute(sql, params).df()

    def has_table(self, table: str) -> bool:
        layer, name = table.split(".")
        found = self.connection.execute(
            "SELECT 1 FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?", [layer, name]
        )
        return found.fetchone() is not None

    @contextmanager
    def broken_by(self, sql: str) -> Iterator[Tables]:
        """The tables with a statement applied, put back afterwards."""
        self.connection.begin()
        try:
            self.connection.execute(sql)
            yield self
        finally:
            self.connection.rollback()
