"""The lane's process: an engine that does events as they come, and one open Dagster run after another to show them.

Belongs here: putting the lane together, its process, waking it. Does not belong here: the work (sync.lane), the op of
the run (assets.events), what its owner is told (lane_alerts).

The engine works in threads of its own and never waits for Dagster: a run's log costs milliseconds per entry, and the
fraction of a second between two runs would be an outage. The op of the open run takes what was done and logs it.
"""

from __future__ import annotations

import gc
import logging
import os
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from uuid import uuid4

from referral_pipeline.connectors.breaker import Breaker
from referral_pipeline.connectors.calls import CallRecorder
from referral_pipeline.connectors.factory import build_advocacy, build_ats
from referral_pipeline.connectors.http import Clock, RetryPolicy
from referral_pipeline.connectors.shapes import ShapeRecorder
from referral_pipeline.connectors.vendors import shapes_of
from referral_pipeline.contract.loader import load_contract
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.monitoring.alerts import AlertDesk
from referral_pipeline.orchestration.instance import born, is_alive, open_instance, process_tags
from referral_pipeline.orchestration.lane_alerts import LaneAlerts
from referral_pipeline.orchestration.liveness import LANE
from referral_pipeline.orchestration.state import refuse_other_systems, refuse_unapproved, remember_system, state_folder
from referral_pipeline.privacy.crypto import Cipher
from referral_pipeline.quality.go_live import WriteGuard
from referral_pipeline.settings import Settings
from referral_pipeline.sync.evidence import Sealer
from referral_pipeline.sync.lane.engine import Engine, Watch
from referral_pipeline.sync.lane.handlers import Handlers
from referral_pipeline.sync.lane.mirror import Mirror
from referral_pipeline.sync.lane.people import People
from referral_pipeline.sync.lane.persons import Leveller
from referral_pipeline.sync.lane.systems import Systems
from referral_pipeline.sync.lane.work import Stopped
from referral_pipeline.sync.recognitions import Recogniser
from referral_pipeline.sync.statuses import StatusReturn
from referral_pipeline.vocabulary import Side

_LOG = logging.getLogger(__name__)

RETRY = RetryPolicy(max_attempts=3, base_seconds=0.1, cap_seconds=2.0, deadline_seconds=20.0)
"""Little patience for one call: a thread that waits holds up others, and the inbox brings the event back."""
_TICK_SECONDS = 60.0
_FORGOTTEN_AFTER = timedelta(days=1)
_RESTART_SECONDS = 5.0
_COLLECT_AFTER = 20_000
"""Objects made until the collector looks: an event makes thousands, and Python's 700 means several looks in each."""


@dataclass(frozen=True)
class Lane:
    """An engine with what it was made of, open until its block ends."""

    engine: Engine
    systems: Systems
    desk: AlertDesk
    tick: Callable[[], None]
    stop: threading.Event


def owner_name() -> str:
    """The name under which this process claims: whoever finds it later can tell whether it still lives."""
    return f"{socket.gethostname()}/{os.getpid()}/{born(os.getpid())}/{uuid4().hex[:8]}"


def is_dead(owner: str) -> bool:
    """Whether the process behind an owner's name is known to be gone. Of another machine nobody can tell."""
    host, _, rest = owner.partition("/")
    pid, _, rest = rest.partition("/")
    started = rest.partition("/")[0]
    return host == socket.gethostname() and pid.isdigit() and not is_alive(int(pid), started)


