"""The invariants of Greenhouse Harvest v3 that `connectors.greenhouse` lists, one test (or more) per number."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from referral_pipeline.connectors import greenhouse_api
from referral_pipeline.connectors.http import (
    Invalid,
)
from referral_pipeline.connectors.records import Window
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests.unit.greenhouse_account import (
    ADA,
    ADVOCATE,
    START,
    TAGS,
    Account,
    account_with,
    source_id,
)


@pytest.fixture
def account() -> Iterator[Account]:
    with account_with() as one:
        yield one


# ---------------------------------------------------------------- 1


def test_1_rows_are_fetched_by_ids_of_at_most_fifty_and_absent_ones_are_left_out(account: Account) -> None:
    ids = [str(account.by_hand(f"Person{n}")["id"]) for n in range(60)]
    found = account.connector.get_applications([*ids, "9999999999", "no-number"])
    assert sorted(found) == sorted(ids)
    requests = [sent for sent in account.sent if sent.path == "applications"]
    assert [len(sent.query["ids"].split(",")) for sent in requests] == [50, 11]
    assert all(sent.path.count("/") == 0 for sent in account.sent)


def test_1_candidates_that_were_merged_away_or_deleted_are_absent(account: Account) -> None:
    kept, merged, deleted = (str(account.by_hand(name)["candidate_id"]) for name in ("A", "B", "C"))
    account.acts.merge(int(kept), int(merged))
    account.acts.delete_candidate(int(deleted))
    assert set(account.connector.get_candidates([kept, merged, deleted])) == {kept}


def test_1_jobs_are_read_live_with_department_and_public_posting(account: Account) -> None:
    job_id, department = str(account.job["id"]), account.acts.add_row("departments", {"name": "Data"})["id"]
    account.store.tables["jobs"].rows[int(job_id)]["department_id"] = department
    found = account.connector.get_jobs([job_id, "9999999999"])
    assert set(found) == {job_id}
    assert (found[job_id].status, found[job_id].department) == ("open", "Data")
    staged = account.connector.stage(
        lambda entity: [r for page in account.connector.pull(entity, Window(None, account.now)) for r in page]
    )
    assert {job.id: job for job in staged.jobs}[job_id] == found[job_id]
    assert account.connector.get_jobs(["9999999999"]) == {}


# ---------------------------------------------------------------- 2


def test_2_a_cursor_is_sent_alone_and_every_page_is_read(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greenhouse_api, "PAGE_SIZE", 2)
    ids = {account.by_hand(f"Person{n}")["candidate_id"] for n in range(5)}
    pages = list(account.connector.pull("candidates", Window(None, account.now)))
    assert [len(page) for page in pages] == [2, 2, 1]
    assert {row["id"] for page in pages for row in page} == ids
    assert [set(sent.query) for sent in account.sent] == [{"per_page"}, {"cursor"}, {"cursor"}]


def test_2_a_pull_whose_cursor_is_refused_begins_again_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greenhouse_api, "PAGE_SIZE", 2)
    with account_with(cursor_lifetime_seconds=10) as account:
        ids = {account.by_hand(f"Person{n}")["candidate_id"] for n in range(5)}
        found = set()
        for number, page in enumerate(account.connector.pull("candidates", Window(None, account.now))):
            found |= {row["id"] for row in page}
            if number == 1:
                account.sleep(60)
        assert found == ids


def test_2_a_cursor_that_is_always_refused_ends_the_pull_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greenhouse_api, "PAGE_SIZE", 2)
    with account_with(cursor_lifetime_seconds=10) as account:
        for n in range(5):
            account.by_hand(f"Person{n}")
        pages = account.connector.pull("candidates", Window(None, account.now))
        with pytest.raises(Invalid):
            deque(account.sleep(60) for _ in pages)


# ---------------------------------------------------------------- 3


def test_3_a_window_is_asked_for_on_both_sides_and_what_changes_later_waits(account: Account) -> None:
    early, late, after = (account.by_hand(name) for name in ("A", "B", "C"))
    for hours, row in ((1, early), (2, late), (3, after)):
        account.acts.edit_application(row["id"], source_id=source_id(account), at=START + timedelta(hours=hours))
    account.now = START + timedelta(hours=4)
    window = Window(START + timedelta(hours=2), START + timedelta(hours=2, minutes=30))
    assert [row["id"] for page in account.connector.pull("applications", window) for row in page] == [late["id"]]
    assert account.sent[-1].query["updated_at"] == "gte|2026-11-02T11:00:00Z|lte|2026-11-02T11:30:00Z"


def test_3_where_both_sides_are_refused_one_side_is_used_from_then_on() -> None:
    with account_with(two_sided_dates="refused") as account:
        application = account.by_hand()
        window = Window(START - timedelta(hours=1), START + timedelta(hours=1))
        for _ in range(2):
            pages = list(account.connector.pull("applications", window))
            assert [row["id"] for page in pages for row in page] == [application["id"]]
        assert [sent.query["updated_at"].count("|") for sent in account.sent] == [3, 1, 1]


# ---------------------------------------------------------------- 4


def test_4_rows_without_id_are_skipped_and_counted() -> None:
    with account_with(message_rows="every_page") as account:
        application = account.by_hand()
        pages = list(account.connector.pull("candidates", Window(None, account.now)))
        assert [row["id"] for page in pages for row in page] == [application["candidate_id"]]
        assert account.connector.skipped_rows == {"candidates": 1}
        assert len(account.connector.search_candidates("grace@example.com")) == 1


def test_4_unknown_fields_and_words_do_not_stop_anything(account: Account) -> None:
    application = account.by_hand()
    table = account.store.tables["applications"]
    table.put({**table.rows[application["id"]], "status": "on_hold", "mood": {"new": True}})
    raw = account.pulled()
    staged = account.connector.stage(lambda entity: raw[entity])
    assert staged.problems == []
    assert [(a.status, a.unmapped_stage) for a in staged.applications] == [("in_review", "status on_hold")]


def test_4_a_malformed_row_is_set_aside_without_its_content_and_the_rest_goes_on(account: Account) -> None:
    good, bad = account.by_hand("Grace"), account.by_hand("Ada")
    raw = account.pulled()
    for row in raw["applications"]:
        if row["id"] == bad["id"]:
            row["created_at"] = "yesterday, says Ada"
    staged = account.connector.stage(lambda entity: raw[entity])
    assert [a.id for a in staged.applications] == [str(good["id"])]
    (problem,) = staged.problems
    assert (problem.entity, problem.record_id, problem.field) == ("applications", str(bad["id"]), "created_at")
    assert "Ada" not in repr(problem)


# ---------------------------------------------------------------- 5


def test_5_foreign_custom_fields_survive_an_update(account: Account) -> None:
    application = account.by_hand()
    foreign = {
        "level": "Senior",
        "skills": ["Python", "SQL"],
        "salary": {"amount": 90000, "currency_code": "EUR"},
        "score": 7,
        "relocates": False,
    }
    account.acts.edit_application(application["id"], custom_fields=foreign)
    before = account.tags(application["id"])
    assert account.connector.update_application(str(application["id"]), TAGS)
    written = account.connector.get_applications([str(application["id"])])[str(application["id"])]
    assert {key: value for key, value in written.tags.items() if value} == TAGS
    after = account.tags(application["id"])
    assert {key: after[key] for key in foreign} == {key: before[key] for key in foreign}
    assert {key: after[key] for key in TAGS} == TAGS


def test_5_fields_that_the_tenant_archived_and_refuses_do_not_stop_an_update(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    application = account.by_hand()
    account.acts.edit_application(application["id"], custom_fields={"score": 7, "relocates": True})
    account.acts.archive_custom_field("score")
    assert account.connector.update_application(str(application["id"]), TAGS)
    written = account.connector.get_applications([str(application["id"])])[str(application["id"])]
    assert written.tags["referral_id"] == "ref_1"
    assert account.tags(application["id"])["relocates"] is True
    assert "refused archived custom fields" in caplog.text


def test_5_nothing_is_written_when_nothing_differs(account: Account) -> None:
    created = account.connector.create_candidate(ADA, account.new_application())
    assert created.application is not None
    before = len(account.writes())
    assert not account.connector.update_application(created.application.id, TAGS, advocate_email=ADVOCATE)
    assert len(account.writes()) == before


def test_5_a_tag_of_none_is_cleared_and_a_number_fits_its_field(account: Account) -> None:
    created = account.connector.create_candidate(ADA, account.new_application(tags={**TAGS, "clicks": "3"}))
    assert created.application is not None
    assert account.connector.update_application(created.application.id, {"share_id": None, "clicks": "12"})
    changed = account.connector.get_applications([created.application.id])[created.application.id]
    assert (changed.tags["share_id"], changed.tags["clicks"], changed.tags["referral_id"]) == (None, "12", "ref_1")
    assert account.tags(changed.id)["advocacy_clicks"] == 12
    assert not account.connector.update_application(created.application.id, {"clicks": "12.0"})


def test_5_a_value_that_does_not_fit_its_field_is_refused_before_anything_is_sent(account: Account) -> None:
    application = account.by_hand()
    with pytest.raises(Invalid, match="advocacy_clicks is defined as a number"):
        account.connector.update_application(str(application["id"]), {"clicks": "many"})
    with pytest.raises(Invalid, match="no custom field is named for the tag mood"):
        account.connector.update_application(str(application["id"]), {"mood": "good"})
    assert account.writes() == []


def test_5_contact_details_are_added_and_the_others_kept(account: Account) -> None:
    candidate = account.acts.create_candidate(
        first_name="Grace", last_name="Hopper", emails=["grace@example.com"], phones=["(415) 555-0123"]
    )
    one = str(candidate["id"])
    add = account.connector.add_contact_details
    assert add(one, email="GRACE@example.com", phone="+14155550123") is False
    assert add(one, email="g.hopper@example.org", phone="+4915123456789") is True
    row = account.row("candidates", one)
    assert [c["value"] for c in row["email_addresses"]] == ["grace@example.com", "g.hopper@example.org"]
    assert [c["value"] for c in row["phone_numbers"]] == ["(415) 555-0123", "+4915123456789"]
    assert add(one, email="g.hopper@example.org", phone=None) is False


# ---------------------------------------------------------------- 6


def test_6_no_status_filter_is_ever_sent_and_in_process_rows_are_read(account: Account) -> None:
    application = account.by_hand()
    found = account.connector.applications_of([str(application["candidate_id"])])
    assert [a.status for a in found] == [CandidateStatus.APPLIED]
    assert not any("status" in sent.query for sent in account.sent)


# ---------------------------------------------------------------- 7


def test_7_a_hire_is_dated_by_the_accepted_offer(account: Account) -> None:
    application = account.by_hand()
    account.acts.offer_create(application["id"], starts_on="2026-12-01")
    account.acts.offer_accept(application["id"], resolved_at="2026-11-05T12:00:00Z", starts_on="2026-12-15")
    account.now = START + timedelta(days=9)
    account.acts.hire(application["id"])
    hired = account.connector.get_applications([str(application["id"])])[str(application["id"])]
    assert hired.status is CandidateStatus.HIRED
    assert hired.hired_at == datetime(2026, 11, 5, 12, tzinfo=UTC)
    assert str(hired.starts_on) == "2026-12-15"


def test_7_without_an_offer_the_opening_dates_the_hire_and_without_both_nothing_does(account: Account) -> None:
    account.acts.add_opening(account.job["id"])
    with_opening, without = account.by_hand("A"), account.by_hand("B")
    account.now = START + timedelta(days=3)
    account.acts.hire(with_opening["id"])
    account.acts.close_job(account.job["id"])
    account.now = START + timedelta(days=5)
    account.acts.hire(without["id"])
    found = account.connector.get_applications([str(with_opening["id"]), str(without["id"])])
    assert found[str(with_opening["id"])].hired_at == START + timedelta(days=3)
    assert found[str(without["id"])].status is CandidateStatus.HIRED
    assert found[str(without["id"])].hired_at is None


def test_7_a_hire_that_is_undone_has_no_date_any_more(account: Account) -> None:
    application = account.by_hand()
    account.acts.offer_create(application["id"])
    account.acts.offer_accept(application["id"], resolved_at="2026-11-05T12:00:00Z")
    account.acts.hire(application["id"])
    account.acts.unhire(application["id"])
    (one,) = account.connector.get_applications([str(application["id"])]).values()
    assert (one.hired_at, one.is_open) == (None, True)


# ---------------------------------------------------------------- 8


def test_8_only_stages_that_were_entered_are_history(account: Account) -> None:
    application = account.by_hand()
    account.acts.move(application["id"], stage="Phone Screen", at=START + timedelta(days=1))
    (one,) = account.connector.get_applications([str(application["id"])]).values()
    assert len(account.store.find("application_stages", "application_id", application["id"])) == 4
    assert [(entry.stage_name, entry.status) for entry in one.history] == [
        ("Application Review", "applied"),
        ("Phone Screen", "interviewed"),
    ]
    assert one.interviewed_at == START + timedelta(days=1)
    assert one.offered_at is None


# ---------------------------------------------------------------- 9


@pytest.mark.parametrize("newer", [True, False])
def test_9_the_stage_is_found_without_the_help_of_stage_id(newer: bool) -> None:
    with account_with(newer_application_fields=newer) as account:
        application = account.by_hand()
        account.acts.move(application["id"], stage="Team Chat")
        table = account.store.tables["applications"]
        first = next(row["id"] for row in account.store.rows("job_interview_stages") if row["sort_order"] == 0)
        # An id that would mean "first stage" to whoever mistakes one id space for the other.
        table.put({**table.rows[application["id"]], "stage_id": first})
        (one,) = account.connector.get_applications([str(application["id"])]).values()
        assert (one.status, one.unmapped_stage) == ("in_review", "Team Chat")


def test_9_a_stage_that_was_added_later_is_looked_up_again(account: Account) -> None:
    application = account.by_hand()
    account.connector.get_applications([str(application["id"])])
    account.acts.add_stage(account.job["id"], "Bar Raiser")
    account.acts.move(application["id"], stage="Bar Raiser")
    (one,) = account.connector.get_applications([str(application["id"])]).values()
    assert one.unmapped_stage == "Bar Raiser"


# ---------------------------------------------------------------- 10


def test_10_a_referrer_is_found_from_address_to_user_to_referrer(account: Account) -> None:
    created = account.connector.create_candidate(ADA, account.new_application())
    assert created.application is not None
    assert created.application.referrer_id == str(account.referrer["id"])
    assert account.referrer["id"] != account.referrer["user_id"]


def test_10_a_tenant_with_many_referrers_is_asked_for_one_at_a_time(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(greenhouse_api, "PAGE_SIZE", 1)
    account.acts.add_referrer(name="Somebody Outside")
    created = account.connector.create_candidate(ADA, account.new_application())
    assert created.application is not None
    assert created.application.referrer_id == str(account.referrer["id"])


def test_10_an_advocate_who_is_no_user_or_no_referrer_leaves_the_field_empty(account: Account) -> None:
    account.acts.add_user("plain@example.com", "Plain", "User")
    for number, email in enumerate(("nobody@example.com", "plain@example.com")):
        new = account.new_application()
        candidate = type(ADA)(f"Ada{number}", "L", f"ada{number}@example.com", None)
        created = account.connector.create_candidate(candidate, type(new)(new.job_id, new.tags, email))
        assert created.application is not None
        assert created.application.referrer_id is None


def test_10_of_users_only_id_and_address_are_asked_for(account: Account) -> None:
    account.connector.create_candidate(ADA, account.new_application())
    asked = [sent.query.get("fields") for sent in account.sent if sent.path == "users"]
    assert asked
    assert set(asked) == {"id,primary_email"}


# ---------------------------------------------------------------- 11


@pytest.mark.parametrize("answer", ["wrapped", "flat"])
def test_11_both_answers_to_a_create_are_read(answer: str) -> None:
    with account_with(candidate_create_answer=answer) as account:
        created = account.connector.create_candidate(ADA, account.new_application())
        (row,) = account.store.rows("candidates")
        assert created.candidate.id == str(row["id"])
        assert created.candidate.emails == ("ada@example.com",)
        assert created.candidate.phones == ("+14155550123",)
        (application,) = account.store.rows("applications")
        assert account.tags(application["id"]) == TAGS
        if answer == "flat":
            assert created.application is None
        else:
            assert created.application is not None
            assert created.application.status is CandidateStatus.APPLIED


# ---------------------------------------------------------------- 12


def test_12_a_patch_that_answers_nothing_is_a_success(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    application = account.by_hand()
    call = account.connector._client.call

    def silent(operation: str, method: str, path: str, **more: object) -> object:
        answer = call(operation, method, path, **more)  # type: ignore[arg-type]
        return type(answer)(204, None) if method == "PATCH" else answer

    monkeypatch.setattr(account.connector._client, "call", silent)
    assert account.connector.update_application(str(application["id"]), TAGS)
    written = account.connector.get_applications([str(application["id"])])[str(application["id"])]
    assert written.tags["referral_id"] == "ref_1"


# ---------------------------------------------------------------- 15


def test_15_a_stage_named_hired_does_not_hire(account: Account) -> None:
    job = account.acts.add_job("Odd", stages=("New", "Hired"))
    application = account.by_hand(job=job)
    account.acts.move(application["id"], stage="Hired")
    connector = account.connect()
    connector._assembler._stage_map["hired"] = CandidateStatus.HIRED
    (one,) = connector.get_applications([str(application["id"])]).values()
    assert (one.status, one.unmapped_stage) == ("in_review", "Hired")


def test_raw_rows_bring_all_that_hangs_on_an_application(account: Account) -> None:
    rejected, hired = account.by_hand("A"), account.by_hand("B")
    account.acts.reject(rejected["id"], reason="THEY_REJECTED_US")
    account.acts.offer_create(hired["id"])
    account.acts.hire(hired["id"])
    rows = account.connector.raw_rows([str(rejected["id"]), str(hired["id"])])
    assert {entity: len(found) for entity, found in rows.items()} == {
        "applications": 2,
        "candidates": 2,
        "application_stages": 8,
        "offers": 1,
        "openings": 1,
        "rejection_details": 1,
    }


def test_prospects_and_converted_applications_are_left_out(account: Account) -> None:
    application = account.by_hand()
    account.acts.create_prospect(candidate_id=application["candidate_id"])
    found = account.connector.applications_of([str(application["candidate_id"])])
    assert [a.id for a in found] == [str(application["id"])]
    raw = account.pulled()
    assert [a.id for a in account.connector.stage(lambda entity: raw[entity]).applications] == [str(application["id"])]
