"""What would stop the lane if one event could: bodies that are signed and odd, faults of ours, a ledger that refuses.

The lane works in this process against both sandboxes, as in the tests of the event flows.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from referral_pipeline.connectors.failures import PermanentFailure, Unreachable
from referral_pipeline.ledger.group_commit import CommitFailedError
from referral_pipeline.ledger.records import InboxDelivery
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.orchestration.assets.events import process_events
from referral_pipeline.orchestration.lane import Lane
from referral_pipeline.sync import cases
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests.pipeline.event_rig import Delivery, World, shared_world, world
from referral_pipeline_tests.unit.webhook_receiver import until

__all__ = ["shared_world", "world"]


def submitted(world: World) -> tuple[Delivery, str]:
    """The webhook of a new referral, not yet in the inbox, and its last name."""
    person = world.person()
    world.submit(person)
    (delivery,) = [one for one in world.arrived() if one.type == "referral.submitted"]
    return delivery, person.last_name


def changed(delivery: Delivery, change: Callable[[dict[str, Any]], object]) -> Delivery:
    """The same webhook with other content, under an id of its own."""
    body = json.loads(delivery.body)
    change(body["data"])
    return Delivery(delivery.system, f"{delivery.id}-odd", delivery.type, delivery.subject, json.dumps(body).encode())


def open_alerts(world: World) -> list[str]:
    """The names of the alerts that are open, but for what a test before this one left dead."""
    return [alert.name for alert in world.ledger.alerts(open_only=True) if alert.name != "dead_letter"]


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row["candidate"].update(first_name="A\ud800"),
        lambda row: row.update(submitted_at="9999-12-31T23:59:59-14:00"),
        lambda row: row.update(id=row["id"], updated_at=5, campaign_tag="\udfff"),
    ],
    ids=["half a character", "a time beyond all calendars", "a number for a time"],
)
def test_a_signed_oddity_does_not_stop_the_events_beside_it(world: World, change: Callable[[dict[str, Any]], object]):
    odd, _ = submitted(world)
    sound, name = submitted(world)
    world.enter([changed(odd, change), sound])
    with world.lane() as lane:
        lane.engine.run(lane.stop, until_empty=True)
    event = world.ledger.inbox_event_by_delivery(sound.system, sound.id)
    assert event is not None
    assert (event.state, event.outcome) == ("done", "created")
    assert [row["last_name"] for row in world.dump("greenhouse")["candidates"]].count(name) == 1
    world.settle()


def test_an_event_over_which_we_stumble_is_tried_again_and_its_words_stay_out_of_the_ledger(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    odd, _ = submitted(world)
    sound, _ = submitted(world)
    world.enter([odd, sound])
    with world.lane() as lane:
        read = lane.systems.advocacy.referral_of

        def stumbles(row: dict[str, Any]) -> Any:
            if f"referral:{row['id']}" == odd.subject:
                raise KeyError("a word of the row")
            return read(row)

        monkeypatch.setattr(lane.systems.advocacy, "referral_of", stumbles)
        handlers = lane.engine._handlers  # pyright: ignore[reportPrivateUsage]
        (event, other) = (world.ledger.inbox_event_by_delivery("advocacy", one.id) for one in (odd, sound))
        assert event is not None
        assert other is not None
        plan = handlers.plan([event, other])
        assert [(e.id, type(fault)) for e, fault in plan.broken] == [(event.id, KeyError)]
        assert [e.id for work in plan.works for e in work.events] == [other.id]
        lane.engine.run(lane.stop, until_empty=True)
    event = world.ledger.inbox_event_by_delivery("advocacy", odd.id)
    assert event is not None
    assert event.state == "received"
    assert event.attempts == 1
    assert event.last_error is not None
    assert event.last_error.startswith("KeyError at ")
    assert "word" not in event.last_error
    world.settle()


def test_an_engine_whose_ledger_fails_ends_and_beats_no_more(world: World, monkeypatch: pytest.MonkeyPatch):
    with world.lane() as lane:
        beats: list[Lane] = []

        def refuses(*_: object, **__: object) -> Any:
            raise OSError("no space left on device")

        monkeypatch.setattr(lane.systems.ledger, "claim", refuses)
        monkeypatch.setattr(lane.systems.ledger, "free_claims", refuses)
        monkeypatch.setattr(lane.systems.ledger, "renew", lambda *_: beats.append(lane))
        with pytest.raises(OSError, match="no space"):
            lane.engine.run(lane.stop)
        assert lane.engine.is_finished
        assert not [t for t in threading.enumerate() if t.name == "lane-heartbeat"]


def test_a_status_that_is_told_while_consent_is_taken_back_does_not_open_the_referral_again(world: World):
    """The application's event and the referral's are two works; each writes only what it knows of the link."""
    person = world.person()
    referral_id = world.submit(person)
    world.settle()
    world.ats("move", application_id=world.application(person)["id"], stage="Phone Screen")
    world.advocacy("withdraw_consent", referral_id=referral_id)
    world.enter(world.arrived())
    with world.lane() as lane:
        tell = lane.systems.statuses.tell

        def late(*arguments: Any, **more: Any) -> dict[str, str]:
            until(lambda: (link := world.ledger.link(referral_id)) is not None and link.block is not None)
            return tell(*arguments, **more)

        object.__setattr__(lane.systems.statuses, "tell", late)
        lane.engine.run(lane.stop, until_empty=True)
    link = world.ledger.link(referral_id)
    assert link is not None
    assert (link.block, link.state) == ("no_consent", "blocked")
    assert link.status == "interviewed"
    world.settle()


def test_an_older_word_is_read_again_before_it_follows_a_newer_one(world: World):
    """Between the look at an application and its lock it moved on and back, which another thread told."""
    person = world.person()
    referral_id = world.submit(person)
    world.settle()
    application_id = str(world.application(person)["id"])
    with world.lane() as lane:
        s = lane.systems
        read_at = s.clock()
        now = s.ats.get_applications([application_id])[application_id]
        older = replace(now, status=CandidateStatus.OFFERED)
        told = s.statuses.tell(
            s.ledger.links_of_applications(s.ats.system, [application_id]),
            older,
            again=lambda: s.ats.get_applications([application_id]).get(application_id),
            read_at=read_at,
        )
    assert told == {referral_id: "unchanged"}
    assert world.referral(referral_id)["status"] == "applied"


def test_a_right_that_was_taken_away_erases_nobody_beyond_a_few_and_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """The ATS then answers every look with 200 and without the record, as if all of them had been deleted."""
    monkeypatch.setattr(cases, "_MOST_GONE_AT_ONCE", 2)
    people = [world.person() for _ in range(5)]
    referrals = [world.submit(person) for person in people]
    world.settle()
    world.ahead += timedelta(minutes=2)
    world.hint(*(("greenhouse", f"application:{world.application(person)['id']}") for person in people))
    with world.lane() as lane, monkeypatch.context() as patch:
        patch.setattr(lane.systems.ats, "get_applications", lambda ids: {})
        patch.setattr(lane.systems.ats, "applications_of", lambda ids: [])
        lane.engine.run(lane.stop, until_empty=True)
    assert sum(link.block == "erased" for link in world.ledger.links_for(referrals).values()) == 2
    assert open_alerts(world) == ["many_gone"]
    world.settle()  # the right is back: the others go on, and what was deleted is not asked about again
    assert sum(link.block == "erased" for link in world.ledger.links_for(referrals).values()) == 2
    world.ahead += timedelta(days=1)
    world.tick()
    assert open_alerts(world) == []


@pytest.mark.parametrize("by", ["application", "referral"])
def test_an_undone_hire_is_taken_back_though_the_first_try_ended_after_its_status_was_told(
    world: World, by: str, monkeypatch: pytest.MonkeyPatch
):
    person = world.person()
    referral_id = world.submit(person)
    world.settle()
    application_id = world.application(person)["id"]
    world.offer(application_id, (world.now() - timedelta(days=100)).date().isoformat())
    world.ats("hire", application_id=application_id)
    world.settle()
    world.ats("unhire", application_id=application_id)
    unhired = world.arrived()
    if by == "referral":
        world.hint(("advocacy", f"referral:{referral_id}"))
    else:
        world.enter(unhired)
    with world.lane() as lane, monkeypatch.context() as patch:

        def breaks(*_: object, **__: object) -> object:
            raise Unreachable("advocacy", "recognitions.create")

        patch.setattr(lane.systems.recogniser, "settle", breaks)
        lane.engine.run(lane.stop, until_empty=True)
    assert world.referral(referral_id)["status"] != "hired"
    world.settle()
    assert [kind for kind, _ in world.recognitions(referral_id)] == ["hired", "bonus_eligible", "reversed"]


def test_a_run_that_drains_and_cannot_reach_the_ledger_is_a_failed_run(world: World, monkeypatch: pytest.MonkeyPatch):
    config = {"ops": {"process_events": {"config": {"mode": "drain"}}}}
    assert process_events.execute_in_process(run_config=config).success

    def refuses(*_: object, **__: object) -> Any:
        raise OSError("no space left on device")

    monkeypatch.setattr(Ledger, "claim", refuses)
    assert not process_events.execute_in_process(run_config=config, raise_on_error=False).success


def test_a_certificate_that_ran_out_kills_no_event(world: World, monkeypatch: pytest.MonkeyPatch):
    """No answer comes, and none would come to any other call: it is an outage, however lasting it sounds."""
    delivery, name = submitted(world)
    world.enter([delivery])
    with world.lane() as lane, monkeypatch.context() as patch:

        def untrusted(*_: object) -> Any:
            raise PermanentFailure("greenhouse", "candidates.list", detail="its certificate is not trusted")

        patch.setattr(lane.systems.ats, "search_candidates", untrusted)
        lane.engine.run(lane.stop, until_empty=True)
    event = world.ledger.inbox_event_by_delivery(delivery.system, delivery.id)
    assert event is not None
    assert (event.state, event.attempts) == ("received", 0)
    world.settle()
    assert [row["last_name"] for row in world.dump("greenhouse")["candidates"]].count(name) == 1


def test_a_ledger_that_cannot_commit_for_a_while_costs_an_event_no_attempt(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    delivery, _ = submitted(world)
    world.enter([delivery])
    with world.lane() as lane, monkeypatch.context() as patch:

        def full(*_: object, **__: object) -> Any:
            raise CommitFailedError("the ledger could not commit: nothing of this call was kept")

        patch.setattr(lane.systems.ledger, "begin_many", full)
        lane.engine.run(lane.stop, until_empty=True)
    event = world.ledger.inbox_event_by_delivery(delivery.system, delivery.id)
    assert event is not None
    assert (event.state, event.attempts) == ("received", 0)
    world.settle()


def test_a_bulk_event_whose_body_cannot_be_opened_is_dead_and_its_neighbours_are_done(world: World):
    content = world.content[0]
    world.advocacy("add_share", advocate_id=world.advocates[0], content_id=content["id"])
    world.enter(world.arrived())
    lost = InboxDelivery("advocacy", "lost-key", "share.created", "webhook", "share:lost", None, b"no token", bulk=True)
    world.ledger.receive_many([lost])
    assert sorted(one.outcome for one in world.work()) == ["dead", "kept"]
    found = world.ledger.inbox_event_by_delivery("advocacy", "lost-key")
    assert found is not None
    assert (found.state, found.last_error) == ("dead", "the body cannot be read")


def test_an_erased_person_whose_row_is_not_kept_any_more_is_still_not_written_again(world: World):
    person = world.person()
    referral_id = world.submit(person)
    world.settle()
    hashes = {key.key_hash for key in world.ledger.keys_of([f"advocacy:{referral_id}"])}
    world.ledger.forget_mirror("advocacy", "referrals", [referral_id])
    world.advocacy("erase", referral_id=referral_id)
    world.settle()
    assert hashes
    assert world.ledger.tombstoned(hashes) == hashes


def test_a_referral_that_is_erased_in_the_breath_it_is_submitted_in_is_never_written(world: World):
    person = world.person()
    referral_id = world.submit(person)
    world.advocacy("erase", referral_id=referral_id)
    came = [one for one in world.arrived() if one.subject == f"referral:{referral_id}"]
    world.enter(came)
    world.work()
    assert [one.type for one in came] == ["referral.submitted", "candidate.erased"]
    assert world.candidates(person) == []
    assert world.ledger.mirror("advocacy", "referrals", [referral_id]) == {}
    assert world.ledger.keys_of([f"advocacy:{referral_id}"]) == []
    # Nor is the same person when somebody else refers them.
    world.submit(person, advocate_id=world.advocates[1])
    world.settle()
    assert world.candidates(person) == []


def test_an_erasure_knows_the_address_of_a_referral_that_could_not_be_done_before(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    person = world.person()
    referral_id = world.submit(person)
    world.enter(world.arrived())

    def silent(*_: object, **__: object) -> Any:
        raise Unreachable("greenhouse", "candidates.list")

    with world.lane() as lane, monkeypatch.context() as patch:
        patch.setattr(lane.systems.people, "around", silent)
        lane.engine.run(lane.stop, until_empty=True)
    world.advocacy("erase", referral_id=referral_id)
    (erased,) = [one for one in world.arrived() if one.type == "candidate.erased"]
    world.enter([erased])
    with world.lane() as lane:
        lane.engine.run(lane.stop, until_empty=True)
    event = world.ledger.inbox_event_by_delivery(erased.system, erased.id)
    assert event is not None
    assert event.state == "done"
    world.submit(person, advocate_id=world.advocates[1])
    world.settle()
    assert world.candidates(person) == []


@pytest.mark.parametrize("event_type", ["referral.submitted", "share.created"])
def test_a_row_nested_too_deeply_to_be_kept_does_not_stop_the_events_beside_it(world: World, event_type: str):
    sound, name = submitted(world)
    content = world.content[0]
    world.advocacy("add_share", advocate_id=world.advocates[0], content_id=content["id"])
    share = next(one for one in world.arrived() if one.type == "share.created")
    whole = changed(sound if event_type == "referral.submitted" else share, lambda row: row.update(more="deep"))
    deep = b"[" * 1010 + b"]" * 1010
    odd = replace(whole, body=whole.body.replace(b'"deep"', deep))
    world.enter([odd, sound, share])
    with world.lane() as lane:
        lane.engine.run(lane.stop, until_empty=True)
    for one in (sound, share):
        event = world.ledger.inbox_event_by_delivery(one.system, one.id)
        assert event is not None
        assert event.state == "done", event.last_error
    assert [row["last_name"] for row in world.dump("greenhouse")["candidates"]].count(name) == 1
    world.settle()


def test_a_share_whose_job_is_no_text_is_passed_over(world: World):
    advocate = world.advocates[2]
    row = {"id": "share-odd", "advocate_id": advocate, "job_id": ["no", "job"], "updated_at": "2026-01-01T00:00:00Z"}
    with world.lane() as lane:
        lane.systems.mirror.keep("shares", [row])
    person = world.person()
    world.submit(person, advocate_id=advocate)
    world.settle()
    assert world.applications(person)


def test_whose_a_candidate_is_was_written_before_another_thread_searches(world: World, monkeypatch: pytest.MonkeyPatch):
    person = world.person()
    referral_id = world.submit(person)
    world.enter(world.arrived())

    def silent(*_: object, **__: object) -> Any:
        raise Unreachable("greenhouse", "candidates.list")

    with world.lane() as lane, monkeypatch.context() as patch:
        patch.setattr(lane.systems.ats, "search_candidates", silent)
        lane.engine.run(lane.stop, until_empty=True)
    assert world.ledger.keys_of([f"advocacy:{referral_id}"])
    stranger = world.by_hand(world.person(email=person.email))
    world.hint(("greenhouse", f"candidate:{stranger['id']}"))
    seen: list[bool] = []
    with world.lane() as lane, monkeypatch.context() as patch:
        ledger, search = lane.systems.ledger, lane.systems.ats.search_candidates
        begin = ledger.begin_many

        def late(*arguments: Any, **more: Any) -> Any:
            until(lambda: bool(seen))
            return begin(*arguments, **more)

        def searching(address: str) -> Any:
            seen.append(bool(ledger.keys_of([f"greenhouse:{stranger['id']}"])))
            return search(address)

        patch.setattr(ledger, "begin_many", late)
        patch.setattr(lane.systems.ats, "search_candidates", searching)
        lane.engine.run(lane.stop, until_empty=True)
    assert seen
    assert all(seen)
    world.settle()
