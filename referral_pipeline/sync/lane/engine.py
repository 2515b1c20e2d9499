"""The engine of the lane: claims, threads, failures, and the outcome of each event back into the inbox.

Belongs here: when work is claimed, what runs side by side, what a failure means for its events. Does not belong here:
what the work is (handlers, doing, persons), the run in which it is shown (orchestration).

What a failure means
- The system is down or a breaker is open: the event goes back uncounted, to be taken when the system answers again.
- Not to be judged yet (a fresh record may be hidden, an own create is under way): back uncounted, to its time.
- In passing, while the system works otherwise (a cheap read right after it tells): counted, with doubling pauses and
  jitter; dead after twelve, but not within two hours: half an outage, where reads work and writes fail, looks the same.
  That read also keeps a record that one system cannot digest from opening its breaker.
- Refused for good: dead at once, with request and answer in the ledger, and the owner is told.
- Several records in one piece of work: it is taken apart first, so that one of them does not take others along.
- The ledger cannot be used (a full disk, another writer): as if the system were down.
- A fault of our own: counted like one in passing; dead after five. Its words stay out of the ledger, they may quote a
  person.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from time import monotonic

from referral_pipeline.connectors.breaker import Breaker, Circuit
from referral_pipeline.connectors.failures import (
    AmbiguousOutcome,
    CircuitOpen,
    HttpFailure,
    PermanentFailure,
    RateLimited,
    TransientFailure,
    Unauthorized,
)
from referral_pipeline.ledger.engine import UNUSABLE
from referral_pipeline.ledger.records import InboxEvent
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.sync.creation import NotYetVisibleError
from referral_pipeline.sync.lane.handlers import Handlers
from referral_pipeline.sync.lane.work import UNREADABLE, Stopped, WaitUntil, Work

_LOG = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
_BEAT_SECONDS = 3.0
_STUCK_SECONDS = 120.0
"""Longer than the ledger, or a look at both systems, keeps the dispatcher waiting."""
_POLL_SECONDS = 0.25
_BULK_SECONDS = 0.3
"""Longer than a poll: who was idle has just looked, and does not do so again beside the first write of an event."""
_CLAIM = 64
_CLAIM_BULK = 1_000
_MOST_ATTEMPTS = 12
_LEAST_AGE = timedelta(hours=2)
_PATIENCE = timedelta(minutes=2)
LATE_AFTER = _MOST_ATTEMPTS
"""An event that has failed so often and is tried on is told to its owner: nothing else would show half an outage."""
_MOST_OWN_FAULTS = 5
_LONGEST_PAUSE = 600.0
_LEDGER_PAUSE = 5.0
_MOST_REPORTS = 50_000


@dataclass(frozen=True)
class Done:
    """What became of one event, for whoever looks: no personal data."""

    event_id: int
    system: str
    event_type: str
    subject: str | None
    outcome: str
    attempts: int
    seconds: float
    """From its receipt to this outcome."""


@dataclass(frozen=True)
class _Result:
    work: Work
    outcomes: dict[int, str] = field(default_factory=dict[int, str])
    failure: Exception | None = None
    system_works: bool = True


@dataclass(frozen=True)
class Watch:
    """What the engine tells others while it works. Each is called outside any lock; what it raises is logged."""

    dead: Callable[[InboxEvent, str], None] = lambda event, error: None
    late: Callable[[InboxEvent, str], None] = lambda event, error: None
    tick: Callable[[], None] = lambda: None
    beat: Callable[[], None] = lambda: None


class Engine:
    """Does the events of the inbox until it is told to stop. One instance a process.

    Args:
        ledger: the inbox.
        handlers: the work.
        breakers: by system; while the ATS's is open nothing but bulk is claimed.
        pings: by system, a cheap read that shows whether the system answers again.
        ats_system: whose breaker stops claims.
        owner: the name under which events are claimed.
        workers: threads.
        clock: the time, aware.
        watch: who is told what.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        handlers: Handlers,
        breakers: dict[str, Breaker],
        pings: dict[str, Callable[[], object]],
        ats_system: str,
        owner: str,
        workers: int = 8,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        watch: Watch | None = None,
    ) -> None:
        self.owner = owner
        self.run_id: str | None = None
        self.reports: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._ledger = ledger
        self._handlers = handlers
        self._breakers = breakers
        self._pings = pings
        self._ats_system = ats_system
        self._workers = workers
        self._clock = clock
        self._watch = watch or Watch()
        self._signals: queue.SimpleQueue[_Result | None] = queue.SimpleQueue()
        self._waiting: deque[Work] = deque()
        self._busy: set[str] = set()
        self._running = 0
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="lane")
        self._bulk_running = False
        self._bulk_looked_at = 0.0
        self._more = True
        self._turned_at = monotonic()
        self._finished = threading.Event()
        self._judged_at = datetime.min.replace(tzinfo=UTC)  # when what was put off unjudged has been looked at again

    # ------------------------------------------------------------ from outside

    def wake(self) -> None:
        """Look at the inbox now."""
        self._signals.put(None)

    @property
    def is_finished(self) -> bool:
        """Whether it has stopped, with every outcome in the reports."""
        return self._finished.is_set()

    def is_idle(self) -> bool:
        """Whether nothing is claimed and the last look found nothing."""
        return self._running == 0 and not self._waiting and not self._more

    def run(self, stop: threading.Event, *, until_empty: bool = False, is_patient: bool = False) -> None:
        """Work until `stop` is set; then finish what is under way, and give back what was only claimed.

        With `until_empty` it ends by itself once nothing that may be done now is waiting; with `is_patient` it stays,
        for two minutes at most, for what it found and could not judge yet. A create that a killed process left behind
        is judged when the ATS's visibility lag has passed since this process began: runs that end sooner, one after
        the other, would never get there.
        """
        patient_until = self._clock() + _PATIENCE
        beating = threading.Thread(target=self._keep_beating, name="lane-heartbeat", daemon=True)
        beating.start()
        self._more = True
        try:
            while not stop.is_set():
                self._begin()
                if until_empty and self.is_idle():
                    now = self._clock()
                    if not is_patient or now > self._judged_at or now > patient_until:
                        break
                self._await()
        finally:
            try:
                self._finish()
            finally:
                # Whatever the ledger said: who waits for the end must hear of it, and a lane that ended must not beat.
                self._finished.set()
                beating.join()

    def _finish(self) -> None:
        self._waiting.clear()
        self._pool.shutdown(wait=True)
        self._settle(self._drained())
        self._ledger.free_claims(self.owner)

    def _begin(self) -> None:
        """The first half of a round: claim and start."""
        self._turned_at = monotonic()
        if self._more or not self._waiting:
            self._claim()
        self._start()

    def _await(self) -> None:
        """The second half: wait for a signal, settle."""
        idle = not self._more or len(self._waiting) + self._running >= 2 * self._workers
        results = self._drained(_POLL_SECONDS if idle else 0.0)
        self._settle(results)

    def _drained(self, wait: float = 0.0) -> list[_Result]:
        """The results that are there; waits for the first signal when there is none."""
        results: list[_Result] = []
        try:
            signal = self._signals.get(timeout=wait) if wait else self._signals.get_nowait()
        except queue.Empty:
            self._more = self._more or wait > 0
            return results
        while True:
            if signal is None:
                self._more = True
            else:
                results.append(signal)
            try:
                signal = self._signals.get_nowait()
            except queue.Empty:
                return results

    # ------------------------------------------------------------ claiming

    def _claim(self) -> None:
        self._more = False
        self._ping_what_is_due()
        self._claim_events()
        self._start()
        if not self._bulk_running and self._is_time_for_bulk():
            self._bulk_looked_at = monotonic()
            bulk = self._ledger.claim(self.owner, limit=_CLAIM_BULK, lease=LEASE, bulk=True)
            if bulk:
                self._more = self._more or len(bulk) == _CLAIM_BULK
                self._bulk_running = True
                self._submit(Work("bulk", bulk, frozenset(), lambda: dict(self._handlers.bulk(bulk))))

    def _is_time_for_bulk(self) -> bool:
        """While events are being done, a look at the bulk would slow them: then it comes a few times a second."""
        return self._running == 0 or monotonic() - self._bulk_looked_at > _BULK_SECONDS

    def _claim_events(self) -> None:
        if self._breakers[self._ats_system].state is not Circuit.CLOSED:
            return
        room = 2 * self._workers - len(self._waiting) - self._running
        if room <= 0:
            return
        events = self._ledger.claim(self.owner, limit=_CLAIM, lease=LEASE, bulk=False)
        if not events:
            return
        self._more = self._more or len(events) == _CLAIM
        plan = self._handlers.plan(events)
        self._finish_events([(event, outcome) for event, outcome in plan.done])
        for event, error in plan.unreadable:
            self._bury(event, error)
        for event, fault in plan.broken:
            self._failed(_Result(Work("broken", [event], frozenset(), dict[int, str]), failure=fault))
        self._waiting.extend(plan.works)

    def _ping_what_is_due(self) -> None:
        """An open breaker whose pause is over is tried with a cheap read: no event is spent on finding out."""
        for system, breaker in self._breakers.items():
            if breaker.state is Circuit.CLOSED or breaker.seconds_left > 0:
                continue
            try:
                self._pings[system]()
            except Exception as failure:  # noqa: BLE001 - a look that fails, or is cut short by a stop, ends nothing
                _LOG.info("%s does not answer yet: %s", system, type(failure).__name__)

    def _start(self) -> None:
        """Start every waiting work that shares nothing with one that runs."""
        held: deque[Work] = deque()
        blocked: set[str] = set()
        while self._waiting and self._running < self._workers + 1:
            work = self._waiting.popleft()
            if work.keys & self._busy or work.keys & blocked:
                # What stands before in line goes before: order within a subject is the order of the inbox.
                blocked |= work.keys
                held.append(work)
                continue
            self._submit(work)
        self._waiting.extendleft(reversed(held))

    def _submit(self, work: Work) -> None:
        self._busy |= work.keys
        self._running += 1
        self._pool.submit(self._work, work)

    def _work(self, work: Work) -> None:
        try:
            result = _Result(work, outcomes=dict(work.do()))
        except Exception as failure:  # noqa: BLE001 - sorted by kind in _settle; nothing may leave a thread unseen
            result = _Result(work, failure=failure, system_works=self._works_otherwise(failure))
        self._signals.put(result)

    def _works_otherwise(self, failure: Exception) -> bool:
        """Whether the system that failed answers a read. Tells a bad record from a bad system, to the breaker too."""
        if not isinstance(failure, TransientFailure) or isinstance(failure, CircuitOpen | RateLimited):
            return True
        breaker, ping = self._breakers.get(failure.system), self._pings.get(failure.system)
        if breaker is None or ping is None or breaker.state is not Circuit.CLOSED:
            return False
        try:
            ping()
        except PermanentFailure as answer:
            return not isinstance(answer, Unauthorized)
        except Exception:  # noqa: BLE001 - whatever it was, it was no answer
            return False
        return True

    # ------------------------------------------------------------ settling

    def _settle(self, results: Iterable[_Result]) -> None:
        finished: list[tuple[InboxEvent, str]] = []
        for result in results:
            self._running -= 1
            self._busy -= result.work.keys
            if result.work.kind == "bulk":
                self._bulk_running = False
                self._more = True
            if result.failure is not None:
                self._failed(result)
            else:
                for event in result.work.events:
                    outcome = result.outcomes.get(event.id, "done")
                    if outcome == UNREADABLE:
                        self._bury(event, "the body cannot be read")
                    else:
                        finished.append((event, outcome))
        self._finish_events(finished)

    def _finish_events(self, finished: Sequence[tuple[InboxEvent, str]]) -> None:
        if not finished:
            return
        self._ledger.finish_many(self.owner, [(event.id, outcome) for event, outcome in finished], self.run_id)
        for event, outcome in finished:
            self._report(event, outcome)

    def _report(self, event: InboxEvent, outcome: str) -> None:
        now = self._clock()
        if self.reports.qsize() >= _MOST_REPORTS:
            with suppress(queue.Empty):
                self.reports.get_nowait()  # no run takes them; the inbox knows the outcomes
        self.reports.put(
            Done(
                event_id=event.id,
                system=event.system,
                event_type=event.event_type,
                subject=event.subject,
                outcome=outcome,
                attempts=event.attempts,
                seconds=(now - event.received_at).total_seconds(),
            )
        )

    def _failed(self, result: _Result) -> None:
        failure = result.failure
        assert failure is not None
        if result.work.parts is not None and _is_better_apart(result.work, failure):
            self._waiting.extendleft(reversed(result.work.parts()))
            return
        again: list[tuple[int, str, datetime, bool]] = []
        for event in result.work.events:
            wait, counted, most = self._meaning(failure, event, result.system_works)
            may_pass = isinstance(failure, TransientFailure) and self._clock() - event.received_at < _LEAST_AGE
            if wait is None or (counted and event.attempts >= most and not may_pass):
                self._bury(event, _words(failure))
                continue
            available_at = self._clock() + timedelta(seconds=wait)
            again.append((event.id, _words(failure), available_at, counted))
            if isinstance(failure, NotYetVisibleError | WaitUntil):
                self._judged_at = max(self._judged_at, available_at + timedelta(seconds=1))
            if counted and event.attempts == LATE_AFTER:
                self._told(partial(self._watch.late, event, _words(failure)))
            self._report(event, f"again:{type(failure).__name__}")
        if again:
            self._ledger.retry_many(self.owner, again)

    def _meaning(self, failure: Exception, event: InboxEvent, works: bool) -> tuple[float | None, bool, int]:
        """Seconds until the next try (None: never), whether this one counts, and how many may."""
        jitter = random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
        pause = min(_LONGEST_PAUSE, 2.0 ** max(event.attempts - 1, 0)) * jitter
        if isinstance(failure, WaitUntil):
            return failure.seconds, False, _MOST_ATTEMPTS
        if isinstance(failure, NotYetVisibleError):
            return max(0.0, (failure.until - self._clock()).total_seconds()) + 0.05, False, _MOST_ATTEMPTS
        if isinstance(failure, CircuitOpen):
            return (failure.retry_after or 1.0) + jitter, False, _MOST_ATTEMPTS
        if isinstance(failure, RateLimited):
            return max(failure.retry_after or 0.0, pause), False, _MOST_ATTEMPTS
        if isinstance(failure, Unauthorized):
            # No event's fault: the breaker is open and its owner told.
            return pause, False, _MOST_ATTEMPTS
        if isinstance(failure, AmbiguousOutcome):
            return pause, works, _MOST_ATTEMPTS
        if isinstance(failure, TransientFailure):
            return max(failure.retry_after or 0.0, pause), works, _MOST_ATTEMPTS
        if isinstance(failure, PermanentFailure):
            if failure.status is None and type(failure) is PermanentFailure:
                # Its certificate is not trusted: no event's fault, and a breaker counts it as an outage.
                return pause, False, _MOST_ATTEMPTS
            return None, True, 0
        if isinstance(failure, UNUSABLE):
            return _LEDGER_PAUSE * jitter, False, _MOST_ATTEMPTS
        _LOG.error("an event could not be done: %s", _words(failure))
        return pause, True, _MOST_OWN_FAULTS

    def _bury(self, event: InboxEvent, error: str) -> None:
        self._ledger.bury(self.owner, event.id, error)
        self._report(event, "dead")
        self._told(lambda: self._watch.dead(event, error))

    # ------------------------------------------------------------ the clock

    def _keep_beating(self) -> None:
        """Until all is finished, not only until told to stop: what is under way then still needs its lease."""
        while True:
            # A lane that turns no more must not look alive: its claims run out, and others take over.
            if monotonic() - self._turned_at < _STUCK_SECONDS:
                self._told(lambda: self._ledger.renew(self.owner, LEASE))
                self._told(self._watch.beat)
                self._told(self._watch.tick)
            if self._finished.wait(_BEAT_SECONDS):
                return

    def _told(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - the work goes on whoever cannot be told
            _LOG.error("the lane could not pass something on: %s", _words(error))


def _is_better_apart(work: Work, failure: Exception) -> bool:
    """Whether the records of a work should be tried one by one, now that it failed as a whole."""
    if isinstance(failure, CircuitOpen | RateLimited | Stopped):
        return False  # no record's fault
    if isinstance(failure, TransientFailure | NotYetVisibleError):
        # Referrals in one work are mostly one person's, and each would pay for the whole person again.
        return work.kind == "applications" or any(event.attempts > 1 for event in work.events)
    return True


def _words(failure: BaseException) -> str:
    """What may be kept of a failure: a connector's own words are redacted, others may quote a person."""
    if isinstance(failure, HttpFailure | NotYetVisibleError | WaitUntil):
        return str(failure)
    frame = failure.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f" at {Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}" if frame is not None else ""
    return f"{type(failure).__name__}{place}"
