"""ops.api_capability: every capability audit that the ledger keeps, one row per audit, system and line.

Belongs here: the table from what was verified. Does not belong here: making an audit (monitoring.api_audit), keeping it
(ledger.verifications). The ledger is the history: the table is made anew from it and may be lost with the warehouse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from referral_pipeline.ledger.records import Verification
from referral_pipeline.warehouse.frames import columns, frame_of_rows
from referral_pipeline.warehouse.store import Warehouse

__all__ = ["build_api_capability"]

_OF_A_LINE = ("side", "system", "area", "name", "title", "endpoint", "standing", "evidence", "consequence")
_COLUMNS = columns(
    text=f"environment fingerprint needed_by {' '.join(_OF_A_LINE)}",
    time="made_at",
    whole="audit_id line_number",
    flag="passed needed unanswered",
)


def build_api_capability(warehouse: Warehouse, audits: Iterable[Verification]) -> int:
    """Replace the table by the lines of these verifications of the kind api_audit; its row count.

    Raises:
        ModelFailed: the table could not be built; it stays as it was.
    """
    rows = [row for audit in audits for row in _rows(audit)]
    return warehouse.replace("ops.api_capability", frame_of_rows(rows, _COLUMNS))


def _rows(audit: Verification) -> Iterator[dict[str, Any]]:
    lines: list[Mapping[str, Any]] = audit.facts.get("lines", [])
    for number, line in enumerate(lines, start=1):
        yield {
            "audit_id": audit.id,
            "made_at": audit.made_at,
            "environment": audit.environment,
            "fingerprint": audit.fingerprint,
            "passed": audit.passed,
            "line_number": number,
            **{name: line.get(name) for name in (*_OF_A_LINE, "needed", "unanswered")},
            "needed_by": ", ".join(line.get("needed_by", ())) or None,
        }
