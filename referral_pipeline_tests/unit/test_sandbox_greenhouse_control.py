"""The control plane: counts, dumps, what people do on the screen, the hook of a scripted programme."""

from __future__ import annotations

import asyncio
import socket
import threading
from datetime import timedelta
from typing import Any

import pytest
import requests
import uvicorn

from referral_pipeline.sandbox.greenhouse.acts import ActRefused, Acts
from referral_pipeline.sandbox.greenhouse.app import Credential, create_app
from referral_pipeline.sandbox.greenhouse.schema import ENTITIES
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline_tests.unit import greenhouse_server
from referral_pipeline_tests.unit.greenhouse_server import START, Greenhouse

greenhouse = greenhouse_server.greenhouse


def status_of(greenhouse: Greenhouse, application_id: int) -> str:
    return greenhouse.one("applications", application_id)["status"]


# ---------------------------------------------------------------- looking inside


def test_calls_are_counted_by_operation_and_status(greenhouse: Greenhouse):
    candidate = greenhouse.candidate()["id"]
    greenhouse.patch(f"candidates/{candidate}", {})
    greenhouse.patch("candidates/9", {})
    greenhouse.post("candidates", {})
    greenhouse.get("people")
    assert greenhouse.control("calls").json() == {
        "POST /token": {"200": 1},
        "POST /v3/candidates": {"201": 1, "422": 1},
        "PATCH /v3/candidates/{id}": {"200": 1, "404": 1},
        "unknown path": {"404": 1},
    }
    greenhouse.control("calls/reset", {})
    assert greenhouse.control("calls").json() == {}


def test_the_control_plane_needs_no_token_and_no_rate(greenhouse: Greenhouse):
    greenhouse.switch(rate_limit=1)
    greenhouse.get("jobs")
    assert greenhouse.get("jobs").status_code == 429
    assert requests.get(f"{greenhouse.root}/_sandbox/dump", timeout=5).status_code == 200


def test_a_dump_shows_every_table_and_what_is_gone(greenhouse: Greenhouse):
    primary, secondary, gone, blank = (greenhouse.candidate()["id"] for _ in range(4))
    greenhouse.act("merge", primary_id=primary, secondary_id=secondary)
    greenhouse.act("delete_candidate", candidate_id=gone)
    greenhouse.act("anonymize", candidate_id=blank)
    dump = greenhouse.control("dump").json()
    assert set(dump) == {*ENTITIES, "_facts"}
    assert [row["id"] for row in dump["candidates"]] == [primary, blank]
    assert dump["_facts"]["merged"] == {str(secondary): primary}
    assert dump["_facts"]["deleted"]["candidates"] == [secondary, gone]
    assert dump["_facts"]["anonymized"] == [blank]


def test_a_dump_can_be_loaded_into_another_store(greenhouse: Greenhouse):
    greenhouse.application()
    dump = greenhouse.store.dump()
    other = GreenhouseStore()
    for entity, rows in dump.items():
        other.load(entity, rows)
    assert other.dump() == dump
    fresh = other.insert("candidates", {"first_name": "New"})
    assert fresh["id"] > dump["candidates"][-1]["id"]


def test_rows_may_be_loaded_with_gaps_but_not_with_unknown_columns():
    store = GreenhouseStore()
    (row,) = store.load("jobs", [{"name": "Engineer", "created_at": "2026-01-01T00:00:00.000Z"}])
    assert row["id"] > 2**31
    assert (row["status"], row["updated_at"]) == ("open", "2026-01-01T00:00:00.000Z")
    with pytest.raises(ValueError, match="no column"):
        store.load("jobs", [{"title": "Engineer"}])
    with pytest.raises(ValueError, match=r"2\^31"):
        store.load("jobs", [{"id": 7}])


def test_rows_handed_out_do_not_change_afterwards():
    store = GreenhouseStore()
    before = store.insert("jobs", {"name": "Engineer"})
    store.update("jobs", before["id"], name="Other")
    assert before["name"] == "Engineer"


