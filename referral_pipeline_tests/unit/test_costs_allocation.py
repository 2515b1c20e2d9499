"""Costs spread over months and divided between channels: to the cent, by the stated key, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.connectors.costs import CostLine
from referral_pipeline.contract.models import Contract
from referral_pipeline.warehouse.costs import _COST, CostAllocation, allocate_costs, stage_costs
from referral_pipeline.warehouse.frames import frame_of
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.unit.core_world import World, contract_with

HEADER = "period,channel,kind,amount,currency,allocation_key,note\n"


def cost(
    cents: int,
    *,
    first_month: date = date(2026, 3, 1),
    months: int = 1,
    channel: str = "shared",
    basis: str | None = "even",
    millionths: int | None = None,
    kind: str = "internal",
) -> CostLine:
    basis = basis if channel == "shared" else None
    return CostLine(
        file="costs.csv", line=2, period="", first_month=first_month, months=months, channel=channel, kind=kind,
        amount_cents=cents, currency="USD", reporting_cents=cents, reporting_currency="USD", rate="1",
        allocation_key=basis, basis=basis, advocacy_millionths=millionths, note=None,
    )  # fmt: skip


class Books:
    """A warehouse with hires and applications by month and channel, and costs."""

    def __init__(self, home: Path) -> None:
        self.warehouse = Warehouse("w.duckdb", home=home, published_dir=home / "published")
        self.applications()

    def applications(self, *rows: tuple[str, datetime, datetime | None]) -> None:
        """(channel, applied at, hired at): hired where there is a date."""
        with self.warehouse.connect() as connection:
            connection.execute(
                "CREATE OR REPLACE TABLE core.attribution "
                "(status VARCHAR, channel VARCHAR, applied_at TIMESTAMPTZ, hired_at TIMESTAMPTZ, status_at TIMESTAMPTZ)"
            )
            for channel, applied_at, hired_at in rows:
                status = "hired" if hired_at else "applied"
                connection.execute(
                    "INSERT INTO core.attribution VALUES (?, ?, ?, ?, ?)",
                    [status, channel, applied_at, hired_at, hired_at or applied_at],
                )

    def divide(self, lines: Sequence[CostLine]) -> CostAllocation:
        self.warehouse.replace("staging.cost", frame_of(lines, _COST))
        return allocate_costs(self.warehouse)

    def rows(self) -> list[tuple[Any, ...]]:
        with self.warehouse.connect() as connection:
            return connection.execute("SELECT * FROM mart.cost").fetchall()

    def by_channel(self) -> dict[str, int]:
        sums: dict[str, int] = {}
        for row in self.rows():
            sums[row[1]] = sums.get(row[1], 0) + row[4]
        return sums


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    made = Books(tmp_path)
    with made.warehouse.connect():  # held: each opening of the file costs 20 to 40 ms
        yield made


@pytest.fixture(scope="module")
def shared_books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    made = Books(tmp_path_factory.mktemp("books"))
    with made.warehouse.connect():
        made.applications(*[("advocacy", at(3), at(3))] * 3, *[("other", at(3), at(3))] * 4)
        yield made


def at(month: int, day: int = 5) -> datetime:
    return datetime(2026, month, day, tzinfo=UTC)


# ---------------------------------------------------------------- spreading


def test_a_quarter_is_spread_over_its_months_and_the_first_ones_take_the_odd_cents(books: Books):
    books.divide([cost(101, first_month=date(2026, 10, 1), months=3, channel="advocacy", kind="external")])
    assert books.rows() == [
        (date(2026, 10, 1), "advocacy", "advocacy", "external", 34, "USD"),
        (date(2026, 11, 1), "advocacy", "advocacy", "external", 34, "USD"),
        (date(2026, 12, 1), "advocacy", "advocacy", "external", 33, "USD"),
    ]


def test_every_channel_but_advocacy_is_other_and_keeps_its_name_as_the_source(books: Books):
    books.divide([cost(500, channel="agency"), cost(200, channel="job_board"), cost(40, channel="agency")])
    assert [row[1:5] for row in books.rows()] == [
        ("other", "agency", "internal", 540),
        ("other", "job_board", "internal", 200),
    ]


lines = st.lists(
    st.builds(
        cost,
        st.integers(-(10**15), 10**15),
        months=st.sampled_from([1, 3, 12]),
        first_month=st.sampled_from([date(2026, 1, 1), date(2025, 10, 1), date(2024, 2, 1)]),
        channel=st.sampled_from(["advocacy", "agency", "shared"]),
        basis=st.sampled_from(["hires", "applications", "even", "share"]),
        millionths=st.integers(0, 1_000_000),
    ),
    max_size=6,
)


@settings(deadline=None, max_examples=40)
@given(lines)
def test_whatever_is_stated_the_parts_sum_to_it_to_the_cent(shared_books: Books, stated: list[CostLine]):
    shared_books.divide(stated)
    assert sum(row[4] for row in shared_books.rows()) == sum(line.reporting_cents for line in stated)


@settings(deadline=None, max_examples=25)
@given(st.integers(-(10**15), 10**15), st.sampled_from([1, 3, 12]), st.integers(0, 1_000_000))
def test_no_part_is_a_cent_or_more_away_from_its_exact_share(shared_books: Books, cents: int, months: int, share: int):
    shared_books.divide([cost(cents, months=months, basis="share", millionths=share)])
    for _, channel, _, _, part, _ in shared_books.rows():
        weight = share if channel == "advocacy" else 1_000_000 - share
        # A month is less than a cent from its exact part, and of that a channel again half a cent at most.
        assert abs(part * months * 1_000_000 - cents * weight) < months * 1_000_000 * 1.5


# ---------------------------------------------------------------- dividing


def test_a_shared_cost_is_divided_by_the_hires_of_its_month(books: Books):
    # Hired in March: one through an advocate, two otherwise. Applications and hires of other months do not count.
    books.applications(
        *(("advocacy", at(1), at(3)), ("other", at(1), at(3)), ("other", at(3), at(3))),
        *(("advocacy", at(3), None), ("advocacy", at(3), at(4))),
    )
    assert books.divide([cost(1000, basis="hires")]).even == []
    assert books.by_channel() == {"advocacy": 333, "other": 667}


def test_a_shared_cost_is_divided_by_the_applications_of_its_month(books: Books):
    books.applications(("advocacy", at(3), None), ("advocacy", at(3), None), ("other", at(3), None))
    books.divide([cost(1000, basis="applications")])
    assert books.by_channel() == {"advocacy": 667, "other": 333}


def test_the_month_of_a_hire_is_that_of_utc(books: Books):
    books.applications(("advocacy", at(1), datetime.fromisoformat("2026-04-01T00:30:00+02:00")))
    books.divide([cost(1000, basis="hires")])
    assert books.by_channel() == {"advocacy": 1000}  # who bears nothing of a shared cost has none on record


def test_a_month_without_what_its_key_counts_is_divided_evenly_and_told(books: Books):
    books.applications(("advocacy", at(4), at(5)))
    told = books.divide([cost(1001, basis="hires"), cost(300, basis="applications", first_month=date(2026, 4, 1))])
    assert told.even == ["2026-03 by hires"]
    assert books.by_channel() == {"advocacy": 501 + 300, "other": 500}


def test_of_two_equal_remainders_advocacy_bears_the_cent(books: Books):
    books.divide([cost(1), cost(-1, first_month=date(2026, 4, 1))])
    assert [row[1::3] for row in books.rows()] == [("advocacy", 1), ("advocacy", -1)]


def test_a_stated_share_holds_whatever_was_hired(books: Books):
    books.divide([cost(1000, basis="share", millionths=125_000)])
    assert books.by_channel() == {"advocacy": 125, "other": 875}


def test_a_hire_without_a_date_divides_the_costs_of_the_month_in_which_it_was_recorded_and_is_told(tmp_path: Path):
    lines = "2026-01,shared,internal,10.00,USD,hires,\n2026-02,shared,internal,7.00,USD,hires,\n"
    world = World(tmp_path, costs=HEADER + lines)
    world.advocate("A1")
    world.job("J1")
    world.application("P1", 0, person="Walk In", status="hired", hired=5)
    world.referral("R1", "A1", -1, person="No Date")
    world.application("P2", 0, person="No Date", status="hired", status_at=35)
    world.build()
    assert (world.allocation.hires_by_record, world.allocation.even) == (1, [])
    rows = world.rows_of("SELECT month, channel, amount_cents FROM mart.cost ORDER BY month")
    assert [tuple(row.values()) for row in rows] == [
        (date(2026, 1, 1), "other", 1000),
        (date(2026, 2, 1), "advocacy", 700),
    ]


# ---------------------------------------------------------------- staging


def staged(home: Path, contract: Contract, text: str | None) -> tuple[Warehouse, list[tuple[Any, ...]]]:
    warehouse = Warehouse("w.duckdb", home=home, published_dir=home / "published")
    path = home / "data" / "samples" / "costs.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if text is not None:
        path.write_text(text, encoding="utf-8")
    stage_costs(warehouse, contract, home)
    with warehouse.connect() as connection:
        aside = connection.execute("SELECT * FROM staging.quarantine WHERE entity = 'costs'").fetchall()
    return warehouse, aside


def test_what_is_set_aside_stands_in_the_quarantine_until_it_is_mended(tmp_path: Path):
    bad = HEADER + '2026-01,agency,external,"1,50",USD,,\n2026-01,agency,external,7,USD,,\n'
    warehouse, aside = staged(tmp_path, contract_with(), bad)
    ((system, entity, record, field, reason, shape, level),) = aside
    assert (system, entity, record, field, level) == ("files", "costs", "costs.csv:2", "amount", "record")
    assert ("write digits and a dot" in reason, shape) == (True, "text of 4 characters (digits, signs)")
    assert warehouse.row_count("staging.cost") == 1
    warehouse, aside = staged(tmp_path, contract_with(), bad.replace('"1,50"', "1.50"))
    assert (aside, warehouse.row_count("staging.cost")) == ([], 2)


def test_costs_whose_file_is_gone_count_no_more_and_the_file_is_told(tmp_path: Path):
    staged(tmp_path, contract_with(), HEADER + "2026-01,agency,external,7,USD,,\n")
    warehouse, aside = staged(tmp_path, contract_with(), None)
    assert warehouse.row_count("staging.cost") == 0
    assert [row[2:5] for row in aside] == [
        ("costs.csv", "file", "is not there; put it in its place, or mend costs.files")
    ]
