"""One step of the attribution benchmark in a process of its own, so that its peak memory is its own.

Belongs here: `make`, `build`, `check` and `export` on a warehouse in a folder. Does not belong here: the peer
(attribution_peer.py), what is made of the figures (attribution.py).

Prints one JSON object.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from referral_pipeline.attribution.models import MODELS
from referral_pipeline.warehouse.core import TOUCHES_AT_ONCE
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.benchmarks.attribution_data import make

TABLES = (
    "core.attribution_touch",
    "core.bonus_application",
    "core.attribution_credit",
    "mart.attribution_comparison",
)
VARIABLES = {
    "lookback_days": 90,
    "attribution_model": "last_touch",
    "bonus_cents": 200_000,
    "bonus_split": "payee",
    "pay_rehires": False,
}


def build(warehouse: Warehouse) -> dict[str, object]:
    """Credit all applications under all five models; seconds by table."""
    seconds: dict[str, float] = {}
    before = resource.getrusage(resource.RUSAGE_SELF)
    with warehouse.connect():
        parts = 1 + warehouse.row_count("core.touchpoint") // TOUCHES_AT_ONCE
        for table in TABLES:
            started = time.perf_counter()
            warehouse.build(table, parts=1 if table == "core.bonus_application" else parts, **VARIABLES)
            seconds[table] = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "rss_mib": used.ru_maxrss // 1024, "cpu_seconds": cpu}


def check(warehouse: Warehouse) -> dict[str, object]:
    """How many applications have weights of any model that do not sum to exactly 1; and credit by campaign."""
    sums = " OR ".join(f"sum({model}) <> 1" for model in MODELS)
    with warehouse.connect() as connection:
        off = connection.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM mart.attribution_comparison GROUP BY application_key HAVING {sums})"
        ).fetchall()[0][0]
        credited = connection.execute(
            "SELECT count(DISTINCT application_key) FROM mart.attribution_comparison"
        ).fetchall()[0][0]
    return {"off": off, "credited": credited}


def export(warehouse: Warehouse, path: Path) -> dict[str, object]:
    """The touches that count, as the peer reads them; and what each model gives each campaign here.

    Of equal times the peer keeps no order: microseconds that it does not count put the touches in ours.
    """
    columns = ", ".join(f"sum({model})::DOUBLE" for model in MODELS)
    with warehouse.connect() as connection:
        connection.execute(
            "COPY (SELECT application_key AS journey, campaign_tag AS channel, true AS converted,"
            " (occurred_at + to_microseconds(place))::TIMESTAMP AS at"
            f" FROM core.attribution_touch WHERE verdict = 'counts') TO '{path}' (FORMAT parquet)"
        )
        rows = connection.execute(
            f"SELECT campaign_tag, {columns} FROM core.attribution_touch WHERE verdict = 'counts' GROUP BY 1"
        ).fetchall()
    return {model: {row[0]: row[1 + number] for row in rows} for number, model in enumerate(MODELS)}


def main() -> None:
    """`STEP FOLDER [ARGUMENT]`."""
    step, folder, *rest = sys.argv[1:]
    home = Path(folder)
    warehouse = Warehouse(home / "warehouse.duckdb", home=home, published_dir=home / "published")
    if step == "make":
        answer: dict[str, object] = {"touches": make(warehouse, int(rest[0]))}
    elif step == "export":
        answer = export(warehouse, Path(rest[0]))
    else:
        answer = {"build": build, "check": check}[step](warehouse)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
