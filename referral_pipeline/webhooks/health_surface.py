"""Health on the receiver's port: a page for people, JSON for programs, gauges for Prometheus.

Belongs here: the route, measuring at most so often, the answers. Does not belong here: measuring and drawing
(monitoring).

Whoever asks gets what was measured within the last 20 seconds. One measurement is under way at a time, in a thread, so
that no number of readers costs more than one look at the ledger, and none keeps a webhook waiting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.store import Ledger, LedgerError
from referral_pipeline.monitoring.alerts import DEFAULT_UI_URL
from referral_pipeline.monitoring.health import Health
from referral_pipeline.monitoring.judge import judge
from referral_pipeline.monitoring.open_alerts import open_alerts
from referral_pipeline.monitoring.page import CSP, page_of
from referral_pipeline.monitoring.watch import Watcher
from referral_pipeline.settings import Settings

MEASURED_FOR_SECONDS = 20.0
_HEADERS = {
    "content-security-policy": CSP,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "vary": "accept",
}
_log = logging.getLogger(__name__)


class HealthSurface:
    """Health as of a moment ago. Belongs to one event loop."""

    def __init__(self, contract: Contract, settings: Settings, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        self._watcher = Watcher(ledger, contract, settings.published_dir)
        self._contract = contract
        self._ledger = ledger
        self._ui = settings.ui_url or DEFAULT_UI_URL
        self._clock = clock
        self._measuring: asyncio.Task[Health] | None = None
        self._measured_at = 0.0

    async def health(self, *, within_seconds: float) -> Health:
        """What was measured lately, or is measured now.

        Raises:
            SQLAlchemyError, LedgerError, OSError: the ledger cannot be read, or not in that time (TimeoutError).
        """
        task = self._measuring
        is_old = monotonic() - self._measured_at > MEASURED_FOR_SECONDS
        if task is None or (task.done() and (is_old or task.cancelled() or task.exception() is not None)):
            task = self._measuring = asyncio.create_task(asyncio.to_thread(self._measure))
            self._measured_at = monotonic()
        async with asyncio.timeout(within_seconds):
            return await asyncio.shield(task)

    def _measure(self) -> Health:
        health = judge(self._watcher.look(self._clock()), self._contract)
        return replace(health, alerts=open_alerts(self._ledger))

    async def page(self, request: Request) -> Response:
        """`GET /health`: HTML, or JSON where that is asked for."""
        accepted = request.headers.get("accept", "")
        try:
            health = await self.health(within_seconds=30.0)
        except (SQLAlchemyError, LedgerError, OSError) as error:  # TimeoutError is an OSError
            _log.warning("health cannot be measured: %s", type(error).__name__)
            return PlainTextResponse("health cannot be measured: the ledger cannot be read\n", 503, _HEADERS)
        if "application/json" in accepted and "text/html" not in accepted:
            return JSONResponse(health.as_json(), headers=_HEADERS)
        return HTMLResponse(page_of(health, self._ui), headers=_HEADERS)
