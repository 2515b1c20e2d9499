"""What each cause means, and what to do about it.

Belongs here: one sentence a cause, for whoever mends it at night. Does not belong here: the detail of one finding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from referral_pipeline.quality.parallel_run.records import GATE, QUARANTINED, Cause

if TYPE_CHECKING:
    from referral_pipeline.quality.parallel_run.numbers import Numbers

WHAT_TO_DO: Final[Mapping[str, str]] = {
    Cause.MAPPING_ERROR: "The same field differs in most rows: mend the mapping, the custom field or the stage_map of "
    "integration.yaml that it names, then run `referral-pipeline refresh --full`.",
    Cause.MISSED_MATCH: "One person was taken for two: decide with `referral-pipeline review`, and the candidates are "
    "one from the next refresh on; merge them in the ATS, or let rules.dedupe.merge_in_ats do it.",
    Cause.WRONG_MERGE: "Two persons were taken for one: split them with `referral-pipeline review`, and look at the "
    "candidate in the ATS.",
    Cause.WEBHOOK_NEVER_ARRIVED: "The platform sent no webhook, or to another address: look at its webhook settings "
    "and at the receiver; `referral-pipeline reconcile` brings what was missed.",
    Cause.LATE: "Look at the lane and the inbox (`referral-pipeline events list`): it took longer than "
    "verification.parallel_run.late_hours.",
    Cause.REFUSED_BY_ATS: "Read the refusal with `referral-pipeline events list --state dead`, mend it, and replay.",
    Cause.EVENT_FAILED: "Read its error with `referral-pipeline events list --state dead`, mend it, and replay.",
    Cause.NOT_ON_PLATFORM: "The platform knows no such referral: ask who entered it, or look for a slip in its "
    "address and number.",
    Cause.NOT_ENTERED: "Ask whoever keeps manual intake; when nobody need have entered it, accept it at the sign-off.",
    Cause.UNKNOWN: "Look at both records and find out which is right: `referral-pipeline explain APPLICATION` shows "
    "the integration's evidence.",
    Cause.ATTRIBUTION_RULE: "Nothing: the contract's model of attribution gives it to another advocate.",
    Cause.ATS_RECORD_STANDS: "Nothing: the candidate was in the ATS before, and its own details stand.",
    Cause.OTHER_REFERRAL: "Nothing: the value is that of another referral of the same person.",
    Cause.MANUAL_DUPLICATE: "Nothing in the integration: manual intake has the person twice.",
    Cause.TYPED_IN_ATS: "Nothing: a recruiter typed the application into the ATS itself.",
    Cause.WINDOW_EDGE: "Nothing: it came too near to the end of the window.",
    Cause.GONE_IN_ATS: "Nothing, when it was deleted on purpose: the integration does not create it again.",
}
_GATE: Final = "Nothing: the integration holds it back, as the contract says ({reason})."
_QUARANTINED: Final = "Mend the {field} of the referral on the advocacy platform; the next refresh takes it up."


def what_to_do(cause: str | None) -> str:
    """The mend of a cause; empty where there is none to need one."""
    if cause is None:
        return ""
    if cause.startswith(GATE):
        return _GATE.format(reason=cause.removeprefix(GATE).replace("_", " "))
    if cause.startswith(QUARANTINED):
        return _QUARANTINED.format(field=cause.removeprefix(QUARANTINED).replace("_", " "))
    return WHAT_TO_DO[cause]


def agreement_words(numbers: Numbers) -> str:
    """The rate of agreement with its exact bound, in words."""
    if numbers.rate is None or numbers.low is None:
        return "no record is in both"
    sure = f"{numbers.confidence:.0%}"
    return (
        f"{numbers.agreeing} of {numbers.matched} records agree ({numbers.rate:.1%}); with {sure} confidence at least "
        f"{numbers.low:.1%} of such records do"
    )
