"""From events to work: what each event asks to be brought level, and which events are one piece of work.

Belongs here: reading events, and grouping them by what they touch. Does not belong here: the work of each group
(doing), how a person or an application is brought level (persons), when and in which thread (engine).

Grouping does two things: events of one person or application never run side by side in this process, and ten events
about the same thing cost one look.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from referral_pipeline.connectors.events import Hint, decode, read_event
from referral_pipeline.connectors.records import RowProblem
from referral_pipeline.ledger.records import InboxEvent
from referral_pipeline.privacy.crypto import Cipher, CryptoError
from referral_pipeline.sync.lane.doing import Doing
from referral_pipeline.sync.lane.mirror import ENTITIES, Fresh, changed_at
from referral_pipeline.sync.lane.persons import Leveller
from referral_pipeline.sync.lane.systems import Systems
from referral_pipeline.sync.lane.work import UNREADABLE, Plan, Work
from referral_pipeline.vocabulary import Block

_FRESH = timedelta(seconds=60)
"""A signed row this young is taken as it came; an older one is read anew, so that a late event never acts on what was
true an hour ago."""
_APPLICATIONS_AT_ONCE = 10
_RECONCILED = {"reconcile.referral", "reconcile.application", "reconcile.job"}


@dataclass
class _Pending:
    """One referral-shaped event on its way into a group."""

    event: InboxEvent
    referral_id: str
    keys: frozenset[str]
    read_anew: bool
    fresh: Fresh | None = field(default=None, repr=False)


class Handlers:
    """Plans and does the work of events."""

    def __init__(self, systems: Systems, leveller: Leveller, cipher: Cipher) -> None:
        self._s = systems
        self._leveller = leveller
        self._do = Doing(systems, leveller)
        self._cipher = cipher
        self._advocacy = systems.advocacy.system

    # ------------------------------------------------------------ planning

    def plan(self, events: Sequence[InboxEvent]) -> Plan:
        """Read these events and group them. Rows that they carry are kept in the mirror on the way."""
        plan = Plan()
        pending: list[_Pending] = []
        applications: dict[str, list[InboxEvent]] = defaultdict(list)
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for event in events:
            try:
                hint = self._hint(event)
            except (CryptoError, ValueError, RecursionError) as error:
                plan.unreadable.append((event, f"the body cannot be read ({type(error).__name__})"))
                continue
            if not hint.known or hint.event_type == "ping":
                plan.done.append((event, "ping" if hint.event_type == "ping" else "ignored"))
                continue
            try:
                if event.system == self._advocacy:
                    self._plan_advocacy(event, hint, plan, pending, rows)
                elif self._s.contract.crm is not None and event.system == self._s.contract.crm.connector:
                    self._plan_crm(event, hint, plan)
                else:
                    self._plan_ats(event, hint, plan, applications)
            except Exception as fault:  # noqa: BLE001 - one signed oddity must not stop the lane, again at each start
                plan.broken.append((event, fault))
        self._leave_out_erased(plan, pending)
        self._show_to_erasures(plan, pending, rows)
        for entity, kept in rows.items():
            self._s.mirror.keep(entity, kept)
        plan.works.extend(self._referral_works(pending))
        plan.works.extend(self._application_works(applications))
        return plan

    def bulk(self, events: Sequence[InboxEvent]) -> list[tuple[int, str]]:
        """Do many shares and clicks at once. A click names no person: its row comes with the next pull."""
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        outcomes: list[tuple[int, str]] = []
        for event in events:
            try:
                hint = self._hint(event)
            except (CryptoError, ValueError, RecursionError):
                outcomes.append((event.id, UNREADABLE))
                continue
            if hint.row is not None and hint.entity in ENTITIES:
                rows[hint.entity].append(hint.row)
                outcomes.append((event.id, "kept"))
            else:
                outcomes.append((event.id, "noted" if hint.known else "ignored"))
        for entity, kept in rows.items():
            self._s.mirror.keep(entity, kept)
        return outcomes

    def _hint(self, event: InboxEvent) -> Hint:
        if event.body is None or event.event_type in _RECONCILED:
            return _hint_without_body(event)
        return read_event(event.system, decode(self._cipher.decrypt(event.body)))

    def _plan_advocacy(
        self,
        event: InboxEvent,
        hint: Hint,
        plan: Plan,
        pending: list[_Pending],
        rows: dict[str, list[dict[str, Any]]],
    ) -> None:
        referral_id = hint.referral_id
        if hint.event_type == "candidate.erased" and referral_id:
            plan.works.append(self._work("erased", [event], {f"referral:{referral_id}"}, self._do.erased, referral_id))
        elif hint.event_type == "reconcile.job":
            plan.works.append(self._work("jobs", [event], {event.subject or ""}, self._do.jobs, hint.job_ids))
        elif hint.row is not None and hint.entity is not None and hint.entity != "referrals":
            rows[hint.entity].append(hint.row)
            plan.done.append((event, "kept" if hint.entity in ENTITIES else "noted"))
        elif referral_id is None:
            plan.done.append((event, "ignored"))
        else:
            keys: frozenset[str] = frozenset()
            fresh: Fresh | None = None
            if hint.row is not None:
                referral = self._s.advocacy.referral_of(hint.row)
                if isinstance(referral, RowProblem):
                    plan.done.append((event, f"quarantined:{referral.field}"))
                    return
                fresh = Fresh(hint.row, referral)
                keys = self._s.people.hashes_of(referral)
            at = hint.occurred_at or event.occurred_at
            is_fresh = hint.row is not None and at is not None and self._s.clock() - at < _FRESH
            held = keys | {f"referral:{referral_id}"}
            pending.append(_Pending(event, referral_id, held, read_anew=not is_fresh, fresh=fresh))

    def _plan_crm(self, event: InboxEvent, hint: Hint, plan: Plan) -> None:
        """What became of a contact there. Its values are people's: only its end is remembered."""
        if hint.end is None or hint.subject is None:
            plan.done.append((event, "noted"))
            return
        contact = (hint.subject.removeprefix("contact:"), hint.end)
        plan.works.append(self._work("contacts", [event], {hint.subject}, self._do.contact_ended, contact))

    def _leave_out_erased(self, plan: Plan, pending: list[_Pending]) -> None:
        """What comes late of a referral that was erased: its row is not even kept."""
        of_id = {self._record_id(one.referral_id): one for one in pending}
        erased = self._s.ledger.tombstoned(of_id) if of_id else set[str]()
        if not erased:
            return
        late = [one for one in pending if self._record_id(one.referral_id) in erased]
        plan.done.extend((one.event, f"blocked:{Block.ERASED}") for one in late)
        pending[:] = [one for one in pending if one not in late]

    def _show_to_erasures(
        self, plan: Plan, pending: Sequence[_Pending], rows: Mapping[str, list[dict[str, Any]]]
    ) -> None:
        """A row that came with its own erasure is kept until that is done, which goes first and must know the address.

        Afterwards nothing is left of it, so that the row's own event finds nobody to write.
        """
        going = {event.subject for work in plan.works if work.kind == "erased" for event in work.events}
        for one in pending if going else ():
            if one.fresh is not None and f"referral:{one.referral_id}" in going:
                rows["referrals"].append(one.fresh.row)
                one.fresh = None

    def _record_id(self, referral_id: str) -> str:
        return f"{self._advocacy}:{referral_id}"

    def _plan_ats(self, event: InboxEvent, hint: Hint, plan: Plan, applications: dict[str, list[InboxEvent]]) -> None:
        if hint.job_ids and not hint.application_ids and not hint.candidate_ids:
            plan.works.append(
                self._work("jobs", [event], {f"job:{i}" for i in hint.job_ids}, self._do.jobs, hint.job_ids)
            )
        elif hint.merged or hint.gone_candidates or hint.gone_applications:
            keys = {f"candidate:{i}" for pair in hint.merged for i in pair}
            keys |= {f"candidate:{i}" for i in hint.gone_candidates}
            keys |= {f"application:{i}" for i in hint.gone_applications}
            plan.works.append(self._work("candidates", [event], keys, self._do.merged_or_gone, hint))
        elif hint.application_ids:
            # One look for all events of an application; the work answers for each of them.
            applications[hint.application_ids[0]].append(event)
            for more in hint.application_ids[1:]:
                applications.setdefault(more, [])
        elif hint.candidate_ids:
            keys = {f"candidate:{i}" for i in hint.candidate_ids}
            plan.works.append(self._work("candidates", [event], keys, self._do.candidates, hint.candidate_ids))
        else:
            plan.done.append((event, "ignored"))

    def _work(
        self, kind: str, events: list[InboxEvent], keys: Iterable[str], do: Callable[[Any], str], argument: object
    ) -> Work:
        def run() -> dict[int, str]:
            outcome = do(argument)
            return {event.id: outcome for event in events}

        return Work(kind, events, frozenset(keys), run)

    def _referral_works(self, pending: Sequence[_Pending]) -> list[Work]:
        """One work for referrals that share a key, directly or through another one in this claim."""
        groups: list[tuple[set[str], list[_Pending]]] = []
        of_key: dict[str, int] = {}
        for one in pending:
            touching = sorted({of_key[key] for key in one.keys if key in of_key})
            if touching:
                home = touching[0]
                for other in touching[1:]:
                    groups[home][0].update(groups[other][0])
                    groups[home][1].extend(groups[other][1])
                    for key in groups[other][0]:
                        of_key[key] = home
                    groups[other] = (set(), [])
            else:
                home = len(groups)
                groups.append((set(), []))
            groups[home][0].update(one.keys)
            groups[home][1].append(one)
            for key in one.keys:
                of_key[key] = home
        return [self._referral_work(frozenset(keys), members) for keys, members in groups if members]

    def _referral_work(self, keys: frozenset[str], members: list[_Pending]) -> Work:
        def run() -> dict[int, str]:
            stale = {one.referral_id for one in members if one.read_anew}
            gone = {i for i in sorted(stale) if not self._do.read_anew(i)}
            fresh: dict[str, Fresh] = {}
            for one in members:
                before = fresh.get(one.referral_id)
                is_newest = one.fresh and (before is None or changed_at(one.fresh.row) >= changed_at(before.row))
                if one.fresh and is_newest and one.referral_id not in stale:
                    fresh[one.referral_id] = one.fresh
            ids = sorted({one.referral_id for one in members} - gone)
            outcomes = dict.fromkeys(gone, "gone")
            try:
                outcomes |= self._leveller.bring_referrals(ids, keys, fresh=fresh) if ids else {}
            except Exception:
                # Perhaps before the rows were kept: an erasure that comes before the next try must know the address.
                with suppress(Exception):
                    self._s.mirror.keep("referrals", [one.row for one in fresh.values()])
                raise
            return {one.event.id: outcomes[one.referral_id] for one in members}

        def parts() -> list[Work]:
            of_referral: dict[str, list[_Pending]] = defaultdict(list)
            for one in members:
                of_referral[one.referral_id].append(one)
            return [self._referral_work(keys, own) for own in of_referral.values()]

        several = len({one.referral_id for one in members}) > 1
        return Work("referrals", [one.event for one in members], keys, run, parts if several else None)

    def _application_works(self, applications: Mapping[str, list[InboxEvent]]) -> list[Work]:
        ids = sorted(applications)
        works: list[Work] = []
        for start in range(0, len(ids), _APPLICATIONS_AT_ONCE):
            works.append(
                self._application_work({i: applications[i] for i in ids[start : start + _APPLICATIONS_AT_ONCE]})
            )
        return works

    def _application_work(self, events: Mapping[str, list[InboxEvent]]) -> Work:
        # An application without an event of its own came along with another's event, which answers for both.
        several = len(events) > 1 and all(events.values())
        return Work(
            "applications",
            [event for own in events.values() for event in own],
            frozenset(f"application:{i}" for i in events),
            lambda: self._do.applications(events),
            (lambda: [self._application_work({i: own}) for i, own in events.items()]) if several else None,
        )


def _hint_without_body(event: InboxEvent) -> Hint:
    """The hint of an event that carries only its subject: a find of reconciliation, or one whose body was purged."""
    kind, _, record_id = (event.subject or "").partition(":")
    if not record_id:
        return Hint(event_type=event.event_type, known=False)
    return Hint(
        event_type=event.event_type,
        subject=event.subject,
        occurred_at=None,
        referral_id=record_id if kind == "referral" else None,
        application_ids=(record_id,) if kind == "application" else (),
        candidate_ids=(record_id,) if kind == "candidate" else (),
        job_ids=(record_id,) if kind == "job" else (),
        known=kind in {"referral", "application", "candidate", "job"},
    )
