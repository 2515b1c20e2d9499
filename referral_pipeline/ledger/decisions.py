"""What people decided about who is one person: kept, revoked, and what became of it in the ATS.

Belongs here: the states of a decision and their transitions. Does not belong here: what a decision means for
resolution (identity.decisions), carrying a merge out in the ATS (sync.merges), persons and pairs (the warehouse).

Nothing is ever removed: a later word revokes an earlier one that says the other thing about the same two sides. A
decision speaks of the records that the two sides had when it was made. No personal data: records are named by id, and a
reason that holds an address or a number is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from referral_pipeline.ledger import tables
from referral_pipeline.ledger.prepared import Prepared
from referral_pipeline.ledger.records import IdentityDecision
from referral_pipeline.ledger.transactions import Transactions, parts

MERGE: Final = "merge"
DISTINCT: Final = "distinct"

_MOST_REASON_CHARACTERS = 500
_MOST_ERROR_CHARACTERS = 2_000
_SIDES = ("left", "right")
_NUMBER = re.compile(r"\d{7,}|\+\d(?:[\s().\-/]*\d){6,}|\d(?:[\s().\-/]*\d){8,}")
"""Seven digits in a row, or as many as a telephone has with its separators; a date has eight with them."""

_d, _r, _a = tables.identity_decisions.c, tables.identity_decision_records.c, tables.candidate_aliases.c
_DECIDED = (
    sa.select(
        _d.id,
        _d.verdict,
        _d.reason,
        _d.decided_by,
        _d.decided_at,
        _d.revoked_at,
        _d.revoked_by,
        _d.revoked_reason,
        _d.ats_state,
        _d.ats_error,
        _r.record_id,
        _r.side,
        _r.person_id,
    )
    .join_from(tables.identity_decisions, tables.identity_decision_records, _r.decision_id == _d.id)
    .order_by(_d.id, _r.record_id)
)
_IN_FORCE = _DECIDED.where(_d.revoked_at.is_(None))
_some = sa.bindparam("some", expanding=True)
_OF_RECORDS = Prepared(
    _IN_FORCE.where(_d.id.in_(sa.select(_r.decision_id).where(_r.record_id.in_(_some)).correlate(None)))
)


def _behind() -> sa.CTE:
    """The candidates that were merged into these, over all steps."""
    first = (
        sa.select(_a.system, _a.old_id)
        .where(_a.system == sa.bindparam("of_system"), _a.new_id.in_(sa.bindparam("candidates", expanding=True)))
        .cte("behind", recursive=True)
    )
    # UNION, which ends where a chain is a circle.
    return first.union(sa.select(_a.system, _a.old_id).where(_a.system == first.c.system, _a.new_id == first.c.old_id))


_gone = _behind()
_gone_id = _gone.c.system + ":" + _gone.c.old_id
_OF_RECORDS_AND_MERGED = Prepared(
    _IN_FORCE.where(
        _d.id.in_(
            sa.union(
                sa.select(_r.decision_id).where(_r.record_id.in_(_some)).correlate(None),
                sa.select(_r.decision_id)
                .join_from(_gone, tables.identity_decision_records, _r.record_id == _gone_id)
                .correlate(None),
            )
        )
    )
)


class DecisionRefusedError(ValueError):
    """A decision that cannot be kept; the message says what is wrong with it and how to mend it."""


@dataclass(frozen=True)
class Decided:
    """What became of a decision: the one in force now, whether it is new, and the ids of those it revoked."""

    decision: IdentityDecision
    is_new: bool
    revoked: tuple[int, ...] = ()


class DecisionPart(Transactions):
    """The ledger's methods on identity decisions."""

    def decide_identity(
        self,
        verdict: str,
        left: Iterable[str],
        right: Iterable[str],
        *,
        reason: str,
        decided_by: str,
        in_ats: bool = False,
    ) -> Decided:
        """Keep a person's word on two sides, in one transaction; those in force that say otherwise are revoked.

        A decision in force that says the same of these sides already is answered; what was not done in the ATS yet is
        as asked for now, so a merge that the ATS refused becomes pending again, or is not asked of it any more.

        Args:
            verdict: merge or distinct.
            left: the record ids ("system:id") of one side.
            right: those of the other; none may stand on both.
            reason: why, in words without personal data.
            decided_by: who says so.
            in_ats: whether a merge is to be carried out in the ATS too.

        Raises:
            DecisionRefusedError: the verdict is unknown, a side is empty, a record stands on both, or the reason is
                missing, too long or holds an address or a number.
        """
        sides = (tuple(sorted(set(left))), tuple(sorted(set(right))))
        _refuse_wrong(verdict, sides, reason, decided_by)
        ats_state = "pending" if in_ats and verdict == MERGE else None
        now = self._clock()
        with self._writing() as connection:
            _alone(connection)
            related = [one for one in _of(connection, [*sides[0], *sides[1]]) if speaks_of(one, *sides)]
            against = [one.id for one in related if one.verdict != verdict]
            for one in related:
                if one.verdict != verdict:
                    _revoke(connection, one, now, decided_by, f"decided otherwise: {reason.strip()}")
            same = next((one for one in related if one.verdict == verdict and covers(one, *sides)), None)
            if same is not None:
                if same.ats_state not in {"done", ats_state}:
                    _set(connection, same.id, ats_state=ats_state, ats_error=None)
                return Decided(_one(connection, same.id), False, tuple(against))
            decision_id = _insert(connection, verdict, sides, reason.strip(), decided_by, now, ats_state)
            return Decided(_one(connection, decision_id), True, tuple(against))

    def identity_decisions(self, *, in_force_only: bool = True) -> list[IdentityDecision]:
        """Every decision, oldest first; with `in_force_only` those that nobody has revoked."""
        with self._reading() as connection:
            return _read(connection.execute(_IN_FORCE if in_force_only else _DECIDED))

    def identity_decision(self, decision_id: int) -> IdentityDecision | None:
        """One decision, in force or not; None when there is none of this id."""
        with self._reading() as connection:
            return next(iter(_read(connection.execute(_DECIDED.where(_d.id == decision_id)))), None)

    def identity_decisions_of(
        self, record_ids: Iterable[str], *, aliases_of: str | None = None
    ) -> list[IdentityDecision]:
        """The decisions in force that name any of these records, oldest first.

        With `aliases_of` a candidate of that system stands also for those that were merged into it.
        """
        found: dict[int, IdentityDecision] = {}
        with self._looking() as through:
            for some in parts(record_ids):
                if aliases_of is None:
                    rows = _OF_RECORDS.all(through, some=some)
                else:
                    prefix = f"{aliases_of}:"
                    candidates = [i.removeprefix(prefix) for i in some if i.startswith(prefix)]
                    rows = (
                        _OF_RECORDS_AND_MERGED.all(through, some=some, of_system=aliases_of, candidates=candidates)
                        if candidates
                        else _OF_RECORDS.all(through, some=some)
                    )
                found |= {one.id: one for one in _read(rows)}
        return [one for _, one in sorted(found.items())]

    def revoke_identity_decision(self, decision_id: int, *, by: str, reason: str) -> IdentityDecision:
        """Revoke a decision; one that is revoked already stays so. The records of a merge are again who they were.

        Raises:
            LookupError: there is no decision of this id.
            DecisionRefusedError: the reason is missing, too long or holds an address or a number.
        """
        _refuse_words(reason, by)
        with self._writing() as connection:
            _alone(connection)
            one = _one(connection, decision_id)
            if one.in_force:
                _revoke(connection, one, self._clock(), by, reason.strip())
            return _one(connection, decision_id)

    def settle_ats_merge(self, decision_id: int, state: str, error: str | None = None) -> None:
        """Note what became of a merge in the ATS: done, refused, or still pending with an error.

        Raises:
            LookupError: there is no decision of this id.
        """
        with self._writing() as connection:
            _one(connection, decision_id)
            words = None if error is None else error[:_MOST_ERROR_CHARACTERS]
            _set(connection, decision_id, ats_state=state, ats_error=words)


