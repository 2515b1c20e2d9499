"""What an ATS, a CRM and an advocacy platform must be able to do for the pipeline.

Belongs here: the protocols, and nothing that knows a vendor. Does not belong here: implementations.

Every method may raise `connectors.http.TransientFailure` (try later; the connector has already retried) or
`connectors.http.PermanentFailure` (do not try again as it is). A write may raise `connectors.http.AmbiguousOutcome`, a
TransientFailure after which nobody knows whether the system did it: read before writing again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Protocol, runtime_checkable

from referral_pipeline.connectors.records import (
    AdvocacyStaged,
    Advocate,
    AdvocateResults,
    AtsApplication,
    AtsCandidate,
    AtsJob,
    AtsStaged,
    ContactPut,
    ContactWish,
    Content,
    Created,
    Entity,
    Finding,
    NewApplication,
    NewCandidate,
    Referral,
    Row,
    RowProblem,
    Share,
    StatusUpdate,
    Told,
    Window,
)

RawReader = Callable[[str], Iterable[Row]]
"""Given an entity's name, all its raw rows as kept in the warehouse."""


class Source(Protocol):
    """Anything that can be pulled incrementally."""

    system: str
    entities: Mapping[str, Entity]

    def pull(self, entity: str, window: Window) -> Iterator[list[Row]]:
        """Pages of raw rows that changed in the window.

        A row may come twice; a row changed meanwhile may be left to the next window, never lost.
        """
        ...

    def probe(self) -> list[Finding]:
        """Look, without writing, whether the system is reachable and set up as the contract needs."""
        ...

    def close(self) -> None:
        """Close the session and flush what was measured."""
        ...


@runtime_checkable
class SkipsRows(Protocol):
    """What a source may do beside: leave out entries of a list that have no id, and count them."""

    @property
    def skipped_rows(self) -> Mapping[str, int]:
        """How many so far, by list."""
        ...


class AtsConnector(Source, Protocol):
    """An applicant tracking system."""

    visibility_lag_seconds: float

    def stage(self, raw: RawReader) -> AtsStaged:
        """Normalise raw rows to canonical records. Pure: no call is made."""
        ...

    def search_candidates(self, email: str) -> list[AtsCandidate]:
        """Candidates that carry this e-mail address, as far as the vendor can find them. Never raises for none."""
        ...

    def get_candidates(self, ids: Sequence[str]) -> dict[str, AtsCandidate]:
        """Candidates by id; absent ones (deleted, merged, not yet visible) are left out."""
        ...

    def get_applications(self, ids: Sequence[str]) -> dict[str, AtsApplication]:
        """Applications by id, assembled live with stages, offers and rejection."""
        ...

    def get_jobs(self, ids: Sequence[str]) -> dict[str, AtsJob]:
        """Jobs by id, live, with department and public posting; absent ones are left out."""
        ...

    def applications_of(self, candidate_ids: Sequence[str]) -> list[AtsApplication]:
        """Every candidate application (no prospects) of these candidates, assembled live."""
        ...

    def create_candidate(self, candidate: NewCandidate, application: NewApplication) -> Created:
        """Create a candidate with its application. Not idempotent at the vendor: the caller searches first."""
        ...

    def create_application(self, candidate_id: str, application: NewApplication) -> AtsApplication:
        """Open an application for a candidate that exists."""
        ...

    def update_application(
        self, application_id: str, tags: Mapping[str, str | None], *, advocate_email: str | None = None
    ) -> bool:
        """Bring the advocacy fields of an application to `tags` (read, merge, write). False when nothing differed.

        With `advocate_email` the vendor's own referrer is filled too where it is empty and the advocate is found.
        """
        ...

    def add_contact_details(self, candidate_id: str, *, email: str | None, phone: str | None) -> bool:
        """Add an e-mail or phone that the candidate does not carry yet, keeping all others. True when written."""
        ...

    def raw_rows(self, application_ids: Sequence[str]) -> dict[str, list[Row]]:
        """Raw rows by entity of these applications and all that hangs on them, for write-through after a create."""
        ...


