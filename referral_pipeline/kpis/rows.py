"""Rows of `mart.kpi`: from counts and from groups of durations to value, interval and maturity.

Belongs here: the columns of the table and the rule of maturity, for each form of KPI, on whole columns at once. Does
not belong here: what each KPI counts (sql), statistics (statistics, survival), which KPIs there are (compute).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from referral_pipeline.kpis.facts import Facts, Grouping, groupings
from referral_pipeline.kpis.statistics import (
    FEWEST_TO_COMPARE,
    Floats,
    Samples,
    Whole,
    median_difference,
    quantile_intervals_of,
    quantiles_of,
    wilson_of,
)
from referral_pipeline.kpis.survival import HAPPENED, aalen_johansen, kaplan_meier

__all__ = ["COLUMNS", "Place", "Rows", "Unit", "kpi_frame"]

COLUMNS = (
    "kpi", "period_kind", "period_start", "segment_kind", "segment", "value", "unit", "numerator", "denominator",
    "ci_low", "ci_high", "maturity", "target",
)  # fmt: skip
"""The columns of mart.kpi."""

Unit = Literal["ratio", "days", "s", "currency"]
MATURE, IMMATURE, INSUFFICIENT = "mature", "immature", "insufficient"


@dataclass(frozen=True)
class Place:
    """Which row: columns of one length, or one word for all."""

    period_kind: Any
    period_start: Any
    segment_kind: Any
    segment: Any


@dataclass(frozen=True)
class Rows:
    """Rows of one KPI and unit, in columns of one length.

    `maturity` is mature, immature or insufficient; `value`, `low` and `high` may hold anything where it is not mature,
    and NaN where there is none; `numerator` and `denominator` are whole numbers, or None for all rows.
    """

    kpi: str
    unit: Unit
    place: Place
    maturity: NDArray[Any]
    value: Any
    low: Any
    high: Any
    numerator: Any
    denominator: Any
    target: float | None


def kpi_frame(parts: Sequence[Rows]) -> pd.DataFrame:
    """Rows as a frame in mart.kpi's columns. Value and interval are left out where the maturity is not mature."""
    counts = [len(part.maturity) for part in parts]
    is_shown = _joined([part.maturity for part in parts], counts) == MATURE
    numbers = {
        name: np.where(is_shown, _joined([getattr(part, field) for part in parts], counts, np.float64), np.nan)
        for name, field in (("value", "value"), ("ci_low", "low"), ("ci_high", "high"))
    }
    columns = {
        "kpi": _words([part.kpi for part in parts], counts),
        "period_kind": _words([part.place.period_kind for part in parts], counts),
        "period_start": _joined([part.place.period_start for part in parts], counts, "datetime64[s]"),
        "segment_kind": _words([part.place.segment_kind for part in parts], counts),
        "segment": pd.array(_joined([part.place.segment for part in parts], counts, object), dtype="str"),
        "unit": _words([part.unit for part in parts], counts),
        "numerator": _counts([part.numerator for part in parts], counts),
        "denominator": _counts([part.denominator for part in parts], counts),
        "maturity": _words([part.maturity for part in parts], counts),
        "target": _joined([np.nan if part.target is None else part.target for part in parts], counts, np.float64),
        **numbers,
    }
    return pd.DataFrame({name: columns[name] for name in COLUMNS}, copy=False)


def _joined(parts: Sequence[Any], counts: Sequence[int], dtype: Any = None) -> NDArray[Any]:
    arrays = (np.broadcast_to(np.asarray(p, dtype=dtype), (n,)) for p, n in zip(parts, counts, strict=True))
    return np.concatenate(list(arrays))


