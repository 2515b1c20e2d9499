"""The outside systems that a contract may name, with the facts that `init` and the data-flow map need.

Belongs here: names, sides, public addresses, the stem of their environment variables. Does not belong here: how to talk
to them (`connectors/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal

from referral_pipeline.vocabulary import CandidateStatus, Side


@dataclass(frozen=True)
class SystemFacts:
    """One system: its side, its title for people, the stem of its variables, its addresses (live and local sandbox).

    `merges_candidates`: whether its connector can merge two candidates (`connectors.protocols.MergesCandidates`).
    `candidate_page`: where a recruiter looks at a candidate, `{id}` for its id. `auth`: whether it is called with a
    client id and a secret, with an API key alone, or not at all. `signs_webhooks`: whether it does. `asks`: the options
    that `init` asks for, each with its question, because nobody can guess them. `set_up`: what a person does there by
    hand before `check` passes, a sentence each. `webhooks_screen` and `fields_screen`: where its own screens have
    webhooks and custom fields, for what its API cannot do.

    Of an advocacy platform: `lacks` are what it has no place for (words of `LACKS`), `shown_statuses` what it shows
    once it was told a status, where that is not the same.
    """

    name: str
    side: Side
    title: str
    stem: str
    live_url: str
    sandbox_url: str
    live_auth_url: str | None = None
    sandbox_auth_url: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    merges_candidates: bool = False
    candidate_page: str | None = None
    auth: Literal["client", "api_key", "none"] = "client"
    signs_webhooks: bool = True
    asks: Mapping[str, str] = field(default_factory=dict[str, str])
    set_up: tuple[str, ...] = ()
    webhooks_screen: str | None = None
    fields_screen: str | None = None
    lacks: frozenset[str] = frozenset()
    shown_statuses: Mapping[CandidateStatus, CandidateStatus] = field(
        default_factory=dict[CandidateStatus, CandidateStatus]
    )


LACKS: Mapping[str, str] = {
    "status_at": "the time of a status",
    "hired_at": "the time of a hire",
    "starts_on_shown": "the first day of work to be read back",
    "ats": "the ids of the ATS",
    "content": "content and campaigns",
    "shares": "a list of shares",
    "clicks": "clicks and reach",
    "results": "results of an advocate",
    "consent": "consent",
    "country": "the country of a candidate",
}
"""What an advocacy platform may have no place for, in words."""


_FIELDS_OF: Mapping[str, tuple[str, ...]] = {
    "status_at": ("advocacy.referral.status_at",),
    "hired_at": ("advocacy.referral.hired_at",),
    "ats": ("advocacy.referral.ats",),
    "content": ("advocacy.content.id", "advocacy.referral.campaign_tag", "advocacy.content.campaign_tag"),
    "shares": ("advocacy.share.id", "advocacy.referral.share_id"),
    "clicks": ("advocacy.engagement.clicks", "advocacy.engagement.shares", "advocacy.engagement.reach"),
}
"""The fields of a contract's mappings that are not there on a platform that lacks something."""

TAGS: tuple[str, ...] = (
    "referral_id",
    "advocate_id",
    "share_id",
    "content_id",
    "campaign_tag",
    "clicks",
    "shares",
    "reach",
)
"""Logical names of the fields that the integration keeps on an ATS application."""

_NOBODY = "00000000-0000-0000-0000-000000000000"
_HTTP_OPTIONS: dict[str, Any] = {"connect_timeout_seconds": 5, "read_timeout_seconds": 30, "max_attempts": 6}

