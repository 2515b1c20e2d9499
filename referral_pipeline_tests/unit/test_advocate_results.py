"""Results on their way to the advocacy platform: told once per change, whatever happens in between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.connectors.failures import Invalid, TransientFailure
from referral_pipeline.connectors.records import AdvocateResults, BonusSum, Conversion
from referral_pipeline.ledger.store import DeliveryState, Ledger
from referral_pipeline.sync.advocate_results import results_key, send_results
from referral_pipeline.sync.report import SyncReport
from referral_pipeline_tests.unit.sync_rig import Spoilt
from referral_pipeline_tests.unit.test_advocacy_connector import START, Platform

RESULTS = AdvocateResults(
    advocate_id="adv_1", as_of=START, shares=3, clicks=9, referrals=6, applications=6, interviews=3, offers=1, hires=1,
    conversion=Conversion(0.2, 0.036, 0.624, "mature"), credit=Decimal("5.500000000001"),
    bonuses=(BonusSum("pending", 200_000, "USD", 1),),
)  # fmt: skip


class Return:
    """A platform with some advocates, a ledger, and runs of the return."""

    def __init__(self, folder: Path) -> None:
        self.platform = Platform()
        self.platform.store.load("advocates", [{"id": f"adv_{n}", "eligible": True} for n in range(1, 121)])
        self.ledger = Ledger.open(f"sqlite:///{folder}/ledger.sqlite", home=folder)

    def run(self, *results: AdvocateResults, advocacy: Any = None, **more: Any) -> SyncReport:
        return send_results(
            results or (RESULTS,), advocacy=advocacy or self.platform.connector, ledger=self.ledger, workers=2, **more
        )

    def rows(self) -> dict[str, dict[str, Any]]:
        return {row["id"]: row for row in self.platform.store.dump()["results"]}

    def calls(self) -> int:
        return sum(call.operation == "results.put" for call in self.platform.calls)

    def state(self, advocate_id: str = "adv_1") -> DeliveryState | None:
        delivery = self.ledger.delivery(results_key(advocate_id))
        return delivery.state if delivery else None


@pytest.fixture
def returning(tmp_path: Path) -> Iterator[Return]:
    made = Return(tmp_path)
    yield made
    made.platform.connector.close()
    made.ledger.close()


def many(count: int) -> list[AdvocateResults]:
    return [replace(RESULTS, advocate_id=f"adv_{number}") for number in range(1, count + 1)]


def test_results_are_told_once_and_again_when_something_changed(returning: Return):
    assert returning.run().counts["results_sent"] == 1
    assert (returning.rows()["adv_1"]["hires"], returning.state()) == (1, DeliveryState.CONFIRMED)
    later = replace(RESULTS, as_of=START + timedelta(hours=1))
    again = returning.run(later)
    assert (again.counts["results_sent"], again.counts["results_unchanged"], returning.calls()) == (0, 1, 1)
    assert returning.run(replace(later, hires=2)).counts["results_sent"] == 1
    assert returning.rows()["adv_1"]["hires"] == 2


def test_what_goes_back_to_what_it_was_is_told_too(returning: Return):
    for hires in (1, 2, 1):
        returning.run(replace(RESULTS, hires=hires))
    assert (returning.rows()["adv_1"]["hires"], returning.calls()) == (1, 3)


def test_a_process_that_dies_before_it_heard_the_answer_tells_it_again_and_nothing_changes(returning: Return):
    def dies(results: AdvocateResults) -> bool:
        returning.platform.connector.put_results(results)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        returning.run(advocacy=Spoilt(returning.platform.connector, put_results=dies))
    assert returning.state() is DeliveryState.PENDING
    before = returning.rows()
    assert returning.run().counts["results_sent"] == 1
    assert (returning.rows(), returning.state()) == (before, DeliveryState.CONFIRMED)


def test_results_older_than_what_the_platform_holds_are_no_failure_and_the_next_ones_are_told(returning: Return):
    returning.platform.connector.put_results(replace(RESULTS, as_of=START + timedelta(days=1), hires=5))
    report = returning.run()
    assert (report.failures, report.counts["results_superseded"], returning.rows()["adv_1"]["hires"]) == ([], 1, 5)
    assert returning.run(replace(RESULTS, as_of=START + timedelta(days=2))).counts["results_sent"] == 1
    assert returning.rows()["adv_1"]["hires"] == 1


def test_an_advocate_whom_the_platform_has_no_more_is_no_failure(returning: Return):
    report = returning.run(replace(RESULTS, advocate_id="adv_gone"))
    assert (report.failures, report.counts["results_of_deleted_advocates"]) == ([], 1)


def test_a_passing_failure_is_taken_up_and_one_for_good_is_told(returning: Return):
    failing = {"adv_1": 2, "adv_2": 99}

    def put(results: AdvocateResults) -> bool:
        if failing.get(results.advocate_id, 0):
            failing[results.advocate_id] -= 1
            raise TransientFailure("advocacy", "results.put", status=503)
        if results.advocate_id == "adv_3":
            raise Invalid("advocacy", "results.put", status=422)
        return returning.platform.connector.put_results(results)

    steps: list[tuple[int, int]] = []
    report = returning.run(
        *many(4),
        advocacy=Spoilt(returning.platform.connector, put_results=put),
        progress=lambda done, total: steps.append((done, total)),
    )
    assert report.counts["results_sent"] == 2
    assert sorted((f.subject, f.transient) for f in report.failures) == [("adv_2", True), ("adv_3", False)]
    assert returning.state("adv_3") is DeliveryState.DEAD
    assert steps[-1] == (4, 4)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)


def test_many_are_told_within_the_rate_limit(returning: Return):
    """Seventy calls in a window of a second: what comes too early is told to wait, and none is lost."""
    returning.platform.switches.set({"rate_limit": 70, "rate_window_seconds": 1})
    patient = returning.platform.connect(attempts=6)
    report = returning.run(*many(120), advocacy=patient, rounds=1)
    patient.close()
    assert (report.counts["results_sent"], report.failures, len(returning.rows())) == (120, [], 120)
    assert [call.status for call in returning.platform.calls].count(429) > 0
