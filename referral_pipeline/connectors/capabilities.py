"""What a system can do, line by line, and how a connector tells it: the vocabulary of `audit-api`.

Belongs here: the form of a question, of its answer, and of what a connector offers to be asked. Does not belong here:
the questions of a vendor (`greenhouse_audit`, `advocacy_audit`), running all of them, what the contract needs
(`monitoring.api_audit`).

How a standing is found
- covered: a call of this audit showed it, and the answer is what the integration needs.
- partial: it is there and something of it is not, or it was shown up to the point where a write would begin.
- missing: the system refuses it (403, 404, 405, 410, 501), or does not have it.
- not verified: nobody asked (nothing is written in production; there was no record to ask about), or no answer came,
  which `unanswered` tells apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from referral_pipeline.connectors.failures import HttpFailure, NotApproved, PermanentFailure
from referral_pipeline.connectors.rate_budget import ServerWindow
from referral_pipeline.connectors.records import AtsJob

ALWAYS = "always"
CREATION = "candidate_creation"
RETURN = "status_return"
ENRICHMENT = "content_enrichment"
MERGING = "merge_in_ats"

NO_WRITES = "nothing is written in production: audit the sandbox"
_GONE = frozenset({403, 404, 405, 410, 501})
_DIGITS = re.compile(r"\d")


class Area(StrEnum):
    """What a line is about; reports stand in this order."""

    ARCHITECTURE = "architecture"
    AUTHENTICATION = "authentication"
    ENDPOINTS = "endpoints"
    TAGGING = "tagging"
    WEBHOOKS = "webhooks"
    RATE_LIMIT = "rate limit"
    FIELDS = "fields"
    DATES = "dates"
    CUSTOM_FIELDS = "custom fields"


class Standing(StrEnum):
    """What was found; see the module."""

    COVERED = "covered"
    PARTIAL = "partial"
    MISSING = "missing"
    NOT_VERIFIED = "not verified"


@dataclass(frozen=True)
class Capability:
    """One line of an audit. No personal data: `evidence` names statuses, fields, counts and ids.

    `consequence` is what the standing means for the integration; `needed_by` the phases (or `always`, `merge_in_ats`)
    that cannot do without; `endpoint` the one operation that the line is about, where it is about one.
    """

    area: Area
    name: str
    title: str
    standing: Standing
    evidence: str
    consequence: str
    needed_by: tuple[str, ...] = ()
    endpoint: str | None = None
    unanswered: bool = False


@dataclass(frozen=True)
class Question:
    """A line before it is answered. `with_it` and `without` are what follows for the integration."""

    area: Area
    name: str
    title: str
    with_it: str
    without: str
    needed_by: tuple[str, ...] = ()
    endpoint: str | None = None

    def covered(self, evidence: str) -> Capability:
        """It is there."""
        return self._answer(Standing.COVERED, evidence, self.with_it)

    def partial(self, evidence: str, consequence: str | None = None) -> Capability:
        """Something of it is there; without a consequence of its own, what would follow without it."""
        return self._answer(Standing.PARTIAL, evidence, consequence or self.without)

    def missing(self, evidence: str) -> Capability:
        """It is not there."""
        return self._answer(Standing.MISSING, evidence, self.without)

    def not_verified(self, evidence: str, *, unanswered: bool = False) -> Capability:
        """Nobody knows."""
        consequence = f"not known; without it: {self.without}"
        return self._answer(Standing.NOT_VERIFIED, evidence, consequence, unanswered=unanswered)

    def failed(self, failure: HttpFailure) -> Capability:
        """What a call that did not succeed says: a refusal is an answer, silence is none."""
        if isinstance(failure, NotApproved):
            return self.not_verified(NO_WRITES)
        if failure.status in _GONE or isinstance(failure, PermanentFailure):
            return self.missing(str(failure))
        return self.not_verified(str(failure), unanswered=True)

    def _answer(self, standing: Standing, evidence: str, consequence: str, *, unanswered: bool = False) -> Capability:
        return Capability(
            area=self.area,
            name=self.name,
            title=self.title,
            standing=standing,
            evidence=evidence,
            consequence=consequence,
            needed_by=self.needed_by,
            endpoint=self.endpoint,
            unanswered=unanswered,
        )


@dataclass(frozen=True)
class AuditScope:
    """How far an audit may go. `posting` finds a job of the ATS by id, for a platform that is told of jobs."""

    may_write: bool
    posting: Callable[[str], AtsJob | None] = lambda job_id: None


@runtime_checkable
class Audited(Protocol):
    """What a connector may offer beside its protocol: to have its system audited."""

    def audit(self, scope: AuditScope) -> list[Capability]:
        """Ask the system for each capability that the integration could use.

        Writes only what `scope` allows, and takes back what it has written. A refusal or a silence of the system is a
        line, never an exception.
        """
        ...


# ---------------------------------------------------------------- questions that every system is asked

REACHED = Question(
    Area.AUTHENTICATION,
    "token",
    "A token is given for the credential",
    "calls can be made",
    "nothing works: set the credential that the contract names",
    (ALWAYS,),
)
_RATE = Question(
    Area.RATE_LIMIT,
    "rate_limit",
    "The system tells how much may still be sent",
    "all processes share one budget and stop before the limit",
    "a 429 is met and obeyed: bursts are slower",
)
_DATES = Question(
    Area.DATES,
    "times",
    "Times carry their zone",
    "orders and durations are right",
    "times without a zone are read as UTC, and are wrong where they are not",
    (ALWAYS,),
)


def rate_line(window: ServerWindow | None) -> Capability:
    """What the rate headers of the newest answer said."""
    if window is None or window.limit is None:
        return _RATE.partial("no answer carried a rate header")
    left = "" if window.remaining is None else f", {window.remaining} left"
    return _RATE.covered(f"{window.limit} calls a window{left}")


def dates_line(values: Iterable[str]) -> Capability:
    """The forms of times, each told by its pattern: `9999-99-99T99:99:99Z`."""
    forms = sorted({_DIGITS.sub("9", value) for value in values})
    if not forms:
        return _DATES.not_verified("no row holds a time")
    evidence = f"in the form{'s' if len(forms) > 1 else ''} {', '.join(forms[:5])} (each 9 a digit)"
    # Thirteen digits are epoch milliseconds: they need no zone.
    bare = [form for form in forms if not re.search(r"(Z|[+-]99:?99| UTC|^9{13})$", form)]
    return _DATES.partial(evidence) if bare else _DATES.covered(evidence)


def one_by_one(lines: Sequence[Capability]) -> list[Capability]:
    """Lines in the order of their areas, each area's own order kept."""
    areas = list(Area)
    return sorted(lines, key=lambda line: areas.index(line.area))
