"""Greenhouse's Candidate Ingestion API: a second way in for new candidates, with a partner's key.

Belongs here: the create call, what its answers mean. Does not belong here: reading, custom fields, further
applications of a candidate who is there: those stay with Harvest, which is needed beside it.

Why: Harvest v3 cannot create a referrer, so an advocate who is no Greenhouse user never shows under "Who Gets Credit".
Here the referrer's e-mail address alone gives the credit natively.

Invariants
1. A candidate, not a prospect: `prospect` defaults to true there, and is always sent as false.
2. `external_id` is required; it is the referral's id, so that the partner's own list can be read.
3. There is no idempotency key: a create is never repeated here (the client raises AmbiguousOutcome, `sync` searches).
4. Every request is made on behalf of an active user, by e-mail address; 401 tells of a wrong key and of a wrong user.
5. The answer names both ids; fields and source follow by Harvest, and what fails there is no failed create.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from referral_pipeline.connectors.capabilities import Area, Capability, Question
from referral_pipeline.connectors.failures import AmbiguousOutcome, HttpFailure, TransientFailure, Unauthorized
from referral_pipeline.connectors.greenhouse_api import number
from referral_pipeline.connectors.greenhouse_models import SYSTEM
from referral_pipeline.connectors.http import HttpClient
from referral_pipeline.connectors.records import Finding, NewApplication, NewCandidate

LIVE_URL = "https://api.greenhouse.io/v1/partner"
LIVE_PATH = "/v1/partner"
_KEY = "ats.options.ingestion"
_HANDED_IN = Question(
    Area.ENDPOINTS,
    "ingestion.create",
    "Hand in a candidate with a partner's key",
    "the advocate gets the credit natively by e-mail address, whether or not they are a user",
    "no candidate can be created: the contract names this way in",
    ("candidate_creation",),
    "POST /v1/partner/candidates",
)


@dataclass(frozen=True)
class Ids:
    """What a create answers."""

    candidate_id: str
    application_id: str


class Ingestion:
    """Hands candidates in. Safe for threads."""

    def __init__(self, client: HttpClient, on_behalf_of: str) -> None:
        self._client = client
        self._headers = {"On-Behalf-Of": on_behalf_of}

    def create(self, candidate: NewCandidate, application: NewApplication) -> Ids:
        """(1, 2, 3) Create a candidate with an application on a job, credited to the advocate.

        Raises:
            AmbiguousOutcome: Nobody knows whether it was created; search before trying again.
        """
        body: dict[str, Any] = {
            "prospect": False,
            "first_name": candidate.first_name,
            "last_name": candidate.last_name,
            "job_id": number("jobs", application.job_id),
            "external_id": external_id(candidate, application),
        }
        if candidate.email:
            body["emails"] = [{"email": candidate.email, "type": "personal"}]
        if candidate.phone:
            body["phone_numbers"] = [{"phone_number": candidate.phone, "type": "mobile"}]
        if application.advocate_email:
            body["referrer"] = {"email": application.advocate_email}
        answer = self._client.call("ingestion.create", "POST", "candidates", json=[body], headers=self._headers)
        return _ids(answer.data)

    def probe(self) -> Finding:
        """(4) Whether the key and the user are taken. Writes nothing."""
        try:
            self._client.call("ingestion.current_user", "GET", "current_user", headers=self._headers)
        except Unauthorized as failure:
            mend = "Set the partner's API key, and name an active user in options.ingestion.on_behalf_of"
            return Finding(f"{_KEY}.api_key_env", False, str(failure), mend)
        except TransientFailure as failure:
            return Finding(f"{_KEY}.base_url", False, str(failure), "Check the network, then try again")
        except HttpFailure as failure:
            return Finding(f"{_KEY}.base_url", False, str(failure), f"Check it: the vendor's is {LIVE_URL}")
        return Finding(_KEY, True, "new candidates are handed in with the partner's key")

    def audit(self) -> Capability:
        """Whether the partner's way in is open. A candidate is not made for it: what that takes is not shown."""
        finding = self.probe()
        if finding.ok:
            return _HANDED_IN.partial(
                f"{LIVE_PATH}/current_user answered; no candidate was handed in", _HANDED_IN.with_it
            )
        return _HANDED_IN.missing(finding.found)

    def close(self) -> None:
        """Close the session."""
        self._client.close()


def external_id(candidate: NewCandidate, application: NewApplication) -> str:
    """(2) The referral's id; where no referral is named, a digest that tells nobody who it is."""
    named = application.tags.get("referral_id")
    if named:
        return named
    person = "\n".join(part or "" for part in (candidate.first_name, candidate.last_name, candidate.email))
    return hashlib.sha256(f"{application.job_id}\n{person}".encode()).hexdigest()[:24]


def _ids(data: object) -> Ids:
    """(5) The ids of the one candidate that was handed in, answered as a list or alone."""
    rows = cast("list[Any]", data) if isinstance(data, list) else [data]
    row = rows[0] if len(rows) == 1 else None
    if isinstance(row, Mapping):
        found = cast("Mapping[str, Any]", row)
        ids = found.get("id"), found.get("application_id")
        if all(isinstance(one, int | str) and str(one).isdecimal() for one in ids):
            return Ids(str(ids[0]), str(ids[1]))
    # It may have been made: an answer that shows no ids came too late to undo anything.
    raise AmbiguousOutcome(SYSTEM, "ingestion.create", detail="the answer shows no ids")
