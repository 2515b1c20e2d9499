"""Doing: what an event asks for, as steps that bring persons, applications and jobs level.

Belongs here: from ids of a system to the persons behind them. Does not belong here: reading and grouping events
(handlers), how a person or an application is brought level (persons).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from referral_pipeline.connectors.events import Hint
from referral_pipeline.connectors.records import Referral
from referral_pipeline.ledger.records import InboxEvent
from referral_pipeline.ledger.store import Link
from referral_pipeline.sync.contact_memory import note_end
from referral_pipeline.sync.jobs import jobs_due, tell_job
from referral_pipeline.sync.lane.persons import Leveller
from referral_pipeline.sync.lane.systems import Systems
from referral_pipeline.sync.lane.work import WaitUntil
from referral_pipeline.sync.lifecycle import State
from referral_pipeline.vocabulary import Block

_OWN_ECHO = timedelta(seconds=1.5)
"""How long an application that nobody is linked to may still turn out to be our own create, under way in another
thread."""


class Doing:
    """Does the work of events. Safe for threads."""

    def __init__(self, systems: Systems, leveller: Leveller) -> None:
        self._s = systems
        self._leveller = leveller
        self._advocacy = systems.advocacy.system
        self._ats = systems.ats.system

    def read_anew(self, referral_id: str) -> bool:
        """Fetch a referral into the mirror; False when the platform has it no more.

        Of a platform that never tells what is gone, one that it does not show stands as it was kept.
        """
        row = self._s.advocacy.referral_row(referral_id)
        if row is None:
            kind = self._s.advocacy.entities.get("referrals")
            may_stand = kind is not None and not kind.tells_gone
            return may_stand and bool(self._s.mirror.rows("referrals", [referral_id]))
        self._s.mirror.keep("referrals", [row])
        return True

    def applications(self, events: Mapping[str, list[InboxEvent]]) -> dict[int, str]:
        """Bring applications level, given with their events; the outcome of each event, by its id."""
        own = self._own_creates(events)
        wanted = [i for i in events if i not in own]
        outcomes = dict.fromkeys(own, "own")
        if wanted:
            outcomes |= self._leveller.bring_applications(wanted)
        for application_id in wanted:
            if outcomes[application_id] == "unlinked":
                outcomes[application_id] = self._unlinked(application_id, events[application_id])
            elif outcomes[application_id] == "missing":
                links = self._s.ledger.links_of_applications(self._ats, [application_id])
                outcomes[application_id] = self._bring_links(links)
        return {event.id: outcomes[i] for i, own_events in events.items() for event in own_events}

    def _own_creates(self, events: Mapping[str, list[InboxEvent]]) -> set[str]:
        """Applications of which we only hear that they were made, and which we made and told already."""
        heard = {
            i for i, own in events.items() if own and all(e.event_type == "new_candidate_application" for e in own)
        }
        if not heard:
            return set()
        links = self._s.ledger.links_of_applications(self._ats, heard)
        return {
            link.application_id
            for link in links
            if link.application_id and link.created_application and link.status is not None
        }

    def _unlinked(self, application_id: str, events: Sequence[InboxEvent]) -> str:
        """An application that no referral is linked to: perhaps of somebody who was referred, typed in by hand."""
        newest = max((event.received_at for event in events), default=None)
        if newest is not None:
            age = self._s.clock() - newest
            if age < _OWN_ECHO:
                raise WaitUntil((_OWN_ECHO - age).total_seconds(), "it may be our own create, under way")
        found = self._s.ats.get_applications([application_id])
        application = found.get(application_id)
        if application is None:
            return "not_ours"
        return self.candidates([application.candidate_id])

    def candidates(self, candidate_ids: Sequence[str]) -> str:
        """A candidate was made or changed: whoever was referred under its address or number is brought level."""
        live = list(self._s.ats.get_candidates(sorted(candidate_ids)).values())
        keys = {h for candidate in live for h in self._s.people.hashes_of_candidate(candidate)}
        referral_ids = {x.referral_id for x in self._s.ledger.links_of_candidates(self._ats, candidate_ids)}
        prefix = f"{self._advocacy}:"
        referral_ids |= {
            key.record_id.removeprefix(prefix)
            for key in self._s.ledger.records_for(keys)
            if key.record_id.startswith(prefix)
        }
        if not referral_ids:
            return "not_ours"
        outcomes = self._leveller.bring_referrals(sorted(referral_ids), keys, candidates=live)
        return _most_telling(outcomes.values())

    def merged_or_gone(self, hint: Hint) -> str:
        """Candidates merged, deleted or anonymized, or applications deleted: whoever is linked is brought level."""
        ledger = self._s.ledger
        for old, new in hint.merged:
            ledger.alias(self._ats, old, new)
        touched = {*hint.gone_candidates, *(i for pair in hint.merged for i in pair)}
        links = ledger.links_of_candidates(self._ats, touched) if touched else []
        if hint.gone_applications:
            links += ledger.links_of_applications(self._ats, hint.gone_applications)
        if hint.event_type == "candidate_anonymized":
            # The record stays in the ATS without a name: nothing to read would tell it from any other.
            return self._block_erased(links)
        deleted = {*hint.gone_applications}
        deleted |= {x.application_id for x in links if x.application_id and x.candidate_id in hint.gone_candidates}
        return self._bring_links(links, deleted)

    def _bring_links(self, links: Sequence[Link], deleted: Collection[str] = ()) -> str:
        if not links:
            return "not_ours"
        lag = timedelta(seconds=self._s.ats.visibility_lag_seconds)
        now = self._s.clock()
        for link in links:
            # What is fresh may not be visible yet, and would be taken for gone or overlooked.
            if link.updated_at is not None and now < link.updated_at + lag and link.block is None:
                wait = (link.updated_at + lag - now).total_seconds()
                raise WaitUntil(wait, "a fresh record may not be visible yet")
        outcomes = self._leveller.bring_referrals(sorted({x.referral_id for x in links}), (), deleted=deleted)
        return _most_telling(outcomes.values())

    def _block_erased(self, links: Sequence[Link]) -> str:
        fresh = [link for link in links if link.block != Block.ERASED]
        erased = [replace(link, block=Block.ERASED.value, state=State.ERASED.value) for link in fresh]
        self._s.ledger.change_links(erased, "block", "state")
        return f"blocked:{Block.ERASED}" if links else "not_ours"

    def erased(self, referral_id: str) -> str:
        """The platform erased the person: nobody of that address is written again, and nothing of them is kept here."""
        referral: Referral | None = self._s.mirror.referrals([referral_id]).read.get(referral_id)
        ledger = self._s.ledger
        ledger.add_tombstone("referral", f"{self._advocacy}:{referral_id}", "candidate.erased")
        # The keys of the ledger too: the mirror may not hold the row, or a later one with another address.
        keys = ledger.keys_of([f"{self._advocacy}:{referral_id}"])
        for key in [*keys, *(self._s.people.keys_of(referral) if referral is not None else [])]:
            ledger.add_tombstone(key.kind, key.key_hash, "candidate.erased")
        links = list(ledger.links_for([referral_id]).values())
        if referral is not None:
            self._leveller.bring_referrals([referral_id], ())
            links = list(ledger.links_for([referral_id]).values())
        self._block_erased(links)
        self._s.mirror.forget("referrals", referral_id)
        ledger.forget_records([f"{self._advocacy}:{referral_id}"])
        return f"blocked:{Block.ERASED}"

    def contact_ended(self, contact: tuple[str, str]) -> str:
        """The CRM tells of a contact (its id): deleted or erased, it is not made again; restored, it is kept level."""
        crm = self._s.contract.crm
        return note_end(self._s.ledger, crm.connector, *contact) if crm is not None else "not_ours"

    def jobs(self, job_ids: Sequence[str]) -> str:
        """Jobs changed: the platform is told, and who was held back by a closed one is brought level."""
        jobs = self._leveller.jobs.read_again(job_ids)
        if not jobs:
            return "gone"
        due, _, _ = jobs_due(jobs, ledger=self._s.ledger)
        for job in due:
            tell_job(job, advocacy=self._s.advocacy, ledger=self._s.ledger, sealer=self._s.sealer)
        # A job that opens lets in who was held back by it.
        held = self._s.ledger.links_held_by_jobs(job.id for job in jobs if job.status == "open")
        outcome = self._bring_links(held) if held else "unchanged"
        return "job_published" if due else outcome


_TELLING = ("created", "application_opened", "matched", "updated", "status_sent")


def _most_telling(outcomes: Iterable[str]) -> str:
    found = set(outcomes)
    for word in _TELLING:
        if word in found:
            return word
    return min(found, default="unchanged")
