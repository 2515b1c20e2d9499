"""Reconciliation of a payroll file with the ledger: what payroll kept or answered, beside what was handed over.

Belongs here: which differences there are and what to do about each. Does not belong here: reading the file
(payroll_file), keeping what comes of it (ledger.payroll).

Nothing changes unless it is applied. Applied, what payroll rejected is eligible again, and an export whose file agrees
with the ledger in all else is marked reconciled. Money that was paid is never taken back by the pipeline: it says so,
and a person decides.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.bonuses import bonus_id
from referral_pipeline.ledger.records import PayrollEntry
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.money import as_decimal, totals
from referral_pipeline.sync.bonus import export as due
from referral_pipeline.sync.bonus.payroll_file import PayrollFileError, PayrollLine
from referral_pipeline.sync.bonus.rehires import Families

MISSING: Final = "missing_in_file"
UNKNOWN: Final = "unknown_entry"
AMOUNT: Final = "amount_differs"
CURRENCY: Final = "currency_differs"
TWICE: Final = "paid_twice"
REJECTED: Final = "rejected"
AFTER_RETURN: Final = "paid_after_return"
RECLAIM: Final = "to_reclaim"
DECIDE: Final = "to_decide"

_ABOUT_THE_FILE: Final = frozenset({MISSING, UNKNOWN, AMOUNT, CURRENCY, TWICE, AFTER_RETURN})
"""Differences after which file and ledger do not agree; the others are about what happened since."""

_RETURN_IT: Final = "give the line back with status returned, and the bonus comes free"
_SINCE: Final = {
    due.UNHIRED: (RECLAIM, "the hire was undone after the export", f"Reclaim it from the advocate; {_RETURN_IT}"),
    due.ENDED: (
        DECIDE,
        "the referral lost its credit after the export",
        f"Decide whether the advocate keeps it; if not, reclaim it and {_RETURN_IT}",
    ),
    due.DOUBTFUL: (
        DECIDE,
        "the credit went to another, or the first day moved, after the export",
        f"Look at the application; if the advocate is not to keep it, reclaim it and {_RETURN_IT}",
    ),
    due.ERASED: (
        DECIDE,
        "the person was erased after the export",
        "Nothing is taken back by itself; note the decision with payroll",
    ),
    due.REHIRE: (
        RECLAIM,
        "another hire of the same person was paid before",
        f"Reclaim it from the advocate; {_RETURN_IT}",
    ),
}


@dataclass(frozen=True)
class Difference:
    """One line for a person: what differs and what to do. Ids and amounts only; `line` is that of the file."""

    kind: str
    export_id: int
    bonus_id: str
    what: str
    mend: str
    line: int | None = None
    advocate_id: str | None = None
    application: str | None = None
    amount_cents: int | None = None
    currency: str | None = None


@dataclass(frozen=True)
class Reconciliation:
    """What came of comparing a file with the ledger. Sums are by currency, in its smallest unit.

    `waiting` are the bonuses that are eligible and in no export: (count, sum) by currency. `returned` is how many
    rejected ones were made eligible again, 0 unless applied; `reconciled` the exports that were marked so.
    """

    exports: tuple[int, ...]
    differences: tuple[Difference, ...]
    ledger_totals: Mapping[str, int]
    file_totals: Mapping[str, int]
    waiting: Mapping[str, tuple[int, int]]
    returned: int = 0
    reconciled: tuple[int, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The whole as one JSON object."""
        return {
            "exports": list(self.exports),
            "differences": [asdict(one) for one in self.differences],
            "totals": {"ledger": dict(self.ledger_totals), "file": dict(self.file_totals)},
            "eligible_since": {c: {"count": n, "amount_cents": cents} for c, (n, cents) in self.waiting.items()},
            "returned": self.returned,
            "reconciled": list(self.reconciled),
        }


def reconcile(
    ledger: Ledger, contract: Contract, lines: Sequence[PayrollLine], *, apply_by: str | None = None
) -> Reconciliation:
    """Compare, and when `apply_by` says who answers for it, take over what payroll rejected.

    Raises:
        PayrollFileError: the file is of no export that this ledger knows.
    """
    with ledger.atomic():
        ledger.decide_alone()
        exports = {export.id: export for export in ledger.payroll_exports()}
        named = tuple(sorted({line.export_id for line in lines} & exports.keys()))
        if not named:
            raise PayrollFileError(
                "no line of the file is of an export that this ledger knows: is it of another system?"
            )
        entries = ledger.payroll_entries(export_ids=named)
        differences = [*_against_file(entries, lines), *_since(ledger, contract, entries, lines)]
        ledger_totals = totals((e.currency, e.amount_cents) for e in entries if e.state == "paid")
        returned, reconciled = 0, list[int]()
        if apply_by is not None:
            for export_id in named:
                keys = _rejected(entries, lines, export_id)
                returned += ledger.return_payroll(export_id, keys, note="payroll did not pay it")
                agrees = not any(d.kind in _ABOUT_THE_FILE and d.export_id == export_id for d in differences)
                if agrees and exports[export_id].state == "open":
                    ledger.reconcile_payroll(export_id, by=apply_by)
                    reconciled.append(export_id)
        return Reconciliation(
            exports=named,
            differences=tuple(differences),
            ledger_totals=ledger_totals,
            file_totals=totals((line.currency, line.paid_cents) for line in lines if line.status == "paid"),
            waiting=_waiting(ledger, contract),
            returned=returned,
            reconciled=tuple(reconciled),
        )


