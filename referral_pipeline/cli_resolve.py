"""The command `resolve`: tries the identity rules on an export before go-live.

Belongs here: arguments and drawing. Does not belong here: reading, rules and scores (warehouse.trial).

It needs no contract, no ledger and no secret, and shows no value of the file: rows that were set aside are told by line
and reason.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from referral_pipeline.warehouse.trial import Trial

_REJECTED_SHOWN = 20
_DEFAULT_THRESHOLD = 0.7  # that of identity.probable, which is too heavy to import for --help
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("file", metavar="FILE.csv", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", "people", metavar="PEOPLE.csv", required=True, type=_FILE, help="Gets record_id, person_id.")
@click.option(
    "--review",
    metavar="PAIRS.csv",
    required=True,
    type=_FILE,
    help="Gets left, right, probability, evidence: pairs of records for a person to look at.",
)
@click.option("--compare", metavar="COLUMN", multiple=True, help="Compare this column too, such as dob; repeatable.")
@click.option(
    "--threshold",
    default=_DEFAULT_THRESHOLD,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    help="The lowest probability that is listed.",
)
@click.option(
    "--shared-mailbox-limit",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="Differently named people that one mailbox or phone may have and still join them.",
)
@click.option("--rejected", metavar="FILE", type=_FILE, help="Gets line and reason of each row that was set aside.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def resolve(
    file: Path,
    people: Path,
    review: Path,
    compare: tuple[str, ...],
    threshold: float,
    shared_mailbox_limit: int,
    rejected: Path | None,
    as_json: bool,
) -> None:
    """Try the identity rules on an export: who is one person, and which pairs a person has to look at.

    FILE.csv has the columns record_id, first_name, last_name, email, phone, country; only record_id must be there.
    Comma, semicolon or tab; UTF-8. A row is set aside, and told, when its record_id is missing, comes twice, or begins
    with =, +, -, @, a tab or a carriage return, which a spreadsheet would run as a formula in what is written here.

    PAIRS.csv lists every pair of records of two persons that have few, and one pair of those that have many.
    """
    from referral_pipeline.cli import progress
    from referral_pipeline.warehouse.trial import run_trial
    from referral_pipeline.warehouse.trial_file import TrialError

    try:
        with progress(quiet=as_json) as sink:
            trial = run_trial(
                file,
                people=people,
                review=review,
                rejected=rejected,
                compare=compare,
                threshold=threshold,
                shared_mailbox_limit=shared_mailbox_limit,
                sink=sink,
            )
    except TrialError as error:
        raise click.ClickException(str(error)) from None
    for name in trial.missing:
        click.echo(f"the file has no column {name}: matched without it", err=True)
    for one in trial.rejected[:_REJECTED_SHOWN]:
        click.echo(f"line {one.line} set aside: {one.reason}", err=True)
    if len(trial.rejected) > _REJECTED_SHOWN:
        more = "" if rejected else "; --rejected FILE lists all"
        click.echo(f"and {len(trial.rejected) - _REJECTED_SHOWN} lines more set aside{more}", err=True)
    if as_json:
        click.echo(json.dumps(_as_json(trial, threshold), indent=2))
    else:
        _show(trial, people=people, review=review)


def _as_json(trial: Trial, threshold: float) -> dict[str, Any]:
    return {
        "records": trial.records,
        "rejected": len(trial.rejected),
        "missing_columns": list(trial.missing),
        "persons": trial.persons,
        "merged_records": trial.merged,
        "review_pairs_by_rule": trial.rule_pairs,
        "review_pairs": trial.person_pairs,
        "review_lines": trial.lines,
        "threshold": threshold,
        "model": {
            "trained": trial.report.trained,
            "taught_by": list(trial.report.passes),
            "prior": trial.report.prior,
            "calibration": trial.report.calibration,
            "pairs_scored": trial.report.pairs_scored,
        },
    }


def _show(trial: Trial, *, people: Path, review: Path) -> None:
    aside = f", {len(trial.rejected)} rows set aside" if trial.rejected else ""
    click.echo(f"{trial.records} records are {trial.persons} persons by the rules{aside}: {people}")
    click.echo(f"{trial.person_pairs} pairs of persons to look at, {trial.lines} lines: {review}")
    if not trial.report.trained:
        click.echo("Too few records to learn from: the probabilities rest on start values.")
