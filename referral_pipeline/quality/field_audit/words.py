"""An audit's outcome in words, for checks, the command line and whoever reads them at night.

Belongs here: sentences and what to do, made from the facts that the ledger keeps. Does not belong here: numbers
(judge), drawing (cli, orchestration).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from referral_pipeline.quality.field_audit.judge import Verdict, percent
from referral_pipeline.quality.field_audit.sample import clean_sample_for

WHAT_TO_DO: Final[Mapping[str, str]] = {
    "missing": "Look whether the field still exists in the system that lacks it, and whether our credential may write "
    "it (`referral-pipeline check`); the next refresh writes tags and statuses again.",
    "truncated": "Look for a length limit of the field in the system that holds the shorter value, and correct the "
    "record there.",
    "swapped": "Compare the two fields in both systems' forms and in `mappings` of the contract, then correct the "
    "records named: names of candidates are not written again.",
    "case_or_space": "Somebody typed it anew, or a system rewrites case. Correct the record if it matters to you.",
    "time_zone": "Look whether a system, or a script beside the bridge, writes local times as UTC; statuses are told "
    "again when they change.",
    "format": "Look whether the field's type was changed in the system that holds it.",
    "stale": "Run `referral-pipeline refresh`; if it stays, look at `referral-pipeline events list --state dead`.",
    "vocabulary": "Look at `stage_map` of the contract: a stage is mapped to another status than people mean. After "
    "the change the next refresh tells the right one.",
    "currency": "Look at `rules.bonus.currency` of the contract. Bonuses promised before it was changed keep their "
    "currency, and then nothing is to be done.",
    "gone": "Run `referral-pipeline refresh --full`: it finds what was deleted, and ends the link. A candidate that "
    "was made private needs a right of our credential.",
    "merged": "Run `referral-pipeline refresh`: it follows the merge and tells the platform the new ids.",
    "other": "Compare the two records by the ids named, and correct the one that is wrong.",
}
"""By difference."""


def outcome_words(facts: Mapping[str, Any]) -> str:
    """The outcome in a sentence or two: how many were right, what that shows, and what is still to show."""
    record = record_rate(facts)
    checked, wrong, confidence = int(record["checked"]), int(record["wrong"]), float(facts["confidence"])
    if not checked:
        return f"no record could be counted of {facts['population']} that are linked: nothing is shown"
    bounds = (
        f"{checked - wrong} of {checked} records agree in every field ({percent(record['accuracy'])}); "
        f"with {percent(confidence)} confidence at least {percent(record['lower'])} of all do, and at most "
        f"{percent(1 - record['lower'])} do not"
    )
    minimum = float(facts["minimum_accuracy"])
    match facts["verdict"]:
        case Verdict.SHOWN:
            return f"{bounds}; the contract asks for {percent(minimum)}"
        case Verdict.TOO_FEW:
            return (
                f"{bounds}. The contract asks for {percent(minimum)}; {facts['clean_sample_for_minimum']} records "
                f"without a mismatch would show that, and {facts['population']} are linked so far"
            )
        case _:
            return f"{bounds}. The contract asks for {percent(minimum)}"


def claim_words(facts: Mapping[str, Any], claim: float) -> str:
    """Whether a claim of at most so many wrong records can be made, and what it needs."""
    record = record_rate(facts)
    confidence = float(facts["confidence"])
    needed = clean_sample_for(claim, confidence)
    if record["lower"] is not None and 1 - record["lower"] <= claim:
        return f"you may claim: at most {percent(claim)} of the records are wrong ({percent(confidence)} confidence)"
    return (
        f"a claim of at most {percent(claim)} wrong records is not shown: it needs {needed} records without a single "
        f"mismatch ({percent(confidence)} confidence); counted were {record['checked']}, wrong {record['wrong']}"
    )


def mismatch_words(facts: Mapping[str, Any]) -> str:
    """What was wrong, the worst field first."""
    wrong = worst_first(facts)
    if not wrong:
        unreadable = int(facts["unreadable"])
        return f"{unreadable} records could not be read" if unreadable else "every field compared agrees"
    worst = wrong[0]
    words = f"worst is {worst['side']}.{worst['field']}: {worst['wrong']} of {worst['checked']} differ, {_most(worst)}"
    others = [f"{one['side']}.{one['field']} {one['wrong']}" for one in wrong[1:]]
    more = f"; also {', '.join(others)}" if others else ""
    count = int(facts["mismatches_in_all"])
    return f"{count} mismatch{'es' if count > 1 else ''} stayed at a second look; {words}{more}"


def what_to_do(facts: Mapping[str, Any]) -> str:
    """How to mend the most frequent difference of the worst field."""
    wrong = worst_first(facts)
    if wrong:
        return WHAT_TO_DO[max(wrong[0]["differences"].items(), key=lambda item: (item[1], item[0]))[0]]
    if int(facts["unreadable"]):
        return "Open the records named in either system: a field of theirs breaks what its vendor documents."
    return "Raise `verification.field_audit.sample` of the contract: so few records cannot show its minimum_accuracy."


def worst_first(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rates of the fields with mismatches, most mismatches first."""
    rates: list[Mapping[str, Any]] = facts["rates"]
    wrong = [one for one in rates if one["field"] != "record" and one["wrong"]]
    return sorted(wrong, key=lambda one: (-one["wrong"], one["side"], one["field"]))


def record_rate(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """The rate of the records as wholes."""
    return next(one for one in facts["rates"] if one["field"] == "record")


def _most(one: Mapping[str, Any]) -> str:
    differences = sorted(one["differences"].items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in differences)
