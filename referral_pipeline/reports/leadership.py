"""The leadership page: one HTML file that needs nothing else, readable on a phone and on A4.

Belongs here: rendering the page and putting it in place. Does not belong here: what is on it (`page`), wording
(`words`), computing a number (marts).

The file holds no script, loads nothing from anywhere, and names no person.
"""

from __future__ import annotations

import os
import tempfile
from datetime import datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from referral_pipeline.contract.models import Contract
from referral_pipeline.reports.page import ReadsTables, read_page
from referral_pipeline.reports.words import UNKNOWN

FILE_NAME = "leadership.html"


def write_leadership_report(
    warehouse: ReadsTables, contract: Contract, published_dir: Path, *, as_of: datetime
) -> Path:
    """Write `leadership.html` into `published_dir` by atomic rename and answer its path.

    Args:
        warehouse: where `mart.kpi` and `mart.funnel` are read.
        contract: its KPIs with their 90-day targets are the headline.
        published_dir: made when it does not exist.
        as_of: the moment the numbers are for, aware.
    """
    page = read_page(warehouse, contract, as_of=as_of)
    html = _template().render(page=page, unknown=UNKNOWN)
    published_dir.mkdir(parents=True, exist_ok=True)
    return _put(published_dir / FILE_NAME, html)


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


def _put(path: Path, text: str) -> Path:
    """Write beside and rename: a reader sees the old page or the new one, never half of one."""
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o644)  # mkstemp gives 600; the page is for reading
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    return path
