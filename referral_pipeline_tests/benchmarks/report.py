"""What the leadership report costs over a million applications, and how much of it is the bare renderer.

Belongs here: running the steps in processes of their own, and the figures. Does not belong here: the data (kpi_data),
computing the KPIs (the product's own; how long that takes is the benchmark `kpis`).

The marts are those that a refresh leaves in the warehouse: three years, ten thousand advocates, and a row of mart.kpi
for each of them and each month in which anything was counted.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.scaffold import sandbox_contract
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.benchmarks.kpi_data import AS_OF, build
from referral_pipeline_tests.benchmarks.result import Result

MOST_SECONDS, MOST_BYTES = 5.0, 1_000_000
_ROOT = Path(__file__).resolve().parents[2]


def run(quick: bool) -> Result:
    """Make the data and its marts, then write the report in a fresh process, where everything is cold."""
    applications = 100_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        _step("make", folder, str(applications))
        made = _step("compute", folder)
        started = time.perf_counter()
        report = _step("report", folder)
        process = time.perf_counter() - started
    figures: dict[str, float | int | str] = {
        "applications": applications,
        "kpi_rows": int(made["rows"]),
        "charts": int(report["charts"]),
        "first_seconds": round(report["first"], 2),
        "process_seconds": round(process - report["after"], 2),
        "read_seconds": round(report["read"], 2),
        "page_seconds": round(report["page"], 2),
        "workbook_seconds": round(report["workbook"], 2),
        "bare_render_seconds": round(report["bare"], 2),
        "html_bytes": int(report["html_bytes"]),
        "xlsx_bytes": int(report["xlsx_bytes"]),
    }
    again = report["read"] + report["page"] + report["workbook"]
    return Result(
        name="report",
        figures=figures,
        ratios={
            "first_to_bare_render": round(report["first"] / report["bare"], 2),
            "again_to_bare_render": round(again / report["bare"], 2),
        },
        # Every headline is known: the page that was timed is one with numbers on it.
        holds=report["first"] < MOST_SECONDS and report["html_bytes"] < MOST_BYTES and report["unknown"] == 0,
    )


def _step(name: str, *arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "referral_pipeline_tests.benchmarks.report", name, *arguments]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"step {name} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def main() -> None:
    """`STEP FOLDER [ARGUMENT]`: one step in this process, told as one JSON object."""
    step, folder, *rest = sys.argv[1:]
    home = Path(folder)
    warehouse = Warehouse(home / "warehouse.duckdb", home=home, published_dir=home / "published")
    if step == "make":
        build(warehouse, int(rest[0]))
        answer: dict[str, float] = {}
    else:
        answer = _compute(warehouse) if step == "compute" else _report(warehouse, home / "published")
    print(json.dumps(answer))


def _compute(warehouse: Warehouse) -> dict[str, float]:
    from referral_pipeline.kpis.compute import compute_kpis
    from referral_pipeline.warehouse.costs import allocate_costs

    allocate_costs(warehouse)
    return {"rows": compute_kpis(warehouse, parse_contract(sandbox_contract()), as_of=AS_OF)["mart.kpi"]}


def _report(warehouse: Warehouse, folder: Path) -> dict[str, float]:
    """The whole report first, as a refresh writes it; then each of its parts once more, and the charts alone."""
    contract = parse_contract(sandbox_contract())
    started = time.perf_counter()
    from referral_pipeline.reports.leadership import html, write_leadership_report

    with warehouse.connect():
        written = write_leadership_report(warehouse, contract, folder, as_of=AS_OF)
    first = time.perf_counter()

    from referral_pipeline.reports.charts import specifications
    from referral_pipeline.reports.page import read_page
    from referral_pipeline.reports.renderer import rendered
    from referral_pipeline.reports.workbook import workbook

    with warehouse.connect():
        page = read_page(warehouse, contract, as_of=AS_OF)
    read = time.perf_counter()
    html(page)
    drawn = time.perf_counter()
    workbook(page)
    filled = time.perf_counter()
    charts = specifications(page)
    described = time.perf_counter()
    rendered(charts)
    ended = time.perf_counter()
    return {
        "first": first - started,
        "read": read - first,
        "page": drawn - read,
        "workbook": filled - drawn,
        "bare": ended - described,
        "after": ended - first,
        "charts": len(charts),
        "unknown": sum(headline.value.value is None for headline in page.headlines),
        "html_bytes": written.html.stat().st_size,
        "xlsx_bytes": written.xlsx.stat().st_size,
    }


if __name__ == "__main__":
    main()
