"""Crediting: who earned an application, and what it is to say of them.

Belongs here: the touches that may count for one application, and its fields. Does not belong here: the models of credit
(attribution), writing the fields (tags), how mapped fields are read (facts).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime

from referral_pipeline.attribution.models import Credit, credit, foremost, overridden
from referral_pipeline.connectors.records import Referral
from referral_pipeline.contract.models import Contract
from referral_pipeline.contract.transforms import Transform
from referral_pipeline.ledger.store import Override
from referral_pipeline.sync.facts import Programme, credited_referral, mapped_tags, touches_for
from referral_pipeline.sync.overrides import in_force


class Crediting:
    """Judges by one contract. Safe for threads."""

    def __init__(
        self,
        contract: Contract,
        programme: Callable[[], Programme],
        *,
        sources: Mapping[str, str] | None = None,
        transforms: Mapping[str, Transform] | None = None,
    ) -> None:
        """Bind to the contract; `programme` gives advocates, shares and content, the same each time.

        `sources` and `transforms` are for fields elsewhere than on an application, such as those of a CRM contact.
        """
        self._contract = contract
        self._programme = programme
        self._tag_sources = contract.tag_sources() if sources is None else sources
        self._transforms = contract.transforms() if transforms is None else transforms

    def tags(
        self,
        referrals: Sequence[Referral],
        applied_at: datetime,
        opened_for: Set[str],
        decisions: Sequence[Override] = (),
    ) -> dict[str, str | None]:
        """What the application should carry: the credited advocate's fields, nothing when no touch earned credit.

        A referral that the application was opened for happened before it, whatever the clocks of the two systems say.
        Where the owner once decided, and nobody has the credit now, the fields are emptied: what they hold came of it.
        """
        timed = _timed(referrals, applied_at, opened_for)
        credits = self.credits(referrals, applied_at, opened_for, decisions)
        if not credits:
            return self.nothing() if decisions else {}
        # The application has one advocate field, and it names whoever is paid where one is.
        winner = foremost(credits).touch
        may_stand_for_it = [r for r in timed if r.touched_at <= applied_at or r.id == winner.referral_id]
        credited_id = credited_referral(winner, may_stand_for_it).id
        return mapped_tags(
            self._tag_sources,
            touch=winner,
            referral=next(r for r in referrals if r.id == credited_id),
            programme=self._programme(),
            enrich=self._contract.phases.content_enrichment,
            transforms=self._transforms,
        )

    def credits(
        self,
        referrals: Sequence[Referral],
        applied_at: datetime,
        opened_for: Set[str],
        decisions: Sequence[Override] = (),
    ) -> list[Credit]:
        """Who earned the application, by the owner's override or the contract's model, in order of time.

        Args:
            referrals: those of the person for the application's jobs that may count, and the one that was chosen.
            applied_at: the application's own date.
            opened_for: referrals that the application was opened for: they happened before it, whatever clocks say.
            decisions: all overrides of the application, those that were revoked too.
        """
        rules = self._contract.rules.attribution
        touches = touches_for(_timed(referrals, applied_at, opened_for), self._programme())
        standing = in_force(decisions)
        if standing is not None:
            return overridden(touches, standing.referral_id)
        return credit(
            touches,
            applied_at=applied_at,
            model=rules.model,
            lookback_days=rules.lookback_days,
            tie=rules.tie,
        )

    def nothing(self) -> dict[str, str | None]:
        """The fields of an application that carries no advocate: all emptied."""
        return dict.fromkeys(self._tag_sources)

    def advocate_email(self, tags: Mapping[str, str | None]) -> str | None:
        """The address of the advocate that these fields name; None for none."""
        advocate = self._programme().advocates.get(tags.get("advocate_id") or "")
        return advocate.email if advocate is not None else None


def _timed(referrals: Sequence[Referral], applied_at: datetime, opened_for: Set[str]) -> list[Referral]:
    return [replace(r, applied_at=min(r.touched_at, applied_at)) if r.id in opened_for else r for r in referrals]