def _words(parts: Sequence[Any], counts: Sequence[int]) -> Any:
    """Words as numbered words: a million rows must not become a million texts."""
    numbers: dict[str, int] = {}
    codes: list[NDArray[np.int8]] = []
    for part, count in zip(parts, counts, strict=True):
        if isinstance(part, str):
            codes.append(np.full(count, numbers.setdefault(part, len(numbers)), dtype=np.int8))
            continue
        found, names = pd.factorize(np.asarray(part, dtype=object))
        of_name = np.array([numbers.setdefault(str(name), len(numbers)) for name in names], dtype=np.int8)
        codes.append(of_name[found])
    return pd.Categorical.from_codes(np.concatenate(codes), categories=pd.Index(list(numbers)))


def _counts(parts: Sequence[Any], counts: Sequence[int]) -> Any:
    values = _joined([0 if part is None else part for part in parts], counts, np.int64)
    missing = _joined([part is None for part in parts], counts, np.bool_)
    return pd.arrays.IntegerArray(values, missing)


# ---------------------------------------------------------------- ratios of counts


def rate_rows(kpi: str, counted: pd.DataFrame, *, series: Sequence[str], minimum: int, target: float | None) -> Rows:
    """Rows of a ratio with Wilson's interval.

    Args:
        kpi: its name.
        counted: as by_period_and_segment.sql answers.
        series: all, and further series of segment kind scope; each has a row for all time, whatever was counted.
        minimum: units below which nothing is said (`insufficient`); in a quarter or month there is no row then.
        target: the contract's, or None.
    """
    counted = _with_headlines(counted, series)
    if minimum > 1:
        counted = counted[(counted["period_kind"] == "all") | (counted["units"] >= minimum)]
    is_all = (counted["period_kind"] == "all").to_numpy()
    units, mature_units = _whole(counted["units"]), _whole(counted["mature_units"])
    is_mature = np.where(is_all, mature_units >= max(minimum, 1), counted["is_all_mature"].to_numpy(dtype=bool))
    maturity = np.where(units < max(minimum, 1), INSUFFICIENT, np.where(is_mature, MATURE, IMMATURE))
    takes_mature = is_all & (maturity == MATURE)
    hits = np.where(takes_mature, _whole(counted["mature_hits"]), _whole(counted["hits"]))
    units = np.where(takes_mature, mature_units, units)
    low, high = wilson_of(hits, np.where(maturity == MATURE, units, 0))
    return Rows(
        kpi,
        "ratio",
        Place(*(counted[name].to_numpy() for name in ("period_kind", "period_start", "segment_kind", "segment"))),
        maturity=maturity,
        value=hits / np.maximum(units, 1),
        low=low,
        high=high,
        numerator=hits,
        denominator=units,
        target=target,
    )


def _with_headlines(counted: pd.DataFrame, series: Sequence[str]) -> pd.DataFrame:
    # A cohort with no applications has a row too: nothing was counted, which is not the same as not having looked.
    shown = counted[(counted["period_kind"] == "all") & counted["segment_kind"].isin(["all", "scope"])]
    missing = [name for name in series if name not in set(shown["series"])]
    if not missing:
        return counted
    empty = pd.DataFrame(
        {
            "series": missing,
            "period_kind": "all",
            "period_start": pd.Series([pd.NaT] * len(missing), dtype="datetime64[us]"),
            "segment_kind": ["all" if name == "all" else "scope" for name in missing],
            "segment": missing,
            **dict.fromkeys(("units", "hits", "mature_units", "mature_hits"), 0),
            "is_all_mature": False,
        }
    )
    return pd.concat([empty, counted], ignore_index=True) if len(counted) else empty


def _whole(column: Any) -> Whole:
    return column.to_numpy(dtype=np.int64)


# ---------------------------------------------------------------- durations


@dataclass(frozen=True)
class Shape:
    """What a KPI of durations is called, and where it is shown."""

    kpi: str
    unit: Unit
    segment_kinds: tuple[str, ...] = ("all",)
    scopes: tuple[str, ...] = ()
    """Segments of kind scope that have a row for all time whatever was counted."""


