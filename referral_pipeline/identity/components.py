"""Connected components that never hold two contradicting names, nor two records that were decided to be two people.

Belongs here: union-find over units, with the guards. Does not belong here: which edges there are (resolve).

A unit is what confirmed links make one: usually a single record. Its names are aliases of one person.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from referral_pipeline.identity.names import Likeness, Name, likeness


@dataclass(frozen=True, repr=False)
class Unit:
    """One person as far as confirmed links tell. `names` are all different, if only in spelling."""

    names: tuple[Name, ...]


def units_of(
    record_ids: Sequence[str],
    names: Sequence[Name],
    must_link: Iterable[tuple[str, str]],
    cannot_link: Iterable[tuple[str, str]] = (),
) -> tuple[list[Unit], list[int]]:
    """The units of these records, and for each record the number of its unit, in the order of the records.

    A link that would bring together what was decided to be two people does not bind, whichever way it would.
    """
    parents: dict[str, str] = {}
    apart: dict[str, set[str]] = defaultdict(set)

    def root(node: str) -> str:
        while (parent := parents.setdefault(node, node)) != node:
            parents[node] = parents[parent]
            node = parents[node]
        return node

    for a, b in cannot_link:
        apart[a].add(b)
        apart[b].add(a)
    # In the order of the ids: with something forbidden, the order decides which of two links binds.
    for a, b in sorted((min(pair), max(pair)) for pair in must_link) if apart else must_link:
        low, high = sorted((root(a), root(b)))
        if low == high or high in apart.get(low, ()):
            continue
        parents[high] = low
        for other in apart.pop(high, ()):
            apart[low].add(other)
            apart[other].discard(high)
            apart[other].add(low)
    numbers: dict[str, int] = {}
    unit_of = [numbers.setdefault(root(i) if i in parents else i, len(numbers)) for i in record_ids]
    names_of: list[dict[str, Name]] = [{} for _ in numbers]
    for number, name in zip(unit_of, names, strict=True):
        names_of[number].setdefault(name.exact_key, name)
    return [Unit(tuple(found[key] for key in sorted(found))) for found in names_of], unit_of


def likeness_of(a: Unit, b: Unit) -> Likeness:
    """How the names of two units relate: by the pair that relates best."""
    return max(likeness(left, right) for left in a.names for right in b.names)


class Components:
    """Union-find over units. `join` refuses to bring together units whose names contradict, or that are apart."""

    def __init__(self, units: Sequence[Unit], apart: Mapping[int, Collection[int]] | None = None) -> None:
        self._units = units
        self._apart: dict[int, set[int]] = defaultdict(set)
        self._apart.update({number: set(others) for number, others in (apart or {}).items()})
        self._parents = list(range(len(units)))
        # The units of each component that differ by name, by their names: few, however large the component is.
        self._profiles: list[dict[tuple[str, ...], int]] = [
            {tuple(dict.fromkeys(name.agreement_key for name in unit.names)): number}
            for number, unit in enumerate(units)
        ]

    def root(self, number: int) -> int:
        """The unit that stands for the component of this one: its smallest number."""
        while (parent := self._parents[number]) != number:
            self._parents[number] = self._parents[parent]
            number = self._parents[number]
        return number

    def join(self, a: int, b: int) -> bool:
        """Join the components of two units. False when something forbids it; True when they are joined."""
        low, high = sorted((self.root(a), self.root(b)))
        if low == high:
            return True
        if high in self._apart.get(low, ()) or self._contradict(low, high):
            return False
        self._parents[high] = low
        for other in self._apart.pop(high, ()):
            self._apart[low].add(other)
            self._apart[other].discard(high)
            self._apart[other].add(low)
        larger, smaller = sorted((self._profiles[low], self._profiles[high]), key=len, reverse=True)
        for profile, number in smaller.items():
            larger.setdefault(profile, number)
        self._profiles[low], self._profiles[high] = larger, {}
        return True

    def are_apart(self, a: int, b: int) -> bool:
        """Whether the components of two units were decided to be two people."""
        return self.root(b) in self._apart.get(self.root(a), ())

    def _contradict(self, a: int, b: int) -> bool:
        mine, theirs = self._profiles[a], self._profiles[b]
        aliased = [self._units[n] for keys, n in (*mine.items(), *theirs.items()) if len(keys) > 1]
        for left, number in mine.items():
            for right, other in theirs.items():
                one, two = self._units[number], self._units[other]
                if left == right or likeness_of(one, two) is not Likeness.DIFFERENT:
                    continue
                # A unit that goes by both names vouches for them: a link or a person has said that they are one.
                if not any(_vouches(unit, one, two) for unit in aliased):
                    return True
        return False


def _vouches(unit: Unit, one: Unit, two: Unit) -> bool:
    return all(likeness_of(unit, other) is not Likeness.DIFFERENT for other in (one, two))
