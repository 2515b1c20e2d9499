"""The record of every call that was made, and the buffer that carries it to the ledger.

Belongs here: `ApiCall` and `CallRecorder`. Does not belong here: where calls are kept (a callable is handed in, because
connectors know no store). A record holds no body, no id and no personal data.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

_LOG = logging.getLogger(__name__)
_MOST_KEPT = 100_000


class CallOutcome(StrEnum):
    """How one attempt ended."""

    OK = "ok"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    REFUSED = "refused"  # any other 4xx
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"  # no connection was made
    BROKEN = "broken"  # the connection or the answer broke off


FAILED = frozenset(
    {
        CallOutcome.UNAUTHORIZED,
        CallOutcome.REFUSED,
        CallOutcome.SERVER_ERROR,
        CallOutcome.TIMEOUT,
        CallOutcome.UNREACHABLE,
        CallOutcome.BROKEN,
    }
)
"""Ends that count as errors. Not among them: that a record is not there, that ours is older (both are answers that are
asked for), and that we are too fast, which the rate budget is judged by.
"""


@dataclass(frozen=True)
class ApiCall:
    """One attempt of one call.

    `budget_left` is what the system says may still be sent in its present window; `clock_skew_ms` how far its clock was
    ahead of ours (behind: below 0) by the `Date` of its answer, which carries whole seconds.
    """

    system: str
    operation: str
    method: str
    status: int | None
    outcome: str
    latency_ms: int
    attempt: int
    budget_left: int | None
    at: datetime
    clock_skew_ms: int | None = None


class CallRecorder:
    """Collects calls and writes them in batches, so that measuring costs a call next to nothing.

    Writes when `flush_rows` are waiting or `flush_seconds` after the first of them, and on `close()` or at exit. When
    writing fails it is logged and tried again; only beyond 100,000 waiting rows are the oldest given up, with a log
    line that says how many. Safe for threads.
    """

    def __init__(
        self,
        write: Callable[[Sequence[ApiCall]], None],
        *,
        flush_rows: int = 200,
        flush_seconds: float = 1.0,
        retry_seconds: float = 1.0,
    ) -> None:
        self._write = write
        self._flush_rows = flush_rows
        self._flush_seconds = flush_seconds
        self._retry_seconds = retry_seconds
        self._waiting: list[ApiCall] = []
        self._wake = threading.Condition()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        atexit.register(self.close)

    def __call__(self, call: ApiCall) -> None:
        """Take one call; never blocks on the store and never raises for it."""
        with self._wake:
            self._waiting.append(call)
            if self._thread is None or not self._thread.is_alive():
                # Not alive: after a fork, where the thread of the parent does not exist.
                self._thread = threading.Thread(target=self._run, name="call-recorder", daemon=True)
                self._thread.start()
            elif len(self._waiting) in {1, self._flush_rows}:
                self._wake.notify_all()

    def __enter__(self) -> Self:
        """For use in a `with` block that flushes at its end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Flush and stop."""
        self.close()

    def flush(self) -> bool:
        """Write what is waiting now. False when the store refused; the rows are kept."""
        with self._writing:
            with self._wake:
                batch, self._waiting = self._waiting, []
            if not batch:
                return True
            try:
                self._write(batch)
            except Exception:  # noqa: BLE001 - whatever the store raises, a measurement must not stop the work
                _LOG.warning("%d api calls could not be recorded yet; they are kept", len(batch), exc_info=True)
                self._put_back(batch)
                return False
        return True

    def close(self) -> None:
        """Write what is waiting (three tries) and stop. Idempotent."""
        with self._wake:
            thread, self._thread = self._thread, None
            self._wake.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=30)
        for _ in range(3):
            if self.flush():
                break
        else:
            _LOG.error("%d api calls were lost: the store refused them until the end", len(self._waiting))
        atexit.unregister(self.close)

    def _put_back(self, batch: list[ApiCall]) -> None:
        with self._wake:
            self._waiting = batch + self._waiting
            surplus = len(self._waiting) - _MOST_KEPT
            if surplus > 0:
                del self._waiting[:surplus]
                _LOG.error("%d api calls were lost: too many wait for the store", surplus)

    def _run(self) -> None:
        me = threading.current_thread()
        refused = False
        while self._thread is me:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting or self._thread is not me)
                if refused:
                    self._wake.wait_for(lambda: self._thread is not me, self._retry_seconds)
                self._wake.wait_for(
                    lambda: len(self._waiting) >= self._flush_rows or self._thread is not me, self._flush_seconds
                )
            refused = not self.flush()
