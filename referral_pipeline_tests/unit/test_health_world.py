"""A month without a fault raises no alert; each fault is found, named, told once, and told once when it is over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from referral_pipeline.connectors.covered import fingerprint_of
from referral_pipeline.ledger import tables
from referral_pipeline.ledger.measures import ARRIVED, CALLS, FAILED_CALLS
from referral_pipeline.monitoring.alerts import Alert
from referral_pipeline.monitoring.health import Health, Severity
from referral_pipeline.monitoring.runbook import RUNBOOK
from referral_pipeline.orchestration.lane_alerts import LaneAlerts
from referral_pipeline.quality.go_live import GO_LIVE
from referral_pipeline_tests.unit.health_world import (
    A_DAY,
    EVENT_CALLS,
    PULLS,
    START,
    Faults,
    HealthWorld,
    health_world,
)

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
TUESDAY = START + DAY


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The log channel would write every alert."""
    logging.getLogger("referral_pipeline.alerts").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("referral_pipeline.alerts").setLevel(logging.NOTSET)


def over(*alerts: tuple[str, str]) -> set[tuple[str, str, str]]:
    """What is told of these (name, subject) from the beginning to the end."""
    return {(word, *alert) for word in ("began", "over") for alert in alerts}


def of(health: Health, measure: str, subject: str):
    return next(row for row in health.rows if (row.measure, row.subject) == (measure, subject))


def last(looks: Iterator[Health]) -> Health:
    *_, found = looks
    return found


def test_thirty_days_at_one_percent_of_errors_raise_no_alert(
    tmp_path: Path, record_property: Callable[[str, object], None]
):
    """Looked at every three hours here, to be quick; the benchmark `health` looks every five minutes."""
    with health_world(tmp_path) as world:
        worst = [health.severity for health in world.run(START + 30 * DAY, every=3 * HOUR)]
        assert world.told() == []
        assert Severity.ERROR not in worst
        volumes = world.ledger.volumes(START.date() + DAY, [ARRIVED, CALLS, FAILED_CALLS])
        assert len({v.day for v in volumes}) >= 27
        rates = (
            [v.count for v in volumes if v.measure == FAILED_CALLS],
            [v.count for v in volumes if v.measure == CALLS],
        )
        failed = sum(rates[0]) / sum(rates[1])
        assert 0.008 < failed < 0.012
    seen = f"{len(worst)} looks in 30 days, {failed:.1%} of {sum(rates[1]):,} calls failed"
    record_property("injected fault", ("none", "health", seen, "none", 0))


def test_an_endpoint_that_fails_at_three_percent_is_found_and_named(tmp_path: Path):
    faults = Faults(TUESDAY, TUESDAY + 2 * DAY, error_rates={"candidates.list": 0.03})
    with health_world(tmp_path, faults=faults, scale=8) as world:
        last(world.run(START + 5 * DAY, every=3 * HOUR))
        assert world.told() == [
            ("began", "api_error_rate", "greenhouse candidates.list"),
            ("over", "api_error_rate", "greenhouse candidates.list"),
        ]
        (began, _) = sorted(world.ledger.alerts(), key=lambda alert: alert.id)
        assert began.fired_at < TUESDAY + 2 * DAY
        assert began.severity == "error"
        assert "95 % confidence at least 2." in began.message


def test_faults_of_one_day_are_told_apart_each_once(tmp_path: Path):
    faults = Faults(
        TUESDAY + 9 * HOUR,
        TUESDAY + 14 * HOUR,
        error_rates={"applications.create": 0.5},
        slow={"referrals.update": 0.5},
        lost={"greenhouse": 1.0},
        skew_seconds={"advocacy": 90.0},
        stuck=True,
    )
    with health_world(tmp_path, faults=faults, start=TUESDAY + 6 * HOUR) as world:
        during = last(world.run(TUESDAY + 13.9 * HOUR, every=30 * MINUTE))
        assert "no webhook" in of(during, "webhook_success", "greenhouse").evidence
        assert "ahead of ours" in of(during, "clock_skew", "advocacy").evidence
        last(world.run(TUESDAY + 1.5 * DAY, every=HOUR))
        told = world.told()
        assert len(told) == len(set(told))
        assert set(told) == over(
            ("api_error_rate", "greenhouse applications.create"),
            ("slow_calls", "advocacy referrals.update"),
            ("webhook_success", "greenhouse"),
            ("clock_skew", "advocacy"),
            ("freshness", "advocacy"),
        )


