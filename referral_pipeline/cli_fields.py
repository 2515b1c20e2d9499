"""The command `fields`: making the custom fields of the contract that the ATS has not.

Belongs here: arguments, drawing, exit codes. Does not belong here: what is missing (connectors.setup), a vendor's
calls.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import click

_FIELDS = "ats.options.custom_fields."


@click.group()
def fields() -> None:
    """The custom fields that the integration keeps on an application."""


@fields.command("create")
@click.option("--dry-run", is_flag=True, help="Only tell what would be made.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def create_fields(dry_run: bool, as_json: bool) -> None:
    """Make the fields of the contract that the ATS has not, where its API can; else tell where to make them.

    What is there stays as it is. In production nothing is made before `go-live` is approved. Exit code 1 while
    something is missing.
    """
    from referral_pipeline.connectors.factory import build_ats
    from referral_pipeline.connectors.failures import HttpFailure
    from referral_pipeline.connectors.setup import CreatesFields
    from referral_pipeline.contract.loader import load_contract
    from referral_pipeline.contract.systems import facts_of
    from referral_pipeline.orchestration.liveness import open_ledger
    from referral_pipeline.quality.go_live import WriteGuard
    from referral_pipeline.settings import load_settings

    settings = load_settings()
    told: dict[str, Any] = {"ok": True, "system": "", "missing": [], "created": [], "by_hand": None, "problem": None}
    with open_ledger(settings) as (contract, ledger):
        told["system"] = contract.ats.connector
        guard = WriteGuard(contract, ledger, present=lambda: load_contract(settings))
        ats = build_ats(contract, settings, guard=guard)
        maker: Any = ats if isinstance(ats, CreatesFields) else None
        try:
            if maker is not None:
                missing = maker.missing_fields()
                told["missing"] = [one.title for one in missing]
                for one in () if dry_run else missing:
                    maker.create_field(one)
                    told["missing"].remove(one.title)
                    told["created"].append(one.title)
            else:
                wrong = [one for one in ats.probe() if not one.ok]
                told["missing"] = [
                    str(contract.ats.options.get("custom_fields", {}).get(tag, tag))
                    for one in wrong
                    if one.key.startswith(_FIELDS)
                    for tag in (one.key.removeprefix(_FIELDS),)
                ]
                facts = facts_of(contract.ats.connector)
                screen = facts.fields_screen if facts is not None and facts.fields_screen else "the system's settings"
                told["by_hand"] = (
                    f"the API makes none: create missing ones for applications, as short texts, in {screen}"
                )
                unreached = [one for one in wrong if one.key in {"ats.base_url", "ats.client_secret_env"}]
                told["problem"] = unreached[0].found if unreached else None
        except HttpFailure as failure:
            told["problem"] = str(failure)
        finally:
            ats.close()
    told["ok"] = not told["missing"] and told["problem"] is None
    if as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        _show(told)
    if not told["ok"]:
        sys.exit(1)


def _show(told: dict[str, Any]) -> None:
    for name, words in (("created", "created"), ("missing", "missing")):
        if told[name]:
            click.echo(f"{told['system']}: {words}: {', '.join(told[name])}")
    if told["ok"] and not told["created"]:
        click.echo(f"{told['system']}: no field is missing")
    if told["by_hand"] and told["missing"]:
        click.echo(f"{told['system']}: {told['by_hand']}")
    if told["problem"]:
        click.echo(f"{told['system']}: not done: {told['problem']}")
