"""`quarantine`: which rows were set aside, why, and how to mend each; no value is shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from referral_pipeline.cli import main
from referral_pipeline.sandbox.credentials import SECRETS
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.unit.core_world import World

COSTS = "period,channel,kind,amount,currency,allocation_key,note\n2026-01,agency,external,7.5.0,USD,,for Ann Lee\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in {**SECRETS, "REFERRAL_PIPELINE_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("REFERRAL_PIPELINE_CONFIG", raising=False)
    return tmp_path


@pytest.fixture
def world(home: Path) -> World:
    """A share of nobody, a referral whose country cannot be read, and a line of costs that cannot."""
    made = World(home, costs=COSTS)
    made.warehouse = Warehouse("data/state/warehouse.duckdb", home=home, published_dir=home / "data" / "published")
    made.advocate("A1")
    made.share("S1", "A9", -10)
    made.referral("R1", "A1", -1, person="Jane Secret")
    made.referrals[0] = replace(made.referrals[0], country="Hunter2")
    made.stage()
    return made


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["quarantine", *arguments])


def lines(*arguments: str) -> list[list[str]]:
    answer = invoke(*arguments)
    assert answer.exit_code == 0, answer.output
    return [line.split("\t") for line in answer.output.splitlines()]


@pytest.mark.usefixtures("world")
def test_each_row_is_named_with_field_shape_and_mend_what_was_left_out_first():
    told = "correct it in advocacy; the next refresh reads it again"
    *found, last = lines()
    assert found == [
        ["advocacy", "shares", "S1", "record", "advocate_id", "is nobody's",
         "text of 2 characters without @, with 1 digit", told],
        ["files", "costs", "costs.csv:2", "record", "amount", "is no amount", "text of 5 characters (digits, signs)",
         "write digits and a dot, such as 2000.00"],
        ["advocacy", "referrals", "R1", "field", "country", "is no country code",
         "text of 7 characters without @, with 1 digit", told],
    ]  # fmt: skip
    assert last == ["shown: 3 of 3"]


@pytest.mark.usefixtures("world")
def test_no_value_and_no_note_is_shown():
    assert not any(word in invoke(*form).output for form in ([], ["--json"]) for word in ("Secret", "Hunter2", "Ann"))


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("arguments", "records"),
    [
        (("--entity", "costs"), ["costs.csv:2"]),
        (("--system", "advocacy", "--level", "field"), ["R1"]),
        (("--record", "S1", "--field", "advocate_id"), ["S1"]),
    ],
)
def test_what_is_asked_for_is_shown_alone(arguments: tuple[str, ...], records: list[str]):
    assert [line[2] for line in lines(*arguments)[:-1]] == records


@pytest.mark.usefixtures("world")
def test_more_than_the_limit_is_counted_and_json_is_one_object():
    assert lines("--limit", "1")[-1] == ["shown: 1 of 3; --limit 3 shows all"]
    answer: dict[str, Any] = json.loads(invoke("--json", "--limit", "1").output)
    assert (answer["total"], [one["record_id"] for one in answer["problems"]]) == (3, ["S1"])


def test_an_id_that_would_command_a_terminal_is_shown_harmless(world: World):
    world.share("S\x1b[2J\n", "A9", -10)
    world.stage()
    assert [line[2] for line in lines("--entity", "shares")[:-1]] == ["S\\x1b[2J\\n", "S1"]


@pytest.mark.usefixtures("world")
def test_where_nothing_is_set_aside_that_is_said():
    assert lines("--entity", "clicks") == [["nothing is set aside"]]


def test_before_the_first_refresh_the_command_says_what_to_do_and_makes_no_file(home: Path):
    answer = invoke()
    assert (answer.exit_code, "run `referral-pipeline refresh`" in answer.output) == (1, True)
    assert not (home / "data" / "state" / "warehouse.duckdb").exists()
