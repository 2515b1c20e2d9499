"""SVG inside the page: small, named for those who do not see it, and free of what an HTML page does not need.

Belongs here: cleaning what the chart renderer made, and the sparkline, which is too small to need a renderer. Does not
belong here: which charts there are (`charts`).

Everything that was rendered is parsed and written anew, so that a text from the data stays a text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from xml.etree import ElementTree

from referral_pipeline.reports.headlines import Trend
from referral_pipeline.reports.renderer import RenderFailed

_DROPPED = {
    "class",
    "role",
    "aria-label",
    "aria-hidden",
    "aria-roledescription",
    "pointer-events",
    "stroke-miterlimit",
} | {
    *("font-family", "version", "style"),
}
_NUMBER = re.compile(r"-?\d+\.\d{2,}")
_ROUNDED = {"d", "transform", "x", "y", "x1", "x2", "y1", "y2", "width", "height", "cx", "cy", "r", "viewBox"}


def embedded(svg: str, *, name: str, title: str, description: str, css_class: str) -> str:
    """A rendered chart as an element of an HTML page.

    Args:
        svg: what the renderer made.
        name: unique on the page; ids begin with it.
        title: the accessible name.
        description: the same in words, for those who do not see the chart.
        css_class: of the element.

    Raises:
        RenderFailed: it is no whole SVG.
    """
    try:
        root = ElementTree.fromstring(svg)  # noqa: S314 - our own renderer made it
    except ElementTree.ParseError as error:
        raise RenderFailed("what vl-convert drew is no whole SVG") from error
    if _tag(root) != "svg":
        raise RenderFailed("what vl-convert drew is no SVG")
    view = root.get("viewBox", "")
    _clean(root)
    root.attrib.clear()
    root.attrib |= {
        "class": css_class,
        "viewBox": _short(view),
        "role": "img",
        "aria-labelledby": f"{name}-title",
        "aria-describedby": f"{name}-text",
    }
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(tag, {"id": f"{name}-{'title' if tag == 'title' else 'text'}"})
        element.text = text
        root.insert(place, element)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def _clean(element: ElementTree.Element) -> None:
    """Drop what draws nothing: the background, empty paths, attributes that only an interactive chart needs."""
    for child in list(element):
        if child.get("display") == "none" or (_tag(child) == "path" and child.get("class") == "background"):
            element.remove(child)
            continue
        _clean(child)
        if _tag(child) == "g" and not len(child):
            element.remove(child)
    element.tag = _tag(element)
    for attribute, value in list(element.attrib.items()):
        if attribute in _DROPPED:
            del element.attrib[attribute]
        elif attribute in _ROUNDED:
            element.attrib[attribute] = _short(value)


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _short(numbers: str) -> str:
    """A tenth of a pixel is as much as anybody sees."""
    return _NUMBER.sub(lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), numbers)


# ---------------------------------------------------------------- sparkline

_WIDTH, _HEIGHT, _MARGIN = 220, 40, 6


def sparkline(trend: Trend, *, name: str) -> str:
    """The last quarters of a KPI as a line; a quarter that is not known yet is a dotted upright, never a low point."""
    places = _places(len(trend.quarters))
    values = [one.value.value for one in trend.quarters]
    known = [value for value in values if value is not None]
    drawn = "".join(
        f'<line class="young" x1="{x}" x2="{x}" y1="{_MARGIN}" y2="{_HEIGHT - _MARGIN}"/>'
        for x, value in zip(places, values, strict=True)
        if value is None
    )
    if known:
        heights = [None if value is None else _height(value, min(known), max(known)) for value in values]
        for run in _runs(places, heights):
            points = " ".join(f"{x},{y}" for x, y in run)
            drawn += f'<polyline points="{points}"/>' if len(run) > 1 else ""
        dots = [(x, y) for x, y in zip(places, heights, strict=True) if y is not None]
        drawn += "".join(f'<circle cx="{x}" cy="{y}" r="2"/>' for x, y in dots[:-1])
        drawn += f'<circle cx="{dots[-1][0]}" cy="{dots[-1][1]}" r="4"/>'
    label = escape(trend.words, quote=True)
    return (
        f'<svg class="spark" id="{escape(name, quote=True)}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
        f' aria-label="{label}">{drawn}</svg>'
    )


def _places(number: int) -> list[float]:
    step = (_WIDTH - 2 * _MARGIN) / max(number - 1, 1)
    return [round(_MARGIN + step * i, 1) for i in range(number)]


def _height(value: float, low: float, high: float) -> float:
    part = 0.5 if high == low else (value - low) / (high - low)
    return round(_HEIGHT - _MARGIN - part * (_HEIGHT - 2 * _MARGIN), 1)


def _runs(places: Sequence[float], heights: Sequence[float | None]) -> list[list[tuple[float, float]]]:
    """Neighbouring quarters that are known; a line never bridges one that is not."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(places, heights, strict=True):
        if y is None:
            runs.append([])
        else:
            runs[-1].append((x, y))
    return [run for run in runs if run]
