"""The HTTP client against real servers: what is retried, what never is, and what a failure says."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import threading
import traceback
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from referral_pipeline.connectors.http import (
    AmbiguousOutcome,
    ApiCall,
    CallRecorder,
    ClientCredentials,
    Clock,
    Conflict,
    Forbidden,
    HttpClient,
    HttpFailure,
    Invalid,
    NotApproved,
    NotFound,
    PermanentFailure,
    RateLimited,
    RetryPolicy,
    Timeouts,
    TransientFailure,
    Unauthorized,
    Unreachable,
)
from referral_pipeline_tests.unit.scripted_server import Reply, Seen, in_turn, serving


class FakeTime:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def clock(self, dice: float = 0.5) -> Clock:
        return Clock(now=lambda: self.now, monotonic=lambda: self.now, sleep=self.sleep, dice=lambda: dice)


def client_for(url: str, time: FakeTime | None = None, **more: object) -> HttpClient:
    clock = (time or FakeTime()).clock()
    return HttpClient(system="ats", base_url=url + "/v3", clock=clock, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 599])
def test_a_transient_status_is_tried_again_until_it_passes(status: int) -> None:
    with serving(in_turn(Reply(status, {}), Reply(status, raw=b"<html>"), Reply(200, [1]))) as server:
        assert client_for(server.url).get("jobs.list", "/jobs").data == [1]
        assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (405, PermanentFailure),
        (409, Conflict),
        (410, NotFound),
        (422, Invalid),
        (302, PermanentFailure),
    ],
)
def test_a_permanent_status_is_sent_once_and_has_its_own_class(status: int, kind: type[HttpFailure]) -> None:
    with serving(lambda _: Reply(status, {"message": "no"}, headers={"Location": "http://127.0.0.1:1/"})) as server:
        with pytest.raises(kind) as caught:
            client_for(server.url).get("jobs.list", "/jobs")
        assert isinstance(caught.value, PermanentFailure)
        assert caught.value.status == status
        assert len(server.seen) == 1


def test_a_write_that_is_tried_again_asks_again_whether_it_may_be_sent() -> None:
    asked: list[tuple[str, str]] = []

    def guard(system: str, operation: str) -> None:
        asked.append((system, operation))
        if len(asked) > 1:  # revoked while the first attempt was on its way
            raise NotApproved(system, operation)

    with serving(lambda _: Reply(503, {})) as server:
        client = client_for(server.url, guard=guard)
        with pytest.raises(NotApproved):
            client.call("jobs.update", "PATCH", "/jobs/1", json={})
        assert [seen.method for seen in server.seen] == ["PATCH"]
        assert asked == [("ats", "jobs.update")] * 2
        with pytest.raises(TransientFailure):
            client.get("jobs.list", "/jobs")  # what reads is not asked about
    assert len(asked) == 2


def test_attempts_are_bounded_and_grow_with_full_jitter() -> None:
    time = FakeTime()
    policy = RetryPolicy(max_attempts=5, base_seconds=1.0, cap_seconds=3.0)
    with serving(lambda _: Reply(500, {})) as server:
        with pytest.raises(TransientFailure):
            client_for(server.url, time, retry=policy).get("jobs.list", "/jobs")
        assert len(server.seen) == 5
    assert time.slept == [0.5, 1.0, 1.5, 1.5]


def test_no_wait_goes_beyond_the_deadline() -> None:
    time = FakeTime()
    with serving(lambda _: Reply(429, {}, headers={"Retry-After": "100"})) as server:
        with pytest.raises(RateLimited) as caught:
            client_for(server.url, time, retry=RetryPolicy(deadline_seconds=150)).get("jobs.list", "/jobs")
        assert len(server.seen) == 2
    assert caught.value.retry_after == 100


def test_retry_after_in_seconds_is_obeyed() -> None:
    time = FakeTime()
    with serving(in_turn(Reply(429, {}, headers={"Retry-After": "17"}), Reply(200, []))) as server:
        client_for(server.url, time).get("jobs.list", "/jobs")
    assert time.slept == [17.0]


def test_retry_after_as_a_date_is_obeyed() -> None:
    time = FakeTime()
    later = format_datetime(datetime.fromtimestamp(time.now + 40, UTC), usegmt=True)
    here = format_datetime(datetime.fromtimestamp(time.now, UTC), usegmt=True)
    with serving(in_turn(Reply(503, {}, headers={"Retry-After": later, "Date": here}), Reply(200, []))) as server:
        client_for(server.url, time).get("jobs.list", "/jobs")
    assert time.slept == [40.0]


def test_the_reset_of_the_window_is_obeyed_when_there_is_no_retry_after() -> None:
    time = FakeTime()
    headers = {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.now + 12))}
    with serving(in_turn(Reply(429, {}, headers=headers), Reply(200, []))) as server:
        client_for(server.url, time).get("jobs.list", "/jobs")
    assert time.slept == [12.0]


def test_a_reset_by_a_clock_that_is_not_ours_is_read_by_its_own_date() -> None:
    time = FakeTime()
    theirs = time.now - 5000
    headers = {
        "X-RateLimit-Limit": "5",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(int(theirs + 12)),
        "Date": format_datetime(datetime.fromtimestamp(theirs, UTC), usegmt=True),
    }
    with serving(in_turn(Reply(429, {}, headers=headers), Reply(200, []))) as server:
        client_for(server.url, time).get("jobs.list", "/jobs")
    assert time.slept == [12.0]


def test_a_truncated_answer_to_a_read_is_tried_again() -> None:
    with serving(in_turn(Reply(200, [1, 2, 3], cut=4), Reply(200, raw=b'[{"id": 1'), Reply(200, [7]))) as server:
        assert client_for(server.url).get("jobs.list", "/jobs").data == [7]


def test_a_page_that_is_no_json_is_tried_again_and_never_shown() -> None:
    html = b"<html>maria.schmidt@example.com</html>"
    answer = Reply(200, raw=html, headers={"Content-Type": "text/html"})
    with serving(lambda _: answer) as server, pytest.raises(TransientFailure) as caught:
        client_for(server.url).get("jobs.list", "/jobs")
    assert "maria" not in str(caught.value)
    assert f"{len(html)} bytes of text/html" in str(caught.value)


def test_a_reset_connection_is_tried_again_on_a_read() -> None:
    with serving(in_turn(Reply(abort=True), Reply(200, [1]))) as server:
        assert client_for(server.url).get("jobs.list", "/jobs").data == [1]


def test_a_server_that_does_not_answer_times_out() -> None:
    with serving(in_turn(Reply(hang=True), Reply(200, [1]))) as server:
        client = client_for(server.url, timeouts=Timeouts(connect=1, read=0.2))
        assert client.get("jobs.list", "/jobs").data == [1]


def test_compressed_answers_are_read() -> None:
    body = gzip.compress(json.dumps([{"id": n} for n in range(20_000)]).encode())
    with serving(lambda _: Reply(200, raw=body, headers={"Content-Encoding": "gzip"})) as server:
        assert len(client_for(server.url).get("jobs.list", "/jobs").data) == 20_000


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500, {}),
        Reply(502, raw=b"<html>"),
        Reply(408, {}),
        Reply(201, {"id": 1}, cut=3),
        Reply(abort=True),
        Reply(hang=True),
    ],
    ids=["500", "502", "408", "truncated", "reset", "timeout"],
)
def test_a_create_that_may_have_been_received_is_ambiguous_and_not_sent_again(reply: Reply) -> None:
    with serving(lambda _: reply) as server:
        client = client_for(server.url, timeouts=Timeouts(connect=1, read=0.2))
        with pytest.raises(AmbiguousOutcome) as caught:
            client.call("candidates.create", "POST", "/candidates", json={"first_name": "Ada"})
        assert isinstance(caught.value, TransientFailure)
        assert len(server.seen) == 1


@pytest.mark.parametrize("status", [425, 429])
def test_a_create_that_was_certainly_not_processed_is_sent_again(status: int) -> None:
    with serving(in_turn(Reply(status, {}), Reply(201, {"id": 1}))) as server:
        assert client_for(server.url).call("candidates.create", "POST", "/candidates", json={}).status == 201
        assert len(server.seen) == 2


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_create_that_finds_nobody_listening_is_tried_again_and_then_unreachable() -> None:
    time = FakeTime()
    client = client_for(f"http://127.0.0.1:{free_port()}", time, retry=RetryPolicy(max_attempts=3))
    with pytest.raises(Unreachable):
        client.call("candidates.create", "POST", "/candidates", json={})
    assert len(time.slept) == 2


def test_an_unknown_host_is_unreachable() -> None:
    client = HttpClient(system="ats", base_url="http://nobody.invalid", retry=RetryPolicy(max_attempts=1))
    with pytest.raises(Unreachable):
        client.get("jobs.list", "/jobs")


def test_a_post_that_is_declared_repeatable_is_retried() -> None:
    with serving(in_turn(Reply(500, {}), Reply(201, {}))) as server:
        client_for(server.url).call("recognitions.create", "POST", "/r", json={}, repeatable=True)
        assert len(server.seen) == 2


def test_a_write_answered_without_a_body_is_a_success() -> None:
    with serving(in_turn(Reply(204), Reply(200))) as server:
        client = client_for(server.url)
        assert client.call("applications.move", "POST", "/a/1/move", json={}).data is None
        assert client.call("applications.delete", "DELETE", "/a/1").data is None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_write_answered_with_an_empty_body_is_a_success_and_sent_once(method: str) -> None:
    with serving(in_turn(Reply(200, raw=b""))) as server:
        answer = client_for(server.url).call("applications.move", method, "/a/1", json={})
        assert (answer.status, answer.data, answer.next_url) == (200, None, None)
        assert len(server.seen) == 1


def test_a_read_answered_with_an_empty_body_is_tried_again_also_when_it_is_a_post() -> None:
    with serving(in_turn(Reply(200, raw=b""), Reply(200, [1]), Reply(200, raw=b""), Reply(200, [2]))) as server:
        client = client_for(server.url)
        assert client.get("jobs.list", "/jobs").data == [1]
        found = client.call("jobs.search", "POST", "/jobs/search", json={}, repeatable=True, writes=False)
        assert found.data == [2]


def test_a_next_link_is_followed_on_the_own_host_only_and_exactly_as_given() -> None:
    def answer(seen: Seen) -> Reply:
        if "cursor" in seen.query:
            return Reply(200, [2], headers={"Link": '<http://elsewhere.example/v3/jobs?cursor=x>; rel="next"'})
        return Reply(200, [1], headers={"Link": f'<{server.url}/v3/jobs?cursor=abc%3D>; rel="next"'})

    with serving(answer) as server:
        pages = client_for(server.url).pages("jobs.list", "/jobs", {"per_page": "500"})
        assert next(pages).data == [1]
        assert next(pages).data == [2]
        assert server.seen[1].query == {"cursor": "abc="}
        with pytest.raises(Invalid, match="another host"):
            next(pages)


def test_a_message_names_the_call_and_gives_no_personal_data_away() -> None:
    body = {
        "message": "Unprocessable Content",
        "errors": [
            "Candidate Mirela Osterholt already uses mirela@example.com",
            {"phone_numbers": '"+49 151 2345 6789" is taken, see +1 212-555-0147'},
            {"message": "sub eyJhbGciOiJIUzI1NiJ9abc123 is wrong", "field": "token"},
        ],
    }
    with serving(lambda _: Reply(422, body)) as server, pytest.raises(Invalid) as caught:
        client_for(server.url).call(
            "candidates.create", "POST", "/candidates", json={"first_name": "Mirela", "last_name": "Osterholt"}
        )
    text = str(caught.value)
    assert text.startswith("ats candidates.create answered 422: Unprocessable Content")
    assert "phone_numbers" in text
    for secret in ("Mirela", "Osterholt", "mirela", "2345", "555", "eyJ"):
        assert secret not in text


def test_every_attempt_is_recorded_without_content() -> None:
    calls: list[ApiCall] = []
    headers = {"X-RateLimit-Limit": "75", "X-RateLimit-Remaining": "73", "X-RateLimit-Reset": "1800000020"}
    replies = in_turn(Reply(500, {}), Reply(abort=True), Reply(200, [], headers=headers))
    with serving(replies) as server:
        client_for(server.url, recorder=calls.append).get("candidates.list", "/candidates", {"email": "a@example.com"})
    assert [(c.status, c.outcome, c.attempt, c.budget_left) for c in calls] == [
        (500, "server_error", 1, None),
        (None, "broken", 2, None),
        (200, "ok", 3, 73),
    ]
    assert all(c.system == "ats" and c.operation == "candidates.list" and c.at.tzinfo for c in calls)
    assert "example.com" not in repr(calls)


def test_one_connection_serves_many_calls() -> None:
    with serving(lambda _: Reply(200, [])) as server:
        client = client_for(server.url)
        for _ in range(20):
            client.get("jobs.list", "/jobs")
        assert server.connections == 1


def test_eight_threads_share_one_session() -> None:
    with serving(lambda seen: Reply(200, {"n": seen.query["n"]})) as server:
        client = client_for(server.url)
        wrong: list[int] = []

        def work(start: int) -> None:
            for n in range(start, start + 25):
                if client.get("jobs.list", "/jobs", {"n": str(n)}).data != {"n": str(n)}:
                    wrong.append(n)

        threads = [threading.Thread(target=work, args=(100 * i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not wrong
        assert len(server.seen) == 200
        assert server.connections <= 8


def a_call(n: int) -> ApiCall:
    return ApiCall("ats", "jobs.list", "GET", 200, "ok", n, 1, None, datetime.now(UTC))


def test_calls_are_written_in_batches_and_the_rest_on_close() -> None:
    batches: list[list[ApiCall]] = []
    recorder = CallRecorder(lambda rows: batches.append(list(rows)), flush_seconds=60)
    for n in range(450):
        recorder(a_call(n))
    recorder.close()
    assert [call.latency_ms for batch in batches for call in batch] == list(range(450))
    assert len(batches) <= 3


def test_calls_are_written_after_a_while_without_being_asked() -> None:
    written = threading.Event()
    recorder = CallRecorder(lambda _: written.set(), flush_seconds=0.05)
    recorder(a_call(1))
    assert written.wait(5)
    recorder.close()


def test_calls_that_the_store_refuses_are_logged_and_written_later(caplog: pytest.LogCaptureFixture) -> None:
    kept: list[ApiCall] = []
    refusals = [OSError("disk"), OSError("disk")]

    def write(rows: object) -> None:
        if refusals:
            raise refusals.pop()
        kept.extend(rows)  # type: ignore[arg-type]

    with caplog.at_level(logging.WARNING):
        recorder = CallRecorder(write, flush_seconds=60)
        for n in range(3):
            recorder(a_call(n))
        recorder.close()
    assert [call.latency_ms for call in kept] == [0, 1, 2]
    assert "could not be recorded yet" in caplog.text


def test_calls_that_are_lost_in_the_end_are_not_lost_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    def write(_: object) -> None:
        raise OSError("disk")

    recorder = CallRecorder(write, flush_seconds=60)
    recorder(a_call(1))
    recorder.close()
    assert "1 api calls were lost" in caplog.text


def test_a_recorder_takes_calls_from_many_threads() -> None:
    kept: list[ApiCall] = []
    recorder = CallRecorder(kept.extend, flush_rows=7, flush_seconds=0.01)
    threads = [threading.Thread(target=lambda: [recorder(a_call(n)) for n in range(200)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.close()
    assert len(kept) == 1600


def test_no_connection_leaves_no_address_in_the_error_or_behind_it() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    client = client_for(f"http://127.0.0.1:{port}", retry=RetryPolicy(max_attempts=1))
    with pytest.raises(Unreachable) as failed:
        client.get("candidates.list", "/candidates", params={"email": "ada." + "lovelace" + "@example.com"})
    told = "".join(traceback.format_exception(failed.value))
    assert "ada.lovelace" not in told
    assert "lovelace%40" not in told
    assert "no connection to" in told


# ---------------------------------------------------------------- evidence


def test_a_failure_carries_what_was_sent_and_what_came_back_and_shows_none_of_it() -> None:
    refusal = {"message": "e-mail is taken", "of": "zoe@example.com"}
    with serving(in_turn(Reply(422, refusal))) as server, pytest.raises(Invalid) as caught:
        client_for(server.url).call(
            "candidates.create",
            "POST",
            "candidates",
            params={"q": "zoe@example.com"},
            json={"email": "zoe@example.com"},
        )
    evidence = caught.value.evidence
    assert evidence is not None
    sent = {"method": "POST", "path": "/v3/candidates", "body": {"email": "zoe@example.com"}}
    assert json.loads(evidence.request) == sent
    assert evidence.response is not None
    assert json.loads(evidence.response) == {"status": 422, "body": json.dumps(refusal)}
    assert "zoe" not in repr(evidence) + str(caught.value) + repr(caught.value)


@pytest.mark.parametrize("reply", [Reply(abort=True), Reply(200, {"a": 1}, cut=3), Reply(200, raw=b"<html>zoe</html>")])
def test_an_answer_that_is_lost_or_unreadable_leaves_evidence_of_what_is_known(reply: Reply) -> None:
    with serving(in_turn(reply)) as server, pytest.raises(AmbiguousOutcome) as caught:
        client_for(server.url).call("candidates.create", "POST", "candidates", json={"a": "b"})
    evidence = caught.value.evidence
    assert evidence is not None
    assert evidence.body == {"a": "b"}
    assert (evidence.response is None) == reply.abort
    assert evidence.answer == (reply.raw or b"")


def test_evidence_keeps_the_beginning_of_a_long_answer_and_none_of_a_token_call() -> None:
    with serving(in_turn(Reply(500, raw=b"x" * 200_000))) as server, pytest.raises(TransientFailure) as caught:
        client_for(server.url, retry=RetryPolicy(max_attempts=1)).get("jobs.list", "jobs")
    assert caught.value.evidence is not None
    assert len(caught.value.evidence.answer) == 64 * 1024
    with serving(in_turn(Reply(401, {"error": "invalid_client"}))) as server:
        client = client_for(server.url, credentials=ClientCredentials(f"{server.url}/token", "an-id", "a-secret"))
        with pytest.raises(Unauthorized) as refused:
            client.get("jobs.list", "jobs")
    assert refused.value.evidence is None


# ---------------------------------------------------------------- the way out


def test_a_proxy_of_the_environment_is_told_the_whole_url(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(in_turn(Reply(200, {"ok": True}))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        client = client_for("http://ats.invalid:8080")
        assert client.get("jobs.list", "jobs", {"q": "a b"}).data == {"ok": True}
        assert proxy.targets == ["http://ats.invalid:8080/v3/jobs?q=a+b"]


def test_a_url_that_cannot_be_used_is_permanent() -> None:
    with pytest.raises(Invalid):
        client_for("http://").get("jobs.list", "jobs")


def test_a_closed_client_opens_its_connections_anew() -> None:
    with serving(in_turn(Reply(200, {}))) as server:
        client = client_for(server.url)
        client.get("jobs.list", "jobs")
        client.close()
        assert client.get("jobs.list", "jobs").status == 200


def test_no_cookie_is_kept_and_our_own_headers_are_sent() -> None:
    with serving(in_turn(Reply(200, {}, headers={"Set-Cookie": "a=b"}))) as server:
        client = client_for(server.url)
        client.get("jobs.list", "jobs")
        client.call("jobs.put", "PUT", "jobs/1", json={"ä": 1}, headers={"Idempotency-Key": "k"})
        last = server.seen[-1]
    assert "cookie" not in last.headers
    assert (last.headers["user-agent"], last.headers["accept"]) == ("referral-pipeline", "application/json")
    assert (last.headers["content-type"], last.headers["idempotency-key"]) == ("application/json", "k")
    assert "gzip" in last.headers["accept-encoding"]
    assert last.json == {"ä": 1}


@pytest.mark.parametrize(
    ("headers", "skew"),
    [
        ({"Date": 90}, 90_500),  # cut to whole seconds: half of one is added
        ({"Date": -3600}, -3_599_500),
        ({"Date": 60 * 86_400}, 2_000_000_000),  # beyond what a record holds
        ({}, None),
    ],
)
def test_how_far_the_clock_of_the_answer_is_from_ours_is_recorded(headers: dict[str, int], skew: int | None) -> None:
    time, calls = FakeTime(), []
    dates = {
        name: format_datetime(datetime.fromtimestamp(time.now + ahead, UTC), usegmt=True)
        for name, ahead in headers.items()
    }
    with serving(lambda _: Reply(200, [], headers=dates)) as server:
        client_for(server.url, time, recorder=calls.append).get("jobs.list", "/jobs")
    assert [call.clock_skew_ms for call in calls] == [skew]


def test_a_date_that_cannot_be_read_says_nothing_of_a_clock() -> None:
    calls = []
    with serving(lambda _: Reply(200, [], headers={"Date": "yesterday"})) as server:
        client_for(server.url, recorder=calls.append).get("jobs.list", "/jobs")
    assert [call.clock_skew_ms for call in calls] == [None]
