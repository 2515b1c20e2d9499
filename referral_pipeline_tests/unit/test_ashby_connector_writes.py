"""The invariants of Ashby's API that writing must keep; the number of each stands in its test's name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from referral_pipeline.connectors.failures import AmbiguousOutcome, Invalid, NotFound
from referral_pipeline.sandbox.ashby.ids import id_of, uuid_of
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests.unit.ashby_account import ADA, ADVOCATE, SOURCE, TAGS, Account, account_with


@pytest.fixture
def account() -> Iterator[Account]:
    with account_with() as made:
        yield made


def test_5_custom_fields_are_found_by_title_and_only_ours_that_differ_are_written_in_one_call(account: Account) -> None:
    application = account.by_hand()
    account.act("edit_application", application, custom_fields={"level": "Senior", "share_id": "sh_1"})
    wanted = {**TAGS, "advocate_id": "adv_2"}
    assert account.connector.update_application(application, wanted) is True
    assert account.tags(application) == {**wanted, "level": "Senior"}
    (sent,) = account.sent("customField.setValues")
    assert len(sent["values"]) == 3
    assert account.connector.update_application(application, wanted) is False


@pytest.mark.parametrize("shown", ["absent", "empty_text"])
def test_5_an_empty_text_clears_a_field_however_the_vendor_shows_it(account: Account, shown: str) -> None:
    account.switch(cleared_field=shown)
    application = account.by_hand()
    account.connector.update_application(application, TAGS)
    cleared = {**TAGS, "campaign_tag": None}
    assert account.connector.update_application(application, cleared) is True
    assert account.connector.get_applications([application])[application].tags["campaign_tag"] is None
    assert account.connector.update_application(application, cleared) is False


def test_5_a_field_that_does_not_exist_or_does_not_take_the_value_is_refused_and_named(account: Account) -> None:
    application = account.by_hand()
    with pytest.raises(Invalid, match="does not exist"):
        account.connect(custom_fields={"reach": "Nowhere"}).update_application(application, {"reach": "5"})
    with pytest.raises(Invalid, match="level is of type ValueSelect"):
        account.connect(custom_fields={"reach": "level"}).update_application(application, {"reach": "5"})
    assert account.connect(custom_fields={"reach": "LEVEL"}).update_application(application, {"reach": "Junior"})
    assert account.tags(application)["level"] == "Junior"


def test_9_10_11_12_a_candidate_is_created_with_name_source_credit_and_fields_in_the_first_stage(
    account: Account,
) -> None:
    made = account.connector.create_candidate(ADA, account.new_application())
    assert made.application is not None
    row = account.row("candidates", made.candidate.id)
    assert (row["first_name"], row["last_name"]) == ("Ada", "Lovelace")
    assert account.sent("candidate.create") == [
        {"name": "Ada Lovelace", "email": "ada@example.com", "phoneNumber": "+14155550123"}
    ]
    live = account.connector.get_applications([made.application.id])[made.application.id]
    assert live.status is CandidateStatus.APPLIED
    assert (live.source_name, live.referrer_id) == (SOURCE, uuid_of("users", account.user["id"]))
    assert {name: live.tags[name] for name in TAGS} == TAGS
    assert made.application.tags == live.tags
    assert account.vendor.payloads.status(account.row("applications", live.id)) == "Active"


def test_10_an_advocate_who_is_no_user_gets_no_native_credit(account: Account) -> None:
    stranger = replace(account.new_application(), advocate_email="nobody@example.com")
    made = account.connector.create_candidate(ADA, stranger)
    assert made.application is not None
    assert made.application.referrer_id is None
    (sent,) = account.sent("application.create")
    assert "creditedToUserId" not in sent
    account.switch(permissions_missing=("organizationRead",))
    other = account.connect().create_candidate(replace(ADA, email="b@example.com"), account.new_application())
    assert other.application is not None
    assert other.application.referrer_id is None


def test_11_what_fails_after_the_candidate_was_made_does_not_look_like_a_create_that_failed(account: Account) -> None:
    account.lose_answer("application.create")
    made = account.connector.create_candidate(ADA, account.new_application())
    assert made.application is None
    (there,) = account.connector.applications_of([made.candidate.id])
    assert there.job_id == account.job_id
    assert len(account.sent("application.create")) == 1


def test_11_fields_that_could_not_be_written_are_left_to_the_next_run(account: Account) -> None:
    account.switch(operations_absent=("customField.setValues",))
    made = account.connector.create_candidate(ADA, account.new_application())
    assert made.application is not None
    assert set(made.application.tags.values()) == {None}
    account.switch(operations_absent=())
    assert account.connector.update_application(made.application.id, TAGS, advocate_email=ADVOCATE) is True
    assert account.tags(made.application.id) == TAGS


def test_13_the_referral_form_is_used_where_asked_for_and_gives_credit_source_and_fields(account: Account) -> None:
    made = account.connect(referral_form=True).create_candidate(ADA, account.new_application())
    assert made.application is not None
    assert (len(account.sent("referral.create")), account.sent("candidate.create")) == (1, [])
    live = account.connector.get_applications([made.application.id])[made.application.id]
    assert (live.source_name, live.referrer_id) == (SOURCE, uuid_of("users", account.user["id"]))
    assert account.tags(live.id) == TAGS
    assert made.candidate.phones == ("+14155550123",)


def test_13_without_a_form_in_the_plan_or_a_user_the_plain_way_is_taken(account: Account) -> None:
    connector = account.connect(referral_form=True)
    stranger = replace(account.new_application(), advocate_email="nobody@example.com")
    connector.create_candidate(ADA, stranger)
    account.switch(referrals=False)
    account.connect(referral_form=True).create_candidate(replace(ADA, email="b@example.com"), account.new_application())
    assert (account.sent("referral.create"), len(account.sent("candidate.create"))) == ([], 2)


def test_14_a_source_and_a_credit_that_are_set_already_stay(account: Account) -> None:
    application = account.by_hand()
    agency = next(row["id"] for row in account.store.rows("sources") if row["name"] == "Agency")
    account.act("edit_application", application, source_id=agency)
    account.connector.update_application(application, {}, advocate_email=ADVOCATE)
    live = account.connector.get_applications([application])[application]
    assert (live.source_name, live.referrer_id) == ("Agency", uuid_of("users", account.user["id"]))
    (sent,) = account.sent("application.update")
    assert sent["sendNotifications"] is False
    assert "sourceId" not in sent


def test_15_an_address_is_added_beside_the_others_and_a_number_only_where_there_is_none(account: Account) -> None:
    made = account.connector.create_candidate(replace(ADA, phone=None), account.new_application())
    add = account.connector.add_contact_details
    assert add(made.candidate.id, email="ADA@example.com", phone=None) is False
    assert add(made.candidate.id, email="ada@home.example.net", phone="+14155550123") is True
    assert add(made.candidate.id, email=None, phone="+4930123456") is False
    found = account.connector.get_candidates([made.candidate.id])[made.candidate.id]
    assert (found.emails, found.phones) == (("ada@example.com", "ada@home.example.net"), ("+14155550123",))


def test_16_a_create_whose_answer_is_lost_is_not_repeated(account: Account) -> None:
    account.lose_answer("candidate.create")
    with pytest.raises(AmbiguousOutcome):
        account.connector.create_candidate(ADA, account.new_application())
    assert len(account.sent("candidate.create")) == 1
    assert len(account.connector.search_candidates("ada@example.com")) == 1


def test_16_a_change_whose_answer_is_lost_is_read_again_before_it_is_tried_again(account: Account) -> None:
    application = account.by_hand()
    account.lose_answer("customField.setValues")
    assert account.connector.update_application(application, TAGS) is True
    assert len(account.sent("customField.setValues")) == 1
    assert len(account.sent("application.info")) == 2
    account.acts.delete_application(id_of("applications", application) or 0)
    with pytest.raises(NotFound):
        account.connector.update_application(application, TAGS)
