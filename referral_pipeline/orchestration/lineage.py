"""Which columns a column is made from, where that is a plain fact.

Belongs here: lineage by asset and column, as data that the Dagster UI draws. Does not belong here: what a column means
(warehouse.descriptions), lineage that nobody could act on. A test holds every column named here against the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["LINEAGE", "Lineage"]

Lineage = Mapping[str, tuple[str, ...]]
"""By column: the columns that it is made from, each as `asset.column`."""


def _same(asset: str, columns: str) -> dict[str, tuple[str, ...]]:
    """Columns that are taken over under their own name."""
    return {column: (f"{asset}.{column}",) for column in columns.split()}


_TOUCH: Final = "advocate_id share_id content_id campaign_tag referral_id"
_INTERVIEWED: Final = ("attribution.interviewed_at", "status_history.status")
_OFFERED: Final = ("attribution.offered_at", "status_history.status")
_MATURE: Final = ("attribution.advocate_id", "attribution.applied_at")
_HIT: Final = (*_MATURE, "attribution.status", "attribution.hired_at", "attribution.status_at")
_CENTS: Final = ("bonus_ledger.advocate_id", "bonus_ledger.state", "bonus_ledger.amount_cents", "bonus_ledger.currency")

LINEAGE: Mapping[str, Lineage] = {
    "attribution": {
        "application_key": ("ats_applications.system", "ats_applications.id"),
        "person_id": ("people.person_id",),
        "ats": ("ats_applications.system",),
        "ats_candidate_id": ("ats_applications.candidate_id",),
        "ats_application_id": ("ats_applications.id",),
        **_same("touchpoints", _TOUCH),
        **_same("ats_applications", "job_id applied_at status status_at interviewed_at offered_at"),
        **_same("ats_applications", "hired_at starts_on rejected_at"),
        "channel": ("touchpoints.advocate_id", "touchpoints.blocked"),
        "time_to_hire_days": ("ats_applications.applied_at", "ats_applications.hired_at"),
    },
    "attribution_credit": {
        "application_key": ("ats_applications.system", "ats_applications.id"),
        **_same("touchpoints", f"{_TOUCH} kind occurred_at"),
        "weight": ("touchpoints.occurred_at", "touchpoints.blocked", "ats_applications.applied_at"),
        "reason": ("touchpoints.occurred_at", "touchpoints.blocked", "ats_applications.applied_at"),
        "bonus_cents": ("touchpoints.occurred_at", "touchpoints.blocked", "ats_applications.status"),
    },
    "advocate_performance": {
        "advocate_id": ("advocates.id",),
        **_same("advocates", "department"),
        "shares": ("shares.advocate_id",),
        "clicks": ("clicks.share_id", "shares.advocate_id"),
        "referrals": ("referrals.advocate_id",),
        "applications": ("attribution.advocate_id", "attribution.channel"),
        "interviews": ("attribution.advocate_id", *_INTERVIEWED),
        "offers": ("attribution.advocate_id", *_OFFERED),
        "hires": ("attribution.advocate_id", "attribution.status"),
        "mature_applications": _MATURE,
        "mature_hires": _HIT,
        **dict.fromkeys(("conversion", "conversion_low", "conversion_high"), _HIT),
        "maturity": _MATURE,
        "credit": ("attribution_credit.advocate_id", "attribution_credit.weight"),
        **dict.fromkeys(("pending_cents", "eligible_cents", "paid_cents", "reversed_cents"), _CENTS),
        "next_eligible_on": ("bonus_ledger.advocate_id", "bonus_ledger.state", "bonus_ledger.eligible_on"),
    },
}
