"""The connector for Radancy keeps each of its numbered invariants, against a real server of the sandbox."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from referral_pipeline.connectors.build import Build, ConnectorError
from referral_pipeline.connectors.failures import Conflict, Invalid, NotFound, TransientFailure, Unauthorized
from referral_pipeline.connectors.radancy import build
from referral_pipeline.connectors.radancy_pages import MOST_READINGS
from referral_pipeline.connectors.records import (
    AdvocateResults,
    AtsJob,
    Consent,
    Conversion,
    Referral,
    RowProblem,
    StatusUpdate,
)
from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.scaffold import LOCAL_SANDBOX, integration_yaml
from referral_pipeline.contract.systems import lacking
from referral_pipeline.sandbox.credentials import RADANCY_CLIENT_ID, RADANCY_CLIENT_SECRET, SECRETS
from referral_pipeline.sandbox.radancy.ids import id_of
from referral_pipeline.settings import load_settings
from referral_pipeline.vocabulary import CandidateStatus, ReferralStage, Side
from referral_pipeline_tests.unit.radancy_account import ADVOCATE, DECLARED, LEFT, START, Tenant

JOB = AtsJob(id="4410000001", title="Porter", status="open", location="Lyon", url="https://jobs.example.com/1")
NOBODY = id_of("referrals", "nobody")


@pytest.fixture
def tenant() -> Iterator[Tenant]:
    one = Tenant()
    yield one
    one.connector.close()


def update(referral_id: str, status: CandidateStatus, starts_on: date | None = None) -> StatusUpdate:
    return StatusUpdate(referral_id, status, START, "greenhouse", "1", "2", None, starts_on)


def referral(tenant: Tenant, referral_id: str) -> Referral:
    found = tenant.connector.get_referral(referral_id)
    assert found is not None
    return found


# ---------------------------------------------------------------- reading


def test_1_a_token_is_had_with_key_secret_and_scope(tenant: Tenant):
    tenant.pull("advocates")
    (asked,) = tenant.tokens
    assert asked.headers["authorization"] == "Basic " + (
        base64.b64encode(f"{RADANCY_CLIENT_ID}:{RADANCY_CLIENT_SECRET}".encode()).decode()
    )
    assert set(asked.body.split("&")) == {"grant_type=client_credentials", "scope=read+write"}


def test_1_a_wrong_secret_and_a_scope_that_nobody_knows_are_refused(tenant: Tenant):
    for other in (tenant.connect(secret="wrong"), tenant.connect(scope="everything")):
        with pytest.raises(Unauthorized):
            other.get_referral(NOBODY)
        other.close()


def test_2_all_pages_are_read_oldest_application_first(tenant: Tenant):
    made = [tenant.refer() for _ in range(203)]
    assert [row["id"] for row in tenant.pull("referrals")] == made
    asked = [one.query for one in tenant.sent if one.path == "applications"]
    assert [one["offset"] for one in asked] == ["0", "99", "198"]
    assert {(one["limit"], one["sort"], one["expand"]) for one in asked} == {
        ("100", "applicationDate,asc", "applicant,job")
    }


def readings(tenant: Tenant, path: str = "applications") -> int:
    return len([one for one in tenant.sent if one.path == path and one.query["offset"] == "0"])


def between_pages(tenant: Tenant, do: Callable[[], Any]) -> None:
    """Something happens once, between the first page and the second."""
    waiting = [do]
    tenant.before_each(lambda sent: waiting.pop()() if waiting and sent.query.get("offset", "0") != "0" else None)


def test_2_a_list_that_shrinks_while_it_is_read_is_read_again(tenant: Tenant):
    made = [tenant.refer() for _ in range(150)]
    between_pages(tenant, lambda: tenant.act("erase", referral_id=made[0]))
    assert {row["id"] for row in tenant.pull("referrals")} >= set(made[1:])
    assert readings(tenant) == 2


@pytest.mark.parametrize("leaves", [0, 50, 99])
def test_2_one_that_leaves_while_another_enters_hides_no_third(tenant: Tenant, leaves: int):
    made = [tenant.refer() for _ in range(150)]

    def swap() -> None:
        tenant.act("erase", referral_id=made[leaves])
        made.append(tenant.refer())

    between_pages(tenant, swap)
    pulled = {row["id"] for row in tenant.pull("referrals")}
    assert pulled == set(made)
    assert readings(tenant) == 2


def test_2_one_that_enters_above_hides_nothing_and_costs_nothing(tenant: Tenant):
    names = [f"u{number:03}" for number in range(150)]
    more = [{**tenant.store.get("advocates", ADVOCATE), "id": name} for name in names]
    tenant.store.load("advocates", [*tenant.store.tables["advocates"].rows.values(), *more])
    between_pages(tenant, lambda: tenant.store.tables["advocates"].rows.update({"0": {**more[0], "id": "0"}}))
    assert {row["id"] for row in tenant.pull("advocates")} >= {ADVOCATE, LEFT, *names}
    assert readings(tenant, "users") == 1


def test_2_a_list_that_never_stands_still_is_no_whole_one(tenant: Tenant):
    made = [tenant.refer() for _ in range(120)]

    def erase(sent: Any) -> None:
        if sent.query.get("offset", "0") != "0":
            tenant.act("erase", referral_id=made.pop())

    tenant.before_each(erase)
    with pytest.raises(TransientFailure, match="still"):
        tenant.pull("referrals")
    assert readings(tenant) == MOST_READINGS


def test_3_a_window_reads_everything_all_the_same(tenant: Tenant):
    first = tenant.refer()
    tenant.now += timedelta(days=3)
    from referral_pipeline.connectors.records import Window

    window = Window(tenant.now - timedelta(hours=1), tenant.now)
    assert [row["id"] for page in tenant.connector.pull("referrals", window) for row in page] == [first]


def test_4_the_job_of_a_referral_is_the_ats_s_by_its_reference_number(tenant: Tenant):
    referral_id = tenant.refer(job="4410000007")
    (row,) = tenant.pull("referrals")
    found = tenant.connector.referral_of(row)
    assert isinstance(found, Referral)
    assert found.job_id == "4410000007"
    fresh = tenant.connect()
    assert fresh.get_referral(referral_id) == found
    fresh.close()


def looked_up(tenant: Tenant) -> int:
    return len([one for one in tenant.sent if one.method == "GET" and one.path.startswith("jobs/")])


def show_reference(tenant: Tenant, reference: str | None, status: str = "ACTIVE_PUBLISHED") -> None:
    """Whatever is known of the job 4410000002, it is shown with this reference."""

    def show(sent: Any) -> None:
        if sent.path.startswith("jobs"):
            tenant.account.job(id_of("jobs", "4410000002")).update(referenceNumber=reference, status=status)

    tenant.before_each(show)


def test_4_a_reference_that_is_given_afterwards_is_seen_at_once(tenant: Tenant):
    referral_id = tenant.refer(job="4410000002")
    tenant.account.job_of("4410000002")
    show_reference(tenant, None)
    with pytest.raises(Invalid, match="referenceNumber"):
        tenant.connector.get_referral(referral_id)
    show_reference(tenant, "4410000003")
    assert referral(tenant, referral_id).job_id == "4410000003"


def test_4_a_reference_is_believed_for_five_minutes(tenant: Tenant):
    referral_id = tenant.refer(job="4410000002")
    assert referral(tenant, referral_id).job_id == "4410000002"
    show_reference(tenant, "4410000003")
    tenant.now += timedelta(minutes=5) - timedelta(seconds=1)
    assert (referral(tenant, referral_id).job_id, looked_up(tenant)) == ("4410000002", 1)
    tenant.now += timedelta(seconds=1)
    assert (referral(tenant, referral_id).job_id, looked_up(tenant)) == ("4410000003", 2)


def test_4_a_pull_tells_of_the_list_that_it_read_and_asks_once_for_a_job_that_is_not_in_it(tenant: Tenant):
    for job in ("4410000001", "4410000002", "4410000002", "4410000002"):
        tenant.refer(job=job)
        tenant.account.job_of(job)
    show_reference(tenant, None, "DELETED")
    rows = tenant.pull("referrals")
    assert [row["job"]["referenceNumber"] for row in rows] == ["4410000001", None, None, None]
    assert looked_up(tenant) == 1


def test_5_what_cannot_be_read_is_set_aside_by_field_and_shape_and_the_others_go_on(tenant: Tenant):
    good, orphan, unnumbered = tenant.refer(), tenant.refer(), tenant.refer(job="4410000002")
    tenant.account.job_of("4410000002")["referenceNumber"] = None
    rows = {row["id"]: row for row in tenant.pull("referrals")}
    del rows[orphan]["referrer"]
    rows["odd"] = {**rows[good], "id": "odd", "status": "SOMEHOW", "applicationDate": "yesterday"}
    staged = tenant.connector.stage(lambda entity: list(rows.values()) if entity == "referrals" else [])
    assert [one.id for one in staged.referrals] == [good]
    problems = {one.record_id: (one.field, one.reason, one.shape) for one in staged.problems}
    assert problems == {
        orphan: ("referrer", "is missing", "nothing"),
        unnumbered: ("job.referenceNumber", "is missing", "nothing"),
        "odd": ("status", "cannot be read", "text of 7 characters (letters)"),
    }


def test_6_an_application_is_a_referral_with_what_the_platform_tells_and_nothing_else(tenant: Tenant):
    referral_id = tenant.refer(share_id=id_of("shares", "s"), campaign_tag="spring")
    assert referral(tenant, referral_id) == Referral(
        id=referral_id,
        advocate_id=ADVOCATE,
        share_id=None,
        job_id="4410000001",
        campaign_tag=None,
        stage=ReferralStage.APPLIED,
        submitted_at=tenant.now,
        applied_at=tenant.now,
        first_name="Ada",
        last_name="Lovelace",
        email="ada@example.com",
        phone="01 99 00 12 34",
        country="FR",
        consent=Consent(True, DECLARED.consent_basis, tenant.now, None),
        clicks=None,
        shares=None,
        reach=None,
        status=CandidateStatus.IN_REVIEW,
        status_at=None,
        ats_candidate_id=None,
        ats_application_id=None,
        updated_at=tenant.now,
        is_ended=False,
    )


def test_6_a_user_is_an_advocate_and_one_who_left_is_not_eligible(tenant: Tenant):
    found = {one.id: one for one in tenant.connector.stage(lambda e: tenant.pull(e)).advocates}
    assert (found[ADVOCATE].eligible, found[ADVOCATE].department) == (True, "Sales")
    assert found[LEFT].eligible is False
    assert all(one.joined_at is None and one.left_at is None for one in found.values())


def test_7_who_only_clicked_or_did_not_agree_is_no_application_and_a_closed_one_is_ended(tenant: Tenant):
    tenant.refer(stage="clicked", applied_at=None)
    tenant.refer(consent=None)
    closed = tenant.refer()
    tenant.act("withdraw_referral", referral_id=closed)
    (row,) = tenant.pull("referrals")
    found = tenant.connector.referral_of(row)
    assert isinstance(found, Referral)
    assert (found.id, found.is_ended, found.stage) == (closed, True, ReferralStage.APPLIED)


def test_what_is_gone_or_can_be_no_id_is_none(tenant: Tenant):
    assert tenant.connector.get_referral(NOBODY) is None
    assert tenant.connector.referral_row("ping") is None


# ---------------------------------------------------------------- statuses


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (CandidateStatus.REJECTED, {"value": "CLOSED", "closeReason": "CANDIDATE_REJECTED"}),
        (CandidateStatus.WITHDRAWN, {"value": "CLOSED", "closeReason": "CANDIDATE_WITHDRAWN"}),
        (CandidateStatus.HIRED, {"value": "HIRED", "payReward": False, "firstDayOfWork": "2027-01-04"}),
    ],
)
def test_8_an_end_is_told_once_and_a_repeat_sends_nothing(tenant: Tenant, status: CandidateStatus, body: Any):
    referral_id = tenant.refer()
    for _ in range(2):
        day = date(2027, 1, 4) if status is CandidateStatus.HIRED else None
        assert tenant.connector.return_status(update(referral_id, status, day))
    assert tenant.writes() == [("PUT", f"applications/{referral_id}/status", body)]


def test_8_what_is_in_progress_is_told_nothing_until_it_has_to_be_opened_again(tenant: Tenant):
    referral_id = tenant.refer()
    for status in (CandidateStatus.APPLIED, CandidateStatus.INTERVIEWED, CandidateStatus.OFFERED):
        assert tenant.connector.return_status(update(referral_id, status))
    assert tenant.writes() == []
    tenant.connector.return_status(update(referral_id, CandidateStatus.REJECTED))
    tenant.connector.return_status(update(referral_id, CandidateStatus.INTERVIEWED))
    assert tenant.writes()[-1][2] == {"value": "IN_PROGRESS"}
    assert referral(tenant, referral_id).status is CandidateStatus.IN_REVIEW


def test_8_a_status_of_what_is_gone_is_not_found(tenant: Tenant):
    with pytest.raises(NotFound):
        tenant.connector.return_status(update(NOBODY, CandidateStatus.REJECTED))
    assert tenant.writes() == []


def test_9_a_hire_whose_first_day_is_not_known_is_told_without_one(tenant: Tenant):
    referral_id = tenant.refer()
    tenant.connector.return_status(update(referral_id, CandidateStatus.HIRED))
    assert tenant.writes()[0][2] == {"value": "HIRED", "payReward": False}


# ---------------------------------------------------------------- rewards


def recognise(tenant: Tenant, referral_id: str, kind: str, starts_on: date | None = None) -> None:
    tenant.connector.recognise(referral_id, kind, 200_000, "USD", f"key:{kind}", starts_on=starts_on)


def hired(tenant: Tenant) -> str:
    referral_id = tenant.refer()
    tenant.connector.return_status(update(referral_id, CandidateStatus.HIRED, date(2026, 8, 1)))
    return referral_id


def test_9_the_reward_is_let_go_when_the_bonus_is_eligible_and_taken_back_when_it_is_reversed(tenant: Tenant):
    referral_id = hired(tenant)
    recognise(tenant, referral_id, "hired")
    assert tenant.row(referral_id)["pay_reward"] is False
    recognise(tenant, referral_id, "bonus_eligible", date(2026, 8, 1))
    assert tenant.writes()[-1][2] == {"value": "HIRED", "payReward": True, "firstDayOfWork": "2026-08-01"}
    recognise(tenant, referral_id, "reversed")
    assert tenant.writes()[-1][2] == {"value": "HIRED", "payReward": False}
    assert tenant.row(referral_id)["starts_on"] == "2026-08-01"


def test_10_what_was_paid_is_not_taken_back_here_and_not_told_again(tenant: Tenant):
    referral_id = hired(tenant)
    recognise(tenant, referral_id, "bonus_eligible")
    assert tenant.account.pay_rewards() == [referral_id]
    before = tenant.writes()
    recognise(tenant, referral_id, "bonus_eligible")
    with pytest.raises(Conflict, match="by hand"):
        recognise(tenant, referral_id, "reversed")
    assert tenant.writes() == before


def test_10_with_a_hire_that_is_undone_its_reward_is_off_and_none_is_let_go_without_a_hire(tenant: Tenant):
    referral_id = hired(tenant)
    recognise(tenant, referral_id, "bonus_eligible")
    tenant.connector.return_status(update(referral_id, CandidateStatus.OFFERED))
    before = tenant.writes()
    recognise(tenant, referral_id, "reversed")
    assert tenant.row(referral_id)["pay_reward"] is False
    with pytest.raises(Conflict, match="not hold the application as hired"):
        recognise(tenant, referral_id, "bonus_eligible")
    with pytest.raises(NotFound):
        recognise(tenant, NOBODY, "reversed")
    assert tenant.writes() == before


def test_results_have_no_place_and_nobody_is_asked_to_take_them(tenant: Tenant):
    assert "results" in lacking("radancy")
    results = AdvocateResults(
        ADVOCATE, datetime.now(UTC), 0, 0, 0, 0, 0, 0, 0, Conversion(None, None, None, "immature"), Decimal(0)
    )
    with pytest.raises(Invalid, match="no place"):
        tenant.connector.put_results(results)
    assert tenant.sent == []


def test_rows_of_kinds_that_the_platform_does_not_have_are_problems(tenant: Tenant):
    assert isinstance(tenant.connector.share_of({"id": "s"}), RowProblem)
    assert isinstance(tenant.connector.content_of({"id": "c"}), RowProblem)
    assert set(tenant.connector.entities) == {"advocates", "referrals"}


# ---------------------------------------------------------------- jobs


def test_11_an_open_job_is_made_once_and_published(tenant: Tenant):
    for _ in range(2):
        tenant.connector.put_job(JOB)
    (made,) = tenant.account.jobs.values()
    assert (made["title"], made["referenceNumber"], made["status"]) == ("Porter", JOB.id, "ACTIVE_PUBLISHED")
    assert made["careerSiteUrl"] == JOB.url
    assert [write[0] for write in tenant.writes()] == ["POST", "PUT"]


def test_11_a_job_that_was_made_and_not_published_is_found_again(tenant: Tenant):
    def refuse(sent: Any) -> None:
        tenant.switches.operations_absent = ("PUT /jobs/{id}/status",)

    tenant.before_each(refuse)
    with pytest.raises(NotFound):
        tenant.connector.put_job(JOB)
    tenant.before_each(lambda sent: None)
    tenant.switches.operations_absent = ()
    tenant.connector.put_job(JOB)
    assert [job["status"] for job in tenant.account.jobs.values()] == ["ACTIVE_PUBLISHED"]


def test_11_an_update_leaves_what_people_set_and_a_closed_job_that_was_never_there_is_not_made(tenant: Tenant):
    tenant.account.load_jobs([JOB.id], {JOB.id: "Somebody"})
    (job,) = tenant.account.jobs.values()
    job |= {"hot": True, "description": "<p>Lift things</p>", "jobPostingUrl": "https://x.example.com/?a=1"}
    tenant.connector.put_job(replace(JOB, title="P" * 300, status="closed"))
    assert (job["title"], job["status"]) == ("P" * 255, "ACTIVE_CLOSED")
    kept = (job["hot"], job["description"], job["jobPostingUrl"])
    assert kept == (True, "<p>Lift things</p>", "https://x.example.com/?a=1")
    tenant.connector.put_job(replace(JOB, id="4410000009", status="closed"))
    assert len(tenant.account.jobs) == 1
    tenant.connector.put_job(replace(JOB, title="P" * 300))
    assert job["status"] == "ACTIVE_PUBLISHED"
    tenant.connector.put_job(replace(JOB, title="Porter", url=None))
    assert (job["title"], job["careerSiteUrl"]) == ("Porter", JOB.url)


# ---------------------------------------------------------------- the contract, and looking


def built(text: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return build(Build(parse_contract(text), load_settings(), Side.ADVOCACY))


SANDBOX = integration_yaml(replace(LOCAL_SANDBOX, advocacy="radancy"))


def test_12_the_sandbox_s_contract_declares_what_the_platform_cannot_say(monkeypatch: pytest.MonkeyPatch):
    built(SANDBOX, monkeypatch).close()


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('consent_basis: "sandbox: invented people accept', "#", "advocacy.options.consent_basis"),
        ("country: FR", "country: BR", "advocacy.options.residency.country"),
        ("country: FR", 'country: ""', "advocacy.options.residency.country"),
        ('basis: "sandbox: invented people of one country"', 'basis: " "', "advocacy.options.residency.basis"),
        ('webhook_addresses: ["127.0.0.1", "::1"]', "webhook_addresses: [here]", "advocacy.options.webhook_addresses"),
        (
            'webhook_addresses: ["127.0.0.1", "::1"]',
            "webhook_addresses: [0.0.0.0/0]",
            "advocacy.options.webhook_addresses",
        ),
        (
            'webhook_addresses: ["127.0.0.1", "::1"]',
            'webhook_addresses: ["::/0"]',
            "advocacy.options.webhook_addresses",
        ),
        ('webhook_addresses: ["127.0.0.1", "::1"]', "webhook_addresses: []", "advocacy.options.webhook_addresses"),
        ("split: payee}", "split: credit}", "rules.bonus.split"),
        (
            'company_id: "0d9c3a2e-6f5b-4e1a-9c47-1b2f60a7d301"',
            'company_id: "00000000-0000-0000-0000-000000000000"',
            "advocacy.options.company_id",
        ),
    ],
)
def test_12_what_is_not_declared_is_refused_with_its_key(old: str, new: str, key: str, monkeypatch: pytest.MonkeyPatch):
    assert old in SANDBOX
    with pytest.raises(ConnectorError) as refused:
        built(SANDBOX.replace(old, new), monkeypatch)
    assert refused.value.key == key


def test_12_without_a_rule_of_consent_none_is_declared_and_none_is_made_up(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
):
    text = SANDBOX.replace("require_consent: on", "require_consent: off").replace(
        'consent_basis: "sandbox: invented people accept', "#"
    )
    connector = built(text, monkeypatch)
    tenant.refer()
    (row,) = tenant.pull("referrals")
    found = connector.referral_of(row)
    assert isinstance(found, Referral)
    assert found.consent is None
    connector.close()


def test_a_look_tells_once_what_the_platform_cannot_do_and_writes_nothing(tenant: Tenant):
    tenant.refer()
    findings = tenant.connector.probe()
    assert all(one.ok for one in findings)
    assert "no place for" in findings[-1].found
    assert tenant.writes() == []


def test_a_look_names_what_is_wrong(tenant: Tenant):
    strangers = {"department": NOBODY, "contact_person": NOBODY}
    for other, key in (
        (tenant.connect(secret="wrong"), "advocacy.client_id_env"),
        (tenant.connect(company=NOBODY), "advocacy.options.company_id"),
        (tenant.connect(**strangers), "advocacy.options.job_defaults.department"),
    ):
        wrong = [one for one in other.probe() if not one.ok]
        assert wrong[0].key == key
        assert wrong[0].mend
        other.close()
