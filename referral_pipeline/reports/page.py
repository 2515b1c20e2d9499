"""What the leadership page shows, read from the warehouse: headline numbers, funnel, coverage, data quality.

Belongs here: the view of the page as frozen records, and the queries that fill it. Does not belong here: computing a
number (marts do), wording (`words`), HTML (`leadership`).

Reads marts, and counts from staging; no name, no contact detail, no advocate is read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from referral_pipeline.contract.models import Contract
from referral_pipeline.quality.rules import RULES
from referral_pipeline.reports.words import (
    BLOCK_WORDS,
    FIELD_WORDS,
    Verdict,
    figure,
    kpi_words,
    spread,
    verdict,
    whole,
)

if TYPE_CHECKING:
    import pandas as pd


class ReadsTables(Protocol):
    """The part of `warehouse.store.Warehouse` that the page needs."""

    def frame(self, sql: str, params: Sequence[Any] | None = None) -> pd.DataFrame:
        """The rows of a SELECT."""
        ...

    def has_table(self, table: str) -> bool:
        """Whether a table exists."""
        ...


@dataclass(frozen=True)
class Gauge:
    """Where value, interval and target lie on a bar from 0 to 100 (percent of its width)."""

    value: float
    low: float
    high: float
    target: float | None


@dataclass(frozen=True)
class Headline:
    """One KPI of the contract as it is shown."""

    label: str
    value: str
    target: str
    interval: str | None
    basis: str | None
    channels: tuple[tuple[str, str], ...]
    verdict: Verdict
    gauge: Gauge | None
    definition: str


@dataclass(frozen=True)
class Step:
    """One step of the funnel. From applications on, `part` is its part of them and `width` the same as a bar."""

    label: str
    count: str
    part: str | None
    width: float | None


@dataclass(frozen=True)
class Coverage:
    """How many of a kind carry complete evidence."""

    label: str
    complete: str
    total: str
    rate: str
    interval: str | None


@dataclass(frozen=True)
class Page:
    """Everything the page shows, as text ready to print."""

    as_of: str
    sandbox: bool
    owner: str
    summary: str
    headlines: tuple[Headline, ...]
    funnel: tuple[Step, ...]
    coverage: tuple[Coverage, ...]
    quality: tuple[str, ...]
    rules_total: int
    rules_blocking: int
    lookback_days: int
    model: str


def read_page(warehouse: ReadsTables, contract: Contract, *, as_of: datetime) -> Page:
    """Read the page's numbers as they stand in the warehouse.

    Raises:
        Whatever the warehouse raises when `mart.kpi` does not exist: a page without numbers is not written.
    """
    kpis, channels = _kpis(warehouse, "all"), _kpis(warehouse, "channel")
    headlines = tuple(_headline(kpi.name, kpi.target, kpis, channels, contract) for kpi in contract.objectives.kpis)
    return Page(
        as_of=f"{as_of:%d %B %Y, %H:%M} UTC".lstrip("0"),
        sandbox=contract.environment == "sandbox",
        owner=contract.owner.name,
        summary=_summary(headlines),
        headlines=headlines,
        funnel=_funnel(warehouse),
        coverage=_coverage(kpis),
        quality=_quality(warehouse),
        rules_total=len(RULES),
        rules_blocking=sum(rule.blocking for rule in RULES),
        lookback_days=contract.rules.attribution.lookback_days,
        model=str(contract.rules.attribution.model).replace("_", " "),
    )


# ---------------------------------------------------------------- headline numbers


Rows = dict[tuple[str, str], dict[str, Any]]
"""Rows of mart.kpi by KPI and segment."""


def _kpis(warehouse: ReadsTables, segment_kind: str) -> Rows:
    frame = warehouse.frame(
        "SELECT kpi, segment, value, unit, numerator, denominator, ci_low, ci_high, maturity FROM mart.kpi "
        "WHERE period_kind = 'all' AND segment_kind = ?",
        [segment_kind],
    )
    return {
        (str(row["kpi"]), str(row["segment"])): {str(key): _plain(value) for key, value in row.items()}
        for row in frame.to_dict("records")
    }


def _by_channel(name: str, channels: Rows, unit: str, currency: str) -> tuple[tuple[str, str], ...]:
    """The value of each channel, for a KPI that is counted over more than one."""
    labels = {"advocacy": "Advocates", "other": "Others"}
    found = [
        (label, channels[name, channel]["value"]) for channel, label in labels.items() if (name, channel) in channels
    ]
    return tuple((label, figure(value, unit, currency)) for label, value in found) if len(found) > 1 else ()


def _headline(name: str, target: float, kpis: Rows, channels: Rows, contract: Contract) -> Headline:
    words = kpi_words(name)
    currency = str(contract.rules.bonus.currency)
    row = kpis.get((name, "all"), {})
    unit = str(row.get("unit") or ("ratio" if name.endswith(("_rate", "_coverage", "_share")) else ""))
    unit = unit or ("days" if name.endswith("_days") else "s" if name.endswith("_seconds") else "")
    value, interval = row.get("value"), _interval(row)
    return Headline(
        label=words.label,
        value=figure(value, unit, currency),
        target=("at most " if words.lower_is_better else "at least ") + figure(target, unit, currency),
        interval=_interval_words(interval, unit, currency),
        basis=_basis(row, words.counted),
        channels=_by_channel(name, channels, unit, currency),
        verdict=verdict(value, target, interval, row.get("maturity"), lower_is_better=words.lower_is_better),
        gauge=_gauge(value, interval, target, unit),
        definition=words.definition,
    )


def _basis(row: dict[str, Any], counted: str) -> str | None:
    numerator, denominator = row.get("numerator"), row.get("denominator")
    if denominator is None:
        return None
    if numerator is None or row.get("unit") != "ratio":
        return f"from {whole(denominator)} {counted}".rstrip()
    return f"{whole(numerator)} of {whole(denominator)} {counted}".rstrip()


def _gauge(value: float | None, interval: tuple[float, float] | None, target: float | None, unit: str) -> Gauge | None:
    if value is None:
        return None
    low, high = interval or (value, value)
    top = max(value, high, target or 0.0) * 1.15
    top = min(top, 1.0) if unit == "ratio" else top
    if top <= 0 or min(value, low) < 0:
        return None

    def at(x: float) -> float:
        return round(100 * x / top, 2)

    return Gauge(at(value), at(low), at(high), None if target is None else at(target))


def _summary(headlines: Sequence[Headline]) -> str:
    tones = [headline.verdict.tone for headline in headlines]
    parts = [
        f"{tones.count(tone)} {words}"
        for tone, words in (
            ("met", "met for certain"),
            ("near", "too close to call"),
            ("missed", "missed"),
            ("open", "not known yet"),
        )
        if tones.count(tone)
    ]
    return f"Of {len(tones)} {'target' if len(tones) == 1 else 'targets'}: {', '.join(parts)}."


# ---------------------------------------------------------------- funnel and coverage


def _funnel(warehouse: ReadsTables) -> tuple[Step, ...]:
    if not warehouse.has_table("mart.funnel"):
        return ()
    frame = warehouse.frame("SELECT stage, units FROM mart.funnel WHERE channel = 'advocacy' ORDER BY place")
    counts = {str(stage): _plain(units) for stage, units in frame.itertuples(index=False, name=None)}
    return tuple(_step(stage, units, counts.get("applications")) for stage, units in counts.items())


def _step(stage: str, units: float | None, applications: float | None) -> Step:
    """Shares and clicks are other units than applications: no part is given of one in terms of the other."""
    comparable = stage not in {"shares", "clicks"} and units is not None and applications
    part = units / applications if comparable and units is not None and applications else None
    return Step(
        label=stage.replace("_", " ").capitalize(),
        count=whole(units),
        part=None if part is None or stage == "applications" else figure(part, "ratio"),
        width=None if part is None else round(100 * min(part, 1.0), 2),
    )


def _coverage(kpis: Rows) -> tuple[Coverage, ...]:
    series = {"all": "Hires through advocates", "applications": "Applications through advocates"}
    return tuple(
        _covered(label, kpis["attribution_coverage", segment])
        for segment, label in series.items()
        if ("attribution_coverage", segment) in kpis
    )


def _covered(label: str, row: dict[str, Any]) -> Coverage:
    return Coverage(
        label=label,
        complete=whole(row["numerator"]),
        total=whole(row["denominator"]),
        rate=figure(row["value"], "ratio"),
        interval=_interval_words(_interval(row), "ratio"),
    )


# ---------------------------------------------------------------- data quality


def _quality(warehouse: ReadsTables) -> tuple[str, ...]:
    return (*_set_aside(warehouse), *_held_back(warehouse))


def _set_aside(warehouse: ReadsTables) -> list[str]:
    if not warehouse.has_table("staging.quarantine"):
        return []
    frame = warehouse.frame(
        "SELECT level, field, entity, count(DISTINCT record_id) AS records FROM staging.quarantine "
        "GROUP BY ALL ORDER BY records DESC, entity, field"
    )
    return [
        _set_aside_words(
            str(level), FIELD_WORDS.get(str(field), str(field).replace("_", " ")), str(entity), int(records)
        )
        for level, field, entity, records in frame.itertuples(index=False, name=None)
    ]


def _set_aside_words(level: str, field: str, entity: str, records: int) -> str:
    one = records == 1
    noun = entity.removeprefix("ats_").replace("_", " ")
    noun = noun.removesuffix("s") if one else noun if noun.endswith(("s", "content")) else f"{noun}s"
    if level == "field":
        return f"{records:,} {noun} went on without the {field}, which cannot be read."
    return f"{records:,} {noun} {'was' if one else 'were'} set aside: the {field} is missing or cannot be read."


def _held_back(warehouse: ReadsTables) -> list[str]:
    if not warehouse.has_table("staging.link"):
        return []
    frame = warehouse.frame(
        "SELECT block, count(*) AS referrals FROM staging.link WHERE block IS NOT NULL GROUP BY block "
        "ORDER BY referrals DESC, block"
    )
    return [_held_back_words(str(block), int(n)) for block, n in frame.itertuples(index=False, name=None)]


def _held_back_words(block: str, referrals: int) -> str:
    subject, pronoun = ("referral was", "it") if referrals == 1 else ("referrals were", "each")
    reason = BLOCK_WORDS.get(block, block.replace("_", " "))
    return f"{referrals:,} {subject} kept out of the applicant tracking system, because {pronoun} {reason}."


# ---------------------------------------------------------------- small things


def _plain(value: Any) -> Any:
    """NaN, NaT and pandas' NA as None; numbers as floats."""
    if value is None or isinstance(value, str):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None if str(value) in {"<NA>", "NaT"} else value
    return None if math.isnan(number) else number


def _interval(row: dict[str, Any]) -> tuple[float, float] | None:
    low, high = row.get("ci_low"), row.get("ci_high")
    return None if low is None or high is None else (low, high)


def _interval_words(interval: tuple[float, float] | None, unit: str, currency: str = "") -> str | None:
    return None if interval is None else spread(*interval, unit, currency)