def test_tokens_can_be_revoked_from_outside(greenhouse: Greenhouse):
    assert greenhouse.get("jobs").status_code == 200
    greenhouse.control("revoke_tokens", {})
    assert greenhouse.get("jobs").status_code == 401
    assert greenhouse.get("jobs", token=greenhouse.mint().json()["access_token"]).status_code == 200


# ---------------------------------------------------------------- acts


def test_a_whole_life_can_be_acted_out_at_given_moments(greenhouse: Greenhouse):
    job = greenhouse.act("add_job", name="Engineer", stages=["Review", "Screen", "Offer"], openings=2)
    at = "2026-03-01T09:00:00Z"
    person = greenhouse.act(
        "create_candidate",
        first_name="Ada",
        last_name="Lovelace",
        emails=["ada@example.org"],
        phones=["+12125550147"],
        job_id=job["id"],
        at=at,
    )
    assert person["created_at"] == "2026-03-01T09:00:00.000Z"
    (application,) = greenhouse.rows(f"applications?candidate_ids={person['id']}")
    key = {"application_id": application["id"]}
    assert greenhouse.act("move", **key, stage="Screen", at="2026-03-02T09:00:00Z")["stage_name"] == "Screen"
    assert greenhouse.act("move", **key, at="2026-03-03T09:00:00Z")["stage_name"] == "Offer"
    greenhouse.act("offer_create", **key, starts_on="2026-04-01", at="2026-03-04T09:00:00Z")
    assert greenhouse.act("offer_send", **key, at="2026-03-05T09:00:00Z")["sent_on"] == "2026-03-05"
    accepted = greenhouse.act("offer_accept", **key, resolved_at="2026-03-06T15:00:00Z", starts_on="2026-04-15")
    assert (accepted["version"], accepted["status"]) == (2, "Accepted")
    assert (accepted["starts_on"], accepted["sent_on"]) == ("2026-04-15", "2026-03-05")
    assert accepted["resolved_at"] == "2026-03-06T15:00:00.000Z"
    hired = greenhouse.act("hire", **key, at="2026-03-07T09:00:00Z")
    assert (hired["status"], hired["updated_at"]) == ("hired", "2026-03-07T09:00:00.000Z")
    entered = {row["entered_at"] for row in greenhouse.rows("application_stages")}
    assert entered == {f"2026-03-0{day}T09:00:00.000Z" for day in (1, 2, 3)}


def test_a_hire_on_the_screen_fills_the_offer_s_opening(greenhouse: Greenhouse):
    job = greenhouse.job(openings=3)
    application = greenhouse.application(job)["id"]
    wanted = greenhouse.rows("openings")[0]["id"]
    greenhouse.act("offer_create", application_id=application, opening_id=wanted)
    greenhouse.act("hire", application_id=application)
    assert greenhouse.one("openings", wanted)["application_id"] == application


def test_a_hire_on_the_screen_needs_neither_offer_nor_opening(greenhouse: Greenhouse):
    application = greenhouse.application(greenhouse.job(openings=0))["id"]
    greenhouse.act("hire", application_id=application)
    assert status_of(greenhouse, application) == "hired"
    assert greenhouse.rows("offers") == []


def test_an_unhire_opens_everything_again(greenhouse: Greenhouse):
    job = greenhouse.job(openings=1)
    application = greenhouse.application(job)["id"]
    greenhouse.act("offer_create", application_id=application)
    greenhouse.act("offer_accept", application_id=application)
    greenhouse.act("hire", application_id=application)
    assert greenhouse.one("jobs", job["id"])["status"] == "closed"
    greenhouse.act("unhire", application_id=application)
    assert status_of(greenhouse, application) == "in_process"
    assert greenhouse.one("jobs", job["id"])["status"] == "open"
    (opening,) = greenhouse.rows("openings")
    assert (opening["open"], opening["application_id"], opening["closed_at"]) == (True, None, None)
    (offer,) = greenhouse.rows("offers")
    assert (offer["status"], offer["resolved_at"]) == ("Created", None)
    greenhouse.act("offer_accept", application_id=application)
    greenhouse.act("hire", application_id=application)
    greenhouse.act("unhire", application_id=application, keep_offer=True)
    assert greenhouse.one("offers", offer["id"])["status"] == "Accepted"


