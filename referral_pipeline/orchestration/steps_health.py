"""The steps of health: measure it, keep it, tell it.

Belongs here: bringing contract, ledger, watcher, desk and warehouse together. Does not belong here: dagster (the asset
and the sensor call this), judging (monitoring).
"""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from referral_pipeline.contract.loader import load_contract
from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.monitoring.alerts import AlertDesk
from referral_pipeline.monitoring.health import Health
from referral_pipeline.monitoring.health_alerts import Told, tell
from referral_pipeline.monitoring.judge import judge
from referral_pipeline.monitoring.open_alerts import open_alerts
from referral_pipeline.monitoring.watch import Watcher
from referral_pipeline.orchestration.state import state_folder
from referral_pipeline.settings import Settings

if TYPE_CHECKING:
    from referral_pipeline.orchestration.bridge import Bridge


def measure_health(settings: Settings) -> Health:
    """The health of an installation now, and the alerts that are open, from its ledger alone.

    Raises:
        ContractError: the contract does not hold.
        LedgerError: the ledger cannot be opened.
    """
    contract = load_contract(settings)
    state_folder(settings)
    with Ledger.open(contract.ledger.url, home=settings.home) as ledger:
        health = judge(Watcher(ledger, contract, settings.published_dir).look(datetime.now(UTC)), contract)
        return replace(health, alerts=open_alerts(ledger))


def keep_health(bridge: Bridge) -> Health:
    """Measure health, and keep it in ops.health."""
    from referral_pipeline.warehouse import health as history

    bridge.calls.flush()
    watcher = Watcher(bridge.ledger, bridge.contract, bridge.settings.published_dir)
    health = judge(watcher.look(datetime.now(UTC)), bridge.contract)
    rows = [{**row.as_json(), "sample_size": row.sample} for row in health.rows]
    history.keep_health(bridge.warehouse, rows, health.measured_at)
    return health


class HealthWatch:
    """Measures and tells again and again, in a process that lives on: what it read of the past it need not read again.

    Its ledger stays open between two looks. Safe for threads.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._of: tuple[Settings, Contract] | None = None
        self._watcher: Watcher | None = None

    def look(self, settings: Settings) -> tuple[Health, Told]:
        """Measure, fire what has begun, resolve what is over.

        Raises:
            ContractError: the contract does not hold.
            LedgerError: the ledger cannot be opened.
        """
        contract = load_contract(settings)
        with self._turn:
            if self._watcher is None or self._of != (settings, contract):
                self._close()
                state_folder(settings)
                ledger = Ledger.open(contract.ledger.url, home=settings.home)
                self._of, self._watcher = (settings, contract), Watcher(ledger, contract, settings.published_dir)
            ledger = self._watcher.ledger
            try:
                health = judge(self._watcher.look(datetime.now(UTC)), contract)
                with AlertDesk(contract, settings, ledger, background=False) as desk:
                    return health, tell(health, desk, ledger, settings)
            except BaseException:
                self._close()  # whatever it was, the next look begins anew
                raise

    def close(self) -> None:
        """Let go of the ledger."""
        with self._turn:
            self._close()

    def _close(self) -> None:
        if self._watcher is not None:
            self._watcher.ledger.close()
            self._watcher = self._of = None
