"""The command `go-live`: what stands between the sandbox and production, and who let it pass.

Belongs here: arguments and drawing. Does not belong here: what is asked for, approval and its signed copy
(quality.go_live), the verifications (check, audit-api, refresh, audit, attribution, parallel-run).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from referral_pipeline.contract.models import Contract
    from referral_pipeline.ledger.store import Ledger
    from referral_pipeline.quality.go_live import Approval, Standing
    from referral_pipeline.settings import Settings

_STATE = {"passed": "[green]passed", "failed": "[red]failed", "old": "[yellow]too old", "missing": "[yellow]missing"}


@click.command(name="go-live")
@click.option("--approve", is_flag=True, help="Approve production, in the sandbox's installation.")
@click.option("--revoke", is_flag=True, help="Take the approval back; writes stop within a minute.")
@click.option("--by", metavar="ADDRESS", default="", help="Who approves or revokes: an e-mail address.")
@click.option("--reason", metavar="WORDS", default="", help="Why.")
@click.option(
    "--export", "export_to", type=click.Path(dir_okay=False, path_type=Path), help="Write it to a signed file."
)
@click.option(
    "--import",
    "import_from",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Take one from a file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def go_live(
    approve: bool,
    revoke: bool,
    by: str,
    reason: str,
    export_to: Path | None,
    import_from: Path | None,
    as_json: bool,
) -> None:
    """Show what production waits for; approve it, take it there, or take it back. Exit code 1 while it waits.

    Production writes nothing before the contract, the stage map and the connectors that it runs with were verified in
    the sandbox and approved. A change of any of them needs a new approval.
    """
    from referral_pipeline.quality import go_live as gate

    if sum((approve, revoke, export_to is not None, import_from is not None)) > 1:
        raise click.UsageError("give one of --approve, --revoke, --export and --import")
    if (by or reason) and not (approve or revoke):
        raise click.UsageError("--by and --reason belong to --approve or --revoke: give one of them")
    with _installation() as (settings, contract, ledger):
        now = datetime.now(UTC)
        try:
            if approve:
                gate.approve(contract, ledger, by=by, reason=reason, now=now)
            elif revoke:
                gate.revoke(contract, ledger, by=by, reason=reason)
            elif export_to is not None:
                text = gate.exported(contract, ledger, key=settings.secret(gate.APPROVAL_KEY), now=now)
                export_to.write_text(text, encoding="utf-8")
            elif import_from is not None:
                text = import_from.read_text(encoding="utf-8", errors="replace")
                key = settings.secret(gate.APPROVAL_KEY)
                gate.import_approval(text, contract, ledger, key=key, now=now)
        except gate.GoLiveRefused as refused:
            raise click.ClickException(str(refused)) from None
        found = gate.standings(contract, ledger, now=now)
        approval = gate.approval_of(contract, ledger)
    if as_json:
        click.echo(json.dumps(gate.as_json(found, approval, contract), indent=2))
    else:
        _show(contract, found, approval, export_to)
    if not revoke and (approval is None or not approval.approved):
        sys.exit(1)


@contextmanager
def _installation() -> Generator[tuple[Settings, Contract, Ledger]]:
    from referral_pipeline.orchestration.liveness import open_ledger
    from referral_pipeline.settings import load_settings

    settings = load_settings()
    with open_ledger(settings) as (contract, ledger):
        yield settings, contract, ledger


def _show(contract: Contract, found: Sequence[Standing], approval: Approval | None, export_to: Path | None) -> None:
    from rich.console import Console
    from rich.table import Table

    if contract.environment == "sandbox":
        table = Table(title="Before production", title_justify="left")
        for name in ("what", "state", "when", "by", "what to do"):
            table.add_column(name)
        for standing in found:
            made = standing.found
            table.add_row(
                standing.requirement.title,
                _STATE[standing.state],
                f"{made.made_at:%Y-%m-%d %H:%M} UTC" if made else "",
                made.made_by if made else "",
                "" if standing.holds else standing.requirement.mend,
            )
        Console(width=None if sys.stdout.isatty() else 160).print(table)
        holding = sum(standing.holds for standing in found)
        click.echo(f"{holding} of {len(found)} requirements hold.")
    else:
        click.echo("What was verified is in the sandbox's installation; here counts what was approved there.")
    if approval is None:
        lacking = sum(not standing.holds for standing in found)
        waits = f"{lacking} of {len(found)} are not met" if lacking else "--approve --by ADDRESS --reason WORDS"
        click.echo(f"Not approved: {waits}." if contract.environment == "sandbox" else "Not approved: --import FILE.")
    else:
        word = "Approved" if approval.approved else "Revoked"
        click.echo(f"{word} by {approval.by} on {approval.at:%Y-%m-%d %H:%M} UTC: {approval.reason}")
    if export_to is not None:
        click.echo(f"wrote {export_to}")
