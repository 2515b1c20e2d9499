"""Jobs of the ATS, as the lane remembers them.

Belongs here: reading jobs and for how long to believe them. Does not belong here: publishing jobs (sync.jobs), what a
closed job means for a referral (sync.candidates).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from threading import Lock

from referral_pipeline.connectors.protocols import AtsConnector
from referral_pipeline.connectors.records import AtsJob

_JOBS_REMEMBERED = timedelta(minutes=10)


class Jobs:
    """Jobs of the ATS by id, remembered for a while. Safe for threads."""

    def __init__(self, ats: AtsConnector, clock: Callable[[], datetime]) -> None:
        self._ats = ats
        self._clock = clock
        self._known: dict[str, tuple[datetime, AtsJob]] = {}
        self._lock = Lock()

    def get(self, ids: Collection[str]) -> list[AtsJob]:
        """These jobs; unknown ones are read, absent ones left out."""
        now = self._clock()
        with self._lock:  # the first of many threads reads, the others find it read
            missing = sorted(i for i in ids if i not in self._known or now - self._known[i][0] > _JOBS_REMEMBERED)
            if missing:
                for job in self._ats.get_jobs(missing).values():
                    self._known[job.id] = (now, job)
            return [self._known[i][1] for i in ids if i in self._known]

    def read_again(self, ids: Collection[str]) -> list[AtsJob]:
        """These jobs as they are now."""
        with self._lock:
            for job_id in ids:
                self._known.pop(job_id, None)
        return self.get(ids)
