"""The command `dry-run`: what would be written for one referral, with personal data masked.

Belongs here: arguments, opening what it reads with, drawing. Does not belong here: the dry run (`sync.dry_run`).
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from referral_pipeline.settings import Settings
    from referral_pipeline.sync.dry_run import DryRun, Rehearsal

_DOES = {
    "create_candidate": "a new candidate with an application",
    "create_application": "a new application for candidate {candidate_id}",
    "update_application": "fields of application {application_id}",
    "nothing": "nothing",
}
_BLOCKS = {
    "stage": "the referral has not reached the stage of rules.create_when_stage",
    "job": "its job is not open in the ATS",
    "country": "the candidate's country is not in privacy.allowed_countries",
}


@click.command("dry-run")
@click.argument("referral", metavar="REFERRAL")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def dry_run(referral: str, as_json: bool) -> None:
    """Show what would be written for REFERRAL (its id on the advocacy platform), and write nothing.

    Reads both systems live. Names, addresses and numbers are shown by their shape.
    """
    from referral_pipeline.settings import load_settings
    from referral_pipeline.sync.dry_run import UnknownReferral

    with _rehearsal(load_settings()) as rehearsal:
        try:
            found = rehearsal.of(referral)
        except UnknownReferral as unknown:
            raise click.ClickException(f"referral {referral}: {unknown}") from unknown
    if as_json:
        click.echo(json.dumps(_as_json(found), indent=2, ensure_ascii=False))
    else:
        _show(found)


@contextmanager
def _rehearsal(settings: Settings) -> Generator[Rehearsal]:
    """Both systems behind a guard that lets nothing be written, and the ledger."""
    from referral_pipeline.connectors.factory import build_advocacy, build_ats
    from referral_pipeline.orchestration.liveness import open_ledger
    from referral_pipeline.orchestration.state import refuse_other_systems, state_folder
    from referral_pipeline.privacy.crypto import Cipher
    from referral_pipeline.sync.dry_run import Rehearsal
    from referral_pipeline.sync.lane.mirror import Mirror
    from referral_pipeline.sync.lane.people import People

    with open_ledger(settings) as (contract, ledger):
        refuse_other_systems(contract, settings)
        state = state_folder(settings)
        with (
            closing(build_ats(contract, settings, state_dir=state, rehearses=True)) as ats,
            closing(build_advocacy(contract, settings, state_dir=state, rehearses=True)) as advocacy,
        ):
            cipher = Cipher(settings.secret("REFERRAL_PIPELINE_KEY"))
            hash_key = settings.secret("REFERRAL_PIPELINE_HASH_KEY")
            mirror = Mirror(ledger=ledger, cipher=cipher, advocacy=advocacy)
            people = People(ledger=ledger, mirror=mirror, ats=ats, contract=contract, hash_key=hash_key)
            yield Rehearsal(contract, ledger, ats, advocacy, mirror, people)


def _as_json(found: DryRun) -> dict[str, Any]:
    return {**asdict(found), "block": found.block.value if found.block is not None else None}


def _show(found: DryRun) -> None:
    click.echo(f"referral {found.referral_id}")
    if found.block is not None:
        why = _BLOCKS.get(found.block.value, found.block.value.replace("_", " "))
        click.echo(f"  held back: {why}")
    does = _DOES[found.does].format(candidate_id=found.candidate_id, application_id=found.application_id)
    click.echo(f"  would write: {does}")
    if found.fields:
        click.echo("\nfields of the application")
        width = max(len(field.name) for field in found.fields)
        for field in found.fields:
            value = "(empty)" if field.value is None else field.value
            origin = f"from {field.source}{', transformed' if field.transformed else ''}"
            click.echo(f"  {field.name:<{width}}  {value}  [{origin}]")
    for payload in found.payloads:
        click.echo(f"\n{payload.system}: {payload.method} {payload.path}  ({payload.operation})")
        for line in json.dumps(payload.body, indent=2, ensure_ascii=False).splitlines():
            click.echo(f"  {line}")
    click.echo("\nnothing was written")
