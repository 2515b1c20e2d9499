"""Threads share a commit; each still keeps all of its own writes or none, and is told the truth about them."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from referral_pipeline.ledger.records import InboxDelivery
from referral_pipeline.ledger.store import Ledger, LedgerError, UnknownDeliveryError
from referral_pipeline_tests.unit.ledger_databases import finish, start


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(_url(tmp_path), home=tmp_path) as opened:
        yield opened


def _url(folder: Path) -> str:
    return f"sqlite:///{folder}/ledger.sqlite"


def _group(ledger: Ledger) -> Any:
    return ledger._group


def _commits(ledger: Ledger) -> list[str]:
    """Every COMMIT that the ledger makes from now on."""
    made: list[str] = []
    ledger.add_counts({"warm": 1})
    _group(ledger)._driver.set_trace_callback(lambda text: made.append(text) if text == "COMMIT" else None)
    return made


def _while_busy(ledger: Ledger, tasks: list[Callable[[], object]], held: Callable[[], object] = bool) -> list[object]:
    """Start the tasks while another thread writes, so that all of them wait for it; answers what each came to."""
    answers: list[object] = [None] * len(tasks)

    def run(place: int, task: Callable[[], object]) -> None:
        try:
            answers[place] = task()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            answers[place] = error

    threads = [threading.Thread(target=run, args=one) for one in enumerate(tasks)]
    with suppress(LedgerError), ledger.atomic():
        for number, thread in enumerate(threads, start=1):
            thread.start()
            while _group(ledger)._waiting < number:
                time.sleep(0.001)
        held()
    for thread in threads:
        thread.join(timeout=60)
    return answers


def _add(ledger: Ledger, name: str) -> Callable[[], object]:
    def add() -> object:
        ledger.add_counts({name: 1})
        return ledger.counts()[name]  # on a connection that sees only what is committed

    return add


def test_callers_that_wait_together_share_commits_and_return_after_them(ledger: Ledger) -> None:
    commits = _commits(ledger)
    assert _while_busy(ledger, [_add(ledger, f"n{number}") for number in range(12)]) == [1] * 12
    assert len(commits) < 8


def test_a_caller_alone_commits_at_once(ledger: Ledger) -> None:
    commits = _commits(ledger)
    for _ in range(3):
        ledger.add_counts({"a": 1})
    assert len(commits) == 3


def test_a_caller_that_fails_takes_back_only_its_own(ledger: Ledger) -> None:
    def half() -> None:
        with ledger.atomic():
            ledger.add_counts({"half": 1})
            ledger.confirm("never begun", {})

    answers = _while_busy(ledger, [_add(ledger, "a"), half, _add(ledger, "b"), half])
    assert [type(answer) for answer in answers] == [int, UnknownDeliveryError, int, UnknownDeliveryError]
    assert ledger.counts() == {"a": 1, "b": 1}


def test_a_failing_first_caller_does_not_stop_those_behind_it(ledger: Ledger) -> None:
    def add() -> None:
        with suppress(ValueError), ledger.atomic():
            ledger.add_counts({"first": 1})
            raise ValueError

    threads: list[threading.Thread] = []
    with suppress(ValueError), ledger.atomic():
        ledger.add_counts({"lost": 1})
        for name in "abc":
            threads.append(threading.Thread(target=_add(ledger, name)))
            threads.append(threading.Thread(target=add))
        for thread in threads:
            thread.start()
        raise ValueError
    for thread in threads:
        thread.join(timeout=60)
    assert ledger.counts() == dict.fromkeys("abc", 1)


def test_a_commit_that_fails_is_told_to_everybody_in_it_and_the_next_one_works(ledger: Ledger) -> None:
    def refuse(action: int, what: str | None, *_: object) -> int:
        return sqlite3.SQLITE_DENY if (action, what) == (sqlite3.SQLITE_TRANSACTION, "COMMIT") else sqlite3.SQLITE_OK

    def break_it() -> None:
        _group(ledger)._driver.set_authorizer(refuse)

    def alone() -> None:
        with ledger.atomic():
            ledger.add_counts({"a": 1})
            break_it()

    with pytest.raises(LedgerError, match="could not commit"):
        alone()
    assert ledger.counts() == {}
    shared = False
    for turn in range(50):
        # Whether the waiting ones share the commit that fails is up to the machine: it may be done before they run.
        names = [f"n{turn}.{number}" for number in range(4)]
        answers = _while_busy(ledger, [_add(ledger, name) for name in names], break_it)
        assert [isinstance(answer, int) for answer in answers] == [name in ledger.counts() for name in names]
        if shared := any(isinstance(answer, LedgerError) for answer in answers):
            break
    assert shared
    ledger.add_counts({"a": 1})
    assert ledger.counts()["a"] == 1


def test_a_full_disk_is_told_to_the_one_it_hits_and_nothing_acknowledged_is_lost(ledger: Ledger) -> None:
    ledger.add_counts({"a": 1})
    driver = _group(ledger)._driver
    pages = driver.execute("PRAGMA page_count").fetchone()[0]
    driver.execute(f"PRAGMA max_page_count={pages}")
    big = "x" * 200_000
    tasks = [_add(ledger, "b"), _add(ledger, big), _add(ledger, "c")]
    answers = _while_busy(ledger, tasks)
    kept = ledger.counts()
    assert isinstance(answers[1], Exception)
    assert [isinstance(answer, Exception) for answer in answers] == [name not in kept for name in ("b", big, "c")]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plans=st.lists(st.lists(st.sampled_from(["keep", "fail", "caught"]), max_size=5), min_size=2, max_size=6))
def test_whoever_fails_among_many_threads_the_others_keep_exactly_their_own(
    ledger: Ledger, plans: list[list[str]]
) -> None:
    before = ledger.counts()

    def work(name: str, plan: list[str]) -> None:
        for step in plan:
            with suppress(ValueError), ledger.atomic():
                ledger.add_counts({f"{name}.{step}": 1})
                if step == "caught":
                    with suppress(UnknownDeliveryError), ledger.atomic():
                        ledger.add_counts({f"{name}.inner": 1})
                        ledger.confirm("never begun", {})
                if step == "fail":
                    raise ValueError

    threads = [threading.Thread(target=work, args=(f"t{place}", plan)) for place, plan in enumerate(plans)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    expected = dict(before)
    for place, plan in enumerate(plans):
        for step in ("keep", "caught"):
            if plan.count(step):
                name = f"t{place}.{step}"
                expected[name] = expected.get(name, 0) + plan.count(step)
    assert ledger.counts() == expected


def test_a_claim_does_not_wait_for_the_disk_and_what_must_not_be_lost_does(ledger: Ledger) -> None:
    def synchronous() -> int:
        return _group(ledger)._driver.execute("PRAGMA synchronous").fetchone()[0]

    ledger.add_counts({"a": 1})
    assert synchronous() == 2
    ledger.claim("lane", limit=1, lease=timedelta(seconds=1), bulk=False)
    assert synchronous() == 1
    ledger.beat("lane", "a")
    ledger.add_counts({"a": 1})
    assert synchronous() == 2
    beats: list[Callable[[], object]] = [lambda: ledger.beat("lane", "a")] * 3
    assert _while_busy(ledger, [*beats, _add(ledger, "b"), *beats]) == [None] * 3 + [1] + [None] * 3


def _watch_disk(monkeypatch: pytest.MonkeyPatch, look: Callable[[], object]) -> list[tuple[str, object]]:
    """Every file that is waited for on its way to the disk from now on, with what `look` sees before the wait."""
    seen: list[tuple[str, object]] = []
    wait = os.fdatasync

    def watched(descriptor: int) -> None:
        seen.append((Path(os.readlink(f"/proc/self/fd/{descriptor}")).name, look()))
        wait(descriptor)

    monkeypatch.setattr(os, "fdatasync", watched)
    return seen


def _refuse(patch: pytest.MonkeyPatch) -> None:
    """A disk that takes nothing."""

    def broken(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    patch.setattr(os, "fdatasync", broken)


def test_what_must_not_be_lost_waits_for_the_disk_also_when_it_went_along_with_what_may_be(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = _watch_disk(monkeypatch, ledger.counts)
    thread = threading.Thread(target=_add(ledger, "kept"))
    with ledger._writing(durable=False):
        thread.start()
        while _group(ledger)._waiting < 1:
            time.sleep(0.001)
    thread.join(timeout=60)
    assert waits == [("ledger.sqlite-wal", {"kept": 1})]


def test_what_was_committed_without_the_disk_is_brought_there_by_a_sync(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = _watch_disk(monkeypatch, ledger.inbox_counts)
    delivery = InboxDelivery("advocacy", "d1", "ping", "webhook", None, None, b"x", bulk=False)
    assert ledger.receive_many([delivery], durable=False) == [True]
    assert waits == []
    ledger.sync()
    assert waits == [("ledger.sqlite-wal", {"received": 1})]


def test_a_disk_that_takes_nothing_is_told_to_whoever_waits_for_it(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refuse(monkeypatch)
    ledger.add_counts({"a": 1})
    with pytest.raises(LedgerError, match="cannot be synced to disk: Input/output error"):
        ledger.sync()


def test_what_a_disk_refused_once_is_written_home_before_anybody_is_told_that_it_is_there(
    ledger: Ledger, tmp_path: Path
) -> None:
    # The kernel takes pages whose writing failed for written: a second wait alone would say that all is well.
    with pytest.MonkeyPatch.context() as patch:
        _refuse(patch)
        ledger.add_counts({"a": 1})
        with pytest.raises(LedgerError):
            ledger.sync()
    log = tmp_path / "ledger.sqlite-wal"
    with sqlite3.connect(f"file:{tmp_path}/ledger.sqlite", isolation_level=None) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM inbox").fetchone()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("referral_pipeline.ledger.group_commit.BUSY_TIMEOUT_SECONDS", 0.1)
            with pytest.raises(LedgerError, match="it is in use"):
                ledger.sync()
        reader.execute("COMMIT")
    assert log.stat().st_size > 0
    ledger.sync()
    assert log.stat().st_size == 0
    ledger.add_counts({"a": 1})
    ledger.sync()
    assert (ledger.counts(), log.stat().st_size > 0) == ({"a": 2}, True)


def test_whoever_asks_while_the_disk_is_waited_for_waits_too_and_shares_the_next_wait(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.add_counts({"a": 1})
    waits: list[int] = []
    began, go_on = threading.Event(), threading.Event()

    def slow(descriptor: int) -> None:
        waits.append(descriptor)
        began.set()
        assert go_on.wait(30)

    monkeypatch.setattr(os, "fdatasync", slow)
    done: list[int] = []

    def ask(number: int) -> None:
        ledger.sync()
        done.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(9)]
    threads[0].start()
    assert began.wait(30)
    for thread in threads[1:]:
        thread.start()
    disk = _group(ledger)._disk
    while disk._asked < 9:
        time.sleep(0.001)
    assert (len(waits), done) == (1, [])
    go_on.set()
    for thread in threads:
        thread.join(timeout=60)
    assert (len(waits), sorted(done)) == (2, list(range(9)))


def test_a_disk_that_refuses_is_told_to_everybody_who_waited_for_it(ledger: Ledger) -> None:
    # The kernel tells a failure once; here too only the first wait fails.
    answers: list[object] = []
    began, go_on = threading.Event(), threading.Event()

    def once(_: int) -> None:
        if not began.is_set():
            began.set()
            assert go_on.wait(30)
            raise OSError(errno.EIO, "Input/output error")

    def ask() -> None:
        try:
            answers.append(ledger.sync())
        except LedgerError as error:
            answers.append(str(error))

    ledger.add_counts({"a": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fdatasync", once)
        patch.setattr(type(_group(ledger)._disk), "_write_again", _raise_busy)
        threads = [threading.Thread(target=ask) for _ in range(3)]
        threads[0].start()
        assert began.wait(30)
        for thread in threads[1:]:
            thread.start()
        go_on.set()
        for thread in threads:
            thread.join(timeout=60)
    assert len(answers) == 3
    assert all("cannot be synced to disk" in str(answer) for answer in answers)


def _raise_busy(_: object) -> None:
    raise sqlite3.OperationalError


def test_a_log_that_is_gone_was_copied_home_before(ledger: Ledger, tmp_path: Path) -> None:
    ledger.add_counts({"a": 1})
    ledger.close()
    assert not (tmp_path / "ledger.sqlite-wal").exists()
    ledger.sync()
    assert ledger.counts() == {"a": 1}


_WRITE_AND_SAY = """
import os, sys, threading
from pathlib import Path
from referral_pipeline.ledger.store import Ledger
ledger = Ledger.open(sys.argv[1], home=Path(sys.argv[2]))
def work(name):
    for number in range(100_000):
        ledger.add_counts({f"{name}.{number}": 1})
        os.write(1, f"{name}.{number}\\n".encode())