def quantile_rows(shape: Shape, facts: Facts, quantiles: dict[str, float], *, target: float | None) -> list[Rows]:
    """Rows of quantiles among durations that are over, each with its interval by order statistics.

    All time is mature with one duration that counts; a quarter or month with one, when all of its cohort is mature.

    Args:
        shape: name and segments.
        facts: ascending by `measure`; one row per duration that is over (`is_over`), of which some count
            (`is_counted`), and per unit that is not mature (`is_mature`). Groups without one that is over have no row.
        quantiles: suffix of the KPI's name -> quantile.
        target: of the KPI without a suffix.
    """
    made: list[Rows] = []
    seen: set[tuple[str, str]] = set()
    is_counted = facts.numbers["is_counted"].astype(bool)
    is_over = facts.numbers["is_over"].astype(bool)
    for every in groupings(facts, shape.segment_kinds):
        group = every.only(every.sums(is_over) > 0)
        if not len(group.counts):
            continue
        seen |= _headlines_of(group)
        counted, over = group.sums(is_counted), group.sums(is_over)
        is_some = counted > 0
        samples = Samples(facts.numbers["measure"][group.order[is_counted[group.order]]], counted[is_some])
        is_settled = (group.sums(facts.numbers["is_mature"]) == group.counts) | (group.period_kind == "all")
        is_shown = is_settled & is_some
        maturity = np.where(is_shown, MATURE, IMMATURE)
        for suffix, q in quantiles.items():
            found = np.full((3, len(counted)), np.nan)
            if is_some.any():
                found[:, is_some] = quantiles_of(samples, q), *quantile_intervals_of(samples, q)
            made.append(
                Rows(
                    shape.kpi + suffix,
                    shape.unit,
                    _place(group),
                    maturity=maturity,
                    value=found[0],
                    low=found[1],
                    high=found[2],
                    numerator=None,
                    denominator=np.where(is_shown, counted, over),
                    target=None if suffix else target,
                )
            )
    for suffix in quantiles:
        made += _nothing(shape, shape.kpi + suffix, seen, None if suffix else target)
    return made


def difference_rows(shape: Shape, facts: Facts) -> list[Rows]:
    """Rows of the median of the advocacy channel minus that of the others, with Price and Bonett's interval.

    `facts` as in `quantile_rows`, with `is_advocacy`, and `is_comparable` of what is compared. Nothing is said where
    either side has fewer than five.
    """
    is_fair = facts.numbers["is_comparable"].astype(bool)
    is_own = is_fair & facts.numbers["is_advocacy"].astype(bool)
    made: list[Rows] = []
    seen: set[tuple[str, str]] = set()
    for group in groupings(facts, shape.segment_kinds):
        seen |= _headlines_of(group)
        is_all_mature = group.sums(facts.numbers["is_mature"]) == group.counts
        compared, sides = group.sums(is_fair), group.sums(is_own)
        is_enough = np.minimum(sides, compared - sides) >= FEWEST_TO_COMPARE
        is_shown = is_enough & (is_all_mature | (group.period_kind == "all"))
        found = np.full((len(group.counts), 3), np.nan)
        measures, fair, own = group.split(facts.numbers["measure"]), group.split(is_fair), group.split(is_own)
        for i in np.flatnonzero(is_shown):
            found[i] = median_difference(measures[i][own[i]], measures[i][fair[i] & ~own[i]])
        made.append(
            Rows(
                shape.kpi,
                shape.unit,
                _place(group),
                maturity=np.where(is_shown, MATURE, np.where(is_enough, IMMATURE, INSUFFICIENT)),
                value=found[:, 0],
                low=found[:, 1],
                high=found[:, 2],
                numerator=None,
                denominator=compared,
                target=None,
            )
        )
    return [*made, *_nothing(shape, shape.kpi, seen, None)]


