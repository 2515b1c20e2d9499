"""`credit`: only the owner decides, about referrals that may have credit, and everything said is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from referral_pipeline.cli import main
from referral_pipeline.ledger.store import Ledger, Link
from referral_pipeline.sandbox.credentials import SECRETS

OWNER = "talent-ops@example.com"
WHY = ("--reason", "she told him first")
NOW = datetime(2026, 5, 4, tzinfo=UTC)


def link(referral_id: str, **fields: Any) -> Link:
    values = {"person_id": "per_1", "job_id": "J1", "advocate_id": "A1", "application_id": "31", **fields}
    return Link(
        referral_id=referral_id, share_id=None, campaign_tag=None, touched_at=NOW, system="greenhouse", **values
    )


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    for name, value in {**SECRETS, "REFERRAL_PIPELINE_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("REFERRAL_PIPELINE_CONFIG", raising=False)
    with Ledger.open("sqlite:///data/state/ledger.sqlite", home=tmp_path) as opened:
        opened.save_links(
            [
                link("R1"),
                link("R2", advocate_id="A2"),
                link("R3", block="no_consent"),
                link("R4", person_id="per_2", application_id="32"),
            ]
        )
        yield opened


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["credit", *arguments])


def refused(*arguments: str) -> str:
    result = invoke(*arguments)
    assert result.exit_code != 0
    assert "Traceback" not in result.output
    return result.output


def test_a_decision_is_kept_and_a_hint_waits_for_the_lane(ledger: Ledger):
    result = invoke("override", "31", "--referral", "R2", *WHY, "--by", "Talent-Ops@Example.com")
    assert result.exit_code == 0, result.output
    assert "referral R2 has the credit for application greenhouse:31" in result.output
    assert "next `referral-pipeline refresh`" in result.output
    (made,) = ledger.overrides(in_force=True)
    assert (made.application_key, made.referral_id, made.decided_by) == ("greenhouse:31", "R2", OWNER)
    (hint,) = ledger.inbox_events(state="received")
    assert (hint.system, hint.event_type, hint.subject, hint.origin) == (
        "advocacy",
        "reconcile.referral",
        "referral:R1",
        "override",
    )


def test_both_ways_to_write_an_application_are_one(ledger: Ledger):
    invoke("override", "31", "--referral", "R1", *WHY, "--by", OWNER)
    invoke("override", "greenhouse:31", "--nobody", *WHY, "--by", OWNER)
    assert [(one.referral_id, one.is_in_force) for one in ledger.overrides()] == [("R1", False), (None, True)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("31", "--referral", "R1", *WHY, "--by", "somebody@example.com"), "only the owner"),
        (("31", "--referral", "R1", "--reason", "  ", "--by", OWNER), "needs its reason"),
        (("31", "--referral", "R9", *WHY, "--by", OWNER), "unknown here"),
        (("31", "--referral", "R3", *WHY, "--by", OWNER), "held back (no_consent)"),
        (("31", "--referral", "R4", *WHY, "--by", OWNER), "of another person"),
        (("99", "--nobody", *WHY, "--by", OWNER), "no referral was ever written"),
        (("lever:31", "--nobody", *WHY, "--by", OWNER), "no application of greenhouse"),
        (("31", *WHY, "--by", OWNER), "say who has the credit"),
        (("31", "--nobody", "--referral", "R1", *WHY, "--by", OWNER), "say who has the credit"),
    ],
)
def test_what_cannot_be_decided_is_refused_with_the_mend_and_nothing_is_kept(
    ledger: Ledger, arguments: tuple[str, ...], words: str
):
    assert words in refused("override", *arguments)
    assert ledger.overrides() == []
    assert ledger.inbox_events() == []


def test_a_refusal_names_nobody(ledger: Ledger):
    assert "somebody@" not in refused("override", "31", "--nobody", *WHY, "--by", "somebody@example.com")
    assert OWNER not in refused("override", "31", "--nobody", *WHY, "--by", "somebody@example.com")


def test_a_decision_is_taken_back_once_and_stays_in_the_list(ledger: Ledger):
    invoke("override", "31", "--referral", "R1", *WHY, "--by", OWNER)
    assert "only the owner" in refused("revoke", "31", "--reason", "x", "--by", "somebody@example.com")
    result = invoke("revoke", "31", "--reason", "a mistake", "--by", OWNER)
    assert "last_touch decides about application greenhouse:31 again" in result.output
    assert "no override is in force" in refused("revoke", "31", "--reason", "a mistake", "--by", OWNER)
    assert len(ledger.inbox_events(state="received")) == 2
    assert json.loads(invoke("list", "--json").output) == {"overrides": []}
    (kept,) = json.loads(invoke("list", "--all", "--json").output)["overrides"]
    assert (kept["reason"], kept["revoked_reason"]) == ("she told him first", "a mistake")
    (line,) = invoke("list", "--all").output.splitlines()
    assert line.split("\t")[1:3] == ["greenhouse:31", "R1"]
