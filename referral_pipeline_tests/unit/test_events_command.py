"""`events`: what came in is listed, shown, replayed and purged, and no body is shown unasked."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from referral_pipeline.cli import main
from referral_pipeline.ledger.records import InboxDelivery
from referral_pipeline.ledger.store import DeliveryIntent, Ledger
from referral_pipeline.privacy.crypto import Cipher
from referral_pipeline.sandbox.credentials import SECRETS

BODY = {"type": "referral.submitted", "data": {"id": "R1", "candidate": {"first_name": "Ada"}}}
LEASE = timedelta(minutes=1)


class Inbox:
    """The ledger of a home folder, on a clock that a test sets."""

    def __init__(self, home: Path) -> None:
        self.now = datetime.now(UTC)
        self.ledger = Ledger.open("sqlite:///data/state/ledger.sqlite", home=home, clock=lambda: self.now)
        self.cipher = Cipher(SECRETS["REFERRAL_PIPELINE_KEY"])

    def receive(self, delivery_id: str, subject: str = "referral:R1", **fields: Any) -> int:
        values: dict[str, Any] = {
            "system": "advocacy",
            "delivery_id": delivery_id,
            "event_type": "referral.submitted",
            "origin": "webhook",
            "subject": subject,
            "occurred_at": None,
            "body": self.cipher.encrypt(json.dumps(BODY).encode()),
        }
        self.ledger.receive_many([InboxDelivery(**{**values, **fields})])
        event = self.ledger.inbox_event_by_delivery(fields.get("system", "advocacy"), delivery_id)
        assert event is not None
        return event.id

    def done(self, delivery_id: str, **fields: Any) -> int:
        event_id = self.receive(delivery_id, **fields)
        self.ledger.claim("lane-1", limit=10, lease=LEASE, bulk=False)
        self.ledger.finish_many("lane-1", [(event_id, "created")], "run-1")
        return event_id

    def dead(self, delivery_id: str, **fields: Any) -> int:
        event_id = self.receive(delivery_id, **fields)
        self.ledger.claim("lane-1", limit=10, lease=LEASE, bulk=False)
        self.ledger.bury("lane-1", event_id, "greenhouse candidates.create answered 422")
        return event_id

    def state(self, event_id: int) -> str | None:
        event = self.ledger.inbox_event(event_id)
        return event.state if event is not None else None


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    for name, value in {**SECRETS, "REFERRAL_PIPELINE_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("REFERRAL_PIPELINE_CONFIG", raising=False)
    made = Inbox(tmp_path)
    yield made
    made.ledger.close()


def invoke(*arguments: str, **more: Any) -> Result:
    return CliRunner().invoke(main, ["events", *arguments], **more)


def told(*arguments: str) -> dict[str, Any]:
    result = invoke(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_what_came_in_is_listed_newest_first_with_what_became_of_it(inbox):
    done, dead = inbox.done("d1"), inbox.dead("d2", subject="referral:R2")
    waiting = inbox.receive("g1", subject="application:31", system="greenhouse", event_type="hire_candidate")
    listed = told("list")
    assert [event["id"] for event in listed["events"]] == [waiting, dead, done]
    assert listed["counts"] == {"done": 1, "dead": 1, "received": 1}
    assert (listed["events"][2]["outcome"], listed["events"][2]["run_id"]) == ("created", "run-1")
    assert "Ada" not in json.dumps(listed)


@pytest.mark.parametrize(
    "chosen",
    [
        ("--state", "received"),
        ("--system", "greenhouse"),
        ("--type", "hire_candidate"),
        ("--subject", "application:31"),
        ("--limit", "1"),
    ],
)
def test_the_list_can_be_narrowed(chosen, inbox):
    inbox.done("d1")
    waiting = inbox.receive("g1", subject="application:31", system="greenhouse", event_type="hire_candidate")
    assert [event["id"] for event in told("list", *chosen)["events"]] == [waiting]


def test_the_list_is_a_line_an_event_where_no_terminal_is(inbox):
    inbox.dead("d1")
    result = invoke("list")
    assert "referral.submitted" in result.stdout
    assert "1 dead" in result.stdout


def dead_delivery(inbox: Inbox) -> None:
    intent = DeliveryIntent("create:greenhouse:R1", "greenhouse", "create_candidate", "R1", "hash", "R1")
    inbox.ledger.begin(intent)
    request, response = (inbox.cipher.encrypt(text) for text in (b'{"last_name": "Lovelace"}', b"no such office"))
    inbox.ledger.fail(intent.key, "answered 422", dead=True, request=request, response=response)


def test_a_dead_event_is_shown_with_the_delivery_that_failed_and_without_personal_data(inbox):
    event_id = inbox.dead("d1")
    dead_delivery(inbox)
    shown = told("show", str(event_id))
    assert (shown["event"]["state"], shown["event"]["attempts"]) == ("dead", 1)
    (delivery,) = shown["deliveries"]
    assert (delivery["key"], delivery["last_error"]) == ("create:greenhouse:R1", "answered 422")
    assert delivery["request"].startswith("kept, ")
    words = invoke("show", str(event_id)).stdout
    assert f"events replay {event_id}" in words
    assert "Ada" not in words
    assert "Lovelace" not in words


def test_bodies_are_revealed_when_asked_for(inbox):
    event_id = inbox.dead("d1")
    dead_delivery(inbox)
    shown = told("show", str(event_id), "--reveal")
    assert shown["event"]["body"] == BODY
    (delivery,) = shown["deliveries"]
    assert (delivery["request"], delivery["response"]) == ({"last_name": "Lovelace"}, "no such office")


def test_without_the_key_nothing_is_revealed(inbox, monkeypatch):
    event_id = inbox.dead("d1")
    monkeypatch.delenv("REFERRAL_PIPELINE_KEY")
    assert invoke("show", str(event_id)).exit_code == 0
    result = invoke("show", str(event_id), "--reveal")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: REFERRAL_PIPELINE_KEY: is not set. Export")


def test_a_replayed_event_waits_as_if_it_had_never_been_tried_and_the_lane_is_woken(inbox):
    event_id, waiting = inbox.dead("d1"), inbox.receive("d2")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as lane:
        lane.bind(("127.0.0.1", 0))
        lane.settimeout(10)
        inbox.ledger.beat("lane", "lane-2", address=f"127.0.0.1:{lane.getsockname()[1]}")
        assert told("replay", str(event_id), str(waiting)) == {"replayed": 1, "under_way": 1}
        assert lane.recv(10)
    assert (inbox.state(event_id), inbox.ledger.inbox_event(event_id).attempts) == ("received", 0)


def test_a_replay_without_a_lane_says_who_will_handle_it(inbox):
    assert "reconcile" in invoke("replay", str(inbox.dead("d1"))).stdout


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (("--dead",), {"dead", "old"}),
        (("--dead", "--since", "2h"), {"dead"}),
        (("--system", "advocacy", "--since", "2h"), {"dead", "done"}),
        (("--type", "hire_candidate"), {"ats"}),
    ],
)
def test_events_are_chosen_for_a_replay_by_state_system_type_and_time(chosen, expected, inbox):
    inbox.now -= timedelta(days=1)
    events = {"old": inbox.dead("old")}
    inbox.now += timedelta(days=1)
    events |= {"dead": inbox.dead("dead"), "done": inbox.done("done")}
    events["ats"] = inbox.done("ats", system="greenhouse", event_type="hire_candidate", subject="application:31")
    assert told("replay", *chosen)["replayed"] == len(expected)
    assert {name for name, event_id in events.items() if inbox.state(event_id) == "received"} == expected


@pytest.mark.parametrize("arguments", [(), ("1", "--dead"), ("--since", "yesterday")])
def test_a_replay_of_nothing_in_particular_is_refused(arguments, inbox):
    result = invoke("replay", *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", [("show", "99"), ("replay", "99"), ("purge", "--dead", "99")])
def test_an_unknown_event_is_one_line_with_the_mend(command, inbox):
    result = invoke(*command)
    assert result.exit_code == 1
    assert "there is no event 99; `events list` shows" in result.stderr


def aged(inbox: Inbox, make: Callable[[str], int], **ages: float) -> list[int]:
    now, events = inbox.now, []
    for name, days in ages.items():
        inbox.now = now - timedelta(days=days)
        events.append(make(name))
    inbox.now = now
    return events


def test_a_purge_takes_old_bodies_and_older_rows_of_what_is_done(inbox):
    fresh, week, month = aged(inbox, inbox.done, fresh=1, week=8, month=31)
    (dead,) = aged(inbox, inbox.dead, dead=40)
    assert told("purge") == {"bodies_removed": 1, "rows_removed": 1, "dead_removed": 0}
    assert [inbox.state(e) for e in (fresh, week, month, dead)] == ["done", "done", None, "dead"]
    assert told("purge", "--older-than", "5")["rows_removed"] == 1
    assert inbox.ledger.inbox_event(fresh).body is not None


def test_a_dead_event_goes_only_by_name_and_after_a_question(inbox):
    dead, done = inbox.dead("d1"), inbox.done("d2")
    assert invoke("purge", "--dead", str(dead), input="n\n").exit_code == 1
    assert inbox.state(dead) == "dead"
    result = invoke("purge", "--dead", str(dead), str(done), input="y\n")
    assert "1 dead events removed; the others are not dead" in result.stdout
    assert (inbox.state(dead), inbox.state(done)) == (None, "done")
    assert invoke("purge", str(done)).exit_code == 2
