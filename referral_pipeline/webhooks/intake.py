"""The way into the inbox: deliveries that come at the same time share one commit.

Belongs here: the queue, its one thread, group commit. Does not belong here: HTTP, reading of bodies, how a batch is
encrypted and committed (`writer`).

While a batch is being committed the next one gathers. A delivery that is alone waits for nobody.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from time import perf_counter

from referral_pipeline.webhooks.writer import Row, Taken, any_new

MOST_WAITING = 2_000
MOST_WAITING_BYTES = 64 * 2**20
_MOST_IN_ONE_COMMIT = 500

_log = logging.getLogger(__name__)


class IntakeFull(Exception):
    """More is waiting to be committed than the process may hold: the sender shall try again."""


class NotCommitted(Exception):
    """The inbox did not take it. The sender shall try again."""


_Waiting = tuple[Row, "asyncio.Future[Taken]"]


class Intake:
    """Takes arrivals from one event loop and commits them in one thread. Answers only what is on disk."""

    def __init__(
        self,
        commit: Callable[[Sequence[Row]], list[Taken]],
        *,
        on_commit: Callable[[], None] = lambda: None,
        afterwards: Callable[[], None] = lambda: None,
        observe: Callable[[float, int], None] = lambda seconds, rows: None,
    ) -> None:
        """Start no thread yet.

        Args:
            commit: encrypts rows and puts them on disk; called in the writer thread.
            on_commit: called in the writer thread after each commit that brought something new, before its senders
                hear of it: it must be quick.
            afterwards: called in the writer thread when they have heard.
            observe: called in the event loop with the seconds and the rows of each commit.
        """
        self._commit = commit
        self._on_commit = on_commit
        self._afterwards = afterwards
        self._observe = observe
        # All of these belong to the event loop; the two threads meet only in the queue and in call_soon_threadsafe.
        self._gathering: list[_Waiting] = []
        self._gathering_bytes = 0
        self._is_busy = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._batches: SimpleQueue[list[_Waiting] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, row: Row) -> asyncio.Future[Taken]:
        """Queue a verified delivery. The future tells what it was, and whether it is new, once it is on disk.

        The future raises NotCommitted when the inbox did not take it.

        Raises:
            IntakeFull: too much is waiting.
        """
        size = len(row[-1])
        if len(self._gathering) >= MOST_WAITING or self._gathering_bytes + size > MOST_WAITING_BYTES:
            raise IntakeFull
        if self._thread is None:
            self._start()
        assert self._loop is not None
        future: asyncio.Future[Taken] = self._loop.create_future()
        self._gathering.append((row, future))
        self._gathering_bytes += size
        if not self._is_busy:
            # At the end of this turn of the loop: what came in the same turn goes into the same commit.
            self._is_busy = True
            self._loop.call_soon(self._hand_over)
        return future

    def close(self) -> None:
        """Commit what was handed over, then end the thread."""
        if self._thread is not None:
            self._batches.put(None)
            self._thread.join()
            self._thread = None

    def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write, name="intake", daemon=True)
        self._thread.start()

    def _hand_over(self) -> None:
        batch = self._gathering[:_MOST_IN_ONE_COMMIT]
        del self._gathering[:_MOST_IN_ONE_COMMIT]
        self._gathering_bytes = sum(len(row[-1]) for row, _ in self._gathering) if self._gathering else 0
        self._batches.put(batch)

    def _committed(self, batch: list[_Waiting], taken: list[Taken] | None, seconds: float) -> None:
        if self._gathering:
            self._hand_over()
        else:
            self._is_busy = False
        if taken is None:
            for _, future in batch:
                if not future.done():
                    future.set_exception(NotCommitted())
            return
        for (_, future), one in zip(batch, taken, strict=True):
            if not future.done():
                future.set_result(one)
        self._observe(seconds, len(batch))

    def _write(self) -> None:
        assert self._loop is not None
        while (batch := self._batches.get()) is not None:
            started, taken = perf_counter(), None
            try:
                taken = self._commit([row for row, _ in batch])
            except Exception as error:  # noqa: BLE001 whatever it was, the senders must hear that it is not kept
                # The type alone: the text of a database error is not ours to vouch for.
                _log.error("%d deliveries could not be committed: %s", len(batch), type(error).__name__)
            seconds = perf_counter() - started
            is_news = taken is not None and any_new(taken)
            if is_news:
                _attempt(self._on_commit)
            try:
                self._loop.call_soon_threadsafe(self._committed, batch, taken, seconds)
            except RuntimeError:  # the loop is closed: nobody waits for an answer any more
                return
            if is_news:
                _attempt(self._afterwards)


def _attempt(step: Callable[[], None]) -> None:
    try:
        step()
    except Exception as error:  # noqa: BLE001 without the writer thread no sender would ever hear again
        _log.error("what follows a commit failed: %s", type(error).__name__)
