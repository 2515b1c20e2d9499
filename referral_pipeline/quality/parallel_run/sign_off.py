"""The sign-off: somebody answers for it that the integration may replace manual intake.

Belongs here: when it may be signed, and what is kept of it. Does not belong here: what go-live asks for (go_live), the
comparison itself (run).

It stands on the newest comparison of the same contract, connectors and stage map. Nobody can sign before the window is
over, nor over findings that are open, unless they accept them, and say so in the reason.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from referral_pipeline.connectors.covered import fingerprint_of
from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.records import Verification
from referral_pipeline.ledger.store import Ledger

COMPARISON: Final = "parallel_run"
SIGN_OFF: Final = "sign_off"
_SIGNED: Final = (
    *(
        "starts_on",
        "ends_on",
        "time_zone",
        "rows",
        "outside",
        "set_aside",
        "matched",
        "agreeing",
        "rate",
        "low",
        "high",
    ),
    *("confidence", "open", "unexplained", "findings", "causes"),
)


class SignOffRefused(Exception):
    """It cannot be signed now; the message says why and what to do."""


def sign_off(
    ledger: Ledger, contract: Contract, *, by: str, reason: str, refuse: bool, accept_findings: bool, now: datetime
) -> Verification:
    """Sign the newest comparison, or refuse it; what was signed is kept with its numbers.

    Args:
        ledger: where comparisons and sign-offs are kept.
        contract: what they must be true of.
        by: the address of who signs.
        reason: why, in words of their own; no personal data.
        refuse: the answer is no.
        accept_findings: open findings are accepted for that reason.
        now: the time, aware.

    Raises:
        SignOffRefused: nothing was compared, the window is not over, or findings are open and not accepted.
    """
    if not reason.strip():
        raise SignOffRefused("a sign-off needs a reason: say in --reason what it rests on")
    fingerprint = fingerprint_of(contract)
    comparison = ledger.latest_verification(COMPARISON, fingerprint)
    if comparison is None:
        raise SignOffRefused(
            "nothing was compared under this contract, these connectors and this stage map: run "
            "`referral-pipeline parallel-run` first"
        )
    facts = comparison.facts
    if not refuse:
        _may_be_signed(comparison, accept_findings=accept_findings, now=now)
    return ledger.record_verification(
        SIGN_OFF,
        passed=not refuse,
        environment=contract.environment,
        fingerprint=fingerprint,
        made_by=by,
        facts={
            "comparison": comparison.id,
            "compared_at": comparison.made_at.isoformat(),
            "reason": reason.strip(),
            "accepted_findings": facts["open"] if accept_findings and not refuse else 0,
            **{name: facts[name] for name in _SIGNED},
        },
    )


def _may_be_signed(comparison: Verification, *, accept_findings: bool, now: datetime) -> None:
    facts = comparison.facts
    if facts["matched"] == 0:
        raise SignOffRefused(
            "no record of manual intake was found in the integration, so there is nothing to sign: look at the "
            "findings with `referral-pipeline parallel-run`"
        )
    ends_at = _ends_at(facts)
    if now < ends_at:
        raise SignOffRefused(
            f"the window is not over before {ends_at.isoformat(timespec='minutes')} ({facts['time_zone']}): sign then, "
            "or say no with --refuse"
        )
    if comparison.made_at < ends_at:
        raise SignOffRefused(
            "the newest comparison was made before the window was over: run `referral-pipeline refresh`, then "
            "`referral-pipeline parallel-run`, and sign what it shows"
        )
    if facts["open"] and not accept_findings:
        causes = ", ".join(f"{count} {cause}" for cause, count in facts["causes"].items())
        raise SignOffRefused(
            f"{facts['open']} findings are open, {facts['unexplained']} of them unexplained (all findings by cause: "
            f"{causes}): mend and compare again, or accept them with --accept-findings and a --reason that names them"
        )


def _ends_at(facts: Any) -> datetime:
    last = date.fromisoformat(facts["ends_on"])
    return datetime.combine(last + timedelta(days=1), time(), ZoneInfo(facts["time_zone"]))
