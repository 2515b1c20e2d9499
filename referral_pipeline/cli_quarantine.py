"""The command `quarantine`: which rows were set aside, why, and how to mend each, without a single value.

Belongs here: arguments and drawing. Does not belong here: what is set aside (warehouse.staging, the connectors),
keeping and reading it (warehouse.quarantine).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from referral_pipeline.escapes import visible

if TYPE_CHECKING:
    from referral_pipeline.warehouse.quarantine import Kept

_COLUMNS = ("system", "entity", "record", "level", "field", "problem", "found", "mend")
_WAIT_SECONDS = 30.0
"""For a run that holds the warehouse; each of its steps does so for seconds."""


@click.command()
@click.option("--system", help="Only of this system: advocacy, greenhouse, or files (costs).")
@click.option("--entity", help="Only of this kind, such as referrals, candidates or costs.")
@click.option("--record", "record_id", metavar="ID", help="Only this record.")
@click.option("--field", help="Only this field, such as email.")
@click.option("--level", type=click.Choice(["record", "field"]), help="Only what was left out whole, or lost a field.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 100_000), help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def quarantine(
    system: str | None,
    entity: str | None,
    record_id: str | None,
    field: str | None,
    level: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show what the last refresh set aside: a line a problem, with what the value looks like and never the value."""
    wanted = {"system": system, "entity": entity, "record_id": record_id, "field": field, "level": level}
    found, total = _read({name: value for name, value in wanted.items() if value is not None}, limit)
    if as_json:
        click.echo(json.dumps({"problems": [asdict(one) for one in found], "total": total}, indent=2))
        return
    rows = [tuple(visible(cell) for cell in _cells(one)) for one in found]
    if rows and sys.stdout.isatty():
        _draw(rows)
    else:  # a line a problem, for grep and cut
        for row in rows:
            click.echo("\t".join(row))
    more = f"; --limit {total} shows all" if total > len(found) else ""
    click.echo(f"shown: {len(found)} of {total}{more}" if total else "nothing is set aside")


def _read(wanted: dict[str, str], limit: int) -> tuple[list[Kept], int]:
    from referral_pipeline.contract.loader import load_contract
    from referral_pipeline.settings import load_settings
    from referral_pipeline.warehouse.quarantine import read_quarantine
    from referral_pipeline.warehouse.store import Warehouse

    settings = load_settings()
    url = load_contract(settings).warehouse.url
    warehouse = Warehouse(
        url, home=settings.home, published_dir=settings.published_dir, busy_timeout_seconds=_WAIT_SECONDS
    )
    if not warehouse.path.exists():
        raise click.ClickException("nothing was read yet: run `referral-pipeline refresh`")
    return read_quarantine(warehouse, wanted, limit=limit)


def _cells(one: Kept) -> tuple[str, ...]:
    return one.system, one.entity, one.record_id, one.level, one.field, one.problem, one.shape, one.mend


def _draw(rows: Sequence[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Set aside", title_justify="left")
    for column in _COLUMNS:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
