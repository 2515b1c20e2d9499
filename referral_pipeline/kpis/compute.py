"""From facts to `mart.kpi`, the curve of time to hire, and the plain mart beside them.

Belongs here: which KPIs there are, in which order they are made, and the contract's part in them. Does not belong here:
what each KPI counts (sql/<kpi>.sql), rows and maturity (rows), statistics (statistics, survival), rendering (reports).

A value is there exactly when its maturity is mature
- mature: enough is known. Of a ratio: every application (share, click) of the cohort is at least as old as the
  contract's horizon; all time takes the mature ones only, a quarter or month counts when all of it is mature. Of
  durations that are over likewise, however long they took. Of curves: rows.incidence_rows, median_rows.
- immature: what is not known yet may change it. Counts are shown, a value is not.
- insufficient: nothing to count, or too little to say anything of.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from referral_pipeline.contract.models import Contract
from referral_pipeline.kpis import rows
from referral_pipeline.kpis.cost import cost_rows
from referral_pipeline.kpis.facts import Facts, groupings, read_facts
from referral_pipeline.kpis.survival import aalen_johansen
from referral_pipeline.vocabulary import TERMINAL_STATUSES, CandidateStatus
from referral_pipeline.warehouse.store import Warehouse

__all__ = ["CURVE_DAYS", "RATES", "Inputs", "compute_kpis", "facts_of", "prepared"]

CURVE_DAYS = 180
"""Last day of the curve of time to hire."""

_SQL = Path(__file__).with_name("sql")
_SEGMENTS = ("channel", "department", "campaign", "advocate", "job")


@dataclass(frozen=True)
class Rate:
    """A ratio of counts with one file `sql/<name>.sql`.

    `series`: all, and further ones of segment kind scope. `counts_itself`: the file answers counts, not facts.
    `minimum`: fewest units of which a rate is said.
    """

    name: str
    series: tuple[str, ...] = ("all",)
    counts_itself: bool = False
    minimum: int = 1


RATES = (
    Rate("referral_conversion_rate"),
    Rate("share_to_click_rate"),
    Rate("click_to_apply_rate"),
    Rate("apply_to_interview_rate"),
    Rate("interview_to_offer_rate"),
    Rate("offer_to_hire_rate"),
    Rate("attribution_coverage", series=("all", "applications")),
    Rate("source_of_hire_share"),
    Rate("advocate_conversion_rate", minimum=5),
    Rate("advocate_participation_rate", counts_itself=True),
    Rate("duplicate_rate", series=("all", "created_by_integration"), counts_itself=True),
)

_TIME_TO_HIRE = rows.Shape("time_to_hire_days", "days", ("all", *_SEGMENTS))
_DIFFERENCE = rows.Shape("time_to_hire_difference_days", "days", ("all", "department"))
_PROBABILITY = rows.Shape("hire_probability_by_day", "ratio", ("all", "channel", "department"))
_IN_STAGE = rows.Shape(
    "time_in_stage_days",
    "days",
    ("all", "scope"),
    scopes=tuple(str(s) for s in CandidateStatus if s not in TERMINAL_STATUSES),
)
_LATENCY = rows.Shape("sync_latency_seconds", "s", ("all", "scope"), scopes=("forward", "return"))


@dataclass(frozen=True)
class Inputs:
    """What KPIs are made from: a warehouse that is open, the contract, and the moment that they are for, in UTC."""

    warehouse: Warehouse
    connection: duckdb.DuckDBPyConnection
    contract: Contract
    as_of: datetime

    def target(self, kpi: str) -> float | None:
        """The contract's target of a KPI."""
        return next((one.target for one in self.contract.objectives.kpis if one.name == kpi), None)

    def facts(self, name: str, *, numbers: Sequence[str], segments: Sequence[str]) -> Facts:
        """What `sql/<name>.sql` answers, as columns."""
        return read_facts(self.connection.sql(_sql(name)).to_arrow_table(), numbers=numbers, segments=segments)


def compute_kpis(warehouse: Warehouse, contract: Contract, *, as_of: datetime) -> dict[str, int]:
    """Rebuild mart.kpi, mart.time_to_hire_curve and mart.funnel from core; rows by table.

    Args:
        warehouse: with core built and the ledger staged.
        contract: for the horizon, the targets and the systems' names.
        as_of: the moment at which cohorts are judged, aware.

    Raises:
        ModelFailed: a table could not be built; all of them stay as they were.
    """
    with warehouse.transaction():
        with prepared(warehouse, contract, as_of=as_of) as inputs:
            frames = [make(inputs) for make in _FRAMES]
            curve = _curve(inputs)
        kpis = _together([*frames, cost_rows(warehouse, contract, as_of)])
        return {
            "mart.kpi": warehouse.replace("mart.kpi", kpis),
            "mart.time_to_hire_curve": warehouse.replace("mart.time_to_hire_curve", curve),
            "mart.funnel": warehouse.build("mart.funnel"),
            "mart.data_quality": warehouse.build("mart.data_quality"),
        }


