"""The inbox's finished events reach the warehouse once, whenever they are finished and whatever the inbox forgets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from referral_pipeline.ledger.store import InboxDelivery, Ledger
from referral_pipeline.warehouse import events
from referral_pipeline.warehouse.events import stage_events
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.unit.ledger_databases import BACKENDS, NOW, Clock, fresh_url

LEASE = timedelta(seconds=60)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield from fresh_url(request.param, tmp_path)


@pytest.fixture
def ledger(url: str, tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    with Ledger.open(url, home=tmp_path, clock=clock) as opened:
        yield opened


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse("w.duckdb", home=tmp_path, published_dir=tmp_path / "published")


def receive(ledger: Ledger, *numbers: int, bulk: bool = False) -> None:
    ledger.receive_many(
        [
            InboxDelivery("advocacy", f"d{n}", "referral.updated", "webhook", f"referral:R{n}", NOW, b"sealed", bulk)
            for n in numbers
        ]
    )


def do(ledger: Ledger, outcome: str = "updated", *, limit: int = 10, bulk: bool = False) -> list[int]:
    claimed = ledger.claim("lane", limit=limit, lease=LEASE, bulk=bulk)
    ledger.finish_many("lane", [(event.id, outcome) for event in claimed], None)
    return [event.id for event in claimed]


def staged(warehouse: Warehouse, ledger: Ledger) -> list[tuple[int, str, str]]:
    count = stage_events(warehouse, ledger)
    with warehouse.connect() as connection:
        rows = connection.execute(
            "SELECT id, origin, outcome FROM staging.ledger_event ORDER BY id, received_at"
        ).fetchall()
    assert len(rows) == count
    return rows


def test_an_event_is_staged_when_it_is_done_with_its_times_and_nothing_of_its_body(
    warehouse: Warehouse, ledger: Ledger, clock: Clock
) -> None:
    assert staged(warehouse, ledger) == []
    receive(ledger, 1, 2)
    receive(ledger, 3, bulk=True)
    clock.now += timedelta(seconds=5)
    do(ledger, limit=1)
    do(ledger, bulk=True)
    assert staged(warehouse, ledger) == [(1, "webhook", "updated")]
    with warehouse.connect() as connection:
        [(seconds,)] = connection.execute("SELECT epoch(done_at - received_at) FROM staging.ledger_event").fetchall()
        columns = [name for name, *_ in connection.execute("DESCRIBE staging.ledger_event").fetchall()]
    assert seconds == 5
    assert columns == ["id", "system", "event_type", "origin", "received_at", "done_at", "outcome"]


def test_what_is_finished_late_is_staged_and_nothing_twice(
    warehouse: Warehouse, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_AGAIN", 0)
    receive(ledger, 1, 2, 3)
    slow = ledger.claim("slow", limit=1, lease=LEASE, bulk=False)
    assert do(ledger) == [2, 3]
    assert [row[0] for row in staged(warehouse, ledger)] == [2, 3]
    ledger.finish_many("slow", [(event.id, "created") for event in slow], None)
    assert [row[0] for row in staged(warehouse, ledger)] == [1, 2, 3]
    receive(ledger, 4)
    do(ledger)
    assert [row[0] for row in staged(warehouse, ledger)] == [1, 2, 3, 4]
    assert [row[0] for row in staged(warehouse, ledger)] == [1, 2, 3, 4]


def test_an_event_that_the_inbox_forgot_stays_and_one_that_is_replayed_stays_as_it_was_first(
    warehouse: Warehouse, ledger: Ledger, clock: Clock
) -> None:
    receive(ledger, 1, 2, 3)
    do(ledger)
    before = staged(warehouse, ledger)
    ledger.replay([2])
    do(ledger, "created")
    assert staged(warehouse, ledger) == before
    later = clock.now + timedelta(days=1)
    clock.now = later
    receive(ledger, 4)
    do(ledger)
    assert ledger.purge_inbox(bodies_before=later, rows_before=later) == (0, 3)
    assert staged(warehouse, ledger) == [*before, (4, "webhook", "updated")]


def test_an_event_that_was_dead_and_replayed_says_that_a_person_was_in_between(
    warehouse: Warehouse, ledger: Ledger
) -> None:
    receive(ledger, 1)
    [event] = ledger.claim("lane", limit=1, lease=LEASE, bulk=False)
    ledger.bury("lane", event.id, "refused")
    assert staged(warehouse, ledger) == []
    ledger.replay([event.id])
    do(ledger)
    assert staged(warehouse, ledger) == [(1, "replay", "updated")]


def test_an_inbox_that_was_pruned_empty_takes_no_history_away_and_gives_no_number_again(
    warehouse: Warehouse, ledger: Ledger, clock: Clock
) -> None:
    receive(ledger, 1, 2, 3)
    do(ledger)
    before = staged(warehouse, ledger)
    clock.now += timedelta(days=31)
    assert ledger.purge_inbox(bodies_before=clock.now, rows_before=clock.now) == (0, 3)
    assert staged(warehouse, ledger) == before
    assert staged(warehouse, ledger) == before
    receive(ledger, 1)  # the inbox knows the delivery no more
    assert do(ledger, "created") == [4]
    assert staged(warehouse, ledger) == [*before, (4, "webhook", "created")]


def test_another_ledger_is_read_from_its_beginning_and_the_history_stays(
    warehouse: Warehouse, ledger: Ledger, clock: Clock, tmp_path: Path
) -> None:
    receive(ledger, 1, 2)
    do(ledger)
    before = staged(warehouse, ledger)
    clock.tick(1)
    with Ledger.open("sqlite:///other.sqlite", home=tmp_path, clock=clock) as other:
        receive(other, 9)
        do(other, "created")
        for _ in range(2):
            assert staged(warehouse, other) == [before[0], (1, "webhook", "created"), before[1]]
