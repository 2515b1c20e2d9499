"""What came in is kept once, worked on by one at a time, and forgotten only on purpose."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from referral_pipeline.ledger.store import Backlog, InboxDelivery, InboxEvent, Ledger
from referral_pipeline_tests.unit.ledger_databases import BACKENDS, NOW, Clock, finish, fresh_url, start

LEASE = timedelta(seconds=60)


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield from fresh_url(request.param, tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(url: str, tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    with Ledger.open(url, home=tmp_path, clock=clock) as opened:
        yield opened


def _delivery(number: int, subject: str | None = None, *, bulk: bool = False) -> InboxDelivery:
    return InboxDelivery("advocacy", f"d{number}", "referral.updated", "webhook", subject, NOW, b"sealed", bulk)


def _claim(ledger: Ledger, owner: str = "lane-1", limit: int = 10, *, bulk: bool = False) -> list[str]:
    return [event.delivery_id for event in ledger.claim(owner, limit=limit, lease=LEASE, bulk=bulk)]


def _event(ledger: Ledger, number: int) -> InboxEvent:
    found = ledger.inbox_event_by_delivery("advocacy", f"d{number}")
    assert found is not None
    return found


# ---------------------------------------------------------------- receiving


def test_a_delivery_is_new_once_whoever_brings_it_again(ledger: Ledger) -> None:
    one, two = _delivery(1, "referral:R1"), _delivery(2)
    assert ledger.receive_many([one, one, two]) == [True, False, True]
    assert ledger.receive_many([two, replace(one, system="greenhouse"), one]) == [False, True, False]
    assert ledger.receive_many([]) == []
    assert ledger.inbox_counts() == {"received": 3}


def test_a_received_row_holds_what_was_given(ledger: Ledger) -> None:
    ledger.receive_many([_delivery(1, "referral:R1", bulk=True)])
    event = _event(ledger, 1)
    assert (event.subject, event.bulk, event.body, event.occurred_at) == ("referral:R1", True, b"sealed", NOW)
    assert (event.state, event.attempts, event.received_at, event.run_id) == ("received", 0, NOW, None)
    assert "sealed" not in repr(event)
    assert "sealed" not in repr(_delivery(1))


def test_the_same_delivery_from_many_threads_at_once_is_new_for_one_of_them(ledger: Ledger) -> None:
    answers: list[bool] = []

    def receive() -> None:
        answers.extend(ledger.receive_many([_delivery(1)]))

    threads = [threading.Thread(target=receive) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False] * 19 + [True]
    assert ledger.inbox_counts() == {"received": 1}


# ---------------------------------------------------------------- claiming


def test_rows_are_claimed_oldest_first_up_to_the_limit_and_bulk_ones_apart(ledger: Ledger) -> None:
    ledger.receive_many([_delivery(1), _delivery(2, bulk=True), _delivery(3), _delivery(4)])
    assert _claim(ledger, limit=2) == ["d1", "d3"]
    assert _claim(ledger, bulk=True) == ["d2"]
    assert _claim(ledger, limit=0) == []
    assert _claim(ledger) == ["d4"]
    assert _claim(ledger) == []


def test_a_subject_that_is_worked_on_is_left_alone_until_that_is_finished(ledger: Ledger) -> None:
    ledger.receive_many([_delivery(1, "referral:R1"), _delivery(2, "referral:R2")])
    assert _claim(ledger, limit=1) == ["d1"]
    ledger.receive_many([_delivery(3, "referral:R1"), _delivery(4), _delivery(5)])
    assert _claim(ledger, "lane-2") == ["d2", "d4", "d5"]
    assert _claim(ledger) == []
    ledger.finish_many("lane-1", [(_event(ledger, 1).id, "created")], "run-1")
    assert _claim(ledger, "lane-2") == ["d3"]


def test_rows_of_one_subject_may_come_together_and_rows_without_one_never_wait(ledger: Ledger) -> None:
    ledger.receive_many([_delivery(1, "share:S1"), _delivery(2, "share:S1"), _delivery(3)])
    assert _claim(ledger, limit=1) == ["d1"]
    assert _claim(ledger) == ["d3"]
    ledger.free_claims("lane-1")
    assert _claim(ledger) == ["d1", "d2", "d3"]


def test_a_lease_that_ran_out_frees_the_row_and_the_late_owner_can_do_nothing(ledger: Ledger, clock: Clock) -> None:
    ledger.receive_many([_delivery(1, "referral:R1"), _delivery(2, "referral:R1")])
    assert _claim(ledger, limit=1) == ["d1"]
    clock.tick(30)
    assert ledger.renew("lane-1", LEASE) == 1
    clock.tick(45)
    assert _claim(ledger, "lane-2") == []
    clock.tick(20)
    assert ledger.claim_owners() == []
    assert _claim(ledger, "lane-2") == ["d1", "d2"]
    event = _event(ledger, 1)
    assert (event.attempts, event.lease_owner) == (2, "lane-2")
    assert ledger.finish_many("lane-1", [(event.id, "late")], None) == 0
    assert ledger.retry_many("lane-1", [(event.id, "late", clock(), True)]) == 0
    ledger.bury("lane-1", event.id, "late")
    assert _event(ledger, 1) == event
    assert ledger.claim_owners() == ["lane-2"]


def test_a_retry_waits_for_its_time_and_may_give_the_attempt_back(ledger: Ledger, clock: Clock) -> None:
    ledger.receive_many([_delivery(1), _delivery(2)])
    _claim(ledger)
    one, two = _event(ledger, 1).id, _event(ledger, 2).id
    ledger.retry("lane-1", one, error="timeout " * 1000, available_at=clock() + timedelta(seconds=10))
    ledger.retry("lane-1", two, error="open", available_at=clock() + timedelta(seconds=5), count_attempt=False)
    assert (_event(ledger, 1).attempts, _event(ledger, 2).attempts) == (1, 0)
    assert len(_event(ledger, 1).last_error or "") == 2000
    assert _claim(ledger) == []
    clock.tick(5)
    assert _claim(ledger) == ["d2"]
    clock.tick(5)
    assert _claim(ledger) == ["d1"]
    assert _event(ledger, 1).attempts == 2


def test_a_clean_stop_frees_what_was_claimed_and_counts_no_attempt(ledger: Ledger) -> None:
    ledger.receive_many([_delivery(1), _delivery(2)])
    _claim(ledger, "lane-1", 1)
    _claim(ledger, "lane-2", 1)
    assert ledger.claim_owners() == ["lane-1", "lane-2"]
    assert ledger.free_claims("lane-1") == 1
    assert ledger.claim_owners() == ["lane-2"]
    event = _event(ledger, 1)
    assert (event.state, event.attempts, event.lease_owner, event.lease_until) == ("received", 0, None, None)


def test_a_finished_event_says_what_came_of_it_and_in_which_run(ledger: Ledger, clock: Clock) -> None:
    ledger.receive_many([_delivery(1), _delivery(2)])
    _claim(ledger)
    clock.tick(1)
    assert ledger.finish_many("lane-1", [(_event(ledger, n).id, f"outcome {n}") for n in (2, 1)], "run-1") == 2
    assert ledger.finish_many("lane-1", [], "run-1") == 0
    event = _event(ledger, 2)
    assert (event.state, event.outcome, event.run_id, event.done_at) == ("done", "outcome 2", "run-1", clock())
    assert (event.lease_owner, event.last_error) == (None, None)


def test_processes_that_claim_at_once_share_the_rows_and_never_a_subject(url: str, tmp_path: Path) -> None:
    with Ledger.open(url, home=tmp_path) as ledger:
        ledger.receive_many([_delivery(n, f"referral:R{n % 15}") for n in range(60)])
        children = [start(_WORK, url, str(tmp_path), f"lane-{n}") for n in range(3)]
        worked = [line.split() for child in children for line in finish(child).splitlines()]
        assert sorted(int(number) for number, *_ in worked) == [event.id for event in ledger.inbox_events()][::-1]
        assert ledger.inbox_counts() == {"done": 60}


_WORK = """
import sys
from datetime import timedelta
from pathlib import Path
from referral_pipeline.ledger.store import Ledger
ledger = Ledger.open(sys.argv[1], home=Path(sys.argv[2]))
while ledger.inbox_backlog().waiting:
    for event in (events := ledger.claim(sys.argv[3], limit=4, lease=timedelta(seconds=60), bulk=False)):
        assert event.attempts == 1
        others = ledger.inbox_events(state="claimed", subject=event.subject)
        assert {other.lease_owner for other in others} == {sys.argv[3]}
        print(event.id, event.subject)
    ledger.finish_many(sys.argv[3], [(event.id, "ok") for event in events], None)