for name in range(8):
    threading.Thread(target=work, args=(name,)).start()
"""


def test_what_was_acknowledged_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    child = start(_WRITE_AND_SAY, _url(tmp_path), str(tmp_path))
    assert child.stdout is not None
    said = [child.stdout.readline() for _ in range(200)]
    child.send_signal(signal.SIGKILL)
    said += child.stdout.readlines()
    child.communicate(timeout=60)
    acknowledged = {line.strip() for line in said if line.endswith("\n")}
    with Ledger.open(_url(tmp_path), home=tmp_path) as ledger:
        kept = ledger.counts()
        ledger.add_counts({"after": 1})
    assert acknowledged <= set(kept)
    assert len(kept) <= len(acknowledged) + 8 + sum(not line.endswith("\n") for line in said)


_WRITE = """
import sys, threading
from pathlib import Path
from referral_pipeline.ledger.store import Ledger
ledger = Ledger.open(sys.argv[1], home=Path(sys.argv[2]))
def work():
    for _ in range(40):
        ledger.add_counts({"n": 1})
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def test_processes_with_many_threads_each_lose_no_write_and_starve_nobody(tmp_path: Path) -> None:
    for child in [start(_WRITE, _url(tmp_path), str(tmp_path)) for _ in range(2)]:
        finish(child)
    with Ledger.open(_url(tmp_path), home=tmp_path) as ledger:
        assert ledger.counts() == {"n": 320}


def test_a_closed_ledger_can_be_used_again(ledger: Ledger) -> None:
    ledger.add_counts({"a": 1})
    ledger.close()
    ledger.close()
    ledger.add_counts({"a": 1})
    assert ledger.counts() == {"a": 2}
