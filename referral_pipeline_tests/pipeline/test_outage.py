"""Outages of an hour, credentials that are refused, and records that a system cannot digest, in hurried time.

The lane works in this process against both sandboxes; its clock is moved on by seconds whenever nothing is under way.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from referral_pipeline import cli
from referral_pipeline.contract.scaffold import sandbox_contract
from referral_pipeline.orchestration.lane import Lane, open_lane
from referral_pipeline.privacy.crypto import Cipher
from referral_pipeline.sandbox.launch import Control, Sandbox
from referral_pipeline.settings import load_settings
from referral_pipeline_tests.pipeline.conftest import installed
from referral_pipeline_tests.pipeline.event_rig import TINY, World
from referral_pipeline_tests.unit.alert_rig import SECRET
from referral_pipeline_tests.unit.webhook_receiver import Receiver, receiving, until

STEP = timedelta(seconds=50)
"""By how much the clock is moved at once: less than a lease."""


class Hurried(World):
    """A world with a lane that runs, and the alerts that its owner got."""

    alerts: Receiver
    control: Callable[[str], Control]
    at_work: Lane

    @contextmanager
    def working(self) -> Iterator[None]:
        """The lane at work until the block ends."""
        stop = threading.Event()
        with open_lane(self.settings, stop=stop, now=self.now, monotonic=self.monotonic) as self.at_work:
            thread = threading.Thread(target=self.at_work.engine.run, args=(stop,))
            thread.start()
            try:
                yield
            finally:
                stop.set()
                thread.join()

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead.total_seconds()

    def deliver(self) -> None:
        """What the sandboxes sent goes into the inbox, and the lane hears of it."""
        self.enter(self.arrived())
        self.at_work.engine.wake()

    def hurry(self, holds: Callable[[], Any], *, at_most: timedelta) -> timedelta:
        """Let time pass until something holds; how much it took."""
        began = self.now()
        while not holds():
            assert self.now() - began < at_most, [
                (e.event_type, e.state, e.attempts, e.last_error)
                for state in ("received", "claimed", "dead")
                for e in self.ledger.inbox_events(state=state)
            ]
            time.sleep(0.02)
            if not self.ledger.inbox_backlog().claimed:
                self.ahead += STEP
                self.at_work.engine.wake()
        return self.now() - began

    def pass_time(self, length: timedelta) -> None:
        until_then = self.now() + length
        self.hurry(lambda: self.now() >= until_then, at_most=length * 2)

    def settled(self) -> bool:
        """Nothing waits, here or on the way."""
        self.deliver()
        backlog = self.ledger.inbox_backlog()
        return not (backlog.waiting or backlog.waiting_bulk or backlog.claimed)

    def settle_within(self, at_most: timedelta) -> timedelta:
        spent = self.hurry(self.settled, at_most=at_most)
        return spent + self.hurry(self.settled, at_most=at_most)

    def told(self) -> list[tuple[str, str, str]]:
        """(kind, name, subject) of the alerts that reached the owner, oldest first."""
        until(lambda: not self.at_work.desk.status().undelivered)
        bodies = [json.loads(got.body) for got in self.alerts.got]
        return [(body["type"], body["data"]["name"], body["data"]["subject"]) for body in bodies]


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory, shared_patch: pytest.MonkeyPatch) -> Iterator[Hurried]:
    home = tmp_path_factory.mktemp("outage") / "home"
    with Sandbox(size=TINY, rate_limit=1_000_000) as sandbox, receiving() as receiver, receiving() as alerts:
        (home / "data").mkdir(parents=True)
        channel = f"alerts: [{{type: webhook, url: '{alerts.url}/alerts', secret_env: ALERT_SECRET}}]"
        contract = sandbox_contract()
        assert "alerts: [{type: log}]" in contract
        (home / "data" / "integration.yaml").write_text(contract.replace("alerts: [{type: log}]", channel))
        shared_patch.setenv("ALERT_SECRET", SECRET)
        world = Hurried(load_settings(installed(home, sandbox, shared_patch).home), sandbox, receiver)
        world.alerts, world.control = alerts, sandbox.control
        try:
            yield world
        finally:
            world.ledger.close()


@pytest.fixture
def world(hurried: Hurried) -> Iterator[Hurried]:
    """The shared world with its lane at work, and no alert told yet."""
    with hurried.working():
        hurried.alerts.got.clear()
        yield hurried


@pytest.mark.parametrize(("system", "kind"), [("greenhouse", "unavailable"), ("advocacy", "dropped")])
def test_an_outage_of_an_hour_kills_and_loses_nothing_and_is_told_once(system, kind, world):
    before = [world.person() for _ in range(3)]
    known = [world.submit(person) for person in before]
    world.settle_within(timedelta(minutes=5))
    world.control(system).outage(kind)
    people = [world.person() for _ in range(8)]
    referrals = [world.submit(person) for person in people[:4]]
    world.ats("move", application_id=world.application(before[0])["id"], stage="Phone Screen")
    world.deliver()
    world.pass_time(timedelta(minutes=30))
    referrals += [world.submit(person) for person in people[4:]]
    world.ats("hire", application_id=world.application(before[1])["id"])
    world.deliver()
    world.pass_time(timedelta(minutes=30))
    backlog = world.ledger.inbox_backlog()
    assert backlog.dead == 0
    assert backlog.waiting
    subject = f"breaker:{system}"
    assert world.told() == [("alert.fired", "breaker_open", subject)]
    world.control(system).outage(None)
    world.settle_within(timedelta(minutes=15))
    assert world.ledger.inbox_backlog().dead == 0
    for person, referral_id in zip(people, referrals, strict=True):
        application_id = str(world.application(person)["id"])
        row = world.referral(referral_id)
        assert (row["status"], row["ats"]["application_id"]) == ("applied", application_id)
    assert [world.referral(one)["status"] for one in known] == ["interviewed", "hired", "applied"]
    assert world.recognitions(*known) == [("hired", 0)]
    assert [one[1:] for one in world.told()] == [("breaker_open", subject)] * 2
    assert world.ledger.alerts(open_only=True) == []


def test_an_hour_in_which_the_ats_reads_but_does_not_write_kills_and_loses_nothing(world):
    people = [world.person() for _ in range(4)]
    world.control("greenhouse").outage("read_only")
    referrals = [world.submit(person) for person in people]
    world.deliver()
    world.pass_time(timedelta(hours=1))
    assert world.ledger.inbox_backlog().dead == 0
    assert world.told() == [("alert.fired", "event_late", "inbox:advocacy")]
    world.control("greenhouse").outage(None)
    world.settle_within(timedelta(minutes=20))
    assert [world.referral(one)["status"] for one in referrals] == ["applied"] * 4
    assert [len(world.applications(person)) for person in people] == [1] * 4
    world.at_work.tick()
    assert len(world.told()) == 2
    assert world.ledger.alerts(open_only=True) == []


def test_while_a_credential_is_refused_events_wait_and_the_owner_is_told(world):
    ats = world.control("greenhouse")
    world.pass_time(timedelta(hours=1, minutes=5))  # the token that is there has ended
    ats.poison("/token", 401)
    person = world.person()
    referral_id = world.submit(person)
    world.deliver()
    world.pass_time(timedelta(minutes=20))
    assert world.ledger.inbox_backlog().dead == 0
    assert world.candidates(person) == []
    assert world.told() == [("alert.fired", "credential_refused", "breaker:greenhouse")]
    assert all(str(one.details["todo"]).endswith("restart `up`") for one in world.ledger.alerts(open_only=True))
    ats.poison(None)
    world.settle_within(timedelta(minutes=10))
    assert world.referral(referral_id)["status"] == "applied"
    assert len(world.told()) == 2
    assert world.ledger.alerts(open_only=True) == []


def test_a_record_that_the_ats_cannot_digest_dies_alone_and_is_done_after_the_mend(world):
    ats = world.control("greenhouse")
    bad, good = world.person(), [world.person() for _ in range(5)]
    ats.poison(bad.email, 500)
    poisoned = world.submit(bad)
    others = [world.submit(person) for person in good]
    world.deliver()
    world.hurry(lambda: world.ledger.inbox_backlog().dead, at_most=timedelta(hours=3))
    assert [world.referral(one)["status"] for one in others] == ["applied"] * 5
    (event,) = world.ledger.inbox_events(state="dead")
    assert (event.subject, event.attempts) == (f"referral:{poisoned}", event.attempts)
    assert event.attempts >= 12
    assert [name for _, name, _ in world.told()] == ["event_late", "dead_letter"]
    ats.poison(None)
    assert world.ledger.replay([event.id]) == 1
    world.settle_within(timedelta(minutes=5))
    assert world.referral(poisoned)["status"] == "applied"
    assert len(world.candidates(bad)) == 1
    world.at_work.tick()
    assert sorted(name for _, name, _ in world.told()) == ["dead_letter"] * 2 + ["event_late"] * 2


def test_a_refused_record_is_dead_at_once_with_request_and_answer_kept_sealed(world):
    ats = world.control("greenhouse")
    person = world.person()
    ats.poison(person.last_name, 422)  # only the create names it
    referral_id = world.submit(person)
    world.deliver()
    world.hurry(lambda: world.ledger.inbox_backlog().dead, at_most=timedelta(minutes=5))
    (event,) = world.ledger.inbox_events(state="dead")
    assert (event.subject, event.attempts) == (f"referral:{referral_id}", 1)
    assert person.last_name not in (event.last_error or "")
    request, response = world.ledger.delivery_bodies(f"application:greenhouse:{referral_id}")
    assert request is not None
    assert response is not None
    assert person.last_name.encode() not in request
    cipher = Cipher(world.settings.secret("REFERRAL_PIPELINE_KEY"))
    assert person.last_name.encode() in cipher.decrypt(request)
    assert b"is refused for this record" in cipher.decrypt(response)
    ats.poison(None)
    told = CliRunner().invoke(cli.main, ["events", "replay", str(event.id)])
    assert told.exit_code == 0, told.output
    world.settle_within(timedelta(minutes=5))
    assert world.referral(referral_id)["status"] == "applied"


def test_a_referral_that_the_platform_refuses_takes_no_other_along(world):
    """Their applications change together, so one piece of work tells of them all."""
    people = [world.person() for _ in range(4)]
    referrals = [world.submit(person) for person in people]
    world.settle_within(timedelta(minutes=5))
    world.control("advocacy").poison(referrals[1], 422)
    for person in people:
        world.ats("move", application_id=world.application(person)["id"], stage="Phone Screen")
    world.deliver()
    world.hurry(lambda: world.ledger.inbox_backlog().dead, at_most=timedelta(minutes=5))
    world.settle_within(timedelta(minutes=5))
    assert [world.referral(one)["status"] for one in referrals] == ["interviewed", "applied", *["interviewed"] * 2]
    (event,) = world.ledger.inbox_events(state="dead")
    world.control("advocacy").poison(None)
    world.ledger.replay([event.id])
    world.settle_within(timedelta(minutes=5))
    assert world.referral(referrals[1])["status"] == "interviewed"
