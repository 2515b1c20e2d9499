"""The parallel run: each fault is found in a world of records, under its own name and cause."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.contract.verification import Verification
from referral_pipeline.quality.parallel_run.run import NO_ROWS, NOT_CONFIGURED, NOT_REFRESHED, run_parallel
from referral_pipeline.warehouse.manual_intake import stage_manual_intake
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.unit.core_world import DAY0, contract_with, day
from referral_pipeline_tests.unit.intake_rig import NOW, PEOPLE, Launch, utc

MISSING, DIFFERS, DUPLICATE = "missing_in_integration", "field_difference", "missed_duplicate"
SILENT, LATE, NOT_IN_MANUAL = "silent_webhook_failure", "late", "missing_in_manual"


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    made = Launch(tmp_path)
    yield made
    made.close()


def launched(launch: Launch, count: int = 4, **more: Any) -> None:
    """So many people whom both sides have alike."""
    for number, person in enumerate(PEOPLE[:count], start=1):
        launch.written(number, person, **more)
        launch.typed(person, advocate_id="A1", campaign_tag="Spring")


# ---------------------------------------------------------------- agreement


def test_records_agree_whatever_hand_they_were_typed_in(launch: Launch):
    launched(launch)
    launch.typed("Fay Fisher", first_name="", last_name="", phone="+1 (202) 555-0144")
    launch.written(5, "Fay Fisher")
    launch.candidate("Fay Fisher", phones=("202 555 0144", "+12025550144"))
    assert launch.found() == []
    assert [line.finding for line in launch.result.lines] == ["agrees"] * 5
    assert (launch.numbers.matched, launch.numbers.rate, launch.numbers.passed) == (5, 1.0, True)


def test_a_status_that_the_application_has_passed_agrees(launch: Launch):
    launched(launch, 1)
    launch.stage(1, "Face to Face", "interviewed")
    launch.rows[0]["status"] = "Applied"
    assert launch.found() == []


def test_the_table_holds_the_lines_and_nobodys_name(launch: Launch):
    launched(launch)
    launch.candidate("Ada Example", first_name="Ad", last_name="Quist", emails=("x@example.org",))
    launch.rows[1]["advocate_id"] = "somebody called Zoe"
    launch.compare()
    table = launch.world.warehouse.frame("SELECT * FROM ops.parallel_run")
    assert list(table["manual_record"]) == [f"intake.csv:{n}" for n in (2, 2, 2, 3, 4, 5)]
    assert int(table["is_open"].sum()) == 4
    text = table.to_string().casefold()
    assert not any(word in text for word in ("ada", "quist", "zoe", "example.com", "example.org", "builder"))


# ---------------------------------------------------------------- fields


def test_swapped_names_in_most_records_are_an_error_of_mapping(launch: Launch):
    launched(launch)
    for person in PEOPLE[:3]:
        first, _, last = person.partition(" ")
        launch.candidate(person, first_name=last, last_name=first)
    found = launch.found()
    assert found == [
        (f"R{n}", DIFFERS, name, "mapping_error") for n in (1, 2, 3) for name in ("first_name", "last_name")
    ]
    assert {line.detail for line in launch.result.lines if line.field == "first_name"} == {
        "the ATS has the last name there"
    }
    assert launch.numbers.passed is False


def test_two_slips_are_no_error_of_mapping(launch: Launch):
    launched(launch)
    for person in PEOPLE[:2]:
        launch.candidate(person, last_name="Exa")
    causes = {cause for _, _, _, cause in launch.found()}
    assert causes == {"unknown"}


def test_a_name_that_is_cut_off_is_told_as_such(launch: Launch):
    launched(launch, 1)
    launch.candidate("Ada Example", last_name="Exam")
    (line,) = [x for x in launch.lines() if x.field == "last_name"]
    assert (line.detail, line.cause) == ("the ATS has it cut off after 4 of 7 characters", "unknown")


def test_a_stage_map_that_is_wrong_for_one_stage_is_an_error_of_mapping(launch: Launch):
    launched(launch, 6)
    for number, row in enumerate(launch.rows[:3], start=1):
        launch.stage(number, "Face to Face", "in_review")
        row["status"] = "interviewed"
    for number, row in enumerate(launch.rows[3:], start=4):
        launch.stage(number, "Offer", "offered")
        row["status"] = "offered"
    found = launch.found()
    assert found == [(f"R{n}", DIFFERS, "status", "mapping_error") for n in (1, 2, 3)]
    (detail,) = {line.detail for line in launch.result.lines if line.field == "status"}
    assert detail == "stage 'Face to Face' counts as in_review, manual intake says interviewed"


def test_an_advocate_whom_the_model_did_not_credit_is_as_meant(launch: Launch):
    launch.written(1, "Ada Example", advocate="A1")
    launch.world.referral("R2", "A2", 0.9, person="Ada Example")
    launch.world.link("R2", "P1", candidate_id="C-Ada Example")
    launch.typed("Ada Example", advocate_id="A2")
    assert launch.found() == [("R2", DIFFERS, "advocate", "attribution_rule")]
    assert (launch.numbers.open, launch.numbers.passed) == (0, True)


def test_another_advocate_is_a_difference_and_most_of_them_an_error_of_mapping(launch: Launch):
    launched(launch)
    launch.world.edit("P1", tags={"advocate_id": "A2", "campaign_tag": "spring"})
    assert launch.found() == [("R1", DIFFERS, "advocate", "unknown")]
    for number in (2, 3):
        launch.world.edit(f"P{number}", tags={"advocate_id": "spring", "campaign_tag": "A1"})
    causes = {(name, cause) for _, _, name, cause in launch.found()}
    assert causes == {("advocate", "mapping_error"), ("campaign", "unknown")}


def test_what_a_candidate_had_before_stands_unless_it_is_somebody_elses(launch: Launch):
    launched(launch, 2, link={"created_candidate": False})
    launch.candidate("Ada Example", emails=("ada.example@example.com", "old@example.org"), first_name="A.")
    launch.rows[0]["phone"] = "+12025550144"
    assert launch.found() == [("R1", DIFFERS, "phone", "ats_record_stands")]
    launch.candidate("Ada Example", first_name="Zacharias", last_name="Quist")
    causes = {(name, cause) for _, _, name, cause in launch.found()}
    assert causes >= {("first_name", "wrong_merge"), ("last_name", "wrong_merge")}


# ---------------------------------------------------------------- what is missing


def test_a_lost_webhook_is_the_cause_of_what_is_missing_and_of_what_only_a_pull_brought(launch: Launch):
    launch.webhook("R0", at=0.5)
    launched(launch, 2)
    launch.webhook("R1", at=1.01)
    launch.webhook("R2", at=1.5, kind="reconcile.referral")
    launch.world.referral("R3", "A1", 1, person="Lou Lost")
    launch.typed("Lou Lost")
    assert launch.found() == [
        ("R2", SILENT, None, "webhook_never_arrived"),
        ("R3", MISSING, None, "webhook_never_arrived"),
    ]
    assert (launch.numbers.matched, launch.numbers.agreeing, launch.numbers.open) == (2, 2, 2)


def test_without_webhooks_and_before_the_first_one_nothing_is_said_of_them(launch: Launch):
    launched(launch, 2)
    assert launch.found() == []
    launch.webhook("R7", at=1.5)
    assert launch.found() == []


def test_what_is_not_due_yet_waits_and_then_is_missing(launch: Launch):
    launch.world.referral("R1", "A1", 1, person="Ada Example")
    launch.typed("Ada Example", at=1.5)
    launch.typed("Bob Builder", at=1.5)
    launch.section = {"late_hours": 12}
    assert launch.found(now=day(1.9)) == [("R1", "waiting", None, None), (None, "waiting", None, None)]
    assert launch.numbers.open == 0
    assert launch.found(now=day(2.1)) == [("R1", MISSING, None, "unknown"), (None, MISSING, None, "not_on_platform")]
    assert (launch.numbers.open, launch.numbers.unexplained) == (2, 2)


def test_an_event_that_failed_for_good_is_the_cause(launch: Launch):
    launch.world.referral("R1", "A1", 1, person="Ada Example")
    launch.typed("Ada Example")
    launch.webhook("R0", at=0.5)
    launch.webhook("R1", at=1.01)
    event = launch.ledger.inbox_events(subject="referral:R1")[0]
    launch.ledger.replay([event.id])
    assert launch.found() == [("R1", MISSING, None, "late")]
    launch.ledger.claim("lane", limit=1, lease=timedelta(minutes=1), bulk=False)
    launch.ledger.bury("lane", event.id, "refused")
    assert launch.found() == [("R1", MISSING, None, "event_failed")]


# ---------------------------------------------------------------- what manual intake lacks


def test_what_nobody_entered_is_missing_there_inside_the_window_only(launch: Launch):
    launched(launch, 2)
    launch.written(3, "Cleo Curie", at=1)
    launch.written(4, "Dora Dane", at=9)
    launch.section = {"starts_on": "2026-01-01", "ends_on": "2026-01-05"}
    assert launch.found() == [("R3", NOT_IN_MANUAL, None, "not_entered")]
    assert launch.numbers.unexplained == 1
    assert [
        (d.day.day, d.manual, d.integration, d.missing_in_manual) for d in launch.numbers.days if d.integration
    ] == [(2, 2, 3, 1)]


def test_what_was_typed_into_the_ats_or_came_at_the_end_of_the_window_need_not_have_been_entered(launch: Launch):
    launched(launch, 1)
    launch.written(2, "Bob Builder", at=1, link={"created_application": False, "created_candidate": False})
    launch.written(3, "Cleo Curie", at=4.5)
    launch.world.referral("R4", "A1", 1, person="Dora Dane")
    launch.section = {"starts_on": "2026-01-01", "ends_on": "2026-01-05"}
    assert launch.found() == [
        ("R2", NOT_IN_MANUAL, None, "typed_in_ats"),
        ("R3", NOT_IN_MANUAL, None, "window_edge"),
    ]
    assert launch.numbers.open == 0


def test_a_row_beside_the_window_is_not_compared_and_what_it_names_is_not_missing(launch: Launch):
    launched(launch, 1)
    launch.written(2, "Bob Builder", at=1)
    launch.typed("Bob Builder", at=8)
    launch.typed("Nobody Atall", at=8)
    launch.section = {"starts_on": "2026-01-01", "ends_on": "2026-01-05"}
    assert launch.found() == []
    assert (launch.numbers.rows, launch.numbers.outside) == (1, 2)


def test_the_day_of_a_referral_is_that_of_the_zone_also_when_the_clock_is_put_forward(launch: Launch):
    touched = (
        utc(2026, 3, 28, 22, 30),  # 23:30 on the 28th, in winter time
        utc(2026, 3, 28, 23, 30),  # 00:30 on the 29th
        utc(2026, 3, 29, 21, 30),  # 23:30 on the 29th, in summer time
        utc(2026, 3, 29, 22, 30),  # 00:30 on the 30th
    )
    for number, (person, moment) in enumerate(zip(PEOPLE, touched, strict=False), start=1):
        launch.written(number, person, at=(moment - DAY0) / timedelta(days=1))
    launch.written(9, "Fay Fisher", at=80)
    launch.typed("Fay Fisher", entered_at="2026-03-29")
    launch.section = {"starts_on": "2026-03-29", "ends_on": "2026-03-29", "time_zone": "Europe/Berlin"}
    assert [referral for referral, *_ in launch.found(now=utc(2026, 4, 20))] == ["R2", "R3"]


# ---------------------------------------------------------------- late


def test_late_is_what_took_longer_than_allowed_after_both_sides_could_have_it(launch: Launch):
    launch.written(1, "Ada Example", at=1, hours=1)
    launch.written(2, "Bob Builder", at=2, hours=30)
    launch.written(3, "Cleo Curie", at=2, hours=30)
    for person, at in zip(PEOPLE, (1.1, 2.1, 3), strict=False):
        launch.typed(person, at=at)
    assert launch.found() == [("R2", LATE, None, "late")]
    assert launch.numbers.agreeing == 3
    (line,) = [x for x in launch.result.lines if x.finding == LATE]
    assert line.detail == "it came 27.6 hours after both could"


def test_a_backlog_from_before_the_integration_began_is_not_late(launch: Launch):
    launch.written(1, "Ada Example", at=1, hours=240)
    launch.written(2, "Bob Builder", at=2, hours=216)
    launch.typed("Ada Example", at=1)
    launch.typed("Bob Builder", at=2)
    assert launch.found() == []


# ---------------------------------------------------------------- duplicates


def test_one_person_of_manual_intake_with_two_candidates_is_a_missed_duplicate(launch: Launch):
    launched(launch, 1)
    launch.written(2, "Ada Example", job="J2", candidate="C-second")
    second = launch.world.candidates[-1]
    assert second.id == "C-second"
    launch.world.candidates[-1] = replace(second, emails=("ada@example.org",))
    launch.world.referrals[-1] = replace(launch.world.referrals[-1], email="ada@example.org")
    launch.typed("Ada Example", email="ada@example.org", job_id="J2", record_id="7")
    launch.rows[0]["record_id"] = "7"
    assert launch.found() == [("R2", DUPLICATE, None, "missed_match")]
    (line,) = [x for x in launch.result.lines if x.finding == DUPLICATE]
    assert (
        line.detail
        == "manual intake has one person, the integration wrote to the candidates C-Ada Example and C-second"
    )


def test_an_address_and_a_number_that_lead_to_two_candidates_are_a_missed_duplicate(launch: Launch):
    launched(launch, 1)
    launch.written(2, "Ada Example", candidate="C-second", job="J2")
    launch.world.candidates[-1] = replace(launch.world.candidates[-1], emails=(), phones=("+12025550144",))
    launch.world.referrals[-1] = replace(launch.world.referrals[-1], email="ada@example.org", phone="+12025550144")
    launch.rows[0]["phone"] = "+12025550144"
    assert launch.found() == [
        ("R1", DIFFERS, "phone", "missed_match"),
        ("R1", DUPLICATE, None, "missed_match"),
        ("R2", NOT_IN_MANUAL, None, "window_edge"),
    ]
    assert launch.numbers.unexplained_rate == 1


def test_two_people_of_manual_intake_in_one_candidate_are_a_wrong_merge(launch: Launch):
    launched(launch, 1)
    launch.candidate("Ada Example", emails=("ada.example@example.com", "zoe@example.com"))
    launch.world.referral("R2", "A1", 1, person="Zoe Quist", job="J2")
    launch.world.link("R2", "P1", candidate_id="C-Ada Example")
    launch.typed("Zoe Quist", job_id="J2")
    assert ("R2", DUPLICATE, None, "wrong_merge") in launch.found()


# ---------------------------------------------------------------- nothing to compare


def test_without_a_parallel_run_without_rows_and_before_a_refresh_it_says_so(tmp_path: Path, launch: Launch):
    launch.compare()
    assert (launch.result.numbers, launch.result.note) == (None, NO_ROWS)
    arguments: dict[str, Any] = {"set_aside": 0, "quarantined": dict, "now": NOW}
    without = contract_with().model_copy(update={"verification": Verification()})
    result = run_parallel(launch.world.warehouse, launch.ledger, without, **arguments)
    assert (result.lines, result.note) == ((), NOT_CONFIGURED)
    assert launch.world.warehouse.row_count("ops.parallel_run") == 0
    empty = Warehouse("empty.duckdb", home=tmp_path, published_dir=tmp_path / "none")
    stage_manual_intake(empty, launch.contract, tmp_path)
    assert run_parallel(empty, launch.ledger, launch.contract, **arguments).note == NOT_REFRESHED


# ---------------------------------------------------------------- many at once


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launch]:
    """One launch in which something else is the matter with each person."""
    launch = Launch(tmp_path_factory.mktemp("mixed"))
    launched(launch, 2)
    for number, reason in enumerate(("country", "no_consent", "job"), start=11):
        launch.world.referral(f"R{number}", "A1", 1, person=f"Gil {reason.capitalize()}")
        launch.world.link(f"R{number}", block=reason)
        launch.typed(f"Gil {reason.capitalize()}")
    launch.written(14, "Mia Match")
    launch.typed("Mia Match", email="private@example.org")
    launch.typed("Quinn Quarantine")
    launch.written(16, "Gus Gone")
    launch.typed("Gus Gone")
    launch.world.applications = [a for a in launch.world.applications if a.id != "P16"]
    launch.written(17, "Jo Jobs")
    launch.typed("Jo Jobs", job_id="J2")
    launch.written(18, "Tim Twice")
    launch.typed("Tim Twice")
    launch.typed("Tim Twice")
    for number, person in ((19, "Robert Example"), (20, "Greta Sample")):
        launch.written(number, person)
        launch.candidate(person, emails=("home@example.com",))
        launch.world.referrals[-1] = replace(launch.world.referrals[-1], email="home@example.com")
        launch.typed(person, email="home@example.com")
    launch.compare(quarantined={"quinn.quarantine@example.com": ("R15", "last_name")})
    yield launch
    launch.close()


@pytest.mark.parametrize(
    ("referral", "finding", "cause", "is_open"),
    [
        ("R11", MISSING, "gate:country", False),
        ("R12", MISSING, "gate:no_consent", False),
        ("R13", MISSING, "gate:job", False),
        ("R14", MISSING, "missed_match", True),  # an equal name for the same job, other contact details
        ("R15", MISSING, "quarantined:last_name", True),
        ("R16", MISSING, "gone_in_ats", False),
        ("R17", DIFFERS, "unknown", True),
    ],
)
def test_each_fault_is_told_under_its_own_cause(mixed: Launch, referral: str, finding: str, cause: str, is_open: bool):
    (line,) = [x for x in mixed.result.lines if x.referral_id == referral]
    assert (line.finding, line.cause, line.is_open) == (finding, cause, is_open)


def test_another_job_is_told_with_both(mixed: Launch):
    (line,) = [x for x in mixed.result.lines if x.referral_id == "R17"]
    assert (line.field, line.detail) == ("job", "manual intake has J2, the integration J1")


def test_a_person_whom_people_entered_twice_is_no_fault_of_the_integration(mixed: Launch):
    found = [(x.finding, x.cause, x.is_open) for x in mixed.result.lines if x.referral_id == "R18"]
    assert found == [("agrees", None, False), (DUPLICATE, "manual_duplicate", False)]


def test_a_couple_of_one_mailbox_are_two_people_on_both_sides(mixed: Launch):
    found = {x.referral_id: x.finding for x in mixed.result.lines if x.referral_id in {"R19", "R20"}}
    assert found == {"R19": "agrees", "R20": "agrees"}


def test_the_days_and_the_kept_facts_add_up_to_the_lines(mixed: Launch):
    facts = mixed.numbers.facts()
    assert facts == json.loads(json.dumps(facts))
    (today,) = facts["days"]
    lines = mixed.result.lines
    assert (today["manual"], today["open"]) == (len(mixed.rows), facts["open"])
    assert facts["open"] == len(facts["open_findings"]) == sum(line.is_open for line in lines)
    assert sum(facts["findings"].values()) + today["agrees"] == len(lines)
    assert (facts["matched"], facts["agreeing"]) == (7, 6)
