"""The frozen records that go into the ledger and come out of it.

Belongs here: shapes. Does not belong here: queries, and `ApiCall`, which the connectors define. All times are aware;
all hashes are keyed (`privacy.crypto`); no field takes personal data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

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
    `updated_at` is set on saving when left None.
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