@pytest.mark.parametrize("kind", ["slow", "error_rates"])
def test_one_faulty_operation_is_not_told_again_by_the_sum_of_its_system(tmp_path: Path, kind: str):
    """Its failures are in the sum too, and there they are over later, thinned by the other operations."""
    faults = Faults(TUESDAY + 9 * HOUR, TUESDAY + 17 * HOUR, **{kind: {"referrals.update": 0.5}})
    measure = "slow_calls" if kind == "slow" else "api_error_rate"
    with health_world(tmp_path, faults=faults, start=TUESDAY + 8.5 * HOUR) as world:
        last(world.run(TUESDAY + 22 * HOUR, every=5 * MINUTE))
        assert world.told() == [(word, measure, "advocacy referrals.update") for word in ("began", "over")]


def test_silence_is_found_by_the_hour_and_slow_events_by_their_direction(tmp_path: Path):
    faults = Faults(TUESDAY + 8 * HOUR, TUESDAY + 17 * HOUR, silent=frozenset({"greenhouse"}), delay_seconds=120.0)
    with health_world(tmp_path, faults=faults, start=TUESDAY + 6 * HOUR) as world:
        last(world.run(TUESDAY + 1.5 * DAY, every=30 * MINUTE))
        told = world.told()
        assert len(told) == len(set(told))
        assert set(told) == over(("daily_volume", "greenhouse"), ("sync_latency_p95", "forward"))
        silence = min((a for a in world.ledger.alerts() if a.name == "daily_volume"), key=lambda alert: alert.id)
        assert silence.fired_at < TUESDAY + 14 * HOUR
        assert "None has come since" in silence.message


def test_nothing_is_missed_on_a_day_that_the_contract_calls_quiet(tmp_path: Path):
    faults = Faults(TUESDAY, TUESDAY + DAY, silent=frozenset({"greenhouse", "advocacy"}))
    with health_world(tmp_path, faults=faults) as world:
        monitoring = world.contract.monitoring.model_copy(update={"quiet_days": (TUESDAY.date(),)})
        world.watcher.contract = world.contract = world.contract.model_copy(update={"monitoring": monitoring})
        last(world.run(START + 3 * DAY, every=2 * HOUR))
        assert world.told() == []


def test_a_system_that_fails_as_a_whole_is_one_alert(tmp_path: Path):
    every = dict.fromkeys((*EVENT_CALLS["greenhouse"], *PULLS["greenhouse"]), 1.0)
    faults = Faults(TUESDAY + 9 * HOUR, TUESDAY + 17 * HOUR, error_rates=every)
    with health_world(tmp_path, faults=faults, start=TUESDAY + 8 * HOUR) as world:
        last(world.run(TUESDAY + DAY + 12 * HOUR, every=15 * MINUTE))
        assert world.told() == [("began", "api_error_rate", "greenhouse"), ("over", "api_error_rate", "greenhouse")]


def test_an_outage_that_a_breaker_told_of_is_not_told_again_in_other_words(tmp_path: Path):
    every = dict.fromkeys((*EVENT_CALLS["greenhouse"], *PULLS["greenhouse"]), 1.0)
    faults = Faults(TUESDAY + 10 * HOUR, TUESDAY + 12 * HOUR, error_rates=every, delay_seconds=600)
    with health_world(tmp_path, faults=faults, start=TUESDAY + 8 * HOUR) as world:
        last(world.run(faults.since, every=15 * MINUTE))
        world.desk.fire(Alert("breaker_open", "breaker:greenhouse", "error", "It does not answer.", "Wait."))
        during = last(world.run(faults.until, every=15 * MINUTE))
        assert of(during, "api_error_rate", "greenhouse").told_by == "breaker_open"
        world.desk.resolve("breaker_open", "breaker:greenhouse", "It answers again.")
        last(world.run(TUESDAY + DAY, every=15 * MINUTE))
        assert world.told() == [
            ("began", "breaker_open", "breaker:greenhouse"),
            ("over", "breaker_open", "breaker:greenhouse"),
        ]


