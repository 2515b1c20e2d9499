"""The command `init`: asks which systems, and writes the first contract.

Belongs here: options, questions, and what to do next. Does not belong here: the text of the contract
(`contract.scaffold`), putting it in place (`contract.starter`).

On a terminal everything that no option says is asked, with the usual answer in brackets; elsewhere only the owner is,
and the usual answers are taken, so that a script never waits.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from referral_pipeline.contract.scaffold import Choices
    from referral_pipeline.contract.systems import SystemFacts

_USUAL: Mapping[str, Any] = {
    "advocacy": "advocacy",
    "ats": "greenhouse",
    "crm": "none",
    "environment": "sandbox",
    "owner_name": "Talent Operations",
    "countries": ("US",),
    "currency": "USD",
}
_ENVIRONMENTS = ("sandbox", "production")


@click.command()
@click.option("--advocacy", help="Connector of the advocacy platform.  [advocacy]")
@click.option("--ats", help="Connector of the ATS.  [greenhouse]")
@click.option("--crm", help="Connector of the CRM, or none.  [none]")
@click.option("--environment", type=click.Choice(_ENVIRONMENTS), help="Which systems it talks to.  [sandbox]")
@click.option("--owner-name", help="Who answers for the integration.  [Talent Operations]")
@click.option("--owner-email", help="Where alerts go; asked where it is not given.")
@click.option("--country", "countries", multiple=True, help="ISO country; repeatable.  [US]")
@click.option("--currency", help="Currency of the bonus.  [USD]")
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
@click.option("--ask/--no-ask", default=None, help="Ask for what no option says.  [on a terminal]")
def init(force: bool, ask: bool | None, **given: Any) -> None:
    """Write data/integration.yaml and .env.example for the systems you choose."""
    from referral_pipeline.contract.starter import write_starter
    from referral_pipeline.settings import load_settings

    given["countries"] = given["countries"] or None
    choices = _choices(given, asks=sys.stdin.isatty() if ask is None else ask)
    settings = load_settings()
    for path in write_starter(choices, home=settings.home, overwrite=force):
        click.echo(f"wrote {path.relative_to(settings.home)}")
    for line in _next(choices):
        click.echo(line)


def _choices(given: Mapping[str, Any], *, asks: bool) -> Choices:
    """What was given, asked for, or is usual."""
    from referral_pipeline.contract.scaffold import Choices
    from referral_pipeline.vocabulary import Side

    def of(name: str, question: str, **how: Any) -> Any:
        if given[name] is not None:
            return given[name]
        return click.prompt(question, default=_USUAL[name], **how) if asks else _USUAL[name]

    advocacy = _system(Side.ADVOCACY, of("advocacy", _question(Side.ADVOCACY)))
    ats = _system(Side.ATS, of("ats", _question(Side.ATS)))
    crm_name = of("crm", _question(Side.CRM, "none"))
    crm = None if crm_name == "none" else _system(Side.CRM, crm_name)
    environment = of("environment", "Talk to the sandbox or to production", type=click.Choice(_ENVIRONMENTS))
    chosen = {facts.side.value: facts for facts in (advocacy, ats, crm) if facts is not None}
    urls = _addresses(chosen, environment) if asks else {}
    options = {side: _asked_options(facts) for side, facts in chosen.items()} if asks else {}
    owner_name = of("owner_name", "Who answers for the integration")
    owner_email = given["owner_email"] or click.prompt("E-mail address of the owner")
    countries = given["countries"] or (
        _listed(click.prompt("Countries of candidates, ISO codes by commas", default="US")) if asks else ("US",)
    )
    return Choices(
        advocacy=advocacy.name,
        ats=ats.name,
        crm=crm.name if crm is not None else None,
        environment=environment,
        owner_name=owner_name,
        owner_email=owner_email,
        countries=tuple(country.upper() for country in countries),
        currency=of("currency", "Currency of the bonus").upper(),
        urls=urls,
        options=options,
    )


def _question(side: Any, *others: str) -> str:
    from referral_pipeline.connectors.factory import connector_names
    from referral_pipeline.contract.systems import facts_of

    title = {"advocacy": "advocacy platform", "ats": "ATS", "crm": "CRM"}[side.value]
    names = [f"{name} ({facts.title})" for name in connector_names(side) if (facts := facts_of(name)) is not None]
    return f"Which {title}: {', '.join([*names, *others])}"


def _system(side: Any, name: str) -> SystemFacts:
    """The facts of a system of this side."""
    from referral_pipeline.connectors.factory import connector_names
    from referral_pipeline.contract.systems import facts_of

    names = connector_names(side)
    facts = facts_of(name)
    if facts is None or name not in names:
        raise click.ClickException(f"no {side} connector is called {name}; there are: {', '.join(names)}")
    return facts


def _addresses(chosen: Mapping[str, SystemFacts], environment: str) -> dict[str, str]:
    """The address of each system of which everybody has another."""
    if environment == "sandbox":
        return {}
    return {
        side: click.prompt(f"Address of the API of {facts.title}", default=facts.live_url)
        for side, facts in chosen.items()
        if ".example." in facts.live_url
    }


def _asked_options(facts: SystemFacts) -> dict[str, Any]:
    """What a system must be told and nobody can guess."""
    answers: dict[str, Any] = {}
    for option, question in facts.asks.items():
        usual: Any = facts.options.get(option)
        shown = ", ".join(usual) if isinstance(usual, list) else usual
        answer = click.prompt(f"{facts.title}: {question}", default=shown, type=str)
        answers[option] = list(_listed(answer)) if isinstance(usual, list) else answer
    return answers


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part for part in (piece.strip() for piece in text.split(",")) if part)


def _next(choices: Choices) -> Sequence[str]:
    """What is left to do, in order."""
    from referral_pipeline.contract.systems import facts_of

    names = (choices.advocacy, choices.ats, choices.crm)
    chosen = [facts for name in names if name is not None and (facts := facts_of(name)) is not None]
    steps = ["set the secrets named in .env.example, in the environment or in .env"]
    steps += [f"{facts.title}: {step}" for facts in chosen for step in facts.set_up]
    steps += ["run `referral-pipeline check`"]
    return ["Next:", *(f"  {number}. {step}" for number, step in enumerate(steps, start=1))]
