"""What of an API's answers is news, how bad it is, when it is over: judged from what a real ledger keeps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.connectors.expected import LIST, NUMBER, TEXT, Field, Shapes
from referral_pipeline.connectors.shapes import ShapeRecorder
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.monitoring.drift import Drift, Kind, State, judge, needs_a_full_pull
from referral_pipeline.monitoring.drift_words import what, what_to_do
from referral_pipeline_tests.unit.ledger_databases import BACKENDS, Clock, fresh_url

SHAPES = Shapes(
    {
        "people.list": {
            "": Field(frozenset({LIST}), nullable=False),
            "[]": Field(frozenset({"object"}), nullable=False),
            "[].id": Field(frozenset({NUMBER, TEXT}), required=True, nullable=False),
            "[].phone": Field(frozenset({TEXT})),
            "[].stage": Field(frozenset({TEXT}), is_word=True),
            "[].status": Field(
                frozenset({TEXT}), required=True, nullable=False, is_word=True, words=frozenset({"open", "closed"})
            ),
        }
    }
)


class World:
    """A ledger that answers of one operation are learned into, an hour apart, by a new process each time."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self.ledger = ledger
        self.clock = clock
        self.known_words: list[str] = []

    def answers(self, *rows: dict[str, Any], operation: str = "people.list", **headers: str) -> list[Drift]:
        """One answer with these rows, then a look; every change that is known by then."""
        self.clock.tick(3600)
        recorder = ShapeRecorder(self.ledger.record_shapes, lambda system: SHAPES, flush_seconds=600)
        recorder.answered("ats", operation, list(rows))
        recorder.noticed("ats", operation, headers)
        recorder.close()
        return self.look()

    def look(self) -> list[Drift]:
        judged = judge(self.ledger.shapes(), lambda system: SHAPES, now=self.clock.now, known_words=self.known_words)
        for key, by in judged.accept.items():
            self.ledger.accept_shapes([key], by=by)
        return list(judged.drifts)


