"""Looking, without writing, whether a HubSpot account is set up as the contract needs.

Belongs here: what `check` finds out about a live account, each finding with how to mend it. Does not belong here:
checks of the contract alone (`contract/`).
"""

from __future__ import annotations

from collections.abc import Mapping

from referral_pipeline.connectors.failures import Forbidden, HttpFailure, NotFound, TransientFailure, Unauthorized
from referral_pipeline.connectors.hubspot_api import CONTACTS, HubSpotApi
from referral_pipeline.connectors.hubspot_models import FIELD_TYPES, SCOPES, Kind
from referral_pipeline.connectors.records import Finding

_KEY = "crm.client_secret_env"
_URL = "crm.base_url"


def probe(api: HubSpotApi, kinds: Mapping[str, Kind]) -> list[Finding]:
    """All findings; a system that cannot be reached, or refuses the key, gives one only."""
    try:
        there = api.properties()
    except Unauthorized as failure:
        mend = "Set the access token of the private app in the variable that the contract names"
        return [Finding(_KEY, False, str(failure), mend)]
    except Forbidden as failure:
        return [Finding(_KEY, False, str(failure), f"Give the private app the scopes {', '.join(SCOPES)}")]
    except NotFound as failure:
        return [Finding(_URL, False, str(failure), "Check crm.base_url: the vendor's is https://api.hubapi.com")]
    except TransientFailure as failure:
        return [_unreachable(failure)]
    except HttpFailure as failure:
        return [Finding(_URL, False, str(failure), "Check crm.base_url: the vendor's is https://api.hubapi.com")]
    findings = [Finding(_URL, True, f"{api.client.base_url} answers"), _contacts(api)]
    missing: dict[str, Kind] = {name: kind for name, kind in kinds.items() if name not in there}
    for name, kind in kinds.items():
        if name in there:
            found = there[name].type
            key = f"mappings.{name}"
            findings.append(
                Finding(key, True, f"is a property of type {kind}")
                if found == kind
                else Finding(key, False, f"is of type {found}", of_other_type(name, found, kind))
            )
    if missing:
        # Whether they can be made shows when it is tried: no endpoint tells a private app's scopes without writing.
        told = f"{len(missing)} properties are missing and are made at the first write: {', '.join(sorted(missing))}"
        findings.append(Finding("crm.options.property_group", True, told, how_to_make(missing)))
    return findings


def how_to_make(missing: Mapping[str, Kind]) -> str:
    """What a person does where the app may not make properties."""
    wanted = ", ".join(f"{name} ({kind}, field type {FIELD_TYPES[kind]})" for name, kind in sorted(missing.items()))
    return (
        "give the private app the scope crm.schemas.contacts.write, or make these contact properties by hand "
        f"(Settings > Properties), with these internal names: {wanted}"
    )


def of_other_type(name: str, found: str, kind: Kind) -> str:
    """What a person does about a property of another type."""
    return f"property {name} is of type {found}, needed is {kind}: map to another name, or delete it in HubSpot"


def _contacts(api: HubSpotApi) -> Finding:
    try:
        api.client.get("contacts.list", CONTACTS, {"limit": "1"})
    except Forbidden as failure:
        return Finding(_KEY, False, str(failure), "Give the private app the scope crm.objects.contacts.read")
    except TransientFailure as failure:
        return _unreachable(failure)
    except HttpFailure as failure:
        return Finding(_URL, False, str(failure), "Look whether the account has contacts (CRM v3)")
    return Finding(_KEY, True, "contacts and properties can be read")


def _unreachable(failure: HttpFailure) -> Finding:
    return Finding(_URL, False, str(failure), "Check crm.base_url and the network, then try again")
