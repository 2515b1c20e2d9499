"""Mirror, heartbeats, breakers, figures, recognitions, alerts, links: what the lane reads and leaves in the ledger."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from referral_pipeline.connectors.calls import ApiCall
from referral_pipeline.ledger.store import (
    BreakerState,
    DeliveryIntent,
    IdentityKey,
    Ledger,
    Link,
    MirrorRow,
    Recognition,
)
from referral_pipeline_tests.unit.ledger_databases import BACKENDS, NOW, Clock, fresh_url


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield from fresh_url(request.param, tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(url: str, tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    with Ledger.open(url, home=tmp_path, clock=clock) as opened:
        yield opened


# ---------------------------------------------------------------- mirror


def _row(record_id: str = "1", seconds: float = 0, body: bytes = b"sealed", owner: str | None = "c1") -> MirrorRow:
    return MirrorRow("greenhouse", "applications", record_id, NOW + timedelta(seconds=seconds), owner, body)


def test_a_mirrored_row_is_replaced_by_a_newer_one_and_never_by_an_older(ledger: Ledger) -> None:
    assert ledger.save_mirror([_row(), _row("2", owner=None)]) == 2
    assert ledger.save_mirror([_row(seconds=-1, body=b"old"), _row("2", seconds=1, body=b"new")]) == 1
    assert ledger.save_mirror([_row(body=b"same time, later call")]) == 1
    assert ledger.save_mirror([]) == 0
    rows = ledger.mirror("greenhouse", "applications", ["1", "2", "3"])
    assert {key: row.body for key, row in rows.items()} == {"1": b"same time, later call", "2": b"new"}
    assert "new" not in repr(rows)


def test_mirrored_rows_are_found_by_their_owner_counted_and_forgotten(ledger: Ledger) -> None:
    ledger.save_mirror([_row("1"), _row("2"), _row("3", owner="c2"), replace(_row("9"), entity="offers")])
    assert [row.record_id for row in ledger.mirror_of_owner("greenhouse", "applications", ["c1", "c7"])] == ["1", "2"]
    assert ledger.mirror_count("greenhouse", "applications") == 3
    assert ledger.forget_mirror("greenhouse", "applications", ["1", "9"]) == 1
    assert ledger.mirror_count("greenhouse", "applications") == 2
    assert ledger.mirror_count("greenhouse", "offers") == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    calls=st.lists(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), min_size=1, max_size=4), max_size=6)
)
def test_in_whatever_order_rows_come_the_newest_stands(ledger: Ledger, calls: list[list[tuple[str, int]]]) -> None:
    ledger.forget_mirror("greenhouse", "applications", "ab")
    expected: dict[str, tuple[int, bytes]] = {}
    for number, call in enumerate(calls):
        ledger.save_mirror([_row(key, at, f"{number}.{place}".encode()) for place, (key, at) in enumerate(call)])
        for place, (key, at) in enumerate(call):
            if key not in expected or at >= expected[key][0]:
                expected[key] = (at, f"{number}.{place}".encode())
    found = ledger.mirror("greenhouse", "applications", "ab")
    assert {key: row.body for key, row in found.items()} == {key: body for key, (_, body) in expected.items()}


# ---------------------------------------------------------------- heartbeats, breakers, figures


def test_heartbeats_of_a_name_come_newest_first_until_they_are_forgotten(ledger: Ledger, clock: Clock) -> None:
    ledger.beat("lane", "a", address="127.0.0.1:1", details={"run_id": "r1"})
    ledger.beat("receiver", "x")
    clock.tick(1)
    ledger.beat("lane", "b")
    assert [(beat.owner, beat.address, beat.details) for beat in ledger.heartbeats("lane")] == [
        ("b", None, {}),
        ("a", "127.0.0.1:1", {"run_id": "r1"}),
    ]
    clock.tick(1)
    ledger.beat("lane", "a", details={"run_id": "r2"})
    assert next((beat.owner, beat.at) for beat in ledger.heartbeats("lane")) == ("a", clock())
    ledger.forget_heartbeat("lane", "a")
    assert [beat.owner for beat in ledger.heartbeats("lane")] == ["b"]


def test_the_last_state_of_each_breaker_is_kept(ledger: Ledger) -> None:
    opened = BreakerState("greenhouse", "open", NOW, NOW + timedelta(seconds=10), 5, "unreachable")
    ledger.save_breaker(opened)
    ledger.save_breaker(replace(opened, system="advocacy"))
    closed = replace(opened, state="closed", retry_at=None, failures=0, reason="")
    ledger.save_breaker(closed)
    assert ledger.breakers() == [replace(opened, system="advocacy"), closed]


def test_figures_add_up_across_threads(ledger: Ledger) -> None:
    threads = [
        threading.Thread(target=ledger.add_counts, args=({"reconcile.missed.greenhouse": 2, "b": -1},))
        for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.add_counts({})
    assert ledger.counts() == {"reconcile.missed.greenhouse": 20, "b": -10}


def test_old_calls_are_pruned_and_young_ones_kept(ledger: Ledger) -> None:
    assert ledger.prune_calls(NOW) == 0
    calls = [ApiCall("greenhouse", "list", "GET", 200, "ok", 1, 1, None, NOW + timedelta(days=n)) for n in range(4)]
    ledger.record_calls(calls)
    assert ledger.prune_calls(NOW + timedelta(days=2)) == 2
    assert ledger.calls() == calls[2:]


# ---------------------------------------------------------------- recognitions


def _recognition(key: str = "R1:9:1:hired", referral_id: str = "R1", application_id: str = "9") -> Recognition:
    return Recognition(key, referral_id, "A1", "greenhouse", application_id, 1, "hired", 0, "USD", "pending", NOW)


def test_a_recognition_is_begun_once_and_keeps_what_it_was_begun_with(ledger: Ledger) -> None:
    first = _recognition()
    assert ledger.begin_recognition(first) == first
    ledger.settle_recognition(first.key, "sent")
    assert ledger.begin_recognition(replace(first, amount_cents=7)) == replace(first, state="sent", sent_at=NOW)


def test_a_recognition_that_fails_says_why_and_one_that_was_never_begun_is_an_error(ledger: Ledger) -> None:
    ledger.begin_recognition(_recognition())
    ledger.settle_recognition("R1:9:1:hired", "dead", "422 " * 1000)
    (found,) = ledger.recognitions()
    assert (found.state, found.sent_at, len(found.last_error or "")) == ("dead", None, 2000)
    with pytest.raises(LookupError, match="R7"):
        ledger.settle_recognition("R7", "sent")


def test_recognitions_are_found_by_referral_application_and_state(ledger: Ledger) -> None:
    for key, referral, application in (("a", "R1", "9"), ("b", "R1", "8"), ("c", "R2", "9")):
        ledger.begin_recognition(_recognition(key, referral, application))
    ledger.settle_recognition("c", "sent")

    def keys(**asked: object) -> list[str]:
        return [one.key for one in ledger.recognitions(**asked)]  # type: ignore[arg-type]

    assert keys() == ["a", "b", "c"]
    assert keys(referral_ids=["R1"], application_ids=["9"]) == ["a"]
    assert keys(application_ids=["9"], state="pending") == ["a"]
    assert keys(referral_ids=["R2", "R3"]) == ["c"]
    assert keys(referral_ids=[]) == []


# ---------------------------------------------------------------- alerts


def test_a_firing_counts_in_the_open_alert_of_its_channel_until_that_is_resolved(ledger: Ledger, clock: Clock) -> None:
    first, is_new = ledger.fire_alert("breaker_open", "breaker:ats", "error", "open", "ops", "log", {"calls": 5})
    assert (is_new, first.times, first.details, first.last_at) == (True, 1, {"calls": 5}, NOW)
    clock.tick(60)
    again, is_new = ledger.fire_alert("breaker_open", "breaker:ats", "error", "still open", "ops", "log", {})
    assert (is_new, again.id, again.times, again.message) == (False, first.id, 2, "still open")
    assert (again.fired_at, again.last_at) == (NOW, clock())
    mailed, is_new = ledger.fire_alert("breaker_open", "breaker:ats", "error", "open", "ops", "email", {})
    assert is_new
    assert ledger.open_alert("breaker:ats") == mailed
    assert [one.id for one in ledger.resolve_alert("breaker:ats")] == [first.id, mailed.id]
    assert ledger.resolve_alert("breaker:ats") == []
    assert ledger.open_alert("breaker:ats") is None
    assert ledger.fire_alert("breaker_open", "breaker:ats", "error", "open", "ops", "log", {})[1]


def test_alerts_are_listed_newest_first_and_know_who_has_seen_them(ledger: Ledger, clock: Clock) -> None:
    ids = [ledger.fire_alert("n", f"f{n}", "warning", "m", "ops", "log", {})[0].id for n in range(3)]
    ledger.mark_alert_delivered(ids[0])
    ledger.acknowledge_alert(ids[1], "ana")
    clock.tick(5)
    ledger.acknowledge_alert(ids[1], "ben")
    ledger.resolve_alert("f2")
    assert [one.id for one in ledger.alerts()] == ids[::-1]
    assert [one.id for one in ledger.alerts(open_only=True)] == [ids[1], ids[0]]
    assert [one.id for one in ledger.alerts(undelivered=True, limit=1)] == [ids[2]]
    seen = ledger.alerts()[1]
    assert (seen.acknowledged_at, seen.acknowledged_by) == (NOW, "ana")


def test_one_alert_fired_from_many_threads_is_one_row(ledger: Ledger) -> None:
    arguments = ("n", "f", "error", "m", "ops", "log", {})
    threads = [threading.Thread(target=ledger.fire_alert, args=arguments) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(one.times) for one in ledger.alerts()] == [8]


# ---------------------------------------------------------------- links, keys, dead letters


def test_links_are_found_by_what_they_lead_to(ledger: Ledger) -> None:
    link = Link("R1", "p1", "J1", "A1", None, None, NOW, "greenhouse", updated_at=NOW, state="created")
    one = replace(link, candidate_id="7", application_id="31")
    two = replace(link, referral_id="R2", candidate_id="7", application_id="32", state=None)
    ledger.save_links([two, one, replace(one, referral_id="R3", system="other", person_id="p2")])
    assert ledger.links_for(["R1", "R9"]) == {"R1": one}
    assert ledger.links_of_applications("greenhouse", ["31", "99"]) == [one]
    assert ledger.links_of_candidates("greenhouse", ["7"]) == [one, two]
    assert ledger.links_of_persons(["p1"]) == [one, two]


def test_the_keys_of_a_record_are_found(ledger: Ledger) -> None:
    keys = [IdentityKey(f"h{n}", "email", "advocacy", f"advocacy:R{n % 2}", "p") for n in range(3)]
    ledger.save_identity_keys(keys)
    assert ledger.keys_of(["advocacy:R0", "advocacy:R9"]) == [keys[0], keys[2]]


def test_a_dead_delivery_keeps_what_was_said_until_it_is_confirmed(ledger: Ledger) -> None:
    ledger.begin(DeliveryIntent("k", "ats", "create", "R1", "hash"))
    assert ledger.delivery_bodies("k") == (None, None)
    ledger.fail("k", "422", dead=True, request=b"asked", response=b"answered")
    ledger.fail("k", "422", dead=True)
    assert ledger.delivery_bodies("k") == (b"asked", b"answered")
    ledger.confirm("k", {})
    assert ledger.delivery_bodies("k") == (None, None)
    assert ledger.delivery_bodies("never begun") == (None, None)
