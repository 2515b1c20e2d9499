"""Looking, without writing, whether an Ashby account is set up as the contract needs.

Belongs here: what `check` finds out about a live account, each finding with how to mend it. Does not belong here:
checks of the contract alone (`contract/`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from referral_pipeline.connectors.ashby_api import LISTINGS, AshbyApi
from referral_pipeline.connectors.ashby_models import AshbyOptions, title_key
from referral_pipeline.connectors.ashby_reference import Reference
from referral_pipeline.connectors.failures import Forbidden, HttpFailure, TransientFailure, Unauthorized
from referral_pipeline.connectors.records import Finding
from referral_pipeline.connectors.setup import Hook
from referral_pipeline.vocabulary import TERMINAL_STATUSES, CandidateStatus

_KEY = "ats.client_secret_env"
_SET_KEY = "Set a key of Admin > Integrations > API keys in the environment variable that the contract names"
PERMISSIONS: Mapping[str, str] = {
    "job.list": "jobsRead",
    "jobPosting.list": "jobsRead",
    "department.list": "organizationRead",
    "interviewPlan.list": "interviewsRead",
    "candidate.list": "candidatesRead",
    "application.list": "candidatesRead",
    "offer.list": "offersRead",
    "customField.list": "hiringProcessMetadataRead",
    "source.list": "hiringProcessMetadataRead",
}
"""What each call that is needed requires, as its page says. Writing needs candidatesWrite, which no read can tell."""


def probe(
    api: AshbyApi,
    reference: Reference,
    options: AshbyOptions,
    *,
    tags: Iterable[str],
    stage_map: Mapping[str, CandidateStatus],
    hooks: Callable[[], list[Hook]] = list,
) -> list[Finding]:
    """All findings; a system that cannot be reached, or refuses the key, gives one only."""
    try:
        missing = list(_missing(api))
        if len(missing) == len(PERMISSIONS):
            return [Finding(_KEY, False, "Ashby refuses the key for every call", _SET_KEY)]
        reached = Finding("ats.base_url", True, f"{api.client.base_url} answers")
        if missing:
            return [reached, _rights(missing)]
        return [
            reached,
            Finding(_KEY, True, "every list that is needed can be read (candidatesWrite shows with the first write)"),
            *_fields(reference, options, tags),
            *_source(reference, api, options),
            *_credit(api, options),
            *_stages(api, stage_map),
            _webhooks(hooks),
        ]
    except Unauthorized as failure:
        return [Finding(_KEY, False, str(failure), _SET_KEY)]
    except TransientFailure as failure:
        return [Finding("ats.base_url", False, str(failure), "Check ats.base_url and the network, then try again")]
    except HttpFailure as failure:
        return [Finding("ats.base_url", False, str(failure), "Check ats.base_url: https://api.ashbyhq.com")]


def _missing(api: AshbyApi) -> Iterator[str]:
    unpaged = {listing.call for listing in LISTINGS.values() if not listing.syncs} | {"source.list"}
    for call in PERMISSIONS:
        try:
            api.read(call, {} if call in unpaged else {"limit": 1})
        except Forbidden:
            yield call


def _rights(missing: list[str]) -> Finding:
    rights = ", ".join(sorted({PERMISSIONS[call] for call in missing}))
    mend = f"Grant the API key {rights}, and candidatesWrite to write"
    return Finding(_KEY, False, f"may not call {', '.join(missing)}", mend)


def _fields(reference: Reference, options: AshbyOptions, tags: Iterable[str]) -> Iterator[Finding]:
    existing = reference.fields(fresh=True)
    for tag in tags:
        key = f"ats.options.custom_fields.{tag}"
        title = options.custom_fields.get(tag)
        found = existing.get(title_key(title)) if title else None
        if title is None:
            yield Finding(key, False, "the connector knows no such field", "Take the mapping out of the contract")
        elif found is None or found.is_archived:
            state = "is archived" if found else "does not exist"
            mend = (
                "Run `referral-pipeline fields create` (customField.create requires hiringProcessMetadataWrite), or "
                f"create the custom field {title} of type String for applications in Admin > Custom fields, or name "
                "another one here"
            )
            yield Finding(key, False, f"the application custom field {title} {state}", mend)
        elif found.kind not in {"String", "LongText"}:
            mend = f"Make {title} a field of type String: the API can clear no other"
            yield Finding(key, False, f"the application custom field {title} is of type {found.kind}", mend)
        else:
            yield Finding(key, True, f"the application custom field {title} exists")


def _source(reference: Reference, api: AshbyApi, options: AshbyOptions) -> Iterator[Finding]:
    name = options.source_name
    key = "ats.options.source_name"
    if name is None:
        yield Finding(key, True, "applications get no source")
        return
    existing = {title_key(row.get("title")) for row in api.read_all("source.list", paged=False)}
    if title_key(name) in existing:
        yield Finding(key, True, f"the source {name} exists")
    else:
        mend = f"Create the source {name} in Admin > Sources, or name an existing one here"
        yield Finding(key, False, f"no source {name}", mend)


def _credit(api: AshbyApi, options: AshbyOptions) -> Iterator[Finding]:
    if options.credit_users:
        key = "ats.options.credit_users"
        try:
            api.read("user.list", {"limit": 1})
            yield Finding(key, True, "advocates who are users get the credit natively")
        except Forbidden:
            mend = "Grant the API key organizationRead, or set credit_users: false"
            yield Finding(key, False, "the key may not look users up", mend)
    if options.referral_form:
        key = "ats.options.referral_form"
        try:
            api.read("referralForm.info")
            yield Finding(key, True, "the referral form can be read")
        except TransientFailure:
            raise
        except HttpFailure as failure:
            mend = "Set referral_form: false, or ask Ashby whether the plan has referrals"
            yield Finding(key, False, str(failure), mend)


def _stages(api: AshbyApi, stage_map: Mapping[str, CandidateStatus]) -> Iterator[Finding]:
    if not stage_map:
        return
    plans = api.read_all("interviewPlan.list")
    stages = (api.read_all("interviewStage.list", {"interviewPlanId": p["id"]}, paged=False) for p in plans)
    existing = {title_key(row.get("title")) for rows in stages for row in rows}
    for name, status in stage_map.items():
        key = f'stage_map."{name}"'
        if status in TERMINAL_STATUSES:
            mend = "Only the application's own status ends it: map it to offered"
            yield Finding(key, False, f"maps a stage to {status}", mend)
        elif title_key(name) not in existing:
            yield Finding(key, False, "no interview plan has such a stage", "Write the title as it stands in the plan")
        else:
            yield Finding(key, True, f"counts as {status}")


def _webhooks(hooks: Callable[[], list[Hook]]) -> Finding:
    """Whether events are sent here. Without any the integration works, an hour later: no reason to stop."""
    key = "ats.webhook_secret_env"
    register = "`referral-pipeline webhooks register --url https://...`"
    try:
        found = hooks()
    except Forbidden:
        return Finding(key, True, "the key may not see webhooks: look for them in Admin > Integrations > Webhooks")
    events = sorted({one.event for one in found if one.is_on and "/webhooks/ashby" in one.url})
    if events:
        return Finding(key, True, f"events are sent to a receiver: {', '.join(events)}")
    known = "no webhook is known that leads to .../webhooks/ashby (Ashby lists none)"
    return Finding(key, True, f"{known}: without one changes are found by reconciliation only; {register}")
