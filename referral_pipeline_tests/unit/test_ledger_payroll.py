"""Payroll in the ledger: what was handed over is paid once, comes back whole, and no two processes pay it twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
import sqlalchemy as sa

from referral_pipeline.ledger import tables
from referral_pipeline.ledger.payroll import UnknownExportError
from referral_pipeline.ledger.store import Ledger, StatusFact
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests.unit.bonus_books import CLERK, PAY_ON, Books
from referral_pipeline_tests.unit.ledger_databases import BACKENDS, NOW, Clock, finish, fresh_url, start


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield from fresh_url(request.param, tmp_path)


@pytest.fixture
def books(url: str, tmp_path: Path) -> Iterator[Books]:
    with Ledger.open(url, home=tmp_path, clock=Clock()) as ledger:
        yield Books(ledger)


def test_a_bonus_is_pending_then_eligible_then_paid(books: Books) -> None:
    books.recognise(1, "hired")
    assert books.states() == {"R1/1": ("pending", None)}
    pending = books.ledger.bonuses()[0]
    books.recognise(1, "bonus_eligible")
    assert books.states() == {"R1/1": ("eligible", 200_000)}
    export = books.export()
    assert export is not None
    assert (export.state, export.exported_by, export.pay_on, export.exported_at) == ("open", CLERK, PAY_ON, NOW)
    assert books.states() == {"R1/1": ("paid", 200_000)}
    (paid,) = books.ledger.bonuses()
    assert (paid.export_id, paid.paid_on, paid.eligible_at) == (export.id, PAY_ON, NOW)
    assert paid.bonus_id == pending.bonus_id
    assert books.ledger.paid_referrals(["R1", "R2"]) == {"R1"}


def test_what_is_pending_reversed_untold_or_refused_is_not_payable(books: Books) -> None:
    books.recognise(1, "hired")
    books.recognise(2, "hired", "bonus_eligible", "reversed")
    books.recognise(3, "hired")
    books.recognise(3, "bonus_eligible", state="pending")
    books.recognise(4, "hired")
    books.recognise(4, "bonus_eligible", state="dead")
    books.recognise(5, "hired", "bonus_eligible")
    books.recognise(5, "reversed", state="pending")
    assert books.ledger.payable() == []
    assert books.export() is None
    assert books.ledger.payroll_exports() == []
    assert {(b.referral_id, b.state, b.reason) for b in books.ledger.bonuses()} == {
        ("R1", "pending", None),
        ("R2", "reversed", None),
        ("R3", "pending", "untold"),
        ("R4", "pending", "refused"),
        ("R5", "reversed", "untold"),
    }


def test_a_second_export_holds_only_what_became_eligible_since(books: Books) -> None:
    books.eligible(1)
    first = books.export()
    assert books.export() is None
    books.eligible(2)
    second = books.export()
    assert first is not None
    assert second is not None
    held = {e.export_id: e.referral_id for e in books.ledger.payroll_entries()}
    assert held == {first.id: "R1", second.id: "R2"}


def test_a_new_hire_after_a_reversal_is_another_bonus(books: Books) -> None:
    books.recognise(1, "hired", "bonus_eligible", "reversed")
    books.recognise(1, "hired", "bonus_eligible", cycle=2, cents=150_000)
    assert books.states() == {"R1/1": ("reversed", 200_000), "R1/2": ("eligible", 150_000)}
    books.export()
    assert books.states() == {"R1/1": ("reversed", 200_000), "R1/2": ("paid", 150_000)}


def test_what_payroll_returned_is_eligible_again_and_goes_into_the_next_export(books: Books) -> None:
    books.eligible(1)
    books.eligible(2)
    first = books.export()
    assert first is not None
    keys = {e.referral_id: e.key for e in books.ledger.payroll_entries()}
    assert books.ledger.return_payroll(first.id, [keys["R1"], "no such key"], note="account closed") == 1
    assert books.ledger.return_payroll(first.id, [keys["R1"]], note="again") == 0
    assert books.states() == {"R1/1": ("eligible", 200_000), "R2/1": ("paid", 200_000)}
    assert [b.reason for b in books.ledger.bonuses()] == ["returned", None]
    second = books.export()
    assert second is not None
    states = [(e.export_id, e.referral_id, e.state, e.note) for e in books.ledger.payroll_entries()]
    assert states == [
        (first.id, "R1", "returned", "account closed"),
        (first.id, "R2", "paid", None),
        (second.id, "R1", "paid", None),
    ]


def test_a_cancelled_export_gives_everything_back_and_cannot_be_cancelled_again(books: Books) -> None:
    books.eligible(1)
    books.eligible(2)
    export = books.export()
    assert export is not None
    assert books.ledger.cancel_payroll(export.id, by=CLERK, reason="wrong month") == 2
    assert books.ledger.payroll_export(export.id).state == "cancelled"
    assert {state for state, _ in books.states().values()} == {"eligible"}
    assert {e.note for e in books.ledger.payroll_entries()} == {"cancelled: wrong month"}
    with pytest.raises(UnknownExportError, match="cancelled"):
        books.ledger.cancel_payroll(export.id, by=CLERK, reason="again")


def test_an_export_that_payroll_has_confirmed_is_not_cancelled(books: Books) -> None:
    books.eligible(1)
    export = books.export()
    assert export is not None
    books.ledger.reconcile_payroll(export.id, by=CLERK)
    with pytest.raises(UnknownExportError, match="reconciled"):
        books.ledger.cancel_payroll(export.id, by=CLERK, reason="late")
    assert books.states() == {"R1/1": ("paid", 200_000)}
    with pytest.raises(UnknownExportError, match="no payroll export 99"):
        books.ledger.payroll_export(99)


def test_the_database_itself_refuses_a_second_payment_of_one_bonus(books: Books) -> None:
    books.eligible(1)
    books.export()
    (entry,) = books.ledger.payroll_entries()
    again = {**vars(entry), "export_id": entry.export_id + 1}
    with pytest.raises(sa.exc.IntegrityError), books.ledger._writing() as connection:
        connection.execute(sa.insert(tables.payroll_entries), [again])


def test_an_export_that_fails_in_the_middle_leaves_nothing(books: Books) -> None:
    books.eligible(1)

    def fail(rows: list) -> list[str]:
        raise RuntimeError("here")

    with pytest.raises(RuntimeError, match="here"):
        books.ledger.export_payroll(by=CLERK, pay_on=PAY_ON, choose=fail)

    def die_after_it() -> None:
        with books.ledger.atomic():
            books.export()
            raise RuntimeError("there")

    with pytest.raises(RuntimeError, match="there"):
        die_after_it()
    assert books.ledger.payroll_exports() == []
    assert books.states() == {"R1/1": ("eligible", 200_000)}


def test_threads_that_export_at_once_pay_each_bonus_once(books: Books) -> None:
    for number in range(1, 9):
        books.eligible(number)
    gate = Barrier(4)

    def export() -> int:
        gate.wait()
        made = books.export()
        return 0 if made is None else len(books.ledger.payroll_entries(export_ids=[made.id]))

    with ThreadPoolExecutor(4) as pool:
        counts = [job.result() for job in [pool.submit(export) for _ in range(4)]]
    assert sorted(counts) == [0, 0, 0, 8]


def test_a_bonus_is_taken_back_or_handed_over_and_never_both(books: Books) -> None:
    for number in range(1, 7):
        books.eligible(number)
        gate = Barrier(2)

        def take_back(number: int = number, gate: Barrier = gate) -> None:
            gate.wait()
            with books.ledger.atomic():
                books.ledger.decide_alone()
                if not books.ledger.paid_entries([f"R{number}"]):
                    books.recognise(number, "reversed", state="pending")

        def hand_over(gate: Barrier = gate) -> None:
            gate.wait()
            books.export()

        with ThreadPoolExecutor(2) as pool:
            for job in [pool.submit(take_back), pool.submit(hand_over)]:
                job.result()
    reversed_ = {row.referral_id for row in books.ledger.recognitions() if row.kind == "reversed"}
    paid = {entry.referral_id for entry in books.ledger.payroll_entries()}
    assert reversed_ | paid == {f"R{number}" for number in range(1, 7)}
    assert reversed_ & paid == set()


EXPORT = """
import json, sys
from datetime import date
from pathlib import Path
from referral_pipeline.ledger.store import Ledger, StatusFact
from referral_pipeline.vocabulary import CandidateStatus
with Ledger.open(sys.argv[1], home=Path(sys.argv[2])) as ledger:
    export = ledger.export_payroll(by="payroll@example.com", pay_on=date(2026, 5, 31))
    entries = ledger.payroll_entries(export_ids=[export.id]) if export else []
    print(json.dumps([entry.referral_id for entry in entries]))
"""


def test_processes_that_export_at_once_pay_each_bonus_once(books: Books, url: str, tmp_path: Path) -> None:
    for number in range(1, 4):
        books.eligible(number)
    children = [start(EXPORT, url, str(tmp_path)) for _ in range(3)]
    paid = [referral for child in children for referral in json.loads(finish(child))]
    assert sorted(paid) == ["R1", "R2", "R3"]


def test_hire_dates_are_those_last_told(books: Books) -> None:
    facts = [
        StatusFact("greenhouse", "31", CandidateStatus.HIRED, NOW, "event"),
        StatusFact("greenhouse", "31", CandidateStatus.OFFERED, NOW + timedelta(days=1), "event"),
        StatusFact("greenhouse", "31", CandidateStatus.HIRED, NOW + timedelta(days=2), "event"),
        StatusFact("greenhouse", "32", CandidateStatus.OFFERED, NOW, "event"),
        StatusFact("lever", "31", CandidateStatus.HIRED, NOW, "event"),
    ]
    for fact in facts:
        books.ledger.append_status(fact)
    assert books.ledger.hire_dates("greenhouse", ["31", "32", "33"]) == {"31": NOW + timedelta(days=2)}
