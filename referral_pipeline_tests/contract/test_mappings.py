"""What a mapping may say, and the question that others ask of them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.contract.fields import CRM_PROPERTIES, CUSTOM_FIELDS, FIELDS, find_field
from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.problems import ContractError
from referral_pipeline.contract.scaffold import LOCAL_SANDBOX, Choices, integration_yaml, sandbox_contract
from referral_pipeline.contract.systems import TAGS
from referral_pipeline.vocabulary import Side
from referral_pipeline_tests.contract.wrong import changed, problems_of, the_problem

_SECTION = re.search(r"^mappings:\n(?:  - .*\n)+", sandbox_contract(), re.MULTILINE).group()


def with_mappings(*pairs: tuple[str, str]) -> str:
    rows = "".join(f'  - {{from: "{source}", to: "{target}"}}\n' for source, target in pairs)
    return changed((_SECTION, f"mappings:\n{rows}" if rows else "mappings: []\n"))


def custom(name: str) -> str:
    return CUSTOM_FIELDS + name


def test_the_mappings_say_which_tag_comes_from_where():
    contract = parse_contract(
        with_mappings(
            ("advocacy.referral.campaign_tag", custom("campaign_tag")), ("advocacy.advocate.id", custom("advocate_id"))
        )
    )
    assert contract.tag_sources() == {"campaign_tag": "referral.campaign_tag", "advocate_id": "advocate.id"}


def test_the_local_sandbox_maps_all_eight_tags():
    assert set(parse_contract(sandbox_contract()).tag_sources()) == set(TAGS)


def test_engagement_is_no_tag_while_enrichment_is_off():
    contract = parse_contract(changed(("content_enrichment: on", "content_enrichment: off")))
    assert set(contract.tag_sources()) == set(TAGS) - {"clicks", "shares", "reach"}


def test_the_status_its_time_and_the_ids_are_returned_mapped_or_not():
    assert parse_contract(with_mappings()).status_sources() == {
        "status": "application.status",
        "status_at": "application.status_at",
        "ats": "application.id",
    }


def test_the_hire_date_is_returned_when_it_is_mapped():
    sources = parse_contract(with_mappings(("ats.offer.resolved_at", "advocacy.referral.hired_at"))).status_sources()
    assert sources["hired_at"] == "offer.resolved_at"


def test_a_custom_field_of_another_name_takes_any_field():
    contract = parse_contract(with_mappings(("advocacy.content.title", custom("seen_content_2"))))
    assert contract.tag_sources() == {"seen_content_2": "content.title"}


@pytest.mark.parametrize(
    ("source", "target", "key", "word"),
    [
        ("advocacy.referral.colour", custom("campaign_tag"), "mappings[0].from", "not known"),
        ("advocacy.advocate.id", custom("Advocate-Id"), "mappings[0].to", "not known"),
        ("advocacy.advocate.id", custom(""), "mappings[0].to", "not known"),
        ("nonsense", custom("campaign_tag"), "mappings[0].from", "not known"),
        ("", custom("campaign_tag"), "mappings[0].from", "not known"),
        ("advocacy.referral.campaign_tag", "ats.application.stage_name", "mappings[0].to", "may not write"),
        ("advocacy.referral.stage", "ats.application.status", "mappings[0].to", "may not write"),
        ("advocacy.referral.id", "ats.candidate.id", "mappings[0].to", "may not write"),
        ("ats.application.stage_name", "advocacy.referral.stage", "mappings[0].to", "may not write"),
        ("ats.application.stage_name", "advocacy.advocate.email", "mappings[0].to", "may not write"),
        ("ats.application.source_name", "advocacy.referral.campaign_tag", "mappings[0].to", "may not write"),
        ("advocacy.referral.email", custom("email"), "mappings[0].from", "by itself"),
        ("advocacy.referral.campaign_tag", "ats.candidate.first_name", "mappings[0].to", "by itself"),
        ("ats.job.title", "advocacy.job.title", "mappings[0].to", "by itself"),
        ("advocacy.referral.status", custom("status"), "mappings[0].from", "written from ats"),
        (custom("status"), "advocacy.referral.status", "mappings[0].from", "written from advocacy"),
        ("ats.application.status", custom("status"), "mappings[0]", "both ends"),
        ("advocacy.advocate.id", "advocacy.referral.status", "mappings[0]", "both ends"),
        ("advocacy.referral.campaign_tag", custom("advocate_id"), "mappings[0]", "one kind"),
        ("ats.application.applied_at", "advocacy.referral.hired_at", "mappings[0]", "one kind"),
        ("ats.application.stage_name", "advocacy.referral.status", "mappings[0]", "one kind"),
    ],
)
def test_a_mapping_that_may_not_be_is_refused(source, target, key, word):
    problem = the_problem(with_mappings((source, target)))
    assert problem.key == key
    assert word in problem.problem


def test_a_mapping_and_its_reverse_are_one_cycle():
    a, b = "advocacy.referral.campaign_tag", custom("campaign_tag")
    problem = the_problem(with_mappings((a, b), (b, a)))
    assert problem.key == "mappings[0]"
    assert f"{a} -> {b} -> {a}" in problem.problem


def test_a_field_mapped_to_itself_is_a_cycle():
    a = custom("campaign_tag")
    assert f"cycle: {a} -> {a}" in the_problem(with_mappings((a, a))).problem


def test_a_cycle_over_several_fields_is_told_once_in_whole():
    a, b, c = "advocacy.referral.status", custom("one"), custom("two")
    problem = the_problem(with_mappings((a, b), (b, c), (c, a)))
    assert f"{a} -> {b} -> {c} -> {a}" in problem.problem


def test_two_cycles_are_two_problems():
    pairs = [
        ("advocacy.referral.campaign_tag", custom("campaign_tag")),
        ("advocacy.advocate.id", custom("advocate_id")),
    ]
    both = [*pairs, *((target, source) for source, target in pairs)]
    assert [problem.key for problem in problems_of(with_mappings(*both))] == ["mappings[0]", "mappings[1]"]


def test_two_mappings_that_write_the_same_field_are_refused_at_the_second():
    problem = the_problem(
        with_mappings(
            ("advocacy.referral.campaign_tag", custom("campaign_tag")),
            ("advocacy.content.campaign_tag", custom("campaign_tag")),
        )
    )
    assert problem.key == "mappings[1].to"
    assert "mappings[0]" in problem.problem


def test_a_mapping_with_an_unknown_or_missing_key_is_refused():
    section = "mappings:\n  - {from: advocacy.advocate.id, into: ats.application.custom_fields.advocate_id}\n"
    problems = problems_of(changed((_SECTION, section)))
    assert [problem.key for problem in problems] == ["mappings[0].to", "mappings[0].into"]


_PATHS = st.sampled_from([*FIELDS, *(custom(tag) for tag in TAGS), custom("other")])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(_PATHS, _PATHS), max_size=6))
def test_mappings_that_pass_never_write_what_belongs_to_the_other_side(pairs):
    text = with_mappings(*pairs)
    try:
        contract = parse_contract(text)
    except ContractError:
        assert {problem.key.split("[")[0] for problem in problems_of(text)} == {"mappings"}
        return
    targets = [mapping.target for mapping in contract.mappings]
    assert len(targets) == len(set(targets))
    for mapping in contract.mappings:
        source, target = find_field(mapping.source), find_field(mapping.target)
        assert source.side is not target.side
        assert target.written_by is source.side
        assert (target.path.startswith(CUSTOM_FIELDS)) is (source.side is Side.ADVOCACY)


def test_a_field_that_the_platform_does_not_have_is_not_mapped_and_the_scaffold_maps_none():
    text = integration_yaml(Choices(advocacy="radancy"))
    contract = parse_contract(text)
    assert contract.tag_sources() == {"referral_id": "referral.id", "advocate_id": "advocate.id"}
    wrong = text.replace(
        "mappings:\n", f"mappings:\n  - {{from: advocacy.referral.campaign_tag, to: {custom('campaign_tag')}}}\n"
    )
    with pytest.raises(ContractError) as refused:
        parse_contract(wrong)
    (problem,) = refused.value.problems
    assert problem.key == "mappings[0].from"
    assert "does not have" in problem.problem


# ---------------------------------------------------------------- the CRM


def with_crm(*pairs: tuple[str, str]) -> str:
    rows = "".join(f'  - {{from: "{source}", to: "{target}"}}\n' for source, target in pairs)
    text = integration_yaml(replace(LOCAL_SANDBOX, crm="hubspot"))
    return re.sub(r"^mappings:\n(?:  - .*\n)+", f"mappings:\n{rows}", text, count=1, flags=re.MULTILINE)


def test_a_contact_is_written_from_both_other_sides():
    contract = parse_contract(
        with_crm(
            ("advocacy.advocate.id", f"{CRM_PROPERTIES}referral_advocate"),
            ("ats.application.hired_at", f"{CRM_PROPERTIES}referral_hired_on"),
            ("advocacy.engagement.clicks", f"{CRM_PROPERTIES}referral_clicks"),
        )
    )
    assert contract.crm_sources() == {
        "referral_advocate": "advocacy.advocate.id",
        "referral_hired_on": "ats.application.hired_at",
        "referral_clicks": "advocacy.engagement.clicks",
    }
    assert contract.tag_sources() == {}
    assert set(contract.model_copy(update={"crm": None}).crm_sources()) == set()


@pytest.mark.parametrize(
    ("source", "target", "key", "words"),
    [
        ("advocacy.advocate.id", f"{CRM_PROPERTIES}email", "mappings[0].to", "belong to people"),
        ("advocacy.advocate.id", f"{CRM_PROPERTIES}lifecyclestage", "mappings[0].to", "belong to people"),
        ("advocacy.referral.email", f"{CRM_PROPERTIES}referral_email", "mappings[0].from", "Remove this mapping"),
        ("ats.job.title", f"{CRM_PROPERTIES}referral_job", "mappings[0].from", "Take a field of the application"),
        (f"{CRM_PROPERTIES}referral_a", f"{CRM_PROPERTIES}referral_b", "mappings[0]", "different sides"),
        (f"{CRM_PROPERTIES}referral_a", custom("a"), "mappings[0].to", "integration's own"),
    ],
)
def test_a_contact_takes_own_properties_from_the_other_sides_only(source: str, target: str, key: str, words: str):
    with pytest.raises(ContractError) as refused:
        parse_contract(with_crm((source, target)))
    (problem,) = refused.value.problems
    assert problem.key == key
    assert words in problem.mend


def test_nothing_is_mapped_to_a_crm_that_is_not_there():
    problem = the_problem(with_mappings(("advocacy.advocate.id", f"{CRM_PROPERTIES}referral_advocate")))
    assert problem.key == "mappings[0].to"
    assert "crm is null" in problem.problem
