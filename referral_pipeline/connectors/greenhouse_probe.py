"""Looking, without writing, whether a Greenhouse tenant is set up as the contract needs.

Belongs here: what `check` finds out about a live tenant, each finding with how to mend it. Does not belong here: checks
of the contract alone (`contract/`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from referral_pipeline.connectors.failures import Forbidden, HttpFailure, TransientFailure, Unauthorized
from referral_pipeline.connectors.greenhouse_api import LOOKED_UP, PULLED, GreenhouseApi
from referral_pipeline.connectors.greenhouse_assemble import stage_key
from referral_pipeline.connectors.greenhouse_fields import FieldCatalog
from referral_pipeline.connectors.greenhouse_models import GreenhouseOptions
from referral_pipeline.connectors.records import Finding
from referral_pipeline.vocabulary import TERMINAL_STATUSES, CandidateStatus


def probe(
    api: GreenhouseApi,
    catalog: FieldCatalog,
    options: GreenhouseOptions,
    *,
    tags: Iterable[str],
    stage_map: Mapping[str, CandidateStatus],
) -> list[Finding]:
    """All findings; a system that cannot be reached, or refuses the credential, gives one only."""
    try:
        api.client.check_token()
        api.first_page("jobs", per_page=1)
    except Unauthorized as failure:
        mend = "Set the client id and secret of a Harvest v3 credential in the environment variables the contract names"
        return [Finding("ats.client_id_env", False, str(failure), mend)]
    except Forbidden:
        # Reached and known: what is missing is a right, which the next look tells in full.
        pass
    except TransientFailure as failure:
        return [_unreachable(failure)]
    except HttpFailure as failure:
        return [Finding("ats.base_url", False, str(failure), "Check ats.base_url: it ends in /v3")]
    reached = Finding("ats.base_url", True, f"{api.client.base_url} answers")
    try:
        missing = list(_missing_scopes(api))
        if missing:
            return [reached, _scopes(missing)]
        return [
            reached,
            Finding("ats.client_id_env", True, "every list that is needed can be read"),
            *_fields(catalog, options, tags),
            *_source(api, options),
            *_stages(api, stage_map),
        ]
    except TransientFailure as failure:
        return [_unreachable(failure)]


def _unreachable(failure: HttpFailure) -> Finding:
    key = "ats.auth_url" if failure.operation == "token" else "ats.base_url"
    return Finding(key, False, str(failure), f"Check {key} and the network, then try again")


def _missing_scopes(api: GreenhouseApi) -> Iterator[str]:
    for entity in (*PULLED, *LOOKED_UP):
        try:
            api.first_page(entity, per_page=1)
        except Forbidden:
            yield entity


def _scopes(missing: list[str]) -> Finding:
    scopes = ", ".join(f"harvest:{entity}:list" for entity in missing)
    mend = f"Grant the credential {scopes}, and let it act as a Site Admin (options.acting_user_id)"
    return Finding("ats.client_id_env", False, f"may not read {', '.join(missing)}", mend)


def _fields(catalog: FieldCatalog, options: GreenhouseOptions, tags: Iterable[str]) -> Iterator[Finding]:
    existing = catalog.name_keys()
    for tag in tags:
        key = f"ats.options.custom_fields.{tag}"
        name_key = options.custom_fields.get(tag)
        if name_key is None:
            yield Finding(key, False, "the connector knows no such field", "Take the mapping out of the contract")
        elif name_key in existing:
            yield Finding(key, True, f"the application custom field {name_key} exists")
        else:
            mend = f"Create an application custom field {name_key} in Configure > Custom Options, or name another here"
            yield Finding(key, False, f"no application custom field {name_key}", mend)


def _source(api: GreenhouseApi, options: GreenhouseOptions) -> Iterator[Finding]:
    name = options.source_name
    key = "ats.options.source_name"
    if name is None:
        yield Finding(key, True, "applications get no source")
        return
    existing = {" ".join(str(row.get("name") or "").split()).casefold() for row in api.list_all("sources")}
    if " ".join(name.split()).casefold() in existing:
        yield Finding(key, True, f"the source {name} exists")
    else:
        mend = f"Create the source {name} in Configure > Sources, or name an existing one here"
        yield Finding(key, False, f"no source {name}", mend)


def _stages(api: GreenhouseApi, stage_map: Mapping[str, CandidateStatus]) -> Iterator[Finding]:
    if not stage_map:
        return
    existing = {stage_key(str(row.get("name") or "")) for row in api.list_all("job_interview_stages")}
    for name, status in stage_map.items():
        key = f'stage_map."{name}"'
        if status in TERMINAL_STATUSES:
            yield Finding(
                key, False, f"maps a stage to {status}", "Only the application's own status ends it: map it to offered"
            )
        elif stage_key(name) not in existing:
            yield Finding(key, False, "no job has such a stage", "Write the name as it stands in the interview plan")
        else:
            yield Finding(key, True, f"counts as {status}")
