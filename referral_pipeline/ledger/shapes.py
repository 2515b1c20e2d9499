"""What answers of other systems have looked like, and what of it somebody accepted. Nothing is ever removed.

Belongs here: keeping facts with when they were seen, accepting them. Does not belong here: learning them
(`connectors.shapes`), what a new one means (`monitoring.drift`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from referral_pipeline.connectors.shapes import Fact
from referral_pipeline.ledger import tables
from referral_pipeline.ledger.engine import insert
from referral_pipeline.ledger.records import ShapeFact, ShapeKey
from referral_pipeline.ledger.transactions import Transactions

_table = tables.api_shapes
_c = _table.c
_KEY = ("system", "operation", "path", "kind", "value")


class ShapePart(Transactions):
    """The ledger's methods on shapes."""

    def record_shapes(self, facts: Sequence[Fact]) -> None:
        """Keep what was seen, as of now: what is new begins, what is known is counted on."""
        now = self._clock()
        seen: dict[ShapeKey, int] = {}
        for fact in facts:
            key = ShapeKey(fact.system, fact.operation, fact.path, fact.kind, fact.value)
            seen[key] = seen.get(key, 0) + fact.seen
        if not seen:
            return
        # One order of locks for every process, or two batches could wait for each other on PostgreSQL.
        rows = [
            {**dict(zip(_KEY, key, strict=True)), "seen": seen[key], "first_seen_at": now, "last_seen_at": now}
            for key in sorted(seen)
        ]
        with self._writing(durable=False) as connection:
            adding = insert(connection.dialect.name, _table)
            connection.execute(
                adding.on_conflict_do_update(
                    index_elements=list(_KEY),
                    set_={"seen": _c.seen + adding.excluded.seen, "last_seen_at": adding.excluded.last_seen_at},
                ),
                rows,
            )

    def shapes(self, system: str | None = None) -> list[ShapeFact]:
        """All that was ever seen of one system, or of all."""
        query = sa.select(_table).order_by(*(_table.c[name] for name in _KEY))
        if system is not None:
            query = query.where(_c.system == system)
        with self._reading() as connection:
            return [ShapeFact(**row) for row in connection.execute(query).mappings()]

    def accept_shapes(self, keys: Iterable[ShapeKey], *, by: str, why: str | None = None) -> int:
        """Accept these facts, as of now; what is accepted already stays as it is. Answers how many are new to it."""
        now = self._clock()
        accepting = (
            sa.update(_table)
            .where(*(_table.c[name] == sa.bindparam(f"of_{name}") for name in _KEY), _c.accepted_at.is_(None))
            .values(accepted_at=now, accepted_by=by, accepted_why=why)
        )
        done = 0
        with self._writing() as connection:
            for key in sorted(set(keys)):
                of = {f"of_{name}": part for name, part in zip(_KEY, key, strict=True)}
                done += connection.execute(accepting, of).rowcount
        return done
