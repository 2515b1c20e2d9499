"""The command `health`: how the integration is, and the alert rules for Prometheus.

Belongs here: arguments, drawing, the exit code. Does not belong here: measuring and judging (monitoring).
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from referral_pipeline.monitoring.health import Health, HealthRow

_COLOURS = {"ok": "green", "unknown": "dim", "warning": "yellow", "error": "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--all", "show_all", is_flag=True, help="Also every operation of each system that is well.")
@click.option("--rules", is_flag=True, help="Print an alert rule file for Prometheus, made from the contract.")
def health(as_json: bool, show_all: bool, rules: bool) -> None:
    """Measure how the integration is, from the ledger alone, and list open alerts. Exit 1 on an error of a measure."""
    from referral_pipeline.contract.loader import load_contract
    from referral_pipeline.monitoring.health import Severity
    from referral_pipeline.orchestration.steps_health import measure_health
    from referral_pipeline.settings import load_settings

    settings = load_settings()
    if rules:
        from referral_pipeline.monitoring.prometheus import rules_yaml

        click.echo(rules_yaml(load_contract(settings)), nl=False)
        return
    found = measure_health(settings)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
    else:
        _show(found, show_all=show_all)
    if found.severity is Severity.ERROR:
        sys.exit(1)


def _show(found: Health, *, show_all: bool) -> None:
    from referral_pipeline.monitoring.health import Severity
    from referral_pipeline.monitoring.messages import line, time_words

    rows = [
        row
        for row in found.rows
        if show_all or row.operation is None or row.severity in (Severity.WARNING, Severity.ERROR)
    ]
    if sys.stdout.isatty():
        _print_table(rows)
    else:  # a line a measure, for grep and cut
        for row in rows:
            click.echo("\t".join(_cells(row)))
    for row in rows:
        if row.severity is Severity.ERROR:
            click.echo(f"{row.measure} {row.subject}: {row.what_to_do}")
    for alert in found.alerts:
        told = (f"open {alert.severity}", alert.name, line(alert.subject), f"since {time_words(alert.since)}")
        click.echo("\t".join((*told, f"how many: {alert.times}")))
    hidden = len(found.rows) - len(rows)
    more = f"; {hidden} operations that are well or unknown are left out (--all shows them)" if hidden else ""
    click.echo(f"health: {found.words}{more}")


def _cells(row: HealthRow) -> tuple[str, ...]:
    from referral_pipeline.monitoring.page import number

    return (
        row.severity.value,
        row.measure,
        row.subject,
        number(row, row.value),
        number(row, row.threshold),
        row.evidence,
    )


def _print_table(rows: list[HealthRow]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Health", title_justify="left")
    for column in ("state", "measure", "of", "value", "limit", "evidence"):
        table.add_column(column, justify="right" if column in {"value", "limit"} else "left", overflow="fold")
    for row in rows:
        state, *others = _cells(row)
        table.add_row(Text(state, style=_COLOURS[state]), *(Text(cell) for cell in others))
    Console().print(table)
