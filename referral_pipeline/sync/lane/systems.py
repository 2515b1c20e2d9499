"""What the lane works with: contract, stores, connectors, and who is to hear of what.

Belongs here: the bundle that every part of the lane is given. Does not belong here: making it (orchestration).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from referral_pipeline.connectors.protocols import AdvocacyConnector, AtsConnector
from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.records import Recognition
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.sync.evidence import Sealer
from referral_pipeline.sync.lane.mirror import Mirror
from referral_pipeline.sync.lane.people import People
from referral_pipeline.sync.recognitions import Recogniser
from referral_pipeline.sync.statuses import StatusReturn


@dataclass(frozen=True)
class Systems:
    """What the lane works with."""

    contract: Contract
    ledger: Ledger
    ats: AtsConnector
    advocacy: AdvocacyConnector
    mirror: Mirror
    people: People
    statuses: StatusReturn
    recogniser: Recogniser
    sealer: Sealer
    on_unmapped_stage: Callable[[str], None] = lambda stage: None
    on_refused_recognition: Callable[[Recognition], None] = lambda recognition: None
    on_many_gone: Callable[[], None] = lambda: None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
