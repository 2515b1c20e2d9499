"""Paths and secrets from the environment."""

from __future__ import annotations

import pytest

from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.scaffold import sandbox_contract
from referral_pipeline.contract.secrets import missing_secrets
from referral_pipeline.settings import MissingSecret, load_settings


@pytest.fixture
def contract():
    return parse_contract(sandbox_contract())


def test_everything_lies_under_the_home_folder(clean_environment):
    settings = load_settings()
    assert settings.home == clean_environment
    assert settings.config_path == clean_environment / "data" / "integration.yaml"
    assert settings.state_dir == clean_environment / "data" / "state"
    assert settings.published_dir == clean_environment / "data" / "published"


def test_the_current_folder_is_home_when_none_is_named(clean_environment, monkeypatch):
    monkeypatch.delenv("REFERRAL_PIPELINE_HOME")
    monkeypatch.chdir(clean_environment)
    assert load_settings().home == clean_environment


def test_a_named_contract_is_relative_to_home(clean_environment, monkeypatch):
    monkeypatch.setenv("REFERRAL_PIPELINE_CONFIG", "contracts/live.yaml")
    assert load_settings().config_path == clean_environment / "contracts" / "live.yaml"


def test_a_secret_comes_from_the_process_before_the_file(clean_environment, monkeypatch):
    (clean_environment / ".env").write_text("GREENHOUSE_CLIENT_ID=of-the-file\nADVOCACY_CLIENT_ID=a$${b}\n", "utf-8")
    monkeypatch.setenv("GREENHOUSE_CLIENT_ID", "of-the-process")
    settings = load_settings()
    assert settings.secret("GREENHOUSE_CLIENT_ID") == "of-the-process"
    assert settings.secret("ADVOCACY_CLIENT_ID") == "a$${b}"


def test_our_own_variables_may_stand_in_the_file(clean_environment):
    (clean_environment / ".env").write_text("REFERRAL_PIPELINE_ATS_BASE_URL=http://127.0.0.1:9/v3\n", "utf-8")
    assert load_settings().ats_base_url == "http://127.0.0.1:9/v3"


def test_an_empty_value_counts_as_not_set(clean_environment, monkeypatch):
    monkeypatch.setenv("GREENHOUSE_CLIENT_ID", "")
    monkeypatch.setenv("REFERRAL_PIPELINE_KEY", "")
    settings = load_settings()
    assert settings.key is None
    with pytest.raises(MissingSecret) as missing:
        settings.secret("GREENHOUSE_CLIENT_ID")
    assert missing.value.key == "GREENHOUSE_CLIENT_ID"
    assert ".env" in missing.value.mend


def test_no_secret_is_shown_by_repr(secrets_in_environment):
    settings = secrets_in_environment(REFERRAL_PIPELINE_HASH_KEY="hunter2-hunter2-hunter2")
    assert "hunter2" not in repr(settings)


def test_nothing_is_missing_when_every_secret_is_set(contract, secrets_in_environment):
    assert missing_secrets(contract, secrets_in_environment()) == []


def test_a_missing_secret_names_its_place_and_its_variable(contract, secrets_in_environment):
    (problem,) = missing_secrets(contract, secrets_in_environment(without="GREENHOUSE_CLIENT_SECRET"))
    assert problem.key == "ats.client_secret_env"
    assert "GREENHOUSE_CLIENT_SECRET" in problem.problem


def test_all_missing_secrets_are_told(contract, clean_environment):
    assert len(missing_secrets(contract, load_settings())) == 8


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REFERRAL_PIPELINE_KEY", "hunter2"),
        ("REFERRAL_PIPELINE_KEY", "hunter2ü,"),
        ("REFERRAL_PIPELINE_HASH_KEY", "hunter2"),
    ],
)
def test_a_key_of_our_own_that_is_malformed_is_told_and_not_shown(contract, secrets_in_environment, name, value):
    (problem,) = missing_secrets(contract, secrets_in_environment(**{name: value}))
    assert problem.key == name
    assert "hunter2" not in str(problem)
