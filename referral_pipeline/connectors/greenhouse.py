"""The connector for Greenhouse Harvest v3 (v1 and v2 were switched off on 31 August 2026).

Belongs here: the ATS protocol over the vendor's ways of reading and writing. Does not belong here: decisions about
referrals, stores. Its parts: `greenhouse_api` (endpoints, pages), `greenhouse_models` (rows, options),
`greenhouse_reader` (records read live), `greenhouse_creator`, `greenhouse_ingestion` and `greenhouse_updater` (writes),
`greenhouse_assemble` (canonical records), `greenhouse_fields` (custom fields), `greenhouse_reference` (caches),
`greenhouse_probe` (looking at a tenant), `greenhouse_audit` and `greenhouse_trip` (what a tenant can do).

Invariants of the vendor's API, each with a test of the same number
1.  There is no GET of a single record: rows are fetched by `ids`, at most 50; what is not found is simply absent.
2.  A cursor stands alone: the `next` link is followed exactly as given; a refused cursor begins the pull again.
3.  Lists come newest first (by id); a pull asks for a two-sided `updated_at`, one-sided where that is refused.
4.  Unknown fields and unknown words never stop a pull; rows without id (`{message}`) are skipped and counted.
5.  PATCH replaces arrays and custom fields as a whole: they are read, merged and written back in full.
6.  The status filter says `active` where rows say `in_process`: no filter by status is used at all.
7.  A hire is dated by the accepted offer's `resolved_at`, else by `closed_at` of the opening it filled, never by last
    activity or by receipt.
8.  A row in application_stages does not mean that the stage was visited: `entered_at` does.
9.  `stage_id` of an application is the id of its own stage row; status and stage are never inferred from it.
10. `referrer_id` is an id of `referrers`, found only by user address -> user -> referrer; none can be created.
11. A created candidate is answered wrapped with its application, or flat without; both are read.
12. A write answers 200 or 201 with a row, or 204 and nothing; all are successes.
13. No write has an idempotency key: a create is never repeated here, a PATCH only after reading again.
14. The source and our own fields are filled; a source, referrer or foreign field that is set already is left as it is.
15. The closed words of the status are not ours: an application ends by its status, never by the name of a stage.
16. A merge cannot be undone, answers 200 or 201, and deletes the secondary: it is sent again only where both are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import urljoin

from referral_pipeline.connectors.build import Build, ConnectorError
from referral_pipeline.connectors.capabilities import AuditScope, Capability
from referral_pipeline.connectors.greenhouse_api import ENTITIES, GreenhouseApi
from referral_pipeline.connectors.greenhouse_assemble import Assembler
from referral_pipeline.connectors.greenhouse_audit import audit
from referral_pipeline.connectors.greenhouse_creator import Creator
from referral_pipeline.connectors.greenhouse_fields import FieldCatalog
from referral_pipeline.connectors.greenhouse_ingestion import LIVE_URL, Ingestion
from referral_pipeline.connectors.greenhouse_models import (
    SYSTEM,
    TAG_NAMES,
    GreenhouseOptions,
)
from referral_pipeline.connectors.greenhouse_probe import probe
from referral_pipeline.connectors.greenhouse_reader import Reader
from referral_pipeline.connectors.greenhouse_reference import Reference
from referral_pipeline.connectors.greenhouse_updater import Updater
from referral_pipeline.connectors.http import HttpClient, RetryPolicy, Timeouts
from referral_pipeline.connectors.protocols import RawReader
from referral_pipeline.connectors.records import (
    AtsApplication,
    AtsCandidate,
    AtsJob,
    AtsStaged,
    Created,
    Entity,
    Finding,
    NewApplication,
    NewCandidate,
    Row,
    Window,
)
from referral_pipeline.vocabulary import CandidateStatus


class GreenhouseConnector:
    """Implements `protocols.AtsConnector` and `protocols.MergesCandidates`. Safe for threads.

    Args:
        client: The session, already with credentials and budget.
        options: `ats.options` of the contract.
        stage_map: The contract's stage names in canonical words.
        tags: The logical tags that the contract writes; `probe` asks for their fields.
        ingestion: The way in for new candidates; None: Harvest.
    """

    system: str = SYSTEM
    entities: Mapping[str, Entity] = ENTITIES

    def __init__(
        self,
        client: HttpClient,
        options: GreenhouseOptions,
        *,
        stage_map: Mapping[str, CandidateStatus],
        tags: Iterable[str] = TAG_NAMES,
        ingestion: Ingestion | None = None,
    ) -> None:
        self._ingestion = ingestion
        self.visibility_lag_seconds = options.visibility_lag_seconds
        self._client = client
        self._options = options
        self._stage_map = dict(stage_map)
        self._tags = tuple(tags)
        self._api = GreenhouseApi(client)
        self._assembler = Assembler(stage_map=stage_map, field_keys=options.custom_fields)
        self._reference = Reference(self._api)
        self._catalog = FieldCatalog(
            lambda: self._api.list_all("custom_fields", {"field_type": "application"}),
            lambda ids: self._api.by_ids("custom_field_options", ids, by="custom_field_ids"),
        )
        self._reader = Reader(self._api, self._assembler, self._reference)
        self._updater = Updater(client, self._api, options, self._reference, self._catalog)
        self._creator = Creator(
            client, options, self._reference, self._catalog, self._reader, self._updater, self._assembler, ingestion
        )

    # ------------------------------------------------------------ reading

    @property
    def skipped_rows(self) -> Mapping[str, int]:
        """(4) How many entries without id lists have held so far, by entity."""
        return dict(self._api.skipped)

    def pull(self, entity: str, window: Window) -> Iterator[list[Row]]:
        """(3) Pages of raw rows that changed in the window."""
        return self._api.pull(entity, window)

    def stage(self, raw: RawReader) -> AtsStaged:
        """Normalise raw rows to canonical records. Pure."""
        return self._assembler.stage(raw)

    def search_candidates(self, email: str) -> list[AtsCandidate]:
        """Candidates with this address, by the vendor's exact and case-insensitive filter."""
        return self._reader.search_candidates(email)

    def get_candidates(self, ids: Sequence[str]) -> dict[str, AtsCandidate]:
        """Candidates by id; absent ones are left out."""
        return self._reader.get_candidates(ids)

    def get_applications(self, ids: Sequence[str]) -> dict[str, AtsApplication]:
        """Candidate applications by id, assembled live."""
        return self._reader.get_applications(ids)

    def get_jobs(self, ids: Sequence[str]) -> dict[str, AtsJob]:
        """Jobs by id, live, with department and public posting; templates and absent ones are left out."""
        return self._reader.get_jobs(ids)

    def applications_of(self, candidate_ids: Sequence[str]) -> list[AtsApplication]:
        """Every candidate application of these candidates, assembled live."""
        return self._reader.applications_of(candidate_ids)

    def raw_rows(self, application_ids: Sequence[str]) -> dict[str, list[Row]]:
        """Raw rows by entity of these applications and all that hangs on them."""
        return self._reader.raw_rows(application_ids)

    # ------------------------------------------------------------ creating

    def create_candidate(self, candidate: NewCandidate, application: NewApplication) -> Created:
        """(11) Create a candidate with its application in one call.

        Raises:
            AmbiguousOutcome: Nobody knows whether it was created; search before trying again.
        """
        return self._creator.create_candidate(candidate, application)

    def create_application(self, candidate_id: str, application: NewApplication) -> AtsApplication:
        """Open an application for a candidate that exists.

        Raises:
            AmbiguousOutcome: Nobody knows whether it was opened; look before trying again.
        """
        return self._creator.create_application(candidate_id, application)

    # ------------------------------------------------------------ updating

    def update_application(
        self, application_id: str, tags: Mapping[str, str | None], *, advocate_email: str | None = None
    ) -> bool:
        """(5, 14) Bring our fields to `tags` (None clears); fill source and referrer where they are empty.

        Returns:
            Whether something was written; False when nothing differed.

        Raises:
            NotFound: The application is not there (deleted, or not visible yet).
            AmbiguousOutcome: Every try ended without an answer.
        """
        return self._updater.update_application(application_id, tags, advocate_email=advocate_email)

    def add_contact_details(self, candidate_id: str, *, email: str | None, phone: str | None) -> bool:
        """(5) Add an address or number that is not there yet; all others stay. True when something was written."""
        return self._updater.add_contact_details(candidate_id, email=email, phone=phone)

    def merge_candidates(self, primary_id: str, secondary_id: str) -> None:
        """(16) Merge one candidate into another; read again before every further try.

        Raises:
            NotFound: One of the two is not there, and nothing was sent.
            AmbiguousOutcome: Every try ended without an answer, and the secondary is there still.
        """
        self._updater.merge_candidates(primary_id, secondary_id)

    # ------------------------------------------------------------ looking

    def probe(self) -> list[Finding]:
        """Look, without writing, whether the tenant is reachable and set up as the contract needs."""
        found = probe(self._api, self._catalog, self._options, tags=self._tags, stage_map=self._stage_map)
        return [*found, self._ingestion.probe()] if self._ingestion is not None else found

    def audit(self, scope: AuditScope) -> list[Capability]:
        """Ask the tenant for each capability; writes, and takes back, only what `scope` allows."""
        lines = audit(self._api, self._options, scope, tags=self._tags)
        return [*lines, self._ingestion.audit()] if self._ingestion is not None else lines

    def close(self) -> None:
        """Close the sessions."""
        self._client.close()
        if self._ingestion is not None:
            self._ingestion.close()


