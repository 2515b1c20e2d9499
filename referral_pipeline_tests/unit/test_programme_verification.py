"""The verification passes a bridge that does everything right, and finds each thing that one does wrong.

The bridge here is a puppet: it follows the truth word by word over HTTP, so that the comparison is held against systems
that were really written to.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
import requests

from referral_pipeline.sandbox.credentials import (
    ADVOCACY_CLIENT_ID,
    ADVOCACY_CLIENT_SECRET,
    GREENHOUSE_CLIENT_ID,
    GREENHOUSE_CLIENT_SECRET,
)
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline.sandbox.programme import ProgrammeSize
from referral_pipeline.sandbox.programme.ats_setup import SOURCE_IDS, SOURCE_NAME, TAGS
from referral_pipeline.sandbox.verify import Verification, verify

Json = dict[str, Any]


def signed_in(url: str, client: tuple[str, str]) -> requests.Session:
    session = requests.Session()
    token = session.post(url, auth=client, data={"grant_type": "client_credentials"}, timeout=5).json()
    session.headers["Authorization"] = f"Bearer {token['access_token']}"
    return session


class Puppet:
    """A bridge that is told everything by the truth."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.advocacy_url, self.ats_url = sandbox.advocacy_url, sandbox.ats_url
        self.truth = sandbox.control("advocacy").truth()
        dump = sandbox.control("advocacy").dump()
        self.referrals = {row["id"]: row for row in dump["referrals"]}
        self.advocates = [row["id"] for row in dump["advocates"]]
        self.advocacy = signed_in(f"{self.advocacy_url}/oauth/token", (ADVOCACY_CLIENT_ID, ADVOCACY_CLIENT_SECRET))
        self.ats = signed_in(sandbox.ats_auth_url, (GREENHOUSE_CLIENT_ID, GREENHOUSE_CLIENT_SECRET))
        self.candidate_of = {key: row["ats_candidate_id"] for key, row in self.truth["persons"].items()}

    def ats_call(self, method: str, path: str, body: Json) -> Any:
        answer = self.ats.request(method, f"{self.ats_url}{path}", json=body, timeout=5)
        assert answer.ok, answer.text
        return answer.json()

    def run(self) -> None:
        for wanted in self.truth["applications"]:
            application = self.write(wanted)
            for referral_id, row in self.truth["referrals"].items():
                if row["application"] == wanted["key"]:
                    self.return_status(referral_id, row, application)
        for job_id, job in self.truth["jobs"].items():
            answer = self.advocacy.put(f"{self.advocacy_url}/v1/jobs/{job_id}", json=job, timeout=5)
            assert answer.status_code == 201
        for advocate in self.advocates:
            self.return_results(advocate)

    def return_results(self, advocate_id: str) -> None:
        own = [row for row in self.truth["applications"] if row["advocate_id"] == advocate_id]
        body = {
            "as_of": "2026-11-02T00:00:00Z",
            **dict.fromkeys(("shares", "clicks", "referrals", "interviews", "offers"), 0),
            "applications": len(own),
            "hires": sum(row["expected_status"] == "hired" for row in own),
            "conversion": {"value": None, "low": None, "high": None, "maturity": "insufficient"},
            "credit": len(own),
            "bonuses": [],
            "next_eligible_on": None,
        }
        url = f"{self.advocacy_url}/v1/advocates/{advocate_id}/results"
        assert self.advocacy.put(url, json=body, timeout=5).status_code == 200

    def write(self, wanted: Json) -> Json:
        fields = [{"name_key": tag, "value": wanted[tag]} for tag in TAGS if wanted[tag] is not None]
        if wanted["ats_application_id"]:
            application_id = wanted["ats_application_id"]
            if fields:
                return self.ats_call("PATCH", f"/applications/{application_id}", {"custom_fields": fields})
            return {"id": int(application_id), "candidate_id": int(wanted["ats_candidate_id"])}
        new = {"job_id": int(wanted["job_id"]), "source_id": SOURCE_IDS[SOURCE_NAME], "custom_fields": fields}
        candidate_id = self.candidate_of[wanted["person"]]
        if candidate_id:
            return self.ats_call("POST", "/applications", {"candidate_id": int(candidate_id), **new})
        person = self.truth["persons"][wanted["person"]]
        first_name, last_name = person["spellings"][0]
        body = {
            "first_name": first_name,
            "last_name": last_name,
            "email_addresses": [{"value": person["emails"][0], "type": "personal"}],
            "phone_numbers": [{"value": phone, "type": "mobile"} for phone in person["phones"]],
            "application": new,
        }
        created = self.ats_call("POST", "/candidates", body)
        self.candidate_of[wanted["person"]] = str(created["candidate"]["id"])
        return created["application"]

    def return_status(self, referral_id: str, row: Json, application: Json) -> None:
        body = {
            "status": row["expected_status"],
            "status_at": "2026-11-02T00:00:00Z",
            "ats": {
                "system": "greenhouse",
                "candidate_id": str(application["candidate_id"]),
                "application_id": str(application["id"]),
            },
            "hired_at": row["hired_at"],
            "starts_on": row["starts_on"],
        }
        url = f"{self.advocacy_url}/v1/referrals/{referral_id}"
        assert self.advocacy.patch(url, json=body, timeout=5).status_code == 200


