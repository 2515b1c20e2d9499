"""Cost per hire and ROI by hand: money, hires and maturity of small programmes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.contract.models import Contract
from referral_pipeline.kpis.compute import compute_kpis
from referral_pipeline.kpis.cost import cost_rows
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.unit.core_world import World, contract_with

COLUMNS = [
    "kpi", "period_kind", "period_start", "segment_kind", "segment", "value", "unit", "numerator", "denominator",
    "ci_low", "ci_high", "maturity", "target",
]  # fmt: skip
MAY = datetime(2026, 5, 1, tzinfo=UTC)


class Year:
    """Costs and hires of 2026 by month and channel, and the rows that are made of them."""

    def __init__(self, home: Path) -> None:
        self.warehouse = Warehouse("w.duckdb", home=home, published_dir=home / "published")
        self.contract = contract_with()
        self.currency = "USD"
        with self.warehouse.connect() as connection:
            connection.execute(
                "CREATE TABLE core.attribution "
                "(status VARCHAR, channel VARCHAR, hired_at TIMESTAMPTZ, status_at TIMESTAMPTZ)"
            )
            connection.execute(
                "CREATE TABLE mart.cost (month DATE, channel VARCHAR, source VARCHAR, kind VARCHAR, "
                "amount_cents BIGINT, currency VARCHAR)"
            )

    def cost(self, month: int, channel: str, cents: int, kind: str = "external") -> None:
        with self.warehouse.connect() as connection:
            connection.execute(
                "INSERT INTO mart.cost VALUES (?, ?, ?, ?, ?, ?)",
                [date(2026, month, 1), channel, channel, kind, cents, self.currency],
            )

    def hires(self, month: int, channel: str, count: int = 1, *, has_date: bool = True) -> None:
        """Hired in this month; without a date of their own the ATS recorded them in it."""
        at = datetime(2026, month, 28, 23, tzinfo=UTC)
        hired_at, status_at = (at, at + timedelta(days=60)) if has_date else (None, at)
        with self.warehouse.connect() as connection:
            for _ in range(count):
                connection.execute(
                    "INSERT INTO core.attribution VALUES ('hired', ?, ?, ?)", [channel, hired_at, status_at]
                )

    def row(self, segment: str = "all", *, kpi: str = "cost_per_hire", period: str = "all", start: date | None = None,
            as_of: datetime = MAY) -> dict[str, Any]:  # fmt: skip
        frame = cost_rows(self.warehouse, self.contract, as_of)
        assert list(frame.columns) == COLUMNS
        frame = frame.assign(period_start=frame["period_start"].dt.date)
        (found,) = [
            row
            for row in frame.astype(object).where(frame.notna(), None).to_dict("records")
            if (row["kpi"], row["period_kind"], row["segment"], row["period_start"]) == (kpi, period, segment, start)
        ]
        return {str(name): value for name, value in found.items()}

    def shown(self, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        row = self.row(*args, **kwargs)
        return row["numerator"], row["denominator"], row["value"], row["maturity"]


@pytest.fixture
def year(tmp_path: Path) -> Iterator[Year]:
    made = Year(tmp_path)
    with made.warehouse.connect():  # held: each opening of the file costs 20 to 40 ms
        yield made


MARCH: dict[str, Any] = {"period": "month", "start": date(2026, 3, 1)}
FIRST_QUARTER: dict[str, Any] = {"period": "quarter", "start": date(2026, 1, 1)}


# ---------------------------------------------------------------- cost_per_hire


def test_what_a_channel_cost_internal_and_external_is_divided_by_the_hires_of_the_period(year: Year):
    year.cost(3, "advocacy", 500_000)
    year.cost(3, "advocacy", 150_000, "internal")
    year.cost(3, "other", 1_000_000)
    year.hires(3, "advocacy", 2)
    year.hires(3, "other", 4)
    # 6,500.00 over 2 hires; 10,000.00 over 4; together 16,500.00 over 6.
    assert year.shown("advocacy", **MARCH) == (650_000, 2, 3250.0, "mature")
    assert year.shown("other", **MARCH) == (1_000_000, 4, 2500.0, "mature")
    assert year.shown(**MARCH) == (1_650_000, 6, 2750.0, "mature")
    row = year.row("advocacy", **MARCH)
    assert (row["segment_kind"], row["unit"], row["ci_low"], row["ci_high"]) == ("channel", "currency", None, None)


def test_a_hire_without_a_date_counts_in_the_month_in_which_it_was_recorded_in_cost_per_hire_and_roi(year: Year):
    year.cost(3, "advocacy", 600_000)
    year.cost(3, "other", 800_000)
    year.hires(3, "advocacy")
    year.hires(3, "advocacy", has_date=False)
    year.hires(3, "other")
    year.hires(2, "other", has_date=False)  # no costs on record in that month
    assert year.shown("advocacy", **MARCH) == (600_000, 2, 3000.0, "mature")
    assert year.shown("other", **MARCH) == (800_000, 1, 8000.0, "mature")
    # 3,000.00 and 8,000.00 a hire: 5,000.00 saved twice, of 6,000.00 spent.
    assert year.shown(kpi="roi")[:2] == (1_000_000, 600_000)


def test_a_month_without_hires_has_no_cost_per_hire_and_shows_what_it_cost(year: Year):
    year.cost(3, "advocacy", 500_000)
    assert year.shown("advocacy", **MARCH) == (500_000, 0, None, "insufficient")


def test_a_month_without_costs_on_record_has_none_and_a_cost_of_zero_is_on_record(year: Year):
    year.hires(3, "advocacy")
    year.hires(3, "other")
    year.cost(3, "other", 0)
    assert year.shown("advocacy", **MARCH) == (None, 1, None, "insufficient")
    assert year.shown("other", **MARCH) == (0, 1, 0.0, "mature")


def test_the_costs_of_one_channel_are_not_those_of_all(year: Year):
    year.cost(3, "advocacy", 500_000)
    year.hires(3, "advocacy")
    year.hires(3, "other")
    assert year.shown("advocacy", **MARCH) == (500_000, 1, 5000.0, "mature")
    assert year.shown(**MARCH) == (None, 2, None, "insufficient")


def test_a_month_that_is_not_over_is_immature_until_its_last_moment(year: Year):
    year.cost(3, "advocacy", 500_000)
    year.hires(3, "advocacy")
    before, over = datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    assert year.shown("advocacy", **MARCH, as_of=before) == (500_000, 1, None, "immature")
    assert year.shown("advocacy", as_of=before) == (None, 0, None, "immature")
    assert year.shown("advocacy", **MARCH, as_of=over) == (500_000, 1, 5000.0, "mature")


def test_a_quarter_with_costs_for_two_of_its_three_months_is_immature(year: Year):
    for month in (1, 2):
        year.cost(month, "advocacy", 300_000)
    year.hires(3, "advocacy")
    assert year.shown("advocacy", **FIRST_QUARTER) == (600_000, 1, None, "immature")
    year.cost(3, "advocacy", 300_000)
    assert year.shown("advocacy", **FIRST_QUARTER) == (900_000, 1, 9000.0, "mature")


def test_a_quarter_that_is_not_over_is_immature_though_every_month_has_its_costs(year: Year):
    for month in (1, 2, 3):
        year.cost(month, "advocacy", 300_000)
    year.hires(1, "advocacy")
    as_of = datetime(2026, 3, 31, tzinfo=UTC)
    assert year.shown("advocacy", **FIRST_QUARTER, as_of=as_of)[3] == "immature"


def test_all_takes_the_months_with_costs_that_are_over_and_the_hires_of_exactly_those(year: Year):
    year.hires(1, "advocacy", 5)  # no costs on record: neither side counts
    year.cost(2, "advocacy", 400_000)
    year.cost(3, "advocacy", 200_000)
    year.hires(3, "advocacy", 2)
    year.cost(5, "advocacy", 900_000)  # not over
    year.hires(5, "advocacy")
    assert year.shown("advocacy") == (600_000, 2, 3000.0, "mature")


def test_more_money_back_than_spent_is_no_price_of_a_hire(year: Year):
    year.cost(3, "other", 100_000)
    year.cost(3, "other", -250_000)
    year.hires(3, "other")
    assert year.shown("other", **MARCH) == (-150_000, 1, None, "insufficient")


def test_a_currency_without_decimals_is_not_divided_by_a_hundred(year: Year):
    year.currency = "JPY"
    year.cost(3, "advocacy", 960_000)
    year.hires(3, "advocacy", 2)
    assert year.shown("advocacy", **MARCH) == (960_000, 2, 480_000.0, "mature")


def test_a_month_to_come_has_no_row(year: Year):
    year.cost(12, "advocacy", 100_000)
    frame = cost_rows(year.warehouse, year.contract, MAY)
    assert set(frame["period_kind"]) == {"all"}


def test_the_target_of_the_contract_stands_in_every_row(year: Year):
    year.contract = promising(year.contract, "cost_per_hire", 3000)
    year.cost(3, "advocacy", 100_000)
    assert (year.row()["target"], year.row("advocacy", **MARCH)["target"]) == (3000, 3000)
    assert year.row(kpi="roi")["target"] is None


def promising(contract: Contract, kpi: str, target: float) -> Contract:
    promised = contract.objectives.kpis[0].model_copy(update={"name": kpi, "target": target})
    return contract.model_copy(update={"objectives": contract.objectives.model_copy(update={"kpis": (promised,)})})


# ---------------------------------------------------------------- roi


def quarter(year: Year, *, advocacy: int = 400_000, advocacy_hires: int = 2, other: int = 900_000) -> None:
    for month in (1, 2, 3):
        year.cost(month, "advocacy", advocacy if month == 1 else 0)
        year.cost(month, "other", other if month == 1 else 0)
    year.hires(2, "advocacy", advocacy_hires)
    year.hires(3, "other", 3)


def test_roi_is_what_the_hires_of_advocacy_saved_over_what_the_programme_cost(year: Year):
    quarter(year)
    # 4,000.00 over 2 hires and 9,000.00 over 3: each hire saved 1,000.00, both 2,000.00 of 4,000.00 spent.
    assert year.shown(kpi="roi", **FIRST_QUARTER) == (200_000, 400_000, 0.5, "mature")
    assert year.shown(kpi="roi") == (200_000, 400_000, 0.5, "mature")
    row = year.row(kpi="roi")
    assert (row["segment_kind"], row["unit"], row["ci_low"], row["ci_high"]) == ("all", "ratio", None, None)


def test_channels_whose_costs_are_of_different_months_are_not_compared(year: Year):
    for month in (1, 2):
        year.cost(month, "other", 1_000_000)
        year.hires(month, "other", 2)
    for month in (3, 4):
        year.cost(month, "advocacy", 300_000)
        year.hires(month, "advocacy")
        year.hires(month, "other", 5)
    assert year.row(kpi="roi")["maturity"] == "insufficient"
    assert year.row(kpi="roi")["value"] is None


def test_the_inputs_of_roi_stand_beside_it_and_are_those_of_cost_per_hire(year: Year):
    quarter(year)
    scope = {"kpi": "roi", **FIRST_QUARTER}
    assert year.shown("advocacy_cost_per_hire", **scope) == year.shown("advocacy", **FIRST_QUARTER)
    assert year.shown("other_cost_per_hire", **scope) == (900_000, 3, 3000.0, "mature")
    assert year.shown("advocacy_hires", **scope) == (2, None, 2.0, "mature")
    assert year.shown("programme_cost", **scope) == (400_000, None, 4000.0, "mature")
    assert year.row("programme_cost", **scope)["segment_kind"] == "scope"


def test_a_programme_that_costs_more_than_it_saves_has_a_negative_roi(year: Year):
    quarter(year, advocacy=1_200_000)
    assert year.shown(kpi="roi", **FIRST_QUARTER) == (-600_000, 1_200_000, -0.5, "mature")


@pytest.mark.parametrize("missing", ["advocacy hires", "other costs", "programme cost"])
def test_roi_is_null_when_an_input_is_missing(year: Year, missing: str):
    if missing == "other costs":
        year.cost(3, "advocacy", 100_000)
        year.hires(3, "advocacy")
    else:
        quarter(year, **({"advocacy_hires": 0} if missing == "advocacy hires" else {"advocacy": 0}))
    row = year.row(kpi="roi")
    assert (row["value"], row["maturity"]) == (None, "insufficient")


def test_what_is_known_of_the_inputs_is_shown_where_roi_is_not(year: Year):
    quarter(year, advocacy_hires=0)
    assert year.shown("programme_cost", kpi="roi") == (400_000, None, 4000.0, "mature")
    assert year.shown("advocacy_hires", kpi="roi") == (0, None, 0.0, "mature")
    assert year.shown("advocacy_cost_per_hire", kpi="roi") == (400_000, 0, None, "insufficient")


def test_roi_of_a_quarter_that_is_not_over_is_immature(year: Year):
    quarter(year)
    as_of = datetime(2026, 3, 30, tzinfo=UTC)
    assert year.shown(kpi="roi", **FIRST_QUARTER, as_of=as_of)[2:] == (None, "immature")
    assert year.shown("programme_cost", kpi="roi", **FIRST_QUARTER, as_of=as_of)[2:] == (None, "immature")


# ---------------------------------------------------------------- in mart.kpi


def test_without_costs_both_have_a_headline_row_without_a_value(tmp_path: Path):
    world = World(tmp_path)
    world.application("P1", 0, person="Walk In", status="hired", hired=5)
    world.build()
    compute_kpis(world.warehouse, world.contract, as_of=MAY)
    rows = world.rows_of(
        "SELECT kpi, value, maturity FROM mart.kpi WHERE period_kind = 'all' AND segment_kind = 'all' "
        "AND kpi IN ('cost_per_hire', 'roi') ORDER BY kpi"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("cost_per_hire", None, "insufficient"),
        ("roi", None, "insufficient"),
    ]


def test_from_a_file_of_costs_to_the_mart_an_undone_hire_is_none_and_one_without_a_date_is_one_and_told(tmp_path: Path):
    header = "period,channel,kind,amount,currency,allocation_key,note\n"
    world = World(tmp_path, costs=header + "2026-Q1,agency,external,1000,EUR,,\n2026-01,shared,internal,1,USD,hires,\n")
    world.application("P1", 0, person="Walk In", status="hired", hired=5)
    world.application("P2", 0, person="Not Any", status="in_review", hired=5, status_at=9)
    world.application("P3", 0, person="No Date", status="hired", status_at=5)
    world.build()
    compute_kpis(world.warehouse, world.contract, as_of=MAY)
    (row,) = world.rows_of(
        "SELECT * FROM mart.kpi WHERE kpi = 'cost_per_hire' AND period_kind = 'month' AND segment = 'other' "
        "AND period_start = '2026-01-01'"
    )
    # 1000 EUR are 1083.70 USD, a third of it 361.24 in the first month; and 1.00 shared.
    assert (row["numerator"], row["denominator"], row["value"], row["maturity"]) == (36_224, 2, 181.12, "mature")
    assert list(row) == COLUMNS
    told = world.rows_of("SELECT * FROM mart.data_quality WHERE kind = 'by_record'")
    assert [tuple(line.values()) for line in told] == [("by_record", "application", "hired_at", None, 1)]
