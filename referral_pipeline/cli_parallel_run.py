"""The command `parallel-run`: manual intake against the integration, by day, and its sign-off.

Belongs here: arguments and drawing. Does not belong here: the comparison (quality.parallel_run), when it may be signed
(quality.parallel_run.sign_off).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from referral_pipeline.ledger.records import Verification
    from referral_pipeline.quality.parallel_run.numbers import Numbers
    from referral_pipeline.quality.parallel_run.records import Line
    from referral_pipeline.quality.parallel_run.run import ParallelRunResult
    from referral_pipeline.warehouse.manual_intake import ManualStaged

_MOST_SHOWN = 100
_TREND = 10
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group(name="parallel-run", invoke_without_command=True)
@click.option("--all", "every", is_flag=True, help="Show what is as meant too, not only what is open.")
@_json
@click.pass_context
def parallel_run(ctx: click.Context, every: bool, as_json: bool) -> None:
    """Compare manual intake with the integration as the last refresh left it, day by day.

    The result is kept; `parallel-run sign-off` signs the newest one. Exit code 1 when findings are open.
    """
    if ctx.invoked_subcommand is not None:
        return
    staged, result, earlier = _compare()
    if as_json:
        click.echo(json.dumps(_as_json(staged, result), indent=2))
    else:
        _show(staged, result, earlier, every=every)
    if result.numbers is None or not result.numbers.passed:
        sys.exit(1)


def _compare() -> tuple[ManualStaged, ParallelRunResult, Sequence[Verification]]:
    from referral_pipeline.connectors.covered import fingerprint_of
    from referral_pipeline.orchestration.bridge import Bridge
    from referral_pipeline.orchestration.steps_parallel_run import compare_manual_intake, stage_manual_intake
    from referral_pipeline.orchestration.writer_lock import single_writer
    from referral_pipeline.quality.parallel_run.sign_off import COMPARISON
    from referral_pipeline.settings import load_settings

    settings = load_settings()
    with single_writer(settings.state_dir), Bridge.open(settings) as bridge:
        fingerprint = fingerprint_of(bridge.contract)
        earlier = [v for v in bridge.ledger.verifications(COMPARISON, limit=_TREND) if v.fingerprint == fingerprint]
        staged = stage_manual_intake(bridge)
        result = compare_manual_intake(bridge, made_by="referral-pipeline parallel-run", now=datetime.now(UTC))
    return staged, result, earlier


@parallel_run.command(name="sign-off")
@click.option("--by", required=True, metavar="EMAIL", help="Who signs.")
@click.option(
    "--reason", required=True, metavar="TEXT", help="What it rests on. It is kept for good: name no candidate."
)
@click.option("--refuse", is_flag=True, help="Say no: the integration does not replace manual intake yet.")
@click.option("--accept-findings", is_flag=True, help="Sign over findings that are open; the reason must name them.")
@_json
def sign_off(by: str, reason: str, refuse: bool, accept_findings: bool, as_json: bool) -> None:
    """Sign the newest comparison, so that `go-live` can go on, or refuse it."""
    from referral_pipeline.orchestration.liveness import open_ledger
    from referral_pipeline.quality.parallel_run.sign_off import SignOffRefused
    from referral_pipeline.quality.parallel_run.sign_off import sign_off as sign
    from referral_pipeline.settings import load_settings

    if refuse and accept_findings:
        raise click.UsageError("choose one of --refuse and --accept-findings")
    try:
        with open_ledger(load_settings()) as (contract, ledger):
            signed = sign(
                ledger,
                contract,
                by=_address(by),
                reason=reason,
                refuse=refuse,
                accept_findings=accept_findings,
                now=datetime.now(UTC),
            )
    except SignOffRefused as refused:
        raise click.ClickException(str(refused)) from refused
    if as_json:
        shown = {"id": signed.id, "passed": signed.passed, "made_at": signed.made_at.isoformat(), "by": signed.made_by}
        click.echo(json.dumps({**shown, **signed.facts}, indent=2))
        return
    facts = signed.facts
    what = "signed off" if signed.passed else "refused"
    click.echo(
        f"Comparison {facts['comparison']}, {facts['starts_on']} to {facts['ends_on']}, is {what} by {signed.made_by}: "
        f"{facts['agreeing']} of {facts['matched']} records agree, {facts['open']} findings open."
    )


def _address(text: str) -> str:
    from email_validator import EmailNotValidError, validate_email

    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError:
        raise click.BadParameter("is no e-mail address", param_hint="--by") from None


# ---------------------------------------------------------------- drawing


def _as_json(staged: ManualStaged, result: ParallelRunResult) -> dict[str, Any]:
    from referral_pipeline.quality.parallel_run.words import what_to_do

    numbers = result.numbers
    return {
        "passed": numbers.passed if numbers is not None else False,
        "note": result.note,
        "files": list(staged.read.files),
        "set_aside": [list(one) for one in _set_aside(staged)],
        **(numbers.facts() if numbers is not None else {}),
        "lines": [
            {
                "day": line.day.isoformat(),
                "manual_record": line.manual_record,
                "referral_id": line.referral_id,
                "application_key": line.application_key,
                "person_id": line.person_id,
                "finding": str(line.finding),
                "field": line.field,
                "cause": line.cause,
                "is_open": line.is_open,
                "detail": line.detail,
                "what_to_do": what_to_do(line.cause),
            }
            for line in result.lines
        ],
    }


def _set_aside(staged: ManualStaged) -> Iterator[tuple[str, str]]:
    from referral_pipeline.connectors.costs import problem_lines

    for field, reason, where in problem_lines(staged.problems):
        yield where, f"{field} {reason}"


def _show(staged: ManualStaged, result: ParallelRunResult, earlier: Sequence[Verification], *, every: bool) -> None:
    from referral_pipeline.quality.parallel_run.words import agreement_words, what_to_do

    for where, words in _set_aside(staged):
        click.echo(f"set aside: {where}: {words}")
    for note in staged.read.notes:
        click.echo(f"note: {note}")
    numbers = result.numbers
    if numbers is None:
        click.echo(f"Nothing was compared: {result.note}.")
        return
    _show_days(numbers)
    shown = [line for line in result.lines if line.is_open or (every and line.detail)]
    _show_lines(shown)
    if numbers.open:
        causes = dict.fromkeys(line.cause for line in result.lines if line.is_open)
        click.echo("What to do:")
        for cause in causes:
            click.echo(f"  {cause}: {what_to_do(cause)}")
    as_meant = sum(numbers.findings.values()) - numbers.open - numbers.findings.get("waiting", 0)
    click.echo(f"{agreement_words(numbers)}.")
    click.echo(
        f"{numbers.open} findings open, {numbers.unexplained} of them unexplained; {as_meant} more are as meant"
        + ("." if every or not as_meant else " (--all shows them).")
    )
    if numbers.outside:
        click.echo(f"{numbers.outside} rows of manual intake lie outside the window.")
    if earlier:
        click.echo("Before: " + "; ".join(_trend(one.made_at, one.facts) for one in reversed(earlier)))


def _trend(made_at: datetime, facts: Mapping[str, Any]) -> str:
    rate = facts["rate"]
    return f"{made_at:%m-%d %H:%M} {'-' if rate is None else format(rate, '.1%')}, {facts['open']} open"


def _show_days(numbers: Numbers) -> None:
    from referral_pipeline.quality.parallel_run.run import table_by_day

    rows = [{name: str(value) for name, value in row.items()} for row in table_by_day(numbers)]
    window = numbers.window
    title = f"Parallel run, {window.starts_on} to {window.ends_on}, {window.time_zone}"
    _print(title, tuple(rows[0]), [tuple(row.values()) for row in rows], numbers=True)


def _show_lines(lines: Sequence[Line]) -> None:
    if not lines:
        return
    columns = ("day", "manual record", "referral", "application", "finding", "field", "cause", "detail")
    rows = [
        (
            line.day.isoformat(),
            line.manual_record or "-",
            line.referral_id or "-",
            line.application_key or "-",
            str(line.finding),
            line.field or "",
            line.cause or "",
            line.detail,
        )
        for line in lines[:_MOST_SHOWN]
    ]
    _print("Findings", columns, rows, numbers=False)
    if len(lines) > _MOST_SHOWN:
        click.echo(f"and {len(lines) - _MOST_SHOWN} more: --json shows all, and so does ops.parallel_run")


def _print(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool) -> None:
    """A table on a terminal; a line a row else, for grep and cut."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            click.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if numbers and place else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    Console().print(table)