@contextmanager
def prepared(warehouse: Warehouse, contract: Contract, *, as_of: datetime) -> Generator[Inputs]:
    """What the files read, as long as it is entered: their variables, and every application with segments and dates."""
    moment = as_of.astimezone(UTC)
    variables: dict[str, Any] = {
        "horizon_days": contract.objectives.horizon_days,
        "as_of": moment,
        "advocacy_system": contract.advocacy.connector,
        "ats_system": contract.ats.connector,
    }
    with warehouse.transaction() as connection:
        for name, value in variables.items():
            connection.execute(f"SET VARIABLE {name} = $value", {"value": value})
        connection.execute(f"CREATE OR REPLACE TEMP TABLE kpi_application AS {_sql('application')}")
        yield Inputs(warehouse, connection, contract, moment)
        connection.execute("DROP TABLE kpi_application")
        for name in variables:
            connection.execute(f"RESET VARIABLE {name}")


def _sql(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8")


def _together(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One frame; words stay numbered words (see rows.kpi_frame)."""
    if len(frames) == 1:
        return frames[0]
    columns: dict[str, Any] = {}
    for name in rows.COLUMNS:
        parts = [frame[name] for frame in frames]
        is_words = all(isinstance(part.dtype, pd.CategoricalDtype) for part in parts)
        columns[name] = pd.api.types.union_categoricals(parts) if is_words else pd.concat(parts, ignore_index=True)
    return pd.DataFrame(columns, copy=False)


# ---------------------------------------------------------------- the families of KPIs


def _rates(inputs: Inputs) -> list[rows.Rows]:
    return [
        rows.rate_rows(
            rate.name,
            _counted(inputs, rate),
            series=rate.series,
            minimum=rate.minimum,
            target=inputs.target(rate.name),
        )
        for rate in RATES
    ]


def _counted(inputs: Inputs, rate: Rate) -> pd.DataFrame:
    if rate.counts_itself:
        return inputs.warehouse.frame(_sql(rate.name))
    with facts_of(inputs, rate) as counting:
        return inputs.warehouse.frame(counting)


@contextmanager
def facts_of(inputs: Inputs, rate: Rate) -> Generator[str]:
    """The facts of a rate, as long as it is entered; gives the query that counts them."""
    inputs.connection.execute(f"CREATE OR REPLACE TEMP TABLE kpi_fact AS {_sql(rate.name)}")
    yield _sql("by_period_and_segment")
    inputs.connection.execute("DROP TABLE kpi_fact")


def _times_to_hire(inputs: Inputs) -> list[rows.Rows]:
    facts = inputs.facts(
        "time_to_hire_days",
        numbers=("measure", "is_over", "is_counted", "is_comparable", "is_mature", "is_advocacy"),
        segments=_TIME_TO_HIRE.segment_kinds[1:],
    )
    quantiles = {"": 0.5, "_p25": 0.25, "_p75": 0.75, "_p90": 0.9}
    return [
        *rows.quantile_rows(_TIME_TO_HIRE, facts, quantiles, target=inputs.target(_TIME_TO_HIRE.kpi)),
        *rows.difference_rows(_DIFFERENCE, facts),
    ]


def _hire_probability(inputs: Inputs) -> list[rows.Rows]:
    horizon = float(inputs.contract.objectives.horizon_days)
    return rows.incidence_rows(_PROBABILITY, _courses(inputs), horizon, target=inputs.target(_PROBABILITY.kpi))


def _courses(inputs: Inputs) -> Facts:
    return inputs.facts(
        "hire_probability_by_day", numbers=("measure", "ended", "is_mature"), segments=_PROBABILITY.segment_kinds[1:]
    )


def _in_stage(inputs: Inputs) -> list[rows.Rows]:
    facts = inputs.facts("time_in_stage_days", numbers=("measure", "ended"), segments=("scope",))
    return rows.median_rows(_IN_STAGE, facts, target=inputs.target(_IN_STAGE.kpi))


def _latency(inputs: Inputs) -> list[rows.Rows]:
    facts = inputs.facts(
        "sync_latency_seconds", numbers=("measure", "is_over", "is_counted", "is_mature"), segments=("scope",)
    )
    quantiles = {"": 0.95, "_p50": 0.5, "_p99": 0.99}
    return rows.quantile_rows(_LATENCY, facts, quantiles, target=inputs.target(_LATENCY.kpi))


def _own(inputs: Inputs) -> pd.DataFrame:
    families = (_rates, _times_to_hire, _hire_probability, _in_stage, _latency)
    return rows.kpi_frame([part for family in families for part in family(inputs)])


_FRAMES: tuple[Callable[[Inputs], pd.DataFrame], ...] = (_own,)
"""Each answers a frame as rows.kpi_frame makes it. A further family of KPIs is one more of these."""


# ---------------------------------------------------------------- the curve


def _curve(inputs: Inputs) -> pd.DataFrame:
    facts = _courses(inputs)
    days = np.arange(CURVE_DAYS + 1)
    of_channel: dict[str, list[int]] = {"all": [], "advocacy": [], "other": []}
    for group in groupings(facts, ("all", "channel")):
        if group.period_kind == "all":
            found = np.split(group.order, group.starts[1:])
            of_channel |= dict(zip(group.segment, found, strict=True))
    parts: list[pd.DataFrame] = []
    for channel, positions in of_channel.items():
        places = np.asarray(positions, dtype=np.int64)
        curve = aalen_johansen(
            facts.numbers["measure"][places], facts.numbers["ended"][places], days.astype(np.float64)
        )
        is_known = len(places) > 0
        parts.append(
            pd.DataFrame(
                {
                    "channel": channel,
                    "day": days,
                    "at_risk": curve.at_risk,
                    "hires": curve.happened,
                    "probability": curve.probability if is_known else np.nan,
                    "ci_low": curve.low,
                    "ci_high": curve.high,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
