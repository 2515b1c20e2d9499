"""A circuit breaker for one system, so that an outage costs one probe now and then, not every event's attempts.

Belongs here: when calls are let through, when not, and saying so. Does not belong here: sending (`connectors.http`),
where the state is kept and who is alerted (`on_change` is handed in).

Rules
1. Closed: calls pass. Failures of the *system* are counted while they come one after the other: no connection, no
   answer, a broken answer, 5xx. An answer that refuses the call (4xx, 429) proves that the system works.
2. Open: calls raise `CircuitOpen` and are not sent, for a cool-down that doubles with each probe that fails. A longer
   Retry-After of the system wins.
3. Half-open: after the cool-down exactly one call is sent. If it succeeds the breaker closes, else it opens again.
4. A credential that is refused also after a fresh token opens it at once: no other call would fare better.
5. What was sent before a change of state says nothing about the state after it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from referral_pipeline.connectors.clock import Clock
from referral_pipeline.connectors.failures import (
    CircuitOpen,
    HttpFailure,
    PermanentFailure,
    TransientFailure,
    Unauthorized,
)

_LOG = logging.getLogger(__name__)

CREDENTIAL_REFUSED = "credential refused"
"""The reason of a breaker that a 401 has opened."""
_PROBE_UNDER_WAY_SECONDS = 1.0
"""When to ask again while another call probes the system."""
_FAR_AWAY_SECONDS = 3600.0
"""The longest Retry-After that is obeyed."""


class Circuit(StrEnum):
    """The states of a breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True)
class BreakerChange:
    """A breaker's state from `since` on. `failures` led to it; `retry_at` is when an open breaker sends its probe."""

    system: str
    state: str
    previous: str
    since: datetime
    retry_at: datetime | None
    failures: int
    reason: str


@dataclass(frozen=True)
class _Permit:
    generation: int
    probe: bool


