"""The command group `bonus`: what advocates have earned, handing it to payroll, and what payroll made of it.

Belongs here: arguments, drawing, exit codes. Does not belong here: which bonuses are due (sync.bonus), keeping them
(ledger).

States come from the ledger and are those of this moment; the first day and the expected amount of a pending bonus come
from the tables that the last refresh published, and the list says when that was.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from referral_pipeline.contract.models import Contract
    from referral_pipeline.ledger.bonuses import Bonus
    from referral_pipeline.ledger.records import PayrollEntry, PayrollExport
    from referral_pipeline.ledger.store import Ledger
    from referral_pipeline.settings import Settings
    from referral_pipeline.sync.bonus.export import Exported
    from referral_pipeline.sync.bonus.reconcile import Reconciliation

_STATES = ("pending", "eligible", "reversed", "paid")
_HELD_WORDS = {
    "credit_ended": "the referral lost its credit",
    "unhired": "the hire was undone",
    "rehire": "another hire of the person has the bonus",
    "override": "the owner decided about the credit, and the lane has not acted on it yet",
    "credit_or_first_day_moved": "the credit or the first day of work moved since",
}


@dataclass(frozen=True)
class _Installation:
    settings: Settings
    contract: Contract
    ledger: Ledger


@contextmanager
def _installation() -> Generator[_Installation]:
    from referral_pipeline.orchestration.liveness import open_ledger
    from referral_pipeline.settings import load_settings

    settings = load_settings()
    with open_ledger(settings) as (contract, ledger):
        yield _Installation(settings, contract, ledger)


def _person(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """The e-mail address of whoever answers for it."""
    from referral_pipeline.identity.canonical import email_problem

    if value is not None and (problem := email_problem(value)) is not None:
        raise click.BadParameter(f"{problem}. Write the e-mail address of who answers for it", ctx, param)
    return value.strip() if value is not None else None


def _day(ctx: click.Context, param: click.Parameter, value: str | None) -> date | None:
    try:
        return date.fromisoformat(value) if value is not None else None
    except ValueError:
        raise click.BadParameter("is no date. Write it like 2026-05-31", ctx, param) from None


_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def bonus() -> None:
    """List bonuses, hand them to payroll, and hold payroll's file against the ledger."""


# ---------------------------------------------------------------- list


@bonus.command(name="list")
@click.option("--state", type=click.Choice(_STATES), help="Only in this state.")
@click.option("--advocate", metavar="ID", help="Only of this advocate.")
@_json
def list_(state: str | None, advocate: str | None, as_json: bool) -> None:
    """Show bonuses with state, amount and dates, and the sums of each state and currency."""
    from referral_pipeline.money import totals
    from referral_pipeline.warehouse.publish import published_at

    with _installation() as own:
        known = _with_reasons(own, own.ledger.bonuses())
    found = [one for one in known if state in {None, one.state} and advocate in {None, one.advocate_id}]
    at = published_at(own.settings.published_dir)
    expected = _expected(own.settings)
    shown = [_merged(one, expected.get(one.bonus_id)) for one in found]
    sums = {
        name: totals((row["currency"], row["amount_cents"] or 0) for row in shown if row["state"] == name)
        for name in _STATES
        if any(row["state"] == name for row in shown)
    }
    if as_json:
        click.echo(json.dumps({"published_at": _iso(at), "bonuses": shown, "sums": sums}, indent=2))
        return
    _draw(shown)
    for name, by_currency in sums.items():
        click.echo(f"{name}: {_money(by_currency)}")
    if not shown:
        click.echo("no bonus")
    if any(row["state"] == "pending" for row in shown):
        click.echo(
            "what is pending is not known yet: run `referral-pipeline refresh`"
            if at is None
            else f"amounts and days of what is pending: as published {at:%Y-%m-%d %H:%M} UTC"
        )


