"""The frozen records that go into the ledger and come out of it.

Belongs here: shapes. Does not belong here: queries, and `ApiCall`, which the connectors define. All times are aware;
all hashes are keyed (`privacy.crypto`); no field takes personal data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from referral_pipeline.vocabulary import CandidateStatus


@dataclass(frozen=True)
class Cursor:
    """How far one entity of one system has been pulled into which warehouse file.

    `position` is the end of the last window that is committed, `full_pull_at` the last time that everything was asked.
    """

    system: str
    entity: str
    position: datetime
    warehouse_id: str
    full_pull_at: datetime


class DeliveryState(StrEnum):
    """Where an outbound write stands."""

    PENDING = "pending"  # begun: it may or may not have happened, look before trying again
    SENT = "sent"  # the system said yes, and nobody has seen it there yet
    CONFIRMED = "confirmed"  # the system holds it
    DEAD = "dead"  # given up; only a changed request or a replay opens it again


@dataclass(frozen=True)
class DeliveryIntent:
    """An outbound write about to be tried. `key` names the effect ("create:greenhouse:R1"), never a person."""

    key: str
    system: str
    operation: str
    target: str
    request_hash: str
    referral_id: str | None = None


@dataclass(frozen=True)
class Delivery:
    """An outbound write as the ledger knows it.

    From `begin`, `last_attempt_at` is the attempt before this one (this one when `is_new`), and `attempts` counts this
    one, so that a caller who finds `is_new` False and `state` pending knows since when the outcome is unclear.
    """

    key: str
    system: str
    operation: str
    target: str
    request_hash: str
    referral_id: str | None
    state: DeliveryState
    attempts: int
    first_attempt_at: datetime
    last_attempt_at: datetime
    last_error: str | None
    result: Mapping[str, Any] | None
    is_new: bool = False


@dataclass(frozen=True)
class Link:
    """What became of one referral: its person, its job, and where it is in the ATS.

    `block` is why it was not written. `status` and `status_at` are the last ones that the advocacy platform confirmed.
    `updated_at` is set on saving when left None. `state` is where the referral stands in its lifecycle.
    """

    referral_id: str
    person_id: str
    job_id: str
    advocate_id: str
    share_id: str | None
    campaign_tag: str | None
    touched_at: datetime
    system: str
    block: str | None = None
    candidate_id: str | None = None
    application_id: str | None = None
    match_method: str | None = None
    created_candidate: bool = False
    created_application: bool = False
    status: CandidateStatus | None = None
    status_at: datetime | None = None
    updated_at: datetime | None = None
    state: str | None = None


@dataclass(frozen=True)
class IdentityKey:
    """One contact detail of one record, as a keyed hash. `kind` is email or phone, `record_id` like "advocacy:R1"."""

    key_hash: str = field(repr=False)
    kind: str
    system: str
    record_id: str
    person_id: str


@dataclass(frozen=True)
class StatusFact:
    """An application reached a status `at` the time the ATS recorded; `source_event` says where we learnt it."""

    system: str
    application_id: str
    status: CandidateStatus
    at: datetime
    source_event: str


@dataclass(frozen=True)
class ConsentFact:
    """The consent of one referral, as last seen."""

    referral_id: str
    granted: bool
    basis: str | None
    granted_at: datetime | None
    expires_at: datetime | None


@dataclass(slots=True)  # not frozen: many are made in the way of an answer
class InboxDelivery:
    """A delivery about to be kept. `body` is encrypted; `bulk` may wait behind everything that is not."""

    system: str
    delivery_id: str
    event_type: str
    origin: str  # webhook, reconciliation, replay
    subject: str | None
    occurred_at: datetime | None
    body: bytes | None = field(repr=False)
    bulk: bool = False


@dataclass(frozen=True)
class InboxEvent:
    """A delivery as the inbox holds it. `body` is encrypted, and None once purged."""

    id: int
    system: str
    delivery_id: str
    event_type: str
    origin: str
    subject: str | None
    occurred_at: datetime | None
    received_at: datetime
    body: bytes | None = field(repr=False)
    bulk: bool
    state: str
    attempts: int
    available_at: datetime
    lease_owner: str | None
    lease_until: datetime | None
    last_error: str | None
    outcome: str | None
    done_at: datetime | None
    run_id: str | None


@dataclass(frozen=True, slots=True)
class DoneEvent:
    """What came of an event and when, without its body and subject."""

    id: int
    system: str
    event_type: str
    origin: str
    received_at: datetime
    done_at: datetime
    outcome: str


@dataclass(frozen=True)
class DoneEvents:
    """Events that are done; the highest number that the inbox has; and up to which number all have come to an end."""

    events: tuple[DoneEvent, ...]
    last_id: int
    settled_until: int


@dataclass(frozen=True)
class Backlog:
    """What the inbox still has to do. `waiting` does not count `waiting_bulk`; both count rows that are backing off.

    `oldest_received_at` is when the oldest row came that is neither done nor dead.
    """

    waiting: int
    waiting_bulk: int
    claimed: int
    dead: int
    oldest_received_at: datetime | None


@dataclass(frozen=True)
class Heartbeat:
    """A long-lived process said that it is there."""

    name: str
    owner: str
    address: str | None
    at: datetime
    details: Mapping[str, Any]


@dataclass(frozen=True)
class MirrorRow:
    """A record of another system as last seen. `owner` is the record it belongs to; `body` is encrypted."""

    system: str
    entity: str
    record_id: str
    changed_at: datetime
    owner: str | None
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class BreakerState:
    """Whether calls to a system are let through: closed, open or half_open."""

    system: str
    state: str
    since: datetime
    retry_at: datetime | None
    failures: int
    reason: str


@dataclass(frozen=True)
class Recognition:
    """A recognition of an advocate, by the idempotency key it is sent with. `cycle` counts the application's hires.

    `kind` is hired, bonus_eligible or reversed; `state` is pending, sent or dead.
    """

    key: str
    referral_id: str
    advocate_id: str
    system: str
    application_id: str
    cycle: int
    kind: str
    amount_cents: int
    currency: str
    state: str
    created_at: datetime
    sent_at: datetime | None = None
    last_error: str | None = None


@dataclass(frozen=True)
class IdentityDecision:
    """A person's word on who is one person: `verdict` is merge or distinct, in force until it is revoked.

    `left` and `right` are record ids ("system:id"), sorted: the records that the two sides had when it was decided.
    `persons` is who each record was by then, where that was known. `ats_state` is pending, done or refused for a merge
    that is to be carried out in the ATS too, else None; `ats_error` says why it has not been.
    """

    id: int
    verdict: str
    left: tuple[str, ...]
    right: tuple[str, ...]
    reason: str
    decided_by: str
    decided_at: datetime
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    revoked_reason: str | None = None
    ats_state: str | None = None
    ats_error: str | None = None
    persons: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def in_force(self) -> bool:
        """Whether nobody has revoked it."""
        return self.revoked_at is None


@dataclass(frozen=True)
class Override:
    """The owner decided who has the credit for an application ("greenhouse:31"): one referral, or nobody.

    In force until `revoked_at`. `reason` is free text, `decided_by` and `revoked_by` are the owner's address.
    """

    id: int
    application_key: str
    referral_id: str | None
    reason: str = field(repr=False)
    decided_by: str = field(repr=False)
    decided_at: datetime
    revoked_at: datetime | None = None
    revoked_by: str | None = field(default=None, repr=False)
    revoked_reason: str | None = field(default=None, repr=False)

    @property
    def is_in_force(self) -> bool:
        """Whether it stands."""
        return self.revoked_at is None


@dataclass(frozen=True)
class PayrollStep:
    """A bonus as it went to payroll: one entry of one export."""

    export_id: int
    referral_id: str
    advocate_id: str
    amount_cents: int
    currency: str
    eligible_at: datetime
    exported_at: datetime
    state: str
    settled_at: datetime | None


@dataclass(frozen=True)
class PayrollExport:
    """Bonuses that were handed to payroll together. `state` is open, reconciled or cancelled."""

    id: int
    exported_at: datetime
    exported_by: str
    pay_on: date
    state: str
    reconciled_at: datetime | None
    reconciled_by: str | None


@dataclass(frozen=True)
class PayrollEntry:
    """One bonus in one export, as it was handed over. `key` is that of the recognition that made it eligible.

    `state` is paid from the moment of the export, and returned once payroll has said that it did not pay, or the export
    was cancelled. `amount_cents` counts the currency's smallest unit.
    """

    export_id: int
    key: str
    referral_id: str
    advocate_id: str
    system: str
    application_id: str
    amount_cents: int
    currency: str
    eligible_at: datetime
    state: str
    settled_at: datetime | None
    note: str | None


@dataclass(frozen=True)
class AlertRecord:
    """An alert on one channel. Firings of the same fingerprint are counted in it until it is resolved."""

    id: int
    name: str
    fingerprint: str
    severity: str
    message: str
    owner: str
    channel: str
    fired_at: datetime
    last_at: datetime
    times: int
    delivered_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None
    details: Mapping[str, Any]


@dataclass(frozen=True)
class Verification:
    """Something that was verified of the integration, or decided about it, and what it was true of.

    Attributes:
        id: in order of making.
        kind: one of VERIFICATION_KINDS.
        passed: whether it held; of a decision, whether it was a yes.
        environment: sandbox or production, as the contract said.
        fingerprint: of what it covers (`connectors.covered.fingerprint_of`); another one, and it counts no longer.
        made_at: when.
        made_by: the address of the person, or the job that made it.
        facts: counts, rates, ids of records; no personal data.
    """

    id: int
    kind: str
    passed: bool
    environment: str
    fingerprint: str
    made_at: datetime
    made_by: str
    facts: Mapping[str, Any]


VERIFICATION_KINDS = (
    "check",
    "api_audit",
    "sandbox_run",
    "field_audit",
    "attribution",
    "parallel_run",
    "sign_off",
    "go_live",
)


class ShapeKey(NamedTuple):
    """Which fact about the shape of answers: `kind` is type, word, deprecation or sunset (`connectors.shapes.Fact`)."""

    system: str
    operation: str
    path: str
    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class ShapeFact:
    """One fact about the shape of answers, with when it was seen, how often, and who accepted it, if anybody did."""

    system: str
    operation: str
    path: str
    kind: str
    value: str
    seen: int
    first_seen_at: datetime
    last_seen_at: datetime
    accepted_at: datetime | None = None
    accepted_by: str | None = None
    accepted_why: str | None = None

    @property
    def key(self) -> ShapeKey:
        """Which one it is."""
        return ShapeKey(self.system, self.operation, self.path, self.kind, self.value)
