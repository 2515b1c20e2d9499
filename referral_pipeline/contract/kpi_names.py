"""The KPIs that a contract may promise, and the objectives they serve.

Belongs here: names, units, the range a target may lie in. Does not belong here: how a KPI is computed (`kpis/`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class TargetRange:
    """What a target may be, in words and as a test."""

    words: str
    fits: Callable[[float], bool]


_RATIO = TargetRange("a ratio from 0 to 1", lambda target: 0 <= target <= 1)
_POSITIVE = TargetRange("a number above 0", lambda target: target > 0)
_ANY = TargetRange("any number", lambda target: True)

TARGETS: Mapping[str, TargetRange] = MappingProxyType(
    {
        "referral_conversion_rate": _RATIO,
        "share_to_click_rate": _RATIO,
        "click_to_apply_rate": _RATIO,
        "apply_to_interview_rate": _RATIO,
        "interview_to_offer_rate": _RATIO,
        "offer_to_hire_rate": _RATIO,
        "time_to_hire_days": _POSITIVE,
        "hire_probability_by_day": _RATIO,
        "time_in_stage_days": _POSITIVE,
        "cost_per_hire": _POSITIVE,
        "advocate_participation_rate": _RATIO,
        "attribution_coverage": _RATIO,
        "advocate_conversion_rate": _RATIO,
        "duplicate_rate": _RATIO,
        "sync_latency_seconds": _POSITIVE,
        "roi": _ANY,
        "source_of_hire_share": _RATIO,
    }
)
"""Each known KPI with what its target may be."""

KPI_NAMES: tuple[str, ...] = tuple(TARGETS)

OBJECTIVES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        # The share of referrals that end in a hire is the outcome of every objective, so it serves each of them; the
        # first of a row is the one that tells most.
        "attribute_hires": (
            "referral_conversion_rate",
            "attribution_coverage",
            "source_of_hire_share",
            "advocate_conversion_rate",
        ),
        "automate_bonuses": (
            "attribution_coverage",
            "advocate_conversion_rate",
            "sync_latency_seconds",
            "cost_per_hire",
            "referral_conversion_rate",
        ),
        "enrich_profiles": (
            "attribution_coverage",
            "click_to_apply_rate",
            "apply_to_interview_rate",
            "duplicate_rate",
            "referral_conversion_rate",
        ),
        "shorten_time_to_hire": (
            "time_to_hire_days",
            "hire_probability_by_day",
            "time_in_stage_days",
            "sync_latency_seconds",
            "referral_conversion_rate",
        ),
        "lower_cost_per_hire": ("cost_per_hire", "roi", "referral_conversion_rate"),
        "grow_participation": (
            "advocate_participation_rate",
            "share_to_click_rate",
            "click_to_apply_rate",
            "referral_conversion_rate",
        ),
    }
)
"""Each objective with the KPIs that can tell whether it is reached."""
