"""Asking every configured system what it can do, and holding the answers against the contract.

Belongs here: the order of asking, which lines the phases in use need, the verdict. Does not belong here: questions
(connectors), words (`words`).

The audit makes its own connectors: its calls are in no health figure, because many of them ask for a refusal; and in
production they have no guard, so that nothing at all can be written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from referral_pipeline.connectors.capabilities import (
    ALWAYS,
    MERGING,
    Area,
    Audited,
    AuditScope,
    Capability,
    Question,
    Standing,
    one_by_one,
)
from referral_pipeline.connectors.factory import build_advocacy, build_ats, build_crm
from referral_pipeline.connectors.protocols import AtsConnector, CrmConnector, Source
from referral_pipeline.connectors.records import AtsJob
from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.monitoring.api_audit.webhooks import webhook_lines
from referral_pipeline.settings import Settings
from referral_pipeline.vocabulary import Side

__all__ = ["ApiAudit", "Line", "audit_apis", "in_use"]

_OFFERED = Question(
    Area.ARCHITECTURE,
    "audit",
    "The connector can be audited",
    "what the system can do is known",
    "what the system can do is not known: give its connector the method audit (connectors.capabilities.Audited)",
    (ALWAYS,),
)


@dataclass(frozen=True)
class Line:
    """A capability of a system. `needed` says whether a phase in use cannot do without."""

    system: str
    side: Side
    capability: Capability
    needed: bool


@dataclass(frozen=True)
class ApiAudit:
    """All lines, the ATS first."""

    lines: Sequence[Line]

    @property
    def missing(self) -> list[Line]:
        """What a phase in use needs and a system does not have."""
        return [one for one in self.lines if one.needed and one.capability.standing is Standing.MISSING]

    @property
    def unanswered(self) -> list[Line]:
        """What a phase in use needs and no answer came for."""
        return [one for one in self.lines if one.needed and one.capability.unanswered]

    @property
    def passed(self) -> bool:
        """Whether nothing that is needed is missing, or was asked for in vain."""
        return not self.missing and not self.unanswered

    def facts(self) -> dict[str, Any]:
        """All of it as plain data, without personal data: {counts, missing, unanswered, lines}."""
        return {
            "counts": {
                standing.value: sum(one.capability.standing is standing for one in self.lines) for standing in Standing
            },
            "missing": [_name(one) for one in self.missing],
            "unanswered": [_name(one) for one in self.unanswered],
            "lines": [
                {
                    "system": one.system,
                    "side": one.side.value,
                    **asdict(one.capability),
                    "needed_by": list(one.capability.needed_by),
                    "needed": one.needed,
                }
                for one in self.lines
            ],
        }


def _name(line: Line) -> str:
    return f"{line.system} {line.capability.name}"


def in_use(contract: Contract) -> frozenset[str]:
    """What of `needed_by` counts under this contract."""
    phases = {name for name, is_on in contract.phases.model_dump().items() if is_on}
    return frozenset({ALWAYS, *phases, *({MERGING} if contract.rules.dedupe.merge_in_ats else ())})


def audit_apis(
    contract: Contract,
    settings: Settings,
    ledger: Ledger,
    *,
    state_dir: Path | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> ApiAudit:
    """Audit every configured system now. Writes in a sandbox only, and takes back what it wrote.

    Args:
        contract: What is in use, and whether this is a sandbox.
        settings: Secrets.
        ledger: Where webhooks have arrived.
        state_dir: Holds the rate budget that is shared with all that runs.
        progress: Called with (what, done, total).

    Raises:
        ConnectorError: A connector cannot be made from the contract.
        MissingSecret: A secret is not set.
    """
    used = in_use(contract)
    may_write = contract.environment == "sandbox"
    ats = build_ats(contract, settings, state_dir=state_dir)
    advocacy = build_advocacy(contract, settings, state_dir=state_dir)
    crm = build_crm(contract, settings, state_dir=state_dir)
    lines: list[Line] = []
    sources = [(Side.ATS, ats), (Side.ADVOCACY, advocacy), *([(Side.CRM, crm)] if crm is not None else [])]
    try:
        scope = AuditScope(may_write, lambda job_id: _posting(ats, job_id))
        for done, (side, source) in enumerate(sources):
            progress("audit the APIs", done, len(sources))
            found = [*_asked(source, scope), *webhook_lines(contract.systems()[side], ledger, settings)]
            lines += [Line(source.system, side, c, bool(used & set(c.needed_by))) for c in one_by_one(found)]
        progress("audit the APIs", len(sources), len(sources))
    finally:
        if crm is not None:
            crm.close()
        ats.close()
        advocacy.close()
    return ApiAudit(lines)


def _asked(source: Source | CrmConnector, scope: AuditScope) -> list[Capability]:
    if isinstance(source, Audited):
        return source.audit(scope)
    return [_OFFERED.not_verified("it does not offer to be", unanswered=True)]


def _posting(ats: AtsConnector, job_id: str) -> AtsJob | None:
    return ats.get_jobs([job_id]).get(job_id)
