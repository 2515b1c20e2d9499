"""The bonus ledger in the warehouse: states, expected amounts, and one bonus a person as the platform is told."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from referral_pipeline.kpis.advocates import build_advocates
from referral_pipeline.sync.bonus.rehires import Hire, earns
from referral_pipeline.warehouse.core import build_core
from referral_pipeline_tests.unit.core_world import AS_OF, DAY0, World, attribution_rules, contract_with, day

BONUS = 200_000
STARTS = date(2026, 2, 1)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    for number in range(1, 4):
        made.advocate(f"A{number}")
    made.job("J1")
    made.job("J2")
    return made


def with_bonus(world: World, **changes: Any) -> None:
    world.contract = contract_with(bonus=contract_with().rules.bonus.model_copy(update=changes))


def bonus(world: World, referral: str, application: str, state: str, **fields: Any) -> None:
    """A row as the ledger has it."""
    cycle = fields.pop("cycle", 1)
    world.bonuses.append(
        {
            "bonus_id": f"bon_{referral}_{cycle}",
            "key": f"key_{referral}_{cycle}",
            "system": "greenhouse",
            "application_id": application,
            "referral_id": referral,
            "advocate_id": f"A{referral[1]}",
            "cycle": cycle,
            "state": state,
            "currency": "USD",
            "recognised_at": day(20),
            **fields,
        }
    )


def paid(world: World, referral: str, application: str, **fields: Any) -> None:
    world.payroll.append(
        {
            "export_id": 1,
            "key": f"key_{referral}_1",
            "referral_id": referral,
            "advocate_id": f"A{referral[1]}",
            "system": "greenhouse",
            "application_id": application,
            "amount_cents": BONUS,
            "currency": "USD",
            "eligible_at": day(110),
            "state": "paid",
            "export_state": "open",
            "pay_on": date(2026, 5, 31),
            **fields,
        }
    )


def ledger_of(world: World) -> dict[str, dict[str, Any]]:
    world.build()
    return {row["bonus_id"]: row for row in world.rows_of("SELECT * FROM mart.bonus")}


def cents(world: World) -> dict[str, int]:
    rows = world.rows_of("SELECT application_key, sum(bonus_cents) AS cents FROM core.attribution_credit GROUP BY ALL")
    return {row["application_key"].removeprefix("greenhouse:"): row["cents"] for row in rows}


def hired(world: World, application: str, at: float, *, job: str = "J1", starts: date | None = STARTS) -> None:
    world.application(application, 0, job=job, status="hired", hired=at)
    world.edit(application, starts_on=starts)


# ---------------------------------------------------------------- states


def test_a_pending_bonus_tells_its_amount_and_day(world: World):
    world.referral("R1", "A1", -5)
    hired(world, "P1", 10)
    bonus(world, "R1", "P1", "pending")
    (row,) = ledger_of(world).values()
    assert (row["amount_cents"], row["currency"], row["state"], row["reason"]) == (BONUS, "USD", "pending", "waiting")
    assert (row["hired_on"], row["starts_on"]) == (DAY0.date() + timedelta(days=10), STARTS)
    assert row["eligible_on"] == STARTS + timedelta(days=90)
    assert row["application_key"] == "greenhouse:P1"
    assert row["person_id"].startswith("per_")
    assert (row["paid_on"], row["export_id"], row["eligible_at"]) == (None, None, None)


def test_without_a_first_day_no_day_is_made_up(world: World):
    world.referral("R1", "A1", -5)
    hired(world, "P1", 10, starts=None)
    bonus(world, "R1", "P1", "pending")
    (row,) = ledger_of(world).values()
    assert (row["reason"], row["eligible_on"], row["amount_cents"]) == ("no_first_day", None, BONUS)


def test_eligible_paid_and_reversed_keep_their_own_amounts_and_days(world: World):
    world.referral("R1", "A1", -5)
    hired(world, "P1", 10)
    bonus(world, "R1", "P1", "reversed", amount_cents=100, reversed_at=day(40), recognised_at=day(30))
    bonus(world, "R1", "P1", "paid", cycle=2, amount_cents=300, eligible_at=day(122), export_id=4, paid_on=STARTS)
    rows = ledger_of(world)
    assert (rows["bon_R1_1"]["amount_cents"], rows["bon_R1_1"]["reason"]) == (100, "changed")
    assert rows["bon_R1_1"]["hired_on"] == DAY0.date() + timedelta(days=30)
    second = rows["bon_R1_2"]
    assert (second["amount_cents"], second["state"], second["reason"]) == (300, "paid", None)
    assert (second["eligible_on"], second["paid_on"], second["export_id"]) == (
        DAY0.date() + timedelta(days=122),
        STARTS,
        4,
    )


def test_a_payment_whose_hire_was_undone_is_no_longer_due(world: World):
    world.referral("R1", "A1", -5)
    world.application("P1", 0, status="offered")
    bonus(world, "R1", "P1", "paid", amount_cents=BONUS, eligible_at=day(100), export_id=1, paid_on=STARTS)
    paid(world, "R1", "P1")
    (row,) = ledger_of(world).values()
    assert (row["state"], row["reason"], row["amount_cents"]) == ("paid", "no_longer_due", BONUS)


@pytest.mark.parametrize("split", ["payee", "credit"])
def test_expected_amounts_of_a_split_sum_to_exactly_the_bonus(world: World, split: str):
    with_bonus(world, split=split, amount_cents=BONUS + 1)
    world.contract = world.contract.model_copy(
        update={
            "rules": world.contract.rules.model_copy(
                update={"attribution": world.contract.rules.attribution.model_copy(update={"model": "linear"})}
            )
        }
    )
    for referral, advocate, at in (("R1", "A1", -5), ("R1b", "A1", -4), ("R2", "A2", -3), ("R3", "A3", -2)):
        world.referral(referral, advocate, at)
    hired(world, "P1", 10)
    for referral in ("R1", "R1b", "R2", "R3"):
        bonus(world, referral, "P1", "pending")
    rows = ledger_of(world)
    amounts = {row["referral_id"]: row["amount_cents"] for row in rows.values()}
    assert sum(amounts.values()) == BONUS + 1
    # An advocate's whole share stands on the latest of their referrals.
    assert amounts["R1"] == 0
    assert rows["bon_R1_1"]["reason"] == "other_advocate"
    if split == "payee":
        assert amounts == {"R1": 0, "R1b": BONUS + 1, "R2": 0, "R3": 0}


# ---------------------------------------------------------------- nothing is promised twice


def attributed_by(world: World, model: str) -> None:
    world.contract = attribution_rules(world.contract, model=model)


def amounts(rows: dict[str, dict[str, Any]]) -> dict[str, tuple[str, int, str | None]]:
    return {row["referral_id"]: (row["state"], row["amount_cents"], row["reason"]) for row in rows.values()}


def advocate_cents(world: World) -> dict[str, int]:
    with world.warehouse.connect():
        build_advocates(world.warehouse, world.contract, as_of=AS_OF, horizon_days=90)
    rows = world.rows_of("SELECT advocate_id, bonus_cents FROM mart.advocate WHERE bonus_cents > 0")
    return {row["advocate_id"]: row["bonus_cents"] for row in rows}


def eligible(world: World, referral: str, application: str, cents: int = BONUS, **fields: Any) -> None:
    bonus(world, referral, application, "eligible", amount_cents=cents, eligible_at=day(122), **fields)


def paid_bonus(world: World, referral: str, application: str, cents: int = BONUS) -> None:
    bonus(world, referral, application, "paid", amount_cents=cents, eligible_at=day(122), export_id=1, paid_on=STARTS)
    paid(world, referral, application, amount_cents=cents)


@pytest.mark.parametrize("split", ["payee", "credit"])
@pytest.mark.parametrize("standing", ["R1a", "R1b"])
def test_an_advocate_with_two_credited_referrals_is_promised_their_share_once(world: World, split: str, standing: str):
    with_bonus(world, split=split)
    attributed_by(world, "linear")
    world.referral("R1a", "A1", -10)
    world.referral("R1b", "A1", -5)
    hired(world, "P1", 10)
    (other,) = {"R1a", "R1b"} - {standing}
    eligible(world, standing, "P1")
    bonus(world, other, "P1", "pending")
    found = amounts(ledger_of(world))
    assert found == {standing: ("eligible", BONUS, None), other: ("pending", 0, "other_advocate")}
    assert advocate_cents(world) == {"A1": BONUS}


def test_credit_that_moves_after_the_payment_promises_nobody_a_second_bonus(world: World):
    world.referral("R1", "A1", -10)
    world.referral("R2", "A2", -5)
    hired(world, "P1", 10)
    paid_bonus(world, "R1", "P1")
    bonus(world, "R2", "P1", "pending")
    assert amounts(ledger_of(world)) == {
        "R1": ("paid", BONUS, None),
        "R2": ("pending", 0, "other_advocate"),
    }
    assert advocate_cents(world) == {"A1": BONUS}
    # How today's credit divides the bonus is another question, and keeps its answer.
    assert world.credit()[0] == ("A2", 1.0, BONUS, "credited")


def test_a_bonus_that_was_paid_in_the_former_currency_is_owed_to_nobody_in_the_new_one(world: World):
    with_bonus(world, amount_cents=300_000, currency="JPY")
    world.referral("R1", "A1", -10)
    world.referral("R2", "A2", -5)
    hired(world, "P1", 10)
    paid_bonus(world, "R1", "P1")  # USD, as the contract had it
    bonus(world, "R2", "P1", "pending")
    found = ledger_of(world)
    assert amounts(found) == {"R1": ("paid", BONUS, None), "R2": ("pending", 0, "other_advocate")}
    assert {row["referral_id"]: row["currency"] for row in found.values()} == {"R1": "USD", "R2": "JPY"}
    assert advocate_cents(world) == {}  # in JPY


def test_what_is_promised_in_the_new_currency_stays_beside_what_was_paid_in_the_former_one(world: World):
    with_bonus(world, amount_cents=300_000, currency="JPY")
    world.referral("R1", "A1", -10)
    world.referral("R2", "A2", -5)
    hired(world, "P1", 10)
    paid_bonus(world, "R1", "P1")
    bonus(world, "R2", "P1", "eligible", amount_cents=120_000, currency="JPY", eligible_at=day(120))
    assert amounts(ledger_of(world))["R2"] == ("eligible", 120_000, None)
    assert advocate_cents(world) == {"A2": 120_000}


def test_what_a_smaller_payment_left_is_what_the_next_advocate_can_still_have(world: World):
    world.referral("R1", "A1", -10)
    world.referral("R2", "A2", -5)
    hired(world, "P1", 10)
    paid_bonus(world, "R1", "P1", 150_000)
    bonus(world, "R2", "P1", "pending")
    assert amounts(ledger_of(world))["R2"] == ("pending", 50_000, "waiting")


def test_what_one_of_several_was_paid_leaves_the_others_their_own_shares(world: World):
    with_bonus(world, split="credit")
    attributed_by(world, "linear")
    world.referral("R1", "A1", -10)
    world.referral("R2", "A2", -5)
    hired(world, "P1", 10)
    paid_bonus(world, "R1", "P1", 100_000)
    bonus(world, "R2", "P1", "pending")
    assert amounts(ledger_of(world))["R2"] == ("pending", 100_000, "waiting")
    assert advocate_cents(world) == {"A1": 100_000, "A2": 100_000}


def test_a_contract_that_pays_more_by_now_promises_nothing_more_for_what_stands(world: World):
    with_bonus(world, amount_cents=BONUS + 100_000)
    attributed_by(world, "linear")
    world.referral("R1a", "A1", -10)
    world.referral("R1b", "A1", -5)
    hired(world, "P1", 10)
    eligible(world, "R1b", "P1")
    bonus(world, "R1a", "P1", "pending")
    assert amounts(ledger_of(world))["R1a"] == ("pending", 0, "other_advocate")
    assert advocate_cents(world) == {"A1": BONUS}


@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=4),
    st.integers(0, 3),
    st.integers(0, BONUS),
    st.sampled_from(["payee", "credit"]),
    st.sampled_from(["last_touch", "linear", "position_based"]),
)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_paid_and_can_still_come_is_never_more_than_the_bonus(
    tmp_path_factory: pytest.TempPathFactory, advocates: list[int], first: int, cents: int, split: str, model: str
):
    world = World(tmp_path_factory.mktemp("bounded"))
    with_bonus(world, split=split)
    attributed_by(world, model)
    for number in range(3):
        world.advocate(f"A{number}")
    world.job("J1")
    for number, advocate in enumerate(advocates):
        world.referral(f"R{advocate}{number}", f"A{advocate}", -20 + number)
    hired(world, "P1", 10)
    for number, advocate in enumerate(advocates):
        if number == first:
            paid_bonus(world, f"R{advocate}{number}", "P1", cents)
        else:
            bonus(world, f"R{advocate}{number}", "P1", "pending")
    rows = ledger_of(world).values()
    assert sum(row["amount_cents"] for row in rows) <= BONUS
    if first >= len(advocates):  # nothing was paid
        assert sum(row["amount_cents"] for row in rows) == BONUS


def test_a_pending_bonus_is_in_the_currency_that_the_contract_has_by_now(world: World):
    with_bonus(world, amount_cents=300_000, currency="JPY")
    world.referral("R1", "A1", -5)
    hired(world, "P1", 10)
    bonus(world, "R1", "P1", "pending")
    (row,) = ledger_of(world).values()
    assert (row["amount_cents"], row["currency"]) == (300_000, "JPY")


def test_what_was_told_as_eligible_keeps_its_own_currency(world: World):
    with_bonus(world, amount_cents=300_000, currency="JPY")
    world.referral("R1", "A1", -5)
    hired(world, "P1", 10)
    bonus(world, "R1", "P1", "pending", amount_cents=BONUS, reason="untold")
    (row,) = ledger_of(world).values()
    assert (row["amount_cents"], row["currency"], row["reason"]) == (BONUS, "USD", "untold")


def test_a_first_day_at_the_end_of_the_calendar_has_no_day_after_it(world: World, tmp_path: Path):
    world.referral("R1", "A1", -5)
    hired(world, "P1", 10, starts=date.max)
    bonus(world, "R1", "P1", "pending")
    (row,) = ledger_of(world).values()
    assert (row["starts_on"], row["eligible_on"], row["reason"]) == (date.max, None, "waiting")
    world.warehouse.publish(["mart.bonus"])
    (read,) = parquet.read_table(tmp_path / "published" / "bonus.parquet").to_pylist()
    assert read["eligible_on"] is None


@pytest.mark.parametrize("state", ["pending", "eligible", "paid", "reversed"])
def test_an_application_that_the_ats_deleted_tells_nothing_about_its_hire(world: World, state: str):
    world.referral("R1", "A1", -5)
    bonus(world, "R1", "P1", state, amount_cents=None if state == "pending" else BONUS)
    (row,) = ledger_of(world).values()
    assert (row["state"], row["reason"]) == (state, "no_application")


# ---------------------------------------------------------------- rehires


def test_of_two_hires_of_a_person_the_earlier_has_the_bonus_and_the_other_says_why(world: World):
    world.referral("R1", "A1", -5)
    world.referral("R2", "A2", -5, job="J2")
    hired(world, "P1", 20)
    hired(world, "P2", 10, job="J2")
    bonus(world, "R1", "P1", "pending")
    bonus(world, "R2", "P2", "pending")
    rows = ledger_of(world)
    assert cents(world) == {"P1": 0, "P2": BONUS}
    assert (rows["bon_R1_1"]["amount_cents"], rows["bon_R1_1"]["reason"]) == (0, "rehire")
    assert (rows["bon_R2_1"]["amount_cents"], rows["bon_R2_1"]["reason"]) == (BONUS, "waiting")
    # Credit is analytics and stays whole: who earned the second hire is still told.
    assert world.credit("P1") == [("A1", 1.0, 0, "credited")]


def test_a_hire_that_was_paid_has_the_bonus_though_another_was_earlier(world: World):
    world.referral("R1", "A1", -5)
    world.referral("R2", "A2", -5, job="J2")
    hired(world, "P1", 20)
    hired(world, "P2", 10, job="J2")
    paid(world, "R1", "P1")
    ledger_of(world)
    assert cents(world) == {"P1": BONUS, "P2": 0}


def test_what_was_paid_for_a_hire_that_was_undone_still_counts_as_the_persons_bonus(world: World):
    world.referral("R1", "A1", -5)
    world.referral("R2", "A2", -5, job="J2")
    world.application("P1", 0, status="rejected", rejected=30)
    hired(world, "P2", 40, job="J2")
    paid(world, "R1", "P1")
    ledger_of(world)
    assert cents(world) == {"P1": 0, "P2": 0}


def test_a_hire_that_nobody_referred_takes_no_bonus_from_one_that_was(world: World):
    world.referral("R2", "A2", -5, job="J2")
    hired(world, "P1", 10)
    hired(world, "P2", 20, job="J2")
    ledger_of(world)
    assert cents(world) == {"P2": BONUS}


def test_with_rehires_paid_every_hire_has_its_bonus(world: World):
    with_bonus(world, pay_rehires=True)
    world.referral("R1", "A1", -5)
    world.referral("R2", "A2", -5, job="J2")
    hired(world, "P1", 20)
    hired(world, "P2", 10, job="J2")
    ledger_of(world)
    assert cents(world) == {"P1": BONUS, "P2": BONUS}


def test_hires_of_strangers_never_share_a_bonus(world: World):
    world.referral("R1", "A1", -5)
    world.referral("R2", "A2", -5, person="Max Stone")
    hired(world, "P1", 20)
    world.application("P2", 0, person="Max Stone", status="hired", hired=10)
    ledger_of(world)
    assert cents(world) == {"P1": BONUS, "P2": BONUS}


@pytest.mark.parametrize("pay_rehires", [True, False])
@pytest.mark.parametrize("stands", ["P1", "P2"])
def test_a_referral_that_is_credited_in_two_hires_has_the_bonus_where_it_stands_as_in_the_ledger(
    world: World, pay_rehires: bool, stands: str
):
    with_bonus(world, pay_rehires=pay_rehires)
    attribution = world.contract.rules.attribution.model_copy(update={"model": "first_touch"})
    rules = world.contract.rules.model_copy(update={"attribution": attribution})
    world.contract = world.contract.model_copy(update={"rules": rules})
    world.referral("R1", "A1", -5)
    hired(world, "P1", 10)
    hired(world, "P2", 20)
    world.link("R1", stands)
    bonus(world, "R1", stands, "eligible", amount_cents=BONUS, eligible_at=day(110))
    ledger_of(world)
    assert {i: found for i, found in cents(world).items() if found} == {stands: BONUS}


@given(
    st.lists(
        st.tuples(st.sampled_from(["hired"] * 3 + ["rejected"]), st.integers(1, 4), st.booleans()),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_table_and_what_the_platform_is_told_agree_on_whose_hire_has_the_bonus(
    tmp_path_factory: pytest.TempPathFactory, applications: list[tuple[str, int, bool]]
):
    world = World(tmp_path_factory.mktemp("agreement"))
    world.advocate("A1")
    hires: list[Hire] = []
    has_payment = False
    for number, (status, at, was_paid) in enumerate(applications):
        world.job(f"J{number}")
        world.referral(f"R{number}", "A1", -5, job=f"J{number}")
        when = {"hired": at} if status == "hired" else {"rejected": at}
        world.application(f"P{number}", 0, job=f"J{number}", status=status, **when)
        is_paid = was_paid and not has_payment  # the ledger pays one of them
        if is_paid:
            has_payment = True
            paid(world, f"R{number}", f"P{number}")
        if status == "hired" or is_paid:
            hired_at = day(at)
            assert hired_at is not None
            hires.append(Hire(("greenhouse", f"P{number}"), hired_at, is_paid, is_paid))
    with world.warehouse.connect():
        world.build()
        build_core(world.warehouse, world.contract, AS_OF)
    expected = {
        hire.application[1]
        for hire in hires
        if applications[int(hire.application[1][1:])][0] == "hired"
        and earns(hire, [other for other in hires if other is not hire])
    }
    assert {application for application, sum_ in cents(world).items() if sum_} == expected
