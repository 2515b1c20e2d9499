"""Run a job now, in this process, recorded in the instance like any other run.

Belongs here: executing and summing up what a run did. Does not belong here: drawing progress (cli), schedules.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import Any

import dagster as dg

from referral_pipeline.orchestration.build import build_defs
from referral_pipeline.orchestration.instance import close_orphaned_runs, open_instance, process_tags
from referral_pipeline.orchestration.progress import Sink, reporting_to
from referral_pipeline.orchestration.resources import BridgeResource
from referral_pipeline.settings import Settings

_OPS_AS_OF = ("build_attribution", "build_kpis", "build_advocates", "return_results", "publish", "write_report")
"""The ops whose outcome depends on the moment at which the numbers stand."""


class RunInterruptedError(Exception):
    """A signal ended the run before its end."""


@dataclass(frozen=True)
class FailedCheck:
    """A check that did not pass."""

    asset: str
    name: str
    message: str
    blocking: bool


@dataclass(frozen=True)
class RunOutcome:
    """What one run did: metadata by asset, checks that failed, errors by step."""

    run_id: str
    success: bool
    seconds: float
    metadata: Mapping[str, Mapping[str, Any]]
    failed_checks: tuple[FailedCheck, ...]
    checks_run: int
    errors: Mapping[str, str] = field(default_factory=dict[str, str])

    def number(self, asset: str, name: str) -> int:
        """A count from an asset's metadata, 0 where the asset did not run."""
        return int(self.metadata.get(asset, {}).get(name, 0))


def run_job(
    name: str,
    settings: Settings,
    *,
    sink: Sink,
    run_config: Mapping[str, Any] | None = None,
    definitions: dg.Definitions | None = None,
) -> RunOutcome:
    """Execute a job by name and wait for it.

    Args:
        name: refresh or reconcile.
        settings: whose home is used.
        sink: where progress goes.
        run_config: Dagster run config.
        definitions: other definitions than the default ones, for tests.

    Raises:
        RunInterruptedError: Ctrl-C or SIGTERM came; the run is recorded as failed.
    """
    # Given to the job's execution instead, a resource of a name that the definitions know is ignored without a word.
    definitions = definitions or build_defs(resource_overrides={"bridge": BridgeResource(home=str(settings.home))})
    started = perf_counter()
    with open_instance(settings) as instance, reporting_to(sink):
        close_orphaned_runs(instance)
        job = definitions.resolve_job_def(name)
        result = job.execute_in_process(
            instance=instance,
            run_config={**_console(), **(run_config or {})},
            tags=process_tags(),
            raise_on_error=False,
        )
    if any("Interrupted" in str(error.cls_name) for error in _errors(result).values()):
        raise RunInterruptedError("interrupted before its end. Run it again: nothing is lost and nothing is done twice")
    return _outcome(result, perf_counter() - started)


def period_config(
    *,
    full: bool = False,
    since: datetime | None = None,
    as_of: datetime | None = None,
    believe_absent: bool = False,
) -> dict[str, Any] | None:
    """Run config for a period (see `periods`): how much to pull again, and at which moment the numbers stand."""
    pull: dict[str, Any] = {"full": True} if full else {}
    if since is not None:
        pull["since"] = since.isoformat()
    if believe_absent:
        pull |= {"full": True, "believe_absent": True}
    ops = dict.fromkeys(("pull_advocacy", "pull_ats"), pull) if pull else {}
    if as_of is not None:
        ops |= {op: {"as_of": as_of.isoformat()} for op in _OPS_AS_OF}
    return {"ops": {op: {"config": config} for op, config in ops.items()}} if ops else None


def _console() -> dict[str, Any]:
    """Dagster's own log lines on the terminal only with --debug: the outcome tells them in one line each."""
    level = "DEBUG" if logging.getLogger(__name__).isEnabledFor(logging.DEBUG) else "CRITICAL"
    return {"loggers": {"console": {"config": {"log_level": level}}}}


def _outcome(result: dg.ExecuteInProcessResult, seconds: float) -> RunOutcome:
    metadata: dict[str, dict[str, Any]] = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        metadata[materialization.asset_key.to_user_string()] = {
            key: value.value for key, value in materialization.metadata.items()
        }
    evaluations = result.get_asset_check_evaluations()
    failed = tuple(
        FailedCheck(
            asset=e.asset_key.to_user_string(),
            name=e.check_name,
            message=e.description or "",
            blocking=bool(e.blocking),
        )
        for e in evaluations
        if not e.passed
    )
    return RunOutcome(
        run_id=result.run_id,
        success=result.success,
        seconds=seconds,
        metadata=metadata,
        failed_checks=failed,
        checks_run=len(evaluations),
        # "package.module.Class: words", of which a person needs the words.
        errors={
            step: re.sub(r"^[\w.]+: ", "", str(error.message).strip(), count=1)
            for step, error in _errors(result).items()
        },
    )


def _errors(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """The innermost error of each step that failed; under "start" that of a run which did not get to a step."""
    found: dict[str, Any] = {}
    for event in result.all_events:
        if event.is_step_failure and event.step_failure_data.error is not None:
            found[event.step_key or ""] = _innermost(event.step_failure_data.error)
    if not found:
        for event in result.all_events:
            if event.is_run_failure and event.job_failure_data.error is not None:
                found["start"] = _innermost(event.job_failure_data.error)
    return found


def _innermost(error: Any) -> Any:
    while error.cause is not None:
        error = error.cause
    return error
