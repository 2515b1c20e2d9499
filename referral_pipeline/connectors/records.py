"""The vendor-neutral records that connectors hand to the rest of the project, and take from it.

Belongs here: frozen records with canonical words, string ids and aware UTC times. Does not belong here: a vendor's
field names (each connector keeps its own), behaviour, persistence. Records whose docstring says so hold personal data:
they are never logged, and their `repr` shows ids only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from referral_pipeline.vocabulary import CandidateStatus, ReferralStage

Row = dict[str, Any]
"""One record as the vendor sent it, untouched."""


@dataclass(frozen=True)
class Window:
    """A span of change, both ends inclusive, in UTC. `since=None` asks for everything (a full pull).

    `position` is the end of an earlier window of which everything was kept: a system that tells what changed by a token
    of its own is asked with the token of then. None where only `since` counts.
    """

    since: datetime | None
    until: datetime
    position: datetime | None = None

    @property
    def is_full(self) -> bool:
        """Whether everything is asked for."""
        return self.since is None


@dataclass(frozen=True)
class Entity:
    """One kind of record that a connector can pull.

    `key` is the field that names a row. `tells_gone`: whether a pull of everything shows everything, so that what it
    misses is gone.
    """

    name: str
    key: str = "id"
    changed_field: str | None = "updated_at"
    tells_gone: bool = True


# ---------------------------------------------------------------- ATS: read


@dataclass(frozen=True)
class AtsCandidate:
    """A candidate as the ATS holds it. Personal data."""

    id: str
    first_name: str | None = field(repr=False)
    last_name: str | None = field(repr=False)
    emails: tuple[str, ...] = field(repr=False)
    phones: tuple[str, ...] = field(repr=False)
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class StageEntry:
    """One stretch of an application in one canonical status, from the ATS's own stage history."""

    status: CandidateStatus
    stage_name: str | None
    entered_at: datetime
    exited_at: datetime | None


@dataclass(frozen=True)
class AtsApplication:
    """An application with its facts already in canonical words. No personal data.

    `applied_at` is the ATS's own date. `hired_at` is when the offer was accepted (never time of receipt); None when
    the ATS cannot tell. `status_at` is when the ATS recorded the present status (updated_at of the record that carries
    it). `tags` are the advocacy fields by logical name (referral_id, advocate_id, share_id, content_id, campaign_tag,
    and with enrichment clicks, shares, reach), None where empty. `unmapped_stage` names a custom stage that the
    contract's stage_map does not know (its status is then in_review).
    """

    id: str
    candidate_id: str
    job_id: str | None
    status: CandidateStatus
    status_at: datetime
    applied_at: datetime
    updated_at: datetime
    stage_name: str | None = None
    unmapped_stage: str | None = None
    interviewed_at: datetime | None = None
    offered_at: datetime | None = None
    hired_at: datetime | None = None
    starts_on: date | None = None
    rejected_at: datetime | None = None
    source_name: str | None = None
    referrer_id: str | None = None
    tags: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])
    history: tuple[StageEntry, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether a new referral for the same job updates this application instead of opening another."""
        return self.status not in {CandidateStatus.HIRED, CandidateStatus.REJECTED, CandidateStatus.WITHDRAWN}


@dataclass(frozen=True)
class AtsJob:
    """A requisition. `status` is open, closed or draft."""

    id: str
    title: str
    status: str
    department: str | None = None
    location: str | None = None
    url: str | None = None
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True)
class AtsOffer:
    """The current offer of an application."""

    id: str
    application_id: str
    status: str
    sent_on: date | None
    resolved_at: datetime | None
    starts_on: date | None
    updated_at: datetime


@dataclass(frozen=True)
class AtsStaged:
    """All that staging needs from an ATS, normalised from raw rows by the connector that knows the vendor.

    `problems` are rows that could not be read: (entity, record id, field, reason, shape of the value).
    """

    jobs: list[AtsJob]
    candidates: list[AtsCandidate]
    applications: list[AtsApplication]
    offers: list[AtsOffer]
    problems: list[RowProblem]


@dataclass(frozen=True)
class RowProblem:
    """Why one row was set aside. `shape` describes the value without showing it ("text of 14 characters without @")."""

    system: str
    entity: str
    record_id: str
    field: str
    reason: str
    shape: str


# ---------------------------------------------------------------- ATS: write


@dataclass(frozen=True)
class NewCandidate:
    """What a new candidate is created with. Personal data. `phone` is E.164 or None."""

    first_name: str = field(repr=False)
    last_name: str = field(repr=False)
    email: str | None = field(repr=False)
    phone: str | None = field(repr=False)


@dataclass(frozen=True)
class NewApplication:
    """What a new application is created with. `tags` by logical name; None leaves the field out."""

    job_id: str
    tags: Mapping[str, str | None]
    advocate_email: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Created:
    """What a create call answered. `application` is None when the answer did not show one."""

    candidate: AtsCandidate
    application: AtsApplication | None


# ---------------------------------------------------------------- advocacy: read


@dataclass(frozen=True)
class Consent:
    """The consent attached to a referral."""

    granted: bool
    basis: str | None
    granted_at: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True)
class Referral:
    """A referral as the advocacy platform holds it. Personal data (the candidate's name and contact details).

    All texts are as sent, only trimmed; canonical forms are made by `identity.canonical`. `status`, `status_at` and the
    ATS ids are what the platform was last told. `is_ended`: the platform holds it as ended and does not say by whom;
    what was made of it goes on, nothing new is made.
    """

    id: str
    advocate_id: str
    share_id: str | None
    job_id: str
    campaign_tag: str | None
    stage: ReferralStage
    submitted_at: datetime
    applied_at: datetime | None
    first_name: str | None = field(repr=False)
    last_name: str | None = field(repr=False)
    email: str | None = field(repr=False)
    phone: str | None = field(repr=False)
    country: str | None
    consent: Consent | None
    clicks: int | None
    shares: int | None
    reach: int | None
    status: CandidateStatus | None
    status_at: datetime | None
    ats_candidate_id: str | None
    ats_application_id: str | None
    updated_at: datetime
    is_ended: bool = False

    @property
    def touched_at(self) -> datetime:
        """When the referral counts as a touch: applied_at, else submitted_at."""
        return self.applied_at or self.submitted_at


@dataclass(frozen=True)
class Told:
    """What an advocacy platform holds of a referral's application, as it was told. None where nothing was told."""

    referral_id: str
    status: CandidateStatus | None
    status_at: datetime | None
    ats_system: str | None
    ats_candidate_id: str | None
    ats_application_id: str | None
    hired_at: datetime | None
    starts_on: date | None
    updated_at: datetime


@dataclass(frozen=True)
class Advocate:
    """An employee who may refer. `email` is personal data (an employee's address)."""

    id: str
    email: str | None = field(repr=False)
    department: str | None
    eligible: bool
    joined_at: datetime | None
    left_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True)
class Content:
    """A piece of content that advocates share, with its campaign and job."""

    id: str
    title: str | None
    campaign_tag: str | None
    job_id: str | None
    published_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True)