@pytest.fixture(params=BACKENDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    clock = Clock()
    for url in fresh_url(request.param, tmp_path):
        with Ledger.open(url, home=tmp_path, clock=clock) as ledger:
            yield World(ledger, clock)


def person(**more: Any) -> dict[str, Any]:
    row = {"id": 7, "phone": "1", "stage": "Screen", "status": "open", "rank": 3, **more}
    return {name: value for name, value in row.items() if value is not ...}


def people(count: int = 24, **more: Any) -> list[dict[str, Any]]:
    return [person(**more) for _ in range(count)]


def brief(drifts: list[Drift]) -> set[tuple[str, str, str, str]]:
    """(kind, path, severity, state) of each change."""
    return {(one.kind.value, one.fact.path, one.severity, one.state.value) for one in drifts}


# ------------------------------------------------------------ the first look


def test_what_the_first_look_shows_is_what_the_rest_is_held_against(world: World):
    assert world.answers(*people()) == []
    assert world.answers(*people()) == []


def test_what_contradicts_the_connector_is_news_at_once(world: World):
    found = world.answers(*people(20, status="paused", phone=12), person(id=...))
    assert brief(found) == {
        ("new_word", "[].status", "warning", "open"),
        ("type_changed", "[].phone", "error", "open"),
        ("missing_required", "[].id", "error", "open"),
    }


def test_an_operation_that_is_first_called_later_is_learned_then(world: World):
    world.answers(*people())
    assert world.answers({"anything": 1}, operation="offers.list") == []


def test_words_that_are_met_one_by_one_are_learned_until_there_are_enough(world: World):
    world.answers(person(stage=None))
    for stage in ("Screen", "Offer"):
        assert world.answers(*people(10, stage=stage)) == []
    assert brief(world.answers(person(stage="Panel"))) == {("new_word", "[].stage", "warning", "open")}


# ------------------------------------------------------------ fields


def test_a_renamed_field_that_rows_need_is_an_error_and_its_new_name_is_told(world: World):
    world.answers(*people())
    renamed = [{**person(id=...), "uid": 7} for _ in range(24)]
    found = world.answers(*renamed)
    assert brief(found) == {
        ("missing_required", "[].id", "error", "open"),
        ("new_field", "[].uid", "info", "open"),
    }


def test_a_needed_field_that_some_rows_lack_is_an_error_too(world: World):
    world.answers(*people())
    assert brief(world.answers(*people(23), person(id=...))) == {("missing_required", "[].id", "error", "open")}
    assert ("missing_required", "[].status", "error", "open") in brief(world.answers(person(status=None)))


def test_a_field_that_is_read_and_gone_from_every_row_is_an_error(world: World):
    world.answers(*people())
    assert brief(world.answers(*people(phone=...))) == {("field_gone", "[].phone", "error", "open")}
    assert brief(world.answers(*people())) == {("field_gone", "[].phone", "error", "over")}


def test_a_field_that_may_be_left_out_is_no_news(world: World):
    world.answers(*people(23), person(phone=...))
    assert world.answers(*people(phone=...)) == []


def test_a_field_that_one_row_leaves_out_is_learned_to_be_so(world: World):
    world.answers(*people())
    assert world.answers(person(phone=...)) == []
    assert world.answers(*people(3)) == []
    for _ in range(6):
        assert world.answers(person(phone=...)) == []


def test_of_a_new_object_its_fields_are_not_told_one_by_one(world: World):
    world.answers(*people())
    found = world.answers(*people(home={"city": "x", "zip": "y"}))
    assert brief(found) == {("new_field", "[].home", "info", "open")}


# ------------------------------------------------------------ types


def test_a_type_that_the_connector_cannot_read_is_an_error(world: World):
    world.answers(*people())
    (found,) = world.answers(*people(23), person(phone=12))
    assert (found.kind, found.severity, found.fact.value, found.before) == (
        Kind.TYPE_CHANGED,
        "error",
        "number",
        ("text",),
    )


def test_a_type_that_the_connector_reads_all_the_same_is_a_warning(world: World):
    world.answers(*people())
    assert brief(world.answers(*people(id="7"))) == {("type_changed", "[].id", "warning", "open")}


def test_a_type_of_a_field_that_nobody_reads_is_held_against_history(world: World):
    world.answers(*people())
    found = world.answers(*people(rank="three"))
    assert brief(found) == {("type_changed", "[].rank", "error", "open")}
    assert not found[0].is_read


def test_a_type_is_no_change_while_too_little_was_seen(world: World):
    world.answers(*people(3))
    assert brief(world.answers(*people(3, rank="three"))) == {("type_changed", "[].rank", "info", "open")}


def test_null_is_no_type(world: World):
    world.answers(*people(rank=None))
    assert world.answers(*people()) == []
    assert world.answers(*people(rank=None)) == []


def test_a_field_that_is_read_and_null_in_every_row_is_an_error(world: World):
    world.answers(*people())
    assert brief(world.answers(*people(phone=None))) == {("field_gone", "[].phone", "error", "open")}
    assert brief(world.answers(*people())) == {("field_gone", "[].phone", "error", "over")}


def test_a_field_that_is_null_in_some_rows_and_left_out_of_the_others_is_an_error(world: World):
    world.answers(*people())
    found = world.answers(*people(12, phone=None), *people(12, phone=...))
    assert brief(found) == {("field_gone", "[].phone", "error", "open")}


def test_a_field_that_is_null_now_and_then_is_no_news_in_a_month(world: World):
    world.answers(*people())
    for _ in range(30):
        assert world.answers(person(phone=None)) == []
        assert world.answers(*people(3)) == []


def test_rows_that_have_nothing_of_rows_are_an_error_and_a_notice_among_rows_is_none(world: World):
    world.answers(*people())
    assert world.answers(*people(), {"message": "one is hidden"}) == []
    found = world.answers({"attributes": {}}, {"attributes": {}})
    assert brief(found) == {("type_changed", "[]", "error", "open")}


# ------------------------------------------------------------ words


def test_a_new_stage_is_a_warning_until_the_contract_knows_it(world: World):
    world.answers(*people())
    (found,) = world.answers(*people(), person(stage="Panel of peers"))
    assert (found.kind, found.severity, found.fact.value, found.before) == (
        Kind.NEW_WORD,
        "warning",
        "Panel of peers",
        ("Screen",),
    )
    world.known_words = ["panel  of Peers"]
    assert [one.severity for one in world.look()] == ["info"]


# ------------------------------------------------------------ notices


def test_a_sunset_is_a_warning_and_an_error_when_it_is_near(world: World):
    world.answers(*people())
    day = world.clock.now + timedelta(days=60)
    (found,) = world.answers(*people(), Sunset=day.strftime("%a, %d %b %Y %H:%M:%S GMT"))
    assert (found.kind, found.severity, found.fact.value) == (Kind.SUNSET, "warning", day.date().isoformat())
    assert day.date().isoformat() in what(found)
    world.clock.tick(31 * 86400)
    assert [one.severity for one in world.look()] == ["error"]


def test_a_notice_is_over_when_answers_have_it_no_more(world: World):
    found = world.answers(*people(), Deprecation="true")
    assert brief(found) == {("deprecation", "", "warning", "open")}
    assert brief(world.answers(*people())) == {("deprecation", "", "warning", "over")}


# ------------------------------------------------------------ how it ends


def test_an_error_is_over_when_answers_are_right_again_and_its_history_stays(world: World):
    world.answers(*people())
    world.answers(*people(phone=12))
    (found,) = world.answers(*people())
    assert (found.state, found.fact.seen) == (State.OVER, 16)
    assert (found.fact.last_seen_at, found.fact.first_seen_at) == (world.clock.now - timedelta(hours=1),) * 2
    assert [one.state for one in world.answers(*people(phone=12))] == [State.OPEN]


def test_nulls_do_not_show_that_a_type_is_right_again(world: World):
    world.answers(*people())
    world.answers(*people(phone=12))
    assert [one.state for one in world.answers(*people(3, phone=None))] == [State.OPEN]


def test_rows_that_came_wrong_are_asked_for_again_once_answers_are_right(world: World):
    world.answers(*people())
    pulled = world.clock.now
    open_still = world.answers(*people(phone=12))
    assert not needs_a_full_pull(open_still, "ats", pulled)
    over = world.answers(*people())
    assert needs_a_full_pull(over, "ats", pulled)
    assert not needs_a_full_pull(over, "advocacy", pulled)
    assert not needs_a_full_pull(over, "ats", world.clock.now)


def test_what_a_person_accepts_is_right_from_then_on(world: World):
    world.answers(*people())
    (found,) = world.answers(*people(rank="three"))
    assert world.ledger.accept_shapes([found.fact.key], by="ada@example.com", why="ranks have names") == 1
    assert world.ledger.accept_shapes([found.fact.key], by="bo@example.com") == 0
    (found,) = world.answers(*people(rank="three"))
    assert (found.state, found.fact.accepted_by, found.fact.accepted_why) == (
        State.ACCEPTED,
        "ada@example.com",
        "ranks have names",
    )
    assert [one.state for one in world.answers(*people())] == [State.ACCEPTED]


def test_after_a_month_all_but_errors_and_notices_accepts_itself(world: World):
    world.answers(*people())
    world.answers(*people(stage="Panel", phone=12, home=1), Deprecation="true")
    world.clock.tick(30 * 86400)
    world.look()
    states = {one.kind: (one.state, one.fact.accepted_by) for one in world.look()}
    assert states == {
        Kind.NEW_WORD: (State.ACCEPTED, "30 days"),
        Kind.NEW_FIELD: (State.ACCEPTED, "30 days"),
        Kind.TYPE_CHANGED: (State.OPEN, None),
        Kind.DEPRECATION: (State.OPEN, None),
    }


# ------------------------------------------------------------ words for people


def test_every_kind_of_change_says_what_it_is_and_what_to_do(world: World):
    world.answers(*people())
    found = world.answers(
        *people(id=..., phone=..., rank="x", stage="Panel", uid=1), Deprecation="true", Sunset="one day"
    )
    assert {one.kind for one in found} == set(Kind)
    for one in found:
        assert "ats" in what(one)
        assert what(one).endswith(".")
        assert len(what_to_do(one)) > 30
        assert "{" not in what_to_do(one)
    assert len({one.id for one in found}) == len(found)


def test_two_processes_that_learn_the_same_count_together(world: World):
    recorders = [ShapeRecorder(world.ledger.record_shapes, lambda system: SHAPES) for _ in range(2)]
    for recorder in recorders:
        recorder.answered("ats", "people.list", people(5))
        recorder.close()
    seen = {fact.path: fact.seen for fact in world.ledger.shapes("ats") if fact.value == "number"}
    assert seen["[].id"] == 10
    assert world.ledger.shapes("advocacy") == []
