"""The command `explain`: the whole evidence behind one application's attribution.

Belongs here: arguments and drawing. Does not belong here: gathering the evidence and its words (reports.explain).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import click


@dataclass(frozen=True)
class Part:
    """A part of the answer: lines, then a table when there are columns. Everything is plain text."""

    title: str
    lines: Sequence[str] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    dim: Sequence[bool] = ()
    """Which rows are beside the point."""


@click.command()
@click.argument("application", metavar="APPLICATION")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def explain(application: str, as_json: bool) -> None:
    """Show why the credit for APPLICATION (31, or greenhouse:31) is where it is, from the share to the hire.

    Reads what the last refresh published and the ledger, so that it answers while a run is under way. Times are UTC.
    """
    from referral_pipeline.orchestration.liveness import open_ledger
    from referral_pipeline.reports.explain import UnknownApplication
    from referral_pipeline.reports.explain import explain as gather
    from referral_pipeline.settings import load_settings
    from referral_pipeline.sync.overrides import OverrideRefused, application_key
    from referral_pipeline.warehouse.store import Warehouse

    settings = load_settings()
    with open_ledger(settings) as (contract, ledger):
        warehouse = Warehouse(contract.warehouse.url, home=settings.home, published_dir=settings.published_dir)
        try:
            evidence = gather(warehouse, ledger, contract, application_key(application, contract))
        except (OverrideRefused, UnknownApplication) as unknown:
            raise click.ClickException(str(unknown)) from unknown
    if as_json:
        click.echo(json.dumps(evidence, indent=2, ensure_ascii=False))
    elif sys.stdout.isatty():
        _draw(list(_parts(evidence)))
    else:
        _print(_parts(evidence))


# ---------------------------------------------------------------- what is shown


def _parts(e: dict[str, Any]) -> Iterator[Part]:
    yield _verdict(e)
    yield _application(e["application"])
    records = e["person"]["records"]
    yield Part(
        f"Person {e['person']['person_id']}",
        [f"{len(records)} records are this person's:"],
        ("record", "joined by"),
        [(one["record_id"], _words(one["joined_by"])) for one in records],
    )
    if e["referrals"]:
        yield _referrals(e["referrals"])
    yield _touches(e)
    if e["elsewhere"]:
        yield Part(
            "Referrals of this person that are not considered",
            (),
            ("referral", "advocate", "when", "its application", "why not"),
            [
                (one["referral_id"], one["advocate_id"], _when(one["occurred_at"]), one["application_id"] or "-",
                 one["why"])
                for one in e["elsewhere"]
            ],
        )  # fmt: skip
    yield _rule(e)
    if e["credit"]:
        yield _credit(e)
    yield _bonus(e["bonus"])
    yield _ats(e["ats"])


def _verdict(e: dict[str, Any]) -> Part:
    credited, key = e["credited"], e["application"]["application_key"]
    if credited["advocate_id"]:
        through = f" through referral {credited['referral_id']}" if credited["referral_id"] else ""
        line = f"Advocate {credited['advocate_id']} has the credit{through}."
    elif e["override"] is not None and e["override"]["in_tables"]:
        line = "Nobody has the credit: the owner decided so, or the referral that was chosen is held back."
    elif not e["touches"]:
        line = "Nobody referred this person for this job, and no advocate has credit."
        if e["elsewhere"]:
            line += " Referrals of the same person for other jobs are listed below."
    else:
        line = "Nobody has the credit: none of the touches counts. The reason stands beside each."
    lines = [line, f"As published {_when(e['published_at'])}; all times UTC."]
    if e["tables_follow"]:
        lines.append("The owner decided after that: the tables follow with the next `referral-pipeline refresh`.")
    return Part(f"Application {key}", lines)


def _application(a: dict[str, Any]) -> Part:
    dates = [
        f"{name.removesuffix('_at').replace('_on', ' on')} {_when(a[name])}"
        for name in ("applied_at", "interviewed_at", "offered_at", "hired_at", "starts_on", "rejected_at")
        if a[name]
    ]
    more = [job for job in a["job_ids"] if job != a["job_id"]]
    jobs = f"job {a['job_id'] or '(none)'}" + (f" (its referrals also name {', '.join(more)})" if more else "")
    return Part(
        "Where it stands",
        [f"{_words(a['status'])}, {jobs}, candidate {a['candidate_id']}, channel {a['channel']}", "; ".join(dates)],
        ("status", "from", "to"),
        [(_words(one["status"]), _when(one["from"]), _when(one["to"]) or "now") for one in a["history"]],
    )


def _referrals(referrals: Sequence[dict[str, Any]]) -> Part:
    def written(one: dict[str, Any]) -> str:
        if one["application_id"] is None:
            return "-"
        where = "this one" if one["is_of_this_application"] else one["application_id"]
        return f"{where}, {one['application']}"

    return Part(
        "What became of its referrals",
        (),
        ("referral", "advocate", "job", "made", "person known by", "candidate", "application", "held back"),
        [
            (one["referral_id"], one["advocate_id"], one["job_id"], _when(one["touched_at"]),
             _words(one["match_method"]), one["candidate"] or "-", written(one), _words(one["block"]))
            for one in referrals
        ],
    )  # fmt: skip


def _touches(e: dict[str, Any]) -> Part:
    touches = e["touches"]
    if not touches:
        return Part("Touches", ["None: nobody referred this person for the jobs of this application."])
    return Part(
        "Touches that were considered, in order of time",
        (),
        ("when", "days before", "what", "advocate", "content, campaign", "place", "verdict"),
        [
            (_when(one["occurred_at"]), f"{one['days_before']:.1f}", _what(one), one["advocate_id"],
             _both(one["content_id"], one["campaign_tag"]), str(one["place"] or "-"), one["why"])
            for one in touches
        ],
        [one["verdict"] != "counts" for one in touches],
    )  # fmt: skip


def _rule(e: dict[str, Any]) -> Part:
    rule, override = e["rule"], e["override"]
    lines: list[str] = []
    if override is not None:
        whose = f"referral {override['referral_id']} has" if override["referral_id"] else "nobody has"
        lines.append(
            f"Override {override['id']}, {_when(override['decided_at'])} by {override['decided_by']}: {whose} the "
            f"credit. Reason: {override['reason']}"
        )
    for one in e["earlier_overrides"]:
        whose = one["referral_id"] or "nobody"
        lines.append(
            f"Override {one['id']} ({whose}, {_when(one['decided_at'])}: {one['reason']}) was revoked "
            f"{_when(one['revoked_at'])}: {one['revoked_reason']}"
        )
    pays = "would pay without it" if rule["pays"] == "override" else "pays"
    lines += [
        f"{rule['model']} {pays}: {rule['model_words']}.",
        f"Look-back: {rule['lookback_days']} days before the application, both ends included. "
        "A share counts only for an advocate who referred this person for this job before the application.",
        f"Ties: {rule['tie_words']}.",
    ]
    if rule["changed_since"]:
        lines.append(
            f"The contract has changed since ({', '.join(rule['changed_since'])}): what stands here is by the rules of "
            "then, and follows with the next `referral-pipeline refresh`."
        )
    models = ("first_touch", "last_touch", "linear", "time_decay", "position_based")
    return Part(
        "By which rule",
        lines,
        ("advocate", "share", *(_words(model) for model in models), "paid") if e["weights"] else (),
        [
            (one["advocate_id"], one["share_id"] or "-", *(_weight(one[model]) for model in models),
             _weight(one["paid"]))
            for one in e["weights"]
        ],
    )  # fmt: skip


def _credit(e: dict[str, Any]) -> Part:
    currency = e["bonus"]["currency"]
    return Part(
        "Credit, and the reason for each zero",
        (),
        ("advocate", "share", "referral", "weight", "bonus by credit", "why"),
        [
            (one["advocate_id"], one["share_id"] or "-", one["referral_id"] or "-", _weight(one["weight"]),
             _money(one["bonus_cents"], currency), one["why"])
            for one in e["credit"]
        ],
        [Decimal(one["weight"]) == 0 for one in e["credit"]],
    )  # fmt: skip


def _bonus(bonus: dict[str, Any]) -> Part:
    lines: list[str] = []
    if bonus["cents"]:
        due = f"eligible on {bonus['eligible_on']}" if bonus["eligible_on"] else "no day is known yet"
        lines.append(
            f"{_money(bonus['cents'], bonus['currency'])} by weight of today's credit, split as {bonus['split']}, "
            f"{bonus['waiting_days']} days after the first day of work: {due}. What was paid stays with whom it was "
            "paid to."
        )
    lines += [_standing(one) for one in bonus["standings"]]
    if bonus["none"] is not None:
        lines.append(f"No bonus: {bonus['none_why']}.")
    steps: list[tuple[str, ...]] = [
        (_when(one["sent_at"] or one["decided_at"]), _words(one["kind"]), one["referral_id"], one["advocate_id"],
         _money(one["cents"], one["currency"]), "told" if one["state"] == "sent" else one["state"])
        for one in bonus["steps"]
    ]  # fmt: skip
    steps += [
        (_when(one["exported_at"]), f"payroll export {one['export_id']}", one["referral_id"], one["advocate_id"],
         _money(one["cents"], one["currency"]), one["state"])
        for one in bonus["payroll"]
    ]  # fmt: skip
    columns = ("when", "step", "referral", "advocate", "amount", "state") if steps else ()
    return Part("Bonus", lines, columns, sorted(steps, key=lambda step: step[0]))


def _standing(one: dict[str, Any]) -> str:
    amount = "amount not known yet" if one["cents"] is None else _money(one["cents"], one["currency"])
    days = f", eligible on {one['eligible_on']}" if one["eligible_on"] else ""
    days += f", paid on {one['paid_on']} by export {one['export_id']}" if one["export_id"] is not None else ""
    why = f": {one['why']}" if one["why"] else ""
    return f"Referral {one['referral_id']}, advocate {one['advocate_id']}: {one['state']}, {amount}{days}{why}."


def _ats(ats: dict[str, Any]) -> Part:
    lines: list[str] = []
    if not ats["differs"]:
        lines.append("The application in the ATS carries the same advocate, referral and share.")
    for name in ats["differs"]:
        lines.append(f"The ATS carries {name.replace('_id', '')} {ats[name] or '(none that is known)'} instead.")
    if ats["carries_unknown"]:
        lines.append("A field there holds something that the advocacy platform never sent.")
    return Part("In the ATS", lines)


# ---------------------------------------------------------------- words


def _what(touch: dict[str, Any]) -> str:
    if touch["kind"] == "referral":
        return f"referral {touch['referral_id']}" + (f" via share {touch['share_id']}" if touch["share_id"] else "")
    return f"share {touch['share_id']}"


def _both(one: str | None, other: str | None) -> str:
    return ", ".join(text for text in (one, other) if text) or "-"


def _when(moment: str | None) -> str:
    return "" if moment is None else moment.replace("T", " ").removesuffix("Z").removesuffix("+00:00")


def _words(value: str | None) -> str:
    return (value or "-").replace("_", " ")


def _weight(text: str | None) -> str:
    """A weight to six places, without the zeros at its end; --json gives all twelve."""
    return "-" if text is None else f"{Decimal(text):.6f}".rstrip("0").rstrip(".")


def _money(cents: int, currency: str) -> str:
    from referral_pipeline.money import as_decimal

    return f"{as_decimal(cents, currency)} {currency}" if cents else "0"


# ---------------------------------------------------------------- drawing


def _print(parts: Iterator[Part]) -> None:
    """A line a fact, for grep and cut."""
    for part in parts:
        click.echo(f"# {part.title}")
        for line in part.lines:
            click.echo(line)
        if part.columns:
            click.echo("\t".join(part.columns))
            for row in part.rows:
                click.echo("\t".join(row))
        click.echo()


def _draw(parts: Sequence[Part]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.padding import Padding
    from rich.table import Table

    console = Console()
    for number, part in enumerate(parts):
        console.print(f"[bold]{escape(part.title)}[/]" if number else f"[bold cyan]{escape(part.title)}[/]")
        for line in part.lines:
            console.print(Padding(escape(line), (0, 0, 0, 2)), highlight=False)
        if part.columns:
            table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=True)
            for column in part.columns:
                right = column in {"days before", "place", "bonus by credit", "weight", "amount"}
                fixed = column in {"when", "from", "to", "made"}
                widest = max(len(word) for word in column.split())
                justify = "right" if right else "left"
                table.add_column(column, justify=justify, overflow="fold", no_wrap=fixed, min_width=widest)
            for place, row in enumerate(part.rows):
                is_dim = bool(part.dim) and part.dim[place]
                table.add_row(*(escape(cell) for cell in row), style="dim" if is_dim else None)
            console.print(table)
        else:
            console.print()
