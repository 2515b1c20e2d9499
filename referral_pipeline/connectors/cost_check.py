"""What `check` says of the files of costs.

Belongs here: findings in words. Does not belong here: reading the files (costs).
"""

from __future__ import annotations

from referral_pipeline.connectors.costs import other_channels, problem_lines, read_costs
from referral_pipeline.connectors.records import Finding
from referral_pipeline.contract.models import Contract
from referral_pipeline.settings import Settings

_NEED_COSTS = ("cost_per_hire", "roi")


def look_at_costs(contract: Contract, settings: Settings) -> list[Finding]:
    """One finding for each thing to mend, or one that says what was read.

    A promise of cost_per_hire or roi without costs is told and is no error: the numbers then have no value.
    """
    if contract.costs is None:
        promised = [kpi.name for kpi in contract.objectives.kpis if kpi.name in _NEED_COSTS]
        told = f"none are configured, so {' and '.join(promised)} will have no value: add the section costs"
        return [Finding("costs", True, told)] if promised else []
    read = read_costs(contract.costs, settings.home)
    if read.problems:
        return [
            Finding("costs.files", False, f"{where}: {field} {reason.partition('; ')[0]}", _mend(reason))
            for field, reason, where in problem_lines(read.problems, most=3)
        ]
    told = [f"{len(read.lines)} lines in {', '.join(read.files)}", *read.repeated[:3], *read.notes]
    if others := other_channels(read.lines):
        told.append(f"counted as other channels: {others}")
    return [Finding("costs", True, "; ".join(told))]


def _mend(reason: str) -> str:
    mend = reason.partition("; ")[2]
    return mend[:1].upper() + mend[1:] or "Mend the file"
