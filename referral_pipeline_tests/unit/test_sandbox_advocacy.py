"""The advocacy sandbox holds its contract over HTTP: lists, statuses, postings, recognitions, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.sandbox.advocacy.clock import stamp
from referral_pipeline.sandbox.advocacy.store import AdvocacyStore
from referral_pipeline.sandbox.advocacy.switches import Switches
from referral_pipeline_tests.unit.advocacy_server import START, Clock, Platform, platform

STATUS = {
    "status": "interviewed",
    "status_at": "2026-11-02T10:00:00Z",
    "ats": {"system": "greenhouse", "candidate_id": "51", "application_id": "62"},
}


@pytest.fixture(scope="module")
def shared() -> Iterator[Platform]:
    with platform() as made:
        yield made


@pytest.fixture
def alone() -> Iterator[Platform]:
    with platform() as made:
        yield made


def ids(answer: dict) -> list[str]:
    return [row["id"] for row in answer["data"]]


# ---------------------------------------------------------------- lists


def test_a_list_is_ordered_by_change_and_then_by_id(alone: Platform) -> None:
    first = alone.submit(id="ref_b")
    alone.submit(id="ref_a")
    alone.clock.advance(1)
    alone.submit(id="ref_0")
    assert ids(alone.get("/v1/referrals").json()) == ["ref_a", "ref_b", "ref_0"]
    alone.clock.advance(1)
    alone.act("withdraw_referral", referral_id=first["id"])
    assert ids(alone.get("/v1/referrals").json()) == ["ref_a", "ref_0", "ref_b"]


def test_updated_since_is_inclusive(alone: Platform) -> None:
    alone.submit(id="ref_old")
    alone.clock.advance(60)
    row = alone.submit(id="ref_new")
    assert ids(alone.get("/v1/referrals", updated_since=row["updated_at"]).json()) == ["ref_new"]
    later = stamp(alone.clock() + timedelta(milliseconds=1))
    assert ids(alone.get("/v1/referrals", updated_since=later).json()) == []


def test_updated_since_understands_an_offset(alone: Platform) -> None:
    alone.submit(id="ref_1")
    assert ids(alone.get("/v1/referrals", updated_since="2026-11-02T10:00:00+01:00").json()) == ["ref_1"]
    assert ids(alone.get("/v1/referrals", updated_since="2026-11-02T09:00:00-01:00").json()) == []


def test_pages_of_any_size_give_every_row_once(alone: Platform) -> None:
    expected = [alone.submit(id=f"ref_{number:02d}")["id"] for number in range(11)]
    for limit in (1, 3, 11, 500):
        found: list[str] = []
        cursor = None
        while True:
            more = {"cursor": cursor} if cursor else {}
            page = alone.get("/v1/referrals", limit=limit, **more).json()
            assert len(page["data"]) <= limit
            found += ids(page)
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert found == expected


def test_a_row_that_changes_between_two_pages_comes_again_and_none_is_lost(alone: Platform) -> None:
    for number in range(4):
        alone.submit(id=f"ref_{number}")
    page = alone.get("/v1/referrals", limit=2).json()
    alone.clock.advance(1)
    alone.act("withdraw_referral", referral_id="ref_0")
    rest = alone.get("/v1/referrals", cursor=page["next_cursor"]).json()
    assert ids(page) + ids(rest) == ["ref_0", "ref_1", "ref_2", "ref_3", "ref_0"]


def test_a_cursor_remembers_its_updated_since(alone: Platform) -> None:
    alone.submit(id="ref_old")
    alone.clock.advance(60)
    since = stamp(alone.clock())
    for number in range(3):
        alone.submit(id=f"ref_{number}")
    cursor = alone.get("/v1/referrals", updated_since=since, limit=1).json()["next_cursor"]
    assert ids(alone.get("/v1/referrals", cursor=cursor).json()) == ["ref_1", "ref_2"]
    assert alone.get("/v1/referrals", cursor=cursor, updated_since=since).status_code == 200
    other = alone.get("/v1/referrals", cursor=cursor, updated_since="2026-01-01T00:00:00Z")
    assert other.status_code == 400


def test_a_list_gives_one_hundred_rows_unless_told_otherwise(alone: Platform) -> None:
    alone.store.load("clicks", [{"id": f"clk_{number:03d}"} for number in range(101)])
    page = alone.get("/v1/clicks").json()
    assert len(page["data"]) == 100
    assert page["next_cursor"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=ten",
        "limit=-1",
        "limit=1&limit=2",
        "updated_since=yesterday",
        "updated_since=2026-11-02",
        "updated_since=2026-11-02T10:00:00",
        "updated_since=2026-13-02T10:00:00Z",
        "cursor=nonsense",
        "cursor=W10",
        "colour=red",
    ],
)
def test_a_parameter_that_is_unknown_or_out_of_range_is_a_problem_with_status_400(shared: Platform, query: str) -> None:
    answer = shared.get(f"/v1/referrals?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 400


@settings(max_examples=40, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), max_size=25), limit=st.integers(1, 5))
def test_pages_are_the_sorted_rows_whatever_changed_before(changes: list[tuple[int, int]], limit: int) -> None:
    clock = Clock()
    store = AdvocacyStore(now=clock)
    for number, (row, wait) in enumerate(changes):
        clock.advance(wait)
        if f"r{row}" in store.tables["referrals"].rows:
            store.change("referrals", f"r{row}", {"stage": str(number)})
        else:
            store.add("referrals", {"id": f"r{row}"})
    seen: list[bytes] = []
    after = None
    while True:
        rows, after = store.page("referrals", since=None, after=after, limit=limit)
        seen += rows
        if after is None:
            break
    table = store.tables["referrals"]
    expected = sorted(table.rows.values(), key=lambda row: (row["updated_at"], row["id"]))
    assert table.order == [(row["updated_at"], row["id"]) for row in expected]
    assert len(seen) == len(expected)


# ---------------------------------------------------------------- statuses


def test_a_returned_status_is_kept_and_answers_the_referral(alone: Platform) -> None:
    referral = alone.submit()
    alone.clock.advance(5)
    answer = alone.call("PATCH", f"/v1/referrals/{referral['id']}", json=STATUS)
    assert answer.status_code == 200
    row = answer.json()
    assert row == alone.get(f"/v1/referrals/{referral['id']}").json()
    assert (row["status"], row["status_at"], row["ats"]) == (
        "interviewed",
        "2026-11-02T10:00:00.000Z",
        STATUS["ats"],
    )
    assert row["updated_at"] == stamp(START + timedelta(seconds=5))


def test_the_same_status_again_changes_nothing(alone: Platform) -> None:
    referral = alone.submit()
    path = f"/v1/referrals/{referral['id']}"
    first = alone.call("PATCH", path, json=STATUS).json()
    alone.clock.advance(60)
    assert alone.call("PATCH", path, json=STATUS).json() == first


def test_a_status_older_than_the_stored_one_is_a_conflict(alone: Platform) -> None:
    path = f"/v1/referrals/{alone.submit()['id']}"
    alone.call("PATCH", path, json=STATUS)
    older = alone.call("PATCH", path, json={**STATUS, "status": "applied", "status_at": "2026-11-02T09:59:59.999Z"})
    assert older.status_code == 409
    assert alone.get(path).json()["status"] == "interviewed"


def test_of_two_statuses_of_the_same_moment_the_last_one_stands(alone: Platform) -> None:
    path = f"/v1/referrals/{alone.submit()['id']}"
    alone.call("PATCH", path, json=STATUS)
    assert alone.call("PATCH", path, json={**STATUS, "status": "offered"}).status_code == 200
    assert alone.get(path).json()["status"] == "offered"


def test_the_ats_ids_are_needed_once_they_are_known(alone: Platform) -> None:
    path = f"/v1/referrals/{alone.submit()['id']}"
    without = {key: value for key, value in STATUS.items() if key != "ats"}
    assert alone.call("PATCH", path, json=without).status_code == 200
    assert alone.call("PATCH", path, json=STATUS).status_code == 200
    refused = alone.call("PATCH", path, json=without)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/ats"


def test_the_dates_of_a_hire_go_with_the_hire(alone: Platform) -> None:
    path = f"/v1/referrals/{alone.submit()['id']}"
    hired = {**STATUS, "status": "hired", "hired_at": "2026-11-01T23:30:00-05:00", "starts_on": "2026-12-01"}
    row = alone.call("PATCH", path, json=hired).json()
    assert (row["hired_at"], row["starts_on"]) == ("2026-11-02T04:30:00.000Z", "2026-12-01")
    row = alone.call("PATCH", path, json={**STATUS, "status": "offered"}).json()
    assert (row["hired_at"], row["starts_on"]) == (None, None)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"status": "promoted"}, "/status"),
        ({"status": None}, "/status"),
        ({"status_at": "yesterday"}, "/status_at"),
        ({"status_at": 5}, "/status_at"),
        ({"ats": {"system": "greenhouse"}}, "/ats/candidate_id"),
        ({"ats": None}, "/ats"),
        ({"ats": {"system": "greenhouse", "candidate_id": 51, "application_id": "62"}}, "/ats/candidate_id"),
        ({"hired_at": "2026-11-02"}, "/hired_at"),
        ({"starts_on": "2026-02-30"}, "/starts_on"),
        ({"note": "hello"}, "/note"),
    ],
)
def test_a_value_outside_the_contract_is_422_and_points_at_itself(shared: Platform, change: dict, pointer: str) -> None:
    path = f"/v1/referrals/{shared.submit()['id']}"
    answer = shared.call("PATCH", path, json={**STATUS, **change})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert shared.get(path).json()["status"] is None


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{}", None, 415),
        (b"{", "application/json", 400),
        (b'{"status": NaN}', "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"{}", "application/json; charset=utf-8", 422),
    ],
)
def test_a_body_is_refused_for_its_kind_then_its_syntax_then_its_content(
    shared: Platform, body: bytes, content_type: str | None, status: int
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    path = f"/v1/referrals/{shared.submit()['id']}"
    answer = shared.call("PATCH", path, data=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_does_not_exist_is_404_and_a_wrong_method_405(shared: Platform) -> None:
    assert shared.get("/v1/referrals/nobody").status_code == 404
    assert shared.call("PATCH", "/v1/referrals/nobody", json=STATUS).status_code == 404
    assert shared.get("/v1/nothing").json()["title"] == "Not Found"
    wrong = shared.call("DELETE", f"/v1/referrals/{shared.submit()['id']}")
    assert wrong.status_code == 405
    assert {"GET", "PATCH"} <= set(wrong.headers["allow"].replace(" ", "").split(","))


# ---------------------------------------------------------------- postings and recognitions


def test_a_posting_is_made_once_and_then_updated(alone: Platform) -> None:
    posting = {"title": "Engineer", "status": "open", "location": "Berlin", "url": None}
    assert alone.call("PUT", "/v1/jobs/44", json=posting).status_code == 201
    answer = alone.call("PUT", "/v1/jobs/44", json={"title": "Engineer", "status": "closed"})
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["location"]) == ("closed", None)
    assert alone.call("PUT", "/v1/jobs/44", json={**posting, "status": "paused"}).status_code == 422


RESULTS = {
    "as_of": "2026-11-02T10:00:00Z",
    **dict.fromkeys(("shares", "clicks", "referrals", "applications", "interviews", "offers", "hires"), 1),
    "conversion": {"value": None, "low": None, "high": None, "maturity": "insufficient"},
    "credit": 0.5,
    "bonuses": [{"state": "pending", "amount_cents": 200_000, "currency": "USD", "count": 1}],
    "next_eligible_on": None,
}


def test_the_results_of_an_advocate_are_replaced_whole_and_never_by_older_ones(alone: Platform) -> None:
    def put(advocate: str = "adv_1", **changes: object):
        return alone.call("PUT", f"/v1/advocates/{advocate}/results", json={**RESULTS, **changes})

    first = put()
    assert (first.status_code, first.json()["hires"]) == (200, 1)
    assert put().json() == first.json()
    assert put(as_of="2026-11-02T09:59:59Z", hires=0).status_code == 409
    later = put(as_of="2026-11-02T12:00:00+01:00", hires=2, bonuses=[])
    assert (later.json()["hires"], later.json()["bonuses"], later.json()["as_of"][:19]) == (
        2,
        [],
        "2026-11-02T11:00:00",
    )
    assert put("nobody").status_code == 404
    assert len(alone.get("/_sandbox/dump").json()["results"]) == 1


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"hires": -1}, "/hires"),
        ({"hires": True}, "/hires"),
        ({"credit": "0.5"}, "/credit"),
        ({"as_of": "yesterday"}, "/as_of"),
        ({"conversion": {**RESULTS["conversion"], "value": 1.5}}, "/conversion"),
        ({"conversion": {"maturity": "mature"}}, "/conversion"),
        ({"bonuses": {}}, "/bonuses"),
        ({"bonuses": [{**RESULTS["bonuses"][0], "state": "promised"}]}, "/bonuses"),
        ({"next_eligible_on": "soon"}, "/next_eligible_on"),
        ({"name": "Ada"}, "/name"),
    ],
)
def test_results_of_the_wrong_shape_are_422_and_name_the_field(
    shared: Platform, change: dict[str, object], pointer: str
) -> None:
    answer = shared.call("PUT", "/v1/advocates/adv_1/results", json={**RESULTS, **change})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def recognise(made: Platform, key: str | None, **body: object):
    headers = {"Idempotency-Key": key} if key else {}
    return made.call("POST", "/v1/recognitions", json=body, headers=headers)


def test_the_same_key_answers_the_same_recognition_and_another_body_is_refused(alone: Platform) -> None:
    body = {"referral_id": alone.submit()["id"], "kind": "hired", "amount_cents": 0, "currency": "USD"}
    first = recognise(alone, "k1", **body)
    assert first.status_code == 201
    assert recognise(alone, "k1", **body).json() == first.json()
    assert recognise(alone, "k1", **{**body, "currency": "EUR"}).status_code == 422
    assert recognise(alone, None, **body).status_code == 400
    dump = alone.get("/_sandbox/dump").json()
    assert len(dump["recognitions"]) == 1


def test_a_rehire_is_recognised_only_after_a_reversal(alone: Platform) -> None:
    hired = {"referral_id": alone.submit()["id"], "kind": "hired", "amount_cents": 0, "currency": "USD"}
    bonus = {**hired, "kind": "bonus_eligible", "amount_cents": 200_000}
    taken_back = {**bonus, "kind": "reversed"}
    assert recognise(alone, "r0", **taken_back).status_code == 409
    assert recognise(alone, "h1", **hired).status_code == 201
    assert recognise(alone, "h2", **hired).status_code == 409
    assert recognise(alone, "b1", **bonus).status_code == 201
    assert recognise(alone, "r1", **{**taken_back, "amount_cents": 5}).status_code == 422
    assert recognise(alone, "r2", **taken_back).status_code == 201
    assert recognise(alone, "h3", **hired).status_code == 201
    assert recognise(alone, "h4", **{**hired, "amount_cents": 1}).status_code in {409, 422}
    assert recognise(alone, "h5", **{**hired, "referral_id": "ref_none"}).status_code == 422


# ---------------------------------------------------------------- rate and people


def test_more_calls_than_the_window_allows_are_429_until_retry_after_has_passed() -> None:
    with platform(Switches(rate_limit=3, rate_window_seconds=1.0)) as made:
        answers = [made.get("/v1/shares") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert made.get("/_sandbox/dump").status_code == 200
        made.call("POST", "/_sandbox/switches", json={"rate_limit": 0})
        assert made.get("/v1/shares").status_code == 200


def test_people_share_click_leave_and_are_forgotten(alone: Platform) -> None:
    share = alone.act("add_share", advocate_id="adv_1", content_id="cnt_1", reach=40)
    assert share["job_id"] == "4410000001"
    click = alone.act("add_click", share_id=share["id"])
    assert click["clicked_at"] == stamp(START)
    assert alone.act("advocate_leaves", advocate_id="adv_1")["eligible"] is False
    referral = alone.submit()
    edited = alone.act("edit_referral", referral_id=referral["id"], candidate={"phone": "+12025550123"})
    assert edited["candidate"] == {**referral["candidate"], "phone": "+12025550123"}
    assert alone.act("withdraw_consent", referral_id=referral["id"])["consent"]["granted"] is False
    assert set(alone.act("erase", referral_id=referral["id"])) == {"id", "referral_id", "erased_at"}
    assert alone.get(f"/v1/referrals/{referral['id']}").status_code == 404
    assert alone.get("/v1/referrals").json()["data"] == []


def test_an_act_that_is_unknown_or_incomplete_is_refused(shared: Platform) -> None:
    for body in ({"action": "dance"}, {}, {"action": "add_click"}, {"action": "erase", "referral_id": "ref_none"}):
        assert shared.call("POST", "/_sandbox/act", json=body).status_code in {404, 422}


def test_calls_are_counted_by_operation_and_status(alone: Platform) -> None:
    alone.call("POST", "/_sandbox/calls/reset")
    alone.get("/v1/referrals")
    alone.get("/v1/referrals", limit=0)
    alone.get("/v1/referrals/none")
    assert alone.get("/_sandbox/calls").json() == {
        "GET /v1/referrals": {"200": 1, "400": 1},
        "GET /v1/referrals/{id}": {"404": 1},
    }
