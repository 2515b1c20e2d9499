"""The command group `audit`: the field accuracy audit, now and before.

Belongs here: arguments, drawing, exit codes. Does not belong here: the audit (quality.field_audit), its words
(quality.field_audit.words).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from referral_pipeline.ledger.records import Verification

_SHOWN = 20
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def audit() -> None:
    """Compare a sample of records in both systems, field by field."""


# ---------------------------------------------------------------- run


@audit.command()
@click.option("--sample", type=click.IntRange(25, 5000), help="How many records; by default what the contract says.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Draws the same records as an audit with this seed.")
@click.option(
    "--claim",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="At most this share is wrong (0.02): draws as many records as that claim needs, if none of them is wrong.",
)
@_json
def run(sample: int | None, seed: int | None, claim: float | None, as_json: bool) -> None:
    """Audit now: draw records, read them from both systems, compare. Nothing is written to either.

    Exit code 1 when the contract's minimum accuracy, or the claim, is not shown, or there is no record to look at.
    """
    from referral_pipeline.cli import progress, require_ready
    from referral_pipeline.orchestration.assets.field_audit import ASSET
    from referral_pipeline.orchestration.liveness import open_ledger
    from referral_pipeline.orchestration.run import run_job
    from referral_pipeline.settings import load_settings

    settings = load_settings()
    require_ready(settings)
    given = {"sample": sample, "seed": seed, "claim": claim}
    config = {name: value for name, value in given.items() if value is not None} | {"made_by": "audit run"}
    run_config = {"ops": {"audit_fields": {"config": config}}}
    with progress(quiet=as_json) as sink:
        outcome = run_job("monthly_audit", settings, sink=sink, run_config=run_config)
    kept_as = outcome.number(ASSET, "audit_id")
    with open_ledger(settings) as (_, ledger):
        kept = next((one for one in ledger.verifications("field_audit") if one.id == kept_as), None)
    if kept is None:
        words = next(iter(outcome.errors.values()), "the run ended without an audit").splitlines()[0].rstrip(".")
        raise click.ClickException(words)
    if as_json:
        click.echo(json.dumps({**_as_json(kept), "run_id": outcome.run_id}, indent=2))
    elif kept.facts["population"]:
        _show(kept, claim)
    else:
        click.echo("too few records: run `referral-pipeline refresh` first")
    if (
        not kept.facts["population"]
        or kept.facts["verdict"] == "not_shown"
        or (claim is not None and not _is_shown(kept.facts, claim))
    ):
        sys.exit(1)


def _is_shown(facts: Mapping[str, Any], claim: float) -> bool:
    from referral_pipeline.quality.field_audit.words import record_rate

    lower = record_rate(facts)["lower"]
    return lower is not None and 1 - lower <= claim


def _show(kept: Verification, claim: float | None) -> None:
    from rich.console import Console
    from rich.table import Table

    from referral_pipeline.quality.field_audit.judge import percent
    from referral_pipeline.quality.field_audit.words import claim_words, mismatch_words, outcome_words, what_to_do

    facts = kept.facts
    table = Table(title=f"Field accuracy audit {kept.id}, seed {facts['seed']}", title_justify="left")
    for name in ("field", "checked", "wrong", "accuracy", "at least", "how"):
        is_text = name in {"field", "how"}
        table.add_column(name, justify="left" if is_text else "right", overflow="fold", no_wrap=name != "how")
    for one in facts["rates"]:
        unreadable = {"unreadable": one["unreadable"]} if one["unreadable"] else {}
        how = ", ".join(f"{n.replace('_', ' ')} {c}" for n, c in {**one["differences"], **unreadable}.items() if c)
        field = "records" if one["field"] == "record" else f"{one['side']}.{one['field']}"
        mark = "[bold red]" if one["wrong"] else ""
        cells = (field, str(one["checked"]), str(one["wrong"]), percent(one["accuracy"]), percent(one["lower"]), how)
        table.add_row(*(f"{mark}{cell}" if cell else "" for cell in cells))
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    for one in facts["mismatches"][:_SHOWN]:
        click.echo(
            f"  referral {one['referral_id']}, application {one['application_id']}: {one['side']}.{one['field']} "
            f"{one['difference'].replace('_', ' ')}: expected {one['expected']}, found {one['found']}"
        )
    if facts["mismatches_in_all"] > _SHOWN:
        click.echo(f"  and {facts['mismatches_in_all'] - _SHOWN} more; --json lists them")
    for referral_id in facts["unreadable_ids"][:_SHOWN]:
        click.echo(f"  referral {referral_id}: it or its application could not be read")
    for name, words in (("under_way", "with a change under way"), ("held_back", "held back meanwhile")):
        if facts[name]:
            click.echo(f"{facts[name]} records {words} are not counted")
    click.echo(f"{outcome_words(facts)}.")
    click.echo(f"{mismatch_words(facts)}.")
    if claim is not None:
        click.echo(f"{claim_words(facts, claim)}.")
    if facts["verdict"] == "not_shown" or facts["mismatches_in_all"] or facts["unreadable"]:
        click.echo(f"What to do: {what_to_do(facts)}")


# ---------------------------------------------------------------- list


@audit.command(name="list")
@click.option("--limit", default=24, show_default=True, type=click.IntRange(1, 1000), help="At most so many.")
@_json
def list_(limit: int, as_json: bool) -> None:
    """Show the audits made so far, newest first."""
    from referral_pipeline.orchestration.liveness import open_ledger
    from referral_pipeline.settings import load_settings

    with open_ledger(load_settings()) as (_, ledger):
        found = ledger.verifications("field_audit", limit=limit)
    if as_json:
        click.echo(json.dumps({"audits": [_as_json(one) for one in found]}, indent=2))
        return
    rows = [_line(one) for one in found]
    if not rows:
        click.echo("no audit was made yet: run `referral-pipeline audit run`")
    elif sys.stdout.isatty():
        _print_table(rows)
    else:  # a line an audit, for grep and cut
        for row in rows:
            click.echo("\t".join(row))


_COLUMNS = ("id", "made at", "seed", "counted", "wrong", "accuracy", "at least", "verdict", "worst field", "made by")


def _line(one: Verification) -> tuple[str, ...]:
    from referral_pipeline.quality.field_audit.judge import percent
    from referral_pipeline.quality.field_audit.words import record_rate, worst_first

    record, worst = record_rate(one.facts), worst_first(one.facts)
    return (
        str(one.id),
        f"{one.made_at:%Y-%m-%d %H:%M}",
        str(one.facts["seed"]),
        str(record["checked"]),
        str(record["wrong"]),
        percent(record["accuracy"]),
        percent(record["lower"]),
        str(one.facts["verdict"]).replace("_", " "),
        f"{worst[0]['side']}.{worst[0]['field']}" if worst else "",
        one.made_by,
    )


def _print_table(rows: Iterable[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Field accuracy audits", title_justify="left")
    for column in _COLUMNS:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _as_json(kept: Verification) -> dict[str, Any]:
    """An audit as one object: its facts, and under which number, when, where and for what it was made."""
    return {
        "id": kept.id,
        "made_at": kept.made_at.isoformat(),
        "made_by": kept.made_by,
        "environment": kept.environment,
        "fingerprint": kept.fingerprint,
        "passed": kept.passed,
        **kept.facts,
    }
