"""What the parallel run compares, and what it says.

Belongs here: records of both sides, findings, causes. Does not belong here: comparing them (match, fields, compare).

Records of both sides are personal data; a `Line`, which is what leaves here, is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from referral_pipeline.identity.names import Name, name_of


class Finding(StrEnum):
    """What one line of the comparison says."""

    AGREES = "agrees"
    WAITING = "waiting"  # not there, and not yet due
    MISSING_IN_INTEGRATION = "missing_in_integration"
    MISSING_IN_MANUAL = "missing_in_manual"
    FIELD_DIFFERENCE = "field_difference"
    MISSED_DUPLICATE = "missed_duplicate"
    LATE = "late"
    SILENT_WEBHOOK_FAILURE = "silent_webhook_failure"


class Cause(StrEnum):
    """Why. Beside these there are gate:<reason> (held back, as the contract says) and quarantined:<field>."""

    MAPPING_ERROR = "mapping_error"
    MISSED_MATCH = "missed_match"
    WRONG_MERGE = "wrong_merge"
    WEBHOOK_NEVER_ARRIVED = "webhook_never_arrived"
    LATE = "late"
    REFUSED_BY_ATS = "refused_by_ats"
    EVENT_FAILED = "event_failed"
    NOT_ON_PLATFORM = "not_on_platform"
    NOT_ENTERED = "not_entered"
    UNKNOWN = "unknown"
    # As it must be
    ATTRIBUTION_RULE = "attribution_rule"
    ATS_RECORD_STANDS = "ats_record_stands"
    OTHER_REFERRAL = "other_referral"
    MANUAL_DUPLICATE = "manual_duplicate"
    TYPED_IN_ATS = "typed_in_ats"
    WINDOW_EDGE = "window_edge"
    GONE_IN_ATS = "gone_in_ats"


GATE = "gate:"
QUARANTINED = "quarantined:"
UNEXPLAINED = frozenset({Cause.NOT_ON_PLATFORM, Cause.NOT_ENTERED, Cause.UNKNOWN})
"""Causes that say only what is not known."""
AS_MEANT = frozenset(
    {
        *(Cause.ATTRIBUTION_RULE, Cause.ATS_RECORD_STANDS, Cause.OTHER_REFERRAL, Cause.MANUAL_DUPLICATE),
        *(Cause.TYPED_IN_ATS, Cause.WINDOW_EDGE, Cause.GONE_IN_ATS),
    }
)
"""Causes that leave nothing to mend."""


def is_open_cause(cause: str | None) -> bool:
    """Whether a finding of this cause is somebody's to mend or to accept."""
    return not (cause in AS_MEANT or (cause or "").startswith(GATE))


@dataclass(frozen=True)
class Line:
    """One finding, or one agreement. No personal data: `detail` describes values without showing them.

    `day` is that of the window's time zone; `manual_record` is file:line, None where only the integration has it.
    """

    day: date
    finding: Finding
    manual_record: str | None = None
    referral_id: str | None = None
    application_key: str | None = None
    person_id: str | None = None
    field: str | None = None
    cause: str | None = None
    detail: str = ""

    @property
    def is_open(self) -> bool:
        """Whether somebody has to mend or to accept it."""
        if self.finding in {Finding.AGREES, Finding.WAITING}:
            return False
        return is_open_cause(self.cause)

    @property
    def is_unexplained(self) -> bool:
        """Whether nobody knows why."""
        return self.is_open and self.cause in UNEXPLAINED


@dataclass(frozen=True)
class Manual:
    """A row of manual intake with canonical keys. Personal data."""

    place: str
    day: date
    entered_at: datetime
    job_id: str
    record_id: str | None = field(default=None, repr=False)
    first_name: str | None = field(default=None, repr=False)
    last_name: str | None = field(default=None, repr=False)
    email_key: str | None = field(default=None, repr=False)
    phone_key: str | None = field(default=None, repr=False)
    country: str | None = None
    advocate_id: str | None = field(default=None, repr=False)
    campaign_tag: str | None = field(default=None, repr=False)
    status: str | None = None

    @property
    def name(self) -> Name:
        """Their name."""
        return name_of(self.first_name, self.last_name)


@dataclass(frozen=True)
class Known:
    """A record of either system by which a person is recognised. Personal data."""

    record_id: str
    person_id: str
    first_name: str | None = field(repr=False)
    last_name: str | None = field(repr=False)
    email_keys: tuple[str, ...] = field(repr=False)
    phone_keys: tuple[str, ...] = field(repr=False)

    @property
    def name(self) -> Name:
        """Their name."""
        return name_of(self.first_name, self.last_name)


@dataclass(frozen=True)
class Application:
    """The application that a referral was written to, and its candidate, as the ATS holds them. Personal data.

    `credited_advocate_id` and `credited_campaign_tag` are what attribution says now; `passed` the statuses it had.
    `job_ids` are its own job and those that its referrals name.
    """

    key: str
    candidate_id: str
    job_ids: frozenset[str]
    status: str
    stage_name: str | None
    applied_at: datetime | None
    passed: frozenset[str] = frozenset()
    advocate_id: str | None = None
    campaign_tag: str | None = None
    credited_advocate_id: str | None = None
    credited_campaign_tag: str | None = None
    candidate: Known | None = None


@dataclass(frozen=True)
class Ours:
    """One referral, and what the integration did about it. Personal data.

    `block` is why it was not written; `had_webhook` is None where that cannot be told
    (no webhooks are in use, or those of its time are purged); `event_state` is dead or open where an event of it is.
    """

    referral_id: str
    person_id: str | None
    job_id: str
    advocate_id: str
    campaign_tag: str | None
    touched_at: datetime
    record: Known
    country: str | None = None
    block: str | None = None
    application_id: str | None = None
    application: Application | None = None
    created_candidate: bool = False
    created_application: bool = False
    is_refused: bool = False
    had_webhook: bool | None = None
    event_state: str | None = None

    @property
    def is_written(self) -> bool:
        """Whether the ATS has it."""
        return self.application is not None


@dataclass(frozen=True)
class Facts:
    """All that is compared.

    Attributes:
        manual: rows of the window, in file order.
        beside: rows outside the window: they are compared with nothing, but what they name is not missing.
        known: every record that shares an address or number with a row.
        ours: every referral of those persons, of the window, and of the rows' jobs.
        began_at: when the integration opened its first application; nothing can be late before.
        quarantined: (referral id, field) of referrals that staging set aside, by each canonical address and number.
        advocates, campaigns, jobs: ids that exist and may be shown; what people typed may be anything.
    """

    manual: tuple[Manual, ...]
    beside: tuple[Manual, ...] = ()
    known: tuple[Known, ...] = ()
    ours: tuple[Ours, ...] = ()
    began_at: datetime | None = None
    quarantined: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]], repr=False)
    advocates: frozenset[str] = frozenset()
    campaigns: frozenset[str] = frozenset()
    jobs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Window:
    """The launch window: days of one time zone, both ends in it, and when it is over, in UTC."""

    starts_on: date
    ends_on: date
    time_zone: str
    ends_at: datetime

    def divided(self, rows: Sequence[Manual]) -> tuple[list[Manual], list[Manual]]:
        """The rows of its days, and the others."""
        inside = [row for row in rows if self.starts_on <= row.day <= self.ends_on]
        return inside, [row for row in rows if not self.starts_on <= row.day <= self.ends_on]
