"""A create that is answered with an empty body may have been done: whoever needs its record looks before repeating."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from referral_pipeline.connectors.ashby_api import AshbyApi
from referral_pipeline.connectors.ashby_tokens import SyncTokens
from referral_pipeline.connectors.failures import AmbiguousOutcome, TransientFailure
from referral_pipeline.connectors.http import Clock, HttpClient
from referral_pipeline.connectors.hubspot_api import HubSpotApi
from referral_pipeline.connectors.lever_api import LeverApi
from referral_pipeline.connectors.lever_setup import register
from referral_pipeline.connectors.radancy_jobs import Jobs
from referral_pipeline.connectors.radancy_models import JobDefaults
from referral_pipeline.connectors.records import AtsJob, NewApplication
from referral_pipeline.contract.systems import SANDBOX_OPTIONS
from referral_pipeline_tests.unit.greenhouse_account import ADA
from referral_pipeline_tests.unit.greenhouse_account import Account as Greenhouse
from referral_pipeline_tests.unit.lever_account import Account as Lever
from referral_pipeline_tests.unit.scripted_server import Reply, Seen, serving

JOB = AtsJob(id="4410000001", title="Porter", status="open", location="Lyon", url=None)
APPLICATION = NewApplication(job_id="4410000001", tags={})


def empty_to_writes(seen: Seen) -> Reply:
    """Nothing is there, and every write is answered with an empty body."""
    if seen.path.endswith("/token"):
        return Reply(body={"access_token": "t", "expires_in": 3600, "token_type": "Bearer"})
    listed = [] if "/v3/" in seen.path else {"data": [], "hasNext": False}
    return Reply(body=listed) if seen.method == "GET" else Reply(201, raw=b"")


def client_of(system: str, url: str) -> HttpClient:
    return HttpClient(system=system, base_url=url, clock=Clock(sleep=lambda seconds: None))


def greenhouse(url: str) -> None:
    Greenhouse().connect(root=url, source_name=None).create_candidate(ADA, APPLICATION)


def greenhouse_application(url: str) -> None:
    Greenhouse().connect(root=url, source_name=None).create_application("62", APPLICATION)


def lever(url: str) -> None:
    Lever().connect(root=url).create_candidate(ADA, APPLICATION)


def lever_webhook(url: str) -> None:
    register(LeverApi(client_of("lever", url)), "candidateHired", "https://hooks.example.com")


def hubspot(url: str) -> None:
    HubSpotApi(client_of("hubspot", url), ["referral_id"]).create({"email": "ada@example.com"})


def hubspot_update(url: str) -> None:
    HubSpotApi(client_of("hubspot", url), ["referral_id"]).update("1", {"referral_id": "R1"})


def ashby(url: str) -> None:
    AshbyApi(client_of("ashby", url), SyncTokens(None, "account")).write("candidate.create", {"name": "Ada"})


def radancy(url: str) -> None:
    defaults = JobDefaults.model_validate(SANDBOX_OPTIONS["job_defaults"])
    Jobs(client_of("radancy", url), "companies/1", defaults, lambda query: iter(())).put(JOB)


@pytest.mark.parametrize(
    ("create", "times"),
    [
        (greenhouse, 1),
        (greenhouse_application, 1),
        (lever, 1),
        (lever_webhook, 4),  # looked for in between
        (hubspot, 1),
        (hubspot_update, 1),
        (ashby, 1),
        (radancy, 1),
    ],
)
def test_a_write_whose_record_is_needed_and_not_shown_is_ambiguous_and_not_sent_again(
    create: Callable[[str], None], times: int
) -> None:
    with serving(empty_to_writes) as server:
        with pytest.raises(AmbiguousOutcome):
            create(server.url)
        writes = [one for one in server.seen if one.method != "GET" and not one.path.endswith("/token")]
        assert len(writes) == times


def test_a_job_that_is_answered_without_an_id_is_not_published_by_a_made_up_one() -> None:
    defaults = JobDefaults.model_validate(SANDBOX_OPTIONS["job_defaults"])
    with serving(lambda seen: Reply(201, {"title": "Porter"})) as server:
        with pytest.raises(AmbiguousOutcome):
            Jobs(client_of("radancy", server.url), "companies/1", defaults, lambda query: iter(())).put(JOB)
        assert [one.method for one in server.seen] == ["POST"]


def test_a_repeatable_call_to_ashby_that_is_answered_with_nothing_may_be_made_again() -> None:
    with serving(empty_to_writes) as server:
        api = AshbyApi(client_of("ashby", server.url), SyncTokens(None, "account"))
        with pytest.raises(TransientFailure) as lost:
            api.write("application.update", {}, repeatable=True)
    assert not isinstance(lost.value, AmbiguousOutcome)
