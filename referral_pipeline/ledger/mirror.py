"""The mirror: records of other systems as last seen, so that an event need not ask for what is known.

Belongs here: keeping and finding mirrored rows. Does not belong here: what is mirrored and when (sync), encryption
(privacy). A mirror is a memory of a system of record, never one itself; saving does not wait for the disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from referral_pipeline.ledger import tables
from referral_pipeline.ledger.engine import insert
from referral_pipeline.ledger.prepared import Prepared
from referral_pipeline.ledger.records import MirrorRow
from referral_pipeline.ledger.transactions import Transactions, parts

_c = tables.mirror.c
_ROWS = sa.select(_c.system, _c.entity, _c.record_id, _c.changed_at, _c.owner, _c.body).where(
    _c.system == sa.bindparam("of_system"), _c.entity == sa.bindparam("of_entity")
)
_BY_ID = Prepared(_ROWS.where(_c.record_id.in_(sa.bindparam("some", expanding=True))))
_BY_OWNER = Prepared(_ROWS.where(_c.owner.in_(sa.bindparam("some", expanding=True))).order_by(_c.record_id))
_COUNT = (
    sa.select(sa.func.count())
    .select_from(tables.mirror)
    .where(_c.system == sa.bindparam("of_system"), _c.entity == sa.bindparam("of_entity"))
)
_FORGET = sa.delete(tables.mirror).where(
    _c.system == sa.bindparam("of_system"),
    _c.entity == sa.bindparam("of_entity"),
    _c.record_id.in_(sa.bindparam("some", expanding=True)),
)


class MirrorPart(Transactions):
    """The ledger's methods on the mirror."""

    def save_mirror(self, rows: Sequence[MirrorRow]) -> int:
        """Insert or overwrite rows; a row that is older than the stored one changes nothing. Answers how many changed.

        Of two with the same time the later call stands.
        """
        if not rows:
            return 0
        with self._writing(durable=False) as connection:
            return save(connection, rows)

    def mirror(self, system: str, entity: str, ids: Iterable[str]) -> dict[str, MirrorRow]:
        """The mirrored rows of these records, by id; an unknown id is left out."""
        with self._looking() as connection:
            return {
                row[2]: MirrorRow(*row)
                for some in parts(ids)
                for row in _BY_ID.all(connection, of_system=system, of_entity=entity, some=some)
            }

    def mirror_of_owner(self, system: str, entity: str, owners: Iterable[str]) -> list[MirrorRow]:
        """The mirrored rows that belong to these records."""
        with self._looking() as connection:
            return [
                MirrorRow(*row)
                for some in parts(owners)
                for row in _BY_OWNER.all(connection, of_system=system, of_entity=entity, some=some)
            ]

    def mirror_count(self, system: str, entity: str) -> int:
        """How many records of an entity are mirrored."""
        with self._reading() as connection:
            return connection.execute(_COUNT, {"of_system": system, "of_entity": entity}).scalar_one()

    def forget_mirror(self, system: str, entity: str, ids: Iterable[str]) -> int:
        """Remove the mirrored rows of these records; answers how many went."""
        with self._writing() as connection:
            return sum(
                connection.execute(_FORGET, {"of_system": system, "of_entity": entity, "some": some}).rowcount
                for some in parts(ids)
            )


def save(connection: Connection, rows: Sequence[MirrorRow]) -> int:
    """See `MirrorPart.save_mirror`."""
    if not rows:
        return 0
    newest: dict[tuple[str, str, str], MirrorRow] = {}
    for row in rows:
        key = (row.system, row.entity, row.record_id)
        if key not in newest or row.changed_at >= newest[key].changed_at:
            newest[key] = row
    values = [dict(vars(row)) for _, row in sorted(newest.items())]
    if connection.dialect.name == "sqlite":
        return _SAVE.run(connection, values)
    # PostgreSQL does not count the rows of a batch, but names them.
    return len(connection.execute(_saving("postgresql").returning(_c.record_id), values).all())


def _saving(dialect: str) -> sqlite.Insert | postgresql.Insert:
    saving = insert(dialect, tables.mirror)
    return saving.on_conflict_do_update(
        index_elements=["system", "entity", "record_id"],
        set_={name: saving.excluded[name] for name in ("changed_at", "owner", "body")},
        where=saving.excluded.changed_at >= _c.changed_at,
    )


_SAVE = Prepared(_saving("sqlite"), names=("system", "entity", "record_id", "changed_at", "owner", "body"))
