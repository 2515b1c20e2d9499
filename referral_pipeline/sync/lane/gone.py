"""What the ATS no longer shows: deleted, or hidden because a right was taken away.

Belongs here: telling one from the other, and which referrals are to have no candidate any more. Does not belong here:
the same for a whole pull (sync.cases), erasing anything.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from referral_pipeline.connectors.records import AtsApplication, Referral
from referral_pipeline.ledger.store import Link
from referral_pipeline.sync.cases import most_gone
from referral_pipeline.sync.creation import NotYetVisibleError
from referral_pipeline.sync.lane.people import Neighbourhood
from referral_pipeline.sync.lane.systems import Systems
from referral_pipeline.vocabulary import Block

_GONE_WITHIN = timedelta(days=1)
_LOOK_AGAIN_FOR_GONE = timedelta(minutes=10)


class Gone:
    """Judges what vanished. Safe for threads."""

    def __init__(self, systems: Systems) -> None:
        self._s = systems
        self._lag = timedelta(seconds=systems.ats.visibility_lag_seconds)

    def erased(
        self,
        referrals: Sequence[Referral],
        links: Mapping[str, Link],
        live: Mapping[str, AtsApplication],
        found: Neighbourhood,
        deleted: Collection[str],
    ) -> frozenset[str]:
        """Which of these referrals are to have no candidate: the ATS deleted it, or the person asked to be forgotten.

        Args:
            referrals: of one person.
            links: theirs, by referral id.
            live: the person's applications that the ATS shows, by id.
            found: for the keyed hashes of the referrals.
            deleted: applications of which the ATS said so; of any other it only shows that it hides them.

        Raises:
            NotYetVisibleError: more vanished than deletions explain; nothing is judged.
        """
        now = self._s.clock()
        gone: set[str] = set()
        hidden: set[str] = set()
        for referral in referrals:
            link = links.get(referral.id)
            if link is None:
                continue
            if link.block == Block.ERASED:
                gone.add(referral.id)
                continue
            # A fresh application may not be visible yet: absence counts only after the lag.
            is_old = link.updated_at is None or now >= link.updated_at + self._lag
            if link.application_id and link.application_id not in live and is_old:
                gone.add(referral.id)
                hidden |= {link.application_id} - set(deleted)
        if hidden:
            self._refuse_many_gone(now)
        hashes = {r.id: found.hashes_of.get(r.id, frozenset[str]()) for r in referrals}
        forgotten = self._s.ledger.tombstoned({h for some in hashes.values() for h in some})
        return frozenset(gone | {i for i, some in hashes.items() if not forgotten.isdisjoint(some)})

    def _refuse_many_gone(self, now: datetime) -> None:
        """As for a pull: deletions are few, and a right that was taken away hides many. Then nothing is judged."""
        if self.are_many_gone():
            self._s.on_many_gone()
            why = "the ATS hides more linked applications than deletions explain; nothing was changed"
            raise NotYetVisibleError(now + _LOOK_AGAIN_FOR_GONE, why)

    def are_many_gone(self) -> bool:
        """Whether so many applications were taken for deleted within a day that no more of them are."""
        now, linked, lately = self._s.clock(), 0, set[str]()
        for link in self._s.ledger.links():
            if link.application_id and link.block != Block.ERASED:
                linked += 1
            elif link.application_id and link.updated_at is not None and link.updated_at > now - _GONE_WITHIN:
                lately.add(link.application_id)
        return len(lately) >= most_gone(linked + len(lately))
