"""The command `drift`: what has changed in the APIs of the systems, and accepting it.

Belongs here: arguments, drawing, exit codes. Does not belong here: learning (connectors.shapes), judging
(monitoring.drift), keeping (ledger).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from referral_pipeline.ledger.store import Ledger
    from referral_pipeline.monitoring.drift import Drift
    from referral_pipeline.monitoring.drift_alerts import Told

_COLOURS = {"info": "dim", "warning": "yellow", "error": "red"}
_COLUMNS = ("id", "state", "weight", "system", "operation", "change", "what to do")


@click.group(invoke_without_command=True)
@click.pass_context
def drift(ctx: click.Context) -> None:
    """What has changed in the APIs of the systems; without a command, as `drift list`."""
    if ctx.invoked_subcommand is None:
        _list(show_all=False, as_json=False)


@drift.command("list")
@click.option("--all", "show_all", is_flag=True, help="Also what is over or accepted.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_drift(show_all: bool, as_json: bool) -> None:
    """Show what has changed and stands. Exit 1 when an error is among it."""
    _list(show_all=show_all, as_json=as_json)


def _list(*, show_all: bool, as_json: bool) -> None:
    from referral_pipeline.orchestration.steps_schema_drift import row_of

    drifts, _, _ = _on_the_ledger()
    shown = [one for one in drifts if show_all or one.is_open]
    if as_json:
        click.echo(json.dumps({"drifts": [row_of(one) for one in shown]}, indent=2, default=_plain))
    else:
        _show(shown, hidden=len(drifts) - len(shown))
    if any(one.is_open and one.severity == "error" for one in drifts):
        sys.exit(1)


@drift.command()
@click.argument("ids", nargs=-1)
@click.option("--all", "accept_all", is_flag=True, help="All that stands now.")
@click.option("--by", required=True, metavar="ADDRESS", help="Who accepts it.")
@click.option("--why", required=True, metavar="WORDS", help="Why it is right as it is.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def accept(ids: tuple[str, ...], accept_all: bool, by: str, why: str, as_json: bool) -> None:
    """Accept changes by their ids: from now on answers are expected to be so, and the alert is over."""
    if accept_all == bool(ids):
        raise click.UsageError("name the ids of `drift list`, or --all")
    if "@" not in by.strip("@"):
        raise click.UsageError("--by takes the address of a person")
    drifts, accepted, told = _on_the_ledger(ids, accept_all=accept_all, by=by, why=why)
    left = sum(one.is_open for one in drifts)
    if as_json:
        click.echo(json.dumps({"accepted": accepted, "alerts_resolved": told.resolved if told else 0, "open": left}))
        return
    click.echo(f"accepted: {', '.join(accepted) or 'nothing'}; still open: {left}")


def _on_the_ledger(
    ids: Sequence[str] = (), *, accept_all: bool = False, by: str = "", why: str = ""
) -> tuple[Sequence[Drift], list[str], Told | None]:
    """What there is (after accepting what is named), the ids that were accepted, and what the owner was told."""
    from referral_pipeline.contract.loader import load_contract
    from referral_pipeline.ledger.store import Ledger
    from referral_pipeline.monitoring.alerts import AlertDesk
    from referral_pipeline.monitoring.drift_alerts import tell
    from referral_pipeline.orchestration.state import state_folder
    from referral_pipeline.orchestration.steps_schema_drift import look_at_drift
    from referral_pipeline.settings import load_settings

    settings = load_settings()
    contract = load_contract(settings)
    state_folder(settings)
    with Ledger.open(contract.ledger.url, home=settings.home) as ledger:
        drifts = look_at_drift(contract, ledger).drifts
        if not ids and not accept_all:
            return drifts, [], None
        chosen = _chosen(drifts, ids, ledger, by, why)
        drifts = look_at_drift(contract, ledger).drifts
        with AlertDesk(contract, settings, ledger, background=False) as desk:
            return drifts, chosen, tell(drifts, desk, ledger, settings)


def _chosen(drifts: Sequence[Drift], ids: Sequence[str], ledger: Ledger, by: str, why: str) -> list[str]:
    standing = {one.id: one for one in drifts if one.is_open}
    unknown = [one for one in ids if one not in standing]
    if unknown:
        raise click.ClickException(f"nothing that stands is called {', '.join(unknown)}; `drift list` shows the ids")
    chosen = list(dict.fromkeys(ids)) or list(standing)
    ledger.accept_shapes([standing[one].fact.key for one in chosen], by=by, why=why)
    return chosen


def _show(drifts: Sequence[Drift], *, hidden: int) -> None:
    rows = [_cells(one) for one in drifts]
    if rows and sys.stdout.isatty():
        _draw(rows)
    else:  # a line a change, for grep and cut
        for row in rows:
            click.echo("\t".join(row))
    more = f"; {hidden} that are over or accepted are left out (--all shows them)" if hidden else ""
    click.echo(f"changes: {len(drifts)}{more}")


def _cells(one: Drift) -> tuple[str, ...]:
    from referral_pipeline.escapes import visible
    from referral_pipeline.monitoring.drift_words import what, what_to_do

    fact = one.fact
    cells = (one.id, one.state.value, one.severity, fact.system, fact.operation, what(one), what_to_do(one))
    return tuple(visible(cell) for cell in cells)


def _draw(rows: Sequence[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Changes of the APIs", title_justify="left")
    for column in _COLUMNS:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
    Console().print(table)


def _plain(value: Any) -> str:
    return value.isoformat()
