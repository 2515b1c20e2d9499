"""Reconciliation: what webhooks missed enters the inbox, and is worked off here when no lane does it.

Belongs here: bringing the pull, the comparison and the inbox together, and telling the counts. Does not belong here:
what counts as missed (sync.reconciliation), what happens to a hint (the lane).
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from referral_pipeline.orchestration.resources import BridgeResource
from referral_pipeline.orchestration.specs import WAREHOUSE_POOL, counts_table, spec

if TYPE_CHECKING:
    from referral_pipeline.orchestration.bridge import Bridge
    from referral_pipeline.sync.reconciliation import Pulled

_MOST_AT_ONCE = 500
"""Findings that a run puts before the lane; a longer backlog would keep fresh events waiting for too long."""


@dg.multi_asset(name="find_missed", specs=[spec("reconciliation")], pool=WAREHOUSE_POOL)
def reconciliation(context: dg.AssetExecutionContext, bridge: BridgeResource) -> dg.MaterializeResult[Any]:
    """Find what webhooks missed, put it in the inbox, and work the inbox off when no lane is there to do it."""
    from referral_pipeline.orchestration.liveness import LANE, RECEIVER, is_alive
    from referral_pipeline.sync.reconciliation import GRACE, enter, missed

    own = bridge.bridge
    now = datetime.now(UTC)
    lane = is_alive(own.ledger, LANE, now=now)
    # Without a receiver no webhook is under way that a young change could be left to.
    grace = GRACE if is_alive(own.ledger, RECEIVER, now=now) else timedelta(0)
    found = missed(
        _pulled(own, now),
        ledger=own.ledger,
        ats=own.ats,
        contract=own.contract,
        hash_key=own.settings.secret("REFERRAL_PIPELINE_HASH_KEY"),
        now=now,
        grace=grace,
        most=_MOST_AT_ONCE if lane else None,
    )
    counts = enter(found, ledger=own.ledger, systems=[own.advocacy.system, own.ats.system])
    by_type: dict[str, int] = {}
    for delivery in found:
        by_type[delivery.event_type] = by_type.get(delivery.event_type, 0) + 1
    context.log.info("missed by webhooks: %s", ", ".join(f"{system} {n}" for system, n in sorted(counts.items())))
    metadata: dict[str, Any] = {
        "missed": sum(counts.values()),
        **{f"missed_{system}": count for system, count in sorted(counts.items())},
        "missed_by_type": counts_table(by_type, header=("type", "count")),
        "lane_beats": lane,
    }
    if lane:
        _wake(own)
    else:
        metadata["worked_off_here"] = counts_table(own.drain_inbox(), header=("outcome", "events"))
    return dg.MaterializeResult(asset_key="reconciliation", metadata=metadata)


def _pulled(bridge: "Bridge", now: datetime) -> "Pulled":
    from referral_pipeline.sync.reconciliation import Pulled

    with bridge.warehouse.connect():
        accepted = set(bridge.warehouse.frame("SELECT id FROM staging.referral")["id"])
        advocacy, ats = bridge.staged_advocacy, bridge.staged_ats
    return Pulled(
        referrals=[r for r in advocacy.referrals if r.id in accepted],
        applications=ats.applications,
        jobs=ats.jobs,
        at={source.system: _pulled_until(bridge, source, now) for source in (bridge.advocacy, bridge.ats)},
    )


def _pulled_until(bridge: "Bridge", source: Any, now: datetime) -> datetime:
    """Up to when all of a system was asked: what happened to a record later, the pull may not show."""
    cursors = [bridge.ledger.cursor(source.system, entity) for entity in source.entities]
    return min((cursor.position for cursor in cursors if cursor is not None), default=now)


def _wake(bridge: "Bridge") -> None:
    from referral_pipeline.webhooks.wake import Waker

    waker = Waker(bridge.ledger)
    waker.wake()
    waker.close()
