"""From hire to payroll and back, through the lane against both sandboxes, with the commands that a person runs."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from referral_pipeline.cli import main
from referral_pipeline_tests.pipeline.event_rig import Person, World, shared_world, world

__all__ = ["shared_world", "world"]

AMOUNT = 200_000
EARNED = [("hired", 0), ("bonus_eligible", AMOUNT)]
CLERK = "payroll@example.com"


def day(days: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


def bonus(*arguments: str, code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["bonus", *arguments, "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def exported(folder: Path, name: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """An export, and the lines of its file."""
    path = folder / name
    answer = bonus("export", "--out", str(path), "--by", CLERK)
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) if path.exists() else []
    return answer, rows


def referred(world: World, person: Person, **fields: Any) -> tuple[str, int]:
    """A referral of this person for a job of its own: its id and its application."""
    before = {row["id"] for row in world.applications(person)}
    referral_id = world.submit(person, **{"job_id": world.job(), **fields})
    world.settle()
    (application_id,) = {row["id"] for row in world.applications(person)} - before
    return referral_id, application_id


def hire(world: World, application_id: int, starts_on: str) -> None:
    world.offer(application_id, starts_on=starts_on)
    world.ats("hire", application_id=application_id)
    world.settle()


def state_of(referral_id: str) -> list[tuple[str, str | None]]:
    return [(b["state"], b["reason"]) for b in bonus("list")["bonuses"] if b["referral_id"] == referral_id]


def test_what_was_exported_is_not_taken_back_nor_paid_again_and_the_reconciliation_says_reclaim(
    world: World, tmp_path: Path
):
    referral_id, application_id = referred(world, world.person())
    hire(world, application_id, day(-89))
    assert state_of(referral_id) == [("pending", None)]
    assert referral_id not in {row["referral_id"] for row in exported(tmp_path, "early.csv")[1]}
    world.ahead += timedelta(days=1)
    world.tick()
    assert world.recognitions(referral_id) == EARNED
    answer, rows = exported(tmp_path, "may.csv")
    (row,) = [row for row in rows if row["referral_id"] == referral_id]
    assert (row["amount"], row["currency"], row["application"]) == ("2000.00", "USD", f"greenhouse:{application_id}")
    assert state_of(referral_id) == [("paid", None)]
    assert bonus("reconcile", str(tmp_path / "may.csv"))["differences"] == []

    world.ats("unhire", application_id=application_id)
    world.settle()
    world.tick()
    assert world.referral(referral_id)["status"] != "hired"
    assert world.recognitions(referral_id) == EARNED
    assert state_of(referral_id) == [("paid", "unhired")]
    found = bonus("reconcile", str(tmp_path / "may.csv"), code=1)["differences"]
    assert [(d["kind"], d["bonus_id"]) for d in found] == [("to_reclaim", row["bonus_id"])]

    world.ats("hire", application_id=application_id)
    world.settle()
    world.tick()
    assert world.recognitions(referral_id) == EARNED
    assert exported(tmp_path, "june.csv")[0]["export_id"] is None
    assert bonus("reconcile", str(tmp_path / "may.csv"))["differences"] == []
    assert answer["sums"] == {"USD": AMOUNT * len(rows)}


def test_an_unhire_before_the_export_reverses_and_nothing_is_paid(world: World, tmp_path: Path):
    referral_id, application_id = referred(world, world.person())
    hire(world, application_id, day(-100))
    assert world.recognitions(referral_id) == EARNED
    world.ats("unhire", application_id=application_id)
    world.settle()
    assert world.recognitions(referral_id) == [*EARNED, ("reversed", AMOUNT)]
    assert state_of(referral_id) == [("reversed", None)]
    assert exported(tmp_path, "may.csv")[0]["export_id"] is None
    world.ats("hire", application_id=application_id)
    world.settle()
    _, rows = exported(tmp_path, "june.csv")
    assert [row["referral_id"] for row in rows] == [referral_id]
    assert state_of(referral_id) == [("reversed", None), ("paid", None)]


def test_what_payroll_gives_back_after_an_unhire_is_taken_back_at_the_platform(world: World, tmp_path: Path):
    referral_id, application_id = referred(world, world.person())
    hire(world, application_id, day(-100))
    _, rows = exported(tmp_path, "may.csv")
    world.ats("unhire", application_id=application_id)
    world.settle()
    path = tmp_path / "back.csv"
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, [*rows[0], "status"])
        writer.writeheader()
        writer.writerows({**row, "status": "returned"} for row in rows)
    assert bonus("reconcile", str(path), "--apply", "--by", CLERK, code=1)["returned"] == 1
    assert exported(tmp_path, "june.csv")[0]["held"] == [{"bonus_id": rows[0]["bonus_id"], "reason": "unhired"}]
    world.hint(("greenhouse", f"application:{application_id}"))
    world.settle()
    assert world.recognitions(referral_id) == [*EARNED, ("reversed", AMOUNT)]


def test_a_second_hire_of_one_person_is_recognised_and_earns_no_second_bonus(world: World, tmp_path: Path):
    person = world.person()
    first, first_application = referred(world, person)
    hire(world, first_application, day(-100))
    second, second_application = referred(world, person, advocate_id=world.advocates[1])
    hire(world, second_application, day(-95))
    world.tick()
    assert world.recognitions(first) == EARNED
    assert world.recognitions(second) == [("hired", 0)]
    assert state_of(second) == [("pending", "rehire")]
    _, rows = exported(tmp_path, "may.csv")
    assert [row["referral_id"] for row in rows] == [first]
    # The first hire ends after it was paid: the person was paid for once, and stays so.
    world.ats("unhire", application_id=first_application)
    world.settle()
    world.tick()
    assert world.recognitions(second) == [("hired", 0)]
    assert exported(tmp_path, "june.csv")[0]["export_id"] is None


def test_a_second_hire_gets_the_bonus_that_the_first_one_lost_before_it_was_paid(world: World, tmp_path: Path):
    person = world.person()
    first, first_application = referred(world, person)
    hire(world, first_application, day(-100))
    second, second_application = referred(world, person, advocate_id=world.advocates[1])
    hire(world, second_application, day(-95))
    world.ats("unhire", application_id=first_application)
    world.settle()
    world.tick()
    assert world.recognitions(first) == [*EARNED, ("reversed", AMOUNT)]
    assert world.recognitions(second) == EARNED
    _, rows = exported(tmp_path, "may.csv")
    assert [row["referral_id"] for row in rows] == [second]


def test_a_candidate_merged_after_the_export_and_events_told_again_pay_nothing_more(world: World, tmp_path: Path):
    person = world.person()
    referral_id, application_id = referred(world, person)
    hire(world, application_id, day(-100))
    _, rows = exported(tmp_path, "may.csv")
    assert [row["referral_id"] for row in rows] == [referral_id]
    ours = world.candidate(person)
    kept = world.by_hand(world.person(last_name=person.last_name, first_name=person.first_name))
    world.settle()
    world.ats("merge", primary_id=kept["id"], secondary_id=ours["id"])
    events = world.arrived()
    world.enter(events)
    world.work()
    world.ahead += timedelta(hours=1)
    world.enter([type(one)(one.system, f"{one.id}-again", one.type, one.subject, one.body) for one in events])
    world.settle()
    world.tick()
    assert world.recognitions(referral_id) == EARNED
    assert exported(tmp_path, "june.csv")[0]["export_id"] is None
    # The next hire under the candidate that was kept is the same person's.
    second, second_application = referred(world, person, candidate={"email": f"other.{person.email}"})
    hire(world, second_application, day(-95))
    world.tick()
    assert world.recognitions(second) == [("hired", 0)]
    assert exported(tmp_path, "july.csv")[0]["export_id"] is None
