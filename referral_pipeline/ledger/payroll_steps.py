"""What payroll was told of an application's bonuses, to be shown as evidence.

Belongs here: reading payroll entries of an application. Does not belong here: exporting, paying, reconciling.
"""

from __future__ import annotations

import sqlalchemy as sa

from referral_pipeline.ledger import tables
from referral_pipeline.ledger.records import PayrollStep
from referral_pipeline.ledger.transactions import Transactions


class PayrollStepPart(Transactions):
    """The ledger's method on what was paid for an application."""

    def payroll_steps(self, system: str, application_id: str) -> list[PayrollStep]:
        """The payroll entries of an application, oldest export first."""
        entry, export = tables.payroll_entries.c, tables.payroll_exports.c
        query = (
            sa.select(
                entry.export_id,
                entry.referral_id,
                entry.advocate_id,
                entry.amount_cents,
                entry.currency,
                entry.eligible_at,
                export.exported_at,
                entry.state,
                entry.settled_at,
            )
            .join(tables.payroll_exports, export.id == entry.export_id)
            .where(entry.system == system, entry.application_id == application_id)
            .order_by(entry.export_id, entry.key)
        )
        with self._reading() as connection:
            return [PayrollStep(**row) for row in connection.execute(query).mappings()]
