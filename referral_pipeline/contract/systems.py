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

from referral_pipeline.vocabulary import Side


@dataclass(frozen=True)
class SystemFacts:
    """One system: its side, its title for people, the stem of its variables, its addresses (live and local sandbox).

    `merges_candidates`: whether its connector can merge two candidates (`connectors.protocols.MergesCandidates`).
    `candidate_page`: where a recruiter looks at a candidate, `{id}` for its id. `auth`: whether it is called with a
    client id and a secret, or with an API key alone. `signs_webhooks`: whether it does. `asks`: the options that `init`
    asks for, each with its question, because nobody can guess them. `set_up`: what a person does there by hand before
    `check` passes, a sentence each.
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
    auth: Literal["client", "api_key"] = "client"
    signs_webhooks: bool = True
    asks: Mapping[str, str] = field(default_factory=dict[str, str])
    set_up: tuple[str, ...] = ()


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

_HTTP_OPTIONS: dict[str, Any] = {"connect_timeout_seconds": 5, "read_timeout_seconds": 30, "max_attempts": 6}

SANDBOX_OPTIONS: Mapping[str, Any] = {
    "connect_timeout_seconds": 2,
    "read_timeout_seconds": 3,
    "visibility_lag_seconds": 3,
    "calls_per_second": 1000,
    "calls_per_ten_seconds": 10_000,
    "perform_as": "294d07bf-1fc1-4eb6-8478-211e5197037c",
    "withdrawn_reasons": ["Accepted another offer", "Compensation"],
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
                "create one application custom field (string) for each name in options.custom_fields",
                "create the source of options.source_name",
            ),
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
            options=_HTTP_OPTIONS,
            signs_webhooks=False,
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


def connectors_of(side: Side) -> tuple[str, ...]:
    """The names that a contract may write for `connector` on this side."""
    return tuple(facts.name for facts in (*SYSTEMS.values(), *_added().values()) if facts.side is side)


@cache
def _added() -> Mapping[str, SystemFacts]:
    """What packages add. A name of ours cannot be taken."""
    points = sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)
    return {point.name: point.load().facts for point in points if point.name not in SYSTEMS}
