"""Which visitors of a share applied: as many as people did, in time, whatever came of their applications."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.connectors.records import Click
from referral_pipeline.kpis import compute
from referral_pipeline.kpis.compute import compute_kpis
from referral_pipeline.vocabulary import ReferralStage
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.unit.core_world import DAY0, World, day

SQL = (Path(compute.__file__).parent / "sql" / "click_to_apply_rate.sql").read_text(encoding="utf-8")
PEOPLE = ("Jane Doe", "Max Stone", "Ann Lee", "Bob Roe", "Cy Poe")


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.advocate("A1")
    made.job("J1")
    made.share("S1", "A1", 0)
    made.share("S2", "A1", 0)
    return made


def click(world: World, visitor: str, share: str, at: float) -> None:
    world.clicks.append(Click(f"K{len(world.clicks)}", share, visitor, day(at), DAY0))


def rate(world: World, as_of: float = 400) -> tuple[Any, ...]:
    moment = DAY0 + timedelta(days=as_of)
    world.build(as_of=moment)
    compute_kpis(world.warehouse, world.contract, as_of=moment)
    [row] = world.rows_of(
        "SELECT numerator, denominator, value FROM mart.kpi WHERE kpi = 'click_to_apply_rate' AND period_kind = 'all'"
        " AND segment_kind = 'all'"
    )
    return tuple(row.values())


def test_a_share_that_lives_long_counts_those_who_come_late_and_apply_at_once(world: World):
    for number, at in enumerate((1, 100, 150, 200)):
        click(world, f"V{number}", "S1", at)
        if number:
            world.referral(f"R{number}", "A1", at + 1, person=PEOPLE[number], job="J1", share="S1")
    assert rate(world) == (3, 4, 0.75)


def test_a_visitor_who_clicked_two_shares_and_applied_through_the_second_applied(world: World):
    click(world, "V1", "S1", 1)
    click(world, "V1", "S2", 5)
    world.referral("R1", "A1", 6, person=PEOPLE[0], job="J1", share="S2")
    assert rate(world) == (1, 1, 1.0)


@pytest.mark.parametrize("fate", ["withdrawn", "no consent", "rejected", "only clicked", "withdrawn before applying"])
def test_who_applied_counts_whatever_became_of_it(world: World, fate: str):
    click(world, "V1", "S1", 1)
    world.referral("R1", "A1", 2, person=PEOPLE[0], job="J1", share="S1")
    [referral] = world.referrals
    if fate == "rejected":
        world.application("P1", 3, person=PEOPLE[0], status="rejected", rejected=4)
    changes: dict[str, dict[str, Any]] = {
        "withdrawn": {"stage": ReferralStage.WITHDRAWN, "applied_at": day(2)},
        "no consent": {"consent": None, "applied_at": day(2)},
        "only clicked": {"stage": ReferralStage.CLICKED, "applied_at": None},
        "withdrawn before applying": {"stage": ReferralStage.WITHDRAWN, "applied_at": None},
    }
    world.referrals[0] = replace(referral, **changes.get(fate, {}))
    assert rate(world)[:2] == (0 if fate in {"only clicked", "withdrawn before applying"} else 1, 1)


def test_one_person_with_two_shares_of_a_job_is_one_applicant(world: World):
    click(world, "V1", "S1", 1)
    click(world, "V2", "S2", 1)
    world.referral("R1", "A1", 2, person=PEOPLE[0], job="J1", share="S1")
    world.referral("R2", "A1", 3, person=PEOPLE[0], job="J1", share="S2")
    assert rate(world) == (1, 2, 0.5)


# ---------------------------------------------------------------- against a loop that anybody can read


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    folder = tmp_path_factory.mktemp("bare")
    warehouse = Warehouse("warehouse.duckdb", home=folder, published_dir=folder / "published")
    with warehouse.connect() as connection:
        for statement in (
            "CREATE TABLE staging.share (id VARCHAR, advocate_id VARCHAR, job_id VARCHAR, content_id VARCHAR)",
            "CREATE TABLE staging.content (id VARCHAR, campaign_tag VARCHAR, job_id VARCHAR)",
            "CREATE TABLE staging.click (id VARCHAR, visitor_id VARCHAR, share_id VARCHAR, clicked_at TIMESTAMPTZ)",
            "CREATE TABLE staging.referral (id VARCHAR, stage VARCHAR, applied_at TIMESTAMPTZ)",
            "CREATE TABLE staging.ats_job (id VARCHAR, department VARCHAR)",
            "CREATE TABLE core.touchpoint (kind VARCHAR, blocked VARCHAR, share_id VARCHAR, job_id VARCHAR,"
            " person_id VARCHAR, occurred_at TIMESTAMPTZ, referral_id VARCHAR)",
            "CREATE TABLE core.attribution_touch (kind VARCHAR, verdict VARCHAR, share_id VARCHAR, job_id VARCHAR,"
            " application_key VARCHAR)",
            "CREATE TABLE core.attribution (application_key VARCHAR, person_id VARCHAR, applied_at TIMESTAMPTZ)",
            "INSERT INTO staging.share SELECT 'S' || n, 'A1', 'J1', NULL FROM range(3) AS share(n)",
        ):
            connection.execute(statement)
        yield warehouse


events = st.lists(
    st.tuples(st.sampled_from("ca"), st.integers(0, 2), st.integers(0, 5), st.integers(0, 12)), max_size=24
)


@settings(max_examples=80, deadline=None)
@given(events)
def test_the_brackets_of_sql_are_a_loop_over_time(tables: Warehouse, drawn: list[tuple[str, int, int, int]]):
    clicks = [
        (f"K{n}", f"V{who}", f"S{share}", at * 10) for n, (kind, share, who, at) in enumerate(drawn) if kind == "c"
    ]
    applied: dict[str, tuple[int, str]] = {}
    for kind, share, who, at in drawn:
        if kind == "a":
            applied[f"P{who}"] = min((at * 10, f"S{share}"), applied.get(f"P{who}", (999, "")))
    with tables.connect() as connection:
        for table in ("staging.click", "staging.referral", "core.touchpoint"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("SET VARIABLE horizon_days = 45")
        connection.execute("SET VARIABLE as_of = $at", {"at": DAY0 + timedelta(days=400)})
        for key, visitor, share, at in clicks:
            connection.execute("INSERT INTO staging.click VALUES (?, ?, ?, ?)", [key, visitor, share, day(at)])
        for person, (at, share) in applied.items():
            connection.execute("INSERT INTO staging.referral VALUES (?, 'applied', ?)", [person, day(at)])
            connection.execute(
                "INSERT INTO core.touchpoint VALUES ('referral', NULL, ?, 'J1', ?, ?, ?)",
                [share, person, day(at), person],
            )
        answer = connection.execute(f"SELECT count(*), count(*) FILTER (WHERE is_hit) FROM ({SQL})").fetchall()
    assert answer == [by_loop(clicks, applied)]


def by_loop(clicks: list[tuple[str, str, str, int]], applied: dict[str, tuple[int, str]]) -> tuple[int, int]:
    cohort: dict[str, int] = {}
    on_share: dict[tuple[str, str], int] = {}
    for _, visitor, share, at in clicks:
        cohort[visitor] = min(at, cohort.get(visitor, at))
        on_share[share, visitor] = min(at, on_share.get((share, visitor), at))
    waiting: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for (share, visitor), at in on_share.items():
        waiting[share].append((at, visitor))
    hit: set[str] = set()
    for at, share in sorted(applied.values()):
        came = sorted(one for one in waiting[share] if one[0] <= at)
        if came:
            waiting[share].remove(came[-1])
            if at <= cohort[came[-1][1]] + 45:
                hit.add(came[-1][1])
    return len(cohort), len(hit)