SANDBOX_OPTIONS: Mapping[str, Any] = {
    "connect_timeout_seconds": 2,
    "read_timeout_seconds": 3,
    "visibility_lag_seconds": 3,
    "calls_per_second": 1000,
    "calls_per_ten_seconds": 10_000,
    "perform_as": "294d07bf-1fc1-4eb6-8478-211e5197037c",
    "withdrawn_reasons": ["Accepted another offer", "Compensation"],
    "company_id": "0d9c3a2e-6f5b-4e1a-9c47-1b2f60a7d301",
    "webhook_addresses": ["127.0.0.1", "::1"],
    "consent_basis": "sandbox: invented people accept the terms of the referral form",
    "residency": {"country": "FR", "basis": "sandbox: invented people of one country"},
    "job_defaults": {
        "department": "0d9c3a2e-6f5b-4e1a-9c47-1b2f60a7d302",
        "location": "0d9c3a2e-6f5b-4e1a-9c47-1b2f60a7d303",
        "contact_person": "0d9c3a2e-6f5b-4e1a-9c47-1b2f60a7d304",
        "reward": "0d9c3a2e-6f5b-4e1a-9c47-1b2f60a7d305",
    },
}
"""What a loopback server needs less of: an injected timeout should not hold a run for half a minute."""

SYSTEMS: Mapping[str, SystemFacts] = {
    facts.name: facts
    for facts in (
        SystemFacts(
            name="advocacy",
            side=Side.ADVOCACY,
            title="Advocacy platform",
            stem="ADVOCACY",
            live_url="https://advocacy.example.com",
            sandbox_url="http://127.0.0.1:8701",
            options=_HTTP_OPTIONS,
        ),
        SystemFacts(
            name="greenhouse",
            side=Side.ATS,
            title="Greenhouse",
            stem="GREENHOUSE",
            live_url="https://harvest.greenhouse.io/v3",
            live_auth_url="https://auth.greenhouse.io/token",
            sandbox_url="http://127.0.0.1:8702/v3",
            sandbox_auth_url="http://127.0.0.1:8702/token",
            options={
                "source_name": "Employee Advocacy",
                "custom_fields": {tag: tag for tag in TAGS},
                "visibility_lag_seconds": 30,
                **_HTTP_OPTIONS,
            },
            set_up=(
                "create one application custom field (short text) for each name in options.custom_fields",
                "create the source of options.source_name",
            ),
            merges_candidates=True,
            candidate_page="https://app.greenhouse.io/people/{id}",
            webhooks_screen="Configure > Dev Center > Web Hooks",
            fields_screen="Configure > Custom Options",
        ),
        SystemFacts(
            name="lever",
            side=Side.ATS,
            title="Lever",
            stem="LEVER",
            live_url="https://api.lever.co/v1",
            sandbox_url="http://127.0.0.1:8703/v1",
            options={
                "perform_as": "00000000-0000-0000-0000-000000000000",
                "source_name": "Employee Advocacy",
                "withdrawn_reasons": ["Withdrew", "Offer declined"],
                "custom_fields": {tag: tag for tag in TAGS},
                "visibility_lag_seconds": 30,
                "calls_per_second": 10,
                **_HTTP_OPTIONS,
            },
            auth="api_key",
            asks={
                "perform_as": "id of the user in whose name it writes (GET /users?email=...)",
                "withdrawn_reasons": "archive reasons by which candidates withdraw, by commas",
            },
            webhooks_screen="Settings > Integrations and API > Webhooks",
        ),
        SystemFacts(
            name="ashby",
            side=Side.ATS,
            title="Ashby",
            stem="ASHBY",
            live_url="https://api.ashbyhq.com",
            sandbox_url="http://127.0.0.1:8704",
            options={
                "source_name": "Employee Advocacy",
                "custom_fields": {tag: tag.replace("_", " ").capitalize() for tag in TAGS},
                "visibility_lag_seconds": 30,
                **_HTTP_OPTIONS,
            },
            auth="api_key",
            set_up=(
                "`referral-pipeline fields create` makes the custom fields of options.custom_fields",
                "create the source of options.source_name",
            ),
            webhooks_screen="Admin > Integrations > Webhooks",
            fields_screen="Admin > Custom fields",
        ),
        SystemFacts(
            name="radancy",
            side=Side.ADVOCACY,
            title="Radancy Employee Referrals",
            stem="RADANCY",
            live_url="https://api.1brd.com/v1",
            live_auth_url="https://auth.1brd.com/oauth/token",
            sandbox_url="http://127.0.0.1:8706/v1",
            sandbox_auth_url="http://127.0.0.1:8706/oauth/token",
            options={
                "company_id": _NOBODY,
                "consent_basis": "",
                "residency": {"country": "", "basis": ""},
                "job_defaults": dict.fromkeys(("department", "location", "contact_person", "reward"), _NOBODY),
                "webhook_addresses": ["52.57.76.133", "52.57.83.207"],
                **_HTTP_OPTIONS,
            },
            signs_webhooks=False,
            asks={
                "company_id": "id of your account: the first part of its API paths",
                "consent_basis": "in your words, on what ground applicants' data may be passed on to the ATS",
            },
            set_up=(
                "say under options.residency where this account's applicants live, and why",
                "write the ids of your account for new jobs into options.job_defaults",
                "each job's reference number must be the id of the ATS's job",
            ),
            lacks=frozenset(LACKS),
            shown_statuses={
                CandidateStatus.APPLIED: CandidateStatus.IN_REVIEW,
                CandidateStatus.INTERVIEWED: CandidateStatus.IN_REVIEW,
                CandidateStatus.OFFERED: CandidateStatus.IN_REVIEW,
                CandidateStatus.WITHDRAWN: CandidateStatus.REJECTED,
            },
        ),
        SystemFacts(
            name="files",
            side=Side.ADVOCACY,
            title="Files of an advocacy platform",
            stem="FILES",
            live_url="",
            sandbox_url="",
            options={"folder": "data/drops", "outbox": "data/outbox", "time_zone": "UTC", "columns": {}},
            auth="none",
            signs_webhooks=False,
            asks={
                "folder": "folder in which its exports are dropped",
                "time_zone": "time zone of times without one, such as Europe/Berlin",
            },
            set_up=(
                "make the folder of options.folder, and drop its exports there: referrals*.csv, advocates*.xlsx, "
                "shares*.parquet, content*, clicks*",
            ),
        ),
        SystemFacts(
            name="hubspot",
            side=Side.CRM,
            title="HubSpot",
            stem="HUBSPOT",
            live_url="https://api.hubapi.com",
            sandbox_url="http://127.0.0.1:8705",
            options={
                "property_group": "referral_pipeline",
                "calls_per_ten_seconds": 190,
                **_HTTP_OPTIONS,
            },
            auth="api_key",
            set_up=(
                "create a private app with the scopes crm.objects.contacts.read, crm.objects.contacts.write, "
                "crm.schemas.contacts.read and crm.schemas.contacts.write; its client secret signs webhooks",
            ),
        ),
    )
}


