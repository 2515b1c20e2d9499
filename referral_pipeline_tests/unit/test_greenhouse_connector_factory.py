"""Connectors made from a contract: by name, with secrets from the environment, and what stops that is a finding."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.connectors import factory, vendors
from referral_pipeline.connectors.factory import BUDGET_FILE, ConnectorError, build_advocacy, build_ats
from referral_pipeline.connectors.http import ApiCall
from referral_pipeline.connectors.preflight import probe_all
from referral_pipeline.connectors.records import Window
from referral_pipeline.connectors.vendors import Vendor
from referral_pipeline.contract import systems
from referral_pipeline.contract.loader import load_contract, parse_contract
from referral_pipeline.contract.models import Contract
from referral_pipeline.contract.scaffold import Choices, integration_yaml
from referral_pipeline.contract.systems import SystemFacts
from referral_pipeline.settings import MissingSecret, Settings, load_settings
from referral_pipeline.vocabulary import Side
from referral_pipeline_tests.unit.greenhouse_account import START, Account
from referral_pipeline_tests.unit.test_http_client import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
SECRETS = (
    "ADVOCACY_CLIENT_ID",
    "ADVOCACY_CLIENT_SECRET",
    "ADVOCACY_WEBHOOK_SECRET",
    "GREENHOUSE_CLIENT_ID",
    "GREENHOUSE_CLIENT_SECRET",
    "GREENHOUSE_WEBHOOK_SECRET",
)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The default contract, every secret set, nobody listening anywhere."""
    for name in SECRETS:
        monkeypatch.setenv(name, "not-a-secret-outside-tests")
    nobody = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("REFERRAL_PIPELINE_ADVOCACY_BASE_URL", nobody)
    monkeypatch.setenv("REFERRAL_PIPELINE_ATS_BASE_URL", f"{nobody}/v3")
    monkeypatch.setenv("REFERRAL_PIPELINE_ATS_AUTH_URL", f"{nobody}/token")
    monkeypatch.setenv("REFERRAL_PIPELINE_CONFIG", str(REPOSITORY / "data" / "integration.yaml"))
    return load_settings(tmp_path)


def with_ats(contract: Contract, **changes: Any) -> Contract:
    """The contract with other options for the ATS, which the contract itself does not judge."""
    changed = contract.ats.model_copy(update=changes)
    return contract.model_copy(update={"ats": changed})


def test_the_connector_of_the_contract_reads_and_shares_its_budget_and_records(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account()
    account.now = START.replace(year=2100)  # tokens live by the vendor's clock
    monkeypatch.setenv("GREENHOUSE_CLIENT_ID", "t.greenhouse")
    monkeypatch.setenv("GREENHOUSE_CLIENT_SECRET", account.secret)
    monkeypatch.setenv("REFERRAL_PIPELINE_ATS_BASE_URL", f"{account.root}/v3")
    monkeypatch.setenv("REFERRAL_PIPELINE_ATS_AUTH_URL", f"{account.root}/token")
    here = load_settings(tmp_path)
    calls: list[ApiCall] = []
    connector = build_ats(load_contract(here), here, recorder=calls.append, state_dir=tmp_path)
    rows = [row for page in connector.pull("jobs", Window(None, account.now)) for row in page]
    connector.close()
    assert [row["name"] for row in rows] == ["Data Engineer"]
    assert connector.system == "greenhouse"
    assert connector.visibility_lag_seconds == load_contract(here).ats.options["visibility_lag_seconds"]
    assert [call.operation for call in calls] == ["token", "jobs.list"]
    assert (tmp_path / BUDGET_FILE).exists()


def test_an_unknown_connector_is_refused_with_the_names_that_are_known(settings: Settings) -> None:
    contract = with_ats(load_contract(settings), connector="workday")
    with pytest.raises(
        ConnectorError, match=r"ats\.connector: no connector is called workday. Known here: .*greenhouse"
    ):
        build_ats(contract, settings)


WORKDAY = Vendor(
    SystemFacts(
        "workday", Side.ATS, "Workday", "WORKDAY", "https://w.example.com", "http://127.0.0.1:1", auth="api_key"
    ),
    connector=f"{__name__}:made_elsewhere",
)


@pytest.fixture
def workday(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if a package had it among its entry points."""
    point = EntryPoint("workday", f"{__name__}:WORKDAY", systems.ENTRY_POINTS)
    for module, found in ((systems, systems._added), (vendors, vendors.added)):
        monkeypatch.setattr(module, "entry_points", lambda group: [point] if group == systems.ENTRY_POINTS else [])
        found.cache_clear()
    yield
    systems._added.cache_clear()
    vendors.added.cache_clear()


@pytest.mark.usefixtures("workday")
def test_a_package_can_add_a_connector_by_an_entry_point(settings: Settings) -> None:
    text = integration_yaml(Choices(ats="workday"))
    assert "WORKDAY_API_KEY" in text
    assert "WORKDAY_CLIENT_ID" not in text
    assert build_ats(parse_contract(text), settings) == ("made elsewhere", "workday")


def made_elsewhere(build: factory.Build) -> object:
    """What an added package would offer."""
    return "made elsewhere", build.system.connector


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"sourcename": "x"}, "ats.options.sourcename"),
        ({"read_timeout_seconds": 0}, "ats.options.read_timeout_seconds"),
        ({"custom_fields": {"mood": "m"}}, "ats.options"),
    ],
)
def test_a_wrong_option_is_refused_by_its_key(settings: Settings, options: dict[str, Any], key: str) -> None:
    with pytest.raises(ConnectorError) as caught:
        build_ats(with_ats(load_contract(settings), options=options), settings)
    assert caught.value.key == key


def test_a_secret_that_is_not_set_stops_the_making(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADVOCACY_CLIENT_SECRET")
    with pytest.raises(MissingSecret, match="ADVOCACY_CLIENT_SECRET"):
        build_advocacy(load_contract(settings), settings)


def test_looking_at_all_systems_gives_one_finding_for_each_that_is_away(settings: Settings) -> None:
    contract = load_contract(settings)
    quick = {"max_attempts": 1, "connect_timeout_seconds": 1}
    contract = with_ats(contract, options=quick).model_copy(
        update={"advocacy": contract.advocacy.model_copy(update={"options": quick})}
    )
    findings = probe_all(contract, settings)
    assert [(finding.key, finding.ok) for finding in findings] == [
        ("advocacy.base_url", False),
        ("ats.auth_url", False),
    ]


def test_what_stops_a_connector_from_being_made_is_a_finding_too(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ADVOCACY_CLIENT_ID")
    monkeypatch.delenv("ADVOCACY_WEBHOOK_SECRET")
    contract = with_ats(load_contract(settings), options={"unknown": 1})
    findings = probe_all(contract, settings)
    assert [finding.key for finding in findings] == [
        "advocacy.client_id_env",
        "advocacy.webhook_secret_env",
        "ats.options.unknown",
    ]
    assert all(finding.mend for finding in findings)
