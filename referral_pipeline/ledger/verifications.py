"""What was verified of the integration, and who approved it. Nothing is ever changed or removed.

Belongs here: keeping each verification with what it was true of. Does not belong here: making one (quality,
monitoring), what go-live asks for (`quality.go_live`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from referral_pipeline.ledger import tables
from referral_pipeline.ledger.records import VERIFICATION_KINDS, Verification
from referral_pipeline.ledger.transactions import Transactions

_table = tables.verifications
_c = _table.c


class VerificationPart(Transactions):
    """The ledger's methods on verifications."""

    def record_verification(
        self,
        kind: str,
        *,
        passed: bool,
        environment: str,
        fingerprint: str,
        made_by: str,
        facts: Mapping[str, Any],
    ) -> Verification:
        """Keep one, as of now. `facts` must go into JSON and hold no personal data.

        Raises:
            ValueError: the kind is not one of VERIFICATION_KINDS.
        """
        if kind not in VERIFICATION_KINDS:
            raise ValueError(f"no verification is called {kind}; there are: {', '.join(VERIFICATION_KINDS)}")
        values: dict[str, Any] = {
            "kind": kind,
            "passed": passed,
            "environment": environment,
            "fingerprint": fingerprint,
            "made_at": self._clock(),
            "made_by": made_by,
            "facts": dict(facts),
        }
        with self._writing() as connection:
            made = connection.execute(sa.insert(_table).values(values)).inserted_primary_key
            assert made is not None
            return Verification(id=made[0], **values)

    def verifications(self, kind: str | None = None, *, limit: int = 1000) -> list[Verification]:
        """Those of one kind, or all, newest first."""
        query = sa.select(_table).order_by(_c.id.desc()).limit(limit)
        if kind is not None:
            query = query.where(_c.kind == kind)
        with self._reading() as connection:
            return [Verification(**row) for row in connection.execute(query).mappings()]

    def latest_verification(
        self, kind: str, fingerprint: str, *, environment: str | None = None
    ) -> Verification | None:
        """The newest of a kind that is true of what this fingerprint stands for (and was made in that environment)."""
        query = sa.select(_table).where(_c.kind == kind, _c.fingerprint == fingerprint).order_by(_c.id.desc()).limit(1)
        if environment is not None:
            query = query.where(_c.environment == environment)
        with self._reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else Verification(**row)