@contextmanager
def open_lane(
    settings: Settings,
    *,
    stop: threading.Event,
    address: str | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    monotonic: Callable[[], float] = monotonic,
) -> Generator[Lane]:
    """Put a lane together for the length of the block; nothing is claimed yet.

    Args:
        settings: whose installation.
        stop: set when the process is to end; a wait for the rate limit ends with it.
        address: where this lane listens for being woken, told with its heartbeat. None for a run that only drains.
        now: the time, aware.
        monotonic: seconds that pass as `now` does.

    Raises:
        ContractError: the contract does not hold, is not approved, or the state belongs to other systems.
        MissingSecret: a secret is not in the environment.
    """
    contract = load_contract(settings)
    refuse_unapproved(contract, settings)
    refuse_other_systems(contract, settings)
    state = state_folder(settings)
    ledger = Ledger.open(contract.ledger.url, home=settings.home, clock=now)
    calls = CallRecorder(ledger.record_calls)
    shapes = ShapeRecorder(ledger.record_shapes, shapes_of)
    desk = AlertDesk(contract, settings, ledger, now)
    told = LaneAlerts(contract, ledger, desk)

    def sleep(seconds: float) -> None:
        if stop.wait(seconds):
            raise Stopped

    clock = Clock(now=lambda: now().timestamp(), monotonic=monotonic, sleep=sleep)
    breakers = {
        system.connector: Breaker(system.connector, clock=clock, on_change=told.breaker_changed)
        for system in (contract.ats, contract.advocacy)
    }
    for kept in ledger.breakers():
        if kept.system in breakers:
            breakers[kept.system].restore(kept.state, kept.retry_at, failures=kept.failures, reason=kept.reason)
    guard = WriteGuard(contract, ledger, told.not_approved, lambda: load_contract(settings))
    ats = build_ats(
        contract,
        settings,
        recorder=calls,
        state_dir=state,
        clock=clock,
        breaker=breakers[contract.ats.connector],
        retry=RETRY,
        guard=guard,
        shapes=shapes,
    )
    advocacy = build_advocacy(
        contract,
        settings,
        recorder=calls,
        state_dir=state,
        clock=clock,
        breaker=breakers[contract.advocacy.connector],
        retry=RETRY,
        guard=guard,
        shapes=shapes,
    )
    for side in (Side.ATS, Side.ADVOCACY):
        remember_system(side, contract, settings)
    cipher = Cipher(settings.secret("REFERRAL_PIPELINE_KEY"))
    mirror = Mirror(ledger=ledger, cipher=cipher, advocacy=advocacy, clock=now)
    sealer = Sealer(cipher)
    systems = Systems(
        contract=contract,
        ledger=ledger,
        ats=ats,
        advocacy=advocacy,
        mirror=mirror,
        people=People(
            ledger=ledger,
            mirror=mirror,
            ats=ats,
            contract=contract,
            hash_key=settings.secret("REFERRAL_PIPELINE_HASH_KEY"),
        ),
        statuses=StatusReturn(advocacy=advocacy, ledger=ledger, ats_system=ats.system, clock=now, sealer=sealer),
        recogniser=Recogniser(advocacy, ledger, contract, now),
        sealer=sealer,
        on_unmapped_stage=told.unmapped_stage,
        on_refused_recognition=told.refused,
        on_many_gone=told.many_gone,
        clock=now,
    )
    leveller = Leveller(systems, started_at=now())
    owner = owner_name()
    details = {"process": os.getpid()}

    def beat() -> None:
        if address is not None:
            ledger.beat(LANE, owner, address=address, details={**details, "run_id": engine.run_id})

    engine = Engine(
        ledger=ledger,
        handlers=Handlers(systems, leveller, cipher),
        breakers=breakers,
        pings={
            ats.system: lambda: ats.get_candidates(["1"]),
            advocacy.system: lambda: advocacy.get_referral("ping"),
        },
        ats_system=ats.system,
        owner=owner,
        clock=now,
        watch=Watch(
            dead=lambda event, error: told.dead(event, error, engine.run_id),
            late=lambda event, error: told.late(event, error, engine.run_id),
            beat=beat,
        ),
    )
    try:
        yield Lane(engine, systems, desk, lambda: _tick(systems, leveller, told, guard), stop)
    finally:
        if address is not None:
            ledger.forget_heartbeat(LANE, owner)
        leveller.close()
        ats.close()
        advocacy.close()
        calls.close()
        shapes.close()
        desk.close()
        ledger.close()


def _tick(systems: Systems, leveller: Leveller, told: LaneAlerts, guard: WriteGuard) -> None:
    """What comes with time: bonuses that are due, dead events that were mended."""
    if told.is_hour_over():
        leveller.hires.recognise_due()
        for beat in systems.ledger.heartbeats(LANE):
            # Who was killed took no leave.
            if systems.clock() - beat.at > _FORGOTTEN_AFTER:
                systems.ledger.forget_heartbeat(LANE, beat.owner)
    told.not_many_gone(leveller.gone.are_many_gone)
    told.approved_again(guard.look)
    told.recognised_again()
    for system in (systems.ats.system, systems.advocacy.system):
        told.none_dead(system)
        told.none_late(system)


