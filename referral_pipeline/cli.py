"""The command line: `referral-pipeline COMMAND`.

Belongs here: arguments, drawing, exit codes. Does not belong here: what a command does; each calls one function of a
room.

Errors are one clear line with the mend; a traceback only with `--debug`. With `--json` one object is printed on
standard output and nothing else there. Everything heavy is imported by the command that needs it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from referral_pipeline import __version__
from referral_pipeline.cli_attribution import attribution
from referral_pipeline.cli_audit import audit
from referral_pipeline.cli_audit_api import audit_api
from referral_pipeline.cli_bonus import bonus
from referral_pipeline.cli_contract_notice import tell_which_contract
from referral_pipeline.cli_credit import credit
from referral_pipeline.cli_drift import drift
from referral_pipeline.cli_dry_run import dry_run
from referral_pipeline.cli_events import events, past_moment
from referral_pipeline.cli_explain import explain as explain_command
from referral_pipeline.cli_fields import fields
from referral_pipeline.cli_go_live import go_live
from referral_pipeline.cli_health import health
from referral_pipeline.cli_init import init
from referral_pipeline.cli_parallel_run import parallel_run
from referral_pipeline.cli_quarantine import quarantine
from referral_pipeline.cli_query import query
from referral_pipeline.cli_resolve import resolve
from referral_pipeline.cli_review import review
from referral_pipeline.cli_scorecard import scorecard
from referral_pipeline.cli_webhooks import webhooks

if TYPE_CHECKING:
    from referral_pipeline.orchestration.demo import Demonstration
    from referral_pipeline.orchestration.run import RunOutcome
    from referral_pipeline.settings import Settings

_ALL_ADDRESSES = "0.0.0.0"  # noqa: S104


class Group(click.Group):
    """The command group: turns failures into one line with the mend."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an unexpected exception becomes one line unless --debug is given."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            for line in explain(error):
                click.echo(f"error: {line}", err=True)
            ctx.exit(1)


