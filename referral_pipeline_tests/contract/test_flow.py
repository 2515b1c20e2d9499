"""The data-flow map says what the contract switches on, and nothing else."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from referral_pipeline.connectors.records import AdvocateResults
from referral_pipeline.contract.flow import data_flow_map, flows_of
from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.scaffold import Choices, integration_yaml, sandbox_contract
from referral_pipeline_tests.contract.wrong import changed

_NODE = re.compile(r'    (\w+)(\[".+"\]|\[\(".+"\)\])')
_EDGE = re.compile(r'    (\w+) (-->|==>)\|"([^"|]+)"\| (\w+)')


def the_map(text: str | None = None) -> str:
    return data_flow_map(parse_contract(text or sandbox_contract()))


def diagram(text: str) -> list[str]:
    return re.search(r"```mermaid\n(.*?)\n```", text, re.DOTALL).group(1).splitlines()


def rows(text: str) -> list[list[str]]:
    table = [line for line in text.split("## What holds")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def row(text: str, flow: str, record: str) -> dict[str, str]:
    head, _, *body = rows(text)
    return next(dict(zip(head, cells, strict=True)) for cells in body if cells[:2] == [flow, record])


def test_the_diagram_is_a_mermaid_flowchart_of_known_nodes():
    head, *lines = diagram(the_map(integration_yaml(Choices(crm="hubspot"))))
    assert head == "flowchart LR"
    nodes = {match[1] for line in lines if (match := _NODE.fullmatch(line))}
    edges = [match for line in lines if (match := _EDGE.fullmatch(line))]
    assert len(nodes) + len(edges) == len(lines)
    assert {end for edge in edges for end in (edge[1], edge[4])} == nodes
    assert nodes == {"advocacy", "ats", "crm", "ledger", "warehouse", "published"}


def test_the_table_has_a_row_of_every_column_for_every_flow():
    head, rule, *body = rows(the_map())
    assert head == [
        "Flow", "Record type", "Origin", "Destination", "Trigger", "Fields", "Regulated",
        "System of record", "Consent basis",
    ]  # fmt: skip
    assert all(len(cells) == len(head) and all(cells) for cells in [rule, *body])
    assert len(body) == len(flows_of(parse_contract(sandbox_contract())))


def test_candidate_creation_says_what_is_regulated_whose_it_is_and_on_what_basis():
    creation = row(the_map(), "candidate creation", "candidate")
    assert creation["Origin"] == "Advocacy platform"
    assert creation["Destination"] == "Greenhouse"
    assert creation["Fields"] == "**first_name**, **last_name**, **email**, **phone**"
    assert creation["Regulated"] == "first_name, last_name, email, phone"
    assert creation["System of record"] == "Greenhouse"
    assert "consent" in creation["Consent basis"]
    assert "applied" in creation["Trigger"]


def test_a_field_that_the_contract_does_not_call_regulated_is_not_marked():
    text = changed(("regulated_fields: [first_name, last_name, email, phone,", "regulated_fields: [email,"))
    creation = row(the_map(text), "candidate creation", "candidate")
    assert creation["Fields"] == "first_name, last_name, **email**, phone"


def test_every_mapping_appears_where_it_travels():
    contract = parse_contract(sandbox_contract())
    text = data_flow_map(contract)
    for mapping in contract.mappings:
        assert mapping.source in text
    assert "advocacy.engagement.clicks → clicks" in row(text, "content enrichment", "application")["Fields"]
    assert "advocacy.advocate.id → advocate_id" in row(text, "application tags", "application")["Fields"]
    assert "ats.application.hired_at → hired_at" in row(text, "status return", "referral")["Fields"]


def test_a_mapping_of_an_advocates_address_is_marked_as_regulated():
    text = changed(
        (
            "from: advocacy.advocate.id, to: ats.application.custom_fields.advocate_id",
            "from: advocacy.advocate.email, to: ats.application.custom_fields.advocate_email",
        )
    )
    assert "advocate_email" in row(the_map(text), "application tags", "application")["Regulated"]


@pytest.mark.parametrize(
    ("phases", "gone"),
    [
        (("content_enrichment",), {"content enrichment"}),
        (("status_return",), {"status return", "results return"}),
        (
            ("candidate_creation", "status_return", "content_enrichment"),
            {
                *("candidate creation", "application tags", "content enrichment"),
                *("status return", "results return"),
            },
        ),
    ],
)
def test_a_phase_that_is_off_takes_its_flows_away(phases, gone):
    everything = {flow.name for flow in flows_of(parse_contract(sandbox_contract()))}
    text = the_map(changed(*((f"{phase}: on", f"{phase}: off") for phase in phases)))
    assert {cells[0] for cells in rows(text)[2:]} == everything - gone
    assert not any(name in line for line in diagram(text) for name in gone)
    assert all(phase.replace("_", " ") in text.split("Switched off")[1] for phase in phases)


def test_what_advocates_are_told_appears_field_by_field_and_names_no_candidate():
    results = row(the_map(), "results return", "advocate results")
    assert (results["Origin"], results["Destination"]) == ("Warehouse", "Advocacy platform")
    assert results["Fields"].split(", ") == [field.name for field in fields(AdvocateResults)]
    assert results["Regulated"] == "none"
    assert "the advocate's own counts and pay, by id" in results["Consent basis"]
    assert row(the_map(), "recognition", "recognition")["Fields"] == "referral_id, kind, amount_cents, currency"
    assert 'warehouse -->|"results return: advocate results"| advocacy' in the_map()


def test_residency_retention_and_owners_are_stated():
    text = the_map()
    assert "only candidates in US, DE, FR" in text
    assert "Retention: 730 days" in text
    assert "talent-ops@example.com" in text
    assert text.count("talent-analytics@example.com") == 3


def test_consent_that_is_not_required_is_said_so():
    text = the_map(changed(("require_consent: on", "require_consent: off")))
    assert "not required by this contract" in row(text, "candidate creation", "candidate")["Consent basis"]


def test_nothing_personal_is_published():
    published = row(the_map(), "publishing", "attribution")
    assert published["Regulated"] == "none"
    assert "person_id" in published["Fields"]


def test_a_crm_appears_when_it_is_configured_only():
    assert "HubSpot" not in the_map()
    assert row(the_map(integration_yaml(Choices(crm="hubspot"))), "CRM contact", "contact")["Destination"] == "HubSpot"


def test_the_contact_carries_what_is_mapped_and_the_person_once():
    contact = row(the_map(integration_yaml(Choices(crm="hubspot"))), "CRM contact", "contact")
    assert "ats.application.status → referral_status" in contact["Fields"]
    assert contact["Regulated"] == "first_name, last_name, email, phone"
    assert "erased" in contact["Trigger"]


def test_an_owners_name_cannot_break_the_map():
    text = the_map(changed(('"Talent Operations"', '"<b>|`a`\\n```\\n|"')))
    assert text.count("```") == 2
    assert "<b>" not in text


def test_what_a_platform_lacks_does_not_travel_and_what_its_owner_declares_is_said():
    text = the_map(integration_yaml(Choices(advocacy="radancy")))
    flows = {(cells[0], cells[1]) for cells in rows(text)[2:]}
    assert ("results return", "advocate results") not in flows
    assert not flows & {("ingest", "share"), ("ingest", "click"), ("ingest", "content")}
    assert "hired_at" not in row(text, "status return", "referral")["Fields"]
    assert "as this contract declares it" in row(text, "candidate creation", "candidate")["Consent basis"]
    assert "tells neither consent nor the country" in text


def test_the_map_says_that_the_advocates_address_goes_to_the_ats_with_a_partners_key():
    text = integration_yaml(Choices())
    head, ats, tail = text.partition("ats:\n")
    option = "  options:\n    ingestion: {api_key_env: A_KEY, on_behalf_of: service@example.com}\n"
    by_partner = data_flow_map(parse_contract(head + ats + tail.replace("  options:\n", option, 1)))
    rows = [row for row in by_partner.splitlines() if row.startswith("| candidate creation")]
    assert "advocate's e-mail" in rows[0]
    assert "advocate's e-mail" not in data_flow_map(parse_contract(text))
