"""The circuit breaker, alone and inside the HTTP client against a real server."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_pipeline.connectors.breaker import CREDENTIAL_REFUSED, Breaker, BreakerChange, Circuit
from referral_pipeline.connectors.failures import (
    AmbiguousOutcome,
    CircuitOpen,
    HttpFailure,
    Invalid,
    RateLimited,
    TransientFailure,
    Unauthorized,
    Unreachable,
)
from referral_pipeline.connectors.http import ClientCredentials, HttpClient, RetryPolicy
from referral_pipeline_tests.unit.scripted_server import Reply, Seen, in_turn, serving
from referral_pipeline_tests.unit.test_http_client import FakeTime, free_port

ONCE = RetryPolicy(max_attempts=1)


class Rig:
    """A breaker on a clock that stands still, and what it told."""

    def __init__(self, **more: object) -> None:
        self.time = FakeTime()
        self.told: list[BreakerChange] = []
        self.breaker = Breaker("ats", clock=self.time.clock(), on_change=self.told.append, **more)  # type: ignore[arg-type]

    def fails(self, failure: HttpFailure | None = None) -> None:
        failure = failure or TransientFailure("ats", "jobs.list", status=503)
        with pytest.raises(type(failure)), self.breaker.call():
            raise failure

    def works(self) -> None:
        with self.breaker.call():
            pass

    def refused(self) -> float:
        with pytest.raises(CircuitOpen) as caught, self.breaker.call():
            raise AssertionError("it was let through")
        assert caught.value.exhausted
        assert caught.value.retry_after is not None
        return caught.value.retry_after

    def opened(self) -> Rig:
        for _ in range(5):
            self.fails()
        return self


def test_failures_one_after_the_other_open_it_and_calls_are_refused_with_the_time_to_wait() -> None:
    rig = Rig()
    for _ in range(4):
        rig.fails()
    rig.works()
    for _ in range(4):
        rig.fails()
    assert rig.breaker.state is Circuit.CLOSED
    rig.fails(Unreachable("ats", "jobs.list"))
    assert rig.refused() == 10
    rig.time.now += 4
    assert rig.refused() == rig.breaker.seconds_left == 6
    (change,) = rig.told
    assert (change.previous, change.state, change.failures, change.reason) == ("closed", "open", 5, "no usable answer")
    assert change.retry_at == change.since + timedelta(seconds=10)


@pytest.mark.parametrize("status", [400, 403, 404, 408, 409, 422, 425, 429])
def test_an_answer_that_refuses_the_call_proves_that_the_system_works(status: int) -> None:
    rig = Rig(failures_to_open=2)
    rig.fails()
    kind = RateLimited if status == 429 else TransientFailure if status in {408, 425} else Invalid
    rig.fails(kind("ats", "jobs.list", status=status))
    rig.fails()
    assert rig.breaker.state is Circuit.CLOSED


def test_broken_answers_and_lost_writes_count_too() -> None:
    rig = Rig(failures_to_open=2)
    rig.fails(TransientFailure("ats", "jobs.list", status=200))
    rig.fails(AmbiguousOutcome("ats", "candidates.create", status=504))
    assert rig.breaker.state is Circuit.OPEN


def test_after_the_cool_down_exactly_one_call_probes_and_its_success_closes() -> None:
    rig = Rig().opened()
    rig.time.now += 10
    with rig.breaker.call():
        assert rig.breaker.state is Circuit.HALF_OPEN
        assert rig.refused() > 0
    rig.works()
    assert [change.state for change in rig.told] == ["open", "half_open", "closed"]
    assert rig.breaker.current.reason == ""


def test_each_failed_probe_doubles_the_cool_down_up_to_its_limit_and_success_starts_over() -> None:
    rig = Rig().opened()
    waits: list[float] = []
    for _ in range(6):
        waits.append(rig.refused())
        rig.time.now += waits[-1]
        rig.fails()
    assert waits == [10, 20, 40, 80, 120, 120]
    rig.time.now += 120
    rig.works()
    assert rig.opened().refused() == 10


def test_a_longer_retry_after_of_the_system_wins() -> None:
    rig = Rig(failures_to_open=1)
    rig.fails(TransientFailure("ats", "jobs.list", status=503, retry_after=300))
    assert rig.refused() == 300


def test_a_refused_credential_opens_at_once() -> None:
    rig = Rig()
    rig.fails(Unauthorized("ats", "jobs.list", status=401))
    assert rig.refused() == 10
    assert rig.told[0].reason == CREDENTIAL_REFUSED


def test_what_was_sent_before_it_opened_says_nothing_about_after() -> None:
    rig = Rig()
    with rig.breaker.call():
        rig.opened()
    assert rig.breaker.state is Circuit.OPEN
    rig.time.now += 10
    with rig.breaker.call(), pytest.raises(CircuitOpen):
        rig.works()
    assert len(rig.told) == 3


def test_a_probe_that_is_interrupted_leaves_the_next_call_to_probe() -> None:
    rig = Rig().opened()
    rig.time.now += 10
    with pytest.raises(KeyboardInterrupt), rig.breaker.call():
        raise KeyboardInterrupt
    rig.works()
    assert rig.breaker.state is Circuit.CLOSED


@pytest.mark.parametrize(("state", "left", "waits"), [("open", 30, 30), ("open", -5, 0), ("half_open", None, 0)])
def test_a_stored_state_is_gone_on_with(state: str, left: float | None, waits: float) -> None:
    rig = Rig()
    at = datetime.fromtimestamp(rig.time.now + left, UTC) if left is not None else None
    rig.breaker.restore(state, at, failures=7, reason="answered 503")
    assert rig.breaker.seconds_left == waits
    assert rig.told == []
    assert rig.breaker.current.failures == 7
    rig.time.now += waits
    rig.works()
    rig.breaker.restore("closed", None)
    rig.works()


def test_a_listener_that_fails_stops_no_call(caplog: pytest.LogCaptureFixture) -> None:
    def listen(_: BreakerChange) -> None:
        raise OSError("no room")

    breaker = Breaker("ats", failures_to_open=1, on_change=listen)
    with caplog.at_level(logging.ERROR), pytest.raises(Unreachable), breaker.call():
        raise Unreachable("ats", "jobs.list")
    assert "could not be passed on" in caplog.text


def test_of_many_threads_one_probes() -> None:
    rig = Rig().opened()
    rig.time.now += 10
    passed, stopped, inside = [0], [0], threading.Barrier(8)

    def call() -> None:
        inside.wait()
        try:
            with rig.breaker.call():
                passed[0] += 1
                while stopped[0] < 7:
                    threading.Event().wait(0.001)
        except CircuitOpen:
            stopped[0] += 1

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (passed, stopped) == ([1], [7])


@given(st.lists(st.sampled_from(["ok", "fail", "refuse", "401", "wait"]), max_size=60))
def test_it_is_never_stuck_and_tells_every_change_in_order(steps: list[str]) -> None:
    rig = Rig(failures_to_open=3)
    failures: dict[str, HttpFailure] = {
        "fail": Unreachable("ats", "x"),
        "refuse": Invalid("ats", "x", status=422),
        "401": Unauthorized("ats", "x", status=401),
    }
    for step in steps:
        if step == "wait":
            rig.time.now += 15
            continue
        open_before = rig.breaker.seconds_left > 0
        try:
            with rig.breaker.call():
                assert not open_before
                if step in failures:
                    raise failures[step]
        except HttpFailure as failure:
            assert isinstance(failure, CircuitOpen) == open_before  # noqa: PT017 - one of two failures, both fine
    states = ["closed", *(change.state for change in rig.told)]
    assert [change.previous for change in rig.told] == states[:-1]
    rig.time.now += 120
    rig.works()
    assert rig.breaker.state is Circuit.CLOSED


# ---------------------------------------------------------------- in the client


def test_an_outage_is_not_called_again_and_again_and_its_end_is_found_by_one_call() -> None:
    time = FakeTime()
    breaker = Breaker("ats", failures_to_open=3, clock=time.clock())
    with serving(in_turn(Reply(503), Reply(503), Reply(503), Reply(200, {}))) as server:
        client = HttpClient(system="ats", base_url=server.url, clock=time.clock(), breaker=breaker)
        with pytest.raises(CircuitOpen) as caught:
            client.get("jobs.list", "jobs")
        assert str(caught.value) == "ats jobs.list gave no usable answer: not sent, its breaker is open: answered 503"
        for _ in range(20):
            with pytest.raises(CircuitOpen):
                client.get("jobs.list", "jobs")
        assert len(server.seen) == 3
        time.now += 10
        assert client.get("jobs.list", "jobs").status == 200
    assert breaker.state is Circuit.CLOSED


def test_a_refused_credential_is_asked_for_once_and_not_for_every_call() -> None:
    time = FakeTime()

    def answer(seen: Seen) -> Reply:
        return Reply(400, {"error": "invalid_client"}) if seen.path == "/token" else Reply(200, {})

    with serving(answer) as server:
        credentials = ClientCredentials(f"{server.url}/token", "an-id", "a-secret")
        breaker = Breaker("ats", clock=time.clock())
        client = HttpClient(
            system="ats", base_url=server.url, clock=time.clock(), breaker=breaker, credentials=credentials
        )
        with pytest.raises(Unauthorized):
            client.get("jobs.list", "jobs")
        with pytest.raises(CircuitOpen, match=CREDENTIAL_REFUSED):
            client.get("jobs.list", "jobs")
        assert server.paths() == ["/token"]


def test_nobody_listening_opens_it_too() -> None:
    breaker = Breaker("ats", failures_to_open=2)
    client = HttpClient(system="ats", base_url=f"http://127.0.0.1:{free_port()}", retry=ONCE, breaker=breaker)
    for kind in (Unreachable, Unreachable, CircuitOpen):
        with pytest.raises(kind):
            client.call("candidates.create", "POST", "candidates", json={})
