"""The few numbers of a table that an analyst would watch from run to run; the Dagster UI draws them as trends.

Belongs here: one statement an asset, which answers one row of plain numbers. Does not belong here: what a KPI is
(kpis), rules that a table must keep (quality).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from referral_pipeline.warehouse.store import Warehouse

__all__ = ["WATCHED", "watched_numbers"]

WATCHED: Mapping[str, str] = {
    "touchpoints": """
        SELECT
            count(*) FILTER (WHERE kind = 'referral') AS touches_by_referral,
            count(*) FILTER (WHERE kind = 'share') AS touches_by_share,
            count(*) FILTER (WHERE kind = 'click') AS touches_by_click,
            count(*) FILTER (WHERE blocked IS NOT NULL) AS touches_blocked
        FROM core.touchpoint
    """,
    "attribution": """
        SELECT
            count(*) FILTER (WHERE channel = 'advocacy') AS advocacy_applications,
            count(*) FILTER (WHERE channel = 'advocacy' AND status = 'hired') AS advocacy_hires,
            count(*) FILTER (WHERE channel = 'advocacy') / nullif(count(*), 0) AS advocacy_share,
            count(*) FILTER (WHERE is_complete) / nullif(count(*) FILTER (WHERE channel = 'advocacy'), 0)
                AS complete_share,
            count(*) FILTER (WHERE override IS NOT NULL) AS overridden
        FROM core.attribution
    """,
    "attribution_credit": """
        SELECT
            count(DISTINCT application_key) FILTER (WHERE weight > 0) AS credited_applications,
            count(DISTINCT advocate_id) FILTER (WHERE weight > 0) AS credited_advocates
        FROM core.attribution_credit
    """,
    "bonus_ledger": """
        SELECT
            count(*) FILTER (WHERE state = 'pending') AS bonuses_pending,
            count(*) FILTER (WHERE state = 'eligible') AS bonuses_eligible,
            count(*) FILTER (WHERE state = 'paid') AS bonuses_paid,
            count(*) FILTER (WHERE state = 'reversed') AS bonuses_reversed
        FROM mart.bonus
    """,
    "kpis": """
        SELECT
            count(*) FILTER (WHERE maturity = 'mature') AS rows_mature,
            count(*) FILTER (WHERE maturity = 'immature') AS rows_immature,
            count(*) FILTER (WHERE maturity = 'insufficient') AS rows_insufficient
        FROM mart.kpi
    """,
    "advocate_performance": """
        SELECT
            count(*) FILTER (WHERE shares > 0 OR referrals > 0) AS advocates_active,
            count(*) FILTER (WHERE applications > 0) AS advocates_with_applications,
            count(*) FILTER (WHERE hires > 0) AS advocates_with_hires,
            count(*) FILTER (WHERE maturity = 'mature') AS advocates_with_conversion
        FROM mart.advocate
    """,
    "attribution_validation": """
        SELECT
            count(DISTINCT application_key) FILTER (WHERE state = 'open') AS applications_open,
            count(DISTINCT application_key) FILTER (WHERE state = 'open' AND is_hire) AS hires_open,
            count(DISTINCT application_key) FILTER (WHERE state = 'mended') AS applications_mended_lately
        FROM ops.attribution_validation
    """,
    "field_accuracy_audit": """
        SELECT
            max_by(accuracy, audit_id) AS records_accuracy,
            max_by(lower, audit_id) AS records_accuracy_at_least,
            max_by(checked, audit_id) AS records_checked
        FROM ops.field_accuracy
        WHERE field = 'record'
    """,
    "api_capability": """
        SELECT
            count(*) FILTER (WHERE standing = 'covered') AS lines_covered,
            count(*) FILTER (WHERE standing = 'partial') AS lines_partial,
            count(*) FILTER (WHERE standing = 'missing') AS lines_missing,
            count(*) FILTER (WHERE standing = 'not verified') AS lines_not_verified
        FROM ops.api_capability
        WHERE audit_id = (SELECT max(audit_id) FROM ops.api_capability)
    """,
}


def watched_numbers(warehouse: Warehouse, asset: str) -> dict[str, int | float]:
    """The numbers of one asset by name; one that is null (a share of nothing) is left out, which is not 0."""
    sql = WATCHED.get(asset)
    if sql is None:
        return {}
    with warehouse.connect() as connection:
        answer = connection.execute(sql)
        names = [str(column[0]) for column in answer.description or ()]
        [values] = answer.fetchall()
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}
