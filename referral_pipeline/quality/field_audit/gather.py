"""All that decides what one linked record must hold, put together from live reads and the ledger.

Belongs here: whose an application is, which referrals may count for it, who has the credit, what was recognised. Does
not belong here: reading (live), the values that follow (expect).

Every rule is asked of the room that owns it, so that the audit has no second truth: the gate (privacy), fitness
(identity), whose an application is (sync.owners), overrides (sync.overrides), credit (sync.candidates), recognitions
(sync.recognitions). What is audited is whether their outcome arrived and stayed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from referral_pipeline.attribution.models import Credit
from referral_pipeline.connectors.records import AtsApplication, AtsCandidate, Referral
from referral_pipeline.identity.admission import unfit_fields
from referral_pipeline.ledger.bonuses import cycle_of
from referral_pipeline.ledger.records import Delivery, Link, Override, Recognition
from referral_pipeline.privacy.gate import GatePolicy, blocked_by
from referral_pipeline.quality.field_audit.live import (
    LiveProgramme,
    LiveReferral,
    Read,
    Systems,
    read_applications,
    read_candidates,
    read_referrals,
)
from referral_pipeline.sync.crediting import Crediting
from referral_pipeline.sync.facts import Programme
from referral_pipeline.sync.overrides import decisions_on, with_chosen
from referral_pipeline.sync.owners import links_of_owner, owner_of
from referral_pipeline.sync.recognition_decision import HireCase
from referral_pipeline.sync.recognitions import Recogniser
from referral_pipeline.vocabulary import Block


@dataclass(frozen=True)
class Counting:
    """The referrals that count for an application, the credit that follows, and the programme around them.

    `person` are all live referrals of its person, `assigned` the ids of those that were written to it and may be.
    `opened_for` are referrals that it was opened for. `decisions` are all overrides of it.
    """

    person: Mapping[str, Referral] = field(repr=False)
    assigned: frozenset[str]
    may_count: Sequence[Referral] = field(repr=False)
    credits: Sequence[Credit]
    opened_for: frozenset[str]
    decisions: Sequence[Override]
    programme: Programme = field(repr=False)


@dataclass(frozen=True)
class Gathered:
    """One linked record with all that decides what it must hold. Personal data inside.

    `block` is why the referral may not be written now, though the ledger still writes it. `known_candidate_id` is the
    candidate that the ledger knows, merges followed; `shown` are the candidates of this record that the ATS shows.
    `made_for` are referrals that the candidate was created from, empty for one that was there before, or that others
    were merged into. `is_decided` says that people decided who this person is. `opened` is the create of the
    application. `standing` is what stands recognised for the referral here, `is_recognised` whether that is all.
    """

    link: Link
    live: LiveReferral = field(repr=False)
    block: Block | None
    application: AtsApplication | None
    known_candidate_id: str
    shown: Mapping[str, AtsCandidate] = field(repr=False)
    made_for: Sequence[Referral] = field(repr=False)
    is_decided: bool
    counting: Counting | None = field(repr=False)
    opened: Delivery | None
    standing: Sequence[Recognition]
    is_recognised: bool

    @property
    def candidate(self) -> AtsCandidate | None:
        """The candidate that holds the application, when the ATS shows it."""
        return self.shown.get(self.application.candidate_id) if self.application is not None else None


@dataclass(frozen=True)
class Gatherings:
    """What was found of a sample, by referral id; `unreadable` are records that are there and cannot be read."""

    found: Mapping[str, Gathered] = field(repr=False)
    gone: frozenset[str]
    unreadable: frozenset[str]


@dataclass(frozen=True)
class _Look:
    """What one look at a sample read, and whose everything is: by application, all its links and all of its person."""

    applications: Mapping[str, AtsApplication]
    links_of: Mapping[str, Sequence[Link]]
    owned: Mapping[str, Sequence[Link]]
    referrals: Read
    aliases: Mapping[str, str]
    candidates: Mapping[str, AtsCandidate] = field(repr=False)
    programme: Programme = field(repr=False)
    now: datetime


class Gatherer:
    """Gathers records of a sample. One for an audit: the programme is pulled once."""

    def __init__(self, systems: Systems) -> None:
        self._s = systems
        self._policy = GatePolicy.of(systems.contract)
        self._live_programme = LiveProgramme(systems)
        self._recogniser = Recogniser(systems.advocacy, systems.ledger, systems.contract, systems.clock)

    def gather(self, links: Sequence[Link], what: str) -> Gatherings:
        """Read these records and what is around them now; progress is told as `what`.

        Raises:
            TransientFailure, PermanentFailure: a system could not be read.
        """
        s = self._s
        applications, dark = read_applications(s, {link.application_id for link in links if link.application_id})
        readable = [link for link in links if link.application_id not in dark]
        links_of, owned = self._owned(readable, applications)
        around = {one.referral_id for some in owned.values() for one in some}
        referrals = read_referrals(s, {link.referral_id for link in readable} | around, what)
        aliases = s.ledger.aliases(s.ats.system)
        candidates, dark_candidates = read_candidates(s, _candidates_of(readable, applications, referrals, aliases))
        programme = self._live_programme.around([one.referral for one in referrals.found.values()])
        look = _Look(applications, links_of, owned, referrals, aliases, candidates, programme, s.clock())
        found: dict[str, Gathered] = {}
        unreadable = {link.referral_id for link in links if link.application_id in dark}
        gone: set[str] = set()
        for link in readable:
            application = applications.get(link.application_id or "")
            is_dark = application is not None and application.candidate_id in dark_candidates
            if is_dark or link.referral_id in referrals.unreadable:
                unreadable.add(link.referral_id)
            elif link.referral_id not in referrals.found:
                gone.add(link.referral_id)
            else:
                found[link.referral_id] = self._gathered(link, look)
        return Gatherings(found, frozenset(gone), frozenset(unreadable))

    def _owned(
        self, links: Sequence[Link], applications: Mapping[str, AtsApplication]
    ) -> tuple[dict[str, list[Link]], dict[str, list[Link]]]:
        """By application: all its links, and all links of the person whose it is."""
        s, ats = self._s, self._s.ats.system
        ids = {link.application_id for link in links if link.application_id} & applications.keys()
        links_of: dict[str, list[Link]] = defaultdict(list)
        for link in s.ledger.links_of_applications(ats, ids):
            links_of[link.application_id or ""].append(link)
        owned: dict[str, list[Link]] = {}
        for application_id, own in links_of.items():
            holder = applications[application_id].candidate_id
            owner = owner_of(s.ledger, s.advocacy.system, ats, holder, own)
            owned[application_id] = links_of_owner(s.ledger, s.advocacy.system, owner, own)
        return dict(links_of), owned

    def _gathered(self, link: Link, look: _Look) -> Gathered:
        s, live = self._s, look.referrals.found[link.referral_id]
        application = look.applications.get(link.application_id or "")
        own, owned = look.links_of.get(link.application_id or "", [link]), look.owned.get(link.application_id or "", [])
        counting = self._counting(application, owned, look) if application is not None else None
        known = look.aliases.get(link.candidate_id or "", link.candidate_id or "")
        named = {known, live.told.ats_candidate_id, application.candidate_id if application is not None else None}
        standing, is_recognised = self._recognised(link, application, [*own, *owned], counting)
        is_opened = link.created_application
        return Gathered(
            link=link,
            live=live,
            block=blocked_by(
                live.referral, self._policy, at=look.now, erased=False, written=link.application_id is not None
            ),
            application=application,
            known_candidate_id=known,
            shown={i: look.candidates[i] for i in named if i is not None and i in look.candidates},
            made_for=_made_for(application, [link, *own, *owned], look),
            is_decided=self._is_decided(link, application),
            counting=counting,
            opened=s.ledger.delivery(f"application:{s.ats.system}:{link.referral_id}") if is_opened else None,
            standing=standing,
            is_recognised=is_recognised,
        )

    def _is_decided(self, link: Link, application: AtsApplication | None) -> bool:
        records = {f"{self._s.advocacy.system}:{link.referral_id}"}
        if application is not None:
            records.add(f"{self._s.ats.system}:{application.candidate_id}")
        decisions = self._s.ledger.identity_decisions_of(records, aliases_of=self._s.ats.system)
        return any(one.in_force and one.verdict == "merge" for one in decisions)

    def _counting(self, application: AtsApplication, owned: Sequence[Link], look: _Look) -> Counting:
        """What counts for an application, by the rules by which its fields are written (`sync.crediting`)."""
        s, programme, read = self._s, look.programme, look.referrals.found
        live = {x.referral_id: read[x.referral_id].referral for x in owned if x.referral_id in read}
        erased = {x.referral_id for x in owned if x.block == Block.ERASED}
        written = {x.referral_id for x in owned if x.application_id}
        allowed = {
            i: r
            for i, r in live.items()
            if next(unfit_fields(r, has_advocate=r.advocate_id in programme.advocates), None) is None
            and blocked_by(r, self._policy, at=look.now, erased=i in erased, written=i in written) is None
        }
        mine = {x.referral_id for x in owned if x.application_id == application.id}
        assigned = mine & allowed.keys()
        # Where all of its own are held back, only what the owner decided is brought to it, for the jobs they named.
        naming = assigned or (mine & live.keys()) - erased
        jobs = {application.job_id, *(live[i].job_id for i in naming)}
        decisions = decisions_on(s.ledger, s.ats.system, application.id)
        same_job = [r for r in allowed.values() if r.job_id in jobs]
        may_count = with_chosen(same_job, list(allowed.values()), decisions)
        opened_for = frozenset(
            x.referral_id for x in owned if x.created_application and x.application_id == application.id
        )
        crediting = Crediting(s.contract, lambda: programme)
        credits = crediting.credits(may_count, application.applied_at, opened_for, decisions)
        return Counting(live, frozenset(assigned), may_count, credits, opened_for, decisions, programme)

    def _recognised(
        self,
        link: Link,
        application: AtsApplication | None,
        around: Sequence[Link],
        counting: Counting | None,
    ) -> tuple[list[Recognition], bool]:
        """What stands recognised for a referral at its application, and whether the platform was told all there is."""
        if application is None or counting is None:
            return [], True
        history = self._s.ledger.recognitions(referral_ids=[link.referral_id])
        cycle = cycle_of(history)
        here = [x for x in history if (x.system, x.application_id) == (self._s.ats.system, application.id)]
        standing = [x for x in here if x.cycle == cycle and x.state == "sent"]
        erased = frozenset(x.referral_id for x in around if x.block == Block.ERASED)
        case = HireCase(application, counting.may_count, counting.credits, erased=erased)
        return standing, self._recogniser.is_level(case)


def _made_for(application: AtsApplication | None, around: Sequence[Link], look: _Look) -> list[Referral]:
    """The referrals that the candidate of an application was created from.

    None for a candidate that others were merged into: what it holds of them is for its recruiter to say.
    """
    if application is None or application.candidate_id in look.aliases.values():
        return []
    ids = {x.referral_id for x in around if x.created_candidate and x.candidate_id == application.candidate_id}
    return [look.referrals.found[i].referral for i in sorted(ids) if i in look.referrals.found]


def _candidates_of(
    links: Sequence[Link], applications: Mapping[str, AtsApplication], referrals: Read, aliases: Mapping[str, str]
) -> Collection[str]:
    """Every candidate that is named for these records: by the ATS, by the platform, by the ledger."""
    found: set[str] = {application.candidate_id for application in applications.values()}
    for link in links:
        if link.candidate_id:
            found.add(aliases.get(link.candidate_id, link.candidate_id))
        live = referrals.found.get(link.referral_id)
        if live is not None and live.told.ats_candidate_id:
            found.add(live.told.ats_candidate_id)
    return found