def test_an_event_that_could_be_done_and_waits_is_told_and_one_that_backs_off_is_not(tmp_path: Path):
    with health_world(tmp_path, start=TUESDAY + 8 * HOUR) as world:
        waiting = {
            "system": "advocacy",
            "event_type": "e",
            "origin": "webhook",
            "received_at": world.now,
            "state": "received",
            "bulk": False,
        }
        world.insert(tables.inbox, [{**waiting, "delivery_id": "later", "available_at": world.now + 3 * HOUR}])
        last(world.run(world.now + 30 * MINUTE, every=5 * MINUTE))
        assert world.told() == []
        world.insert(tables.inbox, [{**waiting, "delivery_id": "due", "available_at": world.now}])
        last(world.run(world.now + 30 * MINUTE, every=5 * MINUTE))
        assert world.told() == [("began", "backlog_age", "inbox")]
        (event,) = world.ledger.claim("lane", limit=1, lease=MINUTE, bulk=False)
        world.ledger.finish_many("lane", [(event.id, "updated")], None)
        last(world.run(world.now + 10 * MINUTE, every=5 * MINUTE))
        assert world.told()[1:] == [("over", "backlog_age", "inbox")]


def test_a_receiver_that_died_is_told_and_a_lane_is_left_to_the_inbox_sensor(tmp_path: Path):
    with health_world(tmp_path, start=TUESDAY + 8 * HOUR) as world:
        last(world.run(world.now + 10 * MINUTE, every=5 * MINUTE))
        world.now += 2 * MINUTE
        health = world.look()
        assert of(health, "silent_process", "lane").told_by == "lane_stopped"
        assert world.told() == [("began", "silent_process", "receiver")]
        world.live()
        world.look()
        assert world.told()[1:] == [("over", "silent_process", "receiver")]


def test_deliveries_refused_for_their_time_say_that_a_clock_is_wrong(tmp_path: Path):
    with health_world(tmp_path, start=TUESDAY + 8 * HOUR) as world:
        world.live()
        world.ledger.beat("receiver", "two", details={"refused_for_time": {"advocacy": 4}})
        health = world.look()
        assert "4 of its deliveries" in of(health, "clock_skew", "advocacy").evidence
        assert world.told() == [("began", "clock_skew", "advocacy")]


def test_a_silence_that_lasts_is_one_alert_until_something_comes(tmp_path: Path):
    """On the second weekend little is usual, and after days of it a silence must not be what is usual."""
    begin = TUESDAY + 7 * DAY
    faults = Faults(begin + 9 * HOUR, begin + 12 * DAY + 9 * HOUR, silent=frozenset({"greenhouse"}))
    with health_world(tmp_path, faults=faults, start=begin) as world:
        last(world.run(faults.until - 3 * HOUR, every=6 * HOUR))
        assert world.told() == [("began", "daily_volume", "greenhouse")]
        last(world.run(faults.until + 2 * DAY, every=6 * HOUR))
        assert world.told() == [("began", "daily_volume", "greenhouse"), ("over", "daily_volume", "greenhouse")]


def test_a_silence_is_over_when_the_contract_calls_its_day_quiet(tmp_path: Path):
    faults = Faults(TUESDAY + 6 * HOUR, TUESDAY + 3 * DAY, silent=frozenset({"greenhouse"}))
    with health_world(tmp_path, faults=faults, start=TUESDAY + 6 * HOUR) as world:
        last(world.run(TUESDAY + 18 * HOUR, every=3 * HOUR))
        assert world.told() == [("began", "daily_volume", "greenhouse")]
        monitoring = world.contract.monitoring.model_copy(update={"quiet_days": (TUESDAY.date(),)})
        world.contract = world.contract.model_copy(update={"monitoring": monitoring})
        world.watcher = type(world.watcher)(world.ledger, world.contract, tmp_path / "published")
        world.look()
        assert world.told()[1:] == [("over", "daily_volume", "greenhouse")]