def _with_reasons(own: _Installation, bonuses: Iterable[Bonus]) -> list[Bonus]:
    """Bonuses with the reason that only the person's other hires, or the link, can tell."""
    from referral_pipeline.sync.bonus.export import no_longer_due, unhired_elsewhere
    from referral_pipeline.sync.bonus.rehires import Families

    # As long as no amount was told, it will be in the currency that the contract has by then.
    currency = own.contract.rules.bonus.currency
    known = [replace(one, currency=currency) if one.amount_cents is None else one for one in bonuses]
    unearned = frozenset[tuple[str, str]]()
    if not own.contract.rules.bonus.pay_rehires:
        unearned = Families(own.ledger, own.contract.advocacy.connector).unearned()
    paid = own.ledger.payroll_entries(state="paid")
    links = own.ledger.links_for(entry.referral_id for entry in paid)
    unhired = unhired_elsewhere(own.ledger, paid, links)
    over = {entry.key: reason for entry in paid if (reason := no_longer_due(entry, links, unhired)) is not None}
    return [
        replace(one, reason="rehire", amount_cents=one.amount_cents or 0)
        if one.state in {"pending", "eligible"} and (one.system, one.application_id) in unearned
        else replace(one, reason=over[one.key])
        if one.key in over
        else one
        for one in known
    ]


def _expected(settings: Settings) -> dict[str, dict[str, Any]]:
    """By bonus, what the last refresh published of those that were pending then."""
    path = settings.published_dir / "bonus.parquet"
    if not path.exists():
        return {}
    from pyarrow import parquet

    columns = ["bonus_id", "state", "amount_cents", "currency", "starts_on", "eligible_on"]
    rows = parquet.read_table(path, columns=columns).to_pylist()
    return {row["bonus_id"]: row for row in rows if row["state"] == "pending"}


def _merged(one: Bonus, expected: dict[str, Any] | None) -> dict[str, Any]:
    """A bonus with the days that were published of it, and the amount where the ledger has none."""
    shown = _as_json(one)
    if expected is None or one.state != "pending":
        return shown
    shown |= {name: _iso(expected[name]) for name in ("starts_on", "eligible_on")}
    if one.amount_cents is None:
        shown |= {name: expected[name] for name in ("amount_cents", "currency")}
    return shown


def _as_json(one: Bonus) -> dict[str, Any]:
    facts = {name: value for name, value in asdict(one).items() if name not in {"key", "system", "application_id"}}
    facts = {name: _iso(value) if isinstance(value, date) else value for name, value in facts.items()}
    eligible_on = one.eligible_at.astimezone(UTC).date() if one.eligible_at is not None else None
    return {
        "bonus_id": facts.pop("bonus_id"),
        "application": f"{one.system}:{one.application_id}",
        **facts,
        "starts_on": None,
        "eligible_on": _iso(eligible_on),
    }


def _draw(rows: Sequence[dict[str, Any]]) -> None:
    from referral_pipeline.money import as_decimal

    columns = ("bonus", "state", "amount", "currency", "advocate", "application", "eligible", "paid", "export", "why")
    lines = [
        (
            str(row["bonus_id"]),
            str(row["state"]),
            "" if row["amount_cents"] is None else as_decimal(row["amount_cents"], row["currency"]),
            str(row["currency"]),
            str(row["advocate_id"]),
            str(row["application"]),
            row["eligible_on"] or "",
            row["paid_on"] or "",
            "" if row["export_id"] is None else str(row["export_id"]),
            (row["reason"] or "").replace("_", " "),
        )
        for row in rows
    ]
    if not sys.stdout.isatty():  # a line a bonus, for grep and cut
        for line in lines:
            click.echo("\t".join(line))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Bonuses", title_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column in {"amount", "export"} else "left", overflow="fold")
    for line in lines:
        table.add_row(*line)
    Console().print(table)


# ---------------------------------------------------------------- export


