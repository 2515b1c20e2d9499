"""The leadership report as files: one HTML page that needs nothing else, and the same numbers as a workbook.

Belongs here: rendering and putting in place. Does not belong here: what is on it (`page`), its charts (`charts`), the
sheets (`workbook`), wording (`words`), computing a number (marts).

The page holds no script, loads nothing from anywhere, and names no person.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from referral_pipeline.contract.models import Contract
from referral_pipeline.reports.charts import draw
from referral_pipeline.reports.files import put
from referral_pipeline.reports.headlines import Headline
from referral_pipeline.reports.marts import ReadsTables
from referral_pipeline.reports.page import Page, read_page
from referral_pipeline.reports.svg import sparkline
from referral_pipeline.reports.words import UNKNOWN
from referral_pipeline.reports.workbook import workbook

FILE_NAME = "leadership.html"
WORKBOOK_NAME = "leadership.xlsx"


@dataclass(frozen=True)
class Written:
    """Where the report is, and its headline numbers."""

    html: Path
    xlsx: Path
    headlines: tuple[Headline, ...]


def write_leadership_report(
    warehouse: ReadsTables, contract: Contract, published_dir: Path, *, as_of: datetime, is_backdated: bool = False
) -> Written:
    """Write `leadership.html` and `leadership.xlsx` into `published_dir`, each by atomic rename.

    Args:
        warehouse: whose marts are read; nothing else is.
        contract: its KPIs with their 90-day targets are the headline.
        published_dir: made when it does not exist.
        as_of: the moment the numbers are for, aware.
        is_backdated: whether that moment was chosen, over the facts of today.
    """
    page = read_page(warehouse, contract, as_of=as_of, is_backdated=is_backdated)
    drawn, sheets = html(page), workbook(page)  # both before either is put in place
    return Written(
        html=put(published_dir / FILE_NAME, drawn),
        xlsx=put(published_dir / WORKBOOK_NAME, sheets),
        headlines=page.headlines,
    )


def html(page: Page) -> bytes:
    """The page as one HTML file in UTF-8."""
    charts = {
        name: Markup(drawn.wide + drawn.narrow)  # noqa: S704 - written by our own serialiser, which escapes
        for name, drawn in draw(page).items()
    }
    return _template().render(page=page, charts=charts, unknown=UNKNOWN, sparkline=_sparkline).encode()


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("referral_pipeline.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(f"{FILE_NAME}.j2")


def _sparkline(headline: Headline) -> Markup:
    assert headline.trend is not None
    return Markup(sparkline(headline.trend, name=f"trend-{headline.kpi}"))  # noqa: S704 - it escapes what it is given
