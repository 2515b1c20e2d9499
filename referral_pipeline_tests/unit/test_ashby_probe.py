"""What `check` finds out about an Ashby account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from referral_pipeline.connectors.failures import Unauthorized
from referral_pipeline.connectors.records import Finding
from referral_pipeline.sandbox.ashby.params import WRITING
from referral_pipeline_tests.unit.ashby_account import Account, account_with


@pytest.fixture
def account() -> Iterator[Account]:
    with account_with() as made:
        yield made


def _wrong(account: Account, **options: Any) -> dict[str, Finding]:
    return {one.key: one for one in account.connect(**options).probe() if not one.ok}


def test_an_account_that_is_set_up_has_no_finding_but_the_stage_that_claims_a_hire(account: Account) -> None:
    assert set(_wrong(account)) == {'stage_map."Offer"'}
    assert not WRITING & {one.call for one in account.exchanges}


def test_fields_that_are_missing_archived_or_of_a_type_that_cannot_be_cleared_are_told_with_how_to_make_them(
    account: Account,
) -> None:
    account.acts.archive_custom_field("share_id")
    wrong = _wrong(account, custom_fields={"referral_id": "Nowhere", "reach": "level"})
    assert "does not exist" in wrong["ats.options.custom_fields.referral_id"].found
    assert "customField.create" in wrong["ats.options.custom_fields.referral_id"].mend
    assert "is archived" in wrong["ats.options.custom_fields.share_id"].found
    assert "ValueSelect" in wrong["ats.options.custom_fields.reach"].found


def test_a_source_that_does_not_exist_is_told(account: Account) -> None:
    assert "no source Somewhere" in _wrong(account, source_name="Somewhere")["ats.options.source_name"].found


def test_permissions_that_the_key_lacks_are_named_as_ashby_names_them(account: Account) -> None:
    account.switch(permissions_missing=("offersRead", "interviewsRead"))
    found = _wrong(account)["ats.client_secret_env"]
    assert found.found == "may not call interviewPlan.list, offer.list"
    assert "interviewsRead, offersRead" in found.mend


def test_a_key_that_is_refused_gives_one_finding_about_the_key(account: Account) -> None:
    (found,) = account.connect(key="d3Jvbmc6").probe()
    assert (found.key, found.ok) == ("ats.client_secret_env", False)


def test_without_a_key_every_call_is_answered_401_and_the_finding_is_about_the_key(account: Account) -> None:
    connector = account.connect(key=None)
    with pytest.raises(Unauthorized, match="401"):
        connector.search_candidates("ada@example.com")
    (found,) = connector.probe()
    assert (found.key, found.ok) == ("ats.client_secret_env", False)
    assert "401" in found.found
    assert {one.status for one in account.exchanges} == {401}
    assert {one.answer["success"] for one in account.exchanges} == {False}


def test_users_that_may_not_be_looked_up_and_a_plan_without_referrals_are_told(account: Account) -> None:
    account.switch(referrals=False)
    assert "referral_form_not_found" in _wrong(account, referral_form=True)["ats.options.referral_form"].found


def test_a_stage_that_no_plan_has_is_told(account: Account) -> None:
    assert 'stage_map." phone screen"' not in _wrong(account)
    for row in account.store.rows("job_interview_stages"):
        if row["name"] == "Phone Screen":
            account.store.update("job_interview_stages", row["id"], name="Call")
    assert _wrong(account)['stage_map." phone screen"'].found == "no interview plan has such a stage"
