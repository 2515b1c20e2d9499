"""The bridge of one process: contract, stores and connectors put together, and the steps that assets and commands call.

Belongs here: composition and the order inside a short step. Does not belong here: dagster (the assets call this), the
longer steps (steps_*.py, functions that take the bridge), rules of the domain (the rooms own them).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from referral_pipeline.connectors.calls import CallRecorder
from referral_pipeline.connectors.costs import CostsRead
from referral_pipeline.connectors.factory import build_advocacy, build_ats, build_crm
from referral_pipeline.connectors.protocols import AdvocacyConnector, AtsConnector, CrmConnector, Source
from referral_pipeline.connectors.records import AdvocacyStaged, AtsStaged
from referral_pipeline.connectors.shapes import ShapeRecorder
from referral_pipeline.connectors.vendors import shapes_of
from referral_pipeline.contract.loader import load_contract
from referral_pipeline.contract.models import Contract
from referral_pipeline.contract.systems import lacking
from referral_pipeline.identity.review_file import REVIEW_FILE
from referral_pipeline.kpis.advocates import build_advocates, read_results
from referral_pipeline.kpis.compute import compute_kpis
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.orchestration.state import refuse_other_systems, refuse_unapproved, remember_system, state_folder
from referral_pipeline.orchestration.steps_candidates import Written, write_candidates
from referral_pipeline.orchestration.steps_contacts import write_contacts
from referral_pipeline.orchestration.steps_identity import resolve_people, write_review
from referral_pipeline.orchestration.steps_statuses import return_statuses
from referral_pipeline.privacy.crypto import Cipher
from referral_pipeline.quality.go_live import WriteGuard
from referral_pipeline.reports.editions import Edition, restore_editions, write_quarterly_edition
from referral_pipeline.reports.leadership import Written as WrittenReport
from referral_pipeline.reports.leadership import write_leadership_report
from referral_pipeline.reports.periods import Quarter
from referral_pipeline.settings import Settings, load_settings
from referral_pipeline.sync.advocate_results import send_results
from referral_pipeline.sync.evidence import Sealer
from referral_pipeline.sync.jobs import publish_jobs
from referral_pipeline.sync.lane.mirror import Mirror, Tapped
from referral_pipeline.sync.merges import CandidateMerger
from referral_pipeline.sync.report import SyncReport
from referral_pipeline.vocabulary import Side
from referral_pipeline.warehouse.core import build_bonus_ledger, build_core
from referral_pipeline.warehouse.costs import CostAllocation, allocate_costs, stage_costs
from referral_pipeline.warehouse.duplicates import DuplicatesReport, score_duplicates
from referral_pipeline.warehouse.failures import WarehouseError
from referral_pipeline.warehouse.ingest import IngestReport, ingest, still_missing
from referral_pipeline.warehouse.moments import chosen_moment, note_moment
from referral_pipeline.warehouse.people import PeopleReport
from referral_pipeline.warehouse.publish import published_as_of, published_at
from referral_pipeline.warehouse.query import PublishedTables
from referral_pipeline.warehouse.staging import StagingReport, stage_advocacy, stage_ats, stage_ledger
from referral_pipeline.warehouse.store import Warehouse

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
    "ops.api_capability",
    "ops.field_accuracy",
    "ops.health",
    "ops.parallel_run",
    "ops.schema_drift",
    "ops.attribution_validation",
)

_JUDGED = ("core.attribution", "mart.kpi", "mart.advocate")
"""Tables that depend on the moment at which they are made: of consent, and of the age of cohorts."""


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
        guard = WriteGuard(contract, self.ledger, present=lambda: load_contract(settings))
        self.shapes = ShapeRecorder(self.ledger.record_shapes, shapes_of)
        self.ats: AtsConnector = build_ats(
            contract, settings, recorder=self.calls, state_dir=state, guard=guard, shapes=self.shapes
        )
        self.advocacy: AdvocacyConnector = build_advocacy(
            contract, settings, recorder=self.calls, state_dir=state, guard=guard, shapes=self.shapes
        )
        self.crm: CrmConnector | None = build_crm(
            contract, settings, recorder=self.calls, state_dir=state, guard=guard, shapes=self.shapes
        )
        cipher = Cipher(settings.secret("REFERRAL_PIPELINE_KEY"))
        self.sealer = Sealer(cipher)
        # What is pulled is what the lane knows of the programme: it cannot read the warehouse.
        self.mirror = Mirror(ledger=self.ledger, cipher=cipher, advocacy=self.advocacy)
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
        refuse_unapproved(contract, settings)
        refuse_other_systems(contract, settings)
        return cls(settings=settings, contract=contract, progress=progress)

    def close(self) -> None:
        """Flush what was measured and let go of everything."""
        self.ats.close()
        self.advocacy.close()
        if self.crm is not None:
            self.crm.close()
        self.calls.close()
        self.shapes.close()
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
        merger = CandidateMerger(ats=self.ats, ledger=self.ledger, sealer=self.sealer)
        return merger.run(progress=lambda done, total: self.progress("merge candidates", done, total))

    # ------------------------------------------------------------ pulling

    def pull_ats(
        self, *, full: bool = False, since: datetime | None = None, believe_absent: bool = False
    ) -> tuple[list[IngestReport], StagingReport]:
        """Pull what changed in the ATS, from `since` on where that is earlier, and rebuild its staging tables."""
        reports = self._pull(self.ats, Side.ATS, full=full, since=since, believe_absent=believe_absent)
        return reports, self.stage_ats_anew()

    def pull_advocacy(
        self, *, full: bool = False, since: datetime | None = None, believe_absent: bool = False
    ) -> tuple[list[IngestReport], StagingReport]:
        """Pull what changed on the advocacy platform, from `since` on where that is earlier, and rebuild staging."""
        tapped = Tapped(self.advocacy, self.mirror)
        reports = self._pull(tapped, Side.ADVOCACY, full=full, since=since, believe_absent=believe_absent)
        self._staged_advocacy = None
        with self.warehouse.connect():  # held for the step: each opening of the file costs 20 to 40 ms
            return reports, stage_advocacy(self.warehouse, self.staged_advocacy, self.contract)

    def _pull(
        self, source: Source, side: Side, *, full: bool, since: datetime | None, believe_absent: bool
    ) -> list[IngestReport]:
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
                    believe_absent=believe_absent,
                )
            )
            remember_system(side, self.contract, self.settings)
        self.progress(f"pull {source.system}", len(source.entities), len(source.entities))
        return reports

    def still_missing(self, source: Source) -> dict[str, int]:
        """Rows by entity that the last full pull missed and that are kept, because it could not be believed."""
        return still_missing(source, warehouse=self.warehouse, ledger=self.ledger)

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

    def stage_ats_anew(self) -> StagingReport:
        """As `stage_ats`, after raw has changed."""
        self._staged_ats = None
        return self.stage_ats()

    def stage_costs(self) -> CostsRead:
        """Read the files of costs, and rebuild their staging table."""
        return stage_costs(self.warehouse, self.contract, self.settings.home)

    # ------------------------------------------------------------ identity

    def resolve_people(self) -> PeopleReport:
        """Resolve all records to persons, write core.person, and remember ids and keys in the ledger.

        What the lane or a reviewer wrote of a record meanwhile stays; the next time takes it up.
        """
        return resolve_people(self)

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
        return write_review(self)

    # ------------------------------------------------------------ writing

    def write_candidates(self) -> Written:
        """Write every referral that may pass to the ATS, then read the written rows back into the warehouse."""
        return write_candidates(self)

    def known_until(self) -> datetime | None:
        """Up to when both systems were asked: what the lane wrote later, it wrote from what came later."""
        cursors = [
            self.ledger.cursor(source.system, entity)
            for source in (self.ats, self.advocacy)
            for entity in source.entities
        ]
        return min((cursor.position for cursor in cursors if cursor is not None), default=None)

    def write_contacts(self) -> SyncReport:
        """Keep the CRM's contacts level; nothing where the contract names no CRM."""
        return write_contacts(self)

    def return_statuses(self) -> SyncReport:
        """Tell the advocacy platform every status that changed."""
        return return_statuses(self)

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
        if not self.contract.phases.status_return or "results" in lacking(self.advocacy.system):
            return report
        results = read_results(self.warehouse)
        if chosen_moment(self.warehouse, ("core.attribution", "mart.advocate")) is not None:
            report.count("results_backdated", len(results))
            return report
        return send_results(
            results,
            advocacy=self.advocacy,
            ledger=self.ledger,
            sealer=self.sealer,
            progress=lambda done, total: self.progress("return results", done, total),
        )

    def publish(self, *, as_of: datetime | None = None) -> list[Path]:
        """Publish the tables that others read, by atomic rename; `as_of` where the numbers stand at another moment.

        Without it that is the moment that an earlier run chose for the tables as they stand, if one did.
        """
        return self.warehouse.publish(PUBLISHED_TABLES, as_of=as_of or chosen_moment(self.warehouse, _JUDGED))

    def write_report(self, *, as_of: datetime, is_backdated: bool = False) -> WrittenReport:
        """Write the leadership report as page and workbook."""
        restore_editions(self.settings.published_dir)
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
