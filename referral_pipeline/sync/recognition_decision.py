"""What the advocacy platform is to be told about a hire: who is recognised, with how much, and what is taken back.

Belongs here: deciding that, from credit, ledger and contract. Does not belong here: telling it exactly once
(recognitions), who earned the credit (attribution), what an application is (connectors), paying.

The rules
1. An application that stands as hired earns each credited referral a `hired`. Its bonus is `bonus_eligible` from the
   first day of work plus the contract's waiting period, as dates in UTC. Without a first day there is no such day yet.
2. The bonus is split as the contract says. `payee`: one advocate, the one with most credit and of equals the latest,
   on the referral that earned most of it. `credit`: by weight, in whole cents that sum to exactly the bonus.
3. Where any of it is no longer so (unhire, credit lost or divided anew, another advocate, the first day moved), all
   that stands for the referral is `reversed`. Only then may it be recognised anew, in the next cycle.
4. What was paid (it is in a payroll export that did not return it) is not taken back, and what is left for others is
   the bonus without it: the one that was promised with it, in its currency, whatever the contract says since. What is
   paid is read in the transaction that decides, as payroll's export is one with its own.
5. A change of the bonus in the contract is for what becomes eligible after it: amounts that divide as the credit
   divides stay. (The waiting period is read as it is now.)
6. The platform lets a referral stand for one application at a time. Credited in two, it stands for the one that it is
   linked to, else for the one that came first, and the bonus of the other is split among the others.
7. An application that the ATS deleted says nothing about the hire: it is not settled, and what was told stands.
8. Unless the contract pays rehires, one hire of a person has the bonus (sync.bonus.rehires). Any other is recognised
   with `hired` and stays at that; a bonus that turns out to be a second one is taken back as long as it is not paid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from referral_pipeline.attribution.models import Credit, foremost, split_cents
from referral_pipeline.connectors.records import AtsApplication, Referral
from referral_pipeline.contract.sections import Bonus
from referral_pipeline.ledger.bonuses import by_referral
from referral_pipeline.ledger.recognitions import recognition_key
from referral_pipeline.ledger.records import Recognition
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.sync.bonus.rehires import Families, Hire, earns
from referral_pipeline.sync.facts import credited_referral
from referral_pipeline.sync.lifecycle import eligible_on
from referral_pipeline.sync.recognition_book import ELIGIBLE, HIRED, REVERSED, Book, Want, promised_with
from referral_pipeline.vocabulary import CandidateStatus, ReferralStage


@dataclass(frozen=True)
class HireCase:
    """An application with all that decides its recognitions. Personal data inside the referrals.

    `referrals` are those that count for it (they passed the gate), `credits` what `attribution.models.credit` made of
    their touches; `erased` are ids of referrals whose person was forgotten: what stands for them stands, and nothing is
    added.
    """

    application: AtsApplication
    referrals: Sequence[Referral]
    credits: Sequence[Credit]
    erased: Collection[str] = ()


@dataclass(frozen=True)
class Decision:
    """What was begun and is not told yet, or else what is to begin."""

    pending: tuple[Recognition, ...] = ()
    rows: tuple[Recognition, ...] = ()
    held: tuple[str, ...] = ()
    due_on: date | None = None


class Decider:
    """Decides for one application at a time, from the ledger; calls no system. Safe for threads."""

    def __init__(
        self, ledger: Ledger, bonus: Bonus, clock: Callable[[], datetime], *, ats_system: str, families: Families
    ) -> None:
        """Bind to the ledger; `bonus` are the contract's terms, `ats_system` is whose applications these are."""
        self._ledger = ledger
        self._bonus = bonus
        self._clock = clock
        self._system = ats_system
        self._families = families

    def decide(self, case: HireCase, today: date) -> Decision:
        """What is to be told; nothing new as long as something begun is still pending."""
        application = case.application
        rows_here = self._ledger.recognitions(application_ids=[application.id])
        known = [row for row in rows_here if row.system == self._system]
        ids = {row.referral_id for row in known}
        is_hired = application.status is CandidateStatus.HIRED
        credited = {_referral_behind(part, case).id for part in case.credits} if is_hired else set[str]()
        ids |= credited
        if not ids:
            return Decision()
        histories = by_referral(self._ledger.recognitions(referral_ids=ids))
        pending = tuple(row for rows in histories.values() for row in rows if row.state == "pending")
        if pending:
            return Decision(pending=pending)
        books = {i: Book.of(i, histories.get(i, ()), self._system, application.id) for i in sorted(ids)}
        held = credited & self._held(books, application)
        credits = [c for c in case.credits if _referral_behind(c, case).id not in held] if is_hired else []
        due_on = eligible_on(application.starts_on, self._bonus.waiting_days)
        is_due = due_on is not None and today >= due_on
        paid = {entry.key for entry in self._ledger.paid_entries(ids)}
        for_good = {i for i, book in books.items() if book.is_paid(paid) or (i in case.erased and book.has_bonus)}
        wants = self._wants(case, credits, books, for_good, known)
        earned = bool(credits) and self._earns(case, ids)
        # One moment for all of one decision: what is taken back is told before anything that is given.
        rows, now = list[Recognition](), self._clock()
        for referral_id, book in books.items():
            if referral_id not in case.erased and referral_id not in for_good:
                want = wants.get(referral_id)
                stands = want is None or (is_due and earned)
                want = want if want is None or stands else replace(want, cents=0)
                rows += self._steps(application, book, want, now)
        waits = earned and not is_due
        return Decision(rows=tuple(rows), held=tuple(sorted(held)), due_on=due_on if waits else None)

    def _earns(self, case: HireCase, referral_ids: Iterable[str]) -> bool:
        """Whether this hire may have a bonus beside the person's others."""
        if self._bonus.pay_rehires:
            return True
        application = case.application
        hires = self._families.hires_of({*referral_ids, *(referral.id for referral in case.referrals)})
        mine = (self._system, application.id)
        hired_at = application.hired_at or application.status_at
        me = replace(hires.pop(mine, Hire(mine, hired_at)), hired_at=hired_at)
        return earns(me, list(hires.values()))

    def _held(self, books: Mapping[str, Book], application: AtsApplication) -> frozenset[str]:
        """Referrals that stand for another application, and are not linked to this one."""
        elsewhere = [i for i, book in books.items() if book.stands_elsewhere]
        links = self._ledger.links_for(elsewhere) if elsewhere else {}
        at_home = {i for i, x in links.items() if (x.system, x.application_id) == (self._system, application.id)}
        return frozenset(elsewhere) - at_home

    def _wants(
        self,
        case: HireCase,
        credits: Sequence[Credit],
        books: Mapping[str, Book],
        for_good: Collection[str],
        known: Sequence[Recognition],
    ) -> dict[str, Want]:
        """What each credited referral should stand with once the bonus is due."""
        stands = {i: row for i, book in books.items() if (row := book.bonus) is not None}
        fixed = {i: row for i, row in stands.items() if i in for_good}
        amount, currency = self._bonus.amount_cents, self._bonus.currency
        if fixed:
            # Part of it is paid: the rest is of the same bonus, whatever the contract promises by now.
            currency = max(fixed.values(), key=lambda row: row.created_at).currency
            amount = promised_with(fixed, known, currency)
        elif len({row.currency for row in stands.values()}) == 1:
            promised = sum(row.amount_cents for row in stands.values())
            if _positive(self._shares(case, credits, promised)) == {i: r.amount_cents for i, r in stands.items()}:
                # It divides as the credit divides: only the contract's amount may have changed since.
                amount, currency = promised, next(iter(stands.values())).currency
        shares = self._shares(case, credits, amount)
        if any(shares[i] != row.amount_cents for i, row in fixed.items()):
            paid = Counter({i: row.amount_cents for i, row in fixed.items() if row.currency == currency})
            open_credits = [c for c in credits if _referral_behind(c, case).id not in fixed]
            shares = paid + self._shares(case, open_credits, max(0, amount - paid.total()))
        advocates = {_referral_behind(c, case).id: c.touch.advocate_id for c in credits}
        return {i: Want(advocate, shares[i], currency) for i, advocate in advocates.items()}

    def _shares(self, case: HireCase, credits: Sequence[Credit], amount: int) -> Counter[str]:
        """Cents by referral, summing to exactly the amount; nothing when nobody earned any."""
        shares: Counter[str] = Counter()
        if not credits:
            return shares
        if self._bonus.split == "payee":
            shares[_referral_behind(foremost(credits), case).id] = amount
            return shares
        for part, cents in zip(credits, split_cents(amount, credits), strict=True):
            shares[_referral_behind(part, case).id] += cents
        return shares

    def _steps(
        self, application: AtsApplication, book: Book, want: Want | None, now: datetime
    ) -> Iterable[Recognition]:
        """From what stands for one referral to what should."""
        cycle, has = book.cycle, book.kinds_here
        if book.contradicts(want):
            yield self._reversal(book, now)
            cycle, has = cycle + 1, frozenset[str]()
        if want is None:
            return
        new = Recognition(
            key=recognition_key(self._system, application.id, book.referral_id, cycle, HIRED),
            referral_id=book.referral_id,
            advocate_id=want.advocate_id,
            system=self._system,
            application_id=application.id,
            cycle=cycle,
            kind=HIRED,
            amount_cents=0,
            currency=want.currency,
            state="pending",
            created_at=now,
        )
        if HIRED not in has:
            yield new
        if want.cents and ELIGIBLE not in has:
            key = recognition_key(self._system, application.id, book.referral_id, cycle, ELIGIBLE)
            yield replace(new, key=key, kind=ELIGIBLE, amount_cents=want.cents)

    def _reversal(self, book: Book, now: datetime) -> Recognition:
        """Takes back all that stands, for the application that it stands for."""
        largest = max(book.standing, key=lambda row: row.amount_cents)
        return replace(
            largest,
            key=recognition_key(largest.system, largest.application_id, book.referral_id, book.cycle, REVERSED),
            kind=REVERSED,
            amount_cents=sum(row.amount_cents for row in book.standing),
            state="pending",
            created_at=now,
            sent_at=None,
            last_error=None,
        )


def _positive(shares: Mapping[str, int]) -> dict[str, int]:
    return {i: cents for i, cents in shares.items() if cents}


def _referral_behind(part: Credit, case: HireCase) -> Referral:
    """The referral that a credited touch belongs to; of a share, the advocate's latest before the application."""
    touch, at = part.touch, case.application.applied_at
    before = [
        r
        for r in case.referrals
        if r.advocate_id == touch.advocate_id and r.touched_at <= at and r.stage is not ReferralStage.CLICKED
    ]
    return credited_referral(touch, before if touch.referral_id is None and before else case.referrals)