"""

_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("receive"), st.integers(0, 3)),
        st.tuples(st.just("claim"), st.sampled_from(["a", "b"])),
        st.tuples(st.just("finish"), st.sampled_from(["a", "b"])),
        st.tuples(st.just("retry"), st.sampled_from(["a", "b"])),
        st.tuples(st.just("free"), st.sampled_from(["a", "b"])),
        st.tuples(st.just("wait"), st.sampled_from([1, 30, 61])),
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
def test_whatever_happens_no_subject_has_two_workers_and_nothing_is_lost(
    ledger: Ledger, clock: Clock, steps: list[tuple[str, int | str]]
) -> None:
    first = len(ledger.inbox_events(limit=10_000))
    received = 0
    mine: dict[str, set[int]] = {"a": set(), "b": set()}
    for what, value in steps:
        if isinstance(value, int):
            if what == "receive":
                ledger.receive_many([_delivery(first + received, f"referral:R{value}")])
                received += 1
            else:
                clock.tick(value)
            continue
        live = {event.id for event in ledger.inbox_events(state="claimed", limit=10_000) if event.lease_until}
        if what == "claim":
            mine[value] |= {event.id for event in ledger.claim(value, limit=2, lease=LEASE, bulk=False)}
        elif what == "free":
            ledger.free_claims(value)
            mine[value].clear()
        elif mine[value]:
            event = mine[value].pop()
            done = (
                ledger.finish_many(value, [(event, "ok")], None)
                if what == "finish"
                else ledger.retry_many(value, [(event, "again", clock(), True)])
            )
            assert done <= (event in live)
        workers: dict[str | None, set[str | None]] = {}
        for claimed in ledger.inbox_events(state="claimed", limit=10_000):
            workers.setdefault(claimed.subject, set()).add(claimed.lease_owner)
        assert all(len(owners) == 1 for owners in workers.values())
    clock.tick(100)
    while events := ledger.claim("end", limit=50, lease=LEASE, bulk=False):
        assert ledger.finish_many("end", [(event.id, "ok") for event in events], None) == len(events)
    assert ledger.inbox_counts().get("done", 0) == first + received


# ---------------------------------------------------------------- looking, replaying, purging


def test_the_backlog_tells_what_waits_and_since_when(ledger: Ledger, clock: Clock) -> None:
    assert ledger.inbox_backlog() == Backlog(0, 0, 0, 0, None)
    ledger.receive_many([_delivery(1), _delivery(2), _delivery(3)])
    clock.tick(5)
    ledger.receive_many([_delivery(4), _delivery(5, bulk=True)])
    _claim(ledger, limit=3)
    ledger.finish_many("lane-1", [(_event(ledger, 1).id, "ok")], None)
    ledger.bury("lane-1", _event(ledger, 2).id, "422")
    assert ledger.inbox_backlog() == Backlog(1, 1, 1, 1, NOW)
    ledger.finish_many("lane-1", [(_event(ledger, 3).id, "ok")], None)
    assert ledger.inbox_backlog() == Backlog(1, 1, 0, 1, clock())
    assert ledger.inbox_counts() == {"done": 2, "dead": 1, "received": 2}


def test_events_are_listed_newest_first_by_what_is_asked(ledger: Ledger) -> None:
    ledger.receive_many([_delivery(n, f"referral:R{n % 2}") for n in range(6)])
    ledger.receive_many([replace(_delivery(9), system="greenhouse", event_type="ping")])
    _claim(ledger, limit=1)

    def listed(**asked: str | int) -> list[str]:
        return [event.delivery_id for event in ledger.inbox_events(**asked)]  # type: ignore[arg-type]

    assert listed(limit=2) == ["d9", "d5"]
    assert listed(limit=2, before_id=_event(ledger, 5).id) == ["d4", "d3"]
    assert listed(subject="referral:R1", state="received") == ["d5", "d3", "d1"]
    assert listed(system="greenhouse", event_type="ping") == ["d9"]
    assert listed(state="claimed") == ["d0"]
    assert ledger.inbox_event(_event(ledger, 3).id) == _event(ledger, 3)
    assert ledger.inbox_event(10_000) is None
    assert ledger.unfinished_subjects(["referral:R0", "referral:R7"]) == {"referral:R0"}


def test_a_replayed_event_starts_anew_and_one_that_waits_is_not_touched(ledger: Ledger, clock: Clock) -> None:
    ledger.receive_many([_delivery(1), _delivery(2), _delivery(3)])
    _claim(ledger, limit=2)
    one, two, three = (_event(ledger, n).id for n in (1, 2, 3))
    ledger.finish_many("lane-1", [(one, "created")], "run-1")
    ledger.bury("lane-1", two, "422")
    clock.tick(60)
    assert ledger.replay([one, two, three, 10_000]) == 2
    for number in (1, 2):
        event = _event(ledger, number)
        assert (event.state, event.attempts, event.available_at) == ("received", 0, clock())
        assert (event.last_error, event.outcome, event.done_at, event.run_id) == (None, None, None, None)
    assert _claim(ledger) == ["d1", "d2", "d3"]


def test_a_purge_empties_bodies_first_and_rows_later_and_spares_the_dead(ledger: Ledger, clock: Clock) -> None:
    for number in (1, 2, 3, 4):
        ledger.receive_many([_delivery(number)])
        if number < 4:
            _claim(ledger)
            ledger.finish_many("lane-1", [(_event(ledger, number).id, "ok")], None)
        clock.tick(100)
    _claim(ledger)
    dead = _event(ledger, 4).id
    ledger.bury("lane-1", dead, "422")
    late = clock() + timedelta(days=1)
    before = NOW + timedelta(seconds=150)
    assert ledger.purge_inbox(bodies_before=before + timedelta(seconds=100), rows_before=NOW) == (3, 0)
    assert _event(ledger, 2).body is None
    assert ledger.purge_inbox(bodies_before=late, rows_before=before) == (0, 2)
    assert ledger.purge_inbox(bodies_before=late, rows_before=late) == (0, 1)
    assert [event.body for event in ledger.inbox_events()] == [b"sealed"]
    assert ledger.purge_dead([dead, dead, 10_000]) == 1
    assert ledger.inbox_counts() == {}
    assert ledger.purge_inbox(bodies_before=late, rows_before=late) == (0, 0)


# ---------------------------------------------------------------- which webhooks came


def test_a_subject_was_heard_of_by_its_first_webhook_and_never_by_reconciliation(ledger: Ledger, clock: Clock) -> None:
    ledger.receive_many([_delivery(1, "referral:R1")])
    clock.tick(60)
    hint = replace(_delivery(3, "referral:R2"), event_type="reconcile.referral", origin="reconciliation")
    ledger.receive_many([_delivery(2, "referral:R1"), hint, replace(_delivery(4, "referral:R3"), system="greenhouse")])
    subjects = [f"referral:R{number}" for number in (1, 2, 3)]
    assert ledger.webhooks_of("advocacy", subjects) == {"referral:R1": NOW}
    assert ledger.webhooks_of("advocacy", []) == {}


def test_webhooks_are_kept_since_the_first_that_is_done_and_not_since_an_older_one_that_waits(
    ledger: Ledger, clock: Clock
) -> None:
    assert ledger.webhooks_kept_since("advocacy") is None
    ledger.receive_many([_delivery(1, "referral:R1")])
    assert ledger.webhooks_kept_since("advocacy") is None
    clock.tick(60)
    event = ledger.claim("lane-1", limit=1, lease=LEASE, bulk=False)[0]
    ledger.finish_many("lane-1", [(event.id, "created")], None)
    assert ledger.webhooks_kept_since("advocacy") == NOW + timedelta(seconds=60)
    assert ledger.webhooks_kept_since("greenhouse") is None
