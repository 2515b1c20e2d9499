"""When the owner is told: once, again each day, when it is over, and whatever becomes of a channel."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from referral_pipeline_tests.unit.alert_rig import OUTAGE, SECRET, Rig, hook_channel, switchable, told, verified
from referral_pipeline_tests.unit.scripted_server import Reply, ScriptedServer, Seen, serving


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setenv("ALERT_WEBHOOK_SECRET", SECRET)
    rig = Rig(tmp_path)
    yield rig
    rig.ledger.close()


@pytest.fixture
def hook() -> Iterator[ScriptedServer]:
    with serving(lambda _: Reply(200, {})) as server:
        yield server


def log_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "referral_pipeline.alerts"]


def test_an_open_alert_is_told_once_however_often_it_fires_and_its_recovery_says_how_often(rig, hook):
    desk = rig.desk(hook_channel(hook))
    for _ in range(4):
        desk.fire(OUTAGE)
        rig.later(minutes=1)
    assert told(hook) == [("alert.fired", "breaker_open")]
    desk.resolve(OUTAGE.name, OUTAGE.subject, "Greenhouse answers again.")
    assert told(hook)[1:] == [("alert.recovered", "breaker_open")]
    recovery = verified(hook.seen[-1])["data"]
    assert recovery["count"] == 4
    assert recovery["since"] == "2026-03-02T09:00:00Z"
    assert recovery["what"] == "Greenhouse answers again."
    assert rig.ledger.alerts(open_only=True) == []


def test_an_alert_after_its_recovery_is_a_new_one_and_another_subject_is_another_alert(rig, hook):
    desk = rig.desk(hook_channel(hook))
    desk.fire(OUTAGE)
    desk.resolve(OUTAGE.name, OUTAGE.subject, "Over.")
    desk.fire(OUTAGE)
    desk.fire(replace(OUTAGE, subject="breaker:advocacy"))
    assert [kind for kind, _ in told(hook)] == ["alert.fired", "alert.recovered", "alert.fired", "alert.fired"]
    assert len({seen.headers["webhook-id"] for seen in hook.seen}) == 4


def test_what_was_never_open_has_no_recovery(rig, hook):
    rig.desk(hook_channel(hook)).resolve("breaker_open", "breaker:greenhouse", "Over.")
    assert hook.seen == []


def test_a_channel_that_is_down_raises_nothing_keeps_nobody_else_from_hearing_and_is_told_later_in_order(rig, caplog):
    up = [False]
    with serving(switchable(up)) as hook:
        desk = rig.desk(f"{hook_channel(hook)}, {{type: log}}")
        desk.fire(OUTAGE)
        desk.resolve(OUTAGE.name, OUTAGE.subject, "Over.")
        assert [words.partition(":")[0] for words in log_of(caplog)] == ["ERROR", "RECOVERED"]
        assert desk.status().undelivered == {"webhook": 2}
        up[0] = True
        hook.seen.clear()
        assert desk.deliver_pending() == 2
        assert [kind for kind, _ in told(hook)] == ["alert.fired", "alert.recovered"]
        assert desk.deliver_pending() == 0
    assert desk.status().undelivered == {}
    counts = rig.ledger.counts()
    assert counts["alerts.sent.webhook"] == 2
    assert counts["alerts.failed.webhook"] >= 1


def test_one_message_that_is_refused_holds_up_none_behind_it(rig):
    def answer(seen: Seen) -> Reply:
        return Reply(400 if seen.json["data"]["subject"] == "poison" else 200, {})

    with serving(answer) as hook:
        desk = rig.desk(hook_channel(hook))
        desk.fire(replace(OUTAGE, subject="poison"))
        desk.fire(OUTAGE)
        assert desk.status().undelivered == {"webhook": 1}
        assert {verified(seen)["data"]["subject"] for seen in hook.seen} == {"poison", OUTAGE.subject}


def test_an_open_error_is_told_again_each_day_until_somebody_has_seen_it(rig, hook):
    desk = rig.desk(hook_channel(hook))
    desk.fire(OUTAGE)
    desk.fire(replace(OUTAGE, subject="minor", severity="warning"))
    rig.later(hours=23)
    assert desk.deliver_pending() == 0
    rig.later(hours=1)
    assert desk.deliver_pending() == 1
    assert desk.deliver_pending() == 0
    rig.later(days=1)
    assert desk.deliver_pending() == 1
    again = [verified(seen) for seen in hook.seen[2:]]
    assert [(body["type"], body["data"]["subject"]) for body in again] == [("alert.repeated", OUTAGE.subject)] * 2
    assert len({seen.headers["webhook-id"] for seen in hook.seen}) == 4
    open_error = rig.ledger.open_alert("breaker_open/breaker:greenhouse")
    assert open_error is not None
    rig.ledger.acknowledge_alert(open_error.id, "somebody")
    rig.later(days=2)
    assert desk.deliver_pending() == 0


def test_a_channel_that_takes_nothing_for_five_minutes_is_an_alert_on_the_others_and_its_return_a_recovery(rig, hook):
    up = [False]
    with serving(switchable(up)) as deaf:
        desk = rig.desk(f"{hook_channel(deaf)}, {hook_channel(hook)}")
        desk.fire(OUTAGE)
        assert told(hook) == [("alert.fired", "breaker_open")]
        rig.later(minutes=5)
        desk.deliver_pending()
        desk.deliver_pending()
        assert told(hook)[1:] == [("alert.fired", "channel_failed")]
        assert verified(hook.seen[1])["data"]["subject"] == "webhook"
        up[0] = True
        deaf.seen.clear()
        desk.deliver_pending()
        assert told(deaf) == [("alert.fired", "breaker_open")]  # and nothing about itself
        assert told(hook)[2:] == [("alert.recovered", "channel_failed")]


def test_a_failed_channel_that_leaves_the_contract_is_no_trouble_any_more(rig, hook):
    with serving(lambda _: Reply(503, {})) as deaf:
        both = rig.desk(f"{hook_channel(hook)}, {hook_channel(deaf)}")
        both.fire(OUTAGE)
        rig.later(minutes=5)
        both.deliver_pending()
    desk = rig.desk(hook_channel(hook))
    desk.deliver_pending()
    assert told(hook)[1:] == [("alert.fired", "channel_failed"), ("alert.recovered", "channel_failed")]
    assert desk.status().undelivered == {}
    assert desk.status().open_errors == 1


def test_the_only_channel_is_tried_once_each_time_and_has_nobody_to_tell_of_itself(rig):
    with serving(lambda _: Reply(503, {})) as deaf:
        desk = rig.desk(hook_channel(deaf))
        desk.fire(OUTAGE)
        rig.later(minutes=10)
        desk.deliver_pending()
        assert len(deaf.seen) == 2
    assert [alert.name for alert in rig.ledger.alerts()] == ["breaker_open"]


def test_the_heartbeat_comes_on_every_channel_and_names_what_is_open_and_what_did_not_arrive(rig, hook):
    with serving(lambda _: Reply(503, {})) as deaf:
        desk = rig.desk(f"{hook_channel(hook)}, {hook_channel(deaf)}")
        desk.fire(OUTAGE)
        assert desk.heartbeat() == ["webhook-2"]
        body = verified(hook.seen[-1])
        assert body["type"] == "alerting.heartbeat"
        assert body["data"]["facts"]["Open alerts"] == "1 errors, 0 warnings"
        assert body["data"]["facts"]["Alerts not delivered"] == "1 on webhook-2 (breaker_open)"
        assert body["data"]["facts"]["Events dead"] == "0"


def test_of_heartbeats_that_did_not_arrive_the_newest_alone_is_sent_and_what_is_long_over_is_not(rig):
    up = [False]
    with serving(switchable(up)) as hook:
        desk = rig.desk(hook_channel(hook))
        desk.fire(OUTAGE)
        desk.resolve(OUTAGE.name, OUTAGE.subject, "Over.")
        for _ in range(3):
            assert desk.heartbeat() == ["webhook"]
            rig.later(hours=12)
        up[0] = True
        hook.seen.clear()
        assert desk.deliver_pending() == 1
        assert told(hook) == [("alerting.heartbeat", "heartbeat")]


def test_a_channel_that_is_new_in_the_contract_hears_of_what_is_open(rig, hook):
    rig.desk("{type: log}").fire(OUTAGE)
    rig.later(hours=1)
    assert rig.desk(f"{{type: log}}, {hook_channel(hook)}").deliver_pending() == 1
    assert verified(hook.seen[0])["data"]["since"] == "2026-03-02T09:00:00Z"


def test_several_processes_that_deliver_at_once_send_each_message_once(rig, hook):
    rig.desk("{type: log}").fire(OUTAGE)  # kept for the webhook too as soon as a desk knows it
    ledgers = [rig.open_ledger() for _ in range(4)]
    desks = [rig.desk(hook_channel(hook), ledger=ledger) for ledger in ledgers]
    threads = [threading.Thread(target=desk.fire, args=(OUTAGE,)) for desk in desks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for ledger in ledgers:
        ledger.close()
    assert told(hook) == [("alert.fired", "breaker_open")]


def test_a_desk_with_a_thread_takes_alerts_from_those_who_hold_locks_and_delivers_by_its_end(rig, hook):
    with rig.desk(hook_channel(hook), background=True) as desk:
        with rig.ledger.exclusive(["referral:R1"]):
            desk.fire(OUTAGE)
        desk.resolve(OUTAGE.name, OUTAGE.subject, "Over.")
    assert [kind for kind, _ in told(hook)] == ["alert.fired", "alert.recovered"]


def test_a_secret_that_is_set_later_needs_no_restart(rig, hook, monkeypatch, caplog):
    desk = rig.desk(hook_channel(hook))
    monkeypatch.delenv("ALERT_WEBHOOK_SECRET")
    desk.fire(OUTAGE)
    assert hook.seen == []
    assert "ALERT_WEBHOOK_SECRET is not set" in caplog.text
    monkeypatch.setenv("ALERT_WEBHOOK_SECRET", SECRET)
    assert desk.deliver_pending() == 1


def test_the_log_channel_says_all_in_one_line_at_the_level_of_the_alert(rig, caplog):
    desk = rig.desk("{type: log}")
    desk.fire(OUTAGE)
    desk.heartbeat()
    error, beat = (r for r in caplog.records if r.name == "referral_pipeline.alerts")
    assert (error.levelno, beat.levelno) == (logging.ERROR, logging.INFO)
    assert "\n" not in error.getMessage()
    for part in (OUTAGE.what, OUTAGE.todo, OUTAGE.link, "how many: 1", "since: 2026-03-02 09:00:00 UTC", "Talent"):
        assert part in error.getMessage()
