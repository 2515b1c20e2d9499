"""What is counted of the past is what happened, on either database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from referral_pipeline.connectors.calls import FAILED, ApiCall
from referral_pipeline.ledger import tables
from referral_pipeline.ledger.measures import DayVolume
from referral_pipeline.ledger.store import Ledger
from referral_pipeline_tests.unit.ledger_databases import BACKENDS, Clock, fresh_url

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield from fresh_url(request.param, tmp_path)


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.now = NOON
    return clock


@pytest.fixture
def ledger(url: str, tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    with Ledger.open(url, home=tmp_path, clock=clock) as opened:
        yield opened


def call(at: datetime, outcome: str = "ok", *, operation: str = "jobs.list", **more: Any) -> ApiCall:
    values: dict[str, Any] = {"latency_ms": 100, "budget_left": None, "clock_skew_ms": None, **more}
    return ApiCall("ats", operation, "GET", 200, outcome, attempt=1, at=at, **values)


def enter(ledger: Ledger, *events: tuple[str, datetime, str, bool], done: datetime | None = None) -> None:
    """Events as (id, received, origin, is bulk)."""
    rows = [
        {
            "system": "ats",
            "delivery_id": delivery_id,
            "event_type": "e",
            "origin": origin,
            "received_at": at,
            "state": "done" if done else "received",
            "available_at": at,
            "done_at": done,
            "outcome": "status_sent" if done else None,
            "bulk": bulk,
        }
        for delivery_id, at, origin, bulk in events
    ]
    with ledger._writing() as connection:
        connection.execute(sa.insert(tables.inbox), rows)


def test_calls_are_counted_by_operation_outcome_and_quarter_of_an_hour(ledger: Ledger) -> None:
    ledger.record_calls(
        [
            call(NOON + MINUTE),
            call(NOON + 14 * MINUTE, latency_ms=5000),
            call(NOON + 14 * MINUTE, "timeout"),
            call(NOON + 15 * MINUTE),
            call(NOON + 16 * MINUTE, operation="offers.list"),
            call(NOON - MINUTE),
            call(NOON + 2 * HOUR),
        ]
    )
    counts = ledger.call_counts(NOON, NOON + HOUR, ["ats"], step=900, slow_ms=2000)
    assert {(c.operation, c.outcome, c.at): (c.calls, c.slow) for c in counts} == {
        ("jobs.list", "ok", NOON): (2, 1),
        ("jobs.list", "timeout", NOON): (1, 0),
        ("jobs.list", "ok", NOON + 15 * MINUTE): (1, 0),
        ("offers.list", "ok", NOON + 15 * MINUTE): (1, 0),
    }
    assert [c.at for c in counts] == sorted(c.at for c in counts)
    assert ledger.call_counts(NOON, NOON + HOUR, ["other"], step=900, slow_ms=2000) == []


def test_clocks_and_budgets_are_those_of_the_newest_answers(ledger: Ledger) -> None:
    calls = [call(NOON + n * MINUTE, clock_skew_ms=n, budget_left=50 - n) for n in range(5)]
    ledger.record_calls([*calls, call(NOON + 5 * MINUTE)])
    assert ledger.clock_skews("ats", NOON + MINUTE, NOON + 4 * MINUTE) == [3, 2, 1]
    assert ledger.clock_skews("ats", NOON, NOON + HOUR, most=1) == [4]
    assert ledger.budget_left("ats", NOON, NOON + HOUR) == 46
    assert ledger.budget_left("other", NOON, NOON + HOUR) is None


def test_arrivals_are_told_from_what_reconciliation_found_also_when_replayed(ledger: Ledger) -> None:
    enter(
        ledger,
        ("d1", NOON, "webhook", False),
        ("d2", NOON + MINUTE, "webhook", True),
        ("d3", NOON + 2 * MINUTE, "replay", False),
        ("reconcile:job:1", NOON + 3 * MINUTE, "reconciliation", False),
        ("reconcile:job:2", NOON + 4 * MINUTE, "replay", False),
        ("d4", NOON - MINUTE, "webhook", False),
        ("d5", NOON + HOUR, "webhook", False),
    )
    found = {(a.reconciled, a.bulk): (a.events, a.last_at) for a in ledger.arrivals(NOON, NOON + HOUR)}
    assert found == {
        (False, False): (2, NOON + 2 * MINUTE),
        (False, True): (1, NOON + MINUTE),
        (True, False): (2, NOON + 4 * MINUTE),
    }
    assert sum(a.events for a in ledger.arrivals(NOON)) == 6


def test_few_arrivals_of_today_are_found_among_very_many_of_before(ledger: Ledger) -> None:
    many = [(f"d{n}", NOON + n * timedelta(seconds=20), "webhook", False) for n in range(6000)]
    enter(ledger, *many)
    since = NOON + DAY + 5 * HOUR
    assert sum(a.events for a in ledger.arrivals(since)) == sum(at >= since for _, at, _, _ in many)


def test_what_waits_is_due_since_it_could_be_done(ledger: Ledger) -> None:
    assert ledger.longest_due(NOON) is None
    enter(ledger, ("d1", NOON, "webhook", False), ("d2", NOON - HOUR, "webhook", True))
    assert ledger.longest_due(NOON + MINUTE) == NOON
    assert ledger.longest_due(NOON - MINUTE) is None


def test_the_newest_done_events_come_without_bulk_ones_and_those_of_the_future(ledger: Ledger) -> None:
    enter(ledger, ("d1", NOON, "webhook", False), ("d2", NOON, "webhook", True), done=NOON + MINUTE)
    assert [e.received_at for e in ledger.newest_done(NOON, NOON + HOUR)] == [NOON]
    assert ledger.newest_done(NOON, NOON + MINUTE) == []


def test_days_that_are_over_are_rolled_up_once_with_nothing_where_nothing_came(ledger: Ledger, clock: Clock) -> None:
    assert ledger.roll_up_days(["ats"]) == 0
    enter(
        ledger,
        ("d1", NOON, "webhook", False),  # the day on which it began, of which only a part was seen
        ("d2", NOON + DAY, "webhook", False),
        ("d3", NOON + DAY + HOUR, "webhook", True),
        ("reconcile:x", NOON + DAY + 2 * HOUR, "reconciliation", False),
    )
    ledger.record_calls([call(NOON + DAY, outcome) for outcome in ("ok", "server_error", "not_found", "rate_limited")])
    assert ledger.roll_up_days(["ats"]) == 0
    clock.now = datetime(2026, 5, 7, 0, 5, tzinfo=UTC)  # the sixth is not settled yet
    assert ledger.roll_up_days(["ats"]) == 1
    clock.now += 10 * MINUTE
    assert ledger.roll_up_days(["ats"]) == 1
    assert ledger.roll_up_days(["ats"]) == 0
    counts = {(v.day, v.measure): v.count for v in ledger.volumes(date(2026, 5, 1))}
    fifth, sixth = date(2026, 5, 5), date(2026, 5, 6)
    assert {m: n for (day, m), n in counts.items() if day == fifth} == {
        "webhooks": 2,
        "changes": 1,
        "reconciled": 1,
        "arrived": 2,
        "arrived:12": 1,
        "arrived:14": 1,
        "calls": 4,
        "failed_calls": 1,
    }
    assert {n for (day, _), n in counts.items() if day == sixth} == {0}
    assert {day for day, _ in counts} == {fifth, sixth}


def test_what_is_rolled_up_stays_when_its_events_are_purged_and_hours_go_after_two_months(
    ledger: Ledger, clock: Clock
) -> None:
    enter(ledger, ("d0", NOON, "webhook", False), ("d1", NOON + DAY, "webhook", False), done=NOON + DAY)
    clock.now = NOON + 2 * DAY
    ledger.roll_up_days(["ats"])
    ledger.purge_inbox(bodies_before=clock.now, rows_before=clock.now)
    enter(ledger, ("d2", NOON + 70 * DAY, "webhook", False))
    clock.now = NOON + 71 * DAY
    assert ledger.roll_up_days(["ats"]) == 29  # of days before that, the inbox may have lost rows
    of_the_fifth = [v for v in ledger.volumes(date(2026, 5, 5)) if v.day == date(2026, 5, 5)]
    assert DayVolume(date(2026, 5, 5), "ats", "arrived", 1) in of_the_fifth
    assert not [v for v in of_the_fifth if ":" in v.measure]


def test_that_we_are_too_fast_or_that_nothing_is_there_is_no_failure() -> None:
    assert not FAILED & {"ok", "rate_limited", "not_found", "conflict"}
