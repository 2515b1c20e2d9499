"""A small world of records, staged as the pipeline stages them, for tests of core and of the KPIs.

Times are days before or after `DAY0`, written as numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from referral_pipeline.connectors.records import (
    AdvocacyStaged,
    Advocate,
    AtsApplication,
    AtsCandidate,
    AtsJob,
    AtsStaged,
    Click,
    Consent,
    Content,
    Referral,
    Share,
    StageEntry,
)
from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.models import Contract
from referral_pipeline.vocabulary import CandidateStatus, ReferralStage
from referral_pipeline.warehouse import staging
from referral_pipeline.warehouse.core import build_bonus_ledger, build_core
from referral_pipeline.warehouse.costs import allocate_costs, stage_costs
from referral_pipeline.warehouse.events import EVENT
from referral_pipeline.warehouse.frames import frame_of_rows
from referral_pipeline.warehouse.people import PeopleReport, build_people
from referral_pipeline.warehouse.store import Warehouse

DAY0 = datetime(2026, 1, 1, 9, tzinfo=UTC)
AS_OF = datetime(2026, 6, 30, tzinfo=UTC)


def day(number: float | None) -> datetime | None:
    return None if number is None else DAY0 + timedelta(days=number)


def contract_with(**rules: Any) -> Contract:
    text = (Path(__file__).parents[2] / "data" / "integration.yaml").read_text(encoding="utf-8")
    contract = parse_contract(text)
    return contract.model_copy(update={"rules": contract.rules.model_copy(update=rules)}) if rules else contract


def attribution_rules(contract: Contract, **changes: Any) -> Contract:
    rules = contract.rules.model_copy(update={"attribution": contract.rules.attribution.model_copy(update=changes)})
    return contract.model_copy(update={"rules": rules})


@dataclass
class World:
    """Records of both sides and what the ledger remembers; `build` makes core of them."""

    path: Path
    contract: Contract = field(default_factory=contract_with)
    advocates: list[Advocate] = field(default_factory=list)
    content: list[Content] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    clicks: list[Click] = field(default_factory=list)
    referrals: list[Referral] = field(default_factory=list)
    jobs: list[AtsJob] = field(default_factory=list)
    candidates: list[AtsCandidate] = field(default_factory=list)
    applications: list[AtsApplication] = field(default_factory=list)
    links: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    aliases: list[tuple[str, str]] = field(default_factory=list)
    overrides: list[dict[str, Any]] = field(default_factory=list)
    bonuses: list[dict[str, Any]] = field(default_factory=list)
    payroll: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    costs: str | None = None
    """The text of the contract's file of costs; without it no costs are configured."""

    def __post_init__(self) -> None:
        self.warehouse = Warehouse(
            self.path / "warehouse.duckdb", home=self.path, published_dir=self.path / "published"
        )

    # ------------------------------------------------------------ advocacy

    def advocate(self, advocate_id: str, department: str | None = "Engineering") -> None:
        self.advocates.append(Advocate(advocate_id, None, department, True, DAY0, None, DAY0))

    def share(
        self, share_id: str, advocate_id: str, at: float, *, job: str = "J1", campaign: str | None = "spring"
    ) -> None:
        self.content.append(Content(f"CO-{share_id}", None, campaign, job, DAY0, DAY0))
        self.shares.append(Share(share_id, advocate_id, f"CO-{share_id}", job, "linkedin", day(at), 10, DAY0))

    def click(self, click_id: str, share_id: str, at: float) -> None:
        self.clicks.append(Click(click_id, share_id, f"V-{click_id}", day(at), DAY0))

    def referral(
        self,
        referral_id: str,
        advocate_id: str,
        at: float,
        *,
        person: str = "Jane Doe",
        job: str = "J1",
        share: str | None = None,
        stage: str = "applied",
        granted: bool = True,
        expires: float | None = None,
        campaign: str | None = "spring",
    ) -> None:
        first, _, last = person.partition(" ")
        self.referrals.append(
            Referral(
                id=referral_id, advocate_id=advocate_id, share_id=share, job_id=job, campaign_tag=campaign,
                stage=ReferralStage(stage), submitted_at=day(at - 0.5), applied_at=day(at), first_name=first,
                last_name=last, email=f"{first}.{last}@example.com".lower(), phone=None, country="US",
                consent=Consent(granted, "opt-in", day(at), day(expires)), clicks=None, shares=None, reach=None,
                status=None, status_at=None, ats_candidate_id=None, ats_application_id=None, updated_at=DAY0,
            )
        )  # fmt: skip

    # ------------------------------------------------------------ ATS

    def job(self, job_id: str, department: str | None = "Engineering") -> None:
        self.jobs.append(AtsJob(job_id, f"Job {job_id}", "open", department, updated_at=DAY0))

    def application(
        self,
        application_id: str,
        at: float,
        *,
        person: str = "Jane Doe",
        job: str | None = "J1",
        status: str = "applied",
        status_at: float | None = None,
        hired: float | None = None,
        rejected: float | None = None,
        interviewed: float | None = None,
        offered: float | None = None,
        history: tuple[tuple[str, float, float | None], ...] = (),
        candidate: str | None = None,
    ) -> None:
        first, _, last = person.partition(" ")
        candidate_id = candidate or f"C-{person}"
        if all(c.id != candidate_id for c in self.candidates):
            email = (f"{first}.{last}@example.com".lower(),)
            self.candidates.append(AtsCandidate(candidate_id, first, last, email, (), day(at), day(at)))
        recorded = next(t for t in (status_at, hired, rejected, offered, interviewed, at) if t is not None)
        self.applications.append(
            AtsApplication(
                id=application_id, candidate_id=candidate_id, job_id=job, status=CandidateStatus(status),
                status_at=day(recorded), applied_at=day(at), updated_at=day(recorded), interviewed_at=day(interviewed),
                offered_at=day(offered), hired_at=day(hired), rejected_at=day(rejected),
                history=tuple(
                    StageEntry(CandidateStatus(name), None, day(start), day(end)) for name, start, end in history
                ),
            )
        )  # fmt: skip

    def edit(self, application_id: str, **changes: Any) -> None:
        """Change an application as a recruiter would."""
        self.applications = [replace(a, **changes) if a.id == application_id else a for a in self.applications]

    # ------------------------------------------------------------ ledger

    def link(self, referral_id: str, application_id: str | None = None, **more: Any) -> None:
        self.links.append(
            {"referral_id": referral_id, "application_id": application_id, "system": "greenhouse", **more}
        )

    def told(self, application_id: str, status: str, at: float) -> None:
        self.statuses.append(
            {
                "system": "greenhouse",
                "application_id": application_id,
                "status": status,
                "at": day(at),
                "source_event": "",
            }
        )

    def override(self, application_id: str, referral_id: str | None) -> None:
        self.overrides.append(
            {
                "id": len(self.overrides) + 1,
                "application_key": f"greenhouse:{application_id}",
                "referral_id": referral_id,
                "decided_at": AS_OF,
            }
        )

    # ------------------------------------------------------------ building

    def stage(self) -> None:
        staging.stage_advocacy(
            self.warehouse,
            AdvocacyStaged(self.advocates, self.content, self.shares, self.clicks, self.referrals, []),
            self.contract,
        )
        staging.stage_ats(
            self.warehouse, "greenhouse", AtsStaged(self.jobs, self.candidates, self.applications, [], [])
        )
        contract = self.contract
        if self.costs is None or contract.costs is None:
            contract = contract.model_copy(update={"costs": None})
        else:
            (self.path / contract.costs.files).parent.mkdir(parents=True, exist_ok=True)
            (self.path / contract.costs.files).write_text(self.costs, encoding="utf-8")
        self.costs_read = stage_costs(self.warehouse, contract, self.path)
        aliases = [{"system": "greenhouse", "old_id": old, "new_id": new} for old, new in self.aliases]
        for table, rows, kinds in (
            ("staging.link", self.links, staging._LINK),
            ("staging.ledger_status", self.statuses, staging._LEDGER_STATUS),
            ("staging.candidate_alias", aliases, staging._ALIAS),
            ("staging.ledger_override", self.overrides, staging._OVERRIDE),
            ("staging.ledger_bonus", self.bonuses, staging._BONUS),
            ("staging.ledger_payroll", self.payroll, staging._PAYROLL),
            ("staging.ledger_event", self.events, EVENT),
        ):
            self.warehouse.replace(table, frame_of_rows(rows, kinds))

    def people(self, **options: Any) -> PeopleReport:
        arguments: dict[str, Any] = {"ledger_persons": {}, "must_link": [], **options}
        return build_people(self.warehouse, contract=self.contract, **arguments)

    def build(self, *, as_of: datetime = AS_OF, **people: Any) -> World:
        with self.warehouse.connect():
            self.stage()
            self.person_of = self.people(**people).person_of
            self.rows = build_core(self.warehouse, self.contract, as_of)
            build_bonus_ledger(self.warehouse, self.contract)
            self.allocation = allocate_costs(self.warehouse)
        return self

    def rows_of(self, sql: str) -> list[dict[str, Any]]:
        with self.warehouse.connect() as connection:
            answer = connection.execute(sql)
            names = [column[0] for column in answer.description]
            return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]

    def attribution(self, application_id: str = "P1") -> dict[str, Any]:
        [row] = self.rows_of(f"SELECT * FROM core.attribution WHERE ats_application_id = '{application_id}'")
        return row

    def credit(self, application_id: str = "P1") -> list[tuple[str, float, int, str]]:
        return [
            (row["advocate_id"], float(row["weight"]), row["bonus_cents"], row["reason"])
            for row in self.rows_of(
                "SELECT advocate_id, weight, bonus_cents, reason FROM core.attribution_credit"
                f" WHERE application_key = 'greenhouse:{application_id}' ORDER BY place"
            )
        ]

    def history(self, application_id: str = "P1") -> list[tuple[str, float, float | None]]:
        """(status, from, to) in days since DAY0."""

        def days(at: datetime | None) -> float | None:
            return None if at is None else round((at - DAY0) / timedelta(days=1), 6)

        return [
            (row["status"], days(row["valid_from"]), days(row["valid_to"]))
            for row in self.rows_of(
                "SELECT status, valid_from, valid_to FROM core.status_history"
                f" WHERE application_key = 'greenhouse:{application_id}' ORDER BY valid_from"
            )
        ]