@pytest.mark.parametrize(("reason", "key"), [("THEY_REJECTED_US",) * 2, ("Hired other candidate", "WE_REJECTED_THEM")])
def test_a_rejection_names_its_reason_by_key_or_name(greenhouse: Greenhouse, reason: str, key: str):
    application = greenhouse.application()["id"]
    row = greenhouse.act("reject", application_id=application, reason=reason)
    assert greenhouse.get(f"rejection_reasons/{row['rejection_reason_id']}").json()["type"]["key"] == key
    assert greenhouse.act("unreject", application_id=application)["status"] == "in_process"


def test_an_offer_can_be_declined_and_made_again(greenhouse: Greenhouse):
    key = {"application_id": greenhouse.application()["id"]}
    greenhouse.act("offer_create", **key)
    assert greenhouse.act("offer_reject", **key)["status"] == "Rejected"
    assert greenhouse.act("offer_create", **key)["version"] == 2
    assert [row["status"] for row in greenhouse.rows("offers")] == ["Created", "Deprecated"]


def test_stages_can_be_renamed_and_added(greenhouse: Greenhouse):
    job = greenhouse.job()
    application = greenhouse.application(job)
    greenhouse.act("rename_stage", job_id=job["id"], stage="Application Review", name="First look")
    assert greenhouse.one("applications", application["id"])["stage_name"] == "First look"
    greenhouse.act("add_stage", job_id=job["id"], name="Task", before="Phone Screen")
    names = {row["sort_order"]: row["name"] for row in greenhouse.rows(f"job_interview_stages?job_ids={job['id']}")}
    assert [names[order] for order in sorted(names)] == ["First look", "Task", "Phone Screen", "Offer"]
    assert greenhouse.act("move", application_id=application["id"])["stage_name"] == "Task"


def test_jobs_can_be_closed_reopened_and_changed(greenhouse: Greenhouse):
    job = greenhouse.job()["id"]
    assert greenhouse.act("close_job", job_id=job)["status"] == "closed"
    assert greenhouse.rows("openings?open=true") == []
    assert greenhouse.act("reopen_job", job_id=job)["status"] == "open"
    assert len(greenhouse.rows("openings?open=true")) == 1
    assert greenhouse.act("edit_job", job_id=job, name="Principal Engineer")["name"] == "Principal Engineer"


def test_recruiters_edit_applications_and_candidates(greenhouse: Greenhouse):
    greenhouse.acts.add_custom_field("Advocate ID")
    greenhouse.acts.add_custom_field("Campaign")
    application = greenhouse.application()
    key = {"application_id": application["id"]}
    greenhouse.act("edit_application", **key, custom_fields={"advocate_id": "A-1"})
    after = greenhouse.act("edit_application", **key, custom_fields={"campaign": "spring"})
    assert {name: entry["value"] for name, entry in after["custom_fields"].items()} == {
        "advocate_id": "A-1",
        "campaign": "spring",
    }
    greenhouse.act("edit_candidate", candidate_id=application["candidate_id"], emails=["new@example.org"])
    assert len(greenhouse.rows("candidates?email=new@example.org")) == 1


def test_an_application_can_be_transferred_or_deleted(greenhouse: Greenhouse):
    application, other = greenhouse.application()["id"], greenhouse.job("Other")
    moved = greenhouse.act("transfer", application_id=application, job_id=other["id"], stage="Phone Screen")
    assert (moved["job_id"], moved["stage_name"]) == (other["id"], "Phone Screen")
    assert greenhouse.act("delete_application", application_id=application) == {}
    assert greenhouse.rows("applications") == []


