"""Handing bonuses to payroll: which of those that are eligible go into the next export.

Belongs here: what is left out of an export and why. Does not belong here: keeping it (ledger.payroll), the file
(payroll_file).

What is handed over is decided in the transaction that keeps it. The file is written afterwards, from what was kept: a
crash between the two leaves an export whose file is written with `again`, and never a bonus in two exports.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.records import Link, PayrollEntry, PayrollExport, Recognition
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.sync.bonus.rehires import Families
from referral_pipeline.sync.lifecycle import State
from referral_pipeline.sync.overrides import decided_hint, revoked_hint
from referral_pipeline.vocabulary import Block, CandidateStatus

ERASED: Final = "erased"
ENDED: Final = "credit_ended"
UNHIRED: Final = "unhired"
REHIRE: Final = "rehire"
OVERRIDE: Final = "override"
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
    unhired = unhired_elsewhere(ledger, rows, links)
    reasons = {row.key: no_longer_due(row, links, unhired) for row in rows}
    # While it was paid nobody could take it back, so that it is no longer what it seems; the next refresh settles it.
    returned = {entry.key for entry in ledger.payroll_entries(state="returned")}
    found = {
        key: reason
        for key, reason in reasons.items()
        if reason not in _STANDS or (reason == DOUBTFUL and key in returned)
    }
    if not contract.rules.bonus.pay_rehires:
        unearned = Families(ledger, contract.advocacy.connector).unearned()
        found |= {row.key: REHIRE for row in rows if (row.system, row.application_id) in unearned}
    found |= dict.fromkeys(_decided_otherwise(ledger, contract, rows), OVERRIDE)
    return {key: reason for key, reason in found.items() if reason is not None}


def no_longer_due(
    bonus: Recognition | PayrollEntry, links: Mapping[str, Link], unhired: Collection[str] = ()
) -> str | None:
    """Why nobody would make this bonus eligible today, as far as the ledger knows; None when somebody would.

    Credit is given through referrals of other applications too: of such a bonus the link tells only whether its
    referral is held back, and `unhired` has its key where its hire was undone.
    """
    link = links.get(bonus.referral_id)
    if link is None:
        return None
    if link.block == Block.ERASED:
        return ERASED
    if link.block is not None:
        return ENDED
    if not _is_at_home(bonus, link):
        return UNHIRED if bonus.key in unhired else None
    if link.status not in {None, CandidateStatus.HIRED}:
        return UNHIRED
    # A hire whose referral stands at hired, and no further, has lost its part of the credit, or its first day moved.
    return DOUBTFUL if link.state == State.HIRED else None


def unhired_elsewhere(
    ledger: Ledger, bonuses: Iterable[Recognition | PayrollEntry], links: Mapping[str, Link]
) -> frozenset[str]:
    """The keys of bonuses whose hire was undone, and whose referral is linked to another application.

    What the platform was last told of the application itself decides; where it was told nothing, as all of its own
    referrals are held back, what the bridge saw of it since the bonus was given.
    """
    away = [one for one in bonuses if (link := links.get(one.referral_id)) and not _is_at_home(one, link)]
    ids: dict[str, set[str]] = defaultdict(set)
    for one in away:
        ids[one.system].add(one.application_id)
    found: set[str] = set()
    for system, some in ids.items():
        told: dict[str, Link] = {}
        for link in ledger.links_of_applications(system, some):
            if link.block is None and link.status is not None and link.application_id is not None:
                best = told.setdefault(link.application_id, link)
                if (link.status_at or link.touched_at) > (best.status_at or best.touched_at):
                    told[link.application_id] = link
        seen = ledger.last_statuses(system, some - told.keys())
        for one in away:
            if one.system != system:
                continue
            if one.application_id in told:
                is_hired = told[one.application_id].status is CandidateStatus.HIRED
            else:
                status, seen_at = seen.get(one.application_id, (CandidateStatus.HIRED, None))
                is_hired = status is CandidateStatus.HIRED or seen_at is None or seen_at < _given_at(one)
            if not is_hired:
                found.add(one.key)
    return frozenset(found)


def _is_at_home(bonus: Recognition | PayrollEntry, link: Link) -> bool:
    return (link.system, link.application_id) == (bonus.system, bonus.application_id)


def _given_at(bonus: Recognition | PayrollEntry) -> datetime:
    return bonus.created_at if isinstance(bonus, Recognition) else bonus.eligible_at


def _decided_otherwise(ledger: Ledger, contract: Contract, rows: Iterable[Recognition]) -> set[str]:
    """The keys of bonuses that the owner gave to another or to nobody, or decided about since, and nobody acted yet."""
    of_application: dict[str, list[Recognition]] = defaultdict(list)
    for row in rows:
        of_application[f"{row.system}:{row.application_id}"].append(row)
    found: set[str] = set()
    for one in ledger.overrides_of(of_application):
        own = of_application[one.application_key]
        if one.is_in_force:
            found |= {row.key for row in own if row.referral_id != one.referral_id}
        for at, delivery_id in ((one.decided_at, decided_hint(one)), (one.revoked_at, revoked_hint(one))):
            since = {row.key for row in own if at is not None and row.created_at <= at}
            if since - found and _waits(ledger, contract, delivery_id):
                found |= since
    return found


def _waits(ledger: Ledger, contract: Contract, delivery_id: str) -> bool:
    """Whether the lane has yet to act on this hint."""
    hints = (
        ledger.inbox_event_by_delivery(system, delivery_id)
        for system in (contract.advocacy.connector, contract.ats.connector)
    )
    return any(hint is not None and hint.state != "done" for hint in hints)
