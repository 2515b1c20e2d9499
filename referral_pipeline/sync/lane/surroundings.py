"""What surrounds a record: everything that shares a key, a link or a decision with it, directly or through others.

Belongs here: following keys, links and decisions outward, and whom to leave out where they are too many. Does not
belong here: who is who among what was gathered (people, identity).

A mailbox that more people use than a neighbourhood takes joins nobody but people of one name, so there the names choose
who is taken in. The ledger knows no names: those of referrals are read from the mirror, those of candidates are asked
of the ATS by the address, as before a create.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from referral_pipeline.connectors.protocols import AtsConnector
from referral_pipeline.connectors.records import AtsCandidate, Referral
from referral_pipeline.identity.names import Name
from referral_pipeline.ledger.store import IdentityDecision, IdentityKey, Ledger, Link
from referral_pipeline.sync.lane.mirror import Mirror

MOST_RECORDS = 400
"""Strangers are taken in up to here. So many records around one address are a shared mailbox, or one huge person."""

MOST_RECORDS_OF_ONE = 2 * MOST_RECORDS
"""Up to here who is of the same person, or of the same name."""


@dataclass
class Surroundings:
    """What was found, growing. Personal data inside.

    `record_ids` are the records taken in ("advocacy:R1"), `hashes` the keyed hashes of their contact details, `known`
    what the ledger holds of them and of those left out, `left_out` the records for which there was no room,
    `candidates` those that were read on the way.
    """

    asked: frozenset[str]
    record_ids: set[str]
    hashes: set[str] = field(repr=False)
    known: dict[tuple[str, str, str], IdentityKey] = field(
        default_factory=dict[tuple[str, str, str], IdentityKey], repr=False
    )
    links: dict[str, Link] = field(default_factory=dict[str, Link])
    decisions: list[IdentityDecision] = field(default_factory=list[IdentityDecision])
    left_out: set[str] = field(default_factory=set[str])
    candidates: dict[str, AtsCandidate] = field(default_factory=dict[str, AtsCandidate], repr=False)


class Surveyor:
    """Gathers surroundings. Safe for threads.

    Args:
        ledger: keys, links, decisions.
        mirror: the referrals.
        ats: the candidates.
        advocacy: how the record ids of referrals begin ("advocacy:").
        ats_prefix: how those of candidates begin.
    """

    def __init__(self, *, ledger: Ledger, mirror: Mirror, ats: AtsConnector, advocacy: str, ats_prefix: str) -> None:
        self._ledger = ledger
        self._mirror = mirror
        self._ats = ats
        self._advocacy = advocacy
        self._ats_prefix = ats_prefix

    def around(
        self,
        record_ids: Iterable[str],
        hashes: Iterable[str],
        *,
        referrals: Collection[Referral],
        candidates: Collection[AtsCandidate],
    ) -> Surroundings:
        """Follow keys, links and decisions outward until nothing new turns up.

        Decisions are asked for once where there are none, as almost always.

        Args:
            record_ids: whose surroundings.
            hashes: keyed hashes of their contact details as they are now.
            referrals: those of the records that are referrals, and were read.
            candidates: those that are candidates.

        Raises:
            TransientFailure, PermanentFailure: names had to be asked of the ATS, and could not.
        """
        asked = frozenset(record_ids)
        found = Surroundings(asked, set(asked), set())
        fresh_ids, fresh_hashes = set(asked), set(hashes)
        looked_at = set[str]()
        while fresh_ids or fresh_hashes:
            while fresh_ids or fresh_hashes:
                keys = self._ledger.keys_around(fresh_ids, fresh_hashes)
                links = list(self._links_around(fresh_ids))
                found.links |= {link.referral_id: link for link in links}
                found.hashes |= fresh_hashes
                found.known |= {(key.key_hash, key.kind, key.record_id): key for key in keys}
                linked = {f"{self._advocacy}{link.referral_id}" for link in links}
                linked |= {f"{self._ats_prefix}{link.candidate_id}" for link in links if link.candidate_id}
                fresh_ids = _taken_in(found, {key.record_id for key in keys}, linked)
                fresh_hashes = {key.key_hash for key in keys} - found.hashes
            found.decisions = self._ledger.identity_decisions_of(found.record_ids, aliases_of=self._ats.system)
            # Those kept apart too: whom else a candidate is, the search must know before it takes it for this person.
            decided = {i for one in found.decisions for i in (*one.left, *one.right)}
            fresh_ids = _taken_in(found, (), decided)
            if not fresh_ids and not found.left_out <= looked_at:
                unknown = found.left_out - looked_at
                looked_at |= unknown
                same = self._namesakes(unknown, found, referrals, candidates)
                fresh_ids = _as_many(found, same, MOST_RECORDS_OF_ONE)
                found.record_ids |= fresh_ids
        return found

    def _links_around(self, record_ids: Iterable[str]) -> Iterator[Link]:
        referral_ids = [i.removeprefix(self._advocacy) for i in record_ids if i.startswith(self._advocacy)]
        candidate_ids = [i.removeprefix(self._ats_prefix) for i in record_ids if i.startswith(self._ats_prefix)]
        if referral_ids:
            yield from self._ledger.links_for(referral_ids).values()
        if candidate_ids:
            yield from self._ledger.links_of_candidates(self._ats.system, candidate_ids)

    def _namesakes(
        self,
        left_out: Collection[str],
        found: Surroundings,
        referrals: Iterable[Referral],
        candidates: Iterable[AtsCandidate],
    ) -> set[str]:
        """Those left out whose name is equal to one that was asked for; the candidates among them are kept as read."""
        referrals, candidates = list(referrals), list(candidates)
        names = {name for one in (*referrals, *candidates) if (name := _name_key(one)) is not None}
        if not names:
            return set()
        near = [i.removeprefix(self._advocacy) for i in left_out if i.startswith(self._advocacy)]
        same = {f"{self._advocacy}{r.id}" for r in self._mirror.referrals(near).read.values() if _name_key(r) in names}
        wanted = {i.removeprefix(self._ats_prefix) for i in left_out if i.startswith(self._ats_prefix)}
        if wanted:
            addresses = {r.email for r in referrals if r.email} | {a for c in candidates for a in c.emails}
            read: dict[str, AtsCandidate] = {}
            for address in sorted({address.strip().lower() for address in addresses}):
                read |= {c.id: c for c in self._ats.search_candidates(address)}
            if wanted - read.keys():  # they share a phone, or an address that others brought
                read |= self._ats.get_candidates(sorted(wanted - read.keys()))
            mine = {i: c for i, c in read.items() if i in wanted and _name_key(c) in names}
            found.candidates |= mine
            same |= {f"{self._ats_prefix}{i}" for i in mine}
        return same


def _taken_in(found: Surroundings, near: Iterable[str], bound: Iterable[str]) -> set[str]:
    """What of these is new, as far as there is room; it is among `record_ids` then.

    Before strangers come those `bound` by a link or a decision to what was taken in, and the persons that were asked
    for: what is left out of them would come apart.
    """
    own = {key.person_id for key in found.known.values() if key.record_id in found.asked and key.person_id}
    ours = {key.record_id for key in found.known.values() if key.person_id in own}
    strangers = set(near) - found.record_ids
    fresh = (set(bound) - found.record_ids) | (strangers & ours)
    fresh = _as_many(found, fresh, MOST_RECORDS_OF_ONE)
    found.record_ids |= fresh
    strangers = _as_many(found, strangers - fresh, MOST_RECORDS)
    found.record_ids |= strangers
    return fresh | strangers


def _as_many(found: Surroundings, record_ids: set[str], most: int) -> set[str]:
    """Those of these for which there is room when there may be `most` in all; the others are left out."""
    room = max(0, most - len(found.record_ids))
    kept = record_ids if len(record_ids) <= room else set(sorted(record_ids)[:room])
    found.left_out = (found.left_out | record_ids) - kept
    return kept


def _name_key(one: Referral | AtsCandidate) -> str | None:
    """What two equal names have in common; None for a name without both parts, which in a crowd joins nobody."""
    name = Name(one.first_name, one.last_name)
    return name.agreement_key if name.is_full else None
