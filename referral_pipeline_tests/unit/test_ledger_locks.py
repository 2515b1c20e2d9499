"""Exclusive keys: one holder at a time among threads and processes, and none that outlives its process."""

from __future__ import annotations

import fcntl
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from referral_pipeline.ledger.store import Ledger, LedgerError
from referral_pipeline_tests.unit.ledger_databases import BACKENDS, finish, fresh_url, start


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield from fresh_url(request.param, tmp_path)


@pytest.fixture
def ledger(url: str, tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(url, home=tmp_path) as opened:
        yield opened


_COUNT = """
import random, sys
from pathlib import Path
from referral_pipeline.ledger.store import Ledger
ledger, counter = Ledger.open(sys.argv[1], home=Path(sys.argv[2])), Path(sys.argv[2]) / "counter"
for number in range(60):
    with ledger.exclusive(random.sample(["a", "b", "c"], 2) + ["counter"]):
        counter.write_text(str(int(counter.read_text()) + 1))
"""

_HOLD = """
import sys, time
from pathlib import Path
from referral_pipeline.ledger.store import Ledger
with Ledger.open(sys.argv[1], home=Path(sys.argv[2])).exclusive(["email:1", "email:2"]):
    print("held", flush=True)
    time.sleep(600)
"""


def test_threads_that_ask_for_keys_in_any_order_neither_meet_nor_wait_forever(ledger: Ledger) -> None:
    inside = dict.fromkeys("abcde", 0)
    met: list[str] = []

    def work(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(60):
            keys = dice.sample("abcde", dice.randint(1, 3))
            with ledger.exclusive(keys):
                for key in keys:
                    inside[key] += 1
                    if inside[key] != 1:
                        met.append(key)
                for key in keys:
                    inside[key] -= 1

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    assert met == []


def test_processes_exclude_each_other(url: str, tmp_path: Path, ledger: Ledger) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    for child in [start(_COUNT, url, str(tmp_path)) for _ in range(3)]:
        finish(child)
    assert counter.read_text() == "180"


def test_a_killed_process_lets_its_keys_go(url: str, tmp_path: Path, ledger: Ledger) -> None:
    child = start(_HOLD, url, str(tmp_path))
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    entered = threading.Event()

    def wait() -> None:
        with ledger.exclusive(["email:2"]):
            entered.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    with ledger.exclusive(["email:3"]):
        assert not entered.is_set()
    child.kill()
    child.communicate(timeout=60)
    assert entered.wait(timeout=60)
    waiting.join()


def test_keys_are_let_go_when_the_block_fails(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="inside"), ledger.exclusive(["a"]):
        raise ValueError("inside")
    with ledger.exclusive(["a"]):
        pass


def test_a_thread_may_ask_again_for_what_it_holds_but_not_for_more(ledger: Ledger) -> None:
    with ledger.exclusive(["a", "b", "a"]):
        with ledger.exclusive(["b"]), ledger.exclusive([]):
            pass
        with pytest.raises(RuntimeError, match="all of them at once"), ledger.exclusive(["a", "c"]):
            pass
    with ledger.exclusive(["c"]):
        pass


def test_where_the_kernel_has_no_such_locks_a_ledger_on_sqlite_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.delattr(fcntl, "F_OFD_SETLKW")
    with pytest.raises(LedgerError, match=r"only Linux has: set ledger\.url"):
        Ledger.open("sqlite:///ledger.sqlite", home=tmp_path)
