"""Looking, without writing, whether a Lever account is set up as the contract needs.

Belongs here: what `check` finds out about a live account, each finding with how to mend it. Does not belong here:
checks of the contract alone (`contract/`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from referral_pipeline.connectors.failures import Forbidden, HttpFailure, NotFound, TransientFailure, Unauthorized
from referral_pipeline.connectors.lever_api import LeverApi
from referral_pipeline.connectors.lever_assemble import HIRED, folded
from referral_pipeline.connectors.lever_models import LeverOptions
from referral_pipeline.connectors.lever_tags import tag_of
from referral_pipeline.connectors.records import Finding, Row
from referral_pipeline.vocabulary import TERMINAL_STATUSES, CandidateStatus

_READ = ("opportunities", "postings", "stages", "archive_reasons", "users")
_KEY = "ats.client_secret_env"


def probe(
    api: LeverApi, options: LeverOptions, *, tags: Iterable[str], stage_map: Mapping[str, CandidateStatus]
) -> list[Finding]:
    """All findings; a system that cannot be reached, or refuses the key, gives one only."""
    try:
        api.client.get("stages.list", "stages", {"limit": "1"})
    except Unauthorized as failure:
        mend = "Set an API key of Lever (Settings > Integrations and API) in the variable that the contract names"
        return [Finding(_KEY, False, str(failure), mend)]
    except Forbidden:
        # Reached and known: what is missing is a right, which the next look tells in full.
        pass
    except TransientFailure as failure:
        return [_unreachable(failure)]
    except HttpFailure as failure:
        return [Finding("ats.base_url", False, str(failure), "Check ats.base_url: it ends in /v1")]
    reached = Finding("ats.base_url", True, f"{api.client.base_url} answers")
    try:
        missing = list(_forbidden(api))
        if missing:
            mend = f"Give the key the permission to read {', '.join(missing)}"
            return [reached, Finding(_KEY, False, f"may not read {', '.join(missing)}", mend)]
        return [
            reached,
            Finding(_KEY, True, "every list that is needed can be read"),
            _acting(api, options),
            *_fields(options, tags),
            *_reasons(list(api.list_all("archive_reasons")), options),
            *_stages(list(api.list_all("stages")), options, stage_map),
            *_webhooks(api),
        ]
    except TransientFailure as failure:
        return [_unreachable(failure)]


def _unreachable(failure: HttpFailure) -> Finding:
    return Finding("ats.base_url", False, str(failure), "Check ats.base_url and the network, then try again")


def _forbidden(api: LeverApi) -> Iterator[str]:
    for entity in _READ:
        try:
            api.client.get(f"{entity}.list", entity, {"limit": "1"})
        except Forbidden:
            yield entity


def _acting(api: LeverApi, options: LeverOptions) -> Finding:
    key = "ats.options.perform_as"
    mend = "Write the id of the user for the integration: GET /users?email= shows it"
    user = api.get("users", options.perform_as)
    if user is None:
        return Finding(key, False, "no user has this id", mend)
    if user.get("deactivatedAt") is not None:
        return Finding(key, False, "the user is deactivated", mend)
    return Finding(key, True, "the user exists")


def _fields(options: LeverOptions, tags: Iterable[str]) -> Iterator[Finding]:
    for tag in tags:
        key = f"ats.options.custom_fields.{tag}"
        label = options.custom_fields.get(tag)
        if label is None:
            yield Finding(key, False, "the connector knows no such field", "Take the mapping out of the contract")
        else:
            yield Finding(key, True, f"is written as the tag {tag_of(label, '...')}")


def _reasons(rows: list[Row], options: LeverOptions) -> Iterator[Finding]:
    if not any(row.get("type") == HIRED for row in rows):
        mend = "Add an archive reason of the type hired: without one no hire can be told from a rejection"
        yield Finding("ats.options", False, "no archive reason is of the type hired", mend)
    existing = {folded(str(row.get("text") or "")) for row in rows if row.get("type") != HIRED}
    for name in options.withdrawn_reasons:
        key = "ats.options.withdrawn_reasons"
        if folded(name) in existing:
            yield Finding(key, True, f"the archive reason {name} exists")
        else:
            mend = "Write the reasons as they stand in Settings > Archive reasons, or leave this one out"
            yield Finding(key, False, f"no archive reason {name}", mend)


def _stages(rows: list[Row], options: LeverOptions, stage_map: Mapping[str, CandidateStatus]) -> Iterator[Finding]:
    if options.initial_stage is not None and options.initial_stage not in {row.get("id") for row in rows}:
        mend = "Write the id of a stage (GET /stages shows them), or leave it out"
        yield Finding("ats.options.initial_stage", False, "no stage has this id", mend)
    existing = {folded(str(row.get("text") or "")) for row in rows}
    for name, status in stage_map.items():
        key = f'stage_map."{name}"'
        if status in TERMINAL_STATUSES:
            mend = "Only the archive ends an opportunity: map it to offered"
            yield Finding(key, False, f"maps a stage to {status}", mend)
        elif folded(name) not in existing:
            yield Finding(key, False, "there is no such stage", "Write the name as it stands in the pipeline")
        else:
            yield Finding(key, True, f"counts as {status}")


def _webhooks(api: LeverApi) -> Iterator[Finding]:
    """Whether events are sent here. Without any the integration works, an hour later: no reason to stop."""
    key = "ats.webhook_secret_env"
    try:
        rows = list(api.list_all("webhooks"))
    except (Forbidden, NotFound):
        yield Finding(key, True, "the key may not see webhooks: look for them in Settings > Integrations and API")
        return
    events = sorted({str(row.get("event")) for row in rows if "/webhooks/lever" in str(row.get("url"))})
    if events:
        yield Finding(key, True, f"events are sent to a receiver: {', '.join(events)}")
    else:
        known = "no webhook leads to .../webhooks/lever: changes are found by reconciliation only"
        yield Finding(key, True, f"{known}; `referral-pipeline webhooks register --url https://...`")
