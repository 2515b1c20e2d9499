"""What decisions mean together: which speak of the same sides, which cannot be true at once, what a split leaves.

Belongs here: pure functions over decisions. Does not belong here: keeping them (decisions.py), what they mean for
resolution (identity.decisions).

Wherever `aliases` is given, a record that the ATS merged away stands for the one that it lives on as.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from referral_pipeline.ledger.records import IdentityDecision

MERGE: Final = "merge"
DISTINCT: Final = "distinct"

Sides = tuple[tuple[str, ...], tuple[str, ...]]
"""The record ids of the left side and of the right."""

_NONE: Final[Mapping[str, str]] = {}


def speaks_of(
    decision: IdentityDecision, left: Iterable[str], right: Iterable[str], *, aliases: Mapping[str, str] = _NONE
) -> bool:
    """Whether a decision is about these two sides: it has some record of each on opposite sides, either way round."""
    one, other = standing(left, aliases), standing(right, aliases)
    here, there = standing(decision.left, aliases), standing(decision.right, aliases)
    return bool(here & one and there & other) or bool(here & other and there & one)


def covers(
    decision: IdentityDecision, left: Iterable[str], right: Iterable[str], *, aliases: Mapping[str, str] = _NONE
) -> bool:
    """Whether a decision says of these two sides all that can be said: they are part of its own, either way round."""
    one, other = standing(left, aliases), standing(right, aliases)
    here, there = standing(decision.left, aliases), standing(decision.right, aliases)
    return (here >= one and there >= other) or (here >= other and there >= one)


def standing(record_ids: Iterable[str], aliases: Mapping[str, str]) -> set[str]:
    """These records by the ids under which they live on."""
    return {aliases.get(i, i) for i in record_ids}


def forbids(
    decisions: Collection[IdentityDecision], sides: Sequence[Iterable[str]], *, aliases: Mapping[str, str] = _NONE
) -> IdentityDecision | None:
    """The first distinct decision that a merge of these sides would go against; None when the merge can be true.

    The merge makes one person of all records of both sides, and of all that merges in force have made one with them. A
    decision that goes against those merges already is not held against this one.
    """
    groups = _persons((one for one in decisions if one.verdict == MERGE), aliases)
    joined = {groups.get(i, i) for i in standing((i for side in sides for i in side), aliases)}

    def is_joined(record_id: str) -> bool:
        return groups.get(record_id, record_id) in joined

    for one in decisions:
        left, right = standing(one.left, aliases), standing(one.right, aliases)
        if one.verdict != DISTINCT or left & right:  # lapsed: the ATS has made the two one
            continue
        ours = {groups.get(i, i) for i in left if is_joined(i)}
        theirs = {groups.get(i, i) for i in right if is_joined(i)}
        if ours and theirs and len(ours | theirs) > 1:
            return one
    return None


def _persons(merges: Iterable[IdentityDecision], aliases: Mapping[str, str]) -> dict[str, str]:
    """Record id -> one record that stands for all that these merges make one."""
    root: dict[str, str] = {}

    def find(node: str) -> str:
        while (parent := root.setdefault(node, node)) != node:
            root[node] = root[parent]
            node = root[node]
        return node

    for one in merges:
        first, *others = sorted(standing((*one.left, *one.right), aliases))
        for other in others:
            root[find(other)] = find(first)
    return {node: find(node) for node in list(root)}


def remainders(merge: IdentityDecision, sides: Sides, *, aliases: Mapping[str, str] = _NONE) -> list[Sides]:
    """What of a merge still stands when these two sides are parted: for each of them, the sides of a smaller merge.

    A record that neither side names goes where the others of its own side go. Where those go both ways, it stays with
    what is left of the merge, if that is in one piece.
    """
    named = [standing(side, aliases) for side in sides]
    kept: list[tuple[list[str], list[str]]] = [([], []), ([], [])]
    unclear: list[tuple[int, str]] = []
    for at, records in enumerate((merge.left, merge.right)):
        places = {i: [n for n in (0, 1) if aliases.get(i, i) in named[n]] for i in records}
        ways = {n for where in places.values() for n in where}
        for record_id, where in places.items():
            if not where and len(ways) != 1:
                unclear.append((at, record_id))
            else:
                kept[(where or list(ways))[0]][at].append(record_id)
    whole = [one for one in kept if all(one)]
    if len(whole) == 1:
        for at, record_id in unclear:
            whole[0][at].append(record_id)
    return [(tuple(sorted(left)), tuple(sorted(right))) for left, right in whole]
