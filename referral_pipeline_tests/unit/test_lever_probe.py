"""What is known of a Lever before it is used: published samples are read, options hold, and a look finds what lacks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from referral_pipeline.connectors.failures import (
    Invalid,
)
from referral_pipeline.connectors.lever_models import LeverOptions, OpportunityRow, read_row
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests.openapi import REFERENCE_DIR
from referral_pipeline_tests.unit.lever_account import ACTING, Account, account_with, sample
from referral_pipeline_tests.unit.scripted_server import Reply, Seen, serving

SAMPLES = REFERENCE_DIR / "vendor_samples" / "lever"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the vendor's samples are not here (set REFERENCE_DIR)")


@pytest.fixture
def account() -> Iterator[Account]:
    with account_with() as found:
        yield found


# ---------------------------------------------------------------- samples, options


@needs_samples
def test_the_published_opportunity_is_read() -> None:
    row = json.loads((SAMPLES / "opportunity.json").read_text())["data"]
    read = read_row(OpportunityRow, row)
    assert isinstance(read, OpportunityRow)
    assert read.created_at == datetime(2014, 8, 8, 1, 7, 51, 43_000, tzinfo=UTC)
    assert (read.ended, read.posting, read.emails) == (None, None, ("shane@exampleq3.com",))


@needs_samples
def test_every_published_answer_is_read(account: Account) -> None:
    reasons = json.loads((SAMPLES / "archive_reasons.json").read_text())
    envelope = json.loads((SAMPLES / "list_envelope.json").read_text())
    error = json.loads((SAMPLES / "error.json").read_text())
    opportunity = json.loads((SAMPLES / "opportunity.json").read_text())

    def answer(request: Seen) -> Reply:
        if request.path.endswith("archive_reasons"):
            return Reply(body={**reasons, "hasNext": False})
        if request.path.endswith("/postings/" + error["message"].split()[1]):
            return Reply(404, body=error)
        if request.path.endswith(opportunity["data"]["id"]):
            return Reply(body=opportunity)
        return Reply(body={"data": [], "hasNext": False} if "offset" in request.query else envelope)

    with serving(answer) as server:
        connector = account.connect(root=server.url, withdrawn_reasons=["Withdrew"])
        assert connector.search_candidates("shane@exampleq3.com") == []
        assert [seen.query.get("offset") for seen in server.seen] == [None, envelope["next"]]
        assert connector.get_jobs([error["message"].split()[1]]) == {}
        assert connector.get_applications([opportunity["data"]["id"]]) == {}  # it has no application written out
        rows = {"archive_reasons": reasons["data"], "opportunities": []}
        for reason in reasons["data"]:
            ended = {"reason": reason["id"], "archivedAt": 1407460080914}
            rows["opportunities"] = [sample(archived=ended)]
            (application,) = connector.stage(lambda entity: rows.get(entity, [])).applications
            wanted = {"Hired": CandidateStatus.HIRED, "Withdrew": CandidateStatus.WITHDRAWN}
            assert application.status is wanted.get(reason["text"], CandidateStatus.REJECTED)


def test_rows_that_cannot_be_read_are_set_aside_and_never_in_silence(account: Account) -> None:
    broken = {**sample(), "createdAt": "yesterday"}
    staged = account.connector.stage(lambda entity: [broken, sample(id="o2")] if entity == "opportunities" else [])
    assert [one.id for one in staged.applications] == ["o2"]
    assert [(one.entity, one.field) for one in staged.problems] == [("opportunities", "createdAt")]
    assert "yesterday" not in repr(staged.problems)
    page = {"data": [broken], "hasNext": False}
    with serving(lambda _: Reply(body=page)) as server, pytest.raises(Invalid):
        account.connect(root=server.url).search_candidates("ada@example.com")


def test_old_opportunities_have_no_updated_at() -> None:
    with account_with(updated_at="null_when_old") as account:
        account.applied()
        (application,) = account.staged().applications
        assert application.updated_at == application.status_at >= application.applied_at


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"perform_as": "integration@example.com"},
        {"perform_as": ACTING, "custom_fields": {"referral_id": "a:b"}},
        {"perform_as": ACTING, "custom_fields": {"referral_id": "Share_ID"}},
        {"perform_as": ACTING, "custom_fields": {"unknown": "x"}},
        {"perform_as": ACTING, "calls_per_second": 0},
        {"perform_as": ACTING, "unknown": 1},
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        LeverOptions.model_validate(options)


# ---------------------------------------------------------------- looking


def test_a_look_finds_what_is_missing_and_how_to_mend_it(account: Account) -> None:
    findings = {finding.key: finding for finding in account.connector.probe()}
    assert [key for key, finding in findings.items() if not finding.ok] == []
    assert findings["ats.options.perform_as"].found == "the user exists"
    assert "reconciliation only" in findings["ats.webhook_secret_env"].found
    hook = {"url": "https://bridge.example.com/webhooks/lever", "event": "candidateHired"}
    assert account.http("POST", "webhooks", json=hook).status_code == 201
    wrong = account.connect(
        perform_as="00000000-0000-0000-0000-000000000000", withdrawn_reasons=["No such"], initial_stage="nowhere"
    )
    bad = {finding.key: finding for finding in wrong.probe() if not finding.ok}
    assert set(bad) == {"ats.options.perform_as", "ats.options.withdrawn_reasons", "ats.options.initial_stage"}
    assert all(finding.mend for finding in bad.values())
    found = {finding.key: finding.found for finding in account.connector.probe()}
    assert found["ats.webhook_secret_env"] == "events are sent to a receiver: candidateHired"


def test_a_look_tells_a_wrong_key_a_missing_right_and_a_wrong_address(account: Account) -> None:
    (finding,) = account.connect(key="another").probe()
    assert (finding.key, finding.ok) == ("ats.client_secret_env", False)
    account.switch(operations_forbidden=["GET /users"])
    assert "users" in account.connector.probe()[1].found
    (finding,) = account.connect(root=f"{account.root}/elsewhere").probe()
    assert finding.key == "ats.base_url"