@cache
def after_the_puppet() -> tuple[Json, Json, Json]:
    size = ProgrammeSize.small()
    with Sandbox(seed=3, size=size, as_of=datetime(2026, 11, 1, tzinfo=UTC)) as sandbox:
        puppet = Puppet(sandbox)
        puppet.run()
        return puppet.truth, sandbox.control("advocacy").dump(), sandbox.control("greenhouse").dump()


class Aftermath:
    """Copies of truth and dumps in which a test plants one mistake."""

    def __init__(self) -> None:
        self.truth, self.advocacy, self.ats = copy.deepcopy(after_the_puppet())

    def verify(self) -> Verification:
        return verify(self.truth, self.advocacy, self.ats)

    def created(self) -> Json:
        """A candidate that the puppet created."""
        old = self.truth["existing"]["candidates"]
        return next(row for row in self.ats["candidates"] if str(row["id"]) not in old)

    def tagged(self) -> Json:
        return next(row for row in self.ats["applications"] if row["custom_fields"])

    def untagged(self) -> Json:
        wanted = next(row for row in self.truth["applications"] if row["advocate_id"] is None)
        return next(row for row in self.ats["applications"] if str(row["id"]) == wanted["ats_application_id"])

    def referral(self, outcome: str, **fits: Any) -> Json:
        found = next(
            key
            for key, row in self.truth["referrals"].items()
            if row["outcome"].startswith(outcome) and all(row[name] == value for name, value in fits.items())
        )
        return next(row for row in self.advocacy["referrals"] if row["id"] == found)


def test_a_bridge_that_does_everything_right_is_found_clean() -> None:
    verification = Aftermath().verify()
    assert verification.differences == []
    assert verification.is_clean
    assert all(expected == found for _, expected, found in verification.rows)
    rows = {what: expected for what, expected, _ in verification.rows}
    expected = Aftermath().truth["expected"]
    assert rows["candidates created"] == expected["candidates_created"]
    assert rows["applications created"] == expected["applications_created"]
    assert sum(n for what, n in rows.items() if what.startswith("status ")) == expected["statuses_sent"]


def test_recruiters_have_moved_the_new_applications_by_their_stories() -> None:
    made = Aftermath()
    statuses = {row["expected_status"] for row in made.truth["applications"] if row["ats_application_id"] is None}
    assert statuses > {"applied", "interviewed"}
    assert "applications as recruiters left them" in {what for what, _, _ in made.verify().rows}


def duplicate_candidate(made: Aftermath) -> None:
    made.ats["candidates"].append({**made.created(), "id": 5_199_999_999})


def stray_candidate(made: Aftermath) -> None:
    stray = {**made.created(), "id": 5_199_999_999, "email_addresses": []}
    made.ats["candidates"].append(stray)


def duplicate_application(made: Aftermath) -> None:
    candidate_id = made.created()["id"]
    first = next(row for row in made.ats["applications"] if row["candidate_id"] == candidate_id)
    made.ats["applications"].append({**first, "id": 6_299_999_999})


def stray_application(made: Aftermath) -> None:
    made.ats["applications"].append({**made.ats["applications"][0], "id": 6_299_999_999})


def lost_candidate(made: Aftermath) -> None:
    made.ats["candidates"].remove(made.created())


def wrong_name(made: Aftermath) -> None:
    made.created()["first_name"] = "Somebody"


def missing_phone(made: Aftermath) -> None:
    old = made.truth["existing"]["candidates"]
    row = next(one for one in made.ats["candidates"] if str(one["id"]) not in old and one["phone_numbers"])
    row["phone_numbers"] = []


def foreign_address(made: Aftermath) -> None:
    made.created()["email_addresses"].append({"value": "else@example.com", "type": "personal"})


def changed_earlier_candidate(made: Aftermath) -> None:
    made.ats["candidates"][0]["email_addresses"] = []


