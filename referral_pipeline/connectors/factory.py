"""Making the connector that a contract names.

Belongs here: from the sides of a contract to connectors. Does not belong here: secrets and sessions (`build`), the
vendors (`vendors`), what a connector does.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from referral_pipeline.connectors.breaker import Breaker
from referral_pipeline.connectors.build import BUDGET_FILE, Build, ConnectorError, Recorder
from referral_pipeline.connectors.http import Clock, RetryPolicy, WriteGuard
from referral_pipeline.connectors.protocols import AdvocacyConnector, AtsConnector, CrmConnector
from referral_pipeline.connectors.shapes import ShapeRecorder
from referral_pipeline.connectors.vendors import VENDORS, added, vendor_of
from referral_pipeline.contract.models import Contract
from referral_pipeline.settings import Settings
from referral_pipeline.vocabulary import Side

__all__ = [
    "BUDGET_FILE",
    "Build",
    "ConnectorError",
    "Recorder",
    "build_advocacy",
    "build_ats",
    "build_crm",
    "connector_names",
]


def connector_names(side: Side) -> list[str]:
    """The connectors that can be made for a side: the built-in ones and those that packages added."""
    return sorted(name for name, vendor in {**added(), **VENDORS}.items() if vendor.facts.side is side)


def build_ats(
    contract: Contract,
    settings: Settings,
    *,
    recorder: Recorder | None = None,
    state_dir: Path | None = None,
    clock: Clock | None = None,
    breaker: Breaker | None = None,
    retry: RetryPolicy | None = None,
    guard: WriteGuard | None = None,
    shapes: ShapeRecorder | None = None,
    rehearses: bool = False,
) -> AtsConnector:
    """The ATS connector of a contract.

    Raises:
        ConnectorError: The connector's name or an option is not known.
        settings.MissingSecret: A secret is not set.
    """
    build = Build(contract, settings, Side.ATS, recorder, state_dir, clock, breaker, retry, guard, shapes, rehearses)
    return cast("AtsConnector", _made(build))


def build_advocacy(
    contract: Contract,
    settings: Settings,
    *,
    recorder: Recorder | None = None,
    state_dir: Path | None = None,
    clock: Clock | None = None,
    breaker: Breaker | None = None,
    retry: RetryPolicy | None = None,
    guard: WriteGuard | None = None,
    shapes: ShapeRecorder | None = None,
    rehearses: bool = False,
) -> AdvocacyConnector:
    """The advocacy connector of a contract. Raises as `build_ats`."""
    build = Build(
        contract, settings, Side.ADVOCACY, recorder, state_dir, clock, breaker, retry, guard, shapes, rehearses
    )
    return cast("AdvocacyConnector", _made(build))


def build_crm(
    contract: Contract,
    settings: Settings,
    *,
    recorder: Recorder | None = None,
    state_dir: Path | None = None,
    clock: Clock | None = None,
    guard: WriteGuard | None = None,
    shapes: ShapeRecorder | None = None,
) -> CrmConnector | None:
    """The CRM connector of a contract; None when it names no CRM. Raises as `build_ats`."""
    if contract.crm is None:
        return None
    build = Build(contract, settings, Side.CRM, recorder, state_dir, clock, guard=guard, shapes=shapes)
    return cast("CrmConnector", _made(build))


def _made(build: Build) -> object:
    name = build.system.connector
    vendor = vendor_of(name)
    if vendor is None or vendor.facts.side is not build.side:
        known = ", ".join(connector_names(build.side))
        raise ConnectorError(f"{build.side}.connector", f"no connector is called {name}", f"Known here: {known}")
    return vendor.build(build)
