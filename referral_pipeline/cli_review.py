"""The command group `review`: pairs that may be one person, what people decide about them, and undoing it.

Belongs here: arguments and drawing. Does not belong here: what a decision does (orchestration.review, ledger,
identity).

Nothing here shows personal data: persons and records are named by id, and looked at in the systems that hold them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from referral_pipeline.contract.models import Contract
    from referral_pipeline.ledger.decisions import Decided
    from referral_pipeline.ledger.store import IdentityDecision, Ledger
    from referral_pipeline.orchestration.review import ForGood, ReviewDesk, ReviewPair, Side

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_reason = click.option(
    "--reason",
    required=True,
    help="Why, in a few words; it is kept for good, so write no names, addresses or numbers: names are not recognised.",
)
_by = click.option("--by", required=True, metavar="EMAIL", help="Who decides.")
_NEXT = "The next refresh applies it: referral-pipeline refresh"


@contextmanager
def _desk() -> Generator[tuple[ReviewDesk, Ledger, Contract]]:
    from referral_pipeline.ledger.decisions import DecisionRefusedError
    from referral_pipeline.orchestration.liveness import open_ledger
    from referral_pipeline.orchestration.review import ReviewDesk, ReviewError
    from referral_pipeline.settings import load_settings
    from referral_pipeline.warehouse.store import Warehouse

    settings = load_settings()
    with open_ledger(settings) as (contract, ledger):
        warehouse = Warehouse(contract.warehouse.url, home=settings.home, published_dir=settings.published_dir)
        try:
            yield ReviewDesk(ledger=ledger, warehouse=warehouse, contract=contract), ledger, contract
        except (DecisionRefusedError, ReviewError) as refusal:
            raise click.ClickException(str(refusal)) from refusal


@click.group()
def review() -> None:
    """Decide who is one person: pairs of the last refresh, merge, distinct, split, and undo."""


# ---------------------------------------------------------------- looking


@review.command(name="list")
@click.option("--state", type=click.Choice(["open", "all"]), default="open", show_default=True, help="Which pairs.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="At most so many.")
@_json
def list_(state: str, limit: int, as_json: bool) -> None:
    """Show the pairs of the last refresh that may be one person, the likeliest first."""
    with _desk() as (desk, _, _):
        pairs = [pair for pair in desk.pairs if state == "all" or pair.state == "open"]
    shown = pairs[:limit]
    if as_json:
        click.echo(json.dumps({"pairs": [vars(pair) for pair in shown], "total": len(pairs)}, indent=2))
        return
    columns = ("left", "right", "score", "proposed", "state", "evidence")
    _table("Pairs to review", columns, [_cells(pair) for pair in shown])
    click.echo(f"shown: {len(shown)} of {len(pairs)}")
    if shown:
        click.echo("Look at one: referral-pipeline review show LEFT RIGHT")


@review.command()
@click.argument("left")
@click.argument("right")
@_json
def show(left: str, right: str, as_json: bool) -> None:
    """Show two persons (by person id, or record as system:id): their records, evidence, and where to look at them."""
    with _desk() as (desk, ledger, contract):
        sides = [desk.side(left), desk.side(right)]
        pair = desk.pair_of(*sides)
        records = {i for side in sides for i in side.records}
        decisions = [_decision_as_json(one) for one in ledger.identity_decisions_of(records)]
    persons = [_side_as_json(side, contract) for side in sides]
    if as_json:
        shown = {"pair": vars(pair) if pair is not None else None, "persons": persons, "decisions": decisions}
        click.echo(json.dumps(shown, indent=2))
        return
    for name, side in zip(("left", "right"), persons, strict=True):
        click.echo(f"{name:<8}{side['person_id']}")
        for record in side["records"]:
            click.echo(f"        {record['record_id']}" + (f"  {record['page']}" if record["page"] else ""))
    if pair is None:
        click.echo("These two are no pair of the last refresh.")
    else:
        score = "not scored" if pair.score is None else f"{pair.score:.4f}"
        click.echo(f"evidence: {pair.evidence}\nscore: {score}\nproposed: {pair.proposed_action or '-'}")
        click.echo(f"state: {pair.state}")
    for one in decisions:
        click.echo(f"decision {one['id']}: {one['verdict']} by {one['decided_by']}, {one['reason']}")


@review.command()
@click.option("--all", "every", is_flag=True, help="Those that were revoked too.")
@_json
def decisions(every: bool, as_json: bool) -> None:
    """Show what was decided, and what became of merges in the ATS."""
    with _desk() as (_, ledger, _):
        found = ledger.identity_decisions(in_force_only=not every)
    if as_json:
        click.echo(json.dumps({"decisions": [_decision_as_json(one) for one in found]}, indent=2))
        return
    columns = ("id", "verdict", "left", "right", "by", "at", "reason", "ATS", "revoked")
    rows = [
        (
            str(one.id),
            one.verdict,
            " ".join(one.left),
            " ".join(one.right),
            one.decided_by,
            f"{one.decided_at:%Y-%m-%d %H:%M}",
            one.reason,
            ": ".join(word for word in (one.ats_state, one.ats_error) if word),
            "" if one.revoked_at is None else f"{one.revoked_at:%Y-%m-%d %H:%M} {one.revoked_by}: {one.revoked_reason}",
        )
        for one in found
    ]
    _table("Decisions", columns, rows)
    click.echo(f"shown: {len(found)}")
    refused = [str(one.id) for one in found if one.in_force and one.ats_state == "refused"]
    if refused:
        click.echo(
            f"The ATS refused {', '.join(refused)}. Once the cause is mended: referral-pipeline review retry DECISION; "
            "with --here-only the ATS is left as it is."
        )


# ---------------------------------------------------------------- deciding


@review.command()
@click.argument("left")
@click.argument("right")
@_reason
@_by
@click.option("--here-only", is_flag=True, help="Do not merge the candidates in the ATS, whatever the contract says.")
@_json
def merge(left: str, right: str, reason: str, by: str, here_only: bool, as_json: bool) -> None:
    """Decide that LEFT and RIGHT (person ids, or records as system:id of two persons) are one person."""
    with _desk() as (desk, _, _):
        decided = desk.decide("merge", left, right, reason=reason, by=by, here_only=here_only)
    _told(decided, [], as_json)


@review.command()
@click.argument("left")
@click.argument("right")
@_reason
@_by
@_json
def distinct(left: str, right: str, reason: str, by: str, as_json: bool) -> None:
    """Decide that LEFT and RIGHT are two people. Two records of one person are taken apart from each other."""
    with _desk() as (desk, _, _):
        decided = desk.decide("distinct", left, right, reason=reason, by=by)
        for_good = [desk.for_good(i) for i in decided.revoked]
    _told(decided, for_good, as_json)


@review.command()
@click.argument("person")
@click.argument("records", metavar="RECORD...", nargs=-1, required=True)
@_reason
@_by
@_json
def split(person: str, records: tuple[str, ...], reason: str, by: str, as_json: bool) -> None:
    """Take a wrongly merged PERSON apart: each RECORD (system:id) belongs to somebody else than the rest."""
    with _desk() as (desk, _, _):
        decided = desk.split(person, records, reason=reason, by=by)
        for_good = [desk.for_good(i) for i in decided.revoked]
    _told(decided, for_good, as_json)


@review.command()
@click.argument("decision_id", metavar="DECISION", type=int)
@_reason
@_by
@_json
def undo(decision_id: int, reason: str, by: str, as_json: bool) -> None:
    """Revoke a decision, by the number that `review decisions` shows. It stays undone until somebody decides again.

    A merge that is under way in the ATS is stopped; what was merged there by then stays one candidate, and is told.
    """
    with _desk() as (desk, _, _):
        revoked = desk.undo(decision_id, reason=reason, by=by)
        for_good = desk.for_good(decision_id)
    if as_json:
        click.echo(json.dumps({"decision": _decision_as_json(revoked), "in_ats": vars(for_good)}, indent=2))
        return
    click.echo(f"decision {revoked.id} ({revoked.verdict}) is revoked. {_NEXT}")
    _warned(for_good)


@review.command()
@click.argument("decision_id", metavar="DECISION", type=int)
@click.option("--here-only", is_flag=True, help="Do not ask the ATS any more: the merge holds here only.")
@_json
def retry(decision_id: int, here_only: bool, as_json: bool) -> None:
    """Ask the ATS once more for a merge that it refused or that was made here only, by the number of the decision."""
    with _desk() as (desk, _, _):
        one = desk.retry(decision_id, here_only=here_only)
        for_good = desk.for_good(decision_id)
    if as_json:
        click.echo(json.dumps({"decision": _decision_as_json(one), "in_ats": vars(for_good)}, indent=2))
        return
    words = {
        "pending": f"The next refresh merges the candidates of decision {one.id} in the ATS, for good.",
        "done": f"The candidates of decision {one.id} are merged in the ATS already.",
    }
    click.echo(words.get(one.ats_state or "", f"decision {one.id} stands, and is not asked of the ATS any more."))
    if one.ats_state is None:
        _warned(for_good)


def _told(decided: Decided, for_good: Sequence[ForGood], as_json: bool) -> None:
    one = decided.decision
    if as_json:
        shown = {
            "decision": _decision_as_json(one),
            "is_new": decided.is_new,
            "revoked": list(decided.revoked),
            "remaining": list(decided.remaining),
        }
        click.echo(json.dumps(shown, indent=2))
        return
    click.echo(f"decision {one.id}: {one.verdict}" + ("" if decided.is_new else ", as it was decided already"))
    if decided.revoked:
        click.echo(f"It revokes {', '.join(map(str, decided.revoked))}, which said otherwise.")
    if decided.remaining:
        click.echo(f"What that merged beside these stays merged, as {', '.join(map(str, decided.remaining))}.")
    for what in for_good:
        _warned(what)
    if one.ats_state == "pending":
        click.echo("The candidates will be merged in the ATS too, for good.")
    click.echo(f"{_NEXT}. Undo: referral-pipeline review undo {one.id}")


def _warned(for_good: ForGood) -> None:
    if for_good.merged:
        click.echo(
            f"Merged in the ATS already, which cannot be undone: {', '.join(for_good.merged)}. They stay one candidate "
            "there."
        )
    if for_good.unclear:
        click.echo(
            f"Whether the ATS merged {', '.join(for_good.unclear)} is not known: the call was sent and not answered. "
            "Look there."
        )


# ---------------------------------------------------------------- files


@review.command()
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file to write.")
@click.option("--state", type=click.Choice(["open", "all"]), default="open", show_default=True, help="Which pairs.")
def export(out: Path, state: str) -> None:
    """Write the pairs as a CSV with two empty columns to decide in: decision (merge, distinct) and reason."""
    from referral_pipeline.identity.review_file import write_review_file

    with _desk() as (desk, _, _):
        pairs = [pair for pair in desk.pairs if state == "all" or pair.state == "open"]
    write_review_file(out, (vars(pair) for pair in pairs))
    click.echo(f"{len(pairs)} pairs in {out}. When decided: referral-pipeline review import {out} --by EMAIL --dry-run")


@review.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_by
@click.option("--reason", default="", help="The reason of lines that give none; no names, it is kept for good.")
@click.option("--dry-run", is_flag=True, help="Tell what would be decided, and decide nothing.")
@_json
def import_(file: Path, by: str, reason: str, dry_run: bool, as_json: bool) -> None:
    """Take decisions from FILE: a CSV (comma, semicolon, tab) or a Markdown table. Bad lines are told, good ones kept.

    The exit code is 1 when a line was bad.
    """
    from referral_pipeline.cli import progress
    from referral_pipeline.identity.review_file import ReviewFileError, read_review_file

    with _desk() as (desk, _, _):
        try:
            content = read_review_file(file.read_bytes())
        except ReviewFileError as error:
            raise click.ClickException(f"{file.name}: {error}") from error
        with progress(quiet=as_json) as sink:
            done = desk.take(
                content,
                by=by,
                reason=reason,
                dry_run=dry_run,
                progress=lambda at, total: sink("take decisions", at, total),
            )
    counts = {word: sum(one.outcome == word for one in done.outcomes) for word in ("merge", "distinct", "unchanged")}
    if as_json:
        shown = {**counts, "undecided": done.undecided, "dry_run": dry_run}
        click.echo(json.dumps({**shown, "problems": [vars(one) for one in done.problems]}, indent=2))
    else:
        for problem in done.problems:
            click.echo(str(problem))
        words = ", ".join(f"{count} {word}" for word, count in {**counts, "undecided": done.undecided}.items())
        click.echo(("would be: " if dry_run else "") + f"{words}; {len(done.problems)} bad lines")
        if not dry_run and counts["merge"] + counts["distinct"]:
            click.echo(_NEXT)
    if done.problems:
        sys.exit(1)


# ---------------------------------------------------------------- parts


def _cells(pair: ReviewPair) -> tuple[str, ...]:
    score = "" if pair.score is None else f"{pair.score:.4f}"
    return pair.left_person_id, pair.right_person_id, score, pair.proposed_action or "", pair.state, pair.evidence


def _side_as_json(side: Side, contract: Contract) -> dict[str, Any]:
    page = _pages(contract)
    return {
        "person_id": side.person_id,
        "records": [{"record_id": i, "system": i.partition(":")[0], "page": page(i)} for i in side.records],
    }


def _pages(contract: Contract) -> Callable[[str], str | None]:
    """Where a record of the ATS can be looked at by who may."""
    from referral_pipeline.contract.systems import facts_of

    facts = facts_of(contract.ats.connector)
    pattern = facts.candidate_page if facts is not None else None

    def page(record_id: str) -> str | None:
        system, _, own_id = record_id.partition(":")
        return pattern.format(id=own_id) if pattern and system == contract.ats.connector else None

    return page


def _decision_as_json(one: IdentityDecision) -> dict[str, Any]:
    return {
        "id": one.id,
        "verdict": one.verdict,
        "left": list(one.left),
        "right": list(one.right),
        "reason": one.reason,
        "decided_by": one.decided_by,
        "decided_at": one.decided_at.isoformat(),
        "revoked_at": one.revoked_at.isoformat() if one.revoked_at is not None else None,
        "revoked_by": one.revoked_by,
        "revoked_reason": one.revoked_reason,
        "ats_state": one.ats_state,
        "ats_error": one.ats_error,
    }


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not sys.stdout.isatty():  # a line a row, for grep and cut
        for row in rows:
            click.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    Console().print(table)
