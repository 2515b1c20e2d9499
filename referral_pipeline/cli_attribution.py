"""The command group `attribution`: what the ATS carries against what attribution says, and mending it.

Belongs here: arguments, drawing, exit codes. Does not belong here: what is wrong (quality.attribution_validation), what
a repair may do (sync.tag_repair).

Nothing here shows personal data: what stands in a field is shown when it is an id or campaign of the advocacy platform,
and by its shape otherwise.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from referral_pipeline.orchestration.bridge import Bridge
    from referral_pipeline.quality.attribution_validation import Found, Validation
    from referral_pipeline.sync.tag_repair import Repaired, RepairStep

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_LIVE = (
    "Read what is found once more from the ATS before it is told. New damage shows after a pull "
    "(`referral-pipeline reconcile`)."
)
_SHOWN = 50
_BACKDATED = (
    "the tables stand at a moment that somebody chose (refresh --as-of), and credit was another then: run "
    "`referral-pipeline refresh`, then this again"
)


@contextmanager
def _installation(*, quiet: bool) -> Generator[Bridge]:
    """The bridge, while nobody else writes to the systems."""
    from referral_pipeline.cli import progress
    from referral_pipeline.orchestration.bridge import Bridge
    from referral_pipeline.orchestration.writer_lock import AnotherRunError, single_writer
    from referral_pipeline.settings import load_settings

    settings = load_settings()
    with progress(quiet=quiet) as sink:
        try:
            with single_writer(settings.state_dir, wait=False), Bridge.open(settings, progress=sink) as bridge:
                yield bridge
        except AnotherRunError as error:
            raise click.ClickException(str(error)) from error


@click.group()
def attribution() -> None:
    """Validate what the ATS carries of attribution: advocate, content, campaign; and repair it."""


# ---------------------------------------------------------------- validate


@attribution.command()
@click.option("--live", is_flag=True, help=_LIVE)
@_json
def validate(live: bool, as_json: bool) -> None:
    """List what is wrong between applications in the ATS and their attribution, as of the last pull.

    Exit code 1 when something stands wrong now. Nothing is written to a system.
    """
    from referral_pipeline.orchestration.steps_attribution_validation import validate_attribution

    with _installation(quiet=as_json) as bridge:
        validation = validate_attribution(bridge, live=live, anew=True, made_by="attribution validate")
    _refuse_backdated(validation)
    if as_json:
        click.echo(json.dumps(_validation_as_json(validation), indent=2))
    else:
        _show(validation)
    if validation.open:
        sys.exit(1)


def _refuse_backdated(validation: Validation) -> None:
    if not validation.is_judged:
        raise click.ClickException(_BACKDATED)


def _show(validation: Validation) -> None:
    from referral_pipeline.quality.attribution_validation import counted

    rows = [_line(one) for one in validation.found]
    if rows and sys.stdout.isatty():
        _print_table(rows[:_SHOWN])
        if len(rows) > _SHOWN:
            click.echo(f"and {len(rows) - _SHOWN} more; --json lists them")
    else:  # a line a finding, for grep and cut
        for row in rows:
            click.echo("\t".join(row))
    own = validation.compared
    waiting = validation.not_judged
    mend = "run `referral-pipeline refresh`, then validate again"
    later = f"; {waiting} were written after the last pull: {mend}" if waiting else ""
    click.echo(f"{own.applications} of {own.applications + waiting} judged{later}.")
    click.echo(f"{own.hires} of those judged are hires.")
    if not validation.open:
        click.echo("Nothing stands wrong." if not later else "Nothing stands wrong of what was judged.")
        return
    click.echo(f"Open: {counted(validation.open)}.")
    by_itself = sorted({one.application_key for one in validation.open if one.mends == "refresh"})
    if by_itself:
        click.echo(f"The next refresh mends by itself what it can of {len(by_itself)} applications.")
    click.echo("`referral-pipeline attribution repair` shows how each is mended, and changes nothing.")


_COLUMNS = ("application", "hire", "finding", "field", "stands", "should", "state", "mends", "referral")


def _line(one: Found) -> tuple[str, ...]:
    is_over = one.state != "open"
    return (
        one.application_key,
        "hire" if one.is_hire else "",
        one.finding.value,
        one.field,
        "" if is_over else _value(one.stands),
        "" if is_over else _value(one.should),
        one.state,
        "" if is_over else one.mends,
        one.referral_id or "",
    )


def _value(value: str | None) -> str:
    return "empty" if value is None else value


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="Attribution in the ATS", title_justify="left")
    for column in _COLUMNS:
        table.add_column(column, overflow="fold", no_wrap=column in {"application", "finding"})
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    Console().print(table)


def _validation_as_json(validation: Validation) -> dict[str, Any]:
    found = [
        {**asdict(one), "changed_at": one.changed_at.isoformat() if one.changed_at is not None else None}
        for one in validation.found
    ]
    return {**validation.facts(), "at": validation.at.isoformat(), "found": found}


# ---------------------------------------------------------------- repair


@attribution.command()
@click.option("--apply", "is_applied", is_flag=True, help="Write what the plan says; without it nothing is changed.")
@click.option(
    "--only",
    multiple=True,
    metavar="ID",
    help="Only this application (31, or greenhouse:31), read anew; may be repeated.",
)
@_json
def repair(is_applied: bool, only: tuple[str, ...], as_json: bool) -> None:
    """Show how each finding would be mended; with --apply do it.

    Everything is read from the ATS once more first. Only fields of this integration are written, and only on
    applications that a referral leads to. Exit code 1 when something stands wrong still.
    """
    from referral_pipeline.orchestration.steps_attribution_validation import (
        applications_named,
        plan_of,
        repair_attribution,
        validate_attribution,
    )

    with _installation(quiet=as_json) as bridge:
        named = applications_named(bridge, only) if only else {}
        if unknown := [name for name, i in named.items() if i is None]:
            raise click.ClickException(f"not known: {', '.join(unknown)}. Name applications of the ATS by their id")
        ids = {i for i in named.values() if i is not None}
        validation = validate_attribution(bridge, live=True, anew=True, made_by="attribution repair", named=ids)
        _refuse_backdated(validation)
        plan = [one for one in plan_of(validation, bridge.contract) if not only or one.application_id in ids]
        in_plan = {one.application_id for one in plan}
        well = {name: _why_not(i, validation) for name, i in named.items() if i is not None and i not in in_plan}
        done = list(repair_attribution(bridge, plan)) if is_applied else []
    if as_json:
        shown: dict[str, Any] = {"plan": [_step_as_json(one) for one in plan], "not_in_plan": well}
        if is_applied:
            shown["done"] = [_repaired_as_json(one) for one in done]
        click.echo(json.dumps(shown, indent=2))
    else:
        _show_plan(plan, done, well, is_applied=is_applied)
    if _is_left(plan, done, is_applied=is_applied):
        sys.exit(1)


def _why_not(application_id: str, validation: Validation) -> str:
    """Why a repair that somebody asked for has nothing to do, in words."""
    if application_id in validation.written_since:
        return "it was written after the last pull: run `referral-pipeline refresh`, then this again"
    if application_id not in validation.applications:
        return "it is not in the ATS any more"
    return "nothing is wrong there"


def _is_left(plan: Sequence[RepairStep], done: Sequence[Repaired], *, is_applied: bool) -> bool:
    if not is_applied:
        return bool(plan)
    return any(one.outcome.value not in {"mended", "already_right"} for one in done)


def _show_plan(
    plan: Sequence[RepairStep], done: Sequence[Repaired], well: Mapping[str, str], *, is_applied: bool
) -> None:
    outcome_of = {one.step.application_key: one for one in done}
    for step in plan:
        kinds = ", ".join(one.value for one in step.findings)
        click.echo(f"{step.application_key}{' (hire)' if step.is_hire else ''}: {kinds}")
        for line in _what(step):
            click.echo(f"  {line}")
        one = outcome_of.get(step.application_key)
        if one is not None:
            why = f": {one.why}" if one.why and one.why != step.why else ""
            click.echo(f"  -> {one.outcome.value.replace('_', ' ')}{why}")
    for name, why in well.items():
        click.echo(f"{name}: {why}")
    if not plan:
        click.echo("Nothing is to be mended.")
        return
    if is_applied:
        counts = {outcome: sum(1 for one in done if one.outcome == outcome) for outcome in {o.outcome for o in done}}
        words = ", ".join(f"{name.value.replace('_', ' ')} {counts[name]}" for name in sorted(counts))
        click.echo(f"{len(done)} applications: {words}.")
        return
    possible = [one for one in plan if one.is_possible]
    by_itself = [one for one in possible if one.by_itself]
    click.echo(f"Nothing was changed. --apply mends {len(possible)} of {len(plan)} applications.")
    if by_itself:
        click.echo(f"The next refresh does {len(by_itself)} of them by itself.")


def _what(step: RepairStep) -> list[str]:
    lines = [f"write {name} = {_value(value)}" for name, value in step.tags.items()]
    if step.source is not None:
        lines.append(f"fill the source with {step.source}, if it is empty still")
    if step.follow_merge:
        lines.append("follow the merge of its candidate in the ledger; nothing is written to the ATS")
    if step.why:
        lines.append(f"no repair: {step.why}")
    return lines


def _step_as_json(step: RepairStep) -> dict[str, Any]:
    return {
        "application": step.application_key,
        "is_hire": step.is_hire,
        "findings": [one.value for one in step.findings],
        "write": dict(step.tags),
        "source": step.source,
        "follow_merge": step.follow_merge,
        "next_refresh_does_it": step.by_itself,
        "why_not": step.why or None,
    }


def _repaired_as_json(one: Repaired) -> dict[str, Any]:
    return {"application": one.step.application_key, "outcome": one.outcome.value, "why": one.why or None}