def free_dead_claims(ledger: Ledger) -> int:
    """Give back what processes of this machine had claimed that are gone; others keep it until their lease ends."""
    return sum(ledger.free_claims(owner) for owner in ledger.claim_owners() if is_dead(owner))


# ---------------------------------------------------------------- the process

_current: Lane | None = None
"""The lane of this process, for the op of the run that it holds open."""


def current_lane() -> Lane | None:
    """The lane of this process; None in a process that has none."""
    return _current


def run_lane(
    settings: Settings,
    *,
    say: Callable[[str], None],
    stop: threading.Event,
    window_seconds: float = 600.0,
    window_events: int = 5_000,
) -> None:
    """Be the lane until `stop` is set; then finish what is under way.

    Args:
        settings: whose installation.
        say: for one line at the start and the end.
        stop: set to end.
        window_seconds: after how long one recorded run ends and the next begins.
        window_events: after how many events it does.
    """
    global _current
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", 0))
    host, port = listener.getsockname()
    with open_lane(settings, stop=stop, address=f"{host}:{port}") as lane:
        _current = lane
        free_dead_claims(lane.systems.ledger)
        threads = [
            threading.Thread(target=_listen, args=(listener, lane.engine), name="lane-wake", daemon=True),
            threading.Thread(target=_hold_runs, args=(settings, stop, window_seconds, window_events), name="lane-runs"),
            threading.Thread(target=_keep_ticking, args=(lane, stop), name="lane-tick"),
        ]
        for thread in threads:
            thread.start()
        # What is loaded by now stays: the collector need not walk through it again in the middle of an event.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_COLLECT_AFTER)
        say(f"lane ready (process {os.getpid()})")
        try:
            lane.engine.run(stop)
        finally:
            stop.set()
            for thread in threads[1:]:
                thread.join()
            _current = None
            listener.close()
    say("lane stopped; nothing was left half done")


def _listen(listener: socket.socket, engine: Engine) -> None:
    with suppress(OSError):
        while True:
            listener.recv(64)
            engine.wake()


def _keep_ticking(lane: Lane, stop: threading.Event) -> None:
    while not stop.wait(_TICK_SECONDS):
        try:
            lane.tick()
            free_dead_claims(lane.systems.ledger)
        except Exception as error:  # noqa: BLE001 - what comes with time comes again
            _LOG.error("the lane's minute could not be worked off: %s", type(error).__name__)


def _hold_runs(settings: Settings, stop: threading.Event, window_seconds: float, window_events: int) -> None:
    """One recorded run after the other, until told to stop. In a thread: Dagster takes signals only in the main one."""
    from referral_pipeline.orchestration.assets.events import lane_config, process_events

    while not stop.is_set():
        began = monotonic()
        try:
            with open_instance(settings) as instance:
                process_events.execute_in_process(
                    instance=instance,
                    run_config=lane_config(window_seconds, window_events),
                    tags=process_tags(),
                    raise_on_error=False,
                )
        except Exception as error:  # noqa: BLE001 - events are done without a run too; the next one shows them
            _LOG.error("a run of the lane could not be recorded: %s", type(error).__name__)
        if monotonic() - began < min(_RESTART_SECONDS, window_seconds):
            stop.wait(_RESTART_SECONDS)


# ---------------------------------------------------------------- without a lane


def drain(settings: Settings, *, stop: threading.Event | None = None) -> dict[str, int]:
    """Do what waits in the inbox now, in this process, and end; how many events ended how.

    For a run that found events and no lane. What is held under a live lease is left alone.
    """
    ended = stop or threading.Event()
    counts: dict[str, int] = {}
    with open_lane(settings, stop=ended) as lane:
        free_dead_claims(lane.systems.ledger)
        lane.engine.run(ended, until_empty=True, is_patient=True)
        lane.tick()
        while not lane.engine.reports.empty():
            outcome = lane.engine.reports.get().outcome
            counts[outcome] = counts.get(outcome, 0) + 1
    return counts
