"""Looking at a Radancy account before it is relied on: what is reachable, what the contract names, what it cannot do.

Belongs here: findings of `check`. Does not belong here: the audit line by line (`radancy_audit`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from referral_pipeline.connectors.failures import Forbidden, HttpFailure, NotFound, TransientFailure, Unauthorized
from referral_pipeline.connectors.http import HttpClient
from referral_pipeline.connectors.radancy_models import JobDefaults
from referral_pipeline.connectors.radancy_rows import Declared
from referral_pipeline.connectors.records import Finding
from referral_pipeline.contract.systems import LACKS, lacking

_LISTS = {"users.list": "users", "applications.list": "applications", "jobs.list": "jobs"}
_URL, _CREDENTIAL, _COMPANY = "advocacy.base_url", "advocacy.client_id_env", "advocacy.options.company_id"


def probe(client: HttpClient, company: str, defaults: JobDefaults, declared: Declared) -> list[Finding]:
    """Every finding; nothing is written."""
    try:
        client.check_token()
        for operation, path in _LISTS.items():
            client.get(operation, f"{company}/{path}", {"limit": "1"})
        missing = list(_missing(client, company, defaults))
    except Unauthorized as failure:
        mend = "Make an API key in the account's settings, and set key and secret in the variables the contract names"
        return [Finding(_CREDENTIAL, False, str(failure), mend)]
    except Forbidden as failure:
        return [Finding(_CREDENTIAL, False, str(failure), "Let the API key read users, applications and jobs")]
    except NotFound as failure:
        return [Finding(_COMPANY, False, str(failure), "Write the id of the account that the API key belongs to")]
    except TransientFailure as failure:
        return [Finding(_URL, False, str(failure), "Check advocacy.base_url and the network, then try again")]
    except HttpFailure as failure:
        return [Finding(_URL, False, str(failure), "Check advocacy.base_url (it ends in /v1) and options.company_id")]
    lacks = ", ".join(words for name, words in LACKS.items() if name in lacking(client.system))
    said = "consent and country" if declared.consent_basis else "the country"
    return [
        Finding(_URL, True, f"{client.base_url} answers"),
        Finding(_CREDENTIAL, True, "users, applications and jobs can be read"),
        *missing,
        Finding("advocacy.connector", True, f"the platform has no place for {lacks}; the contract declares {said}"),
    ]


def _missing(client: HttpClient, company: str, defaults: JobDefaults) -> Iterator[Finding]:
    """Ids of `job_defaults` that the account does not have."""
    for name, path in (("department", "departments"), ("location", "locations")):
        wanted = getattr(defaults, name)
        answer: Any = client.get(f"{path}.list", f"{company}/{path}").data
        rows = cast("list[Any]", answer) if isinstance(answer, list) else []
        if wanted not in {row.get("id") for row in rows if isinstance(row, dict)}:
            mend = f"Write the id of one of the account's {path}"
            yield Finding(f"advocacy.options.job_defaults.{name}", False, "the account has no such one", mend)
    try:
        client.get("users.get", f"{company}/users/{defaults.contact_person}")
    except NotFound:
        mend = "Write the id of a recruiter of the account"
        yield Finding("advocacy.options.job_defaults.contact_person", False, "the account has no such user", mend)
