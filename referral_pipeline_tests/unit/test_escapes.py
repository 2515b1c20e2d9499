"""Text from outside that neither a terminal nor a spreadsheet takes for a command."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_pipeline.escapes import as_json, bare_cell, safe_cell, visible

ANY = st.text(st.characters(codec=None), max_size=20)
AWKWARD = st.text(alphabet="a=+-@＝;\t\r\n\x00\"' 1", max_size=8)


@given(ANY)
def test_what_is_visible_holds_no_character_that_does_not_print(text: str):
    assert visible(text).isprintable()
    assert visible(visible(text)) == visible(text)
    assert not text.isprintable() or visible(text) == text


@given(st.recursive(ANY | st.none() | st.integers() | st.booleans(), lambda v: st.lists(v) | st.dictionaries(ANY, v)))
def test_json_says_the_same_without_any_such_character(value: object):
    assert as_json(value).isprintable()
    assert json.loads(as_json(value)) == value


def test_json_leaves_what_people_write_as_they_wrote_it():
    assert as_json({"Zürich": "東京 – ok"}) == '{"Zürich": "東京 – ok"}'
    assert as_json("\u202e\x7f\U000e0041") == '"\\u202e\\u007f\\udb40\\udc41"'


@given(AWKWARD)
def test_a_cell_that_is_safe_begins_no_formula(text: str):
    cell = safe_cell(text)
    assert not cell.lstrip("\x00 \t\r\n").startswith(tuple("=+-@＝"))
    assert not any(part.lstrip(' "\r\n\t').startswith(tuple("=+-@＝")) for part in cell.split(";"))


@given(AWKWARD.filter(lambda text: not any(c in text for c in ";\t\r\n")))
def test_a_cell_of_one_line_comes_back_as_it_was(text: str):
    assert bare_cell(safe_cell(text)) == text


@pytest.mark.parametrize("text", ["", "a", "a-b", "2026-01-01", "greenhouse:P1", "50 %", "x=1", "it's"])
def test_a_text_that_is_no_formula_is_left_alone(text: str):
    assert safe_cell(text) == text
