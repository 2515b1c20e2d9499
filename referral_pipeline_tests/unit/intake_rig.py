"""A launch of which people kept manual intake: a small world, a real ledger, and the comparison of both.

Belongs here: set-up shared by the tests of the parallel run. Does not belong here: assertions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from referral_pipeline.connectors.records import StageEntry
from referral_pipeline.contract.verification import ParallelRun, Verification
from referral_pipeline.ledger.records import InboxDelivery
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.quality.parallel_run.numbers import Numbers
from referral_pipeline.quality.parallel_run.records import Line
from referral_pipeline.quality.parallel_run.run import ParallelRunResult, run_parallel
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline.warehouse.core import build_core
from referral_pipeline.warehouse.manual_intake import stage_manual_intake
from referral_pipeline_tests.unit.core_world import AS_OF, World, day

COLUMNS = (
    *("record_id", "entered_at", "first_name", "last_name", "email", "phone", "country", "job_id"),
    *("advocate_id", "campaign_tag", "status"),
)
NOW = day(60)
PEOPLE = ("Ada Example", "Bob Builder", "Cleo Curie", "Dora Dane", "Egon Earl", "Fay Fisher")


@dataclass
class Launch:
    """Referrals that the integration wrote, and rows that people typed of the same."""

    home: Path
    section: Mapping[str, Any] = field(default_factory=dict)
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.world = World(self.home)
        self.world.advocate("A1")
        self.world.advocate("A2")
        self.world.job("J1")
        self.world.job("J2")
        self.rows: list[dict[str, str]] = []
        self.clock = self.now
        self.ledger = Ledger.open(f"sqlite:///{self.home}/ledger.sqlite", home=self.home, clock=lambda: self.clock)

    # ------------------------------------------------------------ the integration

    def written(self, number: int, person: str, *, at: float = 1, hours: float = 0.01, **more: Any) -> None:
        """A referral R<number>, and the application P<number> that the integration opened for it."""
        referral = {"job": "J1", "campaign": "spring", **{k: v for k, v in more.items() if k in {"job", "campaign"}}}
        advocate = more.get("advocate", "A1")
        self.world.referral(f"R{number}", advocate, at, person=person, **referral)
        status = {k: v for k, v in more.items() if k in {"status", "history", "candidate"}}
        self.world.application(f"P{number}", at + hours / 24, person=person, job=referral["job"], **status)
        self.world.edit(f"P{number}", tags={"advocate_id": advocate, "campaign_tag": referral["campaign"]})
        ours = {"created_candidate": True, "created_application": True, **more.get("link", {})}
        self.world.link(f"R{number}", f"P{number}", candidate_id=more.get("candidate", f"C-{person}"), **ours)

    def stage(self, number: int, stage_name: str, counts_as: str) -> None:
        """A recruiter moved the application; the contract's stage map makes this of the stage."""
        status = CandidateStatus(counts_as)
        entries = (
            StageEntry(CandidateStatus.APPLIED, "Review", day(1), day(2)),
            StageEntry(status, stage_name, day(2), None),
        )
        self.world.edit(f"P{number}", status=status, stage_name=stage_name, history=entries, status_at=day(2))

    def candidate(self, person: str, **changes: Any) -> None:
        """What the ATS holds of a candidate."""
        self.world.candidates = [replace(c, **changes) if c.id == f"C-{person}" else c for c in self.world.candidates]

    def webhook(self, referral_id: str, *, at: float, kind: str = "referral.submitted") -> None:
        """Something about a referral came in, and was done."""
        self.clock = day(at)
        event = InboxDelivery(
            "advocacy", f"{kind}:{referral_id}:{at}", kind, "webhook", f"referral:{referral_id}", day(at), None
        )
        self.ledger.receive_many([event])
        for claimed in self.ledger.claim("lane", limit=10, lease=timedelta(minutes=1), bulk=False):
            self.ledger.finish_many("lane", [(claimed.id, "created")], None)
        self.clock = self.now

    # ------------------------------------------------------------ manual intake

    def typed(self, person: str, *, at: float = 1.02, **cells: str) -> None:
        """A row, in the hand of somebody who is in a hurry."""
        first, _, last = person.partition(" ")
        known = {
            "entered_at": f"{day(at):%Y-%m-%d %H:%M}",
            "first_name": first.upper(),
            "last_name": last,
            "email": f" {first}.{last}@Example.com",
            "country": "us",
            "job_id": "J1",
        }
        self.rows.append({**known, **cells})

    def compare(self, **options: Any) -> ParallelRunResult:
        """Stage both sides and compare them."""
        lines = [",".join(row.get(name, "") for name in COLUMNS) for row in self.rows]
        (self.home / "intake.csv").write_text("\n".join([",".join(COLUMNS), *lines]) + "\n", encoding="utf-8")
        verification = Verification(parallel_run=ParallelRun.model_validate({"files": "intake.csv", **self.section}))
        self.contract = self.world.contract.model_copy(update={"verification": verification})
        with self.world.warehouse.connect():  # opened once, and no more is built than is compared
            self.world.stage()
            self.world.people()
            build_core(self.world.warehouse, self.world.contract, AS_OF)
            staged = stage_manual_intake(self.world.warehouse, self.contract, self.home)
            self.result = run_parallel(
                self.world.warehouse,
                self.ledger,
                self.contract,
                set_aside=sum(staged.report.quarantined_records.values()),
                quarantined=lambda: options.get("quarantined", {}),
                now=options.get("now", self.now),
            )
        return self.result

    def lines(self, **options: Any) -> list[Line]:
        """The lines of a comparison."""
        return list(self.compare(**options).lines)

    def found(self, **options: Any) -> list[tuple[str | None, str, str | None, str | None]]:
        """(referral, finding, field, cause) of each line that is no agreement."""
        return [
            (line.referral_id, str(line.finding), line.field, line.cause)
            for line in self.lines(**options)
            if line.finding != "agrees"
        ]

    @property
    def numbers(self) -> Numbers:
        assert self.result.numbers is not None
        return self.result.numbers

    def close(self) -> None:
        self.ledger.close()


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc]
