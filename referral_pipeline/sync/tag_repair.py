"""Repairing what attribution validation found: one application at a time, on somebody's command.

Belongs here: what a step of a repair may do, doing it through the same writer as the sync, and looking whether it
helped. Does not belong here: finding what is wrong (quality), showing the plan (the command line).

The rules
1. Only our own fields of an application that a referral leads to are written, an empty source is filled, and a merge
   that was made in the ATS is followed in the ledger. What a recruiter owns is never touched.
2. The application is read again under the lock before anything is written, and afterwards: what is told is what stands.
3. What the lane wrote after the last pull is known better by the lane, and is left alone.
4. Each step stands for itself and ends the same however often it is taken: a repair that was killed is run again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from referral_pipeline.connectors.failures import HttpFailure, NotFound, TransientFailure
from referral_pipeline.connectors.protocols import AtsConnector
from referral_pipeline.connectors.records import AtsApplication
from referral_pipeline.ledger.store import Ledger, Link
from referral_pipeline.sync.evidence import Sealer
from referral_pipeline.sync.report import SyncReport
from referral_pipeline.sync.tags import Finding, TagWriter


@dataclass(frozen=True)
class RepairStep:
    """What is to be done about one application.

    `tags` are the fields to write (None empties one), `source` the name of the source to fill in where it is empty,
    `follow_merge` whether its candidate lives on under another id. With none of them a person has to act: `why` says
    how.
    """

    application_key: str
    application_id: str
    is_hire: bool
    findings: tuple[Finding, ...]
    tags: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])
    source: str | None = None
    follow_merge: bool = False
    by_itself: bool = False
    """Whether the next refresh does it anyway."""

    why: str = ""

    @property
    def is_possible(self) -> bool:
        """Whether the repair can do anything."""
        return bool(self.tags) or self.source is not None or self.follow_merge


class Outcome(StrEnum):
    """What came of a step."""

    MENDED = "mended"
    ALREADY_RIGHT = "already_right"  # by the time it was read again
    LEFT = "left"  # somebody knows better, or a person has to act
    FAILED = "failed"  # in passing: run the repair again
    REFUSED = "refused"  # for good: correct what the reason says


@dataclass(frozen=True)
class Repaired:
    """A step with its outcome, and why where it did not help."""

    step: RepairStep
    outcome: Outcome
    why: str = ""


class TagRepair:
    """Takes the steps of a repair.

    Args:
        ats: where applications are.
        ledger: for locks, intents, aliases and links.
        sealer: keeps request and answer of what is refused for good.
        known_until: up to when both systems were pulled.
    """

    def __init__(
        self, *, ats: AtsConnector, ledger: Ledger, sealer: Sealer | None = None, known_until: datetime | None
    ) -> None:
        self._ats = ats
        self._ledger = ledger
        self._writer = TagWriter(
            ats=ats, ledger=ledger, sealer=sealer or Sealer(None), report=SyncReport(), known_until=known_until
        )

    def take(self, step: RepairStep) -> Repaired:
        """Take one step; no failure leaves it."""
        if not step.is_possible:
            return Repaired(step, Outcome.LEFT, step.why)
        links = self._ledger.links_of_applications(self._ats.system, [step.application_id])
        if not links:
            return Repaired(step, Outcome.LEFT, "no referral leads to it any more: run `attribution validate` again")
        try:
            # The lane's locks on these persons: who writes to the application waits for the other.
            with self._ledger.exclusive({f"referral:{link.referral_id}" for link in links}):
                return self._take(step, links)
        except NotFound:
            return Repaired(step, Outcome.LEFT, "it is not in the ATS any more")
        except TransientFailure as failure:
            return Repaired(step, Outcome.FAILED, str(failure))
        except HttpFailure as failure:
            return Repaired(step, Outcome.REFUSED, str(failure))

    def _take(self, step: RepairStep, links: Sequence[Link]) -> Repaired:
        application = self._read(step.application_id)
        if self._lacks(step, application, links) == []:
            return Repaired(step, Outcome.ALREADY_RIGHT)
        if step.follow_merge:
            self._follow(application, links)
        if step.tags or step.source is not None:
            if self._writer.is_known_better(application.id):
                why = "its fields were written after the last pull: run `referral-pipeline refresh`, then validate"
                return Repaired(step, Outcome.LEFT, why)
            is_sourceless = step.source is not None and application.source_name is None
            self._writer.bring(application, step.tags, by_hand=True, with_source=is_sourceless)
            application = self._read(step.application_id)
        links = self._ledger.links_of_applications(self._ats.system, [step.application_id])
        still = self._lacks(step, application, links)
        if still:
            return Repaired(step, Outcome.FAILED, f"the ATS took the write and still differs in: {', '.join(still)}")
        return Repaired(step, Outcome.MENDED)

    def _read(self, application_id: str) -> AtsApplication:
        application = self._ats.get_applications([application_id]).get(application_id)
        if application is None:
            raise NotFound(self._ats.system, "applications.list", detail="the application is not there")
        return application

    def _lacks(self, step: RepairStep, application: AtsApplication, links: Sequence[Link]) -> list[str]:
        """What of a step is not so yet, by name."""
        lacks = [name for name, value in step.tags.items() if application.tags.get(name) != value]
        if step.source is not None and application.source_name is None:
            lacks.append("source")
        if step.follow_merge and any(_is_behind(link, application) for link in links):
            lacks.append("candidate_id")
        return lacks

    def _follow(self, application: AtsApplication, links: Sequence[Link]) -> None:
        behind = [link for link in links if _is_behind(link, application)]
        with self._ledger.atomic():
            for old in sorted({link.candidate_id for link in behind if link.candidate_id}):
                self._ledger.alias(self._ats.system, old, application.candidate_id)
            self._ledger.change_links(
                [replace(link, candidate_id=application.candidate_id) for link in behind], "candidate_id"
            )


def _is_behind(link: Link, application: AtsApplication) -> bool:
    return link.candidate_id is not None and link.candidate_id != application.candidate_id
