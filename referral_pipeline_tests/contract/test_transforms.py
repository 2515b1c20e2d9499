"""What a transform may say, where it may stand, and what it makes of a value."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.transforms import Transform
from referral_pipeline_tests.contract.test_mappings import custom, with_mappings
from referral_pipeline_tests.contract.wrong import problems_of, the_problem


def mapped(source: str, target: str, transform: str) -> str:
    plain = f'{{from: "{source}", to: "{target}"}}'
    text = with_mappings((source, target))
    assert text.count(plain) == 1
    return text.replace(plain, f'{{from: "{source}", to: "{target}", transform: {transform}}}')


@pytest.mark.parametrize(
    ("transform", "value", "written"),
    [
        ({"map": {"linkedin": "LinkedIn"}}, "linkedin", "LinkedIn"),
        ({"map": {"linkedin": "LinkedIn"}}, "x", None),
        ({"map": {"linkedin": "LinkedIn"}, "default": "Other"}, "x", "Other"),
        ({"map": {"linkedin": "LinkedIn"}, "default": "Other"}, None, "Other"),
        ({"map": {True: "yes", False: "no"}}, True, "yes"),
        ({"map": {"7": "seven"}}, 7, "seven"),
        ({"template": "Campaign {value}"}, "spring", "Campaign spring"),
        ({"template": "Campaign {value}"}, None, None),
        ({"template": "Campaign {value}", "default": "unknown"}, None, "Campaign unknown"),
        ({"template": "{{{value}}}"}, "a{b}", "{a{b}}"),
        ({"default": "unknown"}, "", "unknown"),
        ({"default": "unknown"}, 0, "0"),
        ({"date": "%Y-%m-%d"}, datetime(2026, 5, 4, 23, 30, tzinfo=UTC), "2026-05-04"),
        (
            {"date": "%d.%m.%Y %H:%M", "time_zone": "Europe/Berlin"},
            datetime(2026, 5, 4, 23, 30, tzinfo=UTC),
            "05.05.2026 01:30",
        ),
        ({"date": "%d/%m/%y", "time_zone": "Asia/Tokyo"}, date(2026, 5, 4), "04/05/26"),
        ({"date": "%Y", "time_zone": "America/New_York"}, "2026-01-01T03:00:00+00:00", "2025"),
        ({"date": "%Y-%m-%d"}, "soon", None),
        ({"date": "%Y-%m-%d", "default": "never"}, "soon", "never"),
    ],
)
def test_what_becomes_of_a_value(transform: dict[str, Any], value: Any, written: str | None):
    assert Transform.model_validate(transform).apply(value) == written


@given(value=st.text(min_size=1), words=st.dictionaries(st.text(min_size=1), st.text(min_size=1), min_size=1))
def test_a_field_with_fixed_words_never_receives_another(value: str, words: dict[str, str]):
    written = Transform(map=words, default="Other").apply(value)
    assert written == words.get(value, "Other")


@pytest.mark.parametrize(
    ("transform", "key", "word"),
    [
        ("{}", "mappings[0].transform", "nothing to do"),
        ("{map: {a: b}, date: '%Y'}", "mappings[0].transform", "one of the two"),
        ("{date: '%c'}", "mappings[0].transform.date", "no format"),
        ("{date: 'tomorrow'}", "mappings[0].transform.date", "no format"),
        ("{date: '%Y-%'}", "mappings[0].transform.date", "no format"),
        ("{template: 'Campaign'}", "mappings[0].transform.template", "no template"),
        ("{template: '{value} {value}'}", "mappings[0].transform.template", "no template"),
        ("{template: '{value.__class__}'}", "mappings[0].transform.template", "no template"),
        ("{template: '{value!r}  '}", "mappings[0].transform.template", "no template"),
        ("{template: 'open { {value}'}", "mappings[0].transform.template", "no template"),
        ("{date: '%Y', time_zone: Berlin}", "mappings[0].transform.time_zone", "IANA"),
        ("{map: {linkedin: }}", "mappings[0].transform.map", "no word"),
        ("{map: {linkedin: [a, b]}}", "mappings[0].transform.map", "no word"),
        ("{upper: on}", "mappings[0].transform.upper", "unknown"),
    ],
)
def test_a_transform_that_cannot_be_meant_is_refused_in_one_line(transform: str, key: str, word: str):
    (problem,) = problems_of(mapped("advocacy.referral.submitted_at", custom("seen"), transform))
    assert problem.key == key
    assert word in problem.problem


@pytest.mark.parametrize(
    ("source", "target", "transform", "key", "word"),
    [
        ("advocacy.advocate.id", custom("advocate_id"), "{default: nobody}", "mappings[0].transform", "read back"),
        ("ats.application.status", "advocacy.referral.status", "{map: {hired: won}}", "mappings[0].transform", "fixed"),
        ("advocacy.share.channel", custom("seen"), "{date: '%Y'}", "mappings[0].transform.date", "times and dates"),
    ],
)
def test_what_is_read_back_has_fixed_words_or_is_no_date_is_not_transformed(source, target, transform, key, word):
    problem = the_problem(mapped(source, target, transform))
    assert problem.key == key
    assert word in problem.problem


def test_the_contract_says_what_becomes_of_which_field():
    contract = parse_contract(mapped("advocacy.share.channel", custom("seen_on"), "{map: {x: X}}"))
    assert contract.tag_sources() == {"seen_on": "share.channel"}
    assert contract.transforms()["seen_on"].apply("x") == "X"


def test_a_transform_shows_no_value_when_it_is_refused():
    with pytest.raises(ValidationError) as refused:
        Transform.model_validate({"template": "my secret"})
    assert "input_value" not in str(refused.value)
