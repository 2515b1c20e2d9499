"""Every KPI of a million applications: seconds, peak memory and rows, beside the bare counting in SQL.

Belongs here: running the steps in processes of their own, and the figures. Does not belong here: the data (kpi_data).

The bare counting is what no other way could leave out: the facts of each rate, grouped by every period and segment in
DuckDB, with no interval, no maturity and nothing stored.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.kpis.compute import RATES, compute_kpis, facts_of, prepared
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.benchmarks.kpi_data import AS_OF, build
from referral_pipeline_tests.benchmarks.result import Result

_ROOT = Path(__file__).resolve().parents[2]


def run(quick: bool) -> Result:
    """Make the data, then compute and count in fresh processes."""
    applications = 100_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        made = _step("make", folder, str(applications))
        computed = _step("compute", folder)
        counted = _step("count", folder)
    figures: dict[str, float | int | str] = {
        "applications": applications,
        "advocates": applications // 100,
        "seconds_to_make_the_data": round(made["seconds"], 1),
        "seconds": round(computed["seconds"], 1),
        "peak_rss_mib": int(computed["rss_mib"]),
        "rows": int(computed["rows"]),
        "kpis": int(computed["kpis"]),
        "bare_counting_seconds": round(counted["seconds"], 1),
        "bare_counting_peak_rss_mib": int(counted["rss_mib"]),
    }
    ratios = {"to_bare_counting_seconds": round(computed["seconds"] / counted["seconds"], 2)}
    return Result("kpis", figures, ratios, holds=computed["wrong"] == 0 and computed["rows"] > 0)


def _step(name: str, *arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "referral_pipeline_tests.benchmarks.kpis", name, *arguments]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"step {name} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def main() -> None:
    """`STEP FOLDER [ARGUMENT]`: one step in this process, told as one JSON object."""
    step, folder, *rest = sys.argv[1:]
    home = Path(folder)
    warehouse = Warehouse(home / "warehouse.duckdb", home=home, published_dir=home / "published")
    contract = parse_contract((_ROOT / "data" / "integration.yaml").read_text(encoding="utf-8"))
    answer: dict[str, float] = {}
    started = time.perf_counter()
    if step == "make":
        build(warehouse, int(rest[0]))
    elif step == "count":
        with prepared(warehouse, contract, as_of=AS_OF) as inputs:
            for rate in RATES:
                if not rate.counts_itself:
                    with facts_of(inputs, rate) as counting:
                        inputs.connection.execute(f"CREATE OR REPLACE TEMP TABLE counted AS {counting}")
    else:
        answer["rows"] = compute_kpis(warehouse, contract, as_of=AS_OF)["mart.kpi"]
    answer["seconds"] = time.perf_counter() - started
    answer["rss_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    if step == "compute":
        with warehouse.connect() as connection:
            wrong = "count(*) FILTER (WHERE (value IS NOT NULL) <> (maturity = 'mature'))"
            answer["wrong"], answer["kpis"] = connection.execute(
                f"SELECT {wrong}, count(DISTINCT kpi) FROM mart.kpi"
            ).fetchall()[0]
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
