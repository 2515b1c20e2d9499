"""The charts of the report: Altair describes them, vl-convert draws them as SVG, twice: for a page and for a phone.

Belongs here: what is drawn and how. Does not belong here: the numbers (`page`), embedding (`svg`).

A chart scaled down to a phone has text that nobody can read, so each is drawn at two widths and the style sheet shows
the one that fits. Advocates are a solid line or a filled mark, other channels a dashed line or a hollow one, each with
its name beside it: colour is never the only difference.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from referral_pipeline.reports.hiring import CHANNELS, Campaign, Step, TimeToHire
from referral_pipeline.reports.marts import CurvePoint
from referral_pipeline.reports.money import Costs
from referral_pipeline.reports.page import Page
from referral_pipeline.reports.renderer import RenderFailed, rendered
from referral_pipeline.reports.svg import embedded

if TYPE_CHECKING:
    import altair as alt

_LOG = logging.getLogger(__name__)

MARK, SOFT, INK, LINE, PALE = "#0b6470", "#5d4a7a", "#17222d", "#d5dce2", "#9fcad0"
"""Mark and soft have more than 5:1 against white and differ in lightness and in pattern."""

_TEXT = 12.5
_AMOUNT = "datum.value >= 1000 ? format(datum.value / 1000, ',~r') + 'k' : format(datum.value, ',~r')"
_SIZES = (("wide", 700), ("narrow", 340))
_PHONE = 500
"""Below this width a chart is for a phone."""
_EDGE = 0.05
"""A number nearer to the left edge than this part of the scale would stand over the names."""
_LETTER = 7.6
"""Width of a letter in the widest of the fonts that a browser may take."""
_LINES = {"advocacy": (MARK, [1, 0]), "other": (SOFT, [6, 4])}


@dataclass(frozen=True)
class Drawn:
    """One chart at both widths, as markup for the page."""

    wide: str
    narrow: str


@dataclass(frozen=True)
class _Plan:
    """A chart to draw: rows of plain values, and a name that is unique on the page."""

    name: str
    title: str
    description: str
    chart: Any


def draw(page: Page) -> dict[str, Drawn]:
    """Every chart that the page has numbers for, by name: steps, times, curve, costs, campaigns.

    Empty when the renderer gives up: the tables have every number, and a report without pictures is better than none.
    """
    plans = [(css_class, plan) for css_class, width in _SIZES for plan in _plans(page, width)]
    if not plans:
        return {}
    try:
        pictures = rendered([plan.chart for _, plan in plans])
        drawn: dict[str, dict[str, str]] = {}
        for (css_class, plan), svg in zip(plans, pictures, strict=True):
            drawn.setdefault(plan.name, {})[css_class] = embedded(
                svg,
                name=f"{plan.name}-{css_class}",
                title=plan.title,
                description=plan.description,
                css_class=f"chart {css_class}",
            )
    except RenderFailed as failure:
        _LOG.warning("the report has no charts: %s", failure)
        return {}
    return {name: Drawn(**sizes) for name, sizes in drawn.items()}


def specifications(page: Page) -> list[dict[str, Any]]:
    """What is drawn, as Vega-Lite, for those who want to measure the renderer alone."""
    return [plan.chart for _, width in _SIZES for plan in _plans(page, width)]


def _plans(page: Page, width: int) -> Iterator[_Plan]:
    steps = [step for step in page.funnel if step.goes_on is not None and step.goes_on.value.value is not None]
    if steps:
        yield _steps(steps, width)
    if page.time_to_hire is not None:
        if any(channel.median.value is not None for channel in page.time_to_hire.channels):
            yield _times(page.time_to_hire, width)
        if page.time_to_hire.curve:
            yield _curve(page.time_to_hire, width)
    if page.costs is not None and any(period.quarter and _known(period.channels) for period in page.costs.periods):
        yield _costs(page.costs, width)
    if any(campaign.rate.value.value is not None for campaign in page.campaigns):
        yield _campaigns(page, width)


def _known(channels: Sequence[Any]) -> bool:
    return any(channel.value.value is not None for channel in channels)


# ---------------------------------------------------------------- the charts


def _steps(steps: Sequence[Step], width: int) -> _Plan:
    """Each step's rate with its interval, on one scale from 0 to 100 %."""
    import altair as alt

    rates = [step.goes_on for step in steps if step.goes_on is not None]
    rows = [
        {
            "label": step.way,
            "value": rate.value.value,
            "low": rate.interval.low.value if rate.interval else None,
            "high": rate.interval.high.value if rate.interval else None,
            "at": max(rate.value.value or 0.0, _EDGE),
            "text": rate.value.text,
            "others": rate.others.value if rate.others else None,
        }
        for step, rate in zip(steps, rates, strict=True)
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(y=_by_label(rows, width))
    scale = alt.Scale(domain=[0, 1])
    layers = [
        *_dots(base, scale),
        base.mark_point(size=70, filled=False, color=SOFT, strokeWidth=2, shape="diamond").encode(
            x=alt.X("others:Q", scale=scale)
        ),
    ]
    spoken = "; ".join(f"{rate.label} {rate.value.text}" for rate in rates)
    return _plan("steps", "Which part goes on, step by step", spoken, alt.layer(*layers), width, 46 * len(rows))


def _times(times: TimeToHire, width: int) -> _Plan:
    """Quartiles as a bar, the median as a line in it, the slowest tenth as a whisker."""
    import altair as alt

    channels = [channel for channel in times.channels if channel.median.value is not None]
    rows = [
        {
            "label": channel.label,
            "p25": channel.p25.value,
            "median": channel.median.value,
            "p75": channel.p75.value,
            "p90": channel.p90.value,
            "text": channel.median.text,
        }
        for channel in channels
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(y=_by_label(rows, width))
    axis = alt.Axis(title="Days", tickCount=6)
    fill = alt.Color("label:N", legend=None, scale=alt.Scale(domain=list(CHANNELS.values()), range=[PALE, "#ffffff"]))
    layers = [
        base.mark_rule(color=INK, strokeDash=[2, 3]).encode(x=alt.X("p75:Q", axis=axis), x2="p90:Q"),
        base.mark_bar(height=22, stroke=INK, strokeWidth=1.2).encode(
            x=alt.X("p25:Q", axis=axis), x2="p75:Q", color=fill
        ),
        base.mark_tick(color=INK, thickness=4, height=22).encode(x="median:Q"),
        base.mark_text(dy=-20, color=INK, fontWeight="bold").encode(x="median:Q", text="text:N"),
    ]
    spoken = "; ".join(
        f"{one.label}: half of the hires within {one.median.text}, a quarter within {one.p25.text}, three quarters "
        f"within {one.p75.text}"
        for one in channels
    )
    return _plan("times", "Days to hire by channel", spoken, alt.layer(*layers), width, 74 * len(rows))


def _curve(times: TimeToHire, width: int) -> _Plan:
    """The Aalen-Johansen curve of each channel as steps, with its band and its name at the end."""
    import altair as alt

    channels = [channel for channel in CHANNELS if any(point.channel == channel for point in times.curve)]
    rows = [
        {
            "day": point.day,
            "channel": point.channel,
            "p": point.probability,
            "low": point.ci_low,
            "high": point.ci_high,
        }
        for channel in channels
        for point in _turns([point for point in times.curve if point.channel == channel])
    ]
    domain = list(_LINES)
    colour = alt.Color(
        "channel:N", legend=None, scale=alt.Scale(domain=domain, range=[colour for colour, _ in _LINES.values()])
    )
    dash = alt.StrokeDash(
        "channel:N", legend=None, scale=alt.Scale(domain=domain, range=[dash for _, dash in _LINES.values()])
    )
    last = max(point.day for point in times.curve)
    x = alt.X(
        "day:Q",
        scale=alt.Scale(domain=[0, last], nice=False),
        axis=alt.Axis(title="Days since the application", values=list(range(0, last + 1, 30)), grid=False),
    )
    y = alt.Y("p:Q", axis=alt.Axis(title=None, format="%", tickCount=5))
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, color=colour)
    ends = _apart([row for row in rows if row["day"] == last and row["p"] is not None])
    layers = [
        base.mark_area(opacity=0.2, interpolate="step-after").encode(y=alt.Y("low:Q"), y2="high:Q"),
        base.mark_line(interpolate="step-after", strokeWidth=2.2).encode(y=y, strokeDash=dash),
        alt.Chart(alt.Data(values=ends))
        .mark_text(align="right", fontWeight="bold")
        .encode(x=x, y=alt.Y("at:Q"), text="label:N", color=colour),
    ]
    spoken = " ".join(
        f"By day {day.day}: {', '.join(f'{label} {figure.text}' for label, figure, _ in day.by_channel)}."
        for day in times.days
    )
    return _plan(
        "curve", "Chance that an application has ended in a hire, by day", spoken, alt.layer(*layers), width, 260
    )


def _turns(points: Sequence[CurvePoint]) -> list[CurvePoint]:
    """The days on which a step function changes, and its ends: the others draw nothing."""
    kept = [
        point
        for before, point in zip([None, *points[:-1]], points, strict=True)
        if before is None
        or (before.probability, before.ci_low, before.ci_high) != (point.probability, point.ci_low, point.ci_high)
    ]
    return kept if kept and kept[-1] is points[-1] else [*kept, *points[-1:]]


def _apart(ends: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Where the names of the lines stand: the upper one above its line's band, the lower one below."""
    ordered = sorted(ends, key=lambda row: row["p"], reverse=True)
    top = max((row["high"] or row["p"] for row in ordered), default=0.0)
    gap = 0.05 * top
    return [
        {
            "day": row["day"],
            "channel": row["channel"],
            "label": CHANNELS[row["channel"]],
            "at": (row["high"] or row["p"]) + gap if place == 0 else max((row["low"] or row["p"]) - gap, gap),
        }
        for place, row in enumerate(ordered)
    ]


def _costs(costs: Costs, width: int) -> _Plan:
    """Cost per hire by quarter, one bar a channel; a quarter without a value has no bar, and the table says why."""
    import altair as alt

    quarters = [period for period in reversed(costs.periods) if period.quarter is not None]
    quarters = quarters[-3:] if width < _PHONE else quarters
    rows = [
        {
            "quarter": period.label,
            "channel": channel.channel,
            "value": channel.value.value,
            "text": _short_amount(channel.value.value),
        }
        for period in quarters
        for channel in period.channels
    ]
    names = list(CHANNELS.values())
    fill = alt.Color("channel:N", legend=_key(), scale=alt.Scale(domain=names, range=[MARK, "#ffffff"]))
    edge = alt.Stroke("channel:N", legend=_key(), scale=alt.Scale(domain=names, range=[MARK, SOFT]))
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X(
            "quarter:N",
            sort=[period.label for period in quarters],
            axis=alt.Axis(title=None, labelAngle=0, grid=False, ticks=False),
        ),
        xOffset=alt.XOffset("channel:N", sort=names),
    )
    y = alt.Y("value:Q", axis=alt.Axis(title=None, tickCount=4, labelExpr=_AMOUNT))
    layers = [
        base.mark_bar(strokeWidth=1.6).encode(y=y, color=fill, stroke=edge),
        base.mark_text(dy=-8, color=INK, size=12).encode(y=y, text="text:N"),
    ]
    spoken = "; ".join(
        f"{period.label}: " + ", ".join(f"{one.channel} {one.value.text}" for one in period.channels)
        for period in quarters
    )
    title = f"Cost per hire by quarter, in {costs.currency}"
    return _plan("costs", title, spoken, alt.layer(*layers), width, 230)


def _campaigns(page: Page, width: int) -> _Plan:
    """Each campaign's rate with its interval; the upright line is the rate of all of them."""
    import altair as alt

    found = [one for one in page.campaigns if one.rate.value.value is not None]
    tops = [one.rate.interval.high.value if one.rate.interval else one.rate.value.value for one in found]
    top = max(value for value in tops if value is not None) or 1.0
    rows = [_campaign_row(one, top) for one in found]
    base = alt.Chart(alt.Data(values=rows)).encode(y=_by_label(rows, width))
    scale = alt.Scale(domain=[0, min(1.0, top * 1.12)], nice=False)
    layers = _dots(base, scale)
    overall = next((row for row in page.rows if row.key == "referral_conversion_rate|all||all|all"), None)
    if overall is not None and overall.is_known:
        layers.insert(
            0,
            alt.Chart(alt.Data(values=[{"all": overall.value}]))
            .mark_rule(color=INK, strokeDash=[3, 3])
            .encode(x=alt.X("all:Q", scale=scale)),
        )
    spoken = "; ".join(f"{one.name} {one.rate.value.text}" for one in found)
    title = "Part of a campaign's applications that ended in a hire"
    return _plan("campaigns", title, spoken, alt.layer(*layers), width, 34 * len(rows) + 10)


def _campaign_row(one: Campaign, top: float) -> dict[str, Any]:
    return {
        "label": one.name,
        "value": one.rate.value.value,
        "low": one.rate.interval.low.value if one.rate.interval else None,
        "high": one.rate.interval.high.value if one.rate.interval else None,
        "at": max(one.rate.value.value or 0.0, _EDGE * top),
        "text": one.rate.value.text,
    }


# ---------------------------------------------------------------- parts


def _dots(base: alt.Chart, scale: alt.Scale) -> list[Any]:
    """Rows as dots with their interval and their number."""
    import altair as alt

    axis = alt.Axis(title=None, format="%", tickCount=5)
    return [
        base.mark_rule(strokeWidth=7, color=PALE, strokeCap="round").encode(
            x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q"
        ),
        base.mark_point(size=90, filled=True, color=MARK, opacity=1).encode(x=alt.X("value:Q", scale=scale, axis=axis)),
        base.mark_text(dy=-14, color=INK).encode(x=alt.X("at:Q", scale=scale, axis=axis), text="text:N"),
    ]


def _by_label(rows: Sequence[dict[str, Any]], width: int) -> alt.Y:
    """The names beside the rows, with room for a font that is wider than the one they were measured in."""
    import altair as alt

    most = 200 if width < _PHONE else 260
    room = min(most, max(len(row["label"]) for row in rows) * _LETTER)
    return alt.Y(
        "label:N",
        sort=[row["label"] for row in rows],
        axis=alt.Axis(
            title=None, ticks=False, domain=False, grid=False, labelLimit=most, minExtent=room, labelPadding=9
        ),
    )


def _key() -> alt.Legend:
    import altair as alt

    return alt.Legend(title=None, orient="top", symbolType="square", symbolSize=120)


def _plan(name: str, title: str, description: str, chart: Any, width: int, height: int) -> _Plan:
    """The chart with the style that all share; `autosize` makes the whole picture `width` wide, labels included."""
    styled = (
        chart.properties(width=width, height=height, autosize={"type": "fit-x", "contains": "padding"}, padding=4)
        .configure(font="Liberation Sans, Arial, sans-serif", background="transparent")
        .configure_view(stroke=None)
        .configure_axis(
            labelFontSize=_TEXT,
            titleFontSize=_TEXT,
            titleFontWeight="normal",
            labelColor=INK,
            titleColor=INK,
            gridColor=LINE,
            domainColor="#7b8894",
            tickColor="#7b8894",
        )
        .configure_legend(labelFontSize=_TEXT, labelColor=INK)
        .configure_text(fontSize=_TEXT)
    )
    return _Plan(name, title, description, styled.to_dict())


def _short_amount(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value / 1000:,.1f}k" if abs(value) >= 1000 else f"{value:,.0f}"
