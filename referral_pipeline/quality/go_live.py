"""The go-live gate: what must have been verified in the sandbox before anything is written in production.

Belongs here: what is asked, whether it is there, approval and its revocation, the signed copy that travels from the
sandbox's ledger to production's, and the guard that every outbound write passes. Does not belong here: making the
verifications (the commands and jobs record them), sending (connectors.http asks the guard).

Every verification is true of one fingerprint (`connectors.covered`): what was verified under another contract, stage
map or connector version counts no longer, and neither does an approval.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from referral_pipeline.connectors.covered import fingerprint_of
from referral_pipeline.connectors.failures import NotApproved
from referral_pipeline.contract.models import Contract
from referral_pipeline.contract.problems import ContractError
from referral_pipeline.ledger.records import Verification
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.quality.parallel_run.records import is_open_cause
from referral_pipeline.quality.parallel_run.sign_off import COMPARISON, SIGN_OFF

SANDBOX = "sandbox"
APPROVAL_KEY = "REFERRAL_PIPELINE_APPROVAL_KEY"
"""The environment variable with the secret that signs an approval which travels."""

GO_LIVE = "go_live"
_FORMAT = 1
_SHORTEST_KEY = 16
_LONGEST_TRAVEL = timedelta(days=30)
_ASK_AGAIN_SECONDS = 20.0


class GoLiveRefused(Exception):
    """What was asked for cannot be done; the text says why, and how to mend it."""


@dataclass(frozen=True)
class Requirement:
    """Something that must have been verified. `oldest` is how long ago at most."""

    kind: str
    title: str
    oldest: timedelta
    mend: str


REQUIREMENTS: Sequence[Requirement] = (
    Requirement(
        "check",
        "Contract, secrets, connections, custom fields and stages hold",
        timedelta(days=7),
        "Run `referral-pipeline check` and mend what it names",
    ),
    Requirement(
        "api_audit",
        "The APIs can do what the contract asks of them",
        timedelta(days=31),
        "Run `referral-pipeline audit-api` and mend, or do without, what is missing",
    ),
    Requirement(
        "sandbox_run",
        "A run in the sandbox without a failure, all blocking checks passed",
        timedelta(days=7),
        "Run `referral-pipeline refresh` in the sandbox and mend what fails",
    ),
    Requirement(
        "field_audit",
        "A sample of records is the same in both systems, field by field",
        timedelta(days=31),
        "Run `referral-pipeline audit run` and mend the fields that it names",
    ),
    Requirement(
        "attribution",
        "Hires carry their advocate, content and campaign in the ATS, and every tag has its referral",
        timedelta(days=31),
        "Run `referral-pipeline attribution validate`, then `attribution repair`",
    ),
    Requirement(
        "parallel_run",
        "Manual intake and the integration were compared",
        timedelta(days=31),
        "Name the intake in verification.parallel_run of the contract, and run `referral-pipeline parallel-run`",
    ),
    Requirement(
        "sign_off",
        "The parallel run was signed off",
        timedelta(days=31),
        "Read `referral-pipeline parallel-run`, then `parallel-run sign-off --by ADDRESS --reason WORDS`",
    ),
)


@dataclass(frozen=True)
class Standing:
    """One requirement and what is there of it.

    `state` is passed, failed, old, or missing (also when only another contract, stage map or connector had it).
    """

    requirement: Requirement
    state: str
    found: Verification | None

    @property
    def holds(self) -> bool:
        """Whether it stands in nobody's way."""
        return self.state == "passed"


@dataclass(frozen=True)
class Approval:
    """Who let the integration write in production, when and why; and whether that holds for the present contract.

    `at` is when it was recorded here, `given_at` when it was given: a copy that travelled is recorded later.
    """

    approved: bool
    by: str
    at: datetime
    reason: str
    given_at: datetime


def standings(contract: Contract, ledger: Ledger, *, now: datetime) -> list[Standing]:
    """Each requirement with the newest verification of it in the sandbox that is true of the present contract.

    What was verified in production is none of these: there nothing is tried out.
    """
    fingerprint = fingerprint_of(contract)
    found: list[Standing] = []
    for requirement in REQUIREMENTS:
        newest = ledger.latest_verification(requirement.kind, fingerprint, environment=SANDBOX)
        if newest is None:
            state = "missing"
        elif not newest.passed and not _is_accepted(newest, ledger, fingerprint):
            state = "failed"
        elif newest.made_at < now - requirement.oldest:
            state = "old"
        else:
            state = "passed"
        found.append(Standing(requirement, state, newest))
    return found


def _is_accepted(found: Verification, ledger: Ledger, fingerprint: str) -> bool:
    """Whether somebody signed over the open findings of a parallel run: no more of any cause than there were then."""
    if found.kind != COMPARISON or not found.facts.get("matched"):
        return False
    signed = ledger.latest_verification(SIGN_OFF, fingerprint, environment=SANDBOX)
    if signed is None or not signed.passed or found.facts["open"] > signed.facts["accepted_findings"]:
        return False
    then = signed.facts["causes"]
    return all(count <= then.get(cause, 0) for cause, count in found.facts["causes"].items() if is_open_cause(cause))