def speaks_of(decision: IdentityDecision, left: Iterable[str], right: Iterable[str]) -> bool:
    """Whether a decision is about these two sides: it has some record of each on opposite sides, either way round."""
    one, other = set(left), set(right)
    here, there = set(decision.left), set(decision.right)
    return bool(here & one and there & other) or bool(here & other and there & one)


def covers(decision: IdentityDecision, left: Iterable[str], right: Iterable[str]) -> bool:
    """Whether a decision says of these two sides all that can be said: they are part of its own, either way round."""
    one, other = set(left), set(right)
    here, there = set(decision.left), set(decision.right)
    return (here >= one and there >= other) or (here >= other and there >= one)


# ---------------------------------------------------------------- what is refused


def _refuse_wrong(verdict: str, sides: Sequence[Sequence[str]], reason: str, decided_by: str) -> None:
    if verdict not in {MERGE, DISTINCT}:
        raise DecisionRefusedError("the verdict is neither merge nor distinct")
    if not all(sides):
        raise DecisionRefusedError("a side has no record: name at least one on each")
    if any(":" not in record_id for side in sides for record_id in side):
        raise DecisionRefusedError("a record id is not written system:id")
    both = sorted(set(sides[0]) & set(sides[1]))
    if both:
        raise DecisionRefusedError(f"{both[0]} stands on both sides: a record is one person")
    _refuse_words(reason, decided_by)


