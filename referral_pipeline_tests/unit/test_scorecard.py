"""What a vendor claims is held against what was found, and two systems stand side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from referral_pipeline.cli import main
from referral_pipeline.connectors.capabilities import Standing
from referral_pipeline.contract.scaffold import sandbox_contract
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.monitoring.api_audit.scorecard import ClaimsError, Verdict, beside, read_claims, score, template
from referral_pipeline.sandbox.credentials import SECRETS

CLAIMABLE = [Standing.COVERED, Standing.PARTIAL, Standing.MISSING]


def line(name: str, standing: str, *, needed: bool = False, system: str = "greenhouse", side: str = "ats") -> Any:
    return {
        "system": system,
        "side": side,
        "name": name,
        "title": f"The {name}",
        "standing": standing,
        "needed": needed,
        "evidence": f"seen | {name}",
        "consequence": "something follows",
    }


FACTS = {
    "lines": [
        line("create", "covered", needed=True),
        line("search", "missing", needed=True),
        line("phone", "missing"),
        line("tag", "partial"),
        line("webhooks", "not verified", needed=True),
        line("referrals", "covered", system="advocacy", side="advocacy"),
    ]
}
CLAIMS = """
version: 1
system: greenhouse
source: an answer | of the vendor
claims: {create: covered, search: covered, phone: covered, tag: missing, webhooks: covered, telepathy: covered}
"""


def test_claims_are_told_true_overstated_understated_unverified_or_of_nothing_known():
    card = score(read_claims(CLAIMS), FACTS)
    assert [(one.name, one.verdict) for one in card.claims] == [
        ("search", Verdict.OVERSTATED),  # what is needed comes first
        ("phone", Verdict.OVERSTATED),
        ("create", Verdict.HOLDS),
        ("webhooks", Verdict.NOT_VERIFIED),
        ("tag", Verdict.UNDERSTATED),
        ("telepathy", Verdict.UNKNOWN),
    ]
    assert (card.holding, card.verified, [one.name for one in card.broken]) == (2, 4, ["search"])


def test_what_is_needed_and_not_claimed_is_told():
    text = "version: 1\nsystem: greenhouse\nclaims: {create: covered}\n"
    assert score(read_claims(text), FACTS).unclaimed == ("search", "webhooks")


@given(st.sampled_from(CLAIMABLE), st.sampled_from(CLAIMABLE))
def test_a_claim_holds_exactly_when_it_is_what_was_found(claimed: Standing, found: Standing):
    text = f"version: 1\nsystem: greenhouse\nclaims: {{create: {claimed}}}\n"
    (one,) = score(read_claims(text), {"lines": [line("create", found)]}).claims
    assert (one.verdict is Verdict.HOLDS) == (claimed is found)
    order = [Standing.MISSING, Standing.PARTIAL, Standing.COVERED]
    assert (one.verdict is Verdict.OVERSTATED) == (order.index(claimed) > order.index(found))


def test_the_template_is_a_file_of_claims_with_every_line_of_that_system():
    claims = read_claims(template(FACTS, "greenhouse"))
    assert list(claims.claims) == ["create", "search", "phone", "tag", "webhooks"]
    assert claims.system == "greenhouse"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: [", "not valid YAML at line"),
        ("version: 2\nsystem: x\nclaims: {a: covered}", "^version: "),
        ("version: 1\nsystem: x\nclaims: {a: great}", "^claims.a: "),
        ("version: 1\nsystem: x\nclaims: {}", "^claims: "),
        ("version: 1\nsystem: x\nclaims: {a: not verified}", "Leave it out"),
        ("version: 1\nsystem: x\nvendor: y\nclaims: {a: covered}", "^vendor: "),
        ("just words", "--template"),
    ],
)
def test_a_file_that_is_none_is_refused_by_its_key(text: str, words: str):
    with pytest.raises(ClaimsError, match=words):
        read_claims(text)


def test_a_system_that_was_not_audited_is_refused_with_those_that_were():
    claims = read_claims("version: 1\nsystem: lever\nclaims: {create: covered}\n")
    with pytest.raises(ClaimsError, match="found lever; the audit knows: greenhouse, advocacy"):
        score(claims, FACTS)


def test_of_two_systems_the_lines_that_differ_come_first_and_nothing_is_said_of_what_one_audit_lacks():
    other = {
        "lines": [
            line("create", "covered", needed=True, system="lever"),
            line("search", "covered", needed=True, system="lever"),
            line("tag", "missing", system="lever"),
            line("webhooks", "covered", system="lever"),
            line("forms", "covered", system="lever"),
        ]
    }
    both = beside(FACTS, other, "ats")
    assert (both.left, both.right) == ("greenhouse", "lever")
    assert [(row.title, row.left, row.right, row.better) for row in both.rows] == [
        ("The search", "missing", "covered", "right"),
        ("The tag", "partial", "missing", "left"),
        ("The create", "covered", "covered", ""),
        ("The webhooks", "not verified", "covered", ""),
        ("The phone", "missing", "", ""),
        ("The forms", "", "covered", ""),
    ]


# ---------------------------------------------------------------- the command


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("REFERRAL_PIPELINE_HOME", str(tmp_path))
    (tmp_path / "data" / "state").mkdir(parents=True)
    (tmp_path / "data" / "integration.yaml").write_text(sandbox_contract(), encoding="utf-8")
    return tmp_path


def audited(home: Path) -> None:
    with Ledger.open("sqlite:///data/state/ledger.sqlite", home=home) as ledger:
        ledger.record_verification(
            "api_audit", passed=False, environment="sandbox", fingerprint="f", made_by="audit-api", facts=FACTS
        )


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["scorecard", *arguments])
    return done.exit_code, done.output


def test_the_command_holds_a_file_against_the_newest_audit_and_ends_with_1_when_it_is_not_true(home: Path):
    claims, out = home / "claims.yaml", home / "written" / "card.md"
    claims.write_text(CLAIMS, encoding="utf-8")
    code, output = run("--claims", str(claims))
    assert (code, "run `referral-pipeline audit-api` first" in output) == (1, True)
    audited(home)
    code, output = run("--claims", str(claims), "--out", str(out))
    assert (code, "2 of 4 claims that could be verified hold." in output) == (1, True)
    text = out.read_text(encoding="utf-8")
    assert "| The search * | covered | missing | overstated | seen \\| search | something follows |" in text
    assert "From: an answer \\| of the vendor." in text
    claims.write_text(CLAIMS.replace("search: covered", "search: missing"), encoding="utf-8")
    code, output = run("--claims", str(claims), "--json")
    assert (code, json.loads(output)["broken"]) == (0, [])


def test_the_command_puts_another_audit_beside_and_prints_a_template(home: Path):
    audited(home)
    other = home / "other.json"
    other.write_text(json.dumps({"lines": [line("create", "missing", system="lever")]}), encoding="utf-8")
    code, output = run("--beside", str(other))
    assert (code, "greenhouse does more in 1 lines, lever in 0." in output) == (0, True)
    code, output = run("--template", "advocacy")
    assert (code, read_claims(output).system) == (0, "advocacy")
    other.write_text("[]", encoding="utf-8")
    code, output = run("--beside", str(other))
    assert (code, "other.json is no audit" in output) == (1, True)
    assert run()[0] == run("--claims", str(other), "--beside", str(other))[0] == 2