def test_of_a_system_of_a_few_changes_a_day_a_silence_is_found_after_days(tmp_path: Path, small: None):
    faults = Faults(START, START + 6 * DAY, silent=frozenset({"greenhouse"}))
    with health_world(tmp_path, faults=faults) as world:
        last(world.run(START + 5 * DAY, every=6 * HOUR))
        assert world.told() == [("began", "daily_volume", "greenhouse")]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A programme of twenty referrals on a working day."""
    monkeypatch.setitem(A_DAY, "advocacy", 20)
    monkeypatch.setitem(A_DAY, "greenhouse", 12)


def test_of_a_small_programme_too_an_alert_of_latency_ends(tmp_path: Path, small: None):
    """Fewer events come in a day than a window needs; those that came were quick."""
    friday = START + 4 * DAY
    faults = Faults(friday + 14 * HOUR, friday + 22 * HOUR, delay_seconds=300)
    with health_world(tmp_path, faults=faults, start=friday + 12 * HOUR) as world:
        last(world.run(friday + 4 * DAY, every=2 * HOUR))
        assert world.told() == [("began", "sync_latency_p95", "forward"), ("over", "sync_latency_p95", "forward")]


def test_of_a_small_programme_too_lost_webhooks_are_told_once(tmp_path: Path, small: None):
    friday = START + 4 * DAY
    with health_world(tmp_path, faults=Faults(friday, friday + DAY, lost={"advocacy": 1.0}), start=friday) as world:
        last(world.run(friday + 12 * DAY, every=4 * HOUR))
        assert world.told() == [("began", "webhook_success", "advocacy"), ("over", "webhook_success", "advocacy")]


def test_an_operation_of_four_calls_a_day_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its failures leave the window one by one, and what is left of them is no second fault."""
    monkeypatch.setitem(A_DAY, "advocacy", 8)
    monkeypatch.setitem(A_DAY, "greenhouse", 4)
    monkeypatch.setitem(EVENT_CALLS, "greenhouse", ("candidates.list", "recognitions.create"))
    faults = Faults(START + 7 * DAY, START + 12 * DAY, error_rates={"recognitions.create": 0.7})
    with health_world(tmp_path, faults=faults, start=START + 8 * DAY) as world:
        last(world.run(START + 18 * DAY, every=2 * HOUR))
        told = [alert for alert in world.told() if alert[1] == "api_error_rate"]
        assert told == [(word, "api_error_rate", "greenhouse recognitions.create") for word in ("began", "over")]


def test_a_night_without_webhooks_does_not_end_what_the_evening_proved(tmp_path: Path):
    """Five were lost by three o'clock; then none was due until six, and the last three hours held nothing."""
    friday = START + 4 * DAY
    faults = Faults(friday, friday + DAY, lost={"advocacy": 1.0})
    with health_world(tmp_path, faults=faults, start=friday - DAY) as world:
        last(world.run(friday + DAY, every=HOUR))
        assert world.told() == [("began", "webhook_success", "advocacy")]
        last(world.run(friday + 2 * DAY, every=2 * HOUR))
        assert world.told()[1:] == [("over", "webhook_success", "advocacy")]


def test_an_alert_is_known_however_many_came_after_it(tmp_path: Path):
    with health_world(tmp_path, start=TUESDAY) as world:
        world.live()
        world.desk.fire(Alert("run_failed", "job:refresh", "error", "It failed.", "Look."))
        row = {
            "severity": "warning",
            "message": "m",
            "owner": "o",
            "channel": "log",
            "fired_at": world.now,
            "delivered_at": world.now,
            "resolved_at": world.now,
        }
        many = [
            {**row, "name": "check_failed", "fingerprint": f"check_failed/{n}", "details": {"subject": str(n)}}
            for n in range(400)
        ]
        world.insert(tables.alerts, many)
        facts = world.watcher.look(world.now)
        assert facts.told("run_failed", subject="job:refresh") == "run_failed"
        assert len(facts.alerts) == 1


