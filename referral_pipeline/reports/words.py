"""How a number reads: names, units, verdicts and definitions in words for people who run the company.

Belongs here: wording and rounding. Does not belong here: computing a number (`kpis`), reading tables, HTML.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from referral_pipeline.money import decimals_of

_HARD = "\u00a0"  # a space that does not break: a number stays on one line with its unit

_UNREADABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_WHOLE_FROM = 1_000
"""From here on decimals of an amount tell leadership nothing."""

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
            "of all channels. Hires of applications that are at least 90 days old count, unless set otherwise: of "
            "younger ones only the quick hires are known.",
            "hires",
            lower_is_better=True,
        ),
        "attribution_coverage": KpiWords(
            "Hires with full evidence",
            "Hires through advocates for which advocate, content or share, campaign, both systems' ids and all dates "
            "are known, over all hires through advocates.",
            "hires",
        ),
        "share_to_click_rate": KpiWords(
            "Shares that are clicked", "Shares with at least one click over all shares.", "shares"
        ),
        "click_to_apply_rate": KpiWords(
            "Clicks that become applications",
            "Visitors who applied for a job over visitors who clicked on it.",
            "visitors",
        ),
        "apply_to_interview_rate": KpiWords(
            "Applications that reach an interview", "Interviewed over applied, through advocates.", "applications"
        ),
        "interview_to_offer_rate": KpiWords(
            "Interviews that lead to an offer", "Offered over interviewed, through advocates.", "interviews"
        ),
        "offer_to_hire_rate": KpiWords("Offers that are accepted", "Hired over offered, through advocates.", "offers"),
        "hire_probability_by_day": KpiWords(
            "Chance of a hire in time",
            "The probability that an application has ended in a hire by the end of the decision period (90 days, "
            "unless set otherwise). Rejection and withdrawal are other ends; an application still open counts for as "
            "long as it was watched, and is not taken for a failure (Aalen-Johansen).",
            "applications",
        ),
        "time_in_stage_days": KpiWords(
            "Days in a stage", "The median time an application spends in one status.", "stays", lower_is_better=True
        ),
        "cost_per_hire": KpiWords(
            "Cost per hire",
            "All costs of a channel in a period, external and internal, with its part of shared costs, over the hires "
            "of that period (ANSI/SHRM 06001, ISO 30407). Not known without hires or without costs.",
            "hires",
            lower_is_better=True,
        ),
        "advocate_participation_rate": KpiWords(
            "Advocates who take part",
            "Eligible advocates with a share or a referral in the period over all who were eligible in it.",
            "advocates",
        ),
        "advocate_conversion_rate": KpiWords(
            "Hires per application of an advocate", "Hires over applications credited to the advocate.", "applications"
        ),
        "duplicate_rate": KpiWords(
            "Records that were duplicates",
            "Records that told of a person already known over records received: referrals, and candidates of the "
            "applicant tracking system that the integration did not create itself.",
            "records",
            lower_is_better=True,
        ),
        "sync_latency_seconds": KpiWords(
            "Time from one system to the other",
            "From receipt to confirmation in the other system; 95 of 100 events take no longer.",
            "events",
            lower_is_better=True,
        ),
        "roi": KpiWords(
            "Return on the programme",
            "What a hire costs less through advocates than elsewhere, times the hires through advocates, over what the "
            "programme cost. 100 % means that each unit spent saved one. Not known when one of its inputs is missing.",
        ),
        "source_of_hire_share": KpiWords(
            "Hires that came through advocates", "Hires of the advocacy channel over all hires.", "hires"
        ),
    }
)

_FURTHER_WORDS: Mapping[str, KpiWords] = MappingProxyType(
    {
        "time_to_hire_difference_days": KpiWords(
            "Time to hire, advocates less others",
            "The median time to hire through advocates minus the median of all other channels, among hires "
            "within 90 days (unless set otherwise), which is as long as every application that counts has had.",
            "hires",
            lower_is_better=True,
        ),
    }
)
"""Rows of mart.kpi that no contract can name."""

_QUANTILE = re.compile(r"_p(\d\d)$")

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
    """The words of a KPI; one without any is named by its own name. `_p25` and the like are quantiles of a KPI."""
    found = KPI_WORDS.get(name) or _FURTHER_WORDS.get(name)
    if found is not None:
        return found
    quantile, base = _QUANTILE.search(name), _QUANTILE.sub("", name)
    if quantile and base in KPI_WORDS:
        return replace(KPI_WORDS[base], label=f"{KPI_WORDS[base].label}, {quantile[1]} of 100")
    return KpiWords(name.replace("_", " ").capitalize(), "As defined in the contract.")


def definitions(names: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Label and definition of each of these KPIs that has words, in the order of the definitions."""
    known = {**KPI_WORDS, **_FURTHER_WORDS}
    return tuple((words.label, words.definition) for name, words in known.items() if name in names)


