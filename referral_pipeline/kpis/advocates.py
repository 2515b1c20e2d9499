"""What each advocate's dashboard shows: `mart.advocate`, and the same as records for the advocacy platform.

Belongs here: conversion per advocate with its interval and maturity, reading the mart. Does not belong here: what is
counted (sql/advocate_counts.sql), sums of bonuses (warehouse sql/mart/advocate.sql), sending (sync.advocate_results).

Maturity of an advocate's conversion (KPIS.md, advocate_conversion_rate); a value is there exactly when it is mature
- insufficient: fewer than five applications, from which no rate can be read.
- immature: five or more, of which fewer than five are as old as the horizon.
- mature: hires within the horizon over the applications that are as old as it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from referral_pipeline.connectors.records import AdvocateResults, BonusSum, Conversion
from referral_pipeline.contract.models import Contract
from referral_pipeline.kpis.statistics import wilson
from referral_pipeline.warehouse.store import Warehouse

__all__ = ["FEWEST_APPLICATIONS", "build_advocates", "read_results"]

FEWEST_APPLICATIONS = 5
"""Below it a conversion says nothing of an advocate."""

_COUNTS = Path(__file__).with_name("sql") / "advocate_counts.sql"


def build_advocates(warehouse: Warehouse, contract: Contract, *, as_of: datetime, horizon_days: int) -> int:
    """Rebuild mart.advocate from staging, core and mart.bonus; its rows.

    Args:
        warehouse: with core and the bonus ledger built.
        contract: for the currency of the bonus.
        as_of: the moment at which conversion is judged, aware.
        horizon_days: the age from which an application is mature, and within which a hire counts.

    Raises:
        ModelFailed: the table could not be built; it stays as it was.
    """
    moment = as_of.astimezone(UTC)
    with warehouse.transaction():
        counted = warehouse.frame(_COUNTS.read_text(encoding="utf-8"), {"as_of": moment, "horizon_days": horizon_days})
        # The interval is computed once for each pair of counts, of which there are few (statistics.wilson remembers).
        rates = [
            _rate(int(applications), int(mature), int(hits))
            for applications, mature, hits in zip(
                counted["applications"], counted["mature_applications"], counted["mature_hires"], strict=True
            )
        ]
        frame = counted.assign(
            conversion=pd.Series([rate.value for rate in rates], dtype="Float64"),
            conversion_low=pd.Series([rate.low for rate in rates], dtype="Float64"),
            conversion_high=pd.Series([rate.high for rate in rates], dtype="Float64"),
            maturity=pd.Series([rate.maturity for rate in rates], dtype="str"),
            currency=contract.rules.bonus.currency,
            as_of=moment,
        )
        return warehouse.replace("mart.advocate", frame)


def _rate(applications: int, mature: int, hits: int) -> Conversion:
    if applications < FEWEST_APPLICATIONS:
        return Conversion(None, None, None, "insufficient")
    if mature < FEWEST_APPLICATIONS:
        return Conversion(None, None, None, "immature")
    low, high = wilson(hits, mature)
    return Conversion(hits / mature, low, high, "mature")


def read_results(warehouse: Warehouse) -> list[AdvocateResults]:
    """Every advocate's results as mart.advocate and mart.bonus have them, by id.

    Bonuses are summed by state and currency; those of nothing (a rehire, credit that moved) are left out.
    """
    with warehouse.connect() as connection:
        answer = connection.execute("SELECT * FROM mart.advocate ORDER BY advocate_id")
        names = [str(column[0]) for column in answer.description or ()]
        rows = [_Row(dict(zip(names, values, strict=True))) for values in answer.fetchall()]
        sums = connection.execute(
            "SELECT advocate_id, state, sum(amount_cents)::BIGINT, currency, count(*) FROM mart.bonus"
            " WHERE amount_cents > 0 AND advocate_id IS NOT NULL GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    bonuses: dict[str, list[BonusSum]] = defaultdict(list)
    for advocate_id, state, cents, currency, count in sums:
        bonuses[str(advocate_id)].append(BonusSum(str(state), int(cents), str(currency), int(count)))
    return [row.results(tuple(bonuses[row.advocate_id])) for row in rows]


@dataclass(frozen=True)
class _Row:
    """One row of mart.advocate by column."""

    values: dict[str, Any]

    @property
    def advocate_id(self) -> str:
        return str(self.values["advocate_id"])

    def results(self, bonuses: tuple[BonusSum, ...]) -> AdvocateResults:
        at: datetime = self.values["as_of"]
        day: date | None = self.values["next_eligible_on"]
        return AdvocateResults(
            advocate_id=self.advocate_id,
            as_of=at.astimezone(UTC),
            shares=int(self.values["shares"]),
            clicks=int(self.values["clicks"]),
            referrals=int(self.values["referrals"]),
            applications=int(self.values["applications"]),
            interviews=int(self.values["interviews"]),
            offers=int(self.values["offers"]),
            hires=int(self.values["hires"]),
            conversion=Conversion(
                self.values["conversion"],
                self.values["conversion_low"],
                self.values["conversion_high"],
                str(self.values["maturity"]),
            ),
            credit=Decimal(self.values["credit"]),
            bonuses=bonuses,
            next_eligible_on=day,
        )
