"""The calls that the bridge makes for an event, made by a bare `requests` session: what the systems themselves take.

Belongs here: repeating recorded operations for other people. Does not belong here: what is measured with it.
"""

from __future__ import annotations

import bisect
import itertools
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import requests

from referral_pipeline.connectors.http import ApiCall
from referral_pipeline.sandbox.credentials import SECRETS
from referral_pipeline.sandbox.launch import Sandbox

_FIELDS = ("referral_id", "advocate_id", "share_id", "content_id", "campaign_tag")
_BY = {
    "application_stages": "application_ids",
    "offers": "application_ids",
    "openings": "application_ids",
    "rejection_details": "application_ids",
    "job_interview_stages": "job_ids",
    "job_posts": "job_ids",
}
Call = tuple[str, str]
"""System and operation, as recorded."""


def usual_calls(calls: Iterable[ApiCall], spans: Iterable[tuple[float, float]]) -> list[Call]:
    """The calls that most events made between their beginning and their end, in order."""
    recorded = sorted((call.at.timestamp(), (call.system, call.operation)) for call in calls)
    found: Counter[tuple[Call, ...]] = Counter()
    for start, end in spans:
        found[tuple(call for at, call in recorded if start <= at <= end)] += 1
    return list(found.most_common(1)[0][0]) if found else []


def first_calls(calls: Iterable[ApiCall], spans: Iterable[tuple[float, float]]) -> list[float]:
    """Seconds from the beginning of each event to the first call that was made for it."""
    moments = sorted(call.at.timestamp() for call in calls)
    found: list[float] = []
    for start, end in spans:
        place = bisect.bisect_left(moments, start)
        if place < len(moments) and moments[place] <= end:
            found.append(moments[place] - start)
    return found


class Bare:
    """A session with both systems that only sends.

    Args:
        sandbox: both systems.
        referral: a referral with an application (ids by name), whose records are read where the bridge read others.
    """

    def __init__(self, sandbox: Sandbox, *, candidate_id: int, application_id: int, job_id: str) -> None:
        self._ats = sandbox.ats_url
        self._advocacy = sandbox.advocacy_url
        self._known = {"candidates": candidate_id, "applications": application_id, "jobs": int(job_id)}
        self._source = sandbox.control("greenhouse").dump()["sources"][0]["id"]
        self._numbers = itertools.count(1)
        self._sessions: dict[str, requests.Session] = {}
        for system, url in (("GREENHOUSE", sandbox.ats_auth_url), ("ADVOCACY", f"{self._advocacy}/oauth/token")):
            session = requests.Session()
            client = (SECRETS[f"{system}_CLIENT_ID"], SECRETS[f"{system}_CLIENT_SECRET"])
            answer = session.post(url, data={"grant_type": "client_credentials"}, auth=client, timeout=10)
            session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            self._sessions[system.lower()] = session

    def make(self, calls: Sequence[Call], referral_id: str) -> float:
        """Make the calls for this referral; answers when they began (epoch seconds)."""
        started = time.time()
        for system, operation in calls:
            self._make(system, operation, referral_id)
        return started

    def _make(self, system: str, operation: str, referral_id: str) -> None:
        entity, verb = operation.split(".")
        if system == "advocacy":
            url = f"{self._advocacy}/v1/{entity}/{referral_id}"
            self._send(
                system, "PATCH" if verb == "update" else "GET", url, json=self._status() if verb == "update" else None
            )
        elif operation == "candidates.create":
            self._send(system, "POST", f"{self._ats}/candidates", json=self._person(referral_id))
        elif verb == "list":
            self._send(system, "GET", f"{self._ats}/{entity}", params=self._which(entity))
        else:
            raise RuntimeError(f"the bridge made a call that has no bare form here: {operation}")

    def _which(self, entity: str) -> dict[str, str]:
        if entity == "candidates":
            return {"per_page": "500", "email": f"nobody.{next(self._numbers)}@people.example.org"}
        by = _BY.get(entity, "ids")
        parent = {"application_ids": "applications", "job_ids": "jobs"}.get(by, entity)
        return {"per_page": "500", by: str(self._known.get(parent, 1))}

    def _person(self, referral_id: str) -> dict[str, Any]:
        number = next(self._numbers)
        values = {"referral_id": referral_id, **{name: f"{name}-{number}" for name in _FIELDS[1:]}}
        return {
            "first_name": "Bare",
            "last_name": f"Call {number}",
            "email_addresses": [{"value": f"bare.{number:06d}@people.example.org", "type": "personal"}],
            "phone_numbers": [{"value": f"+3319900{number:04d}", "type": "mobile"}],
            "application": {
                "job_id": self._known["jobs"],
                "source_id": self._source,
                "custom_fields": [{"name_key": name, "value": value} for name, value in values.items()],
            },
        }

    def _status(self) -> dict[str, Any]:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ats = {"system": "greenhouse", "candidate_id": str(self._known["candidates"])}
        return {
            "status": "in_review",
            "status_at": moment,
            "ats": {**ats, "application_id": str(self._known["applications"])},
            "hired_at": None,
            "starts_on": None,
        }

    def _send(self, system: str, method: str, url: str, **more: Any) -> None:
        answer = self._sessions[system].request(method, url, timeout=10, **more)
        if answer.status_code >= 300:
            raise RuntimeError(f"a bare call was refused: {method} {answer.status_code} {answer.text[:300]}")
        if answer.content:
            answer.json()
