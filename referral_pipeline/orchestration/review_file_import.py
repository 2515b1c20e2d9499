"""A file of decisions taken: each line for itself, those that contradict each other not at all.

Belongs here: what becomes of a line. Does not belong here: reading the file (identity.review_file), who the persons are
(review_people.py), deciding (review.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from referral_pipeline.identity.review_file import LineProblem, ReviewLine
from referral_pipeline.ledger.decisions import DISTINCT, MERGE, Decided, DecisionRefusedError, covers, reason_fault
from referral_pipeline.ledger.store import IdentityDecision, Ledger
from referral_pipeline.orchestration.review_people import ReviewError, Side


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


class Said:
    """The decisions in force, found by the persons and records that they are about; read once, kept up by hand."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._in_force: dict[int, IdentityDecision] = {}
        self._of_persons: dict[tuple[str, frozenset[str]], set[int]] = {}
        self._of_record: dict[str, set[int]] = {}
        for one in ledger.identity_decisions():
            self._add(one)

    def about_persons(self, verdict: str, left: str, right: str) -> IdentityDecision | None:
        """One that says so about whom these person ids were when it was made; they may be one by now."""
        found = self._of_persons.get((verdict, frozenset((left, right))), set())
        return next((self._in_force[i] for i in sorted(found) if i in self._in_force), None)

    def about_records(self, verdict: str, left: Side, right: Side) -> IdentityDecision | None:
        """One that says so about all records of both sides."""
        found = [self._in_force[i] for i in sorted(self._of_record.get(left.records[0], ())) if i in self._in_force]
        return next((one for one in found if one.verdict == verdict and covers(one, left.records, right.records)), None)

    def now(self, decided: Decided) -> None:
        """Take in what was just decided."""
        for revoked in decided.revoked:
            self._in_force.pop(revoked, None)
        self._add(decided.decision)
        for decision_id in decided.remaining:
            rest = self._ledger.identity_decision(decision_id)
            if rest is not None:
                self._add(rest)

    def _add(self, one: IdentityDecision) -> None:
        self._in_force[one.id] = one
        left, right = ({one.persons[i] for i in side if i in one.persons} for side in (one.left, one.right))
        for a in left:
            for b in right:
                self._of_persons.setdefault((one.verdict, frozenset((a, b))), set()).add(one.id)
        for record_id in (*one.left, *one.right):
            self._of_record.setdefault(record_id, set()).add(one.id)


@dataclass(frozen=True)
class Taking:
    """How a line is taken: who its persons are, whether they are a pair to review, and how it is kept."""

    sides: Callable[[str, str, str], tuple[Side, Side]]
    is_pair: Callable[[Side, Side], bool]
    keep: Callable[[str, Side, Side, str], Decided]
    said: Said
    dry_run: bool

    def lines(
        self,
        lines: Sequence[ReviewLine],
        *,
        reason: str,
        progress: Callable[[int, int], None] | None,
    ) -> tuple[list[LineOutcome], list[LineProblem]]:
        """Take every line; `reason` stands where a line gives none."""
        outcomes: list[LineOutcome] = []
        problems: list[LineProblem] = []
        against = contradicting(lines)
        for done, line in enumerate(lines, start=1):
            try:
                if line.number in against:
                    others = ", ".join(str(n) for n in sorted(against[line.number]))
                    raise ReviewError(f"contradicts line {others}. Keep the lines that are meant, and import again")
                outcomes.append(self._line(line, line.reason or reason))
            except (ReviewError, DecisionRefusedError) as refusal:
                text, _, mend = str(refusal).partition(". ")
                problems.append(LineProblem(line.number, "decision", text, mend or "Mend the line, and import again"))
            if progress is not None:
                progress(done, len(lines))
        return outcomes, problems

    def _line(self, line: ReviewLine, reason: str) -> LineOutcome:
        fault = reason_fault(reason)
        if fault is not None:
            raise ReviewError(f"{fault}. Write it into the column reason, or give one for all with --reason")
        already = self.said.about_persons(line.decision, line.left, line.right)
        if already is not None:
            return LineOutcome(line.number, "unchanged", already.id)
        left, right = self.sides(line.decision, line.left, line.right)
        already = self.said.about_records(line.decision, left, right)
        if already is not None:
            return LineOutcome(line.number, "unchanged", already.id)
        if not self.is_pair(left, right):
            raise ReviewError(
                "this pair is not in the review any more. Export the review anew; to decide it all the same, use "
                f"`referral-pipeline review {line.decision}`"
            )
        if self.dry_run:
            return LineOutcome(line.number, line.decision, None)
        kept = self.keep(line.decision, left, right, reason)
        self.said.now(kept)
        return LineOutcome(line.number, line.decision if kept.is_new else "unchanged", kept.decision.id)


def contradicting(lines: Iterable[ReviewLine]) -> dict[int, set[int]]:
    """Lines that cannot all be true: two people who are one through merges of the same file; each with the others."""
    root: dict[str, str] = {}

    def find(name: str) -> str:
        while root.setdefault(name, name) != name:
            root[name] = root[root[name]]
            name = root[name]
        return name

    lines = list(lines)
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
