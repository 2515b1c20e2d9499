"""The Dagster instance of this installation: its folder, its dagster.yaml, and runs that died without a word.

Belongs here: where Dagster keeps its state. Does not belong here: what runs (`run`), supervising processes (`up`).
"""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

import dagster as dg

from referral_pipeline.orchestration.state import state_folder
from referral_pipeline.settings import Settings

_DAGSTER_YAML = """\
# Written by referral-pipeline. Yours to change: it is written only when it is missing.
telemetry:
  enabled: false

# No pop-up on the first visit.
nux:
  enabled: false

# DuckDB lets one process hold the warehouse file, so runs that touch it go one after another.
concurrency:
  runs:
    max_concurrent_runs: 4
  pools:
    granularity: run
    default_limit: 1

# When the lane is silent, a run of the inbox sensor must not wait long for its turn.
run_queue:
  dequeue_interval_seconds: 2

# A run that does not get to its start is marked as failed; `up` and each command look after those whose process ended.
run_monitoring:
  enabled: true
  start_timeout_seconds: 300

retention:
  schedule:
    purge_after_days: 30
  sensor:
    purge_after_days:
      skipped: 7
      success: 30
"""

PID_TAG = "referral-pipeline/pid"
BORN_TAG = "referral-pipeline/born"
HOST_TAG = "referral-pipeline/host"


def dagster_home(settings: Settings) -> Path:
    """The instance's folder, with a dagster.yaml and its databases in it.

    Two processes that create the databases at once leave them in a state that no later one can read, so they are
    created here, by one.
    """
    home = state_folder(settings) / "dagster"
    home.mkdir(exist_ok=True)
    config = home / "dagster.yaml"
    if not config.exists():
        beside = config.with_suffix(f".{os.getpid()}.tmp")
        beside.write_text(_DAGSTER_YAML, encoding="utf-8")
        beside.replace(config)
    created = home / "created"
    if not created.exists():
        with (home / "creating.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not created.exists():
                with dg.DagsterInstance.from_config(str(home)):
                    created.touch()
    return home


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The persistent instance of this installation."""
    home = dagster_home(settings)
    os.environ["DAGSTER_HOME"] = str(home)  # dagster reads it again in processes and threads of its own
    return dg.DagsterInstance.from_config(str(home))


def process_tags() -> dict[str, str]:
    """Tags that tell which process a run lives in."""
    pid = os.getpid()
    return {PID_TAG: str(pid), BORN_TAG: born(pid), HOST_TAG: socket.gethostname()}


def close_orphaned_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs as failed whose process on this machine is gone (killed, or the machine stopped); their ids.

    Dagster itself cannot tell: its launcher for local processes does not look at them again, and a run that is in
    progress for ever would hold the pool's one slot for ever.
    """
    closed: list[str] = []
    in_progress = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.CANCELING]
    )
    for run in instance.get_runs(filters=in_progress):
        pid = run.tags.get(PID_TAG)
        if pid is None or run.tags.get(HOST_TAG) != socket.gethostname() or is_alive(int(pid), run.tags.get(BORN_TAG)):
            continue
        instance.report_run_failed(
            run, "The process of this run ended without a word. Run it again: nothing is done twice."
        )
        closed.append(run.run_id)
    return closed


def is_alive(pid: int, since: str | None) -> bool:
    """Whether a process of this machine still runs, and is the one that was born then (see `born`)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    started = born(pid)
    return not since or not started or since == started


def born(pid: int) -> str:
    """When a process started, in ticks since boot: numbers are given again. Empty where the system does not tell."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