# ---------------------------------------------------------------- the file against the ledger


def _against_file(entries: Sequence[PayrollEntry], lines: Sequence[PayrollLine]) -> Iterator[Difference]:
    lines_of: dict[tuple[int, str], list[PayrollLine]] = defaultdict(list)
    for line in lines:
        lines_of[line.export_id, line.bonus_id].append(line)
    known = {(entry.export_id, bonus_id(entry.key)): entry for entry in entries}
    for (export_id, bonus), entry in known.items():
        own = lines_of.get((export_id, bonus), [])
        if own:
            yield from _of_entry(entry, own)
        elif entry.state == "paid":
            yield _difference(
                MISSING,
                entry,
                "the bonus was handed over and is not in the file",
                "Ask payroll whether it was paid; if not, add the line with status rejected",
            )
    for (export_id, bonus), own in lines_of.items():
        if (export_id, bonus) not in known:
            yield Difference(
                UNKNOWN,
                export_id,
                bonus,
                "the file has a bonus that this export never held",
                "Ask payroll where it comes from; if it was paid, reclaim it",
                line=own[0].number,
                amount_cents=sum(line.paid_cents for line in own),
                currency=own[0].currency,
            )


def _of_entry(entry: PayrollEntry, lines: Sequence[PayrollLine]) -> Iterator[Difference]:
    """What the lines of one bonus say of it."""
    line = lines[0]
    paid = [one for one in lines if one.status == "paid"]
    if len(lines) > 1:
        times = Counter(one.status for one in lines)
        yield _difference(
            TWICE,
            entry,
            f"the file has the bonus {len(lines)} times, {times['paid']} of them paid",
            "Ask payroll what was paid; reclaim what was paid more than once, and keep one line",
            lines[1],
        )
        if len(paid) != len(lines):
            return
    if entry.state == "returned":
        if paid:
            yield _difference(
                AFTER_RETURN,
                entry,
                "payroll paid a bonus that was returned or cancelled: it may be paid again by a later export",
                "Reclaim it, or leave it out of the export that holds it now",
                line,
            )
        return
    if not paid:
        yield _difference(
            REJECTED,
            entry,
            "payroll did not pay it",
            "Run it with --apply: the bonus is eligible again and goes into the next export",
            line,
        )
    if line.currency != entry.currency:
        yield _difference(
            CURRENCY,
            entry,
            f"handed over in {entry.currency}, in the file in {line.currency}",
            "Ask payroll in which currency it was paid, and correct it there",
            line,
        )
        return
    for told in sorted({line.amount_cents, *(one.paid_cents for one in paid)} - {entry.amount_cents}):
        handed, found = (as_decimal(cents, entry.currency) for cents in (entry.amount_cents, told))
        yield _difference(
            AMOUNT,
            entry,
            f"handed over {handed} {entry.currency}, in the file {found}",
            "Ask payroll what was paid, and let it pay or reclaim the rest",
            line,
        )


def _rejected(entries: Iterable[PayrollEntry], lines: Iterable[PayrollLine], export_id: int) -> list[str]:
    """The keys that payroll says it did not pay, and said nothing else of."""
    said: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        if line.export_id == export_id:
            said[line.bonus_id].add(line.status)
    return [e.key for e in entries if e.export_id == export_id and said.get(bonus_id(e.key)) == {"rejected"}]


# ---------------------------------------------------------------- what happened since


def _since(
    ledger: Ledger, contract: Contract, entries: Sequence[PayrollEntry], lines: Iterable[PayrollLine]
) -> Iterator[Difference]:
    """Bonuses that stay paid, and would not be given today."""
    rejected = {(line.export_id, line.bonus_id) for line in lines if line.status == "rejected"}
    paid = [e for e in entries if e.state == "paid" and (e.export_id, bonus_id(e.key)) not in rejected]
    links = ledger.links_for(entry.referral_id for entry in paid)
    unhired = due.unhired_elsewhere(ledger, paid, links)
    again = frozenset[tuple[str, str]]()
    if not contract.rules.bonus.pay_rehires:
        again = Families(ledger, contract.advocacy.connector).paid_again()
    for entry in paid:
        reason = due.no_longer_due(entry, links, unhired)
        if reason is None and (entry.system, entry.application_id) in again:
            reason = due.REHIRE
        if reason is not None:
            kind, what, mend = _SINCE[reason]
            yield _difference(kind, entry, what, mend)


def _waiting(ledger: Ledger, contract: Contract) -> dict[str, tuple[int, int]]:
    rows = ledger.payable()
    held: Collection[str] = due.held_back(ledger, contract, rows)
    found: dict[str, tuple[int, int]] = {}
    for row in rows:
        if row.key not in held:
            count, cents = found.get(row.currency, (0, 0))
            found[row.currency] = (count + 1, cents + row.amount_cents)
    return dict(sorted(found.items()))


def _difference(kind: str, entry: PayrollEntry, what: str, mend: str, line: PayrollLine | None = None) -> Difference:
    return Difference(
        kind,
        entry.export_id,
        bonus_id(entry.key),
        what,
        mend,
        line=line.number if line is not None else None,
        advocate_id=entry.advocate_id,
        application=f"{entry.system}:{entry.application_id}",
        amount_cents=entry.amount_cents,
        currency=entry.currency,
    )
