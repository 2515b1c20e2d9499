"""Merges in the ATS: what people decided to be one candidate is made one there too, where the contract says so.

Belongs here: which candidates a decision joins, which of them survives, and what became of each merge. Does not belong
here: the decisions (ledger, identity.decisions), how a vendor merges (connectors), who is one person (identity).

The rules
1. Only a merge that a person decided, and only while it is in force and pending.
2. The survivor is the candidate that was created first; every other candidate of the two sides is merged into it, one
   call each. Candidates that another decision keeps apart are not merged, whatever leads to it.
3. A merge cannot be undone and has no idempotency key: its intent is on the ledger's disk before it is sent, and the
   ATS is read first. A candidate that is gone went where its applications are now; where nothing is known of these, one
   that is gone after an attempt of unknown outcome was merged. An attempt that was certainly not received, or refused,
   tells nothing. One whose applications are gone too was deleted; one that is simply gone is for a person to look at.
4. Before every call the decision is looked at again: undone in between, or asked of this pipeline only, the rest of it
   is not sent. After a merge the old id is an alias and the links follow, in one transaction; the next pull shows the
   rest.
5. What is refused for good is told with the decision and fails the run's check until somebody decides anew or undoes
   it. A credential that lacks a right says nothing about the pair: the decision stays pending.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from referral_pipeline.connectors.failures import (
    AmbiguousOutcome,
    Forbidden,
    HttpFailure,
    PermanentFailure,
    TransientFailure,
    Unauthorized,
)
from referral_pipeline.connectors.protocols import AtsConnector, MergesCandidates
from referral_pipeline.connectors.records import AtsCandidate
from referral_pipeline.identity.decisions import constraints_of, record_aliases
from referral_pipeline.ledger.store import DeliveryIntent, DeliveryState, IdentityDecision, Ledger
from referral_pipeline.sync.creation import digest
from referral_pipeline.sync.evidence import Sealer
from referral_pipeline.sync.report import SyncFailure, SyncReport

_OPERATION = "merge_candidates"
_MOST_STEPS = 10
"""Merges by others that are followed before a decision is carried out; each look finds the next step of a chain."""


class _StoppedError(Exception):
    """Somebody undid the decision while it was carried out."""

    def __init__(self, merged: int, wanted: int) -> None:
        super().__init__(f"undone while it was under way: {merged} of {wanted} candidates had been merged, for good")
        self.merged = merged


class _RefusedError(Exception):
    """A merge that must not be made; the message is for whoever decided it."""


class CandidateMerger:
    """Carries decided merges out in the ATS.

    Args:
        ats: where candidates are.
        ledger: decisions, deliveries, links and aliases.
        sealer: keeps what was sent and answered when a merge is refused.
    """

    def __init__(self, *, ats: AtsConnector, ledger: Ledger, sealer: Sealer | None = None) -> None:
        self._ats = ats
        self._ledger = ledger
        self._sealer = sealer or Sealer(None)

    def run(self, *, progress: Callable[[int, int], None] | None = None) -> SyncReport:
        """Carry out what is pending; what was refused earlier and still stands is told again as a failure."""
        report = SyncReport()
        decisions = self._ledger.identity_decisions()
        pending = [one for one in decisions if one.ats_state == "pending"]
        for one in decisions:
            if one.ats_state == "refused":
                self._fail(report, one, one.ats_error or "refused", transient=False)
        for done, decision in enumerate(pending, start=1):
            self._carry_out(decision, report)
            if progress is not None:
                progress(done, len(pending))
        return report

    def _carry_out(self, decision: IdentityDecision, report: SyncReport) -> None:
        try:
            with self._ledger.exclusive(self._locks(decision)):
                # The run before this one, or a person, may have had the last word since the list was read.
                now = self._ledger.identity_decision(decision.id)
                if now is None or not now.in_force or now.ats_state != "pending":
                    return
                merged = self._merge(now)
        except _StoppedError as stopped:
            # Whoever undid it knows; what was merged by then is told with the undone decision.
            report.count("candidates_merged", stopped.merged)
            if stopped.merged:
                self._ledger.note_ats_error(decision.id, str(stopped))
        except _RefusedError as refusal:
            self._settle(decision, "refused", str(refusal))
            self._fail(report, decision, str(refusal), transient=False)
        except (Unauthorized, Forbidden, TransientFailure) as failure:
            self._settle(decision, "pending", str(failure))
            self._fail(report, decision, str(failure), transient=isinstance(failure, TransientFailure))
        except PermanentFailure as failure:
            self._settle(decision, "refused", str(failure))
            self._fail(report, decision, str(failure), transient=False)
        else:
            self._ledger.settle_ats_merge(decision.id, "done")
            report.count("merges_done")
            report.count("candidates_merged", merged)

    def _settle(self, decision: IdentityDecision, state: str, error: str) -> None:
        now = self._ledger.identity_decision(decision.id)
        if now is not None and now.ats_state == "pending":  # else it is not asked of the ATS any more
            self._ledger.settle_ats_merge(decision.id, state, error)

    def _fail(self, report: SyncReport, decision: IdentityDecision, error: str, *, transient: bool) -> None:
        report.fail(SyncFailure(f"decision {decision.id}", _OPERATION, error, transient=transient))

    def _locks(self, decision: IdentityDecision) -> set[str]:
        """The locks under which the lane works on these persons."""
        records = [*decision.left, *decision.right]
        links = self._ledger.links_of_candidates(self._ats.system, _candidates_of(records, self._ats.system))
        keys = {key.key_hash for key in self._ledger.keys_of(records)}
        return keys | {f"referral:{link.referral_id}" for link in links} | {f"decision:{decision.id}"}

    # ------------------------------------------------------------ one decision

    def _merge(self, decision: IdentityDecision) -> int:
        """Make one candidate of all that the decision names; how many were merged away by this call."""
        ats = self._ats
        if not isinstance(ats, MergesCandidates):
            raise _RefusedError(f"the connector of {ats.system} cannot merge: merge the candidates there by hand")
        wanted = _candidates_of([*decision.left, *decision.right], ats.system)
        live, gone = self._living(wanted)
        if gone:
            names = ", ".join(sorted(gone))
            raise _RefusedError(f"{ats.system} does not show candidate {names} any more: nothing was merged")
        survivor, *others = sorted(live.values(), key=lambda one: (one.created_at, len(one.id), one.id))
        self._refuse_kept_apart(live)
        for done, other in enumerate(others):
            now = self._ledger.identity_decision(decision.id)
            if now is None or not now.in_force or now.ats_state != "pending":
                raise _StoppedError(done, len(others))
            if done:
                self._refuse_kept_apart(live)
            self._merge_one(ats, survivor.id, other.id)
        return len(others)

    def _living(self, ids: Collection[str]) -> tuple[dict[str, AtsCandidate], set[str]]:
        """The candidates that these live on as, read now, and those of which nobody knows where they went."""
        for _ in range(_MOST_STEPS):
            aliases = self._ledger.aliases(self._ats.system)
            current = {aliases.get(i, i) for i in ids}
            live = self._ats.get_candidates(sorted(current))
            gone = current - live.keys()
            went = {i: to for i in sorted(gone) if (to := self._went_to(i)) is not None}
            if not went:
                return live, gone
            for old, new in went.items():
                self._moved(old, new)
        raise _RefusedError(f"the merges of candidate {min(ids)} in {self._ats.system} do not end: look at them there")

    def _went_to(self, candidate_id: str) -> str | None:
        """The candidate that one which is gone was merged into, as far as that can be told."""
        links = self._ledger.links_of_candidates(self._ats.system, [candidate_id])
        applications = sorted({link.application_id for link in links if link.application_id})
        found = self._ats.get_applications(applications) if applications else {}
        moved = next((a.candidate_id for a in found.values() if a.candidate_id != candidate_id), None)
        if moved is not None:
            return moved
        if applications and not found:
            return None  # they went with it: it was deleted, maybe because somebody asked to be forgotten
        attempt = self._ledger.delivery(self._key(candidate_id))
        return attempt.target if attempt is not None and attempt.state is not DeliveryState.DEAD else None

    def _refuse_kept_apart(self, live: Collection[str]) -> None:
        ats = self._ats.system
        records = {f"{ats}:{i}" for i in live}
        named = self._ledger.identity_decisions_of(records, aliases_of=ats)
        aliases = record_aliases(ats, self._ledger.aliases(ats))
        for a, b in constraints_of(named, existing=records, aliases=aliases).cannot_link:
            if a in records and b in records:
                raise _RefusedError(f"{a} and {b} are decided to be two people: undo one of the decisions")

    def _merge_one(self, ats: MergesCandidates, survivor: str, other: str) -> None:
        key = self._key(other)
        intent = DeliveryIntent(
            key=key,
            system=self._ats.system,
            operation=_OPERATION,
            target=survivor,
            request_hash=digest({"primary": survivor, "secondary": other}),
            referral_id=None,
        )
        before = self._ledger.delivery(key)
        self._ledger.begin_many([intent], anew=True)
        try:
            ats.merge_candidates(survivor, other)
        except HttpFailure as failure:
            is_refused = isinstance(failure, PermanentFailure)
            is_unclear = isinstance(failure, AmbiguousOutcome) or (
                before is not None and before.state in {DeliveryState.PENDING, DeliveryState.SENT}
            )
            if before is None and not is_refused and not is_unclear:
                # It was not received: should the candidate vanish now, nobody may take that for the merge.
                self._ledger.withdraw([key])
                raise
            dead = is_refused or not is_unclear
            request, response = self._sealer.of(failure) if dead else (None, None)
            self._ledger.fail(key, str(failure), dead=dead, request=request, response=response)
            raise
        self._moved(other, survivor)

    def _moved(self, old: str, new: str) -> None:
        """Note that a candidate lives on under another id: the attempt, the alias and the links, together."""
        ledger, system = self._ledger, self._ats.system
        with ledger.atomic():
            attempt = ledger.delivery(self._key(old))
            if attempt is not None and attempt.target == new:
                ledger.confirm(attempt.key, {"candidate_id": new})
            ledger.alias(system, old, new)
            links = ledger.links_of_candidates(system, [old])
            ledger.change_links([replace(link, candidate_id=new) for link in links], "candidate_id")

    def _key(self, candidate_id: str) -> str:
        return merge_key(self._ats.system, candidate_id)


def merge_key(system: str, candidate_id: str) -> str:
    """The key of the delivery that merges a candidate away. That happens once: it is named after the candidate."""
    return f"merge:{system}:{candidate_id}"


def _candidates_of(record_ids: Collection[str], system: str) -> set[str]:
    prefix = f"{system}:"
    return {i.removeprefix(prefix) for i in record_ids if i.startswith(prefix)}
