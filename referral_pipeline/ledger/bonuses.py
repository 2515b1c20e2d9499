"""Where each bonus stands, read from what the platform was told and what payroll was given.

Belongs here: the four states, as one pure function over rows of the ledger. Does not belong here: keeping those rows
(recognitions.py, payroll.py), who earns a bonus (sync), what a pending one will be worth (the warehouse, which has the
credit).

A bonus is what one referral earned for one application in one cycle, a cycle being the time from a hire to its end.
- pending: the hire is recognised and stands, and the bonus is not eligible yet.
- eligible: the platform took it as eligible, and it stands.
- reversed: taken back before it was paid.
- paid: it is in a payroll export. That stays so until payroll returns it, whatever becomes of the hire.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from referral_pipeline.ledger.recognitions import recognition_key
from referral_pipeline.ledger.records import PayrollEntry, PayrollExport, Recognition

STATES: Final = ("pending", "eligible", "reversed", "paid")


@dataclass(frozen=True)
class Bonus:
    """One bonus. `amount_cents` counts the currency's smallest unit, and is None until an amount was begun to be told.

    `currency` belongs to an amount: without one it is what the contract had at the hire, and the contract decides anew.
    `reason` says more where the state alone does not: untold (the platform has not answered yet), refused (it does not
    take it), returned (payroll gave it back).
    """

    bonus_id: str
    key: str
    system: str
    application_id: str
    referral_id: str
    advocate_id: str
    cycle: int
    state: str
    reason: str | None
    amount_cents: int | None
    currency: str
    recognised_at: datetime
    eligible_at: datetime | None = None
    reversed_at: datetime | None = None
    paid_on: date | None = None
    export_id: int | None = None


def bonus_id(key: str) -> str:
    """The short name of the bonus that this recognition makes, or would make, eligible."""
    return f"bon_{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def cycle_of(history: Iterable[Recognition]) -> int:
    """The open cycle of a referral: the one after its last reversal."""
    return 1 + sum(row.kind == "reversed" for row in history)


def by_referral(rows: Iterable[Recognition]) -> dict[str, list[Recognition]]:
    """Recognitions by referral, each list in the order given."""
    found: dict[str, list[Recognition]] = defaultdict(list)
    for row in rows:
        found[row.referral_id].append(row)
    return found


def bonuses_of(
    recognitions: Iterable[Recognition], entries: Iterable[PayrollEntry], exports: Iterable[PayrollExport]
) -> list[Bonus]:
    """Every bonus that these rows tell of, in the order of application, referral and cycle.

    The recognitions must be all of their referrals: what is open is known from their reversals.
    """
    paid = {entry.key: entry for entry in entries if entry.state == "paid"}
    returned = {entry.key for entry in entries if entry.state == "returned"}
    pay_on = {export.id: export.pay_on for export in exports}
    found: list[Bonus] = []
    for history in by_referral(recognitions).values():
        open_cycle = cycle_of(history)
        groups: dict[tuple[str, str, int], list[Recognition]] = defaultdict(list)
        for row in history:
            groups[row.system, row.application_id, row.cycle].append(row)
        for (_, _, cycle), rows in groups.items():
            found.append(_bonus(rows, paid, returned, pay_on, is_open=cycle == open_cycle))
    return sorted(found, key=lambda one: (one.system, one.application_id, one.referral_id, one.cycle))


def _bonus(
    rows: Sequence[Recognition],
    paid: Mapping[str, PayrollEntry],
    returned: Iterable[str],
    pay_on: Mapping[int, date],
    *,
    is_open: bool,
) -> Bonus:
    by_kind = {row.kind: row for row in rows}
    any_row = by_kind.get("hired") or rows[0]
    eligible, reversal = by_kind.get("bonus_eligible"), by_kind.get("reversed")
    key = (
        eligible.key
        if eligible is not None
        else recognition_key(
            any_row.system, any_row.application_id, any_row.referral_id, any_row.cycle, "bonus_eligible"
        )
    )
    entry = paid.get(key)
    state, reason = _state(any_row, eligible, reversal, is_paid=entry is not None, is_open=is_open)
    if state == "eligible" and key in returned:
        reason = "returned"
    return Bonus(
        bonus_id=bonus_id(key),
        key=key,
        system=any_row.system,
        application_id=any_row.application_id,
        referral_id=any_row.referral_id,
        advocate_id=eligible.advocate_id if eligible is not None else any_row.advocate_id,
        cycle=any_row.cycle,
        state=state,
        reason=reason,
        amount_cents=_amount(state, eligible, entry),
        currency=(eligible or any_row).currency,
        recognised_at=min(row.created_at for row in rows),
        eligible_at=eligible.sent_at if eligible is not None else None,
        reversed_at=(reversal.sent_at or reversal.created_at) if reversal is not None else None,
        paid_on=pay_on.get(entry.export_id) if entry is not None else None,
        export_id=entry.export_id if entry is not None else None,
    )


def _state(
    hired: Recognition,
    eligible: Recognition | None,
    reversal: Recognition | None,
    *,
    is_paid: bool,
    is_open: bool,
) -> tuple[str, str | None]:
    if is_paid:
        return "paid", None
    if reversal is not None or not is_open:
        is_told = reversal is None or reversal.state == "sent"
        return "reversed", None if is_told else _word(reversal)
    if eligible is not None:
        return ("eligible", None) if eligible.state == "sent" else ("pending", _word(eligible))
    return "pending", None if hired.state == "sent" else _word(hired)


def _word(row: Recognition | None) -> str:
    return "refused" if row is not None and row.state == "dead" else "untold"


def _amount(state: str, eligible: Recognition | None, entry: PayrollEntry | None) -> int | None:
    if entry is not None:
        return entry.amount_cents
    if eligible is not None:
        return eligible.amount_cents
    return None if state == "pending" else 0
