"""Reading the file: YAML that is stricter than YAML, phases in words, text that cannot be read at all."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from referral_pipeline.contract.loader import load_contract, parse_contract
from referral_pipeline.contract.models import Contract
from referral_pipeline.contract.problems import ContractError
from referral_pipeline.contract.scaffold import sandbox_contract
from referral_pipeline.settings import load_settings
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests.contract.wrong import changed, problems_of, the_problem


def test_the_contract_of_the_design_document_is_read():
    contract = parse_contract(
        """
        version: 1
        environment: sandbox
        objectives:
          primary: [attribute_hires, automate_bonuses, enrich_profiles]
          kpis:
            - {name: referral_conversion_rate, target: 0.06, owner: talent-analytics@example.com}
        owner: {name: Talent Operations, email: talent-ops@example.com}
        systems_of_record: {candidate: ats, application: ats, job: ats, advocate: advocacy, content: advocacy, consent: advocacy}
        phases: {candidate_creation: on, status_return: on, content_enrichment: on}
        advocacy: {connector: advocacy, base_url: "http://127.0.0.1:8701", client_id_env: ADVOCACY_CLIENT_ID, client_secret_env: ADVOCACY_CLIENT_SECRET, webhook_secret_env: ADVOCACY_WEBHOOK_SECRET}
        ats: {connector: greenhouse, base_url: "http://127.0.0.1:8702/v3", auth_url: "http://127.0.0.1:8702/token", client_id_env: GREENHOUSE_CLIENT_ID, client_secret_env: GREENHOUSE_CLIENT_SECRET, webhook_secret_env: GREENHOUSE_WEBHOOK_SECRET, options: {}}
        crm: null
        rules:
          create_when_stage: applied
          dedupe: {match_on: [email, phone], shared_mailbox_limit: 3}
          attribution: {model: last_touch, lookback_days: 90, tie: earliest_share}
          bonus: {amount_cents: 200000, currency: USD, waiting_days: 90, split: payee}
        mappings:
          - {from: advocacy.referral.campaign_tag, to: ats.application.custom_fields.campaign_tag}
          - {from: advocacy.advocate.id, to: ats.application.custom_fields.advocate_id}
          - {from: ats.application.status, to: advocacy.referral.status}
        stage_map: {"Phone Screen": interviewed}
        privacy: {require_consent: true, allowed_countries: [US, DE, FR], regulated_fields: [email, phone, first_name, last_name, country], retention_days: 730}
        monitoring: {error_rate_threshold: 0.02, minimum_calls: 50, latency_p95_seconds: 60, alerts: [{type: log}]}
        warehouse: {url: "data/state/warehouse.duckdb"}
        ledger: {url: "sqlite:///data/state/ledger.sqlite"}
        """  # noqa: E501
    )
    assert contract.stage_map == {"Phone Screen": CandidateStatus.INTERVIEWED}
    assert contract.rules.on_withdrawal == "keep"
    assert contract.sync.lookback_minutes == 15


@pytest.mark.parametrize(
    ("word", "means"),
    [
        ("on", True),
        ("off", False),
        ("On", True),
        ("yes", True),
        ("no", False),
        ("true", True),
        ("FALSE", False),
        ('"off"', False),
    ],
)
def test_a_phase_is_switched_by_words(word, means):
    contract = parse_contract(changed(("content_enrichment: on", f"content_enrichment: {word}")))
    assert contract.phases.content_enrichment is means


@settings(deadline=None, max_examples=60)
@given(st.tuples(*(st.booleans() for _ in range(3))))
def test_any_choice_of_phases_is_taken_or_refused_by_one_rule(chosen):
    names = ("candidate_creation", "status_return", "content_enrichment")
    text = changed(
        *((f"{name}: on", f"{name}: {'on' if on else 'off'}") for name, on in zip(names, chosen, strict=True))
    )
    depends_on_off = [name for name, on in zip(names[1:], chosen[1:], strict=True) if on and not chosen[0]]
    if depends_on_off:
        assert [problem.key for problem in problems_of(text)] == [f"phases.{name}" for name in depends_on_off]
    else:
        assert tuple(parse_contract(text).phases.model_dump().values()) == chosen


def test_norway_is_a_country():
    assert parse_contract(changed(("[US, DE, FR]", "[NO, DE]"))).privacy.allowed_countries == ("NO", "DE")


def test_a_stage_may_be_named_like_a_number_or_a_switch():
    contract = parse_contract(changed(('"Phone Screen": interviewed', "2: interviewed\n  on: in_review\n  ~: applied")))
    assert {"2", "on", "~"} <= set(contract.stage_map)


@pytest.mark.parametrize(("written", "means"), [("0.5", 0.5), (".5", 0.5), ("5e-1", 0.5), ("5.0e-1", 0.5)])
def test_a_ratio_is_read_in_any_usual_spelling(written, means):
    contract = parse_contract(changed(("error_rate_threshold: 0.02", f"error_rate_threshold: {written}")))
    assert contract.monitoring.error_rate_threshold == means


def test_a_key_that_comes_twice_anywhere_is_refused_with_its_path_and_lines():
    text = changed(
        (
            "    connect_timeout_seconds: 2\n    read_timeout_seconds: 3\n    max_attempts: 6 # of one call, transient "
            "failures only\nats:",
            "    max_attempts: 6\n    max_attempts: 7\nats:",
        )
    )
    line = text.splitlines().index("    max_attempts: 6") + 1
    problem = the_problem(text)
    assert problem.key == "advocacy.options.max_attempts"
    assert f"line {line} and line {line + 1}" in problem.problem


def test_a_section_that_comes_twice_is_refused():
    assert the_problem(sandbox_contract() + "\ncrm: null\n").key == "crm"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "just words",
        "- a\n- b",
        "version: [1",
        "version: 1\n\tenvironment: sandbox",
        "a: 1\n---\nb: 2",
        "a: \x00",
        "a: *nobody",
        "[" * 3000,
    ],
)
def test_a_text_that_is_no_contract_gives_one_problem(text):
    assert the_problem(text).key == "integration.yaml"


def test_a_secret_beside_a_yaml_error_is_not_shown():
    assert "hunter2" not in str(the_problem('client_secret: "hunter2\nversion: [1'))


def test_an_alias_and_a_tag_are_refused():
    problem = the_problem(changed(("lookback_minutes: 15", "lookback_minutes: !!python/name:os.system 15")))
    assert problem.key == "sync.lookback_minutes"
    aliased = changed(("objectives:", "objectives: &again"), ("stage_map:\n", "crm_copy: *again\nstage_map:\n"))
    assert "crm_copy" in {problem.key for problem in problems_of(aliased)}


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_in_lines(text):
    with pytest.raises(ContractError) as refused:
        parse_contract(text)
    assert all(str(problem).isprintable() for problem in refused.value.problems)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


def _flat() -> dict[str, str]:
    """The sandbox's contract by section, each in one line of JSON, which is YAML too."""
    contract = parse_contract(sandbox_contract())
    return {name: json.dumps(value) for name, value in contract.model_dump(mode="json", by_alias=True).items()}


