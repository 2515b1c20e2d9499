"""Records become persons: who is the same, by which evidence, and which pairs a person has to look at.

Belongs here: the rules of matching over all records at once, as a pure function. Does not belong here: canonical forms
(canonical), names (names), reading and keeping records (warehouse, ledger).

The rules (DESIGN, matching)
1. Confirmed links (a referral and the candidate that it was written to) always join.
2. Records with the same mailbox join unless their names contradict; then the same phone, for full names that do not.
3. A key that people share (contradicting names, more people than the limit, a function's address such as jobs@) joins
   nobody by itself: only full names that are the same, and of a mailbox those only as long as no two phones say that
   they are two people. Its other pairs go to review.
4. No chain of records joins two whose names contradict: the stronger evidence wins, the weaker pair goes to review.
   Names within one confirmed link are aliases of each other, and vouch for whoever agrees with one of them.
5. What was decided to be two people is never joined, by no key, link or chain. Where two of them carry one name and one
   key, that key tells nothing about a third who carries both: it joins neither of them, and goes to review.

Work is linear in records times their keys: inside one key only different names are compared, and a key with many of
them is shared by definition.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations, pairwise
from typing import Final

from referral_pipeline.identity.canonical import is_role_mailbox
from referral_pipeline.identity.components import Components, Unit, likeness_of, units_of
from referral_pipeline.identity.names import Likeness, Name, name_of, names_contradict

EMAIL: Final = "email"
PHONE: Final = "phone"
LINK: Final = "link"
SINGLE: Final = "single"

_ALL_PAIRS_UP_TO: Final = 10
"""Persons sharing one key of whom every pair is shown; beyond, each is shown with the first (linear, and enough)."""


@dataclass(frozen=True)
class Record:
    """One record of one system. Personal data: `repr` shows the id only.

    `record_id` is "system:id". Keys are canonical (`canonical.canonical_email`, `canonical_phone`).
    """

    record_id: str
    email_keys: tuple[str, ...] = field(repr=False)
    phone_keys: tuple[str, ...] = field(repr=False)
    first_name: str | None = field(repr=False)
    last_name: str | None = field(repr=False)
    first_seen_at: datetime

    def keys(self, kind: str) -> tuple[str, ...]:
        """The keys of this kind, each once."""
        return tuple(dict.fromkeys(self.email_keys if kind == EMAIL else self.phone_keys))


@dataclass(frozen=True)
class ReviewPair:
    """Two persons that share evidence and were not joined. `evidence` says what and why, without any value.

    `is_decided`: a person has said already that these are two people.
    """

    left_person: str
    right_person: str
    evidence: str
    is_decided: bool = False


@dataclass(frozen=True)
class Resolution:
    """Who is who.

    `person_of` and `method_of` (email, phone, link or single) are by record id; `review` is sorted by person ids, each
    pair once.
    """

    person_of: dict[str, str]
    method_of: dict[str, str]
    review: list[ReviewPair]


def resolve(
    records: Sequence[Record],
    *,
    previous: Mapping[str, str] | None = None,
    must_link: Iterable[tuple[str, str]] = (),
    cannot_link: Iterable[tuple[str, str]] = (),
    shared_mailbox_limit: int,
    match_on: Sequence[str] = (EMAIL, PHONE),
) -> Resolution:
    """Resolve records to persons. The result does not depend on the order of `records`, `must_link`, `cannot_link`.

    Args:
        records: every record once.
        previous: record id -> person id of an earlier resolution. A person keeps the id of its earliest record.
        must_link: pairs of record ids that are confirmed to be one person; ids without a record still connect others.
        cannot_link: pairs of record ids that were decided to be two people; it outranks `must_link`.
        shared_mailbox_limit: how many differently named people one mailbox or phone may carry and still join them.
        match_on: the kinds of keys that match, strongest first.

    Raises:
        ValueError: a record id comes twice, or a kind of key is unknown.
    """
    ordered = sorted(records, key=lambda record: record.record_id)
    if any(a.record_id == b.record_id for a, b in pairwise(ordered)):
        raise ValueError("a record id comes twice")
    unknown = set(match_on) - {EMAIL, PHONE}
    if unknown:
        raise ValueError(f"match_on has unknown kinds: {', '.join(sorted(unknown))}")

    apart_records = list(cannot_link)
    units, unit_of = units_of(
        [r.record_id for r in ordered], [name_of(r.first_name, r.last_name) for r in ordered], must_link, apart_records
    )
    apart = _apart_units(ordered, unit_of, apart_records)
    components = Components(units, apart)
    groups = [
        group for kind in match_on for group in _groups(ordered, unit_of, units, kind, shared_mailbox_limit, apart)
    ]
    doubts = _join(components, units, groups, match_on)
    for group in groups:
        if group.is_shared:
            doubts += [(pair, _shared_evidence(group, units, pair)) for pair in _pairs(components, group)]

    members: dict[int, list[Record]] = {}
    for number, record in enumerate(ordered):
        members.setdefault(components.root(unit_of[number]), []).append(record)
    person_of_root = _person_ids(members, previous or {})
    person_of = {record.record_id: person_of_root[root] for root, rows in members.items() for record in rows}
    return Resolution(
        person_of=person_of,
        method_of=_methods(ordered, unit_of, components, members, groups),
        review=_review(doubts, components, person_of_root),
    )


def still_binds(left: Record | None, right: Record | None) -> bool:
    """Whether a confirmed link between two records still holds; one that is not there cannot speak against it.

    Not when their names contradict by now and they have no address or phone in common any more: the referral was made
    over to somebody else.
    """
    if left is None or right is None:
        return True
    if any(set(left.keys(kind)) & set(right.keys(kind)) for kind in (EMAIL, PHONE)):
        return True
    return not names_contradict(Name(left.first_name, left.last_name), Name(right.first_name, right.last_name))


def new_person_id(record_id: str, taken: Collection[str]) -> str:
    """An id for the person whose smallest record this is, one that nobody has yet."""
    attempt = 0
    while True:
        text = record_id if attempt == 0 else f"{record_id}#{attempt}"
        person_id = f"per_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        if person_id not in taken:
            return person_id
        attempt += 1


# ---------------------------------------------------------------- evidence by key

_Apart = Mapping[int, Collection[int]]
"""Units that were decided to be two people: for each of them, those that it is apart from."""


def _apart_units(records: Sequence[Record], unit_of: Sequence[int], cannot_link: Sequence[tuple[str, str]]) -> _Apart:
    if not cannot_link:
        return {}
    number_of = {record.record_id: number for record, number in zip(records, unit_of, strict=True)}
    apart: dict[int, set[int]] = {}
    for a, b in cannot_link:
        if a in number_of and b in number_of:
            apart.setdefault(number_of[a], set()).add(number_of[b])
            apart.setdefault(number_of[b], set()).add(number_of[a])
    return apart


@dataclass(frozen=True)
class _Group:
    """The records and units that carry one key.

    `classes` holds units by equal name, for each name that may join, and `heads` one unit of each such name. Where
    units of one name were decided to be two people, each of them is a class without a head, those of whom nothing is
    known are another, and `unclear` holds the pairs between them.
    """

    kind: str
    rows: tuple[int, ...]
    units: tuple[int, ...]
    classes: tuple[tuple[int, ...], ...]
    heads: tuple[int, ...]
    is_shared: bool
    why: str
    unclear: tuple[tuple[int, int], ...]


def _groups(
    records: Sequence[Record], unit_of: Sequence[int], units: Sequence[Unit], kind: str, limit: int, apart: _Apart
) -> list[_Group]:
    rows_of: dict[str, list[int]] = {}
    for number, record in enumerate(records):
        for key in record.keys(kind):
            rows_of.setdefault(key, []).append(number)
    phones: dict[int, set[str]] = {}
    if kind == EMAIL:
        for record, number in zip(records, unit_of, strict=True):
            if record.phone_keys:
                phones.setdefault(number, set()).update(record.phone_keys)
    return [
        _group(kind, key, rows, unit_of, units, limit, apart, phones)
        for key, rows in sorted(rows_of.items())
        if len(rows) > 1
    ]


def _group(
    kind: str,
    key: str,
    rows: Sequence[int],
    unit_of: Sequence[int],
    units: Sequence[Unit],
    limit: int,
    apart: _Apart,
    phones: Mapping[int, Collection[str]],
) -> _Group:
    carriers = tuple(sorted({unit_of[row] for row in rows}))
    classes: dict[str, list[int]] = {}
    people: dict[str, int] = {}
    for number in carriers:
        for name in units[number].names:
            # A phone says too little about a record that lacks half of its name.
            if kind == EMAIL or name.is_full:
                classes.setdefault(name.exact_key, []).append(number)
                if not name.is_missing:
                    people.setdefault(name.agreement_key, number)
    why = _why_shared(kind, key, [numbers[0] for numbers in classes.values()], len(set(people.values())), units, limit)
    if why:  # only full names can be equal: an unnamed record of a shared mailbox stays by itself
        full = {name.exact_key for number in carriers for name in units[number].names if name.is_full}
        classes = {name: numbers for name, numbers in classes.items() if name in full}
    parts: list[tuple[int, ...]] = []
    heads: list[int] = []
    unclear: list[tuple[int, int]] = []
    for _, numbers in sorted(classes.items()):
        sides, free = _told_apart(numbers, apart)
        if not sides and why:
            sides, free = _by_phone(numbers, phones)
        parts += [*sides, *([tuple(free)] if free else [])]
        if sides:
            unclear += combinations([side[0] for side in sides] + free[:1], 2)
        else:
            heads.append(numbers[0])
    split = [part[0] for part in parts if part[0] not in heads]
    if not why:  # in a shared group every pair is looked at anyway
        unclear += [(a, b) for a in split for b in heads]
    return _Group(kind, tuple(rows), carriers, tuple(parts), tuple(sorted(set(heads))), bool(why), why, tuple(unclear))


def _told_apart(numbers: Sequence[int], apart: _Apart) -> tuple[list[tuple[int, ...]], list[int]]:
    """Of units with one name and key: those that a decision tells apart, by the person they are, and the others.

    Each is in the first side that holds nobody it is apart from.
    """
    if not apart or apart.keys().isdisjoint(numbers):
        return [], list(numbers)
    among = set(numbers)
    free: list[int] = []
    sides: list[list[int]] = []
    for number in numbers:
        others = among.intersection(apart.get(number, ()))
        if not others:
            free.append(number)
            continue
        for side in sides:
            if others.isdisjoint(side):
                side.append(number)
                break
        else:
            sides.append([number])
    return [tuple(side) for side in sides], free


def _by_phone(numbers: Sequence[int], phones: Mapping[int, Collection[str]]) -> tuple[list[tuple[int, ...]], list[int]]:
    """Of units with one name and a shared mailbox: those with a phone, by their phones, and those without.

    One side is none: two people of one name and mailbox are told by their phones, and by nothing else.
    """
    clusters: list[tuple[set[str], list[int]]] = []
    free: list[int] = []
    for number in numbers:
        own = set(phones.get(number, ()))
        if not own:
            free.append(number)
            continue
        members = [number]
        apart: list[tuple[set[str], list[int]]] = []
        for seen, others in clusters:
            if seen.isdisjoint(own):
                apart.append((seen, others))
            else:
                own |= seen
                members += others
        clusters = [*apart, (own, members)]
    if len(clusters) < 2:
        return [], list(numbers)
    return sorted(tuple(sorted(members)) for _, members in clusters), free


def _why_shared(kind: str, key: str, heads: Sequence[int], people: int, units: Sequence[Unit], limit: int) -> str:
    """Why a key is shared by several people; nothing when it is not. `heads` are a unit for each name."""
    if kind == EMAIL and is_role_mailbox(key):
        return "address of a function"
    if people > limit:
        return "more people than the limit"
    if any(likeness_of(units[a], units[b]) is Likeness.DIFFERENT for a, b in combinations(sorted(set(heads)), 2)):
        return "names contradict"
    return ""


# ---------------------------------------------------------------- joining

_Doubt = tuple[tuple[int, int], str]
"""Two units that share evidence, and why it did not join them."""


def _join(
    components: Components, units: Sequence[Unit], groups: Sequence[_Group], match_on: Sequence[str]
) -> list[_Doubt]:
    """Join along every edge, strongest first: by kind of key, equal names before names that only do not contradict."""
    edges: set[tuple[int, bool, int, int]] = set()
    doubts: list[_Doubt] = []
    for group in groups:
        rank = match_on.index(group.kind)
        for numbers in group.classes:
            edges.update((rank, False, a, b) for a, b in pairwise(numbers))
        doubts += [(pair, f"{group.kind}: carried by people of one name") for pair in group.unclear]
        for pair in () if group.is_shared else combinations(group.heads, 2):
            # Across scripts names cannot be compared: enough for one mailbox, too little for one phone.
            if group.kind == PHONE and likeness_of(units[pair[0]], units[pair[1]]) is Likeness.UNKNOWN:
                doubts.append((pair, "phone: names cannot be compared"))
            else:
                edges.add((rank, True, *pair))
    for rank, _, a, b in sorted(edges):
        if not components.join(a, b):
            why = (
                "decided to be two people" if components.are_apart(a, b) else "names contradict through another record"
            )
            doubts.append(((a, b), f"{match_on[rank]}: {why}"))
    return doubts


def _pairs(components: Components, group: _Group) -> list[tuple[int, int]]:
    """Pairs of units, one for each pair of persons that share this key."""
    first_of: dict[int, int] = {}
    for number in group.units:
        first_of.setdefault(components.root(number), number)
    people = sorted(first_of.values())
    if len(people) > _ALL_PAIRS_UP_TO:
        return [(people[0], other) for other in people[1:]]
    return list(combinations(people, 2))


def _shared_evidence(group: _Group, units: Sequence[Unit], pair: tuple[int, int]) -> str:
    same = likeness_of(units[pair[0]], units[pair[1]])
    names = {Likeness.DIFFERENT: "names contradict", Likeness.UNKNOWN: "a name is missing"}.get(same, "names are alike")
    why = "" if group.why == "names contradict" else f" ({group.why})"
    return f"{group.kind}: shared {'mailbox' if group.kind == EMAIL else 'number'}{why}, {names}"


def _review(doubts: Iterable[_Doubt], components: Components, person_of_root: Mapping[int, str]) -> list[ReviewPair]:
    found: dict[tuple[str, str], set[str]] = {}
    decided: set[tuple[str, str]] = set()
    for (a, b), evidence in doubts:
        left, right = sorted((person_of_root[components.root(a)], person_of_root[components.root(b)]))
        if left != right:
            found.setdefault((left, right), set()).add(evidence)
            if components.are_apart(a, b):
                decided.add((left, right))
    return [ReviewPair(*pair, "; ".join(sorted(texts)), pair in decided) for pair, texts in sorted(found.items())]


# ---------------------------------------------------------------- ids and methods


def _person_ids(members: Mapping[int, Sequence[Record]], previous: Mapping[str, str]) -> dict[int, str]:
    """An id for each component: that of its earliest record, else made from its smallest record id.

    After a split two components may claim one id; the one with the earliest record keeps it.
    """
    claims: list[tuple[datetime, str, int]] = []
    for root, rows in members.items():
        known = [(row.first_seen_at, row.record_id) for row in rows if row.record_id in previous]
        if known:
            claims.append((*min(known), root))
    ids: dict[int, str] = {}
    taken: set[str] = set()
    for _, record_id, root in sorted(claims):
        if previous[record_id] not in taken:
            ids[root] = previous[record_id]
            taken.add(ids[root])
    for record_id, root in sorted((min(row.record_id for row in rows), root) for root, rows in members.items()):
        if root not in ids:
            ids[root] = new_person_id(record_id, taken)
            taken.add(ids[root])
    return ids


def _methods(
    records: Sequence[Record],
    unit_of: Sequence[int],
    components: Components,
    members: Mapping[int, Sequence[Record]],
    groups: Sequence[_Group],
) -> dict[str, str]:
    """By which evidence each record belongs to its person: the first kind of key that it has in common with another."""
    methods: dict[str, str] = {}
    for group in groups:
        by_person: dict[int, list[int]] = {}
        for row in group.rows:
            by_person.setdefault(components.root(unit_of[row]), []).append(row)
        for rows in by_person.values():
            if len(rows) > 1:
                for row in rows:
                    methods.setdefault(records[row].record_id, group.kind)
    for rows in members.values():
        rest = SINGLE if len(rows) == 1 else LINK
        for record in rows:
            methods.setdefault(record.record_id, rest)
    return methods
