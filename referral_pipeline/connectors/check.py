"""`check`: everything that must hold before the bridge may run, gathered into one list of problems.

Belongs here: the order of looking (contract, secrets, systems) and one form for what is wrong. Does not belong here:
the rules of the contract (`contract`), looking at a system (`preflight` and each connector's `probe`), printing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from referral_pipeline.connectors.cost_check import look_at_costs
from referral_pipeline.connectors.manual_check import look_at_manual_intake
from referral_pipeline.connectors.preflight import probe_all, unmakeable
from referral_pipeline.connectors.records import Finding
from referral_pipeline.contract.loader import load_contract
from referral_pipeline.contract.problems import ContractError, Problem
from referral_pipeline.contract.secrets import missing_secrets
from referral_pipeline.settings import Settings


@dataclass(frozen=True)
class CheckReport:
    """What was looked at, and what has to be mended; nothing to mend means that the bridge may run."""

    findings: Sequence[Finding]
    problems: Sequence[Problem]


def check_installation(settings: Settings, *, offline: bool = False) -> CheckReport:
    """Look at contract, secrets and, unless `offline`, at every configured system. Nothing is written anywhere.

    A contract that is refused, or a secret that is missing, ends the look: what comes after would only repeat it.
    """
    try:
        contract = load_contract(settings)
    except ContractError as refused:
        return CheckReport([Finding("contract", False, "refused")], refused.problems)
    findings = [Finding("contract", True, f"holds, environment {contract.environment}")]
    missing = missing_secrets(contract, settings)
    if missing:
        return CheckReport([*findings, Finding("secrets", False, f"{len(missing)} to set")], missing)
    findings.append(Finding("secrets", True, "all set"))
    findings.extend(look_at_costs(contract, settings))
    findings.extend(look_at_manual_intake(contract, settings))
    findings.extend(unmakeable(contract, settings) if offline else probe_all(contract, settings))
    wrong = [Problem(f.key, f.found, f.mend) for f in findings if not f.ok]
    return CheckReport(findings, wrong)
