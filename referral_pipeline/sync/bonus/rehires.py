"""One person, one bonus: which of a person's hires has it, where the contract does not pay rehires.

Belongs here: who is one person in the ledger's eyes, and the rule. Does not belong here: amounts and telling
(sync.recognition_decision), the same rule for the warehouse (core.attribution_credit; a test holds the two together).

The rule
1. A hire that was paid has the bonus, whatever came of it later, until payroll returns it.
2. Else the earliest hire has it, by the ATS's own date and then by the application's id; when we heard of each does not
   matter. Only hires that stand recognised take part, and of one whose person was erased only a bonus that stands.
3. Two bonuses of one person never stand at once: the one that has to go is taken back before the other is told.

Two referrals are one person's when their records are (identity keys, which follow every merge and split; without keys
what the link says), or when their applications belong to one candidate of the ATS, merges followed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from referral_pipeline.ledger.bonuses import by_referral, cycle_of
from referral_pipeline.ledger.records import Link, PayrollEntry, Recognition
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.vocabulary import Block

Application = tuple[str, str]
"""System and id of an application."""


@dataclass(frozen=True)
class Hire:
    """A hire that stands recognised, or was paid. `has_bonus`: its bonus was told, or is about to be, and stands."""

    application: Application
    hired_at: datetime
    has_bonus: bool = False
    is_paid: bool = False


def holder(hires: Iterable[Hire]) -> Hire:
    """Of one person's hires the one that has the bonus. There must be one at least."""
    return min(hires, key=lambda hire: (not hire.is_paid, hire.hired_at, hire.application))


def earns(hire: Hire, others: Collection[Hire]) -> bool:
    """Whether the bonus of this hire may stand now, beside the person's other hires."""
    if hire.is_paid or not others:
        return True
    if holder([hire, *others]) is not hire:
        return False
    return hire.has_bonus or not any(other.has_bonus for other in others)


