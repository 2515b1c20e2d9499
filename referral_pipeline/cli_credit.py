"""The command group `credit`: the owner's overrides of who has the credit for an application.

Belongs here: arguments, drawing, waking the lane. Does not belong here: who may decide about what (sync.overrides),
what follows from it (sync, warehouse).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from referral_pipeline.contract.models import Contract
    from referral_pipeline.ledger.store import Ledger, Override


@contextmanager
def _installation() -> Generator[tuple[Contract, Ledger]]:
    from referral_pipeline.orchestration.liveness import open_ledger
    from referral_pipeline.settings import load_settings
    from referral_pipeline.sync.overrides import OverrideRefused

    with open_ledger(load_settings()) as own:
        try:
            yield own
        except OverrideRefused as refusal:
            raise click.ClickException(str(refusal)) from refusal


_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_reason = click.option("--reason", required=True, metavar="TEXT", help="Why. It is kept for good: name no candidate.")
_by = click.option("--by", required=True, metavar="EMAIL", help="Who decides: the owner that the contract names.")


@click.group()
def credit() -> None:
    """Decide disputes: give all credit for an application to one referral, or to nobody."""


@credit.command()
@click.argument("application", metavar="APPLICATION")
@click.option("--referral", "referral_id", metavar="ID", help="The referral that has all the credit.")
@click.option("--nobody", is_flag=True, help="Nobody has credit.")
@_reason
@_by
@_json
def override(application: str, referral_id: str | None, nobody: bool, reason: str, by: str, as_json: bool) -> None:
    """Decide who has the credit for APPLICATION (31, or greenhouse:31), whatever the model says.

    The ATS and the advocacy platform follow: the advocate on the application, and what is recognised for a hire. An
    earlier decision about the same application is revoked by this one.
    """
    from referral_pipeline.orchestration.liveness import wake_lane
    from referral_pipeline.sync import overrides

    if nobody == (referral_id is not None):
        raise click.UsageError("say who has the credit: --referral ID, or --nobody")
    with _installation() as (contract, ledger):
        key = overrides.application_key(application, contract)
        made = overrides.override(ledger, contract, key, referral_id, reason=reason, by=by)
        woken = wake_lane(ledger)
    if as_json:
        click.echo(json.dumps(_as_json(made), indent=2))
        return
    whose = f"referral {referral_id} has" if referral_id else "nobody has"
    click.echo(f"Override {made.id}: {whose} the credit for application {key}.")
    _say_when(woken)


@credit.command()
@click.argument("application", metavar="APPLICATION")
@_reason
@_by
@_json
def revoke(application: str, reason: str, by: str, as_json: bool) -> None:
    """Take back the decision about APPLICATION, so that the contract's model pays again."""
    from referral_pipeline.orchestration.liveness import wake_lane
    from referral_pipeline.sync import overrides

    with _installation() as (contract, ledger):
        key = overrides.application_key(application, contract)
        taken = overrides.revoke(ledger, contract, key, reason=reason, by=by)
        model = contract.rules.attribution.model
        woken = wake_lane(ledger)
    if as_json:
        click.echo(json.dumps(_as_json(taken), indent=2))
        return
    click.echo(f"Override {taken.id} is revoked: {model} decides about application {key} again.")
    _say_when(woken)


@credit.command(name="list")
@click.option("--all", "every", is_flag=True, help="Those that were revoked too.")
@_json
def list_(every: bool, as_json: bool) -> None:
    """Show the decisions in force, newest first."""
    with _installation() as (_, ledger):
        found = list(reversed(ledger.overrides(in_force=not every)))
    if as_json:
        click.echo(json.dumps({"overrides": [_as_json(one) for one in found]}, indent=2))
    elif not found:
        click.echo(
            "No decision: the contract's model decides everywhere." if not every else "No decision was ever made."
        )
    elif sys.stdout.isatty():
        _print_table(found)
    else:  # a line a decision, for grep and cut
        for one in found:
            click.echo("\t".join(_row(one)))


_COLUMNS = ("id", "application", "credit", "decided", "by", "reason", "revoked")


def _row(one: Override) -> tuple[str, ...]:
    revoked = f"{_short(one.revoked_at)} {one.revoked_reason}" if one.revoked_at is not None else ""
    return (
        str(one.id),
        one.application_key,
        one.referral_id or "nobody",
        _short(one.decided_at),
        one.decided_by,
        one.reason,
        revoked,
    )


def _print_table(found: Sequence[Override]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="Decisions about credit", title_justify="left")
    for column in _COLUMNS:
        fixed = column in {"id", "application", "decided"}
        table.add_column(column, justify="right" if column == "id" else "left", overflow="fold", no_wrap=fixed)
    for one in found:
        table.add_row(*(escape(text) for text in _row(one)), style=None if one.is_in_force else "dim")
    Console().print(table)


def _as_json(one: Override) -> dict[str, Any]:
    return {
        "id": one.id,
        "application": one.application_key,
        "referral_id": one.referral_id,
        "reason": one.reason,
        "decided_by": one.decided_by,
        "decided_at": one.decided_at.isoformat(),
        "revoked_at": one.revoked_at.isoformat() if one.revoked_at is not None else None,
        "revoked_by": one.revoked_by,
        "revoked_reason": one.revoked_reason,
    }


def _say_when(woken: bool) -> None:
    if woken:
        click.echo("The lane brings it to both systems now; the tables follow with the next refresh.")
    else:
        click.echo("No lane beats: the next `referral-pipeline refresh` brings it to both systems, or start `lane`.")


def _short(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}" if moment is not None else ""
