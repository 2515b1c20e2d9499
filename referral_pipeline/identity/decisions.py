"""From what people decided to the pairs of records that resolution must, or must never, take for one person.

Belongs here: the meaning of a decision, as a pure function. Does not belong here: keeping decisions (ledger), the rules
of matching (resolve), carrying a merge out in the ATS (sync).

A merge makes one person of all records of both sides that are there, and holds as long as each side has one left. A
distinct decision parts every record of one side from every one of the other. Both speak of the records that they were
made about, whatever the persons grew to meanwhile. A candidate that the ATS merged into another stands for the
survivor; where that puts one record on both sides of a distinct decision, the ATS has made the two one, and the
decision has lapsed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

Pair = tuple[str, str]
"""Two record ids, the smaller first."""


class Decision(Protocol):
    """What is asked of a decision: its verdict (merge, distinct) and the record ids of its two sides."""

    @property
    def verdict(self) -> str:
        """Whether the two sides are one person: merge, distinct."""
        ...

    @property
    def left(self) -> tuple[str, ...]:
        """The record ids of one side."""
        ...

    @property
    def right(self) -> tuple[str, ...]:
        """The record ids of the other."""
        ...


@dataclass(frozen=True)
class Constraints:
    """Pairs of record ids, sorted, each once: one person by decision, and never one person."""

    must_link: tuple[Pair, ...] = ()
    cannot_link: tuple[Pair, ...] = ()


def constraints_of(
    decisions: Iterable[Decision], *, existing: Collection[str], aliases: Mapping[str, str] | None = None
) -> Constraints:
    """What the decisions in force ask of resolution. The result does not depend on their order.

    Args:
        decisions: those in force.
        existing: the ids of all records that are resolved.
        aliases: record ids that were merged away -> the record id that each lives on under.
    """
    alive = existing if isinstance(existing, set | frozenset) else set(existing)
    must: set[Pair] = set()
    cannot: set[Pair] = set()
    for decision in decisions:
        left, right = _now(decision.left, aliases or {}), _now(decision.right, aliases or {})
        if decision.verdict == "merge":
            ours, theirs = left & alive, right & alive
            if ours and theirs:
                # Every record by name: what once held a side together (a mailbox, a link) may be gone by now, or may
                # yield to the name of the other side.
                first = min(ours)
                must.update(_pair(first, other) for other in (ours | theirs) - {first})
        elif not left & right:
            cannot.update(_pair(a, b) for a in left for b in right)
    return Constraints(tuple(sorted(must)), tuple(sorted(cannot)))


def record_aliases(system: str, aliases: Mapping[str, str]) -> dict[str, str]:
    """Aliases of a system's candidate ids (each with the end of its chain) as record ids."""
    return {f"{system}:{old}": f"{system}:{new}" for old, new in aliases.items()}


def _now(record_ids: Iterable[str], aliases: Mapping[str, str]) -> set[str]:
    return {aliases.get(i, i) for i in record_ids}


def _pair(a: str, b: str) -> Pair:
    return (a, b) if a <= b else (b, a)
