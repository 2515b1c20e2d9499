"""Consents as they were seen, and tombstones of those who must not come back.

Belongs here: keeping and finding both, on an open connection. Does not belong here: transactions (store.py), what a
consent or a tombstone forbids (privacy).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from referral_pipeline.ledger import tables
from referral_pipeline.ledger.engine import upsert
from referral_pipeline.ledger.prepared import Prepared, Through
from referral_pipeline.ledger.records import ConsentFact
from referral_pipeline.ledger.transactions import parts

_some = sa.bindparam("some", expanding=True)
_TOMBSTONED = Prepared(sa.select(tables.tombstones.c.value).where(tables.tombstones.c.value.in_(_some)))
_consents = tables.consents.c
_CONSENTS = sa.select(
    _consents.referral_id, _consents.granted, _consents.basis, _consents.granted_at, _consents.expires_at
).order_by(_consents.id)
_CONSENTS_OF = _CONSENTS.where(_consents.referral_id.in_(_some))


def save(connection: Connection, facts: Sequence[ConsentFact], *, clock: Callable[[], datetime]) -> int:
    """Append each consent that differs from the last one seen of its referral; answers how many did."""
    known = latest(connection, {fact.referral_id for fact in facts})
    rows: list[dict[str, Any]] = []
    for fact in facts:
        if known.get(fact.referral_id) != fact:
            known[fact.referral_id] = fact
            rows.append({**vars(fact), "seen_at": clock()})
    if rows:
        connection.execute(sa.insert(tables.consents), rows)
    return len(rows)


def latest(connection: Connection, referral_ids: Iterable[str] | None = None) -> dict[str, ConsentFact]:
    """The consent last seen of each of these referrals; None: of all."""
    if referral_ids is None:
        rows = list(connection.execute(_CONSENTS).mappings())
    else:
        rows = [
            row for some in parts(referral_ids) for row in connection.execute(_CONSENTS_OF, {"some": some}).mappings()
        ]
    return {row["referral_id"]: ConsentFact(**row) for row in rows}


def add_tombstone(connection: Connection, kind: str, value: str, reason: str, *, at: datetime) -> None:
    """Remember one who must not come back."""
    row = {"kind": kind, "value": value, "reason": reason, "at": at}
    upsert(connection, tables.tombstones, [row])


def tombstoned(through: Through, values: Iterable[str]) -> set[str]:
    """Which of these keyed hashes and ids have a tombstone."""
    found = set[str]()
    for some in parts(values):
        found.update(value for (value,) in _TOMBSTONED.all(through, some=some))
    return found
