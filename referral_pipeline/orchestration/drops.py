"""The sensor that watches the folder of exports, where the advocacy platform has no API.

Belongs here: asking for a run when something new lies there. Does not belong here: what a drop is (connectors.files),
that each is taken once (the connector: a run more does no harm). Concept page:
https://docs.dagster.io/guides/automate/sensors

It asks for `reconcile`: that pulls what is new, and what was not written yet goes to the lane, as after lost webhooks.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from referral_pipeline.orchestration.jobs import reconcile

if TYPE_CHECKING:
    from referral_pipeline.connectors.files_folder import Look

_EVERY_SECONDS = 14
"""The daemon looks every five seconds whether a sensor is due."""


@dg.sensor(
    name="dropped_files",
    job=reconcile,
    minimum_interval_seconds=_EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a reconcile when exports of the advocacy platform were dropped, changed, or completed. Does "
    "nothing where the platform has an API.",
)
def dropped_files(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """What lies in the folder against what lay there at the last look."""
    from referral_pipeline.connectors.files_folder import look
    from referral_pipeline.contract.loader import load_contract
    from referral_pipeline.contract.problems import ContractError
    from referral_pipeline.settings import load_settings

    settings = load_settings()
    try:
        contract = load_contract(settings)
    except ContractError as error:
        return dg.SensorResult(skip_reason=f"the contract does not hold: {error.problems[0].key}")
    if contract.advocacy.connector != "files":
        return dg.SensorResult(skip_reason="the advocacy platform has an API")
    options = contract.advocacy.options
    try:
        found = look(
            settings.home / str(options.get("folder", "")),
            now=datetime.now(UTC),
            settle_seconds=float(options.get("settle_seconds", 5.0)),
        )
    except OSError as error:
        return dg.SensorResult(skip_reason=f"the folder of advocacy.options.folder: {error.strerror}")
    stamp, _, known = (context.cursor or "").partition(" ")
    state = state_of(found)
    left = f"; {len(found.unsettled)} are still being written" if found.unsettled else ""
    if not found.drops or state == stamp:
        return dg.SensorResult(skip_reason=f"{len(found.drops)} files, nothing new{left}")
    content = content_of(found)
    if content is None or content == known:
        # Nothing but names and times differ; or a file was taken away just now, and the next look tells.
        cursor = context.cursor if content is None else f"{state} {content}"
        return dg.SensorResult(skip_reason=f"{len(found.drops)} files, no new content{left}", cursor=cursor)
    request = dg.RunRequest(run_key=f"drops:{content}", tags={"referral-pipeline/files": str(len(found.drops))})
    return dg.SensorResult(run_requests=[request], cursor=f"{state} {content}")


def state_of(found: Look) -> str:
    """A folder's state in a word: another one once a file came, went, or was touched."""
    parts = "\n".join(f"{one.name}\t{one.size}\t{one.modified_at.timestamp()}" for one in found.drops)
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def content_of(found: Look) -> str | None:
    """What lies there, in a word, whatever its files are called: another one once there is other content of a kind.

    None when a file is gone meanwhile, or cannot be read, which `check` tells.
    """
    from referral_pipeline.connectors.files_folder import digest

    try:
        parts = sorted({f"{one.kind}\t{digest(one.path.read_bytes())}" for one in found.drops})
    except OSError:
        return None
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
