"""Recognitions of advocates: what was promised, sent and taken back.

Belongs here: keeping each under the idempotency key it is sent with, and that key. Does not belong here: who has earned
what (sync.recognition_decision), sending (connectors).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from referral_pipeline.ledger import tables
from referral_pipeline.ledger.engine import enter
from referral_pipeline.ledger.prepared import Prepared
from referral_pipeline.ledger.records import Recognition
from referral_pipeline.ledger.transactions import Transactions, parts

_c = tables.recognitions.c
_MOST_ERROR_CHARACTERS = 2_000
_LONGEST_KEY = 255
_ALL = sa.select(tables.recognitions).order_by(_c.created_at, _c.key)
_OF_APPLICATIONS = Prepared(
    sa.select(*(_c[one.name] for one in fields(Recognition))).where(
        _c.application_id.in_(sa.bindparam("some", expanding=True))
    )
)


def recognition_key(system: str, application_id: str, referral_id: str, cycle: int, kind: str) -> str:
    """The idempotency key: it names the recognition, fits a header, and two recognitions never share one."""
    named = (system, application_id, referral_id, str(cycle), kind)
    key = ":".join(("recognition", *(quote(part, safe="") for part in named)))
    return key if len(key) <= _LONGEST_KEY else f"recognition:{hashlib.sha256(key.encode()).hexdigest()}"


class RecognitionPart(Transactions):
    """The ledger's methods on recognitions."""

    def recognitions(
        self,
        *,
        referral_ids: Iterable[str] | None = None,
        application_ids: Iterable[str] | None = None,
        state: str | None = None,
    ) -> list[Recognition]:
        """Recognitions that meet every condition given, oldest first."""
        if referral_ids is None and application_ids is not None and state is None:
            return self._of_applications(application_ids)
        base = _ALL if state is None else _ALL.where(_c.state == state)
        wanted = None if application_ids is None else sorted(set(application_ids))
        queries = [base]
        if referral_ids is not None:
            queries = [base.where(_c.referral_id.in_(some)) for some in parts(referral_ids)]
            if wanted is not None:
                queries = [query.where(_c.application_id.in_(some)) for query in queries for some in parts(wanted)]
        elif wanted is not None:
            queries = [base.where(_c.application_id.in_(some)) for some in parts(wanted)]
        with self._reading() as connection:
            found = [Recognition(**row) for query in queries for row in connection.execute(query).mappings()]
        return sorted(found, key=lambda one: (one.created_at, one.key))

    def _of_applications(self, application_ids: Iterable[str]) -> list[Recognition]:
        with self._looking() as through:
            found = [
                Recognition(*row) for some in parts(application_ids) for row in _OF_APPLICATIONS.all(through, some=some)
            ]
        return sorted(found, key=lambda one: (one.created_at, one.key))

    def begin_recognition(self, recognition: Recognition) -> Recognition:
        """Keep a recognition before it is sent, or answer the one that is kept under its key."""
        with self._writing() as connection:
            enter(connection, tables.recognitions, [asdict(recognition)], "key")
            query = sa.select(tables.recognitions).where(_c.key == recognition.key)
            return Recognition(**connection.execute(query).mappings().one())

    def settle_recognition(self, key: str, state: str, error: str | None = None) -> None:
        """Note what became of a recognition: sent, dead, or still pending with an error. Unknown keys are an error.

        Raises:
            LookupError: when no recognition was begun under this key.
        """
        values: dict[str, Any] = {
            "state": state,
            "last_error": None if error is None else error[:_MOST_ERROR_CHARACTERS],
        }
        if state == "sent":
            values["sent_at"] = self._clock()
        with self._writing() as connection:
            if not connection.execute(sa.update(tables.recognitions).where(_c.key == key).values(**values)).rowcount:
                raise LookupError(f"no recognition was begun: {key}")
