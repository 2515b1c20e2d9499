"""Settings whose secrets are all set, for the tests of the contract."""

from __future__ import annotations

import os

import pytest
from cryptography.fernet import Fernet

from referral_pipeline.settings import CONTRACT_TOLD, load_settings

SECRETS = (
    "ADVOCACY_CLIENT_ID",
    "ADVOCACY_CLIENT_SECRET",
    "ADVOCACY_WEBHOOK_SECRET",
    "GREENHOUSE_CLIENT_ID",
    "GREENHOUSE_CLIENT_SECRET",
    "GREENHOUSE_WEBHOOK_SECRET",
)


@pytest.fixture
def clean_environment(monkeypatch, tmp_path):
    """An environment in which nothing of ours is set but the home folder, a fresh one."""
    for name in [*SECRETS, *(name for name in os.environ if name.startswith("REFERRAL_PIPELINE_"))]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(CONTRACT_TOLD, "1")
    monkeypatch.setenv("REFERRAL_PIPELINE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def secrets_in_environment(clean_environment, monkeypatch):
    """Sets every secret, leaving one out or changing one when asked; returns the settings."""

    def set_all(*, without: str | None = None, **changes: str):
        values = dict.fromkeys(SECRETS, "a-secret-value")
        values["REFERRAL_PIPELINE_KEY"] = Fernet.generate_key().decode()
        values["REFERRAL_PIPELINE_HASH_KEY"] = "0123456789abcdef"
        for name, value in (values | changes).items():
            if name != without:
                monkeypatch.setenv(name, value)
        return load_settings()

    return set_all
