"""The connector for Lever (Data API v1).

Belongs here: the ATS protocol over the vendor's ways of reading and writing. Does not belong here: decisions about
referrals, stores. Its parts: `lever_api` (endpoints, pages), `lever_models` (records, options), `lever_reader` (records
read live), `lever_writer` (writes), `lever_mailboxes` (who else creates), `lever_assemble` (canonical records),
`lever_tags` (our fields), `lever_reference` (a cache), `lever_probe` (looking at an account), `lever_audit` and
`lever_trip` (what an account can do), `lever_setup` and `lever_events`
(webhooks).

A contact is a candidate, an opportunity an application, a posting a job.

Invariants of the vendor's API, each with a test of the same number
1.  The key is the user name of HTTP Basic, without a password; 10 calls a second with bursts of 20, and a 429 does not
    say when to come back.
2.  Lists come in the envelope {data, next, hasNext}, at most 100 a page; the token is used as it is, `hasNext` ends it.
3.  Errors are {code, message}; a record that is not there answers 404.
4.  An address finds opportunities as Lever compares addresses, so what it finds is verified on the contact. Nothing
    finds a phone.
5.  All times are epoch milliseconds, in parameters too.
6.  An opportunity has no custom fields: each of ours is a tag "name: value". Tags of others are never touched, and what
    is there already or gone already changes nothing, so these calls may be sent again.
7.  Postings are listed by state, only published ones unless another is asked for.
8.  Contacts are not listed: opportunities carry their details, and only the application inside one names the posting. A
    blank name or address is withheld, never cleared.
9.  There is no status: archived by a reason of the type `hired` is a hire, dated by `archivedAt`; by one of
    `withdrawn_reasons` a withdrawal, else a rejection; not archived it is what its stage means. Un-archived, all of it
    is undone. The first day at work is a field of the offer.
10. A create needs `perform_as`, has no idempotency key, and a repeat makes a second opportunity: it is never repeated.
11. A create under an address that a contact has joins that contact, whose data win. Whoever is somebody else under the
    same address is therefore created without it, and the address added afterwards.
12. A contact is changed by whole lists: they are read, added to and written back.
13. A referral is read only: the advocate is named by our tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from referral_pipeline.connectors import lever_setup as setup
from referral_pipeline.connectors.build import Build
from referral_pipeline.connectors.capabilities import AuditScope, Capability
from referral_pipeline.connectors.http import HttpClient, RetryPolicy, Timeouts
from referral_pipeline.connectors.lever_api import ENTITIES, LeverApi
from referral_pipeline.connectors.lever_assemble import Assembler
from referral_pipeline.connectors.lever_audit import audit
from referral_pipeline.connectors.lever_models import SYSTEM, TAG_NAMES, LeverOptions
from referral_pipeline.connectors.lever_probe import probe
from referral_pipeline.connectors.lever_reader import Reader
from referral_pipeline.connectors.lever_reference import Reference
from referral_pipeline.connectors.lever_writer import Writer
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


class LeverConnector:
    """Implements `protocols.AtsConnector`. Safe for threads.

    Args:
        client: The session, already with the key and the budget.
        options: `ats.options` of the contract.
        stage_map: The contract's stage names in canonical words.
        tags: The logical tags that the contract writes.
    """

    system: str = SYSTEM
    entities: Mapping[str, Entity] = ENTITIES

    def __init__(
        self,
        client: HttpClient,
        options: LeverOptions,
        *,
        stage_map: Mapping[str, CandidateStatus],
        tags: Iterable[str] = TAG_NAMES,
    ) -> None:
        self.visibility_lag_seconds = options.visibility_lag_seconds
        self._client = client
        self._options = options
        self._stage_map = dict(stage_map)
        self._tags = tuple(tags)
        self._api = LeverApi(client)
        self._assembler = Assembler(stage_map=stage_map, options=options)
        self._reader = Reader(self._api, self._assembler, Reference(self._api))
        self._writer = Writer(client, self._api, options, self._reader, self._assembler)

    # ------------------------------------------------------------ reading

    @property
    def skipped_rows(self) -> Mapping[str, int]:
        """How many entries without id lists have held so far, by list."""
        return dict(self._api.skipped)

    def pull(self, entity: str, window: Window) -> Iterator[list[Row]]:
        """Pages of raw rows that changed in the window. Stages and reasons, which are few, are pulled whole."""
        filters = self._reader.offer_filters() if entity == "offers" else ()
        return self._api.pull(entity, window, offers_for=filters)

    def stage(self, raw: RawReader) -> AtsStaged:
        """Normalise raw rows to canonical records. Pure."""
        return self._assembler.stage(raw)

    def search_candidates(self, email: str) -> list[AtsCandidate]:
        """(4) Contacts that carry this address."""
        return self._reader.search_candidates(email)

    def get_candidates(self, ids: Sequence[str]) -> dict[str, AtsCandidate]:
        """Contacts by id; absent ones are left out."""
        return self._reader.get_candidates(ids)

    def get_applications(self, ids: Sequence[str]) -> dict[str, AtsApplication]:
        """Opportunities on a posting by id, assembled live."""
        return self._reader.get_applications(ids)

    def get_jobs(self, ids: Sequence[str]) -> dict[str, AtsJob]:
        """Postings by id, live; absent ones are left out."""
        return self._reader.get_jobs(ids)

    def applications_of(self, candidate_ids: Sequence[str]) -> list[AtsApplication]:
        """Every opportunity on a posting of these contacts, assembled live."""
        return self._reader.applications_of(candidate_ids)

    def raw_rows(self, application_ids: Sequence[str]) -> dict[str, list[Row]]:
        """Raw rows by entity of these opportunities and all that hangs on them."""
        return self._reader.raw_rows(application_ids)

    # ------------------------------------------------------------ writing

    def create_candidate(self, candidate: NewCandidate, application: NewApplication) -> Created:
        """(10, 11) Create a contact with its opportunity.

        Raises:
            AmbiguousOutcome: Nobody knows whether it was created; search before trying again.
        """
        return self._writer.create_candidate(candidate, application)

    def create_application(self, candidate_id: str, application: NewApplication) -> AtsApplication:
        """(10) Open an opportunity for a contact that exists.

        Raises:
            AmbiguousOutcome: Nobody knows whether it was opened; look before trying again.
        """
        return self._writer.create_application(candidate_id, application)

    def update_application(
        self, application_id: str, tags: Mapping[str, str | None], *, advocate_email: str | None = None
    ) -> bool:
        """(6, 13) Bring our tags to `tags` (None takes one away); fill the source where there is none.

        Returns:
            Whether something was written; False when nothing differed.

        Raises:
            NotFound: The opportunity is not there.
        """
        del advocate_email  # Lever takes no referrer by its API
        return self._writer.update_application(application_id, tags)

    def add_contact_details(self, candidate_id: str, *, email: str | None, phone: str | None) -> bool:
        """(12) Add an address or number that is not there yet; all others stay. True when something was written."""
        return self._writer.add_contact_details(candidate_id, email=email, phone=phone)

    # ------------------------------------------------------------ looking

    def probe(self) -> list[Finding]:
        """Look, without writing, whether the account is reachable and set up as the contract needs."""
        return probe(self._api, self._options, tags=self._tags, stage_map=self._stage_map)

    hook_events = setup.EVENTS
    makes_keys = True

    def hooks(self) -> list[Hook]:
        """The webhooks of the account."""
        return setup.hooks(self._api)

    def register_hook(self, event: str, url: str, key: str | None) -> Registered:
        """Register one; Lever makes up its key and tells it this once."""
        del key
        return setup.register(self._api, event, url)

    def remove_hook(self, hook: Hook) -> None:
        """End a webhook."""
        setup.remove(self._api, hook)

    def missing_fields(self) -> list[MissingField]:
        """None: a tag needs no definition."""
        return []

    def create_field(self, missing: MissingField) -> None:
        """Nothing to do: a tag is there as soon as it is written."""

    def audit(self, scope: AuditScope) -> list[Capability]:
        """What the account can do for the integration. Writes in a sandbox only, and archives what it opened."""
        return audit(self._api, self._options, scope, tags=self._tags)

    def close(self) -> None:
        """Close the session."""
        self._client.close()


def build(of: Build) -> LeverConnector:
    """The connector that a contract asks for."""
    options = of.options(LeverOptions)
    client = of.api_key_client(
        scheme="basic",
        timeouts=Timeouts(options.connect_timeout_seconds, options.read_timeout_seconds),
        retry=RetryPolicy(max_attempts=options.max_attempts),
        default_limit=options.calls_per_second,
        window_seconds=1.0,
    )
    return LeverConnector(client, options, stage_map=of.contract.stage_map, tags=of.contract.tag_sources())
