"""What a verification is true of: one fingerprint of the contract, the connectors and the stage map.

Belongs here: which parts count. Does not belong here: what is verified, and who approves it (quality).

Covered is what decides what is written where: rules, mappings, stage map, privacy, phases, systems of record, and of
each system its connector, its options and the connector's own code. Not covered is what differs between a sandbox and
production by its nature, or moves no data: addresses, names of secrets, stores, the environment, owner, targets, costs,
monitoring, time-outs and limits. So what was proven in the sandbox counts for production under the same contract.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any

from referral_pipeline import __version__
from referral_pipeline.contract.models import Contract, System
from referral_pipeline.contract.systems import ENTRY_POINTS

_OF_THE_CONTRACT = ("rules", "mappings", "stage_map", "privacy", "phases", "systems_of_record")
_OF_THE_INSTALLATION = {
    "acting_user_id",
    "calls_per_second",
    "connect_timeout_seconds",
    "default_rate_limit",
    "max_attempts",
    "perform_as",
    "read_timeout_seconds",
    "visibility_lag_seconds",
}
"""Options that say where and how fast, not what."""


def fingerprint_of(contract: Contract) -> str:
    """32 hexadecimal digits that change with anything covered, and with nothing else."""
    covered: dict[str, Any] = {
        **contract.model_dump(mode="json", by_alias=True, include=set(_OF_THE_CONTRACT)),
        "systems": {side.value: _system(system) for side, system in contract.systems().items()},
    }
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _system(system: System) -> dict[str, Any]:
    options = {name: value for name, value in system.options.items() if name not in _OF_THE_INSTALLATION}
    return {"connector": system.connector, "version": connector_version(system.connector), "options": options}


@cache
def connector_version(name: str) -> str:
    """The version of a connector: of the package that brings it, and of one of ours a digest of its own files.

    A number that people raise is forgotten by people; a digest is not.
    """
    folder = files("referral_pipeline.connectors")
    own = sorted(
        (one for one in folder.iterdir() if one.name.endswith(".py") and one.name.removesuffix(".py").startswith(name)),
        key=lambda one: one.name,
    )
    if own:
        digest = hashlib.sha256(b"".join(one.read_bytes() for one in own)).hexdigest()
        return f"{__version__}+{digest[:12]}"
    for point in entry_points(group=ENTRY_POINTS):
        if point.name == name:
            return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value
    return "unknown"