class Share:
    """One act of sharing."""

    id: str
    advocate_id: str
    content_id: str | None
    job_id: str | None
    channel: str | None
    shared_at: datetime
    reach: int | None
    updated_at: datetime


@dataclass(frozen=True)
class Click:
    """One click on a share. `visitor_id` is the platform's pseudonym; a click names no person."""

    id: str
    share_id: str
    visitor_id: str | None
    clicked_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class AdvocacyStaged:
    """All that staging needs from an advocacy platform, read from raw rows, with the rows that could not be read."""

    advocates: list[Advocate]
    content: list[Content]
    shares: list[Share]
    clicks: list[Click]
    referrals: list[Referral]
    problems: list[RowProblem]


# ---------------------------------------------------------------- advocacy: write


@dataclass(frozen=True)
class StatusUpdate:
    """A status on its way back to the advocacy platform (body of PATCH /v1/referrals/{id})."""

    referral_id: str
    status: CandidateStatus
    status_at: datetime
    ats_system: str
    ats_candidate_id: str
    ats_application_id: str
    hired_at: datetime | None = None
    starts_on: date | None = None


@dataclass(frozen=True)
class Conversion:
    """Hires over applications with its 95 % interval. `maturity` is mature, immature or insufficient.

    The three numbers are there exactly when it is mature.
    """

    value: float | None
    low: float | None
    high: float | None
    maturity: str


@dataclass(frozen=True)
class BonusSum:
    """An advocate's bonuses of one state and currency. `amount_cents` counts the currency's smallest unit."""

    state: str
    amount_cents: int
    currency: str
    count: int


@dataclass(frozen=True)
class AdvocateResults:
    """What came of one advocate's sharing (body of PUT /v1/advocates/{id}/results). Ids and counts only.

    `as_of` is the moment at which it stood. `next_eligible_on` is the day on which the next pending bonus becomes
    eligible, None where no day is known.
    """

    advocate_id: str
    as_of: datetime
    shares: int
    clicks: int
    referrals: int
    applications: int
    interviews: int
    offers: int
    hires: int
    conversion: Conversion
    credit: Decimal
    bonuses: tuple[BonusSum, ...] = ()
    next_eligible_on: date | None = None


# ---------------------------------------------------------------- CRM


@dataclass(frozen=True)
class ContactWish:
    """What a CRM contact should hold. Personal data in all but `contact_id` and `properties`.

    `emails` are the person's addresses; the first one is written when the contact is created. `properties` are the
    integration's own; None clears. `contact_id` is that of the contact that was written before, None for none. What an
    address finds may be one of `not_these`, which are other persons': then nothing is written.
    """

    emails: tuple[str, ...] = field(repr=False)
    first_name: str | None = field(repr=False)
    last_name: str | None = field(repr=False)
    phone: str | None = field(repr=False)
    properties: Mapping[str, str | None]
    contact_id: str | None = None
    not_these: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True)
class ContactPut:
    """What became of a wish: created, updated, unchanged, or nothing: gone (people deleted it) or taken (not_these)."""

    contact_id: str
    outcome: Literal["created", "updated", "unchanged", "gone", "taken"]


# ---------------------------------------------------------------- probes


@dataclass(frozen=True)
class Finding:
    """One result of looking at a live system for `check`: what was looked at, whether it holds, and how to mend it."""

    key: str
    ok: bool
    found: str
    mend: str = ""