def explain(error: Exception) -> list[str]:
    """An exception in words that a person can act on, one line each."""
    from referral_pipeline.contract.problems import ContractError

    if isinstance(error, ContractError):
        return [str(problem) for problem in error.problems]
    if isinstance(error, OSError) and error.strerror and error.filename:
        return [f"{error.filename}: {error.strerror}. Mend that path or its permissions"]
    return [" ".join(str(error).split()) or f"{type(error).__name__}. Run it again with --debug to see where"]


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="referral-pipeline")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Bridge an employee advocacy platform and an applicant tracking system, with attribution that can be trusted."""
    import logging

    level = logging.DEBUG if debug else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    for handler in logging.getLogger().handlers:
        # Some libraries set their own loggers to INFO; of alerts also a recovery and the daily heartbeat must be seen.
        handler.addFilter(lambda record: record.levelno >= level or record.name == "referral_pipeline.alerts")


# ---------------------------------------------------------------- try it


@main.command()
@click.option("--ats", default="greenhouse", show_default=True, help="Connector of the ATS that is played.")
@click.option("--advocacy", default="advocacy", show_default=True, help="Connector of the platform that is played.")
@click.option("--crm", help="Connector of the CRM that is played, beside the others.")
@click.option("--seed", default=7, show_default=True, help="Seed of the programme.")
@click.option(
    "--faults",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0.0, 0.9),
    help="Share of API calls that fail: 429, 500, 502, timeouts, resets, truncated or slow answers.",
)
@click.option("--keep-running", is_flag=True, help="Leave the sandboxes and the Dagster UI up afterwards.")
@click.option("--port", default=3000, show_default=True, help="Port of the Dagster UI with --keep-running.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def demo(
    ats: str,
    advocacy: str,
    crm: str | None,
    seed: int,
    faults: float,
    keep_running: bool,
    port: int,
    as_json: bool,
) -> None:
    """Run the whole flow both ways, twice, against local sandboxes, and hold every outcome against the truth."""
    from referral_pipeline.orchestration.demo import demonstration
    from referral_pipeline.sandbox.ats import ATS
    from referral_pipeline.sandbox.crm import CRM
    from referral_pipeline.sandbox.platforms import PLATFORMS
    from referral_pipeline.settings import load_settings

    if ats not in ATS:
        raise click.ClickException(f"no sandbox plays the ATS {ats}; there are: {', '.join(ATS)}")
    if advocacy not in PLATFORMS:
        raise click.ClickException(f"no sandbox plays the platform {advocacy}; there are: {', '.join(PLATFORMS)}")
    if crm is not None and crm not in CRM:
        raise click.ClickException(f"no sandbox plays the CRM {crm}; there are: {', '.join(CRM)}")
    if keep_running:
        from referral_pipeline.orchestration.up import require_free

        require_free("127.0.0.1", port)
    with progress(quiet=as_json) as sink:
        run = demonstration(load_settings(), seed=seed, faults=faults, sink=sink, ats=ats, advocacy=advocacy, crm=crm)
        result, settings = run.__enter__()
    try:
        if as_json:
            click.echo(json.dumps(result.as_json(), indent=2))
        else:
            _show_demo(result)
        if keep_running:
            from referral_pipeline.orchestration.up import supervisor_for

            say = _say(err=as_json)
            supervisor = supervisor_for(settings, host="127.0.0.1", port=port, say=say)
            say(f"Dagster UI: http://127.0.0.1:{port}  (Ctrl-C ends it)")
            supervisor.run()
    finally:
        run.__exit__(None, None, None)
    if result.differences:
        sys.exit(1)


@main.command()
@click.option("--seed", default=7, show_default=True, help="Seed of the programme.")
@click.option(
    "--faults", default=0.0, show_default=True, type=click.FloatRange(0.0, 0.9), help="Share of failing calls."
)
@click.option("--advocacy", default="advocacy", show_default=True, help="Connector of the platform that is played.")
@click.option("--advocacy-port", default=8701, show_default=True, help="Port of the advocacy platform.")
@click.option("--ats-port", default=8702, show_default=True, help="Port of the ATS.")
@click.option("--crm", help="Connector of the CRM that is played, beside the others.")
@click.option("--crm-port", default=8705, show_default=True, help="Port of the CRM.")
@click.option("--webhooks-to", metavar="URL", help="Send signed webhooks there, such as http://127.0.0.1:8780.")
def sandbox(
    seed: int,
    faults: float,
    advocacy: str,
    advocacy_port: int,
    ats_port: int,
    crm: str | None,
    crm_port: int,
    webhooks_to: str | None,
) -> None:
    """Run the sandboxes alone, until Ctrl-C."""
    from referral_pipeline.sandbox.__main__ import main as serve

    options: dict[str, object] = {
        "--seed": seed,
        "--faults": faults,
        "--advocacy": advocacy,
        "--advocacy-port": advocacy_port,
        "--ats-port": ats_port,
        "--crm": crm,
        "--crm-port": crm_port if crm else None,
        "--webhooks-to": webhooks_to,
    }
    sys.exit(serve([text for name, value in options.items() if value is not None for text in (name, str(value))]))


# ---------------------------------------------------------------- set it up


@main.command()
@click.option("--offline", is_flag=True, help="Contract and secrets only; talk to no system.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(offline: bool, as_json: bool) -> None:
    """Validate contract, secrets, connections, custom fields and stages. Exit code 1 when something is wrong."""
    from referral_pipeline.connectors.check import check_installation
    from referral_pipeline.settings import load_settings

    settings = load_settings()
    report = check_installation(settings, offline=offline)
    if not offline:
        _keep_check(settings, findings=len(report.findings), problems=[problem.key for problem in report.problems])
    if as_json:
        problems = [problem.as_json() for problem in report.problems]
        click.echo(json.dumps({"ok": not problems, "problems": problems}, indent=2))
    else:
        _show_check(report.findings, report.problems)
    if report.problems:
        sys.exit(1)


@main.command(name="map")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file instead.")
def map_(out: Path | None) -> None:
    """Print the data-flow map of the contract: Markdown with a Mermaid diagram."""
    from referral_pipeline.contract.flow import data_flow_map
    from referral_pipeline.contract.loader import load_contract
    from referral_pipeline.settings import load_settings

    text = data_flow_map(load_contract(load_settings()))
    if out is None:
        click.echo(text)
    else:
        out.write_text(text, encoding="utf-8")
        click.echo(f"wrote {out}")


# ---------------------------------------------------------------- run it


@main.command()
@click.option("--full", is_flag=True, help="Pull everything again; also finds what was deleted in the ATS.")
@click.option("--since", callback=past_moment, help="Pull again what changed from then on: 2026-05-04, or an age (3d).")
@click.option(
    "--as-of", callback=past_moment, help="Judge by age as of then: maturity and consent. Facts stay today's."
)
@click.option(
    "--believe-absent", is_flag=True, help="Pull everything again; what is missing is gone, even if most of it is."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def refresh(full: bool, since: datetime | None, as_of: datetime | None, believe_absent: bool, as_json: bool) -> None:
    """Run the whole way now: pull, write, return, rebuild, check, publish."""
    _run("refresh", as_json=as_json, full=full, since=since, as_of=as_of, believe_absent=believe_absent)


@main.command()
@click.option("--full", is_flag=True, help="Pull everything again; also finds what was deleted in the ATS.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def reconcile(full: bool, as_json: bool) -> None:
    """Bring both systems level now, without the analytics."""
    _run("reconcile", full=full, as_json=as_json)


@main.command()
@click.option("--sandbox", "with_sandbox", is_flag=True, help="Start the local sandboxes too and connect to them.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of the Dagster UI.")
@click.option("--port", default=3000, show_default=True, help="Port of the Dagster UI.")
@click.option("--receiver-host", default="127.0.0.1", show_default=True, help="Address of the webhook receiver.")
@click.option("--receiver-port", default=8780, show_default=True, help="Port of the webhook receiver.")
@click.option("--lanes", default=1, show_default=True, type=click.IntRange(1, 8), help="Lanes side by side.")
def up(with_sandbox: bool, host: str, port: int, receiver_host: str, receiver_port: int, lanes: int) -> None:
    """Keep the Dagster UI, its daemon (schedules, sensors), lane and receiver running, until Ctrl-C or SIGTERM."""
    from referral_pipeline.orchestration.up import require_free, supervisor_for
    from referral_pipeline.settings import load_settings

    settings = load_settings()
    say = _say(err=False)
    receiver = (receiver_host, receiver_port)
    webhooks = f"http://{'127.0.0.1' if receiver_host == _ALL_ADDRESSES else receiver_host}:{receiver_port}"
    if not with_sandbox:
        require_ready(settings)
        supervisor = supervisor_for(settings, host=host, port=port, say=say, receiver=receiver, lanes=lanes)
        say(f"Dagster UI: http://{host}:{port}; webhooks: {webhooks}/webhooks/SYSTEM")
        supervisor.run()
        return
    from referral_pipeline.orchestration.demo import with_sandbox as sandboxed
    from referral_pipeline.sandbox.launch import Sandbox

    require_free(host, port)
    require_free(*receiver, option="--receiver-port")
    with sandboxed(settings, Sandbox(webhooks_to=webhooks)) as (running, own):
        supervisor = supervisor_for(own, host=host, port=port, say=say, receiver=receiver, lanes=lanes)
        say(f"sandboxes: advocacy {running.advocacy_url}, ATS {running.ats_url}; state in {own.state_dir}")
        say(f"Dagster UI: http://{host}:{port}; webhooks: {webhooks}/webhooks/SYSTEM")
        supervisor.run()


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8780, show_default=True, help="Port to listen on.")
def receiver(host: str, port: int) -> None:
    """Run one webhook receiver alone, as a replica, until Ctrl-C or SIGTERM. It needs no credential of an API."""
    from referral_pipeline.orchestration.up import require_free
    from referral_pipeline.settings import load_settings
    from referral_pipeline.webhooks.server import serve

    settings = load_settings()
    require_free(host, port)
    serve(settings, host=host, port=port, say=_say(err=False))


@main.command()
def lane() -> None:
    """Run one lane alone, as a replica, until Ctrl-C or SIGTERM: it handles what the receiver takes in."""
    import signal
    import threading

    from referral_pipeline.orchestration.lane import run_lane
    from referral_pipeline.settings import load_settings

    settings = load_settings()
    require_ready(settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    run_lane(settings, say=_say(err=False), stop=stop)


main.add_command(events)
main.add_command(resolve)
main.add_command(review)
main.add_command(credit)
main.add_command(explain_command)
main.add_command(bonus)
main.add_command(query)
main.add_command(health)
main.add_command(init)
main.add_command(parallel_run)
main.add_command(quarantine)
main.add_command(attribution)
main.add_command(go_live)
main.add_command(audit)
main.add_command(audit_api)
main.add_command(scorecard)
main.add_command(drift)
main.add_command(dry_run)
main.add_command(webhooks)
main.add_command(fields)
tell_which_contract(main)


def _keep_check(settings: Settings, *, findings: int, problems: list[str]) -> None:
    """Keep for go-live what a check found; a contract that cannot be read has nothing that it could be true of."""
    from referral_pipeline.contract.problems import ContractError
    from referral_pipeline.orchestration.liveness import open_ledger
    from referral_pipeline.orchestration.verified import keep

    try:
        with open_ledger(settings) as (contract, ledger):
            keep("check", contract, ledger, passed=not problems, facts={"looked_at": findings, "problems": problems})
    except ContractError:
        return


def require_ready(settings: Settings) -> None:
    """Refuse before anything starts what a run would refuse later."""
    from referral_pipeline.contract.loader import load_contract
    from referral_pipeline.contract.problems import ContractError
    from referral_pipeline.contract.secrets import missing_secrets
    from referral_pipeline.orchestration.state import refuse_other_systems, refuse_unapproved

    contract = load_contract(settings)
    refuse_unapproved(contract, settings)
    problems = missing_secrets(contract, settings)
    if problems:
        raise ContractError(problems)
    refuse_other_systems(contract, settings)


def _run(
    name: str,
    *,
    as_json: bool,
    full: bool,
    since: datetime | None = None,
    as_of: datetime | None = None,
    believe_absent: bool = False,
) -> None:
    from referral_pipeline.orchestration.run import period_config, run_job
    from referral_pipeline.settings import load_settings

    settings = load_settings()
    require_ready(settings)
    config = period_config(full=full, since=since, as_of=as_of, believe_absent=believe_absent)
    with progress(quiet=as_json) as sink:
        outcome = run_job(name, settings, sink=sink, run_config=config)
    if name == "refresh" and as_of is None:
        from referral_pipeline.orchestration.verified import keep_sandbox_run

        keep_sandbox_run(settings, outcome)
    if as_json:
        click.echo(json.dumps(_run_as_json(outcome), indent=2))
    else:
        _show_run(name, outcome)
    if not outcome.success:
        sys.exit(1)


# ---------------------------------------------------------------- drawing


@contextmanager
def progress(*, quiet: bool) -> Generator[Callable[[str, int, int], None]]:
    """A sink for progress: bars on a terminal, plain lines otherwise, always on standard error."""
    from referral_pipeline.orchestration.progress import PlainLines

    if quiet or not sys.stderr.isatty():
        yield PlainLines(write=lambda line: click.echo(line, err=True))
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=False) as bars:
        tasks: dict[str, TaskID] = {}

        def sink(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=max(total, 1) if done == 0 else total)

        yield sink


def _say(*, err: bool) -> Callable[[str], None]:
    return lambda line: click.echo(line, err=err)


def _table(title: str, *columns: str, numbers: bool = True) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if numbers and number > 0 else "left", overflow="fold")
    return table


def _print(*parts: Any) -> None:
    from rich.console import Console

    console = Console()
    for part in parts:
        console.print(part)


def _show_demo(result: Demonstration) -> None:
    passes = _table("What each pass did", "", *(f"pass {n}" for n in range(1, len(result.passes) + 1)))
    for name in (
        *("candidates_created", "applications_created", "candidates_updated"),
        *("statuses_sent", "results_sent", "quarantined"),
        *(["contacts_written"] if any(p.contacts_written is not None for p in result.passes) else []),
    ):
        passes.add_row(name.replace("_", " "), *(str(getattr(p, name)) for p in result.passes))
    for reason in sorted({r for p in result.passes for r in p.blocked}):
        passes.add_row(
            f"held back: {reason.replace('_', ' ')}", *(str(p.blocked.get(reason, 0)) for p in result.passes)
        )
    passes.add_row("API calls", *(str(p.api_calls) for p in result.passes))
    passes.add_row("seconds", *(f"{p.seconds:.1f}" for p in result.passes))
    truth = _table("Held against the sandboxes' truth", "what", "expected", "found")
    for what, expected, found in result.verification.rows:
        mark = "" if expected == found else "[bold red]"
        truth.add_row(f"{mark}{what}", f"{mark}{expected}", f"{mark}{found}")
    kpis = _table("Headline KPIs", "kpi", "value")
    for name, value in result.kpis.items():
        kpis.add_row(name, "not known yet" if value is None else f"{value:.4g}")
    _print(passes, truth, kpis)
    if result.differences:
        click.echo(f"{len(result.differences)} differences:")
        for difference in result.differences[:50]:
            click.echo(f"  - {difference}")
    else:
        click.echo("No difference: every candidate, application, tag and status is as it must be.")
    click.echo(f"report: {result.report}")


def _show_check(findings: Any, problems: Any) -> None:
    table = _table("Check", "what", "found", "result", numbers=False)
    for finding in findings:
        table.add_row(finding.key, finding.found, "[green]ok" if finding.ok else "[red]to mend")
    _print(table)
    for problem in problems:
        click.echo(f"{problem}")
    click.echo("Everything holds." if not problems else f"{len(problems)} to mend.")


def _show_run(name: str, outcome: RunOutcome) -> None:
    counts = _table(
        f"{name}: {'done' if outcome.success else 'failed'} in {outcome.seconds:.1f} s", "asset", "told", numbers=False
    )
    for asset, metadata in outcome.metadata.items():
        told = [
            f"{key.removeprefix('dagster/').replace('_', ' ')} {value}"
            for key, value in metadata.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        counts.add_row(asset, ", ".join(told[:6]))
    _print(counts)
    click.echo(f"{outcome.checks_run} checks, {len(outcome.failed_checks)} not passed")
    for failed in outcome.failed_checks:
        click.echo(f"  {'BLOCKING ' if failed.blocking else ''}{failed.asset}.{failed.name}: {failed.message}")
    for step, error in outcome.errors.items():
        words = error.splitlines()[0].rstrip(".") if error else "failed"
        click.echo(f"error: {step}: {words}. Run `referral-pipeline check`, then this again", err=True)


def _run_as_json(outcome: RunOutcome) -> dict[str, Any]:
    return {
        "success": outcome.success,
        "run_id": outcome.run_id,
        "seconds": round(outcome.seconds, 1),
        "assets": {
            asset: {k: v for k, v in metadata.items() if isinstance(v, int | float | dict)}
            for asset, metadata in outcome.metadata.items()
        },
        "failed_checks": [
            {"asset": c.asset, "check": c.name, "message": c.message, "blocking": c.blocking}
            for c in outcome.failed_checks
        ],
        "errors": dict(outcome.errors),
    }


if __name__ == "__main__":
    main()