class Breaker:
    """The breaker of one system. Safe for threads.

    Args:
        system: Name used in messages.
        failures_to_open: How many failures, one after the other, open it.
        cool_down: Seconds before the first probe, and the most they double to.
        clock: Time, for tests.
        on_change: Told each change, in order, by the thread whose call caused it, outside the lock. What it raises is
            logged and stops nothing.
    """

    def __init__(
        self,
        system: str,
        *,
        failures_to_open: int = 5,
        cool_down: tuple[float, float] = (10.0, 120.0),
        clock: Clock | None = None,
        on_change: Callable[[BreakerChange], None] | None = None,
    ) -> None:
        self.system = system
        self._failures_to_open = failures_to_open
        self._first_cool_down, self._longest_cool_down = cool_down
        self._clock = clock or Clock()
        self._on_change = on_change
        self._lock = threading.Lock()
        self._telling = threading.RLock()
        self._untold: deque[BreakerChange] = deque()
        self._state = Circuit.CLOSED
        self._generation = 0
        self._failures = 0
        self._next_cool_down = self._first_cool_down
        self._probe_at = 0.0  # monotonic
        self._reason = ""
        self._current = self._described(Circuit.CLOSED)

    @property
    def state(self) -> Circuit:
        """The present state. An open breaker whose cool-down is over stays open until a call asks."""
        return self._state

    @property
    def current(self) -> BreakerChange:
        """The present state with since when and why."""
        with self._lock:
            return self._current

    @property
    def seconds_left(self) -> float:
        """Seconds until a call may be tried; 0 when one may be tried now."""
        with self._lock:
            return self._seconds_left()

    def restore(self, state: str, retry_at: datetime | None, *, failures: int = 0, reason: str = "") -> None:
        """Go on where another process stopped. Nobody is told: it is no change.

        A half-open breaker has lost its probe with that process, so it is open and may probe at once. A `retry_at`
        further away than a breaker can ask for (a clock was moved) is not waited for.
        """
        with self._lock:
            self._generation += 1
            self._failures, self._reason = failures, reason
            if state == Circuit.CLOSED:
                self._state = Circuit.CLOSED
            else:
                self._state = Circuit.OPEN
                left = retry_at.timestamp() - self._clock.now() if retry_at is not None else 0.0
                self._probe_at = self._clock.monotonic() + min(
                    max(left, 0.0), max(self._longest_cool_down, _FAR_AWAY_SECONDS)
                )
            self._current = self._described(self._state)

    @contextmanager
    def call(self, operation: str = "call") -> Generator[None]:
        """Around one attempt, token and all: refuses it, or learns from how it ends.

        Raises:
            CircuitOpen: The attempt must not be made now.
        """
        permit = self._enter(operation)
        self._tell()
        try:
            yield
        except HttpFailure as failure:
            self._ended(permit, failure)
            raise
        except BaseException:
            # Not the system's doing (the process is stopping): the next call is the probe.
            self._abandoned(permit)
            raise
        else:
            self._ended(permit, None)
        finally:
            self._tell()

    # ------------------------------------------------------------ under the lock

    def _enter(self, operation: str) -> _Permit:
        with self._lock:
            left = self._seconds_left()
            if left > 0:
                detail = f"not sent, its breaker is open: {self._reason or 'it failed before'}"
                raise CircuitOpen(self.system, operation, detail=detail, retry_after=left)
            if self._state is Circuit.OPEN:
                self._change(Circuit.HALF_OPEN)
                return _Permit(self._generation, probe=True)
            return _Permit(self._generation, probe=False)

    def _seconds_left(self) -> float:
        if self._state is Circuit.OPEN:
            return max(self._probe_at - self._clock.monotonic(), 0.0)
        return _PROBE_UNDER_WAY_SECONDS if self._state is Circuit.HALF_OPEN else 0.0

    def _ended(self, permit: _Permit, failure: HttpFailure | None) -> None:
        with self._lock:
            if permit.generation != self._generation:
                return
            if failure is not None and _blames_the_system(failure):
                self._failures += 1
                refused = isinstance(failure, Unauthorized)
                if permit.probe or refused or self._failures >= self._failures_to_open:
                    self._open(CREDENTIAL_REFUSED if refused else _what(failure), failure.retry_after or 0.0)
                return
            self._failures = 0
            if permit.probe:
                self._next_cool_down = self._first_cool_down
                self._reason = ""
                self._change(Circuit.CLOSED)

    def _abandoned(self, permit: _Permit) -> None:
        with self._lock:
            if permit.probe and permit.generation == self._generation:
                self._probe_at = self._clock.monotonic()
                self._change(Circuit.OPEN)

    def _open(self, reason: str, told_to_wait: float) -> None:
        wait = max(self._next_cool_down, told_to_wait)
        self._next_cool_down = min(self._next_cool_down * 2, self._longest_cool_down)
        self._probe_at = self._clock.monotonic() + wait
        self._reason = reason
        self._change(Circuit.OPEN)

    def _change(self, state: Circuit) -> None:
        previous, self._state = self._state, state
        self._generation += 1
        self._current = self._described(previous)
        self._untold.append(self._current)

    def _described(self, previous: Circuit) -> BreakerChange:
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        retry_at = None
        if self._state is Circuit.OPEN:
            retry_at = datetime.fromtimestamp(self._clock.now() + self._seconds_left(), UTC)
        return BreakerChange(
            system=self.system,
            state=self._state.value,
            previous=previous.value,
            since=now,
            retry_at=retry_at,
            failures=self._failures,
            reason=self._reason,
        )

    # ------------------------------------------------------------ outside it

    def _tell(self) -> None:
        if not self._untold:
            return
        with self._telling:
            while self._untold:
                change = self._untold.popleft()
                level = logging.INFO if change.state == Circuit.CLOSED else logging.WARNING
                _LOG.log(level, "calls to %s: %s (%s)", change.system, change.state, change.reason or "it works again")
                if self._on_change is None:
                    continue
                try:
                    self._on_change(change)
                except Exception:  # noqa: BLE001 - whoever is told, a call must not fail for it
                    _LOG.exception("a change of the breaker of %s could not be passed on", change.system)


def _blames_the_system(failure: HttpFailure) -> bool:
    """Whether a failure says that the next call would fail too."""
    if isinstance(failure, Unauthorized):
        return True
    if failure.status is None:
        # No answer at all; without one, only a permanent failure of the connection (an untrusted certificate) counts.
        return isinstance(failure, TransientFailure) or (
            isinstance(failure, PermanentFailure) and failure.__class__ is PermanentFailure
        )
    # A status of success with a failure is an answer that broke off or cannot be read.
    return failure.status >= 500 or failure.status < 300


def _what(failure: HttpFailure) -> str:
    """Why, in words without anything of the vendor's."""
    if failure.status is None:
        return "no usable answer"
    return f"answered {failure.status}" if failure.status >= 500 else "broken answers"
