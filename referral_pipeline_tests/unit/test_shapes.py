"""The shape of answers is learned from calls, without a value, without a failure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, BeforeValidator, Field

from referral_pipeline.connectors.advocacy_rows import READERS
from referral_pipeline.connectors.advocacy_shapes import SHAPES as ADVOCACY
from referral_pipeline.connectors.expected import LIST, NUMBER, OBJECT, TEXT, Shapes, fields_of
from referral_pipeline.connectors.greenhouse_shapes import SHAPES as GREENHOUSE
from referral_pipeline.connectors.http import Forbidden, HttpClient
from referral_pipeline.connectors.shapes import Fact, ShapeRecorder
from referral_pipeline.connectors.values import parse_id
from referral_pipeline.connectors.wire import notices
from referral_pipeline_tests.unit.scripted_server import Reply, in_turn, serving


class Inner(BaseModel):
    value: str


class Record(BaseModel):
    id: Annotated[str, BeforeValidator(parse_id)]
    status: str
    note: str | None = None
    addresses: tuple[Inner, ...] = ()
    custom_fields: dict[str, Any] = Field(default_factory=dict)
    given: Annotated[Inner | None, BeforeValidator(lambda value: value)] = None
    known_as: str | None = Field(default=None, alias="knownAs")


FIELDS = fields_of(Record, "[]", words={"status": None})
SHAPES = Shapes({"people.list": FIELDS}, frozenset({"custom_fields"}))


class Kept:
    """A recorder and what it wrote."""

    def __init__(self, shapes: Shapes = SHAPES) -> None:
        self.facts: list[Fact] = []
        self.recorder = ShapeRecorder(self.facts.extend, lambda system: shapes, flush_seconds=600)

    def of(self, *answers: Any, operation: str = "people.list") -> dict[tuple[str, str, str], int]:
        """What these answers show, by path, kind and value."""
        for answer in answers:
            self.recorder.answered("ats", operation, answer)
        self.recorder.flush()
        found = {(fact.path, fact.kind, fact.value): fact.seen for fact in self.facts}
        self.facts.clear()
        return found


@pytest.fixture
def kept() -> Iterator[Kept]:
    kept = Kept()
    yield kept
    kept.recorder.close()


def person(**more: Any) -> dict[str, Any]:
    return {"id": 7, "status": "active", **more}


# ------------------------------------------------------------ what a connector reads


def test_a_model_tells_types_what_must_be_there_and_which_fields_are_words():
    assert FIELDS["[].id"].types == {TEXT, NUMBER}
    assert FIELDS["[].id"].required
    assert FIELDS["[].status"].is_word
    assert not FIELDS["[].status"].nullable
    assert FIELDS["[].note"].nullable
    assert not FIELDS["[].note"].required
    assert FIELDS["[].addresses"].types == {LIST}
    assert FIELDS["[].addresses[].value"].required
    assert FIELDS["[].custom_fields"].is_map
    assert "[].knownAs" in FIELDS
    assert FIELDS["[].given"].types == frozenset()  # what a reader of its own makes of it nobody can tell


def test_every_row_that_the_advocacy_connector_reads_is_known_by_what_its_readers_ask_for():
    assert {f"{entity}.list" for entity in READERS} <= ADVOCACY.operations.keys()
    referral = ADVOCACY.operations["referrals.list"]
    assert referral["data[].id"].required
    assert referral["data[].stage"].words == {"clicked", "applied", "withdrawn"}
    assert referral["data[].candidate.email"].types == {TEXT}
    assert referral["data[].consent"].types == {OBJECT}
    assert not referral["data[].consent"].required


def test_no_connector_declares_a_field_of_a_person_to_be_a_word():
    words = {
        path.rpartition(".")[2]
        for shapes in (ADVOCACY, GREENHOUSE)
        for fields in shapes.operations.values()
        for path, field in fields.items()
        if field.is_word
    }
    assert words == {"status", "stage", "stage_name", "name", "key"}
    named = [name for name, own in GREENHOUSE.operations.items() if own.get("[].name") and own["[].name"].is_word]
    assert named == ["job_interview_stages.list"]


# ------------------------------------------------------------ what is learned


def test_paths_and_types_are_learned_and_entries_of_lists_are_one_path(kept: Kept):
    found = kept.of([person(note=None, addresses=[{"value": "a"}, {"value": None}]), person(note="x", rank=1.5)])
    assert found["[]", "type", "object"] == 2
    assert found["[].id", "type", "number"] == 2
    assert found["[].note", "type", "null"] == 1
    assert found["[].note", "type", "text"] == 1
    assert found["[].addresses[].value", "type", "text"] == 1
    assert found["[].addresses[].value", "type", "null"] == 1
    assert found["[].rank", "type", "number"] == 1
    assert found["[].rank", "type", "absent"] == 1


def test_a_field_that_is_read_and_never_there_is_told_as_absent(kept: Kept):
    found = kept.of([{"id": 1, "state": "active"}])
    assert found["[].status", "type", "absent"] == 1
    assert found["[].state", "type", "text"] == 1


def test_an_entry_that_has_nothing_of_a_row_is_not_taken_for_one(kept: Kept):
    found = kept.of([person(), {"message": "a notice among rows"}])
    assert found["[]", "type", "other_object"] == 1
    assert found["[]", "type", "object"] == 1
    assert ("[].id", "type", "absent") not in found
    assert not [path for path, _, _ in found if "message" in path]


def test_a_flag_is_no_number(kept: Kept):
    assert kept.of([person(rank=True)])["[].rank", "type", "flag"] == 1


def test_words_are_taken_from_every_row_and_counted(kept: Kept):
    rows = [person() for _ in range(400)]
    rows[371]["status"] = "on hold"
    found = kept.of(*[rows] * 9)
    assert found["[].status", "word", "on hold"] == 9
    assert found["[].status", "word", "active"] == 399 * 9


def test_counts_begin_anew_with_each_batch_and_known_fields_are_missed_later(kept: Kept):
    kept.of([person(rank=1)])
    found = kept.of([person()])
    assert found["[].rank", "type", "absent"] == 1
    assert ("[].rank", "type", "number") not in found
    assert kept.of() == {}


# ------------------------------------------------------------ what is not kept


def test_keys_that_are_data_are_one_path(kept: Kept):
    fields = {f"question_{n}": {"value": n} for n in range(3)}
    found = kept.of(
        [person(custom_fields=fields, by_id={"4711": 1, "a1b2c3d4-e5f6": 2, "Ada Lovelace": 3, "x@y.z": 4})]
    )
    assert found["[].custom_fields.*.value", "type", "number"] == 3
    assert found["[].by_id.*", "type", "number"] == 4
    assert all("question" not in path and "Ada" not in path for path, _, _ in found)


def test_an_object_of_many_rare_keys_is_taken_for_a_map(kept: Kept):
    found = kept.of(*([person(owners={name: 1})] for name in ["ada", "bo", "cy", "di"]))
    assert ("[].owners.ada", "type", "number") in found  # too few to tell
    found = Kept().of([person(owners={f"{letter}name": 1}) for letter in "abcdefghijklmnop"])
    assert not [path for path, _, _ in found if path.startswith("[].owners.")]


def test_what_looks_like_no_word_is_not_kept_as_one(kept: Kept):
    odd = ["ada@example.com", "+49 30 1234567", "x" * 81, "two\nlines", ""]
    found = kept.of([person(status=text) for text in odd], [person(status=n) for n in range(3)])
    assert not [value for _, kind, value in found if kind == "word"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_nothing_but_names_of_fields_types_and_declared_words_is_ever_kept(answer: Any):
    own = Kept()
    types = {"text", "number", "flag", "object", "list", "null", "absent", "other_object"}
    for (path, kind, value), seen in own.of(answer, operation="anything").items():
        assert kind == "type"
        assert value in types
        assert seen > 0
        assert all(len(step) <= 60 for step in path.split("."))
    own.recorder.close()


# ------------------------------------------------------------ what it costs, and that it never fails a call


def test_a_long_list_is_looked_at_in_parts_and_a_busy_operation_now_and_then(kept: Kept):
    found = kept.of(*[[person() for _ in range(500)]] * 36)
    assert found["", "type", "list"] == 4 + 2  # the first four, the sixteenth and the thirty-second
    assert found["[]", "type", "object"] == 6 * 16


def test_a_store_that_refuses_loses_nothing():
    kept: list[Fact] = []
    refusing = [True]

    def write(facts: Sequence[Fact]) -> None:
        if refusing.pop() if refusing else False:
            raise OSError("the disk is full")
        kept.extend(facts)

    recorder = ShapeRecorder(write, lambda system: SHAPES, flush_seconds=600)
    recorder.answered("ats", "people.list", [person()])
    assert not recorder.flush()
    assert recorder.flush()
    assert ("[].id", "number") in {(fact.path, fact.value) for fact in kept}
    recorder.close()


def test_a_vendor_whose_declaration_is_broken_fails_no_call():
    def broken(system: str) -> Shapes:
        raise ImportError(system)

    recorder = ShapeRecorder(lambda facts: None, broken, flush_seconds=600)
    recorder.answered("ats", "people.list", [person()])
    recorder.noticed("ats", "people.list", {"Sunset": "Sat, 27 Feb 2027 00:00:00 GMT"})
    assert recorder.flush()
    recorder.close()


def test_an_answer_of_any_depth_is_taken(kept: Kept):
    deep: Any = "bottom"
    for _ in range(5000):
        deep = [deep]
    assert kept.of(deep, operation="deep")


# ------------------------------------------------------------ on the wire


def test_every_answer_is_looked_at_and_a_refusal_only_for_its_notices():
    kept = Kept()
    ending = {"Deprecation": "@1767225600", "Sunset": "Sat, 27 Feb 2027 00:00:00 GMT"}
    replies = in_turn(Reply(200, [person()], ending), Reply(403, {"message": "no"}, ending), Reply(204))
    with serving(replies) as server:
        client = HttpClient(system="ats", base_url=server.url, shapes=kept.recorder)
        client.get("people.list", "people")
        with pytest.raises(Forbidden):
            client.get("people.read", "people/1")
        client.call("people.delete", "DELETE", "people/1")
        client.close()
    kept.recorder.flush()
    found = {(fact.operation, fact.path, fact.kind, fact.value) for fact in kept.facts}
    assert ("people.list", "[].id", "type", "number") in found
    for operation in ("people.list", "people.read"):
        assert (operation, "", "sunset", "2027-02-27") in found
        assert (operation, "", "deprecation", "2026-01-01") in found
    assert not [one for one in found if one[0] == "people.read" and one[2] == "type"]
    assert not [one for one in found if one[0] == "people.delete"]
    kept.recorder.close()


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"Deprecation": "@1688169599"}, [("deprecation", "2023-06-30")]),
        ({"Deprecation": "true"}, [("deprecation", "")]),
        ({"Deprecation": "?0"}, []),
        ({"Sunset": "Sat, 31 Dec 2026 23:59:59 GMT"}, [("sunset", "2026-12-31")]),
        ({"Sunset": "soon"}, [("sunset", "")]),
        ({"Deprecation": "@99999999999999999"}, [("deprecation", "")]),
        ({}, []),
    ],
)
def test_a_notice_is_read_with_its_day(headers: dict[str, str], told: list[tuple[str, str]]):
    assert notices(headers) == told