def approval_of(contract: Contract, ledger: Ledger) -> Approval | None:
    """The newest word on go-live for the present contract; None when nobody has spoken.

    Whoever revokes means what runs, and what runs may be another contract than the one in the file by then: so a
    revocation ends every approval before it.
    """
    own = ledger.latest_verification(GO_LIVE, fingerprint_of(contract))
    last = next(iter(ledger.verifications(GO_LIVE, limit=1)), None)
    newest = last if last is not None and not last.passed else own
    if newest is None:
        return None
    given = newest.facts.get("approved_at")
    given_at = datetime.fromisoformat(str(given)) if given else newest.made_at
    return Approval(newest.passed, newest.made_by, newest.made_at, str(newest.facts.get("reason", "")), given_at)


def is_approved(contract: Contract, ledger: Ledger) -> bool:
    """Whether writes may go out: in a sandbox always, in production when the present contract is approved."""
    if contract.environment == "sandbox":
        return True
    approval = approval_of(contract, ledger)
    return approval is not None and approval.approved


def approve(contract: Contract, ledger: Ledger, *, by: str, reason: str, now: datetime) -> Approval:
    """Record that production may be written to under the present contract.

    Raises:
        GoLiveRefused: not in the sandbox, nothing stands behind the words, or a requirement is not met.
    """
    if contract.environment != "sandbox":
        raise GoLiveRefused(
            "an approval is given where the evidence is: in the sandbox's installation. Take it to production with "
            "`go-live --export FILE` there and `go-live --import FILE` here"
        )
    _require_words(by, reason)
    lacking = [s for s in standings(contract, ledger, now=now) if not s.holds]
    if lacking:
        raise GoLiveRefused(_lacking_words(lacking))
    evidence = {s.requirement.kind: s.found.id for s in standings(contract, ledger, now=now) if s.found is not None}
    _record(contract, ledger, approved=True, by=by, facts={"reason": reason, "evidence": evidence})
    return Approval(True, by, now, reason, now)


def revoke(contract: Contract, ledger: Ledger, *, by: str, reason: str) -> None:
    """Record that production may not be written to any more; what runs stops writing within a minute.

    Raises:
        GoLiveRefused: nothing stands behind the words.
    """
    _require_words(by, reason)
    _record(contract, ledger, approved=False, by=by, facts={"reason": reason})


def _require_words(by: str, reason: str) -> None:
    if not _is_address(by) or not reason.strip():
        raise GoLiveRefused("somebody must answer for it. Give --by with their e-mail address, and --reason in words")


def _is_address(text: str) -> bool:
    from email_validator import EmailNotValidError, validate_email

    try:
        validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        return False
    return True


def _lacking_words(lacking: Sequence[Standing]) -> str:
    """What does not hold and how to mend it, in one sentence; names of options keep their case."""
    mends = ((one, one.requirement.mend) for one in lacking)
    return "; ".join(f"{one.requirement.kind} is {one.state}: {mend[:1].lower()}{mend[1:]}" for one, mend in mends)


def _record(contract: Contract, ledger: Ledger, *, approved: bool, by: str, facts: Mapping[str, Any]) -> None:
    ledger.record_verification(
        GO_LIVE,
        passed=approved,
        environment=contract.environment,
        fingerprint=fingerprint_of(contract),
        made_by=by,
        facts=facts,
    )


# ---------------------------------------------------------------- the copy that travels


def exported(contract: Contract, ledger: Ledger, *, key: str, now: datetime) -> str:
    """The approval as signed JSON, for production's own ledger.

    Raises:
        GoLiveRefused: there is no approval of the present contract, what it rests on does not hold now (asked where
            the evidence is, in the sandbox), or the key is too short.
    """
    approval = approval_of(contract, ledger)
    if approval is None or not approval.approved:
        raise GoLiveRefused("nobody has approved the present contract. Run `referral-pipeline go-live` for what lacks")
    if contract.environment == SANDBOX:
        lacking = [s for s in standings(contract, ledger, now=now) if not s.holds]
        if lacking:
            raise GoLiveRefused(f"what was approved does not hold now. {_lacking_words(lacking)}")
    content = {
        "format": _FORMAT,
        "fingerprint": fingerprint_of(contract),
        "approved_by": approval.by,
        # When it was given, not when it came here: a copy of a copy is no younger.
        "approved_at": approval.given_at.astimezone(UTC).isoformat(),
        "reason": approval.reason,
    }
    return json.dumps({**content, "signature": _signature(content, key)}, indent=2) + "\n"


