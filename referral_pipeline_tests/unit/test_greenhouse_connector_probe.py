"""What `check` finds out about a live tenant: each thing that is missing by its key, with its mend, without writing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from referral_pipeline.connectors.records import Finding
from referral_pipeline.sandbox.greenhouse.vendor import ALL_SCOPES
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests.unit.greenhouse_account import Account, account_with
from referral_pipeline_tests.unit.test_http_client import free_port


@pytest.fixture
def account() -> Iterator[Account]:
    with account_with() as one:
        yield one


def failed(findings: list[Finding]) -> list[str]:
    assert all(finding.mend for finding in findings if not finding.ok)
    return [finding.key for finding in findings if not finding.ok]


def test_an_account_as_the_contract_needs_it_has_nothing_to_mend(account: Account) -> None:
    findings = account.connector.probe()
    assert failed(findings) == []
    assert {
        "ats.base_url",
        "ats.client_id_env",
        "ats.options.source_name",
        "ats.options.custom_fields.campaign_tag",
    } <= {finding.key for finding in findings}
    assert account.writes() == []


def test_an_unreachable_system_gives_one_finding(account: Account) -> None:
    connector = account.connect(root=f"http://127.0.0.1:{free_port()}", max_attempts=1)
    assert failed(connector.probe()) == ["ats.auth_url"]
    assert len(connector.probe()) == 1


def test_a_wrong_secret_gives_one_finding_that_shows_nothing_of_it(account: Account) -> None:
    (finding,) = account.connect(secret="wrong-secret-of-somebody").probe()
    assert (finding.key, finding.ok) == ("ats.client_id_env", False)
    assert "wrong-secret" not in repr(finding)


def test_missing_scopes_are_named_all_at_once(account: Account) -> None:
    account.scoped(ALL_SCOPES - {"harvest:offers:list", "harvest:openings:list"})
    findings = account.connector.probe()
    assert failed(findings) == ["ats.client_id_env"]
    assert "harvest:offers:list, harvest:openings:list" in findings[-1].mend


def test_a_custom_field_that_does_not_exist_is_named_with_where_to_make_it(account: Account) -> None:
    connector = account.connect(custom_fields={"campaign_tag": "campaign_of_ours"})
    findings = connector.probe()
    assert failed(findings) == ["ats.options.custom_fields.campaign_tag"]
    mend = next(finding.mend for finding in findings if not finding.ok)
    assert "application custom field campaign_of_ours" in mend
    assert "Custom Options" in mend


def test_an_archived_custom_field_does_not_count(account: Account) -> None:
    account.acts.archive_custom_field("share_id")
    assert failed(account.connector.probe()) == ["ats.options.custom_fields.share_id"]


def test_a_source_that_does_not_exist_is_named(account: Account) -> None:
    assert failed(account.connect(source_name="Nowhere").probe()) == ["ats.options.source_name"]
    assert failed(account.connect(source_name=" employee  advocacy").probe()) == []
    assert failed(account.connect(source_name=None).probe()) == []


def test_a_stage_that_no_job_has_and_one_that_would_end_an_application_are_named(account: Account) -> None:
    connector = account.connect()
    connector._stage_map |= {"Fhone Screen": CandidateStatus.INTERVIEWED, "Team Chat": CandidateStatus.HIRED}
    assert failed(connector.probe()) == ['stage_map."Fhone Screen"', 'stage_map."Team Chat"']
