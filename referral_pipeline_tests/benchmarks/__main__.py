"""The command line of the benchmarks.

Belongs here: choosing, running, printing. Does not belong here: what is measured; each benchmark is one module with
`run(quick: bool) -> Result`.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from referral_pipeline_tests.benchmarks.result import Result

NAMES = (
    *(
        "attribution",
        "chaos",
        "crash",
        "event_burst",
        "event_latency",
        "health",
        "identity",
        "kpis",
        "receiver",
        "refresh",
        "report",
        "shapes",
    ),
)


def machine() -> dict[str, object]:
    """What the numbers were measured on."""
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "system": platform.system(),
    }


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--quick", is_flag=True, help="Smaller sizes, for a first look.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def main(names: Sequence[str], quick: bool, as_json: bool) -> None:
    """Run the named benchmarks, or all. Exit code 1 when a benchmark finds that a truth does not hold."""
    results: list[Result] = []
    for name in names or NAMES:
        click.echo(f"{name} ...", err=True)
        module = importlib.import_module(f"referral_pipeline_tests.benchmarks.{name}")
        results.append(module.run(quick))
    described = [{**asdict(result), "machine": machine()} for result in results]
    if as_json:
        click.echo(json.dumps(described, indent=2))
    else:
        for result in described:
            click.echo(f"\n{result['name']}")
            for group in ("figures", "ratios"):
                for key, value in result[group].items():
                    click.echo(f"  {key}: {value}")
    sys.exit(0 if all(result.holds for result in results) else 1)


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[2])
    main()
