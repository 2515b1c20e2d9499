"""Overrides of credit: what the owner decided, why and when, and what was taken back. Nothing is ever removed.

Belongs here: keeping each decision, and that one at most is in force for an application. Does not belong here: who may
decide, and about what (sync.overrides), what a decision changes (attribution, sync, warehouse).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from referral_pipeline.ledger import tables
from referral_pipeline.ledger.prepared import Prepared
from referral_pipeline.ledger.records import Override
from referral_pipeline.ledger.transactions import Transactions, parts

_table = tables.attribution_overrides
_c = _table.c
_OVERRIDE = sa.select(*(_c[one.name] for one in fields(Override)))
_OF_APPLICATIONS = Prepared(_OVERRIDE.where(_c.application_key.in_(sa.bindparam("some", expanding=True))))


class OverridePart(Transactions):
    """The ledger's methods on overrides."""

    def overrides(self, *, in_force: bool = False) -> list[Override]:
        """Every override, or those in force, oldest first."""
        query = _OVERRIDE.order_by(_c.id)
        with self._reading() as connection:
            rows = connection.execute(query.where(_c.revoked_at.is_(None)) if in_force else query)
            return [Override(**row) for row in rows.mappings()]

    def overrides_of(self, application_keys: Iterable[str]) -> list[Override]:
        """Every override of these applications ("greenhouse:31"), those no longer in force too, oldest first."""
        with self._looking() as through:
            found = [
                Override(*row) for some in parts(application_keys) for row in _OF_APPLICATIONS.all(through, some=some)
            ]
        return sorted(found, key=lambda one: one.id)

    def decide_override(
        self, application_key: str, referral_id: str | None, *, reason: str, decided_by: str
    ) -> Override:
        """Put an override in force; the one that was in force is revoked in the same transaction.

        Args:
            application_key: "system:application id".
            referral_id: the referral that has all the credit; None when nobody has any.
            reason: why, in the owner's words.
            decided_by: the owner's address.
        """
        with self._writing() as connection:
            now = self._clock()
            self._revoke(connection, application_key, revoked_by=decided_by, reason="replaced by another override")
            values: dict[str, Any] = {
                "application_key": application_key,
                "referral_id": referral_id,
                "reason": reason,
                "decided_by": decided_by,
                "decided_at": now,
            }
            row_id = connection.execute(sa.insert(_table).values(**values).returning(_c.id)).scalar_one()
        return Override(id=int(row_id), **values)

    def revoke_override(self, application_key: str, *, reason: str, revoked_by: str) -> Override | None:
        """Take back the override in force; None when there is none."""
        with self._writing() as connection:
            row_id = self._revoke(connection, application_key, revoked_by=revoked_by, reason=reason)
            if row_id is None:
                return None
            return Override(**connection.execute(_OVERRIDE.where(_c.id == row_id)).mappings().one())

    def _revoke(self, connection: sa.Connection, application_key: str, *, revoked_by: str, reason: str) -> int | None:
        revoking = (
            sa.update(_table)
            .where(_c.application_key == application_key, _c.revoked_at.is_(None))
            .values(revoked_at=self._clock(), revoked_by=revoked_by, revoked_reason=reason)
            .returning(_c.id)
        )
        return connection.execute(revoking).scalar_one_or_none()
