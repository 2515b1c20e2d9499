"""A write-back between a Greenhouse account on loopback and a ledger in a file, on one clock that moves by itself.

Belongs here: set-up shared by the tests of sync. Does not belong here: assertions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from referral_pipeline.connectors.failures import AmbiguousOutcome
from referral_pipeline.connectors.records import AdvocacyStaged, Advocate, AtsJob, Content, Referral, Share
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.sync.candidates import CandidateWriteBack
from referral_pipeline.sync.cases import PersonCase
from referral_pipeline.sync.facts import Programme
from referral_pipeline.sync.report import SyncReport
from referral_pipeline_tests.records import make_referral
from referral_pipeline_tests.unit.core_world import contract_with
from referral_pipeline_tests.unit.greenhouse_account import START, Account, account_with

LAG = 20.0
"""How long the vendor hides a fresh candidate or application from its lists."""


def lost(operation: str) -> AmbiguousOutcome:
    """A write whose answer never came."""
    return AmbiguousOutcome("greenhouse", operation, detail="timed out")


class Spoilt:
    """A connector of which some methods are replaced by others."""

    def __init__(self, connector: Any, **instead: Callable[..., Any]) -> None:
        self._connector = connector
        self._instead = instead

    def __getattr__(self, name: str) -> Any:
        return self._instead.get(name) or getattr(self._connector, name)


@dataclass
class Rig:
    """One account, one ledger, and runs of the write-back between them."""

    account: Account
    ledger: Ledger
    ats: Any
    shares: list[Share] = field(default_factory=list)
    content: list[Content] = field(default_factory=list)

    def referral(self, referral_id: str = "R1", *, days: float = 2, **fields: Any) -> Referral:
        """A referral of Ada Example by advocate A1, made so many days ago."""
        at = START - timedelta(days=days)
        known = {"share_id": None, "job_id": str(self.account.job["id"]), "submitted_at": at, "applied_at": at}
        return make_referral(**{"id": referral_id, **known, **fields})

    def case(self, *referrals: Referral, person: str = "per_ada", **fields: Any) -> PersonCase:
        """The case of one person, with what the ledger and the lists of the ATS show of it."""
        links = {r.id: link for r in referrals if (link := self.ledger.link(r.id)) is not None}
        candidates = sorted({x.candidate_id for x in links.values() if x.candidate_id})
        values = {
            "person_id": person,
            "referrals": tuple(sorted(referrals, key=lambda r: (r.touched_at, r.id))),
            "candidate_ids": tuple(candidates),
            "applications": tuple(self.ats.applications_of(candidates)) if candidates else (),
            "links": links,
        }
        return PersonCase(**{**values, **fields})

    def run(
        self,
        *cases: PersonCase,
        ats: Any = None,
        ledger: Any = None,
        person_of: Mapping[str, str] | None = None,
        rounds: int = 4,
        workers: int = 1,
        known_until: datetime | None = None,
        aside: Executor | None = None,
        programme: Callable[[], Programme] | None = None,
    ) -> SyncReport:
        """One run of a process of its own."""
        ids = {r.advocate_id for case in cases for r in case.referrals}
        advocates = [Advocate(i, None, None, True, None, None, START) for i in sorted(ids)]
        staged = AdvocacyStaged(advocates, self.content, self.shares, [], [], [])
        jobs = [AtsJob(str(j["id"]), j["name"], j["status"]) for j in self.account.store.rows("jobs")]
        known = Programme.of(staged)
        write_back = CandidateWriteBack(
            ats=ats or self.ats,
            ledger=ledger or self.ledger,
            contract=contract_with(),
            programme=programme or (lambda: known),
            jobs={job.id: job for job in jobs},
            person_of_candidate=person_of or {},
            clock=lambda: self.account.now,
            sleep=self.account.sleep,
            workers=workers,
            known_until=known_until,
            aside=aside,
        )
        return write_back.run(list(cases), rounds=rounds)

    def time_passes(self, seconds: float = LAG + 1) -> None:
        self.account.sleep(seconds)

    # ------------------------------------------------------------ what the ATS holds

    def candidates(self) -> list[dict[str, Any]]:
        return list(self.account.store.rows("candidates"))

    def applications(self) -> list[dict[str, Any]]:
        return list(self.account.store.rows("applications"))

    def counts(self) -> tuple[int, int]:
        """Candidates and applications."""
        return len(self.candidates()), len(self.applications())

    # ------------------------------------------------------------ what goes wrong

    def loses_answers(self, *operations: str, before_work: bool = False, times: int = 1) -> Any:
        """A connector that loses the first answers of these operations, or never gets them through."""
        left = dict.fromkeys(operations, times)

        def losing(operation: str) -> Callable[..., Any]:
            def call(*arguments: Any, **more: Any) -> Any:
                if left[operation] <= 0:
                    return getattr(self.ats, operation)(*arguments, **more)
                left[operation] -= 1
                if not before_work:
                    getattr(self.ats, operation)(*arguments, **more)
                raise lost(operation)

            return call

        return Spoilt(self.ats, **{operation: losing(operation) for operation in operations})


@contextmanager
def rig_with(folder: Path, **switches: Any) -> Iterator[Rig]:
    """A rig whose vendor hides what is fresh for `LAG` seconds and refuses no second application; more by switches."""
    harsh = {"visibility_lag_seconds": LAG, "duplicate_application": "allowed"}
    with account_with(**{**harsh, **switches}) as account:
        ledger = Ledger.open(f"sqlite:///{folder}/ledger.sqlite", home=folder, clock=lambda: account.now)
        ats = account.connect(visibility_lag_seconds=LAG)
        try:
            yield Rig(account, ledger, ats)
        finally:
            ats.close()
            ledger.close()


def tags_of(rig: Rig, applications: Sequence[Mapping[str, Any]]) -> list[str | None]:
    """The referral that each application names."""
    return [rig.account.tags(a["id"]).get("referral_id") for a in applications]
