"""Recognitions: the advocacy platform is told about each hire and its bonus, once, and that it ends where it ends.

Belongs here: bringing the platform level with what was decided, exactly once. Does not belong here: what is decided
(recognition_decision), what stands (recognition_book), who earned the credit (attribution), paying.

Exactly once: all recognitions of one decision are committed before the first is sent, each under an idempotency key
that names it. One that is found pending may or may not have been received: it is sent again as it is kept, before
anything new is decided, so that every decision starts from what stands at the platform for certain.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Final

from referral_pipeline.attribution.models import Credit
from referral_pipeline.connectors.failures import Conflict, HttpFailure, Invalid, NotFound, TransientFailure
from referral_pipeline.connectors.protocols import AdvocacyConnector
from referral_pipeline.connectors.records import AtsApplication, Referral
from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.bonuses import by_referral, cycle_of
from referral_pipeline.ledger.records import Recognition
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.sync.bonus.rehires import Families
from referral_pipeline.sync.recognition_book import ELIGIBLE, HIRED, REVERSED, in_order
from referral_pipeline.sync.recognition_decision import Decider, HireCase
from referral_pipeline.sync.report import SyncFailure

_REFUSALS: Final = (Conflict, Invalid, NotFound)
"""Answers about this recognition. Any other failure is about the platform or our access: it stays pending."""

_MOST_ROUNDS: Final = 20
"""Of telling and deciding for one application; three are enough when nobody else does the same."""

_BATCH: Final = 100


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
        self._decider = Decider(ledger, self._bonus, clock, ats_system=self._system, families=self._families)

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
            decision = self._decider.decide(case, today)
            if decision.pending:
                done += [self._tell(row, application) for row in in_order(decision.pending)]
            elif decision.rows:
                with self._ledger.atomic():
                    # Once more on what no other writer can change meanwhile, payroll's export among them.
                    self._ledger.decide_alone()
                    decision = self._decider.decide(case, today)
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
        decision = self._decider.decide(case, today or self._clock().astimezone(UTC).date())
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
                done += [self._tell(row) for row in in_order(rows)]
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
        done = [self._tell(row) for row in in_order(rows)]
        return Settlement(
            told=tuple(row for row in done if row.state == "sent"),
            refused=tuple(row for row in done if row.state == "dead"),
        )

    # ------------------------------------------------------------ waiting

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

    def _tell(self, row: Recognition, application: AtsApplication | None = None) -> Recognition:
        """Send one recognition as it is kept, and keep what the platform said."""
        is_own = application is not None and (row.system, row.application_id) == (self._system, application.id)
        day = application.starts_on if application is not None and is_own else None
        try:
            self._advocacy.recognise(row.referral_id, row.kind, row.amount_cents, row.currency, row.key, starts_on=day)
        except _REFUSALS as refusal:
            self._ledger.settle_recognition(row.key, "dead", str(refusal))
            return replace(row, state="dead", last_error=str(refusal))
        except HttpFailure as failure:
            self._ledger.settle_recognition(row.key, "pending", str(failure))
            raise
        self._ledger.settle_recognition(row.key, "sent")
        return replace(row, state="sent", sent_at=self._clock())