def build(of: Build) -> GreenhouseConnector:
    """The connector that a contract asks for."""
    options = of.options(GreenhouseOptions)
    client = of.client(
        token_url=of.system.auth_url or "https://auth.greenhouse.io/token",
        timeouts=Timeouts(options.connect_timeout_seconds, options.read_timeout_seconds),
        retry=RetryPolicy(max_attempts=options.max_attempts),
        subject=str(options.acting_user_id) if options.acting_user_id else None,
        default_limit=options.default_rate_limit,
    )
    tags = of.contract.tag_sources()
    ingestion = _ingestion(of, options)
    return GreenhouseConnector(client, options, stage_map=of.contract.stage_map, tags=tags, ingestion=ingestion)


def _ingestion(of: Build, options: GreenhouseOptions) -> Ingestion | None:
    chosen = options.ingestion
    if chosen is None:
        return None
    is_sandbox = of.contract.environment == "sandbox"
    base_url = chosen.base_url or (urljoin(of.system.base_url, "/v1/partner") if is_sandbox else LIVE_URL)
    if not is_sandbox and not base_url.startswith("https://"):
        raise ConnectorError("ats.options.ingestion.base_url", "is no https address", f"The vendor's is {LIVE_URL}")
    client = of.api_key_client(
        scheme="basic",
        timeouts=Timeouts(options.connect_timeout_seconds, options.read_timeout_seconds),
        retry=RetryPolicy(max_attempts=options.max_attempts),
        base_url=base_url,
        key_env=chosen.api_key_env,
    )
    return Ingestion(client, chosen.on_behalf_of)
