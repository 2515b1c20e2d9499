"""Handing bonuses to payroll: which of those that are eligible go into the next export.

Belongs here: what is left out of an export and why. Does not belong here: keeping it (ledger.payroll), the file
(payroll_file).

What is handed over is decided in the transaction that keeps it. The file is written afterwards, from what was kept: a
crash between the two leaves an export whose file is written with `again`, and never a bonus in two exports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.records import Link, PayrollEntry, PayrollExport, Recognition
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.sync.bonus.rehires import Families
from referral_pipeline.sync.lifecycle import State
from referral_pipeline.vocabulary import Block, CandidateStatus

ERASED: Final = "erased"
ENDED: Final = "credit_ended"
MOVED: Final = "moved"
UNHIRED: Final = "unhired"
REHIRE: Final = "rehire"
DOUBTFUL: Final = "credit_or_first_day_moved"

_STANDS: Final = frozenset({None, ERASED, DOUBTFUL})
"""Reasons for which nobody takes a bonus back that stands: it is paid."""


@dataclass(frozen=True)
class Held:
    """An eligible bonus that is not handed over, and why: it is about to be taken back."""

    recognition: Recognition
    reason: str


@dataclass(frozen=True)
class Exported:
    """What was handed over, or would be; `export` is None when nothing was."""

    export: PayrollExport | None
    chosen: tuple[Recognition, ...]
    held: tuple[Held, ...]


def export_bonuses(ledger: Ledger, contract: Contract, *, by: str, pay_on: date, dry_run: bool = False) -> Exported:
    """Hand every bonus that is due to payroll; with `dry_run` only say which they are."""
    chosen: list[Recognition] = []
    held: list[Held] = []

    def choose(rows: list[Recognition]) -> list[str]:
        reasons = held_back(ledger, contract, rows)
        chosen[:] = [row for row in rows if row.key not in reasons]
        held[:] = [Held(row, reasons[row.key]) for row in rows if row.key in reasons]
        return [row.key for row in chosen]

    if dry_run:
        choose(ledger.payable())
        return Exported(None, tuple(chosen), tuple(held))
    export = ledger.export_payroll(by=by, pay_on=pay_on, choose=choose)
    return Exported(export, tuple(chosen), tuple(held))


def held_back(ledger: Ledger, contract: Contract, rows: Sequence[Recognition]) -> dict[str, str]:
    """By key, why a bonus that still stands at the platform is not to be paid: somebody is about to take it back."""
    links = ledger.links_for(row.referral_id for row in rows)
    found = {row.key: reason for row in rows if (reason := no_longer_due(row, links)) not in _STANDS}
    if not contract.rules.bonus.pay_rehires:
        unearned = Families(ledger, contract.advocacy.connector).unearned()
        found |= {row.key: REHIRE for row in rows if (row.system, row.application_id) in unearned}
    return {key: reason for key, reason in found.items() if reason is not None}


def no_longer_due(bonus: Recognition | PayrollEntry, links: Mapping[str, Link]) -> str | None:
    """Why nobody would make this bonus eligible today, as far as the ledger knows; None when somebody would."""
    link = links.get(bonus.referral_id)
    if link is None:
        return None
    if link.block == Block.ERASED:
        return ERASED
    if link.block is not None:
        return ENDED
    if (link.system, link.application_id) != (bonus.system, bonus.application_id):
        return MOVED
    if link.status not in {None, CandidateStatus.HIRED}:
        return UNHIRED
    # A hire whose referral stands at hired, and no further, has lost its part of the credit, or its first day moved.
    return DOUBTFUL if link.state == State.HIRED else None
