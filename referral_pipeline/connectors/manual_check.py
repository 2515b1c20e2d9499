"""What `check` says of the files of manual intake.

Belongs here: findings in words. Does not belong here: reading the files (manual_intake).
"""

from __future__ import annotations

from referral_pipeline.connectors.costs import problem_lines
from referral_pipeline.connectors.manual_intake import read_manual_intake
from referral_pipeline.connectors.records import Finding
from referral_pipeline.contract.models import Contract
from referral_pipeline.settings import Settings

_KEY = "verification.parallel_run"


def look_at_manual_intake(contract: Contract, settings: Settings) -> list[Finding]:
    """One finding for each thing to mend, or one that says what was read; none without a parallel run."""
    section = contract.verification.parallel_run
    if section is None:
        return []
    read = read_manual_intake(section, settings.home)
    if read.problems:
        return [
            Finding(f"{_KEY}.files", False, f"{where}: {field} {reason.partition('; ')[0]}", _mend(reason))
            for field, reason, where in problem_lines(read.problems, most=3)
        ]
    return [Finding(_KEY, True, "; ".join([f"{len(read.rows)} rows in {', '.join(read.files)}", *read.notes]))]


def _mend(reason: str) -> str:
    mend = reason.partition("; ")[2]
    return mend[:1].upper() + mend[1:] or "Mend the file"
