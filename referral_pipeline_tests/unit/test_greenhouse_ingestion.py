"""The Candidate Ingestion API as a second way in: its invariants, by number, against the sandbox over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from referral_pipeline.connectors.build import Build, ConnectorError
from referral_pipeline.connectors.capabilities import Standing
from referral_pipeline.connectors.failures import AmbiguousOutcome, Invalid, Unauthorized
from referral_pipeline.connectors.greenhouse import build
from referral_pipeline.connectors.greenhouse_ingestion import external_id
from referral_pipeline.connectors.records import NewApplication
from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.scaffold import Choices, integration_yaml, sandbox_contract
from referral_pipeline.contract.secrets import missing_secrets
from referral_pipeline.settings import load_settings
from referral_pipeline.vocabulary import CandidateStatus, Side
from referral_pipeline_tests.openapi import REFERENCE_DIR
from referral_pipeline_tests.unit.greenhouse_account import ADA, ADVOCATE, SOURCE, TAGS, Account, account_with

SAMPLES = REFERENCE_DIR / "vendor_samples" / "greenhouse"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the vendor's samples are not here (set REFERENCE_DIR)")
NOBODY = "somebody.new@example.com"
OPTION = "  options:\n    ingestion: {api_key_env: GREENHOUSE_INGESTION_API_KEY, on_behalf_of: nadia@example.com}\n"


@pytest.fixture
def account() -> Iterator[Account]:
    with account_with() as one:
        yield one


def referrer_of(account: Account, application_id: str) -> dict[str, Any]:
    return account.row("referrers", account.row("applications", application_id)["referrer_id"])


def post(account: Account, body: Any, *, key: str | None = None, user: str | None = ADVOCATE) -> requests.Response:
    """One request as it would be made by hand."""
    headers = {"On-Behalf-Of": user} if user is not None else {}
    auth = (key or f"partner-{account.secret}", "")
    url = f"{account.root}/v1/partner/candidates"
    return requests.post(url, json=body, headers=headers, auth=auth, timeout=5)


def entry(account: Account, **changes: Any) -> dict[str, Any]:
    values = {"prospect": False, "first_name": "Ada", "last_name": "Lovelace", "external_id": "ref_1"}
    return {
        **values,
        "job_id": account.job["id"],
        "emails": [{"email": "ada@example.com", "type": "personal"}],
        **changes,
    }


# ---------------------------------------------------------------- 1 and what comes of it


def test_1_a_candidate_and_no_prospect_is_made_with_fields_source_and_status(account: Account) -> None:
    created = account.handing_in().create_candidate(ADA, account.new_application())
    assert created.application is not None
    row = account.row("applications", created.application.id)
    assert (row["prospect"], row["job_id"], row["candidate_id"]) == (
        False,
        account.job["id"],
        int(created.candidate.id),
    )
    assert account.row("sources", row["source_id"])["name"] == SOURCE
    assert account.tags(row["id"]) == TAGS
    assert created.application.status is CandidateStatus.APPLIED
    assert {name: value for name, value in created.application.tags.items() if value} == TAGS
    person = account.row("candidates", created.candidate.id)
    assert [one["value"] for one in person["email_addresses"]] == [ADA.email]
    assert [one["value"] for one in person["phone_numbers"]] == [ADA.phone]
    assert len(account.store.rows("candidates")) == 1


def test_an_advocate_who_is_no_user_gets_the_credit_natively_which_harvest_cannot_give(account: Account) -> None:
    application = replace(account.new_application(), advocate_email=NOBODY)
    by_harvest = account.connector.create_candidate(replace(ADA, email="other@example.com"), application)
    assert by_harvest.application is not None
    assert account.row("applications", by_harvest.application.id)["referrer_id"] is None
    handed_in = account.handing_in().create_candidate(ADA, application)
    assert handed_in.application is not None
    assert referrer_of(account, handed_in.application.id)["name"] == "somebody.new"


def test_an_advocate_who_is_a_user_is_credited_as_the_referrer_that_is_there(account: Account) -> None:
    created = account.handing_in().create_candidate(ADA, account.new_application())
    assert created.application is not None
    assert referrer_of(account, created.application.id)["id"] == account.referrer["id"]


def test_a_further_application_of_somebody_who_is_there_goes_by_harvest(account: Account) -> None:
    connector = account.handing_in()
    created = connector.create_candidate(ADA, account.new_application())
    other = account.acts.add_job("Porter", stages=("Application Review",))
    account.sent.clear()
    application = connector.create_application(created.candidate.id, account.new_application(other))
    assert application.candidate_id == created.candidate.id
    assert [sent.path for sent in account.writes()] == ["applications"]
    assert len(account.store.rows("candidates")) == 1


# ---------------------------------------------------------------- 2


def test_2_the_referral_is_the_external_id_and_without_one_nobody_can_be_read_from_it(account: Account) -> None:
    account.handing_in().create_candidate(ADA, account.new_application())
    (sent,) = [one for one in account.writes() if one.path.startswith("/v1/partner")]
    assert sent.body[0]["external_id"] == "ref_1"
    unnamed = external_id(ADA, NewApplication("7", {}, None))
    assert unnamed == external_id(ADA, NewApplication("7", {}, None))
    assert unnamed != external_id(ADA, NewApplication("8", {}, None))
    assert "ada" not in unnamed


# ---------------------------------------------------------------- 3


@pytest.mark.parametrize("done", [True, False], ids=["done", "not_done"])
def test_3_a_create_whose_answer_is_lost_is_not_sent_again(
    account: Account, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    connector = account.handing_in()
    client = connector._ingestion._client
    attempt = client._once

    def lost(request: Any, *rest: Any) -> Any:
        if done:
            attempt(request, *rest)
        raise AmbiguousOutcome("greenhouse", "ingestion.create", detail="lost")

    monkeypatch.setattr(client, "_once", lost)
    with pytest.raises(AmbiguousOutcome):
        connector.create_candidate(ADA, account.new_application())
    assert len(account.store.rows("candidates")) == int(done)


# ---------------------------------------------------------------- 4


@pytest.mark.parametrize(("key", "user"), [("wrong", ADVOCATE), (None, "ghost@example.com")], ids=["key", "user"])
def test_4_a_wrong_key_and_a_user_who_is_none_are_found_by_check_and_make_nothing(
    account: Account, key: str | None, user: str
) -> None:
    connector = account.handing_in(key=key, user=user)
    finding = connector.probe()[-1]
    assert (finding.ok, finding.key) == (False, "ats.options.ingestion.api_key_env")
    with pytest.raises(Unauthorized):
        connector.create_candidate(ADA, account.new_application())
    assert account.store.rows("candidates") == []


def test_4_what_is_set_up_right_passes_check(account: Account) -> None:
    assert all(finding.ok for finding in account.handing_in().probe())


def test_4_the_audit_says_whether_the_way_in_is_open_and_makes_nobody_for_it(account: Account) -> None:
    line = account.handing_in()._ingestion.audit()
    assert (line.name, line.standing) == ("ingestion.create", Standing.PARTIAL)
    line = account.handing_in(key="wrong")._ingestion.audit()
    assert line.standing is Standing.MISSING
    assert "no candidate can be created" in line.consequence
    assert account.store.rows("candidates") == []


def test_a_request_without_the_user_is_refused(account: Account) -> None:
    assert post(account, [entry(account)], user=None).status_code == 401


# ---------------------------------------------------------------- 5


def test_5_what_harvest_does_not_add_is_no_failed_create(account: Account) -> None:
    connector = account.handing_in()
    assert all(finding.ok for finding in connector.probe())
    account.store.switches = account.store.switches.changed({"operations_forbidden": ("PATCH /v3/applications/{id}",)})
    created = connector.create_candidate(ADA, account.new_application())
    assert created.application is not None
    assert account.tags(created.application.id) == {}
    account.store.switches = account.store.switches.changed({"operations_forbidden": ()})
    assert connector.update_application(created.application.id, TAGS)
    assert account.tags(created.application.id) == TAGS


# ---------------------------------------------------------------- the sandbox is as strict as the documentation


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"external_id": None}, "external_id"),
        ({"first_name": ""}, "first_name"),
        ({"job_id": 999}, "job_id"),
        ({"emails": [{"email": "no address"}]}, "email"),
        ({"emails": [{"email": "ada@example.com", "type": "private"}]}, "emails"),
        ({"surname": "Lovelace"}, "surname"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_field_and_none_of_the_others_is_made(
    account: Account, changes: dict[str, Any], field: str
) -> None:
    answer = post(account, [entry(account, **changes)])
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert account.store.rows("candidates") == []


def test_a_job_that_is_closed_is_a_refusal_that_is_never_tried_again(account: Account) -> None:
    job = account.acts.add_job("Porter", stages=("Application Review",), status="closed")
    with pytest.raises(Invalid):
        account.handing_in().create_candidate(ADA, account.new_application(job))
    assert len([sent for sent in account.writes() if "/partner/" in sent.path]) == 1


def test_without_a_word_a_prospect_is_made_as_documented(account: Account) -> None:
    body = {key: value for key, value in entry(account).items() if key != "prospect"}
    made = post(account, [body]).json()[0]
    assert account.row("applications", made["application_id"])["prospect"] is True


def test_the_partner_sees_its_own_candidates_and_nothing_of_those_that_are_gone(account: Account) -> None:
    made = post(account, [entry(account)]).json()[0]
    other = account.by_hand()
    auth, headers = (f"partner-{account.secret}", ""), {"On-Behalf-Of": ADVOCATE}
    url = f"{account.root}/v1/partner/candidates?candidate_ids={made['id']},{other['candidate_id']}"
    (shown,) = requests.get(url, auth=auth, headers=headers, timeout=5).json()
    assert (shown["id"], shown["external_id"]) == (made["id"], "ref_1")
    assert shown["applications"][0]["status"] == "Active"
    account.acts.delete_candidate(made["id"])
    assert requests.get(url, auth=auth, headers=headers, timeout=5).json() == []


@needs_samples
def test_the_vendors_samples_have_the_keys_of_the_sandbox(account: Account) -> None:
    sample = json.loads((SAMPLES / "ingestion_post_candidates_1.json").read_text(encoding="utf-8"))
    sample |= {"job_id": account.job["id"]}
    answer = post(account, sample)
    expected = json.loads((SAMPLES / "ingestion_post_candidates_2.json").read_text(encoding="utf-8"))
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == expected.keys()
    assert answer.json()["external_id"] == expected["external_id"]


@needs_samples
def test_what_the_partner_reads_and_is_refused_with_has_the_keys_of_the_vendors_samples(account: Account) -> None:
    made = post(account, [entry(account)]).json()[0]
    ask = {"auth": (f"partner-{account.secret}", ""), "headers": {"On-Behalf-Of": ADVOCATE}, "timeout": 5}
    base = f"{account.root}/v1/partner"
    (person,) = requests.get(f"{base}/candidates?candidate_ids={made['id']}", **ask).json()
    jobs = requests.get(f"{base}/jobs", **ask).json()
    refused = post(account, [entry(account, emails=[{"email": "no address"}])]).json()
    as_sampled = [
        ("ingestion_retrieve_candidates_2", person),
        ("ingestion_retrieve_jobs_1", jobs),
        ("ingestion_errors__1", refused),
    ]
    for name, answer in as_sampled:
        sample = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
        assert paths(answer) == paths(sample), name


# ---------------------------------------------------------------- the contract


def test_the_key_is_a_secret_by_the_name_of_a_variable_and_check_misses_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REFERRAL_PIPELINE_HOME", str(tmp_path))
    monkeypatch.delenv("GREENHOUSE_INGESTION_API_KEY", raising=False)
    contract = parse_contract(with_ingestion(sandbox_contract()))
    problems = {problem.key for problem in missing_secrets(contract, load_settings())}
    assert "ats.options.ingestion.api_key_env" in problems


def test_production_takes_https_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REFERRAL_PIPELINE_HOME", str(tmp_path))
    for name in ("GREENHOUSE_CLIENT_ID", "GREENHOUSE_CLIENT_SECRET", "GREENHOUSE_INGESTION_API_KEY"):
        monkeypatch.setenv(name, "x")
    text = with_ingestion(
        integration_yaml(Choices(environment="production")), ', base_url: "http://partner.example.org"'
    )
    with pytest.raises(ConnectorError) as refused:
        build(Build(parse_contract(text), load_settings(), Side.ATS))
    assert refused.value.key == "ats.options.ingestion.base_url"


def with_ingestion(text: str, more: str = "") -> str:
    """A contract whose ATS is handed candidates by a partner."""
    at = text.index("ats:\n")
    head, tail = text[:at], text[at:]
    assert tail.count("  options:\n") >= 1
    return head + tail.replace("  options:\n", OPTION.replace("}", f"{more}}}"), 1)


def paths(value: Any, at: str = "") -> set[str]:
    """Which keys an answer has, at whatever depth."""
    if isinstance(value, dict):
        return {at}.union(*(paths(inner, f"{at}.{key}") for key, inner in value.items()))
    return set().union(*(paths(inner, f"{at}[]") for inner in value)) if isinstance(value, list) else {at}
