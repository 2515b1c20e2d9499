"""What changes rarely in Greenhouse and is asked for often: stages of jobs, sources, reasons, referrers.

Belongs here: caches with their rules of renewal. Does not belong here: candidates and applications, which are always
read fresh.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from referral_pipeline.connectors.failures import PermanentFailure
from referral_pipeline.connectors.greenhouse_api import GreenhouseApi
from referral_pipeline.connectors.greenhouse_assemble import keep, reason_types
from referral_pipeline.connectors.greenhouse_models import SYSTEM, JobStageRow, RejectionReasonRow
from referral_pipeline.connectors.records import Row, RowProblem

_KEEP_SECONDS = 900.0


class Reference:
    """Caches of one connector. Safe for threads; a lookup that misses is asked for again, but not for ever."""

    def __init__(self, api: GreenhouseApi, *, now: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._now = now
        self._lock = threading.RLock()
        self._stages: dict[str, list[JobStageRow]] = {}
        self._sources: dict[str, str] = {}
        self._sources_at: float | None = None
        self._reasons: dict[str, str] = {}
        self._reasons_at: float | None = None
        self._referrers: dict[str, str | None] = {}
        self._referrers_complete = False
        self._referrers_at: float | None = None

    def stages_of(self, job_ids: Iterable[str], stage_ids: Iterable[str]) -> list[JobStageRow]:
        """The stages of these jobs; fetched again for a job where one of `stage_ids` is not among the known ones."""
        jobs = set(job_ids)
        with self._lock:
            known = {stage.id for job in jobs for stage in self._stages.get(job, [])}
            missing = jobs - self._stages.keys()
            if set(stage_ids) - known:
                missing = jobs
            if missing:
                rows = self._api.by_ids("job_interview_stages", missing, by="job_ids")
                problems: list[RowProblem] = []
                for job in missing:
                    self._stages[job] = []
                for stage in keep(JobStageRow, rows, problems):
                    self._stages.setdefault(stage.job_id, []).append(stage)
            return [stage for job in jobs for stage in self._stages.get(job, [])]

    def source_names(self, needed: Iterable[str]) -> dict[str, str]:
        """Source id -> name; read again when one of `needed` is unknown or the list is old."""
        with self._lock:
            if self._sources_at is None or self._old(self._sources_at) or set(needed) - self._sources.keys():
                self._sources = {str(row["id"]): str(row.get("name") or "") for row in self._api.list_all("sources")}
                self._sources_at = self._now()
            return self._sources

    def source_id(self, name: str) -> int:
        """The id of the source of this name.

        Raises:
            PermanentFailure: When there is none; the message says how to make one.
        """
        wanted = _folded(name)
        for refresh in (False, True):
            with self._lock:
                if refresh:
                    self._sources_at = None
                for source_id, known in self.source_names(()).items():
                    if _folded(known) == wanted:
                        return int(source_id)
        raise PermanentFailure(
            SYSTEM, "sources.list", detail="the source of options.source_name does not exist; create it in Configure"
        )

    def reason_types(self, needed: Iterable[str]) -> dict[str, str]:
        """Rejection reason id -> type key; read again when one of `needed` is unknown or the list is old."""
        with self._lock:
            if self._reasons_at is None or self._old(self._reasons_at) or set(needed) - self._reasons.keys():
                problems: list[RowProblem] = []
                rows = self._api.list_all("rejection_reasons", {"include_defaults": "true"})
                self._reasons = reason_types(keep(RejectionReasonRow, rows, problems))
                self._reasons_at = self._now()
            return self._reasons

    def referrer_id(self, email: str) -> int | None:
        """(10) The `referrers` id of the user with this address, None when there is no such user or referrer.

        A tenant with few referrers (one page) is read once, with the addresses of their users; in a larger one each
        address is looked up when it is needed. Only id and address of a user are asked for.
        """
        wanted = _folded(email)
        if not wanted:
            return None
        with self._lock:
            if self._referrers_at is None or self._old(self._referrers_at):
                self._read_referrers()
            if wanted not in self._referrers and not self._referrers_complete:
                self._referrers[wanted] = self._look_up(email.strip())
            found = self._referrers.get(wanted)
        return int(found) if found is not None else None

    def _read_referrers(self) -> None:
        rows, more = self._api.first_page("referrers")
        self._referrers = {}
        self._referrers_complete = not more
        self._referrers_at = self._now()
        if more:
            return
        by_user = _by_user(rows)
        users = self._api.by_ids("users", by_user, params={"fields": "id,primary_email"})
        for user in users:
            address = _folded(user.get("primary_email"))
            if address:
                self._referrers[address] = by_user[str(user["id"])]

    def _look_up(self, email: str) -> str | None:
        users = self._api.list_all("users", {"primary_email": email, "fields": "id,primary_email"})
        ids = [str(user["id"]) for user in users]
        if not ids:
            return None
        by_user = _by_user(self._api.by_ids("referrers", ids, by="user_ids"))
        return next((by_user[user_id] for user_id in ids if user_id in by_user), None)

    def _old(self, read_at: float) -> bool:
        return self._now() - read_at > _KEEP_SECONDS


def _by_user(rows: Sequence[Row]) -> dict[str, str]:
    return {str(row["user_id"]): str(row["id"]) for row in rows if row.get("user_id") is not None}


def _folded(text: object) -> str:
    return " ".join(str(text or "").split()).casefold()