def touched_other_application(made: Aftermath) -> None:
    untouched = set(made.truth["untouched"]["applications"])
    row = next(one for one in made.ats["applications"] if str(one["id"]) in untouched)
    row["updated_at"] = "2026-11-03T00:00:00.000Z"


def wrong_tag(made: Aftermath) -> None:
    made.tagged()["custom_fields"]["advocate_id"]["value"] = "adv_9999"


def missing_tag(made: Aftermath) -> None:
    del made.tagged()["custom_fields"]["campaign_tag"]


def credit_where_none_is_due(made: Aftermath) -> None:
    made.untagged()["custom_fields"] = {"advocate_id": {"name": "", "type": "short_text", "value": "adv_0001"}}


def wrong_source(made: Aftermath) -> None:
    candidate_id = made.created()["id"]
    next(row for row in made.ats["applications"] if row["candidate_id"] == candidate_id)["source_id"] = None


def moved_application(made: Aftermath) -> None:
    row = made.tagged()
    row["status"] = "hired" if row["status"] != "hired" else "in_process"


def missing_status(made: Aftermath) -> None:
    made.referral("written").update(status=None, ats=None)


def wrong_status(made: Aftermath) -> None:
    made.referral("written", expected_status="rejected")["status"] = "withdrawn"


def wrong_hire_date(made: Aftermath) -> None:
    made.referral("written", expected_status="hired")["hired_at"] = "2026-01-01T00:00:00.000Z"


def wrong_application_id(made: Aftermath) -> None:
    made.referral("written")["ats"]["application_id"] = "1"


def status_of_a_blocked_referral(made: Aftermath) -> None:
    made.referral("blocked").update(status="applied", ats={"system": "greenhouse"})


def status_of_a_quarantined_referral(made: Aftermath) -> None:
    made.referral("quarantined").update(status="applied")


def missing_posting(made: Aftermath) -> None:
    made.advocacy["jobs"].pop()


def published_draft(made: Aftermath) -> None:
    made.advocacy["jobs"].append({"id": "4410000009", "title": "Draft", "status": "draft"})


def hire_untold(made: Aftermath) -> None:
    next(row for row in made.advocacy["results"] if row["hires"])["hires"] -= 1


def advocate_untold(made: Aftermath) -> None:
    made.advocacy["results"].pop()


@pytest.mark.parametrize(
    ("mistake", "found_under"),
    [
        (duplicate_candidate, "candidates that duplicate a person"),
        (stray_candidate, "candidates that nobody asked for"),
        (duplicate_application, "applications created"),
        (stray_application, "applications that nobody asked for"),
        (lost_candidate, "candidates created"),
        (wrong_name, "created candidates with their name"),
        (missing_phone, "created candidates with their phone"),
        (foreign_address, "created candidates with their e-mail"),
        (changed_earlier_candidate, "earlier candidates kept"),
        (touched_other_application, "applications of other channels untouched"),
        (wrong_tag, "applications with their advocate_id"),
        (missing_tag, "applications with their campaign_tag"),
        (credit_where_none_is_due, "applications with their advocate_id"),
        (wrong_source, "created applications with their source"),
        (moved_application, "applications as recruiters left them"),
        (missing_status, "statuses"),
        (wrong_status, "status rejected returned"),
        (wrong_hire_date, "statuses with the dates of a hire"),
        (wrong_application_id, "statuses with the ATS's ids"),
        (status_of_a_blocked_referral, "blocked and quarantined referrals left alone"),
        (status_of_a_quarantined_referral, "blocked and quarantined referrals left alone"),
        (missing_posting, "jobs published"),
        (published_draft, "jobs that should not be published"),
        (hire_untold, "advocates with their applications and hires"),
        (advocate_untold, "advocates with their applications and hires"),
    ],
)
def test_a_planted_mistake_is_found_where_it_is(mistake: Callable[[Aftermath], None], found_under: str) -> None:
    made = Aftermath()
    mistake(made)
    verification = made.verify()
    wrong = [what for what, expected, found in verification.rows if expected != found]
    assert verification.differences
    assert not verification.is_clean
    if found_under == "statuses":
        assert any(what.startswith("status ") for what in wrong)
    else:
        assert any(found_under in what for what in wrong)


def test_differences_name_ids_and_no_person() -> None:
    made = Aftermath()
    for mistake in (duplicate_candidate, wrong_name, missing_phone, foreign_address, changed_earlier_candidate):
        mistake(made)
    said = " ".join(made.verify().differences).casefold()
    for person in made.truth["persons"].values():
        assert not any(email.casefold() in said for email in person["emails"])
        assert not any(phone in said for phone in person["phones"])
        assert not any(last.casefold() in said.split() for _, last in person["spellings"])
    assert "@" not in said