@bonus.command()
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The CSV file to write.")
@click.option("--by", metavar="EMAIL", callback=_person, help="Who answers for it; kept with the export.")
@click.option(
    "--pay-on", metavar="DATE", callback=_day, help="The day on which payroll is to pay; default today (UTC)."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be handed over.")
@click.option("--again", metavar="ID", type=int, help="Write the file of an earlier export once more.")
@_json
def export(out: Path, by: str | None, pay_on: date | None, dry_run: bool, again: int | None, as_json: bool) -> None:
    """Hand every eligible bonus to payroll, once: it counts as paid from here on.

    Should the command die before the file is there, `bonus export --again ID --out FILE` writes the very same file. A
    cancelled export is not written again, and what payroll gave back is left out and named.
    """
    from referral_pipeline.sync.bonus.export import export_bonuses

    if again is not None and (by or pay_on or dry_run):
        raise click.UsageError("--again writes what was handed over then; leave --by, --pay-on and --dry-run away")
    if again is None and by is None:
        raise click.UsageError("--by EMAIL is missing: an export names who answers for it")
    with _installation() as own:
        if again is not None:
            told = _write_again(own.ledger, again, out)
        else:
            _require_free(out)
            assert by is not None
            day = pay_on or datetime.now(UTC).date()
            open_before = _latest_open(own.ledger)
            result = export_bonuses(own.ledger, own.contract, by=by, pay_on=day, dry_run=dry_run)
            made = result.export
            if made is not None:
                _write(made, own.ledger.payroll_entries(export_ids=[made.id]), out)
            told = _Told(made.id if made is not None else None, out if made is not None else None, result, open_before)
    _tell_export(told, as_json=as_json)


@dataclass(frozen=True)
class _Told:
    """What came of an export: `result` is None when an earlier one was written once more."""

    export_id: int | None
    file: Path | None
    result: Exported | None
    open_export: PayrollExport | None = None
    returned: Sequence[PayrollEntry] = ()


def _write_again(ledger: Ledger, export_id: int, out: Path) -> _Told:
    """The file of an earlier export: to the byte what it was, less what payroll gave back since."""
    from referral_pipeline.sync.bonus.payroll_file import as_csv

    made = ledger.payroll_export(export_id)
    entries = ledger.payroll_entries(export_ids=[export_id])
    paid = [entry for entry in entries if entry.state == "paid"]
    if made.state == "cancelled" or not paid:
        why = "was cancelled" if made.state == "cancelled" else "came back from payroll whole"
        raise click.ClickException(
            f"export {export_id} {why}: its bonuses are eligible again, and its file would have them paid twice. Hand "
            "them over with a new `bonus export`"
        )
    _require_free(out, same=as_csv(made, paid))
    _write(made, paid, out)
    return _Told(export_id, out, None, returned=[entry for entry in entries if entry.state != "paid"])


def _write(made: PayrollExport, entries: Sequence[PayrollEntry], out: Path) -> None:
    from referral_pipeline.sync.bonus.payroll_file import as_csv, write_file

    try:
        write_file(out, as_csv(made, entries))
    except OSError as error:
        raise click.ClickException(
            f"export {made.id} is kept, and its file could not be written ({error.strerror}). Write it with "
            f"`referral-pipeline bonus export --again {made.id} --out FILE`"
        ) from None


def _latest_open(ledger: Ledger) -> PayrollExport | None:
    return next((one for one in reversed(ledger.payroll_exports()) if one.state == "open"), None)


def _require_free(out: Path, *, same: bytes | None = None) -> None:
    """Refuse, before anything is kept, a place where the file cannot go or would replace another."""
    if not out.parent.is_dir():
        raise click.ClickException(f"{out.parent} is no folder: make it first, or write --out elsewhere")
    if out.exists() and (same is None or out.read_bytes() != same):
        raise click.ClickException(f"{out} is there already and stays: write --out with another name")


def _tell_export(told: _Told, *, as_json: bool) -> None:
    from referral_pipeline.ledger.bonuses import bonus_id
    from referral_pipeline.money import totals

    chosen = told.result.chosen if told.result is not None else ()
    held = told.result.held if told.result is not None else ()
    sums = totals((row.currency, row.amount_cents) for row in chosen)
    # A run that died before its file was there has handed everything over: it is the file that is missing.
    is_open = told.open_export if told.file is None else None
    if as_json:
        answer = {
            "export_id": told.export_id,
            "file": str(told.file) if told.file is not None else None,
            "bonuses": [bonus_id(row.key) for row in chosen],
            "sums": sums,
            "held": [{"bonus_id": bonus_id(one.recognition.key), "reason": one.reason} for one in held],
            "returned": [bonus_id(entry.key) for entry in told.returned],
            "open_export": is_open.id if is_open is not None else None,
        }
        click.echo(json.dumps(answer, indent=2))
        return
    for one in held:
        why = _HELD_WORDS.get(one.reason, one.reason)
        click.echo(f"left out: {bonus_id(one.recognition.key)}: {why}; the next refresh takes it back")
    for entry in told.returned:
        click.echo(
            f"LEFT OUT: {bonus_id(entry.key)}: payroll gave it back since; a new export hands it over if it is due"
        )
    if told.result is None:
        changed = "; it is not the file of then" if told.returned else ""
        click.echo(f"export {told.export_id} once more: wrote {told.file}{changed}")
    elif told.file is not None:
        click.echo(f"export {told.export_id}: {len(chosen)} bonuses, {_money(sums)}; wrote {told.file}")
    elif chosen:
        click.echo(f"would hand over {len(chosen)} bonuses, {_money(sums)}; nothing was changed")
    else:
        click.echo("no bonus is eligible and unpaid: nothing was handed over and no file written")
    if is_open is not None:
        click.echo(
            f"export {is_open.id} of {is_open.exported_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC is open; should its file "
            f"be missing, write it with `referral-pipeline bonus export --again {is_open.id} --out FILE`"
        )


# ---------------------------------------------------------------- cancel


@bonus.command()
@click.argument("export_id", metavar="ID", type=int)
@click.option("--by", metavar="EMAIL", required=True, callback=_person, help="Who answers for it.")
@click.option("--reason", required=True, help="Why; kept with every bonus of the export.")
@_json
def cancel(export_id: int, by: str, reason: str, as_json: bool) -> None:
    """Take an open export back before payroll has paid: all its bonuses are eligible again."""
    if not reason.strip():
        raise click.UsageError("--reason is empty: say why")
    with _installation() as own:
        count = own.ledger.cancel_payroll(export_id, by=by, reason=reason.strip())
    if as_json:
        click.echo(json.dumps({"export_id": export_id, "returned": count}, indent=2))
    else:
        click.echo(
            f"export {export_id} is cancelled; {count} bonuses are eligible again. Tell payroll to drop its file"
        )


# ---------------------------------------------------------------- reconcile


@bonus.command()
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--apply", "apply_", is_flag=True, help="Make what payroll rejected eligible again. Needs --by.")
@click.option("--by", metavar="EMAIL", callback=_person, help="Who answers for what is applied.")
@_json
def reconcile(file: Path, apply_: bool, by: str | None, as_json: bool) -> None:
    """Hold the file that payroll kept or answered against the ledger. Exit code 1 when something differs.

    The file has the columns of the export, in any order, and may have paid_amount and status (paid, rejected,
    returned). Without --apply nothing changes.
    """
    from referral_pipeline.sync.bonus.payroll_file import read_file
    from referral_pipeline.sync.bonus.reconcile import reconcile as compare

    if apply_ != (by is not None):
        raise click.UsageError("--apply and --by EMAIL go together: who applies answers for it")
    lines = read_file(file)
    with _installation() as own:
        result = compare(own.ledger, own.contract, lines, apply_by=by if apply_ else None)
    if as_json:
        click.echo(json.dumps(result.as_json(), indent=2))
    else:
        _tell_reconciliation(result, applied=apply_)
    if result.differences:
        sys.exit(1)


def _tell_reconciliation(result: Reconciliation, *, applied: bool) -> None:
    from referral_pipeline.money import as_decimal

    for one in result.differences:
        where = f"line {one.line}" if one.line is not None else f"export {one.export_id}"
        amount = ""
        if one.amount_cents is not None and one.currency is not None:
            amount = f" ({as_decimal(one.amount_cents, one.currency)} {one.currency})"
        click.echo(f"{one.kind.replace('_', ' ')}: {where}, {one.bonus_id}{amount}: {one.what}. {one.mend}.")
    exports = ", ".join(str(i) for i in result.exports)
    click.echo(f"exports {exports}: ledger {_money(result.ledger_totals)}; file {_money(result.file_totals)}")
    for currency, (count, cents) in result.waiting.items():
        click.echo(f"eligible and not yet exported: {count} bonuses, {as_decimal(cents, currency)} {currency}")
    if applied:
        click.echo(f"{result.returned} bonuses are eligible again")
        for export_id in result.reconciled:
            click.echo(f"export {export_id} is reconciled")
    click.echo(f"{len(result.differences)} differences" if result.differences else "no difference")


# ---------------------------------------------------------------- parts


def _money(by_currency: Any) -> str:
    from referral_pipeline.money import as_decimal

    return ", ".join(f"{as_decimal(cents, code)} {code}" for code, cents in by_currency.items()) or "nothing"


def _iso(value: date | datetime | None) -> str | None:
    return value.isoformat() if value is not None else None