ENTRY_POINTS = "referral_pipeline.connectors"
"""The group in which a package names the connectors that it adds; each is a `connectors.vendors.Vendor`."""


def facts_of(name: str) -> SystemFacts | None:
    """The facts of a system, built in or added by a package; None when nobody knows it."""
    return SYSTEMS.get(name) or _added().get(name)


def absent_fields(facts: SystemFacts) -> frozenset[str]:
    """The paths of a contract's mappings that this platform does not have."""
    return frozenset(path for name in facts.lacks for path in _FIELDS_OF.get(name, ()))


def lacking(name: str) -> frozenset[str]:
    """What the platform of this connector has no place for; nothing for one that nobody knows."""
    facts = facts_of(name)
    return facts.lacks if facts is not None else frozenset()


def shown_status(name: str, status: CandidateStatus) -> CandidateStatus:
    """What the platform of this connector shows once it was told a status."""
    facts = facts_of(name)
    return facts.shown_statuses.get(status, status) if facts is not None else status


def connectors_of(side: Side) -> tuple[str, ...]:
    """The names that a contract may write for `connector` on this side."""
    return tuple(facts.name for facts in (*SYSTEMS.values(), *_added().values()) if facts.side is side)


@cache
def _added() -> Mapping[str, SystemFacts]:
    """What packages add. A name of ours cannot be taken."""
    points = sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)
    return {point.name: point.load().facts for point in points if point.name not in SYSTEMS}
