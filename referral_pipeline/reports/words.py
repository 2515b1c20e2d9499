"""How a number reads: names, units, verdicts and definitions in words for people who run the company.

Belongs here: wording and rounding. Does not belong here: computing a number (`kpis`), reading tables, HTML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_HARD = "\u00a0"  # a space that does not break: a number stays on one line with its unit

UNKNOWN = "not known yet"
"""What stands where a value is null. Never 0: that is another answer."""


@dataclass(frozen=True)
class KpiWords:
    """One KPI in words. `lower_is_better` decides which side of the target is the good one."""

    label: str
    definition: str
    counted: str = ""
    lower_is_better: bool = False


KPI_WORDS: Mapping[str, KpiWords] = MappingProxyType(
    {
        "referral_conversion_rate": KpiWords(
            "Referrals that end in a hire",
            "Hires over all applications that came through an advocate. Only applications old enough to have been "
            "decided (90 days, unless set otherwise) count, and each hire counts in the month of its application.",
            "applications",
        ),
        "time_to_hire_days": KpiWords(
            "Time to hire",
            "The median time from the application to the accepted offer, by the applicant tracking system's own dates, "
            "over the hires of all channels to date.",
            "hires",
            lower_is_better=True,
        ),
        "attribution_coverage": KpiWords(
            "Hires with full evidence",
            "Hires through advocates for which advocate, content or share, campaign, both systems' ids and all dates "
            "are known, over all hires through advocates.",
            "hires",
        ),
        "share_to_click_rate": KpiWords("Shares that are clicked", "Shares with at least one click over all shares."),
        "click_to_apply_rate": KpiWords(
            "Clicks that become applications", "Visitors who applied for a job over visitors who clicked on it."
        ),
        "apply_to_interview_rate": KpiWords(
            "Applications that reach an interview", "Interviewed over applied, through advocates.", "applications"
        ),
        "interview_to_offer_rate": KpiWords("Interviews that lead to an offer", "Offered over interviewed."),
        "offer_to_hire_rate": KpiWords("Offers that are accepted", "Hired over offered."),
        "hire_probability_by_day": KpiWords(
            "Chance of a hire by day 90",
            "The probability that an application has ended in a hire by then, with rejection and withdrawal as "
            "competing ends (Aalen-Johansen).",
        ),
        "time_in_stage_days": KpiWords(
            "Days in a stage", "The median time an application spends in one status.", lower_is_better=True
        ),
        "cost_per_hire": KpiWords(
            "Cost per hire", "External and internal costs over hires of the period.", "hires", lower_is_better=True
        ),
        "advocate_participation_rate": KpiWords(
            "Advocates who take part", "Eligible advocates with a share or referral over all eligible.", "advocates"
        ),
        "advocate_conversion_rate": KpiWords(
            "Hires per application of an advocate", "Hires over applications credited to the advocate.", "applications"
        ),
        "duplicate_rate": KpiWords(
            "Records that were duplicates",
            "Records that identity resolution merged over records received.",
            "records",
            lower_is_better=True,
        ),
        "sync_latency_seconds": KpiWords(
            "Seconds from one system to the other",
            "Received to confirmed in the other system, 95th percentile.",
            lower_is_better=True,
        ),
        "roi": KpiWords("Return on the programme", "Cost saved by hires through advocates over the programme's cost."),
        "source_of_hire_share": KpiWords(
            "Hires that came through advocates", "Hires of the advocacy channel over all hires.", "hires"
        ),
    }
)

MATURITY_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "immature": "Too early to tell",
        "insufficient": "Too few cases to tell",
    }
)

BLOCK_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "stage": "has not applied yet",
        "withdrawn": "was withdrawn",
        "no_consent": "has no consent on record",
        "consent_expired": "has a consent that expired",
        "country": "is from a country outside the agreement",
        "erased": "belongs to a person who asked to be forgotten",
        "job": "is for a job that takes no applications",
    }
)

FIELD_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "email": "e-mail address",
        "phone": "phone number",
        "first_name": "first name",
        "last_name": "last name",
        "job_id": "job",
        "advocate_id": "advocate",
        "share_id": "share",
    }
)


def kpi_words(name: str) -> KpiWords:
    """The words of a KPI; a KPI without any is named by its own name."""
    return KPI_WORDS.get(name, KpiWords(name.replace("_", " ").capitalize(), "As defined in the contract."))


def figure(value: float | None, unit: str, currency: str = "") -> str:
    """A value with its unit as people write it; null is `UNKNOWN`. Ratios are shown in percent."""
    if value is None:
        return UNKNOWN
    if unit == "ratio":
        return f"{100 * value:.1f}{_HARD}%"
    if unit == "days":
        return f"{value:,.1f}{_HARD}days"
    if unit in {"s", "seconds"}:
        return f"{value:,.1f}{_HARD}s"
    if unit in {"currency", currency} and currency:
        return f"{value:,.2f}{_HARD}{currency}"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def spread(low: float, high: float, unit: str, currency: str = "") -> str:
    """A range with its unit said once: "4.9 to 8.8 %"."""
    lower, upper = figure(low, unit, currency), figure(high, unit, currency)
    number, _, sign = lower.rpartition(_HARD)
    return f"{number} to {upper}" if number and upper.endswith(f"{_HARD}{sign}") else f"{lower} to {upper}"


def whole(value: float | None) -> str:
    """A count; null is `UNKNOWN`."""
    return UNKNOWN if value is None else f"{round(value):,}"


@dataclass(frozen=True)
class Verdict:
    """How a value stands to its target: `tone` is met, near, missed or open; `words` say it without colour."""

    tone: str
    words: str


def verdict(
    value: float | None,
    target: float | None,
    interval: tuple[float, float] | None,
    maturity: str | None,
    *,
    lower_is_better: bool,
) -> Verdict:
    """Judge a value by its whole interval: a target inside it is neither met nor missed for certain."""
    if value is None or maturity in MATURITY_WORDS:
        return Verdict("open", MATURITY_WORDS.get(maturity or "", "Not known yet"))
    if target is None:
        return Verdict("open", "No target set")
    sign = -1.0 if lower_is_better else 1.0
    ahead = sign * (value - target) >= 0
    low, high = interval or (value, value)
    certain = min(sign * (low - target), sign * (high - target)) >= 0 if ahead else (low - target) * (high - target) > 0
    if certain:
        return Verdict("met", "Target met") if ahead else Verdict("missed", "Target missed")
    return Verdict("near", "Ahead, could still be chance" if ahead else "Short, could still be chance")
