"""What `init` writes loads, needs what it says, and is what the repository holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.contract.countries import COUNTRIES
from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.problems import ContractError
from referral_pipeline.contract.scaffold import (
    LOCAL_SANDBOX,
    Choices,
    env_example,
    integration_yaml,
    sandbox_contract,
)
from referral_pipeline.contract.starter import write_starter
from referral_pipeline.contract.systems import TAGS, connectors_of
from referral_pipeline.settings import Settings
from referral_pipeline.vocabulary import Side

REPOSITORY = Path(__file__).parents[2]
ATS = st.sampled_from(connectors_of(Side.ATS))
ADVOCACY = st.sampled_from(connectors_of(Side.ADVOCACY))
CRM = st.none() | st.sampled_from(connectors_of(Side.CRM))


def test_the_repositorys_contract_is_the_scaffold_of_the_local_sandbox():
    assert (REPOSITORY / "data" / "integration.yaml").read_text(encoding="utf-8") == sandbox_contract()


def test_the_repositorys_env_example_is_the_scaffold_of_the_local_sandbox():
    assert (REPOSITORY / ".env.example").read_text(encoding="utf-8") == env_example(LOCAL_SANDBOX)


def test_the_local_sandbox_is_set_up_for_greenhouse():
    contract = parse_contract(sandbox_contract())
    assert contract.stage_map == {"Phone Screen": "interviewed", "Face to Face": "interviewed", "Offer": "offered"}
    assert contract.privacy.allowed_countries == ("US", "DE", "FR")
    assert contract.ats.options["source_name"] == "Employee Advocacy"
    assert contract.ats.options["custom_fields"] == {tag: tag for tag in TAGS}
    assert contract.ats.options["visibility_lag_seconds"] == 3


@settings(deadline=None, max_examples=60)
@given(
    st.builds(
        Choices,
        advocacy=ADVOCACY,
        ats=ATS,
        crm=CRM,
        environment=st.sampled_from(["sandbox", "production"]),
        owner_name=st.text(min_size=1, max_size=40).filter(lambda name: name.isprintable()),
        owner_email=st.sampled_from(["a@example.com", "jörg@exämple.com", "o'neil+x@example.co.uk"]),
        countries=st.lists(st.sampled_from(sorted(COUNTRIES)), min_size=1, max_size=20, unique=True).map(tuple),
        currency=st.sampled_from(["USD", "EUR", "NOK", "INR"]),
    )
)
def test_what_is_written_always_loads_as_chosen(choices):
    contract = parse_contract(integration_yaml(choices))
    assert contract.environment == choices.environment
    assert contract.owner.name == choices.owner_name
    assert contract.owner.email == choices.owner_email
    assert contract.privacy.allowed_countries == choices.countries
    assert contract.rules.bonus.currency == choices.currency
    assert contract.advocacy.connector == choices.advocacy
    assert contract.ats.connector == choices.ats
    assert (contract.crm.connector if contract.crm else None) == choices.crm


@settings(deadline=None, max_examples=60)
@given(st.builds(Choices, advocacy=ADVOCACY, ats=ATS, crm=CRM))
def test_every_variable_of_the_example_has_a_comment_and_no_value_and_none_is_missing(choices):
    lines = env_example(choices).splitlines()
    names = set()
    for before, line in zip(["", *lines], lines, strict=False):
        if line and not line.startswith("#"):
            assert re.fullmatch(r"[A-Z_]+=", line)
            assert before.startswith("# ")
            names.add(line.removesuffix("="))
    contract = parse_contract(integration_yaml(choices))
    for system in contract.systems().values():
        assert {system.client_id_env, system.client_secret_env, system.webhook_secret_env} - {None, ""} <= names
    ours = {f"REFERRAL_PIPELINE_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in names if name.startswith("REFERRAL_PIPELINE_")} <= ours
    assert {"REFERRAL_PIPELINE_KEY", "REFERRAL_PIPELINE_HASH_KEY"} <= names


def test_the_two_files_are_written_and_never_over_others_unasked(tmp_path):
    contract, example = write_starter(Choices(), home=tmp_path)
    assert contract == tmp_path / "data" / "integration.yaml"
    assert example == tmp_path / ".env.example"
    contract.write_text("mine", encoding="utf-8")
    with pytest.raises(ContractError, match=r"integration\.yaml"):
        write_starter(Choices(), home=tmp_path)
    assert contract.read_text(encoding="utf-8") == "mine"
    write_starter(Choices(), home=tmp_path, overwrite=True)
    assert parse_contract(contract.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("choices", "key"),
    [
        (Choices(ats="taleo"), "ats.connector"),
        (Choices(owner_email="nobody"), "owner.email"),
        (Choices(countries=("UK",)), "privacy.allowed_countries"),
    ],
)
def test_a_wrong_choice_is_refused_and_nothing_is_written(choices, key, tmp_path):
    with pytest.raises(ContractError) as refused:
        write_starter(choices, home=tmp_path)
    assert refused.value.problems[0].key.startswith(key)
    assert list(tmp_path.iterdir()) == []
