"""The bridge of one process: contract, stores and connectors put together, and the steps that assets and commands call.

Belongs here: composition and the order inside a step. Does not belong here: dagster (the assets call this), rules of
the domain (the rooms own them).
"""

from __future__ import annotations

import fcntl
import logging
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep
from types import TracebackType
from typing import Self

import pandas as pd

from referral_pipeline.connectors.calls import CallRecorder
from referral_pipeline.connectors.costs import CostsRead
from referral_pipeline.connectors.factory import build_advocacy, build_ats
from referral_pipeline.connectors.failures import HttpFailure, TransientFailure
from referral_pipeline.connectors.protocols import AdvocacyConnector, AtsConnector, Source
from referral_pipeline.connectors.records import AdvocacyStaged, AtsApplication, AtsStaged, Row
from referral_pipeline.contract.loader import load_contract
from referral_pipeline.contract.models import Contract
from referral_pipeline.identity.decisions import record_aliases
from referral_pipeline.identity.review_file import REVIEW_FILE, write_review_file
from referral_pipeline.kpis.advocates import build_advocates, read_results
from referral_pipeline.kpis.compute import compute_kpis
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.orchestration.catalog import BY_NAME
from referral_pipeline.orchestration.state import refuse_other_systems, refuse_unapproved, remember_system, state_folder
from referral_pipeline.privacy.crypto import Cipher
from referral_pipeline.reports.editions import Edition, write_quarterly_edition
from referral_pipeline.reports.leadership import Written as WrittenReport
from referral_pipeline.reports.leadership import write_leadership_report
from referral_pipeline.reports.periods import Quarter
from referral_pipeline.settings import Settings, load_settings
from referral_pipeline.sync.advocate_results import send_results
from referral_pipeline.sync.candidates import CandidateWriteBack
from referral_pipeline.sync.cases import person_cases
from referral_pipeline.sync.evidence import Sealer
from referral_pipeline.sync.facts import Programme
from referral_pipeline.sync.jobs import publish_jobs
from referral_pipeline.sync.lane.mirror import Mirror, Tapped
from referral_pipeline.sync.lane.people import People
from referral_pipeline.sync.lane.persons import Leveller, Systems
from referral_pipeline.sync.merges import CandidateMerger
from referral_pipeline.sync.recognitions import Recogniser
from referral_pipeline.sync.report import SyncFailure, SyncReport
from referral_pipeline.sync.statuses import StatusReturn
from referral_pipeline.vocabulary import Side
from referral_pipeline.warehouse.core import build_bonus_ledger, build_core
from referral_pipeline.warehouse.costs import CostAllocation, allocate_costs, stage_costs
from referral_pipeline.warehouse.duplicates import DuplicatesReport, score_duplicates
from referral_pipeline.warehouse.failures import WarehouseError
from referral_pipeline.warehouse.ingest import IngestReport, ingest
from referral_pipeline.warehouse.moments import chosen_moment, note_moment
from referral_pipeline.warehouse.people import PeopleReport, build_people
from referral_pipeline.warehouse.publish import published_as_of, published_at
from referral_pipeline.warehouse.query import PublishedTables
from referral_pipeline.warehouse.staging import StagingReport, stage_advocacy, stage_ats, stage_ledger
from referral_pipeline.warehouse.store import Warehouse

_LOG = logging.getLogger(__name__)

ProgressSink = Callable[[str, int, int], None]
"""Called with (what, done, total) during long work."""

PUBLISHED_TABLES = (
    "core.person",
    "core.attribution",
    "core.attribution_credit",
    "mart.attribution_comparison",
    "core.status_history",
    "core.duplicate_review",
    "mart.kpi",
    "mart.time_to_hire_curve",
    "mart.cost",
    "mart.funnel",
    "mart.advocate",
    "mart.bonus",
    "mart.data_quality",
)

