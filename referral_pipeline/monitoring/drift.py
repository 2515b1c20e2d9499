"""Schema drift: what answers show, against what the connectors read and against what they showed before.

Belongs here: which fact is news, how bad it is, when it is over, what is accepted by itself. Does not belong here:
learning shapes (`connectors.shapes`), keeping them (`ledger.shapes`), telling anybody (`drift_alerts`), words for
people (`drift_words`).

Rules
1. The first look at an operation is what all that comes later is held against; only what contradicts the connector's
   own model is news at once. So is a notice of withdrawal.
2. A field that a row needs and does not have, a field that is read and is gone from every row or null in all, and a
   type that was not there before are errors. A new type that the connector reads all the same is a warning.
3. A word that is new is a warning; one that the contract's stage_map knows is only told. A new field is told.
4. A notice of deprecation is a warning; one of sunset too, and an error in the last 30 days.
5. An error is over when a later answer shows that place as it should be, a notice when a later answer has none. A word
   is over when the contract knows it.
6. Whatever is neither an error nor a notice accepts itself after 30 days. The others stand until they are over or a
   person accepts them.
7. History decides only where it is settled: a type and a word after 15 sights of others, a field that is left out
   after 15 sights of it and 5 without it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from referral_pipeline.connectors.expected import ABSENT, LIST, NULL, OBJECT, Field, Fields, Shapes
from referral_pipeline.connectors.shapes import STRANGER, TYPE, WORD
from referral_pipeline.ledger.records import ShapeFact, ShapeKey

FIRST_LOOK = "first look"
OPTIONAL = "left out at times"
IN_TIME = "30 days"
ACCEPTS_ITSELF_AFTER = timedelta(days=30)
SUNSET_IS_NEAR = timedelta(days=30)
_SETTLED, _GONE = 15, 5
_NOT_A_TYPE = frozenset({NULL, ABSENT, STRANGER})


class Kind(StrEnum):
    """What has changed."""

    NEW_FIELD = "new_field"
    NEW_WORD = "new_word"
    TYPE_CHANGED = "type_changed"
    MISSING_REQUIRED = "missing_required"
    FIELD_GONE = "field_gone"
    DEPRECATION = "deprecation"
    SUNSET = "sunset"


class State(StrEnum):
    """Whether it stands."""

    OPEN = "open"
    OVER = "over"
    ACCEPTED = "accepted"


@dataclass(frozen=True)
class Drift:
    """One change of what an operation answers.

    `value` is the type, the word, or the day of a notice ("" without one); `before` what was there until then, as far
    as it is known; `is_read` whether the connector reads that place; `severity` is info, warning or error.
    """

    fact: ShapeFact
    kind: Kind
    severity: str
    state: State
    before: tuple[str, ...] = ()
    is_read: bool = False

    @property
    def id(self) -> str:
        """Eight hexadecimal digits by which a person names it."""
        return hashlib.sha256("\0".join(self.fact.key).encode()).hexdigest()[:8]

    @property
    def is_open(self) -> bool:
        """Whether it stands and nobody accepted it."""
        return self.state is State.OPEN


@dataclass(frozen=True)
class Judged:
    """What one look found: every change that was ever seen, and what is to be accepted without a person, by whom."""

    drifts: Sequence[Drift]
    accept: Mapping[ShapeKey, str]


def judge(
    facts: Iterable[ShapeFact],
    shapes_of: Callable[[str], Shapes],
    *,
    now: datetime,
    known_words: Collection[str] = (),
) -> Judged:
    """Judge all that was learned.

    Args:
        facts: of the ledger.
        shapes_of: what the connector of a system reads.
        now: the time, aware.
        known_words: words that the contract gives a meaning, such as the stages of its stage_map.
    """
    by_operation: dict[tuple[str, str], list[ShapeFact]] = defaultdict(list)
    for fact in facts:
        by_operation[fact.system, fact.operation].append(fact)
    known = frozenset(map(_folded, known_words))
    drifts: list[Drift] = []
    accept: dict[ShapeKey, str] = {}
    for (system, operation), own in sorted(by_operation.items()):
        one = _Operation(own, shapes_of(system).operations.get(operation, {}), known, now)
        accept |= one.accept
        drifts += one.drifts
    return Judged(drifts, accept)


def needs_a_full_pull(drifts: Iterable[Drift], system: str, full_pull_at: datetime) -> bool:
    """Whether rows of a system may stand as they came while its answers were wrong, and can be had right by now."""
    return any(
        drift.state is State.OVER and drift.severity == "error" and drift.fact.last_seen_at >= full_pull_at
        for drift in drifts
        if drift.fact.system == system and drift.is_read
    )


class _Operation:
    """The facts of one operation, with what follows from them."""

    def __init__(self, facts: Sequence[ShapeFact], fields: Fields, known: frozenset[str], now: datetime) -> None:
        self._fields = fields
        self._known = known
        self._now = now
        self.accept: dict[ShapeKey, str] = {}
        self._at: dict[str, list[ShapeFact]] = defaultdict(list)
        for fact in facts:
            self._at[fact.path].append(fact)
        self._is_first = not any(fact.accepted_at for fact in facts)
        self._learned: set[ShapeKey] = {fact.key for fact in facts if fact.accepted_at is not None}
        self._learn(facts)
        self.drifts = [drift for fact in facts if (drift := self._judge(fact)) is not None]
        for drift in self.drifts:
            is_lasting = drift.severity == "error" or drift.kind in _NOTICES
            if drift.is_open and not is_lasting and now - drift.fact.first_seen_at >= ACCEPTS_ITSELF_AFTER:
                self.accept[drift.fact.key] = IN_TIME

    def _learn(self, facts: Sequence[ShapeFact]) -> None:
        """Take what the first look shows for what is right, but for what contradicts the model."""
        for fact in facts:
            if fact.key in self._learned or fact.kind not in (TYPE, WORD):
                continue
            # Words may first be seen long after the operation: a stage of an application is null until it has one.
            begins = self._is_first if fact.kind == TYPE else not self._knows_words(fact.path)
            if begins and not self._contradicts(fact):
                self.accept[fact.key] = FIRST_LOOK
            elif self._is_left_out_at_times(fact):
                self.accept[fact.key] = OPTIONAL
        self._learned |= set(self.accept)

    def _knows_words(self, path: str) -> bool:
        words = [fact for fact in self._at[path] if fact.kind == WORD and fact.accepted_at is not None]
        return sum(fact.seen for fact in words) >= _SETTLED

    def _is_left_out_at_times(self, fact: ShapeFact) -> bool:
        """Whether a field was left out of few rows, or null in them, and stood in later ones."""
        if fact.value not in (ABSENT, NULL) or fact.seen >= _GONE or self._contradicts(fact):
            return False
        return any(one.last_seen_at > fact.last_seen_at for one in self._there(fact))

    def _contradicts(self, fact: ShapeFact) -> bool:
        field = self._fields.get(fact.path)
        if field is None:
            return False
        if fact.kind == WORD:
            return field.words is not None and fact.value not in field.words
        if fact.value == ABSENT:
            return field.required
        if fact.value == NULL:
            return not field.nullable
        if fact.value == STRANGER:
            return not self._types(fact.path, {OBJECT})
        return bool(field.types) and fact.value not in field.types

    # ------------------------------------------------------------ one fact

    def _judge(self, fact: ShapeFact) -> Drift | None:
        """What a fact means; None where it means nothing, or was so from the first look on."""
        if fact.accepted_by in (FIRST_LOOK, OPTIONAL) or fact.key in self.accept:
            return None
        found = self._news(fact)
        if found is None:
            return None
        kind, severity, before = found
        state = State.OPEN
        if fact.accepted_at is not None:
            state = State.ACCEPTED
        elif self._is_over(fact, kind):
            state = State.OVER
        return Drift(fact, kind, severity, state, before, fact.path in self._fields)

    def _news(self, fact: ShapeFact) -> tuple[Kind, str, tuple[str, ...]] | None:
        field = self._fields.get(fact.path)
        if fact.kind == WORD:
            return self._news_of_a_word(fact, field)
        if fact.kind != TYPE:
            return Kind(fact.kind), self._severity_of_notice(fact), ()
        before = tuple(sorted(one.value for one in self._before(fact) if one.value not in _NOT_A_TYPE))
        if fact.value in (NULL, ABSENT):
            if field is not None and self._contradicts(fact):
                return Kind.MISSING_REQUIRED, "error", before
            return (Kind.FIELD_GONE, "error", before) if field is not None and self._is_gone(fact) else None
        if self._contradicts(fact):
            return Kind.TYPE_CHANGED, "error", before or tuple(sorted(field.types if field else ()))
        if fact.value == STRANGER:
            return (Kind.TYPE_CHANGED, "error", before) if before and self._replaces(fact, {OBJECT}) else None
        if not self._before(fact):
            return (Kind.NEW_FIELD, "info", ()) if field is None and self._is_topmost(fact) else None
        if not before or fact.value in before:
            return None
        if field is not None and not field.types:
            return None  # the connector reads whatever comes there
        settled = sum(one.seen for one in self._before(fact) if one.value in before) >= _SETTLED
        if not settled or _holds_data(fact.path):
            return Kind.TYPE_CHANGED, "info", before
        return Kind.TYPE_CHANGED, "error" if field is None else "warning", before

    def _news_of_a_word(self, fact: ShapeFact, field: Field | None) -> tuple[Kind, str, tuple[str, ...]] | None:
        vocabulary = field.words if field is not None else None
        if vocabulary is not None and fact.value in vocabulary:
            return None
        before = tuple(sorted(one.value for one in self._at[fact.path] if one.kind == WORD and self._stands(one)))
        return Kind.NEW_WORD, "info" if _folded(fact.value) in self._known else "warning", before

    def _severity_of_notice(self, fact: ShapeFact) -> str:
        day = day_of(fact.value)
        near = fact.kind == Kind.SUNSET and day is not None and day <= (self._now + SUNSET_IS_NEAR).date()
        return "error" if near else "warning"

    # ------------------------------------------------------------ what else is known of its place

    def _types(self, path: str, of: Collection[str] | None = None) -> list[ShapeFact]:
        found = [fact for fact in self._at[path] if fact.kind == TYPE]
        return [fact for fact in found if fact.value in of] if of is not None else found

    def _stands(self, fact: ShapeFact) -> bool:
        return fact.key in self._learned

    def _before(self, fact: ShapeFact) -> list[ShapeFact]:
        """What was learned of this place, or seen before this fact."""
        return [
            one
            for one in self._types(fact.path)
            if one.key != fact.key
            and one.value != ABSENT
            and (self._stands(one) or one.first_seen_at < fact.first_seen_at)
        ]

    def _is_gone(self, fact: ShapeFact) -> bool:
        """Whether a field that was always there is, or was, in no row of an answer, or null in all that have it."""
        there = self._there(fact)
        enough = sum(one.seen for one in there) >= _SETTLED and fact.seen >= _GONE
        return enough and all(one.last_seen_at != fact.last_seen_at for one in there)

    def _there(self, fact: ShapeFact) -> list[ShapeFact]:
        """What shows that a field is there, against a fact that it is absent (null is there) or null."""
        lacks = {ABSENT} if fact.value == ABSENT else {ABSENT, NULL}
        return [one for one in self._types(fact.path) if one.value not in lacks]

    def _replaces(self, fact: ShapeFact, others: Collection[str]) -> bool:
        """Whether what else was seen there is not seen any more."""
        return all(one.last_seen_at < fact.last_seen_at for one in self._types(fact.path, others))

    def _is_topmost(self, fact: ShapeFact) -> bool:
        """Whether this is the one fact that stands for a new field: not of what is inside it, nor its second type."""
        outer = outer_of(fact.path)
        if outer is not None and not any(self._stands(one) for one in self._types(outer, {OBJECT, LIST})):
            return False
        rivals = [one for one in self._types(fact.path) if one.value not in (ABSENT, STRANGER)]
        return fact is min(rivals, key=lambda one: (one.first_seen_at, one.value == NULL, one.value))

    def _is_over(self, fact: ShapeFact, kind: Kind) -> bool:
        if kind is Kind.NEW_WORD:
            return False
        if kind in (Kind.DEPRECATION, Kind.SUNSET):
            return any(one.last_seen_at > fact.last_seen_at for one in self._types(""))
        if kind is Kind.NEW_FIELD:
            outer = outer_of(fact.path)
            there = [one.last_seen_at for one in self._types(fact.path) if one.value != ABSENT]
            around = [one.last_seen_at for one in self._types(outer or "", {OBJECT})]
            return bool(around) and max(around) > max(there)
        good = [one for one in self._types(fact.path) if one.value not in _NOT_A_TYPE and one.key != fact.key]
        return any(one.last_seen_at > fact.last_seen_at for one in good)


_NOTICES = (Kind.DEPRECATION, Kind.SUNSET)


def outer_of(path: str) -> str | None:
    """The place that a place is in; None for the whole answer."""
    if not path:
        return None
    if path.endswith("[]"):
        return path[:-2]
    return path.rpartition(".")[0]


def day_of(text: str) -> date | None:
    """The day of a notice, if it has one."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def _holds_data(path: str) -> bool:
    """Whether what stands there is the user's own, such as the value of a custom field, which may be of any type."""
    return "*" in path.replace("[]", "").split(".")


def _folded(word: str) -> str:
    return " ".join(word.split()).casefold()
