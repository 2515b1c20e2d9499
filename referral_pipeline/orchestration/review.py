"""The review desk: pairs and persons of the last refresh, and the decisions that people make about them.

Belongs here: what a command of `review` does: what may be decided, undone and asked of the ATS again. Does not belong
here: drawing (cli_review), who is named (review_people.py), what becomes of a line of a file (review_file_import.py),
keeping decisions (ledger), what they mean for resolution (identity).

It reads the published copy, so it works while a run writes. Pairs are those of the last refresh; decisions are those
of now, and the next refresh applies them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from duckdb import DuckDBPyConnection

from referral_pipeline.contract.models import Contract
from referral_pipeline.identity.decisions import record_aliases
from referral_pipeline.identity.review_file import REVIEW_FILE, ReviewFile, read_pairs
from referral_pipeline.ledger.decisions import DISTINCT, MERGE, Decided, speaks_of
from referral_pipeline.ledger.store import DeliveryState, IdentityDecision, Ledger
from referral_pipeline.orchestration.review_file_import import Imported, Said, Taking
from referral_pipeline.orchestration.review_people import KnownPeople, ReviewError, Side, members_of
from referral_pipeline.sync.merges import merge_key
from referral_pipeline.warehouse.store import Warehouse

__all__ = ["ForGood", "Imported", "ReviewDesk", "ReviewError", "ReviewPair", "Side"]

OPEN = "open"


@dataclass(frozen=True)
class ReviewPair:
    """Two persons that share evidence. `state` is open, or what was decided; `decision_id` is the decision's."""

    left_person_id: str
    right_person_id: str
    score: float | None
    evidence: str
    proposed_action: str | None
    state: str
    decision_id: int | None = None


@dataclass(frozen=True)
class ForGood:
    """What of a merge has been done in the ATS, where nothing can be undone.

    `merged` are the records that were merged away; of `unclear` nobody knows: the call was sent and got no answer.
    """

    merged: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()


