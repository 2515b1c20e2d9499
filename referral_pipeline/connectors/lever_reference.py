"""What changes rarely in Lever and is asked for often: stages and archive reasons.

Belongs here: the cache with its rule of renewal. Does not belong here: opportunities, which are always read fresh.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from referral_pipeline.connectors.lever_api import LeverApi
from referral_pipeline.connectors.lever_models import ReasonRow, StageRow, read_row
from referral_pipeline.connectors.records import RowProblem

_KEEP_SECONDS = 900.0


class Reference:
    """The cache of one connector. Safe for threads. What is not known is asked for again, once."""

    def __init__(self, api: LeverApi, *, now: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._now = now
        self._lock = threading.RLock()
        self._stages: dict[str, StageRow] = {}
        self._reasons: dict[str, ReasonRow] = {}
        self._read_at: float | None = None
        self._absent: set[str] = set()

    def stages(self, needed: Iterable[str] = ()) -> dict[str, StageRow]:
        """All stages by id; read again when one of `needed` is unknown or they are old."""
        with self._lock:
            self._renew(set(needed) - self._stages.keys())
            return self._stages

    def reasons(self, needed: Iterable[str] = ()) -> dict[str, ReasonRow]:
        """All archive reasons by id; read again when one of `needed` is unknown or they are old."""
        with self._lock:
            self._renew(set(needed) - self._reasons.keys())
            return self._reasons

    def _renew(self, missing: set[str]) -> None:
        is_old = self._read_at is None or self._now() - self._read_at > _KEEP_SECONDS
        if not is_old and not missing - self._absent:
            return
        stages = [read_row(StageRow, row) for row in self._api.list_all("stages")]
        reasons = [read_row(ReasonRow, row) for row in self._api.list_all("archive_reasons")]
        self._stages = {row.id: row for row in stages if not isinstance(row, RowProblem)}
        self._reasons = {row.id: row for row in reasons if not isinstance(row, RowProblem)}
        self._read_at = self._now()
        self._absent = missing - self._stages.keys() - self._reasons.keys()
