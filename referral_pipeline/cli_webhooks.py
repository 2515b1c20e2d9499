"""The command `webhooks`: which webhooks point where, and registering those that are missing.

Belongs here: arguments, drawing, exit codes. Does not belong here: what is missing (connectors.setup), a vendor's
calls, signatures.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from referral_pipeline.connectors.setup import Hook, Registered
    from referral_pipeline.settings import Settings

_URL_HELP = "The receiver's public address, as https://bridge.example.com [default: REFERRAL_PIPELINE_RECEIVER_URL]."


@dataclass
class _Told:
    """What is to be said of one system. `keys` were made up by it and are told once. No key is ever in `repr`."""

    system: str
    variable: str | None
    url: str | None = None
    present: list[Hook] = field(default_factory=list["Hook"])
    missing: list[str] = field(default_factory=list[str])
    registered: list[str] = field(default_factory=list[str])
    keys: list[str] = field(default_factory=list[str], repr=False)
    by_hand: str | None = None
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "system": self.system,
            "url": self.url,
            "webhooks": [{"event": one.event, "url": one.url, "on": one.is_on} for one in self.present],
            "missing": self.missing,
            "registered": self.registered,
            "variable": self.variable,
            "keys": self.keys,
            "by_hand": self.by_hand,
            "problem": self.problem,
        }


@click.group()
def webhooks() -> None:
    """Which webhooks of the outside systems point where, and registering those that are missing."""


@webhooks.command("list")
@click.option("--url", metavar="URL", help=_URL_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_webhooks(url: str | None, as_json: bool) -> None:
    """What points where, as far as each system tells."""
    with _systems(url) as found:
        for _, told, source in found:
            if source is not None:
                _look(told, source)
        _say([told for _, told, _ in found], as_json=as_json, is_list=True)


@webhooks.command("register")
@click.option("--url", metavar="URL", help=_URL_HELP)
@click.option("--dry-run", is_flag=True, help="Only tell what would be registered.")
@click.option("--again", is_flag=True, help="End those that point here and register all anew: for keys that were lost.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def register_webhooks(url: str | None, dry_run: bool, again: bool, as_json: bool) -> None:
    """Point the webhooks that are missing at the receiver; those that are there stay as they are.

    Where a system makes up the key of each webhook it is printed here, once: add it to the variable that the contract
    names. In production nothing is registered before `go-live` is approved. Exit code 1 when something is not done.
    """
    with _systems(url, must_have_url=True) as found:
        told = [one for _, one, _ in found]
        try:
            for settings, one, source in found:
                if source is not None:
                    _look(one, source)
                    if not dry_run and one.problem is None:
                        _register(settings, one, source, again=again)
        finally:
            # Whatever failed: a key that was made up is shown nowhere else.
            _say(told, as_json=as_json, is_list=False)
    if any(one.problem for one in told):
        sys.exit(1)


@contextmanager
def _systems(url: str | None, *, must_have_url: bool = False) -> Generator[list[tuple[Settings, _Told, Any]]]:
    """Each configured system that can send webhooks, with its connector where that registers them."""
    from referral_pipeline.connectors.factory import build_advocacy, build_ats
    from referral_pipeline.connectors.setup import RegistersWebhooks, hook_url
    from referral_pipeline.connectors.vendors import vendor_of
    from referral_pipeline.contract.loader import load_contract
    from referral_pipeline.contract.systems import facts_of
    from referral_pipeline.orchestration.liveness import open_ledger
    from referral_pipeline.quality.go_live import WriteGuard
    from referral_pipeline.settings import load_settings

    settings = load_settings()
    base = url or settings.receiver_url
    if base is None and must_have_url:
        raise click.UsageError(f"give --url, or set REFERRAL_PIPELINE_RECEIVER_URL: {_URL_HELP}")
    with open_ledger(settings) as (contract, ledger):
        if base is not None and contract.environment == "production" and not base.startswith("https://"):
            raise click.UsageError("--url: in production the receiver is reached by https only")
        guard = WriteGuard(contract, ledger, present=lambda: load_contract(settings))
        found: list[tuple[Settings, _Told, Any]] = []
        sources: list[Any] = []
        try:
            for build, system in ((build_ats, contract.ats), (build_advocacy, contract.advocacy)):
                vendor = vendor_of(system.connector)
                if vendor is None or vendor.reader is None:
                    continue
                told = _Told(system.connector, system.webhook_secret_env)
                try:
                    told.url = hook_url(base, system.connector) if base is not None else None
                except ValueError as error:
                    raise click.UsageError(f"--url: {error}") from None
                source: Any = build(contract, settings, guard=guard)
                sources.append(source)
                if not isinstance(source, RegistersWebhooks):
                    facts = facts_of(system.connector)
                    told.by_hand = _by_hand(told, facts.webhooks_screen if facts else None)
                    source = None
                found.append((settings, told, source))
            yield found
        finally:
            for source in sources:
                source.close()


def _by_hand(told: _Told, screen: str | None) -> str:
    where = f"in {screen}" if screen else "in the system's own settings"
    address = told.url or f"https://<the receiver>/webhooks/{told.system}"
    key = f", with the key that {told.variable} holds" if told.variable else ""
    return f"the API registers none: point webhooks at {address} {where}{key}"


def _look(told: _Told, source: Any) -> None:
    from referral_pipeline.connectors.failures import HttpFailure
    from referral_pipeline.connectors.setup import leads_here

    try:
        told.present = source.hooks()
    except HttpFailure as failure:
        told.problem = str(failure)
        return
    if told.url is not None:
        there = {one.event for one in told.present if leads_here(one, told.url)}
        told.missing = [event for event in source.hook_events if event not in there]


def _register(settings: Settings, told: _Told, source: Any, *, again: bool) -> None:
    from referral_pipeline.connectors.failures import HttpFailure
    from referral_pipeline.connectors.setup import leads_here, register_missing
    from referral_pipeline.settings import MissingSecret

    assert told.url is not None

    disabled: list[str] = []

    def made(one: Registered) -> None:
        if one.hook.is_on is False:
            disabled.append(one.hook.event)
        told.registered.append(one.hook.event)
        told.missing = [event for event in told.missing if event != one.hook.event]
        if one.key is not None:
            told.keys.append(one.key)
            # At once, whatever comes after it: it is told nowhere else.
            click.echo(f"{told.system}: the key of {one.hook.event}, told this once: {one.key}", err=True)

    try:
        key = None if source.makes_keys else _first_key(settings, told.variable)
        if again:
            for hook in [one for one in told.present if leads_here(one, told.url)]:
                source.remove_hook(hook)
                told.missing = list(dict.fromkeys([*told.missing, hook.event]))
        for _ in register_missing(source, told.url, key=key, told=made):
            pass
    except (HttpFailure, MissingSecret) as failure:
        told.problem = str(failure)
    if disabled and told.problem is None:
        why = "its ping was not answered: see that the receiver runs and can be reached, then register again"
        told.problem = f"{', '.join(disabled)}: registered and disabled, as {why}"


def _first_key(settings: Settings, variable: str | None) -> str | None:
    """The key that new webhooks are signed with: the first, where several are set."""
    if variable is None:
        return None
    keys = settings.secret(variable).replace(",", " ").split()
    if not keys:
        raise click.ClickException(f"{variable} holds no key: write the one that signs the webhooks into it")
    return keys[0]


def _say(told: list[_Told], *, as_json: bool, is_list: bool) -> None:
    if as_json:
        ok = not any(one.problem for one in told)
        click.echo(json.dumps({"ok": ok, "systems": [one.as_json() for one in told]}, indent=2))
        return
    for one in told:
        click.echo(f"{one.system}:")
        for hook in one.present if is_list else ():
            click.echo(f"  {hook.event} -> {hook.url}{' (disabled)' if hook.is_on is False else ''}")
        if is_list and not one.present and one.by_hand is None and one.problem is None:
            click.echo("  none is known")
        if one.registered:
            click.echo(f"  registered at {one.url}: {', '.join(one.registered)}")
        if one.missing:
            click.echo(f"  missing at {one.url}: {', '.join(one.missing)}")
        elif one.url is not None and one.by_hand is None and one.problem is None:
            click.echo(f"  nothing is missing at {one.url}")
        if one.keys:
            click.echo(f"  add to {one.variable}, separated by commas (told this once): {','.join(one.keys)}")
        if one.by_hand is not None:
            click.echo(f"  {one.by_hand}")
        if one.problem is not None:
            click.echo(f"  not done: {one.problem}")
