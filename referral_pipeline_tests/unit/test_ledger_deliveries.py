"""An outbound write is committed before it is tried, so that no crash makes it happen twice or be forgotten."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from referral_pipeline.ledger.store import DeliveryIntent, DeliveryState, Ledger, UnknownDeliveryError
from referral_pipeline_tests.unit.ledger_databases import BACKENDS, finish, fresh_url, start

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
INTENT = DeliveryIntent("create:ats:R1", "ats", "create_candidate", "R1", "hash-1", "R1")


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


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


def test_a_first_attempt_is_new_and_pending(ledger: Ledger) -> None:
    begun = ledger.begin(INTENT)
    assert (begun.is_new, begun.state, begun.attempts) == (True, DeliveryState.PENDING, 1)
    assert (begun.first_attempt_at, begun.last_attempt_at, begun.result) == (NOW, NOW, None)


def test_a_second_attempt_tells_when_the_one_before_it_was(ledger: Ledger, clock: Clock) -> None:
    ledger.begin(INTENT)
    clock.now = NOW + timedelta(minutes=5)
    second = ledger.begin(INTENT)
    clock.now = NOW + timedelta(minutes=9)
    third = ledger.begin(INTENT)
    assert (second.is_new, second.state, second.attempts, second.last_attempt_at) == (
        False,
        DeliveryState.PENDING,
        2,
        NOW,
    )
    assert (third.attempts, third.first_attempt_at, third.last_attempt_at) == (3, NOW, NOW + timedelta(minutes=5))


def test_a_confirmed_delivery_answers_with_its_result_and_is_not_counted_again(ledger: Ledger) -> None:
    ledger.begin(INTENT)
    ledger.confirm(INTENT.key, {"candidate_id": "7"})
    again = ledger.begin(INTENT)
    assert (again.is_new, again.state, again.attempts, again.result) == (
        False,
        DeliveryState.CONFIRMED,
        1,
        {"candidate_id": "7"},
    )


def test_a_confirmed_delivery_with_another_request_opens_again_and_keeps_its_result(
    ledger: Ledger, clock: Clock
) -> None:
    ledger.begin(INTENT)
    ledger.confirm(INTENT.key, {"candidate_id": "7"})
    clock.now = NOW + timedelta(days=1)
    again = ledger.begin(replace(INTENT, request_hash="hash-2"))
    assert (again.is_new, again.state, again.attempts) == (False, DeliveryState.PENDING, 1)
    assert (again.first_attempt_at, again.request_hash) == (clock.now, "hash-2")
    assert again.result == {"candidate_id": "7"}


def test_a_failed_attempt_stays_pending_because_it_may_have_happened(ledger: Ledger) -> None:
    ledger.begin(INTENT)
    ledger.fail(INTENT.key, "timeout " * 1000, dead=False)
    found = ledger.delivery(INTENT.key)
    assert found is not None
    assert found.state is DeliveryState.PENDING
    assert found.last_error is not None
    assert found.last_error.startswith("timeout")
    assert len(found.last_error) == 2000


def test_a_dead_delivery_stays_dead_until_its_request_changes(ledger: Ledger) -> None:
    ledger.begin(INTENT)
    ledger.fail(INTENT.key, "422", dead=True)
    assert ledger.begin(INTENT).state is DeliveryState.DEAD
    assert ledger.deliveries(state=DeliveryState.DEAD)[0].attempts == 2
    reopened = ledger.begin(replace(INTENT, request_hash="hash-2"))
    assert (reopened.state, reopened.attempts) == (DeliveryState.PENDING, 3)


def test_a_sent_delivery_is_looked_at_again_until_it_is_confirmed(ledger: Ledger) -> None:
    ledger.begin(INTENT)
    ledger.mark_sent(INTENT.key, {"candidate_id": "7"})
    again = ledger.begin(INTENT)
    assert (again.state, again.attempts, again.result) == (DeliveryState.SENT, 2, {"candidate_id": "7"})
    ledger.confirm(INTENT.key, {"candidate_id": "7"})
    assert ledger.deliveries(state=DeliveryState.SENT) == []


def test_a_delivery_that_was_never_begun_cannot_be_confirmed_or_failed(ledger: Ledger) -> None:
    ledger.begin(INTENT)
    with pytest.raises(UnknownDeliveryError):
        ledger.confirm_many([(INTENT.key, {}), ("unknown", {})])
    with pytest.raises(UnknownDeliveryError):
        ledger.fail("unknown", "x", dead=True)
    found = ledger.delivery(INTENT.key)
    assert found is not None
    assert found.state is DeliveryState.PENDING


def test_a_batch_answers_in_the_order_asked_and_begins_a_repeated_key_twice(ledger: Ledger) -> None:
    ledger.begin(replace(INTENT, key="b"))
    begun = ledger.begin_many([replace(INTENT, key=key) for key in "cba"])
    assert [(d.key, d.is_new) for d in begun] == [("c", True), ("b", False), ("a", True)]
    twice = ledger.begin_many([replace(INTENT, key="z"), replace(INTENT, key="z")])
    assert [d.is_new for d in twice] == [True, False]
    assert ledger.begin_many([]) == []


def test_a_large_batch_goes_through_in_one_transaction(ledger: Ledger) -> None:
    intents = [replace(INTENT, key=f"status:{n}") for n in range(1300)]
    ledger.begin_many(intents)
    again = ledger.begin_many(intents)
    assert {d.attempts for d in again} == {2}
    ledger.confirm_many([(i.key, {"n": 1}) for i in intents])
    assert len(ledger.confirmed_hashes("status:")) == 1300


def test_confirmed_hashes_are_those_of_the_prefix_to_the_letter(ledger: Ledger) -> None:
    for key in ("job:1", "JOB:2", "job_:3", "job:4"):
        ledger.begin(replace(INTENT, key=key, request_hash=f"hash of {key}"))
    ledger.confirm_many([(key, {}) for key in ("job:1", "JOB:2", "job_:3")])
    assert ledger.confirmed_hashes("job:") == {"job:1": "hash of job:1"}


# ---------------------------------------------------------------- crashes

_CRASH_AFTER_BEGIN = """
import os, signal, sys
from pathlib import Path
from referral_pipeline.ledger.store import DeliveryIntent, Ledger
ledger = Ledger.open(sys.argv[1], home=Path(sys.argv[2]))
ledger.begin(DeliveryIntent("create:ats:R1", "ats", "create_candidate", "R1", "hash-1", "R1"))
os.kill(os.getpid(), signal.SIGKILL)
"""

_CRASH_INSIDE_ATOMIC = """
import os, signal, sys
from pathlib import Path
from referral_pipeline.ledger.store import DeliveryIntent, Ledger
ledger = Ledger.open(sys.argv[1], home=Path(sys.argv[2]))
with ledger.atomic():
    ledger.confirm("create:ats:R1", {"candidate_id": "7"})
    ledger.alias("ats", "1", "2")
    os.kill(os.getpid(), signal.SIGKILL)
