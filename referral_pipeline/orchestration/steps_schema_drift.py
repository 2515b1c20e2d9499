"""The steps of schema drift: judge what was learned, keep what is accepted by itself, tell it, show it.

Belongs here: bringing contract, ledger, desk and warehouse together. Does not belong here: dagster (the asset calls
this), judging (monitoring.drift).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from referral_pipeline.connectors.vendors import shapes_of
from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.records import ShapeKey
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.monitoring.drift import Drift, Judged, judge, needs_a_full_pull
from referral_pipeline.monitoring.drift_words import what, what_to_do

if TYPE_CHECKING:
    from referral_pipeline.orchestration.bridge import Bridge

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def look_at_drift(contract: Contract, ledger: Ledger) -> Judged:
    """What has changed, by what the ledger knows now. Nothing is written."""
    return judge(ledger.shapes(), shapes_of, now=datetime.now(UTC), known_words=contract.stage_map)


def keep_drift(bridge: Bridge) -> Sequence[Drift]:
    """Look, tell the owner, have rows asked for again that came while answers were wrong, and rebuild the table."""
    from referral_pipeline.monitoring.alerts import AlertDesk
    from referral_pipeline.monitoring.drift_alerts import tell
    from referral_pipeline.warehouse.schema_drift import build_schema_drift

    bridge.shapes.flush()
    ledger = bridge.ledger
    judged = look_at_drift(bridge.contract, ledger)
    accepted: dict[str, list[ShapeKey]] = defaultdict(list)
    for key, by in judged.accept.items():
        accepted[by].append(key)
    with ledger.atomic():
        for by, keys in accepted.items():
            ledger.accept_shapes(keys, by=by)
    with AlertDesk(bridge.contract, bridge.settings, ledger) as desk:
        tell(judged.drifts, desk, ledger, bridge.settings)
    ask_anew(bridge, judged.drifts)
    build_schema_drift(bridge.warehouse, map(row_of, judged.drifts))
    return judged.drifts


def ask_anew(bridge: Bridge, drifts: Sequence[Drift]) -> list[str]:
    """Have the next pull of a system ask for everything, where an error is over; the systems.

    What came while a field was missing is kept as it came, and a pull of what changed since would never bring it again.
    """
    asked: list[str] = []
    for source in (bridge.advocacy, bridge.ats):
        cursors = [bridge.ledger.cursor(source.system, entity) for entity in source.entities]
        known = [cursor for cursor in cursors if cursor is not None]
        if not any(needs_a_full_pull(drifts, source.system, cursor.full_pull_at) for cursor in known):
            continue
        for cursor in known:
            bridge.ledger.save_cursor(
                cursor.system,
                cursor.entity,
                position=cursor.position,
                warehouse_id=cursor.warehouse_id,
                full_pull_at=_NEVER,
            )
        asked.append(source.system)
    return asked


def row_of(drift: Drift) -> dict[str, Any]:
    """A change as a row of ops.schema_drift."""
    fact = drift.fact
    return {
        "drift_id": drift.id,
        "system": fact.system,
        "operation": fact.operation,
        "kind": drift.kind.value,
        "path": fact.path,
        "found": fact.value or None,
        "before": ", ".join(drift.before) or None,
        "severity": drift.severity,
        "state": drift.state.value,
        "is_read": drift.is_read,
        "times_seen": fact.seen,
        "first_seen_at": fact.first_seen_at,
        "last_seen_at": fact.last_seen_at,
        "accepted_at": fact.accepted_at,
        "accepted_by": fact.accepted_by,
        "accepted_why": fact.accepted_why,
        "what": what(drift),
        "what_to_do": what_to_do(drift),
    }
