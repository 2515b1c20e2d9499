"""What the leadership report costs over the marts of a million applications, and how much of it is the bare renderer.

The marts are filled to the size that a million applications, ten thousand advocates and three years give: a million
rows of mart.kpi, most of them by advocate and month, around those that the report shows.
"""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.scaffold import sandbox_contract
from referral_pipeline.reports.charts import specifications
from referral_pipeline.reports.leadership import html, write_leadership_report
from referral_pipeline.reports.page import read_page
from referral_pipeline.reports.renderer import rendered
from referral_pipeline.reports.workbook import workbook
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.benchmarks.result import Result
from referral_pipeline_tests.unit.report_marts import fill

AS_OF = datetime(2026, 9, 30, 8, 5, tzinfo=UTC)
MOST_SECONDS, MOST_BYTES = 5.0, 1_000_000

_CROWD = """
INSERT INTO mart.kpi
SELECT kpi, 'month', DATE '2023-10-01' + to_months((i % 36)::INTEGER), 'advocate', 'A' || (i // 36), 0.1, 'ratio', 1,
  10, 0.01, 0.4, 'mature', NULL
FROM range($rows // 3) AS t(i), (VALUES ('referral_conversion_rate'), ('apply_to_interview_rate'), ('roi')) AS k(kpi)
"""


def run(quick: bool) -> Result:
    """Write the report twice, the first time with everything cold, and draw the same charts alone."""
    rows = 30_000 if quick else 1_000_000
    contract = parse_contract(sandbox_contract())
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        warehouse = Warehouse("w.duckdb", home=home, published_dir=home / "published")
        with warehouse.connect() as connection:
            fill(connection)
            connection.execute(_CROWD, {"rows": rows})
        started = time.perf_counter()
        with warehouse.connect():
            written = write_leadership_report(warehouse, contract, home / "published", as_of=AS_OF)
        whole = time.perf_counter() - started
        started = time.perf_counter()
        with warehouse.connect():
            page = read_page(warehouse, contract, as_of=AS_OF)
        read = time.perf_counter() - started
        started = time.perf_counter()
        html(page)
        drawn = time.perf_counter() - started
        started = time.perf_counter()
        workbook(page)
        filled = time.perf_counter() - started
        charts = specifications(page)
        started = time.perf_counter()
        rendered(charts)
        bare = time.perf_counter() - started
        size = written.html.stat().st_size
    return Result(
        name="report",
        figures={
            "kpi_rows": rows,
            "charts": len(charts),
            "first_seconds": round(whole, 2),
            "read_seconds": round(read, 2),
            "page_seconds": round(drawn, 2),
            "workbook_seconds": round(filled, 2),
            "bare_render_seconds": round(bare, 2),
            "html_bytes": size,
            "xlsx_bytes": len(workbook(page)),
        },
        ratios={
            "first_to_bare_render": round(whole / bare, 2),
            "again_to_bare_render": round((read + drawn + filled) / bare, 2),
        },
        holds=whole < MOST_SECONDS and size < MOST_BYTES,
    )
