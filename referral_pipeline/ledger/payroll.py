"""Payroll: which bonuses were handed over, in which export, and what payroll gave back.

Belongs here: keeping exports and their entries, so that no bonus is in two of them. Does not belong here: which bonuses
are due (sync.bonus), files (sync.bonus.payroll_file), what the platform was told (recognitions.py).

From the export on a bonus counts as paid: nothing takes it back and nothing pays it again, until payroll returns it.
The database holds that by itself: of the entries of one key only one may be paid.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import fields
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from referral_pipeline.ledger import tables
from referral_pipeline.ledger.bonuses import Bonus, bonuses_of, by_referral, cycle_of
from referral_pipeline.ledger.prepared import Prepared
from referral_pipeline.ledger.recognitions import RecognitionPart
from referral_pipeline.ledger.records import PayrollEntry, PayrollExport, PayrollStep, Recognition
from referral_pipeline.ledger.transactions import parts
from referral_pipeline.vocabulary import CandidateStatus

_ONE_DECISION = 5_118_402_773_920_664_017
"""PostgreSQL lets decisions on bonuses go one after the other: one takes back what another hands to payroll."""
_MOST_NOTE_CHARACTERS = 500

_e = tables.payroll_entries.c
_x = tables.payroll_exports.c
_h = tables.status_history.c
_EXPORT = sa.select(*(_x[one.name] for one in fields(PayrollExport)))
_ENTRY = sa.select(*(_e[one.name] for one in fields(PayrollEntry)))
_PAID_OF_REFERRALS = Prepared(
    _ENTRY.where(_e.state == "paid", _e.referral_id.in_(sa.bindparam("some", expanding=True)))
)
_HIRES = Prepared(
    sa.select(_h.application_id, _h["at"])
    .where(
        _h.system == sa.bindparam("of_system"),
        _h.application_id.in_(sa.bindparam("some", expanding=True)),
        _h.status == CandidateStatus.HIRED.value,
    )
    .order_by(_h.id)
)

_LAST_STATUSES = Prepared(
    sa.select(_h.application_id, _h.status, _h.recorded_at)
    .where(_h.system == sa.bindparam("of_system"), _h.application_id.in_(sa.bindparam("some", expanding=True)))
    .order_by(_h.id)
)


class UnknownExportError(LookupError):
    """There is no such payroll export, or it is past what was asked of it; the message says which."""


class PayrollPart(RecognitionPart):
    """The ledger's methods on payroll exports."""

    def decide_alone(self) -> None:
        """Inside `atomic()`: nobody else decides on bonuses until it ends.

        SQLite has one writer at a time by itself.
        """
        with self._writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ONE_DECISION)))

    # ------------------------------------------------------------ looking

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

    def bonuses(self) -> list[Bonus]:
        """Every bonus with its state, in the order of application, referral and cycle."""
        return bonuses_of(self.recognitions(), self.payroll_entries(), self.payroll_exports())

    def payable(self) -> list[Recognition]:
        """The recognitions of bonuses that are eligible, stand, and are not paid; oldest first."""
        rows = self.recognitions()
        cycles = {referral_id: cycle_of(history) for referral_id, history in by_referral(rows).items()}
        paid = {entry.key for entry in self.payroll_entries(state="paid")}
        return [
            row
            for row in rows
            if row.kind == "bonus_eligible"
            and row.state == "sent"
            and row.cycle == cycles[row.referral_id]
            and row.key not in paid
        ]

    def payroll_exports(self) -> list[PayrollExport]:
        """Every export, in order."""
        with self._reading() as connection:
            return [PayrollExport(*row) for row in connection.execute(_EXPORT.order_by(_x.id))]

    def payroll_export(self, export_id: int) -> PayrollExport:
        """One export.

        Raises:
            UnknownExportError: there is none of that number.
        """
        with self._reading() as connection:
            row = connection.execute(_EXPORT.where(_x.id == export_id)).one_or_none()
        if row is None:
            raise UnknownExportError(f"there is no payroll export {export_id}; `bonus list --state paid` shows them")
        return PayrollExport(*row)

    def payroll_entries(
        self, *, export_ids: Collection[int] | None = None, state: str | None = None
    ) -> list[PayrollEntry]:
        """Entries that meet every condition given, in the order of export, advocate and key."""
        query = _ENTRY.order_by(_e.export_id, _e.advocate_id, _e.key)
        if export_ids is not None:
            query = query.where(_e.export_id.in_(sorted(export_ids)))
        if state is not None:
            query = query.where(_e.state == state)
        with self._reading() as connection:
            return [PayrollEntry(*row) for row in connection.execute(query)]

    def paid_entries(self, referral_ids: Iterable[str]) -> list[PayrollEntry]:
        """What was paid for these referrals, and not returned."""
        with self._looking() as through:
            return [
                PayrollEntry(*row) for some in parts(referral_ids) for row in _PAID_OF_REFERRALS.all(through, some=some)
            ]

    def paid_referrals(self, referral_ids: Iterable[str]) -> frozenset[str]:
        """Those of these referrals for which a bonus was paid, and not returned."""
        return frozenset(entry.referral_id for entry in self.paid_entries(referral_ids))

    def hire_dates(self, system: str, application_ids: Iterable[str]) -> dict[str, datetime]:
        """When each of these applications was hired, as last told; one that never was is left out."""
        found: dict[str, datetime] = {}
        with self._looking() as through:
            for some in parts(application_ids):
                found |= dict(_HIRES.all(through, some=some, of_system=system))
        return found

    def last_statuses(self, system: str, application_ids: Iterable[str]) -> dict[str, tuple[CandidateStatus, datetime]]:
        """The status that each of these applications was last seen to reach, and when the bridge kept it."""
        found: dict[str, tuple[CandidateStatus, datetime]] = {}
        with self._looking() as through:
            for some in parts(application_ids):
                for application_id, status, at in _LAST_STATUSES.all(through, some=some, of_system=system):
                    found[application_id] = CandidateStatus(status), at
        return found

    # ------------------------------------------------------------ paying

    def export_payroll(
        self,
        *,
        by: str,
        pay_on: date,
        choose: Callable[[list[Recognition]], Collection[str]] = lambda rows: [row.key for row in rows],
    ) -> PayrollExport | None:
        """Hand the payable bonuses to payroll, in one transaction; None when there is none.

        Args:
            by: who answers for it.
            pay_on: the day on which payroll is to pay.
            choose: which of the payable recognitions, by key; asked inside the transaction. It must call no system.
        """
        with self._writing() as connection:
            self.decide_alone()
            payable = self.payable()
            chosen = set(choose(payable))
            rows = [row for row in payable if row.key in chosen]
            if not rows:
                return None
            export: dict[str, Any] = {
                "exported_at": self._clock(),
                "exported_by": by,
                "pay_on": pay_on,
                "state": "open",
                "reconciled_at": None,
                "reconciled_by": None,
            }
            made = connection.execute(sa.insert(tables.payroll_exports).values(**export)).inserted_primary_key
            assert made is not None
            connection.execute(sa.insert(tables.payroll_entries), [_entry(made[0], row) for row in rows])
            return PayrollExport(id=made[0], **export)

    def return_payroll(self, export_id: int, keys: Iterable[str], *, note: str) -> int:
        """Note that payroll did not pay these: they are eligible again. Answers how many were paid until now."""
        values = {"state": "returned", "settled_at": self._clock(), "note": note[:_MOST_NOTE_CHARACTERS]}
        done = 0
        with self._writing() as connection:
            self.decide_alone()
            for some in parts(keys):
                query = sa.update(tables.payroll_entries).where(
                    _e.export_id == export_id, _e.key.in_(some), _e.state == "paid"
                )
                done += connection.execute(query.values(**values)).rowcount
        return done

    def cancel_payroll(self, export_id: int, *, by: str, reason: str) -> int:
        """Take a whole export back before payroll has paid: all of it is eligible again. Answers how many entries.

        Raises:
            UnknownExportError: there is none of that number, or it is not open any more.
        """
        with self._writing() as connection:
            self.decide_alone()
            export = self.payroll_export(export_id)
            if export.state != "open":
                raise UnknownExportError(
                    f"payroll export {export_id} is {export.state}: only an open one can be cancelled. What payroll "
                    "did not pay comes back with `bonus reconcile`"
                )
            keys = [entry.key for entry in self.payroll_entries(export_ids=[export_id], state="paid")]
            connection.execute(
                sa.update(tables.payroll_exports)
                .where(_x.id == export_id)
                .values(state="cancelled", reconciled_at=self._clock(), reconciled_by=by)
            )
            return self.return_payroll(export_id, keys, note=f"cancelled: {reason}")

    def reconcile_payroll(self, export_id: int, *, by: str) -> None:
        """Note that what payroll kept of an open export is what was handed over."""
        with self._writing() as connection:
            connection.execute(
                sa.update(tables.payroll_exports)
                .where(_x.id == export_id, _x.state == "open")
                .values(state="reconciled", reconciled_at=self._clock(), reconciled_by=by)
            )


def _entry(export_id: int, row: Recognition) -> dict[str, Any]:
    return {
        "export_id": export_id,
        "key": row.key,
        "referral_id": row.referral_id,
        "advocate_id": row.advocate_id,
        "system": row.system,
        "application_id": row.application_id,
        "amount_cents": row.amount_cents,
        "currency": row.currency,
        "eligible_at": row.sent_at or row.created_at,
        "state": "paid",
        "settled_at": None,
        "note": None,
    }