class Families:
    """Looks persons and their hires up in the ledger."""

    def __init__(self, ledger: Ledger, advocacy_system: str) -> None:
        self._ledger = ledger
        self._prefix = f"{advocacy_system}:"

    def hires_of(self, referral_ids: Iterable[str]) -> dict[Application, Hire]:
        """Every hire of the person behind these referrals, who are one person's."""
        family = set(referral_ids)
        new = frozenset(family)
        seen: set[str] = set()
        while new:
            nodes = {node for some in self._nodes(new).values() for node in some} - seen
            seen |= nodes
            new = frozenset(self._referrals_at(nodes) - family)
            family |= new
        rows = self._ledger.recognitions(referral_ids=family)
        return self._hires(rows, self._ledger.paid_entries(family))

    def unearned(self) -> frozenset[Application]:
        """The applications whose hire stands recognised and earns no bonus now, because another of the person does."""
        return frozenset(
            hire.application
            for own in self._persons()
            for hire in own
            if not earns(hire, [other for other in own if other is not hire])
        )

    def paid_again(self) -> frozenset[Application]:
        """The applications that were paid though an earlier hire of the same person was paid too."""
        paid = [[hire for hire in own if hire.is_paid] for own in self._persons()]
        return frozenset(hire.application for own in paid for hire in own if hire is not holder(own))

    def _persons(self) -> list[list[Hire]]:
        """Every hire, grouped by whose it is."""
        rows = self._ledger.recognitions()
        entries = self._ledger.payroll_entries(state="paid")
        hires = self._hires(rows, entries)
        if len(hires) < 2:
            return [[hire] for hire in hires.values()]
        referrals_of: dict[Application, set[str]] = defaultdict(set)
        for one in (*rows, *entries):
            if (application := (one.system, one.application_id)) in hires:
                referrals_of[application].add(one.referral_id)
        return [[hires[application] for application in own] for own in self._by_person(referrals_of)]

    def _by_person(self, referrals_of: Mapping[Application, Collection[str]]) -> list[list[Application]]:
        """These applications, grouped by whose they are."""
        nodes = self._nodes({i for some in referrals_of.values() for i in some})
        leader: dict[str, str] = {}

        def find(node: str) -> str:
            while leader.setdefault(node, node) != node:
                leader[node] = node = leader[leader[node]]
            return node

        for referrals in referrals_of.values():
            joined = sorted({node for i in referrals for node in (f"referral:{i}", *nodes[i])})
            for node in joined[1:]:
                leader[find(node)] = find(joined[0])
        groups: dict[str, list[Application]] = defaultdict(list)
        for application, referrals in sorted(referrals_of.items()):
            groups[find(f"referral:{min(referrals)}")].append(application)
        return list(groups.values())

    # ------------------------------------------------------------ who is one person

    def _nodes(self, referral_ids: Collection[str]) -> dict[str, set[str]]:
        """What a referral has in common with others of its person: the person, and the candidate."""
        links = self._ledger.links_for(referral_ids)
        keys = self._ledger.keys_of(f"{self._prefix}{i}" for i in referral_ids)
        person_of = {key.record_id.removeprefix(self._prefix): key.person_id for key in keys}
        aliases = self._aliases(links.values())
        nodes: dict[str, set[str]] = {i: set() for i in referral_ids}
        for i, own in nodes.items():
            link = links.get(i)
            if person := person_of.get(i) or (link.person_id if link is not None else None):
                own.add(f"person:{person}")
            if link is not None and link.candidate_id:
                candidate = aliases.get((link.system, link.candidate_id), link.candidate_id)
                own.add(f"candidate:{link.system}:{candidate}")
        return nodes

    def _referrals_at(self, nodes: Collection[str]) -> set[str]:
        """The referrals that have one of these in common."""
        ledger = self._ledger
        persons = {node.removeprefix("person:") for node in nodes if node.startswith("person:")}
        found = {
            record.removeprefix(self._prefix)
            for record in ledger.records_of_persons(persons)
            if record.startswith(self._prefix)
        }
        found |= {link.referral_id for link in ledger.links_of_persons(persons)}
        candidates: dict[str, set[str]] = defaultdict(set)
        for node in nodes:
            if node.startswith("candidate:"):
                _, system, candidate = node.split(":", 2)
                candidates[system].add(candidate)
        for system, current in candidates.items():
            merged = {old for old, new in ledger.aliases(system).items() if new in current}
            found |= {link.referral_id for link in ledger.links_of_candidates(system, current | merged)}
        # A link may name a person from whom its referral was split since.
        return {i for i, own in self._nodes(found).items() if not own.isdisjoint(nodes)}

    def _aliases(self, links: Iterable[Link]) -> dict[tuple[str, str], str]:
        systems = {link.system for link in links if link.candidate_id}
        return {(system, old): new for system in systems for old, new in self._ledger.aliases(system).items()}

    # ------------------------------------------------------------ their hires

    def _hires(self, rows: Iterable[Recognition], entries: Iterable[PayrollEntry]) -> dict[Application, Hire]:
        """The hires that these tell of. The rows must be all of their referrals."""
        found: dict[Application, Hire] = {}
        histories = by_referral(rows)
        links = self._ledger.links_for(histories)
        for referral_id, history in histories.items():
            open_cycle = cycle_of(history)
            standing = [row for row in history if row.cycle == open_cycle and row.state != "dead"]
            link = links.get(referral_id)
            if link is not None and link.block == Block.ERASED and all(row.kind == "hired" for row in standing):
                continue  # nothing is added to it any more: it would hold the bonus and never get it
            for row in standing:
                application = (row.system, row.application_id)
                hire = found.get(application) or Hire(application, row.created_at)
                has_bonus = hire.has_bonus or row.kind == "bonus_eligible"
                found[application] = replace(hire, hired_at=min(hire.hired_at, row.created_at), has_bonus=has_bonus)
        for entry in entries:
            application = (entry.system, entry.application_id)
            hire = found.get(application) or Hire(application, entry.eligible_at)
            found[application] = replace(hire, has_bonus=True, is_paid=True)
        by_system: dict[str, set[str]] = defaultdict(set)
        for system, application_id in found:
            by_system[system].add(application_id)
        for system, ids in by_system.items():
            for application_id, at in self._ledger.hire_dates(system, ids).items():
                found[system, application_id] = replace(found[system, application_id], hired_at=at)
        return found
