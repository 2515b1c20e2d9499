"""Rows of decisions: the queries, and decisions from what they answer.

Belongs here: reading decisions on an open connection, and which of them may bear on some records. Does not belong here:
transactions and transitions (decisions.py), what decisions mean together (contradictions.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from referral_pipeline.ledger import aliases as _aliases
from referral_pipeline.ledger import tables
from referral_pipeline.ledger.prepared import Prepared
from referral_pipeline.ledger.records import IdentityDecision
from referral_pipeline.ledger.transactions import parts

_d, _r, _a = tables.identity_decisions.c, tables.identity_decision_records.c, tables.candidate_aliases.c
DECIDED: Final = (
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
IN_FORCE: Final = DECIDED.where(_d.revoked_at.is_(None))
_some = sa.bindparam("some", expanding=True)
OF_RECORDS: Final = Prepared(
    IN_FORCE.where(_d.id.in_(sa.select(_r.decision_id).where(_r.record_id.in_(_some)).correlate(None)))
)
_of_system = _a.system == sa.bindparam("of_system")
_STEPS_AROUND = sa.select(_a.old_id, _a.new_id).where(_of_system, _a.old_id.in_(_some) | _a.new_id.in_(_some))


def _behind() -> sa.CTE:
    """The candidates that were merged into these, over all steps."""
    first = (
        sa.select(_a.system, _a.old_id)
        .where(_of_system, _a.new_id.in_(sa.bindparam("candidates", expanding=True)))
        .cte("behind", recursive=True)
    )
    # UNION, which ends where a chain is a circle.
    return first.union(sa.select(_a.system, _a.old_id).where(_a.system == first.c.system, _a.new_id == first.c.old_id))


_gone = _behind()
_gone_id = _gone.c.system + ":" + _gone.c.old_id
OF_RECORDS_AND_MERGED: Final = Prepared(
    IN_FORCE.where(
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


@dataclass(frozen=True)
class Around:
    """The decisions in force that may bear on some records, oldest first, and the record ids that live on as others."""

    decisions: tuple[IdentityDecision, ...]
    aliases: Mapping[str, str]


def around(connection: Connection, record_ids: Iterable[str]) -> Around:
    """The decisions that name these records, or records that merges in force or merges in the ATS make one with them.

    A distinct decision is among them, and leads no further.
    """
    found: dict[int, IdentityDecision] = {}
    aliases: dict[str, str] = {}
    seen: set[str] = set()
    fresh = set(record_ids)
    while fresh:
        new = of_records(connection, fresh)
        found |= {one.id: one for one in new}
        known = _alias_families(connection, {*fresh, *(i for one in new for i in (*one.left, *one.right))})
        aliases |= known
        seen |= fresh
        merged = {i for one in new if one.verdict == "merge" for i in (*one.left, *one.right)}
        # Under its old ids too: a decision goes on speaking of the id that it was made about.
        standing = {aliases.get(i, i) for i in (*fresh, *merged)}
        fresh = {*merged, *standing, *(old for old, now in aliases.items() if now in standing)} - seen
    return Around(tuple(one for _, one in sorted(found.items())), aliases)


def _alias_families(connection: Connection, record_ids: Iterable[str]) -> dict[str, str]:
    """Record id -> the one it lives on as, for these and all that were merged with them, of any system."""
    by_system: dict[str, set[str]] = {}
    for record_id in record_ids:
        system, _, own_id = record_id.partition(":")
        by_system.setdefault(system, set()).add(own_id)
    found: dict[str, str] = {}
    for system, fresh in by_system.items():
        steps: dict[str, str] = {}
        seen: set[str] = set()
        while fresh:
            for some in parts(fresh):
                rows = connection.execute(_STEPS_AROUND, {"of_system": system, "some": some})
                steps |= {row.old_id: row.new_id for row in rows}
            seen |= fresh
            fresh = {*steps, *steps.values()} - seen
        found |= {f"{system}:{old}": f"{system}:{_aliases.follow(steps, old)}" for old in steps}
    return found


def of_records(connection: Connection, record_ids: Iterable[str]) -> list[IdentityDecision]:
    """The decisions in force that name any of these records by their own ids, oldest first."""
    found: dict[int, IdentityDecision] = {}
    for some in parts(record_ids):
        found |= {one.id: one for one in read(OF_RECORDS.all(connection, some=some))}
    return [one for _, one in sorted(found.items())]


def one_of(connection: Connection, decision_id: int) -> IdentityDecision:
    """One decision, in force or not.

    Raises:
        LookupError: there is none of this id.
    """
    found = read(connection.execute(DECIDED.where(_d.id == decision_id)))
    if not found:
        raise LookupError(f"there is no decision {decision_id}")
    return found[0]


def read(rows: Iterable[Sequence[Any]]) -> list[IdentityDecision]:
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
