"""Recognitions: what the advocacy platform is told about a hire and its bonus, once each, and taken back where it ends.

Belongs here: who is recognised for an application, with how much and when, and telling it exactly once. Does not belong
here: who earned the credit (attribution), what an application is (connectors), paying.

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

Exactly once: all recognitions of one decision are committed before the first is sent, each under an idempotency key
that names it. One that is found pending may or may not have been received: it is sent again as it is kept, before
anything new is decided, so that every decision starts from what stands at the platform for certain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Final

from referral_pipeline.attribution.models import Credit, foremost, split_cents
from referral_pipeline.connectors.failures import Conflict, HttpFailure, Invalid, NotFound, TransientFailure
from referral_pipeline.connectors.protocols import AdvocacyConnector
from referral_pipeline.connectors.records import AtsApplication, Referral
from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.bonuses import by_referral, cycle_of
from referral_pipeline.ledger.recognitions import recognition_key
from referral_pipeline.ledger.records import Recognition
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.sync.bonus.rehires import Families, Hire, earns
from referral_pipeline.sync.facts import credited_referral
from referral_pipeline.sync.lifecycle import eligible_on
from referral_pipeline.sync.report import SyncFailure
from referral_pipeline.vocabulary import CandidateStatus, ReferralStage

HIRED: Final = "hired"
ELIGIBLE: Final = "bonus_eligible"
REVERSED: Final = "reversed"

_ORDER: Final = {REVERSED: 0, HIRED: 1, ELIGIBLE: 2}
"""In which order one decision is told: taken back first, so that never more than the bonus stands."""

_REFUSALS: Final = (Conflict, Invalid, NotFound)
"""Answers about this recognition. Any other failure is about the platform or our access: it stays pending."""

_MOST_ROUNDS: Final = 20
"""Of telling and deciding for one application; three are enough when nobody else does the same."""

_BATCH: Final = 100


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
class Settlement:
    """What was told to bring the platform level. No personal data.

    `refused` are recognitions that the platform does not take (dead in the ledger, with its words). `held` are credited
    referrals that stand recognised for another application. `due_on` is the day on which the bonus becomes eligible,
    None when it is already, or no such day is known. `failures` are applications left for later; only `due` fills it.
    """

    told: tuple[Recognition, ...] = ()
    refused: tuple[Recognition, ...] = ()
    held: tuple[str, ...] = ()
    due_on: date | None = None
    failures: tuple[SyncFailure, ...] = ()

    @property
    def is_level(self) -> bool:
        """Whether everything that should be known at the platform is."""
        return not (self.refused or self.held or self.failures)


class Recogniser:
    """Tells the advocacy platform. Safe for threads and processes; no two of them double a recognition."""

    def __init__(
        self,
        advocacy: AdvocacyConnector,
        ledger: Ledger,
        contract: Contract,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        ats_system: str | None = None,
    ) -> None:
        """Bind to the platform.

        Args:
            advocacy: the platform.
            ledger: holds what was told.
            contract: for the bonus.
            clock: the time, aware.
            ats_system: whose applications these are; default the contract's ATS.
        """
        self._advocacy = advocacy
        self._ledger = ledger
        self._bonus = contract.rules.bonus
        self._clock = clock
        self._system = ats_system or contract.ats.connector
        self._families = Families(ledger, advocacy.system)

    def settle(
        self,
        application: AtsApplication,
        referrals: Sequence[Referral],
        credits: Sequence[Credit],
        *,
        erased: Collection[str] = (),
        today: date | None = None,
    ) -> Settlement:
        """Bring what the platform has been told level with what is true for this application now.

        Without referrals and credits, whatever the application says, everything for it is taken back.

        Args:
            application: fetched again.
            referrals: those that count for it: gated, of its person, as given to `touches_for`.
            credits: what they earned.
            erased: ids of referrals whose person was forgotten; see `HireCase`.
            today: the date; default today in UTC.

        Raises:
            TransientFailure: the platform cannot be reached now; what was begun is told by the next call.
            PermanentFailure: the credential was refused, or lacks the right.
        """
        today = today or self._clock().astimezone(UTC).date()
        case = HireCase(application, referrals, credits, erased)
        done: list[Recognition] = []
        for _ in range(_MOST_ROUNDS):
            decision = self._decide(case, today)
            if decision.pending:
                done += [self._tell(row) for row in _in_order(decision.pending)]
            elif decision.rows:
                with self._ledger.atomic():
                    # Once more on what no other writer can change meanwhile, payroll's export among them.
                    self._ledger.decide_alone()
                    decision = self._decide(case, today)
                    for row in decision.rows:
                        self._ledger.begin_recognition(row)
            else:
                break
        else:
            raise RuntimeError(f"the recognitions of application {application.id} do not come to rest")
        return Settlement(
            told=tuple(row for row in done if row.state == "sent"),
            refused=tuple(row for row in done if row.state == "dead"),
            held=decision.held,
            due_on=decision.due_on,
        )

    def is_level(self, case: HireCase, *, today: date | None = None) -> bool:
        """Whether `settle` would find nothing to tell; calls no system."""
        decision = self._decide(case, today or self._clock().astimezone(UTC).date())
        return not (decision.pending or decision.rows)

    def due(self, load: Callable[[Sequence[str]], Iterable[HireCase]], *, today: date | None = None) -> Settlement:
        """Settle what time alone has changed: recognised hires whose bonus is not eligible yet, and what is pending.

        Which applications may be due is known from the ledger alone; they are fetched again before anything is told,
        since nobody may have heard of an unhire. A failure of one stops no other.

        Args:
            load: the cases of these application ids as they are now; those that are gone are left out.
            today: the date; default today in UTC.
        """
        done: list[Recognition] = []
        held: list[str] = []
        failures: dict[str, SyncFailure] = {}

        def keep(subject: str, failure: HttpFailure) -> None:
            transient = isinstance(failure, TransientFailure)
            failures[subject] = SyncFailure(subject, "recognise", str(failure), transient=transient)

        for rows in by_referral(self._ledger.recognitions(state="pending")).values():
            try:
                done += [self._tell(row) for row in _in_order(rows)]
            except HttpFailure as failure:
                keep(rows[0].application_id, failure)
        waiting = self._waiting()
        for start in range(0, len(waiting), _BATCH):
            some = waiting[start : start + _BATCH]
            try:
                cases = list(load(some))
            except HttpFailure as failure:
                for application_id in some:
                    keep(application_id, failure)
                continue
            for case in cases:
                try:
                    one = self.settle(
                        case.application,
                        case.referrals,
                        case.credits,
                        erased=case.erased,
                        today=today,
                    )
                except HttpFailure as failure:
                    keep(case.application.id, failure)
                else:
                    done += [*one.told, *one.refused]
                    held += one.held
        return Settlement(
            told=tuple(row for row in done if row.state == "sent"),
            refused=tuple(row for row in done if row.state == "dead"),
            held=tuple(held),
            failures=tuple(failures.values()),
        )

    def retry(self, keys: Iterable[str]) -> Settlement:
        """Tell refused recognitions again as they are kept, after whatever was wrong at the platform was mended.

        Settle their applications afterwards: what is true may have changed since.

        Raises:
            LookupError: a key is unknown, was not refused, or belongs to a cycle that is over.
            TransientFailure, PermanentFailure: as `settle`.
        """
        wanted = set(keys)
        dead = [row for row in self._ledger.recognitions(state="dead") if row.key in wanted]
        histories = by_referral(self._ledger.recognitions(referral_ids={row.referral_id for row in dead}))
        # Later than its cycle it would stand for ever; the reversal that closed the last one is still wanted.
        rows = [row for row in dead if row.cycle + (row.kind == REVERSED) == cycle_of(histories[row.referral_id])]
        unknown = sorted(wanted - {row.key for row in rows})
        if unknown:
            raise LookupError(f"no refused recognition that still counts has this key: {', '.join(unknown)}")
        for row in rows:
            self._ledger.settle_recognition(row.key, "pending")
        done = [self._tell(row) for row in _in_order(rows)]
        return Settlement(
            told=tuple(row for row in done if row.state == "sent"),
            refused=tuple(row for row in done if row.state == "dead"),
        )

    # ------------------------------------------------------------ deciding

    def _decide(self, case: HireCase, today: date) -> _Decision:
        """What is to be told; nothing new as long as something begun is still pending."""
        application = case.application
        rows_here = self._ledger.recognitions(application_ids=[application.id])
        known = [row for row in rows_here if row.system == self._system]
        ids = {row.referral_id for row in known}
        is_hired = application.status is CandidateStatus.HIRED
        credited = {_referral_behind(part, case).id for part in case.credits} if is_hired else set[str]()
        ids |= credited
        if not ids:
            return _Decision()
        histories = by_referral(self._ledger.recognitions(referral_ids=ids))
        pending = tuple(row for rows in histories.values() for row in rows if row.state == "pending")
        if pending:
            return _Decision(pending=pending)
        books = {i: _Book.of(i, histories.get(i, ()), self._system, application.id) for i in sorted(ids)}
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
        return _Decision(rows=tuple(rows), held=tuple(sorted(held)), due_on=due_on if waits else None)

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

    def _held(self, books: Mapping[str, _Book], application: AtsApplication) -> frozenset[str]:
        """Referrals that stand for another application, and are not linked to this one."""
        elsewhere = [i for i, book in books.items() if book.stands_elsewhere]
        links = self._ledger.links_for(elsewhere) if elsewhere else {}
        at_home = {i for i, x in links.items() if (x.system, x.application_id) == (self._system, application.id)}
        return frozenset(elsewhere) - at_home

    def _wants(
        self,
        case: HireCase,
        credits: Sequence[Credit],
        books: Mapping[str, _Book],
        for_good: Collection[str],
        known: Sequence[Recognition],
    ) -> dict[str, _Want]:
        """What each credited referral should stand with once the bonus is due."""
        stands = {i: row for i, book in books.items() if (row := book.bonus) is not None}
        fixed = {i: row for i, row in stands.items() if i in for_good}
        amount, currency = self._bonus.amount_cents, self._bonus.currency
        if fixed:
            # Part of it is paid: the rest is of the same bonus, whatever the contract promises by now.
            currency = max(fixed.values(), key=lambda row: row.created_at).currency
            amount = _promised_with(fixed, known, currency)
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
        return {i: _Want(advocate, shares[i], currency) for i, advocate in advocates.items()}

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
        self, application: AtsApplication, book: _Book, want: _Want | None, now: datetime
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

    def _reversal(self, book: _Book, now: datetime) -> Recognition:
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

    def _waiting(self) -> list[str]:
        """Applications with a bonus that has to go, and those with a recognised hire and no bonus yet, oldest first."""
        if not self._bonus.amount_cents:
            return []
        hired: dict[str, None] = {}
        eligible: set[str] = set()
        for rows in by_referral(self._ledger.recognitions()).values():
            open_cycle = cycle_of(rows)
            for row in rows:
                if row.system != self._system or row.cycle != open_cycle:
                    continue
                if row.kind == HIRED and row.state != "dead":
                    hired[row.application_id] = None
                elif row.kind == ELIGIBLE:
                    eligible.add(row.application_id)
        unearned = frozenset[str]()
        if not self._bonus.pay_rehires:
            unearned = frozenset(i for system, i in self._families.unearned() if system == self._system)
        return [
            *(i for i in hired if i in unearned and i in eligible),
            *(i for i in hired if i not in unearned and i not in eligible),
        ]

    # ------------------------------------------------------------ telling

    def _tell(self, row: Recognition) -> Recognition:
        """Send one recognition as it is kept, and keep what the platform said."""
        try:
            self._advocacy.recognise(row.referral_id, row.kind, row.amount_cents, row.currency, row.key)
        except _REFUSALS as refusal:
            self._ledger.settle_recognition(row.key, "dead", str(refusal))
            return replace(row, state="dead", last_error=str(refusal))
        except HttpFailure as failure:
            self._ledger.settle_recognition(row.key, "pending", str(failure))
            raise
        self._ledger.settle_recognition(row.key, "sent")
        return replace(row, state="sent", sent_at=self._clock())


# ---------------------------------------------------------------- helpers


@dataclass(frozen=True)
class _Decision:
    """What was begun and is not told yet, or else what is to begin."""

    pending: tuple[Recognition, ...] = ()
    rows: tuple[Recognition, ...] = ()
    held: tuple[str, ...] = ()
    due_on: date | None = None


@dataclass(frozen=True)
class _Want:
    """What a referral should stand with: recognised, and with how many cents (0 = none yet)."""

    advocate_id: str
    cents: int
    currency: str


@dataclass(frozen=True)
class _Book:
    """What one referral was told in its open cycle, the one after its last reversal, seen from one application."""

    referral_id: str
    cycle: int
    standing: tuple[Recognition, ...]
    here: tuple[Recognition, ...] = field(repr=False)
    _application: tuple[str, str]

    @classmethod
    def of(cls, referral_id: str, history: Sequence[Recognition], system: str, application_id: str) -> _Book:
        cycle = cycle_of(history)
        in_cycle = [row for row in history if row.cycle == cycle]
        return cls(
            referral_id,
            cycle,
            tuple(row for row in in_cycle if row.state == "sent"),
            tuple(row for row in in_cycle if (row.system, row.application_id) == (system, application_id)),
            (system, application_id),
        )

    @property
    def stands_elsewhere(self) -> bool:
        return any((row.system, row.application_id) != self._application for row in self.standing)

    @property
    def kinds_here(self) -> frozenset[str]:
        """What needs no telling again, also where the platform refused it."""
        return frozenset(row.kind for row in self.here)

    @property
    def bonus(self) -> Recognition | None:
        return next((row for row in self.here if row.kind == ELIGIBLE), None)

    @property
    def has_bonus(self) -> bool:
        return any(row.kind == ELIGIBLE for row in self.standing)

    def is_paid(self, paid: Collection[str]) -> bool:
        """Whether what stands was paid; these are the keys of what was."""
        return any(row.key in paid for row in self.standing)

    def contradicts(self, want: _Want | None) -> bool:
        """Whether something stands that should not, or not like this."""
        if not self.standing:
            return False
        if want is None:
            # What stands for another application is that application's affair.
            return not self.stands_elsewhere
        bonus = next((row for row in self.standing if row.kind == ELIGIBLE), None)
        return (
            self.stands_elsewhere
            or any(row.advocate_id != want.advocate_id for row in self.standing)
            or (bonus is not None and (bonus.amount_cents, bonus.currency) != (want.cents, want.currency))
        )


def _in_order(rows: Iterable[Recognition]) -> list[Recognition]:
    """Decision after decision, and in each what is taken back before what is given."""
    return sorted(rows, key=lambda row: (row.created_at, _ORDER[row.kind], row.referral_id))


def _promised_with(fixed: Mapping[str, Recognition], known: Iterable[Recognition], currency: str) -> int:
    """The largest bonus that stood at once, while any of these stood, in this currency; `known` are all rows."""
    keys = {row.key for row in fixed.values()}
    stands: dict[str, Recognition] = {}
    most = 0
    for row in _in_order(known):
        if row.kind == REVERSED:
            stands.pop(row.referral_id, None)
        elif row.kind == ELIGIBLE and row.state == "sent" and row.currency == currency:
            stands[row.referral_id] = row
        if any(one.key in keys for one in stands.values()):
            most = max(most, sum(one.amount_cents for one in stands.values()))
    return most


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
