"""What people decided about who is who: kept, revoked, and what became of it in the ATS.

Belongs here: the states of a decision and their transitions. Does not belong here: what decisions mean together
(contradictions.py), their rows (decision_rows.py), what a decision means for resolution (identity.decisions), carrying
a merge out in the ATS (sync.merges), persons and pairs (the warehouse).

Nothing is ever removed: a later word revokes an earlier one that says the other thing about the same two sides. A
decision speaks of the records that the two sides had when it was made. No personal data: records are named by id. A
reason is free text that is kept for good; one that holds an address or a telephone number is refused, but a name in it
cannot be recognised: whoever writes it must leave names out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from referral_pipeline.ledger import tables
from referral_pipeline.ledger.contradictions import (
    DISTINCT,
    MERGE,
    Sides,
    covers,
    forbids,
    remainders,
    speaks_of,
    standing,
)
from referral_pipeline.ledger.decision_rows import (
    DECIDED,
    IN_FORCE,
    OF_RECORDS,
    OF_RECORDS_AND_MERGED,
    Around,
    around,
    of_records,
    one_of,
    read,
)
from referral_pipeline.ledger.records import IdentityDecision
from referral_pipeline.ledger.transactions import Transactions, parts

__all__ = [
    "DISTINCT",
    "MERGE",
    "Decided",
    "DecisionPart",
    "DecisionRefusedError",
    "covers",
    "reason_fault",
    "speaks_of",
]

_MOST_REASON_CHARACTERS = 500
_MOST_ERROR_CHARACTERS = 2_000
_MOST_RECORDS: Final = 400
"""Records that one decision may name: every pair across a distinct one is kept apart, so it grows with the square."""

_SIDES = ("left", "right")
_MONTH, _DAY = r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_DATE = re.compile(
    rf"(?<![\d.\-/+])(?:(?:19|20)\d\d-{_MONTH}-{_DAY}|{_DAY}([./]){_DAY}\1(?:(?:19|20)\d\d|\d\d))(?![.\-/]?\d)"
)
_TIME = re.compile(r"(?<![\d:])(?:[01]?\d|2[0-4]):[0-5]\d(?::[0-5]\d)?(?![:\d])")
_NUMBER = re.compile(r"\d{7,}|\+\d(?:[\s().\-/]*\d){6,}|\d(?:[\s().\-/]*\d){8,}")
"""Seven digits in a row, or nine as a telephone has them with its separators. Dates and times are taken out before."""

_LEFT_OF = re.compile(r" \(what is left of decision \d+\)$")

_d = tables.identity_decisions.c
_some = sa.bindparam("some", expanding=True)


class DecisionRefusedError(ValueError):
    """A decision that cannot be kept; the message says what is wrong with it and how to mend it."""


@dataclass(frozen=True)
class Decided:
    """What became of a decision: the one in force now, whether it is new, and the ids of those it revoked.

    `remaining` are the merges that stand in place of revoked ones, for the records that were not parted.
    """

    decision: IdentityDecision
    is_new: bool
    revoked: tuple[int, ...] = ()
    remaining: tuple[int, ...] = ()


class DecisionPart(Transactions):
    """The ledger's methods on identity decisions."""

    if TYPE_CHECKING:  # the ledger's own

        def exclusive(self, keys: Iterable[str]) -> AbstractContextManager[None]:
            """See `Ledger.exclusive`."""
            ...

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

        Of a merge that a distinct decision parts only partly, the rest is kept as a merge of its own, with its reason
        and by whom it was decided. A candidate that the ATS merged away stands for the one that it lives on as.

        A decision in force that says the same of these sides already is answered; what was not done in the ATS yet is
        as asked for now, so a merge that the ATS refused becomes pending again, or is not asked of it any more. When a
        merge that is revoked, or left out of the ATS, is under way there, this answers once that has stopped.

        Args:
            verdict: merge or distinct.
            left: the record ids ("system:id") of one side.
            right: those of the other; none may stand on both.
            reason: why, in words without personal data.
            decided_by: who says so.
            in_ats: whether a merge is to be carried out in the ATS too.

        Raises:
            DecisionRefusedError: the verdict is unknown, a side is empty, a record stands on both, they are too many,
                another decision makes the merge impossible, or the reason is missing, too long or holds an address or a
                number.
        """
        sides = (tuple(sorted(set(left))), tuple(sorted(set(right))))
        _refuse_wrong(verdict, sides, reason, decided_by)
        ats_state = "pending" if in_ats and verdict == MERGE else None
        now = self._clock()
        with self._writing() as connection:
            _alone(connection)
            near = around(connection, [*sides[0], *sides[1]])
            related = [one for one in near.decisions if speaks_of(one, *sides, aliases=near.aliases)]
            against = [one for one in related if one.verdict != verdict]
            _refuse_void(verdict, sides, near, against)
            remaining: list[int] = []
            for one in against:
                _revoke(connection, one, now, decided_by, f"decided otherwise: {reason.strip()}")
                if one.verdict == MERGE:
                    remaining += [
                        _keep_remainder(connection, one, rest, now)
                        for rest in remainders(one, sides, aliases=near.aliases)
                    ]
            same = next(
                (one for one in related if one.verdict == verdict and covers(one, *sides, aliases=near.aliases)), None
            )
            if same is None:
                decision_id = _insert(connection, verdict, sides, reason.strip(), decided_by, now, ats_state)
            else:
                decision_id = same.id
                if same.ats_state not in {"done", ats_state}:
                    _set(connection, same.id, ats_state=ats_state, ats_error=None)
            made = one_of(connection, decision_id)
        self._wait_for_merges([*against, *([same] if same is not None and ats_state is None else [])])
        return Decided(made, same is None, tuple(one.id for one in against), tuple(remaining))

    def _wait_for_merges(self, stopped: Iterable[IdentityDecision]) -> None:
        """Wait until no merge in the ATS goes on for these; the merger looks before each call whether it still may.

        That it may not is written first, or this would wait until there is nothing left to stop.
        """
        keys = {f"decision:{one.id}" for one in stopped if one.ats_state is not None}
        if keys:
            with self.exclusive(keys):
                pass

    def identity_decisions(self, *, in_force_only: bool = True) -> list[IdentityDecision]:
        """Every decision, oldest first; with `in_force_only` those that nobody has revoked."""
        with self._reading() as connection:
            return read(connection.execute(IN_FORCE if in_force_only else DECIDED))

    def identity_decision(self, decision_id: int) -> IdentityDecision | None:
        """One decision, in force or not; None when there is none of this id."""
        with self._reading() as connection:
            return next(iter(read(connection.execute(DECIDED.where(_d.id == decision_id)))), None)

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
                    rows = OF_RECORDS.all(through, some=some)
                else:
                    prefix = f"{aliases_of}:"
                    candidates = [i.removeprefix(prefix) for i in some if i.startswith(prefix)]
                    rows = (
                        OF_RECORDS_AND_MERGED.all(through, some=some, of_system=aliases_of, candidates=candidates)
                        if candidates
                        else OF_RECORDS.all(through, some=some)
                    )
                found |= {one.id: one for one in read(rows)}
        return [one for _, one in sorted(found.items())]

    def revoke_identity_decision(self, decision_id: int, *, by: str, reason: str) -> IdentityDecision:
        """Revoke a decision; one that is revoked already stays so. The records of a merge are again who they were.

        When the merge is under way in the ATS, this answers once that has stopped: what was not sent by then never is.

        Raises:
            LookupError: there is no decision of this id.
            DecisionRefusedError: the reason is missing, too long or holds an address or a number.
        """
        _refuse_words(reason, by)
        with self._writing() as connection:
            _alone(connection)
            one = one_of(connection, decision_id)
            if one.in_force:
                _revoke(connection, one, self._clock(), by, reason.strip())
        self._wait_for_merges([one])
        with self._reading() as connection:
            return one_of(connection, decision_id)

    def settle_ats_merge(self, decision_id: int, state: str, error: str | None = None) -> None:
        """Note what became of a merge in the ATS: done, refused, or still pending with an error.

        Raises:
            LookupError: there is no decision of this id.
        """
        with self._writing() as connection:
            one_of(connection, decision_id)
            words = None if error is None else error[:_MOST_ERROR_CHARACTERS]
            _set(connection, decision_id, ats_state=state, ats_error=words)

    def note_ats_error(self, decision_id: int, error: str) -> None:
        """Note what is to be told of a merge in the ATS, whose state stays as it is."""
        with self._writing() as connection:
            _set(connection, decision_id, ats_error=error[:_MOST_ERROR_CHARACTERS])

    def ask_ats_again(self, decision_id: int, *, in_ats: bool) -> IdentityDecision:
        """Make a merge in force pending in the ATS again, or ask it of the ATS no more.

        One that is done there is answered as it is. When it is under way and is asked no more, this answers once that
        has stopped.

        Raises:
            LookupError: there is no decision of this id.
            DecisionRefusedError: it is no merge, or was undone.
        """
        with self._writing() as connection:
            _alone(connection)
            one = one_of(connection, decision_id)
            if one.verdict != MERGE:
                raise DecisionRefusedError(f"decision {decision_id} is no merge")
            if not one.in_force:
                raise DecisionRefusedError(f"decision {decision_id} was undone: decide again with `review merge`")
            if one.ats_state != "done":
                _set(connection, decision_id, ats_state="pending" if in_ats else None, ats_error=None)
        if not in_ats:
            self._wait_for_merges([one])
        with self._reading() as connection:
            return one_of(connection, decision_id)


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
    named = sum(map(len, sides))
    if named > _MOST_RECORDS:
        raise DecisionRefusedError(
            f"the two sides have {named} records together, at most {_MOST_RECORDS} can be decided about at once: "
            "name fewer records, or records instead of persons"
        )
    _refuse_words(reason, decided_by)


def _refuse_void(verdict: str, sides: Sides, near: Around, against: Sequence[IdentityDecision]) -> None:
    """Refuse what could have no effect as it stands."""
    if verdict == DISTINCT:
        both = sorted(standing(sides[0], near.aliases) & standing(sides[1], near.aliases))
        if both:
            raise DecisionRefusedError(
                f"the ATS has made one candidate of both sides ({both[0]}), which cannot be undone: decide about "
                "records that are not merged into it"
            )
        return
    others = [one for one in near.decisions if one not in against]
    contrary = forbids(others, sides, aliases=near.aliases)
    if contrary is not None:
        raise DecisionRefusedError(
            f"decision {contrary.id} says that some of these are two people ({contrary.left[0]} and "
            f"{contrary.right[0]}), by themselves or through merges in force. Undo it first with `referral-pipeline "
            f"review undo {contrary.id}`, or refresh and merge only who is meant"
        )


def _refuse_words(reason: str, by: str) -> None:
    if not by.strip():
        raise DecisionRefusedError("nobody is named who decides")
    refusal = reason_fault(reason)
    if refusal is not None:
        raise DecisionRefusedError(refusal)


def reason_fault(reason: str) -> str | None:
    """What is wrong with a reason, with its mend; None when nothing is seen.

    Addresses and numbers like a telephone's are found, dates and times are not taken for one. Names are not found.
    """
    text = reason.strip()
    if not text:
        return "the reason is empty: say in a few words why"
    if len(text) > _MOST_REASON_CHARACTERS:
        return f"the reason has {len(text)} characters: at most {_MOST_REASON_CHARACTERS}"
    if "@" in text or _NUMBER.search(_DATE.sub("#", _TIME.sub("#", text))):
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


def _keep_remainder(connection: Connection, merge: IdentityDecision, sides: Sides, now: datetime) -> int:
    """A merge of fewer records in place of one that was revoked; what it was to be in the ATS, or was, it still is."""
    note = f" (what is left of decision {merge.id})"
    reason = _LEFT_OF.sub("", merge.reason)[: _MOST_REASON_CHARACTERS - len(note)] + note
    decision_id = _insert(connection, MERGE, sides, reason, merge.decided_by, now, merge.ats_state)
    if merge.ats_error is not None:
        _set(connection, decision_id, ats_error=merge.ats_error)
    return decision_id


def _persons_of(connection: Connection, record_ids: Sequence[str]) -> dict[str, str]:
    """Who these records are, or were before the merges in force: what is to be given back when all are revoked."""
    keys = tables.identity_keys.c
    query = sa.select(keys.record_id, keys.person_id).where(keys.record_id.in_(_some), keys.person_id != "")
    found: dict[str, str] = {
        row.record_id: row.person_id for some in parts(record_ids) for row in connection.execute(query, {"some": some})
    }
    for one in reversed(of_records(connection, record_ids)):  # the first merge knows best who a record was
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
