"""Candidates that were merged: which id lives on.

Belongs here: the alias chain of ATS candidate ids, on an open connection. Does not belong here: who merged them, and
whose records follow (sync).

A chain is old -> new -> newer. The survivor of the newest merge is alive by definition, so recording a merge removes
what the survivor's own alias said; a circle therefore never stands. Reading guards against one all the same: two
processes on PostgreSQL may each write one half of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from referral_pipeline.ledger.engine import upsert
from referral_pipeline.ledger.prepared import Prepared, Through
from referral_pipeline.ledger.tables import candidate_aliases
from referral_pipeline.ledger.transactions import parts

_c = candidate_aliases.c


def _onward() -> Prepared:
    """The steps that lead on from these ids, over all chains."""
    first = (
        sa.select(_c.old_id, _c.new_id)
        .where(_c.system == sa.bindparam("of_system"), _c.old_id.in_(sa.bindparam("some", expanding=True)))
        .cte("onward", recursive=True)
    )
    # UNION, which ends where a chain is a circle.
    steps = first.union(
        sa.select(_c.old_id, _c.new_id).where(_c.system == sa.bindparam("of_system"), _c.old_id == first.c.new_id)
    )
    return Prepared(sa.select(steps.c.old_id, steps.c.new_id))


_ONWARD = _onward()


def add(connection: Connection, system: str, old_id: str, new_id: str, *, now: datetime) -> None:
    """Note that `old_id` was merged into `new_id`. A candidate merged into itself is nothing new."""
    if old_id == new_id:
        return
    steps = steps_from(connection, system, [new_id])
    if old_id in _chain(steps, new_id):
        connection.execute(
            sa.delete(candidate_aliases).where(
                candidate_aliases.c.system == system, candidate_aliases.c.old_id == new_id
            )
        )
    upsert(connection, candidate_aliases, [{"system": system, "old_id": old_id, "new_id": new_id, "seen_at": now}])


def all_steps(connection: Connection, system: str) -> dict[str, str]:
    """Every single step of the chains, as recorded."""
    query = sa.select(candidate_aliases.c.old_id, candidate_aliases.c.new_id).where(
        candidate_aliases.c.system == system
    )
    return {row.old_id: row.new_id for row in connection.execute(query)}


def steps_from(through: Through, system: str, candidate_ids: Iterable[str]) -> dict[str, str]:
    """The steps of the chains that begin with these ids."""
    return {old: new for some in parts(candidate_ids) for old, new in _ONWARD.all(through, of_system=system, some=some)}


def follow(steps: Mapping[str, str], candidate_id: str) -> str:
    """The id at the end of the chain. In a circle, its smallest id, from wherever one starts."""
    chain = _chain(steps, candidate_id)
    last = chain[-1]
    after = steps.get(last)
    return last if after is None else min(chain[chain.index(after) :])


def _chain(steps: Mapping[str, str], candidate_id: str) -> list[str]:
    """The id and all that it leads to, each once."""
    chain, seen = [candidate_id], {candidate_id}
    while (after := steps.get(chain[-1])) is not None and after not in seen:
        chain.append(after)
        seen.add(after)
    return chain
