"""The way into the inbox: deliveries that come at the same time share one commit.

Belongs here: the queue, group commit. Does not belong here: HTTP, how a batch is read, encrypted and committed
(`writer`).

While a batch is being committed the next one gathers. A delivery that is alone waits for nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter

from referral_pipeline.webhooks.writer import Row, Taken

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
    """Takes arrivals and commits them, batch after batch. Answers only what is on disk. Belongs to one event loop."""

    def __init__(
        self,
        commit: Callable[[Sequence[Row]], Awaitable[list[Taken]]],
        *,
        observe: Callable[[float, int], None] = lambda seconds, rows: None,
    ) -> None:
        """Start nothing yet.

        Args:
            commit: encrypts rows and puts them on disk.
            observe: called with the seconds and the rows of each commit.
        """
        self._commit = commit
        self._observe = observe
        self._gathering: list[_Waiting] = []
        self._gathering_bytes = 0
        self._writing: asyncio.Task[None] | None = None

    def submit(self, row: Row) -> asyncio.Future[Taken]:
        """Queue a verified delivery. The future tells what it was, and whether it is new, once it is on disk.

        The future raises NotCommitted when the inbox did not take it.

        Raises:
            IntakeFull: too much is waiting.
        """
        size = len(row[-1])
        if len(self._gathering) >= MOST_WAITING or self._gathering_bytes + size > MOST_WAITING_BYTES:
            raise IntakeFull
        future: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        self._gathering.append((row, future))
        self._gathering_bytes += size
        if self._writing is None:
            # A task begins at the end of this turn of the loop: what came in the same turn goes into the same commit.
            self._writing = asyncio.create_task(self._write())
        return future

    async def close(self) -> None:
        """Commit what is waiting."""
        if self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        try:
            while self._gathering:
                batch = self._gathering[:_MOST_IN_ONE_COMMIT]
                del self._gathering[:_MOST_IN_ONE_COMMIT]
                self._gathering_bytes = sum(len(row[-1]) for row, _ in self._gathering) if self._gathering else 0
                await self._write_one(batch)
        finally:
            self._writing = None

    async def _write_one(self, batch: list[_Waiting]) -> None:
        started, taken = perf_counter(), None
        try:
            taken = await self._commit([row for row, _ in batch])
        except Exception as error:  # noqa: BLE001 whatever it was, the senders must hear that it is not kept
            # The type alone: the text of a database error is not ours to vouch for.
            _log.error("%d deliveries could not be committed: %s", len(batch), type(error).__name__)
        if taken is None or len(taken) != len(batch):
            for _, future in batch:
                if not future.done():
                    future.set_exception(NotCommitted())
            return
        for (_, future), one in zip(batch, taken, strict=True):
            if not future.done():
                future.set_result(one)
        try:
            self._observe(perf_counter() - started, len(batch))
        except Exception as error:  # noqa: BLE001 a figure less, and those who gather meanwhile are still answered
            _log.error("a commit could not be counted: %s", type(error).__name__)
