"""`explain`: all evidence on an application, from published tables and the ledger, with the reason of each zero."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from referral_pipeline.cli import main
from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.ledger.store import Ledger, Link, Recognition
from referral_pipeline.orchestration.bridge import PUBLISHED_TABLES
from referral_pipeline.sandbox.credentials import SECRETS
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline.warehouse import staging
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.unit.core_world import DAY0, World, day

OWNER = "talent-ops@example.com"


class Case:
    """A programme of three advocates, its ledger, and what was published of it."""

    def __init__(self, home: Path, ledger: Ledger) -> None:
        self.ledger = ledger
        self.world = World(home)
        self.world.warehouse = Warehouse(
            "data/state/warehouse.duckdb", home=home, published_dir=home / "data" / "published"
        )
        for advocate in ("A1", "A2", "A3"):
            self.world.advocate(advocate)
        self.world.share("S1", "A1", -10)
        self.world.share("S2", "A1", 2, campaign="summer")
        self.world.job("J1")
        self.world.job("J2")

    def publish(self) -> None:
        world = self.world
        world.bonuses = [dict(vars(one)) for one in self.ledger.bonuses()]
        world.payroll = staging._payroll(self.ledger)
        for override in self.ledger.overrides(in_force=True):
            world.overrides.append({name: getattr(override, name) for name in
                                    ("id", "application_key", "referral_id", "decided_at")})  # fmt: skip
        world.build()
        with world.warehouse.connect():
            core = [table for table in PUBLISHED_TABLES if world.warehouse.has_table(table)]
            world.warehouse.publish(core)

    def contract(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *changes: tuple[str, str]) -> None:
        """The contract with these pieces of its text changed, for the command and for the next tables."""
        text = (Path(__file__).parents[2] / "data" / "integration.yaml").read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (folder / "changed.yaml").write_text(text, encoding="utf-8")
        monkeypatch.setenv("REFERRAL_PIPELINE_CONFIG", str(folder / "changed.yaml"))
        self.world.contract = parse_contract(text)

    def link(self, referral_id: str, advocate_id: str, application_id: str | None = "31", **fields: Any) -> None:
        at = day(0)
        assert at is not None
        values: dict[str, Any] = {
            "person_id": "per_1", "job_id": "J1", "match_method": "matched", "candidate_id": "C1", "share_id": None,
            "campaign_tag": None, **fields,
        }  # fmt: skip
        self.ledger.save_links(
            [Link(referral_id=referral_id, advocate_id=advocate_id, application_id=application_id, touched_at=at,
                  system="greenhouse", **values)]
        )  # fmt: skip

    def recognised(self, referral_id: str, advocate_id: str, *kinds: str) -> None:
        for number, kind in enumerate(kinds):
            row = Recognition(
                f"{referral_id}:{kind}", referral_id, advocate_id, "greenhouse", "31", 1, kind,
                0 if kind == "hired" else 200_000, "USD", "pending", DAY0 + timedelta(days=20 + number),
            )  # fmt: skip
            self.ledger.begin_recognition(row)
            self.ledger.settle_recognition(row.key, "sent")


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
    for name, value in {**SECRETS, "REFERRAL_PIPELINE_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("REFERRAL_PIPELINE_CONFIG", raising=False)
    with Ledger.open("sqlite:///data/state/ledger.sqlite", home=tmp_path) as ledger:
        yield Case(tmp_path, ledger)


def disputed(case: Case) -> None:
    """A hire that three advocates say they brought."""
    world = case.world
    world.referral("R1", "A1", 0, share="S1")
    world.referral("R2", "A2", 1, granted=False)
    world.referral("R3", "A3", 8)
    world.referral("R4", "A2", 1, job="J2")
    world.application("31", 3, status="hired", hired=20, history=(("applied", 3, 9), ("interviewed", 9, None)))
    world.edit("31", starts_on=(DAY0 + timedelta(days=30)).date(), tags={"advocate_id": "A3", "referral_id": "typed"})
    case.link("R1", "A1", created_candidate=True, created_application=True)
    case.link("R2", "A2", block="no_consent")
    case.link("R3", "A3")
    case.link("R4", "A2", "32", job_id="J2")
    case.recognised("R1", "A1", "hired", "bonus_eligible")


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["explain", *arguments])


def told(application: str = "31") -> dict[str, Any]:
    result = invoke(application, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_every_touch_stands_with_its_time_distance_and_verdict(case: Case):
    disputed(case)
    case.publish()
    touches = told()["touches"]
    assert [(one["referral_id"] or one["share_id"], one["days_before"], one["verdict"]) for one in touches] == [
        ("S1", 13, "counts"),
        ("R1", 3, "counts"),
        ("R2", 2, "no_consent"),
        ("S2", 1, "counts"),
        ("R3", -5, "after_application"),
    ]
    assert [one["why"] for one in touches if one["place"] is None] == [
        "no consent of the candidate is recorded, or it was taken back",
        "it came after the application",
    ]
    assert touches[3]["campaign_tag"] == "summer"


def test_rule_weights_credit_bonus_and_what_the_ats_carries_are_told(case: Case):
    disputed(case)
    case.publish()
    e = told()
    assert (e["credited"]["advocate_id"], e["credited"]["share_id"]) == ("A1", "S2")
    assert (e["rule"]["pays"], e["rule"]["lookback_days"]) == ("last_touch", 90)
    assert [(one["share_id"], one["last_touch"], one["linear"], one["paid"]) for one in e["weights"]] == [
        ("S2", "1.000000000000", "0.333333333333", "1.000000000000"),
        ("S1", "0.000000000000", "0.666666666667", "0.000000000000"),
    ]
    assert {one["referral_id"]: one["reason"] for one in e["credit"] if one["weight"] == "0.000000000000"} == {
        "R1": "other_touch_credited",
        "R2": "no_consent",
        "R3": "after_application",
    }
    assert (e["bonus"]["cents"], e["bonus"]["eligible_on"]) == (200_000, "2026-05-01")
    assert [(one["kind"], one["cents"], one["state"]) for one in e["bonus"]["steps"]] == [
        ("hired", 0, "sent"),
        ("bonus_eligible", 200_000, "sent"),
    ]
    assert e["ats"] == {
        "advocate_id": "A3",
        "referral_id": None,
        "share_id": None,
        "carries_unknown": True,
        "differs": ["advocate_id", "referral_id", "share_id"],
    }


def test_application_person_and_referrals_are_told_by_ids_alone(case: Case):
    disputed(case)
    case.publish()
    e = told()
    assert [one["status"] for one in e["application"]["history"]] == ["applied", "interviewed", "hired"]
    assert {one["record_id"] for one in e["person"]["records"]} >= {"advocacy:R1", "greenhouse:C-Jane Doe"}
    assert [(one["referral_id"], one["candidate"], one["application"], one["block"]) for one in e["referrals"]] == [
        ("R1", "created", "created", None),
        ("R2", "found", "found", "no_consent"),
        ("R3", "found", "found", None),
    ]
    assert [(one["referral_id"], one["application_id"], one["why"]) for one in e["elsewhere"]] == [
        ("R4", "32", "it is for job J2")
    ]
    assert "example.com" not in json.dumps(e)


def test_an_override_is_told_with_who_when_and_why_and_those_before_it_too(case: Case):
    disputed(case)
    case.ledger.decide_override("greenhouse:31", None, reason="both wrong", decided_by=OWNER)
    case.ledger.decide_override("greenhouse:31", "R3", reason="she told him first", decided_by=OWNER)
    case.publish()
    e = told()
    assert (e["credited"]["advocate_id"], e["rule"]["pays"], e["rule"]["model"]) == ("A3", "override", "last_touch")
    assert (e["override"]["referral_id"], e["override"]["reason"]) == ("R3", "she told him first")
    assert [one["reason"] for one in e["earlier_overrides"]] == ["both wrong"]
    assert {one["referral_id"]: one["reason"] for one in e["credit"]} == {
        "R1": "overridden", "R2": "no_consent", "R3": "override", None: "overridden",
    }  # fmt: skip
    plain = invoke("31").output
    assert "she told him first" in plain
    assert OWNER in plain


def test_a_decision_that_the_tables_do_not_show_yet_is_told_as_such(case: Case):
    disputed(case)
    case.publish()
    case.ledger.decide_override("greenhouse:31", "R3", reason="she told him first", decided_by=OWNER)
    assert told()["tables_follow"]
    assert "the tables follow with the next" in invoke("31").output


def test_an_application_that_nobody_referred_says_so_and_why_other_referrals_do_not_count(case: Case):
    case.world.referral("R4", "A2", 1, job="J2")
    case.world.application("31", 3)
    case.publish()
    e = told("greenhouse:31")
    assert (e["touches"], e["credit"], e["weights"]) == ([], [], [])
    assert [(one["referral_id"], one["why"]) for one in e["elsewhere"]] == [("R4", "it is for job J2")]
    plain = invoke("31").output
    assert "Nobody referred this person for this job" in plain
    assert "it is for job J2" in plain


def bonus_lines(application: str = "31") -> list[str]:
    """The part of the answer that tells of the bonus, without its heading and its table."""
    lines = invoke(application).output.split("# Bonus\n")[1].split("\n\n")[0].splitlines()
    return [line for line in lines if "\t" not in line]


def one_hire(case: Case) -> None:
    case.world.referral("R1", "A1", 0)
    case.world.application("31", 3, status="hired", hired=20)
    case.world.edit("31", starts_on=(DAY0 + timedelta(days=30)).date())
    case.link("R1", "A1", status=CandidateStatus.HIRED)


def test_what_stands_of_the_bonus_is_told_with_state_amount_and_reason(case: Case):
    one_hire(case)
    case.publish()
    assert told()["bonus"]["none"] == "not_told"
    case.recognised("R1", "A1", "hired")
    case.publish()
    (standing,) = told()["bonus"]["standings"]
    assert (standing["state"], standing["cents"], standing["reason"]) == ("pending", 200_000, "waiting")
    assert (standing["eligible_on"], standing["currency"]) == ("2026-05-01", "USD")
    case.recognised("R1", "A1", "hired", "bonus_eligible")  # the ledger is ahead of the tables
    (standing,) = told()["bonus"]["standings"]
    assert (standing["state"], standing["cents"], standing["reason"]) == ("eligible", 200_000, None)


def test_a_rehire_is_told_as_one_and_not_as_no_credited_hire(case: Case):
    one_hire(case)
    case.world.referral("R5", "A2", 0, job="J2")
    case.world.application("33", 3, job="J2", status="hired", hired=25)
    case.publish()
    assert told("33")["bonus"]["none"] == "rehire"
    assert bonus_lines("33") == [
        "No bonus: another hire of the person has the bonus, and the contract pays one a person."
    ]


def test_a_payment_whose_hire_was_undone_is_told_with_its_amount(case: Case):
    one_hire(case)
    case.recognised("R1", "A1", "hired", "bonus_eligible")
    case.ledger.export_payroll(by=OWNER, pay_on=DAY0.date())
    case.world.edit("31", status=CandidateStatus.OFFERED, hired_at=None)
    case.publish()
    (line,) = bonus_lines()
    assert line.startswith("Referral R1, advocate A1: paid, 2000.00 USD")
    assert line.endswith("paid on 2026-01-01 by export 1: paid, and the hire was undone since: payroll has it.")


def test_credit_that_moved_after_the_payment_is_told_with_who_was_paid(case: Case):
    one_hire(case)
    case.recognised("R1", "A1", "hired", "bonus_eligible")
    case.ledger.export_payroll(by=OWNER, pay_on=DAY0.date())
    case.world.referral("R3", "A3", 2.5)
    case.link("R3", "A3")
    case.recognised("R3", "A3", "hired")
    case.publish()
    e = told()
    assert e["credited"]["advocate_id"] == "A3"
    assert [(one["advocate_id"], one["state"], one["cents"], one["reason"]) for one in e["bonus"]["standings"]] == [
        ("A1", "paid", 200_000, None),
        ("A3", "pending", 0, "other_advocate"),
    ]


@pytest.mark.parametrize(("status", "reason"), [("offered", "not_hired"), ("hired", "nobody_credited")])
def test_no_bonus_says_whether_the_hire_or_the_credit_is_missing(case: Case, status: str, reason: str):
    case.world.referral("R1", "A1", 0, granted=False)
    case.world.application("31", 3, status=status, hired=20 if status == "hired" else None)
    case.publish()
    assert told()["bonus"]["none"] == reason


def test_a_bonus_of_nothing_is_told_as_the_contracts(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    case.contract(tmp_path, monkeypatch, ("amount_cents: 200000", "amount_cents: 0"))
    one_hire(case)
    case.publish()
    assert bonus_lines() == ["No bonus: the contract's bonus is nothing."]
    case.recognised("R1", "A1", "hired")
    case.publish()
    (standing,) = told()["bonus"]["standings"]
    assert (standing["cents"], standing["reason"]) == (0, "zero")


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "200000 JPY"), ("KWD", "200.000 KWD")])
def test_money_has_the_decimals_of_its_currency(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, currency: str, amount: str
):
    case.contract(tmp_path, monkeypatch, ("currency: USD, w", f"currency: {currency}, w"))
    one_hire(case)
    case.recognised("R1", "A1", "hired")
    case.publish()
    by_credit, standing = bonus_lines()
    assert by_credit.startswith(f"{amount} by weight of today's credit")
    assert standing.startswith(f"Referral R1, advocate A1: pending, {amount}, eligible on 2026-05-01")


def test_the_rules_are_those_that_the_tables_were_made_by_and_a_change_since_is_told(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    disputed(case)
    case.publish()
    assert told()["rule"]["changed_since"] == []
    made_by = case.world.contract
    case.contract(
        tmp_path, monkeypatch, ("model: last_touch", "model: linear"), ("lookback_days: 90", "lookback_days: 7")
    )
    assert case.world.contract != made_by
    rule = told()["rule"]
    assert (rule["pays"], rule["model"], rule["lookback_days"]) == ("last_touch", "last_touch", 90)
    assert rule["changed_since"] == ["rules.attribution.model", "rules.attribution.lookback_days"]
    plain = invoke("31").output
    assert "The contract has changed since (rules.attribution.model, rules.attribution.lookback_days)" in plain
    case.publish()
    rule = told()["rule"]
    assert (rule["pays"], rule["model"], rule["lookback_days"], rule["changed_since"]) == ("linear", "linear", 7, [])


def test_an_unknown_application_and_nothing_published_are_one_clear_line(case: Case):
    assert "nothing is published yet: run `referral-pipeline refresh`" in invoke("31").output
    disputed(case)
    case.publish()
    result = invoke("99")
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1
    assert "application greenhouse:99 is not in the tables" in result.output


def _hold(path: Path, home: Path, held: Any, enough: Any) -> None:
    with Warehouse(path, home=home, published_dir=home / "p").connect():
        held.set()
        enough.wait(60)


def test_it_answers_while_a_run_holds_the_warehouse(case: Case, tmp_path: Path):
    disputed(case)
    case.publish()
    context = multiprocessing.get_context("spawn")
    held, enough = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(case.world.warehouse.path, tmp_path, held, enough))
    holder.start()
    try:
        assert held.wait(60)
        assert told()["credited"]["advocate_id"] == "A1"
    finally:
        enough.set()
        holder.join()
