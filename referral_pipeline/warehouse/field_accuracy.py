"""ops.field_accuracy: every field accuracy audit that the ledger keeps, one row per audit, side and field.

Belongs here: the table from what was verified. Does not belong here: making an audit (quality.field_audit), keeping it
(ledger.verifications). The ledger is the history: the table is made anew from it and may be lost with the warehouse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from referral_pipeline.ledger.records import Verification
from referral_pipeline.warehouse.frames import columns, frame_of_rows
from referral_pipeline.warehouse.store import Warehouse

__all__ = ["build_field_accuracy"]

DIFFERENCES = (
    *("missing", "truncated", "swapped", "case_or_space", "time_zone", "format", "stale", "vocabulary", "currency"),
    *("gone", "merged", "other"),
)
"""What can be wrong with a value, each a column; a test holds them to those that audits name."""

_COLUMNS = columns(
    text="environment fingerprint verdict side field",
    time="made_at",
    whole=f"audit_id seed checked mismatches unreadable {' '.join(DIFFERENCES)}",
    number="accuracy lower upper confidence minimum_accuracy",
    flag="passed",
)


def build_field_accuracy(warehouse: Warehouse, audits: Iterable[Verification]) -> int:
    """Replace the table by the rows of these verifications of the kind field_audit; its row count.

    Raises:
        ModelFailed: the table could not be built; it stays as it was.
    """
    rows = [row for audit in audits for row in _rows(audit)]
    return warehouse.replace("ops.field_accuracy", frame_of_rows(rows, _COLUMNS))


def _rows(audit: Verification) -> Iterator[dict[str, Any]]:
    facts = audit.facts
    of_the_audit = {
        "audit_id": audit.id,
        "made_at": audit.made_at,
        "environment": audit.environment,
        "fingerprint": audit.fingerprint,
        "passed": audit.passed,
        **{name: facts.get(name) for name in ("seed", "verdict", "confidence", "minimum_accuracy")},
    }
    rates: list[Mapping[str, Any]] = facts.get("rates", [])
    for one in rates:
        differences: Mapping[str, int] = one.get("differences", {})
        yield {
            **of_the_audit,
            **{name: one.get(name) for name in ("side", "field", "checked", "accuracy", "lower", "upper")},
            "mismatches": one.get("wrong"),
            "unreadable": one.get("unreadable", 0),
            **{name: differences.get(name, 0) for name in DIFFERENCES},
        }