_JUDGED = ("core.attribution", "mart.kpi", "mart.advocate")
"""Tables that depend on the moment at which they are made: of consent, and of the age of cohorts."""


class AnotherRunError(Exception):
    """Another process of this installation is writing to the outside systems."""


@dataclass(frozen=True)
class Written:
    """What a candidate write-back did, with the rows read again after it."""

    report: SyncReport
    cases: int
    rows_read_again: int


class Bridge:
    """One process's hold on the two stores and the two systems. Close it; it is a context manager."""

    def __init__(self, *, settings: Settings, contract: Contract, progress: ProgressSink | None = None) -> None:
        """Open the stores (the ledger migrates itself) and prepare the connectors; no call is made yet."""
        self.settings = settings
        self.contract = contract
        self.progress: ProgressSink = progress or (lambda what, done, total: None)
        state = state_folder(settings)
        self.ledger = Ledger.open(contract.ledger.url, home=settings.home)
        self.warehouse = Warehouse(contract.warehouse.url, home=settings.home, published_dir=settings.published_dir)
        self.calls = CallRecorder(self.ledger.record_calls)
        self.ats: AtsConnector = build_ats(contract, settings, recorder=self.calls, state_dir=state)
        self.advocacy: AdvocacyConnector = build_advocacy(contract, settings, recorder=self.calls, state_dir=state)
        cipher = Cipher(settings.secret("REFERRAL_PIPELINE_KEY"))
        self._sealer = Sealer(cipher)
        # What is pulled is what the lane knows of the programme: it cannot read the warehouse.
        self._mirror = Mirror(ledger=self.ledger, cipher=cipher, advocacy=self.advocacy)
        self._staged_ats: AtsStaged | None = None
        self._staged_advocacy: AdvocacyStaged | None = None

    @classmethod
    def open(cls, settings: Settings | None = None, *, progress: ProgressSink | None = None) -> Self:
        """Load the contract and open everything.

        Raises:
            ContractError: the contract does not hold, is not approved, or the state belongs to other systems.
            MissingSecret: a secret is not in the environment.
        """
        settings = settings or load_settings()
        contract = load_contract(settings)
        refuse_unapproved(contract)
        refuse_other_systems(contract, settings)
        return cls(settings=settings, contract=contract, progress=progress)

    def close(self) -> None:
        """Flush what was measured and let go of everything."""
        self.ats.close()
        self.advocacy.close()
        self.calls.close()
        self.ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # ------------------------------------------------------------ merging

    def merge_candidates(self) -> SyncReport:
        """Carry out in the ATS what people decided to be one candidate, where the contract says so."""
        if not self.contract.rules.dedupe.merge_in_ats:
            return SyncReport()
        merger = CandidateMerger(ats=self.ats, ledger=self.ledger, sealer=self._sealer)
        return merger.run(progress=lambda done, total: self.progress("merge candidates", done, total))

    # ------------------------------------------------------------ pulling

    def pull_ats(
        self, *, full: bool = False, since: datetime | None = None
    ) -> tuple[list[IngestReport], StagingReport]:
        """Pull what changed in the ATS, from `since` on where that is earlier, and rebuild its staging tables."""
        reports = self._pull(self.ats, Side.ATS, full=full, since=since)
        self._staged_ats = None
        return reports, self.stage_ats()

    def pull_advocacy(
        self, *, full: bool = False, since: datetime | None = None
    ) -> tuple[list[IngestReport], StagingReport]:
        """Pull what changed on the advocacy platform, from `since` on where that is earlier, and rebuild staging."""
        reports = self._pull(Tapped(self.advocacy, self._mirror), Side.ADVOCACY, full=full, since=since)
        self._staged_advocacy = None
        with self.warehouse.connect():  # held for the step: each opening of the file costs 20 to 40 ms
            return reports, stage_advocacy(self.warehouse, self.staged_advocacy, self.contract)

    def _pull(self, source: Source, side: Side, *, full: bool, since: datetime | None) -> list[IngestReport]:
        sync = self.contract.sync
        reports: list[IngestReport] = []
        for number, entity in enumerate(source.entities, start=1):
            self.progress(f"pull {source.system}", number - 1, len(source.entities))
            reports.append(
                ingest(
                    source,
                    entity,
                    warehouse=self.warehouse,
                    ledger=self.ledger,
                    now=datetime.now(UTC),
                    lookback=timedelta(minutes=sync.lookback_minutes),
                    full_every=timedelta(0) if full else timedelta(hours=sync.full_pull_hours),
                    since=since,
                )
            )
            remember_system(side, self.contract, self.settings)
        self.progress(f"pull {source.system}", len(source.entities), len(source.entities))
        return reports

    @property
    def staged_ats(self) -> AtsStaged:
        """The ATS's records as of the last pull, normalised by its connector."""
        if self._staged_ats is None:
            with self.warehouse.connect():
                self._staged_ats = self.ats.stage(lambda entity: self.warehouse.raw_rows(self.ats.system, entity))
        return self._staged_ats

    @property
    def staged_advocacy(self) -> AdvocacyStaged:
        """The platform's records as of the last pull."""
        if self._staged_advocacy is None:
            with self.warehouse.connect():
                self._staged_advocacy = self.advocacy.stage(
                    lambda entity: self.warehouse.raw_rows(self.advocacy.system, entity)
                )
        return self._staged_advocacy

    def stage_ats(self) -> StagingReport:
        """Rebuild the ATS's staging tables from raw."""
        countries = self.contract.privacy.allowed_countries
        with self.warehouse.connect():
            # A number in national form can only be read where the contract leaves no doubt about the country.
            only = countries[0] if len(countries) == 1 else None
            return stage_ats(self.warehouse, self.ats.system, self.staged_ats, default_country=only)

    def stage_costs(self) -> CostsRead:
        """Read the files of costs, and rebuild their staging table."""
        return stage_costs(self.warehouse, self.contract, self.settings.home)

    # ------------------------------------------------------------ identity

    def resolve_people(self) -> PeopleReport:
        """Resolve all records to persons, write core.person, and remember ids and keys in the ledger.

        What the lane or a reviewer wrote of a record meanwhile stays; the next time takes it up.
        """
        as_read = self.ledger.identity_keys_as_read()  # before all else of the ledger: see there
        must_link = [
            (f"{self.advocacy.system}:{link.referral_id}", f"{self.ats.system}:{link.candidate_id}")
            for link in self.ledger.links()
            if link.candidate_id
        ]
        aliases = self.ledger.aliases(self.ats.system)
        must_link = [
            (a, f"{self.ats.system}:{aliases.get(b.partition(':')[2], b.partition(':')[2])}") for a, b in must_link
        ]
        with self.warehouse.connect():
            report = build_people(
                self.warehouse,
                as_read.persons,
                must_link,
                self.contract,
                decisions=self.ledger.identity_decisions(),
                aliases=record_aliases(self.ats.system, aliases),
            )
            gone = [
                f"{system}:{record_id}"
                for system, entity in ((self.advocacy.system, "referrals"), (self.ats.system, "candidates"))
                for record_id in self.warehouse.gone_ids(system, entity)
            ]
        keys = report.identity_keys(self.settings.secret("REFERRAL_PIPELINE_HASH_KEY"))
        # A record that no pull has shown yet is in neither: the lane may have made it a moment ago.
        self.ledger.refresh_identity_keys(as_read, keys, without=[*report.without_keys, *gone])
        return report

    def score_duplicates(self) -> DuplicatesReport:
        """Score the pairs that the rules left apart, if anything changed."""
        self.progress("score duplicates", 0, 1)
        report = score_duplicates(self.warehouse, self.contract, self.ledger.identity_decisions())
        self.progress("score duplicates", 1, 1)
        return report

    @property
    def review_path(self) -> Path:
        """Where the CSV of the review is."""
        return self.settings.published_dir / REVIEW_FILE

    def write_review(self) -> Path:
        """Write every pair of the review as a CSV to decide in, the open ones first, the likeliest first; its path.

        Decided ones are in it too, with their state. It is written with the published tables, whose persons it names.
        """
        rows = self.warehouse.frame(f"SELECT * FROM core.duplicate_review ORDER BY {BY_NAME['duplicate_review'].first}")  # noqa: S608
        return write_review_file(
            self.review_path,
            ({str(k): None if pd.isna(v) else v for k, v in row.items()} for row in rows.to_dict("records")),
        )

    # ------------------------------------------------------------ writing

    def write_candidates(self) -> Written:
        """Write every referral that may pass to the ATS, then read the written rows back into the warehouse."""
        people = self.resolve_people()
        person_of = people.person_of
        accepted = set(self.warehouse.frame("SELECT id FROM staging.referral")["id"])
        referrals = [r for r in self.staged_advocacy.referrals if r.id in accepted]
        cases = person_cases(
            referrals,
            self.staged_ats.applications,
            person_of=person_of,
            advocacy_system=self.advocacy.system,
            ats=self.ats,
            ledger=self.ledger,
            now=datetime.now(UTC),
            key_hashes=self._referral_hashes(people),
        )
        prefix = f"{self.ats.system}:"
        programme = Programme.of(self.staged_advocacy)
        write_back = CandidateWriteBack(
            ats=self.ats,
            ledger=self.ledger,
            contract=self.contract,
            programme=lambda: programme,
            jobs={job.id: job for job in self.staged_ats.jobs},
            person_of_candidate={k.removeprefix(prefix): v for k, v in person_of.items() if k.startswith(prefix)},
            known_until=self._known_until(),
            sealer=self._sealer,
        )
        report = write_back.run(cases, progress=lambda done, total: self.progress("write candidates", done, total))
        return Written(report=report, cases=len(cases), rows_read_again=self._read_again(report))

    def _known_until(self) -> datetime | None:
        """Up to when both systems were asked: what the lane wrote later, it wrote from what came later."""
        cursors = [
            self.ledger.cursor(source.system, entity)
            for source in (self.ats, self.advocacy)
            for entity in source.entities
        ]
        return min((cursor.position for cursor in cursors if cursor is not None), default=None)

    def _referral_hashes(self, people: PeopleReport) -> dict[str, set[str]]:
        """Keyed hashes of the contact details of each referral, by referral id."""
        hashes: dict[str, set[str]] = defaultdict(set)
        for key in people.identity_keys(self.settings.secret("REFERRAL_PIPELINE_HASH_KEY")):
            if key.system == self.advocacy.system:
                hashes[key.record_id.partition(":")[2]].add(key.key_hash)
        return hashes

    def _read_again(self, report: SyncReport) -> int:
        """Bring what was written into raw, so that attribution need not wait for the next pull.

        A created application that the ATS does not show within its visibility lag comes with the next pull's look-back.
        """
        wanted = sorted(report.touched_applications)
        if not wanted:
            return 0
        rows: dict[str, list[Row]] = defaultdict(list)
        deadline = datetime.now(UTC) + timedelta(seconds=self.ats.visibility_lag_seconds)
        while wanted:
            missing: set[str] = set()
            for start in range(0, len(wanted), 50):
                chunk = wanted[start : start + 50]
                by_entity = self.ats.raw_rows(chunk)
                for entity, found in by_entity.items():
                    rows[entity].extend(found)
                missing |= set(chunk) - {str(r["id"]) for r in by_entity.get("applications", [])}
            wanted = sorted(missing & report.created_applications)
            if not wanted or datetime.now(UTC) >= deadline:
                break
            sleep(0.5)
        with self.warehouse.connect():
            with self.warehouse.transaction():
                for entity, found in rows.items():
                    self.warehouse.upsert_raw(self.ats.system, entity, found, pulled_at=datetime.now(UTC))
            self._staged_ats = None
            self.stage_ats()
        return sum(len(found) for found in rows.values())

    def return_statuses(self) -> SyncReport:
        """Tell the advocacy platform every status that changed."""
        if not self.contract.phases.status_return:
            return SyncReport()
        staged = self.staged_ats
        applications = {a.id: a for a in staged.applications}
        report = StatusReturn(
            advocacy=self.advocacy,
            ledger=self.ledger,
            ats_system=self.ats.system,
            known_until=self._known_until(),
            sealer=self._sealer,
        ).run(
            self.ledger.links(),
            applications,
            {r.id: r for r in self.staged_advocacy.referrals},
            progress=lambda done, total: self.progress("return statuses", done, total),
        )
        self._recognise(applications, report)
        return report

    def _recognise(self, applications: Mapping[str, AtsApplication], report: SyncReport) -> None:
        """Recognise the hires of this pull that nobody has recognised yet, and take back what is none any more."""
        recogniser = Recogniser(self.advocacy, self.ledger, self.contract)
        people = People(
            ledger=self.ledger,
            mirror=self._mirror,
            ats=self.ats,
            contract=self.contract,
            hash_key=self.settings.secret("REFERRAL_PIPELINE_HASH_KEY"),
        )
        systems = Systems(
            contract=self.contract,
            ledger=self.ledger,
            ats=self.ats,
            advocacy=self.advocacy,
            mirror=self._mirror,
            people=people,
            statuses=StatusReturn(advocacy=self.advocacy, ledger=self.ledger, ats_system=self.ats.system),
            recogniser=recogniser,
            sealer=self._sealer,
            on_refused_recognition=lambda row: report.fail(
                SyncFailure(row.referral_id, "recognise", row.last_error or "refused", transient=False)
            ),
        )
        leveller = Leveller(systems, started_at=datetime.now(UTC))
        for application_id in leveller.recognisable(applications):
            try:
                leveller.recognise_applications([application_id])
            except HttpFailure as failure:
                is_passing = isinstance(failure, TransientFailure)
                report.fail(SyncFailure(application_id, "recognise", str(failure), transient=is_passing))
            else:
                report.count("hires_settled")
        leveller.recognise_due()

    def publish_jobs(self) -> SyncReport:
        """Publish job postings on the advocacy platform."""
        return publish_jobs(
            self.staged_ats.jobs,
            advocacy=self.advocacy,
            ledger=self.ledger,
            progress=lambda done, total: self.progress("publish jobs", done, total),
        )

    def drain_inbox(self) -> Mapping[str, int]:
        """Do what waits in the inbox, with a lane of this process; how many events ended how."""
        from referral_pipeline.orchestration.lane import drain

        return drain(self.settings)

    # ------------------------------------------------------------ analytics

    def build_attribution(self, *, as_of: datetime, is_backdated: bool = False) -> Mapping[str, int]:
        """Rebuild touchpoints, attribution, credit, comparison and status history; rows by table."""
        with self.warehouse.connect():
            stage_ledger(self.warehouse, self.ledger)
            with self.warehouse.transaction():
                note_moment(self.warehouse, "core.attribution", as_of if is_backdated else None)
                return build_core(self.warehouse, self.contract, as_of)

    def build_bonus_ledger(self) -> Mapping[str, int]:
        """Rebuild the bonus ledger; the sums by "state currency", in the currency's smallest unit."""
        with self.warehouse.connect():
            stage_ledger(self.warehouse, self.ledger)
            build_bonus_ledger(self.warehouse, self.contract)
            sums = self.warehouse.frame(
                "SELECT state || ' ' || currency AS name, sum(amount_cents)::BIGINT AS cents FROM mart.bonus GROUP BY 1"
            )
        return {str(row["name"]): int(row["cents"]) for row in sums.to_dict("records")}

    def allocate_costs(self) -> CostAllocation:
        """Divide the costs over months and channels."""
        return allocate_costs(self.warehouse)

    def build_kpis(self, *, as_of: datetime, is_backdated: bool = False) -> Mapping[str, int]:
        """Rebuild the marts; rows by table."""
        with self.warehouse.transaction():
            note_moment(self.warehouse, "mart.kpi", as_of if is_backdated else None)
            return compute_kpis(self.warehouse, self.contract, as_of=as_of)

    def build_advocates(self, *, as_of: datetime, is_backdated: bool = False) -> int:
        """Rebuild mart.advocate; its rows."""
        horizon_days = self.contract.objectives.horizon_days
        with self.warehouse.transaction():
            note_moment(self.warehouse, "mart.advocate", as_of if is_backdated else None)
            return build_advocates(self.warehouse, self.contract, as_of=as_of, horizon_days=horizon_days)

    def send_results(self) -> SyncReport:
        """Tell the advocacy platform what came of each advocate's sharing, where that changed.

        Nothing is sent of tables that were judged at a moment that somebody chose, whichever run made them: the report
        counts them as `results_backdated`.
        """
        report = SyncReport()
        if not self.contract.phases.status_return:
            return report
        results = read_results(self.warehouse)
        if chosen_moment(self.warehouse, ("core.attribution", "mart.advocate")) is not None:
            report.count("results_backdated", len(results))
            return report
        return send_results(
            results,
            advocacy=self.advocacy,
            ledger=self.ledger,
            sealer=self._sealer,
            progress=lambda done, total: self.progress("return results", done, total),
        )

    def publish(self, *, as_of: datetime | None = None) -> list[Path]:
        """Publish the tables that others read, by atomic rename; `as_of` where the numbers stand at another moment.

        Without it that is the moment that an earlier run chose for the tables as they stand, if one did.
        """
        return self.warehouse.publish(PUBLISHED_TABLES, as_of=as_of or chosen_moment(self.warehouse, _JUDGED))

    def write_report(self, *, as_of: datetime, is_backdated: bool = False) -> WrittenReport:
        """Write the leadership report as page and workbook."""
        with self.warehouse.connect():  # held for the step: each opening of the file costs 20 to 40 ms
            if not is_backdated and (chosen := chosen_moment(self.warehouse, _JUDGED)) is not None:
                as_of, is_backdated = chosen, True
            return write_leadership_report(
                self.warehouse, self.contract, self.settings.published_dir, as_of=as_of, is_backdated=is_backdated
            )

    def write_edition(self, *, force: bool = False) -> Edition:
        """Keep the edition of the last quarter that is over, once, from the numbers that were published last.

        Raises:
            WarehouseError: those numbers are not there, are from before the end of that quarter, or stand at a moment
                that somebody chose: an edition is kept for good, and must say when its numbers were true.
        """
        published_dir = self.settings.published_dir
        built, chosen = published_at(published_dir), published_as_of(published_dir)
        quarter = Quarter.last_over(datetime.now(UTC))
        if built is None or chosen is not None or Quarter.last_over(built) != quarter:
            before = "they are from before" if chosen is None else "they were judged as of another moment"
            found = "none are published" if built is None else before
            raise WarehouseError(
                f"no edition of {quarter.code} was kept: its numbers must be published after its end ({found}). "
                "Run `referral-pipeline refresh`, then quarterly_review again"
            )
        with self.warehouse.published() as copy:
            return write_quarterly_edition(
                PublishedTables(copy), self.contract, published_dir, as_of=built, force=force
            )


@contextmanager
def single_writer(state_dir: Path, *, wait: bool = True) -> Generator[None]:
    """Hold this installation's writer lock, so that two runs never write to the same systems at once.

    The lock is the kernel's: a killed process lets go of it.

    Raises:
        AnotherRunError: `wait` is False and another run holds it.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "writer.lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            message = "another run is writing to the systems; wait for it or stop it"
            raise AnotherRunError(message) from error
        yield