@runtime_checkable
class MergesCandidates(Protocol):
    """What an ATS connector may be able to do beside: make one candidate of two, for good.

    `contract.systems` says of each ATS whether its connector can, so that a contract can be judged without one.
    """

    def merge_candidates(self, primary_id: str, secondary_id: str) -> None:
        """Merge the secondary candidate into the primary, which has all applications then; the secondary is gone.

        Raises:
            NotFound: one of the two is not there before anything was sent.
            AmbiguousOutcome: nobody knows whether it was done; look whether the secondary is there.
        """
        ...


class CrmConnector(Protocol):
    """A CRM that holds contacts of people. It is written to, never read for decisions."""

    system: str

    def ensure_properties(self) -> int:
        """Make what is missing of the integration's own properties; how many were made.

        Raises:
            PermanentFailure: it may not, or one is there with another type; the message says what to do.
        """
        ...

    def find_contact(self, email: str) -> str | None:
        """The id of the contact with this address, at once; None for none."""
        ...

    def contacts_having(self, name: str, values: Sequence[str]) -> list[str]:
        """Ids of the contacts whose own property `name` has one of these values. May lag behind the writes."""
        ...

    def put_contact(self, wish: ContactWish) -> ContactPut:
        """Bring a contact to a wish: idempotent by state, and never over what people wrote.

        Names, address and number are written when the contact is created only. A contact that was written before and is
        not there any more was deleted by people: it is not created again.
        """
        ...

    def erase_contact(self, contact_id: str) -> bool:
        """Erase a contact for good, as the law asks. False when there is none."""
        ...

    def probe(self) -> list[Finding]:
        """Look, without writing, whether the system is reachable and set up as the contract needs."""
        ...

    def close(self) -> None:
        """Close the session and flush what was measured."""
        ...


class AdvocacyConnector(Source, Protocol):
    """An employee advocacy platform."""

    def stage(self, raw: RawReader) -> AdvocacyStaged:
        """Read raw rows into canonical records. Pure: no call is made."""
        ...

    def get_referral(self, referral_id: str) -> Referral | None:
        """One referral, fresh. None when it is gone."""
        ...

    def referral_row(self, referral_id: str) -> Row | None:
        """One referral's raw row, fresh. None when it is gone."""
        ...

    def return_status(self, update: StatusUpdate) -> bool:
        """Tell the platform a status. False when it already knows something newer (409)."""
        ...

    def put_job(self, job: AtsJob) -> None:
        """Publish or update a job posting."""
        ...

    def put_results(self, results: AdvocateResults) -> bool:
        """Tell the platform what came of an advocate's sharing. False when it already knows a later one (409).

        Raises:
            NotFound: the platform has no such advocate.
        """
        ...

    def recognise(
        self,
        referral_id: str,
        kind: str,
        amount_cents: int,
        currency: str,
        key: str,
        *,
        starts_on: date | None = None,
    ) -> None:
        """Recognise the advocate of a referral (`hired`, `bonus_eligible`, `reversed`). The same key again is safe.

        `starts_on` is the first day of work where it is known, for a platform that pays by it.
        """
        ...

    def referral_of(self, row: Row) -> Referral | RowProblem:
        """One raw row as a record, or why it is none. Pure, like those that follow."""
        ...

    def told_of(self, row: Row) -> Told | RowProblem:
        """What the platform holds of the application of a referral, from the referral's raw row."""
        ...

    def share_of(self, row: Row) -> Share | RowProblem:
        """One share."""
        ...

    def content_of(self, row: Row) -> Content | RowProblem:
        """One piece of content."""
        ...

    def advocate_of(self, row: Row) -> Advocate | RowProblem:
        """One advocate."""
        ...
