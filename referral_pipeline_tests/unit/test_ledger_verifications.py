"""What was verified is kept with what it was true of, and what it covers is what decides what is written where."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from referral_pipeline.connectors.covered import connector_version, fingerprint_of
from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.models import Contract
from referral_pipeline.contract.scaffold import Choices, integration_yaml
from referral_pipeline.ledger.store import Ledger
from referral_pipeline_tests.unit.ledger_databases import BACKENDS, fresh_url

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(params=BACKENDS)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    for url in fresh_url(request.param, tmp_path):
        with Ledger.open(url, home=tmp_path, clock=lambda: NOW) as opened:
            yield opened


def record(ledger: Ledger, kind: str, fingerprint: str, *, passed: bool = True) -> int:
    made = ledger.record_verification(
        kind,
        passed=passed,
        environment="sandbox",
        fingerprint=fingerprint,
        made_by="a@example.com",
        facts={"checked": 50},
    )
    return made.id


def test_the_newest_of_what_it_covers_counts(ledger: Ledger) -> None:
    record(ledger, "field_audit", "one")
    newest = record(ledger, "field_audit", "one", passed=False)
    record(ledger, "field_audit", "two")
    record(ledger, "check", "one")
    found = ledger.latest_verification("field_audit", "one")
    assert found is not None
    assert (found.id, found.passed, found.made_at, found.facts) == (newest, False, NOW, {"checked": 50})
    assert ledger.latest_verification("go_live", "one") is None
    assert [v.kind for v in ledger.verifications()] == ["check", "field_audit", "field_audit", "field_audit"]


def test_a_kind_that_nobody_knows_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="there are: check, api_audit"):
        record(ledger, "hunch", "one")


# ---------------------------------------------------------------- what is covered

YAML = integration_yaml(Choices())


def changed(old: str, new: str) -> Contract:
    assert old in YAML
    return parse_contract(YAML.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  Offer: offered", "  Offer: interviewed"),
        ("model: last_touch", "model: linear"),
        ("  - {from: ats.application.starts_on, to: advocacy.referral.starts_on}\n", ""),
        ("require_consent: on", "require_consent: off"),
        ("campaign_tag: campaign_tag", "campaign_tag: campaign"),
    ],
)
def test_what_changes_what_is_written_changes_the_fingerprint(old: str, new: str) -> None:
    assert fingerprint_of(changed(old, new)) != fingerprint_of(parse_contract(YAML))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("latency_p95_seconds: 60", "latency_p95_seconds: 30"),
        ("ADVOCACY_CLIENT_ID", "OTHER_CLIENT_ID"),
        ("target: 0.06", "target: 0.07"),
        ("http://127.0.0.1:8702/v3", "https://harvest.greenhouse.io/v3"),
    ],
)
def test_what_moves_no_data_leaves_the_fingerprint(old: str, new: str) -> None:
    assert fingerprint_of(changed(old, new)) == fingerprint_of(parse_contract(YAML))


def test_a_connector_of_ours_has_the_version_of_its_own_files() -> None:
    assert connector_version("greenhouse") != connector_version("advocacy")
    assert connector_version("nobody") == "unknown"
