"""The command `scorecard`: what a vendor claims against what the audit of the APIs found, and two systems side by side.

Belongs here: arguments, drawing, exit codes. Does not belong here: the comparison (monitoring.api_audit.scorecard).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--claims", type=_FILE, help="What a vendor says (YAML), held against the newest audit here.")
@click.option("--beside", type=_FILE, help="The JSON of another audit (`audit-api --out`), beside the newest one here.")
@click.option("--side", type=click.Choice(["ats", "advocacy"]), default="ats", show_default=True, help="For --beside.")
@click.option("--template", "system", metavar="SYSTEM", help="Print a file of claims for this system, to fill in.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the Markdown there as well.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def scorecard(
    claims: Path | None, beside: Path | None, side: str, system: str | None, out: Path | None, as_json: bool
) -> None:
    """Hold a vendor's claims, or another system, against the newest audit of the APIs. Calls no system.

    Exit code 1 when a claim is not true of something that a phase in use needs.
    """
    from referral_pipeline.monitoring.api_audit import scorecard as room

    if sum(one is not None for one in (claims, beside, system)) != 1:
        raise click.UsageError("Give one of --claims, --beside and --template.")
    facts = _newest()
    try:
        if system is not None:
            click.echo(room.template(facts, system), nl=False)
            return
        if claims is not None:
            card = room.score(room.read_claims(claims.read_text(encoding="utf-8")), facts)
            text, plain, is_broken = room.scorecard_markdown(card), card.as_json(), bool(card.broken)
            header = ("capability", "claimed", "found", "verdict", "evidence")
            rows = [
                (_starred(one), one.claimed.value, one.found, one.verdict.value, one.evidence) for one in card.claims
            ]
            words = f"{card.holding} of {card.verified} claims that could be verified hold."
        else:
            assert beside is not None
            both = room.beside(facts, _read(beside), side)
            text, plain, is_broken = room.beside_markdown(both), both.as_json(), False
            header = ("capability", both.left, both.right)
            rows = [(_starred(row), row.left or "-", row.right or "-") for row in both.rows]
            counts = [sum(row.better == which for row in both.rows) for which in ("left", "right")]
            words = f"{both.left} does more in {counts[0]} lines, {both.right} in {counts[1]}."
    except room.ClaimsError as error:
        raise click.ClickException(str(error)) from None
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    if as_json:
        click.echo(json.dumps(plain, indent=2))
    else:
        _show(header, rows)
        click.echo(words)
    if is_broken:
        sys.exit(1)


def _newest() -> dict[str, Any]:
    from referral_pipeline.orchestration.liveness import open_ledger
    from referral_pipeline.orchestration.steps_api_audit import KIND
    from referral_pipeline.settings import load_settings

    with open_ledger(load_settings()) as (_, ledger):
        newest = next(iter(ledger.verifications(KIND, limit=1)), None)
    if newest is None:
        raise click.ClickException("nothing was audited yet: run `referral-pipeline audit-api` first")
    return dict(newest.facts)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict) and all(
            {"system", "side", "name", "standing"} <= set(one) for one in found["lines"]
        ):
            return found
    except (ValueError, KeyError, TypeError):
        pass
    raise click.ClickException(f"{path.name} is no audit: take the api_capability.json of `audit-api --out FOLDER`")


def _starred(one: Any) -> str:
    return f"{one.title}{' *' if one.needed else ''}"


def _show(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="* needed by a phase in use", title_justify="left")
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else 160).print(table)