def incidence_rows(shape: Shape, facts: Facts, day: float, *, target: float | None) -> list[Rows]:
    """Rows of the probability to have ended as asked by `day`, by Aalen-Johansen.

    `facts` has `measure` (days), `ended` (see survival) and `is_mature`. All time is mature when five units are at
    least the horizon old, or all are, and the curve reaches that day: the younger ones then say what they can, as
    censored. A quarter or month is mature when all of it is: a few old units must not stand for a young cohort.
    """
    made: list[Rows] = []
    seen: set[tuple[str, str]] = set()
    at = np.array([day], dtype=np.float64)
    for group in groupings(facts, shape.segment_kinds):
        seen |= _headlines_of(group)
        found = np.empty((len(group.counts), 4))
        for i, (times, ends) in enumerate(
            zip(group.split(facts.numbers["measure"]), group.split(facts.numbers["ended"]), strict=True)
        ):
            curve = aalen_johansen(times, ends, at)
            found[i] = curve.probability[0], curve.low[0], curve.high[0], curve.happened[0]
        old = group.sums(facts.numbers["is_mature"])
        is_enough = (old == group.counts) | ((old >= FEWEST_TO_COMPARE) & (group.period_kind == "all"))
        is_mature = is_enough & ~np.isnan(found[:, 0])
        made.append(_curve_rows(shape, group, found, is_mature, target))
    return [*made, *_nothing(shape, shape.kpi, seen, target)]


def median_rows(shape: Shape, facts: Facts, *, target: float | None) -> list[Rows]:
    """Rows of the median of durations of which some are not over, by Kaplan-Meier.

    `facts` has `measure` and `ended`. A group is mature when half of it have ended, as the curve tells; until then all
    that is known is that the median is longer.
    """
    made: list[Rows] = []
    seen: set[tuple[str, str]] = set()
    for group in groupings(facts, shape.segment_kinds):
        seen |= _headlines_of(group)
        found = np.empty((len(group.counts), 4))
        for i, (times, ends) in enumerate(
            zip(group.split(facts.numbers["measure"]), group.split(facts.numbers["ended"]), strict=True)
        ):
            found[i] = (*kaplan_meier(times, ends).median(), np.count_nonzero(ends == HAPPENED))
        made.append(_curve_rows(shape, group, found, ~np.isnan(found[:, 0]), target))
    return [*made, *_nothing(shape, shape.kpi, seen, target)]


def _curve_rows(
    shape: Shape, group: Grouping, found: Floats, is_mature: NDArray[np.bool_], target: float | None
) -> Rows:
    """`found` has value, low, high and how many ended as asked."""
    return Rows(
        shape.kpi,
        shape.unit,
        _place(group),
        maturity=np.where(is_mature, MATURE, IMMATURE),
        value=found[:, 0],
        low=found[:, 1],
        high=found[:, 2],
        numerator=found[:, 3].astype(np.int64),
        denominator=group.counts,
        target=target,
    )


def _place(group: Grouping) -> Place:
    return Place(group.period_kind, group.period_start, group.segment_kind, group.segment)


def _headlines_of(group: Grouping) -> set[tuple[str, str]]:
    return {(group.segment_kind, name) for name in group.segment} if group.period_kind == "all" else set()


def _nothing(shape: Shape, kpi: str, seen: set[tuple[str, str]], target: float | None) -> list[Rows]:
    """The rows for all time of what nothing was counted for."""
    wanted = [("all", "all"), *(("scope", name) for name in shape.scopes)]
    missing = [place for place in wanted if place not in seen]
    if not missing:
        return []
    count = len(missing)
    place = Place("all", np.full(count, np.datetime64("NaT"), "datetime64[D]"), *map(list, zip(*missing, strict=True)))
    return [
        Rows(
            kpi,
            shape.unit,
            place,
            maturity=np.full(count, INSUFFICIENT),
            value=np.nan,
            low=np.nan,
            high=np.nan,
            numerator=None if shape.unit != "ratio" else [0] * count,
            denominator=[0] * count,
            target=target,
        )
    ]
