"""Looking at all configured systems at once, for `check`.

Belongs here: gathering findings, and turning what stops a connector from being made into one. Does not belong here: the
looking itself (each connector's `probe`), printing.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from referral_pipeline.connectors.factory import ConnectorError, build_advocacy, build_ats, build_crm
from referral_pipeline.connectors.protocols import CrmConnector, Source
from referral_pipeline.connectors.records import Finding
from referral_pipeline.contract.models import Contract, System
from referral_pipeline.settings import MissingSecret, Settings
from referral_pipeline.vocabulary import Side


def probe_all(contract: Contract, settings: Settings) -> list[Finding]:
    """What every configured system looks like from here, without writing anything. Never raises for a system."""
    sides = _sides(contract, settings)
    with ThreadPoolExecutor(max_workers=len(sides)) as pool:
        looks = [pool.submit(_look, side, system, build, settings) for side, system, build in sides]
        return [finding for look in looks for finding in look.result()]


def unmakeable(contract: Contract, settings: Settings) -> list[Finding]:
    """What stops a connector from being made, an unknown option for instance; no call is sent."""
    return [
        finding
        for side, system, build in _sides(contract, settings)
        for finding in _look(side, system, build, settings, calls=False)
    ]


def _sides(
    contract: Contract, settings: Settings
) -> list[tuple[Side, System, Callable[[], Source | CrmConnector | None]]]:
    sides: list[tuple[Side, System, Callable[[], Source | CrmConnector | None]]] = [
        (Side.ADVOCACY, contract.advocacy, lambda: build_advocacy(contract, settings)),
        (Side.ATS, contract.ats, lambda: build_ats(contract, settings)),
    ]
    if contract.crm is not None:
        sides.append((Side.CRM, contract.crm, lambda: build_crm(contract, settings)))
    return sides


def _look(
    side: Side,
    system: System,
    build: Callable[[], Source | CrmConnector | None],
    settings: Settings,
    *,
    calls: bool = True,
) -> list[Finding]:
    missing = list(_missing_secrets(side, system, settings))
    if missing:
        return missing
    try:
        connector = build()
    except ConnectorError as error:
        return [Finding(error.key, False, error.problem, error.mend)]
    if connector is None:
        return []
    try:
        return connector.probe() if calls else []
    finally:
        connector.close()


def _missing_secrets(side: Side, system: System, settings: Settings) -> list[Finding]:
    """Each secret that the contract names and the environment does not hold; the value is never looked at."""
    findings: list[Finding] = []
    for field in ("client_id_env", "client_secret_env", "webhook_secret_env"):
        variable: str | None = getattr(system, field)
        if not variable:
            continue
        try:
            settings.secret(variable)
        except MissingSecret as error:
            findings.append(Finding(f"{side}.{field}", False, f"{error.key} is not set", error.mend))
    return findings