@pytest.mark.parametrize(
    "body",
    [
        {"action": "dance"},
        {"action": "_row", "entity": "jobs", "row_id": 1},
        {"action": "perform"},
        {"action": "move"},
        {"action": "move", "application_id": 9},
        {"action": "move", "application_id": 9, "speed": 1},
        {"action": "unhire", "application_id": "{application}"},
        {"action": "move", "application_id": "{application}", "stage": "Nowhere"},
        {"action": "reject", "application_id": "{application}", "reason": "Nothing"},
        {"action": "offer_accept", "application_id": "{application}"},
        {"action": "edit_application", "application_id": "{application}", "custom_fields": {"nope": 1}},
        {"action": "edit_candidate", "candidate_id": "{candidate}", "shoe_size": 1},
        {"action": "move", "application_id": "{application}", "at": "yesterday"},
    ],
)
def test_an_act_that_cannot_be_done_says_why(greenhouse: Greenhouse, body: dict[str, Any]):
    application = greenhouse.application()
    ids = {"{application}": application["id"], "{candidate}": application["candidate_id"]}
    filled = {key: ids.get(value, value) if isinstance(value, str) else value for key, value in body.items()}
    answer = greenhouse.control("act", filled)
    assert answer.status_code == 422
    assert answer.json()["problem"]
    assert greenhouse.control("act", {"application_id": 1}).status_code == 400
    assert greenhouse.one("applications", application["id"]) == application


def test_acts_can_be_done_inside_the_process_too(greenhouse: Greenhouse):
    application = greenhouse.application()["id"]
    assert Acts(greenhouse.store).perform("move", {"application_id": application})["stage_name"] == "Phone Screen"
    with pytest.raises(ActRefused, match="there is no act"):
        Acts(greenhouse.store).perform("nothing", {})


# ---------------------------------------------------------------- the hook


def test_recruiters_can_act_the_moment_an_application_is_created():
    seen: list[tuple[int, int]] = []

    def act(candidate: dict[str, Any], application: dict[str, Any]) -> None:
        seen.append((candidate["id"], application["id"]))
        sandbox.acts.move(application["id"], stage="Offer", at=START + timedelta(days=3))
        sandbox.acts.hire(application["id"], at=START + timedelta(days=4))

    sandbox = Greenhouse(hook=act)
    job = sandbox.job(openings=5)["id"]
    body = {"first_name": "Ada", "last_name": "Lovelace", "application": {"job_id": job}}
    nested = sandbox.post("candidates", body).json()
    alone = sandbox.post("applications", {"candidate_id": sandbox.candidate()["id"], "job_id": job}).json()
    assert seen == [
        (nested["candidate"]["id"], nested["application"]["id"]),
        (alone["candidate_id"], alone["id"]),
    ]
    # The answer is what was created; what people did afterwards shows on the next read.
    assert (nested["application"]["status"], alone["status"]) == ("in_process", "in_process")
    assert status_of(sandbox, nested["application"]["id"]) == "hired"
    assert status_of(sandbox, alone["id"]) == "hired"


# ---------------------------------------------------------------- running it


def test_two_sandboxes_share_one_event_loop():
    """The launcher runs this app beside another one in one process."""
    apps = [create_app(GreenhouseStore()) for _ in range(2)]
    listeners = [socket.socket() for _ in apps]
    for listener in listeners:
        listener.bind(("127.0.0.1", 0))
    servers = [uvicorn.Server(uvicorn.Config(app, log_level="warning")) for app in apps]

    async def serve() -> None:
        pairs = zip(servers, listeners, strict=True)
        await asyncio.gather(*(server.serve(sockets=[listener]) for server, listener in pairs))

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        while not all(server.started for server in servers):
            thread.join(0.01)
        for app, listener in zip(apps, listeners, strict=True):
            root = f"http://127.0.0.1:{listener.getsockname()[1]}"
            credential: Credential = app.state.credential
            pair = (credential.client_id, credential.client_secret)
            grant = {"grant_type": "client_credentials"}
            token = requests.post(f"{root}/token", auth=pair, data=grant, timeout=5).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            assert requests.get(f"{root}/v3/candidates", headers=headers, timeout=5).json() == []
    finally:
        for server in servers:
            server.should_exit = True
        thread.join(10)
    assert not thread.is_alive()


def test_a_secret_is_never_shown():
    app = create_app(GreenhouseStore(), credential=Credential("a.greenhouse", "very-secret"))
    assert "very-secret" not in repr(app.state.credential)