def guessed_unit(kpi: str) -> str:
    """The unit of a KPI that has no row yet."""
    base = _QUANTILE.sub("", kpi)
    if base == "cost_per_hire":
        return "currency"
    return "days" if base.endswith("_days") else "s" if base.endswith("_seconds") else "ratio"


def figure(value: float | None, unit: str, currency: str = "") -> str:
    """A value with its unit as people write it; null is `UNKNOWN`.

    Ratios are shown in percent; one that is not 0 or 1 never reads so (`<0.1 %`, `>99.9 %`). An amount is in the unit
    "currency", or in "smallest" when it counts the currency's smallest unit; from a thousand on it is shown without
    decimals.
    """
    if value is None:
        return UNKNOWN
    if unit == "ratio":
        return f"{_percent(value)}{_HARD}%"
    if unit == "days":
        return f"{_number(value, 1)}{_HARD}days"
    if unit == "s":
        return f"{_number(value, 1)}{_HARD}s"
    if unit in {"currency", "smallest"}:
        decimals = decimals_of(currency)
        amount = value / 10**decimals if unit == "smallest" else value
        return f"{_number(amount, 0 if abs(amount) >= _WHOLE_FROM else decimals)}{_HARD}{currency}".rstrip(_HARD)
    return _number(value, 0 if float(value).is_integer() else 2)


def _percent(value: float) -> str:
    """A ratio in percent: what is not nothing or all never reads as it, which one decimal alone would let happen."""
    text = _number(100 * value, 1)
    for whole_ratio in (0, 1):
        if value != whole_ratio and text == _number(100 * whole_ratio, 1):
            is_below = value < whole_ratio
            return f"{'>' if is_below else '<'}{_number(100 * whole_ratio + (-0.1 if is_below else 0.1), 1)}"
    return text


def _number(value: float, decimals: int) -> str:
    """Digits in groups of three; a minus sign that is one, and none before zero."""
    text = f"{value:,.{decimals}f}"
    return text.replace("-", "" if not text.strip("-0.,") else "\u2212")


def spread(low: float, high: float, unit: str, currency: str = "") -> str:
    """A range with its unit said once: "4.9 to 8.8 %"."""
    lower, upper = figure(low, unit, currency), figure(high, unit, currency)
    number, _, sign = lower.rpartition(_HARD)
    return f"{number} to {upper}" if number and upper.endswith(f"{_HARD}{sign}") else f"{lower} to {upper}"


def by_how_much(difference: float, unit: str, currency: str = "") -> str:
    """A difference with its sign; of ratios in points of a percent: "+1.5 points"."""
    sign = "+" if difference > 0 else ""
    if unit == "ratio":
        points = _number(100 * difference, 1)
        if difference and points == _number(0, 1):
            return f"<+0.1{_HARD}points" if difference > 0 else f">\u22120.1{_HARD}points"
        return f"{sign}{points}{_HARD}points"
    return f"{sign}{figure(difference, unit, currency)}"


def readable(text: str) -> str:
    """A text from outside without what neither XML nor a reader can take; each such character stays visible as one."""
    return _UNREADABLE.sub("\ufffd", text)


def whole(value: float | None) -> str:
    """A count; null is `UNKNOWN`."""
    return UNKNOWN if value is None else f"{round(value):,}"


@dataclass(frozen=True)
class Verdict:
    """How a value stands to its target: `words` say it, and `tone` is met, near, missed, open or told.

    Told are sums of money: which is lower can be seen, and nothing says how sure that is.
    """

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