_FLAT = _flat()


def _joined(sections: dict[str, str]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in sections.items())


def test_a_contract_dumped_and_read_again_is_the_same():
    assert parse_contract(_joined(_FLAT)) == parse_contract(sandbox_contract())


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(_FLAT)), _VALUES)
def test_any_value_in_any_section_is_taken_or_refused_in_lines(section, value):
    text = _joined(_FLAT | {section: json.dumps(value)})
    try:
        parse_contract(text)
    except ContractError:
        assert problems_of(text)


def test_without_a_file_the_local_sandbox_holds(clean_environment):
    assert load_contract(load_settings()) == parse_contract(sandbox_contract())


def test_the_file_of_the_home_folder_is_read(clean_environment):
    path = clean_environment / "data" / "integration.yaml"
    path.parent.mkdir()
    path.write_bytes(b"\xef\xbb\xbf" + changed(("retention_days: 730", "retention_days: 31")).encode())
    assert load_contract(load_settings()).privacy.retention_days == 31


def test_a_named_file_that_is_not_there_is_a_problem(clean_environment, monkeypatch):
    monkeypatch.setenv("REFERRAL_PIPELINE_CONFIG", "elsewhere.yaml")
    with pytest.raises(ContractError, match=r"elsewhere\.yaml: found no such file"):
        load_contract(load_settings())


def test_a_file_that_is_not_utf_8_is_a_problem(clean_environment, monkeypatch):
    (clean_environment / "other.yaml").write_bytes(b"owner: \xff\xfe")
    monkeypatch.setenv("REFERRAL_PIPELINE_CONFIG", "other.yaml")
    with pytest.raises(ContractError, match="UTF-8"):
        load_contract(load_settings())


def test_every_url_can_be_overridden_from_the_environment(clean_environment, monkeypatch):
    for side, url in itertools.product(("ADVOCACY", "ATS"), ("BASE", "AUTH")):
        monkeypatch.setenv(f"REFERRAL_PIPELINE_{side}_{url}_URL", f"http://127.0.0.1:9/{side}/{url}/")
    contract = load_contract(load_settings())
    assert contract.advocacy.base_url == "http://127.0.0.1:9/ADVOCACY/BASE"
    assert contract.advocacy.auth_url == "http://127.0.0.1:9/ADVOCACY/AUTH"
    assert contract.ats.base_url == "http://127.0.0.1:9/ATS/BASE"
    assert contract.ats.auth_url == "http://127.0.0.1:9/ATS/AUTH"


def test_a_contract_is_frozen_and_cannot_be_made_against_its_rules():
    contract = parse_contract(sandbox_contract())
    with pytest.raises(ValidationError):
        contract.environment = "production"
    with pytest.raises(ContractError):
        Contract.model_validate(contract.model_dump(by_alias=True) | {"environment": "production"})
