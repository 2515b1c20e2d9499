"""The review desk: pairs and persons of the last refresh, and the decisions that people make about them.

Belongs here: what a command of `review` does: names to records, what may be decided, what a file of decisions means.
Does not belong here: drawing (cli_review), keeping decisions (ledger), what they mean for resolution (identity).

It reads the published copy, so it works while a run writes. Persons are those of the last refresh; decisions are those
of now, and the next refresh applies them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from duckdb import DuckDBPyConnection

from referral_pipeline.contract.models import Contract
from referral_pipeline.identity.review_file import LineProblem, ReviewFile, ReviewLine
from referral_pipeline.ledger.decisions import (
    DISTINCT,
    MERGE,
    Decided,
    DecisionRefusedError,
    covers,
    reason_fault,
    speaks_of,
)
from referral_pipeline.ledger.store import IdentityDecision, Ledger
from referral_pipeline.warehouse.store import Warehouse

OPEN = "open"


class ReviewError(Exception):
    """What was asked cannot be done; the message says why and what to do instead."""


@dataclass(frozen=True)
class Side:
    """One person, or some records of one: who that is now, and which records are meant."""

    person_id: str
    records: tuple[str, ...]


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
class LineOutcome:
    """What became of one line of a file: merged or distinct, or unchanged when it was decided so already."""

    number: int
    outcome: str
    decision_id: int | None


@dataclass(frozen=True)
class Imported:
    """What became of a file. `undecided` lines had no decision."""

    outcomes: tuple[LineOutcome, ...]
    undecided: int
    problems: tuple[LineProblem, ...]


class ReviewDesk:
    """Pairs, persons and decisions of one installation."""

    def __init__(self, *, ledger: Ledger, warehouse: Warehouse, contract: Contract) -> None:
        """Open nothing yet: the published copy is read when it is asked."""
        self._ledger = ledger
        self._warehouse = warehouse
        self._contract = contract

    # ------------------------------------------------------------ looking

    @cached_property
    def pairs(self) -> list[ReviewPair]:
        """Every pair of the last refresh, the likeliest first, with what was decided since."""
        with self._warehouse.published() as connection:
            rows = _dicts(connection, "SELECT * FROM core.duplicate_review")
            members = self._members(
                connection, {str(r[k]) for r in rows for k in ("left_person_id", "right_person_id")}
            )
        decisions = self._ledger.identity_decisions()
        by_record: dict[str, list[IdentityDecision]] = {}
        for one in decisions:
            for record_id in (*one.left, *one.right):
                by_record.setdefault(record_id, []).append(one)
        found = [self._pair(row, members, by_record) for row in rows]
        return sorted(found, key=lambda p: (-(p.score or 0.0), p.left_person_id, p.right_person_id))

    def _pair(
        self,
        row: Mapping[str, Any],
        members: Mapping[str, Sequence[str]],
        by_record: Mapping[str, Sequence[IdentityDecision]],
    ) -> ReviewPair:
        left, right = str(row["left_person_id"]), str(row["right_person_id"])
        ours, theirs = members.get(left, ()), members.get(right, ())
        about = {one.id: one for i in ours for one in by_record.get(i, ()) if speaks_of(one, ours, theirs)}
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
            ReviewError: nobody of this name was there at the last refresh.
        """
        with self._warehouse.published() as connection:
            person_id = name
            if ":" in name:
                rows = _dicts(connection, "SELECT person_id FROM core.person_record WHERE record_id = ?", [name])
                person_id = str(rows[0]["person_id"]) if rows else ""
            records = self._members(connection, [person_id]).get(person_id, ())
        if records:
            return Side(person_id, tuple(records))
        keys = self._ledger.keys_of([name]) if ":" in name else []
        if keys:  # newer than the last refresh: the lane knows it
            return Side(keys[0].person_id, (name,))
        kind = "record" if ":" in name else "person"
        raise ReviewError(
            f"there is no {kind} {name}: it may have been merged or removed. `referral-pipeline review list` shows the "
            "pairs of the last refresh"
        )

    @staticmethod
    def _members(connection: DuckDBPyConnection, person_ids: Iterable[str]) -> dict[str, list[str]]:
        rows = connection.execute(
            "SELECT person_id, record_id FROM core.person_record"
            " WHERE person_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY record_id",
            [sorted(set(person_ids))],
        ).fetchall()
        found: dict[str, list[str]] = {}
        for person_id, record_id in rows:
            found.setdefault(person_id, []).append(record_id)
        return found

    # ------------------------------------------------------------ deciding

    def decide(
        self, verdict: str, left_name: str, right_name: str, *, reason: str, by: str, here_only: bool = False
    ) -> Decided:
        """Keep that two persons are one, or two. Two record ids of one person part these two records.

        Raises:
            ReviewError, DecisionRefusedError: it cannot be decided; the message says why.
        """
        return self._keep(verdict, *self._sides(verdict, left_name, right_name), reason, by, here_only)

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
            in_ats=verdict == MERGE and not here_only and self._needs_ats(left, right),
        )

    def _needs_ats(self, left: Side, right: Side) -> bool:
        """Whether a merge is to be carried out in the ATS: the contract says so, and both have a candidate there."""
        if not self._contract.rules.dedupe.merge_in_ats:
            return False
        prefix = f"{self._contract.ats.connector}:"
        return all(any(i.startswith(prefix) for i in side.records) for side in (left, right))

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
        """Revoke a decision.

        Raises:
            ReviewError, DecisionRefusedError: there is none of this id, or the reason cannot be kept.
        """
        try:
            return self._ledger.revoke_identity_decision(decision_id, by=by, reason=reason)
        except LookupError:
            words = (
                f"there is no decision {decision_id}; `referral-pipeline review decisions --all` shows those there are"
            )
            raise ReviewError(words) from None

    # ------------------------------------------------------------ a file of decisions

    def take(self, file: ReviewFile, *, by: str, reason: str = "", dry_run: bool = False) -> Imported:
        """Keep the decisions of a file, each line for itself; `reason` stands where a line gives none.

        Lines that contradict each other are all refused: nobody knows which of them is meant.
        """
        problems = list(file.problems)
        against = _contradicting(file.lines)
        outcomes: list[LineOutcome] = []
        for line in file.lines:
            try:
                if line.number in against:
                    others = ", ".join(str(n) for n in sorted(against[line.number]))
                    raise ReviewError(f"contradicts line {others}. Keep the lines that are meant, and import again")
                outcomes.append(self._take_line(line, by=by, reason=line.reason or reason, dry_run=dry_run))
            except (ReviewError, DecisionRefusedError) as refusal:
                text, _, mend = str(refusal).partition(". ")
                problems.append(LineProblem(line.number, "decision", text, mend or "Mend the line, and import again"))
        return Imported(tuple(outcomes), file.undecided, tuple(sorted(problems, key=lambda p: p.number)))

    def _take_line(self, line: ReviewLine, *, by: str, reason: str, dry_run: bool) -> LineOutcome:
        fault = reason_fault(reason)
        if fault is not None:
            raise ReviewError(f"{fault}. Write it into the column reason, or give one for all with --reason")
        already = self._decided_by_name(line)
        if already is not None:
            return LineOutcome(line.number, "unchanged", already.id)
        left, right = self._sides(line.decision, line.left, line.right)
        same = next((one for one in self._in_force() if self._says(one, line.decision, left, right)), None)
        if same is not None:
            return LineOutcome(line.number, "unchanged", same.id)
        if self.pair_of(left, right) is None:
            raise ReviewError(
                "this pair is not in the review any more. Export the review anew; to decide it all the same, use "
                f"`referral-pipeline review {line.decision}`"
            )
        if dry_run:
            return LineOutcome(line.number, line.decision, None)
        kept = self._keep(line.decision, left, right, reason, by, here_only=False)
        return LineOutcome(line.number, line.decision if kept.is_new else "unchanged", kept.decision.id)

    def _decided_by_name(self, line: ReviewLine) -> IdentityDecision | None:
        """A decision in force that was made about the persons of these ids, who may be one by now."""
        wanted = (line.left, line.right)
        for one in self._in_force():
            left = {one.persons[i] for i in one.left if i in one.persons}
            right = {one.persons[i] for i in one.right if i in one.persons}
            here = wanted[0] in left and wanted[1] in right
            if one.verdict == line.decision and (here or (wanted[1] in left and wanted[0] in right)):
                return one
        return None

    @staticmethod
    def _says(decision: IdentityDecision, verdict: str, left: Side, right: Side) -> bool:
        return decision.verdict == verdict and covers(decision, left.records, right.records)

    def _in_force(self) -> list[IdentityDecision]:
        return self._ledger.identity_decisions()


def _contradicting(lines: Sequence[ReviewLine]) -> dict[int, set[int]]:
    """Lines that cannot all be true: two people who are one through merges of the same file; each with the others."""
    root: dict[str, str] = {}

    def find(name: str) -> str:
        while root.setdefault(name, name) != name:
            root[name] = root[root[name]]
            name = root[name]
        return name

    merges = [line for line in lines if line.decision == MERGE]
    for line in merges:
        root[find(line.left)] = find(line.right)
    groups: dict[str, set[int]] = {}
    for line in lines:
        if line.decision == DISTINCT and find(line.left) == find(line.right):
            groups.setdefault(find(line.left), set()).add(line.number)
    for line in merges:
        if find(line.left) in groups:
            groups[find(line.left)].add(line.number)
    return {number: group - {number} for group in groups.values() for number in group}


def _dicts(connection: DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
    answer = connection.execute(sql, list(parameters))
    names = [str(column[0]) for column in answer.description or ()]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
