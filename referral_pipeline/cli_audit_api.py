"""The command `audit-api`: what the APIs of the configured systems can do, in writing.

Belongs here: arguments, drawing, exit codes. Does not belong here: the audit and its words (monitoring.api_audit).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from referral_pipeline.ledger.records import Verification

_MARK = {"covered": "[green]covered", "partial": "[yellow]partial", "not verified": "[yellow]not verified"}


@click.command(name="audit-api")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Write the Markdown and the JSON there as well."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def audit_api(out: Path | None, as_json: bool) -> None:
    """Ask every system what it can do, and hold it against the contract. Exit code 1 when something needed lacks.

    In a sandbox one candidate is created and taken back as far as the API can (deleted, anonymized or archived), and
    what the advocacy platform holds is sent to it again.
    In production nothing is written.
    """
    from referral_pipeline.cli import progress, require_ready
    from referral_pipeline.monitoring.api_audit.words import JSON, MARKDOWN
    from referral_pipeline.orchestration.assets.api_capability import ASSET
    from referral_pipeline.orchestration.liveness import open_ledger
    from referral_pipeline.orchestration.run import run_job
    from referral_pipeline.orchestration.steps_api_audit import KIND, write_audit
    from referral_pipeline.settings import load_settings

    settings = load_settings()
    require_ready(settings)
    run_config = {"ops": {"audit_apis": {"config": {"made_by": "audit-api"}}}}
    with progress(quiet=as_json) as sink:
        outcome = run_job("api_audit", settings, sink=sink, run_config=run_config)
    kept_as = outcome.number(ASSET, "audit_id")
    with open_ledger(settings) as (_, ledger):
        kept = next((one for one in ledger.verifications(KIND) if one.id == kept_as), None)
    if kept is None:
        words = next(iter(outcome.errors.values()), "the run ended without an audit").splitlines()[0].rstrip(".")
        raise click.ClickException(words)
    written = [settings.published_dir / name for name in (MARKDOWN, JSON)] if out is None else write_audit(kept, out)
    if as_json:
        click.echo(json.dumps({**_as_json(kept), "files": [str(path) for path in written]}, indent=2))
    else:
        _show(kept, written)
    if not kept.passed:
        sys.exit(1)


def _as_json(kept: Verification) -> dict[str, Any]:
    from referral_pipeline.monitoring.api_audit.words import as_json

    names = {*kept.facts["missing"], *kept.facts["unanswered"]}
    problems = [
        {"key": key, "problem": one["evidence"], "mend": one["consequence"]}
        for one in kept.facts["lines"]
        if (key := f"{one['system']} {one['name']}") in names
    ]
    return {"ok": kept.passed, "problems": problems, **as_json(kept)}


def _show(kept: Verification, written: Any) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from referral_pipeline.monitoring.api_audit.words import outcome_words, what_to_do

    table = Table(title="What the APIs can do (* needed by a phase in use)", title_justify="left")
    for name in ("system", "capability", "standing", "evidence"):
        table.add_column(name, overflow="fold")
    for one in kept.facts["lines"]:
        bad = "[red]missing" if one["needed"] else "[yellow]missing"
        star = " *" if one["needed"] else ""
        table.add_row(one["system"], f"{one['title']}{star}", _MARK.get(one["standing"], bad), escape(one["evidence"]))
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    for path in written:
        click.echo(f"wrote {path}")
    click.echo(f"{'Passed' if kept.passed else 'Not passed'}: {outcome_words(kept.facts)}.")
    if not kept.passed:
        click.echo(f"What to do: {what_to_do(kept.facts)}.")
