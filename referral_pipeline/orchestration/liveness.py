"""Whether a long-lived process of this installation is alive, by its heartbeat in the ledger.

Belongs here: how old a heartbeat may be, waking the lane, and opening the ledger for a look that needs no connector.
Does not belong here: beating (the processes do), what follows from silence (sensors, up).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from referral_pipeline.contract.models import Contract
    from referral_pipeline.ledger.records import Heartbeat
    from referral_pipeline.ledger.store import Ledger
    from referral_pipeline.settings import Settings

LANE = "lane"
RECEIVER = "receiver"
SILENT_AFTER = timedelta(seconds=10)
"""A process whose last heartbeat is older counts as stopped."""


@contextmanager
def open_ledger(settings: Settings) -> Generator[tuple[Contract, Ledger]]:
    """The contract, and its ledger for the length of the block.

    Raises:
        ContractError: the contract does not hold.
        LedgerError: the ledger cannot be opened.
    """
    from referral_pipeline.contract.loader import load_contract
    from referral_pipeline.ledger.store import Ledger
    from referral_pipeline.orchestration.state import state_folder

    contract = load_contract(settings)
    state_folder(settings)
    with Ledger.open(contract.ledger.url, home=settings.home) as ledger:
        yield contract, ledger


def last_beat(ledger: Ledger, name: str) -> Heartbeat | None:
    """The newest heartbeat of a kind of process; None when none runs and none died without a word."""
    return next(iter(ledger.heartbeats(name)), None)


def is_alive(ledger: Ledger, name: str, *, now: datetime) -> bool:
    """Whether a process of this kind has beaten lately. A beat of the future was left before a clock was set back."""
    return any(abs(now - beat.at) <= SILENT_AFTER for beat in ledger.heartbeats(name))


def wake_lane(ledger: Ledger) -> bool:
    """Tell the lane that there is something to do; whether there is one."""
    from referral_pipeline.webhooks.wake import Waker

    if not is_alive(ledger, LANE, now=datetime.now(UTC)):
        return False
    waker = Waker(ledger)
    waker.wake()
    waker.close()
    return True