"""

_COUNT_UP = """
import sys
from pathlib import Path
from referral_pipeline.ledger.store import DeliveryIntent, Ledger
ledger = Ledger.open(sys.argv[1], home=Path(sys.argv[2]))
for _ in range(50):
    ledger.begin(DeliveryIntent("create:ats:R1", "ats", "create_candidate", "R1", "hash-1", "R1"))
"""


def test_a_process_killed_between_begin_and_confirm_leaves_the_delivery_pending_and_seen(
    url: str, tmp_path: Path
) -> None:
    child = start(_CRASH_AFTER_BEGIN, url, str(tmp_path))
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    with Ledger.open(url, home=tmp_path) as ledger:
        assert [d.key for d in ledger.deliveries(state=DeliveryState.PENDING)] == [INTENT.key]
        begun = ledger.begin(INTENT)
        assert (begun.is_new, begun.state, begun.attempts) == (False, DeliveryState.PENDING, 2)


def test_a_process_killed_inside_an_atomic_block_leaves_nothing_of_it(url: str, tmp_path: Path) -> None:
    with Ledger.open(url, home=tmp_path) as ledger:
        ledger.begin(INTENT)
        child = start(_CRASH_INSIDE_ATOMIC, url, str(tmp_path))
        child.communicate(timeout=60)
        assert child.returncode == -signal.SIGKILL
        assert [d.state for d in ledger.deliveries()] == [DeliveryState.PENDING]
        assert ledger.aliases("ats") == {}


def test_processes_that_begin_the_same_delivery_at_once_lose_no_attempt(url: str, tmp_path: Path) -> None:
    children = [start(_COUNT_UP, url, str(tmp_path)) for _ in range(3)]
    for child in children:
        finish(child)
    with Ledger.open(url, home=tmp_path) as ledger:
        assert ledger.begin(INTENT).attempts == 151
