"""The connector for Ashby's API (api.ashbyhq.com).

Belongs here: the ATS protocol over the vendor's ways of reading and writing. Does not belong here: decisions about
referrals, stores. Its parts: `ashby_api` (calls, pages), `ashby_tokens` (what changed since), `ashby_models` (rows,
options), `ashby_reader` (records read live), `ashby_writer` (writes), `ashby_assemble` (canonical records),
`ashby_reference` (caches), `ashby_probe` (looking at an account), `ashby_audit` and `ashby_trip` (what one can do),
`ashby_setup` (webhooks, fields).

Invariants of the vendor's API, each with a test of the same number
1.  Every call is a POST; a refusal comes with HTTP 200 and `success: false`, and its code says what it is.
2.  A cursor goes with the parameters of the first request but its syncToken; a refused one begins the list again.
3.  What changed is known by syncTokens only, which a list gives on its last page. A token is used only where everything
    before it was kept; a refused one, and too many changes, give the whole list. Deletions show in full lists only.
4.  Unknown fields and unknown words never stop a pull; rows without id are skipped and counted.
5.  Custom fields are found by title and written all in one call, only those that differ; an empty text clears one.
6.  A search by e-mail is held against the addresses that came back; phone numbers cannot be searched.
7.  A hire is dated by the accepted offer's `decidedAt`, else by `closedAt` of its opening, never by the stage.
8.  Status is the application's own word; a stage tells by its title in the contract, else by its type.
9.  There is one name: its first word is taken for the first name, and it is written as both together.
10. The credit is a user, found by address; who is none has it by custom field and source only.
11. A candidate and its application are two calls; what fails after the first is looked for, and never made again.
12. An application without a stage would be a lead: it is opened in the plan's first stage.
13. The referral form is used where the options ask for it, the plan has it and all that it requires is known.
14. A source, a credit or a foreign field that is set already is left as it is.
15. A further address is added beside the others; a number only where there is none, as it would replace the first.
16. No write has an idempotency key: a create is never repeated here, a change only after reading again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from referral_pipeline.connectors.ashby_api import ENTITIES, AshbyApi, judged
from referral_pipeline.connectors.ashby_assemble import Assembler
from referral_pipeline.connectors.ashby_audit import audit
from referral_pipeline.connectors.ashby_models import DEFAULT_FIELDS, SYSTEM, AshbyOptions
from referral_pipeline.connectors.ashby_probe import probe
from referral_pipeline.connectors.ashby_reader import Reader
from referral_pipeline.connectors.ashby_reference import Reference
from referral_pipeline.connectors.ashby_setup import EVENTS, HOOKS_FILE, HookIds, SetUp
from referral_pipeline.connectors.ashby_tokens import SyncTokens
from referral_pipeline.connectors.ashby_writer import Writer
from referral_pipeline.connectors.build import Build
from referral_pipeline.connectors.capabilities import AuditScope, Capability
from referral_pipeline.connectors.failures import Invalid
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
from referral_pipeline.connectors.setup import Hook, MissingField, Registered
from referral_pipeline.vocabulary import CandidateStatus

TOKENS_FILE = "ashby_sync_tokens.json"


class AshbyConnector:
    """Implements `protocols.AtsConnector`. Safe for threads.

    Args:
        client: The session, already with its key, budget and judge.
        options: `ats.options` of the contract.
        stage_map: The contract's stage titles in canonical words.
        tags: The logical tags that the contract writes; `probe` asks for their fields.
        tokens: The syncTokens of earlier pulls; by default they are kept for this process only.
        hook_ids: The webhooks that were registered from here; by default they are known to this process only.
    """

    system: str = SYSTEM
    entities: Mapping[str, Entity] = ENTITIES

    def __init__(
        self,
        client: HttpClient,
        options: AshbyOptions,
        *,
        stage_map: Mapping[str, CandidateStatus],
        tags: Iterable[str] = DEFAULT_FIELDS,
        tokens: SyncTokens | None = None,
        hook_ids: HookIds | None = None,
    ) -> None:
        self.visibility_lag_seconds = options.visibility_lag_seconds
        self._client = client
        self._options = options
        self._stage_map = dict(stage_map)
        self._tags = tuple(tags)
        self._api = AshbyApi(client, tokens or SyncTokens(None, ""))
        self._assembler = Assembler(stage_map=stage_map, field_titles=options.custom_fields)
        self._reference = Reference(self._api)
        self._reader = Reader(self._api, self._assembler, self._reference, with_history=options.stage_history)
        self._writer = Writer(self._api, options, self._reference, self._reader)
        self._setup = SetUp(self._api, options, self._reference, hook_ids or HookIds(None, ""), self._tags)

    # ------------------------------------------------------------ reading

    @property
    def skipped_rows(self) -> Mapping[str, int]:
        """(4) How many entries without id lists have held so far, by entity."""
        return dict(self._api.skipped)

    def pull(self, entity: str, window: Window) -> Iterator[list[Row]]:
        """(3) Pages of raw rows that changed in the window, or all of them where the vendor cannot tell."""
        return self._reader.pull(entity, window)

    def stage(self, raw: RawReader) -> AtsStaged:
        """Normalise raw rows to canonical records. Pure."""
        return self._assembler.stage(raw)

    def search_candidates(self, email: str) -> list[AtsCandidate]:
        """(6) Candidates with this address."""
        return self._reader.search_candidates(email)

    def get_candidates(self, ids: Sequence[str]) -> dict[str, AtsCandidate]:
        """Candidates by id; absent ones are left out."""
        return self._reader.get_candidates(ids)

    def get_applications(self, ids: Sequence[str]) -> dict[str, AtsApplication]:
        """Applications by id, assembled live."""
        return self._reader.get_applications(ids)

    def get_jobs(self, ids: Sequence[str]) -> dict[str, AtsJob]:
        """Jobs by id, live, with department and public posting; absent ones are left out."""
        return self._reader.get_jobs(ids)

    def applications_of(self, candidate_ids: Sequence[str]) -> list[AtsApplication]:
        """Every application of these candidates, assembled live."""
        return self._reader.applications_of(candidate_ids)

    def raw_rows(self, application_ids: Sequence[str]) -> dict[str, list[Row]]:
        """Raw rows by entity of these applications and all that hangs on them."""
        return self._reader.raw_rows(application_ids)

    # ------------------------------------------------------------ writing

    def create_candidate(self, candidate: NewCandidate, application: NewApplication) -> Created:
        """(11) Create a candidate, then its application.

        Raises:
            AmbiguousOutcome: Nobody knows whether the candidate was created; search before trying again.
        """
        return self._writer.create_candidate(candidate, application)

    def create_application(self, candidate_id: str, application: NewApplication) -> AtsApplication:
        """(12) Open an application for a candidate that exists.

        Raises:
            AmbiguousOutcome: Nobody knows whether it was opened; look before trying again.
        """
        return self._writer.create_application(candidate_id, application)

    def update_application(
        self, application_id: str, tags: Mapping[str, str | None], *, advocate_email: str | None = None
    ) -> bool:
        """(5, 14) Bring our fields to `tags` (None clears); fill source and credit where they are empty.

        Returns:
            Whether something was written; False when nothing differed.

        Raises:
            NotFound: The application is not there.
            AmbiguousOutcome: Every try ended without an answer.
        """
        return self._writer.update_application(application_id, tags, advocate_email=advocate_email)

    def add_contact_details(self, candidate_id: str, *, email: str | None, phone: str | None) -> bool:
        """(15) Add an address, or the first number. True when something was written."""
        return self._writer.add_contact_details(candidate_id, email=email, phone=phone)

    # ------------------------------------------------------------ looking

    def probe(self) -> list[Finding]:
        """Look, without writing, whether the account is reachable and set up as the contract needs."""
        return probe(
            self._api,
            self._reference,
            self._options,
            tags=self._tags,
            stage_map=self._stage_map,
            hooks=self._setup.hooks,
        )

    hook_events = EVENTS
    makes_keys = False

    def hooks(self) -> list[Hook]:
        """The webhooks that were registered from here: the vendor lists none."""
        return self._setup.hooks()

    def register_hook(self, event: str, url: str, key: str | None) -> Registered:
        """Register one that is signed with this key; unsigned ones are refused by the receiver."""
        if not key:
            raise Invalid(SYSTEM, "webhook.create", detail="there is no key to sign with")
        return self._setup.register(event, url, key)

    def remove_hook(self, hook: Hook) -> None:
        """End a webhook."""
        self._setup.remove(hook)

    def missing_fields(self) -> list[MissingField]:
        """Application custom fields that the contract writes and the account has not."""
        return self._setup.missing_fields()

    def create_field(self, missing: MissingField) -> None:
        """Make one, unless it is there by now."""
        self._setup.create_field(missing)

    def audit(self, scope: AuditScope) -> list[Capability]:
        """What the account can do for the integration. Writes in a sandbox only, and anonymizes what it wrote."""
        return audit(self._api, self._options, scope, tags=self._tags)

    def close(self) -> None:
        """Close the session."""
        self._client.close()


def build(of: Build) -> AshbyConnector:
    """The connector that a contract asks for."""
    options = of.options(AshbyOptions)
    client = of.api_key_client(
        scheme="basic",
        timeouts=Timeouts(options.connect_timeout_seconds, options.read_timeout_seconds),
        retry=RetryPolicy(max_attempts=options.max_attempts),
        default_limit=options.default_rate_limit,
        judge=judged,
    )
    key = of.settings.secret(of.system.client_secret_env)
    account = hashlib.sha256(f"{of.system.base_url} {key}".encode()).hexdigest()[:16]
    tokens = SyncTokens(of.state_dir / TOKENS_FILE if of.state_dir is not None else None, account)
    return AshbyConnector(
        client,
        options,
        stage_map=of.contract.stage_map,
        tags=of.contract.tag_sources(),
        tokens=tokens,
        # Looking at them shares no budget: `check` knows them too.
        hook_ids=HookIds(of.settings.state_dir / HOOKS_FILE, account),
    )
