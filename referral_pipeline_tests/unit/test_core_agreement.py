"""The credit rules stand twice, in Python for one event and in SQL for all: here the two are held together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from referral_pipeline.attribution.models import MODELS, Credit, credit, foremost, overridden, split_cents
from referral_pipeline.connectors.records import Referral
from referral_pipeline.sync.facts import Programme, credited_referral, touches_for
from referral_pipeline.warehouse.core import build_core
from referral_pipeline_tests.unit.core_world import AS_OF, DAY0, World, attribution_rules, contract_with

ADVOCATES = ("A1", "A2", "A3", "A4")
GRID = (-120, -90, -60, -7, -3, -3, -1, 0, 0, 1)
"""Days around the applications: few, so that touches fall on one time."""

REFERRALS = st.lists(
    st.tuples(
        st.sampled_from(ADVOCATES),
        st.sampled_from(GRID),
        st.one_of(st.none(), st.integers(0, 7)),
        st.sampled_from(["applied"] * 4 + ["withdrawn", "clicked"]),
        st.booleans() | st.just(True),
        st.sampled_from(["J1", "J1", "J2"]),
        st.sampled_from([None, None, None, "linked", "opened"]),
    ),
    max_size=5,
)
CASES = st.lists(REFERRALS, min_size=25, max_size=40)
DECISIONS = st.lists(st.sampled_from([None] * 6 + ["nobody", 0, 1, 2]), min_size=40, max_size=40)
"""For each application what its owner decided: nothing, nobody, or the referral at that place."""


def person(number: int) -> str:
    return f"Given{chr(97 + number // 26)}{chr(97 + number % 26)} Family{chr(97 + number % 26)}{chr(97 + number // 26)}"


def made_world(path: Path, cases: list[list[tuple]], seed: int) -> World:
    world = World(path)
    random = Random(seed)
    for advocate in ADVOCATES:
        world.advocate(advocate)
    for number in range(8):
        world.share(
            f"S{number}", random.choice(ADVOCATES), random.choice(GRID), campaign=f"campaign{number}",
            job=random.choice(["J1", "J2"]),
        )  # fmt: skip
    for number, referrals in enumerate(cases):
        for place, (advocate, at, share, stage, granted, job, linked) in enumerate(referrals):
            own = None if share is None else f"S{share}"
            world.referral(
                f"R{number:02}-{place}", advocate, at, person=person(number), share=own, stage=stage, granted=granted,
                campaign=None if place % 2 else "own", job=job,
            )  # fmt: skip
            if linked:
                world.link(f"R{number:02}-{place}", f"P{number}", created_application=linked == "opened")
        world.application(f"P{number}", 0, person=person(number), status="hired", hired=5)
    return world


def may_count(world: World, number: int, chosen: str | None = None) -> list[Referral]:
    """The referrals that the bridge would let count for an application, as its lane gathers them."""
    linked = {x["referral_id"]: x for x in world.links if x["application_id"] == f"P{number}"}
    own = [r for r in world.referrals if r.id.startswith(f"R{number:02}-")]
    jobs = {"J1", *(r.job_id for r in own if r.id in linked)}
    unblocked = [r for r in own if r.stage.value != "withdrawn" and r.consent and r.consent.granted]
    counting = [r for r in unblocked if r.job_id in jobs or r.id == chosen]
    opened = {i for i, x in linked.items() if x["created_application"]}
    return [replace(r, applied_at=min(r.touched_at, DAY0)) if r.id in opened else r for r in counting]


def programme_of(world: World) -> Programme:
    return Programme.over(advocates=world.advocates, shares=world.shares, content=world.content)


@pytest.mark.parametrize("split", ["payee", "credit"])
@given(cases=CASES, decisions=DECISIONS, seed=st.integers(0, 9))
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
def test_sql_and_python_give_the_same_credit_whatever_the_model(
    split: str, cases: list[list[tuple]], decisions: list[int | str | None], seed: int
):
    with TemporaryDirectory() as folder:
        world = made_world(Path(folder), cases, seed)
        chosen = decided(world, cases, decisions)
        with world.warehouse.connect():
            world.build()
            compare(world, "last_touch", chosen, len(cases))
            for model in MODELS:
                bonus = world.contract.rules.bonus.model_copy(update={"split": split})
                contract = attribution_rules(contract_with(bonus=bonus), model=model)
                build_core(world.warehouse, contract, AS_OF)
                check(world, model, split, chosen, len(cases))
                compare(world, model, chosen, len(cases))


def decided(world: World, cases: list[list[tuple]], decisions: list[int | str | None]) -> dict[str, str | None]:
    """Make the decisions; who has the credit, by application."""
    chosen: dict[str, str | None] = {}
    for number, (referrals, decision) in enumerate(zip(cases, decisions, strict=False)):
        if decision is None or (isinstance(decision, int) and decision >= len(referrals)):
            continue
        referral_id = f"R{number:02}-{decision}" if isinstance(decision, int) else None
        world.override(f"P{number}", referral_id)
        chosen[f"greenhouse:P{number}"] = referral_id
    return chosen


def expected_credit(world: World, number: int, model: str, chosen: dict[str, str | None]) -> list[Credit]:
    key = f"greenhouse:P{number}"
    touches = touches_for(may_count(world, number, chosen.get(key)), programme_of(world))
    if key in chosen:
        return overridden(touches, chosen[key])
    return credit(touches, applied_at=DAY0, model=model, lookback_days=90)


def compare(world: World, pays: str, chosen: dict[str, str | None], cases: int) -> None:
    """The comparison says of every model what Python says, and of the paid weight what the credit says."""
    found: dict[tuple, dict[str, Decimal]] = {}
    paid: dict[tuple, Decimal] = {}
    for row in world.rows_of("SELECT * FROM mart.attribution_comparison"):
        key = row["application_key"], row["advocate_id"], row["share_id"]
        found[key] = {model: row[model] for model in MODELS}
        paid[key] = row["paid"]
        assert row["pays"] == ("override" if row["application_key"] in chosen else pays)
    expected: dict[tuple, dict[str, Decimal]] = defaultdict(lambda: dict.fromkeys(MODELS, Decimal(0)))
    expected_paid: dict[tuple, Decimal] = defaultdict(Decimal)
    for number in range(cases):
        key = f"greenhouse:P{number}"
        for model in MODELS:
            for part in expected_credit(world, number, model, {}):
                expected[key, part.touch.advocate_id, part.touch.share_id][model] += part.weight
        for part in expected_credit(world, number, pays, chosen):
            expected_paid[key, part.touch.advocate_id, part.touch.share_id] += part.weight
            expected[key, part.touch.advocate_id, part.touch.share_id]
    assert found == expected
    assert {key: weight for key, weight in paid.items() if weight} == expected_paid


def check(world: World, model: str, split: str, chosen: dict[str, str | None], cases: int) -> None:
    found = defaultdict(dict)
    cents = defaultdict(dict)
    for row in world.rows_of("SELECT * FROM core.attribution_credit WHERE weight > 0"):
        found[row["application_key"]][row["advocate_id"], row["share_id"]] = row["weight"]
        cents[row["application_key"]][row["advocate_id"], row["share_id"]] = row["bonus_cents"]
    shown = {row["application_key"]: row for row in world.rows_of("SELECT * FROM core.attribution")}
    for number in range(cases):
        key = f"greenhouse:P{number}"
        credits = expected_credit(world, number, model, chosen)
        expected: dict[tuple, Decimal] = defaultdict(Decimal)
        paid: dict[tuple, int] = defaultdict(int)
        for part, amount in zip(credits, split_cents(200_000, credits), strict=True):
            expected[part.touch.advocate_id, part.touch.share_id] += part.weight
            paid[part.touch.advocate_id, part.touch.share_id] += amount
        assert found[key] == expected
        assert shown[key]["channel"] == ("advocacy" if credits else "other")
        if split == "credit":
            assert cents[key] == paid
        assert sum(cents[key].values()) == (200_000 if credits else 0)
        assert shown[key]["attribution_model"] == ("override" if key in chosen else model)
        assert (shown[key]["override"] is not None) == (key in chosen)
        if credits:
            first = foremost(credits).touch
            assert shown[key]["advocate_id"] == first.advocate_id
            assert first.referral_id in (None, shown[key]["referral_id"])
            assert first.share_id in (None, shown[key]["share_id"])
            assert first.campaign_tag in (None, shown[key]["campaign_tag"])
            if split == "payee":
                assert {advocate for (advocate, _), amount in cents[key].items() if amount} == {first.advocate_id}
            referrals = [
                r
                for r in may_count(world, number, chosen.get(key))
                if r.touched_at <= DAY0 or r.id == first.referral_id
            ]
            assert shown[key]["referral_id"] == credited_referral(first, referrals).id


@given(cases=CASES, decisions=DECISIONS, cut=st.integers(1, 24), seed=st.integers(0, 9))
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
def test_rows_that_came_later_end_in_the_same_tables_as_rows_that_came_at_once_in_any_order(
    cases: list[list[tuple]], decisions: list[int | str | None], cut: int, seed: int
):
    tables = ("core.attribution_touch", "core.attribution_credit", "core.attribution", "mart.attribution_comparison")
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        at_once, later = made_world(Path(first), cases, seed), made_world(Path(second), cases, seed)
        for world in (at_once, later):
            decided(world, cases, decisions)
        whole = {name: list(getattr(later, name)) for name in ("shares", "referrals", "applications", "overrides")}
        later.shares, later.overrides = later.shares[:4], []
        later.referrals = [r for r in later.referrals if int(r.id[1:3]) < cut]
        later.applications = later.applications[:cut]
        persons = later.build().person_of
        for name, rows in whole.items():
            Random(seed).shuffle(rows)
            setattr(later, name, rows)
        later.build(ledger_persons=persons)
        at_once.build(ledger_persons=persons)
        for table in tables:
            assert later.rows_of(f"FROM {table} ORDER BY ALL") == at_once.rows_of(f"FROM {table} ORDER BY ALL"), table


@given(cases=CASES, decisions=DECISIONS, parts=st.integers(2, 9), seed=st.integers(0, 9))
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
def test_tables_built_in_parts_are_the_tables_built_in_one_piece(
    cases: list[list[tuple]], decisions: list[int | str | None], parts: int, seed: int
):
    variables = {"lookback_days": 90, "attribution_model": "linear", "bonus_cents": 200_001, "bonus_split": "credit"}
    with TemporaryDirectory() as folder:
        world = made_world(Path(folder), cases, seed)
        decided(world, cases, decisions)
        world.build()
        found: list[list] = []
        for number in (1, parts):
            for table in ("core.attribution_touch", "core.attribution_credit", "mart.attribution_comparison"):
                world.warehouse.build(table, parts=number, **variables)
                found.append(world.rows_of(f"FROM {table} ORDER BY ALL"))
        assert found[:3] == found[3:]