class ReviewDesk:
    """Pairs, persons and decisions of one installation."""

    def __init__(self, *, ledger: Ledger, warehouse: Warehouse, contract: Contract) -> None:
        """Open nothing yet: the published copy is read when it is asked."""
        self._ledger = ledger
        self._warehouse = warehouse
        self._contract = contract
        self._people = KnownPeople(ledger, warehouse)

    # ------------------------------------------------------------ looking

    @cached_property
    def pairs(self) -> list[ReviewPair]:
        """Every pair of the last refresh, the likeliest first, with what was decided since."""
        with self._warehouse.published() as connection:
            rows = _dicts(connection, "SELECT * FROM core.duplicate_review")
            members = members_of(connection, {str(r[k]) for r in rows for k in ("left_person_id", "right_person_id")})
        by_record: dict[str, list[IdentityDecision]] = {}
        for one in self._ledger.identity_decisions():
            for record_id in {self._aliases.get(i, i) for i in (*one.left, *one.right)}:
                by_record.setdefault(record_id, []).append(one)
        found = [self._pair(row, members, by_record) for row in rows]
        return sorted(found, key=lambda p: (-(p.score or 0.0), p.left_person_id, p.right_person_id))

    @cached_property
    def _aliases(self) -> dict[str, str]:
        ats = self._contract.ats.connector
        return record_aliases(ats, self._ledger.aliases(ats))

    def _pair(
        self,
        row: Mapping[str, Any],
        members: Mapping[str, Sequence[str]],
        by_record: Mapping[str, Sequence[IdentityDecision]],
    ) -> ReviewPair:
        left, right = str(row["left_person_id"]), str(row["right_person_id"])
        ours, theirs = members.get(left, ()), members.get(right, ())
        about = {
            one.id: one
            for i in ours
            for one in by_record.get(self._aliases.get(i, i), ())
            if speaks_of(one, ours, theirs, aliases=self._aliases)
        }
        decided = about[max(about)] if about else None
        state = str(row.get("state") or OPEN)
        if decided is not None:
            state = decided.verdict
        elif state in {MERGE, DISTINCT}:
            state = OPEN  # it was undone since
        action = row.get("proposed_action")
        return ReviewPair(
            left_person_id=left,
            right_person_id=right,
            score=row.get("score"),
            evidence=str(row.get("evidence") or ""),
            proposed_action=None if action is None else str(action),
            state=state,
            decision_id=decided.id if decided is not None else None,
        )

    def pair_of(self, left: Side, right: Side) -> ReviewPair | None:
        """The pair of these two persons in the review, whichever way round; None when it is not there."""
        wanted = {left.person_id, right.person_id}
        return next((p for p in self.pairs if {p.left_person_id, p.right_person_id} == wanted), None)

    def side(self, name: str) -> Side:
        """The person of this id, or of this record ("system:id"), with all its records.

        Raises:
            ReviewError: nobody of this name is there.
        """
        return self._people.side(name)

    # ------------------------------------------------------------ deciding

    def decide(
        self, verdict: str, left_name: str, right_name: str, *, reason: str, by: str, here_only: bool = False
    ) -> Decided:
        """Keep that two persons are one, or two. Two record ids of one person part these two records.

        A merge of two whom a merge in force has made one already is that merge, decided again: with `here_only` it is
        not asked of the ATS any more, and otherwise once more.

        Raises:
            ReviewError, DecisionRefusedError: it cannot be decided; the message says why.
        """
        again = self._merge_of(left_name, right_name) if verdict == MERGE else None
        if again is not None:
            sides = Side("", again.left), Side("", again.right)
            return self._keep(MERGE, *sides, reason, by, here_only)
        return self._keep(verdict, *self._sides(verdict, left_name, right_name), reason, by, here_only)

    def _merge_of(self, left: str, right: str) -> IdentityDecision | None:
        """The merge in force of these two, each a record or whom a person id stood for when it was decided."""
        for one in self._ledger.identity_decisions():
            sides = [{*side, *(one.persons[i] for i in side if i in one.persons)} for side in (one.left, one.right)]
            here = left in sides[0] and right in sides[1]
            if one.verdict == MERGE and (here or (right in sides[0] and left in sides[1])):
                return one
        return None

    def _sides(self, verdict: str, left_name: str, right_name: str) -> tuple[Side, Side]:
        left, right = self.side(left_name), self.side(right_name)
        if left.person_id != right.person_id:
            return left, right
        if verdict == MERGE:
            raise ReviewError(f"{left_name} and {right_name} are one person already ({left.person_id})")
        if ":" in left_name and ":" in right_name and left_name != right_name:
            return Side(left.person_id, (left_name,)), Side(right.person_id, (right_name,))
        raise ReviewError(
            f"{left_name} and {right_name} are one person ({left.person_id}): name the records to take out with "
            f"`referral-pipeline review split {left.person_id} RECORD...`"
        )

    def _keep(self, verdict: str, left: Side, right: Side, reason: str, by: str, here_only: bool) -> Decided:
        return self._ledger.decide_identity(
            verdict,
            left.records,
            right.records,
            reason=reason,
            decided_by=by,
            in_ats=verdict == MERGE and not here_only and self._needs_ats(left.records, right.records),
        )

    def _needs_ats(self, left: Sequence[str], right: Sequence[str]) -> bool:
        """Whether a merge is to be carried out in the ATS: the contract says so, and both have a candidate there."""
        if not self._contract.rules.dedupe.merge_in_ats:
            return False
        prefix = f"{self._contract.ats.connector}:"
        return all(any(i.startswith(prefix) for i in side) for side in (left, right))

    def split(self, person_id: str, records: Sequence[str], *, reason: str, by: str) -> Decided:
        """Keep that these records are somebody else than the other records of a person.

        Raises:
            ReviewError, DecisionRefusedError: it cannot be decided; the message says why.
        """
        whole = self.side(person_id)
        strangers = [i for i in records if i not in whole.records]
        if strangers:
            known = ", ".join(whole.records)
            raise ReviewError(f"{strangers[0]} is no record of {whole.person_id}; its records are {known}")
        rest = [i for i in whole.records if i not in records]
        if not rest:
            raise ReviewError(f"these are all records of {whole.person_id}: leave at least one out")
        return self._ledger.decide_identity(DISTINCT, sorted(set(records)), rest, reason=reason, decided_by=by)

    def undo(self, decision_id: int, *, reason: str, by: str) -> IdentityDecision:
        """Revoke a decision; answers when no merge in the ATS goes on for it.

        Raises:
            ReviewError, DecisionRefusedError: there is none of this id, or the reason cannot be kept.
        """
        try:
            return self._ledger.revoke_identity_decision(decision_id, by=by, reason=reason)
        except LookupError:
            raise _nothing(decision_id) from None

    # ------------------------------------------------------------ in the ATS

    def retry(self, decision_id: int, *, here_only: bool = False) -> IdentityDecision:
        """Ask the ATS once more for a merge in force; with `here_only` ask it no more.

        Raises:
            ReviewError, DecisionRefusedError: there is no such merge in force, or it is none for the ATS.
        """
        one = self._ledger.identity_decision(decision_id)
        if one is None:
            raise _nothing(decision_id)
        if one.verdict == MERGE and not here_only and not self._needs_ats(one.left, one.right):
            raise ReviewError(
                f"decision {decision_id} is not for the ATS: the contract leaves rules.dedupe.merge_in_ats off, or a "
                "side has no candidate there"
            )
        return self._ledger.ask_ats_again(decision_id, in_ats=not here_only)

    def for_good(self, decision_id: int) -> ForGood:
        """What of a decision was carried out in the ATS by now, by this pipeline or by somebody else."""
        one = self._ledger.identity_decision(decision_id)
        if one is None or one.verdict != MERGE:
            return ForGood()
        ats = self._contract.ats.connector
        aliases = record_aliases(ats, self._ledger.aliases(ats))
        records = [*one.left, *one.right]
        merged = [
            i for i in records if i in aliases and any(aliases.get(o, o) == aliases[i] for o in records if o != i)
        ]
        keys = {merge_key(ats, i.removeprefix(f"{ats}:")): i for i in records if i.startswith(f"{ats}:")}
        sent = self._ledger.deliveries_by_key(keys)
        under_way = {DeliveryState.PENDING, DeliveryState.SENT}
        unclear = [i for key, i in keys.items() if key in sent and sent[key].state in under_way and i not in aliases]
        return ForGood(tuple(sorted(merged)), tuple(sorted(unclear)))

    # ------------------------------------------------------------ a file of decisions

    def take(
        self,
        file: ReviewFile,
        *,
        by: str,
        reason: str = "",
        dry_run: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> Imported:
        """Keep the decisions of a file, each line for itself; `reason` stands where a line gives none.

        Lines that contradict each other are all refused: nobody knows which of them is meant. `progress` is told lines
        done and lines in all.
        """
        self._people.look_up(name for line in file.lines for name in (line.left, line.right))
        taking = Taking(
            sides=self._sides,
            is_pair=lambda left, right: frozenset((left.person_id, right.person_id)) in self._reviewed,
            keep=lambda verdict, left, right, why: self._keep(verdict, left, right, why, by, here_only=False),
            said=Said(self._ledger),
            dry_run=dry_run,
        )
        outcomes, problems = taking.lines(file.lines, reason=reason, progress=progress)
        problems = sorted([*file.problems, *problems], key=lambda one: one.number)
        return Imported(tuple(outcomes), file.undecided, tuple(problems))

    @cached_property
    def _reviewed(self) -> set[frozenset[str]]:
        """The pairs of the published copy, and of the file that the last scoring wrote.

        That may be newer than the copy, when the refresh failed before it published.
        """
        found = {frozenset((pair.left_person_id, pair.right_person_id)) for pair in self.pairs}
        path = self._warehouse.published_dir / REVIEW_FILE
        if path.exists():
            found |= read_pairs(path.read_bytes())
        return found


def _nothing(decision_id: int) -> ReviewError:
    words = f"there is no decision {decision_id}; `referral-pipeline review decisions --all` shows those there are"
    return ReviewError(words)


def _dicts(connection: DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    answer = connection.execute(sql)
    names = [str(column[0]) for column in answer.description or ()]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
