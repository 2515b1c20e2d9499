"""The shared rate budget: never more than the vendor allows, over threads and processes, and never a standstill."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.connectors.http import Clock, HttpClient
from referral_pipeline.connectors.rate_budget import RateBudget, ServerWindow
from referral_pipeline_tests.unit.scripted_server import Reply, Seen, serving
from referral_pipeline_tests.unit.test_http_client import FakeTime


def budget(path: Path, clock: FakeTime, **more: object) -> RateBudget:
    return RateBudget(path / "budget.sqlite", "ats:1", now=lambda: clock.now, sleep=clock.sleep, **more)  # type: ignore[arg-type]


def take(one: RateBudget, times: int) -> None:
    for _ in range(times):
        one.settle(one.acquire(), None)


def test_a_default_limit_holds_until_the_vendor_speaks(tmp_path: Path) -> None:
    clock = FakeTime()
    one = budget(tmp_path, clock, default_limit=5)
    take(one, 5)
    assert clock.slept == []
    take(one, 1)
    assert 30 <= sum(clock.slept) < 31


def test_without_a_default_calls_pass_freely_until_the_vendor_speaks(tmp_path: Path) -> None:
    clock = FakeTime()
    one = budget(tmp_path, clock)
    take(one, 500)
    one.settle(one.acquire(), ServerWindow(limit=10, remaining=2, reset_at=clock.now + 7))
    take(one, 2)
    assert clock.slept == []
    take(one, 1)
    assert 7 <= sum(clock.slept) < 8


def test_the_vendors_lower_number_wins_and_its_higher_one_does_not(tmp_path: Path) -> None:
    clock = FakeTime()
    one = budget(tmp_path, clock, default_limit=50)
    window = clock.now + 20
    one.settle(one.acquire(), ServerWindow(75, 74, window))
    one.settle(one.acquire(), ServerWindow(75, 3, window))
    one.settle(one.acquire(), ServerWindow(75, 60, window))
    take(one, 2)
    assert clock.slept == []
    take(one, 1)
    assert clock.slept


def test_two_instances_on_one_file_share_the_window(tmp_path: Path) -> None:
    clock = FakeTime()
    one, other = (budget(tmp_path, clock, default_limit=4) for _ in range(2))
    take(one, 2)
    take(other, 2)
    assert clock.slept == []
    take(other, 1)
    assert clock.slept


def test_another_credential_has_its_own_window(tmp_path: Path) -> None:
    clock = FakeTime()
    one = budget(tmp_path, clock, default_limit=1)
    other = RateBudget(tmp_path / "budget.sqlite", "ats:2", default_limit=1, now=lambda: clock.now, sleep=clock.sleep)
    take(one, 1)
    take(other, 1)
    assert clock.slept == []


def test_calls_under_way_at_the_turn_are_charged_to_the_new_window(tmp_path: Path) -> None:
    clock = FakeTime()
    one = budget(tmp_path, clock, default_limit=5)
    flying = [one.acquire() for _ in range(3)]
    clock.now += 31
    take(one, 2)
    assert clock.slept == []
    take(one, 1)
    assert clock.slept
    for late in flying:
        one.settle(late, None)


def test_calls_that_died_with_their_process_cannot_stop_the_others(tmp_path: Path) -> None:
    clock = FakeTime()
    one = budget(tmp_path, clock, default_limit=3)
    for _ in range(3):
        one.acquire()
    clock.now += 31
    take(one, 1)
    clock.now += 31
    clock.slept.clear()
    take(one, 3)
    assert clock.slept == []


def test_a_late_answer_of_an_old_window_changes_nothing_in_the_new_one(tmp_path: Path) -> None:
    clock = FakeTime()
    one = budget(tmp_path, clock, default_limit=5)
    old = one.acquire()
    old_end = clock.now + 10
    one.settle(one.acquire(), ServerWindow(5, 3, old_end))
    clock.now += 11
    one.settle(one.acquire(), ServerWindow(5, 4, clock.now + 30))
    one.settle(old, ServerWindow(5, 0, old_end))
    take(one, 3)
    assert clock.slept == []


def test_a_blocked_window_stops_everybody_until_it_ends(tmp_path: Path) -> None:
    clock = FakeTime()
    one, other = (budget(tmp_path, clock) for _ in range(2))
    one.block_until(clock.now + 17)
    take(other, 1)
    assert 17 <= sum(clock.slept) < 18


def test_a_reserve_is_left_for_others_and_never_the_whole_window(tmp_path: Path) -> None:
    clock = FakeTime()
    one = budget(tmp_path, clock, default_limit=5, reserve=2)
    take(one, 3)
    assert clock.slept == []
    take(one, 1)
    assert clock.slept
    greedy = RateBudget(
        tmp_path / "b.sqlite", "k", default_limit=1, reserve=9, now=lambda: clock.now, sleep=clock.sleep
    )
    clock.slept.clear()
    take(greedy, 1)
    assert clock.slept == []


def test_a_budget_whose_file_cannot_be_used_lets_calls_go(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "budget.sqlite").mkdir()
    one = budget(tmp_path, FakeTime(), default_limit=1)
    take(one, 5)
    assert caplog.text.count("cannot be used") == 1


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(0, 3), st.floats(0, 12), st.integers(0, 2)), max_size=40),
    limit=st.integers(1, 9),
)
def test_the_vendor_never_counts_more_than_its_limit(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, float, int]], limit: int
) -> None:
    """A model vendor with fixed windows of 30 s; calls arrive when taken and are answered later, in any order."""
    clock = FakeTime()
    start = clock.now
    one = RateBudget(
        tmp_path_factory.mktemp("b") / "b.sqlite", "k", default_limit=1, now=lambda: clock.now, sleep=clock.sleep
    )
    counted: dict[int, int] = {}
    flying: list[tuple[object, ServerWindow]] = []
    for calls, pause, answers in steps:
        for _ in range(calls):
            reservation = one.acquire()
            window = int((clock.now - start) // 30)
            counted[window] = counted.get(window, 0) + 1
            told = ServerWindow(limit, limit - counted[window], start + 30 * (window + 1))
            flying.append((reservation, told))
        for _ in range(min(answers, len(flying))):
            reservation, told = flying.pop(len(flying) // 2)
            one.settle(reservation, told)  # type: ignore[arg-type]
        clock.now += pause
    assert all(count <= max(limit, 1) for count in counted.values())


class Vendor:
    """A real server with a fixed window, strict as Greenhouse: beyond the limit it is 429."""

    def __init__(self, limit: int, window: float) -> None:
        self.limit, self.window = limit, window
        self.lock = threading.Lock()
        self.counts: dict[int, int] = {}
        self.refused = 0

    def __call__(self, _: Seen) -> Reply:
        with self.lock:
            now = time.time()
            window = int(now // self.window)
            self.counts[window] = self.counts.get(window, 0) + 1
            left = self.limit - self.counts[window]
            reset = str(int((window + 1) * self.window))
            headers = {"X-RateLimit-Limit": str(self.limit), "X-RateLimit-Remaining": str(max(left, 0))}
            headers["X-RateLimit-Reset"] = reset
            if left < 0:
                self.refused += 1
                return Reply(429, {}, headers={**headers, "Retry-After": "1"})
            return Reply(200, [], headers=headers)


def _work(url: str, path: Path, calls: int) -> None:
    shared = RateBudget(path, "ats:1", default_limit=5, window_seconds=2)
    client = HttpClient(system="ats", base_url=url, budget=shared)

    def some() -> None:
        for _ in range(calls // 2):
            client.get("jobs.list", "/jobs")

    threads = [threading.Thread(target=some) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_processes_and_threads_together_stay_under_the_limit(tmp_path: Path) -> None:
    vendor = Vendor(limit=20, window=2.0)
    with serving(vendor) as server:
        spawn = multiprocessing.get_context("spawn")
        workers = [spawn.Process(target=_work, args=(server.url, tmp_path / "b.sqlite", 20)) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert sum(vendor.counts.values()) - vendor.refused == 60
    assert vendor.refused == 0


def test_a_429_with_rate_headers_stops_the_other_processes_too(tmp_path: Path) -> None:
    clock = FakeTime()
    reset = int(clock.now + 12)
    headers = {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
    with serving(lambda seen: Reply(429, {}, headers=headers) if clock.now < reset else Reply(200, [])) as server:
        client = HttpClient(
            system="ats",
            base_url=server.url,
            budget=budget(tmp_path, clock),
            clock=Clock(now=lambda: clock.now, monotonic=lambda: clock.now, sleep=clock.sleep, dice=lambda: 0.0),
        )
        client.get("jobs.list", "/jobs")
        assert len(server.seen) == 2
    other = budget(tmp_path, FakeTime())
    waited: list[float] = []
    other._sleep = lambda seconds: waited.append(seconds) or setattr(clock, "now", clock.now + seconds)
    assert other.acquire().window is not None


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "land", "tell", "wait", "block"]),
        st.integers(0, 12),
        st.sampled_from([-1.0, 0.0, 0.4, 3.0, 20.0, 45.0]),
    ),
    max_size=40,
)


@given(steps=STEPS, default=st.sampled_from([None, 3, 10]), reserve=st.sampled_from([0, 2]))
@settings(max_examples=60)
def test_the_single_statements_decide_as_the_rules_do(
    steps: list[tuple[str, int, float]], default: int | None, reserve: int
) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        ends: list[object] = []
        for name in ("single", "rules"):
            clock = FakeTime()
            one = RateBudget(
                Path(folder) / name,
                "ats:1",
                default_limit=default,
                reserve=reserve,
                max_wait_seconds=40,
                now=lambda clock=clock: clock.now,
                sleep=clock.sleep,
            )
            if name == "rules":
                patch.setattr(one, "_fast", lambda _: None)
            patch.setattr("random.uniform", lambda *_: 0.01)
            taken = [one.acquire()]
            for kind, number, seconds in steps:
                if kind == "take":
                    taken.append(one.acquire())
                elif kind == "wait":
                    clock.now += seconds
                elif kind == "block":
                    one.block_until(clock.now + seconds)
                elif taken:
                    told = ServerWindow(10, number, clock.now + seconds) if kind == "tell" else None
                    one.settle(taken.pop(0), told)
            one.close()
            with closing(sqlite3.connect(Path(folder) / name)) as connection:
                ends.append((clock.slept, taken, connection.execute("SELECT * FROM budget").fetchall()))
        assert ends[0] == ends[1]
