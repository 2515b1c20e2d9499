"""The report as a workbook: one sheet a table, typed cells, no formula.

Belongs here: sheets, columns, number formats. Does not belong here: the numbers (`page`).

Numbers are numbers in full precision and dates are dates; an empty cell is a number that is not known, and the column
beside it says why. A text is never taken for a formula, whatever it begins with. The same page gives the same bytes.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from referral_pipeline.money import decimals_of
from referral_pipeline.reports.figures import Figure, Interval
from referral_pipeline.reports.headlines import QuarterFigure, quarter_figure
from referral_pipeline.reports.hiring import CHANNELS, Rate
from referral_pipeline.reports.page import Page
from referral_pipeline.reports.words import readable

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

Cell = str | float | int | date | None

_FORMATS = {"ratio": "0.0%", "days": "#,##0.0", "s": "#,##0.0", "count": "#,##0", "date": "yyyy-mm-dd"}
_MOST_TEXT = 32_767
_MOST_DECIMALS = 12
_WIDEST = 60
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Column:
    """A column by its heading; `form` is text, date, or the unit of its numbers, `by_unit` that of the row's."""

    heading: str
    form: str = "text"


@dataclass(frozen=True)
class Sheet:
    """A table. In a column `by_unit` a cell is a Figure, which knows its own unit."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell | Figure, ...], ...]


def workbook(page: Page) -> bytes:
    """The workbook as bytes of an XLSX file."""
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.worksheets[0])
    for sheet in sheets(page):
        _fill(book.create_sheet(sheet.title), sheet, page.currency)
    made = page.at.astimezone(UTC).replace(tzinfo=None, microsecond=0)
    book.properties.title = "Referral programme"
    book.properties.creator = "referral-pipeline"
    book.properties.created = made
    buffer = io.BytesIO()
    book.save(buffer)
    return _settled(buffer.getvalue(), made)


def sheets(page: Page) -> Iterator[Sheet]:
    """Every table of the report."""
    yield _summary(page)
    yield _kpis(page)
    yield _trend(page)
    yield _changes(page)
    yield _funnel(page)
    yield _time_to_hire(page)
    yield _curve(page)
    yield _cost_per_hire(page)
    yield _roi(page)
    yield _campaigns(page)
    yield _participation(page)
    yield _coverage(page)
    yield _quality(page)
    yield Sheet("Definitions", (Column("KPI"), Column("Definition")), page.definitions)


# ---------------------------------------------------------------- the sheets


def _summary(page: Page) -> Sheet:
    columns = (
        *(Column("KPI"), Column("Value", "by_unit"), Column("Low", "by_unit"), Column("High", "by_unit")),
        *(Column("Target side"), Column("Target", "by_unit"), Column("Verdict"), Column("Counted"), Column("As of")),
    )
    rows = tuple(
        (
            *(one.label, one.value, *_ends(one.interval)),
            *(one.target_side, one.target, one.verdict.words, one.basis.text if one.basis else None, page.as_of),
        )
        for one in page.headlines
    )
    return Sheet("Summary", columns, rows)


def _kpis(page: Page) -> Sheet:
    """The rows of mart.kpi that the report is made from, as they are."""
    columns = (
        *(Column("kpi"), Column("period_kind"), Column("period_start", "date"), Column("segment_kind")),
        *(Column("segment"), Column("value", "by_unit"), Column("unit"), Column("numerator", "count")),
        *(Column("denominator", "count"), Column("ci_low", "by_unit"), Column("ci_high", "by_unit")),
        *(Column("maturity"), Column("target", "by_unit")),
    )

    def raw(value: float | None, unit: str) -> Figure:
        return Figure(value, unit, "")

    rows = tuple(
        (
            *(row.kpi, row.period_kind, row.period_start, row.segment_kind, row.segment, raw(row.value, row.unit)),
            *(f"currency ({row.currency})" if row.unit == "currency" else row.unit, row.numerator),
            *(row.denominator, raw(row.ci_low, row.unit), raw(row.ci_high, row.unit), row.maturity),
            raw(row.target, row.unit),
        )
        for row in page.rows
    )
    return Sheet("KPIs", columns, rows)


def _trend(page: Page) -> Sheet:
    columns = (
        *(Column("KPI"), Column("Quarter"), Column("Quarter begins", "date"), Column("Value", "by_unit")),
        *(Column("Low", "by_unit"), Column("High", "by_unit"), Column("Counted"), Column("State")),
    )
    found = (
        quarter_figure(row, row.quarter) for row in page.rows if row.quarter is not None and row.segment_kind == "all"
    )
    return Sheet("Trend", columns, tuple(_quarter(one) for one in found))


def _quarter(one: QuarterFigure) -> tuple[Cell | Figure, ...]:
    return (
        *(one.label, _plain(one.quarter.name), one.quarter.start, one.value, *_ends(one.interval)),
        *(one.basis.text if one.basis else None, one.state or "Known"),
    )


def _changes(page: Page) -> Sheet:
    columns = (
        *(Column("KPI"), Column("Quarter"), Column("Value", "by_unit"), Column("Quarter before")),
        *(Column("Value before", "by_unit"), Column("Difference", "by_unit"), Column("Low", "by_unit")),
        *(Column("High", "by_unit"), Column("Reading")),
    )
    rows = tuple(
        (
            *(one.label, _plain(one.now.quarter.name), one.now.value),
            *((_plain(one.before.quarter.name), one.before.value) if one.before else (None, None)),
            *(one.difference, *_ends(one.interval), one.verdict.words),
        )
        for one in page.changes.rows
    )
    return Sheet("Changes", columns, rows)


def _funnel(page: Page) -> Sheet:
    columns = (
        *(Column("Stage"), Column("Count, all time", "count"), Column("Which part goes on"), *_RATE),
        Column("Other channels", "ratio"),
    )
    rows = tuple(
        (
            *(step.label, step.count),
            *((step.goes_on.label, *_rate(step.goes_on)) if step.goes_on else (None,) * 6),
            step.goes_on.others if step.goes_on else None,
        )
        for step in page.funnel
    )
    return Sheet("Funnel", columns, rows)


def _time_to_hire(page: Page) -> Sheet:
    columns = (
        *(Column("Channel"), Column("Hires", "count"), Column("Median days", "days"), Column("Low", "days")),
        *(Column("High", "days"), Column("25 of 100", "days"), Column("75 of 100", "days")),
        *(Column("90 of 100", "days"), Column("State")),
    )
    found = page.time_to_hire
    rows: list[tuple[Cell | Figure, ...]] = [
        (one.label, one.hires, one.median, *_ends(one.interval), one.p25, one.p75, one.p90, one.state or "Known")
        for one in (found.channels if found else ())
    ]
    if found is not None and found.difference is not None:
        state = "Known" if found.difference.value is not None else found.difference.text
        ends = _ends(found.difference_interval)
        rows.append(("Advocates less others", None, found.difference, *ends, None, None, None, state))
    return Sheet("Time to hire", columns, tuple(rows))


def _curve(page: Page) -> Sheet:
    columns = (
        *(Column("Channel"), Column("Day", "count"), Column("At risk", "count"), Column("Hires so far", "count")),
        *(Column("Chance of a hire", "ratio"), Column("Low", "ratio"), Column("High", "ratio")),
    )
    points = page.time_to_hire.curve if page.time_to_hire else ()
    rows = tuple(
        (
            *(CHANNELS.get(point.channel, point.channel), point.day, point.at_risk, point.hires),
            *(point.probability, point.ci_low, point.ci_high),
        )
        for point in points
    )
    return Sheet("Hire curve", columns, rows)


def _cost_per_hire(page: Page) -> Sheet:
    columns = (
        *(Column("Period"), Column("Quarter begins", "date"), Column("Channel")),
        *(Column(f"Cost per hire ({page.currency})", "currency"), Column(f"Costs ({page.currency})", "smallest")),
        *(Column("Hires", "count"), Column("State")),
    )
    rows = tuple(
        (
            *(_plain(period.label), period.quarter.start if period.quarter else None, one.channel),
            *(one.value, one.amount, one.hires, one.state or "Known"),
        )
        for period in (page.costs.periods if page.costs else ())
        for one in period.channels
    )
    return Sheet("Cost per hire", columns, rows)


def _roi(page: Page) -> Sheet:
    columns = (Column("Input"), Column("Value", "by_unit"), Column("Unit"), Column("Reading"))
    if page.roi is None:
        return Sheet("ROI inputs", columns, ())
    found = (
        ("Cost per hire, other channels", page.roi.other_cost_per_hire, page.currency, None),
        ("Cost per hire, advocates", page.roi.advocacy_cost_per_hire, page.currency, None),
        ("Hires through advocates", page.roi.advocacy_hires, "hires", None),
        ("Cost of the programme", page.roi.programme_cost, page.currency, None),
        ("Return on the programme", page.roi.value, "ratio", page.roi.words),
    )
    return Sheet("ROI inputs", columns, found)


def _campaigns(page: Page) -> Sheet:
    columns = (Column("Campaign"), Column("Hires in the rate", "count"), *_RATE, Column("Against all"))
    rows = tuple((one.name, one.hires, *_rate(one.rate), one.against_all.words) for one in page.campaigns)
    return Sheet("Campaigns", columns, rows)


def _participation(page: Page) -> Sheet:
    columns = (
        *(Column("Period"), Column("Quarter begins", "date"), Column("Part of advocates", "ratio")),
        *(Column("Low", "ratio"), Column("High", "ratio"), Column("Counted"), Column("State")),
    )
    if page.participation is None:
        return Sheet("Participation", columns, ())
    total = page.participation.total
    rows = [_quarter(one)[1:] for one in page.participation.quarters]
    return Sheet("Participation", columns, (*((("To date", None, *_rate(total)),) if total else ()), *rows))


def _coverage(page: Page) -> Sheet:
    columns = (
        *(Column("What"), Column("Complete", "count"), Column("Of all", "count"), Column("Part", "ratio")),
        *(Column("Low", "ratio"), Column("High", "ratio")),
    )
    rows = tuple((one.label, one.complete, one.total, one.rate, *_ends(one.interval)) for one in page.coverage)
    return Sheet("Coverage", columns, rows)


def _quality(page: Page) -> Sheet:
    columns = (Column("Number", "by_unit"), Column("What"))
    return Sheet("Data quality", columns, tuple((line.figure, line.text) for line in page.quality))


_RATE = (
    *(Column("Part", "ratio"), Column("Low", "ratio"), Column("High", "ratio"), Column("Counted"), Column("State")),
)


def _rate(rate: Rate) -> tuple[Cell | Figure, ...]:
    return (rate.value, *_ends(rate.interval), rate.basis.text if rate.basis else None, rate.state or "Known")


def _ends(interval: Interval | None) -> tuple[Figure | None, Figure | None]:
    return (interval.low, interval.high) if interval else (None, None)


def _plain(text: str) -> str:
    return text.replace("\u00a0", " ")


# ---------------------------------------------------------------- cells


def _fill(worksheet: Worksheet, sheet: Sheet, currency: str) -> None:
    from openpyxl.styles import Alignment, Border, Font, Side
    from openpyxl.utils import get_column_letter

    worksheet.freeze_panes = "A2"
    worksheet.sheet_view.showGridLines = False
    bold, line = Font(bold=True), Border(bottom=Side(style="medium", color="17222D"))
    for number, column in enumerate(sheet.columns, start=1):
        head = worksheet.cell(1, number)
        _set(head, column.heading, "text", currency)
        is_text = column.form in {"text", "date"}
        head.font, head.border = bold, line
        head.alignment = Alignment(horizontal="left" if is_text else "right", vertical="top", wrap_text=True)
        for place, row in enumerate(sheet.rows, start=2):
            _set(worksheet.cell(place, number), row[number - 1], column.form, currency)
        widths = [len(_shown(row[number - 1])) for row in sheet.rows]
        width = max([len(column.heading) if is_text else 12, *widths])
        worksheet.column_dimensions[get_column_letter(number)].width = min(width, _WIDEST) + 2
        if width > _WIDEST:
            for place in range(2, len(sheet.rows) + 2):
                worksheet.cell(place, number).alignment = Alignment(wrap_text=True, vertical="top")


def _shown(value: Cell | Figure) -> str:
    return "" if value is None else value.text if isinstance(value, Figure) else str(value)


def _set(cell: Any, value: Cell | Figure, form: str, currency: str) -> None:
    unit = value.unit if isinstance(value, Figure) and form == "by_unit" else form
    plain = value.value if isinstance(value, Figure) else value
    if plain is None:
        return
    if isinstance(plain, str):
        cell.value = _plain(readable(plain))[:_MOST_TEXT]
        # Set after the value: openpyxl takes a text that begins with = for a formula.
        cell.data_type = "s"
        cell.quotePrefix = True
        return
    if unit == "smallest" and not isinstance(plain, date):
        plain = plain / 10 ** decimals_of(currency)
    elif isinstance(plain, float) and unit == "count" and plain.is_integer():
        plain = int(plain)
    cell.value = plain
    if isinstance(plain, float):
        # openpyxl writes 16 digits of a float, one too few to read the same one back.
        cell.value, cell.data_type = repr(plain), "n"
    decimals = decimals_of(currency)
    money = "#,##0" + ("." + "0" * decimals if decimals else "")
    if unit == "ratio" and isinstance(plain, float):
        cell.number_format = f"0.{'0' * _decimals(plain)}%"
    else:
        cell.number_format = money if unit in {"currency", "smallest"} else _FORMATS.get(unit, "General")


def _decimals(ratio: float) -> int:
    """How many decimals a ratio in percent needs so as not to read 0 or 100 % when it is neither."""
    for decimals in range(1, _MOST_DECIMALS):
        if not any(ratio != edge and f"{100 * ratio:.{decimals}f}" == f"{100 * edge:.{decimals}f}" for edge in (0, 1)):
            return decimals
    return _MOST_DECIMALS


def _settled(content: bytes, made: datetime) -> bytes:
    """The file without the moment at which it was written, which openpyxl puts in twice."""
    buffer = io.BytesIO()
    stamp = f"{made.isoformat()}Z"
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in sorted(old.namelist()):
            data = old.read(entry)
            if entry == "docProps/core.xml":
                text = re.sub(r"(<dcterms:modified[^>]*>)[^<]*", rf"\g<1>{stamp}", data.decode())
                data = text.encode()
            information = zipfile.ZipInfo(entry, _EPOCH)
            information.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(information, data)
    return buffer.getvalue()