def test_what_waits_for_a_channel_that_the_contract_no_longer_names_is_no_trouble(tmp_path: Path):
    with health_world(tmp_path, start=TUESDAY) as world:
        for channel in ("slack", "log"):
            world.ledger.fire_alert("dead_letter", "dead_letter/x", "error", "m", "o", channel, {"subject": "x"})
        world.now += 6 * MINUTE
        assert dict(world.watcher.look(world.now).undelivered) == {"log": 1}


def test_what_is_not_measured_any_more_is_not_told_to_be_well(tmp_path: Path):
    with health_world(tmp_path, start=TUESDAY) as world:
        world.live()
        world.desk.fire(Alert("slow_calls", "greenhouse gone.list", "error", "It is slow.", "Look."))
        world.look()
        (newest, *_) = world.ledger.alerts()
        assert newest.details["kind"] == "recovered"
        assert "no longer measured" in newest.message
        assert "well again" not in newest.message


def test_an_installation_of_which_nothing_is_known_is_unknown_and_tells_nobody(tmp_path: Path):
    with health_world(tmp_path) as world:
        with world.ledger._writing() as connection:
            for table in (tables.inbox, tables.api_calls, tables.daily_volume):
                connection.execute(table.delete())
        health = world.look()
        assert world.told() == []
        assert health.severity is Severity.OK
        assert {row.measure for row in health.rows} == set(RUNBOOK)
        assert of(health, "api_error_rate", "greenhouse").severity is Severity.UNKNOWN
        assert of(health, "daily_volume", "greenhouse").severity is Severity.UNKNOWN


def test_a_watcher_that_lives_on_sees_what_a_new_one_sees(tmp_path: Path):
    with health_world(tmp_path) as world:
        last(world.run(START + 1.3 * DAY, every=HOUR))
        kept = world.watcher.look(world.now)
        fresh = HealthWorld.__new__(HealthWorld)
        fresh.watcher = type(world.watcher)(world.ledger, world.contract, tmp_path / "published")
        anew = fresh.watcher.look(world.now)
        assert kept.calls == anew.calls
        assert kept.volumes == anew.volumes
        assert kept.patterns == anew.patterns
        assert kept.newest == anew.newest


def test_production_that_may_not_be_written_to_is_told_before_anybody_tries_and_once(tmp_path: Path):
    def word(passed: bool) -> None:
        world.ledger.record_verification(
            GO_LIVE, passed=passed, environment="production", fingerprint=fingerprint_of(world.contract),
            made_by="lead@example.com", facts={},
        )  # fmt: skip

    with health_world(tmp_path) as world:
        world.watcher.contract = world.contract = world.contract.model_copy(update={"environment": "production"})
        word(True)
        world.look()
        assert world.told() == []
        word(False)
        assert of(world.look(), "not_approved", "go_live").severity is Severity.ERROR
        LaneAlerts(world.contract, world.ledger, world.desk).not_approved()  # the lane sees it too
        world.look()
        assert world.told() == [("began", "not_approved", "go_live")]
        word(True)
        world.look()
        assert world.told()[1:] == [("over", "not_approved", "go_live")]


def test_where_no_event_is_kept_any_more_the_days_tell_when_the_last_came(tmp_path: Path):
    with health_world(tmp_path, start=TUESDAY) as world:
        with world.ledger._writing() as connection:
            connection.execute(tables.inbox.delete())
        days = world.ledger.volumes(START.date() - 9 * DAY, [ARRIVED])
        newest = max(v.day for v in days if v.system == "greenhouse" and v.count)
        assert world.watcher.look(world.now).newest["greenhouse"].date() == newest + DAY
