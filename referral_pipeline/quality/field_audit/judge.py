"""What a sample shows: rates with exact bounds, and whether the contract's minimum is shown.

Belongs here: bounds and the verdict. Does not belong here: comparing fields (compare), thresholds (contract).

Bounds are those of Clopper and Pearson, each one-sided at the contract's confidence: no wrong record in 50 leaves up to
5.8 % wrong, in 25 up to 11.3 % (KPIS, what a sample of 25 to 50 can show). They hold of the process that made the
records, so a programme with few records shows little although all of them were looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from referral_pipeline.quality.field_audit.sample import clean_sample_for


class Verdict(StrEnum):
    """Whether the accuracy per record is shown to be what the contract asks for."""

    SHOWN = "shown"
    NOT_SHOWN = "not_shown"  # so many were wrong, or the sample was chosen too small
    TOO_FEW = "too_few"  # none was wrong, and the programme has too few records to show more


@dataclass(frozen=True)
class Rate:
    """How many of those checked were right. All three shares are None where nothing was checked."""

    checked: int
    wrong: int
    accuracy: float | None
    lower: float | None
    upper: float | None


def rate(checked: int, wrong: int, confidence: float) -> Rate:
    """The accuracy, and what it is at least and at most, each with this confidence.

    Raises:
        ValueError: more are wrong than were checked.
    """
    if not 0 <= wrong <= checked:
        raise ValueError(f"found {wrong} wrong of {checked}; allowed: from 0 to what was checked")
    if checked == 0:
        return Rate(0, 0, None, None, None)
    from scipy.stats import beta

    right = checked - wrong
    lower = float(beta.ppf(1 - confidence, right, wrong + 1)) if right else 0.0
    upper = float(beta.ppf(confidence, right + 1, wrong)) if wrong else 1.0
    return Rate(checked, wrong, right / checked, lower, upper)


def verdict_on(records: Rate, *, minimum: float, confidence: float, population: int) -> Verdict:
    """Whether the records show the minimum accuracy; `population` is how many there are to draw from."""
    if records.lower is not None and records.lower >= minimum:
        return Verdict.SHOWN
    if records.wrong == 0 and population < clean_sample_for(1 - minimum, confidence):
        return Verdict.TOO_FEW
    return Verdict.NOT_SHOWN


def percent(share: float | None) -> str:
    """A share as people read it, "97.4 %"; "unknown" for None. Never rounded up to 100 % nor down to 0 %."""
    if share is None:
        return "unknown"
    text = f"{share * 100:.1f}"
    if text == "100.0" and share < 1:
        text = "above 99.9"
    elif text == "0.0" and share > 0:
        text = "below 0.1"
    return f"{text} %"
