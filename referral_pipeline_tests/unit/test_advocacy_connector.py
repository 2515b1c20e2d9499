"""The invariants of the advocacy contract that `connectors.advocacy` lists, one test (or more) per number."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from referral_pipeline.connectors import advocacy
from referral_pipeline.connectors.advocacy import AdvocacyApiConnector
from referral_pipeline.connectors.http import (
    ApiCall,
    ClientCredentials,
    Conflict,
    HttpClient,
    Invalid,
    NotFound,
    RetryPolicy,
)
from referral_pipeline.connectors.records import (
    Advocate,
    AdvocateResults,
    AtsJob,
    BonusSum,
    Content,
    Conversion,
    Referral,
    Row,
    RowProblem,
    Share,
    StatusUpdate,
    Told,
    Window,
)
from referral_pipeline.sandbox.advocacy import clock
from referral_pipeline.sandbox.advocacy.app import create_app
from referral_pipeline.sandbox.advocacy.store import AdvocacyStore
from referral_pipeline.sandbox.advocacy.switches import Switches
from referral_pipeline.vocabulary import CandidateStatus, ReferralStage
from referral_pipeline_tests.serving import running
from referral_pipeline_tests.unit.test_http_client import free_port

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
T = "2026-11-{:02d}T09:00:00Z".format
REFERRAL: Row = {
    "id": "ref_1",
    "advocate_id": "adv_1",
    "share_id": "sh_1",
    "job_id": "4410000001",
    "campaign_tag": " spring ",
    "stage": "applied",
    "submitted_at": T(1),
    "applied_at": T(2),
    "candidate": {
        "first_name": "Zoë",
        "last_name": "Ångström",
        "email": " Zoe@Example.com ",
        "phone": "0151 23456789",
        "country": "de",
    },
    "consent": {"granted": True, "basis": "consent", "granted_at": T(1), "expires_at": None},
    "engagement": {"clicks": 3, "shares": 1, "reach": 40},
    "status": None,
    "status_at": None,
    "updated_at": "2026-11-02T09:00:00.000000Z",
}


class Platform:
    """An advocacy platform on loopback and the connector to it."""

    def __init__(self) -> None:
        door, self.root = running(name="advocacy")
        self.store = AdvocacyStore()
        self.secret = secrets.token_hex(8)
        self.switches = Switches()
        door.app = create_app(self.store, self.switches, client_id="tests", client_secret=self.secret)
        self.calls: list[ApiCall] = []
        self.connector = self.connect()

    def connect(self, *, secret: str | None = None, root: str | None = None, attempts: int = 1) -> AdvocacyApiConnector:
        root = root or self.root
        client = HttpClient(
            system="advocacy",
            base_url=root,
            credentials=ClientCredentials(f"{root}/oauth/token", "tests", secret or self.secret),
            recorder=self.calls.append,
            retry=RetryPolicy(max_attempts=attempts),
        )
        return AdvocacyApiConnector(client)

    def put(self, **changes: Any) -> Row:
        row = {**deepcopy(REFERRAL), **changes}
        self.store.load("referrals", [row])
        return row

    def pulled(self, entity: str, since: datetime | None = None, until: datetime | None = None) -> list[list[Row]]:
        return list(self.connector.pull(entity, Window(since, until or datetime.now(UTC))))


@pytest.fixture
def platform() -> Iterator[Platform]:
    one = Platform()
    yield one
    one.connector.close()


def clicks(count: int) -> list[Row]:
    return [
        {
            "id": f"c{n}",
            "share_id": "sh_1",
            "visitor_id": None,
            "clicked_at": T(1),
            "updated_at": clock.stamp(START + timedelta(minutes=n)),
        }
        for n in range(count)
    ]


def staged(**rows: list[Row]) -> Any:
    connector = AdvocacyApiConnector(HttpClient(system="advocacy", base_url="http://127.0.0.1"))
    return connector.stage(lambda entity: rows.get(entity, []))


def update(**changes: Any) -> StatusUpdate:
    values = {
        "referral_id": "ref_1",
        "status": CandidateStatus.HIRED,
        "status_at": START,
        "ats_system": "greenhouse",
        "ats_candidate_id": "5120000001",
        "ats_application_id": "6230000001",
        "hired_at": START - timedelta(days=1),
        "starts_on": date(2026, 12, 1),
    }
    return StatusUpdate(**{**values, **changes})


def test_1_every_page_is_read_in_the_order_of_change(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advocacy, "PAGE_SIZE", 3)
    platform.store.load("clicks", clicks(8))
    pages = platform.pulled("clicks")
    assert [len(page) for page in pages] == [3, 3, 2]
    assert [row["id"] for page in pages for row in page] == [f"c{n}" for n in range(8)]


def test_2_the_beginning_of_a_window_is_inclusive_and_a_pull_ends_beyond_it(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advocacy, "PAGE_SIZE", 2)
    platform.store.load("clicks", clicks(9))
    pages = platform.pulled("clicks", START + timedelta(minutes=2), START + timedelta(minutes=4))
    assert [row["id"] for page in pages for row in page] == ["c2", "c3", "c4", "c5"]


def test_2_what_changes_while_pages_are_read_is_not_lost(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advocacy, "PAGE_SIZE", 2)
    rows = clicks(5)
    platform.store.load("clicks", rows)
    seen: list[str] = []
    for number, page in enumerate(platform.connector.pull("clicks", Window(None, START + timedelta(days=1)))):
        seen += [row["id"] for row in page]
        if number == 0:
            late = clock.stamp(START + timedelta(hours=1))
            platform.store.load("clicks", [{**rows[3], "updated_at": late}])
    assert set(seen) == {f"c{n}" for n in range(5)}


def test_3_pages_are_as_large_as_the_contract_allows(platform: Platform) -> None:
    platform.store.load("clicks", clicks(1001))
    assert [len(page) for page in platform.pulled("clicks")] == [500, 500, 1]


@pytest.mark.parametrize(
    ("entity", "field", "value", "reason"),
    [
        ("referrals", "id", 7, "is no text"),
        ("referrals", "job_id", 4410000001, "is no text"),
        ("referrals", "advocate_id", " ", "is missing"),
        ("shares", "id", None, "is missing"),
    ],
)
def test_4_an_id_that_is_no_text_is_a_breach(entity: str, field: str, value: object, reason: str) -> None:
    row = {**REFERRAL, "shared_at": T(1), "reach": 0, field: value}
    found = staged(**{entity: [row]})
    assert [(p.entity, p.field, p.reason) for p in found.problems] == [(entity, field, reason)]
    assert getattr(found, entity) == []


@pytest.mark.parametrize("value", ["2026-11-02T09:00:00", "yesterday", "", 1_700_000_000, "2026-13-02T09:00:00Z"])
def test_5_a_time_without_zone_or_sense_is_a_breach(value: object) -> None:
    (problem,) = staged(referrals=[{**REFERRAL, "submitted_at": value}]).problems
    assert problem.field == "submitted_at"
    assert "yesterday" not in repr(problem)


def test_5_times_are_read_in_utc() -> None:
    (referral,) = staged(referrals=[{**REFERRAL, "applied_at": "2026-11-02T10:30:00+02:00"}]).referrals
    assert referral.applied_at == datetime(2026, 11, 2, 8, 30, tzinfo=UTC)
    assert referral.applied_at.tzinfo is UTC


@pytest.mark.parametrize(("field", "value"), [("stage", "dreaming"), ("stage", None), ("status", "ghosted")])
def test_6_a_word_outside_its_vocabulary_sets_the_row_aside(field: str, value: object) -> None:
    found = staged(referrals=[{**REFERRAL, field: value}, {**REFERRAL, "id": "ref_2"}])
    assert [(p.record_id, p.field) for p in found.problems] == [("ref_1", field)]
    assert [r.id for r in found.referrals] == ["ref_2"]


def test_7_no_consent_and_a_refused_one_are_told_apart_and_neither_is_consent() -> None:
    refused = {"granted": False, "basis": None, "granted_at": None, "expires_at": None}
    rows = [
        {**REFERRAL, "consent": None},
        {**REFERRAL, "consent": refused},
        {**REFERRAL, "consent": {"granted": "yes"}},
    ]
    found = staged(referrals=rows)
    assert found.referrals[0].consent is None
    assert found.referrals[1].consent.granted is False
    assert [p.field for p in found.problems] == ["consent.granted"]


def test_8_a_status_is_told_and_may_be_told_again(platform: Platform) -> None:
    platform.put()
    assert platform.connector.return_status(update()) is True
    assert platform.connector.return_status(update()) is True
    row = platform.store.get("referrals", "ref_1")
    assert (row["status"], row["status_at"][:19], row["ats"]["application_id"]) == (
        "hired",
        "2026-11-02T09:00:00",
        "6230000001",
    )
    assert (row["hired_at"][:10], row["starts_on"]) == ("2026-11-01", "2026-12-01")


def test_8_something_newer_that_is_known_is_an_answer_and_no_failure(platform: Platform) -> None:
    platform.put()
    assert platform.connector.return_status(update()) is True
    assert platform.connector.return_status(update(status_at=START - timedelta(seconds=1))) is False
    assert platform.store.get("referrals", "ref_1")["status"] == "hired"


def test_8_a_hire_that_is_undone_takes_its_dates_back(platform: Platform) -> None:
    platform.put()
    platform.connector.return_status(update())
    undone = update(status=CandidateStatus.OFFERED, status_at=START + timedelta(1), hired_at=None, starts_on=None)
    assert platform.connector.return_status(undone) is True
    row = platform.store.get("referrals", "ref_1")
    assert (row["status"], row.get("hired_at"), row.get("starts_on")) == ("offered", None, None)


def test_9_a_referral_that_is_gone_is_none_and_one_that_is_there_is_read_fresh(platform: Platform) -> None:
    platform.put()
    assert platform.connector.get_referral("ref/none ?") is None
    referral = platform.connector.get_referral("ref_1")
    assert referral is not None
    assert (referral.stage, referral.campaign_tag, referral.email) == (
        ReferralStage.APPLIED,
        "spring",
        "Zoe@Example.com",
    )
    assert (referral.clicks, referral.shares, referral.reach) == (3, 1, 40)
    assert "Zoe" not in repr(referral)
    assert "Zoë" not in repr(referral)


def test_9_a_fresh_row_that_breaks_the_contract_is_an_error_without_its_content(platform: Platform) -> None:
    platform.put(stage="dreaming of Zoe")
    with pytest.raises(Invalid, match="stage is none of") as caught:
        platform.connector.get_referral("ref_1")
    assert "Zoe" not in str(caught.value)


def test_10_the_same_posting_twice_is_the_same(platform: Platform) -> None:
    job = AtsJob(id="4410000001", title="Data Engineer", status="open", location="Berlin", url="https://example.com/1")
    for _ in range(2):
        platform.connector.put_job(job)
    (row,) = platform.store.dump()["jobs"]
    assert (row["id"], row["title"], row["status"], row["location"]) == (job.id, job.title, "open", "Berlin")
    platform.connector.put_job(AtsJob(id=job.id, title=job.title, status="closed"))
    (row,) = platform.store.dump()["jobs"]
    assert (row["status"], row["location"]) == ("closed", None)


def test_10_a_posting_whose_status_the_contract_does_not_know_is_not_sent(platform: Platform) -> None:
    with pytest.raises(Invalid):
        platform.connector.put_job(AtsJob(id="1", title="X", status="paused"))
    assert platform.calls == []


def test_11_a_row_in_breach_shows_field_reason_and_shape_and_the_others_go_on() -> None:
    bad = {**REFERRAL, "id": "ref_2", "candidate": "Zoë Ångström", "engagement": {"clicks": -1}}
    worse = {**REFERRAL, "id": "ref_3", "engagement": {"clicks": "many by Zoë"}}
    found = staged(referrals=[bad, worse, REFERRAL])
    assert [r.id for r in found.referrals] == ["ref_1"]
    assert [(p.record_id, p.field, p.reason) for p in found.problems] == [
        ("ref_2", "candidate", "is no object"),
        ("ref_3", "engagement.clicks", "is no count"),
    ]
    assert found.problems[0].shape.startswith("text of 12 characters")
    assert "Zo" not in repr(found.problems)


def test_11_one_row_is_read_alone_and_a_breach_is_told(platform: Platform) -> None:
    connector = platform.connector
    read = connector.referral_of(REFERRAL)
    assert isinstance(read, Referral)
    assert (read.id, read.stage) == ("ref_1", ReferralStage.APPLIED)
    assert isinstance(connector.share_of({"id": "s", "advocate_id": "a", "shared_at": T(1), "updated_at": T(1)}), Share)
    assert isinstance(connector.content_of({"id": "k", "updated_at": T(1)}), Content)
    assert isinstance(connector.advocate_of({"id": "a", "eligible": True, "updated_at": T(1)}), Advocate)
    problem = connector.advocate_of({"id": "a", "eligible": "yes", "updated_at": T(1)})
    assert isinstance(problem, RowProblem)
    assert (problem.record_id, problem.field, problem.reason) == ("a", "eligible", "is no boolean")
    assert platform.calls == []


def test_11_what_a_platform_was_told_is_read_from_the_row_and_a_breach_is_told(platform: Platform) -> None:
    ats = {"system": "greenhouse", "candidate_id": "501", "application_id": "1001"}
    dates = {"hired_at": "2026-11-20T11:00:00+02:00", "starts_on": "2026-12-01"}
    told = platform.connector.told_of({**REFERRAL, "status": "hired", "status_at": T(21), "ats": ats, **dates})
    assert isinstance(told, Told)
    assert (told.referral_id, told.status, told.starts_on) == ("ref_1", CandidateStatus.HIRED, date(2026, 12, 1))
    assert told.hired_at == datetime(2026, 11, 20, 9, tzinfo=UTC)
    assert (told.ats_system, told.ats_candidate_id, told.ats_application_id) == ("greenhouse", "501", "1001")
    nothing = platform.connector.told_of(REFERRAL)
    assert isinstance(nothing, Told)
    assert {nothing.status, nothing.hired_at, nothing.starts_on, nothing.ats_system} == {None}
    for name, value in (("starts_on", "1 Dec"), ("hired_at", "2026-11-20T11:00:00"), ("ats", "501")):
        problem = platform.connector.told_of({**REFERRAL, name: value})
        assert isinstance(problem, RowProblem)
        assert problem.field == name
        assert value not in f"{problem}"


def test_12_a_recognition_is_recorded_once_however_often_it_is_sent(platform: Platform) -> None:
    platform.store.load("referrals", [deepcopy(REFERRAL)])
    for _ in range(2):
        platform.connector.recognise("ref_1", "hired", 0, "USD", "key-1")
        platform.connector.recognise("ref_1", "bonus_eligible", 200_000, "USD", "key-2")
    rows = platform.store.dump()["recognitions"]
    assert [(row["kind"], row["amount_cents"], row["currency"]) for row in rows] == [
        ("hired", 0, "USD"),
        ("bonus_eligible", 200_000, "USD"),
    ]
    with pytest.raises(Conflict):
        platform.connector.recognise("ref_1", "hired", 0, "USD", "key-3")


def test_13_results_are_put_whole_and_later_ones_stand(platform: Platform) -> None:
    platform.store.load("advocates", [{"id": "adv_1", "eligible": True}])
    results = AdvocateResults(
        advocate_id="adv_1", as_of=START, shares=3, clicks=9, referrals=6, applications=6, interviews=3, offers=1,
        hires=1, conversion=Conversion(1 / 6, 0.03, 0.56, "mature"), credit=Decimal("5.5"),
        bonuses=(BonusSum("pending", 200_000, "USD", 1),), next_eligible_on=date(2027, 1, 4),
    )  # fmt: skip
    for _ in range(2):
        assert platform.connector.put_results(results)
    (row,) = platform.store.dump()["results"]
    assert {name: value for name, value in row.items() if name != "updated_at"} == {
        "id": "adv_1",
        "as_of": "2026-11-02T09:00:00.000Z",
        "shares": 3,
        "clicks": 9,
        "referrals": 6,
        "applications": 6,
        "interviews": 3,
        "offers": 1,
        "hires": 1,
        "conversion": {"value": 1 / 6, "low": 0.03, "high": 0.56, "maturity": "mature"},
        "credit": 5.5,
        "bonuses": [{"state": "pending", "amount_cents": 200_000, "currency": "USD", "count": 1}],
        "next_eligible_on": "2027-01-04",
    }
    assert not platform.connector.put_results(replace(results, as_of=START - timedelta(seconds=1), hires=0))
    assert platform.store.dump()["results"] == [row]
    with pytest.raises(NotFound):
        platform.connector.put_results(replace(results, advocate_id="adv/2"))


def test_a_referral_without_candidate_or_engagement_is_read_with_nothing_in_them() -> None:
    (referral,) = staged(referrals=[{**REFERRAL, "candidate": None, "engagement": None, "share_id": None}]).referrals
    assert (referral.email, referral.clicks, referral.share_id) == (None, None, None)


def test_the_small_tables_are_read() -> None:
    found = staged(
        advocates=[{"id": "a", "email": "a@example.com", "department": "IT", "eligible": True, "updated_at": T(1)}],
        content=[{"id": "k", "title": "Join us", "campaign_tag": "spring", "job_id": None, "updated_at": T(1)}],
        shares=[{"id": "s", "advocate_id": "a", "content_id": "k", "shared_at": T(1), "reach": 5, "updated_at": T(1)}],
        clicks=[{"id": "c", "share_id": "s", "visitor_id": "v", "clicked_at": T(1), "updated_at": T(1)}],
    )
    assert found.problems == []
    assert [len(rows) for rows in (found.advocates, found.content, found.shares, found.clicks)] == [1, 1, 1, 1]
    assert "a@example.com" not in repr(found.advocates)


def test_a_platform_that_is_ready_unreachable_or_refuses_is_told_apart(platform: Platform) -> None:
    assert [finding.ok for finding in platform.connector.probe()] == [True, True]
    (away,) = platform.connect(root=f"http://127.0.0.1:{free_port()}").probe()
    assert (away.key, away.ok, bool(away.mend)) == ("advocacy.base_url", False, True)
    (refused,) = platform.connect(secret="wrong-secret-of-somebody").probe()
    assert (refused.key, refused.ok) == ("advocacy.client_id_env", False)
    assert "wrong-secret" not in repr(refused)