def _refuse_words(reason: str, by: str) -> None:
    if not by.strip():
        raise DecisionRefusedError("nobody is named who decides")
    refusal = reason_fault(reason)
    if refusal is not None:
        raise DecisionRefusedError(refusal)


def reason_fault(reason: str) -> str | None:
    """What is wrong with a reason, with its mend; None when it may be kept."""
    text = reason.strip()
    if not text:
        return "the reason is empty: say in a few words why"
    if len(text) > _MOST_REASON_CHARACTERS:
        return f"the reason has {len(text)} characters: at most {_MOST_REASON_CHARACTERS}"
    if "@" in text or _NUMBER.search(text):
        return "the reason holds an address or a long number: it is kept for good, so write it without personal data"
    return None


# ---------------------------------------------------------------- rows


def _alone(connection: Connection) -> None:
    """Two people who decide at once do so one after the other. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("LOCK TABLE identity_decisions IN SHARE ROW EXCLUSIVE MODE"))


def _insert(
    connection: Connection,
    verdict: str,
    sides: Sequence[Sequence[str]],
    reason: str,
    decided_by: str,
    now: datetime,
    ats_state: str | None,
) -> int:
    values = {
        "verdict": verdict,
        "reason": reason,
        "decided_by": decided_by.strip(),
        "decided_at": now,
        "ats_state": ats_state,
    }
    made = connection.execute(sa.insert(tables.identity_decisions).values(**values).returning(_d.id))
    decision_id = int(made.scalar_one())
    persons = _persons_of(connection, [*sides[0], *sides[1]])
    rows = [
        {"decision_id": decision_id, "record_id": i, "side": side, "person_id": persons.get(i)}
        for side, record_ids in zip(_SIDES, sides, strict=True)
        for i in record_ids
    ]
    connection.execute(sa.insert(tables.identity_decision_records), rows)
    return decision_id


def _persons_of(connection: Connection, record_ids: Sequence[str]) -> dict[str, str]:
    """Who these records are, or were before the merges in force: what is to be given back when all are revoked."""
    keys = tables.identity_keys.c
    query = sa.select(keys.record_id, keys.person_id).where(keys.record_id.in_(_some), keys.person_id != "")
    found: dict[str, str] = {
        row.record_id: row.person_id for some in parts(record_ids) for row in connection.execute(query, {"some": some})
    }
    for one in reversed(_of(connection, record_ids)):  # the first merge knows best who a record was
        if one.verdict == MERGE:
            found |= one.persons
    return {i: found[i] for i in record_ids if i in found}


def _revoke(connection: Connection, decision: IdentityDecision, now: datetime, by: str, reason: str) -> None:
    _set(
        connection,
        decision.id,
        revoked_at=now,
        revoked_by=by.strip(),
        revoked_reason=reason[:_MOST_REASON_CHARACTERS],
    )
    if decision.verdict == MERGE:
        # A person that comes apart again has its old id: resolution goes by whom the ledger takes a record for.
        keys = tables.identity_keys
        for record_id, person_id in sorted(decision.persons.items()):
            connection.execute(sa.update(keys).where(keys.c.record_id == record_id).values(person_id=person_id))


def _set(connection: Connection, decision_id: int, **values: Any) -> None:
    connection.execute(sa.update(tables.identity_decisions).where(_d.id == decision_id).values(**values))


def _of(connection: Connection, record_ids: Iterable[str]) -> list[IdentityDecision]:
    found: dict[int, IdentityDecision] = {}
    for some in parts(record_ids):
        found |= {one.id: one for one in _read(_OF_RECORDS.all(connection, some=some))}
    return [one for _, one in sorted(found.items())]


def _one(connection: Connection, decision_id: int) -> IdentityDecision:
    found = _read(connection.execute(_DECIDED.where(_d.id == decision_id)))
    if not found:
        raise LookupError(f"there is no decision {decision_id}")
    return found[0]


def _read(rows: Iterable[Sequence[Any]]) -> list[IdentityDecision]:
    """Decisions from their rows, one a record, in the order of the decisions."""
    facts: dict[int, tuple[Any, ...]] = {}
    members: dict[int, list[tuple[str, str, str | None]]] = {}
    for row in rows:
        facts[row[0]] = tuple(row[:10])
        members.setdefault(row[0], []).append((row[10], row[11], row[12]))
    return [
        IdentityDecision(
            id=number,
            verdict=one[1],
            left=tuple(i for i, side, _ in members[number] if side == "left"),
            right=tuple(i for i, side, _ in members[number] if side == "right"),
            reason=one[2],
            decided_by=one[3],
            decided_at=one[4],
            revoked_at=one[5],
            revoked_by=one[6],
            revoked_reason=one[7],
            ats_state=one[8],
            ats_error=one[9],
            persons={i: person for i, _, person in members[number] if person},
        )
        for number, one in facts.items()
    ]