def import_approval(text: str, contract: Contract, ledger: Ledger, *, key: str, now: datetime) -> Approval:
    """Record an approval that was given elsewhere.

    Raises:
        GoLiveRefused: it is not whole, signed with another key, too old, of another contract, or older than the newest
            word here.
    """
    content, signature, at = _read(text)
    if not hmac.compare_digest(signature.encode(), _signature(content, key).encode()):
        raise GoLiveRefused(
            f"the file's signature does not fit: it was changed, or signed with another {APPROVAL_KEY}. Export it again"
        )
    if content["format"] != _FORMAT:
        raise GoLiveRefused("the file was made by another version. Export it again with this one")
    if content["fingerprint"] != fingerprint_of(contract):
        raise GoLiveRefused(
            "the file approves another contract, stage map or connector version than the one here. Verify and approve "
            "this one in the sandbox, or put the approved one in place"
        )
    if not now - _LONGEST_TRAVEL <= at <= now + timedelta(hours=1):
        raise GoLiveRefused(f"the approval is not of the last {_LONGEST_TRAVEL.days} days. Verify and approve again")
    newest = approval_of(contract, ledger)
    if newest is not None and not newest.approved and newest.at >= at:
        raise GoLiveRefused("the approval was revoked here after it was given. Approve again in the sandbox")
    facts = {"reason": content["reason"], "approved_at": content["approved_at"]}
    _record(contract, ledger, approved=True, by=str(content["approved_by"]), facts=facts)
    return Approval(True, str(content["approved_by"]), now, str(content["reason"]), at)


def _read(text: str) -> tuple[dict[str, Any], str, datetime]:
    try:
        read = json.loads(text)
        content = {name: read[name] for name in ("format", "fingerprint", "approved_by", "approved_at", "reason")}
        at = datetime.fromisoformat(content["approved_at"])
        if len(read) == len(content) + 1 and at.tzinfo is not None:
            return content, str(read["signature"]), at
    except (ValueError, KeyError, TypeError):
        pass
    raise GoLiveRefused("the file is not an approval. Make it with `referral-pipeline go-live --export FILE`")


def _signature(content: Mapping[str, Any], key: str) -> str:
    if len(key) < _SHORTEST_KEY:
        raise GoLiveRefused(f"{APPROVAL_KEY} is shorter than {_SHORTEST_KEY} characters. Set a longer one")
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


# ---------------------------------------------------------------- the guard under every write


class WriteGuard:
    """Lets a write pass while the contract is approved; asks again every 20 seconds. Safe for threads.

    Args:
        contract: that runs.
        ledger: Where approvals are.
        on_refused: Called once each time it closes.
        present: reads the contract as it now stands in the file. In production one that is another than the one that
            runs closes too: what was approved of the one says nothing of the other, and a start makes them one again.
    """

    def __init__(
        self,
        contract: Contract,
        ledger: Ledger,
        on_refused: Callable[[], None] = lambda: None,
        present: Callable[[], Contract] | None = None,
    ) -> None:
        self._contract = contract
        self._fingerprint = fingerprint_of(contract)
        self._ledger = ledger
        self._on_refused = on_refused
        self._present = present
        self._lock = threading.Lock()
        self._asked_at: float | None = None
        self._open = False

    def __call__(self, system: str, operation: str) -> None:
        """Pass, or refuse.

        Raises:
            NotApproved: production is not approved for this contract.
        """
        if not self.look():
            raise NotApproved(system, operation)

    def look(self) -> bool:
        """Whether a write would pass now."""
        with self._lock:
            closed = False
            if self._asked_at is None or monotonic() - self._asked_at >= _ASK_AGAIN_SECONDS:
                was_open, first = self._open, self._asked_at is None
                self._open = is_approved(self._contract, self._ledger) and self._is_present()
                self._asked_at = monotonic()
                closed = not self._open and (was_open or first)
            is_open = self._open
        if closed:
            self._on_refused()
        return is_open

    def _is_present(self) -> bool:
        if self._present is None or self._contract.environment == "sandbox":
            return True
        try:
            return fingerprint_of(self._present()) == self._fingerprint
        except ContractError:
            return False  # somebody is in the middle of changing it, or broke it


def as_json(found: Sequence[Standing], approval: Approval | None, contract: Contract) -> dict[str, Any]:
    """All of it as plain data."""
    return {
        "environment": contract.environment,
        "fingerprint": fingerprint_of(contract),
        "ready": all(s.holds for s in found),
        "approved": approval is not None and approval.approved,
        "approval": None
        if approval is None
        else {
            "approved": approval.approved,
            "by": approval.by,
            "at": approval.at.isoformat(),
            "reason": approval.reason,
        },
        "requirements": [
            {
                "kind": s.requirement.kind,
                "title": s.requirement.title,
                "state": s.state,
                "made_at": s.found.made_at.isoformat() if s.found else None,
                "made_by": s.found.made_by if s.found else None,
                "facts": dict(s.found.facts) if s.found else None,
                "mend": None if s.holds else s.requirement.mend,
            }
            for s in found
        ],
    }
